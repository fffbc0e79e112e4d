"""Shields: what replaces an action that could break a limit before the environment sees it. Any agent learns behind one.

To the agent a shield is a part of the environment: an action that is not allowed does what the shield's action does. What an agent credits
is therefore its own action, on-policy and off-policy alike, and nothing of it has to change.

Source: M. Alshiekh and others, "Safe reinforcement learning via shielding", 2018 (table and look-ahead; the post-shield of section 6);
G. Dalal and others, "Safe exploration in continuous action spaces", 2018, (4) and (5) (safety layer).
Departures: the automaton's game is a fixed point on the process itself, or a simulation of a backup policy; the layer's model is linear in
the observation and fitted by least squares instead of a network by gradient steps.
Letters: N environments, S states, A actions, D dimensions of an action, K limits, F features of an observation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from gymnasium import spaces

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.wrapped import WrappedEnvs
from rl_core.envs import Envs, Transition
from rl_core.task import Dynamics


class Shield(Protocol):
    """A function from observations [N, ...] and actions [N, ...] to the actions [N, ...] that are carried out."""

    def __call__(self, obs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the actions [N, ...] to carry out."""


class ShieldedEnvs(WrappedEnvs):
    """Environments behind a shield.

    Args:
        envs: The inner environments.
        shield: What replaces actions.

    Attributes:
        replaced: How many actions were replaced so far.
    """

    def __init__(self, envs: Envs, shield: Shield) -> None:
        super().__init__(envs)
        self.shield, self.replaced = shield, 0
        self._obs = np.zeros(0)

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        self._obs = self.inner.reset()
        return self._obs

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes."""
        self._obs = self.inner.restart()
        return self._obs

    def step(self, actions: np.ndarray) -> Transition:
        """Take the actions [N, ...] that the shield makes of these."""
        actions = np.asarray(actions)
        executed = self.shield(self._obs, actions)
        self.replaced += int((executed != actions).reshape(len(actions), -1).any(axis=1).sum())
        transition = self.inner.step(executed)
        self._obs = transition.obs
        return transition

    def load_state_dict(self, state: dict) -> np.ndarray:  # type: ignore[override]
        """Restore `state` and return the current observations [N, ...]."""
        self._obs = super().load_state_dict(state)
        return self._obs


def safe_actions(mdp: MDP, forbidden: np.ndarray) -> np.ndarray:
    """Return which actions never lead into a forbidden state, now or later, whatever chance does [S, A]: the largest fixed point.

    Args:
        mdp: The process.
        forbidden: Which states must not be entered [S], bool.

    Of three states in a row with the last one forbidden, the way right is closed from the second on:

    >>> table = {s: {a: [(1.0, t, 0.0, False)] for a, t in enumerate((max(s - 1, 0), min(s + 1, 2)))} for s in range(3)}
    >>> row = MDP.from_table(table, discount=1.0, start=np.eye(3)[0])
    >>> safe_actions(row, np.array([False, False, True])).tolist()
    [[True, True], [True, False], [True, False]]
    """
    pairs = np.repeat(np.arange(mdp.num_states * mdp.num_actions), np.diff(mdp.offset))
    possible = mdp.probability > 0
    closed = forbidden.copy()
    while True:
        bad = possible & closed[mdp.next_state]
        allowed = np.bincount(pairs, bad, mdp.num_states * mdp.num_actions).reshape(mdp.num_states, mdp.num_actions) == 0
        more = forbidden | ~allowed.any(axis=1)
        if (more == closed).all():
            return allowed
        closed = more


class TableShield:
    """A shield of a finite process: an action that is not safe is replaced by the next one that is.

    Where no action is safe, the one least likely to enter a forbidden state at once is taken.

    Args:
        mdp: The process.
        forbidden: States that must not be entered [S], bool.
    """

    def __init__(self, mdp: MDP, forbidden: np.ndarray) -> None:
        self.allowed = safe_actions(mdp, forbidden)
        pairs = np.repeat(np.arange(mdp.num_states * mdp.num_actions), np.diff(mdp.offset))
        risk = np.bincount(pairs, mdp.probability * forbidden[mdp.next_state], self.allowed.size).reshape(self.allowed.shape)
        self._executed = np.empty(self.allowed.shape, dtype=np.int64)
        for action in range(mdp.num_actions):
            order = (action + np.arange(mdp.num_actions)) % mdp.num_actions
            first = order[np.argmax(self.allowed[:, order], axis=1)]
            self._executed[:, action] = np.where(self.allowed.any(axis=1), first, risk.argmin(axis=1))

    def __call__(self, obs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the actions [N] to carry out in states [N]."""
        executed: np.ndarray = self._executed[obs, actions]
        return executed


class LookAheadShield:
    """A shield by simulation: an action is allowed if a backup policy can keep every limit after it.

    Exact where the dynamics are; where the backup policy keeps the limits from every start, no limit is ever broken.

    Args:
        dynamics: The transition function.
        breaks: Which states [N, S] break a limit [N].
        backup: The backup policy's actions [N, ...] in states [N, S].
        horizon: Steps of the backup policy that are simulated.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        breaks: Callable[[np.ndarray], np.ndarray],
        backup: Callable[[np.ndarray], np.ndarray],
        horizon: int,
    ) -> None:
        self.dynamics, self.breaks, self.backup, self.horizon = dynamics, breaks, backup, horizon

    def __call__(self, obs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the actions [N, ...], or the backup policy's where one is not allowed."""
        state = self.dynamics.state_of(obs)
        after = self.dynamics.step(state, actions)[0]
        bad = self.breaks(after)
        for _ in range(self.horizon):
            after = self.dynamics.step(after, self.backup(after))[0]
            bad = bad | self.breaks(after)
        chosen = bad.reshape(-1, *[1] * (np.ndim(actions) - 1))
        return np.where(chosen, self.backup(state), actions).astype(np.asarray(actions).dtype)


class SafetyLayer:
    """A learned layer that moves an action as little as needed: c_k(s') is taken as c_k(s) + g_k(s)^T a, and must stay below -margin.

    lambda_k = max(0, (g_k^T a + c_k + margin) / g_k^T g_k), and a - lambda g_k with the largest lambda, (5): exact while one limit binds.

    Args:
        limits: c [N, K] of observations [N, F]; above 0 a limit is broken.
        space: Space of one action.
        margin: Added to every c.
    """

    def __init__(self, limits: Callable[[np.ndarray], np.ndarray], space: spaces.Box, margin: float) -> None:
        self.limits, self.space, self.margin = limits, space, margin
        self.weights = np.zeros((0, 0, 0))  # of each limit, from features to how an action moves it [K, F + 1, D]

    def fit(self, obs: np.ndarray, actions: np.ndarray, next_obs: np.ndarray) -> float:
        """Fit g by least squares on transitions [B, ...], and return the root of its mean squared error."""
        change = self.limits(next_obs) - self.limits(obs)  # [B, K]
        features = _features(obs)
        rows = (features[:, :, None] * actions[:, None, :]).reshape(len(obs), -1)
        solved = np.linalg.lstsq(rows, change, rcond=None)[0]
        self.weights = solved.T.reshape(change.shape[1], features.shape[1], actions.shape[1])
        return float(np.sqrt(np.mean((rows @ solved - change) ** 2)))

    def __call__(self, obs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the nearest actions [N, D] that keep the limits at observations [N, F]."""
        slope = np.einsum("nf,kfd->nkd", _features(obs), self.weights)
        return project(actions, slope, self.limits(obs) + self.margin, self.space)


def project(actions: np.ndarray, slope: np.ndarray, limits: np.ndarray, space: spaces.Box) -> np.ndarray:
    """Return actions [N, D] moved onto the limit that binds most, then cut to the space: (5).

    Args:
        actions: [N, D].
        slope: g [N, K, D].
        limits: c [N, K].
        space: Space of one action.

    c is -0.5 and g is 1: an action of 0.8 is moved back to 0.5.

    >>> box = spaces.Box(-1.0, 1.0, (1,), np.float32)
    >>> project(np.array([[0.8]]), np.ones((1, 1, 1)), np.array([[-0.5]]), box).round(4).tolist()
    [[0.5]]
    """
    steepness = np.maximum((slope**2).sum(axis=2), 1e-12)
    multiplier = np.maximum(0.0, (np.einsum("nkd,nd->nk", slope, actions) + limits) / steepness)  # (5) [N, K]
    binding = multiplier.argmax(axis=1)
    rows = np.arange(len(actions))
    moved = actions - multiplier[rows, binding][:, None] * slope[rows, binding]
    changed = (multiplier[rows, binding] > 0)[:, None]
    return np.where(changed, np.clip(moved, space.low, space.high), actions).astype(space.dtype)


def _features(obs: np.ndarray) -> np.ndarray:
    return np.concatenate([obs, np.ones((len(obs), 1))], axis=1)
