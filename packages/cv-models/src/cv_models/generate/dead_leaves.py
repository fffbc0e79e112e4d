"""Pictures of shapes over one another, like leaves, made from a seed: edges and textures of all sizes.

Source: Lee, Mumford and Huang, *Occlusion models for natural images*, 2001. Departures: discs, squares and triangles, a
third of which carry stripes.
"""

from __future__ import annotations

import numpy as np

SAMPLES = 2  # points of a pixel along each axis


def canvas(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a picture [H, W, 3], bytes, that is covered by shapes; their radii follow a power law, so that no size is special.

    >>> canvas(np.random.default_rng(0), 24, 36).shape
    (24, 36, 3)
    """
    high, wide = height * SAMPLES, width * SAMPLES
    picture = np.full((high, wide, 3), 128.0, np.float32)
    least, most = 2.0 * SAMPLES, 24.0 * SAMPLES
    for _ in range(1 + high * wide // 120):
        radius = 1.0 / np.sqrt(rng.uniform(1.0 / most**2, 1.0 / least**2))
        centre = rng.uniform((-radius, -radius), (high + radius, wide + radius))
        (top, left), (bottom, right) = np.maximum(centre - radius, 0).astype(int), np.minimum(centre + radius + 1, (high, wide)).astype(int)
        kind, turn, colour = rng.integers(3), rng.uniform(0, 2 * np.pi), rng.uniform(10, 245, 3)
        contrast, wave, way = rng.uniform(20, 90), rng.uniform(3.0, 12.0) * SAMPLES, rng.uniform(0, np.pi)
        striped = rng.random() < 1 / 3
        if bottom <= top or right <= left:
            continue
        y, x = np.arange(top, bottom)[:, None] - centre[0], np.arange(left, right)[None] - centre[1]
        inside = x**2 + y**2 <= radius**2
        for side in range((0, 4, 3)[kind]):
            angle = turn + 2 * np.pi * side / (4, 4, 3)[kind]
            inside &= x * np.cos(angle) + y * np.sin(angle) <= radius * (1.0, 0.7071, 0.5)[kind]
        stripes = contrast * np.sin(2 * np.pi * (x * np.cos(way) + y * np.sin(way)) / wave) if striped else np.zeros(inside.shape)
        picture[top:bottom, left:right][inside] = colour + stripes[inside][:, None]
    whole = picture.reshape(height, SAMPLES, width, SAMPLES, 3).mean(axis=(1, 3))
    return np.clip(np.round(whole), 0, 255).astype(np.uint8)


def tiles(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Return `count` pictures [N, S, S, 3] that are cut from one canvas."""
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    whole = canvas(rng, rows * size, columns * size)
    cut = whole.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)
    return np.ascontiguousarray(cut[:count])
