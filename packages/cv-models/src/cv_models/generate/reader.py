"""A small classifier that reads what generated pictures show; it has no settings, so that its judgements are comparable.

Letters: B batch, K classes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from torch import Tensor, nn

from cv_models.describe.encoder import GridEncoder
from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.initialisation import linear
from dl_nets.networks.spaces import output_size
from rl_core.config import configclass
from rl_core.network import Network
from rl_core.seeds import Seeds

CHANNELS = (16, 32, 48)
EPOCHS = 5


@configclass
class ReaderConfig:
    """The reader has no settings."""


class ReaderModule(nn.Module):
    """Module from pictures [B, H, W, C] to logits [B, K]."""

    def __init__(self, space: gymnasium.Space[Any], outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.grid = GridEncoder(space, CHANNELS, rng, placed=False)
        self.head = linear(self.grid.rows * self.grid.columns * self.grid.width, outputs, rng, init="glorot")

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits [B, K]."""
        logits: Tensor = self.head(self.grid(pictures).flatten(1))
        return logits


class Reader(Network):
    """Builder of readers."""

    Config: ClassVar[type] = ReaderConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> ReaderModule:
        """Build a reader of pictures of any size from 8 pixels on."""
        return ReaderModule(input_space, output_size(output_space), rng)


def learned(task: ArrayTask) -> nn.Module:
    """Return a reader that learned the training split of a task of classes; always from the same seed."""
    config = SupervisedConfig(learning_rate=3e-3, batch_size=64, epochs=EPOCHS, schedule="warm-up-cosine")
    budget = EPOCHS * task.num_examples("train")
    learner = Supervised(config, task, Reader(ReaderConfig()), seeds=Seeds(0), budget=budget, device="cpu")
    while learner.progress < learner.budget:
        learner.step()
    return learner.module.eval()
