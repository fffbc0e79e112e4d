"""Policies that are given and not learned: what prediction is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_core.seeds import Seeds


def fixed_policy(task: Any, name: str) -> np.ndarray:
    """Return probabilities of actions [S, A] of a policy by name.

    Args:
        task: The task; its attribute `policy` is the one called "task" (uniform where it has none).
        name: "task", "uniform", or "optimal", which needs the task's model.

    Raises:
        ValueError: if the optimal policy is asked for and the task shows no model.
    """
    num_states, num_actions = int(task.input_space.n), int(task.output_space.n)
    if name == "optimal":
        if "mdp" not in task.traits():
            raise ValueError("policy is 'optimal', but the task shows no model to compute it from; it must be 'task' or 'uniform'")
        return task.mdp.policy_matrix(optimal_policy(task.mdp))
    if name == "task" and task.traits() & {"mdp", "policy"}:
        return task.policy
    return np.full((num_states, num_actions), 1.0 / num_actions)


def optimal_policy(mdp: MDP) -> np.ndarray:
    """Return actions [S] of a best policy, by policy iteration."""
    from rl_algos.planning.policy_iteration import improve

    policy = mdp.action_values(mdp.under(np.full((mdp.num_states, mdp.num_actions), 1.0 / mdp.num_actions)).values()).argmax(axis=1)
    while True:
        improved = improve(mdp, mdp.under(policy).values(), policy)
        if (improved == policy).all():
            return policy
        policy = improved


def true_values(task: Any, policy: np.ndarray, discount: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the values [S] of a policy [S, A], and the states [K] where it can get to decide; None if they are infinite or unknown."""
    if "mdp" not in task.traits():
        return None
    mdp = task.mdp
    process = mdp.with_discount(discount).under(policy)
    try:
        values = process.values()
    except ValueError:  # an undiscounted value that is not finite
        return None
    reached = mdp.start > 0.0
    while True:
        grown = reached | (reached.astype(np.float64) @ process.transition > 0.0)
        if (grown == reached).all():
            return values, np.flatnonzero(reached & ~mdp.is_terminal)
        reached = grown


def policy_score(task: Any, probabilities: np.ndarray, *, episodes: int, seeds: Seeds) -> dict[str, float]:
    """Return the task's score of a policy [S, A] whose actions are drawn at random."""
    rng = seeds.apart("policy").numpy("actions")
    cumulative = np.cumsum(probabilities, axis=1)
    last = probabilities.shape[1] - 1

    def act(inputs: np.ndarray) -> np.ndarray:
        return np.minimum((cumulative[inputs] <= rng.random(len(inputs))[:, None]).sum(axis=1), last)

    return task.evaluate(act, episodes=episodes, seeds=seeds)
