"""The plain policy gradient, and the step of a critic with an optimiser of its own.

REINFORCE and VPG follow the gradient; NPG and TRPO turn it into the natural gradient first.

Source: R. S. Sutton, D. McAllester, S. Singh, Y. Mansour. "Policy gradient methods for reinforcement learning with function
approximation", 2000, theorem 1, as the gradient of a loss.
Departures: none. Letters: B batch, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.loop import ActorCritic, FastPolicy, value_error
from rl_algos.on_policy.rollout import minibatches
from rl_algos.parts.fused import log_prob_and_entropy
from rl_core.compiling import vectorised

PART = 4096
"""Transitions that go through a network at once: the gradients of the parts of a larger batch are added."""


def policy_loss(log_prob: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
    """Return -mean(A ln pi(a|s)), a scalar: its gradient is minus the policy gradient, while A [B] is a constant to it.

    >>> policy_loss(torch.tensor([-1.0, -3.0]), torch.tensor([2.0, 1.0]))
    tensor(2.5000)
    """
    return -(advantage.detach() * log_prob).mean()


@vectorised
def policy_gradient_error(log_prob: np.ndarray, advantage: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return the derivative of `policy_loss` with respect to ln pi(a|s) [B], -advantage / B, and write the loss into `losses` at 0.

    Args:
        log_prob: ln pi(a|s) [B].
        advantage: [B].
        losses: Written to at 0.

    >>> losses = np.zeros(3, dtype=np.float32)
    >>> error = policy_gradient_error(np.array([-1, -3], dtype=np.float32), np.array([2, 1], dtype=np.float32), losses)
    >>> error.tolist(), losses[0].item()  # -(2 * -1 + 1 * -3) / 2
    ([-1.0, -0.5], 2.5)
    """
    size, loss = len(log_prob), 0.0
    error = np.empty(size, dtype=np.float32)
    for b in range(size):
        error[b] = -advantage[b] / np.float32(size)
    for b in range(size):
        loss -= advantage[b] * log_prob[b]
    losses[0] = loss / np.float32(size)
    return error


def policy_gradient(
    learner: ActorCritic, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray, entropy_weight: float
) -> np.ndarray:
    """Leave the gradient of the loss in `learner.policy_flat`, and return policy loss and entropy [2].

    Args:
        learner: Policy and critic.
        inputs: [B, ...].
        action: [B] or [B, D].
        advantage: How much better than expected the action was [B].
        entropy_weight: Weight of the entropy bonus.
    """
    if learner.fast is not None and len(inputs) <= PART:
        return fast_policy_gradient(learner.fast, inputs, action, advantage, entropy_weight)
    learner.policy_flat.zero_grad()
    losses = np.zeros(2, dtype=np.float32)
    for part in parts(len(inputs)):
        share = (part.stop - part.start) / len(inputs)
        head = learner.actor(learner.tensor(inputs[part]))
        log_prob, entropies = log_prob_and_entropy(learner.actions, head, learner.log_std, learner.tensor(action[part]))
        loss_of_policy = share * policy_loss(log_prob, learner.tensor(advantage[part]))
        entropy = share * entropies.mean()
        torch.autograd.backward(loss_of_policy - entropy_weight * entropy)
        losses += torch.stack([loss_of_policy, entropy]).detach().cpu().numpy()
    return losses


def fast_policy_gradient(
    fast: FastPolicy, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray, entropy_weight: float
) -> np.ndarray:
    """Leave the gradient of `policy_gradient`, derived by hand (`test_fast_updates` holds one to the other)."""
    policy, losses = fast.policy(inputs), np.empty(2, dtype=np.float32)
    losses[1] = fast.entropy(policy).mean()
    by_log_prob = policy_gradient_error(fast.log_prob(policy, action), advantage, losses)
    fast.backward(policy, action, by_log_prob, -entropy_weight)
    return losses


def value_step(learner: ActorCritic, optimiser: Optimiser, inputs: np.ndarray, return_: np.ndarray) -> float:
    """Take one step on the mean squared error of V(s) against returns [B], and return the error before it.

    Args:
        learner: Policy and critic.
        optimiser: Of the critic.
        inputs: [B, ...].
        return_: [B].
    """
    if learner.fast is not None and learner.fast.critic is not None and optimiser.fast is not None:
        critic, losses = learner.fast.critic, np.empty(2, dtype=np.float32)
        value = critic.forward(inputs)[:, 0]
        critic.backward(value_error(value, return_, value, np.inf, 1.0, losses))
        optimiser.fast.step(optimiser.learning_rate)
        return float(losses[1])
    loss = (learner.critic(learner.tensor(inputs)).squeeze(1) - learner.tensor(return_)).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def parts(size: int) -> Iterator[slice]:
    """Yield slices of at most `PART` that cover `size` transitions in order.

    >>> list(parts(5000))
    [slice(0, 4096, None), slice(4096, 5000, None)]
    """
    for start in range(0, size, PART):
        yield slice(start, min(start + PART, size))


def fit_values(agent: Any, inputs: np.ndarray, return_: np.ndarray) -> float:
    """Move an agent's critic towards returns [B] of inputs [B, ...] for its config's epochs; return the mean error before each step."""
    config = agent.config
    batches = minibatches(agent.shuffle, len(return_), config.value_batch_size, config.value_epochs)
    return float(np.mean([value_step(agent.actor_critic, agent.value_optimiser, inputs[rows], return_[rows]) for rows in batches]))
