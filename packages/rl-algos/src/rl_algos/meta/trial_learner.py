"""The base of agents with a memory of a trial: proximal policy optimisation over whole trials.

Source: Y. Duan and others, "RL^2", 2016, section 2.3, with PPO of J. Schulman and others, 2017, (7), in place of TRPO.
Departures: minibatches are whole trials, computed from their beginning with the parameters of now; the critic's values are in units of
the sum of the discounts of a trial, so that one learning rate suits trials of any length.
Letters: T steps of a trial, N trials, B trials of a minibatch, I inputs, E episodes of a trial.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.learning.export import FORMATS, Exportable, example
from dl_nets.learning.optimisers import Optimiser
from rl_algos.meta.action_heads import ActionHeads, Head, features, num_features
from rl_algos.meta.pictures import draw_adaptation, draw_rewards
from rl_algos.meta.trials import Trials, play, trial_advantages, trial_size
from rl_algos.parts.exported import action_layer, computed, vectors, zeros
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.envs import Envs
from rl_core.family import TaskFamily
from rl_core.seeds import Seeds


@configclass
class TrialConfig:
    """Settings of learning from trials; the config of an agent extends this one."""

    num_trials: Annotated[Count, Doc("N, trials of an iteration, each in a task of its own")] = 1_000
    max_steps: Annotated[Count, Doc("steps after which a trial is cut that the task does not end")] = 1_000
    trial_episodes: Annotated[Count | None, Doc("episodes of a trial; none: what the task says, or 2")] = None
    num_epochs: Annotated[Count, Doc("passes over the trials of an iteration")] = 4
    batch_trials: Annotated[Count, Doc("B, trials of a minibatch")] = 250
    learning_rate: Annotated[Positive, Doc("step size of Adam")] = 1e-3
    final_rate: Annotated[Fraction, Doc("share of the learning rate that is left at the end of the budget; it goes down linearly")] = 0.1
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.3
    clip_range: Annotated[Positive, Doc("epsilon, ratios count only within 1 - epsilon to 1 + epsilon")] = 0.2
    entropy_weight: Annotated[NonNegative, Doc("reward of a nat of entropy; it goes down linearly to 0")] = 0.01
    value_weight: Annotated[NonNegative, Doc("of the critic's loss")] = 0.5
    max_gradient_norm: Annotated[Positive, Doc("a longer gradient is shortened to it")] = 1.0
    log_std: Annotated[float, Doc("first ln sigma of real actions, any number")] = 0.0


class MemoryModule(nn.Module):
    """A policy and its critic with a memory; see `rl_algos.meta.trials.Memory`. A graph has the memory as one array [N, S].

    Args:
        heads: Distribution of actions.
        log_std: First ln sigma.
        unit: Sum of the discounts of a trial, the unit of the values.
    """

    def __init__(self, heads: ActionHeads, log_std: float, unit: float) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.full((heads.actions.scale_size,), log_std)) if heads.actions.scale_size else None
        self.unit = unit

    @property
    def log_std(self) -> Tensor:
        """The ln sigma of real actions [D]."""
        return torch.zeros(0) if self.sigma is None else self.sigma

    @property
    @abstractmethod
    def state_size(self) -> int:
        """S, numbers of the memory as one array."""

    @abstractmethod
    def stepped(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return heads [N, K], values [N] and the next memory [N, S], of inputs [N, I] and a memory that is 0 where a trial begins."""


class TrialLearner(Agent):
    """The loop: play trials in tasks drawn anew, then move policy and critic by PPO over whole trials.

    Attributes:
        memory: Policy and critic.
        num_episodes: E.
    """

    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("memory", "optimiser")
    config: Any

    @abstractmethod
    def build(self, size: int, heads: ActionHeads, unit: float, rng: np.random.Generator) -> Any:
        """Return policy and critic for inputs [.., I] of this size; see `MemoryModule`."""

    def setup(self) -> None:
        """Build policy, critic and optimiser."""
        config = self.config
        if not isinstance(self.task, TaskFamily):
            raise ValueError(f"{type(self.task).__name__} is a single task; an agent that learns to learn needs a family: navigation-2d")
        self.family = self.task
        self.num_episodes = config.trial_episodes or int(getattr(self.task.config, "trial_episodes", 2))
        length = min(config.max_steps, self.num_episodes * int(getattr(self.task, "time_limit", config.max_steps)))
        unit = float((config.discount ** np.arange(length)).sum())
        self.heads = ActionHeads(self.task.output_space)
        size = trial_size(self.task.input_space, self.task.output_space)
        self.memory = self.build(size, self.heads, unit, self.seeds.numpy("initialisation"))
        self.optimiser = Optimiser("adam", list(self.memory.parameters()), learning_rate=config.learning_rate)
        self.noise, self.shuffle = self.seeds.numpy("actions"), self.seeds.numpy("minibatches")

    def step(self) -> dict[str, float]:
        """Run one iteration: trials, advantages over them, then several passes of PPO."""
        config = self.config
        left = max(0.0, 1.0 - self.progress / self.budget)
        self.optimiser.learning_rate = config.learning_rate * (config.final_rate + (1.0 - config.final_rate) * left)
        trials = self.play(self.family.tasks(config.num_trials, 1, self.seeds, "train"), self.noise)
        advantage = trial_advantages(trials, config.discount, config.gae_lambda)
        target = advantage + trials.value
        mean, std = advantage[trials.counts].mean(), advantage[trials.counts].std()
        advantage = (advantage - mean) / (std + 1e-8)
        metrics = [
            self.update(trials, advantage, target, rows, config.entropy_weight * left)
            for _ in range(config.num_epochs)
            for rows in np.array_split(self.shuffle.permutation(config.num_trials), max(1, config.num_trials // config.batch_trials))
        ]
        self.progress += trials.reward.size
        returns = trials.returns(self.num_episodes)
        names = ("policy_loss", "value_loss", "entropy", "kl")
        losses = dict(zip(names, np.mean(metrics, axis=0).tolist(), strict=True))
        return {"episode_return": float(returns.mean()), "trial_return": float(returns.sum(axis=0).mean()), **losses}

    def play(self, envs: Envs, rng: np.random.Generator) -> Trials:
        """Return a trial of each environment."""
        return play(envs, self.memory, self.heads, rng, self.num_episodes, self.config.max_steps)

    def update(
        self, trials: Trials, advantage: np.ndarray, target: np.ndarray, rows: np.ndarray, entropy_weight: float
    ) -> tuple[float, float, float, float]:
        """Take a gradient step on trials [B]; return losses of policy and critic, entropy, and an estimate of the KL divergence."""
        config = self.config
        columns = (trials.inputs, trials.action, advantage, target, trials.log_prob, trials.counts.astype(np.float32))
        inputs, action, gain, goal, old, counts = (torch.from_numpy(column[:, rows]) for column in columns)
        weight = counts / counts.sum()
        values, value = self.memory(inputs)
        head = Head(values, self.memory.log_std[None, None])
        log_prob = self.heads.log_prob(head, action)
        ratio = (log_prob - old).exp()
        clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
        policy_loss = -(weight * torch.minimum(ratio * gain, clipped * gain)).sum()  # (7)
        value_loss = (weight * ((value - goal) / self.memory.unit) ** 2).sum()
        entropy = (weight * self.heads.entropy(head)).sum()
        self.optimiser.zero_grad()
        (policy_loss + config.value_weight * value_loss - entropy_weight * entropy).backward()
        self.optimiser.step(config.max_gradient_norm)
        kl = (weight * (old - log_prob)).sum()
        return policy_loss.item(), value_loss.item(), entropy.item(), kl.item()

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, ...] at observations [B, ...] with which trials begin."""
        obs = features(self.task.input_space, np.asarray(inputs))
        rest = np.zeros((len(obs), trial_size(self.task.input_space, self.task.output_space) - obs.shape[1]), dtype=np.float32)
        rest[:, -1] = 1.0
        with torch.no_grad():
            values, _, _ = self.memory.advance(torch.from_numpy(np.concatenate((obs, rest), axis=1)), self.memory.begin(len(obs), 1))
        return self.heads.actions.to_env(self.heads.actions.greedy(values.numpy()))

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean return of an episode of trials on test tasks, that of each episode, and that of a whole trial.

        `episodes` is the number of trials, each in a task of its own. Actions are drawn from the policy, as in training.
        """
        apart = seeds.apart("evaluation")
        returns = self.play(self.family.tasks(episodes, 1, apart, "test"), apart.numpy("actions")).returns(self.num_episodes)
        scores = {"mean return": float(returns.mean()), "trial return": float(returns.sum(axis=0).mean())}
        scores |= {f"return after {number}": float(value) for number, value in enumerate(returns.mean(axis=1))}
        return {**scores, "deviation of tasks": float(returns.mean(axis=0).std()), "tasks": float(episodes)}

    def exported(self) -> Exportable:
        """Return one step of a trial as a graph."""
        space, action, log_std = self.task.input_space, action_layer(self.heads.actions), self.memory.log_std

        def step(observations: Tensor, last_action: Tensor, last_reward: Tensor, begins: Tensor, state: Tensor) -> tuple[Tensor, ...]:
            seen = (vectors(space, observations), last_action, last_reward[:, None], begins[:, None])
            head, value, after = self.memory.stepped(torch.cat(seen, dim=1), state)
            spread = (log_std.expand(head.shape[0], -1),) if self.heads.actions.scale_size else ()
            return action(head), head, *spread, value, after

        spread = {"log_std": "ln of the deviations around these means"} if self.heads.actions.scale_size else {}
        words = {
            "actions": "the most probable actions as the environment takes them; the agent draws from the distribution",
            "outputs": "logits of the actions" if self.heads.is_discrete else "means of the actions, as last_action takes them",
            **spread,
            "values": "the critic's expectation of the discounted rewards to come in this trial",
            "next_state": "the memory to give as state with the next observations; 0 where a trial begins, not where an episode does",
        }
        size = trial_size(space, self.task.output_space) - num_features(space) - 2
        inputs = {"observations": example(space), "last_action": zeros(size), "last_reward": zeros(), "begins": zeros()}
        return computed(step, self.memory, {**inputs, "state": zeros(self.memory.state_size)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().numpy() for name, value in self.memory.named_parameters()}

    def draw(self, folder: Path) -> None:
        """Draw the return over the episodes of a trial on test tasks, and the reward over its steps."""
        apart = self.seeds.apart("figures")
        trials = self.play(self.family.tasks(500, 1, apart, "test"), apart.numpy("actions"))
        if self.num_episodes > 1:
            draw_adaptation(trials.returns(self.num_episodes), folder, "episodes of the task seen before")
        draw_rewards(trials.reward, trials.counts, folder)
