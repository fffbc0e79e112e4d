"""Elastic weight consolidation: weights that an earlier stage needs are held by springs, as stiff as the stage needs them.

Source: Kirkpatrick and others, *Overcoming catastrophic forgetting in neural networks*, 2017, (3).
Departures: none; the penalties of all earlier stages are added up, as in the paper, and kept as one quadratic function.
Letters: B examples, K classes, P parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

AT_ONCE = 64  # examples whose gradients are computed together


def fisher_diagonal(module: nn.Module, inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the diagonal [P] of the Fisher information: the mean square of d ln p(y|x) / d theta, y drawn from the module's answers.

    Args:
        module: Gives logits [B, K].
        inputs: [B, ...].
        rng: Stream of the draws.

    A coin whose log-odds are 0 has the information p (1 - p) = 1/4 of it, for each input of 1:

    >>> coin = nn.Linear(1, 2, bias=False)
    >>> nn.init.zeros_(coin.weight)
    Parameter containing:
    tensor([[0.],
            [0.]], requires_grad=True)
    >>> fisher_diagonal(coin, torch.ones(3, 1), np.random.default_rng(0))
    tensor([0.2500, 0.2500])
    """
    named = {name: value.detach() for name, value in module.named_parameters()}

    def log_likelihood(parameters: dict[str, Tensor], example: Tensor, label: Tensor) -> Tensor:
        logits: Any = torch.func.functional_call(module, parameters, (example[None],))
        return functional.log_softmax(logits[0], dim=0).gather(0, label[None])[0]

    with torch.no_grad():
        chances = module(inputs).softmax(dim=1).double().numpy().cumsum(axis=1)
    drawn = (rng.random((len(inputs), 1)) * chances[:, -1:] > chances).sum(axis=1)
    labels = torch.from_numpy(drawn.astype(np.int64))
    per_example = torch.func.vmap(torch.func.grad(log_likelihood), in_dims=(None, 0, 0))
    total = {name: torch.zeros_like(value) for name, value in named.items()}
    for start in range(0, len(inputs), AT_ONCE):
        gradients = per_example(named, inputs[start : start + AT_ONCE], labels[start : start + AT_ONCE])
        for name, gradient in gradients.items():
            total[name] += gradient.square().sum(dim=0)
    return torch.cat([value.flatten() for value in total.values()]) / len(inputs)


class Springs:
    """The sum over earlier stages of 1/2 F (theta - theta_stage)^2, but for a constant.

    Args:
        size: P.

    Attributes:
        stiffness: Sum of F [P].
        pull: Sum of F theta_stage [P].

    >>> springs = Springs(1)
    >>> springs.add(torch.tensor([2.0]), torch.tensor([1.0]))
    >>> springs.gradient(torch.tensor([4.0]))  # 2 (4 - 1)
    tensor([6.])
    """

    def __init__(self, size: int) -> None:
        self.stiffness, self.pull = torch.zeros(size), torch.zeros(size)

    def add(self, fisher: Tensor, parameters: Tensor) -> None:
        """Hold parameters [P] where they are, each as firmly as its Fisher information [P] says."""
        self.stiffness += fisher
        self.pull += fisher * parameters

    def gradient(self, parameters: Tensor) -> Tensor:
        """Return the gradient [P] of the penalty at parameters [P]."""
        return self.stiffness * parameters - self.pull

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return both sums."""
        return {"stiffness": self.stiffness.numpy().copy(), "pull": self.pull.numpy().copy()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned."""
        self.stiffness.copy_(torch.from_numpy(np.asarray(state["stiffness"])))
        self.pull.copy_(torch.from_numpy(np.asarray(state["pull"])))
