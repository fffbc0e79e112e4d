"""Averages of a module's weights over the course of training, which often answer better than the last weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from dl_nets.learning.streams import load_module_state, module_state

AverageName = Literal["none", "ema", "swa"]


class Averaged:
    """A copy of a module whose parameters, and buffers of floats, are averages of those of the module.

    `ema`: after each update, average <- d average + (1 - d) weights, where d is `decay`, but at most (1 + n) / (10 + n) at the n-th
    update, so that the first weights are forgotten. `swa`: the mean of the weights at the end of each epoch that is added.

    Sources: Polyak and Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; Izmailov et al., *Averaging weights leads
    to wider optima and better generalization*, 2018. Departure: statistics of batch normalisation are averaged too, not computed anew.

    Args:
        module: Its weights are the first average.
        kind: "ema" or "swa".
        decay: d, in [0, 1), of `ema`.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = layer.weight.fill_(2.0)
    >>> averaged = Averaged(layer, "swa")
    >>> averaged.add(layer)
    >>> with torch.no_grad():
    ...     _ = layer.weight.fill_(4.0)
    >>> averaged.add(layer)
    >>> averaged.module.weight.item(), averaged.count
    (3.0, 2)
    """

    def __init__(self, module: nn.Module, kind: Literal["ema", "swa"], decay: float = 0.999) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.count = 0
        self._kind, self._decay = kind, decay
        self._averages = [*self.module.parameters(), *self.module.buffers()]

    @torch.no_grad()
    def add(self, module: nn.Module) -> None:
        """Take the module's present weights into the average."""
        self.count += 1
        n = self.count
        rate = 1.0 / n if self._kind == "swa" else 1.0 - min(self._decay, (1.0 + n) / (10.0 + n))
        for average, value in zip(self._averages, (*module.parameters(), *module.buffers()), strict=True):
            if average.is_floating_point():
                average.lerp_(value, rate)
            else:
                average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages and their number."""
        return {"module": module_state(self.module), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        load_module_state(self.module, state["module"])
        self.count = int(state["count"])
