"""The tasks `adding-problem`, `copy-memory` and `sine`: sequences drawn from a seed, whose answers hang on what was read long before.

Sources: Hochreiter and Schmidhuber, *Long short-term memory*, 1997, sections 5.4 and 5.2; both problems as Arjovsky, Shah and Bengio,
*Unitary evolution recurrent neural networks*, 2016, section 4, state them. Targets:

- `adding-problem`: a mean squared error of 0.01; the constant answer 1 has 1/6.
- `copy-memory`: 0.99 of the symbols; a guess has one in `symbols`.
- `sine`: the r2 of linear least squares on the same windows, computed when the task is built.

A training example is drawn anew in each epoch, unless `fresh` is false.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import accuracy, r2
from dl_nets.tasks.baselines import least_squares_r2
from dl_nets.tasks.counted_numbers import uniform
from rl_core.config import Count, Doc, Meta, NonNegative, Whole, configclass
from rl_core.task import DataTask
from rl_core.tokens import Tokens

SPLITS = ("train", "validation", "test")
BLANK, RECALL = 0, 1  # the first tokens of `copy-memory`; symbols follow


@configclass
class SequencesConfig:
    """The number of the examples, and how they are drawn."""

    examples: Annotated[Count, Doc("training sequences of an epoch")] = 5000
    held_out: Annotated[Count, Doc("validation sequences, and test sequences")] = 1000
    fresh: Annotated[bool, Doc("whether each epoch draws training sequences of its own")] = True
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0


class DrawnSequences(DataTask):
    """Sequences that are drawn when they are read; a subclass turns uniform numbers [B, `numbers`] into examples.

    Args:
        config: A `SequencesConfig`.
        numbers: Random numbers of an example.
    """

    def __init__(self, config: Any, numbers: int) -> None:
        super().__init__(config)
        self.augments = config.fresh
        self._numbers = numbers

    def examples(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs [B, ...] and targets [B, ...] of uniform numbers [B, `numbers`]."""
        raise NotImplementedError

    def num_examples(self, split: str) -> int:
        """Return how many sequences the split has."""
        return self.config.examples if split == "train" else self.config.held_out

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs [B, ...] and targets [B, ...] of the sequences at `indices` [B]."""
        return self.examples(uniform(self.config.data_seed, SPLITS.index(split), indices, self._numbers))

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the training sequences that this epoch draws at `indices` [B]."""
        return self.examples(uniform(seed, len(SPLITS), indices, self._numbers))


@configclass
class AddingConfig(SequencesConfig):
    """The length of the sequences, and how many there are."""

    length: Annotated[int, Meta(ge=2), Doc("T, numbers of a sequence")] = 50


class AddingProblem(DrawnSequences):
    """Numbers and marks [T, 2], and the sum [1] of the two numbers that are marked: one in each half."""

    Config: ClassVar[type] = AddingConfig
    metric = "mean squared error"
    higher_is_better = False
    target = 0.01

    def __init__(self, config: AddingConfig) -> None:
        super().__init__(config, config.length + 2)
        self.input_space = spaces.Box(0.0, 1.0, (config.length, 2), np.float32)
        self.output_space = spaces.Box(0.0, 2.0, (1,), np.float32)

    def examples(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sequences [B, T, 2] and sums [B, 1]."""
        length = self.config.length
        numbers, half = drawn[:, :length].astype(np.float32), length // 2
        first = (drawn[:, length] * half).astype(np.int64)
        second = half + (drawn[:, length + 1] * (length - half)).astype(np.int64)
        rows, marks = np.arange(len(drawn)), np.zeros_like(numbers)
        marks[rows, first] = marks[rows, second] = 1.0
        return np.stack([numbers, marks], axis=2), (numbers[rows, first] + numbers[rows, second])[:, None]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the mean squared error, and the share of sums [B, 1] that are right to 0.04 (Hochreiter and Schmidhuber's criterion)."""
        error = np.abs(predictions.astype(np.float64) - targets)
        return {"mean squared error": float(np.square(error).mean()), "right to 0.04": float((error < 0.04).mean())}


@configclass
class CopyConfig(SequencesConfig):
    """The symbols to remember, and for how long."""

    delay: Annotated[Count, Doc("steps between the last symbol and the first answer; the last of them is the mark that asks")] = 10
    length: Annotated[Count, Doc("symbols to remember")] = 5
    symbols: Annotated[int, Meta(ge=2), Doc("K, different symbols")] = 8


class CopyMemory(DrawnSequences):
    """Tokens [T]: symbols, blanks, a mark, blanks; and the answers [T]: blanks, and behind the mark the symbols. T = delay + 2 length."""

    Config: ClassVar[type] = CopyConfig
    metric = "accuracy"
    target = 0.99

    def __init__(self, config: CopyConfig) -> None:
        super().__init__(config, config.length)
        steps = config.delay + 2 * config.length
        self.input_space = self.output_space = Tokens(steps, config.symbols + 2)

    def examples(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens [B, T] and answers [B, T]."""
        length, steps = self.config.length, self.input_space.shape[0]
        symbols = 2 + (drawn * self.config.symbols).astype(np.int64)
        inputs = np.full((len(drawn), steps), BLANK)
        targets = inputs.copy()
        inputs[:, :length], inputs[:, steps - length - 1] = symbols, RECALL
        targets[:, steps - length :] = symbols
        return inputs, targets

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the share of the symbols that are right, and of the sequences whose symbols all are."""
        asked = slice(targets.shape[1] - self.config.length, None)
        right = predictions[:, asked] == targets[:, asked]
        return {"accuracy": float(right.mean()), "exact match": accuracy(right.all(axis=1), np.ones(len(right), np.bool_))}


@configclass
class SineConfig(SequencesConfig):
    """The window that is seen, and the steps that are asked for."""

    window: Annotated[int, Meta(ge=2), Doc("T, values that are seen")] = 30
    horizon: Annotated[Count, Doc("values to forecast")] = 10
    noise: Annotated[NonNegative, Doc("sigma, deviation of the noise on each value that is seen")] = 0.05


class Sine(DrawnSequences):
    """Values [T, 1] of a noisy sine of unknown height, period and phase, and its next values [horizon], without noise.

    Heights are in [0.5, 1.5), periods in [10, 40) steps.
    """

    Config: ClassVar[type] = SineConfig
    metric = "r2"

    def __init__(self, config: SineConfig) -> None:
        super().__init__(config, 3 + 2 * config.window)
        self.input_space = spaces.Box(-np.inf, np.inf, (config.window, 1), np.float32)
        self.output_space = spaces.Box(-np.inf, np.inf, (config.horizon,), np.float32)
        (inputs, targets), (others, answers) = (self.read(name, np.arange(self.num_examples(name))) for name in ("train", "test"))
        self.target = least_squares_r2((inputs[:, :, 0], targets), (others[:, :, 0], answers))

    def examples(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return windows [B, T, 1] and the values that follow [B, horizon]."""
        window = self.config.window
        height, period, phase = 0.5 + drawn[:, :1], 10.0 + 30.0 * drawn[:, 1:2], 2.0 * np.pi * drawn[:, 2:3]
        steps = np.arange(window + self.config.horizon)
        values = height * np.sin(2.0 * np.pi * steps / period + phase)
        radius = np.sqrt(-2.0 * np.log1p(-drawn[:, 3 : 3 + window]))  # Box and Muller, 1958
        seen = values[:, :window] + self.config.noise * radius * np.cos(2.0 * np.pi * drawn[:, 3 + window :])
        return seen[:, :, None].astype(np.float32), values[:, window:].astype(np.float32)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return r2 and the mean absolute error of forecasts [B, horizon]."""
        return {"r2": r2(predictions, targets), "mean absolute error": float(np.abs(targets - predictions).mean())}
