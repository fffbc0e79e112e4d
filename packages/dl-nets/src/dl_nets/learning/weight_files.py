"""Files of weights: tensors by name, from safetensors or from torch's own format.

Torch's format is a pickle. It is read by torch's restricted unpickler (`weights_only`), which builds tensors and plain containers and
refuses everything else before any of it is called: torchvision publishes its weights in no other format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name: `.safetensors`, or `.pth` and `.pt` of a `state_dict`.

    Raises:
        ValueError: naming the file that is missing, damaged, or holds anything but tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, by what is wrong with the file
        reason = str(error).splitlines()[0][:200] if str(error) else ""
        raise ValueError(
            f"the weights {str(path)!r} cannot be read ({type(error).__name__}: {reason}); expected a .safetensors file, or a .pth "
            "file of a state_dict() that torch.save wrote"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"the weights {str(path)!r} are not a mapping from names to tensors; save a module's state_dict()")
    return dict(state)
