"""Pendulum, and cart with a pole, seen as small grey pictures: the physics of `Pendulum-v1` and `CartPole-v1`, drawn by compiled code.

Rods, 255 on 0, with a soft edge of one pixel, so that a turn of a hundredth of a pixel still changes grey levels. An observation holds two
pictures, the newest behind the other, since one hides the velocity; with `num_frames=1` it holds one, for agents with a memory. Everything
shown follows from the physical state, so the environments are saved as those of `Pendulum-v1` and `CartPole-v1` are. The cart's two
pictures are of now and of a step later: Euler's method moves a cart by the velocity that it has, so that no action can change the second.

Source: observations of 64 x 64 pixels as in D. Hafner and others, "Learning latent dynamics for planning from pixels", 2019, section 5.
Departures: grey, two frames, no repeated actions. Letters: N environments, F frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.tasks.array_envs import ArrayTask, ArrayTaskConfig, Problem
from rl_algos.tasks.cartpole import TAU, CartPole
from rl_algos.tasks.pendulum import DT, Pendulum
from rl_core.config import Doc, configclass

SIZE = 64  # pixels, height and width
MIDDLE, LENGTH, HALF_WIDTH = (SIZE - 1) / 2, 25.0, 3.0  # pixels, of the pendulum's rod
METRE, GROUND, POLE = 12.0, 52.0, 40.0  # pixels: of the track, down to the cart, and of the pole


@kernel
def draw_rod(x_foot: float, y_foot: float, angle: float, length: float, half_width: float, image: np.ndarray) -> None:
    """Draw a rod with round ends into an image [64, 64], uint8, where it is lighter than what is there.

    Args:
        x_foot: Column of the end that the rod turns about, pixels.
        y_foot: Its row.
        angle: From upright, anticlockwise as Gymnasium draws it.
        length: Pixels.
        half_width: Pixels.
        image: Written.
    """
    x_tip, y_tip, reach = -math.sin(angle), -math.cos(angle), half_width + 1.0
    x_end, y_end = x_foot + length * x_tip, y_foot + length * y_tip
    left, right = int(max(0.0, min(x_foot, x_end) - reach)), int(min(SIZE - 1.0, max(x_foot, x_end) + reach))
    top, bottom = int(max(0.0, min(y_foot, y_end) - reach)), int(min(SIZE - 1.0, max(y_foot, y_end) + reach))
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            x, y = column - x_foot, row - y_foot
            along = min(max(x * x_tip + y * y_tip, 0.0), length)
            distance = math.sqrt((x - along * x_tip) ** 2 + (y - along * y_tip) ** 2)
            light = np.uint8(255.0 * min(max(half_width + 0.5 - distance, 0.0), 1.0) + 0.5)
            image[row, column] = max(image[row, column], light)


@kernel
def draw_cart(position: float, angle: float, image: np.ndarray) -> None:
    """Draw a cart [m] with a pole, clockwise from upright [rad], into a black image [64, 64], uint8; the cart is a level rod."""
    x = MIDDLE + METRE * position
    draw_rod(x + 4.0, GROUND, math.pi / 2, 8.0, 2.0, image)
    draw_rod(x, GROUND, -angle, POLE, 1.5, image)


@kernel
def observe_two(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 2], uint8, of the states [N, 2] one step ago and now."""
    pictures = np.zeros((len(state), SIZE, SIZE, 2), dtype=np.uint8)
    for n in range(len(state)):
        before = state[n, 0] - state[n, 1] * DT  # a step adds the new velocity times its duration
        draw_rod(MIDDLE, MIDDLE, before, LENGTH, HALF_WIDTH, pictures[n, :, :, 0])
        draw_rod(MIDDLE, MIDDLE, state[n, 0], LENGTH, HALF_WIDTH, pictures[n, :, :, 1])
    return pictures


@kernel
def observe_one(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 1], uint8, of the states [N, 2]."""
    pictures = np.zeros((len(state), SIZE, SIZE, 1), dtype=np.uint8)
    for n in range(len(state)):
        draw_rod(MIDDLE, MIDDLE, state[n, 0], LENGTH, HALF_WIDTH, pictures[n, :, :, 0])
    return pictures


@kernel
def observe_carts(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 2], uint8, of the states [N, 4] now and a step later."""
    pictures = np.zeros((len(state), SIZE, SIZE, 2), dtype=np.uint8)
    for n in range(len(state)):
        draw_cart(state[n, 0], state[n, 2], pictures[n, :, :, 0])
        draw_cart(state[n, 0] + TAU * state[n, 1], state[n, 2] + TAU * state[n, 3], pictures[n, :, :, 1])
    return pictures


@kernel
def observe_cart(state: np.ndarray) -> np.ndarray:
    """Return pictures [N, 64, 64, 1], uint8, of the states [N, 4]."""
    pictures = np.zeros((len(state), SIZE, SIZE, 1), dtype=np.uint8)
    for n in range(len(state)):
        draw_cart(state[n, 0], state[n, 2], pictures[n, :, :, 0])
    return pictures


@configclass
class PixelConfig(ArrayTaskConfig):
    """Settings of tasks in pictures."""

    num_frames: Annotated[Literal[1, 2], Doc("F, pictures in an observation: one, or two that show velocities")] = 2


class PixelTask(ArrayTask):
    """Base of the tasks in pictures of 64 x 64 pixels: a problem whose states are drawn.

    Attributes:
        drawn: The problem.
        observers: Kernels from states [N, S] to pictures [N, 64, 64, F], for F of 1 and of 2.
    """

    Config: ClassVar[type] = PixelConfig
    drawn: ClassVar[Problem]
    observers: ClassVar[tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]]
    config: PixelConfig

    def __init__(self, config: PixelConfig) -> None:
        self.problem = self.drawn._replace(
            observe=self.observers[config.num_frames - 1],
            input_space=spaces.Box(0, 255, (SIZE, SIZE, config.num_frames), dtype=np.uint8),
            state_of=None,
            outcome=None,
        )
        super().__init__(config)


class PixelPendulum(PixelTask):
    """Pendulum-v1 in pictures of 64 x 64 pixels; the same reward, and -200 counts as solved as there."""

    drawn, observers = Pendulum.problem, (observe_one, observe_two)


class PixelCartPole(PixelTask):
    """CartPole-v1 in pictures of 64 x 64 pixels; reward 1 a step, at most 500 steps, and 475 counts as solved as there."""

    class_names = CartPole.class_names
    drawn, observers = CartPole.problem, (observe_cart, observe_carts)
