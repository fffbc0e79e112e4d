"""N copies of a classic control problem as one array of states: fast to step, trivial to save.

A problem is three compiled functions over rows of a state array [N, S], float64 as in Gymnasium's own code:

- `start(uniform)`: first states [N, S] from uniform numbers in [0, 1) [N, U],
- `move(state, action, reward, terminated)`: one step, which writes the new state, `reward` [N] and `terminated` [N] in place,
- `observe(state)`: observations [N, ...], float32.

Everything else (time limits, the next episode, saving) is the same for all of them and lives here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import copy_into, kernel
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.wrapped import innermost
from rl_core.config import Doc, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import Dynamics, DynamicsTask

Outcome = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rewards [N] and terminations [N] of observations [N, ...], actions [N, ...] and next observations [N, ...]."""


@kernel
def observe_all(state: np.ndarray) -> np.ndarray:
    """Return states [N, S] as observations that show all of them, float32; an `observe` of problems."""
    return state.astype(np.float32)


@kernel
def state_of_all(obs: np.ndarray) -> np.ndarray:
    """Return the states [N, S], float64, of observations by `observe_all`; a `state_of` of problems."""
    return obs.astype(np.float64)


@kernel
def settle(
    reward: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    time_limit: int,
    elapsed: np.ndarray,
    return_: np.ndarray,
    length: np.ndarray,
    over: np.ndarray,
) -> int:
    """Count a step of N copies in one pass, and return how many episodes are over.

    Args:
        reward: Rewards of the step [N].
        terminated: Which episodes ended [N].
        truncated: Becomes true where the time limit is reached [N].
        time_limit: Steps after which an episode is cut.
        elapsed: Steps since the start of each episode [N]; counts the step, and is 0 where the episode is over.
        return_: Sum of each episode's rewards [N]; grows by `reward`.
        length: Length of each episode in steps [N]; grows by 1.
        over: Its first places become the indices of the episodes that are over [N].

    Three copies after 4, 1 and 2 steps; the last one ends, and a limit of 5 cuts the first.

    >>> elapsed, over, truncated = np.array([4, 1, 2]), np.zeros(3, int), np.zeros(3, bool)
    >>> settle(np.ones(3, np.float32), np.array([False, False, True]), truncated, 5, elapsed, np.zeros(3), np.zeros(3, int), over)
    2
    >>> over[:2], truncated, elapsed
    (array([0, 2]), array([ True, False, False]), array([0, 2, 0]))
    """
    count = 0
    for n in range(len(reward)):
        elapsed[n] += 1
        return_[n] += reward[n]
        length[n] += 1
        truncated[n] = elapsed[n] >= time_limit
        if terminated[n] or truncated[n]:
            over[count] = n
            count += 1
            elapsed[n] = 0
    return count


@kernel
def place(rows: np.ndarray, target: np.ndarray, over: np.ndarray) -> None:
    """Write rows [M, D] to the first M indices in `over` of `target` [N, D]. Indexing by numpy takes three times as long."""
    for i in range(len(rows)):
        copy_into(target[over[i]], rows[i])


def as_rows(obs: np.ndarray) -> np.ndarray:
    """Return observations [N, ...], one after the other in memory, as rows [N, D] of the same memory."""
    return obs if obs.ndim == 2 else obs.reshape(len(obs), -1)


class Problem(NamedTuple):
    """A control problem as compiled functions of its states.

    Attributes:
        start: First states [N, S] from uniform numbers [N, U].
        move: One step in place: (state [N, S], action [N, ...], reward [N], terminated [N]).
        observe: Observations [N, ...] of states [N, S].
        num_uniform: U, how many uniform numbers a start takes.
        input_space: Space of one observation.
        output_space: Space of one action.
        time_limit: Steps after which an episode is cut.
        target: Mean return that counts as solved; `None` where there is none.
        state_of: States [N, S], float64, of observations [N, ...]; `None` where an observation does not show the state.
        outcome: Rewards [N] and terminations [N] of observations, actions and next observations, for models that learn the rest; `None`
            where it is not given.
        cost: Costs [N], float32, of the states [N, S] that a step led to; `None` for a problem without costs.
        sketch: Picture [H, W, 3] of a state [S]; `None` for a problem that is not drawn.
    """

    start: Callable[[np.ndarray], np.ndarray]
    move: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
    observe: Callable[[np.ndarray], np.ndarray]
    num_uniform: int
    input_space: spaces.Box
    output_space: spaces.Discrete | spaces.Box
    time_limit: int
    target: float | None
    state_of: Callable[[np.ndarray], np.ndarray] | None = None
    outcome: Outcome | None = None
    cost: Callable[[np.ndarray], np.ndarray] | None = None
    sketch: Callable[[np.ndarray], np.ndarray] | None = None


class ArrayDynamics:
    """The dynamics of a problem, for planners; see `rl_core.task.Dynamics`.

    Args:
        problem: The problem, whose `state_of` is given.
    """

    def __init__(self, problem: Problem) -> None:
        assert problem.state_of is not None
        self._problem, self._state_of = problem, problem.state_of

    def state_of(self, obs: np.ndarray) -> np.ndarray:
        """Return the states [N, S] that observations [N, ...] show."""
        return self._state_of(np.asarray(obs))

    def step(self, state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return next states [N, S], rewards [N] and terminations [N] of actions [N, ...] in states [N, S]."""
        after, reward, terminated = state.copy(), np.empty(len(state), dtype=np.float32), np.empty(len(state), dtype=np.bool_)
        self._problem.move(after, actions, reward, terminated)
        return after, reward, terminated


class ArrayEnvs(Envs):
    """N copies of a problem, stepped by one compiled call.

    Args:
        problem: What is stepped.
        num_envs: N, at least 1.
        seeds: The stream `environments` gives the start states.
        time_limit: Steps after which an episode is cut, at least 1.
    """

    def __init__(self, problem: Problem, num_envs: int, seeds: Seeds, time_limit: int) -> None:
        super().__init__(num_envs, problem.input_space, problem.output_space)
        self._problem = problem
        self._rng = seeds.numpy("environments")
        self._time_limit = time_limit
        self._state = np.zeros((num_envs, 0))
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._over = np.empty(num_envs, dtype=np.int64)

    @property
    def states(self) -> np.ndarray:
        """The states [N, S], float64; not to be written to."""
        return self._state

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        self._state = self._start(self.num_envs)
        self._elapsed[:] = 0
        return self._problem.observe(self._state)

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]; an episode that is over is followed by the first observation of the next."""
        problem, state, num_envs, over = self._problem, self._state, self.num_envs, self._over
        reward, terminated, truncated = np.empty(num_envs, np.float32), np.empty(num_envs, np.bool_), np.empty(num_envs, np.bool_)
        problem.move(state, actions, reward, terminated)
        obs = final_obs = problem.observe(state)
        extras = {} if problem.cost is None else {"cost": problem.cost(state)}
        count = settle(reward, terminated, truncated, self._time_limit, self._elapsed, self._return, self._length, over)
        if count:
            for env in over[:count].tolist():
                self._finished.append((env, float(self._return[env]), int(self._length[env])))
                self._return[env] = 0.0
                self._length[env] = 0
            first = self._start(count)
            place(first, state, over)
            obs = final_obs.copy()
            place(as_rows(problem.observe(first)), as_rows(obs), over)
        return Transition(obs, reward, terminated, truncated, final_obs, extras)

    def state_dict(self) -> dict[str, Any]:
        """Return states and steps since the start of each episode; the stream of starts is saved with the run."""
        return {"state": self._state.copy(), "elapsed": self._elapsed.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its observations [N, ...].

        Raises:
            ValueError: if an array has another shape or type than here.
        """
        own = self._state if self._state.size else self._problem.start(np.zeros((self.num_envs, self._problem.num_uniform)))
        self._state = require_array("state", state["state"], own).copy()
        self._elapsed = require_array("elapsed", state["elapsed"], self._elapsed, 0).copy()
        self._load_counters(state)
        return self._problem.observe(self._state)

    def _start(self, count: int) -> np.ndarray:
        return self._problem.start(self._rng.random((count, self._problem.num_uniform)))


@configclass
class ArrayTaskConfig:
    """Settings of every task whose environments are arrays."""

    time_limit: Annotated[int, Doc("steps after which an episode is cut; 0 means Gymnasium's own limit")] = 0

    def __post_init__(self) -> None:
        """Refuse a negative limit."""
        if self.time_limit < 0:
            raise ValueError(f"time_limit is {self.time_limit}; it must be at least 1, or 0 for Gymnasium's own limit")


class ArrayTask(DynamicsTask):
    """A problem as a task. A subclass names its `problem` and nothing else."""

    Config: ClassVar[type] = ArrayTaskConfig
    problem: Problem

    def __init__(self, config: ArrayTaskConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = self.problem.input_space, self.problem.output_space
        # a target belongs to episodes of its length: longer ones reach it by themselves, shorter ones cannot
        self.target = self.problem.target if self.time_limit == self.problem.time_limit else None

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return N copies stepped by one compiled call."""
        return ArrayEnvs(self.problem, num_envs, seeds, self.time_limit)

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture of the first copy."""
        inner = innermost(envs)
        return None if self.problem.sketch is None or not isinstance(inner, ArrayEnvs) else self.problem.sketch(inner.states[0])

    def traits(self) -> frozenset[str]:
        """Return the traits, with `dynamics` where an observation shows the state."""
        return super().traits() | ({"dynamics"} if self.problem.state_of is not None else set())

    def dynamics(self) -> Dynamics:
        """Return the compiled transition function.

        Raises:
            ValueError: if an observation does not show the state.
        """
        if self.problem.state_of is None:
            raise ValueError(f"the observations of {type(self).__name__} do not show its state, so it has no dynamics to plan with")
        return ArrayDynamics(self.problem)

    @property
    def time_limit(self) -> int:
        """Return steps after which an episode is cut."""
        return self.config.time_limit or self.problem.time_limit
