"""DQN, a deep Q-network: Q-learning from replayed transitions towards the values of a network that lags behind; and what improved it.

Source: V. Mnih and others, "Human-level control through deep reinforcement learning", 2015, Algorithm 1. Each a setting: the double
estimate, H. van Hasselt, A. Guez, D. Silver, 2016; dueling streams, Z. Wang and others, 2016, (9); prioritised replay, T. Schaul and
others, 2016; n-step returns, R. Sutton, 1988; `rainbow-lite` has all four, M. Hessel and others, "Rainbow", 2018, without the
distribution over returns and without noisy layers.
Departures: Adam in place of RMSprop, and gradients are clipped by their norm; an episode that a time limit cuts is bootstrapped from
where it was cut; the streams of a dueling network share all but their last layer, so that any network can duel.
Errata: the "clipped error" of 2015 clips the derivative of the squared error to [-1, 1], not the error: that is the Huber loss.
Letters: B batch, A actions, N environments.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.mlp import Layout, one_thread
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser, clip_gradient_norm
from dl_nets.learning.schedules import schedule
from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.networks.recurrent import RecurrentNetwork
from rl_algos.compiled.dqn import CompiledQNetwork, Update
from rl_algos.parts.exploration import RANDOM, Exploration, explore_rows, rate_at
from rl_algos.parts.normalisation import box_scale
from rl_algos.parts.ranges import require_at_least
from rl_algos.parts.recurrence import Player, reset_where
from rl_algos.parts.targets import follow_module
from rl_algos.replay.buffer import Batch, ReplayBuffer
from rl_algos.replay.prioritised import Priorities
from rl_algos.replay.sequence import SequenceReplay
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, Whole, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict


@configclass
class DQNConfig(Exploration):
    """Settings of DQN; the first of the exploration rate is 1, and falls along a line."""

    exploration_rate: Annotated[NonNegative, Doc("epsilon (at most 1), or temperature T, or width c of ucb, at first")] = 1.0
    exploration_end: Annotated[NonNegative, Doc("what the rate falls to")] = 0.05
    exploration_schedule: Annotated[Literal["constant", "linear", "exponential", "visits"], Doc("how the rate falls")] = "linear"
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 1
    rollout_steps: Annotated[Count, Doc("steps of each environment between two rounds of updates")] = 4
    num_updates: Annotated[Whole, Doc("gradient steps a round; 0 for as many as transitions were collected for it")] = 1
    learning_starts: Annotated[Whole, Doc("environment steps with random actions before the first update")] = 1_000
    buffer_size: Annotated[int, Doc("rows of the replay buffer: transitions, and one or more an episode, >= num_envs")] = 100_000
    storage: Annotated[Literal["memory", "disk"], Doc("disk keeps the replay buffer in a memory-mapped file")] = "memory"
    stack_axis: Annotated[Whole | None, Doc("axis along which observations stack frames, the oldest first; none where they do not")] = None
    scale_obs: Annotated[bool, Doc("whether observations go from their Box's bounds to [-1, 1], where it has any")] = False
    batch_size: Annotated[Count, Doc("B, transitions of a gradient step")] = 32
    sequence_steps: Annotated[Count, Doc("T, steps in a row that a network with a memory learns from; B / T sequences a gradient step")] = (
        16
    )
    burn_in_steps: Annotated[Whole, Doc("steps before them that only bring its memory up to date")] = 8
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 1e-4
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "constant"
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    return_steps: Annotated[Count, Doc("n, steps of reward before a value is trusted")] = 1
    target_steps: Annotated[Count, Doc("environment steps between two moves of the target network")] = 10_000
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, how far the target network moves towards the other; 1 copies it")] = 1.0
    loss: Annotated[Literal["huber", "squared"], Doc("of the TD error; both are half its square within [-1, 1]")] = "huber"
    max_grad_norm: Annotated[Positive, Doc("longest gradient that is not shortened")] = 10.0
    double: Annotated[bool, Doc("whether the learning network chooses the action that the target network values")] = False
    dueling: Annotated[bool, Doc("whether the network gives a value and advantages, which sum to Q")] = False
    prioritised: Annotated[bool, Doc("whether transitions are drawn by their TD error")] = False
    priority_exponent: Annotated[NonNegative, Doc("alpha of prioritised replay; 0 draws evenly")] = 0.6
    weight_exponent: Annotated[Fraction, Doc("beta of prioritised replay at first, 1 at the end of the budget; 1 corrects in full")] = 0.4
    compiled: Annotated[bool, Doc("whether a plain perceptron on the CPU takes the compiled path; the results differ by rounding")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        require_at_least(self, self.num_envs, "buffer_size")
        if self.stack_axis is not None:
            require_at_least(self, 0, "stack_axis")


def dueling_values(head: torch.Tensor) -> torch.Tensor:
    """Q(s, .) = V(s) + A(s, .) - mean A(s, .) [B, A], from a head [B, 1 + A] of V and A. (9)

    Without the mean, a number could move from V to A and nobody would know: Q does not tell them apart.

    >>> dueling_values(torch.tensor([[10.0, 1.0, 3.0]]))
    tensor([[ 9., 11.]])
    """
    value, advantage = head[:, :1], head[:, 1:]
    return value + advantage - advantage.mean(dim=1, keepdim=True)


def bootstrap_value(q_target: torch.Tensor, q_choice: torch.Tensor) -> torch.Tensor:
    """The target network's value [B] of the action that `q_choice` [B, A] likes best, of its values `q_target` [B, A].

    With the target network's own choice this is the maximum, which errors in the values push up; the learning network's choice
    is the double estimate, whose errors are others than those of the value. (van Hasselt 2016, (4))

    >>> q_target = torch.tensor([[1.0, 5.0]])
    >>> bootstrap_value(q_target, q_target), bootstrap_value(q_target, torch.tensor([[3.0, 2.0]]))
    (tensor([5.]), tensor([1.]))
    """
    return q_target.gather(1, q_choice.argmax(dim=1, keepdim=True)).squeeze(1)


def td_loss(td_error: torch.Tensor, loss: Literal["huber", "squared"]) -> torch.Tensor:
    """Loss [B] of TD errors [B]: half the square, which for Huber goes on as a line beyond 1.

    >>> td_loss(torch.tensor([0.5, -3.0]), "huber"), td_loss(torch.tensor([0.5, -3.0]), "squared")
    (tensor([0.1250, 2.5000]), tensor([0.1250, 4.5000]))
    """
    half_square = 0.5 * td_error**2
    return half_square if loss == "squared" else torch.where(td_error.abs() <= 1, half_square, td_error.abs() - 0.5)


class QNetwork:
    """The learning network, the target network and their optimiser, in torch: any network on any device. Its twin is in `compiled.dqn`.

    Args:
        module: Inputs [B, ...] to Q [B, A], or to V and A [B, 1 + A] of a dueling network.
        config: Settings.
        device: Where to compute.
    """

    def __init__(self, module: nn.Module, config: DQNConfig, device: torch.device) -> None:
        self.state_size = 0
        self._config, self._device = config, device
        self._module: Any = module.eval().to(device)  # dropout would make a network disagree with its own target
        self._target: Any = copy.deepcopy(self._module).requires_grad_(False)
        self._optimiser = Optimiser("adam", self._module.parameters(), learning_rate=config.learning_rate)

    def update(self, batch: Batch, weight: np.ndarray, learning_rate: float) -> Update:
        """One gradient step.

        Args:
            batch: With observations as the network sees them.
            weight: Of each transition's loss [B].
            learning_rate: Of this step.
        """
        obs, action, reward, discount, next_obs = (self._tensor(column) for column in batch)
        with torch.no_grad():
            q_target = self._q(self._target, next_obs)
            q_choice = self._q(self._module, next_obs) if self._config.double else q_target
            target = reward + discount * bootstrap_value(q_target, q_choice)
        value = self._q(self._module, obs).gather(1, action[:, None]).squeeze(1)
        td_error = value - target
        loss = (self._tensor(weight) * td_loss(td_error, self._config.loss)).mean()

        self._optimiser.zero_grad()
        loss.backward()
        clip_gradient_norm(self._module.parameters(), self._config.max_grad_norm)
        self._optimiser.learning_rate = learning_rate
        self._optimiser.step()
        return Update(loss.item(), value.mean().item(), td_error.detach().cpu().numpy())

    def move_target(self, rate: float) -> None:
        """Move the target network towards the other: theta' <- theta' + tau (theta - theta')."""
        follow_module(self._target, self._module, rate)

    @torch.no_grad()
    def values(self, inputs: np.ndarray) -> np.ndarray:
        """Q [B, A] of inputs [B, ...]."""
        return self._q(self._module, self._tensor(inputs)).cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self._module.named_parameters()}

    def state_dict(self) -> dict[str, Any]:
        """Both networks, and Adam's moments and step count."""
        return {"module": module_state(self._module), "target": module_state(self._target), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self._module, state["module"])
        load_module_state(self._target, state["target"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _q(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        head = module(inputs)
        return dueling_values(head) if self._config.dueling else head

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


class DQN(Agent):
    """The agent: acts with N environments, remembers, and learns from what it remembers."""

    Config: ClassVar[type] = DQNConfig
    headline = "episode_return"
    config: DQNConfig

    def __init__(self, config: DQNConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        space = task.input_space
        if not isinstance(task.output_space, spaces.Discrete):
            raise ValueError(f"the task takes actions of {task.output_space}; a Q-network values each of a Discrete number of actions")
        counts = config.exploration == "ucb" or config.exploration_schedule == "visits"
        if counts and not isinstance(space, spaces.Discrete):
            raise ValueError(
                f"exploration is {config.exploration} with the schedule {config.exploration_schedule}, which counts how often an "
                f"observation was met, and observations are {space}; take epsilon-greedy or boltzmann, and another schedule"
            )
        self._start, self._num_actions = int(task.output_space.start), int(task.output_space.n)
        self.q: Any = build_q_network(config, task, network, seeds.numpy("initialisation"), device)
        self.replay = ReplayBuffer(
            config.buffer_size, config.num_envs, space, task.output_space, discount=config.discount, num_steps=config.return_steps,
            stack_axis=config.stack_axis, state_size=self.q.state_size, storage=config.storage,
        )  # fmt: skip
        self.priorities = Priorities(self.replay, exponent=config.priority_exponent) if config.prioritised else None
        self.sequences = build_sequences(config, self.replay) if self.q.state_size else None
        self.state = np.zeros((config.num_envs, self.q.state_size), np.float32)  # what a network with a memory knows of each episode
        self.visits = np.zeros((int(space.n) if isinstance(space, spaces.Discrete) else 1, self._num_actions), dtype=np.int64)
        self.exploration, self.draws = seeds.numpy("exploration"), seeds.numpy("replay")
        self._scale = box_scale(space) if config.scale_obs else None
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()

    @one_thread
    def step(self) -> dict[str, float]:
        """One round: some steps of N environments, then some gradient steps."""
        config, before = self.config, self.progress
        for _ in range(config.rollout_steps):
            self.act()
        if self.progress // config.target_steps > before // config.target_steps:
            self.q.move_target(config.target_rate)

        updates = []
        if self.progress > config.learning_starts and (self.sequences is None or self.sequences.num_sequences):
            updates = [self.learn() for _ in range(config.num_updates or self.progress - before)]
        metrics: dict[str, float] = {"updates": len(updates), "exploration_rate": float(rate_at(config.explorer(), self.progress, 0))}
        if updates:
            metrics |= {"loss": float(np.mean([update.loss for update in updates]))}
            metrics |= {"value": float(np.mean([update.value for update in updates]))}
        return metrics | self.envs.episode_metrics()

    def act(self) -> None:
        """One step of every environment, by the rule that explores, into the replay buffer."""
        explorer, is_warm_up = self.config.explorer(), self.progress < self.config.learning_starts
        if is_warm_up:
            explorer = explorer._replace(rule=RANDOM)
        cells = self.obs - self.task.input_space.start if len(self.visits) > 1 else np.zeros(len(self.obs), dtype=np.int64)
        if is_warm_up and self.sequences is None:  # nobody asks what the network says
            values, state = np.zeros((len(self.obs), self._num_actions), np.float32), self.state
        else:
            values, state = self.values(self.obs, self.state)
        action = explore_rows(explorer, values, self.visits[cells], self.progress, self.exploration.random(len(values)))
        np.add.at(self.visits, (cells, action), 1)
        after = self.envs.step(action + self._start)
        if self.sequences is not None:
            self.sequences.add(self.state, state)
            self.state = reset_where(state, after.terminated | after.truncated)
        self.replay.add(self.obs, action, after)
        if self.priorities is not None:
            self.priorities.follow()
        self.obs = after.obs
        self.progress += len(action)

    def learn(self) -> Update:
        """One gradient step on replayed transitions."""
        config, done = self.config, min(1.0, self.progress / self.budget)
        learning_rate = config.learning_rate * schedule(config.learning_rate_schedule)(done)
        if self.sequences is not None:
            replayed = self.sequences.sample(self.draws, max(1, config.batch_size // config.sequence_steps))
            return self.q.update_sequences(replayed._replace(inputs=self.inputs(replayed.inputs)), learning_rate)
        if self.priorities is None:
            slots, weight = self.replay.draw(self.draws, config.batch_size), np.ones(config.batch_size, dtype=np.float32)
        else:
            correction = config.weight_exponent + (1 - config.weight_exponent) * done
            slots, weight = self.priorities.draw(self.draws, config.batch_size, correction)
        batch = self.replay.read(slots)
        update = self.q.update(batch._replace(obs=self.inputs(batch.obs), next_obs=self.inputs(batch.next_obs)), weight, learning_rate)
        if self.priorities is not None:
            self.priorities.update(slots, update.td_error)
        return update

    def inputs(self, obs: np.ndarray) -> np.ndarray:
        """Observations [B, ...] as the network sees them: stacked frames are the channels of an image, its last axis."""
        if obs.dtype == np.float64:
            obs = obs.astype(np.float32)
        if self._scale is not None:
            obs = (obs - self._scale[0]) / self._scale[1]
        axis = self.config.stack_axis
        return obs if axis is None else np.moveaxis(obs, 1 + axis, -1)

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The actions of the largest values [B] at observations [B, ...]; with a memory, at the first observations of episodes."""
        return self.greedy(inputs, np.zeros((len(inputs), self.q.state_size), np.float32))[0]

    def predictor(self) -> Predict:
        """`predict`, or a player that remembers each episode."""
        return self.predict if self.sequences is None else Player(one_thread(self.greedy), self.q.state_size)

    def greedy(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The actions of the largest values [B] at observations [B, ...] that follow states [B, S], and the states after them."""
        values, state = self.values(obs, state)
        return values.argmax(axis=1) + self._start, state

    def values(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Q [B, A] at observations [B, ...] that follow states [B, S], and the states after them; S is 0 without a memory."""
        inputs = self.inputs(obs)
        return (self.q.values(inputs), state) if self.sequences is None else self.q.advance(inputs, state)

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self.q.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, what is remembered, how often what was tried, and where the environments are."""
        state = {"q": self.q.state_dict(), "replay": self.replay.state_dict(), "visits": self.visits.copy(), "envs": self.envs.state_dict()}
        if self.priorities is not None:
            state["priorities"] = self.priorities.state_dict()
        if self.sequences is not None:
            state["state"] = self.state
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.q.load_state_dict(state["q"])
        self.replay.load_state_dict(state["replay"])
        if self.priorities is not None:
            self.priorities.load_state_dict(state["priorities"])
        if self.sequences is not None:
            self.state = np.array(state["state"])
        self.visits = np.array(state["visits"])
        self.obs = self.envs.load_state_dict(state["envs"])


def build_q_network(
    config: DQNConfig, task: ControlTask, network: Network, rng: np.random.Generator, device: str
) -> QNetwork | CompiledQNetwork:
    """A network from observations to a value of each action, or to one value and the actions' advantages where it duels."""
    num_outputs = int(task.output_space.n) + config.dueling
    space = seen_space(task.input_space, config.stack_axis)
    heads = spaces.Box(-np.inf, np.inf, (num_outputs,), np.float32)
    if isinstance(network, RecurrentNetwork):
        from rl_algos.q_learning.recurrent_dqn import RecurrentQNetwork  # it extends this file

        return RecurrentQNetwork(network.build_stepped(space, heads, rng), config, resolve_device(device))
    module = network.build(space, heads, rng)
    is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
    if config.compiled and device != "cuda" and Layout.of(module) is not None and is_vector:
        return CompiledQNetwork(module, config)
    return QNetwork(module, config, resolve_device(device))


def build_sequences(config: DQNConfig, replay: ReplayBuffer) -> SequenceReplay:
    """What a network with a memory learns from, instead of single transitions.

    Raises:
        ValueError: if frames are stacked, or transitions prioritised: neither is made for sequences.
    """
    if config.prioritised or config.stack_axis is not None:
        what = "prioritised is true" if config.prioritised else f"stack_axis is {config.stack_axis}"
        raise ValueError(f"{what}, and the network has a memory, which replays plain sequences evenly; leave it out, or take network mlp")
    return SequenceReplay(replay, num_steps=config.sequence_steps, burn_in_steps=config.burn_in_steps, return_steps=config.return_steps)


def seen_space(space: gymnasium.Space[Any], stack_axis: int | None) -> gymnasium.Space[Any]:
    """The space of what the network sees: frames that are stacked along an axis become the last one, an image's channels.

    >>> seen_space(spaces.Box(0, 255, (4, 84, 84), "uint8"), 0).shape
    (84, 84, 4)
    """
    if stack_axis is None or not isinstance(space, spaces.Box):
        return space
    return spaces.Box(np.moveaxis(space.low, stack_axis, -1), np.moveaxis(space.high, stack_axis, -1), dtype=space.dtype.type)
