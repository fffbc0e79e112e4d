"""What torch keeps, as NumPy arrays and plain values: for checkpoints, exact to the last bit.

Arrays that come out are copies; they do not follow the training that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rl_core.seeds import Seeds


def torch_generator(seeds: Seeds, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of its own, seeded by the stream's name; save it with `generator_state`.

    >>> torch.rand(1, generator=torch_generator(Seeds(0), "noise")) == torch.rand(1, generator=torch_generator(Seeds(0), "noise"))
    tensor([True])
    """
    return torch.Generator(device).manual_seed(seeds.integer(name))


def generator_state(generator: torch.Generator) -> np.ndarray:
    """Where the generator stands, as bytes."""
    return generator.get_state().numpy().copy()


def load_generator_state(generator: torch.Generator, state: np.ndarray) -> None:
    """Put the generator where `state` says."""
    generator.set_state(torch.from_numpy(np.array(state, dtype=np.uint8)))


def module_state(module: nn.Module) -> dict[str, np.ndarray]:
    """Every parameter, buffer and extra state of the module by name.

    >>> module_state(nn.LayerNorm(2))
    {'weight': array([1., 1.], dtype=float32), 'bias': array([0., 0.], dtype=float32)}
    """
    return {name: _to_array(tensor) for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Put `state` into the module, in place: optimisers keep their hold on the parameters.

    Raises:
        ValueError: if the names or shapes are those of another module.
    """
    have = module.state_dict()
    if have.keys() != state.keys():
        missing, extra = sorted(have.keys() - state.keys()), sorted(state.keys() - have.keys())
        raise ValueError(f"the saved network is another one: it lacks {missing[:3]} and has {extra[:3]} instead; use the run's own recipe")
    for name, tensor in have.items():
        if tuple(tensor.shape) != state[name].shape:
            raise ValueError(f"the saved {name} has shape {list(state[name].shape)}; this network's has {list(tensor.shape)}")
    module.load_state_dict({name: _to_tensor(state[name], like=tensor) for name, tensor in have.items()})


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Moments and step counts of every parameter by its number, and the settings of every group, such as `lr`."""
    state = optimizer.state_dict()
    return {
        "parameters": {
            str(number): {key: _to_value(value) for key, value in moments.items()} for number, moments in state["state"].items()
        },
        "groups": [{key: _to_value(value) for key, value in group.items() if key != "params"} for group in state["param_groups"]],
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put `state` into the optimizer, whose parameters must be given in the order they had.

    Raises:
        ValueError: if the groups are those of another optimizer.
    """
    groups = optimizer.state_dict()["param_groups"]
    if len(groups) != len(state["groups"]):
        raise ValueError(f"the saved optimizer has {len(state['groups'])} groups of parameters; this one has {len(groups)}")
    for group, saved in zip(groups, state["groups"], strict=True):
        for key in group.keys() & saved.keys():  # another version of torch may have settings of its own
            group[key] = tuple(saved[key]) if isinstance(group[key], tuple) else saved[key]
    moments = {
        int(number): {key: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value for key, value in saved.items()}
        for number, saved in state["parameters"].items()
    }
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _to_value(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _to_array(value)
    return list(value) if isinstance(value, tuple) else value


def _to_array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type: the same bits as integers
        tensor = tensor.view(torch.int16)
    return tensor.numpy().copy()


def _to_tensor(array: np.ndarray, like: Tensor) -> Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor.view(torch.bfloat16) if like.dtype == torch.bfloat16 else tensor
