from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.classify.lexicon import Lexicon, LexiconConfig, best_bounds
from nlp_embeddings.classify.linear import LinearClassifier, LinearConfig
from nlp_embeddings.classify.naive_bayes import NaiveBayes, NaiveBayesConfig
from nlp_embeddings.classify.task import LabelsConfig, LabelsTask
from nlp_embeddings.reading.labelled import read_labelled
from rl_core.seeds import Seeds


def learned(agent_class: type, config: object, task: LabelsTask, budget: int = 1000):
    agent = agent_class(config, task, None, seeds=Seeds(0), budget=budget)
    while not agent.finished and agent.progress < budget:
        agent.step()
    return agent


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.tsv", "good\tso  nice\n", ("so nice", ("good",))),
        ("a.tsv", "__label__x __label__y so nice\n", ("so nice", ("x", "y"))),
        ("a.csv", 'text,category\n"so, nice",x\n', ("so, nice", ("x",))),
        ("a.jsonl", '{"text": "so nice", "label": ["x", "y"]}\n', ("so nice", ("x", "y"))),
    ],
)
def test_labelled_texts_are_read_in_each_form(tmp_path: Path, name: str, text: str, wanted: tuple) -> None:
    (tmp_path / name).write_text(text)
    assert read_labelled(tmp_path / name) == [wanted]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "good nice\n", "line 1: expected `label<TAB>text`, got 'good nice'"),
        ("a.csv", "words,kind\na,b\n", "expected a header with a column text or"),
        ("a.jsonl", '{"text": "a"}\n', "line 1: expected"),
        ("a.jsonl", "[1]\n", "line 1: expected a JSON object"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path / name)


def test_negated_opinions_and_neutral_sentences_are_told_apart() -> None:
    task = LabelsTask(LabelsConfig())
    for config in (LinearConfig(), LinearConfig(loss="squared-hinge", features="log-ratio", cost=1.0)):
        agent = learned(LinearClassifier, config, task)
        assert agent.evaluate(episodes=1, seeds=Seeds(0))["accuracy"] >= task.target
        np.testing.assert_allclose(agent.shares(task.texts("test")).sum(axis=1), 1.0)
    # one word at a time, a negation cannot be seen: 30 % of two thirds of the sentences have one
    assert learned(NaiveBayes, NaiveBayesConfig(order=1), task).evaluate(episodes=1, seeds=Seeds(0))["accuracy"] < 0.9
    assert learned(Lexicon, LexiconConfig(), task).evaluate(episodes=1, seeds=Seeds(0))["accuracy"] > 0.9


def test_naive_bayes_and_logistic_regression_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn import linear_model as linear
    from sklearn import naive_bayes as bayes

    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(30)]
    rows = [(k, rng.choice(words, 8, p=np.roll(np.arange(1, 31), 9 * k) / 465)) for k in rng.integers(0, 3, 200)]
    (tmp_path / "a.tsv").write_text("".join(f"{k}\t{' '.join(row)}\n" for k, row in rows))
    task = LabelsTask(LabelsConfig(file=str(tmp_path / "a.tsv")))
    labels = task.targets(task.examples["train"])
    ours = learned(NaiveBayes, NaiveBayesConfig(order=1), task)
    x, test = ours._table.rows(task.texts("train")), ours._table.rows(task.texts("test"))
    theirs = bayes.MultinomialNB().fit(x, labels).predict_proba(test)
    np.testing.assert_allclose(ours.shares(task.texts("test")), theirs, atol=0.01)  # the prior is smoothed here, and not there
    ours = learned(LinearClassifier, LinearConfig(features="binary", order=1, cost=0.3, tolerance=1e-9), task)
    x, test = ours._table.rows(task.texts("train")), ours._table.rows(task.texts("test"))
    theirs = linear.LogisticRegression(C=0.3, tol=1e-10, max_iter=1000).fit(x, labels).predict_proba(test)
    np.testing.assert_allclose(ours.shares(task.texts("test")), theirs, atol=1e-5)


def test_texts_with_several_labels_get_a_yes_or_no_for_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(200):
        chosen = [name for name in ("sea", "war") if rng.random() < 0.5]
        words = [*(f"{name}word" for name in chosen), *rng.choice(["a", "b", "c"], 3)]
        lines.append(f"{' '.join(f'__label__{name}' for name in chosen)} {' '.join(words)}" if chosen else f"__label__none {words[0]} x")
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    task = LabelsTask(LabelsConfig(file=str(tmp_path / "a.tsv")))
    assert task.metric == "F1"
    for agent in (learned(NaiveBayes, NaiveBayesConfig(), task), learned(LinearClassifier, LinearConfig(), task)):
        assert agent.evaluate(episodes=1, seeds=Seeds(0))["F1"] > 0.95
        assert agent.answer("seaword warword")["war"] > 0.5
    with pytest.raises(ValueError, match="several labels each; a single score cannot tell those apart"):
        Lexicon(LexiconConfig(), task, None, seeds=Seeds(0), budget=1)


def test_bounds_between_three_labels_are_the_best_there_are() -> None:
    rng = np.random.default_rng(0)
    scores, ranks = rng.integers(-3, 4, 40).astype(float), rng.integers(0, 3, 40)
    edges = np.arange(-4, 5) - 0.5
    best = max(float((np.searchsorted([a, b], scores) == ranks).mean()) for a in edges for b in edges if a <= b)
    assert float((np.searchsorted(best_bounds(scores, ranks, 3), scores) == ranks).mean()) == best
