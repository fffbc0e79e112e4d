"""DQN, a deep Q-network: Q-learning from replayed transitions, towards the values of a target network that changes slowly.

Source: V. Mnih and others, "Human-level control through deep reinforcement learning", 2015, Algorithm 1. Each a setting: the double
estimate, H. van Hasselt, A. Guez, D. Silver, 2016; dueling streams, Z. Wang and others, 2016, (9); prioritised replay, T. Schaul and
others, 2016; n-step returns, R. Sutton, 1988; `rainbow-lite` has all four, M. Hessel and others, "Rainbow", 2018, without the
distribution over returns and without noisy layers. Recurrent networks: `recurrent_dqn`.
Departures: Adam in place of RMSprop, and gradients are clipped by their norm; an episode that a time limit cuts is bootstrapped from
its last observation; the streams of a dueling network share all but their last layer, so that any network can duel.
Errata: the "clipped error" of 2015 clips the derivative of the squared error to [-1, 1], not the error: that is the Huber loss.
Letters: B batch, A actions, N environments, M numbers of a recurrent network's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces

from dl_nets.learning.export import FORMATS, Exportable
from rl_algos.parts.exploration import FORBIDDEN, RANDOM, explore_rows, rate_at
from rl_algos.parts.exported import LargestAction, Observations, Policy, PolicyWithMemory, exportable
from rl_algos.parts.losses import td_loss
from rl_algos.parts.masks import allowed_values, legal_at
from rl_algos.parts.normalisation import box_scale
from rl_algos.parts.players import MaskedPlayer, Player
from rl_algos.parts.returns import bootstrap_value, dueling_values, td_target
from rl_algos.parts.steps import steps_within, warm_up_warning
from rl_algos.q_learning.building import Update, build_networks, build_replay, require_countable
from rl_algos.q_learning.recurrent_dqn import RecurrentLearner
from rl_algos.q_learning.settings import DQNConfig as DQNConfig
from rl_algos.replay.buffer import Batch, MaskedBatch
from rl_core.agent import Agent
from rl_core.network import Network
from rl_core.task import ControlTask, Predict


class DQN(Agent):
    """An agent that acts with N environments, stores what happens, and learns from replayed transitions."""

    Config: ClassVar[type] = DQNConfig
    headline = "episode_return"
    export_formats: ClassVar[tuple[str, ...]] = FORMATS
    learned_fields = ("module", "target")
    state_fields: ClassVar[tuple[str, ...]] = ("module", "target", "optimiser", "replay", "visits", "state", "envs", "obs")
    config: DQNConfig
    task: ControlTask
    network: Network
    outputs_per_action: int = 1

    def setup(self) -> None:
        """Build the networks, the replay buffer and the environments, and choose how the networks learn."""
        config, task, seeds = self.config, self.task, self.seeds
        self.num_actions, self.first_action = require_countable(config, task)
        self.scale = box_scale(task.input_space) if config.scale_obs else None
        self.warm_up, self.explorer = steps_within(config.learning_starts, self.budget), config.explorer_within(self.budget)
        self.warnings += warm_up_warning(self.warm_up, self.budget)
        self.exploration, self.draws = seeds.numpy("exploration"), seeds.numpy("replay")

        self.nets = build_networks(config, task, self.architecture(), seeds.numpy("initialisation"), self.device, self.outputs_per_action)
        self.module, self.target, self.optimiser = self.nets.module, self.nets.target, self.nets.optimiser
        self.replay = build_replay(config, task, self.nets)
        self.update: Callable[[Any, np.ndarray], Update] = self.fast_update if self.nets.fast else self.torch_update
        self.values: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] = self.plain_values
        self.masks = "legal" in task.extras
        self.read: Callable[[np.ndarray], Any] = self.replay.read_masked if self.masks else self.replay.read
        if self.nets.state_size:
            learner = RecurrentLearner(self)
            self.update, self.values, self.read = learner.update, learner.values, learner.read
            if self.masks:
                self.warnings.append("a recurrent network takes none but allowed actions, and learns from the values of all of them")

        num_cells = int(task.input_space.n) if isinstance(task.input_space, spaces.Discrete) else 1
        self.visits = np.zeros((num_cells, self.num_actions), dtype=np.int64)
        self.state = np.zeros((config.num_envs, self.nets.state_size), np.float32)  # of a recurrent network, in each episode
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()

    def architecture(self) -> Any:
        """Return what builds the networks: the network that was named."""
        return self.network

    def step(self) -> dict[str, float]:
        """Run one round: some steps of N environments, then some gradient steps."""
        config, before = self.config, self.progress
        for _ in range(config.rollout_steps):
            self.act()
        if self.progress // config.target_steps > before // config.target_steps:
            self.move_target(config.target_rate)

        updates = []
        if self.progress > self.warm_up and self.replay.can_draw:
            updates = [self.learn() for _ in range(config.num_updates or self.progress - before)]
        metrics: dict[str, float] = {"updates": len(updates), "exploration_rate": float(rate_at(self.explorer, self.progress, 0))}
        if updates:
            metrics |= {"loss": float(np.mean([update.loss for update in updates]))}
            metrics |= {"value": float(np.mean([update.value for update in updates]))}
        return metrics | self.envs.episode_metrics()

    def act(self) -> None:
        """Take one step in every environment, by the rule that explores, and store it."""
        is_warm_up = self.progress < self.warm_up
        explorer = self.explorer._replace(rule=RANDOM) if is_warm_up else self.explorer
        if is_warm_up and not self.nets.state_size:  # no value is asked for
            values, state = np.zeros((len(self.obs), self.num_actions), np.float32), self.state
        else:
            values, state = self.values(self.obs, self.state)
        if self.masks:
            legal = self.envs.extras()["legal"]
            values = allowed_values(values, legal)
        cells = self.cells(self.obs)
        action = explore_rows(explorer, values, self.visits[cells], self.progress, self.exploration.random(len(values)))
        np.add.at(self.visits, (cells, action), 1)
        after = self.envs.step(action + self.first_action)
        self.replay.remember(self.state, state)
        self.replay.add(self.obs, action, after)
        if self.masks and not self.nets.state_size:
            self.replay.permit(legal, self.envs.final_extras()["legal"])
        self.obs, self.state = after.obs, np.where((after.terminated | after.truncated)[:, None], np.float32(0.0), state)
        self.starts = after.terminated | after.truncated
        self.progress += len(action)

    def cells(self, obs: np.ndarray) -> np.ndarray:
        """Return the row of `visits` of each observation [N]; 0 where observations are not numbered."""
        numbers: np.ndarray = obs - self.task.input_space.start if len(self.visits) > 1 else np.zeros(len(obs), dtype=np.int64)
        return numbers

    def learn(self) -> Update:
        """Take one gradient step on what is drawn from the replay buffer."""
        config, done = self.config, min(1.0, self.progress / self.budget)
        self.optimiser.learning_rate = config.learning_rate * (1.0 - done if config.learning_rate_schedule == "linear" else 1.0)
        correction = config.weight_exponent + (1 - config.weight_exponent) * done
        slots, weight = self.replay.draw(self.draws, config.batch_size, correction)
        update = self.update(self.read(slots), weight)
        self.replay.revalue(slots, update.td_error)
        return update

    def torch_update(self, batch: Batch | MaskedBatch, weight: np.ndarray) -> Update:
        """Take one gradient step on transitions [B], whose losses are weighted [B]."""
        obs, next_obs = self.tensor(self.inputs(batch.obs)), self.tensor(self.inputs(batch.next_obs))
        action, reward, discount, weights = map(self.tensor, (batch.action, batch.reward, batch.discount, weight))
        with torch.no_grad():
            q_target = self.q(self.target(next_obs))
            q_choice = self.q(self.module(next_obs)) if self.config.double else q_target
            if isinstance(batch, MaskedBatch):
                q_choice = q_choice.masked_fill(~self.tensor(batch.next_legal), FORBIDDEN)
            target = td_target(reward, discount, bootstrap_value(q_target, q_choice))
        value = self.q(self.module(obs)).gather(1, action[:, None]).squeeze(1)
        td_error = value - target
        loss = (weights * td_loss(td_error, self.config.loss)).mean()

        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step(self.config.max_grad_norm)
        return Update(loss.item(), value.mean().item(), td_error.detach().cpu().numpy())

    def fast_update(self, batch: Batch | MaskedBatch, weight: np.ndarray) -> Update:
        """Do what `torch_update` does, for a plain perceptron on the CPU: the same numbers, with the derivatives written out.

        d loss / d Q(s, a) is w delta / B, with delta clipped to [-1, 1] for Huber's loss. Of a dueling head V takes it whole, the
        advantage of a takes 1 - 1/A of it, and every other advantage -1/A.
        """
        assert self.nets.fast
        (online, target_net), rows, next_obs = self.nets.fast, np.arange(len(weight)), self.inputs(batch.next_obs)
        q_target = self.q(target_net.forward(next_obs))
        q_choice = self.q(online.forward(next_obs)) if self.config.double else q_target
        if isinstance(batch, MaskedBatch):
            q_choice = allowed_values(q_choice, batch.next_legal)
        target = batch.reward + batch.discount * q_target[rows, q_choice.argmax(axis=1)]
        head = online.forward(self.inputs(batch.obs))  # the last forward is the one that is differentiated
        value = self.q(head)[rows, batch.action]
        td_error = value - target
        clipped = td_error.clip(-1.0, 1.0) if self.config.loss == "huber" else td_error
        loss = float(weight @ (clipped * (td_error - 0.5 * clipped))) / len(weight)  # delta^2 / 2, or |delta| - 1/2 beyond 1

        slope, by_head = weight * clipped / np.float32(len(weight)), np.zeros_like(head)
        by_head[rows, batch.action + self.config.dueling] = slope
        if self.config.dueling:
            by_head[:, 0] = slope
            by_head[:, 1:] -= slope[:, None] / np.float32(self.num_actions)
        online.backward(by_head)
        self.optimiser.step_flat(self.config.max_grad_norm)
        return Update(loss, float(value.sum()) / len(value), td_error)

    def move_target(self, rate: float) -> None:
        """Move the target network towards the learning one: theta' <- theta' + tau (theta - theta')."""
        with torch.no_grad():
            self.nets.target_flat.vector.lerp_(self.optimiser.flat.vector, rate)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the actions of the largest values [B] at observations [B, ...]; of a recurrent network, at the start of episodes."""
        legal = legal_at(self.task, inputs) if self.masks else None
        return self.greedy(inputs, np.zeros((len(inputs), self.nets.state_size), np.float32), legal)[0]

    def predictor(self) -> Predict:
        """Return `predict`, or a player that carries a recurrent network's state through each episode, and which actions are allowed."""
        if self.masks:
            return MaskedPlayer(self.greedy, self.nets.state_size)
        return Player(self.greedy, self.nets.state_size) if self.nets.state_size else self.predict

    def greedy(self, obs: np.ndarray, state: np.ndarray, legal: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the allowed actions of the largest values [B] at observations [B, ...], and the states after states [B, M]."""
        values, state = self.values(obs, state)
        values = allowed_values(values, legal)
        return values.argmax(axis=1) + self.first_action, state

    def plain_values(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Q [B, A] at observations [B, ...], and the states [B, M] as they are: M is 0 here, see `RecurrentLearner`."""
        if self.nets.fast:
            return self.q(self.nets.fast[0].forward(self.inputs(obs))), state
        with torch.no_grad():
            return self.q(self.module(self.tensor(self.inputs(obs)))).cpu().numpy(), state

    def q(self, head: Any) -> Any:
        """Return Q [B, A] from a network's outputs [B, A], or [B, 1 + A] of a dueling one."""
        return dueling_values(head) if self.config.dueling else head

    def inputs(self, obs: np.ndarray) -> np.ndarray:
        """Return observations [B, ...] as the network reads them: stacked frames are the channels of an image, its last axis."""
        if obs.dtype == np.float64:
            obs = obs.astype(np.float32)
        if self.scale is not None:
            obs = (obs - self.scale[0]) / self.scale[1]
        axis = self.config.stack_axis
        return obs if axis is None else np.moveaxis(obs, 1 + axis, -1)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Return an array as a tensor on the networks' device."""
        return torch.from_numpy(array).to(self.nets.device)

    def exported(self) -> Exportable:
        """Return the greedy policy as a graph; its outputs are Q."""
        observations = Observations(scale=self.scale, stack_axis=self.config.stack_axis)
        kind = PolicyWithMemory if self.nets.state_size else Policy
        policy = kind(observations, self.module, LargestAction(self.first_action), self.q)
        return exportable(policy, self.task.input_space, self.nets.state_size)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.module.named_parameters()}
