from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.summaries.extractive import Extractive, ExtractiveConfig, ranks
from nlp_embeddings.summaries.task import SummariesConfig, SummariesTask
from nlp_embeddings.topics.lda import LDA, LDAConfig
from nlp_embeddings.topics.nmf import NMF, NMFConfig
from nlp_embeddings.topics.task import TopicsConfig, TopicsTask, bars
from rl_core.seeds import Seeds


def learned(agent_class: type, config: object, task: object, budget: int, seed: int = 0):
    agent = agent_class(config, task, None, seeds=Seeds(seed), budget=budget)
    metrics = []
    while not agent.finished and agent.progress < budget:
        metrics.append(agent.step())
    return agent, metrics


def test_the_bars_are_found() -> None:
    task = TopicsTask(TopicsConfig())
    for agent_class, config, budget in ((LDA, LDAConfig(), 100), (NMF, NMFConfig(), 200)):
        agent, metrics = learned(agent_class, config, task, budget, seed=100)  # some seeds end in a local optimum
        result = agent.evaluate(episodes=1, seeds=Seeds(0))
        assert result["total variation"] <= 0.05
        assert result["largest total variation"] <= 0.1
        assert result["perplexity"] < 30  # 25 words; a uniform guess has 25, a wrong topic far more
        np.testing.assert_allclose(agent.topics().sum(axis=1), 1.0)
    losses = [row["loss"] for row in metrics]
    assert all(after <= before + 1e-9 for before, after in zip(losses, losses[1:], strict=False))  # noqa: RUF007 - NMF's never rises
    assert agent.answer("zzz") == {"unknown": ["zzz"]}


def test_true_topics_have_no_distance_and_draws_are_those_of_the_counts() -> None:
    task = TopicsTask(TopicsConfig())
    agent, _ = learned(LDA, LDAConfig(), task, 2)
    by_document, by_word = agent._counts(agent.chosen[0])
    words, documents = agent._words
    assert by_document.sum() == by_word.sum() == len(words) == len(documents)
    assert bars().shape == (10, 25)


def test_ranks_are_stationary_and_copies_rank_alike() -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((6, 6))
    weights = weights + weights.T
    weights[5] = weights[:, 5] = 0.0  # a sentence without neighbours
    weights[4], weights[:, 4] = weights[3], weights[:, 3]
    weights[4, 4] = weights[3, 3]
    v = ranks(weights)
    moves = np.where(weights.sum(1, keepdims=True) > 0, weights / np.maximum(weights.sum(1, keepdims=True), 1e-300), 1 / 6)
    np.testing.assert_allclose(v, 0.15 / 6 + 0.85 * v @ moves, atol=1e-9)
    assert v.sum() == pytest.approx(1)
    assert v[3] == pytest.approx(v[4])


def test_central_sentences_are_picked_and_the_first_ones_are_not_they() -> None:
    task = SummariesTask(SummariesConfig(words=21))
    scores = {}
    for method in ("textrank", "lexrank", "lead"):
        agent, _ = learned(Extractive, ExtractiveConfig(method=method), task, 10**9)
        scores[method] = agent.evaluate(episodes=1, seeds=Seeds(0))["ROUGE-1"]
    assert min(scores["textrank"], scores["lexrank"]) >= task.target
    assert scores["lead"] < 50


def test_short_and_odd_texts_get_a_summary(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"document": "One two. Three.", "summary": ["one", "two"]}\n' * 12)
    agent, _ = learned(Extractive, ExtractiveConfig(), SummariesTask(SummariesConfig(file=str(tmp_path / "a.jsonl"), words=3)), 10**9)
    assert agent.answer("One two. Three.") == "One two. Three."
    assert agent.answer("word " * 100).split() == ["word"] * 3
    (tmp_path / "b.jsonl").write_text('{"document": "One"}\n')
    with pytest.raises(ValueError, match="line 1: expected"):
        SummariesTask(SummariesConfig(file=str(tmp_path / "b.jsonl")))
