"""Tables made of word counts for word2vec: subsampling, the noise distribution, the Huffman tree."""

from __future__ import annotations

import heapq

import numpy as np

from nlp_embeddings.training.stream import Tree


def keep_probability(counts: np.ndarray, threshold: float) -> np.ndarray:
    """Return the probability that an occurrence of each word is kept: min(1, sqrt(t / f) + t / f), f = count / all counts.

    The paper has 1 - sqrt(t / f) for discarding; this formula is that of its authors' program, of gensim and of fastText.

    Args:
        counts: Occurrences [V].
        threshold: t; 0 keeps every word.

    Source: word2vec.c, 2013; Mikolov et al., 2013, section 2.3.

    Example:
        >>> keep_probability(np.array([75, 25]), 0.1875).round(4).tolist()  # f = 3/4: sqrt(1/4) + 1/4
        [0.75, 1.0]
    """
    if threshold == 0:
        return np.ones(len(counts))
    ratio = threshold * counts.sum() / np.maximum(counts, 1)
    return np.minimum(np.sqrt(ratio) + ratio, 1.0)


def as_draws(probability: np.ndarray) -> np.ndarray:
    """Return probabilities as the number of 2^32 draws that succeed, less one: uint32."""
    return np.minimum(np.asarray(probability) * 2.0**32, 2.0**32 - 1).astype(np.uint32)


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Vose's alias table of a distribution: (threshold uint32, alias int32).

    A draw chooses a column at random, then the column itself or its alias.

    Args:
        weights: Not negative, not all zero [V].

    Source: Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.

    Example:
        >>> threshold, alias = alias_table(np.array([3.0, 1.0]))
        >>> (threshold / 2**32).round(3).tolist(), alias.tolist()
        ([1.0, 0.5], [0, 0])
    """
    share = np.asarray(weights, dtype=np.float64) / np.sum(weights) * len(weights)
    threshold, alias = np.ones(len(share)), np.arange(len(share), dtype=np.int32)
    small, large = np.flatnonzero(share < 1).tolist(), np.flatnonzero(share >= 1).tolist()
    share = share.tolist()
    while small and large:
        poor, rich = small.pop(), large.pop()
        threshold[poor], alias[poor] = share[poor], rich
        share[rich] -= 1 - share[poor]
        (small if share[rich] < 1 else large).append(rich)
    return as_draws(threshold), alias


def huffman_tree(counts: np.ndarray) -> Tree:
    """Return the Huffman tree of word counts.

    Inner node V - 2 is the root; of two nodes of one weight the one made first is joined first.

    Args:
        counts: Occurrences [V], V >= 2.

    Source: Huffman, 1952; Morin, Bengio, 2005; word2vec.c.

    Example:
        >>> codes, points, starts = huffman_tree(np.array([4, 2, 1]))
        >>> [codes[a:b].tolist() for a, b in zip(starts, starts[1:])], [points[a:b].tolist() for a, b in zip(starts, starts[1:])]
        ([[1], [0, 1], [0, 0]], [[1], [1, 0], [1, 0]])
    """
    num_words = len(counts)
    heap = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    parent, code = np.zeros(2 * num_words - 1, dtype=np.int64), np.zeros(2 * num_words - 1, dtype=np.int8)
    for node in range(num_words, 2 * num_words - 1):
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        parent[first[1]] = parent[second[1]] = node
        code[second[1]] = 1
        heapq.heappush(heap, (first[0] + second[0], node))
    codes, points, starts = [], [], np.zeros(num_words + 1, dtype=np.int64)
    root = 2 * num_words - 2
    for word in range(num_words):
        node, way, nodes = word, [], []
        while node != root:
            way.append(code[node])
            node = parent[node]
            nodes.append(node - num_words)
        codes.extend(reversed(way))
        points.extend(reversed(nodes))
        starts[word + 1] = len(codes)
    return Tree(np.array(codes, dtype=np.int8), np.array(points, dtype=np.int64), starts)


def aligned_matrix(num_rows: int, width: int) -> np.ndarray:
    """Return zeros [num_rows, D], float32, D the width rounded up to 16, every row at the beginning of a cache line."""
    padded = -(-width // 16) * 16
    raw = np.zeros(num_rows * padded + 16, dtype=np.float32)
    offset = (-raw.ctypes.data // 4) % 16
    return raw[offset : offset + num_rows * padded].reshape(num_rows, padded)
