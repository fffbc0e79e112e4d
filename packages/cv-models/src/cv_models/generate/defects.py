"""The task `surface-defects`: find pictures of a woven surface that have a defect, and where, after learning from whole ones alone.

A learner answers pictures by themselves, as on `reconstruct:<task>`. It is judged by what it cannot reconstruct: the squared error of each
pixel, averaged over 3 x 3, is the map of where the defect is, and its largest number the score of the picture. Normal are scores up to a
quantile of those of the validation split, which holds whole surfaces alone. Half of the test pictures have a spot, a scratch, or a place
where the weave is shifted, each at a known place.

The score of a run is the mean squared error on whole test pictures. `AUROC` is the probability that a defective picture has the larger
score of two, `AUROC of places` the same of pixels. In `AUROC of the mean` the answer is the mean training picture: a surface has a phase
and a brightness of its own, so that says little.

Letters: B batch, N pictures, S side.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from cv_models.tasks.label_files import resized
from dl_nets.generative import pictures
from dl_nets.tasks.picture_files import SUFFIXES, read_picture
from rl_core.config import Count, Doc, Meta, Whole, configclass
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Predict

SPLITS = ("train", "validation", "test")
PERIODS = (8.0, 5.0)  # of the weave across and down, in pixels of a picture of 32
NOISE, CONTRAST = 0.02, 0.15  # deviation of each pixel, and what a spot or a scratch adds or takes, in [0, 1]
DEFECTS = ("spot", "scratch", "shift")
ZOOM = 8  # pixels of a file for each of a picture
SHOWN = 8  # test pictures of the figure


@configclass
class SurfaceDefectsConfig:
    """The number of pictures and their size, and what counts as normal."""

    size: Annotated[int, Meta(ge=16, le=128), Doc("S, side of the pictures, pixels")] = 32
    num_train: Annotated[Count, Doc("whole surfaces to learn from")] = 2000
    num_validation: Annotated[Count, Doc("whole surfaces that set the threshold")] = 200
    num_test: Annotated[int, Meta(ge=2), Doc("surfaces that the score is computed on, every other one defective")] = 400
    quantile: Annotated[float, Meta(gt=0, lt=1), Doc("share of the validation pictures that count as normal")] = 0.95
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


def surfaces(rng: np.random.Generator, defective: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures [N, S, S, 1] in [0, 1] of woven surfaces, and which pixels belong to a defect [N, S, S].

    Args:
        rng: Source of phase, brightness, defects and noise.
        defective: Which pictures have a defect [N].
        size: S.
    """
    count = len(defective)
    y, x = np.mgrid[0:size, 0:size] + 0.5
    phase, brightness = rng.uniform(0.0, 2.0 * np.pi, (count, 2, 1, 1)), rng.uniform(0.4, 0.6, (count, 1, 1))
    across, down = (2.0 * np.pi * grid * 32.0 / (size * period) for grid, period in zip((x, y), PERIODS, strict=True))
    weave = 0.15 * (np.sin(across + phase[:, 0]) + np.sin(down + phase[:, 1]))
    kind, centre = rng.integers(0, len(DEFECTS), count), rng.uniform(0.2, 0.8, (count, 2, 1, 1)) * size
    turn, sign = rng.uniform(0.0, np.pi, (count, 1, 1)), rng.choice([-1.0, 1.0], (count, 1, 1))
    extent = rng.uniform(0.06, 0.12, (count, 1, 1)) * size
    right, below = x - centre[:, 0], y - centre[:, 1]
    along = np.abs(right * np.cos(turn) + below * np.sin(turn))
    beside = np.abs(below * np.cos(turn) - right * np.sin(turn))
    spot, scratch = right**2 + below**2 <= extent**2, (along <= 3.0 * extent) & (beside <= 0.02 * size)
    shift = (np.abs(right) <= 1.5 * extent) & (np.abs(below) <= 1.5 * extent)
    masks = np.choose(kind[:, None, None], [spot, scratch, shift]) & defective[:, None, None]
    shifted = np.where(kind[:, None, None] == DEFECTS.index("shift"), -weave, weave + CONTRAST * sign)
    made = brightness + np.where(masks, shifted, weave) + NOISE * rng.standard_normal(weave.shape)
    return np.clip(made, 0.0, 1.0).astype(np.float32)[..., None], masks


def error_map(given: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return the squared error [N, S, S] of each pixel of answers [N, S, S, C], as the mean over 3 x 3 pixels.

    >>> float(error_map(np.eye(3)[None, :, :, None] * 3.0, np.zeros((1, 3, 3, 1)))[0, 1, 1])  # 9 at three of nine pixels
    3.0
    """
    error = np.square(given - answers).mean(axis=3)
    padded = np.pad(error, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2)).mean(axis=(3, 4)))


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a positive example has a larger score than a negative one; a tie counts one half.

    Args:
        scores: [N].
        positive: Which examples are positive [N], some and not all.

    >>> area_under_curve(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * (counts - 1))[inverse]
    many, few = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * few))


class SurfaceDefects(DataTask):
    """Pictures [S, S, 1] as inputs and targets; judged by how well errors find defects.

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = SurfaceDefectsConfig
    config: SurfaceDefectsConfig
    metric = "mean squared error"
    higher_is_better = False
    class_names = ("whole", "defective")
    file_suffixes = (*SUFFIXES, ".jsonl")

    def __init__(self, config: SurfaceDefectsConfig) -> None:
        super().__init__(config)
        self.input_space = self.output_space = spaces.Box(0.0, 1.0, (config.size, config.size, 1), np.float32)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are the inputs."""
        return super().traits() | {"reconstruction"}

    @property
    def source(self) -> Self:
        """The task that the classes are of, which is this one."""
        return self

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures [B, S, S, 1] twice, as inputs and as targets."""
        shown = self._pictures[split][0][indices]
        return shown, shown.copy()

    def classes(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return 0 for whole and 1 for defective pictures [B]."""
        return np.asarray(self._pictures[split][1][indices].any(axis=(1, 2)).astype(np.int64))

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the mean squared error of reconstructions [N, S, S, 1]."""
        return {self.metric: float(np.square(np.asarray(predictions) - np.asarray(targets)).mean())}

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return how well scores find defective test pictures, maps find defects, and the threshold tells them apart."""
        given, masks = self._pictures["test"]
        answers = np.asarray(predict(given))
        found, defective = error_map(given, answers), np.asarray(masks.any(axis=(1, 2)))
        scores, bound = found.max(axis=(1, 2)), self.threshold(predict)
        plain = error_map(given, self._pictures["train"][0].mean(axis=0)[None]).max(axis=(1, 2))
        alarms = scores > bound
        return {
            **self.score(answers[~defective], given[~defective]),
            "AUROC": area_under_curve(scores, defective),
            "AUROC of places": area_under_curve(found[defective].ravel(), masks[defective].ravel()),
            "AUROC of the mean": area_under_curve(plain, defective),
            "balanced accuracy": float(0.5 * (alarms[defective].mean() + (~alarms[~defective]).mean())),
            "recall": float(alarms[defective].mean()),
            "threshold": bound,
        }

    def threshold(self, predict: Predict) -> float:
        """Return the score above which a picture counts as defective: a quantile of the scores of whole validation pictures."""
        whole = self._pictures["validation"][0]
        return float(np.quantile(error_map(whole, np.asarray(predict(whole))).max(axis=(1, 2)), self.config.quantile))

    def parse_file(self, path: Path) -> Any:
        """Return the picture in a file, grey and at the task's size [1, S, S, 1], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        if path.suffix.lower() not in SUFFIXES:
            return super().parse_file(path)
        shown = resized(read_picture(path), self.config.size, self.config.size)
        return (shown.astype(np.float32).mean(axis=2, keepdims=True) / np.float32(255.0))[None]

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return score, threshold and verdict for the picture in a file, and the place of the largest error; draw where, into `folder`."""
        if path.suffix.lower() not in SUFFIXES:
            return super().answer_file(path, predict, folder)
        from PIL import Image

        given = self.parse_file(path)
        found, bound = error_map(given, np.asarray(predict(given)))[0], self.threshold(predict)
        row, column = np.unravel_index(int(found.argmax()), found.shape)
        drawn = np.repeat(given[0], 3, axis=2)
        drawn[found > bound] = (1.0, 0.2, 0.2)
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / f"{path.stem}-defects.png"
        Image.fromarray(np.round(drawn * 255.0).astype(np.uint8).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)).save(out)
        verdict = self.class_names[int(found.max() > bound)]
        return [{"score": float(found.max()), "threshold": bound, "answer": verdict, "x": int(column), "y": int(row), "picture": str(out)}]

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw defective test pictures, their reconstructions, the maps of errors, and where the defects are."""
        chosen = np.flatnonzero(self._pictures["test"][1].any(axis=(1, 2)))[:SHOWN]
        given, masks = (part[chosen] for part in self._pictures["test"])
        answers, bound = np.asarray(predict(given)), self.threshold(predict)
        found = np.clip(error_map(given, answers) / (2.0 * bound), 0.0, 1.0)[..., None]
        rows = {"picture": given, "reconstruction": answers, "error": found, "defect": masks[..., None].astype(np.float32)}
        pictures.rows(folder / "defects.png", rows, title=f"errors of test pictures, white from twice the threshold, {bound:.4f}, on")

    @cached_property
    def _pictures(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Pictures and masks of each split."""
        found = {}
        for number, split in enumerate(SPLITS):
            count = self.num_examples(split)
            defective = np.arange(count) % 2 == 1 if split == "test" else np.zeros(count, bool)
            found[split] = surfaces(np.random.default_rng((self.config.data_seed, number)), defective, self.config.size)
        return found
