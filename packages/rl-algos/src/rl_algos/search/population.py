"""Policy search: populations of policies, each a flat vector of parameters, that are judged by whole episodes.

An algorithm is a subclass of `PolicySearch` that draws candidates and moves by their scores.
Source: the common ground of `cem`, `es`, `cma_es` and `ars`: a score is the return of whole episodes of the greedy policy, and the
environment steps of every candidate count.
Departures: none. Letters: P candidates, E episodes of each, M = P E episodes, n parameters of a candidate, N environments, B batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from dl_nets.learning.export import FORMATS, Exportable
from rl_algos.parts.distributions import Gaussian
from rl_algos.parts.exported import Policy, exportable
from rl_algos.parts.normalisation import EPSILON, RunningMoments
from rl_algos.search.blocks import Block, Blocks, Plan, Policies
from rl_algos.search.kernels import Perceptrons, play_episodes
from rl_algos.tasks.array_envs import Problem
from rl_core.agent import Agent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@runtime_checkable
class HasProblem(Protocol):
    """A task that is a `Problem` of compiled functions, such as `rl_algos.tasks.array_envs.ArrayTask`: its episodes can be compiled."""

    @property
    def problem(self) -> Problem:
        """The compiled functions of its states."""

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut."""


@configclass
class SearchConfig:
    """Settings of every policy search; each extends them."""

    start: Annotated[Literal["zero", "network"], Doc("the first parameters: 0, or the network as it is initialised")] = "zero"
    num_episodes: Annotated[Count, Doc("E, episodes that judge a candidate")] = 1
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with the statistics of earlier generations")] = False
    num_envs: Annotated[Count, Doc("N, environments stepped together where episodes are not compiled")] = 8
    num_blocks: Annotated[Count, Doc("blocks that these are in, each with streams of its own, for processes to share")] = 1


class Scores(NamedTuple):
    """The results of a generation's episodes, candidate by candidate.

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
        """Return mean return and length of an episode, and the best candidate's mean return."""
        best = float(self.returns.mean(axis=1).max())
        return {"episode_return": float(self.returns.mean()), "best_return": best, "episode_length": float(self.lengths.mean())}


class Population:
    """Player of the episodes of candidates, with what they share: the shape of their network and the statistics of observations.

    Fast perceptrons play whole generations of a task that is a `Problem` in one compiled call. Anything else is played in the task's
    own environments, see `rl_algos.search.blocks`.

    Args:
        task: The task to play.
        network: Builds the policy, whose parameters become a vector.
        seeds: The stream `initialisation` draws the first parameters; the task's own streams draw its episodes.
        num_envs: N, environments stepped together where episodes are not compiled, at least 1.
        normalise_obs: Whether observations are brought to mean 0 and deviation 1, by those of all generations before.
        device: Where a network without a fast path is computed.
        num_blocks: Blocks that the environments are in, at most N.

    Attributes:
        first: The parameters as the network starts [n], float64.
        moments: Mean and variance of the observations of all generations so far.
        path: How episodes are computed, in words.
    """

    def __init__(
        self, task: ControlTask, network: Network, *, seeds: Seeds, num_envs: int, normalise_obs: bool, device: str, num_blocks: int = 1
    ) -> None:
        space = task.input_space
        if normalise_obs and not isinstance(space, spaces.Box):
            raise ValueError(f"normalise_obs is true, and observations are {space}; only those of a Box have a mean, so set it to false")
        self._task, self._network, self._normalise_obs, self._device = task, network, normalise_obs, device
        self._policies = Policies(task, network, seeds.numpy("initialisation"), device)
        self.first, self.path = self._policies.first, self._policies.path
        self.moments = RunningMoments(space.shape or ())
        self._starts = self._blocks = None
        if self._policies.layout is not None and _is_compiled(task):
            self._starts = seeds.numpy("environments")
            self.path = "fast: compiled episodes"
            return
        if num_blocks > num_envs:
            raise ValueError(f"num_blocks is {num_blocks}, and there are {num_envs} environments to share; set num_envs to at least that")
        self._plan = Plan(num_blocks, num_envs, seeds.seed, seeds.path)
        if num_blocks == 1:
            self._blocks = Blocks([Block(task, self._policies, num_envs, seeds, is_alone=True)])
        else:
            self._blocks = Blocks(self._plan.block(number, task, self._policies) for number in range(num_blocks))

    def use_processes(self, number: int) -> None:
        """Let processes play the blocks.

        Raises:
            ValueError: if there is one block, or episodes are compiled.
        """
        if number == 1:
            return
        if self._blocks is None:
            raise ValueError("the episodes of this task are compiled, and one process plays them; leave --processes out")
        if self._plan.num_blocks == 1:
            raise ValueError("processes share blocks of environments, and num_blocks is 1; add --set num_blocks=4, say")
        self._blocks.share(self._task, self._network, self._plan, number, self._device)

    def play(self, candidates: np.ndarray, num_episodes: int) -> Scores:
        """Return the scores of candidates [P, n] over E episodes each. Their observations enter the statistics afterwards."""
        parameters = np.ascontiguousarray(candidates, dtype=np.float32)
        if self._blocks is None:
            return self._play_compiled(parameters, num_episodes)
        played = self._blocks.play(parameters, num_episodes, self.moments if self._normalise_obs else None)
        for part in played:
            if part.seen.count:
                self.moments.take_in(part.seen.count, part.seen.mean, part.seen.variance)
        returns, lengths = (np.concatenate(parts).reshape(-1, num_episodes) for parts in zip(*(part[:2] for part in played), strict=True))
        return Scores(returns, lengths)

    def predict(self, candidate: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Return greedy actions [B, ...] of one candidate [n] at observations [B, ...], without any change here."""
        if self._normalise_obs:
            obs = self.moments.normalise(obs)
        return self._policies.act(candidate.astype(np.float32)[None], np.zeros(len(obs), dtype=np.int64), obs)

    def policy(self, candidate: np.ndarray) -> Policy:
        """Return the greedy policy of one candidate [n] as a module of its own."""
        return self._policies.module(candidate, self.moments if self._normalise_obs else None)

    def state_dict(self) -> dict[str, Any]:
        """Return the running statistics, and the state of the environments: always at the start of episodes."""
        return {"moments": self.moments.state_dict(), "blocks": {} if self._blocks is None else self._blocks.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.moments.load_state_dict(state["moments"])
        if self._blocks is not None:
            self._blocks.load_state_dict(state["blocks"])

    def _play_compiled(self, parameters: np.ndarray, num_episodes: int) -> Scores:
        task, layout, actions = self._task, self._policies.layout, self._policies.actions
        assert isinstance(task, HasProblem)
        assert layout is not None
        assert self._starts is not None
        scale, action = np.zeros((4, 0), dtype=np.float32), np.zeros(1, dtype=np.int64)
        if isinstance(actions, Gaussian):
            scale, action = actions.scale(), np.zeros((1, actions.num_outputs), dtype=np.float32)
        mean = self.moments.mean if self._normalise_obs else np.zeros(0)
        deviation = np.sqrt(self.moments.variance + EPSILON) if self._normalise_obs else np.zeros(0)
        problem, uniform = task.problem, self._starts.random((len(parameters) * num_episodes, task.problem.num_uniform))
        policies = Perceptrons(np.array(layout.sizes), layout.activation == "relu", parameters, mean, deviation)
        with announced("the episodes of a population"):
            returns, lengths, seen_mean, seen_squares = play_episodes(
                problem.start, problem.move, problem.observe, task.time_limit, uniform, policies, scale, action
            )
        if self._normalise_obs:
            self.moments.take_in(int(lengths.sum()), seen_mean, seen_squares / lengths.sum())
        return Scores(returns.reshape(-1, num_episodes), lengths.reshape(-1, num_episodes))


class PolicySearch(Agent):
    """One generation a step: candidates, their episodes, and a move by their scores. A subclass is the algorithm.

    It says in `candidates` who plays, moves in `recombine`, and answers with the policy `centre`.
    """

    headline = "episode_return"
    export_formats = FORMATS
    state_fields: ClassVar[tuple[str, ...]] = ("population",)
    config: SearchConfig
    task: ControlTask
    network: Network

    def setup(self) -> None:
        """Build the population."""
        config = self.config
        self.population = Population(
            self.task,
            self.network,
            seeds=self.seeds,
            num_envs=config.num_envs if self.num_candidates is None else min(config.num_envs, self.num_candidates * config.num_episodes),
            normalise_obs=config.normalise_obs,
            device=self.device,
            num_blocks=config.num_blocks,
        )
        self.path = self.population.path
        self.first = self.population.first.copy() if config.start == "network" else np.zeros_like(self.population.first)
        self.noise = self.seeds.numpy("candidates")

    @property
    def num_candidates(self) -> int | None:
        """P, candidates of a generation; `None` where it depends on the number of parameters."""
        return None

    @property
    @abstractmethod
    def centre(self) -> np.ndarray:
        """The policy [n] that answers and is judged."""

    @abstractmethod
    def candidates(self) -> np.ndarray:
        """Draw the candidates [P, n] of a generation."""

    @abstractmethod
    def recombine(self, candidates: np.ndarray, scores: Scores) -> dict[str, float]:
        """Move by the scores of candidates [P, n], and return metrics."""

    def use_processes(self, number: int) -> None:
        """Let processes play the blocks of environments."""
        self.population.use_processes(number)

    def step(self) -> dict[str, float]:
        """Run one generation."""
        candidates = self.candidates()
        scores = self.population.play(candidates, self.config.num_episodes)
        self.progress += scores.steps
        return scores.metrics() | self.recombine(candidates, scores)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the actions [B, ...] of the centre at observations [B, ...]."""
        return self.population.predict(self.centre, inputs)

    def exported(self) -> Exportable:
        """Return the policy of the centre as a graph."""
        return exportable(self.population.policy(self.centre), self.task.input_space)


def _is_compiled(task: ControlTask) -> bool:
    """Return whether `play_episodes` can play the task: compiled functions, and actions that count from 0 or are one row of floats."""
    space = task.output_space
    known = space.start == 0 if isinstance(space, spaces.Discrete) else len(space.shape) == 1
    if not known or not isinstance(task, HasProblem):
        return False
    return all(hasattr(function, "py_func") for function in (task.problem.start, task.problem.move, task.problem.observe))
