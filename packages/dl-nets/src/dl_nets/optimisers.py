"""Gradient methods by name, all of them torch's, with weight decay on matrices alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import nn

OptimiserName = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"]


def build_optimiser(
    name: OptimiserName,
    parameters: Iterable[nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    epsilon: float = 1e-8,
) -> torch.optim.Optimizer:
    """The optimiser of that name over `parameters`.

    Biases, gains of normalisations and other vectors are not decayed: pulling them to 0 only shifts what they are there for.

    Args:
        name: `sgd` plain, `momentum` (Polyak 1964), `nesterov` (1983, in Sutskever et al. 2013's form), `adam` (Kingma and Ba 2015),
            `adamw` (Loshchilov and Hutter 2019: decay apart from the gradient), `rmsprop` (Tieleman and Hinton 2012).
        parameters: What is learned.
        learning_rate: alpha, > 0.
        weight_decay: lambda, >= 0; all but `adamw` add lambda w to the gradient.
        momentum: mu, in [0, 1), of `momentum` and `nesterov`.
        epsilon: What `adam`, `adamw` and `rmsprop` add to the root of the second moment, > 0.

    Raises:
        ValueError: for an unknown name.

    >>> weight = nn.Parameter(torch.tensor([[1.0]]))
    >>> optimiser = build_optimiser("sgd", [weight], learning_rate=0.5, weight_decay=0.2)
    >>> weight.grad = torch.tensor([[1.0]])
    >>> optimiser.step()
    >>> round(weight.item(), 4)  # 1 - 0.5 (1 + 0.2)
    0.4
    """
    if name not in get_args(OptimiserName):
        raise ValueError(f"optimiser is {name!r}; it must be one of {', '.join(get_args(OptimiserName))}")
    parameters = list(parameters)
    matrices, vectors = [p for p in parameters if p.ndim >= 2], [p for p in parameters if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    match name:
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate, eps=epsilon, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=learning_rate, eps=epsilon, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=learning_rate, eps=epsilon)
        case "sgd":
            return torch.optim.SGD(groups, lr=learning_rate)
        case _:
            return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, nesterov=name == "nesterov")


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Let the next step of every group use that learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
