"""Base of the agents that learn a table by playing one environment, and the two loops that they share.

An algorithm is a `Memory` (a named tuple of its tables and settings) and two kernels: `begin` chooses an action, `learn` takes in what
followed. Where the task shows its model, both are inlined into `table_loop`, which runs compiled on the table of outcomes; anywhere
else, and with `compiled=False`, `TabularLearner.play` calls them from Python. Both loops draw the same numbers from the same streams in
the same order, so they give the same values to the last bit (`test_tabular_learners.py` compares them).

*Letters*: S states, A actions, K tables (2 for double learning, else 1), T steps of an episode.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numba
import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced, borrowed, inlined
from rl_algos.parts.exploration import FORBIDDEN
from rl_algos.parts.masks import allowed_values
from rl_algos.parts.players import MaskedPlayer
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.mdp.picture import draw_values
from rl_algos.tasks.mdp.simulator import Playing, play
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.memory import require_memory
from rl_core.state import restore_state
from rl_core.task import ControlTask, Predict, Task

OPEN, EPISODE_GOES_ON = -1, -2  # in place of the next action: still to be chosen; also, and the loop may not stop here
UPDATES_PER_STEP = 20_000_000  # about a second of machine code
PLAIN_UPDATES_PER_STEP = 100_000  # the same in Python
CHUNK_SECONDS = 0.1


@configclass
class TabularConfig:
    """Settings of every agent that learns a table."""

    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None
    initial_value: Annotated[float, Doc("first estimate, unit of return, any number; optimistic when above what can be had")] = 0.0
    steps_per_iteration: Annotated[
        Count, Doc("environment steps between two reports, fewer if they would take long; episodic methods finish the last episode")
    ] = 10_000
    compiled: Annotated[bool, Doc("run the whole loop compiled on tasks that show their table; the numbers are the same")] = True


@configclass
class StepSizes:
    """Settings of how far an estimate moves towards its target."""

    learning_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha, step size")] = 0.1
    learning_rate_power: Annotated[Fraction, Doc("omega: the step size is alpha / N^omega at the N-th visit; 0 is constant")] = 0.0

    def step_size(self) -> StepSize:
        """Return the settings as compiled loops take them."""
        return StepSize(self.learning_rate, self.learning_rate_power)


class StepSize(NamedTuple):
    """Step size of an update.

    Attributes:
        alpha: Step size at first, > 0.
        power: omega; the step size is alpha / N^omega at the N-th visit: 0 constant, 1 the mean of all targets.
    """

    alpha: float
    power: float


class Sample(NamedTuple):
    """One transition of the environment.

    Attributes:
        state: S.
        action: A.
        reward: R.
        next_state: S', where the action led; the last state of the old episode where one is over.
        terminated: Whether the episode ended with it.
        over: Whether the next transition belongs to another episode: it ended, or a time limit cut it.
    """

    state: int
    action: int
    reward: float
    next_state: int
    terminated: bool
    over: bool


class Course(NamedTuple):
    """Environment, position and streams of one call of a compiled loop.

    Attributes:
        playing: The environment.
        pending: Action that was already drawn, `OPEN` for none [1].
        first_step: Environment steps before this call.
        num_steps: Environment steps of this call; at least so many where whole episodes are played.
        outcomes: Stream of the environment.
        rng: Stream that explores.
    """

    playing: Playing
    pending: np.ndarray
    first_step: int
    num_steps: int
    outcomes: np.random.Generator
    rng: np.random.Generator


class Kernels(NamedTuple):
    """Compiled functions of an algorithm.

    Attributes:
        begin: (memory, state, step, rng) -> (state, action): the next action. Another state than the one given moves the environment.
        learn: (memory, sample, step, rng) -> the next action, `OPEN`, or `EPISODE_GOES_ON`.
        loop: (memory, course) -> steps taken: `table_loop` of the two, in a kernel at module level, so that numba caches it.
    """

    begin: Any
    learn: Any
    loop: Any


@inlined
def table_loop(begin: Any, learn: Any, memory: Any, course: Course) -> int:
    """Play and learn on a table of outcomes, inside an algorithm's kernel; return the number of steps taken."""
    memory, playing, pending = borrowed(memory), borrowed(course.playing), borrowed(course.pending)
    taken, action = 0, pending[0]
    while taken < course.num_steps or action == EPISODE_GOES_ON:
        step, state = course.first_step + taken, playing.state[0]
        if action < 0:
            state, action = begin(memory, state, step, course.rng)
            playing.state[0] = state
        reward, next_state, terminated, over = play(playing, action, course.outcomes)
        action = learn(memory, Sample(state, action, reward, next_state, terminated, over), step, course.rng)
        taken += 1
        if over:
            action = OPEN
    pending[0] = action
    return taken


def require_tables(task: Task, name: str) -> None:
    """Refuse a task whose observations or actions cannot number the rows and columns of a table.

    Raises:
        ValueError: if a space is not `Discrete` or does not start at 0; the message says what would fit.
    """
    for role, space in (("observations", task.input_space), ("actions", task.output_space)):
        if not isinstance(space, spaces.Discrete):
            remedy = (
                "cut the observations into bins with a task binned:<id>, or take an agent with a network such as ppo"
                if role == "observations"
                else "take an agent for continuous actions such as ppo"
            )
            raise ValueError(f"{name} keeps a table and needs discrete {role}, but the task's are {space}; {remedy}")
        if space.start != 0:
            raise ValueError(f"{name} numbers {role} from 0, but the task's start at {space.start}")


class TabularLearner(Agent):
    """An agent that learns a table by playing one environment.

    A subclass names its `kernels` and builds its memory in `allocate`.

    Attributes:
        tables: Arrays that change while learning, by name, among them `q` [K, S, A], or `values` [S] of a predictor.
        memory: Tables and settings as the kernels take them.
        envs: The one environment.
        rng: Stream that explores.
        longest_episode: Steps by which an iteration may be exceeded, because whole episodes are played.
    """

    headline: ClassVar[str] = "episode_return"
    export_formats = ("arrays",)
    kernels: ClassVar[Kernels]
    state_fields: ClassVar[tuple[str, ...]] = ("tables", "envs")
    longest_episode: int = 0
    task: ControlTask
    envs: Any  # Envs; those of a task with the trait "mdp" also have `playing` and `record`

    def setup(self) -> None:
        """Make the environment and the tables."""
        require_tables(self.task, type(self).__name__)
        self.num_states, self.num_actions = int(self.task.input_space.n), int(self.task.output_space.n)
        self.discount = self.task.discount if self.config.discount is None else self.config.discount
        self.tables: dict[str, np.ndarray] = {}
        self._ranges: dict[str, tuple[int, int | np.ndarray]] = {}
        self.rng = self.seeds.numpy("exploration")
        self.envs = self.task.envs(1, self.seeds)
        self.on_table = self.config.compiled and hasattr(self.envs, "playing")  # not where something is around the process
        self.obs = self.envs.reset()
        self.pending = self.index_table("pending", (1,), OPEN, self.num_actions, fill=OPEN)
        self.memory = self.allocate()
        self.masks = "legal" in self.task.extras and "q" in self.tables
        self._chunk = 100
        self._compiled: dict[Any, Callable[..., Any]] = {}

    @abstractmethod
    def allocate(self) -> Any:
        """Make the tables, with `table`, and return the algorithm's memory; called once, at the end of `setup`."""

    @property
    def updates_per_step(self) -> int:
        """Rough number of updates after an environment step, which bounds the steps of an iteration."""
        return 1

    def table(self, name: str, shape: tuple[int, ...], fill: float = 0.0, dtype: Any = np.float64) -> np.ndarray:
        """Return a new array that is saved and restored with the agent, in place.

        Raises:
            ValueError: if it does not fit into this machine's memory.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize + sum(table.nbytes for table in self.tables.values())
        tables = f"tables of {self.num_states:,} states and {self.num_actions:,} actions"
        require_memory(size, tables, "take a smaller task, or a method that keeps less")
        self.tables[name] = np.full(shape, fill, dtype=dtype)
        return self.tables[name]

    def index_table(self, name: str, shape: tuple[int, ...], low: int, high: int | np.ndarray, fill: int = 0) -> np.ndarray:
        """Return a `table` of whole numbers in [low, high), which a saved state is checked against: kernels index with them."""
        self._ranges[name] = (low, high)
        return self.table(name, shape, fill, np.int64)

    def step(self) -> dict[str, float]:
        """Learn for `steps_per_iteration` environment steps; return metrics of the episodes that ended."""
        most = (UPDATES_PER_STEP if self.on_table else PLAIN_UPDATES_PER_STEP) // self.updates_per_step
        num_steps = max(1, min(self.config.steps_per_iteration, self.budget - self.progress, most))
        with announced(f"the loop of {type(self).__name__}"):
            self.progress += self.learn(num_steps)
        episodes = self.envs.pop_episodes()
        metrics = {"episodes": float(len(episodes))}
        if episodes:
            _, returns, lengths = zip(*episodes, strict=True)
            metrics |= {"episode_return": float(np.mean(returns)), "episode_length": float(np.mean(lengths))}
        return metrics

    def learn(self, num_steps: int) -> int:
        """Take `num_steps` environment steps, an episodic method at least so many, and learn from them; return how many were taken.

        Machine code cannot be interrupted, so the loop runs in chunks of about a tenth of a second. Their size changes no number.
        """
        taken = 0
        while taken < num_steps:
            began, size = time.perf_counter(), min(self._chunk, num_steps - taken)
            taken += self._loop(size, self.progress + taken) if self.on_table else self.play(size, self.progress + taken)
            seconds = max(time.perf_counter() - began, 1e-6)
            self._chunk = max(1, int(size * min(max(CHUNK_SECONDS / seconds, 0.1), 10.0)))
        return taken

    def _loop(self, num_steps: int, first_step: int) -> int:
        playing = self.envs.playing(num_steps + self.longest_episode)
        course = Course(playing, self.pending, first_step, num_steps, self.envs.rng, self.rng)
        taken = self._machine_code(self.kernels.loop, self.memory, course)(self.memory, course)
        self.envs.record(playing)
        self.obs = self.envs.state.copy()
        return taken

    def _machine_code(self, kernel: Any, *arguments: Any) -> Callable[..., Any]:
        """Return a kernel for arguments of these types; looked up once, because finding the types of fifty arrays takes 0.1 ms."""
        if kernel not in self._compiled:
            self._compiled[kernel] = kernel
            if hasattr(kernel, "get_overload"):  # not with NUMBA_DISABLE_JIT
                types = tuple(numba.typeof(argument) for argument in arguments)
                kernel.compile(types)
                self._compiled[kernel] = kernel.get_overload(types)
        return self._compiled[kernel]

    def play(self, num_steps: int, first_step: int) -> int:
        """Play and learn on any environment, as `table_loop` does on a table; return the number of steps taken."""
        sample = Sample(0, 0, 0.0, 0, False, False)
        begin = self._machine_code(self.kernels.begin, self.memory, 0, 0, self.rng)
        learn = self._machine_code(self.kernels.learn, self.memory, sample, 0, self.rng)
        taken, action = 0, int(self.pending[0])
        if self.masks:
            self.forbid(int(self.obs[0]), self.envs.extras()["legal"][0])
        while taken < num_steps or action == EPISODE_GOES_ON:
            step, state = first_step + taken, int(self.obs[0])
            if action < 0:
                state, action = begin(self.memory, state, step, self.rng)
                if state != self.obs[0]:  # an exploring start, which only environments of a known model are asked for
                    self.envs.state[0] = state
            happened = self.envs.step(np.array([action]))
            self.obs = happened.obs
            if self.masks:
                self.forbid(int(happened.final_obs[0]), self.envs.final_extras()["legal"][0])
                self.forbid(int(self.obs[0]), self.envs.extras()["legal"][0])
            terminated = bool(happened.terminated[0])
            over = terminated or bool(happened.truncated[0])
            sample = Sample(state, action, float(happened.reward[0]), int(happened.final_obs[0]), terminated, over)
            action = learn(self.memory, sample, step, self.rng)
            if over:
                action = OPEN
            taken += 1
        self.pending[0] = action
        return taken

    def forbid(self, state: int, legal: np.ndarray) -> None:
        """Let no rule take an action that is not allowed in a state, nor any target count on it."""
        if not legal.all():
            self.tables["q"][:, state, ~legal] = FORBIDDEN

    def action_values(self) -> np.ndarray:
        """Return the estimate of q(s, a) [S, A]; the mean of the tables of double learning."""
        return self.tables["q"].mean(axis=0)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return greedy actions [B] in states [B]; the first of several equally good ones."""
        return self.action_values()[np.asarray(inputs)].argmax(axis=-1)

    def predictor(self) -> Predict:
        """Return `predict`, or a player that takes none but allowed actions, in states that were never visited too."""
        if not self.masks:
            return self.predict

        def answer(inputs: np.ndarray, state: np.ndarray, legal: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            return allowed_values(self.action_values()[np.asarray(inputs)], legal).argmax(axis=-1), state

        return MaskedPlayer(answer, 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return values [S] of a predictor; else action values [S, A] and the greedy policy [S]."""
        if "q" not in self.tables:
            return {"values": self.tables["values"]}
        return {"action_values": self.action_values(), "policy": self.predict(np.arange(self.tables["q"].shape[1]))}

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Take over the values of another run; visits, traces and models begin anew."""
        for name in ("q", "values"):
            if name in self.tables:
                place = f"{type(self).__name__}.tables[{name!r}]"
                self.tables[name][...] = require_array(place, state["tables"][name], self.tables[name])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore tables and position.

        Raises:
            ValueError: if a table has another shape or type than the agent's own, or an index points outside of its table.
        """
        for name, (low, high) in self._ranges.items():
            require_array(f"{type(self).__name__}.tables[{name!r}]", state["tables"][name], self.tables[name], low, high)
        self.check_tables(state["tables"])
        restore_state(self, ("tables",), state)
        self.obs = self.envs.load_state_dict(state["envs"])

    def check_tables(self, tables: Mapping[str, np.ndarray]) -> None:
        """Refuse saved tables that contradict each other where a kernel relies on them; nothing by default.

        Raises:
            ValueError: naming the tables.
        """

    def draw(self, folder: Path) -> None:
        """Draw values and greedy policy over the states into `folder`, on tasks that have a layout."""
        policy = self.predict(np.arange(self.num_states))
        draw_values(self.task, folder, "value of the best action", self.action_values().max(axis=1), policy)
