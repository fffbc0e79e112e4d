"""Steps of gradient methods, as formulas on all parameters of a network in one vector. `optimisers` applies them.

Letters: P parameters in all.
"""

from __future__ import annotations

import torch
from torch import Tensor

BETA_1, BETA_2 = 0.9, 0.999  # of Adam: how much of the first and second moment stays
BETA_RMS = 0.99  # of RMSprop
BETA_FTRL = 1.0  # of FTRL, added to the root of the sum of squares; the paper finds it good enough everywhere


def momentum_step(gradient: Tensor, velocity: Tensor, momentum: float, nesterov: bool = False) -> Tensor:
    """Return the direction [P] to move against: v <- mu v + g, then v, or g + mu v with Nesterov's look ahead. Changes `velocity`.

    Sources: Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964; Nesterov 1983, in the form of
    Sutskever et al., *On the importance of initialization and momentum in deep learning*, 2013.

    >>> momentum_step(torch.tensor([1.0]), torch.tensor([2.0]), momentum=0.5, nesterov=True)  # v = 2, then 1 + 0.5 * 2
    tensor([2.])
    """
    velocity.mul_(momentum).add_(gradient)
    return gradient.add(velocity, alpha=momentum) if nesterov else velocity


def adam_step(
    gradient: Tensor, first: Tensor, second: Tensor, num_steps: int, epsilon: float, betas: tuple[float, float] = (BETA_1, BETA_2)
) -> Tensor:
    """Return the direction [P]: m / (sqrt(v) + epsilon), with the moments m and v corrected for their start at 0. Changes all three.

    m <- beta_1 m + (1 - beta_1) g and v <- beta_2 v + (1 - beta_2) g^2; then m / (1 - beta_1^t) and v / (1 - beta_2^t).

    Args:
        gradient: g [P].
        first: m [P].
        second: v [P].
        num_steps: t, this step included.
        epsilon: > 0.
        betas: beta_1 and beta_2, in [0, 1).

    Source: Kingma and Ba, *Adam: a method for stochastic optimization*, 2015, algorithm 1.

    The first direction is the gradient's sign, whatever its size:

    >>> adam_step(torch.tensor([3.0, -0.5]), torch.zeros(2), torch.zeros(2), num_steps=1, epsilon=1e-8)
    tensor([ 1.0000, -1.0000])
    """
    beta_1, beta_2 = betas
    first.lerp_(gradient, 1.0 - beta_1)
    second.mul_(beta_2).addcmul_(gradient, gradient, value=1.0 - beta_2)
    root = torch.div(second, 1.0 - beta_2**num_steps, out=gradient).sqrt_().add_(epsilon)  # in its place: memory is slower than sums
    return (first / (1.0 - beta_1**num_steps)).div_(root)


def lamb_step(weight: Tensor, direction: Tensor, weight_decay: float) -> Tensor:
    """Return the direction of one layer, as long as its weights are: ||w|| u / ||u||, u = r + lambda w; u where w or u is 0.

    Args:
        weight: w [...], the layer's weights.
        direction: r [...], that of Adam.
        weight_decay: lambda, >= 0.

    Source: You and others, *Large batch optimization for deep learning: training BERT in 76 minutes*, 2020, algorithm 2, with phi(z) = z.

    With w = (3, 4), r = (1, 0) and lambda = 0 it is 5 (1, 0); with lambda = 1, u = (4, 4) and it is 5 / sqrt(32) (4, 4):

    >>> w, r = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0])
    >>> lamb_step(w, r, 0.0), lamb_step(w, r, 1.0)
    (tensor([5., 0.]), tensor([3.5355, 3.5355]))
    """
    update = direction + weight_decay * weight
    length, own = update.norm(), weight.norm()
    return update * torch.where((length > 0) & (own > 0), own / length, torch.ones_like(own))


def rmsprop_step(gradient: Tensor, second: Tensor, epsilon: float) -> Tensor:
    """Return the direction [P]: g / (sqrt(v) + epsilon), v <- beta v + (1 - beta) g^2. Changes `second`.

    Source: Tieleman and Hinton, *Lecture 6.5 - RMSprop*, 2012.

    >>> rmsprop_step(torch.tensor([3.0]), torch.zeros(1), epsilon=1e-8).round(decimals=3)  # 1 / sqrt(1 - beta)
    tensor([10.])
    """
    second.mul_(BETA_RMS).addcmul_(gradient, gradient, value=1.0 - BETA_RMS)
    return gradient / second.sqrt().add_(epsilon)


def ftrl_step(
    weight: Tensor, gradient: Tensor, state: tuple[Tensor, Tensor], rates: tuple[float, float], l1: float = 0.0, l2: float = 0.0
) -> Tensor:
    """Return the next weights [P] of FTRL-Proximal. Changes the state.

    z <- z + g - sigma w, where sigma = (beta + sqrt(n + g^2)) / alpha - (beta + sqrt(n)) / alpha', and n <- n + g^2; then
    w = 0 where |z| <= lambda_1, and (lambda_1 sign(z) - z) / ((beta + sqrt(n)) / alpha + lambda_2) elsewhere.

    Args:
        weight: w [P], those that the gradient was computed at.
        gradient: g [P].
        state: z and n, both [P], 0 at first for weights of 0.
        rates: alpha' of the step before and alpha of this one; equal in the paper.
        l1: lambda_1, which makes weights exactly 0.
        l2: lambda_2.

    Source: McMahan et al., *Ad click prediction: a view from the trenches*, 2013, algorithm 1.

    With alpha = 1/2, beta = 1, lambda_1 = 1 and lambda_2 = 0, a gradient of 3 at 0 gives z = 3, n = 9, w = (1 - 3) / (2 * (1 + 3)):

    >>> z, n = torch.zeros(1), torch.zeros(1)
    >>> w = ftrl_step(torch.zeros(1), torch.tensor([3.0]), (z, n), (0.5, 0.5), l1=1.0)
    >>> w, z, n
    (tensor([-0.2500]), tensor([3.]), tensor([9.]))

    Then a gradient of 4: sigma = 2 (5 - 3), z = 3 + 4 + 4 * 0.25 = 8, n = 25 and w = -7 / 12:

    >>> ftrl_step(w, torch.tensor([4.0]), (z, n), (0.5, 0.5), l1=1.0)
    tensor([-0.5833])
    """
    z, n = state
    before, now = rates
    strength = (n.sqrt() + BETA_FTRL) / before
    n.addcmul_(gradient, gradient)
    stronger = (n.sqrt() + BETA_FTRL) / now
    z.add_(gradient).sub_((stronger - strength).mul_(weight))
    return (z.sign() * l1 - z).div_(stronger + l2).mul_(z.abs() > l1)
