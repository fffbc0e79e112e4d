"""The choice between the two networks of a game by the spaces that they are built for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium import spaces
from torch import nn

from dl_nets.generative.conditions import parts_of
from dl_nets.networks.spaces import image_shape

Shape = tuple[int, int, int]
LEAST = 8  # pixels of an image's shorter side


def built(
    input_space: gymnasium.Space[Any],
    output_space: gymnasium.Space[Any],
    generator: Callable[[int, int, Shape], nn.Module],
    discriminator: Callable[[int, Shape], nn.Module],
) -> nn.Module:
    """Build a generator where inputs are noise and outputs an image, or a discriminator where inputs are an image.

    Args:
        input_space: Noise [Z] or an image [H, W, C], with labels of K classes or without.
        output_space: An image [H, W, C], or one number.
        generator: Builder from Z, K and H, W, C.
        discriminator: Builder from K and H, W, C.

    Raises:
        ValueError: for other spaces.
    """
    numbers, classes = parts_of(input_space)
    wants_image = isinstance(output_space, spaces.Box) and len(output_space.shape) == 3
    if len(numbers.shape) == 1 and wants_image:
        return generator(math.prod(numbers.shape), classes, image_shape(output_space, least=LEAST))
    if len(numbers.shape) == 3 and isinstance(output_space, spaces.Box) and output_space.shape == (1,):
        return discriminator(classes, image_shape(numbers, least=LEAST))
    raise ValueError(
        f"the inputs are {input_space} and the outputs {output_space}; expected noise [Z] and an image [H, W, C], as the tasks "
        "generate:<task of pictures> have, or an image and one number"
    )
