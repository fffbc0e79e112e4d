"""A learned model as environments: N imagined episodes in step, each predicted by a member drawn at every step.

Letters: N environments, E members, S numbers of an observation, D of an action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from rl_algos.model_based.learned import LearnedModel
from rl_algos.model_based.perceptrons import Functions
from rl_core.envs import Envs, Transition
from rl_core.task import ControlTask


class ModelEnvs(Envs):
    """N imagined environments, whose episodes start from given observations and are cut after some steps.

    Args:
        model: The model.
        task: The task whose spaces it has.
        starts: First observations [n, S] of n episodes.
        num_envs: N.
        time_limit: Steps after which an episode is cut.
        rng: The stream of members and noise.
        elites: Numbers of the members that predict; all without it.
    """

    def __init__(
        self,
        model: LearnedModel,
        task: ControlTask,
        starts: Callable[[int], np.ndarray],
        num_envs: int,
        time_limit: int,
        rng: np.random.Generator,
        elites: np.ndarray | None = None,
    ) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._model, self._starts, self._time_limit, self._rng = model, starts, time_limit, rng
        members = model.network.members
        self._elites = np.arange(members.num_members) if elites is None else elites
        self._num_functions = model.config.num_particles if members.is_random else len(self._elites)
        self._obs = np.zeros((num_envs, model.num_numbers), dtype=np.float32)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)

    def reset(self) -> np.ndarray:
        """Return first observations [N, S]."""
        self._obs, self._elapsed = self._starts(self.num_envs).astype(np.float32), np.zeros_like(self._elapsed)
        return self._obs

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...]; the rows are dealt to the members anew, in equal numbers."""
        plan, num_functions = self._model.actions.numbers(actions), self._num_functions
        dealt = self._rng.permutation(self.num_envs)
        dealt = np.concatenate([dealt, dealt[: -self.num_envs % num_functions]])
        obs = torch.from_numpy(self._obs[dealt].reshape(num_functions, -1, self._obs.shape[1]))
        code = torch.from_numpy(self._model.code(plan[dealt]).reshape(num_functions, obs.shape[1], -1))
        after, reward, end = self._model.step(obs, code, self._functions(), self._rng, num_noises=obs.shape[1])
        flat = (after.reshape(1, len(dealt), -1), reward.reshape(1, -1), end.reshape(1, -1))
        paid, ended = self._model.judged(obs.reshape(1, len(dealt), -1), plan[dealt], *flat)
        final_obs, rewards = np.empty_like(self._obs), np.empty(self.num_envs, dtype=np.float32)
        terminated = np.empty(self.num_envs, dtype=np.bool_)
        final_obs[dealt], rewards[dealt], terminated[dealt] = flat[0][0].numpy(), paid[0], ended[0]
        self._elapsed += 1
        truncated = (self._elapsed >= self._time_limit) & ~terminated
        over = terminated | truncated
        self._obs = final_obs
        if over.any():
            self._obs = final_obs.copy()
            self._obs[over] = self._starts(int(over.sum()))
            self._elapsed[over] = 0
        self._count(rewards, over)
        return Transition(self._obs, rewards, terminated, truncated, final_obs)

    def _functions(self) -> Functions:
        """Return the elites, or functions drawn."""
        members = self._model.network.members
        if members.is_random:
            return self._model.functions(self._num_functions, self._rng)
        chosen = torch.from_numpy(self._elites)
        return Functions([weight[chosen] for weight in members.weights], [bias[chosen] for bias in members.biases], [])

    def state_dict(self) -> dict[str, Any]:
        """Return observations and steps since the start of each episode."""
        return {"obs": self._obs.copy(), "elapsed": self._elapsed.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore both; return the observations [N, S]."""
        self._obs, self._elapsed = np.array(state["obs"]), np.array(state["elapsed"])
        self._load_counters(state)
        return self._obs
