from __future__ import annotations

import numpy as np
import pytest

from dl_nets.tasks.counted_numbers import uniform
from dl_nets.tasks.sequences import AddingConfig, AddingProblem, CopyConfig, CopyMemory, Sine, SineConfig


def test_numbers_by_index_are_uniform_and_streams_and_neighbours_are_uncorrelated() -> None:
    numbers = uniform(0, 0, np.arange(2000), 50)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    shares = np.histogram(numbers, 20, (0.0, 1.0))[0] / numbers.size
    assert np.abs(shares - 0.05).max() < 0.004  # 5 standard errors of 100,000 draws
    for other in (uniform(0, 1, np.arange(2000), 50), uniform(1, 0, np.arange(2000), 50), uniform(0, 0, np.arange(1, 2001), 50)):
        assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < 0.016
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, 1])[0, 1]) < 0.11


def test_the_sum_is_that_of_one_marked_number_in_each_half() -> None:
    task = AddingProblem(AddingConfig(length=7))
    inputs, targets = task.read("train", np.arange(500))
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert (marks[:, :3].sum(1) == 1).all()
    assert (marks[:, 3:].sum(1) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(1), targets[:, 0], rtol=1e-6)
    assert (marks.sum(0) > 0).all()  # every place is marked at times
    assert task.score(np.ones_like(targets), targets)["mean squared error"] == pytest.approx(1 / 6, abs=0.02)


def test_the_copy_is_asked_for_behind_the_mark() -> None:
    task = CopyMemory(CopyConfig(delay=3, length=2, symbols=4))
    inputs, targets = task.read("test", np.array([5]))
    first, second = inputs[0, :2].tolist()
    assert inputs[0].tolist() == [first, second, 0, 0, 1, 0, 0]
    assert targets[0].tolist() == [0, 0, 0, 0, 0, first, second]
    assert task.score(targets, targets) == {"accuracy": 1.0, "exact match": 1.0}
    assert task.score(np.zeros_like(targets), targets)["accuracy"] == 0.0


def test_a_sine_without_noise_follows_its_recurrence_into_the_targets() -> None:
    """y_(t+1) = 2 cos(w) y_t - y_(t-1), with one w for the whole sequence, whatever its height and phase."""
    task = Sine(SineConfig(noise=0.0, examples=50, held_out=20))
    inputs, targets = task.read("test", np.arange(20))
    values = np.concatenate([inputs[:, :, 0], targets], axis=1).astype(np.float64)
    middle = values[:, 1:-1]
    doubled_cosine = ((values[:, 2:] + values[:, :-2]) * middle).sum(1) / np.square(middle).sum(1)
    np.testing.assert_allclose(values[:, 2:], doubled_cosine[:, None] * middle - values[:, :-2], atol=1e-4)


def test_an_epoch_draws_sequences_of_its_own_unless_the_config_says_otherwise() -> None:
    task = AddingProblem(AddingConfig())
    first = task.read_augmented(np.array([3, 8]), seed=1, progress=0.0)[0]
    assert np.array_equal(first[1:], task.read_augmented(np.array([8]), seed=1, progress=0.5)[0])
    assert not np.array_equal(first, task.read_augmented(np.array([3, 8]), seed=2, progress=0.0)[0])
    assert task.augments
    assert not AddingProblem(AddingConfig(fresh=False)).augments
