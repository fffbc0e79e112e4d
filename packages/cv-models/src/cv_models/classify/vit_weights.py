"""Torchvision's weights of vision transformers under this package's names, and positions at another size.

Letters: N patches, T tokens, D width, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PARTS = {  # of a block: ours to torchvision's
    "attention_norm": "ln_1",
    "perceptron_norm": "ln_2",
    "attention.output": "self_attention.out_proj",
    "perceptron.0": "mlp.0",
    "perceptron.2": "mlp.3",
}


def from_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of torchvision's `VisionTransformer` under the names and in the layout of `cv_models.classify.vit`.

    A state that has our names already is returned as it is.
    """
    if "conv_proj.weight" not in state:
        return state
    kernel = state["conv_proj.weight"]  # [D, C, patch, patch]; ours reads a patch row by row, channels last
    result = {
        "positions": state["encoder.pos_embedding"],
        "class_token": state["class_token"],
        "embedding.weight": kernel.permute(0, 2, 3, 1).flatten(1).contiguous(),
        "embedding.bias": state["conv_proj.bias"],
    }
    names = {"norm": "encoder.ln", "head": "heads.head"}
    depth = 1 + max(int(name.split(".")[2].rpartition("_")[2]) for name in state if name.startswith("encoder.layers."))
    for number in range(depth):
        theirs, ours = f"encoder.layers.encoder_layer_{number}", f"blocks.{number}"
        names |= {f"{ours}.{part}": f"{theirs}.{their_part}" for part, their_part in PARTS.items()}
        for part in ("weight", "bias"):
            result[f"{ours}.attention.query_key_value.{part}"] = state[f"{theirs}.self_attention.in_proj_{part}"]
    for ours, theirs in names.items():
        result |= {f"{ours}.{part}": state[f"{theirs}.{part}"] for part in ("weight", "bias") if f"{theirs}.{part}" in state}
    return result


def resized_positions(positions: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Return learned positions [1, T, D] for another number of patches: bicubic in the grid, further tokens as they are.

    Args:
        positions: Of all tokens; those that are not patches are first.
        grid: Rows and columns of patches that the positions are for.
        wanted: Rows and columns of patches.

    Source: Dosovitskiy et al., section 3.2.

    >>> resized_positions(torch.ones(1, 5, 3), (2, 2), (3, 4)).shape
    torch.Size([1, 13, 3])
    """
    if grid == wanted:
        return positions
    first = positions.shape[1] - grid[0] * grid[1]
    patches = positions[:, first:].reshape(1, *grid, -1).permute(0, 3, 1, 2)
    patches = functional.interpolate(patches, wanted, mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([positions[:, :first], patches.flatten(2).transpose(1, 2)], dim=1)


def square(count: int) -> tuple[int, int]:
    """Return the rows and columns of a square of patches; those of one row where the count is not a square.

    >>> square(196), square(12)
    ((14, 14), (1, 12))
    """
    side = round(count**0.5)
    return (side, side) if side * side == count else (1, count)
