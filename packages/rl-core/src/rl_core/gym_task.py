"""Any Gymnasium environment as a task: `gym:<id>`."""

from __future__ import annotations

import random
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core import gym_wrappers, structured
from rl_core.config import Count, Doc, Fraction, Positive, Whole, configclass
from rl_core.envs import Envs, learning_will_go_on
from rl_core.errors import EnvironmentFailure, RequestError
from rl_core.gym_envs import GymEnvs, name_of
from rl_core.gym_interface import GymInterface, action_names
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

PROBE_STEPS = 20
RESETS = 6  # further beginnings that are compared: a choice between two at random is missed once in 128 times
SECONDS_TO_MAKE = 5.0  # an environment that takes longer to build is not built a second time to be compared
LANES = 100  # episodes of an evaluation that have a seed sequence each, as if 100 environments were stepped together
INSTANCES_WITHOUT_TRAINING = 8
EVALUATION_STEPS = 200_000  # of all episodes together, where the environment has no time limit
EPISODE_STEPS = 1_000  # and the least of one episode then
NOT_PLAIN = (spaces.Graph, spaces.Sequence, spaces.OneOf, spaces.Text)


@configclass
class GymConfig:
    """Id of an environment, and the way it is made."""

    id: Annotated[str, Doc("id in Gymnasium's registry, with its version")] = "CartPole-v1"
    options: Annotated[Mapping[str, Any], Doc("keyword arguments of gymnasium.make, such as is_slippery or max_episode_steps")] = field(
        default_factory=dict
    )
    action_bounds: Annotated[
        tuple[float, ...], Doc("lowest and highest action, for actions without bounds of their own; [] takes the environment's")
    ] = ()
    instances: Annotated[Count | None, Doc("most instances that may exist at one time; null: no limit")] = None
    masks: Annotated[bool, Doc("whether an action that info['action_mask'] or a method action_masks() rules out is never taken")] = True
    time_limit: Annotated[Count | None, Doc("steps after which an episode is cut; null: the environment's own limit")] = None
    sticky_actions: Annotated[Fraction, Doc("probability that the action before is taken again in place of the new one")] = 0.0
    flatten: Annotated[bool, Doc("whether observations are laid out as one row of numbers")] = False
    frame_stack: Annotated[Count, Doc("observations that are laid side by side along their last axis, the newest last; 1 for none")] = 1
    one_choice: Annotated[bool, Doc("whether several choices of an action become one of all combinations, for dqn and tables")] = False
    reward_scale: Annotated[Positive, Doc("factor on the rewards that are learned from; returns are reported without it")] = 1.0
    processes: Annotated[Whole, Doc("processes that environments are stepped in, for simulators slower than 1 ms a step; 0 for none")] = 0
    restarts: Annotated[Whole, Doc("times that an environment that raised an exception is made anew")] = 0

    def __post_init__(self) -> None:
        """Refuse action bounds that are not two numbers in order."""
        if self.action_bounds and (len(self.action_bounds) != 2 or not self.action_bounds[0] < self.action_bounds[1]):
            raise ValueError(f"action_bounds is {list(self.action_bounds)}; it must be two numbers, the lower one first")


class GymTask(ControlTask):
    """A Gymnasium environment by id; the target is the reward threshold that is registered for it without options.

    When it is built, the environment is played for a few steps, twice: an environment that does not follow Gymnasium's interface is
    refused, and one that does not repeat itself with one seed and one sequence of actions is named in `caveat`.

    Args:
        config: Id, options and limits.
        make: Builds one environment, in place of `gymnasium.make` with the config's id and options.

    Raises:
        ValueError: if Gymnasium does not know the id, or the spaces are of a kind that no agent here reads.
        RequestError: if the environment does not follow Gymnasium's interface.
    """

    Config: ClassVar[type] = GymConfig
    config: GymConfig

    def __init__(self, config: GymConfig, make: Callable[[], gymnasium.Env] | None = None) -> None:
        super().__init__(config)
        self._build = make or self._make_registered
        self._is_registered = make is None
        if config.processes and make is not None:
            raise ValueError(
                f"processes is {config.processes}, and the environment is given as an object, which cannot be sent to a process; register "
                "it with gymnasium.register in a module, and name it as gym:MODULE:ID"
            )
        self._live: weakref.WeakSet[GymEnvs] = weakref.WeakSet()
        self._training_envs = 0
        clock = time.monotonic()
        env = self._make()
        slow = time.monotonic() - clock > SECONDS_TO_MAKE
        try:
            self._name = name_of(env) if make is not None else config.id
            self._require_plain_spaces(env)
            self.input_space, self.output_space = structured.seen(env.observation_space), structured.taken(env.action_space)
            self.class_names = action_names(self._name, self.output_space)
            changed = bool(config.options or config.time_limit or config.sticky_actions)
            self.target = env.spec.reward_threshold if env.spec and not changed else None
            self._time_limit = config.time_limit or (env.spec.max_episode_steps if env.spec else None)
            nondeterministic = bool(env.spec and env.spec.nondeterministic)
            self._interface = GymInterface(self._name, self.input_space, self.output_space)
            self._interface.remedy += (
                f"; it failed more often than task.restarts={config.restarts} allows"
                if config.restarts
                else "; --set task.restarts=10 begins a new instance instead, up to 10 times"
            )
            if not config.masks:
                self._interface.masks = False
            with global_generators_kept():
                first = self._played(env, PROBE_STEPS)
                self._difference = self._difference_from(first, env)
        finally:
            env.close()
        if not self._difference and not slow:
            env = self._make()
            try:
                with global_generators_kept():
                    self._difference = self._difference_from(first, env, "two instances")
            finally:
                env.close()
        if self._interface.masks:
            self.extras = ("legal",)
        if nondeterministic and not self._difference:
            self._difference = "Gymnasium's registry calls it nondeterministic"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process builds this task: from its config.

        Raises:
            TypeError: if its environment was given as an object.
        """
        if type(self) is GymTask and not self._is_registered:
            raise TypeError("an environment given as an object stays in its process; register it in a module, and name it gym:MODULE:ID")
        return type(self), (self.config,)

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments that are stepped one after the other, and replayed on resume.

        Raises:
            RequestError: if the environment allows fewer instances.
        """
        if self.config.instances is not None and num_envs > self.config.instances:
            raise RequestError(
                f"{num_envs} instances of environment {self._name} are asked for, and task.instances allows {self.config.instances}",
                f"use fewer, for example --set num_envs={self.config.instances} where the agent has that setting",
            )
        self._training_envs = max(self._training_envs, num_envs)
        return self._opened(num_envs, seeds)

    def evaluation_envs(self, episodes: int, seeds: Seeds) -> Envs:
        """Return the environments that `episodes` episodes of an evaluation are played in.

        Those of training are closed first, unless training is known to go on and both can exist; should it go on, those that were
        closed are built anew and replayed. No more instances are made than
        training has (8 where it has none), and fewer where they cannot be made; which episodes are played does not depend on that.
        Where the environment has no time limit, episodes are cut after 200,000 steps divided by their number, at least 1,000, which
        is logged.
        """
        count = min(episodes, self._training_envs or INSTANCES_WITHOUT_TRAINING, self.config.instances or episodes)
        limit = self._evaluation_limit(episodes)
        if not learning_will_go_on():
            _close(list(self._live))
        while True:
            try:
                return self._opened(count, seeds, lanes=LANES, limit=limit)
            except Exception:
                others = [envs for envs in self._live if envs.is_open]
                if others:
                    _close(others)
                    continue
                if count == 1:
                    raise
                count //= 2

    def describe(self, predictions: Any) -> list[Any]:
        """Return actions [B, ...] as JSON holds them; those of several parts by part."""
        if isinstance(self.output_space, structured.StructuredActions):
            return [_jsonable(self.output_space.unflatten(row)) for row in predictions]
        return super().describe(predictions)

    def watched_envs(self, seeds: Seeds, *, human: bool = False) -> Envs:
        """Return one environment that draws itself: in a window, or as pictures if it has the render mode rgb_array.

        Raises:
            RequestError: if it cannot, for want of a library or of a screen.
        """
        mode: str | None = "human" if human else "rgb_array"
        try:
            if not human:
                env = self._make(None)
                mode = mode if mode in (env.metadata or {}).get("render_modes", ()) else None
                env.close()
            return GymEnvs(lambda: self._make(mode), 1, seeds, limit=self._evaluation_limit(1), interface=self._interface)
        except (RequestError, ValueError) as error:
            text = error.message if isinstance(error, RequestError) else str(error)
            raise RequestError(
                f"environment {self._name} cannot draw itself with the render mode {mode}: {text}",
                'environments of Gymnasium need what they draw with: pip install "gymnasium[classic-control]"',
            ) from error

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return what the environment draws."""
        return envs.picture() if isinstance(envs, GymEnvs) else None

    def caveat(self) -> str:
        """Return a sentence that says that the environment does not repeat itself, and what follows; "" where it does."""
        if not self._difference:
            return ""
        return (
            f"environment {self._name} does not repeat itself: {self._difference}; a seed does not reproduce a run, and a resumed run "
            "begins new episodes (take every random number from self.np_random, which reset(seed=...) sets)"
        )

    def _opened(self, num_envs: int, seeds: Seeds, *, lanes: int | None = None, limit: int | None = None) -> GymEnvs:
        """Open environments, after closing those that exist where `task.instances` does not allow both; they are replayed later."""
        others = [envs for envs in self._live if envs.is_open]
        if self.config.instances is not None and num_envs + sum(envs.num_envs for envs in others) > self.config.instances:
            _close(others)
        made = GymEnvs(
            Made(self.config) if self.config.processes else self._make,
            num_envs,
            seeds,
            lanes=lanes,
            limit=limit,
            restarts=self.config.restarts,
            reward_scale=self.config.reward_scale,
            processes=self.config.processes,
            interface=self._interface,
        )
        self._live.add(made)
        return made

    def _evaluation_limit(self, episodes: int) -> int | None:
        return None if self._time_limit is not None else max(EPISODE_STEPS, EVALUATION_STEPS // episodes)

    def _make_registered(self, **drawn: str) -> gymnasium.Env:
        config = self.config
        if config.options.get("render_mode") == "human":
            raise ValueError(_opens_a_window(config.id))
        _look_here(config.id)
        return gymnasium.make(config.id, disable_env_checker=True, **{**config.options, **drawn})

    def _make(self, render_mode: str | None = None) -> gymnasium.Env:
        """Build one environment, with the action bounds of the config, and a render mode where one is asked for."""
        try:
            env = self._make_registered(render_mode=render_mode) if render_mode and self._is_registered else self._build()
        except ValueError:
            raise
        except Exception as error:
            text = str(error) if isinstance(error, gymnasium.error.Error) else f"{type(error).__name__}: {error}"
            raise ValueError(f"Gymnasium cannot make {self.config.id!r}: {text}{_form_hint(self.config.id, error)}") from error
        if getattr(env, "render_mode", None) == "human" and render_mode != "human":
            env.close()
            raise ValueError(_opens_a_window(name_of(env)))
        return adapted(env, self.config)

    def _require_plain_spaces(self, env: gymnasium.Env) -> None:
        for role, space in (("observations", env.observation_space), ("actions", env.action_space)):
            if isinstance(space, NOT_PLAIN):
                raise ValueError(
                    f"{self._name!r} has {role} of the kind {type(space).__name__}; a task takes Box, Discrete, MultiDiscrete and "
                    f"MultiBinary, and Dict and Tuple of these (write an {role.removesuffix('s').capitalize()}Wrapper for it)"
                )
            if isinstance(space, spaces.Box | spaces.MultiBinary) and 0 in space.shape:
                raise ValueError(f"{self._name!r} has {role} without any number: {space}; a task takes at least one")
        actions = env.action_space
        if isinstance(actions, spaces.Box):
            half = np.isfinite(actions.low) != np.isfinite(actions.high)
            if half.any():
                raise ValueError(
                    f"{self._name!r} has actions {actions}, bounded on one side only, which no policy here can represent; "
                    f"set both bounds, for example --set task.action_bounds={_example_bounds(actions, half)}"
                )

    def _difference_from(self, first: list[Moment], env: gymnasium.Env, between: str = "two replays") -> str:
        """Replay `first` and some beginnings, and return the first difference in words; "" where there is none.

        The process's global generators are moved before every call, so that an environment that draws from them is found even where
        it seeds them.
        """
        replays = [self._played(env, PROBE_STEPS, moved=1), *(self._played(env, 1, moved=2 + count) for count in range(RESETS))]
        for replay in replays:
            for number, (one, other) in enumerate(zip(first, replay, strict=False)):
                for name in Moment._fields:
                    if not np.array_equal(np.asarray(getattr(one, name)), np.asarray(getattr(other, name))):
                        place = f"step {number}" if number else "reset"
                        return f"with one seed and the same actions, the {name} of {place} differs between {between}"
        return ""

    def _played(self, env: gymnasium.Env, steps: int, moved: int = 0) -> list[Moment]:
        """Play the beginning of the episode of seed 0, always with the same actions."""
        rng = np.random.default_rng(0)
        seen: list[Moment] = []
        try:
            _move_global_generators(moved)
            seen.append(Moment(self._interface.reset(env, 0).copy(), 0.0, False))
            for number in range(1, steps + 1):
                _move_global_generators(moved + number * 100)
                action = _random_action(self.output_space, rng)
                if self._interface.legal is not None:
                    action = self.output_space.start + rng.choice(np.flatnonzero(self._interface.legal))
                obs, reward, terminated, truncated = self._interface.step(env, action, number)
                seen.append(Moment(obs.copy(), reward, terminated or truncated))
                if seen[-1].end:
                    break
        except EnvironmentFailure as failure:
            if not failure.raised:
                raise RequestError(failure.message, failure.hint) from failure
        return seen  # an environment that raises now may do better later: it is the run that knows what to do then


class Made:
    """A function that builds the environment of a config in another process.

    Args:
        config: The config.
    """

    def __init__(self, config: GymConfig) -> None:
        self._config = config

    def __call__(self) -> gymnasium.Env:
        """Return a new environment."""
        _look_here(self._config.id)
        return adapted(gymnasium.make(self._config.id, disable_env_checker=True, **self._config.options), self._config)


def adapted(env: gymnasium.Env, config: GymConfig) -> gymnasium.Env:
    """Return an environment with the action bounds and the wrappers that a config asks for."""
    if config.action_bounds and isinstance(env.action_space, spaces.Box):
        low, high = config.action_bounds
        box = env.action_space
        bounded = spaces.Box(np.maximum(box.low, low).astype(box.dtype), np.minimum(box.high, high).astype(box.dtype), dtype=box.dtype)
        env = gymnasium.wrappers.TransformAction(env, lambda action: action, bounded)
    names = ("time_limit", "sticky_actions", "flatten", "frame_stack", "one_choice")
    return gym_wrappers.wrapped(env, **{name: getattr(config, name) for name in names})


class Moment(NamedTuple):
    """Everything that an environment shows at one step."""

    observation: np.ndarray
    reward: float
    end: bool


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Restore Python's and NumPy's global generators afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _move_global_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)


def _close(opened: list[GymEnvs]) -> None:
    for envs in opened:
        envs.close()


def _random_action(space: gymnasium.Space, rng: np.random.Generator) -> Any:
    """Return an action of a space that is left as it is: its own generator is not used."""
    if isinstance(space, structured.StructuredActions):
        return space.draw(rng)
    if isinstance(space, spaces.Discrete):
        return np.int64(space.start + rng.integers(space.n))
    if isinstance(space, spaces.MultiBinary):
        return rng.integers(2, size=space.shape).astype(space.dtype)
    if isinstance(space, spaces.MultiDiscrete):
        return (space.start + rng.integers(space.nvec)).astype(space.dtype)
    low = np.where(np.isfinite(space.low), space.low, np.minimum(-1.0, space.high - 1.0))
    high = np.where(np.isfinite(space.high), space.high, np.maximum(1.0, low + 1.0))
    action = (low + (high - low) * rng.random(space.shape)).astype(space.dtype)
    return action if space.shape else action[()]


def _jsonable(action: Any) -> Any:
    if isinstance(action, dict):
        return {name: _jsonable(part) for name, part in action.items()}
    if isinstance(action, tuple):
        return [_jsonable(part) for part in action]
    return np.asarray(action).tolist()


def _example_bounds(space: spaces.Box, half: np.ndarray) -> list[float]:
    low, high = float(space.low[half].flat[0]), float(space.high[half].flat[0])
    return [low, low + 10.0] if np.isfinite(low) else [high - 10.0, high]


def _opens_a_window(name: str) -> str:
    return (
        f"{name!r} has render_mode 'human', which opens a window and plays in real time for every instance; leave render_mode out of "
        "task.options, or set it to rgb_array"
    )


def _look_here(name: str) -> None:
    """Let the module of `MODULE:ID` be found in the current folder too, which is not on the path of an installed program."""
    if ":" in name:
        with suppress(OSError):  # the folder was removed
            here = str(Path.cwd())
            if here not in sys.path and "" not in sys.path:
                sys.path.append(here)


def _form_hint(name: str, error: Exception) -> str:
    """Return how to name an environment whose module has not been imported, where that may be the reason."""
    if ":" in name or "/" not in name or not isinstance(error, gymnasium.error.Error):
        return ""
    module = name.partition("/")[0]
    return f" (to import the module that registers it, write gym:{module}:{name}, as in gym:MODULE:ID)"
