"""Reinforcement learning from preferences: a reward model of pairs, then a policy gradient with a penalty on the divergence.

First a reward model r learns P(y_w preferred to y_l) = sigmoid(r(x, y_w) - r(x, y_l)); it begins as the reference, with one number in place
of logits. Then the policy maximises the mean of r(x, y) - beta log(pi(y | x) / pi_ref(y | x)): of K answers that it draws to a prompt, each
is compared with the mean of the others.

Source: N. Stiennon and others, "Learning to summarize from human feedback", 2020, sections 3.4 and (1) to (2); W. Kool, H. van Hoof,
M. Welling, "Buy 4 REINFORCE samples, get a baseline for free!", 2019, for the baseline; A. Ahmadian and others, "Back to basics", 2024,
for it in place of PPO. Departures: the baseline instead of PPO and a critic.
Letters: B prompts of a batch, K answers of a prompt, T tokens of an answer, D numbers of a step.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.networks.initialisation import linear
from dl_nets.networks.transformer_seq2seq import Seq2Seq
from dl_nets.preferences.learner import PreferenceLearner
from dl_nets.preferences.policy import counted, drawn_answers
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass


@configclass
class RLHFConfig:
    """Settings of reinforcement learning from preferences."""

    beta: Annotated[NonNegative, Doc("beta, price of a nat of divergence from the reference, in units of the reward; 0: none")] = 1.0
    reward_updates: Annotated[Count, Doc("gradient steps of the reward model, before the policy's")] = 150
    reward_batch_size: Annotated[Count, Doc("pairs of a gradient step of the reward model")] = 64
    reward_learning_rate: Annotated[Positive, Doc("step size of Adam for the reward model at first; it falls to 0 along a line")] = 1e-3
    batch_size: Annotated[Count, Doc("B, prompts of a gradient step of the policy")] = 16
    draws_per_prompt: Annotated[int, Meta(ge=2), Doc("K, answers that are drawn to each prompt")] = 4
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam for the policy at first; it falls to 0 along a line")] = 5e-4
    max_gradient_norm: Annotated[Positive, Doc("norm that longer gradients are scaled down to")] = 1.0
    updates_per_step: Annotated[Count, Doc("gradient steps of one step")] = 5


class RewardModel(nn.Module):
    """A reward of an answer to a prompt: a linear function of the step at the end of the answer, which has seen all of it.

    Args:
        language_model: Model that it begins as; it is copied.
        rng: Source of the last layer's first weights.
    """

    def __init__(self, language_model: Seq2Seq, rng: np.random.Generator) -> None:
        super().__init__()
        self.body = copy.deepcopy(language_model).requires_grad_(True)
        width = self.body.output.in_features
        self.body.output = linear(width, 1, rng, init="glorot")
        self.body.output.bias.requires_grad_(False)  # it cancels

    def forward(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Return rewards [B] of answers [B, T] to prompts [B, S]."""
        last = (counted(answers).sum(dim=1).long() - 1).clamp(min=0)
        steps = self.body.steps(prompts, answers)[torch.arange(len(answers), device=answers.device), last]
        rewards: Tensor = self.body.output(steps).squeeze(1)
        return rewards

    def begin_as(self, language_model: Mapping[str, np.ndarray]) -> None:
        """Take over the weights of a language model, but those of its last layer."""
        own = module_state(self.body)
        load_module_state(self.body, {name: own[name] if name.startswith("output.") else value for name, value in language_model.items()})


def leave_one_out(rewards: Tensor) -> Tensor:
    """Return rewards [B, K] less the mean of the others of their row [B, K].

    >>> leave_one_out(torch.tensor([[1.0, 2.0, 6.0]]))  # 1 - 4, 2 - 3.5, 6 - 1.5
    tensor([[-3.0000, -1.5000,  4.5000]])
    """
    count = rewards.shape[1]
    return (rewards - rewards.mean(dim=1, keepdim=True)) * (count / (count - 1))


def policy_loss(log_prob: Tensor, reference: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """Return a loss [] whose gradient is that of -E[r - beta log(pi / pi_ref)], without bias.

    The gradient of the log ratio itself has mean 0, so the penalty counts as a part of the reward. (2)

    Args:
        log_prob: log pi of the answers that were drawn [B, K], with gradients.
        reference: log pi_ref of them [B, K].
        rewards: [B, K].
        beta: >= 0.

    >>> policy_loss(torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.5, 0.25]])), torch.tensor([[1.0, 0.0]]), 0.0)
    tensor(-0.)
    """
    advantage = leave_one_out(rewards - beta * (log_prob.detach() - reference))
    return -(advantage * log_prob).mean()


class RLHF(PreferenceLearner):
    """The agent; its first gradient steps are the reward model's, all others the policy's."""

    Config: ClassVar[type] = RLHFConfig
    headline = "reward"
    state_fields = (*PreferenceLearner.state_fields, "reward_model", "reward_optimiser")
    config: RLHFConfig

    def setup(self) -> None:
        """Build the reward model, too."""
        super().setup()
        self.reward_model = RewardModel(self.policy, self.seeds.numpy("reward")).to(self.torch_device)
        self.reward_optimiser = Optimiser("adam", self.reward_model.parameters(), learning_rate=self.config.reward_learning_rate)
        if self.budget <= self.config.reward_updates:
            self.warnings.append(
                f"the budget of {self.budget:,} gradient steps ends before the policy's first one; the reward model takes "
                f"reward_updates = {self.config.reward_updates:,}"
            )

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Begin with the language model of another run; the reward model begins as it, too."""
        super().start_from(state)
        self.reward_model.begin_as(module_state(self.reference))

    def step(self) -> dict[str, float]:
        """Take some gradient steps of the reward model, or of the policy."""
        sums: dict[str, list[float]] = {}
        for _ in range(self.config.updates_per_step):
            if self.progress >= self.budget:
                break
            found = self.learn_reward() if self.progress < self.config.reward_updates else self.learn_policy()
            for name, value in found.items():
                sums.setdefault(name, []).append(value)
            self.progress += 1
        return {name: float(np.mean(values)) for name, values in sums.items()}

    def learn_reward(self) -> dict[str, float]:
        """Take a gradient step of the reward model on pairs."""
        config, pairs = self.config, self.task.pairs("train")
        rows = pairs.rows(self.draws.integers(len(pairs.prompt), size=config.reward_batch_size))
        prompts, chosen, rejected = (self.tensor(part) for part in rows)
        rewards = self.reward_model(torch.cat([prompts, prompts]), torch.cat([chosen, rejected]))
        lead = rewards[: len(prompts)] - rewards[len(prompts) :]
        loss = -functional.logsigmoid(lead).mean()
        self.reward_optimiser.learning_rate = config.reward_learning_rate * (1.0 - self.progress / config.reward_updates)
        self.reward_optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.reward_optimiser.step(config.max_gradient_norm)
        return {"reward_loss": loss.item(), "pair_accuracy": (lead > 0).float().mean().item()}

    def learn_policy(self) -> dict[str, float]:
        """Draw answers to prompts, and take a gradient step of the policy."""
        config, asked = self.config, self.task.pairs("train").prompt
        rows = self.draws.integers(len(asked), size=config.batch_size)
        prompts = self.tensor(np.repeat(asked[rows], config.draws_per_prompt, axis=0))  # [B K, S]
        answers = drawn_answers(self.policy, prompts, self.draws)
        with torch.no_grad():
            rewards = self.reward_model(prompts, answers)
            reference = self.log_prob(self.reference, prompts, answers)
        log_prob = self.log_prob(self.policy, prompts, answers)
        by_prompt = (config.batch_size, config.draws_per_prompt)
        loss = policy_loss(log_prob.view(by_prompt), reference.view(by_prompt), rewards.view(by_prompt), config.beta)
        share = (self.progress - config.reward_updates) / max(1, self.budget - config.reward_updates)
        self.optimiser.learning_rate = config.learning_rate * (1.0 - share)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step(config.max_gradient_norm)
        return {"reward": rewards.mean().item(), "kl": (log_prob.detach() - reference).mean().item(), "policy_loss": loss.item()}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters of policy and reward model by name."""
        named = {f"reward.{name}": value for name, value in self.reward_model.named_parameters() if value.requires_grad}
        return super().parameters() | {name: value.detach().cpu().numpy().copy() for name, value in named.items()}
