from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference.fasttext import train_classifier as reference_classifier

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.evaluate.tasks import ClassificationTask, EvaluationConfig
from nlp_embeddings.models.text_classifier import TextClassifier, TextClassifierConfig, train_classifier
from rl_core.seeds import Seeds

GOOD, BAD, EITHER = ("wonderful", "lovely", "brilliant"), ("dreadful", "boring", "tiresome"), ("film", "actor", "story", "ending")


@pytest.fixture
def task(tmp_path: Path) -> ClassificationTask:
    """Opinions: of each label's own words one in three, the rest says nothing."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(200):
        label, own = ("good", GOOD) if number % 2 else ("bad", BAD)
        words = [str(rng.choice(own if rng.random() < 0.33 else EITHER)) for _ in range(8)] + [str(rng.choice(own))]
        lines.append(f"{label}\tA {' '.join(words)}.")
    path = tmp_path / "opinions.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return ClassificationTask(EvaluationConfig(file=str(path)))


def agent(task: ClassificationTask, **config: object) -> TextClassifier:
    settings = {"vector_size": 10, "buckets": 2000, **config}
    return TextClassifier(TextClassifierConfig(**settings), task, None, seeds=Seeds(0), budget=5 * 160)


def learned(task: ClassificationTask, **config: object) -> TextClassifier:
    learner = agent(task, **config)
    while learner.progress < learner.budget:
        learner.step()
    return learner


@pytest.mark.parametrize("config", [{}, {"max_ngram": 0}, {"word_pairs": False}])
def test_opinions_are_told_apart_in_texts_that_were_not_learned_from(task: ClassificationTask, config: dict) -> None:
    score = learned(task, **config).evaluate(episodes=1, seeds=Seeds(0))
    assert score["accuracy"] > 0.95  # a coin would reach this on 40 texts once in 10^9
    assert score["texts"] == 40


def test_the_answer_is_a_probability_for_each_label_and_misspelled_words_still_tell(task: ClassificationTask) -> None:
    answer = learned(task).answer("wonderfull and lovelyy")
    assert answer["good"] > 0.7
    assert sum(answer.values()) == pytest.approx(1, abs=1e-3)


def test_the_compiled_kernel_agrees_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    begins = np.array([0, 4, 4, 9, 15])
    features, labels = rng.integers(0, 7, 15), np.array([0, 1, 2, 1])
    rows, outputs = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32)
    order = np.array([2, 0, 1, 3])
    ours, theirs = (rows.copy(), outputs.copy()), (rows.astype(np.float64), outputs.astype(np.float64))
    loss = train_classifier(features, begins, labels, order, *ours, 0.3, 0.05)
    assert loss == pytest.approx(reference_classifier(features, begins, labels, order, *theirs, 0.3, 0.05), rel=1e-5)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)


def test_a_run_continued_within_a_round_ends_with_the_same_bits(task: ClassificationTask) -> None:
    whole, first, second = (agent(task, chunk_texts=70) for _ in range(3))
    for _ in range(2):
        first.step()
    assert first.progress == 140  # of the round's 160
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    for learner in (whole, second):
        while learner.progress < learner.budget:
            learner.step()
    for key, value in whole.parameters().items():
        np.testing.assert_array_equal(second.parameters()[key], value)


def test_the_size_of_a_step_changes_nothing_of_what_is_learned(task: ClassificationTask) -> None:
    whole = learned(task, chunk_texts=160)
    for chunk_texts in (1, 70):
        parts = learned(task, chunk_texts=chunk_texts)
        assert parts.progress == whole.progress == 5 * 160
        for key, value in whole.parameters().items():
            np.testing.assert_allclose(parts.parameters()[key], value, atol=1e-4)


def test_a_budget_within_a_step_is_kept(task: ClassificationTask) -> None:
    learner = agent(task, chunk_texts=70)
    learner.budget = 100
    learner.step()
    learner.step()
    assert learner.progress == 100


def test_each_round_goes_through_every_text_once_in_an_order_of_its_own(task: ClassificationTask) -> None:
    learner = agent(task)
    first, second = learner._order(0).tolist(), learner._order(1).tolist()
    assert sorted(first) == sorted(second) == list(range(160))
    assert first != second
    assert learner._order(0).tolist() == first


def test_a_text_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="the task is a CorpusTask; a text classifier needs labelled texts"):
        TextClassifier(TextClassifierConfig(), CorpusTask(CorpusConfig()), None, seeds=Seeds(0), budget=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector_size": 0}, r"vector_size is 0; it must be in \[1, "),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be > 0"),
        ({"chunk_texts": 0}, "chunk_texts is 0; it must be >= 1"),
        ({"max_ngram": 2}, "max_ngram is 2; it must be 0, or at least min_ngram, 3"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextClassifierConfig(**change)
