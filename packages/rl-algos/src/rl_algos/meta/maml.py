"""MAML: first parameters of a policy from which a step or a few of its gradient on a new task give a good policy.

Source: C. Finn, P. Abbeel, S. Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", 2017, Algorithm 3; the outer
step by proximal policy optimisation as in J. Rothfuss, D. Lee, I. Clavera, T. Asfour, P. Abbeel, "ProMP: proximal meta-policy search",
2019, (8), without its inner penalty.
Departures: the inner loss is the plain -<ln pi(a|s) A>. Its derivative does not credit the parameters for what their data were, so that
the second derivative is biased (Rothfuss and others, section 4); the simple form is the published default. `outer` may be PPO, the
default, where the paper has TRPO. Deviations adapt like all other parameters. Actions of a bounded Box are scaled to [-1, 1], and the
first deviation is 1: with a small one the inner gradient, which grows with 1 / sigma, is too long for alpha. The Fisher matrix of trpo is
that of a share of the steps, which the step is then tested on all of.
Errata: none known. Letters: M tasks, R rows of a task, P parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.learning.export import FORMATS, Exportable, example
from dl_nets.learning.optimisers import Optimiser
from rl_algos.meta.action_heads import Head, features
from rl_algos.meta.episodes import Episodes, TaskBatch, play, task_batch
from rl_algos.meta.flat_policy import Activation, FlatPolicy
from rl_algos.meta.pictures import draw_adaptation, draw_paths
from rl_algos.on_policy.trpo import conjugate_gradient, largest_step
from rl_algos.parts.exported import action_layer, computed, vectors
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.family import Split, TaskFamily
from rl_core.seeds import Seeds

UPDATES = 3  # of an evaluation, at least


@configclass
class MAMLConfig:
    """Settings of MAML."""

    num_tasks: Annotated[Count, Doc("M, tasks of an iteration")] = 20
    episodes_per_task: Annotated[Count, Doc("episodes of a task before each update of its policy, and after the last one")] = 20
    max_steps: Annotated[Count, Doc("steps after which an episode is cut that the task does not end")] = 500
    inner_updates: Annotated[Count, Doc("steps of the inner gradient, each on new episodes")] = 1
    inner_rate: Annotated[Positive, Doc("alpha, step size of the inner gradient")] = 0.1
    order: Annotated[Literal["second", "first"], Doc("whether the outer gradient goes through the inner one, or takes it as constant")] = (
        "second"
    )
    outer: Annotated[Literal["ppo", "trpo", "vpg"], Doc("how first parameters move: clipped ratios, a trust region, or plain gradient")] = (
        "ppo"
    )
    outer_rate: Annotated[Positive, Doc("beta, step size of Adam for ppo and vpg")] = 1e-3
    outer_updates: Annotated[Count, Doc("outer steps on the episodes of an iteration; trpo and vpg take one")] = 5
    clip_range: Annotated[Positive, Doc("epsilon, ratios of ppo count only within 1 - epsilon to 1 + epsilon")] = 0.2
    target_kl: Annotated[Positive, Doc("delta of trpo: KL divergence of a step after the inner update, in nats")] = 0.01
    gradient_iterations: Annotated[Count, Doc("of the conjugate gradient of trpo")] = 10
    damping: Annotated[NonNegative, Doc("added to the diagonal of the Fisher matrix of trpo")] = 1e-5
    curvature_share: Annotated[float, Meta(gt=0, le=1), Doc("share of the steps that trpo computes its Fisher matrix from")] = 0.1
    backtracks: Annotated[Count, Doc("lengths that the line search of trpo tries")] = 15
    shrink: Annotated[Fraction, Doc("factor from one length to the next")] = 0.8
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    hidden_layers: Annotated[tuple[Count, ...], Doc("units of the hidden layers")] = (64, 64)
    activation: Annotated[Activation, Doc("between the layers")] = "tanh"
    log_std: Annotated[float, Doc("first ln sigma of real actions, any number")] = 0.0


class Trials(NamedTuple):
    """Data of an iteration.

    Attributes:
        before: Steps of the episodes before each inner update.
        after: Steps of the episodes after the last one.
        returns: Mean return of an episode after 0, 1, ... updates, of each task.
        num_steps: Environment steps taken.
    """

    before: Sequence[TaskBatch]
    after: TaskBatch
    returns: np.ndarray
    num_steps: int

    def thinned(self, stride: int) -> Trials:
        """Return the data with every `stride`-th step of each task alone."""
        return self._replace(before=[batch.thinned(stride) for batch in self.before], after=self.after.thinned(stride))


def inner_loss(policy: FlatPolicy, parameters: Tensor, batch: TaskBatch) -> Tensor:
    """Return -<ln pi(a|s) A> of each task [M], under parameters [M, P]."""
    log_prob = policy.log_prob(policy.head(parameters, batch.inputs), batch.action)
    return -(batch.weight * log_prob * batch.advantage).sum(dim=1)


def adapted(policy: FlatPolicy, first: Tensor, batches: Sequence[TaskBatch], rate: float, *, with_gradient: bool) -> Tensor:
    """Return the parameters of each task [M, P] after a step on each batch, from first parameters [P]: theta_i = theta - alpha grad L.

    Args:
        policy: The policy.
        first: theta [P].
        batches: Of the tasks before each step.
        rate: alpha.
        with_gradient: Whether the result can be differentiated through the gradients; else they count as constant (first order).
    """
    parameters = first.expand(len(batches[0].weight), -1)
    for batch in batches:
        with torch.enable_grad():
            here = parameters if parameters.requires_grad else parameters.detach().requires_grad_()
            loss = inner_loss(policy, here, batch).sum()  # no task's loss depends on another's parameters
            (gradient,) = torch.autograd.grad(loss, here, create_graph=with_gradient)
        parameters = parameters - rate * gradient
    return parameters


def surrogate(policy: FlatPolicy, parameters: Tensor, batch: TaskBatch, old: Tensor, clip_range: float | None) -> Tensor:
    """Return the outer loss, a scalar: minus the mean of ratio * A, clipped as by PPO if a range is given.

    Args:
        policy: The policy.
        parameters: After the inner update [M, P].
        batch: Steps of the episodes after it.
        old: ln pi(a|s) of the policies that played them [M, R].
        clip_range: epsilon, or `None`.
    """
    ratio = (policy.log_prob(policy.head(parameters, batch.inputs), batch.action) - old).exp()
    gain = ratio * batch.advantage
    if clip_range is not None:
        gain = torch.minimum(gain, ratio.clamp(1 - clip_range, 1 + clip_range) * batch.advantage)
    return -(batch.weight * gain).sum(dim=1).mean()


class MAML(Agent):
    """The agent: a policy's first parameters, learned by gradients through updates on tasks.

    Attributes:
        first: theta [P].
    """

    Config: ClassVar[type] = MAMLConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("first", "optimiser")
    config: MAMLConfig

    def setup(self) -> None:
        """Build the policy and its optimiser."""
        config = self.config
        if not isinstance(self.task, TaskFamily):
            raise ValueError(f"{type(self.task).__name__} is a single task; maml learns on a family, such as navigation-2d")
        self.family = self.task
        self.policy = FlatPolicy(self.task.input_space, self.task.output_space, config.hidden_layers, config.activation)
        self.first = nn.Parameter(torch.from_numpy(self.policy.first(self.seeds.numpy("initialisation"), config.log_std)))
        self.optimiser = Optimiser("adam", [self.first], learning_rate=config.outer_rate)
        self.noise = self.seeds.numpy("actions")
        self.path = f"torch: parameters of {config.num_tasks} tasks as one batch"

    def step(self) -> dict[str, float]:
        """Run one iteration: play tasks before and after the inner updates, then move the first parameters."""
        trials = self.play_tasks(self.config.num_tasks, self.seeds, self.noise, "train", self.config.inner_updates)
        metrics = self.trust_region(trials) if self.config.outer == "trpo" else self.gradient_steps(trials)
        self.progress += trials.num_steps
        mean = trials.returns.mean(axis=1)
        spread = {"log_std": float(self.first[-self.policy.actions.scale_size :].detach().mean())} if self.policy.actions.scale_size else {}
        return {"episode_return": float(mean[-1]), "return_before": float(mean[0]), **metrics, **spread}

    def play_tasks(self, num_tasks: int, seeds: Seeds, rng: np.random.Generator, split: Split, num_updates: int) -> Trials:
        """Return the data of tasks drawn now: episodes before each update and after the last one."""
        config = self.config
        envs = self.family.tasks(num_tasks, config.episodes_per_task, seeds, split)
        parameters = np.repeat(self.first.detach().numpy()[None], num_tasks, axis=0)
        before: list[TaskBatch] = []
        returns, num_steps = [], 0
        while True:
            episodes = play(envs, self.policy, parameters, rng, config.max_steps)
            batch = task_batch(episodes, num_tasks, config.discount)
            returns.append(episodes.returns(num_tasks))
            num_steps += episodes.reward.size
            if len(before) == num_updates:
                return Trials(before, batch, np.stack(returns), num_steps)
            before.append(batch)
            parameters = adapted(self.policy, self.first.detach(), before, config.inner_rate, with_gradient=False).numpy()

    def adapt(self, trials: Trials) -> Tensor:
        """Return the parameters of each task [M, P] after the inner updates, as a function of the first ones."""
        is_second = self.config.order == "second"
        return adapted(self.policy, self.first, trials.before, self.config.inner_rate, with_gradient=is_second)

    def gradient_steps(self, trials: Trials) -> dict[str, float]:
        """Move the first parameters by steps of Adam; return metrics of the first step and the divergence after the last."""
        config = self.config
        updates, clip = (config.outer_updates, config.clip_range) if config.outer == "ppo" else (1, None)
        old_head = old = None
        norm = 0.0
        for _ in range(updates):
            parameters = self.adapt(trials)
            if old is None:
                old_head, old = self._policy_after(trials, parameters)
            loss = surrogate(self.policy, parameters, trials.after, old, clip)
            (gradient,) = torch.autograd.grad(loss, self.first)
            norm = norm or float(gradient.norm())
            self.optimiser.flat.gradient.copy_(gradient)
            self.optimiser.step_flat()
        assert old_head is not None
        return {"gradient_norm": norm, "loss": float(loss.detach()), "kl": self._divergence(trials, old_head)}

    def trust_region(self, trials: Trials) -> dict[str, float]:
        """Move the first parameters by the largest natural step after whose inner update the policies are within `target_kl`."""
        config, first = self.config, self.first
        parameters = self.adapt(trials)
        old_head, old = self._policy_after(trials, parameters)
        loss = surrogate(self.policy, parameters, trials.after, old, None)
        (gradient,) = torch.autograd.grad(loss, first)
        few = trials.thinned(round(1.0 / config.curvature_share))
        here = self.adapt(few)
        divergence = self._mean_kl(few, self._policy_after(few, here)[0], here)
        (slope,) = torch.autograd.grad(divergence, first, create_graph=True)

        def damped(vector: np.ndarray) -> np.ndarray:
            direction = torch.from_numpy(np.asarray(vector, dtype=np.float32))
            (moved,) = torch.autograd.grad(slope @ direction, first, retain_graph=True)
            return (moved + config.damping * direction).numpy()

        direction = conjugate_gradient(damped, -gradient.numpy(), config.gradient_iterations)
        step = torch.from_numpy(largest_step(direction, damped(direction), config.target_kl))
        start, before = first.detach().clone(), float(loss.detach())
        for attempt in range(config.backtracks):
            with torch.no_grad():
                first.copy_(start + config.shrink**attempt * step)
            kl = self._divergence(trials, old_head)
            with torch.no_grad():
                gain = before - float(surrogate(self.policy, self._adapted_now(trials), trials.after, old, None))
            if gain > 0 and kl <= config.target_kl:
                break
        else:  # no length will do: stay
            with torch.no_grad():
                first.copy_(start)
            gain, kl, attempt = 0.0, 0.0, config.backtracks
        return {"gradient_norm": float(gradient.norm()), "gain": gain, "kl": kl, "backtracks": float(attempt)}

    def _policy_after(self, trials: Trials, parameters: Tensor) -> tuple[Head, Tensor]:
        """Return the policies that played after the inner updates: their heads and ln pi(a|s) [M, R], as constants."""
        with torch.no_grad():
            head = self.policy.head(parameters, trials.after.inputs)
            return head, self.policy.log_prob(head, trials.after.action)

    def _mean_kl(self, trials: Trials, old: Head, parameters: Tensor) -> Tensor:
        """Return the mean KL divergence of the policies after the inner updates, from those that played."""
        return (trials.after.weight * self.policy.kl(old, self.policy.head(parameters, trials.after.inputs))).sum(dim=1).mean()

    def _adapted_now(self, trials: Trials) -> Tensor:
        return adapted(self.policy, self.first.detach(), trials.before, self.config.inner_rate, with_gradient=False)

    def _divergence(self, trials: Trials, old: Head) -> float:
        with torch.no_grad():
            return float(self._mean_kl(trials, old, self._adapted_now(trials)))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, ...] at observations [B, ...], by the first parameters: before any update."""
        head = self.policy.array_head(self.first.detach().numpy()[None], features(self.task.input_space, np.asarray(inputs))[None])
        return self.policy.actions.to_env(self.policy.actions.greedy(head.values[0]))

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean return on test tasks after 0, 1, ... updates; "mean return" is that after `inner_updates`.

        `episodes` is the number of test tasks. Actions are drawn from the policy, as in training.
        """
        apart = seeds.apart("evaluation")
        trials = self.play_tasks(episodes, apart, apart.numpy("actions"), "test", max(UPDATES, self.config.inner_updates))
        mean = trials.returns.mean(axis=1)
        scores = {"mean return": float(mean[self.config.inner_updates])}
        scores |= {f"return after {number}": float(value) for number, value in enumerate(mean)}
        return {**scores, "deviation of tasks": float(trials.returns[self.config.inner_updates].std()), "tasks": float(episodes)}

    def exported(self) -> Exportable:
        """Return the policy as a graph, with the first parameters: as it is before it sees a task."""
        network, space, action = nn.ParameterDict({"first": self.first}), self.task.input_space, action_layer(self.policy.actions)

        def step(observations: Tensor) -> tuple[Tensor, ...]:
            head = self.policy.head(network["first"][None], vectors(space, observations)[None])
            values: Tensor = head.values[0]
            return action(values), values

        words = {
            "actions": "the most probable actions as the environment takes them, by the first parameters: before any update on a task",
            "outputs": "the policy's head there",
        }
        return computed(step, network, {"observations": example(space)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the first parameters."""
        return {"first": self.first.detach().numpy()}

    def draw(self, folder: Path) -> None:
        """Draw the return over the number of updates on test tasks, and paths before and after them where observations are points."""
        apart = self.seeds.apart("figures")
        trials = self.play_tasks(20, apart, apart.numpy("actions"), "test", max(UPDATES, self.config.inner_updates))
        draw_adaptation(trials.returns, folder, "gradient updates on the task")
        if self.task.input_space.shape == (2,):
            draw_paths(*self.paths(apart), folder)

    def paths(self, seeds: Seeds) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Return paths [T, 3, 2] before and after the updates on three test tasks, by name, and their goals where the tasks have some."""
        config, num_tasks = self.config, 3
        envs = self.family.tasks(num_tasks, config.episodes_per_task, seeds, "test")
        rng, before, found = seeds.numpy("paths"), [], {}
        parameters = np.repeat(self.first.detach().numpy()[None], num_tasks, axis=0)
        for number in range(config.inner_updates + 1):
            episodes: Episodes = play(envs, self.policy, parameters, rng, config.max_steps)
            path = np.where(episodes.counts[..., None], episodes.inputs, np.nan)
            found[f"after {number} update{'s' * (number > 1)}" if number else "before"] = path[:, :: config.episodes_per_task]
            before.append(task_batch(episodes, num_tasks, config.discount))
            parameters = adapted(self.policy, self.first.detach(), before, config.inner_rate, with_gradient=False).numpy()
        variation: Any = getattr(envs, "variation", None)
        return found, None if variation is None or variation.shape[1] != 2 else variation[:: config.episodes_per_task]
