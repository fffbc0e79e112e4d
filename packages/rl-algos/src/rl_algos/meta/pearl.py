"""PEARL: infer a distribution over descriptions of the task from transitions, act with a draw of it, and learn off-policy.

Source: K. Rakelly, A. Zhou, D. Quillen, C. Finn, S. Levine, "Efficient off-policy meta-reinforcement learning via probabilistic context
variables", 2019, sections 4 and 5.
Departures: see `context_agent` and `task_replay`. Rewards are not scaled: their scale s is the temperature 1 / s. The divergence is
summed over the tasks of a step, as in the authors' code, while the critics' loss is a mean.
Errata: none known.
Letters: M tasks, C transitions of a context, L numbers of a description.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from dl_nets.learning.export import example
from rl_algos.meta.context_agent import ContextAgent, ContextConfig, Inference
from rl_algos.meta.task_replay import perceptron
from rl_algos.parts.exported import vectors, zeros
from rl_core.config import Count, Doc, configclass

LEAST_VARIANCE = 1e-7


@configclass
class PEARLConfig(ContextConfig):
    """Settings of PEARL."""

    encoder_layers: Annotated[tuple[Count, ...], Doc("units of the hidden layers of the encoder")] = (64, 64)


def product_of_gaussians(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance [M, L] of the product of normal densities [M, C, L]. (2)

    1 / var = sum_n 1 / var_n, and mean / var = sum_n mean_n / var_n.

    >>> product_of_gaussians(torch.tensor([[[0.0], [3.0]]]), torch.tensor([[[1.0], [0.5]]]))
    (tensor([[2.]]), tensor([[0.3333]]))
    """
    precision = 1.0 / variance.clamp(min=LEAST_VARIANCE)
    total = 1.0 / precision.sum(dim=1)
    return total * (mean * precision).sum(dim=1), total


def divergence(mean: Tensor, variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) in nats of each task [M], from [M, L].

    >>> divergence(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([0.5000])
    """
    return 0.5 * (variance + mean**2 - 1.0 - variance.log()).sum(dim=1)


class PEARL(ContextAgent):
    """The agent: an encoder of transitions, whose factors multiply to a normal distribution of descriptions.

    Attributes:
        encoder: Transitions to means and deviations of their factors.
    """

    Config: ClassVar[type] = PEARLConfig
    config: PEARLConfig
    state_fields = (*ContextAgent.state_fields, "encoder")

    def build(self) -> None:
        """Build the encoder."""
        size = self.num_obs * (1 + self.config.next_obs) + self.num_actions + 1
        self.encoder = perceptron(size, self.config.encoder_layers, 2 * self.config.num_latents, self.seeds.numpy("encoder"))

    def learned(self) -> list[torch.nn.Module]:
        """Return the encoder: the critics' loss moves it."""
        return [self.encoder]

    def inference(self) -> Inference:
        """Return the encoder as it takes in one transition: evidence is the sums of precisions and of means by precisions. (2)"""
        space = self.task.input_space

        def take_in(
            description: Tensor,
            evidence: Tensor,
            context_observations: Tensor,
            context_actions: Tensor,
            context_rewards: Tensor,
            **then: Tensor,
        ) -> tuple[Tensor, ...]:
            known = [vectors(space, context_observations), context_actions, context_rewards[:, None]]
            known += [vectors(space, obs) for obs in then.values()]
            mean, spread = self.encoder(torch.cat(known, dim=1)).chunk(2, dim=1)
            precision = 1.0 / softplus(spread).clamp(min=LEAST_VARIANCE)
            gathered = evidence + torch.cat((precision, precision * mean), dim=1)
            total, weighted = gathered.chunk(2, dim=1)
            return gathered, weighted / total, total.rsqrt()

        then = {"context_next_observations": example(space)} if self.config.next_obs else {}
        inputs = {
            "evidence": zeros(2 * self.config.num_latents),
            "context_actions": zeros(self.num_actions),
            "context_rewards": zeros(),
            "context_observations": example(space),
        }
        words = {
            "next_evidence": "to give as evidence with the next transition; 0 before a task's first; context_actions are from -1 to 1",
            "mean": "mean of the normal distribution that the description is drawn from, given the evidence with this transition",
            "deviation": "its deviation",
        }
        return Inference(take_in, self.encoder, {**inputs, **then}, words)

    def posterior(self, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance [M, L] of q(z|c), from contexts [M, C, W]."""
        parts = self.replay.split(contexts)
        known = torch.cat((parts.obs, parts.action, parts.reward, *([parts.next_obs] if self.config.next_obs else [])), dim=-1)
        factors = self.encoder(known.flatten(0, 1)).reshape(*contexts.shape[:2], -1)
        mean, spread = factors.chunk(2, dim=-1)
        return product_of_gaussians(mean, softplus(spread))

    @torch.no_grad()
    def infer(self, contexts: np.ndarray | None, num_tasks: int, rng: np.random.Generator) -> np.ndarray:
        """Return draws [M, L] of the prior, or of the posterior of contexts [M, C, W]."""
        noise = rng.standard_normal((num_tasks, self.config.num_latents), dtype=np.float32)
        if contexts is None:
            return noise
        mean, variance = self.posterior(torch.from_numpy(contexts))
        return (mean + variance.sqrt() * torch.from_numpy(noise)).numpy()

    def update(self, contexts: np.ndarray, rows: np.ndarray, noise: Tensor) -> dict[str, float]:
        """Move encoder and critics by the critics' loss and the divergence, then the policy, for which descriptions are constants."""
        config, batch = self.config, self.rows(rows)
        mean, variance = self.posterior(torch.from_numpy(contexts))
        drawn = torch.from_numpy(self.draws.standard_normal(tuple(mean.shape), dtype=np.float32))
        latent = (mean + variance.sqrt() * drawn).repeat_interleave(rows.shape[1], dim=0)
        loss = self.sac.critic_loss(batch, latent, noise[0], config.discount, config.temperature)
        kl = divergence(mean, variance)
        self.critic_optimiser.zero_grad()
        (loss + config.latent_penalty * kl.sum()).backward(inputs=self.critic_optimiser.flat.parameters)
        self.critic_optimiser.step()
        actor_loss = self.sac.actor_loss(batch.obs, latent.detach(), noise[1], config.temperature)
        self.actor_optimiser.zero_grad()
        actor_loss.backward(inputs=self.actor_optimiser.flat.parameters)
        self.actor_optimiser.step()
        return {"value_loss": loss.item(), "policy_loss": actor_loss.item(), "kl": kl.mean().item()}
