"""The task `digit-pairs`: two handwritten digits side by side. Which is larger, and what is their sum?

It has two inputs, `left` and `right`, and two answers, `larger` and `sum`. Each answer is judged on its own; the score is the mean of the
accuracy of `larger` and the r2 of `sum`.

The images are those of `digits`. A pair of one split has both of its images from that split of the images. Training pairs are drawn anew
in each epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import accuracy, r2
from dl_nets.tasks.counted_numbers import uniform
from dl_nets.tasks.digits import Digits, DigitsConfig
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.task import DataTask, Predict

SPLITS = ("train", "validation", "test")
LARGER = ("left", "right", "equal")
SHOWN = 16  # pairs of the figure


@configclass
class DigitPairsConfig(DigitsConfig):
    """Shares of the splits of the images, and the number of pairs."""

    pairs: Annotated[Count, Doc("training pairs of an epoch")] = 4000
    held_out: Annotated[Count, Doc("validation pairs, and test pairs")] = 1000
    data_seed: Annotated[Whole, Doc("number of the sample of pairs; independent of the run's seed")] = 0


class DigitPairs(DataTask):
    """Images `left` and `right` [8, 8, 1], the class `larger` (left, right or equal), and the number `sum` [1], 0 to 18.

    Half of the pairs are drawn at random, half with the same digit twice or with neighbours, so that `larger` needs a close look.
    """

    Config: ClassVar[type] = DigitPairsConfig
    config: DigitPairsConfig
    metric = "mean score"
    augments = True

    def __init__(self, config: DigitPairsConfig) -> None:
        super().__init__(config)
        digits = Digits(config)
        image = digits.input_space
        self._sorted: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # images by digit, so that pairs of neighbours are close digits
        for split in SPLITS:
            images, classes = digits.read(split, np.arange(digits.num_examples(split)))
            order = np.argsort(classes, kind="stable")
            self._sorted[split] = images[order], classes[order]
        self.input_space = spaces.Dict(left=image, right=image)
        self.output_space = spaces.Dict(larger=spaces.Discrete(3), sum=spaces.Box(0.0, 18.0, (1,), np.float32))

    def num_examples(self, split: str) -> int:
        """Return how many pairs the split has."""
        return self.config.pairs if split == "train" else self.config.held_out

    def read(self, split: str, indices: np.ndarray) -> tuple[Any, Any]:
        """Return images by side [B, 8, 8, 1] and answers by name [B, ...]."""
        return self._pairs(split, uniform(self.config.data_seed, SPLITS.index(split), indices, 3))

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Any, Any]:
        """Return the pairs that this epoch draws at `indices` [B]."""
        return self._pairs("train", uniform(seed, len(SPLITS), indices, 3))

    def _pairs(self, split: str, drawn: np.ndarray) -> tuple[Any, Any]:
        """Return pairs of uniform numbers [B, 3]."""
        images, digits = self._sorted[split]
        count = len(digits)
        left = (drawn[:, 0] * count).astype(np.int64)
        near = (left + ((drawn[:, 1] - 0.5) * 0.3 * count).astype(np.int64)).clip(0, count - 1)
        right = np.where(drawn[:, 2] < 0.5, near, (drawn[:, 1] * count).astype(np.int64))
        one, other = digits[left], digits[right]
        larger = np.where(one > other, 0, np.where(one < other, 1, 2))
        return {"left": images[left], "right": images[right]}, {"larger": larger, "sum": (one + other).astype(np.float32)[:, None]}

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the accuracy of `larger`, r2 and mean absolute error of `sum`, and the mean of the first two."""
        larger, total = accuracy(predictions["larger"], targets["larger"]), r2(predictions["sum"], targets["sum"])
        return {
            "mean score": (larger + total) / 2.0,
            "larger accuracy": larger,
            "sum r2": total,
            "sum mean absolute error": float(np.abs(predictions["sum"] - targets["sum"]).mean()),
        }

    def describe(self, predictions: Any) -> list[Any]:
        """Return the side that is larger by name, and the sum."""
        return [
            {"larger": LARGER[int(side)], "sum": float(total[0])}
            for side, total in zip(predictions["larger"], predictions["sum"], strict=True)
        ]

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write a PNG of some test pairs with the answers to them."""
        from dl_nets.figures.grid import grid

        given, targets = self.read("test", np.arange(min(SHOWN, self.num_examples("test"))))
        answers = predict(given)
        gap = np.ones((8, 1), np.float32)
        sides = zip(given["left"], given["right"], strict=True)
        pictures = [np.concatenate([one[..., 0], gap, other[..., 0]], axis=1) for one, other in sides]
        said, true = self.describe(answers), self.describe(targets)
        titles = [
            f"{each['larger']}, {each['sum']:.1f}\ntrue {wanted['larger']}, {wanted['sum']:.0f}"
            for each, wanted in zip(said, true, strict=True)
        ]
        grid(folder / "pairs.png", pictures, titles, title="test pairs: which is larger, and the sum of both", columns=4, side=1.9)
