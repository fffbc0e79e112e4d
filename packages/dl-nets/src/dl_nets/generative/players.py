"""A player of a game between networks: a module with its optimiser, and the minibatches that it is shown.

Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.learning.data import Examples
from dl_nets.learning.optimisers import Optimiser, clip_gradient_norm
from dl_nets.learning.streams import load_module_state, module_state
from rl_core.seeds import Seeds
from rl_core.task import DataTask

MEGABYTES = 1024  # a training split that is not larger is held in memory


class Player:
    """A module that learns by Adam from a loss in which other modules have a part, which stay as they are.

    Args:
        module: On its device.
        learning_rate: Adam's step size.
        betas: Of Adam's moments.
        max_gradient_norm: Longer gradients are shortened to it; 0 is off.
    """

    def __init__(self, module: nn.Module, learning_rate: float, betas: tuple[float, float], max_gradient_norm: float = 0.0) -> None:
        self.module = module
        self._rate, self._max_norm = learning_rate, max_gradient_norm
        self._optimiser = Optimiser("adam", module.parameters(), learning_rate=learning_rate)
        self._optimiser.set_betas(*betas)

    def descend(self, loss: Tensor, share: float = 1.0) -> None:
        """Take a step against the gradient of a loss [], by `share` of the step size."""
        self._optimiser.learning_rate = self._rate * share
        self._optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=[parameter for parameter in self.module.parameters() if parameter.requires_grad])
        if self._max_norm:
            clip_gradient_norm(self.module.parameters(), self._max_norm)
        self._optimiser.step()

    @torch.no_grad()
    def clip_weights(self, bound: float) -> None:
        """Bound the absolute value of each weight."""
        self._optimiser.flat.vector.clamp_(-bound, bound)

    def parameters(self, prefix: str) -> dict[str, np.ndarray]:
        """Return copies of the trainable parameters by `prefix.name`."""
        named = self.module.named_parameters()
        return {f"{prefix}.{name}": value.detach().cpu().numpy().copy() for name, value in named if value.requires_grad}

    def state_dict(self) -> dict[str, Any]:
        """Return parameters, buffers and the optimiser's moments."""
        return {"module": module_state(self.module), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        load_module_state(self.module, state["module"])
        self._optimiser.load_state_dict(state["optimiser"])


class Shuffled:
    """Minibatches of a training split without end. Each epoch has an order of its own, which depends on the run's seed and the epoch alone.

    Args:
        task: Source of the examples.
        seeds: Of the run.
        device: Where batches are wanted.
        batch_size: B; batches of an epoch differ in size by at most one.
    """

    def __init__(self, task: DataTask, seeds: Seeds, device: torch.device, batch_size: int) -> None:
        self._examples = Examples(task, "train", device, MEGABYTES)
        self._seeds, self._batch_size = seeds, batch_size
        self._reader: tuple[int, Iterator[tuple[Any, Any]]] = (-1, iter(()))  # progress that it is for, and the batches to come

    def after(self, progress: int) -> tuple[Any, Any, int]:
        """Return inputs and targets [B, ...] of the batch that follows `progress` examples, and the progress behind it."""
        count = len(self._examples)
        epoch, position = divmod(progress, count)
        if self._reader[0] != progress:
            order = np.random.default_rng(self._seeds.integer("order", epoch)).permutation(count)
            parts = np.array_split(order, -(-count // self._batch_size))
            first = int(np.searchsorted(np.cumsum([len(part) for part in parts]), position, side="right"))
            self._sizes = [len(part) for part in parts]
            self._next = first
            self._reader = progress, self._examples.stream(parts[first:])
        inputs, targets = next(self._reader[1])
        progress += self._sizes[self._next]
        self._next += 1
        self._reader = (progress, self._reader[1]) if progress % count else (-1, iter(()))
        return inputs, targets, progress
