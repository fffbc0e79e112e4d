"""The base of agents that describe a task by a vector which they infer from transitions, and learn off-policy given it.

Source: K. Rakelly and others, "Efficient off-policy meta-reinforcement learning via probabilistic context variables", 2019, Algorithms
1 and 2. Departures: an iteration plays all training tasks at once, few episodes of each, where the authors play long in a few of them;
contexts are the first episodes of a newest trial, as a test begins, where the authors' are transitions that were played without a
description: an encoder of those alone did not know what to make of the second episode of a test.
Letters: M tasks, N environments, C transitions of a context, L numbers of a description, B rows, W numbers of a transition.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.export import FORMATS, Exportable, example
from rl_algos.continuous.bounded_actions import BoundedAction, BoundedActions
from rl_algos.meta.action_heads import features, num_features
from rl_algos.meta.pictures import draw_adaptation, draw_paths
from rl_algos.meta.task_replay import Rows, TaskReplay, TaskSAC
from rl_algos.parts.exported import computed, vectors, zeros
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.envs import Envs
from rl_core.family import TaskFamily
from rl_core.seeds import Seeds

EPISODES = 4  # of an evaluation: the first knows nothing of the task


@configclass
class ContextConfig:
    """Settings of collecting, of descriptions and of the actor-critic; the config of an agent extends this one."""

    num_tasks: Annotated[Count, Doc("M, training tasks")] = 80
    max_steps: Annotated[Count, Doc("steps of an episode, longer ones are cut")] = 200
    trial_episodes: Annotated[Count, Doc("episodes of each task in an iteration: one without a description, then with it")] = 3
    capacity: Annotated[Count, Doc("newest transitions of each task that are replayed")] = 10_000
    context_trials: Annotated[Count, Doc("newest iterations whose episodes contexts are drawn from")] = 3
    context_size: Annotated[Count, Doc("C, transitions of a context")] = 32
    num_latents: Annotated[Count, Doc("L, numbers of a description")] = 5
    num_updates: Annotated[Count, Doc("gradient steps of an iteration")] = 100
    batch_tasks: Annotated[Count, Doc("tasks of a gradient step")] = 16
    batch_size: Annotated[Count, Doc("transitions of each of them")] = 64
    hidden_layers: Annotated[tuple[Count, ...], Doc("units of the hidden layers of policy and critics")] = (64, 64)
    learning_rate: Annotated[Positive, Doc("step size of Adam")] = 1e-3
    final_rate: Annotated[Fraction, Doc("share of the learning rate that is left at the end of the budget; it goes down linearly")] = 0.1
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.95
    temperature: Annotated[Positive, Doc("alpha, reward of a nat of entropy: 1 / the reward scale of other texts")] = 0.01
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, step of the slow critics towards the critics")] = 0.01
    next_obs: Annotated[bool, Doc("whether next observations say something of the task: false where only rewards differ")] = True
    latent_penalty: Annotated[NonNegative, Doc("beta, weight of the divergence of descriptions from their prior; of pearl only")] = 1e-5


class Inference(NamedTuple):
    """The part of a graph that reads a transition, beside the one that acts.

    Attributes:
        function: From the description [B, L] and further inputs by name to a tuple of tensors [B, ...].
        network: Modules whose weights it has.
        inputs: An example of each further input.
        words: What each output is.
    """

    function: Callable[..., tuple[Tensor, ...]]
    network: torch.nn.Module
    inputs: Mapping[str, Tensor]
    words: Mapping[str, str]


class ContextAgent(Agent):
    """The loop: play every training task without and with a description, then learn from what all tasks have replayed.

    Attributes:
        replay: Transitions of each training task.
        trials: The newest ones in the order of play: contexts are drawn from the first episodes of a trial.
        sac: Policy and critics.
    """

    headline = "episode_return"
    export_formats = FORMATS
    state_fields: ClassVar[tuple[str, ...]] = ("replay", "trials", "sac", "actor_optimiser", "critic_optimiser")
    config: Any

    @abstractmethod
    def infer(self, contexts: np.ndarray | None, num_tasks: int, rng: np.random.Generator) -> np.ndarray:
        """Return descriptions to act with [M, L], from contexts [M, C, W], or without any."""

    @abstractmethod
    def update(self, contexts: np.ndarray, rows: np.ndarray, noise: Tensor) -> dict[str, float]:
        """Take one gradient step of all parts; return metrics.

        Args:
            contexts: Of the tasks of a minibatch [M, C, W].
            rows: Their transitions [M, B, W].
            noise: Standard normal numbers for next actions and actions [2, M B, D].
        """

    @abstractmethod
    def inference(self) -> Inference:
        """Return what a graph computes of a transition, for descriptions to be inferred by."""

    def learned(self) -> list[torch.nn.Module]:
        """Return the modules that the critics' optimiser moves besides; none by default."""
        return []

    def setup(self) -> None:
        """Build the training tasks, the networks, their optimisers and the replayed transitions."""
        config, seeds = self.config, self.seeds
        if not isinstance(self.task, TaskFamily):
            raise ValueError(f"{type(self.task).__name__} is a single task; an agent that learns to learn needs a family: point-robot")
        self.family = self.task
        self.actions = BoundedActions(self.task.output_space)
        self.num_obs, self.num_actions = num_features(self.task.input_space), self.actions.num_dimensions
        self.length = min(config.max_steps, int(getattr(self.task, "time_limit", config.max_steps)))
        self.envs = self.family.tasks(config.num_tasks, 1, seeds.child("training tasks"), "train")
        sizes = (config.num_tasks, config.capacity, self.num_obs, self.num_actions)
        self.replay = TaskReplay(*sizes)
        self.trials = TaskReplay(sizes[0], config.context_trials * config.trial_episodes * self.length, *sizes[2:])
        self.sac = TaskSAC(self.num_obs, self.num_actions, config.num_latents, config.hidden_layers, seeds.numpy("initialisation"))
        self.noise, self.latents, self.draws = seeds.numpy("actions"), seeds.numpy("descriptions"), seeds.numpy("minibatches")
        self.build()
        self.actor_optimiser, self.critic_optimiser = self.sac.optimisers(config.learning_rate, *self.learned())
        self.path = f"torch: {config.num_tasks} tasks stepped at once"

    @abstractmethod
    def build(self) -> None:
        """Build the networks that infer descriptions."""

    def step(self) -> dict[str, float]:
        """Run one iteration: episodes without and with a description in every training task, then gradient steps."""
        config, returns = self.config, []
        found: list[np.ndarray] = []
        for _ in range(config.trial_episodes):
            latent = self.infer(np.concatenate(found, axis=1) if found else None, config.num_tasks, self.latents)
            rows, total = self.play(self.envs, latent, self.noise)
            self.replay.add(rows[:, -config.capacity :])
            found.append(rows)
            returns.append(float(total.mean()))
        self.trials.add(np.concatenate(found, axis=1))
        self.progress += config.trial_episodes * config.num_tasks * self.length
        self.prepare()
        left = max(0.0, 1.0 - self.progress / self.budget)
        for optimiser in (self.actor_optimiser, self.critic_optimiser):
            optimiser.learning_rate = config.learning_rate * (config.final_rate + (1.0 - config.final_rate) * left)
        metrics = []
        for _ in range(config.num_updates):
            tasks = self.draws.permutation(config.num_tasks)[: config.batch_tasks]
            rows = self.replay.sample_of(tasks, config.batch_size, self.draws)
            shape = (2, rows.shape[0] * rows.shape[1], self.num_actions)
            noise = torch.from_numpy(self.draws.standard_normal(shape, dtype=np.float32))
            metrics.append(self.update(self.contexts(tasks), rows, noise))
            self.sac.follow(config.target_rate)
        means = {name: float(np.mean([row[name] for row in metrics])) for name in metrics[0]}
        return {"episode_return": returns[-1], "return_before": returns[0], **means}

    def prepare(self) -> None:
        """Look at the replayed transitions before the gradient steps of an iteration; nothing by default."""

    def contexts(self, tasks: np.ndarray) -> np.ndarray:
        """Return contexts [M, C, W] of training tasks [M]: for each, transitions of the first episodes, one or more, of a newest trial."""
        config, size = self.config, self.config.trial_episodes * self.length
        trial = self.draws.integers(len(self.trials) // size, size=(len(tasks), 1))
        seen = self.draws.integers(1, config.trial_episodes + 1, size=(len(tasks), 1)) * self.length
        places = trial * size + self.draws.integers(seen, size=(len(tasks), config.context_size))
        drawn: np.ndarray = self.trials.rows[tasks[:, None], places]
        return drawn

    @torch.no_grad()
    def play(self, envs: Envs, latent: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the transitions [N, T, W] and the returns [N] of T steps of each environment from a new episode on.

        Where an episode ends before, another one follows; the return is that of the first.

        Args:
            envs: N environments.
            latent: Description of the task of each [N, L].
            rng: Stream of the actions; `None` for the most probable ones.
        """
        obs, described = features(envs.input_space, envs.restart()), torch.from_numpy(latent)
        rows, total, running = [], np.zeros(envs.num_envs), np.ones(envs.num_envs, dtype=np.bool_)
        for _ in range(self.length):
            mean, log_std = self.sac.head(torch.from_numpy(obs), described).numpy().reshape(len(obs), 2, -1).swapaxes(0, 1)
            noise = 0.0 if rng is None else np.exp(log_std.clip(-20.0, 2.0)) * rng.standard_normal(mean.shape, dtype=np.float32)
            action = np.tanh(mean + noise)
            after = envs.step(self.actions.to_env(action))
            final = features(envs.input_space, after.final_obs)
            rows.append(np.concatenate((obs, action, after.reward[:, None], final, after.terminated[:, None]), axis=1, dtype=np.float32))
            total += after.reward * running
            running &= ~(after.terminated | after.truncated)
            obs = features(envs.input_space, after.obs)
        envs.pop_episodes()
        return np.stack(rows, axis=1), total

    def trajectories(self, num_tasks: int, seeds: Seeds) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, Envs]:
        """Play new test tasks: the first episode without a description, then each with one inferred from all before it.

        Returns:
            Returns [EPISODES, M], the transitions of each episode [M, T, W], the last descriptions [M, L], and the environments.
        """
        envs, rng = self.family.tasks(num_tasks, 1, seeds, "test"), seeds.numpy("descriptions")
        returns, found = [], []
        latent = self.infer(None, num_tasks, rng)
        for _ in range(EPISODES):
            rows, total = self.play(envs, latent, None)
            returns.append(total)
            found.append(rows)
            latent = self.infer(np.concatenate(found, axis=1), num_tasks, rng)
        return np.stack(returns), found, latent, envs

    def rows(self, rows: np.ndarray) -> Rows:
        """Return the parts of transitions [M, B, W] as tensors [M B, ...]."""
        return self.replay.split(torch.from_numpy(rows.reshape(-1, rows.shape[-1])))

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean return on test tasks after 0, 1, 2 and 3 episodes; "mean return" is that of the third: after two.

        `episodes` is the number of test tasks. Actions are the most probable ones.
        """
        returns, *_ = self.trajectories(episodes, seeds.apart("evaluation"))
        scores = {"mean return": float(returns[2].mean())}
        scores |= {f"return after {number}": float(value) for number, value in enumerate(returns.mean(axis=1))}
        return {**scores, "deviation of tasks": float(returns[2].std()), "tasks": float(episodes)}

    @torch.no_grad()
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, ...] at observations [B, ...] with the description 0, the middle of the prior."""
        obs = features(self.task.input_space, np.asarray(inputs))
        head = self.sac.head(torch.from_numpy(obs), torch.zeros(len(obs), self.config.num_latents)).numpy()
        return self.actions.to_env(np.tanh(head[:, : self.num_actions]))

    def exported(self) -> Exportable:
        """Return the policy given a description as a graph, and beside it what descriptions are inferred by."""
        space, bounded, further = self.task.input_space, BoundedAction(self.actions), self.inference()

        def step(observations: Tensor, description: Tensor, **context: Tensor) -> tuple[Tensor, ...]:
            head = self.sac.head(vectors(space, observations), description)
            return bounded(head), head, *further.function(description, **context)

        words = {
            "actions": "the most probable actions as the environment takes them, given the description; 0 is what is known of a new task",
            "outputs": "means before tanh, and ln of the deviations around them",
            **further.words,
        }
        inputs = {"observations": example(space), "description": zeros(self.config.num_latents), **further.inputs}
        return computed(step, torch.nn.ModuleDict({"policy": self.sac.actor, "inference": further.network}), inputs, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        modules = {"sac": self.sac, **{f"inference{number or ''}": module for number, module in enumerate(self.learned())}}
        return {
            f"{name}.{path}": value.detach().numpy()
            for name, module in modules.items()
            for path, value in module.named_parameters()
            if value.requires_grad
        }

    def draw(self, folder: Path) -> None:
        """Draw the return over the episodes on test tasks, and paths of the first and the third where observations are points."""
        returns, *_ = self.trajectories(20, self.seeds.apart("figures"))
        draw_adaptation(returns, folder, "episodes of the task seen before")
        if self.task.input_space.shape == (2,):
            _, few, _, envs = self.trajectories(3, self.seeds.apart("paths"))
            paths = {name: few[number][:, :, :2].swapaxes(0, 1) for number, name in ((0, "first episode"), (2, "third episode"))}
            goals = getattr(envs, "variation", None)
            draw_paths(paths, goals if goals is not None and goals.shape[1] == 2 else None, folder)
