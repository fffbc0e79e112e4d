"""Environments of PettingZoo as tasks for teams: `pettingzoo:<module>`, such as `pettingzoo:classic.rps_v2`.

Parallel environments are taken as they are. In one with turns every player is asked at each step, and those whose turn it is not have one
action, which is ignored. Observations are flattened, and filled with zeros to the longest; actions that a player lacks, or that its mask
forbids, are not allowed. A player that has left sees zeros. All players act by the agent's policy.

Source: J. Terry and others, "PettingZoo: gym for multi-agent reinforcement learning", 2021. Departures: none.
Letters: N environments, P players, D numbers of an observation, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces
from pettingzoo.utils.conversions import turn_based_aec_to_parallel

from rl_algos.players.team import TeamTask
from rl_core.config import Doc, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds


@configclass
class PettingZooConfig:
    """An environment of PettingZoo."""

    module: Annotated[str, Doc("module below pettingzoo, with its version")] = "classic.rps_v2"
    options: Annotated[dict[str, Any], Doc("arguments of its parallel_env, or of its env where it has turns")] = field(default_factory=dict)
    reward: Annotated[Literal["mean", "first"], Doc("what counts as the score: the players' mean reward, or that of the first player")] = (
        "mean"
    )


def made(config: PettingZooConfig) -> Any:
    """Return an environment with PettingZoo's parallel interface.

    Raises:
        ValueError: if the module does not exist, cannot be imported or takes no such options.
    """
    try:
        module = import_module(f"pettingzoo.{config.module}")
        if hasattr(module, "parallel_env"):
            return module.parallel_env(**config.options)
        return turn_based_aec_to_parallel(module.env(**config.options))
    except ImportError as error:
        raise ValueError(f"module is {config.module!r}, which cannot be imported: {error}; expected one such as classic.rps_v2") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{config.module} with options {config.options} cannot be made: {error}") from error


class PettingZooEnvs(Envs):
    """N environments, stepped one after the other, whose episodes are replayed to restore them.

    Args:
        task: The task.
        num_envs: N.
        seeds: Every episode gets a seed of its own from these.
    """

    def __init__(self, task: PettingZoo, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._task, self._seeds = task, seeds
        self._envs = [made(task.config) for _ in range(num_envs)]
        self._episode = np.zeros(num_envs, dtype=np.int64)
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]
        self._obs = np.zeros((num_envs, *task.input_space.shape), dtype=np.float32)
        self._legal = np.ones((num_envs, task.num_players, task.num_actions), dtype=np.bool_)

    def reset(self) -> np.ndarray:
        """Return first observations [N, P, D]."""
        self._obs, self._legal = np.empty_like(self._obs), np.empty_like(self._legal)
        for index in range(self.num_envs):
            self._obs[index], self._legal[index] = self._start(index)
        return self._obs

    def _start(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self._actions[index] = []
        seed = self._seeds.integer("episode", index, int(self._episode[index]))
        return self._task.seen(self._envs[index].reset(seed=seed)[0])

    def step(self, actions: np.ndarray) -> Transition:
        """Let the players choose actions [N, P]."""
        obs, legal = np.empty_like(self._obs), np.empty_like(self._legal)
        rewards = np.zeros((self.num_envs, self._task.num_players), dtype=np.float32)
        terminated, truncated = np.zeros(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        for index in range(self.num_envs):
            chosen = np.array(actions[index], dtype=np.int64)
            self._actions[index].append(chosen)
            obs[index], legal[index], rewards[index], terminated[index], truncated[index] = self._advance(index, chosen)
        over, final_obs = terminated | truncated, obs
        if over.any():
            final_obs = obs.copy()
            for ended in np.flatnonzero(over).tolist():
                self._episode[ended] += 1
                obs[ended], legal[ended] = self._start(ended)
        self._obs, self._legal = obs, legal
        reward = rewards.mean(axis=1) if self._task.config.reward == "mean" else rewards[:, 0].copy()
        self._count(reward, over)
        return Transition(obs, reward, terminated, truncated, final_obs, {"rewards": rewards, **self.extras()})

    def _advance(self, index: int, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool, bool]:
        """Take one step of an environment; return observation, allowed actions, rewards [P], and how the episode ended, if it did."""
        env, names = self._envs[index], self._task.names
        seen, rewards, terminations, _, _ = env.step({name: int(chosen[names.index(name)]) for name in env.agents})
        over, ended = not env.agents, any(terminations.values())  # an illegal move does both to some games: terminates and truncates
        obs, legal = self._task.seen(seen)
        return obs, legal, np.array([rewards.get(name, 0.0) for name in names], np.float32), over and ended, over and not ended

    def extras(self) -> Mapping[str, np.ndarray]:
        """Return which actions are allowed [N, P, A], where not all are."""
        return {"legal": self._legal} if "legal" in self._task.extras else {}

    def state_dict(self) -> dict[str, Any]:
        """Return episode numbers, and the actions since each episode's start."""
        shape = (self._task.num_players,)
        taken = [np.asarray(actions, dtype=np.int64).reshape(len(actions), *shape) for actions in self._actions]
        return {"episode": self._episode.copy(), "actions": taken, "obs": self._obs.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` by replaying every episode up to where it was; return its observations.

        Raises:
            ValueError: if the state is that of other environments, or the replay arrives elsewhere.
        """
        obs = np.array(state["obs"])
        if obs.shape != self._obs.shape or len(state["actions"]) != self.num_envs:
            raise ValueError(f"the state has observations {list(obs.shape)}; these environments have {list(self._obs.shape)}")
        self._episode = np.array(state["episode"], dtype=np.int64)
        self._obs, self._legal = np.empty_like(self._obs), np.empty_like(self._legal)
        for index in range(self.num_envs):
            self._obs[index], self._legal[index] = self._start(index)
            for chosen in np.asarray(state["actions"][index], dtype=np.int64):
                self._obs[index], self._legal[index] = self._advance(index, chosen)[:2]
                self._actions[index].append(chosen)
        if not np.array_equal(obs, self._obs):
            raise ValueError(f"replaying {self._task.config.module} did not lead back to the saved observations: its seed does not fix it")
        self._load_counters(state)
        return self._obs

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()


class PettingZoo(TeamTask):
    """An environment of PettingZoo.

    Attributes:
        names: Names of the players, in the order of rows.

    Raises:
        ValueError: if it cannot be made, or a player's actions are not a `Discrete` from 0 on.
    """

    Config: ClassVar[type] = PettingZooConfig
    config: PettingZooConfig

    def __init__(self, config: PettingZooConfig) -> None:
        super().__init__(config)
        env = made(config)
        self.names: list[str] = list(env.possible_agents)
        self._spaces, self._counts = {}, np.zeros(len(self.names), dtype=np.int64)
        masked = False
        for number, name in enumerate(self.names):
            space, actions = env.observation_space(name), env.action_space(name)
            if isinstance(space, spaces.Dict) and "action_mask" in space.spaces:
                space, masked = space["observation"], True
            if not isinstance(actions, spaces.Discrete) or actions.start:
                raise ValueError(f"the actions of {name} in {config.module} are {actions}; expected a Discrete that counts from 0")
            self._spaces[name], self._counts[number] = space, int(actions.n)
        longest = max(int(spaces.flatdim(space)) for space in self._spaces.values())
        self.set_spaces(len(self.names), longest, int(self._counts.max()), (-np.inf, np.inf))
        self.extras = ("rewards", "legal") if masked or self._counts.min() < self.num_actions else ("rewards",)
        env.close()

    def envs(self, num_envs: int, seeds: Seeds) -> PettingZooEnvs:
        """Return N environments in this process."""
        return PettingZooEnvs(self, num_envs, seeds)

    def seen(self, observations: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return observations [P, D] and allowed actions [P, A] of what the players see, by name.

        A player without any, because it has left or it is another one's turn, has the first action, which is ignored.
        """
        rows = np.zeros(self.input_space.shape or (), dtype=np.float32)
        legal = np.arange(self.num_actions) < self._counts[:, None]
        for number, name in enumerate(self.names):
            if name not in observations:
                legal[number] = False
                continue
            value = observations[name]
            if isinstance(value, Mapping) and "action_mask" in value:
                legal[number] &= np.pad(np.asarray(value["action_mask"], dtype=np.bool_), (0, self.num_actions - self._counts[number]))
                value = value["observation"]
            flat = np.asarray(spaces.flatten(self._spaces[name], value), dtype=np.float32)
            rows[number, : len(flat)] = flat
        legal[~legal.any(axis=1), 0] = True
        return rows, legal
