from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.reading.columns import read_sentences
from nlp_embeddings.tagging.crf import CRFConfig, CRFTagger
from nlp_embeddings.tagging.crf_kernels import forward_backward
from nlp_embeddings.tagging.hmm import HMMConfig, HMMTagger, viterbi
from nlp_embeddings.tagging.perceptron import PerceptronConfig, PerceptronTagger
from nlp_embeddings.tagging.schemes import spans, to_bio, to_bioes
from nlp_embeddings.tagging.task import EntitiesConfig, EntitiesTask, TaggingConfig, TaggingTask
from rl_core.seeds import Seeds

CONLLU = (
    "\ufeff# text = vámonos al mar\r\n1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_\r\n"
    "1\tvamos\tir\tVERB\tV\t_\t0\troot\t_\t_\r\n2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_\r\n2.1\tx\tx\tX\tX\t_\t_\t_\t_\t_\r\n\r\n"
)


def learned(agent_class: type, config: object, task: TaggingTask, budget: int = 20) -> object:
    agent = agent_class(config, task, None, seeds=Seeds(0), budget=budget)
    while not agent.finished and agent.progress < budget:
        agent.step()
    return agent


def test_multi_word_tokens_give_their_parts_and_empty_nodes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_bytes(CONLLU.encode())
    (sentence,) = read_sentences(tmp_path / "a.conllu")
    assert sentence.words == ["vamos", "nos"]
    assert (sentence.tags, sentence.heads, sentence.relations) == (["VERB", "PRON"], [0, 1], ["root", "obj"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conllu", "1\tone\tword\n", "line 1: expected the 10 columns of CoNLL-U with tabs between them, got 3"),
        ("a.tsv", "EU B-ORG\nrejects\n", "line 2: expected a word and its tag, got 'rejects'"),
        ("a.txt", "\n\n", "holds no sentences"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sentences(tmp_path / name)


def test_broken_sequences_are_repaired_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.iob").write_text("-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nsays VBZ O O\n\n" * 12)
    task = EntitiesTask(EntitiesConfig(file=str(tmp_path / "a.iob")))
    assert task.examples["train"][0].tags == ["B-ORG", "O"]
    assert "12 tags I- that continue nothing were read as B-, the first in line 3" in capsys.readouterr().err


def test_entities_are_those_of_seqeval() -> None:
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="seqeval is not installed")
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    rng = np.random.default_rng(0)
    rows = [[str(tag) for tag in rng.choice(["O", "B-A", "I-A", "B-B", "I-B"], size=12)] for _ in range(60)]
    for row in rows:
        assert {(kind, start, end - 1) for start, end, kind in spans(row, strict=False)} == set(seqeval.get_entities(row))
    answers = [[str(tag) for tag in rng.permutation(row)] for row in rows]
    task = EntitiesTask(EntitiesConfig())
    task.tags = ["", "B-A", "B-B", "I-A", "I-B", "O"]
    judge = task.judge()
    judge.add(*(np.array([[task.tags.index(tag) for tag in row] for row in each]) for each in (answers, rows)))
    theirs = precision_recall_fscore_support(rows, answers, average="micro", mode="strict", scheme=IOB2)
    result = judge.result()
    assert [result["precision"], result["recall"], result["F1"]] == pytest.approx(theirs[:3], abs=1e-12)


def test_schemes_are_converted_there_and_back() -> None:
    for tags in itertools.product(["O", "B-A", "I-A", "B-B"], repeat=4):
        bio, _ = to_bio(tags)
        assert to_bio(to_bioes(bio))[0] == bio
        assert spans(to_bioes(bio)) == spans(bio)


def chain(seed: int) -> tuple[np.ndarray, np.ndarray, dict[tuple[int, ...], float]]:
    """Scores [5, 3], transitions [4, 4] with a forbidden pair, and the score of each of the 3^5 paths."""
    rng = np.random.default_rng(seed)
    scores, transitions = rng.normal(size=(5, 3)) * 3, rng.normal(size=(4, 4))
    transitions[2, 3] = -1e30
    paths = {}
    for path in itertools.product(range(3), repeat=5):
        places = [0, *(tag + 1 for tag in path), 0]
        paths[path] = sum(scores[i, tag] for i, tag in enumerate(path)) + sum(transitions[a, b] for a, b in itertools.pairwise(places))
    return scores, transitions, paths


def test_the_recursions_agree_with_the_sum_over_all_paths() -> None:
    scores, transitions, paths = chain(0)
    splits = np.array([0, 5])
    values = np.array(list(paths.values()))
    log_z = np.log(np.exp(values - values.max()).sum()) + values.max()
    marginals, pairs = np.zeros((5, 3)), np.zeros((4, 4))
    assert forward_backward(scores, transitions, splits, marginals, pairs) == pytest.approx(log_z, abs=1e-9)
    brute, brute_pairs = np.zeros((5, 3)), np.zeros((4, 4))
    for path, value in paths.items():
        brute[np.arange(5), list(path)] += np.exp(value - log_z)
        places = [0, *(tag + 1 for tag in path), 0]
        for pair in itertools.pairwise(places):
            brute_pairs[pair] += np.exp(value - log_z)
    np.testing.assert_allclose(marginals, brute, atol=1e-9)
    np.testing.assert_allclose(pairs, brute_pairs, atol=1e-9)
    assert tuple(viterbi(scores, transitions, splits)) == max(paths, key=lambda path: paths[path])


def test_the_gradient_of_the_likelihood_is_that_of_differences() -> None:
    agent = CRFTagger(CRFConfig(window=1), EntitiesTask(EntitiesConfig()), None, seeds=Seeds(0), budget=1)
    agent.begin()
    rng = np.random.default_rng(0)
    point = rng.normal(size=agent.vector.shape) * 0.1
    _, gradient = agent._objective(point)
    free = agent._allowed.ravel()
    for place in [*rng.choice(len(agent.places), 4), len(agent.places) + int(rng.choice(np.flatnonzero(free)))]:
        up, down = point.copy(), point.copy()
        up[place] += 1e-4
        down[place] -= 1e-4
        slope = (agent._objective(up)[0] - agent._objective(down)[0]) / 2e-4
        assert gradient[place] == pytest.approx(slope, abs=1e-4)


def test_the_averaged_weights_are_the_mean_over_all_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "a.tsv").write_text("".join(f"{rng.choice(['a', 'b', 'c'])}\t{rng.choice(['X', 'Y'])}\n\n" for _ in range(60)))
    task = TaggingTask(TaggingConfig(file=str(tmp_path / "a.tsv")))
    agent = PerceptronTagger(PerceptronConfig(sentences_per_step=1), task, None, seeds=Seeds(0), budget=40)
    agent.begin()
    total = np.zeros(agent.model.weights.shape)
    while agent.progress < 40:
        total += agent.model.weights  # the weights that meet each word
        agent.step()
    np.testing.assert_allclose(agent.model.averaged, (total + agent.model.weights) / agent.model.clock, atol=1e-6)


def test_taggers_reach_the_best_possible_score_of_the_grammar_and_of_the_templates() -> None:
    tags = TaggingTask(TaggingConfig())
    assert learned(HMMTagger, HMMConfig(), tags, 10**6).evaluate(episodes=1, seeds=Seeds(0))["accuracy"] >= tags.target
    entities = EntitiesTask(EntitiesConfig())
    agent = learned(CRFTagger, CRFConfig(), entities)
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["F1"] >= 0.95
    assert agent.answer("Kalan Bedor left Sanvek for Torra before 3 March 1950 .")[-1] == ["3 March 1950", "DATE"]


def test_a_sentence_longer_than_a_row_is_judged_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a.iob").write_text(("a B-X\nb I-X\nc I-X\nd O\n\n") * 20)
    task = EntitiesTask(EntitiesConfig(file=str(tmp_path / "a.iob"), max_length=2))
    inputs, targets = task.read("test", np.arange(2))
    assert task.describe(targets) == [["B-X", "I-X"], ["B-X", "O"]]
    assert task.words_of_rows(inputs) == [["a", "b"], ["c", "d"]]
    agent = learned(HMMTagger, HMMConfig(), task, 10**6)
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["F1"] == 1.0


def test_a_run_answers_from_its_state_and_other_tags_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("one\tA\ntwo\tB\n\n" * 20)
    (tmp_path / "b.tsv").write_text("one\tC\n\n" * 3)
    task = TaggingTask(TaggingConfig(file=str(tmp_path / "a.tsv")))
    state = task.state_dict()
    (tmp_path / "a.tsv").unlink()
    assert TaggingTask.from_state(task.config, state).parse("two one").tolist() == task.parse("two one").tolist()
    with pytest.raises(ValueError, match="the tags C were not learned"):
        TaggingTask.for_evaluation(TaggingConfig(file=str(tmp_path / "b.tsv")), state)


def test_letters_are_given_beside_words_and_survive_a_saved_run(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\n\n".join("Un\tX\nunbelievably\tY" for _ in range(20)))
    config = TaggingConfig(file=str(tmp_path / "a.tsv"), letters=4)
    task = TaggingTask(config)
    inputs, _ = task.read("test", np.arange(1))
    spelled = ["".join(task.alphabet[number] for number in row) for row in inputs["letters"][0]]
    assert spelled == ["Un", "unly"]
    assert task.input_space.contains({name: part[0].astype(task.input_space[name].dtype) for name, part in inputs.items()})
    assert task.words_of_rows(inputs) == [["Un", "unbelievably"]]
    restored = TaggingTask.from_state(config, task.state_dict())
    assert (restored.parse("unbelievably Un")["letters"] == task.parse("unbelievably Un")["letters"]).all()
    assert "dict-input" in restored.traits()


def test_what_a_network_took_for_what_is_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are those of the rows of the validation part; padding is none."""
    from nlp_embeddings.tagging import confusion

    seen = []
    monkeypatch.setattr(confusion, "draw_confusion", lambda true, given, names, path, split: seen.append((true, given, names, split)))
    task = TaggingTask(TaggingConfig())
    task.draw_answers(tmp_path, lambda inputs: np.full(np.shape(inputs), 3))
    [(true, given, names, split)] = seen
    np.testing.assert_array_equal(true, np.concatenate(task.tag_numbers("validation")))
    assert set(given.tolist()) == {3}
    assert (names, split) == (task.tags, "validation")
