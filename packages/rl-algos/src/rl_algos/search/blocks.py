"""Episodes of candidates in a task's own environments, in blocks that several processes may play.

A block has environments and random streams of its own, and plays its share of a generation's episodes alone: how many blocks there are
is a setting, and which process plays a block does not show in a single bit.
Source: T. Salimans and others, "Evolution strategies as a scalable alternative to reinforcement learning", 2017, Algorithm 2; a process
is sent its candidates rather than the noise that they were drawn with.
Departures: processes of one machine. Letters: P candidates, n parameters of a candidate, M episodes, N environments, B rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import why_torch
from dl_nets.fast.mlp import Layout, flat_parameters
from dl_nets.fast.threads import num_threads
from dl_nets.learning.devices import resolve_device
from rl_algos.parts.distributions import distribution
from rl_algos.parts.exported import Observations, Policy, action_layer
from rl_algos.parts.normalisation import RunningMoments
from rl_algos.search.kernels import respond_each
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask
from rl_core.workers import Workers


class Policies:
    """Candidates as policies: one network, whose parameters are a vector.

    Args:
        task: The task that they act in.
        network: Builds the network.
        rng: Draws its first parameters.
        device: Where a network without a fast path is computed.

    Attributes:
        first: The parameters as the network starts [n], float64.
        actions: Makes actions of the network's outputs.
        layout: Shape of a perceptron with a fast path; `None` for any other network.
        path: How outputs are computed, in words.
    """

    def __init__(self, task: ControlTask, network: Network, rng: np.random.Generator, device: str) -> None:
        space = task.input_space
        self.actions = distribution(task.output_space)
        self._module = network.build(space, task.output_space, rng).eval()
        self.first = flat_parameters(self._module).astype(np.float64)
        reason = why_torch(self._module)
        is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
        self.layout = Layout.of(self._module) if is_vector and not reason else None
        why = reason or "the fast path takes vectors of floats"
        self.path = f"torch: {why}" if self.layout is None else "fast: compiled layers, in the task's own environments"
        self._device = resolve_device(device) if self.layout is None else torch.device("cpu")
        self._module.to(self._device)

    def act(self, parameters: np.ndarray, owner: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Return greedy actions [B, ...] at observations [B, ...], row b by the candidate `owner[b]` of [P, n]."""
        if self.layout is not None:
            sizes, inputs = np.array(self.layout.sizes), np.ascontiguousarray(obs, dtype=np.float32)
            head = respond_each(sizes, self.layout.activation == "relu", parameters, owner, inputs)
        else:
            head = self._head(parameters, owner, obs)
        return self.actions.to_env(self.actions.greedy(head))

    def module(self, candidate: np.ndarray, moments: RunningMoments | None) -> Policy:
        """Return one candidate [n] as a module of its own, which normalises observations by `moments` first."""
        network = copy.deepcopy(self._module)
        nn.utils.vector_to_parameters(torch.from_numpy(candidate.astype(np.float32)).to(self._device), network.parameters())
        return Policy(Observations(moments), network, action_layer(self.actions))

    @torch.no_grad()
    def _head(self, parameters: np.ndarray, owner: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Return outputs [B, O] of any network, called once for each candidate that has a row."""
        inputs = torch.from_numpy(obs.astype(np.float32) if obs.dtype == np.float64 else obs).to(self._device)
        head = np.empty((len(obs), self.actions.num_outputs), dtype=np.float32)
        for candidate in np.unique(owner):
            vector = torch.from_numpy(parameters[candidate]).to(self._device)
            nn.utils.vector_to_parameters(vector, self._module.parameters())
            rows = owner == candidate
            head[rows] = self._module(inputs[torch.from_numpy(rows).to(self._device)]).cpu().numpy()
        return head


class Part(NamedTuple):
    """The share of a block in a generation.

    Attributes:
        parameters: Candidates [P, n], float32, those of the block alone.
        owner: Which of them plays each of the block's episodes [M].
    """

    parameters: np.ndarray
    owner: np.ndarray


class Played(NamedTuple):
    """The results of a part: returns [M] and lengths [M] of its episodes, and mean and variance of the observations in them."""

    returns: np.ndarray
    lengths: np.ndarray
    seen: RunningMoments


class Block:
    """N environments, each of which takes up the next episode when it has ended one.

    Args:
        task: The task to play.
        policies: Act for the candidates.
        num_envs: N.
        seeds: Streams of the environments.
        is_alone: Whether there is no other block; its streams are then those of the run, which saves them.
    """

    def __init__(self, task: ControlTask, policies: Policies, num_envs: int, seeds: Seeds, *, is_alone: bool) -> None:
        self._policies = policies
        self._seeds = None if is_alone else seeds
        self._envs = task.envs(num_envs, seeds)
        self._obs = self._envs.reset()

    def play(self, part: Part, moments: RunningMoments | None) -> Played:
        """Play the episodes of a part, with observations normalised by `moments`, if given."""
        total = len(part.owner)
        returns, lengths = np.zeros(total), np.zeros(total, dtype=np.int64)
        playing = np.arange(self._envs.num_envs)  # which episode each environment plays; from `total` on it idles
        queued, seen = self._envs.num_envs, RunningMoments(() if moments is None else moments.mean.shape)
        while (busy := playing < total).any():
            obs = self._obs
            if moments is not None:
                seen.update(obs[busy])
                obs = moments.normalise(obs)
            owner = part.owner[np.minimum(playing, total - 1)]
            after = self._envs.step(self._policies.act(part.parameters, owner, obs))
            self._obs = after.obs
            returns[playing[busy]] += after.reward[busy]
            lengths[playing[busy]] += 1
            for env in np.flatnonzero((after.terminated | after.truncated) & busy):
                playing[env], queued = queued, queued + 1
        self._envs.pop_episodes()
        self._obs = self._envs.restart()  # an idle environment was in the middle of an episode
        return Played(returns, lengths, seen)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environments, always at the start of episodes, and of the streams that are its own."""
        return {"envs": self._envs.state_dict(), **({} if self._seeds is None else {"seeds": self._seeds.state_dict()})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self._seeds is not None:
            self._seeds.load_state_dict(state["seeds"])
        self._obs = self._envs.load_state_dict(state["envs"])


class Plan(NamedTuple):
    """Settings of the blocks, the same in every process.

    Attributes:
        num_blocks: Number of blocks.
        num_envs: Environments of all of them together.
        seed: Seed of the run.
        path: Branch of its streams.
    """

    num_blocks: int
    num_envs: int
    seed: int
    path: tuple[str, ...]

    def block(self, number: int, task: ControlTask, policies: Policies) -> Block:
        """Return a block by number, where there is more than one."""
        num_envs = self.num_envs // self.num_blocks + (number < self.num_envs % self.num_blocks)
        return Block(task, policies, num_envs, Seeds(self.seed, (*self.path, f"block {number}")), is_alone=False)


class Group:
    """The blocks of one process, by number."""

    def __init__(self, blocks: Mapping[int, Block]) -> None:
        self._blocks = blocks

    def keep(self, numbers: Iterable[int]) -> None:
        """Leave the other blocks to other processes."""
        self._blocks = {number: self._blocks[number] for number in numbers}

    def play(self, parts: Mapping[int, Part], moments: RunningMoments | None) -> dict[int, Played]:
        """Play the parts of these blocks."""
        return {number: self._blocks[number].play(part, moments) for number, part in parts.items()}

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """Return the state of each block."""
        return {number: block.state_dict() for number, block in self._blocks.items()}

    def load_state_dict(self, states: Mapping[int, Mapping[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        for number, state in states.items():
            self._blocks[number].load_state_dict(state)


def group(task: ControlTask, network: Network, plan: Plan, numbers: Sequence[int], device: str) -> Group:
    """Return the blocks of these numbers, in a process of their own."""
    policies = Policies(task, network, np.random.default_rng(0), device)
    return Group({number: plan.block(number, task, policies) for number in numbers})


class Blocks:
    """All blocks: those of this process, and those of others.

    Args:
        blocks: The blocks, in order.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        found = dict(enumerate(blocks))
        self._count = len(found)
        self._shares = [range(self._count)]  # numbers of the blocks of each process, this one first
        self._own, self._others = Group(found), Workers(group, [], threads=1, work="")

    def share(self, task: ControlTask, network: Network, plan: Plan, number: int, device: str) -> None:
        """Hand blocks over to other processes, so that `number` of them, this one included, have about the same share."""
        states = self.state_dict()
        number = min(number, self._count)
        self._shares = [range(first, self._count, number) for first in range(number)]
        arguments = [(task, network, plan, numbers, device) for numbers in self._shares[1:]]
        self._others = Workers(group, arguments, threads=num_threads(), work="plays episodes")
        self._own.keep(self._shares[0])
        self.load_state_dict(states)

    def play(self, parameters: np.ndarray, num_episodes: int, moments: RunningMoments | None) -> list[Played]:
        """Play E episodes of each candidate [P, n], and return the results of each block; episodes go to the blocks in order."""
        owner = np.repeat(np.arange(len(parameters)), num_episodes)
        parts = {}
        for number, owners in enumerate(np.array_split(owner, self._count)):
            first, last = (owners[0], owners[-1] + 1) if len(owners) else (0, 1)
            parts[number] = Part(parameters[first:last], owners - first)
        shares = [({number: parts[number] for number in numbers}, moments) for numbers in self._shares]
        self._others.begin("play", shares[1:])
        played = self._own.play(*shares[0])
        for found in self._others.results():
            played |= found
        return [played[number] for number in range(self._count)]

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return the state of each block by number."""
        self._others.begin("state_dict", [()] * (len(self._shares) - 1))
        states = self._own.state_dict()
        for found in self._others.results():
            states |= found
        return {str(number): states[number] for number in range(self._count)}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it has another number of blocks.
        """
        if len(state) != self._count:
            raise ValueError(f"the saved run has {len(state)} blocks of environments, and this one {self._count}; set num_blocks to that")
        shares = [({number: state[str(number)] for number in numbers},) for numbers in self._shares]
        self._others.begin("load_state_dict", shares[1:])
        self._own.load_state_dict(*shares[0])
        self._others.results()
