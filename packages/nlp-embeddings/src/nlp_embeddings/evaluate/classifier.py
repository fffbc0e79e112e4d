"""Multinomial logistic regression, for the classes of texts by their vectors."""

from __future__ import annotations

import numpy as np


def linear_classifier(features: np.ndarray, labels: np.ndarray, num_classes: int, *, penalty: float = 1.0) -> np.ndarray:
    """Return the weights [D + 1, C] of multinomial logistic regression with a bias, found by L-BFGS.

    Args:
        features: [N, D].
        labels: 0..C-1 [N].
        num_classes: C.
        penalty: Weight of half the squared weights, against the sum of losses; the bias is free.

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

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x).reshape(shape)


def classify(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the classes [N] of features [N, D] by the weights of `linear_classifier`."""
    return np.asarray((features @ weights[:-1] + weights[-1]).argmax(axis=1))
