"""The tasks `ring-of-gaussians` and `grid-of-gaussians`: points of the plane around known modes, to be generated from noise.

Source: Metz, Poole, Pfau and Sohl-Dickstein, *Unrolled generative adversarial networks*, 2017, section 3.1; the quality and the modes are
counted as in Srivastava et al., *VEEGAN*, 2017. A sample is good within 3 deviations of a mode; a mode is found if it has a fifth of its
fair share of all samples as good ones. A perfect sampler has 0.989 good samples, as a normal point of the plane is within 3 deviations with
probability 1 - exp(-9/2). Target: all modes.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from rl_core.batches import Batch
from rl_core.config import Count, Doc, Meta, Positive, Whole, configclass
from rl_core.figure import new_figure
from rl_core.task import DataTask, Predict

SPLITS = ("train", "validation", "test")
GOOD = 3.0  # deviations from a mode, at most
FOUND = 0.2  # of a mode's fair share of the samples, at least


@configclass
class GaussiansConfig:
    """The modes and the points that are drawn."""

    layout: Annotated[Literal["ring", "grid"], Doc("ring: modes on a circle of radius 2; grid: on a square grid of spacing 1")] = "ring"
    modes: Annotated[Count, Doc("K, number of modes; a square number on a grid")] = 8
    deviation: Annotated[Positive, Doc("sigma of each coordinate around its mode")] = 0.05
    noise: Annotated[Count, Doc("Z, normal numbers that a point is generated from")] = 16
    examples: Annotated[int, Meta(ge=10), Doc("points of the training split")] = 10_000
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0

    def __post_init__(self) -> None:
        if self.layout == "grid" and round(self.modes**0.5) ** 2 != self.modes:
            raise ValueError(f"modes is {self.modes}; a grid needs a square number, such as 25")


class Gaussians(DataTask):
    """Noise [Z] as inputs, points [2] as targets; the answers to the test split's noise are judged as a sample."""

    Config: ClassVar[type] = GaussiansConfig
    config: GaussiansConfig
    metric = "modes"

    def __init__(self, config: GaussiansConfig) -> None:
        super().__init__(config)
        self.input_space = spaces.Box(-np.inf, np.inf, (config.noise,), np.float32)
        self.output_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.target = float(config.modes)
        if config.layout == "ring":
            angles = 2.0 * np.pi * np.arange(config.modes) / config.modes
            self.centres = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        else:
            side = round(config.modes**0.5)
            places = np.arange(side) - 0.5 * (side - 1)
            self.centres = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are generated from noise."""
        return super().traits() | {"generation"}

    def num_examples(self, split: str) -> int:
        """Return how many points the split has."""
        return self.config.examples if split == "train" else max(100, self.config.examples // (20 if split == "validation" else 4))

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return noise [B, Z] and points [B, 2]."""
        noise, points = self._drawn[split]
        return noise[indices], points[indices]

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the modes that a sample [N, 2] found, its share of good points, and its divergence from the uniform mode.

        The divergence is KL(p || uniform) in nats, p the shares of the good points that are nearest to each mode; log K without any.
        """
        points = np.asarray(predictions, dtype=np.float64)
        squares = np.square(points[:, None] - self.centres).sum(axis=2)
        nearest, good = squares.argmin(axis=1), squares.min(axis=1) <= (GOOD * self.config.deviation) ** 2
        counts = np.bincount(nearest[good], minlength=len(self.centres))
        shares = counts / max(1, counts.sum())
        kl = float((shares * np.log(np.where(shares > 0, shares, 1.0) * len(shares))).sum()) if counts.sum() else float(np.log(len(shares)))
        found = counts >= FOUND * len(points) / len(shares)
        return {"modes": float(found.sum()), "good samples": float(good.mean()), "divergence of modes": kl}

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw generated points over real ones."""
        noise, points = self.read("test", np.arange(min(2000, self.num_examples("test"))))
        answers, points = np.asarray(predict(noise)), np.asarray(points)
        figure = new_figure(4.8, 4.4)
        axes = figure.add_subplot()
        axes.scatter(points[:, 0], points[:, 1], s=4, color="C7", label="real")
        axes.scatter(answers[:, 0], answers[:, 1], s=4, color="C3", alpha=0.4, label="generated")
        scores = self.score(answers, points)
        title = f"{scores['modes']:.0f} of {len(self.centres)} modes, {scores['good samples']:.2f} good samples"
        axes.set(xlabel="first number", ylabel="second number", title=title)
        axes.legend(loc="center" if self.config.layout == "ring" else "upper right", fontsize=8)
        figure.savefig(folder / "samples.png", dpi=120)

    @cached_property
    def _drawn(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Noise and points of each split."""
        drawn = {}
        for number, split in enumerate(SPLITS):
            rng = np.random.Generator(np.random.PCG64([self.config.data_seed, number]))
            count = self.num_examples(split)
            modes = rng.integers(len(self.centres), size=count)
            points = self.centres[modes] + rng.normal(0.0, self.config.deviation, (count, 2))
            drawn[split] = rng.standard_normal((count, self.config.noise), dtype=np.float32), points.astype(np.float32)
        return drawn
