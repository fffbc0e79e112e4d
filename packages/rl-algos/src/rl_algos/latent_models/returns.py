"""Returns of imagined trajectories, and numbers as distributions over bins.

Source: D. Hafner and others, "Mastering diverse domains through world models", 2023, (6), (8) and (9).
Departures: fewer bins.
Letters: H steps, B trajectories, S bins.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST, COUNT = 10.0, 81  # symlog of the largest bin, e^10 = 22,000; S


def lambda_returns(reward: Tensor, discount: Tensor, value: Tensor, lambda_: float) -> Tensor:
    """Return R_t = r_t + d_t ((1 - lambda) v_(t+1) + lambda R_(t+1)), and R_H = v_H [H, B].

    Args:
        reward: Of the step from t to t + 1 [H, B].
        discount: gamma times the probability that the episode goes on behind it [H, B].
        value: Of the state that it leads to [H, B].
        lambda_: lambda, in [0, 1].

    >>> ones = torch.ones(2, 1)
    >>> lambda_returns(ones, 0.5 * ones, 10 * ones, 0.5).ravel().tolist()  # the last: 1 + 5; the first: 1 + (5 + 3) / 2
    [5.0, 6.0]
    """
    following, returns = value[-1], []
    for t in range(len(reward) - 1, -1, -1):
        following = reward[t] + discount[t] * ((1.0 - lambda_) * value[t] + lambda_ * following)
        returns.append(following)
    return torch.stack(returns[::-1])


def symexp(number: Tensor) -> Tensor:
    """Return sign(x) (e^|x| - 1).

    >>> symexp(torch.tensor([0.0, -1.0]))
    tensor([ 0.0000, -1.7183])
    """
    return number.sign() * (number.abs().exp() - 1.0)


class SymexpBins:
    """Numbers as distributions over bins that lie close near 0 and far apart beyond: the loss is the same at every scale of rewards.

    Attributes:
        count: S.
    """

    def __init__(self) -> None:
        self.count = COUNT
        self._bins = symexp(torch.linspace(-MOST, MOST, COUNT, dtype=torch.float64)).float()

    def distribution(self, number: Tensor) -> Tensor:
        """Return the shares of the two bins next to each number [...] on all bins [..., S]; their mean is the number.

        >>> bins = SymexpBins()
        >>> shares = bins.distribution(torch.tensor([-7.5]))
        >>> int((shares > 0).sum()), round(bins.mean(shares.log()).item(), 4)
        (2, -7.5)
        """
        bins = self._bins.to(number.device)
        number = number.clamp(bins[0], bins[-1])
        upper = torch.searchsorted(bins, number.contiguous()).clamp(1, self.count - 1)
        low, high = bins[upper - 1], bins[upper]
        share = ((number - low) / (high - low))[..., None]
        shares = number.new_zeros(*number.shape, self.count)
        return shares.scatter(-1, upper[..., None] - 1, 1.0 - share).scatter(-1, upper[..., None], share)

    def mean(self, logits: Tensor) -> Tensor:
        """Return the numbers [...] that logits [..., S] mean."""
        return logits.softmax(dim=-1) @ self._bins.to(logits.device)

    def loss(self, logits: Tensor, number: Tensor) -> Tensor:
        """Return the cross-entropy [...] of logits [..., S] and numbers [...]."""
        return -(self.distribution(number) * logits.log_softmax(dim=-1)).sum(dim=-1)
