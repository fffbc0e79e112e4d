"""Gradients of batches in shards, which several processes may compute.

Source: Goyal et al., *Accurate, large minibatch SGD*, 2017, section 2.3: the gradient of a batch is the mean of those of its parts. The
number of parts belongs to the settings; the number of processes does not. Each part's gradient is computed alone, and they are added in
their order, so that any number of processes gives the same numbers to the last bit.

The processes share a copy of the parameters, and the gradients, in memory, as those of `torch.multiprocessing` do. Examples go through
pipes.

Letters: S shards, B examples of a batch, P parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.multiprocessing
from torch import Tensor, nn

from dl_nets.learning.losses import Loss, batch_loss, has_own_loss
from rl_core import batches
from rl_core.workers import Workers

Part = tuple[int, Any, Any, Any]  # number of the shard, inputs, targets, weights or None; arrays


class Shards:
    """The gradient of a module's mean loss over a batch, as the sum of those of its shards.

    Args:
        module: Without its own loss, dropout or statistics of batches; it may learn on a GPU when there is one process.
        loss: Losses [B] of outputs and targets.
        precision: Type in which matrix products are computed.
        count: S, parts of a batch.
        processes: Processes that compute them, this one included; at most one for each shard is used.

    Raises:
        ValueError: if a part of a batch would not be computed as it is within the whole.
    """

    def __init__(self, module: nn.Module, loss: Loss, precision: torch.dtype, *, count: int, processes: int = 1) -> None:
        require_separable(module)
        self._count = count
        # Every process computes with a copy: the optimiser may hold the module's own parameters in place.
        replica = copy.deepcopy(module)
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._device = self._parameters[0].device
        self._gradients = torch.zeros(count, sum(parameter.numel() for parameter in self._parameters), device=self._device)
        if min(processes, count) > 1:
            if self._device.type != "cpu":
                raise ValueError("shards are computed by several processes on the CPU only; set device to cpu, or processes to 1")
            replica.share_memory()
            self._gradients.share_memory_()
        arguments = (replica, loss, precision, self._gradients)
        self._own, others = Computer(*arguments), min(processes, count) - 1
        self._workers = Workers(Computer, [arguments] * others, threads=torch.get_num_threads(), work="computes shards")
        self._processes = others + 1

    def backward(self, inputs: Any, targets: Any, weights: Tensor | None) -> Tensor:
        """Set the gradients of the module to those of the mean loss of a batch, and return that loss [].

        Args:
            inputs: A batch of B examples.
            targets: A batch of B targets.
            weights: [B], >= 0; all alike without them.

        Raises:
            WorkError: if another process has ended.
        """
        size = batches.count(inputs)
        bounds = [size * part // self._count for part in range(self._count + 1)]
        total = float(size if weights is None else weights.sum())
        parts: list[Part] = []
        shares: list[float] = []
        for start, stop in pairwise(bounds):
            some = None if weights is None else weights[start:stop]
            share = (stop - start if some is None else float(some.sum())) / total
            if share > 0:
                rows = slice(start, stop)
                parts.append((len(parts), batches.take(inputs, rows), batches.take(targets, rows), some))
                shares.append(share)
        with torch.no_grad():
            for ours, parameter in zip(self._own.parameters, self._parameters, strict=True):
                ours.copy_(parameter)
        self._workers.begin(
            "compute", [([_plain(part) for part in parts[index :: self._processes]],) for index in range(1, self._processes)]
        )
        found = dict(self._own.compute(parts[:: self._processes]))
        for computed in self._workers.results():
            found.update(computed)
        flat, loss = torch.zeros_like(self._gradients[0]), torch.zeros((), device=self._device)
        for number, share in enumerate(shares):
            flat.add_(self._gradients[number], alpha=share)
            loss += share * found[number]
        start = 0
        for parameter in self._parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return loss


class Computer:
    """A process's own copy of the module, and the gradients of parts that it computes.

    Args:
        module: The copy of the module.
        loss: Losses [B] of outputs and targets.
        precision: Type in which matrix products are computed.
        gradients: [S, P], of which each part has a row.
    """

    def __init__(self, module: nn.Module, loss: Loss, precision: torch.dtype, gradients: Tensor) -> None:
        self._module, self._loss, self._precision, self._gradients = module.train(), loss, precision, gradients
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def compute(self, parts: Sequence[Part]) -> list[tuple[int, float]]:
        """Write the gradient of each part into its row; return the losses by number of the shard."""
        found = []
        for number, *values in parts:
            inputs, targets, weights = (None if value is None else batches.apply(value, _copied) for value in values)
            mean_loss, _ = batch_loss(self._module, inputs, targets, weights, self._loss, self._precision)
            rows = torch.autograd.grad(mean_loss, self.parameters, allow_unused=True)
            start = 0
            for parameter, row in zip(self.parameters, rows, strict=True):
                self._gradients[number, start : start + parameter.numel()] = 0.0 if row is None else row.reshape(-1)
                start += parameter.numel()
            found.append((number, float(mean_loss.detach())))
        return found


def require_separable(module: nn.Module, unfreeze_every: int = 0) -> None:
    """Raise a `ValueError` if a part of a batch would not be computed as it is within the whole, or what is learned changes on the way."""
    if unfreeze_every:
        raise ValueError("shards is above 1, and unfreeze_every changes what is learned on the way; set one of them to its default")
    if has_own_loss(module):
        raise ValueError("shards is above 1, and this network brings its own loss, whose mean over parts may differ; set shards=1")
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError("shards is above 1, and this network has no parameters to learn; set shards=1")
    for part in module.modules():
        kind = type(part).__name__
        if "Dropout" in kind and getattr(part, "p", 1.0) > 0:
            raise ValueError(f"shards is above 1, and this network drops units at random ({kind}); set shards=1 or the share to 0")
        if any(name.startswith(("running_", "num_batches")) for name, _ in part.named_buffers(recurse=False)):
            raise ValueError(f"shards is above 1, and this network keeps statistics of batches ({kind}); set shards=1 or another norm")


def _plain(part: Part) -> Part:
    """Return a part as arrays, which a pipe takes without a file for each."""
    number, *rest = part
    inputs, targets, weights = (None if value is None else batches.apply(value, np.asarray) for value in rest)
    return number, inputs, targets, weights


def _copied(value: Any) -> Any:
    """Return a tensor at an aligned address of its own: the order of sums within a product may depend on that. Texts stay as they are."""
    is_text = isinstance(value, np.ndarray) and value.dtype.kind == "U"
    return value if is_text else torch.as_tensor(value).clone()
