"""Gymnasium environments stepped together, saved as *(seed of the episode, actions since)* and restored by replay.

Gymnasium's environments cannot be saved in general, but they can be replayed: every episode starts with a seed of its own, derived
from the run's seed, the environment's index and the episode's number. An environment whose randomness does not come from that seed
alone ends elsewhere; then new episodes begin, and a warning says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import gymnasium
import numpy as np

from rl_core import structured
from rl_core.envs import Envs, Transition
from rl_core.errors import EnvironmentFailure, RequestError, RlError
from rl_core.gym_interface import GymInterface
from rl_core.gym_processes import Remote, opened
from rl_core.seeds import Seeds

Make = Callable[[], gymnasium.Env]
_replay_at_once: ContextVar[bool] = ContextVar("replay_at_once", default=True)


@contextmanager
def replay_postponed() -> Iterator[None]:
    """Let `GymEnvs.load_state_dict` postpone the replay to the next step, for a run that is opened to be judged and not to learn on."""
    token = _replay_at_once.set(False)
    try:
        yield
    finally:
        _replay_at_once.reset(token)


def name_of(env: gymnasium.Env) -> str:
    """Return the id of an environment in Gymnasium's registry, or the name of its class.

    >>> name_of(gymnasium.make("CartPole-v1"))
    'CartPole-v1'
    """
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


class GymEnvs(Envs):
    """N Gymnasium environments, stepped one after the other.

    Args:
        make: Builds one environment.
        num_envs: N, at least 1.
        seeds: Source of the episodes' seeds.
        lanes: Number of environments whose episodes these N play in turn, so that N does not matter to which episodes are played;
            `None` for N.
        limit: Steps after which an episode is cut, which is logged; `None` leaves that to the environment.
        restarts: Number of times that an environment that raised may be built anew; its episode is then cut at its last observation.
        reward_scale: Factor on the rewards of transitions; returns of episodes are counted without it.
        processes: Number of processes that the environments are in; 0 for this one.
        interface: Checked access to the environments; by default one of their own spaces.

    Raises:
        RequestError: if not all N can be built.
    """

    def __init__(
        self,
        make: Make,
        num_envs: int,
        seeds: Seeds,
        *,
        lanes: int | None = None,
        limit: int | None = None,
        restarts: int = 0,
        reward_scale: float = 1.0,
        processes: int = 0,
        interface: GymInterface | None = None,
    ) -> None:
        self._make, self._processes = make, processes
        self._envs = self._open(num_envs)
        super().__init__(num_envs, structured.seen(self._envs[0].observation_space), structured.taken(self._envs[0].action_space))
        self._interface = interface or GymInterface(name_of(self._envs[0]), self.input_space, self.output_space)
        self._seeds = seeds
        self._lanes = lanes or num_envs
        self._limit = limit
        self._restarts = restarts
        self._reward_scale = np.float32(reward_scale)
        self._episode = np.zeros(num_envs, dtype=np.int64)
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]
        self._obs = np.zeros((num_envs, *(self.input_space.shape or ())), dtype=self.input_space.dtype)
        self._stale = False  # whether the environments have yet to be replayed to `_episode` and `_actions`
        choices = 0 if self._interface.masks is False else int(self.output_space.n)
        self._legal = self._final_legal = np.ones((num_envs, choices), np.bool_)  # at `_obs`, and at the last step's `final_obs`

    @property
    def is_open(self) -> bool:
        """True while the environments exist in memory."""
        return bool(self._envs)

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...]."""
        self._envs = self._envs or self._open(self.num_envs)
        self._stale = False
        legal, obs = np.ones_like(self._legal), []
        for index in range(self.num_envs):
            obs.append(self._start(index))
            legal[index] = self._interface.legal if self._interface.masks else True
        self._obs, self._legal, self._final_legal = np.stack(obs), legal, legal
        return self._obs

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new episodes, each with the next seed where one was under way."""
        self._episode += self._length > 0
        return super().restart()

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...], one environment after the other.

        Environments that had to be replayed first, and were not led back to their observations, are not stepped: their episodes are
        cut where they were, and new ones begin.
        """
        if self._stale and not self._replay():
            return self._cut_all()
        obs = np.empty_like(self._obs)
        reward = np.zeros(self.num_envs, dtype=np.float32)
        terminated = np.zeros(self.num_envs, dtype=bool)
        truncated = np.zeros(self.num_envs, dtype=bool)
        final_obs = obs
        masks = bool(self._interface.masks)
        legal = final_legal = self._legal.copy() if masks else self._legal
        actions = np.asarray(actions, dtype=self.output_space.dtype)  # what is replayed is what was taken, to the last bit
        for index, env in enumerate(self._envs if self._processes else ()):
            if isinstance(env, Remote):
                env.begin_step(self._interface.action(actions[index]))
        for index, env in enumerate(self._envs):
            action = actions[index]
            taken = self._actions[index]
            taken.append(action.copy())
            try:
                obs[index], reward[index], terminated[index], truncated[index] = self._interface.step(env, action, len(taken))
            except EnvironmentFailure as failure:
                self._build_anew(index, failure)
                obs[index], truncated[index] = self._obs[index], True
            else:
                legal[index] = self._interface.legal if masks else True
            if self._limit is not None and len(taken) >= self._limit and not terminated[index] and not truncated[index]:
                truncated[index] = True
                self._interface.say(
                    f"environment {self._interface.name} has no time limit: an evaluation episode was cut after {self._limit:,} steps; "
                    f"set a limit with --set 'task.options={{max_episode_steps: {self._limit}}}'"
                )
            if terminated[index] or truncated[index]:
                if final_obs is obs:
                    final_obs = obs.copy()
                final_obs[index] = obs[index]
                self._episode[index] += 1
                if masks:
                    final_legal = legal.copy() if final_legal is legal else final_legal
                    final_legal[index] = legal[index]
                obs[index] = self._start(index)
                if masks:
                    legal[index] = self._interface.legal
            elif final_obs is not obs:
                final_obs[index] = obs[index]
                if masks:
                    final_legal[index] = legal[index]
        self._obs, self._legal, self._final_legal = obs, legal, final_legal
        self._count(reward, terminated | truncated)
        return Transition(obs, reward * self._reward_scale, terminated, truncated, final_obs, self.extras())

    def extras(self) -> Mapping[str, np.ndarray]:
        """Return `legal` [N, A] where the environments say which actions are allowed."""
        return {"legal": self._legal} if self._interface.masks else {}

    def final_extras(self) -> Mapping[str, np.ndarray]:
        """Return the same for the last step's `final_obs`."""
        return {"legal": self._final_legal} if self._interface.masks else {}

    def state_dict(self) -> dict[str, Any]:
        """Return episode numbers, the actions since each episode's start, and the observations that a replay must arrive at."""
        shape, dtype = self.output_space.shape or (), self.output_space.dtype
        return {
            "episode": self._episode.copy(),
            "actions": [np.asarray(actions, dtype=dtype).reshape(len(actions), *shape) for actions in self._actions],
            "obs": self._obs.copy(),
            **({"legal": self._legal.copy()} if self._interface.masks else {}),
            **self._counters(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the current observations [N, ...].

        Every environment's episode is replayed up to where it was: at once, or within `replay_postponed` before the next step. Where
        a replay at once arrives elsewhere, new episodes begin and a warning is logged.

        Raises:
            ValueError: if the state is that of other environments.
        """
        episode, actions = np.array(state["episode"], dtype=np.int64), state["actions"]
        obs = np.array(state["obs"])
        if obs.shape != self._obs.shape or obs.dtype != self._obs.dtype or episode.shape != (self.num_envs,) or len(actions) != len(obs):
            raise ValueError(
                f"the state is that of {len(obs)} environments with observations {obs.dtype}{list(obs.shape[1:])}; "
                f"these are {self.num_envs} with {self._obs.dtype}{list(self._obs.shape[1:])}"
            )
        self._episode, self._obs = episode, obs
        self._actions = [[np.array(action) for action in taken] for taken in actions]
        self._load_counters(state)
        if self._interface.masks is None:
            self._interface.masks = "legal" in state
        if self._interface.masks:
            legal = np.array(state["legal"])
            if legal.shape != self._legal.shape or legal.dtype != np.bool_ or not legal.any(axis=1).all():
                raise ValueError("the saved action masks are not those of these environments")
            self._legal = self._final_legal = legal
        self._stale = True
        if _replay_at_once.get() and not self._replay():
            self._begin_all_anew()
        return self._obs

    def close(self) -> None:
        """Close every environment. A step after that builds them anew, and replays their episodes."""
        for env in self._envs:
            with suppress(Exception):  # an environment that has failed may fail again
                env.close()
        self._envs, self._stale = [], True

    def picture(self) -> np.ndarray | None:
        """Return what the first environment draws of itself [H, W, 3], uint8; `None` where it has no such render mode.

        Raises:
            RequestError: if a package that it draws with is not installed.
        """
        env = self._envs[0]
        if getattr(env, "render_mode", None) != "rgb_array":
            return None
        try:
            return np.asarray(env.render(), dtype=np.uint8)
        except gymnasium.error.DependencyNotInstalled as error:
            raise RequestError(f"the environment cannot draw itself: {error}", "install what it names, and call this again") from error

    def fork(self, seed: int) -> Envs:
        """Return a deep copy, whose environments draw new random numbers from `seed`.

        Raises:
            RequestError: if the environment cannot be copied.
        """
        if self._stale and not self._replay():
            self._begin_all_anew()
        try:
            copied = copy.deepcopy(self, {id(shared): shared for shared in (self._make, self._interface)})
        except Exception as error:
            raise RequestError(
                f"a tree search plays ahead in copies of its environment, and {self._interface.name} cannot be copied: "
                f"copy.deepcopy raised {type(error).__name__}: {error}",
                "give the environment a __deepcopy__ method, keep locks, sockets and processes out of it, or use an agent that needs no "
                "copies, such as ppo or dqn",
            ) from error
        for index, env in enumerate(copied._envs):
            env.unwrapped.np_random = np.random.default_rng(seed + index)
        return copied

    def _open(self, count: int) -> list[gymnasium.Env]:
        envs: list[gymnasium.Env] = []
        try:
            if self._processes:
                return opened(self._make, count, self._processes)
            for _ in range(count):
                envs.append(self._make())
        except Exception as error:
            for env in envs:
                env.close()
            text = f"{type(error).__name__}: {error}"
            if isinstance(error, RlError):
                raise
            if not envs:
                raise RequestError(f"an instance of the environment cannot be made: {text}", "see where with --traceback") from error
            raise RequestError(
                f"{count} instances of environment {name_of(envs[0])} are needed at one time, and number {len(envs) + 1} cannot be made: "
                f"{text}",
                f"use fewer, for example --set num_envs={len(envs)} where the agent has that setting",
            ) from error
        return envs

    def _cut_all(self) -> Transition:
        final_obs, none = self._obs, np.zeros(self.num_envs, dtype=bool)
        obs = self._begin_all_anew()
        return Transition(obs, np.zeros(self.num_envs, dtype=np.float32), none, ~none, final_obs, self.extras())

    def _begin_all_anew(self) -> np.ndarray:
        self._interface.say(
            f"replaying environment {self._interface.name} did not lead back to the saved observations: its randomness does not come from "
            "its seed alone; new episodes begin"
        )
        self._episode += 1
        self._return[:], self._length[:] = 0.0, 0
        return self.reset()

    def _replay(self) -> bool:
        """Replay every episode, and return whether that leads to the saved observations."""
        self._envs = self._envs or self._open(self.num_envs)
        obs = np.empty_like(self._obs)
        actions = self._actions
        self._stale = False
        try:
            for index, env in enumerate(self._envs):
                obs[index] = self._interface.reset(env, self._seed(index))
                for number, action in enumerate(actions[index], 1):
                    obs[index], _, terminated, truncated = self._interface.step(env, action, number)
                    if terminated or truncated:  # the saved episode was still under way
                        return False
        except EnvironmentFailure:  # it did not fail there when these actions were taken first
            return False
        return np.array_equal(obs, self._obs)

    def _build_anew(self, index: int, failure: EnvironmentFailure) -> None:
        """Replace an environment that raised by a new one; raise the failure if it may not be replaced."""
        if not failure.raised or self._restarts <= 0:
            raise failure
        self._restarts -= 1
        self._interface.say(f"{failure.message}; a new instance begins a new episode")
        with suppress(Exception):
            self._envs[index].close()
        (self._envs[index],) = self._open(1)

    def _seed(self, index: int) -> int:
        number = index + self.num_envs * int(self._episode[index])
        return self._seeds.integer("episode", number % self._lanes, number // self._lanes)

    def _start(self, index: int) -> np.ndarray:
        self._actions[index] = []
        while True:
            try:
                return self._interface.reset(self._envs[index], self._seed(index))
            except EnvironmentFailure as failure:
                self._build_anew(index, failure)
