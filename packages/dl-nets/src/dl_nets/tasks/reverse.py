"""The task `reverse`: read some symbols, write them backwards.

Source: the reverse task of Zaremba and Sutskever, *Reinforcement learning neural Turing machines*, 2015, section 4. Departures: texts are
read whole. Target: 0.99 of the test texts without a mistake; a guess at one text of 8 symbols of 10 is right once in 10^8.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np

from dl_nets.learning.data import accuracy
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.task import DataTask
from rl_core.tokens import Tokens

PADDING, END = 0, 1
HELD_OUT = 1000  # test texts, and validation texts


@configclass
class ReverseConfig:
    """Texts that are drawn."""

    length: Annotated[Count, Doc("most symbols of a text")] = 8
    symbols: Annotated[Count, Doc("different symbols")] = 10
    examples: Annotated[Count, Doc("training texts")] = 10_000
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0


class Reverse(DataTask):
    """Tokens [length] and the same backwards, ended, [length + 1]; the score is the share of texts without a mistake."""

    Config: ClassVar[type] = ReverseConfig
    metric = "exact match"
    target = 0.99

    def __init__(self, config: ReverseConfig) -> None:
        super().__init__(config)
        self.input_space = Tokens(config.length, config.symbols + 2, padding=PADDING)
        self.output_space = Tokens(config.length + 1, config.symbols + 2, padding=PADDING, end=END)
        rng = np.random.Generator(np.random.PCG64(config.data_seed))
        texts = _texts(config, config.examples + 2 * HELD_OUT, rng)
        bounds = np.cumsum([0, config.examples, HELD_OUT, HELD_OUT])
        parts = zip(("train", "validation", "test"), pairwise(bounds), strict=True)
        self._splits = {split: (texts[start:stop], _backwards(texts[start:stop])) for split, (start, stop) in parts}

    def num_examples(self, split: str) -> int:
        """Return how many texts the split has."""
        return len(self._splits[split][0])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens [B, length] and answers [B, length + 1] of the texts at `indices` [B]."""
        inputs, targets = self._splits[split]
        return inputs[indices], targets[indices]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the share of texts, and of tokens, that are right."""
        counted = targets != PADDING
        return {
            "exact match": accuracy(((predictions == targets) | ~counted).all(axis=1), np.ones(len(targets), bool)),
            "token accuracy": float((predictions == targets)[counted].mean()),
        }


def _texts(config: ReverseConfig, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return different texts [count, length] in random order: lengths are drawn evenly, and doubles left out.

    Raises:
        ValueError: if there are not as many.
    """
    lengths = rng.integers(1, config.length + 1, 2 * count)[:, None]
    symbols = rng.integers(2, config.symbols + 2, (2 * count, config.length))
    texts = np.unique(np.where(np.arange(config.length) < lengths, symbols, PADDING), axis=0)
    if len(texts) < count:
        raise ValueError(
            f"examples is {config.examples}, which with {2 * HELD_OUT} held out is more than the {len(texts)} different texts that were "
            f"drawn with length {config.length} and symbols {config.symbols}; raise length or symbols"
        )
    chosen: np.ndarray = rng.permutation(texts)[:count]
    return chosen


def _backwards(texts: np.ndarray) -> np.ndarray:
    """Return texts [N, length] backwards, ended and padded [N, length + 1].

    >>> _backwards(np.array([[5, 6, 0], [2, 3, 4]])).tolist()
    [[6, 5, 1, 0], [4, 3, 2, 1]]
    """
    lengths, places = (texts != PADDING).sum(axis=1, keepdims=True), np.arange(texts.shape[1] + 1)
    symbols = np.take_along_axis(texts, np.maximum(lengths - 1 - places, 0), axis=1)
    ended: np.ndarray = np.where(places < lengths, symbols, np.where(places == lengths, END, PADDING))
    return ended
