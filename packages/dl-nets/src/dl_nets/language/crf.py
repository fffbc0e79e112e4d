"""Linear-chain conditional random field: a layer that scores whole sequences of tags.

Source: Lafferty, McCallum and Pereira, *Conditional random fields*, 2001, section 3; as the last layer of a network, Huang, Xu and Yu,
*Bidirectional LSTM-CRF models for sequence tagging*, 2015. Departures: an answer holds no pair of neighbours that the training sequences
never had, once there were any; training forbids none.
Letters: B batch, T time, K tags. Row 0 of the transitions [K + 1, K + 1] is the start and column 0 the end, tag k is row and column k + 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

FORBIDDEN = -1e4  # added to the score of a pair that no answer may hold


def log_partition(scores: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """Return log Z [B], the logarithm of the sum of e^score over all sequences, by the forward recursion.

    a_1(k) = T_start,k + e_1(k), a_t(k) = e_t(k) + log sum_j e^(a_{t-1}(j) + T_jk), and log Z = log sum_k e^(a_n(k) + T_k,end).

    Args:
        scores: e, of each tag at each step [B, T, K].
        transitions: T [K + 1, K + 1].
        lengths: Steps of each sequence, at least 1 [B].

    Without transitions, log Z of one step of two tags is log(e^0 + e^0):

    >>> log_partition(torch.zeros(1, 1, 2), torch.zeros(3, 3), torch.tensor([1]))
    tensor([0.6931])
    """
    between = transitions[1:, 1:]
    forward = scores[:, 0] + transitions[0, 1:]
    for step in range(1, scores.shape[1]):
        after = torch.logsumexp(forward[:, :, None] + between, dim=1) + scores[:, step]
        forward = torch.where((step < lengths)[:, None], after, forward)
    return torch.logsumexp(forward + transitions[1:, 0], dim=1)


def path_score(scores: Tensor, transitions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """Return the score [B] of sequences of tags [B, T]: the sum of their steps' scores and of their transitions; see `log_partition`."""
    known = torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]
    steps = scores.gather(2, tags[:, :, None])[:, :, 0]
    moves = transitions[tags[:, :-1] + 1, tags[:, 1:] + 1] * known[:, 1:]
    last = tags.gather(1, lengths[:, None] - 1)[:, 0]
    return (steps * known).sum(dim=1) + moves.sum(dim=1) + transitions[0, tags[:, 0] + 1] + transitions[last + 1, 0]


def viterbi(scores: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """Return the tags [B, T] of the sequence with the highest score; behind its end they repeat the last one. See `log_partition`.

    >>> transitions = torch.zeros(3, 3)
    >>> transitions[0, 1] = 5.0  # a sequence begins with tag 0
    >>> viterbi(torch.tensor([[[0.0, 1.0], [0.0, 3.0]]]), transitions, torch.tensor([2]))
    tensor([[0, 1]])
    """
    between = transitions[1:, 1:]
    best, back = scores[:, 0] + transitions[0, 1:], []
    stay = torch.arange(scores.shape[2], device=scores.device).expand(scores.shape[0], -1)
    for step in range(1, scores.shape[1]):
        value, parent = (best[:, :, None] + between).max(dim=1)
        inside = (step < lengths)[:, None]
        best = torch.where(inside, value + scores[:, step], best)
        back.append(torch.where(inside, parent, stay))
    tags = [(best + transitions[1:, 0]).argmax(dim=1)]
    for parent in reversed(back):
        tags.append(parent.gather(1, tags[-1][:, None])[:, 0])
    return torch.stack(tags[::-1], dim=1)


class CRF(nn.Module):
    """The layer: learned transitions, the loss log Z - score, and answers by Viterbi's algorithm.

    Args:
        size: K.
        rng: Source of the first transitions.
    """

    seen: Tensor

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.tensor((0.1 * rng.standard_normal((size + 1, size + 1))).astype(np.float32)))
        self.register_buffer("seen", torch.zeros(size + 1, size + 1))

    def losses(self, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return -log P(tags | scores) [B] of tags [B, T], with scores [B, T, K]."""
        if self.training:
            self.see(tags, lengths)
        return log_partition(scores, self.transitions, lengths) - path_score(scores, self.transitions, tags, lengths)

    @torch.no_grad()
    def see(self, tags: Tensor, lengths: Tensor) -> None:
        """Keep which pairs of neighbours there are in sequences of tags [B, T]."""
        known = torch.arange(1, tags.shape[1], device=tags.device) < lengths[:, None]
        self.seen[tags[:, :-1][known] + 1, tags[:, 1:][known] + 1] = 1.0
        self.seen[0, tags[:, 0] + 1] = 1.0
        self.seen[tags.gather(1, lengths[:, None] - 1)[:, 0] + 1, 0] = 1.0

    def answers(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Return the likeliest tags [B, T]."""
        allowed = self.seen + (~self.seen.any()).to(self.seen)  # a tensor of torch, as a graph needs it
        return viterbi(scores, self.transitions + FORBIDDEN * (1.0 - allowed.clamp(max=1.0)), lengths)
