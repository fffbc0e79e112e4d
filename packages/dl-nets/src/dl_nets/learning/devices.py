"""The device that a run computes on."""

from __future__ import annotations

import torch

from rl_core.errors import RequestError


def resolve_device(name: str) -> torch.device:
    """Return the device that `--device` names; `auto` is CUDA where it is available.

    Args:
        name: "auto", "cpu" or "cuda".

    Raises:
        RequestError: for another name, or for "cuda" where torch sees no such device.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"device is {name!r}; it must be auto, cpu or cuda", "use --device auto")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        built = f"is built for CUDA {torch.version.cuda}, but finds no GPU" if torch.version.cuda else "is built for the CPU alone"
        raise RequestError(
            f"device is 'cuda', but torch {torch.__version__} {built}", "use --device cpu, or auto, which takes a GPU where there is one"
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
