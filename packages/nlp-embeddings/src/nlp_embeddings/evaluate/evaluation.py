"""Quality of word vectors: similarity as people see it, and analogies.

Sources: Finkelstein et al. (WordSim-353), 2001; Hill, Reichart, Korhonen (SimLex-999), 2015; Mikolov, Chen et al. (analogies),
2013; Levy, Goldberg (3CosMul), 2014.
Words without a vector are left out of a score and counted in its coverage; compare scores only at equal coverage. A score is NaN where
no question could be asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from nlp_embeddings.evaluate.questions import Analogies, Pair
from nlp_embeddings.vectors.word_vectors import WordVectors


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return Spearman's rho with its 95 % interval, by Fisher's transformation with Bonett and Wright's variance.

    A constant side has no ranks: rho is then 0. Fewer than three pairs give NaN.

    Source: Bonett, Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", 2000.

    Example:
        >>> rho, low, high = rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
        >>> round(rho, 4), low < rho < high
        (0.9, True)
    """
    if len(ours) < 3:
        return math.nan, -1.0, 1.0
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 0.0, -1.0, 1.0
    rho = float(stats.spearmanr(ours, theirs).statistic)
    if abs(rho) >= 1 or len(ours) < 4:
        return rho, -1.0, 1.0
    width = 1.96 * np.sqrt((1 + rho**2 / 2) / (len(ours) - 3))
    return rho, float(np.tanh(np.arctanh(rho) - width)), float(np.tanh(np.arctanh(rho) + width))


def word_similarity(vectors: WordVectors, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return Spearman's rho between cosines and people's scores, its 95 % interval, and the share of pairs that have vectors."""
    known = [(p, f, s) for p in pairs if (f := _known(vectors, p.first)) and (s := _known(vectors, p.second))]
    rho, low, high = rank_correlation([vectors.similarity(f, s) for _, f, s in known], [p.score for p, _, _ in known])
    return {"spearman": rho, "low": low, "high": high, "coverage": len(known) / len(pairs), "pairs": float(len(pairs))}


def word_analogies(
    vectors: WordVectors,
    groups: Analogies,
    *,
    method: Literal["add", "mul"] = "add",
    restrict_vocab: int = 30_000,
    batch: int = 512,
) -> dict[str, float]:
    """Return the share of questions whose first answer is right: of all, of semantic and syntactic groups (gram...), and of each group.

    A group with the name of another metric is reported as `group NAME`.

    Args:
        vectors: Vectors to judge.
        groups: Questions, as `read_analogies` returns them.
        method: 3CosAdd or 3CosMul.
        restrict_vocab: Answers are searched among this many most frequent words; questions with other words are left out.
        batch: Questions answered by one matrix product.
    """
    units = vectors.unit_vectors[:restrict_vocab]
    index = {word: number for number, word in enumerate(vectors.index_to_key[:restrict_vocab])}
    lowered = {word.lower(): number for word, number in reversed(index.items())}
    right: dict[str, list[bool]] = {}
    asked = 0
    for name, questions in groups.items():
        numbers = [[index.get(word, lowered.get(word.lower(), -1)) for word in question] for question in questions]
        asked += len(questions)
        known = np.array([n for n in numbers if min(n) >= 0], dtype=np.int64).reshape(-1, 4)
        right[name] = []
        for start in range(0, len(known), batch):
            part = known[start : start + batch]
            a, b, c = units[part[:, 0]], units[part[:, 1]], units[part[:, 2]]
            if method == "add":
                scores = (b - a + c) @ units.T
            else:
                scores = (1 + b @ units.T) / 2 * (1 + c @ units.T) / 2 / ((1 + a @ units.T) / 2 + 1e-6)
            np.put_along_axis(scores, part[:, :3], -np.inf, axis=1)
            right[name].extend((scores.argmax(axis=1) == part[:, 3]).tolist())
    semantic = [hit for name, hits in right.items() if not name.startswith("gram") for hit in hits]
    syntactic = [hit for name, hits in right.items() if name.startswith("gram") for hit in hits]
    both = semantic + syntactic
    result = {name: _share(hits) for name, hits in (("accuracy", both), ("semantic", semantic), ("syntactic", syntactic))}
    result |= {"coverage": len(both) / asked if asked else 0.0, "questions": float(len(both))}
    totals = set(result)
    return result | {f"group {name}" if name in totals else name: _share(hits) for name, hits in right.items()}


def _share(hits: Sequence[float]) -> float:
    """Return the mean of some hits; NaN if there are none."""
    return float(np.mean(hits)) if hits else math.nan


def _known(vectors: WordVectors, word: str) -> str | None:
    """Return the form of a word that has a vector: as it is, or in small letters."""
    for form in (word, word.lower()):
        if vectors.has_vector(form):
            return form
    return None
