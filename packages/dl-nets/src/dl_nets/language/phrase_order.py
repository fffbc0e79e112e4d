"""The task `phrase-order`: three words are together somewhere in a text, and their order is its class.

All texts hold the same three words, so that counts of words tell the classes no better than chance, 1/6: a network has to look at
neighbours, wherever they are. Target: 0.99 of the test texts.
"""

from __future__ import annotations

from itertools import permutations
from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import accuracy
from dl_nets.tasks.counted_numbers import uniform
from rl_core.config import Count, Doc, Meta, Whole, configclass
from rl_core.task import DataTask
from rl_core.tokens import Tokens

SPLITS = ("train", "validation", "test")
ORDERS = np.array(list(permutations((1, 2, 3))))  # of the words that matter
PADDING, FIRST = 0, 4  # words from FIRST on do not matter


@configclass
class PhraseOrderConfig:
    """Texts that are drawn."""

    length: Annotated[int, Meta(ge=3), Doc("T, most words of a text; each has at least half of them")] = 16
    words: Annotated[Count, Doc("different words that do not matter")] = 20
    examples: Annotated[Count, Doc("training texts")] = 2000
    held_out: Annotated[Count, Doc("validation texts, and test texts")] = 500
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0


class PhraseOrder(DataTask):
    """Words [T] and the order of three of them, one of six; the score is accuracy."""

    Config: ClassVar[type] = PhraseOrderConfig
    config: PhraseOrderConfig
    metric = "accuracy"
    target = 0.99

    def __init__(self, config: PhraseOrderConfig) -> None:
        super().__init__(config)
        self.input_space = Tokens(config.length, FIRST + config.words, padding=PADDING)
        self.output_space = spaces.Discrete(len(ORDERS))

    def num_examples(self, split: str) -> int:
        """Return how many texts the split has."""
        return self.config.examples if split == "train" else self.config.held_out

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return words [B, T] and classes [B] of the texts at `indices` [B]."""
        size = self.config.length
        drawn = uniform(self.config.data_seed, SPLITS.index(split), indices, size + 3)
        lengths = size - (drawn[:, 0] * (size - max(3, size // 2) + 1)).astype(np.int64)
        classes = (drawn[:, 1] * len(ORDERS)).astype(np.int64)
        places = (drawn[:, 2] * (lengths - 2)).astype(np.int64)
        words = FIRST + (drawn[:, 3:] * self.config.words).astype(np.int64)
        words[np.arange(size) >= lengths[:, None]] = PADDING
        np.put_along_axis(words, places[:, None] + np.arange(3), ORDERS[classes], axis=1)
        return words, classes

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the share of right classes."""
        return {"accuracy": accuracy(predictions, targets)}
