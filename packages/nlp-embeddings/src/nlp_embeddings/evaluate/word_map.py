"""A map of words in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nlp_embeddings.linear import principal_components
from nlp_embeddings.vectors.word_vectors import WordVectors

_LONGEST_LABEL = 24


def shortened(word: str) -> str:
    """Return a word as it is drawn: short, printable, and without formulas."""
    if len(word) > _LONGEST_LABEL:
        word = f"{word[: _LONGEST_LABEL - 3]}..."
    return "".join(letter if letter.isprintable() else "?" for letter in word).replace("$", r"\$")


def draw_map(vectors: WordVectors, words: Sequence[str], path: Path) -> None:
    """Draw words at their unit vectors' places in the principal plane, into a PNG; long words are shortened."""
    from rl_core.figure import new_figure

    places, _ = principal_components(np.stack([vectors.get_vector(word, norm=True) for word in words]).astype(np.float64), 2)
    figure = new_figure(9, 7)
    axes = figure.add_subplot()
    axes.scatter(places[:, 0], places[:, 1], s=4, color="0.7")
    for word, (x, y) in zip(words, places, strict=True):
        axes.annotate(shortened(word), (x, y), fontsize=8)
    axes.set_title("Words in the plane of largest variance")
    axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
