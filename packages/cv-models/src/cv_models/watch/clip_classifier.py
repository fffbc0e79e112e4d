"""The clip classifier: an LSTM reads the frames, and additive attention pools what it says into the class of an action.

Source: Donahue et al., *Long-term recurrent convolutional networks for visual recognition and description*, 2015, section 4, for the LSTM;
Bahdanau, Cho and Bengio 2015 for the attention: e_t = v' tanh(W h_t + U h_T), asked by the last step, which the answer reads beside the
pooled steps. Departures: one answer for the whole clip in place of the mean of answers to its frames. With `pooling=mean` and `reads=none`
it does not see in which order frames come.

Without the last step beside them, pooled steps did not learn the order of frames on two seeds of three: steps that are almost alike at
first weigh alike, and what the LSTM has read at the end is a twelfth of the mean.

Letters: B batch, T frames, H units, K classes.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from cv_models.watch.frames import FrameEncoder
from dl_nets.networks.cells import Cell
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import output_size
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network


@configclass
class ClipClassifierConfig:
    """Settings of the classifier of clips."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each of which halves the picture")] = (16, 32, 64)
    frame_size: Annotated[Count, Doc("numbers that a frame becomes")] = 128
    units: Annotated[Count, Doc("H, of the LSTM")] = 128
    reads: Annotated[Literal["lstm", "none"], Doc("lstm: frames are read in their order; none: each one alone")] = "lstm"
    pooling: Annotated[Literal["attention", "mean", "last"], Doc("which steps answer for the clip, and with what weight")] = "attention"
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of the pooled clip is left out while training")] = 0.0


class ClipClassifierModule(nn.Module):
    """The module that `ClipClassifier` builds.

    Args:
        config: Settings.
        input_space: Clips, or features of their frames.
        output_space: Classes.
        rng: Source of the first weights and of dropout.
    """

    def __init__(self, config: ClipClassifierConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.frames = FrameEncoder(input_space, config.channels, config.frame_size, rng)
        self.reader = Cell("lstm", config.frame_size, config.units, rng) if config.reads == "lstm" else None
        size = config.units if self.reader is not None else config.frame_size
        self.key = linear(size, size, rng, init="glorot") if config.pooling == "attention" else None
        self.query = linear(size, size, rng, init="glorot") if config.pooling == "attention" else None
        self.score = linear(size, 1, rng, init="glorot") if config.pooling == "attention" else None
        self.dropout = Dropout(config.dropout, rng)
        self.output = linear(size if self.score is None else 2 * size, output_size(output_space), rng, init="glorot")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K] of clips [B, T, ...]."""
        steps = self.steps(inputs)
        pooled = (self.shares(steps)[:, :, None] * steps).sum(dim=1)
        if self.score is not None:
            pooled = torch.cat([pooled, steps[:, -1]], dim=1)
        outputs: Tensor = self.output(self.dropout(pooled))
        return outputs

    def steps(self, inputs: Tensor) -> Tensor:
        """Return what the LSTM says at each frame [B, T, H], or the frames alone."""
        frames = self.frames(inputs)
        if self.reader is None:
            return frames
        starts = torch.zeros(frames.shape[1], frames.shape[0], dtype=torch.bool, device=frames.device)
        outputs, _ = self.reader(frames.transpose(0, 1), frames.new_zeros(frames.shape[0], self.reader.state_size), starts)
        return outputs.transpose(0, 1)

    def shares(self, steps: Tensor) -> Tensor:
        """Return the weight [B, T] of each step [B, T, H]; they sum to 1."""
        if self.key is not None and self.query is not None and self.score is not None:
            return self.score(torch.tanh(self.key(steps) + self.query(steps[:, -1:])))[:, :, 0].softmax(dim=1)
        if self.pooling == "mean":
            return torch.full_like(steps[:, :, 0], 1.0 / steps.shape[1])
        last = torch.zeros_like(steps[:, :, 0])
        last[:, -1] = 1.0
        return last


class ClipClassifier(Network):
    """Builder of classifiers of clips."""

    Config: ClassVar[type] = ClipClassifierConfig
    config: ClipClassifierConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> ClipClassifierModule:
        """Build a classifier from clips [B, T, H, W, C], or features [B, T, K], to logits [B, K]."""
        return ClipClassifierModule(self.config, input_space, output_space, rng)
