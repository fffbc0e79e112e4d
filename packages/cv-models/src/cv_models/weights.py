"""Weights of a module from a local file, of this project or of torchvision: nothing is downloaded, and no code in the file is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from dl_nets.learning.weight_files import read_tensors


def load_weights(
    module: nn.Module, path: Path, *, head: str, rename: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
) -> list[str]:
    """Copy the weights of a file into a module; a last layer for other classes keeps its first weights.

    Args:
        module: Its parameters are overwritten in place.
        path: The file.
        head: Names of the last layer's tensors begin with this.
        rename: Turns the file's names and layouts into the module's.

    Returns:
        Names of the tensors that keep their first weights.

    Raises:
        ValueError: if the file does not have the module's other tensors in their shapes.
    """
    given = read_tensors(path)
    state = rename(given) if rename else given
    own = module.state_dict()
    wanted = {name for name in own if not name.endswith(("num_batches_tracked", "_extra_state"))}
    missing = sorted(name for name in wanted if name not in state and not name.startswith(head))
    if missing:
        raise ValueError(f"the weights {str(path)!r} lack {missing[0]} (and {len(missing) - 1} more); they are those of another network")
    kept = []
    for name in sorted(wanted):
        if name in state and state[name].shape == own[name].shape:
            own[name].copy_(state[name])
        elif name.startswith(head):
            kept.append(name)
        else:
            raise ValueError(
                f"{name} of the weights {str(path)!r} has shape {list(state[name].shape)}, this network's has {list(own[name].shape)}; "
                "set the network's size to that of the file"
            )
    return kept
