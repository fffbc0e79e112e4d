"""Attention of a decoder to the steps of an encoder: which steps it reads before, or after, it writes a token.

Sources: additive, Bahdanau, Cho and Bengio, *Neural machine translation by jointly learning to align and translate*, 2015, appendix
A.1.2; dot and general, Luong, Pham and Manning, *Effective approaches to attention-based neural machine translation*, 2015, equation 8;
coverage, See, Liu and Manning, *Get to the point: summarization with pointer-generator networks*, 2017, equation 11.
Departures: the dot product compares the decoder with the sum of the encoder's two directions, so that both have as many numbers.
Letters: B batch, S steps of the encoder, H units of the decoder, D = 2 H numbers of a step, A numbers of the hidden layer.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.networks.initialisation import linear

AttentionName = Literal["none", "additive", "dot", "general"]


def attention_shares(scores: Tensor, known: Tensor | None) -> Tensor:
    """Return the share [B, S] of each step: softmax of scores [B, S] over the steps that are not padding, `known` [B, S].

    >>> attention_shares(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    return (scores if known is None else scores.masked_fill(~known, -torch.inf)).softmax(dim=1)


def coverage_loss(shares: Tensor, coverage: Tensor) -> Tensor:
    """Return sum_i min(a_i, k_i) [B] of shares a [B, S] and coverage k [B, S], the sum of the shares so far (12).

    >>> coverage_loss(torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]]))
    tensor([0.6000])
    """
    return torch.minimum(shares, coverage).sum(dim=1)


def product(inputs: int, outputs: int, rng: np.random.Generator) -> nn.Linear:
    """Return a linear layer without a bias, drawn from `rng`."""
    layer = nn.Linear(inputs, outputs, bias=False, device="meta")
    layer.weight = linear(inputs, outputs, rng, init="glorot").weight
    return layer


class Alignment(nn.Module):
    """Scores of steps k_j for a query q: v' tanh(W k_j + U q + w c_j) (additive), q' k_j (dot), or q' W k_j (general).

    Args:
        name: How steps are scored.
        units: H.
        hidden: A, of the additive form.
        rng: Source of the first weights.
        coverage: Whether the additive form also sees c_j, the sum of the shares that step j had so far.

    >>> dot = Alignment("dot", 2, 1, np.random.default_rng(0))
    >>> steps = torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 2.0]]])
    >>> dot(torch.tensor([[1.0, 2.0]]), dot.keys(steps))
    tensor([[1., 6.]])
    """

    def __init__(self, name: AttentionName, units: int, hidden: int, rng: np.random.Generator, *, coverage: bool = False) -> None:
        super().__init__()
        self.name = name
        self.key: nn.Linear | None = None
        self.query: nn.Linear | None = None
        self.score: nn.Linear | None = None
        self.coverage: nn.Parameter | None = None
        if name == "general":
            self.key = product(2 * units, units, rng)
        elif name == "additive":
            self.key = linear(2 * units, hidden, rng, init="glorot")
            self.query = product(units, hidden, rng)  # the keys have a bias
            self.score = product(hidden, 1, rng)
            if coverage:
                self.coverage = nn.Parameter(torch.tensor((0.1 * rng.standard_normal(hidden)).astype(np.float32)))

    def keys(self, steps: Tensor) -> Tensor:
        """Return what the queries are compared with [B, S, A or H], of steps [B, S, 2 H]; to be computed once."""
        if self.key is not None:
            found: Tensor = self.key(steps)
            return found
        forwards, backwards = steps.chunk(2, dim=2)
        return forwards + backwards

    def forward(self, query: Tensor, keys: Tensor, covered: Tensor | None = None) -> Tensor:
        """Return the scores [B, S] of steps with `keys`, for a query [B, H]; `covered` [B, S] is the sum of their shares so far."""
        if self.query is None or self.score is None:
            return torch.bmm(keys, query[:, :, None])[:, :, 0]
        hidden = keys + self.query(query)[:, None]
        if self.coverage is not None and covered is not None:
            hidden = hidden + covered[:, :, None] * self.coverage
        scores: Tensor = self.score(torch.tanh(hidden))[:, :, 0]
        return scores
