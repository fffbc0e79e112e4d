"""Applications of vectors: groups of passages, and words of one language in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nlp_embeddings.corpus.tokenizers import STOP_WORDS
from nlp_embeddings.linear import unit_rows
from nlp_embeddings.vectors.word_vectors import WordVectors

MAX_PASSAGES = 20_000


def k_means(points: np.ndarray, num_groups: int, rng: np.random.Generator, *, rounds: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each point [N] and the groups' centres [K, D]: k-means++ to start, then Lloyd's rounds until nothing moves.

    Args:
        points: [N, D].
        num_groups: K, at most N.
        rng: Draws the first centres.
        rounds: Largest number of rounds.

    Source: Lloyd, 1957; Arthur, Vassilvitskii, "k-means++", 2007.

    Raises:
        ValueError: if there are fewer points than groups.

    Example:
        >>> groups, _ = k_means(np.array([[0.0], [0.1], [5.0]]), 2, np.random.default_rng(0))
        >>> bool(groups[0] == groups[1] != groups[2])
        True
    """
    if not 1 <= num_groups <= len(points):
        raise ValueError(f"{len(points)} points cannot make {num_groups} groups; expected 1 to {len(points)}")
    centres = points[[rng.integers(len(points))]]
    while len(centres) < num_groups:
        distance = np.min(((points[:, None] - centres[None]) ** 2).sum(axis=2), axis=1)
        share = distance / distance.sum() if distance.sum() > 0 else np.full(len(points), 1 / len(points))
        centres = np.vstack([centres, points[rng.choice(len(points), p=share)]])
    groups = np.full(len(points), -1)
    for _ in range(rounds):
        nearest = (np.square(centres).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        if np.array_equal(nearest, groups):
            break
        groups = nearest
        for group in range(num_groups):
            if (groups == group).any():
                centres[group] = points[groups == group].mean(axis=0)
    return groups, centres


class Cluster(NamedTuple):
    """A group of passages.

    Attributes:
        passages: Number of passages in it.
        words: Its eight most characteristic words.
        typical: Number of the passage nearest to its centre.
    """

    passages: int
    words: list[str]
    typical: int


def cluster_passages(
    vectors: np.ndarray, contents: Sequence[np.ndarray], words: Sequence[str], counts: np.ndarray, num_groups: int, rng: np.random.Generator
) -> list[Cluster]:
    """Group passages by their vectors, largest group first.

    Args:
        vectors: Vectors of passages [P, d].
        contents: Word ids of each passage.
        words: The vocabulary by id [V].
        counts: Occurrences of each word in the whole corpus [V].
        num_groups: Number of groups.
        rng: Draws the first centres.
    """
    units = unit_rows(vectors.astype(np.float64))
    groups, centres = k_means(units, num_groups, rng)
    overall = np.maximum(counts / counts.sum(), 1e-12)
    content = np.array([word not in STOP_WORDS for word in words])
    found = []
    for group in range(num_groups):
        members = np.flatnonzero(groups == group)
        if not len(members):
            continue
        ids = np.concatenate([contents[int(member)] for member in members])
        inside = np.bincount(ids[ids < len(overall)], minlength=len(overall)) * content
        best = np.argsort(-inside * np.log(np.maximum(inside, 1) / max(inside.sum(), 1) / overall), kind="stable")[:8]
        typical = members[np.argmax(units[members] @ centres[group])]
        found.append(Cluster(len(members), [words[index] for index in best], int(typical)))
    return sorted(found, key=lambda cluster: -cluster.passages)


def orthogonal_map(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rotation (or reflection) R [d, d] for which source @ R is nearest to target: Procrustes' problem.

    Args:
        source: Rows to rotate [N, d].
        target: Rows to reach [N, d].

    Source: Schoenemann, "A generalized solution of the orthogonal Procrustes problem", 1966; Xing et al., 2015, for word vectors.

    Example:
        >>> orthogonal_map(np.array([[1.0, 0], [0, 1]]), np.array([[0.0, 1], [-1, 0]])).round(6).tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
    """
    left, _, right = np.linalg.svd(source.T @ target)
    return left @ right + 0.0


def bilingual_map(source: WordVectors, target: WordVectors, dictionary: Sequence[tuple[str, str]]) -> WordVectors:
    """Rotate the source's vectors into the target's space by a dictionary of pairs; `target.similar_by_vector` then translates.

    Raises:
        ValueError: if the widths differ, or no pair of the dictionary has vectors on both sides.
    """
    if source.vector_size != target.vector_size:
        raise ValueError(f"the source's vectors have width {source.vector_size}, the target's {target.vector_size}; they must be equal")
    pairs = [(a, b) for a, b in dictionary if a in source and b in target]
    if not pairs:
        raise ValueError(f"none of the {len(dictionary)} pairs of the dictionary has vectors on both sides")
    rotation = orthogonal_map(
        np.stack([source.get_vector(a, norm=True) for a, _ in pairs]), np.stack([target.get_vector(b, norm=True) for _, b in pairs])
    )
    return WordVectors(source.index_to_key, (source.unit_vectors @ rotation).astype(np.float32), source.counts)
