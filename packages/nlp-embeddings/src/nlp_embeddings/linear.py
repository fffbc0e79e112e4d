"""Small linear algebra that every room uses."""

from __future__ import annotations

import numpy as np


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors [N, d] to length one; zero vectors stay zero.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def principal_components(vectors: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates [N, M] along the directions of largest variance, and each one's share of the variance [M].

    The largest entry of each direction is positive, so that a picture is not mirrored by chance.

    Args:
        vectors: [N, d].
        most: Largest number M of directions.

    Source: Pearson, 1901.

    Example:
        >>> places, shares = principal_components(np.array([[0.0, 0, 1], [0, 0, -1], [0, 3, 0], [0, -3, 0]]), 2)
        >>> places.round(3).tolist(), shares.round(3).tolist()
        ([[0.0, 1.0], [0.0, -1.0], [3.0, 0.0], [-3.0, 0.0]], [0.9, 0.1])
    """
    centred = vectors - vectors.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    plane = directions[:most]
    plane = plane * np.sign(np.take_along_axis(plane, np.abs(plane).argmax(axis=1)[:, None], axis=1))
    return centred @ plane.T + 0.0, lengths[:most] ** 2 / max(float((lengths**2).sum()), 1e-300)
