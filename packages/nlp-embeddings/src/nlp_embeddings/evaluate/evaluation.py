"""How good word vectors are: likeness as people see it, analogies, the odd one out, classes of texts.

Sources: Finkelstein et al. (WordSim-353), 2001; Hill, Reichart, Korhonen (SimLex-999), 2015; Mikolov, Chen et al. (analogies),
2013; Levy, Goldberg (3CosMul), 2014; Camacho-Collados, Navigli (outliers), 2016.
Words without a vector are left out of a score and counted in its coverage; compare scores only at equal coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from nlp_embeddings.vectors.word_vectors import WordVectors


class Pair(NamedTuple):
    """Two words and how alike people find them."""

    first: str
    second: str
    score: float


def read_pairs(path: Path | str) -> list[Pair]:
    """Pairs of a file, `word word score` a line, between spaces, tabs or commas; lines that begin with # and a header are passed over.

    Raises:
        ValueError: if a line is something else, or there are fewer than three pairs.
    """
    pairs: list[Pair] = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        parts = line.replace(",", " ").split()
        if not parts or line.startswith("#"):
            continue
        try:
            pairs.append(Pair(parts[0], parts[1], float(parts[2])))
        except (IndexError, ValueError) as error:
            if number == 1:
                continue
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is not `word word score`") from error
    if len(pairs) < 3:
        raise ValueError(f"{path} holds {len(pairs)} pairs of words; a rank correlation needs at least three")
    return pairs


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's rho with its 95 % interval, by Fisher's transformation with Bonett and Wright's variance.

    A constant side has no ranks: rho is then 0.

    Source: Bonett, Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", 2000.

    Example:
        >>> rho, low, high = rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
        >>> round(rho, 4), low < rho < high
        (0.9, True)
    """
    if len(ours) < 3 or np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 0.0, -1.0, 1.0
    rho = float(stats.spearmanr(ours, theirs).statistic)
    if abs(rho) >= 1 or len(ours) < 4:
        return rho, -1.0, 1.0
    width = 1.96 * np.sqrt((1 + rho**2 / 2) / (len(ours) - 3))
    return rho, float(np.tanh(np.arctanh(rho) - width)), float(np.tanh(np.arctanh(rho) + width))


def word_similarity(vectors: WordVectors, pairs: Sequence[Pair]) -> dict[str, float]:
    """Spearman's rho between cosines and people's scores, its 95 % interval, and the share of pairs that have vectors."""
    known = [(p, f, s) for p in pairs if (f := _known(vectors, p.first)) and (s := _known(vectors, p.second))]
    rho, low, high = rank_correlation([vectors.similarity(f, s) for _, f, s in known], [p.score for p, _, _ in known])
    return {"spearman": rho, "low": low, "high": high, "coverage": len(known) / len(pairs), "pairs": float(len(pairs))}


def read_analogies(path: Path | str) -> dict[str, list[tuple[str, str, str, str]]]:
    """Questions by group: lines `: group`, then `a b c d`, meaning a is to b as c is to d.

    Raises:
        ValueError: if a line is something else, or there is no question.
    """
    groups: dict[str, list[tuple[str, str, str, str]]] = {}
    name = "analogies"
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith(":"):
            name = line[1:].strip()
        elif line.strip():
            parts = line.split()
            if len(parts) != 4:
                raise ValueError(f"{path}, line {number}: {line[:60]!r} is not four words")
            groups.setdefault(name, []).append((parts[0], parts[1], parts[2], parts[3]))
    if not groups:
        raise ValueError(f"{path} holds no analogies; a line is `a b c d`")
    return groups


def word_analogies(
    vectors: WordVectors,
    groups: dict[str, list[tuple[str, str, str, str]]],
    *,
    method: Literal["add", "mul"] = "add",
    restrict_vocab: int = 30_000,
    batch: int = 512,
) -> dict[str, float]:
    """Share of questions whose first answer is right: of all, of semantic and syntactic groups (gram...), and of each group.

    Args:
        vectors: Whose.
        groups: As from `read_analogies`.
        method: 3CosAdd or 3CosMul.
        restrict_vocab: Answers are looked for among this many most frequent words, and questions with other words left out.
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
    totals = {"accuracy": both, "semantic": semantic, "syntactic": syntactic}
    result = {name: float(np.mean(hits)) if hits else 0.0 for name, hits in (totals | right).items()}
    return result | {"coverage": len(both) / asked if asked else 0.0, "questions": float(len(both))}


def odd_one_out(vectors: WordVectors, groups: Sequence[tuple[Sequence[str], Sequence[str]]]) -> dict[str, float]:
    """Outlier detection: is the outlier the least alike of its group, and how low is it on average?

    Args:
        vectors: Whose.
        groups: (words that belong together, words that do not) each; every outlier is tried alone with its group.

    Returns:
        "accuracy", the share of outliers found; "position", 1 where it is last and 0 where first; "coverage".
    """
    found, places, tried = [], [], 0
    for members, outliers in groups:
        inside = [word for m in members if (word := _known(vectors, m))]
        for outlier in outliers:
            tried += 1
            word = _known(vectors, outlier)
            if word is None or len(inside) < 2:
                continue
            units = np.stack([vectors.get_vector(w, norm=True) for w in [*inside, word]])
            alike = (units @ units.T).sum(axis=1)  # compactness: the outlier adds least
            place = int((alike[:-1] >= alike[-1]).sum())
            found.append(place == len(inside))
            places.append(place / len(inside))
    return {
        "accuracy": float(np.mean(found)) if found else 0.0,
        "position": float(np.mean(places)) if places else 0.0,
        "coverage": len(found) / tried if tried else 0.0,
    }


def linear_classifier(features: np.ndarray, labels: np.ndarray, num_classes: int, *, penalty: float = 1.0) -> np.ndarray:
    """Weights [D + 1, C] of multinomial logistic regression with a bias, found by L-BFGS.

    Args:
        features: [N, D].
        labels: 0..C-1 [N].
        num_classes: C.
        penalty: Of half the squared weights, against the sum of losses; the bias is free.

    Example:
        >>> weights = linear_classifier(np.array([[0.0], [1.0]]), np.array([0, 1]), 2)
        >>> classify(weights, np.array([[0.1], [0.9]])).tolist()
        [0, 1]
    """
    from scipy.optimize import minimize

    inputs = np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)
    shape = (inputs.shape[1], num_classes)
    rows = np.arange(len(labels))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        scores = inputs @ weights
        scores -= scores.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(scores).sum(axis=1))
        error = np.exp(scores - log_total[:, None])
        error[rows, labels] -= 1
        gradient = inputs.T @ error
        gradient[:-1] += penalty * weights[:-1]
        return float((log_total - scores[rows, labels]).sum() + penalty / 2 * np.square(weights[:-1]).sum()), gradient.ravel()

    return minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x.reshape(shape)


def classify(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Classes [N] of features [N, D] by the weights of `linear_classifier`."""
    return (features @ weights[:-1] + weights[-1]).argmax(axis=1)


def _known(vectors: WordVectors, word: str) -> str | None:
    for form in (word, word.lower()):
        if form in vectors or (vectors.subwords is not None and vectors.subwords.vector_of(form) is not None):
            return form
    return None
