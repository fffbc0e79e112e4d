"""Options: courses of action with a policy of their own, a set of states to begin in, and a probability to end in each state.

Source: R. Sutton, D. Precup, S. Singh, "Between MDPs and semi-MDPs", 1999, sections 2 and 4 for options and their models, (7) and (8).
Departures: none. Letters: S states, A actions, K options.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_algos.tasks.mdp.model import MDP


class Options(NamedTuple):
    """Options with deterministic policies.

    Attributes:
        policy: Action of each option in each state [K, S].
        termination: beta, probability that an option ends in a state that it enters [K, S].
        initiation: Whether an option may begin in a state [K, S], bool.
        names: Name of each option.
    """

    policy: np.ndarray
    termination: np.ndarray
    initiation: np.ndarray
    names: tuple[str, ...]


def primitive(num_states: int, num_actions: int, names: tuple[str, ...] = ()) -> Options:
    """Return the actions as options that end after one step."""
    policy = np.repeat(np.arange(num_actions)[:, None], num_states, axis=1)
    shape = (num_actions, num_states)
    return Options(policy, np.ones(shape), np.ones(shape, dtype=np.bool_), names or tuple(f"action {a}" for a in range(num_actions)))


def together(first: Options, second: Options) -> Options:
    """Return the options of both, those of the first before those of the second."""
    return Options(
        np.concatenate((first.policy, second.policy)),
        np.concatenate((first.termination, second.termination)),
        np.concatenate((first.initiation, second.initiation)),
        first.names + second.names,
    )


def model_of(mdp: MDP, policy: np.ndarray, termination: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the model of an option: its discounted reward r [S], and p [S, S], gamma^k weighted probabilities of where it ends.

    r = r_pi + gamma P_pi (1 - beta) r, and p = gamma P_pi beta + gamma P_pi (1 - beta) p, each a linear system.

    Args:
        mdp: The process.
        policy: Action in each state [S].
        termination: beta [S].

    A step along a corridor of two states, which ends behind the second one, under an option that never ends by itself:

    >>> table = {0: {0: [(1.0, 1, 1.0, False)]}, 1: {0: [(1.0, 1, 3.0, True)]}}
    >>> corridor = MDP.from_table(table, discount=0.5, start=np.array([1.0, 0.0]))
    >>> model_of(corridor, np.zeros(2, dtype=np.int64), np.zeros(2))[0].tolist()
    [2.5, 3.0]
    """
    process = mdp.under(policy)
    step = mdp.discount * process.transition.toarray()
    going_on = np.eye(mdp.num_states) - step * (1.0 - termination)
    return np.linalg.solve(going_on, process.reward), np.linalg.solve(going_on, step * termination)


def plan(mdp: MDP, options: Options, sweeps: int) -> list[np.ndarray]:
    """Return the values [S] after each sweep of value iteration over options, from 0: V(s) <- max_o r_o(s) + sum_s' p_o(s, s') V(s')."""
    models = [model_of(mdp, policy, end) for policy, end in zip(options.policy, options.termination, strict=True)]
    reward, reach = np.stack([r for r, _ in models]), np.stack([p for _, p in models])
    values = np.zeros(mdp.num_states)
    after = []
    for _ in range(sweeps):
        worth = np.where(options.initiation, reward + reach @ values, -np.inf)
        values = worth.max(axis=0)
        after.append(values)
    return after
