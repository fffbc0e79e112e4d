"""The base of captioners that look at a memory, word by word, with the decoder of `cv_models.describe.attending`.

Letters: N captions, T tokens, V vocabulary, L places of the memory.
"""

from __future__ import annotations

from typing import Any

from gymnasium import Space
from torch import Tensor

from cv_models.describe.attending import AttendingLSTM, doubly_stochastic
from cv_models.describe.captioner import Captioner, Memory, State


class AttendingCaptioner(Captioner):
    """A captioner with soft attention. A subclass makes `decoder`, and defines `memory`: places [N, L, D] and their keys.

    Args:
        config: Settings, `spread` among them: the weight of the doubly stochastic term.
        output_space: Captions.
    """

    decoder: AttendingLSTM

    def __init__(self, config: Any, output_space: Space[Any]) -> None:
        super().__init__(config, output_space)
        self._spread = config.spread

    def begin(self, memory: Memory) -> State:
        """Return the LSTM's first state."""
        return (self.decoder.begin(memory[0]),)

    def advance(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor]:
        """Return the logits [N, V] of the token after `tokens` [N], the state there, and the share of each place [N, L]."""
        logits, after, shares = self.decoder(tokens[:, None], *memory, state[0])
        return logits[:, 0], (after,), shares[:, 0]

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T], and the shares of the places [N, T, L]."""
        logits, _, shares = self.decoder(before, *memory, self.begin(memory)[0])
        return logits, shares

    def penalty(self, shares: Tensor, counted: Tensor) -> Tensor:
        """Return the doubly stochastic term of each caption [N]."""
        return self._spread * doubly_stochastic(shares, counted) if self._spread else super().penalty(shares, counted)
