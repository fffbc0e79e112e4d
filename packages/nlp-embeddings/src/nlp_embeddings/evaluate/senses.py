"""Senses of a word: groups of its occurrences in a text, by their vectors in context.

Source: Schuetze, "Automatic Word Sense Discrimination", 1998: the vector of an occurrence is the mean of the words around it, and groups of
occurrences are senses. A transformer's vectors of the occurrences take that mean's place: Reif et al., "Visualizing and Measuring the
Geometry of BERT", 2019. Rousseeuw, "Silhouettes", 1987, for the number of groups; Hubert, Arabie, "Comparing partitions", 1985.
Departures: k-means on at most ten principal components in place of Schuetze's hierarchical start; one sense where no grouping separates.
Letters: N occurrences, d dimensions, K senses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.tokenizers import STOP_WORDS
from nlp_embeddings.evaluate.applications import k_means
from nlp_embeddings.evaluate.word_map import shortened
from nlp_embeddings.linear import principal_components, unit_rows

MOST_OCCURRENCES = 400
MOST_SENSES = 4
SEPARATED = 0.15
"""Least mean silhouette of a grouping; below it, a word has one sense."""
_REACH = 20  # words on either side of an occurrence
_COMPONENTS = 10
_STARTS = 5  # of k-means, of which the tightest grouping is taken
_NAMES = 6  # words that name a sense


class Occurrence(NamedTuple):
    """A word in its context.

    Attributes:
        words: The words of the sentence, up to 20 on either side.
        place: Index of the word in `words`.
    """

    words: list[str]
    place: int


class Sense(NamedTuple):
    """A group of occurrences of a word.

    Attributes:
        occurrences: Number of occurrences in it.
        words: Words of the contexts that are most characteristic of it.
        example: The context nearest to its centre.
    """

    occurrences: int
    words: list[str]
    example: str


def occurrences(task: CorpusTask, word: str) -> list[Occurrence]:
    """Return the occurrences of a word in the text of a task, at most 400, evenly spread over the text."""
    corpus = task.corpus
    found = np.flatnonzero(np.asarray(corpus.ids) == corpus.words.index(word)) if word in corpus.words else np.zeros(0, dtype=np.int64)
    if len(found) > MOST_OCCURRENCES:
        found = found[np.linspace(0, len(found) - 1, MOST_OCCURRENCES).astype(np.int64)]
    sentences = np.searchsorted(corpus.starts, found, side="right") - 1
    result = []
    for place, sentence in zip(found, sentences, strict=True):
        first = max(int(corpus.starts[sentence]), int(place) - _REACH)
        ids = corpus.ids[first : min(int(corpus.starts[sentence + 1]), int(place) + _REACH + 1)]
        result.append(Occurrence([corpus.words[index] for index in ids], int(place) - first))
    return result


def silhouette(points: np.ndarray, groups: np.ndarray) -> float:
    """Return the mean silhouette (b - a) / max(a, b) of points, from -1 to 1; 1 for groups far apart.

    a is a point's mean distance to the others of its group, b the least mean distance to another group. A point alone has 0.

    Args:
        points: [N, d].
        groups: Group of each point, at least two groups [N].

    Example:
        >>> round(silhouette(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1])), 4)
        0.5167
    """
    squares = np.square(points).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0))
    np.fill_diagonal(distances, 0)
    names = np.unique(groups)
    inside = groups[:, None] == names  # [N, K]
    sums, sizes = distances @ inside, inside.sum(axis=0)
    own = inside.argmax(axis=1)
    rows = np.arange(len(points))
    near = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    others = np.where(inside, np.inf, sums / sizes).min(axis=1)
    shares = (others - near) / np.maximum(np.maximum(others, near), 1e-300)
    return float(np.where(sizes[own] == 1, 0.0, shares).mean())


def adjusted_rand(found: np.ndarray, true: np.ndarray) -> float:
    """Return the agreement of two groupings [N]: 1 for the same groups, 0 as expected of random ones with these sizes, (5).

    Example:
        >>> adjusted_rand(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]))
        1.0
        >>> round(adjusted_rand(np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])), 4)
        0.5714
    """

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    _, first = np.unique(found, return_inverse=True)
    _, second = np.unique(true, return_inverse=True)
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    together, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / max(len(first) * (len(first) - 1) / 2, 1)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def grouped(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the sense of each occurrence [N], numbered from 0 by size: the grouping of two to four with the largest silhouette.

    Args:
        points: Coordinates of the occurrences [N, M].
        rng: Draws the first centres.
    """
    best, score = np.zeros(len(points), dtype=np.int64), SEPARATED
    for size in range(2, min(MOST_SENSES, len(points) - 1) + 1):
        tries = [k_means(points, size, rng) for _ in range(_STARTS)]
        groups = min(tries, key=lambda found: float(np.square(points - found[1][found[0]]).sum()))[0]
        if len(np.unique(groups)) > 1 and (value := silhouette(points, groups)) > score:
            best, score = groups, value
    order = np.argsort(-np.bincount(best), kind="stable")
    return np.argsort(order)[best]


def described(found: Sequence[Occurrence], points: np.ndarray, groups: np.ndarray) -> list[Sense]:
    """Return the senses [K] of occurrences [N], with the words and the context that show each best.

    A word w is characteristic of a group by n(w) ln(p(w | group) / p(w)), over the content words of the contexts, the word itself left out.

    Args:
        found: The occurrences.
        points: Their coordinates [N, M].
        groups: Their senses [N], from 0.
    """
    around = [Counter(w for i, w in enumerate(o.words) if i != o.place and w not in STOP_WORDS and len(w) > 1) for o in found]
    overall: Counter[str] = sum(around, Counter())
    senses = []
    for group in range(int(groups.max()) + 1 if len(groups) else 0):
        members = np.flatnonzero(groups == group)
        inside: Counter[str] = sum((around[int(member)] for member in members), Counter())
        share = sum(inside.values()) / max(sum(overall.values()), 1)
        weight = {w: n * float(np.log(n / (overall[w] * share))) if int(groups.max()) else n for w, n in inside.items()}
        typical = members[np.square(points[members] - points[members].mean(axis=0)).sum(axis=1).argmin()]
        names = sorted(weight, key=lambda w: (-weight[w], w))[:_NAMES]
        senses.append(Sense(len(members), names, " ".join(found[int(typical)].words)))
    return senses


def find_senses(
    found: Sequence[Occurrence], vectors: np.ndarray, rng: np.random.Generator
) -> tuple[list[Sense], np.ndarray, np.ndarray, np.ndarray]:
    """Return the senses of a word, each occurrence's number [N] and coordinates [N, M], and each coordinate's share of the variance [M].

    Args:
        found: The occurrences.
        vectors: Their vectors in context [N, d].
        rng: Draws the first centres of the groups.
    """
    points, shares = principal_components(unit_rows(np.asarray(vectors, dtype=np.float64)), _COMPONENTS)
    groups = grouped(points, rng)
    return described(found, points, groups), groups, points, shares


def draw_senses(word: str, senses: Sequence[Sense], groups: np.ndarray, points: np.ndarray, shares: np.ndarray, path: Path) -> None:
    """Draw the occurrences of a word in the plane of largest variance into a PNG, in one colour for each sense.

    Args:
        word: The word.
        senses: Its senses.
        groups: Sense of each occurrence [N].
        points: Coordinates of the occurrences [N, M].
        shares: Share of the variance of each coordinate [M].
        path: The file to write.
    """
    from rl_core.figure import new_figure

    figure = new_figure(8, 6)
    axes = figure.add_subplot()
    plane = np.pad(points, ((0, 0), (0, max(2 - points.shape[1], 0))))
    for number, sense in enumerate(senses):
        label = f"{sense.occurrences}: {', '.join(shortened(name) for name in sense.words[:4])}"
        axes.scatter(*plane[groups == number, :2].T, s=18, color=f"C{number}", alpha=0.7, label=label)
    axes.set_title(f"{len(groups)} occurrences of {shortened(word)!r} by their contexts")
    for name, share, label in zip("xy", [*shares, 0.0, 0.0], ("first", "second"), strict=False):
        getattr(axes, f"set_{name}label")(f"{label} principal component ({100 * share:.0f} % of the variance)")
    axes.legend(title="occurrences: words around them", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
