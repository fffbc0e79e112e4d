"""Experience of N environments, with the result of the search at each step, for learning from stretches of it.

Letters: N environments, T steps that are kept of each, A actions, B batch, K unrolled steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dl_nets.fast.kernels import announced, kernel
from rl_algos.games.rules import Rules
from rl_algos.parts.ranges import require_array

GOES_ON, TERMINATED, TRUNCATED = 0, 1, 2


class Stretches(NamedTuple):
    """Stretches of K + 1 steps, from drawn ones on.

    Attributes:
        obs: Observations of the first steps [B, ...].
        action: Actions of the first K steps; at random behind the end of an episode [B, K].
        value: Targets of the values [B, K + 1].
        reward: Targets of the rewards of the K actions [B, K].
        shares: Targets of the policies [B, K + 1, A].
        has_value: Whether a step is known, or follows a real end and is worth 0 [B, K + 1], float32.
        has_policy: Whether a step was searched in this episode [B, K + 1], float32.
    """

    obs: np.ndarray
    action: np.ndarray
    value: np.ndarray
    reward: np.ndarray
    shares: np.ndarray
    has_value: np.ndarray
    has_policy: np.ndarray


def seen_in_symmetry(rules: Rules, stretches: Stretches, rng: np.random.Generator) -> Stretches:
    """Return stretches of a game, each in a symmetry of its board that is drawn: what was played there is worth the same."""
    count = len(stretches.action)
    symmetry = rng.integers(len(rules.cells), size=count)
    cells, actions = rules.cells[symmetry], rules.actions[symmetry]
    obs = np.take_along_axis(stretches.obs.reshape(count, rules.num_cells, -1), cells[:, :, None], axis=1)
    return stretches._replace(
        obs=obs.reshape(stretches.obs.shape),
        action=np.take_along_axis(actions.argsort(axis=1), stretches.action, axis=1),
        shares=np.take_along_axis(stretches.shares, actions[:, None, :], axis=2),
    )


@kernel
def fill_targets(
    place: np.ndarray,
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    discount: float,
    num_steps: int,
    value: np.ndarray,
    reward: np.ndarray,
    known: np.ndarray,
) -> None:
    """Write the targets of stretches: z = sum_{i < n} gamma^i u + gamma^n v, cut at the end of an episode.

    Args:
        place: Environment and step at which each stretch begins [B, 2].
        arrays: Rewards, ends, values of the searches, and values behind a time limit, each [N, T]; steps wrap around.
        discount: gamma.
        num_steps: n.
        value: Becomes the values [B, K + 1].
        reward: Becomes the rewards [B, K].
        known: Becomes, for each step [B, K + 1]: 2 in the episode, 1 behind its real end, 0 behind a time limit.
    """
    rewards, ends, values, beyond = arrays
    kept = rewards.shape[1]
    for b in range(len(place)):
        env, over = place[b, 0], 0
        for k in range(value.shape[1]):
            known[b, k], value[b, k] = (2, 1, 0)[over], 0.0
            if over == 0:
                weight, at, steps, ended = 1.0, (place[b, 1] + k) % kept, 0, 0
                while steps < num_steps and ended == 0:
                    value[b, k] += weight * rewards[env, at]
                    weight *= discount
                    ended, steps = ends[env, at], steps + 1
                    if ended == 2:
                        value[b, k] += weight * beyond[env, at]
                    at = (at + 1) % kept
                if ended == 0:
                    value[b, k] += weight * values[env, at]
            if k < reward.shape[1]:
                step = (place[b, 1] + k) % kept
                reward[b, k] = rewards[env, step] if over == 0 else 0.0
                if over == 0:
                    over = ends[env, step]


class Histories:
    """A ring of steps for each of N environments.

    Args:
        num_envs: N.
        num_kept: T.
        obs: Observations of the environments [N, ...], for their shape and type.
        num_actions: A.

    Attributes:
        num_added: Steps ever added, of each environment.
    """

    def __init__(self, num_envs: int, num_kept: int, obs: np.ndarray, num_actions: int) -> None:
        shape = (num_envs, num_kept)
        self.arrays = {
            "obs": np.zeros((*shape, *obs.shape[1:]), dtype=np.float32),
            "action": np.zeros(shape, dtype=np.int64),
            "reward": np.zeros(shape, dtype=np.float32),
            "end": np.zeros(shape, dtype=np.int8),
            "value": np.zeros(shape, dtype=np.float32),
            "beyond": np.zeros(shape, dtype=np.float32),
            "shares": np.zeros((*shape, num_actions), dtype=np.float32),
        }
        self.num_added = 0

    def add(self, **step: np.ndarray) -> None:
        """Append one step of every environment: an array [N, ...] for each of `arrays`."""
        place = self.num_added % self.arrays["action"].shape[1]
        for name, array in self.arrays.items():
            array[:, place] = step[name]
        self.num_added += 1

    def renew(self, judge: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace the stored values by those [B] that a judge gives to the stored observations [B, ...]."""
        size = min(self.num_added, self.arrays["action"].shape[1])
        for obs, value in zip(self.arrays["obs"], self.arrays["value"], strict=True):
            value[:size] = judge(obs[:size])

    def num_ready(self, num_unrolled: int, num_steps: int) -> int:
        """Return how many steps of each environment have a whole stretch and its targets behind them."""
        return max(0, min(self.num_added, self.arrays["action"].shape[1]) - num_unrolled - num_steps)

    def sample(self, rng: np.random.Generator, count: int, num_unrolled: int, num_steps: int, discount: float) -> Stretches:
        """Return stretches that begin at steps drawn evenly; see `fill_targets`."""
        arrays, kept, num_actions = self.arrays, self.arrays["action"].shape[1], self.arrays["shares"].shape[2]
        oldest = max(0, self.num_added - kept)
        env = rng.integers(len(arrays["action"]), size=count)
        first = oldest + rng.integers(self.num_ready(num_unrolled, num_steps), size=count)
        value = np.empty((count, num_unrolled + 1), dtype=np.float32)
        reward, known = np.empty((count, num_unrolled), dtype=np.float32), np.empty((count, num_unrolled + 1), dtype=np.int64)
        read = (arrays["reward"], arrays["end"], arrays["value"], arrays["beyond"])
        with announced("targets of a learned model"):
            fill_targets(np.stack([env, first], axis=1), read, discount, num_steps, value, reward, known)
        at = (first[:, None] + np.arange(num_unrolled + 1)) % kept
        action = np.where(known[:, :-1] == 2, arrays["action"][env[:, None], at[:, :-1]], rng.integers(num_actions, size=reward.shape))
        return Stretches(
            arrays["obs"][env, at[:, 0]],
            action,
            value,
            reward,
            arrays["shares"][env[:, None], at],
            (known > 0).astype(np.float32),
            (known == 2).astype(np.float32),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the steps that are kept."""
        size = min(self.num_added, self.arrays["action"].shape[1])
        return {"num_added": self.num_added, **{name: array[:, :size].copy() for name, array in self.arrays.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than here, or a number is out of range.
        """
        num_added, num_actions = int(state["num_added"]), self.arrays["shares"].shape[2]
        if num_added < 0:
            raise ValueError(f"num_added is {num_added}; expected at least 0")
        size, bounds = min(num_added, self.arrays["action"].shape[1]), {"action": (0, num_actions), "end": (0, 3)}
        own = {name: array[:, :size] for name, array in self.arrays.items()}
        saved = {name: require_array(name, state[name], array, *bounds.get(name, (None, None))) for name, array in own.items()}
        for name, array in own.items():
            array[:] = saved[name]
        self.num_added = num_added
