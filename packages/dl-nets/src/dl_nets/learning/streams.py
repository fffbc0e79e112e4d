"""The state of torch modules as NumPy arrays, exact to the last bit, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn


def module_state(module: nn.Module) -> dict[str, np.ndarray]:
    """Return copies of every parameter, buffer and extra state of the module by name.

    >>> module_state(nn.LayerNorm(2))
    {'weight': array([1., 1.], dtype=float32), 'bias': array([0., 0.], dtype=float32)}
    """
    return {name: _to_array(tensor) for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Copy `state` into the module in place, so that optimisers keep their hold on the parameters.

    Raises:
        ValueError: if the names or shapes are those of another module.
    """
    have = module.state_dict()
    if have.keys() != state.keys():
        missing, extra = sorted(have.keys() - state.keys()), sorted(state.keys() - have.keys())
        raise ValueError(
            f"the saved state belongs to another network: it lacks {missing[:3]} and has {extra[:3]} instead; use the run's own recipe"
        )
    for name, tensor in have.items():
        if tuple(tensor.shape) != state[name].shape:
            raise ValueError(f"the saved {name} has shape {list(state[name].shape)}; this network's has {list(tensor.shape)}")
    module.load_state_dict({name: _to_tensor(state[name], like=tensor) for name, tensor in have.items()})


def _to_array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type: the same bits as integers
        tensor = tensor.view(torch.int16)
    return tensor.numpy().copy()


def _to_tensor(array: np.ndarray, like: Tensor) -> Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor.view(torch.bfloat16) if like.dtype == torch.bfloat16 else tensor
