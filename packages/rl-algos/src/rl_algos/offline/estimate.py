"""The answer to `rl-core estimate`: a trained policy's return, from a recording of another policy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rl_algos.offline import estimators
from rl_core.recording import PROBABILITY, Recording
from rl_core.task import Predict, Task


def softened(predict: Predict, space: spaces.Discrete, random_share: float) -> Any:
    """Return the function from observations [T, ...] to probabilities [T, A] of a greedy policy with a share of random actions."""

    def probabilities(obs: np.ndarray) -> np.ndarray:
        count, best = int(space.n), np.asarray(predict(obs)) - int(space.start)
        rows = np.full((len(obs), count), random_share / count)
        rows[np.arange(len(obs)), best] += 1.0 - random_share
        return rows

    return probabilities


def estimate(task: Task, predict: Predict, recording: Recording, *, discount: float, random_share: float) -> dict[str, tuple[float, float]]:
    """Return the discounted return of a policy by each method that the recording allows, with standard errors.

    Args:
        task: The environment, for its spaces.
        predict: The policy.
        recording: Transitions of another policy.
        discount: gamma.
        random_share: Probability that the policy in question acts at random; importance sampling needs some overlap.
    """
    space = task.output_space
    if not isinstance(space, spaces.Discrete):
        fitted = estimators.FittedQ(recording, predict, discount=discount, num_actions=0)
        return {"fitted Q evaluation": fitted.estimate()[0]}
    policy = softened(predict, space, random_share)
    first = {"first_action": int(space.start), "first_state": int(getattr(task.input_space, "start", 0))}
    found, q, value = estimators.FittedQ(recording, policy, discount=discount, num_actions=int(space.n), **first).estimate()
    results: dict[str, tuple[float, float]] = {"fitted Q evaluation": found}
    if PROBABILITY in recording.arrays:
        rho, starts = estimators.ratios(recording, policy(recording.arrays["obs"]), int(space.start)), recording.starts
        of = estimators.episodes(rho, recording.arrays["reward"], starts, discount)
        results |= {
            "importance sampling": estimators.ordinary(of),
            "weighted importance sampling": estimators.weighted(of),
            "per-decision importance sampling": estimators.per_decision(of),
            "doubly robust": estimators.doubly_robust(of, *(estimators.side_by_side(rows, starts) for rows in (q, value))),
        }
    return results
