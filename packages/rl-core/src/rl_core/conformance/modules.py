"""Modules that networks build, called without importing their library: NumPy modules directly, torch's through the loaded torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_core import batches
from rl_core.batches import Batch, Ragged


def is_torch(module: Any) -> bool:
    """Return whether it is a module of torch, which this package never imports: such a module cannot exist without it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(module, torch.nn.Module)


def has_own_loss(module: Any) -> bool:
    """Return whether a module brings its own loss: `training_loss` and `answers`, see `rl_core.network.Network`."""
    return callable(getattr(module, "training_loss", None)) and callable(getattr(module, "answers", None))


def outputs(module: Any, inputs: Batch, *, learning: bool = False) -> Any:
    """Return the outputs [B, ...] of a module, without gradients; answers of one with its own loss. `learning` switches dropout on."""
    function = module.answers if has_own_loss(module) else module
    if not is_torch(module):
        return function(inputs)
    torch = sys.modules["torch"]
    module.train(learning)
    with torch.no_grad():
        return batches.apply(function(tensors(inputs)), _to_numpy)


def numbers(module: Any, inputs: Batch) -> dict[str, np.ndarray]:
    """Return all arrays of a fresh module by name; of a module that is not torch's, its outputs."""
    if not is_torch(module):
        return {path if path != "array" else "outputs": array for path, array in batches.to_arrays(outputs(module, inputs)).items()}
    return {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def gradients(module: Any, inputs: Batch, targets: Batch | None = None) -> dict[str, np.ndarray | None]:
    """Return the gradient of every trainable parameter of a torch module: of its own loss, or of a weighted sum of its outputs."""
    torch = sys.modules["torch"]
    module.train()
    if has_own_loss(module) and targets is not None:
        module.training_loss(tensors(inputs), tensors(targets), None)[0].backward()
    else:
        given, rng = module(tensors(inputs)), np.random.default_rng(0)
        total = torch.zeros(())
        for part in given.values() if isinstance(given, Mapping) else (given,):
            result = (part.values if isinstance(part, Ragged) else part).float()
            total = total + (result * torch.as_tensor(rng.standard_normal(tuple(result.shape)), dtype=torch.float32)).sum()
        total.backward()
    return {
        name: None if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def tensors(batch: Batch) -> Any:
    """Return a batch with torch tensors in place of arrays; texts stay as they are."""
    torch = sys.modules["torch"]
    return batches.apply(batch, lambda array: array if array.dtype.kind in "UO" else torch.as_tensor(array))


def _to_numpy(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    return value.float().numpy() if value.is_floating_point() else value.numpy()
