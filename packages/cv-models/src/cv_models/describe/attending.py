"""An LSTM that writes while it looks: additive attention to the vectors of a memory, at each word.

Source: Xu et al., *Show, attend and tell: neural image caption generation with visual attention*, 2015, sections 3.1 and 4.2; the
attention is Bahdanau, Cho and Bengio's, *Neural machine translation by jointly learning to align and translate*, 2015.

Letters: N captions, T tokens, V vocabulary, L places of the memory, D numbers of a place, A numbers of the attention, H units.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.cells import Cell, lstm_step
from dl_nets.networks.embedding import token_vectors
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout

WORD_DEVIATION = 0.1  # of the first vectors of words


def doubly_stochastic(shares: Tensor, counted: Tensor) -> Tensor:
    """Return sum_i (1 - sum_t a_ti)^2 of each caption [N] (14): small where each place is looked at about once in a caption.

    Args:
        shares: a, share of each place at each word [N, T, L]; a row sums to 1.
        counted: Which words count, 0 or 1 [N, T].

    Two words that both look at the first of two places: (1 - 2)^2 + (1 - 0)^2.

    >>> doubly_stochastic(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.ones(1, 2))
    tensor([2.])
    """
    return (1.0 - (shares * counted[:, :, None]).sum(dim=1)).square().sum(dim=1)


class AttendingLSTM(nn.Module):
    """The decoder: e_ti = v' tanh(W a_i + U h_{t-1}), a = softmax(e), z_t = sigmoid(w' h_{t-1}) sum_i a_ti a_i, which the LSTM reads.

    The logits are a deep output, V tanh(P w + Q h + R z), of the word before, the state and what was seen.

    Args:
        size: V.
        memory_size: D.
        word_size: Numbers of a word's vector.
        units: H.
        attention_size: A.
        rng: Source of the first weights and of dropout.
        dropout: Probability that a number is left out on its way in or out.
    """

    def __init__(
        self, size: int, memory_size: int, word_size: int, units: int, attention_size: int, rng: np.random.Generator, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self._units, self._word_size = units, word_size
        self.words = token_vectors(size + 1, word_size, rng, WORD_DEVIATION)
        self.key = linear(memory_size, attention_size, rng, init="glorot")
        self.query = linear(units, attention_size + 1, rng, init="glorot")  # and the logit of the gate beta
        self.score = linear(attention_size, 1, rng, init="glorot")
        self.first = linear(memory_size, 2 * units, rng, init="glorot")
        self.cell = Cell("lstm", word_size + memory_size, units, rng)
        self.deep = linear(word_size + units + memory_size, units, rng, init="glorot")
        self.output = linear(units, size, rng, init="glorot")
        self.dropout = Dropout(dropout, rng)

    def keys(self, places: Tensor) -> Tensor:
        """Return W a_i [N, L, A] of the places [N, L, D], to be computed once."""
        found: Tensor = self.key(places)
        return found

    def begin(self, places: Tensor) -> Tensor:
        """Return the first state [N, 2 H], from the mean of the places [N, L, D]."""
        return torch.tanh(self.first(places.mean(dim=1)))

    def forward(self, tokens: Tensor, places: Tensor, keys: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [N, T, V] of the token after each of `tokens` [N, T], the last state [N, 2 H], and the shares [N, T, L].

        Args:
            tokens: [N, T].
            places: [N, L, D].
            keys: Of the places [N, L, A].
            state: Before the first token [N, 2 H].
        """
        words = self.dropout(self.words(tokens))
        weight, size = self.cell.projection.weight, self._word_size
        projected = functional.linear(words, weight[:, :size], self.cell.projection.bias)  # [N, T, 4 H]
        step_weight = torch.cat([self.cell.weight, weight[:, size:]], dim=1)
        hidden, seen, shares = [], [], []
        for step in range(tokens.shape[1]):
            before = state[:, : self._units]
            asked = self.query(before)
            scores = self.score(torch.tanh(keys + asked[:, None, :-1]))[:, :, 0]
            share = scores.softmax(dim=1)
            looked = torch.sigmoid(asked[:, -1:]) * torch.bmm(share[:, None], places)[:, 0]
            state = lstm_step(projected[:, step], functional.linear(torch.cat([before, looked], 1), step_weight), state)
            hidden.append(state[:, : self._units])
            seen.append(looked)
            shares.append(share)
        deep = torch.tanh(self.deep(torch.cat([words, torch.stack(hidden, 1), torch.stack(seen, 1)], dim=2)))
        return self.output(self.dropout(deep)), state, torch.stack(shares, dim=1)
