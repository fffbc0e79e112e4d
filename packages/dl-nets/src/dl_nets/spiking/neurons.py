"""Leaky integrate-and-fire neurons, and the codes by which numbers become spikes.

Source: Neftci, Mostafa and Zenke, *Surrogate gradient learning in spiking neural networks*, 2019; the surrogate is Zenke and Ganguli,
*SuperSpike*, 2018. Departures: no gradient goes through the reset, as in snnTorch.

Letters: T time steps, B batch, N neurons.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from dl_nets.generative.noise import Noise

Coding = Literal["current", "rate", "latency"]
DARK = 0.02  # inputs up to this never spike in the latency code


class _LeakyIntegrateAndFire(torch.autograd.Function):
    """All time steps of a layer as one function: the loop's operations need no graph of their own."""

    @staticmethod
    def forward(context: Any, currents: Tensor, leak: float, threshold: float, slope: float) -> Tensor:
        """Return spikes [T, ...]."""
        membranes = membrane_potentials(currents, leak, threshold)
        context.save_for_backward(membranes)
        context.settings = leak, threshold, slope
        return (membranes > threshold).to(currents.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        """Return the gradient of the currents [T, ...]: that of membranes, which leak back in time."""
        (membranes,) = context.saved_tensors
        leak, threshold, slope = context.settings
        local = gradients[0] / (1.0 + slope * (membranes - threshold).abs()).square()
        for time in range(len(local) - 2, -1, -1):
            local[time].add_(local[time + 1], alpha=leak)
        return local, None, None, None


@torch.no_grad()
def membrane_potentials(currents: Tensor, leak: float, threshold: float) -> Tensor:
    """Return the membranes [T, ...] of neurons: u[t] = beta u[t-1] + i[t] - theta s[t-1], s[t] = 1 where u[t] > theta, u and s begin at 0.

    Args:
        currents: i [T, ...].
        leak: beta, what stays of a membrane from step to step, in [0, 1].
        threshold: theta, > 0.

    A current of 0.6 and a leak of 1/2: 0.6, 0.9, 1.05 (a spike), 0.125, 0.6625:

    >>> membrane_potentials(torch.full((5, 1), 0.6), 0.5, 1.0).ravel()
    tensor([0.6000, 0.9000, 1.0500, 0.1250, 0.6625])
    """
    membranes = currents.clone()
    for time in range(1, len(membranes)):
        before = membranes[time - 1]
        membranes[time].add_(before, alpha=leak).sub_((before > threshold).to(before.dtype), alpha=threshold)
    return membranes


def spikes_of(currents: Tensor, leak: float = 0.9, threshold: float = 1.0, slope: float = 25.0) -> Tensor:
    """Return the spikes [T, ...] of leaky integrate-and-fire neurons, 1 or 0, with a surrogate gradient.

    The step from membrane to spike counts as having the derivative 1 / (1 + k |u - theta|)^2.

    Args:
        currents: i [T, ...].
        leak: beta.
        threshold: theta.
        slope: k, steepness of the surrogate.

    With one step the gradient is the surrogate's: 1 / (1 + 25 * 0.04)^2 = 1/4 for a membrane of 0.96:

    >>> currents = torch.tensor([[0.96]], requires_grad=True)
    >>> spikes_of(currents).sum().backward()
    >>> round(currents.grad.item(), 4)
    0.25
    """
    spikes: Tensor = _LeakyIntegrateAndFire.apply(currents, leak, threshold, slope)
    return spikes


def integrated(currents: Tensor, leak: float) -> Tensor:
    """Return the mean over time [...] of membranes that leak and never fire, from currents [T, ...].

    It is a weighted mean of the currents: what comes at t stays with 1 + beta + ... + beta^(T-1-t).

    >>> integrated(torch.tensor([[1.0], [0.0]]), 0.5)  # membranes 1 and 1/2
    tensor([0.7500])
    """
    steps = len(currents)
    weights = [sum(leak**later for later in range(steps - time)) / steps for time in range(steps)]
    shape = (steps, *[1] * (currents.ndim - 1))
    return (currents * torch.tensor(weights, dtype=currents.dtype, device=currents.device).reshape(shape)).sum(0)


def encoded(inputs: Tensor, steps: int, coding: Coding, noise: Noise) -> Tensor:
    """Return inputs [B, ...] over time [T, B, ...].

    - current: the input itself, at every step (a view: no memory is used);
    - rate: a spike with the probability x, drawn at every step;
    - latency: one spike, at step round((1 - x) (T - 1)): the larger, the earlier; none where x is at most `DARK`.

    Args:
        inputs: x [B, ...]; in [0, 1] for rate and latency.
        steps: T.
        coding: The code.
        noise: Source of the random numbers.

    >>> import numpy as np
    >>> noise = Noise(np.random.default_rng(0))
    >>> encoded(torch.tensor([1.0, 0.5, 0.0]), 3, "latency", noise)
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 0.]])
    """
    over_time = inputs.expand(steps, *inputs.shape)
    if coding == "current":
        return over_time
    if coding == "rate":
        return noise.bernoulli(over_time.contiguous())
    times = torch.arange(steps, device=inputs.device).reshape(-1, *[1] * inputs.ndim)
    due = torch.round((1.0 - inputs) * (steps - 1))
    return ((times == due) & (inputs > DARK)).to(inputs.dtype)
