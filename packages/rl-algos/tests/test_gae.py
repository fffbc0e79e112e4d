"""Generalised advantages: worked numbers, their two limits, and what the end of an episode does."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.on_policy.rollout import advantages

GAMMA = 0.9


def column(*numbers):
    return np.array(numbers, dtype=np.float32)[:, None]


def random_rollout(seed=0, num_steps=40, num_envs=3, ends=True):
    """Rewards, values of an infinite chain of states, and ends of either kind; next values follow from the values where no end is."""
    rng = np.random.default_rng(seed)
    reward, value = (rng.standard_normal((num_steps, num_envs), dtype=np.float32) for _ in range(2))
    next_value = np.concatenate([value[1:], rng.standard_normal((1, num_envs), dtype=np.float32)])
    terminated = (rng.random(reward.shape) < 0.1) & ends
    truncated = (rng.random(reward.shape) < 0.1) & ends & ~terminated
    next_value = np.where(terminated | truncated, rng.standard_normal(reward.shape), next_value).astype(np.float32)
    return reward, value, next_value, terminated, truncated


def estimate(reward, value, next_value, terminated, truncated, gae_lambda):
    discount = np.where(terminated, 0, GAMMA).astype(np.float32)
    return advantages(reward, discount, value, next_value, terminated | truncated, gae_lambda)


def test_lambda_zero_is_the_td_error():
    reward, value, next_value, terminated, truncated = random_rollout()
    expected = reward + GAMMA * np.where(terminated, 0, next_value) - value
    np.testing.assert_allclose(estimate(reward, value, next_value, terminated, truncated, 0.0), expected, atol=1e-5)


def test_lambda_one_is_the_monte_carlo_return_less_the_value():
    reward, value, next_value, terminated, truncated = random_rollout()
    num_steps, num_envs = reward.shape
    advantage = estimate(reward, value, next_value, terminated, truncated, 1.0)
    for n in range(num_envs):
        for t in range(num_steps):
            return_, weight, step = 0.0, 1.0, t
            while True:
                return_ += weight * reward[step, n]
                weight *= GAMMA
                if terminated[step, n]:
                    break
                if truncated[step, n] or step == num_steps - 1:  # what is cut off counts with the value of where it was cut
                    return_ += weight * next_value[step, n]
                    break
                step += 1
            assert advantage[t, n] == pytest.approx(return_ - value[t, n], abs=1e-4)


def test_lambda_in_between_is_the_weighted_mean_of_all_n_step_advantages():
    # (16) as it stands in the paper, on one long episode: (1 - lambda) (A1 + lambda A2 + ...), the longest taking the rest.
    reward, value, next_value, terminated, truncated = random_rollout(ends=False, num_envs=1)
    gae_lambda, length = 0.7, len(reward)
    bootstraps = np.concatenate([value[1:], next_value[-1:]])[:, 0]
    n_step = []
    for n in range(1, length + 1):
        discounted = sum(GAMMA**k * reward[k, 0] for k in range(n))
        n_step.append(discounted + GAMMA**n * bootstraps[n - 1] - value[0, 0])
    weights = [(1 - gae_lambda) * gae_lambda ** (n - 1) for n in range(1, length)] + [gae_lambda ** (length - 1)]
    expected = np.dot(weights, n_step)
    assert estimate(reward, value, next_value, terminated, truncated, gae_lambda)[0, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("terminates", "expected"), [(True, [1.0 - 5.0, 2.0]), (False, [1.0 + 0.9 * 4.0 - 5.0, 2.0])])
def test_an_end_cuts_the_trace_and_only_termination_cuts_the_future(terminates, expected):
    # Two episodes of one step each; the first leads to a state worth 4, the second is worth 2 more than was thought.
    advantage = advantages(
        column(1, 3), column(0 if terminates else 0.9, 0), column(5, 1), column(4, 7), np.array([[True], [True]]), gae_lambda=0.95
    )
    np.testing.assert_allclose(advantage[:, 0], expected, rtol=1e-6)


def test_values_that_are_true_give_no_advantage():
    # A chain that pays 1 for ever is worth 1 / (1 - gamma) everywhere, however a time limit cuts it.
    value = np.full((20, 2), 1 / (1 - GAMMA), dtype=np.float32)
    over = np.zeros((20, 2), dtype=bool)
    over[4::5] = True
    advantage = advantages(np.ones_like(value), np.full_like(value, GAMMA), value, value, over, 0.95)
    np.testing.assert_allclose(advantage, 0, atol=1e-5)


def test_environments_do_not_mix():
    reward, value, next_value, terminated, truncated = random_rollout()
    whole = estimate(reward, value, next_value, terminated, truncated, 0.95)
    for n in range(3):
        alone = estimate(*(array[:, n : n + 1].copy() for array in (reward, value, next_value, terminated, truncated)), 0.95)
        np.testing.assert_array_equal(whole[:, n : n + 1], alone)


def test_the_compiled_loop_is_its_own_plain_text():
    reward, value, next_value, terminated, truncated = random_rollout(1)
    discount = np.where(terminated, 0, GAMMA).astype(np.float32)
    arguments = (reward, discount, value, next_value, terminated | truncated, 0.95)
    np.testing.assert_allclose(advantages(*arguments), advantages.py_func(*arguments), atol=1e-5)
