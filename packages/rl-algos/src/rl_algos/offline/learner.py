"""The base of agents that learn a policy from recorded transitions alone; they never act while they learn.

Protocol: observations are normalised by the mean and deviation of the data, which are part of the agent's state; a time limit does not end
the future; the policy that is judged is the last one: to choose an earlier one by its score in the environment would be learning online.
Letters: T transitions, B batch, I numbers of an observation, D dimensions of an action, A actions.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.fast.bridge import Flat, fast_path
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable
from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.bounded_actions import BoundedAction, BoundedActions, pair_space
from rl_algos.parts.exported import LargestAction, Observations, Policy, exportable
from rl_algos.parts.normalisation import RunningMoments
from rl_algos.parts.players import MaskedPlayer
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, Positive, configclass
from rl_core.network import Network
from rl_core.offline import TransitionTask
from rl_core.task import Predict


@configclass
class OfflineConfig:
    """Settings of learning from recorded transitions; the config of an agent extends this one."""

    batch_size: Annotated[int, Meta(ge=1, le=1_000_000), Doc("B, transitions of a gradient step")] = 256
    iteration_updates: Annotated[Count, Doc("gradient steps of one iteration, whose metrics are reported together")] = 100
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 1e-3
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, step of the target networks towards the learning ones")] = 0.005
    reward_scale: Annotated[Positive, Doc("factor on the rewards of the data")] = 1.0


class Transitions(NamedTuple):
    """Transitions as tensors [T, ...] or [B, ...].

    Attributes:
        obs: Normalised observations [B, I].
        action: Numbers of actions from 0 [B], or actions in [-1, 1] [B, D].
        reward: [B].
        discount: gamma, and 0 where the episode terminated [B].
        next_obs: Normalised observations that the actions led to [B, I].
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_obs: Tensor


class OfflineAgent(Agent):
    """An agent with a policy, and networks of values where it needs some, that learns from the training split of an offline task.

    A subclass names its networks in `heads`, of which "policy" answers, those with a target in `targets`, and defines `update`.
    """

    export_formats = FORMATS
    headline = "loss"
    state_fields: ClassVar[tuple[str, ...]] = ("module", "target", "optimiser", "moments", "num_updates")
    targets: tuple[str, ...] = ()
    config: Any  # an `OfflineConfig`
    task: TransitionTask
    network: Network

    def setup(self) -> None:
        """Build the networks.

        Raises:
            ValueError: if actions are neither Discrete nor of a Box with bounds.
        """
        space = self.task.output_space
        self.bounded = None if isinstance(space, spaces.Discrete) else BoundedActions(space)
        self.num_actions = int(space.n) if isinstance(space, spaces.Discrete) else 0
        self.draws = self.seeds.numpy("batches")
        self.moments = RunningMoments(tuple(self.task.input_space.shape or ()))
        rng = self.seeds.numpy("initialisation")
        built = nn.ModuleDict({name: self._build(name, size, rng) for name, size in self.heads().items()})
        is_fast = self.device != "cuda" and fast_path(*built.values())
        self.torch_device = torch.device("cpu") if is_fast else resolve_device(self.device)
        self.module: Any = built.to(self.torch_device).eval()
        self.optimiser = Optimiser("adam", self.module.parameters(), learning_rate=self.config.learning_rate)
        self.target: Any = nn.ModuleDict({name: copy.deepcopy(self.module[name]) for name in self.targets}).requires_grad_(False)
        self._pairs = [(Flat(self.target[name]), [*self.module[name].parameters()]) for name in self.targets]
        self.num_updates = 0

    @abstractmethod
    def heads(self) -> Mapping[str, int]:
        """Return the number of outputs of each network, by name; a name that begins with "pair" reads observations and actions."""

    @abstractmethod
    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Return the metrics of one gradient step, as tensors []; "loss" among them."""

    def _build(self, name: str, size: int, rng: np.random.Generator) -> nn.Module:
        space = self.task.input_space
        if name.startswith("pair"):
            assert self.bounded is not None
            space = pair_space(space, self.bounded.num_dimensions)
        module: nn.Module = self.network.build(space, spaces.Box(-np.inf, np.inf, (size,), np.float32), rng)
        return module

    @cached_property
    def data(self) -> Transitions:
        """The training split, on the networks' device."""
        (given, _), config = self.task.read("train", np.arange(self.task.num_examples("train"))), self.config
        assert isinstance(given, dict)
        rows: dict[str, np.ndarray] = given  # a transition has no ragged parts
        rows = self.chosen(rows)
        if not self.moments.count:
            self.moments.update(rows["obs"])
        discount = np.where(rows["terminated"], 0.0, config.discount).astype(np.float32)
        parts = (self.moments.normalise(rows["obs"]), self.coded(rows["action"]), rows["reward"] * np.float32(config.reward_scale))
        arrays = (*parts, discount, self.moments.normalise(rows["final_obs"]))
        return Transitions(*(self.tensor(np.ascontiguousarray(array)) for array in arrays))

    def chosen(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the transitions that are learned from; by default all."""
        return rows

    def coded(self, action: np.ndarray) -> np.ndarray:
        """Return actions as networks take them: numbers from 0 [T], or in [-1, 1] [T, D], float32."""
        if self.bounded is None:
            return action.astype(np.int64) - int(self.task.output_space.start)
        flat = action.reshape(len(action), -1)
        middle, half = self.bounded.middle.reshape(-1), self.bounded.half_width.reshape(-1)
        coded: np.ndarray = np.clip((flat - middle) / half, -1.0, 1.0).astype(np.float32)
        return coded

    def step(self) -> dict[str, float]:
        """Run one iteration: some gradient steps, each on a batch that is drawn evenly."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        data, count = self.data, min(self.config.iteration_updates, max(1, self.budget - self.progress))
        for rows in self.draws.integers(0, len(data.reward), (count, self.config.batch_size)):
            index = torch.from_numpy(rows).to(self.torch_device)
            self.num_updates += 1
            for name, value in self.update(Transitions(*(part[index] for part in data))).items():
                sums[name] = sums[name] + value if name in sums else value
                counts[name] = counts.get(name, 0) + 1
        self.progress += count
        return {"updates": count, **{name: float(value) / counts[name] for name, value in sums.items()}}

    def minimise(self, loss: Tensor) -> None:
        """Take one step of Adam down the gradient of a loss []."""
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def move_targets(self) -> None:
        """Move the targets towards the networks: theta' <- theta' + tau (theta - theta')."""
        for flat, parameters in self._pairs:
            for target, parameter in zip(flat.parameters, parameters, strict=True):
                target.lerp_(parameter, self.config.target_rate)

    def heads_at(self, name: str, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs of a network [B, K] at observations [B, I] as the task gives them."""
        with torch.no_grad():
            outputs: np.ndarray = self.module[name](self.tensor(self.moments.normalise(inputs))).cpu().numpy()
        return outputs

    def policy_values(self, inputs: np.ndarray) -> np.ndarray:
        """Return what the policy takes the largest of [B, A], or the tanh of which is its action [B, D]."""
        return self.heads_at("policy", inputs)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's best actions [B, ...] at observations [B, I]."""
        return self.answer_among(inputs, np.zeros((len(inputs), 0), np.float32))[0]

    def predictor(self) -> Predict:
        """Return what answers in an evaluation: none but allowed actions where the task says which are; see `PredictAllowed`."""
        return MaskedPlayer(self.answer_among, 0) if self.bounded is None else self.predict

    def answer_among(self, inputs: np.ndarray, state: np.ndarray, legal: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the best actions [B, ...] at observations [B, I], and the state [B, 0]; of discrete ones, among those allowed [B, A]."""
        values = self.policy_values(inputs)
        if self.bounded is not None:
            return self.bounded.to_env(np.tanh(values[:, : self.bounded.num_dimensions])), state
        if legal is not None:  # an action that the data's policy never takes is still better than one that is ruled out
            values = np.where(legal, np.maximum(values, np.finfo(np.float32).min), -np.inf)
        return values.argmax(axis=1) + int(self.task.output_space.start), state

    def exported(self) -> Exportable:
        """Return the policy as a graph; its outputs are the policy's."""
        last = LargestAction(int(self.task.output_space.start)) if self.bounded is None else BoundedAction(self.bounded)
        return exportable(Policy(Observations(self.moments), self.exported_network(), last), self.task.input_space)

    def exported_network(self) -> nn.Module:
        """Return the network that the policy takes the largest output of."""
        network: nn.Module = self.module["policy"]
        return network

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array as a tensor on the networks' device."""
        return torch.from_numpy(array).to(self.torch_device)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.module.named_parameters()}


def taken(values: Tensor, action: Tensor) -> Tensor:
    """Return the value [B] that each row of values [B, A] has for its action [B].

    >>> taken(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
    tensor([2., 3.])
    """
    return values.gather(1, action[:, None]).squeeze(1)
