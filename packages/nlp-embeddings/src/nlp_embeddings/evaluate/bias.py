"""Bias of word vectors: how much more one group of words is associated with an attribute than another, and its removal.

Source: A. Caliskan, J. Bryson, A. Narayanan, "Semantics derived automatically from language corpora contain human-like biases", 2017;
T. Bolukbasi, K.-W. Chang, J. Zou, V. Saligrama, A. Kalai, "Man is to computer programmer as woman is to homemaker? Debiasing word
embeddings", 2016, sections 5.1 and 6.
Departures: the p-value is exact where there are at most 20,000 ways to divide the targets, else it is of that many random ones.
Letters: d width of the vectors, N words.
"""

from __future__ import annotations

import itertools
import math
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.linear import unit_rows
from nlp_embeddings.vectors.word_vectors import WordVectors

MAX_DIVISIONS = 20_000


class Association(NamedTuple):
    """A question of the word embedding association test.

    Attributes:
        targets: Two groups of words, such as flowers and insects.
        attributes: Two groups of words, such as pleasant and unpleasant ones.
        names: Names of the four groups, in this order.
    """

    targets: tuple[list[str], list[str]]
    attributes: tuple[list[str], list[str]]
    names: tuple[str, str, str, str]


class Effect(NamedTuple):
    """Result of the test.

    Attributes:
        size: d, in deviations: above 0 if the first targets are nearer to the first attribute; at most 2.
        p_value: Share of the divisions of all targets into two groups of these sizes whose difference is as large.
    """

    size: float
    p_value: float


def association_test(targets: Sequence[np.ndarray], attributes: Sequence[np.ndarray], rng: np.random.Generator) -> Effect:
    """Return the effect of two groups of targets on two of attributes, each vectors [N, d].

    s(w) is the mean cosine of a target w with the first attribute less that with the second; the effect size is the difference of the mean
    s of both groups of targets, over the deviation of s of all.

    >>> x, y = np.array([[1.0, 0.0], [1.0, 0.1]]), np.array([[0.0, 1.0], [0.1, 1.0]])
    >>> effect = association_test([x, y], [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])], np.random.default_rng(0))
    >>> round(effect.size, 2), round(effect.p_value, 3)  # of six divisions only this one is as large
    (1.73, 0.167)
    """
    x, y, a, b = (unit_rows(np.asarray(group, dtype=np.float64)) for group in (*targets, *attributes))
    every = np.concatenate([x, y])
    scores = (every @ a.T).mean(axis=1) - (every @ b.T).mean(axis=1)
    found = scores[: len(x)].mean() - scores[len(x) :].mean()
    deviation = scores.std(ddof=1)
    total, size = scores.sum(), len(x)
    if math.comb(len(every), size) <= MAX_DIVISIONS:
        sums = np.array([scores[list(chosen)].sum() for chosen in itertools.combinations(range(len(every)), size)])
    else:
        sums = np.array([scores[rng.permutation(len(every))[:size]].sum() for _ in range(MAX_DIVISIONS)])
    differences = sums / size - (total - sums) / (len(every) - size)
    return Effect(float(found / deviation) if deviation > 0 else 0.0, float(np.mean(differences >= found - 1e-12)))


def bias_direction(vectors: WordVectors, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Return the unit direction [d] along which pairs such as (she, he) differ: the first principal component around their middles.

    Raises:
        ValueError: if no pair has vectors on both sides.
    """
    kept = [(first, second) for first, second in pairs if first in vectors and second in vectors]
    if not kept:
        raise ValueError(f"none of the {len(pairs)} pairs has vectors on both sides")
    halves = np.stack([(vectors.get_vector(a, norm=True) - vectors.get_vector(b, norm=True)) / 2 for a, b in kept])
    _, _, directions = np.linalg.svd(np.concatenate([halves, -halves]).astype(np.float64), full_matrices=False)
    first = directions[0] if halves[0] @ directions[0] >= 0 else -directions[0]
    return np.asarray(first)


def debiased(vectors: WordVectors, pairs: Sequence[tuple[str, str]], keep: Sequence[str] = ()) -> WordVectors:
    """Return unit vectors without the direction along which the pairs differ (hard debiasing).

    Words that are neither of a pair nor in `keep` lose their part along the direction (neutralise). The two of a pair come to differ along
    it alone, equally far on both sides (equalise), so that every neutral word is equally near to both.

    >>> words = WordVectors(["she", "he", "nurse"], np.array([[1.0, 1, 0], [-1, 1, 0.2], [0.5, 1, 1]], dtype=np.float32))
    >>> fair = debiased(words, [("she", "he")])
    >>> round(words.similarity("nurse", "she") - words.similarity("nurse", "he"), 2)
    0.38
    >>> abs(round(fair.similarity("nurse", "she") - fair.similarity("nurse", "he"), 6))
    0.0
    """
    direction = bias_direction(vectors, pairs)
    units = vectors.unit_vectors.astype(np.float64)
    spared = {word for pair in pairs for word in pair} | set(keep)
    neutral = np.array([word not in spared for word in vectors.index_to_key])
    changed = units - np.where(neutral[:, None], (units @ direction)[:, None] * direction, 0.0)
    changed[neutral] = unit_rows(changed[neutral])
    place = {word: number for number, word in enumerate(vectors.index_to_key)}
    for first, second in pairs:
        if first not in place or second not in place:
            continue
        rows = [place[first], place[second]]
        middle = units[rows].mean(axis=0)
        middle -= (middle @ direction) * direction
        reach = np.sqrt(max(0.0, 1.0 - middle @ middle))
        side = 1.0 if (units[rows[0]] - units[rows[1]]) @ direction >= 0 else -1.0
        changed[rows] = middle + reach * side * np.outer([1.0, -1.0], direction)
    return WordVectors(vectors.index_to_key, changed.astype(np.float32), vectors.counts)


def read_association(path: Path | str) -> Association:
    """Read a question: two lines `target NAME: word word ...` and two lines `attribute NAME: word word ...`.

    Raises:
        ValueError: if a line has another form, or there are not two of each.
    """
    groups: dict[str, list[tuple[str, list[str]]]] = {"target": [], "attribute": []}
    for number, line in numbered_lines(Path(path)):
        if not line.strip() or line.startswith("#"):
            continue
        head, _, words = line.partition(":")
        kind, _, name = head.strip().partition(" ")
        if kind not in groups or not words.split():
            expected = "expected `target NAME: word ...` or `attribute NAME: word ...`"
            raise ValueError(f"{path}, line {number}: {expected}, got {reprlib.repr(line)}")
        groups[kind].append((name.strip() or kind, words.split()))
    targets, attributes = groups["target"], groups["attribute"]
    if len(targets) != 2 or len(attributes) != 2:
        raise ValueError(f"{path} has {len(targets)} lines of targets and {len(attributes)} of attributes; expected two of each")
    (one, x), (two, y) = targets
    (three, a), (four, b) = attributes
    return Association((x, y), (a, b), (one, two, three, four))
