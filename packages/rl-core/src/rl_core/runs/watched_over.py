"""Rollouts of a policy that is watched over: it may differ little from a controller that is trusted, which takes over where it is new.

Three things hold a policy that meets the world for the first time. Its *authority* is limited: an action is at most a share of the
action's range away from the fallback's. An *alarm* goes off where an observation is farther from the run's own observations than those
are from each other: there the fallback acts, until some steps in a row were familiar. And a *log* has every step.

Distances are between observations whose numbers are divided by their deviations; the distance of an observation is that to the nearest of
a sample of the run's. The alarm's threshold is a quantile of the distances of other observations of the run, times a margin.

Source: the monitor and recovery function of the Simplex architecture, L. Sha, "Using simplicity to control complexity", 2001; nearest
neighbours as a detector, S. Ramaswamy, R. Rastogi, K. Shim, 2000. Departures: none.
Letters: N episodes side by side, F numbers of an observation, R rows of a sample, T steps.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict, PredictWithMemory

MOST_ROWS = 2_000  # of the sample that distances are to
MOST_STEPS = 2_000  # of a watched episode


class Limits(NamedTuple):
    """Limits of a policy that is watched over.

    Attributes:
        authority: Share of half the action's range that an action may differ from the fallback's, in [0, 1].
        quantile: Of the run's own distances, in (0, 1], from which the threshold is made.
        margin: Factor on that quantile, > 0.
        calm_steps: Familiar steps in a row after which the policy acts again, >= 1.
    """

    authority: float = 1.0
    quantile: float = 0.99
    margin: float = 1.5
    calm_steps: int = 12


class Familiar:
    """A measure of how far observations are from those of a sample.

    Args:
        rows: Observations [R, F]: the first half is the sample, the second sets the threshold.
        limits: Quantile and margin of the threshold.

    Attributes:
        threshold: Distance above which an observation is new.

    >>> familiar = Familiar(np.random.default_rng(0).standard_normal((400, 2)), Limits())
    >>> (familiar.distance(np.array([[0.0, 0.0], [30.0, 0.0]])) > familiar.threshold).tolist()
    [False, True]
    """

    def __init__(self, rows: np.ndarray, limits: Limits) -> None:
        rows = np.asarray(rows, dtype=np.float64)
        deviation = rows.std(axis=0)
        # A number that never moved during the run is in its own units: there is nothing to divide it by.
        self.scale = np.where(deviation > 1e-6, deviation, 1.0)
        half = len(rows) // 2
        self._sample = self._thinned(rows[:half]) / self.scale
        self.threshold = 0.0
        self.threshold = limits.margin * float(np.quantile(self.distance(self._thinned(rows[half:])), limits.quantile))

    @staticmethod
    def _thinned(rows: np.ndarray) -> np.ndarray:
        return rows[:: max(1, -(-len(rows) // MOST_ROWS))]

    def distance(self, obs: np.ndarray) -> np.ndarray:
        """Return the distances [N] of observations [N, F] from the nearest of the sample."""
        scaled = np.asarray(obs, dtype=np.float64) / self.scale
        squares = (scaled**2).sum(axis=1)[:, None] - 2.0 * scaled @ self._sample.T + (self._sample**2).sum(axis=1)[None]
        nearest: np.ndarray = np.sqrt(np.maximum(squares.min(axis=1), 0.0))
        return nearest


class Watched(NamedTuple):
    """Monitored episodes, as arrays [T, N]; rows after the end of an episode are not `present`.

    Attributes:
        distance: Of the observations from those of the run.
        fell_back: Whether the fallback acted.
        limited: Whether the policy acted, and its action was moved towards the fallback's.
        reward: Of each step.
        cost: Of each step; 0 for a task without costs.
        action: What was carried out [T, N, ...].
        present: Whether the episode was under way.
        threshold: Of the alarm.
    """

    distance: np.ndarray
    fell_back: np.ndarray
    limited: np.ndarray
    reward: np.ndarray
    cost: np.ndarray
    action: np.ndarray
    present: np.ndarray
    threshold: float

    def result(self) -> dict[str, float]:
        """Return mean return and mean cost of an episode, and the shares of steps of the fallback and of limited actions."""
        steps = self.present.sum()
        return {
            "mean_return": float((self.reward * self.present).sum(axis=0).mean()),
            "mean_cost": float((self.cost * self.present).sum(axis=0).mean()),
            "fallback_share": float((self.fell_back & self.present).sum() / steps),
            "limited_share": float((self.limited & self.present).sum() / steps),
            "largest_distance": float(self.distance[self.present].max()),
            "threshold": self.threshold,
            "steps": float(steps),
        }


def observed(task: ControlTask, predict: Predict, episodes: int, seeds: Seeds) -> np.ndarray:
    """Return the observations [R, F] of a policy in some episodes, one episode after the other.

    Raises:
        ValueError: if the observations are not vectors of numbers.
    """
    _require_vectors(task)
    rows: list[np.ndarray] = []
    present: list[np.ndarray] = []
    envs = task.envs(episodes, seeds)
    obs, under_way = envs.reset(), np.ones(episodes, dtype=np.bool_)
    _begin(predict, np.ones(episodes, dtype=np.bool_))
    while under_way.any() and len(rows) < MOST_STEPS:
        rows.append(obs)
        present.append(under_way)
        after = envs.step(np.asarray(predict(obs)))
        obs, over = after.obs, after.terminated | after.truncated
        _begin(predict, over)
        under_way = under_way & ~over
    envs.close()
    whole: np.ndarray = np.stack(rows, axis=1)[np.stack(present, axis=1)]
    return whole


def familiar_with(task: ControlTask, policies: Sequence[Predict], limits: Limits, seeds: Seeds, episodes: int = 20) -> Familiar:
    """Return the measure of what policies see in the world of training, each in some episodes of its own.

    The controller is one of them: what it does alone does not make the world a new one, or it would never hand back.

    Raises:
        ValueError: if the observations are not vectors of numbers.
    """
    seen = [observed(task, policy, episodes, seeds) for policy in policies]
    halves = [rows[part] for part in (slice(0, None, 2), slice(1, None, 2)) for rows in seen]
    return Familiar(np.concatenate(halves), limits)


def watched(task: ControlTask, predict: Predict, fallback: Predict, familiar: Familiar, limits: Limits, *, seeds: Seeds) -> Watched:
    """Return one watched episode of each of 20 environments.

    Args:
        task: The world that the policy meets.
        predict: The policy.
        fallback: The controller that is trusted.
        familiar: What the policy knows.
        limits: What it is held by.
        seeds: Of the episodes.

    Raises:
        ValueError: if observations are not vectors, or the actions are classes and authority is limited.
    """
    _require_vectors(task)
    if not isinstance(task.output_space, spaces.Box) and limits.authority < 1.0:
        raise ValueError(f"authority is {limits.authority:g}, and actions are {task.output_space}; only actions of a Box have less than 1")
    episodes = 20
    rows: list[tuple[np.ndarray, ...]] = []
    envs = task.envs(episodes, seeds)
    obs, under_way = envs.reset(), np.ones(episodes, dtype=np.bool_)
    calm = np.full(episodes, limits.calm_steps)
    for policy in (predict, fallback):
        _begin(policy, np.ones(episodes, dtype=np.bool_))
    while under_way.any() and len(rows) < MOST_STEPS:
        distance = familiar.distance(obs)
        calm = np.where(distance > familiar.threshold, 0, calm + 1)
        fell_back = calm < limits.calm_steps
        wanted, safe = np.asarray(predict(obs)), np.asarray(fallback(obs))
        allowed = within_authority(wanted, safe, task.output_space, limits.authority)
        choose = fell_back.reshape(-1, *[1] * (wanted.ndim - 1))
        action = np.where(choose, safe, allowed).astype(wanted.dtype)
        limited = ~fell_back & (allowed != wanted).reshape(episodes, -1).any(axis=1)
        after = envs.step(action)
        cost = np.asarray(after.extras.get("cost", np.zeros(episodes)))
        rows.append((distance, fell_back, limited, after.reward, cost, action, under_way))
        obs, over = after.obs, after.terminated | after.truncated
        calm = np.where(over, limits.calm_steps, calm)
        for policy in (predict, fallback):
            _begin(policy, over)
        under_way = under_way & ~over
    envs.close()
    distances, fell, moved, rewards, costs, actions, present = (np.stack(column) for column in zip(*rows, strict=True))
    return Watched(distances, fell, moved, rewards, costs, actions, present, familiar.threshold)


def within_authority(wanted: np.ndarray, safe: np.ndarray, space: spaces.Space, authority: float) -> np.ndarray:
    """Return actions [N, D] that differ from safe ones [N, D] by `authority` times half the range of the space at most.

    >>> box = spaces.Box(-2.0, 2.0, (1,), np.float32)
    >>> within_authority(np.array([[1.5], [0.1]]), np.zeros((2, 1)), box, 0.25).tolist()
    [[0.5], [0.1]]
    """
    if not isinstance(space, spaces.Box) or authority >= 1.0:
        return wanted
    most = authority * (space.high.astype(np.float64) - space.low) / 2.0
    return safe + np.clip(wanted - safe, -most, most)


def write_log(seen: Watched, path: Path) -> None:
    """Write a line for each step: episode, step, distance, who acted, action, reward and cost."""
    actions = seen.action.reshape(*seen.action.shape[:2], -1)
    names = [f"action_{number}" for number in range(actions.shape[2])]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["episode", "step", "distance", "acted", *names, "reward", "cost"])
        for n in range(seen.distance.shape[1]):
            for t in np.flatnonzero(seen.present[:, n]):
                acted = "fallback" if seen.fell_back[t, n] else "policy, limited" if seen.limited[t, n] else "policy"
                numbers = [f"{value:.6g}" for value in (*actions[t, n], seen.reward[t, n], seen.cost[t, n])]
                writer.writerow([n, int(t), f"{seen.distance[t, n]:.6g}", acted, *numbers])


def draw(seen: Watched, path: Path, title: str) -> None:
    """Draw the distances of the first episode, the threshold, who acted, and the mean share of the fallback over the steps."""
    figure = new_figure(8.0, 5.5)
    upper, lower = figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2)
    length = int(seen.present[:, 0].sum())
    steps, distance = np.arange(length), seen.distance[:length, 0]
    upper.plot(steps, distance, color="C0", linewidth=1.0, label="distance from the run's observations")
    upper.axhline(seen.threshold, color="black", linestyle="--", linewidth=0.8, label="alarm")
    for name, acted, colour in (("fallback acts", seen.fell_back, "C3"), ("action limited", seen.limited, "C1")):
        upper.fill_between(steps, 0, 1, where=acted[:length, 0], transform=upper.get_xaxis_transform(), color=colour, alpha=0.2, label=name)
    upper.set_title(title)
    upper.set_ylabel("distance [deviations]")
    upper.legend(fontsize=8)
    count = np.maximum(seen.present.sum(axis=1), 1)
    for name, acted, colour in (("fallback acts", seen.fell_back, "C3"), ("action limited", seen.limited, "C1")):
        lower.plot(100.0 * (acted & seen.present).sum(axis=1) / count, color=colour, label=name)
    lower.set_title(f"All {seen.present.shape[1]} episodes")
    lower.set_ylabel("share of episodes [%]")
    lower.set_ylim(-2, 102)
    lower.legend(fontsize=8)
    for axes in (upper, lower):
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=120)


def _require_vectors(task: ControlTask) -> None:
    if not isinstance(task.input_space, spaces.Box) or len(task.input_space.shape) != 1:
        raise ValueError(f"observations are {task.input_space}; distances are between vectors of numbers")


def _begin(policy: Predict, starts: np.ndarray) -> None:
    if isinstance(policy, PredictWithMemory):
        policy.begin(starts)
