"""Attributions: how much each number of an observation contributes to a network's output.

Source: K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", 2014, for saliency; M. Sundararajan, A. Taly, Q. Yan,
"Axiomatic attribution for deep networks", 2017, (1) and (3), for integrated gradients.
Departures: saliency is in units of a number's deviation over the observations, so that numbers of unlike units can be compared.
Letters: B batch, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Outputs = Callable[[Tensor], Tensor]
"""From observations [B, ...] to outputs [B, K]."""

PATH_STEPS = 64
CHUNK = 16  # observations whose paths are followed together


def chosen_output(outputs: Outputs, obs: Tensor) -> Tensor:
    """Return the index of the largest output of each observation [B]; 0 where there is one output."""
    with torch.no_grad():
        return outputs(obs).argmax(dim=1)


def gradients(outputs: Outputs, obs: Tensor, index: Tensor) -> Tensor:
    """Return the derivative of one output of each observation by the observation [B, ...].

    >>> gradients(lambda x: torch.stack((x.sum(1), (x**2).sum(1)), dim=1), torch.tensor([[1.0, 3.0]]), torch.tensor([1]))
    tensor([[2., 6.]])
    """
    leaf = obs.detach().clone().requires_grad_(True)
    chosen = outputs(leaf).gather(1, index[:, None]).sum()
    (derivative,) = torch.autograd.grad(chosen, leaf)
    return derivative


def saliency(outputs: Outputs, obs: Tensor, index: Tensor) -> Tensor:
    """Return how much one deviation of each number moves the output [B, ...], without its sign."""
    deviation = obs.std(dim=0, correction=0)
    return gradients(outputs, obs, index).abs() * deviation


def integrated_gradients(outputs: Outputs, obs: Tensor, index: Tensor, baseline: Tensor, steps: int = PATH_STEPS) -> Tensor:
    """Return (x - x') times the mean gradient on the straight way from x' to x [B, ...], by the midpoint rule.

    The attributions of an observation add up to F(x) - F(x').

    Args:
        outputs: F.
        obs: x [B, ...].
        index: Which output of each observation [B].
        baseline: x' [...].
        steps: Points on the way.

    >>> product = lambda x: (x[:, :1] * x[:, 1:])
    >>> integrated_gradients(product, torch.tensor([[2.0, 3.0]]), torch.tensor([0]), torch.zeros(2))  # 2 * 3, shared evenly
    tensor([[3., 3.]])
    """
    parts = []
    share = (torch.arange(steps, device=obs.device, dtype=torch.float32) + 0.5) / steps
    for start in range(0, len(obs), CHUNK):
        some, which = obs[start : start + CHUNK], index[start : start + CHUNK]
        way = share.reshape(-1, 1, *[1] * baseline.ndim)
        points = baseline + way * (some - baseline)  # [steps, B, ...]
        flat = gradients(outputs, points.reshape(-1, *some.shape[1:]), which.repeat(steps))
        parts.append((some - baseline) * flat.reshape(points.shape).mean(dim=0))
    return torch.cat(parts)
