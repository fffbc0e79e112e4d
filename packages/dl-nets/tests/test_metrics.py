from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from sklearn import metrics as oracle

from dl_nets.learning.metrics import OF_CLASSES, OF_FLAGS, OF_NUMBERS, Metrics


def in_parts(metrics: Metrics, *arrays: np.ndarray) -> dict[str, float]:
    """Add arrays in batches of unlike size, and return the metrics."""
    for part in (slice(0, 7), slice(7, 8), slice(8, None)):
        metrics.add(*(array[part] for array in arrays))
    return metrics.result()


def test_metrics_of_classes_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    targets, logits = rng.integers(1, 7, 40), rng.standard_normal((40, 6))
    answers = logits.argmax(1) + 1
    found = in_parts(Metrics(OF_CLASSES, spaces.Discrete(6, start=1)), answers, targets, logits)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(targets, answers, average="macro", zero_division=0)
    assert found == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(targets, answers),
            "balanced_accuracy": oracle.balanced_accuracy_score(targets, answers),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "kappa": oracle.cohen_kappa_score(targets, answers),
            "matthews": oracle.matthews_corrcoef(targets, answers),
            **{f"top_{k}": oracle.top_k_accuracy_score(targets - 1, logits, k=k) for k in (2, 3, 5)},
        }
    )


def test_metrics_of_flags_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    targets, answers = rng.integers(0, 2, (30, 4)), rng.integers(0, 2, (30, 4))
    found = in_parts(Metrics(OF_FLAGS, spaces.MultiBinary(4)), answers, targets)
    assert found["micro_f1"] == pytest.approx(oracle.f1_score(targets, answers, average="micro"))
    assert found["f1"] == pytest.approx(oracle.f1_score(targets, answers, average="macro"))
    assert found["exact"] == pytest.approx(oracle.accuracy_score(targets, answers))
    assert found["accuracy"] == pytest.approx(1.0 - oracle.hamming_loss(targets, answers))


def test_metrics_of_numbers_are_scikit_learns_far_from_zero_too() -> None:
    rng = np.random.default_rng(2)
    targets = 1e6 + rng.standard_normal((30, 1))
    answers = targets + 0.3 * rng.standard_normal((30, 1))
    found = in_parts(Metrics(OF_NUMBERS, spaces.Box(-np.inf, np.inf, (1,))), answers, targets)
    assert found == pytest.approx(
        {
            "mae": oracle.mean_absolute_error(targets, answers),
            "mse": oracle.mean_squared_error(targets, answers),
            "rmse": oracle.mean_squared_error(targets, answers) ** 0.5,
            "r2": oracle.r2_score(targets, answers),
            "mape": 100 * oracle.mean_absolute_percentage_error(targets, answers),
            "max_error": oracle.max_error(targets, answers),
            "bias": float((answers - targets).mean()),
        }
    )


def test_a_metric_that_does_not_suit_the_space_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"metrics names mae, which does not suit Discrete\(3\); expected accuracy, balanced_accuracy"):
        Metrics(("mae",), spaces.Discrete(3))
    with pytest.raises(ValueError, match="metrics names top_5, but there are 3 classes"):
        Metrics(("top_5",), spaces.Discrete(3))
