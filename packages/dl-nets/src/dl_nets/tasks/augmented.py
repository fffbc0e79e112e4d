"""Settings of the variations of training pictures, shared by the tasks whose inputs are pictures.

Nothing here needs torch, so that listing and showing such a task stays quick; `dl_nets.tasks.transforms` moves and recolours pixels.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import numpy as np

from rl_core.config import Doc, NonNegative, configclass

Transform = Literal["flip", "flip-vertical", "turn", "affine", "elastic", "brightness", "contrast", "colour", "noise", "erase"]
"""Names of the transforms: mirror left and right, mirror up and down, a quarter turn, a small rotation with scaling and shift, a smooth
deformation, lighter or darker, more or less contrast, other saturation and tint, noise, one grey rectangle."""

TRANSFORMS: tuple[str, ...] = get_args(Transform)


@configclass
class AugmentConfig:
    """Settings of the variations of training pictures."""

    augment: Annotated[
        tuple[Transform, ...],
        Doc("flip, flip-vertical, turn, affine, elastic, brightness, contrast, colour, noise, erase: variations of training pictures"),
    ] = ()
    augment_strength: Annotated[NonNegative, Doc("factor of the ranges of the variations")] = 1.0


def varied_pictures(pictures: np.ndarray, config: AugmentConfig, *, seed: int, indices: np.ndarray) -> np.ndarray:
    """Return pictures uint8 [B, H, W, C] as the config's transforms vary them in the epoch of this seed.

    Args:
        pictures: uint8 [B, H, W, C].
        config: Names and strength of the transforms.
        seed: Seed of the epoch.
        indices: The examples' indices in the training split [B].
    """
    from dl_nets.tasks.transforms import vary

    return vary(pictures, None, names=config.augment, seed=seed, indices=indices, strength=config.augment_strength)[0]
