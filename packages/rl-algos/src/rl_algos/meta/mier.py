"""MIER, model identification and experience relabelling: a model that adapts to a task by gradient steps on a small context vector.

The context describes the task to a policy that is learned off-policy. On tasks unlike those of training the model learns on, by plain
supervised learning, and relabels the experience of the training tasks, from which the policy is improved (see `relabelling`).
Source: R. Mendonca, X. Geng, C. Finn, S. Levine, "Meta-reinforcement learning robust to distributional shift via model identification
and experience relabeling", 2020, Algorithms 1 and 2.
Departures: see `context_agent` and `task_replay`. The first context is 0 and is not learned, as in the authors' code.
Errata: some course texts read the name as meta-learning of importance weights for off-policy learning. The published method has no
importance weights, and no publication of that reading is known; this is the published method.
Letters: M tasks, C transitions of a context, L numbers of a context vector phi, I of an observation, D of an action, T targets, B rows.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.export import example
from dl_nets.learning.optimisers import Optimiser
from rl_algos.meta.context_agent import ContextAgent, ContextConfig, Inference
from rl_algos.meta.relabelling import improved
from rl_algos.meta.task_replay import TaskReplay, plain
from rl_algos.model_based.perceptrons import Perceptrons, bounded, gaussian_loss
from rl_algos.parts.exported import vectors, zeros
from rl_core.config import Count, Doc, Positive, Whole, configclass
from rl_core.seeds import Seeds

LOG_VARIANCE = (-8.0, 2.0)  # of normalised targets
MAX_NORM = 10.0  # of inner and outer gradients


@configclass
class MIERConfig(ContextConfig):
    """Settings of MIER."""

    model_layers: Annotated[tuple[Count, ...], Doc("units of the hidden layers of the model")] = (64, 64)
    model_rate: Annotated[Positive, Doc("step size of Adam for the model")] = 1e-3
    inner_updates: Annotated[Count, Doc("gradient steps on the context vector")] = 2
    inner_rate: Annotated[Positive, Doc("alpha, their step size")] = 0.1
    relabel_updates: Annotated[Whole, Doc("of the policy on relabelled experience, for each test task of an evaluation; 0: none")] = 0
    relabel_tasks: Annotated[Count, Doc("test tasks that this is done for, at most")] = 5
    relabel_episodes: Annotated[Count, Doc("real episodes of each of these tasks")] = 10
    relabel_dynamics: Annotated[bool, Doc("whether next observations are predicted, too; else rewards alone are")] = False
    model_updates: Annotated[Count, Doc("most gradient steps of the model on the real episodes")] = 100

    def __post_init__(self) -> None:
        if self.relabel_dynamics and not self.next_obs:
            raise ValueError("relabel_dynamics is true, but with next_obs false the model predicts rewards only; set next_obs to true")


class TaskModel(torch.nn.Module):
    """A normal distribution of the change of the observation and of the reward, given observation, action and context vector.

    Where only the rewards of tasks differ, it is better one of the reward alone, as in the authors' code: dynamics that are known exactly
    have densities so high that the gradient of the context vector is that of their last errors.

    Args:
        replay: What knows the parts of transitions.
        num_latents: L.
        hidden: Units of the hidden layers.
        rng: Stream of the first weights.
        with_dynamics: Whether the change of the observation is predicted, too; T is then I + 1, else 1.
    """

    moments: Tensor
    ready: Tensor

    def __init__(
        self, replay: TaskReplay, num_latents: int, hidden: tuple[int, ...], rng: np.random.Generator, *, with_dynamics: bool = True
    ) -> None:
        super().__init__()
        self._replay, self.with_dynamics = replay, with_dynamics
        num_obs, num_actions = replay.sizes[:2]
        num_targets = 1 + num_obs * with_dynamics
        self.network = Perceptrons((num_obs + num_actions + num_latents, *hidden, 2 * num_targets), 1, rng)
        size = num_obs + num_actions + num_targets
        self.register_buffer("moments", torch.stack((torch.zeros(size), torch.ones(size))))
        self.register_buffer("ready", torch.zeros(1))
        self.num_inputs = num_obs + num_actions

    def known(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised inputs [..., I + D] and targets [..., T] of transitions [..., W]."""
        values = self._values(rows)
        standard = (values - self.moments[0]) / self.moments[1]
        return standard[..., : self.num_inputs], standard[..., self.num_inputs :]

    def _values(self, rows: Tensor) -> Tensor:
        parts = self._replay.split(rows)
        change = [parts.next_obs - parts.obs] if self.with_dynamics else []
        return torch.cat((parts.obs, parts.action, *change, parts.reward), dim=-1)

    def learn_moments(self, rows: Tensor) -> None:
        """Take mean and deviation of inputs and targets from transitions [..., W], once."""
        if not self.ready.item():
            values = self._values(rows).flatten(0, -2)
            self.moments.copy_(torch.stack((values.mean(dim=0), values.std(dim=0) + 1e-3)))
            self.ready.fill_(1.0)

    def forward(self, inputs: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and ln sigma^2 [M, B, T] of normalised targets, from inputs [M, B, I + D] and contexts [M, L]."""
        described = context[:, None].expand(-1, inputs.shape[1], -1)
        outputs = plain(self.network, torch.cat((inputs, described), dim=-1).flatten(0, 1))[0]
        mean, log_variance = outputs.reshape(*inputs.shape[:2], -1).chunk(2, dim=-1)
        low, high = (torch.tensor(bound) for bound in LOG_VARIANCE)
        return mean, bounded(log_variance, low, high)

    def loss(self, context: Tensor, rows: Tensor) -> Tensor:
        """Return J of each task [M], twice the mean negative log-likelihood of transitions [M, B, W] but for a constant."""
        inputs, targets = self.known(rows)
        mean, log_variance = self(inputs, context)
        return gaussian_loss(mean, log_variance, targets).mean(dim=(1, 2))

    def adapted(self, rows: Tensor, rates: list[float], *, with_gradient: bool = False) -> Tensor:
        """Return context vectors [M, L] after gradient steps of J on contexts [M, C, W], from 0: phi = phi - alpha grad J.

        Args:
            rows: Contexts.
            rates: alpha of each step.
            with_gradient: Whether the result can be differentiated by the model's parameters, through the steps.
        """
        size = self.network.sizes[0] - self.num_inputs
        with torch.enable_grad():
            context = torch.zeros(len(rows), size, requires_grad=True)
            for rate in rates:
                (gradient,) = torch.autograd.grad(self.loss(context, rows).sum(), context, create_graph=with_gradient)
                norm = gradient.norm(dim=1, keepdim=True)
                context = context - rate * gradient * (MAX_NORM / (norm + 1e-6)).clamp(max=1.0)
                if not with_gradient:
                    context = context.detach().requires_grad_()
        return context if with_gradient else context.detach()

    @torch.no_grad()
    def predicted(self, obs: Tensor, action: Tensor, context: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return next observations [B, I] and rewards [B, 1] of one task with a context [1, L]: means, or draws by noise [B, T].

        Without dynamics the observations are returned as they are.
        """
        mean, std = self.moments[0, : self.num_inputs], self.moments[1, : self.num_inputs]
        means, log_variance = self(((torch.cat((obs, action), dim=-1) - mean) / std)[None], context)
        drawn = means[0] if noise is None else means[0] + (0.5 * log_variance[0]).exp() * noise
        target = drawn * self.moments[1, self.num_inputs :] + self.moments[0, self.num_inputs :]
        return obs + target[:, :-1] if self.with_dynamics else obs, target[:, -1:]


class MIER(ContextAgent):
    """The agent: descriptions are context vectors that a model was adapted to.

    Attributes:
        model: The model.
    """

    Config: ClassVar[type] = MIERConfig
    config: MIERConfig
    state_fields = (*ContextAgent.state_fields, "model", "model_optimiser")

    def build(self) -> None:
        """Build the model and its optimiser."""
        config, rng = self.config, self.seeds.numpy("model")
        self.model = TaskModel(self.replay, config.num_latents, config.model_layers, rng, with_dynamics=config.next_obs)
        self.model_optimiser = Optimiser("adam", list(self.model.parameters()), learning_rate=self.config.model_rate)

    def inference(self) -> Inference:
        """Return the model given a description, whose gradient leads to the description: its distribution of what an action leads to."""
        model, space = self.model, self.task.input_space
        centre, unit = model.moments

        def predict(description: Tensor, context_observations: Tensor, context_actions: Tensor) -> tuple[Tensor, ...]:
            known = torch.cat((vectors(space, context_observations), context_actions), dim=1)
            mean, log_variance = model(((known - centre[: model.num_inputs]) / unit[: model.num_inputs])[:, None], description)
            target = mean[:, 0] * unit[model.num_inputs :] + centre[model.num_inputs :]
            deviation = (0.5 * log_variance[:, 0]).exp() * unit[model.num_inputs :]
            return target, deviation

        what = "the change of the observation and the reward" if model.with_dynamics else "the reward"
        words = {
            "predictions": f"means of {what} after context_actions, which are from -1 to 1, at context_observations, given the description",
            "deviations": "of these; the description of a task is found by gradient steps on it, against the likelihood of its transitions",
        }
        return Inference(predict, model, {"context_observations": example(space), "context_actions": zeros(self.num_actions)}, words)

    def prepare(self) -> None:
        """Take the moments of the first transitions."""
        self.model.learn_moments(torch.from_numpy(self.replay.rows[:, : len(self.replay)]))

    def rates(self) -> list[float]:
        """Return alpha of each inner step."""
        return [self.config.inner_rate] * self.config.inner_updates

    def infer(self, contexts: np.ndarray | None, num_tasks: int, rng: np.random.Generator) -> np.ndarray:
        """Return context vectors [M, L]: 0, or adapted to contexts [M, C, W]."""
        if contexts is None:
            return np.zeros((num_tasks, self.config.num_latents), dtype=np.float32)
        return self.model.adapted(torch.from_numpy(contexts), self.rates()).numpy()

    def update(self, contexts: np.ndarray, rows: np.ndarray, noise: Tensor) -> dict[str, float]:
        """Move the model by the loss after its inner steps, then critics and policy, for which context vectors are constants."""
        config, batch = self.config, self.rows(rows)
        context = self.model.adapted(torch.from_numpy(contexts), self.rates(), with_gradient=True)
        model_loss = self.model.loss(context, torch.from_numpy(rows)).mean()
        self.model_optimiser.zero_grad()
        model_loss.backward(inputs=self.model_optimiser.flat.parameters)
        self.model_optimiser.step(MAX_NORM)

        latent = context.detach().repeat_interleave(rows.shape[1], dim=0)
        loss = self.sac.critic_loss(batch, latent, noise[0], config.discount, config.temperature)
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        actor_loss = self.sac.actor_loss(batch.obs, latent, noise[1], config.temperature)
        self.actor_optimiser.zero_grad()
        actor_loss.backward(inputs=self.actor_optimiser.flat.parameters)
        self.actor_optimiser.step()
        return {"value_loss": loss.item(), "policy_loss": actor_loss.item(), "model_loss": model_loss.item()}

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of `ContextAgent.evaluate`, and the share of test tasks on which the inner steps lowered the held-out loss.

        With `relabel_updates` also the return after relabelling, on a few of the tasks, with the model's error of the rewards.
        """
        apart = seeds.apart("evaluation")
        scores = super().evaluate(episodes=episodes, seeds=seeds)
        _, found, _, _ = self.trajectories(episodes, apart)
        context = self.model.adapted(torch.from_numpy(np.concatenate(found[:2], axis=1)), self.rates())
        held_out = torch.from_numpy(np.concatenate(found[2:], axis=1))
        with torch.no_grad():
            better = self.model.loss(context, held_out) < self.model.loss(torch.zeros_like(context), held_out)
        scores["share of tasks with a lower loss"] = float(better.float().mean())
        if self.config.relabel_updates:
            scores |= improved(self, min(episodes, self.config.relabel_tasks), apart)
        return scores

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return super().parameters() | {f"model.{name}": value.detach().numpy() for name, value in self.model.named_parameters()}
