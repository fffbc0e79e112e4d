"""S2VT: two LSTMs above each other read all frames, and then write.

Source: Venugopalan et al., *Sequence to sequence - video to text*, 2015, section 3. While it reads, the lower LSTM is given frames and the
upper one what the lower says, beside an empty word; while it writes, the lower one is given empty frames. Departures: one stream of
frames without optical flow; the convolutions learn with the rest unless features are given.

Letters: B batch, N captions, T frames or tokens, V vocabulary, H units, D numbers of a frame.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from cv_models.describe.attending import WORD_DEVIATION
from cv_models.describe.captioner import Captioner, Memory, State
from cv_models.watch.frames import FrameEncoder
from cv_models.watch.mean_pool_captioner import ClipCaptionerConfig
from dl_nets.networks.cells import Cell
from dl_nets.networks.embedding import token_vectors
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import configclass
from rl_core.network import Network


@configclass
class S2VTConfig(ClipCaptionerConfig):
    """Settings of S2VT."""


class S2VTModule(Captioner):
    """The module that `S2VT` builds.

    Args:
        config: Settings.
        input_space: Clips, or features of their frames.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(self, config: S2VTConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__(config, output_space)
        self._frame_size, self._word_size = config.frame_size, config.word_size
        self.frames = FrameEncoder(input_space, config.channels, config.frame_size, rng)
        self.words = token_vectors(self.size + 1, config.word_size, rng, WORD_DEVIATION)
        self.lower = Cell("lstm", config.frame_size, config.units, rng)
        self.upper = Cell("lstm", config.units + config.word_size, config.units, rng)
        self.output = linear(config.units, self.size, rng, init="glorot")
        self.dropout = Dropout(config.dropout, rng)

    def memory(self, inputs: Tensor) -> Memory:
        """Return the states of both LSTMs [B, 2 H] after all frames of clips [B, T, ...]."""
        frames = self.frames(inputs).transpose(0, 1)  # [T, B, D]
        starts = torch.zeros(frames.shape[:2], dtype=torch.bool, device=frames.device)
        first = frames.new_zeros(frames.shape[1], self.lower.state_size)
        said, lower = self.lower(self.dropout(frames), first, starts)
        empty = said.new_zeros(*said.shape[:2], self._word_size)
        _, upper = self.upper(torch.cat([said, empty], dim=2), first, starts)
        return lower, upper

    def begin(self, memory: Memory) -> State:
        """Return the states after the frames."""
        return memory

    def advance(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor]:
        """Return the logits [N, V] of the token after `tokens` [N], the states there, and no shares [N, 0]."""
        logits, after = self._write(state, tokens[:, None])
        return logits[:, 0], after, logits[:, 0, :0]

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T], in one pass, and no shares [N, T, 0]."""
        logits, _ = self._write(memory, before)
        return logits, logits[:, :, :0]

    def _write(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        starts = torch.zeros(tokens.shape[::-1], dtype=torch.bool, device=tokens.device)
        words = self.dropout(self.words(tokens)).transpose(0, 1)
        said, lower = self.lower(words.new_zeros(*words.shape[:2], self._frame_size), state[0], starts)
        outputs, upper = self.upper(torch.cat([said, words], dim=2), state[1], starts)
        return self.output(self.dropout(outputs.transpose(0, 1))), (lower, upper)


class S2VT(Network):
    """Builder of S2VT captioners."""

    Config: ClassVar[type] = S2VTConfig
    config: S2VTConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> S2VTModule:
        """Build a captioner from clips [B, T, H, W, C], or features [B, T, K], to captions [B, R T]."""
        return S2VTModule(self.config, input_space, output_space, rng)
