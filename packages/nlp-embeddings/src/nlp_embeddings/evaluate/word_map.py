"""A map of words in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nlp_embeddings.vectors.word_vectors import WordVectors

_LONGEST_LABEL = 24


def principal_plane(vectors: np.ndarray) -> np.ndarray:
    """Return coordinates [N, 2] along the two directions of largest variance; the largest entry of each direction is positive.

    Args:
        vectors: [N, d], N >= 2.

    Source: Pearson, 1901.

    Example:
        >>> principal_plane(np.array([[0.0, 0, 1], [0, 0, -1], [0, 3, 0], [0, -3, 0]])).round(3).tolist()
        [[0.0, 1.0], [0.0, -1.0], [3.0, 0.0], [-3.0, 0.0]]
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = directions[:2]
    plane = plane * np.sign(np.take_along_axis(plane, np.abs(plane).argmax(axis=1)[:, None], axis=1))
    return centred @ plane.T + 0.0


def _label(word: str) -> str:
    """Return a word as it is drawn: short, printable, and without formulas."""
    if len(word) > _LONGEST_LABEL:
        word = f"{word[: _LONGEST_LABEL - 3]}..."
    return "".join(letter if letter.isprintable() else "?" for letter in word).replace("$", r"\$")


def draw_map(vectors: WordVectors, words: Sequence[str], path: Path) -> None:
    """Draw words at their unit vectors' places in the principal plane, into a PNG; long words are shortened."""
    from rl_core.figure import new_figure

    places = principal_plane(np.stack([vectors.get_vector(word, norm=True) for word in words]).astype(np.float64))
    figure = new_figure(9, 7)
    axes = figure.add_subplot()
    axes.scatter(places[:, 0], places[:, 1], s=4, color="0.7")
    for word, (x, y) in zip(words, places, strict=True):
        axes.annotate(_label(word), (x, y), fontsize=8)
    axes.set_title("Words in the plane of largest variance")
    axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
