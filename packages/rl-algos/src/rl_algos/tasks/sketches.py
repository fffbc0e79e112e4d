"""Pictures of the tasks that are stepped as arrays, drawn by Pillow, which is imported when the first one is drawn.

Letters: S numbers of a state, H W of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT = 300, 200
PAPER, LINE, BODY, ACCENT = (250, 250, 250), (70, 70, 78), (60, 90, 150), (200, 120, 30)


def cart_and_pole(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a cart at x with a pole at an angle from upright, of a state [S] that begins (x, x', angle)."""
    image, draw = _paper()
    x, ground = WIDTH / 2 + float(state[0]) * WIDTH / 5.4, 150
    angle = float(state[2])
    draw.line((0, ground, WIDTH, ground), fill=LINE, width=1)
    for limit in (-2.4, 2.4):
        mark = WIDTH / 2 + limit * WIDTH / 5.4
        draw.line((mark, ground - 6, mark, ground + 6), fill=LINE, width=1)
    draw.rectangle((x - 20, ground - 12, x + 20, ground + 8), fill=BODY)
    draw.line((x, ground - 12, x + 90 * math.sin(angle), ground - 12 - 90 * math.cos(angle)), fill=ACCENT, width=7)
    return np.asarray(image)


def pendulum(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a pendulum at an angle from upright, of a state (angle, velocity)."""
    image, draw = _paper()
    angle, x, y = float(state[0]), WIDTH / 2, HEIGHT / 2
    tip = x - 80 * math.sin(angle), y - 80 * math.cos(angle)
    draw.line((x, y, *tip), fill=ACCENT, width=12)
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=LINE)
    return np.asarray(image)


def mountain_car(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of a car between two hills, of a state (position, velocity)."""
    image, draw = _paper()

    def place(position: float) -> tuple[float, float]:
        return (position + 1.2) / 1.8 * WIDTH, 150 - 60 * (math.sin(3 * position) + 0.1)

    hills = [place(-1.2 + 1.8 * step / 100) for step in range(101)]
    draw.line(hills, fill=LINE, width=2)
    flag = place(0.5)
    draw.line((*flag, flag[0], flag[1] - 24), fill=LINE, width=2)
    draw.polygon((flag[0], flag[1] - 24, flag[0] + 12, flag[1] - 19, flag[0], flag[1] - 14), fill=ACCENT)
    x, y = place(float(state[0]))
    draw.ellipse((x - 8, y - 16, x + 8, y), fill=BODY)
    return np.asarray(image)


def acrobot(state: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] of two links that hang, of a state (first angle, second angle relative to it, velocities)."""
    image, draw = _paper()
    first, second = float(state[0]), float(state[0] + state[1])
    x, y = WIDTH / 2, HEIGHT / 2
    elbow = x + 42 * math.sin(first), y + 42 * math.cos(first)
    tip = elbow[0] + 42 * math.sin(second), elbow[1] + 42 * math.cos(second)
    draw.line((0, y - 42, WIDTH, y - 42), fill=LINE, width=1)
    draw.line((x, y, *elbow), fill=BODY, width=8)
    draw.line((*elbow, *tip), fill=ACCENT, width=8)
    return np.asarray(image)


def plane(
    point: np.ndarray, *, goal: tuple[float, float, float], reach: float = 1.0, walls: Sequence[Sequence[float]] = (), discs: Any = ()
) -> np.ndarray:
    """Return a picture [H, W, 3] of a point (x, y) in a square, and of what it meets there.

    Args:
        point: A state [S] that begins (x, y).
        goal: Centre and radius.
        reach: The square goes from -reach to reach along both axes.
        walls: Left, bottom, width and height of each wall.
        discs: Centre and radius of each disc to stay out of [K, 3].
    """
    from PIL import Image, ImageDraw

    side = 240
    image = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(image)

    def place(x: float, y: float) -> tuple[float, float]:
        return (float(x) / reach + 1) / 2 * (side - 1), (1 - float(y) / reach) / 2 * (side - 1)

    def circle(x: float, y: float, radius: float, **colours: Any) -> None:
        centre, size = place(x, y), max(float(radius) / reach * side / 2, 3.0)
        draw.ellipse((centre[0] - size, centre[1] - size, centre[0] + size, centre[1] + size), **colours)

    draw.rectangle((0, 0, side - 1, side - 1), outline=LINE)
    for left, bottom, width, height in walls:
        draw.rectangle((*place(left, bottom + height), *place(left + width, bottom)), fill=LINE)
    for disc in discs:
        circle(*disc, fill=(225, 190, 190), outline=LINE)
    circle(*goal, outline=ACCENT, width=3)
    circle(point[0], point[1], reach * 0.04, fill=BODY)
    return np.asarray(image)


def board(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a picture [H, W, 3] of a board [C]: disks of the player to move (1), and of the other (-1)."""
    from PIL import Image, ImageDraw

    side, (rows, columns) = 40, shape
    image = Image.new("RGB", (columns * side + 1, rows * side + 1), PAPER)
    draw = ImageDraw.Draw(image)
    for index, stone in enumerate(np.asarray(cells).ravel()):
        x, y = index % columns * side, index // columns * side
        draw.rectangle((x, y, x + side, y + side), outline=LINE)
        if stone:
            draw.ellipse((x + 6, y + 6, x + side - 6, y + side - 6), fill=BODY if stone > 0 else ACCENT)
    return np.asarray(image)


def _paper() -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    return image, ImageDraw.Draw(image)
