"""Families of control tasks as arrays: hundreds of different tasks stepped by one compiled call.

A task of a family is a number. Uniform numbers are derived from it by hashing, and from these what varies: masses, goals, probabilities.
Even numbers are training tasks and odd ones test tasks, so that no task belongs to both.

Source of the hash: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014, section 5 (SplitMix64).
Departures: none. Letters: N environments, U uniform numbers of a task, V numbers that vary, S numbers of a state.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.kernels import kernel
from rl_algos.parts.ranges import require_array
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.envs import Envs, Transition
from rl_core.family import Split, TaskFamily
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

NUM_TASKS = 2**40  # of each split


@configclass
class FamilyConfig:
    """Settings of every family."""

    number: Annotated[int, Meta(ge=-1, lt=2 * NUM_TASKS), Doc("the task, odd for a test task; -1: a new training task every episode")] = -1
    trial_episodes: Annotated[Count, Doc("episodes that an agent with a memory plays in one task, a trial")] = 2


class Motion(NamedTuple):
    """The compiled functions of a family.

    Attributes:
        start: First states [N, S] from uniform numbers [N, num_start] and variations [N, V].
        move: One step in place: (state [N, S], action [N, ...], reward [N], terminated [N], variation [N, V], uniform [N, num_chance]).
        observe: Observations [N, ...] of states [N, S].
        num_start: Uniform numbers of a start.
        num_chance: Uniform numbers of a step.
        sketch: Picture [H, W, 3] of a state [S] in a task with a variation [V]; `None` for a family that is not drawn.
    """

    start: Callable[[np.ndarray, np.ndarray], np.ndarray]
    move: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
    observe: Callable[[np.ndarray], np.ndarray]
    num_start: int = 0
    num_chance: int = 0
    sketch: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


@kernel
def uniform_of(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return uniform numbers in [0, 1) that belong to whole numbers [N], as [N, U]: the same ones each time.

    >>> uniform = uniform_of(np.array([4, 5, 4]), 1000)
    >>> bool((uniform[0] == uniform[2]).all()), bool((uniform[0] == uniform[1]).any()), round(float(uniform.mean()), 1)
    (True, False, 0.5)
    """
    uniform = np.empty((len(numbers), count))
    for n in range(len(numbers)):
        state = np.uint64(numbers[n]) * np.uint64(0xD1342543DE82EF95) + np.uint64(0x2545F4914F6CDD1D)
        state = (state ^ (state >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        for u in range(count):
            state += np.uint64(0x9E3779B97F4A7C15)
            mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
            uniform[n, u] = (mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)
    return uniform


class ArrayFamily(TaskFamily, ControlTask):
    """A family whose tasks are rows of arrays. It is a control task as well: every episode is then played in a task drawn anew.

    Attributes:
        motion: The compiled functions.
        num_uniform: U.
        time_limit: Steps after which an episode is cut.
        ends: Whether a full-length episode has ended rather than been cut: a time limit that belongs to the problem.
    """

    Config: ClassVar[type] = FamilyConfig
    motion: ClassVar[Motion]
    config: Any
    num_uniform: int
    time_limit: int
    ends: bool = False

    @abstractmethod
    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return what varies [N, V], from uniform numbers [N, U]; `is_test` [N] says which tasks are of the test split."""

    def variation(self, numbers: np.ndarray) -> np.ndarray:
        """Return what varies [N, V] in the tasks of these numbers [N]."""
        return self.vary(uniform_of(numbers, self.num_uniform), numbers % 2 == 1)

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture of the first copy."""
        return self.motion.sketch(*envs.first()) if self.motion.sketch is not None and isinstance(envs, FamilyEnvs) else None

    def traits(self) -> frozenset[str]:
        """Return the traits of a family that is a control task, too."""
        return super().traits() | {"control"}

    def draw(self, seeds: Seeds, split: Split) -> ControlTask:
        """Return a task of a number drawn from `seeds`."""
        number = int(draw_numbers(seeds.numpy("task"), 1, split)[0])
        return type(self)(dataclasses.replace(self.config, number=number))

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments that play a new training task every episode, or always the task of `config.number`."""
        return FamilyEnvs(self, num_envs, seeds, "train")

    def evaluation_envs(self, episodes: int, seeds: Seeds) -> Envs:
        """Return environments that play a new test task every episode, or always the task of `config.number`."""
        return FamilyEnvs(self, min(episodes, 100), seeds, "test")

    def tasks(self, num_tasks: int, copies: int, seeds: Seeds, split: Split) -> Envs:
        """Return environments of tasks drawn now, which stay with their tasks: environment i plays task i // copies."""
        drawn = draw_numbers(seeds.numpy("tasks"), num_tasks, split)
        return FamilyEnvs(self, num_tasks * copies, seeds, split, np.repeat(drawn, copies))

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of episodes that are each played in another test task."""
        return ControlTask.evaluate(self, predict, episodes=episodes, seeds=seeds)


def draw_numbers(rng: np.random.Generator, count: int, split: Split) -> np.ndarray:
    """Return the numbers [N] of tasks drawn from a split: even for training, odd for tests."""
    return 2 * rng.integers(NUM_TASKS, size=count) + (split == "test")


class FamilyEnvs(Envs):
    """N environments, each in a task of its own.

    Args:
        family: The family.
        num_envs: N.
        seeds: The streams `environments` and `drawn tasks` give starts and chance, and the tasks.
        split: The split that new tasks are drawn from.
        numbers: Tasks to stay with [N]; `None` for a new one every episode.

    Attributes:
        numbers: The tasks [N].
        variation: What varies in them [N, V].
    """

    def __init__(self, family: ArrayFamily, num_envs: int, seeds: Seeds, split: Split, numbers: np.ndarray | None = None) -> None:
        super().__init__(num_envs, family.input_space, family.output_space)
        self._family, self._split = family, split
        self._rng, self._draws = seeds.numpy("environments"), seeds.numpy("drawn tasks")
        if numbers is None and family.config.number >= 0:
            numbers = np.full(num_envs, family.config.number)
        self._stays = numbers is not None
        self.numbers = np.zeros(num_envs, dtype=np.int64) if numbers is None else np.array(numbers, dtype=np.int64)
        self.variation = family.variation(self.numbers)
        self._state = family.motion.start(np.zeros((num_envs, family.motion.num_start)), self.variation)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)

    def first(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the state [S] and the variation [V] of the first environment."""
        return self._state[0], self.variation[0]

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        self._begin(np.ones(self.num_envs, dtype=np.bool_))
        return self._family.motion.observe(self._state)

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]; an episode that is over is followed by the first observation of the next."""
        motion = self._family.motion
        reward = np.empty(self.num_envs, dtype=np.float32)
        terminated = np.empty(self.num_envs, dtype=np.bool_)
        uniform = self._rng.random((self.num_envs, motion.num_chance))
        motion.move(self._state, np.asarray(actions), reward, terminated, self.variation, uniform)
        self._elapsed += 1
        full = self._elapsed >= self._family.time_limit
        terminated, truncated = (terminated | full, np.zeros_like(full)) if self._family.ends else (terminated, full)
        over = terminated | truncated
        obs = final_obs = motion.observe(self._state)
        if over.any():
            self._begin(over)
            obs = motion.observe(self._state)
            obs[~over] = final_obs[~over]
        self._count(reward, over)
        return Transition(obs, reward, terminated, truncated, final_obs)

    def _begin(self, over: np.ndarray) -> None:
        """Begin an episode where the last one is over [N]."""
        count, family = int(over.sum()), self._family
        if not self._stays:
            self.numbers[over] = draw_numbers(self._draws, count, self._split)
            self.variation[over] = family.variation(self.numbers[over])
        self._state[over] = family.motion.start(self._rng.random((count, family.motion.num_start)), self.variation[over])
        self._elapsed[over] = 0

    def state_dict(self) -> dict[str, Any]:
        """Return tasks, states and steps since the start of each episode; the streams are saved with the run."""
        return {"numbers": self.numbers.copy(), "state": self._state.copy(), "elapsed": self._elapsed.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its observations [N, ...].

        Raises:
            ValueError: if an array has another shape or type than here.
        """
        self.numbers = require_array("numbers", state["numbers"], self.numbers, 0, 2 * NUM_TASKS).copy()
        self._state = require_array("state", state["state"], self._state).copy()
        self._elapsed = require_array("elapsed", state["elapsed"], self._elapsed, 0).copy()
        self.variation = self._family.variation(self.numbers)
        self._load_counters(state)
        return self._family.motion.observe(self._state)
