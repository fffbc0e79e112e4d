"""Texts from a model of the next token: sampling with temperature, top-k and top-p, and beam search.

Sources: top-k, Fan, Lewis and Dauphin, *Hierarchical neural story generation*, 2018; top-p, Holtzman and others, *The curious case of
neural text degeneration*, 2020; the length penalty of beams, Wu and others, *Google's neural machine translation system*, 2016,
equation 14.
Letters: B batch, T time, V vocabulary, K beams.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class NextToken(Protocol):
    """A model of the next token that goes on where it left off."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [B, V] of the token after `tokens` [B, n], which follow those of earlier calls."""


class NextTokenByBeam(NextToken, Protocol):
    """One whose rows can be exchanged."""

    def reorder(self, rows: Tensor) -> None:
        """Go on with the texts in rows `rows` [B]."""


def filtered(logits: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Return logits [B, V] / temperature, with minus infinity for all but the `top_k` likeliest and the nucleus of `top_p`.

    The nucleus is the smallest set of likeliest tokens whose probabilities sum to `top_p` or more. The likeliest token always stays.

    Args:
        logits: [B, V].
        temperature: > 0; below 1 the likely becomes likelier.
        top_k: How many tokens stay; 0 for all.
        top_p: In (0, 1]; 1 for all.

    Of the probabilities 0.5, 0.3, 0.2 the first two sum to 0.8, which is more than 0.7:

    >>> filtered(torch.log(torch.tensor([[0.5, 0.3, 0.2]])), top_p=0.7).isinf().tolist()
    [[False, False, True]]
    >>> filtered(torch.log(torch.tensor([[0.5, 0.3, 0.2]])), top_k=1).isinf().tolist()
    [[False, True, True]]
    """
    logits = logits / temperature
    if top_k and top_k < logits.shape[1]:
        least = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1.0:
        ordered, order = logits.sort(dim=1, descending=True)
        probabilities = ordered.softmax(dim=1)
        before = probabilities.cumsum(dim=1) - probabilities  # of all likelier ones
        outside = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(outside, -torch.inf)
    return logits


def choose(logits: Tensor, rng: np.random.Generator, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Return tokens [B] drawn from logits [B, V]; the likeliest ones at temperature 0.

    Args:
        logits: [B, V].
        rng: Source of one number a row.
        temperature: >= 0.
        top_k: As in `filtered`.
        top_p: As in `filtered`.

    Raises:
        ValueError: if a setting is outside its range.

    >>> choose(torch.tensor([[0.0, 2.0, 1.0]]), np.random.default_rng(0), temperature=0.0)
    tensor([1])
    """
    if not temperature >= 0.0 or top_k < 0 or not 0.0 < top_p <= 1.0:
        raise ValueError(
            f"temperature, top_k and top_p are {temperature}, {top_k} and {top_p}; expected temperature >= 0, top_k >= 0, top_p in (0, 1]"
        )
    if temperature == 0.0:
        return logits.argmax(dim=1)
    kept = filtered(logits.double(), temperature=temperature, top_k=top_k, top_p=top_p)
    sums = kept.softmax(dim=1).cumsum(dim=1)
    drawn = torch.tensor(rng.random((len(logits), 1)), device=logits.device) * sums[:, -1:]
    # The first token whose sum is above the number; one of probability 0 never is, except behind the last by rounding.
    return torch.searchsorted(sums, drawn, right=True).clamp(max=int(logits.shape[1]) - 1).squeeze(1)


@torch.no_grad()
def beam_search(
    following: NextTokenByBeam,
    begin: Tensor,
    length: int,
    *,
    beams: int = 4,
    end: int | None = None,
    padding: int = 0,
    length_penalty: float = 0.6,
) -> Tensor:
    """Return the likeliest continuations [B, length] that a search over `beams` texts at a time finds.

    A text's score is its log probability over ((5 + n) / 6)^length_penalty for its n tokens, `end` included.

    Args:
        following: Gives the logits of the next token, of B texts at first and of B K once the beams are apart.
        begin: First tokens [B, n].
        length: T, the most tokens of a text.
        beams: K; 1 is greedy search.
        end: The token that ends a text; `None`: all have `length` tokens.
        padding: What follows `end`, and never comes before it.
        length_penalty: alpha; 0 prefers short texts, 1 compares mean log probabilities.
    """
    log_probs = _without(following(begin), padding, end).log_softmax(dim=1)
    count, size = log_probs.shape
    rows = torch.arange(count, device=log_probs.device)
    following.reorder(rows.repeat_interleave(beams))
    first = log_probs.topk(min(beams, size), dim=1)
    spare = beams - first.values.shape[1]  # more beams than tokens: the rest starts as impossible
    scores = torch.nn.functional.pad(first.values, (0, spare), value=-torch.inf).reshape(-1)  # [B K]
    texts = torch.nn.functional.pad(first.indices, (0, spare)).reshape(-1, 1)
    ended = torch.zeros_like(scores, dtype=torch.bool) if end is None else texts[:, 0] == end
    lengths = torch.ones_like(scores)
    stay = torch.full((1, size), -torch.inf, device=scores.device)
    stay[:, padding] = 0.0  # a text that has ended goes on as it is
    while texts.shape[1] < length and not bool(ended.all()):
        log_probs = _without(following(texts[:, -1:]), padding, end).log_softmax(dim=1)
        totals = scores[:, None] + torch.where(ended[:, None], stay, log_probs)
        grown = lengths + (~ended).to(lengths)
        best = _penalised(totals, grown[:, None], length_penalty).view(count, -1).topk(beams, dim=1).indices  # [B, K]
        parents = (rows[:, None] * beams + best // size).reshape(-1)
        token = (best % size).reshape(-1)
        scores = totals.view(count, -1).gather(1, best).reshape(-1)
        following.reorder(parents)
        lengths, before = grown[parents], ended[parents]
        texts = torch.cat([texts[parents], token[:, None]], dim=1)
        ended = before if end is None else before | (token == end)
    best_beam = _penalised(scores, lengths, length_penalty).view(count, beams).argmax(dim=1)
    found = texts[rows * beams + best_beam]
    full = found.new_full((count, length), padding)
    full[:, : found.shape[1]] = found
    return full


GREEDY = {
    "answers": "tokens, the likeliest one each time, padded after the end; with beams above 1 the agent itself searches further",
    "outputs": "logits of the token at each place, given the answers before it",
}
"""What `greedy` gives as the outputs of a graph, in words; see `dl_nets.learning.export.Traced`."""


def greedy(following: NextToken, begin: Tensor, length: int, *, end: int | None = None, padding: int = 0) -> tuple[Tensor, Tensor]:
    """Return the likeliest token each time [B, length], and the logits [B, length, V]: as many steps for each text, for an exporter.

    Args:
        following: Gives the logits of the next token; called with `begin`, then with one more token each time.
        begin: First tokens [B, n].
        length: T.
        end: The token that ends a text; `None`: all have `length` tokens.
        padding: What follows `end`, and never comes before it.

    A model in which token n + 1 follows n, and 2 ends:

    >>> count = lambda tokens: torch.eye(4)[(tokens[:, -1] + 1) % 4]
    >>> greedy(count, torch.tensor([[0], [1]]), 3, end=2, padding=3)[0]
    tensor([[1, 2, 3],
            [2, 3, 3]])
    """
    token, found, tokens = begin, [], []
    ended = torch.zeros_like(begin[:, :1], dtype=torch.bool)
    for _ in range(length):
        logits = following(token)
        token = torch.where(ended, padding, _without(logits, padding, end).argmax(dim=1, keepdim=True))
        ended = ended if end is None else ended | (token == end)
        found.append(logits)
        tokens.append(token)
    return torch.cat(tokens, dim=1), torch.stack(found, dim=1)


def _penalised(scores: Tensor, lengths: Tensor, length_penalty: float) -> Tensor:
    return scores / ((5.0 + lengths) / 6.0) ** length_penalty  # (14), without its coverage term


def _without(logits: Tensor, padding: int, end: int | None) -> Tensor:
    """Return logits [B, V] in which padding is impossible, unless it is the end itself, or nothing ends."""
    if end is None or padding == end:
        return logits
    logits = logits.clone()
    logits[:, padding] = -torch.inf
    return logits
