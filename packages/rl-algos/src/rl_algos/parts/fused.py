"""Log-probability and entropy of actions as one operation of torch, which costs a fraction of torch's own dozen.

Letters: B batch, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dl_nets.fast.bridge import is_plain
from rl_algos.parts.composed import AnyDistribution, Composed
from rl_algos.parts.distributions import (
    Categorical,
    Gaussian,
    categorical_entropy,
    categorical_error,
    chosen,
    gaussian_error,
    gaussian_log_prob,
    log_softmax,
)


def log_prob_and_entropy(
    actions: AnyDistribution, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `actions.log_prob` [B] and `actions.entropy` [B], as one operation on the CPU in single precision.

    Args:
        actions: The distribution.
        head: Output of the network [B, A] or [B, D].
        log_std: ln sigma [D] of a Gaussian, [0] of a categorical.
        action: [B] or [B, D].

    >>> from gymnasium import spaces
    >>> log_prob_and_entropy(Categorical(spaces.Discrete(2)), torch.zeros(1, 2), torch.zeros(0), torch.tensor([1]))
    (tensor([-0.6931]), tensor([0.6931]))
    """
    if not is_plain(head) or isinstance(actions, Composed):
        return actions.log_prob(head, log_std, action), actions.entropy(head, log_std)
    results: tuple[torch.Tensor, torch.Tensor]
    if isinstance(actions, Categorical):
        results = _FusedCategorical.apply(actions, head, action)
    else:
        results = _FusedGaussian.apply(actions, head, log_std, action)
    return results


class _FusedCategorical(torch.autograd.Function):
    """Log-probability and entropy of a categorical distribution."""

    @staticmethod
    def forward(ctx: Any, actions: Categorical, head: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ln pi(a|s) [B] and the entropy [B]."""
        policy, chosen_action = log_softmax(head.detach().numpy()), action.numpy()
        ctx.actions, ctx.policy = actions, policy
        ctx.save_for_backward(head, action)
        return torch.from_numpy(chosen(policy, chosen_action)), torch.from_numpy(categorical_entropy(policy))

    @staticmethod
    def backward(ctx: Any, *errors: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the derivative with respect to the head [B, A]."""
        head, action = ctx.saved_tensors
        if torch.is_grad_enabled():  # the derivative itself will be differentiated
            results = ctx.actions.log_prob(head, head[:0, 0], action), ctx.actions.entropy(head, head[:0, 0])
            return None, *torch.autograd.grad(results, (head,), errors, create_graph=True), None
        return None, torch.from_numpy(categorical_error(ctx.policy, action.numpy(), *_arrays(errors))), None


class _FusedGaussian(torch.autograd.Function):
    """Log-probability and entropy of a Gaussian."""

    @staticmethod
    def forward(
        ctx: Any, actions: Gaussian, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ln pi(a|s) [B] and the entropy [B]."""
        mean, scale = head.detach().numpy(), log_std.detach().numpy()
        ctx.actions = actions
        ctx.save_for_backward(head, log_std, action)
        return torch.from_numpy(gaussian_log_prob(mean, scale, action.numpy())), torch.from_numpy(actions.array_entropy(mean, scale))

    @staticmethod
    def backward(ctx: Any, *errors: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the derivatives with respect to the means [B, D] and ln sigma [D]."""
        head, log_std, action = ctx.saved_tensors
        if torch.is_grad_enabled():
            results = ctx.actions.log_prob(head, log_std, action), ctx.actions.entropy(head, log_std)
            return None, *torch.autograd.grad(results, (head, log_std), errors, create_graph=True), None
        mean, scale = head.detach().numpy(), log_std.detach().numpy()
        by_scale = np.empty_like(scale)
        by_mean = gaussian_error(mean, scale, action.numpy(), *_arrays(errors), by_scale)
        return None, torch.from_numpy(by_mean), torch.from_numpy(by_scale), None


def _arrays(errors: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    """Return derivatives as arrays whose rows are side by side: the mean's is one number in all places."""
    return [np.ascontiguousarray(error.numpy()) for error in errors]
