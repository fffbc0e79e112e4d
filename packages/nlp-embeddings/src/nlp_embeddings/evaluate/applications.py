"""What vectors are good for: passages in groups, words of one language in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_embeddings.corpus.tokenizers import STOP_WORDS
from nlp_embeddings.vectors.word_vectors import WordVectors, unit_rows

if TYPE_CHECKING:
    from nlp_embeddings.training.word_agent import WordAgent

MAX_PASSAGES = 20_000


def k_means(points: np.ndarray, num_groups: int, rng: np.random.Generator, *, rounds: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Group of each point [N], and the groups' centres [K, D]: k-means++ to start, then Lloyd's rounds until nothing moves.

    Args:
        points: [N, D].
        num_groups: K, at most N.
        rng: Chooses the first centres.
        rounds: Most rounds.

    Source: Lloyd, 1957; Arthur, Vassilvitskii, "k-means++", 2007.

    Raises:
        ValueError: if there are fewer points than groups.

    Example:
        >>> groups, _ = k_means(np.array([[0.0], [0.1], [5.0]]), 2, np.random.default_rng(0))
        >>> bool(groups[0] == groups[1] != groups[2])
        True
    """
    if not 1 <= num_groups <= len(points):
        raise ValueError(f"{len(points)} points cannot make {num_groups} groups; ask for 1 to {len(points)}")
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


def cluster_passages(agent: WordAgent, num_groups: int) -> list[dict[str, Any]]:
    """Passages of an agent's corpus in groups by their vectors, each with its size, its most typical passage and telling words."""
    task, vocabulary = agent.task, agent.vocabulary
    count = min(len(task.passages) - 1, MAX_PASSAGES)
    contents = [task.passage_ids(number, whole=True) for number in range(count)]
    vectors = unit_rows(agent.predict(np.array([task.text(ids) for ids in contents], dtype=object)).astype(np.float64))
    groups, centres = k_means(vectors, num_groups, np.random.default_rng(agent.seeds.integer("clusters", num_groups)))
    overall = np.maximum(vocabulary.counts / vocabulary.counts.sum(), 1e-12)
    tells = np.array([word not in STOP_WORDS for word in vocabulary.words])
    found = []
    for group in range(num_groups):
        members = np.flatnonzero(groups == group)
        if not len(members):
            continue
        ids = np.concatenate([contents[member] for member in members])
        counts = np.bincount(ids[ids < len(overall)], minlength=len(overall)) * tells
        telling = np.argsort(-counts * np.log(np.maximum(counts, 1) / max(counts.sum(), 1) / overall), kind="stable")[:8]
        typical = members[np.argmax(vectors[members] @ centres[group])]
        found.append({"passages": len(members), "words": [vocabulary.words[index] for index in telling], "typical": int(typical)})
    return sorted(found, key=lambda entry: -entry["passages"])


def orthogonal_map(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation (or reflection) R [d, d] that brings source @ R nearest to target: Procrustes' problem.

    Args:
        source: Rows to be moved [N, d].
        target: Where they should come to [N, d].

    Source: Schoenemann, "A generalized solution of the orthogonal Procrustes problem", 1966; Xing et al., 2015, for word vectors.

    Example:
        >>> orthogonal_map(np.array([[1.0, 0], [0, 1]]), np.array([[0.0, 1], [-1, 0]])).round(6).tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
    """
    left, _, right = np.linalg.svd(source.T @ target)
    return left @ right + 0.0


def bilingual_map(source: WordVectors, target: WordVectors, dictionary: Sequence[tuple[str, str]]) -> WordVectors:
    """The source's vectors turned into the target's space by a dictionary of pairs; `target.similar_by_vector` then translates.

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
