"""Runs of this package from the command line: refused requests leave nothing, data that changed is noticed, checkpoints are checked."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.evaluate.tasks import ClassificationTask, EvaluationConfig
from nlp_embeddings.models.fasttext import FastText, FastTextConfig
from nlp_embeddings.models.glove import GloVe, GloVeConfig
from nlp_embeddings.models.ppmi import Ppmi, PpmiConfig
from nlp_embeddings.models.text_classifier import TextClassifier, TextClassifierConfig
from nlp_embeddings.models.vector_space import VectorSpace, VectorSpaceConfig
from nlp_embeddings.models.word2vec import Word2Vec, Word2VecConfig
from rl_core.cli.cli import cli
from rl_core.seeds import Seeds

WORDS = "the white whale swims and the ship follows the white whale over the sea. " * 60


def call(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "t.txt"
    path.write_text(WORDS)
    return path


def make(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / {"folder": "empty", "pipe": "pipe.txt", "plain": "x.gz", "cut": "cut.gz"}.get(kind, f"{kind}.txt")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        contents = {
            "few": b"a b c",
            "plain": b"plain",
            "cut": gzip.compress(WORDS.encode())[:-9],
            "nothing": b"... !!!",
            "encoding": b"ab\xff",
            "one": b"one two three two one two one three three.",
        }
        path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("agent", "kind", "message"),
    [
        ("skip-gram", "few", "at least two are needed: lower min_count"),
        ("fasttext", "few", "at least two are needed: lower min_count"),
        ("glove", "few", "at least two are needed: lower min_count"),
        ("ppmi", "few", "at least two are needed: lower min_count"),
        ("skip-gram", "folder", "holds no ordinary files"),
        ("glove", "pipe", "is a named pipe"),
        ("tf-idf", "plain", "does not begin like such a file"),
        ("cbow", "cut", "is damaged or cut short at"),
        ("bm25", "nothing", "holds no words"),
        ("bag-of-words", "encoding", "is not UTF-8 at byte 2"),
        ("lsa", "one", "allow no decomposition"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_and_leaves_nothing(tmp_path: Path, agent: str, kind: str, message: str) -> None:
    path = make(tmp_path, kind)
    ended = call("run", agent, "--task", f"corpus:{path}", "--out", str(tmp_path / "out"))
    assert (ended.exit_code, message in ended.output) == (2, True), ended.output
    assert "report" not in ended.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("agent", "setting"),
    [
        ("skip-gram", "task.stemmer=/"),
        ("skip-gram", "task.lemmatizer=/"),
        ("tf-idf", "task.phrase_passes=1000000000"),
        ("tf-idf", "task.passage_words=9000000000000000000"),
        ("skip-gram", "vector_size=1000000000"),
        ("cbow", "window=1000000000"),
        ("skip-gram", "negatives_per_word=1000000000"),
        ("skip-gram", "threads=1000000000"),
        ("fasttext", "buckets=4294967296"),
        ("fasttext", "max_ngram=1000000000"),
        ("glove", "memory_mb=1000000000000"),
        ("ppmi", "window=1000000000"),
        ("lsa", "components=4294967296"),
        ("bag-of-words", "components=4294967296"),
        ("text-classifier", "buckets=2000000000"),
    ],
)
def test_a_setting_that_is_too_large_or_strange_is_refused_and_leaves_nothing(tmp_path: Path, agent: str, setting: str) -> None:
    ended = call("run", agent, "--set", setting, "--out", str(tmp_path / "out"))
    assert ended.exit_code == 2, ended.output
    assert "report" not in ended.output
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_continued_on_a_changed_text_and_still_answers(text: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    ended = call("run", "skip-gram", "--task", f"corpus:{text}", "--budget", "400", "--out", run, "--set", "chunk_words=200")
    assert ended.exit_code == 0, ended.output
    before = json.loads(call("predict", run, "whale", "--json").output.splitlines()[-1])
    text.write_text(WORDS.replace("sea", "lake"))
    ended = call("resume", run, "--budget", "800")
    assert (ended.exit_code, "has changed since the run was saved" in ended.output) == (2, True), ended.output
    ended = call("resume", run, "--budget", "800", "--accept-changed-data")
    assert (ended.exit_code, "cannot be continued on another text" in ended.output) == (2, True), ended.output
    text.unlink()
    again = json.loads(call("predict", run, "whale", "--json").output.splitlines()[-1])
    assert again["answer"] == before["answer"]


def test_a_classifier_answers_without_its_file_and_is_judged_by_its_own_answers(tmp_path: Path) -> None:
    learned, other, run = tmp_path / "a.tsv", tmp_path / "b.tsv", str(tmp_path / "run")
    rows = [("good", "a wonderful film"), ("bad", "a dreadful film"), ("good", "lovely"), ("bad", "boring")]
    learned.write_text("".join(f"{label}\t{words}\n" for label, words in rows * 20))
    other.write_text("".join(f"{'bad' if label == 'good' else 'good'}\t{words}\n" for label, words in rows * 2))
    ended = call("run", "text-classifier", "--task", f"classification:{learned}", "--budget", "2000", "--out", run, "--set", "buckets=1000")
    assert ended.exit_code == 0, ended.output
    learned.unlink()
    answer = json.loads(call("predict", run, "a wonderful film", "--json").output.splitlines()[-1])["answer"]
    assert answer["good"] > 0.9
    ended = call("eval", run, "--task", f"classification:{other}", "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.output.splitlines()[-1])["score"] == 0  # every label is the wrong one


def agents(text: Path) -> dict[str, Any]:
    task, run = CorpusTask(CorpusConfig(path=str(text), passage_words=20)), {"seeds": Seeds(0), "budget": 10_000}
    parts = ClassificationTask(EvaluationConfig())
    return {
        "word2vec": Word2Vec(Word2VecConfig(vector_size=8), task, None, **run),
        "fasttext": FastText(FastTextConfig(vector_size=8), task, None, **run),
        "glove": GloVe(GloVeConfig(vector_size=8), task, None, **run),
        "ppmi": Ppmi(PpmiConfig(vector_size=4), task, None, **run),
        "lsa": VectorSpace(VectorSpaceConfig(components=3), task, None, **run),
        "classifier": TextClassifier(TextClassifierConfig(vector_size=8, buckets=50), parts, None, **run),
    }


def arrays_of(state: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(state, np.ndarray):
        return [path]
    return [found for key, item in state.items() for found in arrays_of(item, (*path, key))] if isinstance(state, dict) else []


def changed(state: Any, path: tuple[str, ...], value: np.ndarray) -> Any:
    return value if not path else state | {path[0]: changed(state[path[0]], path[1:], value)}


@pytest.mark.parametrize("name", ["word2vec", "fasttext", "glove", "ppmi", "lsa", "classifier"])
def test_saved_arrays_of_another_shape_or_type_are_refused_before_a_kernel_sees_them(text: Path, name: str) -> None:
    learner, other = agents(text)[name], agents(text)[name]
    learner.step()
    state = learner.state_dict()
    assert arrays_of(state)
    for path in arrays_of(state):
        array = state
        for key in path:
            array = array[key]
        array = np.asarray(array)
        wrong = [np.zeros((0, 16), dtype=array.dtype), array[:-1], array.astype(np.float16), np.concatenate([array, array])]
        if array.dtype.kind == "f":
            wrong.append(np.full_like(array, np.nan))
        for value in wrong:
            with pytest.raises(ValueError, match=f"{path[-1]} is saved"):
                other.load_state_dict(changed(state, path, value))
    other.load_state_dict(state)


@pytest.mark.parametrize("name", ["word2vec", "fasttext"])
@pytest.mark.parametrize("position", [{"sentence": 10**12}, {"sentence": -1}, {"epoch": -1}])
def test_a_saved_position_outside_of_the_text_is_refused(text: Path, name: str, position: dict) -> None:
    learner, other = agents(text)[name], agents(text)[name]
    learner.step()
    state = learner.state_dict()
    with pytest.raises(ValueError, match="the position is round"):  # noqa: PT012 - some are seen at once, others when the text is read
        other.load_state_dict(state | {"reader": state["reader"] | position})
        other.step()


def test_a_text_without_full_stops_is_read_line_by_line_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("the white whale swims\nship ahoy captain\n" * 100)
    task = CorpusTask(CorpusConfig(path=str(path)))
    assert task.corpus.num_sentences == 200
    assert "each line is read as a sentence (task.sentences=line)" in capsys.readouterr().err
    assert len(task.held_out[0]) == 0  # sentences of three and four words are too short to search with
    joined = CorpusTask(CorpusConfig(path=str(path), sentences="punctuation"))
    assert joined.corpus.num_sentences == 1


@pytest.mark.parametrize(
    ("agent", "task", "content", "settings", "typed"),
    [
        ("hmm-tagger", "tagging", "the\tD\ncat\tN\nruns\tV\n\n" * 60, [], "the cat"),
        ("crf-tagger", "entities", "in\tO\nNew\tB-LOC\nYork\tI-LOC\n\n" * 60, ["--budget", "1"], "in New York"),
        ("retrieval-bot", "dialogue", "where are you\tin Oslo\nwhat time is it\tnoon\nwho is it\ta bot\n" * 5, [], "where are you"),
        ("textrank", "summaries", (json.dumps({"document": "A cat sat. A dog ran.", "summary": "A cat."}) + "\n") * 20, [], "A film."),
        ("ngram-lm", "language-model", "the cat sat on the mat. the dog sat on the rug. " * 50, [], "the cat"),
        ("text-classifier", "classification", "good\ta lovely film\nbad\tan awful hour\n" * 40, ["--budget", "500"], "a lovely film"),
        ("skip-gram", "corpus", "ship boat captain island sea king queen man. " * 80, ["--budget", "2000"], "ship - king + boat"),
        ("lda", "topics", "cat dog pet fur\nstock bank money gold\n" * 40, ["--budget", "5"], "cat dog"),
    ],
)
def test_a_line_of_a_file_is_answered_as_what_is_typed(
    tmp_path: Path, agent: str, task: str, content: str, settings: list[str], typed: str
) -> None:
    data, run, lines = tmp_path / "data.tsv", str(tmp_path / "run"), tmp_path / "lines.jsonl"
    data.write_text(content)
    lines.write_text(json.dumps(typed) + "\n")
    ended = call("run", agent, "--task", f"{task}:{data}", *settings, "--out", run)
    assert ended.exit_code == 0, ended.output
    one = json.loads(call("predict", run, typed, "--json").output.splitlines()[-1])["answer"]
    (of_file,) = json.loads(call("predict", run, str(lines), "--json").output.splitlines()[-1])["answers"]
    assert of_file["answer"] == one
    questions = {"skip-gram": ("king - man + ", "king - - man", "ship ~ boat ~ king", "+"), "text-classifier": ("", " ")}.get(agent, ())
    for text in questions:
        refused = call("predict", run, text)
        assert refused.exit_code == 2, text
        assert "lacks a word beside a sign" in refused.output or "the input is empty" in refused.output
    refused = call("predict", run, str(tmp_path / "run" / "recipe.yaml"))
    assert refused.exit_code == 2
    assert "it is not a file that the task reads" in refused.output


def test_a_tag_of_no_scheme_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("in O\nOslo B-LOC\n\nin O\nNew Q\nYork LOC\n\n" * 20)
    ended = call("run", "crf-tagger", "--task", f"entities:{tmp_path / 'tags.txt'}", "--out", str(tmp_path / "run"))
    assert ended.exit_code == 2
    assert "tags.txt has the tag 'Q' in the sentence of line 4; expected O, or B-, I-, E-, S-, L- or U- before a type" in ended.output


def test_questions_about_few_passages_are_refused_for_that(tmp_path: Path) -> None:
    row = {"question": "What is the word?", "passage": "abc def ghi", "answer": "def"}
    (tmp_path / "one.jsonl").write_text((json.dumps(row) + "\n") * 20)
    ended = call("run", "span-reader", "--task", f"questions:{tmp_path / 'one.jsonl'}", "--out", str(tmp_path / "run"))
    assert ended.exit_code == 2
    assert "one.jsonl asks about 1 passage; expected at least 10" in ended.output
