"""Distributions of actions: what is drawn has the probabilities that are claimed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.parts.distributions import Categorical, Gaussian, distribution

EMPTY = np.zeros(0, dtype=np.float32)


def test_drawn_actions_have_the_probabilities_of_the_logits():
    probs = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        logits = np.tile(np.log(probs).astype(np.float32) + 3, (100_000, 1))
    categorical = Categorical(spaces.Discrete(4))
    actions = categorical.sample(logits, EMPTY, categorical.noise(np.random.default_rng(0), 100_000))
    # A share of 100,000 has a standard error of at most 0.0016.
    np.testing.assert_allclose(np.bincount(actions, minlength=4) / 100_000, probs, atol=0.008)
    assert (actions != 1).all()


def test_the_greatest_noise_draws_the_last_action():
    noise = np.array([np.nextafter(1.0, 0.0)])
    assert Categorical(spaces.Discrete(3)).sample(np.zeros((1, 3), dtype=np.float32), EMPTY, noise).tolist() == [2]


def test_log_probs_sum_to_one_and_give_the_entropy():
    head = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    categorical = Categorical(spaces.Discrete(4))
    log_probs = torch.stack([categorical.log_prob(head, torch.zeros(0), torch.full((5,), action)) for action in range(4)])
    torch.testing.assert_close(log_probs.exp().sum(0), torch.ones(5))
    torch.testing.assert_close(categorical.entropy(head, torch.zeros(0)), -(log_probs.exp() * log_probs).sum(0))


def test_a_discrete_space_may_start_anywhere():
    categorical = Categorical(spaces.Discrete(3, start=-1))
    assert categorical.to_env(np.array([0, 1, 2])).tolist() == [-1, 0, 1]


def test_drawn_gaussian_actions_have_the_claimed_mean_deviation_and_density():
    gaussian, rng = Gaussian(spaces.Box(-1, 1, (2,))), np.random.default_rng(0)
    mean, log_std = np.array([[1.0, -2.0]], dtype=np.float32), np.log(np.array([0.5, 3.0], dtype=np.float32))
    actions = gaussian.sample(mean, log_std, gaussian.noise(rng, 100_000))
    np.testing.assert_allclose(actions.mean(0), mean[0], atol=0.05)
    np.testing.assert_allclose(actions.std(0), [0.5, 3.0], rtol=0.02)
    head, scale = torch.from_numpy(mean), torch.from_numpy(log_std)
    expected = torch.distributions.Normal(head, scale.exp()).log_prob(torch.from_numpy(actions)).sum(1)
    torch.testing.assert_close(gaussian.log_prob(head, scale, torch.from_numpy(actions)), expected)
    # The entropy is what -ln p is on average.
    assert gaussian.entropy(head, scale).item() == pytest.approx(-expected.mean().item(), abs=0.02)


def test_actions_inside_span_the_box_and_are_cut_outside():
    gaussian = Gaussian(spaces.Box(np.array([0.0, -np.inf]), np.array([10.0, np.inf]), dtype=np.float64))
    np.testing.assert_allclose(gaussian.to_env(np.array([[-1.0, -7.0], [1.0, 7.0], [3.0, 0.0]])), [[0, -7], [10, 7], [10, 0]])


def test_actions_take_the_shape_and_type_of_the_box():
    box = spaces.Box(-2, 2, (2, 3), np.float32)
    gaussian = Gaussian(box)
    actions = gaussian.to_env(gaussian.sample(np.zeros((4, 6), np.float32), np.zeros(6, np.float32), np.ones((4, 6), np.float32)))
    assert actions.shape == (4, 2, 3)
    assert all(box.contains(action) for action in actions)


@pytest.mark.parametrize("space", [spaces.MultiDiscrete([2, 2]), spaces.Box(0, 5, (2,), np.int64)])
def test_other_spaces_are_refused_in_words(space):
    with pytest.raises(ValueError, match=r"a policy gives a Discrete action or a Box of floats"):
        distribution(space)
