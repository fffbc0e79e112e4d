from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.passages import held_out_sentences, passage_bounds
from rl_core.seeds import Seeds


def test_the_bundled_text_needs_no_download() -> None:
    task = CorpusTask(CorpusConfig())
    assert len(task.corpus) == 68_715
    assert task.corpus.words[:3] == ["the", "and", "a"]
    assert task.traits() == {"corpus", "text-input", "vector-output"}


def test_held_out_sentences_are_hidden_from_reading_and_from_counts() -> None:
    task = CorpusTask(CorpusConfig())
    whole = task.read(0, len(task.corpus))
    starts = task.corpus.starts
    hidden = np.zeros(len(whole), dtype=bool)
    for sentence in task.held_out[1]:
        hidden[starts[sentence] : starts[sentence + 1]] = True
    np.testing.assert_array_equal(whole < 0, hidden)
    np.testing.assert_array_equal(np.bincount(whole[whole >= 0], minlength=len(task.counts)), task.counts)


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (777, 5000), (60_001, 68_715)])
def test_a_part_reads_as_that_part_of_the_whole(start: int, stop: int) -> None:
    task = CorpusTask(CorpusConfig())
    np.testing.assert_array_equal(task.read(start, stop), task.read(0, len(task.corpus))[start:stop])


def test_passages_cover_every_sentence_once() -> None:
    task = CorpusTask(CorpusConfig())
    bounds = task.passages
    assert bounds[0] == 0
    assert bounds[-1] == task.corpus.num_sentences
    assert (np.diff(bounds) > 0).all()


def test_what_is_left_at_the_end_joins_the_last_passage() -> None:
    assert passage_bounds(np.array([0, 4, 8, 12, 13]), 8).tolist() == [0, 4]
    assert passage_bounds(np.array([0, 4]), 8).tolist() == [0, 1]


def test_the_sentence_nearest_to_the_middle_that_is_neither_short_nor_long_is_held_out() -> None:
    starts = np.array([0, 10, 20, 22, 32, 42])  # lengths 10 10 2 10 10
    passages, sentences = held_out_sentences(starts, np.array([0, 5]), 10)
    assert (passages.tolist(), sentences.tolist()) == ([0], [1])


def test_a_passage_of_two_sentences_keeps_both() -> None:
    assert len(held_out_sentences(np.array([0, 10, 20]), np.array([0, 2]), 10)[0]) == 0


def test_an_answer_that_knows_the_passage_scores_one_and_a_constant_scores_as_chance() -> None:
    task = CorpusTask(CorpusConfig())
    passages, sentences = task.held_out
    starts = task.corpus.starts
    number = {task.text(task.corpus.ids[starts[s] : starts[s + 1]]): i for i, s in enumerate(sentences)}
    number |= {task.text(task.passage_ids(int(p))): i for i, p in enumerate(passages)}
    eye = np.eye(len(passages))
    perfect = task.evaluate(lambda texts: eye[[number[t] for t in texts]], episodes=1, seeds=Seeds(0))
    assert perfect["mean reciprocal rank"] == 1.0
    constant = task.evaluate(lambda texts: np.ones((len(texts), 3)), episodes=1, seeds=Seeds(0))
    assert constant["mean reciprocal rank"] == pytest.approx(2 / (len(passages) + 1))


def test_the_encoded_text_is_cached_and_a_changed_file_is_another_entry(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("one two three")
    first = CorpusTask(CorpusConfig(path=str(path))).corpus.folder
    assert CorpusTask(CorpusConfig(path=str(path))).corpus.folder == first
    path.write_text("one two three four")
    assert CorpusTask(CorpusConfig(path=str(path))).corpus.folder != first


def test_stems_and_phrases_are_taken_as_they_are_and_other_words_are_made_fit() -> None:
    task = CorpusTask(CorpusConfig(stemmer="english"))
    assert task.tokens("The Sailors' gener new_york", {"new_york", "gener"}) == ["the", "sailor", "gener", "new_york"]


def test_phrases_and_stop_words_are_settings_of_the_task() -> None:
    corpus = CorpusTask(CorpusConfig(phrase_passes=1, stop_words=True)).corpus
    assert "ben_gunn" in corpus.words
    assert "the" not in corpus.words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phrase_passes": -1}, r"phrase_passes is -1; it must be in \[0, 10\]"),
        ({"phrase_threshold": 0.0}, "phrase_threshold is 0.0; it must be > 0"),
        ({"phrase_min_count": 0}, r"phrase_min_count is 0; it must be in \[1, "),
        ({"passage_words": 0}, r"passage_words is 0; it must be in \[1, "),
        ({"stemmer": "english", "lemmatizer": "en"}, "a word can go through one of them only"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CorpusConfig(**change)
