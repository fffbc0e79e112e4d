"""Weights of terms in documents: counts, tf-idf, BM25; and latent semantic analysis. Formulas only; the agent is `models.vector_space`.

Sources: Spaerck Jones, "A statistical interpretation of term specificity", 1972; Salton, Buckley, "Term-weighting approaches in
automatic text retrieval", 1988; Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009;
Deerwester et al., "Indexing by Latent Semantic Analysis", 1990.
Letters: N documents, V terms, n_t documents that contain term t, tf its count in a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds  # here, so that its linear algebra is loaded before a run limits the threads

Idf = Literal["plain", "smooth", "lucene"]


def inverse_document_frequency(document_frequency: np.ndarray, num_documents: int, variant: Idf = "plain") -> np.ndarray:
    """Return the weight of each term by the number of documents that contain it.

    - plain: log(N / (1 + n_t)). Zero for a term in all documents but one, and *negative* for one in all of them.
    - smooth: log((1 + N) / (1 + n_t)) + 1, as in scikit-learn; never below 1.
    - lucene: log(1 + (N - n_t + 1/2) / (n_t + 1/2)); never negative.

    Args:
        document_frequency: n_t [V].
        num_documents: N.
        variant: Name of the formula.

    Example:
        >>> inverse_document_frequency(np.array([0, 1, 3, 4]), 4).round(4).tolist()
        [1.3863, 0.6931, 0.0, -0.2231]
        >>> inverse_document_frequency(np.array([1]), 3, "smooth").tolist() == [np.log(2) + 1]
        True
        >>> inverse_document_frequency(np.array([2]), 4, "lucene").tolist() == [np.log(2)]
        True
    """
    n_t = np.asarray(document_frequency, dtype=np.float64)
    if variant == "plain":
        return np.log(num_documents / (1 + n_t))
    if variant == "smooth":
        return np.log((1 + num_documents) / (1 + n_t)) + 1
    if variant == "lucene":
        return np.log1p((num_documents - n_t + 0.5) / (n_t + 0.5))
    raise ValueError(f"idf is {variant!r}; expected plain, smooth or lucene")


def count_matrix(documents: Sequence[np.ndarray], num_terms: int) -> sparse.csr_matrix:
    """Return counts [N, V] of term ids, one array of ids per document; ids outside 0..V-1 are left out.

    Example:
        >>> count_matrix([np.array([0, 2, 0]), np.array([1, 9])], 3).toarray().tolist()
        [[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    kept = [document[(document >= 0) & (document < num_terms)] for document in documents]
    indptr = np.concatenate([[0], np.cumsum([len(ids) for ids in kept], dtype=np.int64)])
    indices = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int32)
    counts = sparse.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(kept), num_terms))
    counts.sum_duplicates()
    return counts


def tf_idf(counts: sparse.csr_matrix, idf: np.ndarray, *, sublinear: bool = False, norm: Literal["l2", "none"] = "l2") -> sparse.csr_matrix:
    """Return the weights tf * idf [N, V]; with `sublinear`, 1 + log(tf) takes the place of tf.

    Args:
        counts: tf [N, V].
        idf: [V].
        sublinear: Dampen repeated terms.
        norm: Rows of length one | unchanged.

    Example:
        >>> tf_idf(sparse.csr_matrix([[3.0, 2.0]]), np.array([1.0, 2.0])).toarray().round(4).tolist()
        [[0.6, 0.8]]
    """
    weights = counts.astype(np.float64)
    if sublinear:
        weights.data = 1 + np.log(weights.data)
    weights = sparse.csr_matrix(weights.multiply(idf))
    return normalise_rows(weights) if norm == "l2" else weights


def bm25(
    counts: sparse.csr_matrix, idf: np.ndarray, mean_length: float, *, saturation: float = 1.5, length_weight: float = 0.75
) -> sparse.csr_matrix:
    """Return the score of each term of a query in each document [N, V]: idf tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl)).

    A query's scores are this matrix times its counts.

    Args:
        counts: tf [N, V].
        idf: [V]; the Lucene variant keeps it from being negative.
        mean_length: avgdl, mean number of words of a document.
        saturation: k1; the larger, the longer repeated terms add to the score.
        length_weight: b, discount of long documents, 0 to 1.

    Example:
        >>> bm25(sparse.csr_matrix([[2.0, 0.0]]), np.array([1.0, 1.0]), 2.0, saturation=2.0).toarray().tolist()
        [[1.5, 0.0]]
    """
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    scores = counts.astype(np.float64).tocsr(copy=True)
    row = np.repeat(np.arange(counts.shape[0]), np.diff(scores.indptr))
    discount = saturation * (1 - length_weight + length_weight * lengths / mean_length)
    scores.data = idf[scores.indices] * scores.data * (saturation + 1) / (scores.data + discount[row])
    return scores


def truncated_svd(matrix: sparse.csr_matrix, num_components: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return components [K, V] and singular values [K], largest first, of the best rank-K approximation.

    The largest entry of each component is positive, which fixes the signs.

    Args:
        matrix: [N, V].
        num_components: K, below both N and V.
        rng: Draws the first vector of the iteration.

    Raises:
        ValueError: if K is not below both N and V.
    """
    most = min(matrix.shape) - 1
    if not 1 <= num_components <= most:
        raise ValueError(f"components is {num_components}; {matrix.shape[0]} documents of {matrix.shape[1]} terms allow 1 to {most}")
    _, values, components = svds(matrix.astype(np.float64), k=num_components, v0=rng.uniform(-1, 1, min(matrix.shape)))
    order = np.argsort(-values)
    components = components[order]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return components * np.sign(largest), values[order]


def normalise_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Scale rows to Euclidean length one; zero rows stay zero."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ matrix)
