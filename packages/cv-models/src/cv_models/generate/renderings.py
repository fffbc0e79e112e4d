"""The task `ink-on-paper`: to translate pictures between two renderings without ever seeing a pair.

Domain A has the pictures of another task as they are, grey; domain B has other ones of them as blue ink on yellow paper, by a fixed affine
map of brightness to colour. Learners see A and B apart, with no picture in both. Since the map is known, answers are judged exactly, both
ways. A translation that swaps ink and paper satisfies the loss of cycles perfectly; `swapped PSNR` is that against this known failure.

Letters: B batch, H W picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.generative import pictures
from dl_nets.generative.view import View, ViewConfig
from rl_core.batches import Batch
from rl_core.config import Doc, configclass
from rl_core.task import Predict

PAPER = np.array([0.95, 0.85, 0.30], np.float32)
INK = np.array([0.10, 0.20, 0.70], np.float32)


@configclass
class RenderingsConfig(ViewConfig):
    """The task whose pictures are rendered."""

    task: Annotated[str, Doc("name of the data task of pictures: plain-shapes, mnist:data/mnist")] = "plain-shapes"


def inked(brightness: np.ndarray) -> np.ndarray:
    """Return pictures [..., 3] of brightness [..., 1] in [0, 1]: paper where it is 0, ink where it is 1.

    >>> [[round(number, 2) for number in pixel] for pixel in inked(np.array([[0.0], [1.0]])).tolist()]
    [[0.95, 0.85, 0.3], [0.1, 0.2, 0.7]]
    """
    return np.asarray(PAPER + brightness * (INK - PAPER), np.float32)


class Renderings(View):
    """Pictures [H, W, 3] with their domain as inputs, pictures of the other domain as targets. See `View`.

    In the training split a target is any picture of domain B, beside an input of domain A. In the others it is the true translation, and
    every second input is of domain B.
    """

    Config: ClassVar[type] = RenderingsConfig
    metric = "PSNR"
    target = 24.0

    def __init__(self, config: RenderingsConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        if len(self.space.shape) != 3 or not self.space.is_bounded():
            raise ValueError(f"task {config.task} has the inputs {self.space}; expected pictures [height, width, channels]")
        picture = spaces.Box(0.0, 1.0, (*self.space.shape[:2], 3), np.float32)
        self.input_space = spaces.Dict(domain=spaces.Discrete(2), picture=picture)
        self.output_space = picture

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that pictures are translated without pairs."""
        return super().traits() | {"unpaired"}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has: for training half of the pictures, which are in A, beside the others in B."""
        count = super().num_examples(split)
        return count // 2 if split == "train" else count

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return pictures [B, H, W, 3] with their domains [B], and pictures [B, H, W, 3] of the other domain."""
        if split == "train":
            grey = self._brightness(split, indices).repeat(3, axis=3)
            others = inked(self._brightness(split, indices + self.num_examples(split)))
            return {"domain": np.zeros(len(indices), np.int64), "picture": grey}, others
        brightness, domains = self._brightness(split, indices), indices % 2
        grey, ink = brightness.repeat(3, axis=3), inked(brightness)
        first = (domains == 0)[:, None, None, None]
        return {"domain": domains.astype(np.int64), "picture": np.where(first, grey, ink)}, np.where(first, ink, grey)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the mean PSNR, dB, of answers [N, H, W, 3] against true translations, for each direction, and against swapped ones."""
        answers, wanted = (np.asarray(batch, dtype=np.float64) for batch in (predictions, targets))
        grey = (np.ptp(wanted, axis=3) < 1e-6).all(axis=(1, 2))
        swapped = np.where(grey[:, None, None, None], 1.0 - wanted, (INK + PAPER) - wanted)
        ratio, failed = _ratio(answers, wanted), _ratio(answers, swapped)
        scores = {"PSNR": float(ratio.mean()), "swapped PSNR": float(failed.mean())}
        if not grey.all():
            scores["PSNR from A to B"] = float(ratio[~grey].mean())
        if grey.any():
            scores["PSNR from B to A"] = float(ratio[grey].mean())
        return scores

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw test pictures before and after, and their true translations."""
        inputs, targets = self.read("test", np.arange(min(10, self.num_examples("test"))))
        answers = np.asarray(predict(inputs))
        rows = {"before": inputs["picture"], "after": answers, "truth": targets}
        title = f"pictures of A and B by turns, {self.score(answers, targets)['PSNR']:.1f} dB"
        pictures.rows(folder / "translations.png", rows, title=title)

    def _brightness(self, split: str, indices: np.ndarray) -> np.ndarray:
        numbers = (self.numbers(split, indices) - self.space.low) / (self.space.high - self.space.low)
        return np.asarray(numbers.mean(axis=3, keepdims=True), np.float32)


def _ratio(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return PSNR [N], dB, of numbers in [0, 1], 100 at most."""
    return np.asarray(-10.0 * np.log10(np.maximum(np.square(found - wanted).mean(axis=(1, 2, 3)), 1e-10)))
