"""Show, attend and tell: at each word the LSTM looks at some places of the picture.

Source: Xu et al., *Show, attend and tell: neural image caption generation with visual attention*, 2015, with soft attention (section 4.2)
and the doubly stochastic term (equation 14). Departures: each place has a learned vector added, so that relations can be read; the
convolutions learn with the rest.

The map of a word is where the decoder took its numbers from, not proof of where the word's object is: convolutions have already mixed
neighbouring places. `pointing_accuracy` measures it where the truth is known.

Letters: B batch, N captions, T tokens, V vocabulary, L places, D numbers of a place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from cv_models.describe.attending import AttendingLSTM
from cv_models.describe.attending_captioner import AttendingCaptioner
from cv_models.describe.captioner import CaptionerConfig, Memory
from cv_models.describe.encoder import GridEncoder
from rl_core.config import Count, Doc, NonNegative, configclass
from rl_core.network import Network
from rl_core.task import DataTask


@configclass
class ShowAttendAndTellConfig(CaptionerConfig):
    """Settings of show-attend-and-tell."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each halving the picture; the last is D")] = (16, 48, 96)
    word_size: Annotated[Count, Doc("numbers of a word's vector")] = 64
    units: Annotated[Count, Doc("of the LSTM")] = 128
    attention_size: Annotated[Count, Doc("numbers of the attention's hidden layer")] = 64
    spread: Annotated[NonNegative, Doc("lambda, weight of the doubly stochastic term; 0: none")] = 0.0005


class ShowAttendAndTellModule(AttendingCaptioner):
    """The module that `ShowAttendAndTell` builds.

    Args:
        config: Settings.
        input_space: Pictures.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(
        self, config: ShowAttendAndTellConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator
    ) -> None:
        super().__init__(config, output_space)
        self.encoder = GridEncoder(input_space, config.channels, rng)
        self.decoder = AttendingLSTM(
            self.size, self.encoder.width, config.word_size, config.units, config.attention_size, rng, config.dropout
        )

    def memory(self, inputs: Tensor) -> Memory:
        """Return the places [B, L, D] of pictures [B, H, W, C], and their keys."""
        places = self.encoder(inputs)
        return places, self.decoder.keys(places)

    def attention(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """Return the share [B, T, rows, columns] of each place of pictures [B, H, W, C] at each token of captions [B, T]."""
        _, shares = self.read(self.memory(inputs), self._before(captions.long()))
        return shares.unflatten(2, (self.encoder.rows, self.encoder.columns))

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the places that the decoder looks at, word by word, for some test pictures."""
        from cv_models.describe.attention_maps import draw_attention

        draw_attention(self, folder / "attention.png", task)


class ShowAttendAndTell(Network):
    """Builder of captioners with soft attention."""

    Config: ClassVar[type] = ShowAttendAndTellConfig
    config: ShowAttendAndTellConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> ShowAttendAndTellModule:
        """Build a captioner from pictures [B, H, W, C] to captions [B, R T]."""
        return ShowAttendAndTellModule(self.config, input_space, output_space, rng)


def pointing_accuracy(attention: Tensor, nouns: Tensor, centres: Tensor, size: int, within: float) -> float:
    """Return the share of nouns at which the place with the most attention is near the object that the noun names.

    Args:
        attention: Shares [N, T, rows, columns].
        nouns: Index of each noun among the tokens [N, K].
        centres: Centre (x, y) of the object of each noun [N, K, 2], pixels.
        size: Side of the pictures, pixels.
        within: Largest distance of the place's centre from the object's, pixels.

    >>> shares = torch.zeros(1, 1, 2, 2)
    >>> shares[0, 0, 0, 1] = 1.0  # above right, whose centre is (6, 2) of 8 pixels
    >>> pointing_accuracy(shares, torch.tensor([[0]]), torch.tensor([[[7.0, 1.0]]]), 8, within=2.0)
    1.0
    """
    rows, columns = attention.shape[2:]
    best = attention.gather(1, nouns[:, :, None, None].expand(-1, -1, rows, columns)).flatten(2).argmax(dim=2)  # [N, K]
    place = torch.stack([(best % columns + 0.5) * size / columns, (best // columns + 0.5) * size / rows], dim=2)
    near = (place - centres).square().sum(dim=2).sqrt() <= within
    return float(near.float().mean())
