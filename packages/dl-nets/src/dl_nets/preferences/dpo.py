"""DPO, direct preference optimisation: a language model learns from pairs of answers, without a model of the reward.

The best policy for a reward r and a penalty beta is proportional to pi_ref(y) exp(r(y) / beta). So a policy is itself a reward model,
r = beta log(pi / pi_ref) but for a constant of the prompt, and is fitted to the pairs as Bradley and Terry's model is.

Source: R. Rafailov and others, "Direct preference optimization: your language model is secretly a reward model", 2023, (7).
Departures: Adam without a warm-up. Letters: B batch, T tokens of an answer.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dl_nets.preferences.learner import PreferenceLearner
from dl_nets.preferences.pairs import Pairs
from rl_core.config import Count, Doc, Positive, configclass


@configclass
class DPOConfig:
    """Settings of direct preference optimisation."""

    beta: Annotated[Positive, Doc("beta, price of a nat of divergence from the reference, in units of the judge's score")] = 1.0
    batch_size: Annotated[Count, Doc("B, pairs of a gradient step")] = 64
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam at first; it falls to 0 along a line")] = 5e-4
    max_gradient_norm: Annotated[Positive, Doc("norm that longer gradients are scaled down to")] = 1.0
    updates_per_step: Annotated[Count, Doc("gradient steps of one step")] = 10


def dpo_loss(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """Return -log sigmoid(beta (log ratio of the chosen - that of the rejected)), the mean over pairs []. (7)

    Args:
        chosen: log pi(y_w | x) - log pi_ref(y_w | x) [B].
        rejected: The same of the rejected answers [B].
        beta: > 0.

    A policy that is its reference knows nothing, ln 2; a lead of 5 nats at beta 0.1 is worth -log sigmoid(0.5):

    >>> dpo_loss(torch.tensor([0.0]), torch.tensor([0.0]), 0.1)
    tensor(0.6931)
    >>> dpo_loss(torch.tensor([2.0]), torch.tensor([-3.0]), 0.1)
    tensor(0.4741)
    """
    return -functional.logsigmoid(beta * (chosen - rejected)).mean()


class DPO(PreferenceLearner):
    """The agent; a step takes some gradient steps on pairs that are drawn with replacement."""

    Config: ClassVar[type] = DPOConfig
    headline = "loss"
    config: DPOConfig

    def step(self) -> dict[str, float]:
        """Take some gradient steps."""
        config, pairs, found = self.config, self.task.pairs("train"), []
        for _ in range(config.updates_per_step):
            if self.progress >= self.budget:
                break
            self.optimiser.learning_rate = config.learning_rate * (1.0 - self.progress / self.budget)
            indices = self.draws.integers(len(pairs.prompt), size=config.batch_size)
            found.append(self.update(pairs.rows(indices), self.tensor(self.before[:, indices])))
            self.progress += 1
        means = np.mean(found, axis=0)
        return dict(zip(("loss", "pair_accuracy", "margin"), means.tolist(), strict=True))

    def update(self, pairs: Pairs, reference: Tensor) -> list[float]:
        """Take a gradient step on pairs; return its loss, the share of pairs in the right order, and the mean lead in nats.

        Args:
            pairs: B of them.
            reference: Log probabilities of the chosen and the rejected answers before learning [2, B].
        """
        prompts = self.tensor(np.concatenate([pairs.prompt, pairs.prompt]))
        answers = self.tensor(np.concatenate([pairs.chosen, pairs.rejected]))
        chosen, rejected = self.log_prob(self.policy, prompts, answers).view(2, -1) - reference
        loss = dpo_loss(chosen, rejected, self.config.beta)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step(self.config.max_gradient_norm)
        lead = (chosen - rejected).detach()
        return [loss.item(), (lead > 0).float().mean().item(), lead.mean().item()]

    @cached_property
    def before(self) -> np.ndarray:
        """Log probabilities that the reference gives to the chosen and the rejected answers of the training pairs [2, N]."""
        return self.pair_log_probs(self.reference, self.task.pairs("train"))
