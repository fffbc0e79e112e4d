"""Modules that networks build, asked without knowing their library: NumPy ones as they are, torch's through the loaded torch."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_torch(module: Any) -> bool:
    """Whether it is a module of torch. Torch is never imported here: a module of torch cannot be there without it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(module, torch.nn.Module)


def outputs(module: Any, inputs: np.ndarray, *, learning: bool = False) -> np.ndarray:
    """Outputs [B, ...] of a module for inputs [B, ...], without gradients; `learning` switches dropout and its like on."""
    if not is_torch(module):
        return np.asarray(module(inputs))
    torch = sys.modules["torch"]
    module.train(learning)
    with torch.no_grad():
        return module(torch.as_tensor(inputs)).float().numpy()


def numbers(module: Any, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """All that a fresh module holds, by name; of a module that is not torch's, its outputs."""
    if not is_torch(module):
        return {"outputs": outputs(module, inputs)}
    return {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def gradients(module: Any, inputs: np.ndarray) -> dict[str, np.ndarray | None]:
    """Gradient of every trainable parameter of a torch module, for a weighted sum of its outputs."""
    torch = sys.modules["torch"]
    module.train()
    result = module(torch.as_tensor(inputs)).float()
    weights = torch.as_tensor(np.random.default_rng(0).standard_normal(tuple(result.shape)), dtype=torch.float32)
    (result * weights).sum().backward()
    return {
        name: None if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
