"""Search of documents: exact, by one matrix product, or approximate with hnswlib or usearch if installed."""

from __future__ import annotations

import importlib
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import sparse

Metric = Literal["cosine", "dot", "euclidean", "jaccard"]
Matrix: TypeAlias = Any  # np.ndarray | sparse.csr_matrix, for which scipy has no types


def similarity_matrix(queries: Matrix, documents: Matrix, metric: Metric = "cosine") -> np.ndarray:
    """Return the similarity [Q, N] of each query to each document; higher is more similar.

    - cosine: q . d / (|q| |d|), and 0 where one of them is zero.
    - dot: q . d.
    - euclidean: -|q - d|.
    - jaccard: weighted, sum min(q, d) / sum max(q, d) of non-negative weights; of sets when the weights are 0 and 1.

    Args:
        queries: [Q, V], dense or sparse.
        documents: [N, V].
        metric: Name of the formula.

    Two documents over the words (cat, dog, fish): D1 = "cat dog", D2 = "dog fish". They share one word of three in all, the angle between
    their vectors is 60 degrees, and their ends are sqrt(2) apart:

    >>> d1, d2 = np.array([[1.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 1.0]])
    >>> [round(similarity_matrix(d1, d2, metric).item(), 4) for metric in ("cosine", "dot", "euclidean", "jaccard")]
    [0.5, 1.0, -1.4142, 0.3333]

    A document twice as long, "cat dog cat dog", has the same cosine, and is further away:

    >>> [round(similarity_matrix(2 * d1, d2, metric).item(), 4) for metric in ("cosine", "dot", "euclidean", "jaccard")]
    [0.5, 2.0, -2.4495, 0.2]
    """
    if metric == "jaccard":
        return _jaccard(queries, documents)
    product = queries @ documents.T
    product = product.toarray() if sparse.issparse(product) else np.asarray(product)
    if metric == "dot":
        return product
    q, d = _square_lengths(queries), _square_lengths(documents)
    if metric == "cosine":
        lengths = np.sqrt(q[:, None] * d[None])
        return np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    if metric == "euclidean":
        return -np.sqrt(np.maximum(q[:, None] + d[None] - 2 * product, 0))
    raise ValueError(f"metric is {metric!r}; expected cosine, dot, euclidean or jaccard")


class DocumentIndex:
    """A searchable set of documents.

    Args:
        vectors: One row per document [N, V], dense or CSR.
        metric: Measure of similarity.
        approximate: Name of a library for approximate search ("hnswlib" or "usearch"; dense vectors only), or "" for exact.

    Raises:
        ValueError: if the library is not installed or cannot serve the metric.
    """

    def __init__(self, vectors: Matrix, metric: Metric = "cosine", *, approximate: Literal["", "hnswlib", "usearch"] = "") -> None:
        self.vectors, self.metric, self.approximate = vectors, metric, approximate
        self._graph = _graph(approximate, vectors, metric) if approximate else None

    def search(self, queries: Matrix, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return the `count` most similar documents of each query: indices [Q, K] and similarities [Q, K], best first.

        Equal similarities are ordered by index. `count` is cut to the number of documents.
        """
        count = min(count, self.vectors.shape[0])
        if self._graph is not None:
            return self._graph(np.ascontiguousarray(queries, dtype=np.float32), count)
        scores = similarity_matrix(queries, self.vectors, self.metric)
        if count < scores.shape[1]:
            best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        else:
            best = np.broadcast_to(np.arange(count), (scores.shape[0], count))
        best = np.sort(best, axis=1)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        return best, np.take_along_axis(scores, best, axis=1)


def _square_lengths(matrix: Matrix) -> np.ndarray:
    squares = matrix.multiply(matrix) if sparse.issparse(matrix) else np.square(matrix)
    return np.asarray(squares.sum(axis=1)).ravel()


def _jaccard(queries: Matrix, documents: Matrix) -> np.ndarray:
    q, d = sparse.csr_matrix(queries), sparse.csr_matrix(documents)
    if (q.data < 0).any() or (d.data < 0).any():
        raise ValueError("jaccard needs weights >= 0, but some are negative; use counts, or an idf that is never negative (smooth, lucene)")
    q_total, d_total = np.asarray(q.sum(axis=1)).ravel(), np.asarray(d.sum(axis=1)).ravel()
    scores = np.zeros((q.shape[0], d.shape[0]))
    for row in range(q.shape[0]):
        shared = np.asarray(d.minimum(sparse.csr_matrix(np.ones((d.shape[0], 1))) @ q[row]).sum(axis=1)).ravel()
        union = q_total[row] + d_total - shared
        scores[row] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return scores


def _graph(library: str, vectors: Matrix, metric: Metric) -> Any:
    """Return a function from queries and a count to indices and similarities, by a library."""
    if sparse.issparse(vectors) or metric not in ("cosine", "dot"):
        raise ValueError(
            f"approximate search with {library} needs dense vectors and cosine or dot; leave approximate empty for exact search"
        )
    try:
        module = importlib.import_module("usearch.index" if library == "usearch" else "hnswlib")
    except ImportError as error:
        raise ValueError(f"approximate is {library!r}, which is not installed: pip install 'nlp-embeddings[{library}]'") from error
    dense = np.ascontiguousarray(vectors, dtype=np.float32)
    if library == "hnswlib":
        index = module.Index(space="cosine" if metric == "cosine" else "ip", dim=dense.shape[1])
        index.init_index(max_elements=len(dense), ef_construction=200, M=16, random_seed=1)
        index.add_items(dense, num_threads=1)

        def search(queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            index.set_ef(max(64, 2 * count))
            labels, distances = index.knn_query(queries, k=count, num_threads=1)
            return labels.astype(np.int64), 1 - distances

        return search
    graph = module.Index(ndim=dense.shape[1], metric="cos" if metric == "cosine" else "ip", dtype="f32")
    graph.add(np.arange(len(dense)), dense, threads=1)

    def search_graph(queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        found = graph.search(queries, count, threads=1)
        return found.keys.reshape(len(queries), -1).astype(np.int64), 1 - found.distances.reshape(len(queries), -1)

    return search_graph
