"""Distances between two samples by their features: Frechet, kernel, precision and recall.

Sources: Heusel et al., *GANs trained by a two time-scale update rule*, 2017 (Frechet); Binkowski et al., *Demystifying MMD GANs*, 2018
(kernel); Kynkaanniemi et al., *Improved precision and recall metric for assessing generative models*, 2019. Departures: features are
those of a network trained on the task's own labels, so numbers of different tasks, or of different networks, are not comparable.

Letters: N, M sizes of the samples, D features.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 3  # k of precision and recall
BALLS = 2000  # examples of each sample whose balls are looked at, at most
SUBSETS, SUBSET_SIZE = 20, 500  # of the kernel distance


def frechet(real: np.ndarray, fake: np.ndarray) -> float:
    """Return |m_r - m_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^1/2), m the means and S the covariances of features [N, D] and [M, D].

    The trace of the root is the sum of the roots of the eigenvalues of L' S_f L, S_r = L L', which are real.

    Raises:
        ValueError: if one of the samples has at most D examples.

    N(0, 1) and N(1, 4) are 1 + 1 + 4 - 2 * 2 = 2 apart:

    >>> standard = np.array([[-1.0], [1.0]])
    >>> round(frechet(standard, 1.0 + 2.0 * standard), 9)
    2.0
    """
    for name, sample in (("real", real), ("generated", fake)):
        if len(sample) <= sample.shape[1]:
            raise ValueError(f"{len(sample)} {name} examples cannot be judged by {sample.shape[1]} features; expected more examples")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(sample.T, bias=True)) for sample in (real, fake)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    crossed = np.linalg.eigvalsh(root.T @ covariances[1] @ root)
    gap = float(np.square(real.mean(axis=0) - fake.mean(axis=0)).sum())
    return gap + float(np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * np.sqrt(np.maximum(crossed, 0.0)).sum())


def kernel_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the unbiased squared maximum mean discrepancy of features [N, D] and [M, D], with the kernel (a.b / D + 1)^3.

    >>> kernel_distance(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]]))  # 1 + 1 - 2 * 7.5: unbiased, so it may be negative
    -13.0
    """
    first, second, both = (((a @ b.T) / a.shape[1] + 1.0) ** 3 for a, b in ((real, real), (fake, fake), (real, fake)))
    n, m = len(real), len(fake)
    within = (first.sum() - np.trace(first)) / (n * (n - 1)) + (second.sum() - np.trace(second)) / (m * (m - 1))
    return float(within - 2.0 * both.mean())


def mean_kernel_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the mean of the kernel distance over `SUBSETS` pairs of subsets of `SUBSET_SIZE`, the same ones each time."""
    rng = np.random.Generator(np.random.PCG64(0))
    size = min(SUBSET_SIZE, len(real), len(fake))
    distances = [kernel_distance(*(sample[rng.permutation(len(sample))[:size]] for sample in (real, fake))) for _ in range(SUBSETS)]
    return float(np.mean(distances))


def precision_and_recall(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Return the share of fakes in the balls of real examples, and of real ones in the balls of fakes.

    A ball reaches to the third nearest neighbour within its own sample; the first `BALLS` of each are looked at.

    >>> line = np.arange(10.0)[:, None]
    >>> precision_and_recall(line, np.full((10, 1), 4.0))  # collapsed: all fakes are likely, and they reach one real example
    (1.0, 0.1)
    """
    real, fake = (sample[:BALLS].astype(np.float64) for sample in (real, fake))

    def share_within(points: np.ndarray, centres: np.ndarray) -> float:
        among = _squares(centres, centres)
        radius = np.partition(among, min(NEIGHBOURS, len(centres) - 1), axis=1)[:, min(NEIGHBOURS, len(centres) - 1)]
        return float((_squares(points, centres) <= radius * (1.0 + 1e-9)).any(axis=1).mean())

    return share_within(fake, real), share_within(real, fake)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances [N, M] of rows [N, D] and [M, D]; those of equal rows are 0."""
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2.0 * a @ b.T
    scale = max(float(np.square(a).sum(1).max()), float(np.square(b).sum(1).max()), 1e-300)
    squares[squares < 1e-12 * scale] = 0.0
    return squares
