"""Losses of each example [B] where the answer is numbers.

Letters: B batch, K numbers of an answer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of (prediction - target)^2, MSE.

    >>> squared_error(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([5.])
    """
    return (predictions - targets).square().mean(1)


def absolute_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of |prediction - target|, MAE.

    >>> absolute_error(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([2.])
    """
    return (predictions - targets).abs().mean(1)


def absolute_percentage_error(predictions: Tensor, targets: Tensor, least: float = 1e-7) -> Tensor:
    """Return losses [B]: 100 times the mean over K of |prediction - target| / |target|, MAPE, in percent.

    Args:
        predictions: [B, K], in the unit of the targets.
        targets: [B, K]; one nearer to 0 than `least` counts as `least`.
        least: > 0.

    110 for 100 is 10 % off, and 150 for 200 is 25 % off:

    >>> absolute_percentage_error(torch.tensor([[110.0, 150.0]]), torch.tensor([[100.0, 200.0]]))
    tensor([17.5000])
    """
    return 100.0 * ((predictions - targets).abs() / targets.abs().clamp(min=least)).mean(1)


def squared_logarithmic_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of (log(1 + prediction) - log(1 + target))^2, MSLE; a prediction below 0 counts as 0.

    >>> squared_logarithmic_error(torch.tensor([[2.718281828 - 1.0]]), torch.tensor([[0.0]]))
    tensor([1.])
    """
    return (torch.log1p(predictions.clamp(min=0.0)) - torch.log1p(targets)).square().mean(1)


def huber(predictions: Tensor, targets: Tensor, delta: float = 1.0) -> Tensor:
    """Return losses [B]: the mean over K of e^2 / 2 where |e| <= delta, and delta (|e| - delta / 2) beyond, e = prediction - target.

    Args:
        predictions: [B, K].
        targets: [B, K].
        delta: Error at which the parabola becomes a line, > 0.

    Returns:
        [B].

    Source: Huber, *Robust estimation of a location parameter*, 1964, section 4.

    Errors of 0.5 and 3 give 0.125 and 2.5:

    >>> huber(torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2))
    tensor([1.3125])
    """
    return functional.huber_loss(predictions, targets, reduction="none", delta=delta).mean(1)


def log_cosh(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of log cosh(prediction - target), computed as |e| + log(1 + exp(-2 |e|)) - log 2.

    >>> log_cosh(torch.tensor([[1.0]]), torch.tensor([[0.0]]))  # cosh 1 = 1.5431
    tensor([0.4338])
    """
    error = (predictions - targets).abs()
    return (error + functional.softplus(-2.0 * error) - 0.6931471805599453).mean(1)


def cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: 1 - the cosine of the angle between prediction and target.

    >>> cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([0.4000])
    """
    return 1.0 - functional.cosine_similarity(predictions, targets, dim=1)


def poisson(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of exp(output) - target output, the negative log-likelihood of counts but for log(target!).

    Args:
        outputs: Logarithms of the expected counts [B, K].
        targets: Counts >= 0 [B, K].

    >>> poisson(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 1.0]]))  # (1 - 0 + e - 1) / 2
    tensor([1.3591])
    """
    return functional.poisson_nll_loss(outputs, targets, log_input=True, reduction="none").mean(1)


def divergence(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the Kullback-Leibler divergence sum_k q_k log(q_k / p_k) of p = softmax(output) from the target q.

    Args:
        outputs: Logits [B, K].
        targets: Probabilities [B, K], with the sum 1.

    Source: Kullback and Leibler, *On information and sufficiency*, 1951.

    From an even p, the q (1, 0) is log 2 away:

    >>> divergence(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor([0.6931])
    """
    return functional.kl_div(torch.log_softmax(outputs, dim=1), targets, reduction="none").sum(1)


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return losses [B]: the mean over K of -(y log p + (1 - y) log(1 - p)), p = sigmoid(output).

    Args:
        outputs: Logits [B, K].
        targets: y [B, K], in [0, 1].

    With p = 0.8 and y = 1 it is -log 0.8:

    >>> binary_cross_entropy(torch.logit(torch.tensor([[0.8]])), torch.tensor([[1.0]]))
    tensor([0.2231])
    """
    return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)
