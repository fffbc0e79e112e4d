"""Drawing the next token: temperature, top-k and top-p.

Source: Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", 2018, for top-k; Holtzman et al., "The Curious Case of Neural Text
Degeneration", 2020, for top-p. Departures: none. The order is temperature, top-k, top-p.
"""

from __future__ import annotations

import numpy as np


def filtered(probabilities: np.ndarray, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Return probabilities [V] after temperature and filters, with sum 1.

    Args:
        probabilities: p [V].
        temperature: p^(1 / temperature); 0 puts all weight on the most probable token.
        top_k: Keep the k most probable tokens; 0 keeps all.
        top_p: Keep the smallest set of tokens whose probabilities reach this sum, the token that crosses it among them.

    Example:
        >>> p = np.array([0.5, 0.3, 0.2])
        >>> filtered(p, top_p=0.6).round(3).tolist(), filtered(p, top_k=1).tolist(), filtered(p, temperature=0.0).tolist()
        ([0.625, 0.375, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    """
    if temperature == 0:
        return (np.arange(len(probabilities)) == probabilities.argmax()).astype(np.float64)
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities) / temperature
    result = np.exp(scores - scores.max())
    result /= result.sum()
    order = np.argsort(-result, kind="stable")
    if 0 < top_k < len(result):
        result[order[top_k:]] = 0.0
        result /= result.sum()
    if top_p < 1:
        before = np.cumsum(result[order]) - result[order]
        result[order[before >= top_p]] = 0.0
    filtered_sum: np.ndarray = result / result.sum()
    return filtered_sum
