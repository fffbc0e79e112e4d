"""A population of policies, each a flat vector of parameters, judged by whole episodes: what policy search is made of.

Source: the common ground of `cem`, `es`, `cma_es` and `ars`: a score is the return of whole episodes of the greedy policy, and the
environment steps of every candidate count.
Departures: none. Letters: P candidates, E episodes of each, M = P E episodes, n parameters of a candidate, N environments, B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.kernels import announced
from dl_nets.fast.mlp import Layout, flat_parameters
from dl_nets.learning.devices import resolve_device
from rl_algos.parts.distributions import Gaussian, distribution
from rl_algos.parts.normalisation import EPSILON, RunningMoments
from rl_algos.search.kernels import play_episodes, respond_each
from rl_algos.tasks.array_envs import ArrayTask
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


class Scores(NamedTuple):
    """What the episodes of a generation gave, candidate by candidate.

    Attributes:
        returns: Sum of the rewards of each episode [P, E], float64.
        lengths: Steps of each episode [P, E].
    """

    returns: np.ndarray
    lengths: np.ndarray

    @property
    def steps(self) -> int:
        """Environment steps of all episodes."""
        return int(self.lengths.sum())

    def metrics(self) -> dict[str, float]:
        """Mean return and length of an episode, and the best candidate's mean return."""
        best = float(self.returns.mean(axis=1).max())
        return {"episode_return": float(self.returns.mean()), "best_return": best, "episode_length": float(self.lengths.mean())}


class Population:
    """Plays the episodes of candidates, and keeps what they share: the shape of their network and the statistics of observations.

    Plain perceptrons on the array tasks play whole generations in one compiled call. Anything else is played in N environments of the
    task, each of which takes up the next episode when it has ended one.

    Args:
        task: What is played.
        network: Builds the policy, whose parameters become a vector.
        seeds: The stream `initialisation` draws the first parameters; the task's own streams its episodes.
        num_envs: N, environments stepped together where episodes are not compiled, at least 1.
        normalise_obs: Whether observations are brought to mean 0 and deviation 1, by those of all generations before.
        compiled: Whether episodes may be compiled.
        device: Where a network that is no plain perceptron is computed.

    Attributes:
        first: The parameters as the network starts [n], float64.
        moments: Mean and variance of the observations of all generations so far.
    """

    def __init__(
        self, task: ControlTask, network: Network, *, seeds: Seeds, num_envs: int, normalise_obs: bool, compiled: bool, device: str
    ) -> None:
        space = task.input_space
        if normalise_obs and not isinstance(space, spaces.Box):
            raise ValueError(f"normalise_obs is true, and observations are {space}; only those of a Box have a mean, so set it to false")
        self._task, self._normalise_obs = task, normalise_obs
        self.actions = distribution(task.output_space)
        self._module = network.build(space, task.output_space, seeds.numpy("initialisation")).eval()
        self.first = flat_parameters(self._module).astype(np.float64)
        self.moments = RunningMoments(space.shape or ())
        is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
        self._layout = Layout.of(self._module) if is_vector else None
        self._device = resolve_device(device) if self._layout is None else torch.device("cpu")
        self._module.to(self._device)
        self._starts = None
        if compiled and self._layout is not None and _is_compiled(task):
            self._starts = seeds.numpy("environments")
        else:
            self._envs = task.envs(num_envs, seeds)
            self._obs = self._envs.reset()

    def play(self, candidates: np.ndarray, num_episodes: int) -> Scores:
        """Scores of candidates [P, n] over E episodes each; then what was seen enters the statistics, which did not move meanwhile."""
        parameters = np.ascontiguousarray(candidates, dtype=np.float32)
        return self._play_together(parameters, num_episodes) if self._starts is None else self._play_compiled(parameters, num_episodes)

    def predict(self, candidate: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Greedy actions [B, ...] of one candidate [n] at observations [B, ...]; moves nothing."""
        return self._act(candidate.astype(np.float32)[None], np.zeros(len(obs), dtype=np.int64), obs)

    def state_dict(self) -> dict[str, Any]:
        """Running statistics, and where the environments are: always at the start of episodes."""
        envs = {} if self._starts is not None else self._envs.state_dict()
        return {"moments": self.moments.state_dict(), "envs": envs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.moments.load_state_dict(state["moments"])
        if self._starts is None:
            self._obs = self._envs.load_state_dict(state["envs"])

    def _play_compiled(self, parameters: np.ndarray, num_episodes: int) -> Scores:
        task, layout, actions = self._task, self._layout, self.actions
        assert isinstance(task, ArrayTask)
        assert layout is not None
        assert self._starts is not None
        scale, action = np.zeros((4, 0), dtype=np.float32), np.zeros(1, dtype=np.int64)
        if isinstance(actions, Gaussian):
            scale, action = actions.scale(), np.zeros((1, actions.num_outputs), dtype=np.float32)
        mean = self.moments.mean if self._normalise_obs else np.zeros(0)
        deviation = np.sqrt(self.moments.variance + EPSILON) if self._normalise_obs else np.zeros(0)
        problem, uniform = task.problem, self._starts.random((len(parameters) * num_episodes, task.problem.num_uniform))
        with announced("the episodes of a population"):
            returns, lengths, seen_mean, seen_squares = play_episodes(
                problem.start,
                problem.move,
                problem.observe,
                task.time_limit,
                uniform,
                np.array(layout.sizes),
                layout.activation == "relu",
                parameters,
                mean,
                deviation,
                scale,
                action,
            )
        if self._normalise_obs:
            self.moments.take_in(int(lengths.sum()), seen_mean, seen_squares / lengths.sum())
        return Scores(returns.reshape(-1, num_episodes), lengths.reshape(-1, num_episodes))

    def _play_together(self, parameters: np.ndarray, num_episodes: int) -> Scores:
        total = len(parameters) * num_episodes
        returns, lengths = np.zeros(total), np.zeros(total, dtype=np.int64)
        playing = np.arange(self._envs.num_envs)  # which episode each environment plays; from `total` on it idles
        queued, seen = self._envs.num_envs, RunningMoments(self.moments.mean.shape)
        while (busy := playing < total).any():
            if self._normalise_obs:
                seen.update(self._obs[busy])
            owner = np.minimum(playing, total - 1) // num_episodes
            after = self._envs.step(self._act(parameters, owner, self._obs))
            self._obs = after.obs
            returns[playing[busy]] += after.reward[busy]
            lengths[playing[busy]] += 1
            for env in np.flatnonzero((after.terminated | after.truncated) & busy):
                playing[env], queued = queued, queued + 1
        self._envs.pop_episodes()
        self._obs = self._envs.restart()  # an idle environment was in the middle of an episode
        if self._normalise_obs:
            self.moments.take_in(seen.count, seen.mean, seen.variance)
        return Scores(returns.reshape(-1, num_episodes), lengths.reshape(-1, num_episodes))

    def _act(self, parameters: np.ndarray, owner: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Greedy actions [B, ...] at observations [B, ...], row b by the candidate `owner[b]` of [P, n]."""
        if self._normalise_obs:
            obs = self.moments.normalise(obs)
        if self._layout is not None:
            sizes, inputs = np.array(self._layout.sizes), np.ascontiguousarray(obs, dtype=np.float32)
            head = respond_each(sizes, self._layout.activation == "relu", parameters, owner, inputs)
        else:
            head = self._head(parameters, owner, obs)
        return self.actions.to_env(self.actions.greedy(head))

    @torch.no_grad()
    def _head(self, parameters: np.ndarray, owner: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Outputs [B, O] of any network, called once for each candidate that has a row."""
        inputs = torch.from_numpy(obs.astype(np.float32) if obs.dtype == np.float64 else obs).to(self._device)
        head = np.empty((len(obs), self.actions.num_outputs), dtype=np.float32)
        for candidate in np.unique(owner):
            vector = torch.from_numpy(parameters[candidate]).to(self._device)
            nn.utils.vector_to_parameters(vector, self._module.parameters())
            rows = owner == candidate
            head[rows] = self._module(inputs[torch.from_numpy(rows).to(self._device)]).cpu().numpy()
        return head


def _is_compiled(task: ControlTask) -> bool:
    """Whether `play_episodes` knows the task: an array task whose actions count from 0, or are one row of floats."""
    space = task.output_space
    known = space.start == 0 if isinstance(space, spaces.Discrete) else len(space.shape) == 1
    return isinstance(task, ArrayTask) and known
