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
import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Sequence
from itertools import pairwise
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.multiprocessing
from torch import Tensor, nn

from dl_nets.learning.losses import Loss, batch_loss, has_own_loss
from rl_core import batches
from rl_core.errors import WorkError

SPAWN = multiprocessing.get_context("spawn")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # the run saves; its processes end with it
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
        self._loss, self._precision, self._count = loss, precision, count
        # Every process computes with a copy: the optimiser may hold the module's own parameters in place.
        self._replica = copy.deepcopy(module)
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._of_replica = [parameter for parameter in self._replica.parameters() if parameter.requires_grad]
        self._device = self._parameters[0].device
        self._connections: list[Connection] = []
        self._gradients = torch.zeros(count, sum(parameter.numel() for parameter in self._parameters), device=self._device)
        if min(processes, count) > 1:
            if self._device.type != "cpu":
                raise ValueError("shards are computed by several processes on the CPU only; set device to cpu, or processes to 1")
            self._start(min(processes, count) - 1)

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
            for ours, parameter in zip(self._of_replica, self._parameters, strict=True):
                ours.copy_(parameter)
        workers = len(self._connections) + 1
        try:
            for index, connection in enumerate(self._connections, start=1):
                connection.send([_plain(part) for part in parts[index::workers]])
            found = dict(_computed(self._replica, self._loss, self._precision, parts[::workers], self._gradients))
            for connection in self._connections:
                found.update(connection.recv())
        except (EOFError, OSError) as error:
            raise WorkError("a process that computes shards has ended", "continue the run with rl-core resume") from error
        flat, loss = torch.zeros_like(self._gradients[0]), torch.zeros((), device=self._device)
        for number, share in enumerate(shares):
            flat.add_(self._gradients[number], alpha=share)
            loss += share * found[number]
        start = 0
        for parameter in self._parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        return loss

    def _start(self, workers: int) -> None:
        """Start the other processes, which share the parameters and the gradients with this one."""
        self._replica.share_memory()
        self._gradients.share_memory_()
        processes = []
        resource_tracker.ensure_running()  # its start unblocks signals; a process would then be started unprotected
        for _ in range(workers):
            ours, theirs = SPAWN.Pipe()
            arguments = (theirs, self._replica, self._loss, self._precision, self._gradients, torch.get_num_threads())
            process = SPAWN.Process(target=_work, args=arguments, daemon=True)
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # or a signal could end it before it ignores them
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ValueError(f"this network cannot be sent to another process ({error}); leave --processes out") from error
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()  # so that each side notices the death of the other
            self._connections.append(ours)
            processes.append(process)
        weakref.finalize(self, _dismiss, self._connections, processes)


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


def _computed(module: nn.Module, loss: Loss, precision: torch.dtype, parts: Sequence[Part], gradients: Tensor) -> list[tuple[int, float]]:
    """Write the gradient of each part into its row of `gradients` [S, P]; return the losses by number of the shard."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    found = []
    for number, *values in parts:
        inputs, targets, weights = (None if value is None else batches.apply(value, _copied) for value in values)
        mean_loss, _ = batch_loss(module, inputs, targets, weights, loss, precision)
        rows = torch.autograd.grad(mean_loss, parameters, allow_unused=True)
        start = 0
        for parameter, row in zip(parameters, rows, strict=True):
            gradients[number, start : start + parameter.numel()] = 0.0 if row is None else row.reshape(-1)
            start += parameter.numel()
        found.append((number, float(mean_loss.detach())))
    return found


def _work(connection: Connection, module: nn.Module, loss: Loss, precision: torch.dtype, gradients: Tensor, threads: int) -> None:
    """Compute shards until the connection is closed or the process of the run has ended."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    torch.set_num_threads(threads)
    module.train()
    try:
        while True:
            connection.send(_computed(module, loss, precision, connection.recv(), gradients))
    except (EOFError, OSError):
        return


def _end_with_the_run() -> None:
    """Wait for the end of the process that started this one, be it killed, and end this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _dismiss(connections: list[Connection], processes: list[Any]) -> None:
    """Close the connections, on which the processes leave, and kill those that have not left after a second."""
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(1.0)
        if process.is_alive():
            process.kill()
