from __future__ import annotations

import itertools

import numpy as np
import pytest

from rl_core.errors import RequestError
from rl_core.writing import WritingConfig, change_writing, continued, filtered


def test_draws_follow_the_probabilities_and_entropy_rises_with_temperature() -> None:
    p = np.array([0.4, 0.3, 0.2, 0.1])
    draws = np.random.default_rng(0).choice(4, 100_000, p=filtered(p, top_k=3))
    shares = np.bincount(draws, minlength=4) / 100_000
    np.testing.assert_allclose(shares, np.array([4, 3, 2, 0]) / 9, atol=0.008)  # five standard deviations
    entropies = [-(q * np.log(q)).sum() for q in (filtered(p, temperature=t) for t in (0.3, 0.7, 1.0, 2.0))]
    assert entropies == sorted(entropies)
    assert filtered(p, top_p=0.0).tolist() == [1, 0, 0, 0]


def test_as_many_beams_as_texts_find_the_likeliest_text() -> None:
    chances = np.random.default_rng(1).dirichlet(np.full(4, 0.5), size=4)
    scores = lambda texts: np.log(chances[texts[:, -1]])  # noqa: E731
    texts = list(itertools.product(range(4), repeat=4))
    likeliest = max(texts, key=lambda text: sum(np.log(chances[a, b]) for a, b in itertools.pairwise((0, *text))))
    assert continued([0], scores, WritingConfig(written=4, beams=256)) == [0, *likeliest]
    greedy = continued([0], scores, WritingConfig(written=4, temperature=0.0))
    assert (
        greedy == continued([0], scores, WritingConfig(written=4, top_k=1)) == continued([0], scores, WritingConfig(written=4, top_p=0.0))
    )
    assert greedy[1] == chances[0].argmax()


def test_only_settings_of_writing_change_for_an_answer() -> None:
    class Writer:
        config = WritingConfig()

    change_writing(Writer, ["task.temperature=0", "task.beams=3"])
    assert Writer.config == WritingConfig(temperature=0.0, beams=3)
    with pytest.raises(RequestError, match="learning_rate is a setting of learning"):
        change_writing(Writer, ["learning_rate=3"])
    with pytest.raises(RequestError, match="top_k"):
        change_writing(Writer, ["task.top_k=-1"])
    Writer.config = object()
    with pytest.raises(RequestError, match="writes no texts"):
        change_writing(Writer, ["task.beams=3"])
