from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch

from dl_nets.networks.initialisation import Init, conv2d, glorot, he, linear, orthogonal, uniform


@pytest.mark.parametrize("shape", [(7, 20), (20, 7), (9, 9), (16, 4, 3, 3)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns_times_the_gain(shape: tuple[int, ...]) -> None:
    weights = orthogonal(shape, np.random.default_rng(0), gain=2.0).reshape(shape[0], -1)
    gram = weights @ weights.T if weights.shape[0] <= weights.shape[1] else weights.T @ weights
    np.testing.assert_allclose(gram, 4.0 * np.eye(len(gram)), atol=1e-5)


def test_orthogonal_matrices_are_uniform_over_rotations() -> None:
    """In 2 x 2 the angle is then uniform: its cosine has mean 0 and mean square 1/2. QR without the signs gives a negative mean."""
    rng = np.random.default_rng(0)
    corner = np.array([orthogonal((2, 2), rng)[0, 0] for _ in range(2000)])
    assert abs(corner.mean()) < 5 * math.sqrt(0.5 / 2000)
    assert abs(np.square(corner).mean() - 0.5) < 5 * math.sqrt(0.125 / 2000)


def test_the_variance_of_each_kind_is_what_its_paper_says() -> None:
    rng = np.random.default_rng(0)
    shape = (200, 30, 3, 3)  # fan-in 270, fan-out 1800
    assert glorot(shape, rng).var() == pytest.approx(2 / (270 + 1800), rel=0.02)
    assert he(shape, rng).var() == pytest.approx(2 / 270, rel=0.02)
    assert uniform(shape, rng).var() == pytest.approx(1 / (3 * 270), rel=0.02)
    by_name = {name: conv2d(30, 200, 3, rng, init=name, gain=2.0).weight.var().item() for name in get_args(Init)}
    expected = dict.fromkeys(("he", "he-uniform", "lecun-normal", "lecun-uniform", "sparse"), 4 / 270) | {"glorot-normal": 8 / 2070}
    assert {name: by_name[name] for name in expected} == pytest.approx(expected, rel=0.02)
    assert by_name["normal"] == pytest.approx(0.04**2, rel=0.02)
    assert by_name["truncated-normal"] == pytest.approx(0.7737 * 0.04**2, rel=0.02)  # variance of a Gaussian cut at two deviations
    assert glorot(shape, rng, gain=3.0).std() == pytest.approx(3 * math.sqrt(2 / 2070), rel=0.02)


def test_he_keeps_the_mean_square_through_twenty_layers_of_relu() -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((64, 300)).astype(np.float32)
    for _ in range(20):
        signal = np.maximum(signal @ he((300, 300), rng).T, 0.0) * 1.0
    assert 0.3 < 2 * np.square(signal).mean() / 2 < 3.0


@pytest.mark.parametrize("init", sorted(set(get_args(Init)) - {"identity", "zeros"}))
def test_a_generator_gives_the_same_bits_twice_and_another_gives_others(init: str) -> None:
    first, second, other = (linear(5, 4, np.random.default_rng(seed), init=init) for seed in (3, 3, 4))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.usefixtures("global_generators_stay")
def test_layers_leave_the_global_generators_alone() -> None:
    linear(5, 4, np.random.default_rng(0))
    conv2d(2, 3, 3, np.random.default_rng(0), init="uniform")


def test_biases_are_zero_but_those_of_uniform_which_stay_within_their_bound() -> None:
    assert not conv2d(2, 3, 3, np.random.default_rng(0)).bias.any()
    biases = linear(100, 50, np.random.default_rng(0), init="uniform").bias
    assert 0.05 < biases.abs().max() <= 0.1
