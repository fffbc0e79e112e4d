from __future__ import annotations

import numpy as np
import pytest

from dl_nets.generative.distances import frechet, precision_and_recall
from dl_nets.generative.generate import Generate, GenerateConfig


def test_a_sample_is_judged_as_a_whole_and_a_collapsed_one_has_no_recall() -> None:
    task = Generate(GenerateConfig(task="breast-cancer", noise=5))
    noise, real = task.read("test", np.arange(task.num_examples("test")))
    assert noise.shape == (len(real), 5)
    assert np.array_equal(noise[3:4], task.read("test", np.array([3]))[0])
    perfect, shuffled = task.score(real, real), task.score(real[::-1], real)
    assert perfect["Frechet distance"] < 1e-6 < perfect["floor"]
    assert shuffled == pytest.approx(perfect, abs=1e-6)
    collapsed = task.score(np.repeat(real[:1], len(real), axis=0), real)
    assert collapsed["precision"] == 1.0
    assert collapsed["recall"] < 0.2
    assert collapsed["Frechet distance"] > 5 * perfect["floor"]


def test_the_frechet_distance_of_rotated_normals_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)) + 1.0
    first, second = np.cov(real.T, bias=True), np.cov(fake.T, bias=True)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real).sum()  # another way: not symmetric, equal in exact arithmetic
    wanted = np.square(real.mean(0) - fake.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * roots
    assert frechet(real, fake) == pytest.approx(wanted, rel=1e-8)


def test_a_sample_without_a_part_of_the_data_loses_recall_and_keeps_precision() -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(600, 2)), rng.normal(size=(600, 2))
    precision, recall = precision_and_recall(real, fake[fake[:, 0] > 0])
    assert precision > 0.9
    assert recall < 0.7


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="3 generated examples cannot be judged by 5 features"):
        frechet(np.zeros((9, 5)), np.zeros((3, 5)))
