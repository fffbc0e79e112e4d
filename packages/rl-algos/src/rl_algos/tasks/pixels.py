"""Pendulum seen as small grey pictures: the physics of `Pendulum-v1`, drawn by compiled code for all environments at once.

A rod from the middle of the picture, 255 on 0, with a soft edge of one pixel, so that a turn of a hundredth of a pixel still changes grey
levels. An observation holds the pictures of the last two steps, the newest behind the other, since one picture hides the velocity; with
`num_frames=1` it holds the newest alone, for agents with a memory. Everything shown follows from the physical state, so the environments
are saved as those of `Pendulum-v1` are.

Source: observations of 64 x 64 pixels as in D. Hafner and others, "Learning latent dynamics for planning from pixels", 2019, section 5.
Departures: grey, two frames, no repeated actions. Letters: N environments, F frames.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks.array_envs import ArrayTask, ArrayTaskConfig
from rl_algos.tasks.pendulum import DT, Pendulum
from rl_core.config import Doc, configclass

SIZE = 64  # pixels, height and width
LENGTH, HALF_WIDTH = 25.0, 3.0  # pixels, of the rod


@kernel
def draw_rod(angle: float, image: np.ndarray) -> None:
    """Draw a rod at an angle from upright, anticlockwise as Gymnasium draws it, into a black image [64, 64], uint8."""
    middle, x_tip, y_tip = (SIZE - 1) / 2, -math.sin(angle), -math.cos(angle)
    x_end, y_end, reach = middle + LENGTH * x_tip, middle + LENGTH * y_tip, HALF_WIDTH + 1.0
    left, right = int(max(0.0, min(middle, x_end) - reach)), int(min(SIZE - 1.0, max(middle, x_end) + reach))
    top, bottom = int(max(0.0, min(middle, y_end) - reach)), int(min(SIZE - 1.0, max(middle, y_end) + reach))
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            x, y = column - middle, row - middle
            along = min(max(x * x_tip + y * y_tip, 0.0), LENGTH)
            distance = math.sqrt((x - along * x_tip) ** 2 + (y - along * y_tip) ** 2)
            light = min(max(HALF_WIDTH + 0.5 - distance, 0.0), 1.0)
            image[row, column] = np.uint8(255.0 * light + 0.5)


@kernel
def observe_two(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 2], uint8, of the states [N, 2] one step ago and now."""
    pictures = np.zeros((len(state), 2, SIZE, SIZE), dtype=np.uint8)
    for n in range(len(state)):
        draw_rod(state[n, 0] - state[n, 1] * DT, pictures[n, 0])  # the angle before: a step adds the new velocity times its duration
        draw_rod(state[n, 0], pictures[n, 1])
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


@kernel
def observe_one(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 1], uint8, of the states [N, 2]."""
    pictures = np.zeros((len(state), SIZE, SIZE, 1), dtype=np.uint8)
    for n in range(len(state)):
        draw_rod(state[n, 0], pictures[n, :, :, 0])
    return pictures


@configclass
class PixelPendulumConfig(ArrayTaskConfig):
    """Settings of the pendulum in pictures."""

    num_frames: Annotated[Literal[1, 2], Doc("F, pictures in an observation: the newest, or the two newest")] = 2


class PixelPendulum(ArrayTask):
    """Pendulum-v1 in pictures of 64 x 64 pixels; the same reward, and -200 counts as solved as there."""

    Config: ClassVar[type] = PixelPendulumConfig
    config: PixelPendulumConfig

    def __init__(self, config: PixelPendulumConfig) -> None:
        frames = config.num_frames
        self.problem = Pendulum.problem._replace(
            observe=observe_two if frames == 2 else observe_one,
            input_space=spaces.Box(0, 255, (SIZE, SIZE, frames), dtype=np.uint8),
            state_of=None,
            outcome=None,
        )
        super().__init__(config)
