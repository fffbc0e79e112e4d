"""The tasks `generate:<task>`: the inputs of another task, to be drawn from noise, and judged as a sample.

An example is noise with an input of the other task beside it. The two have nothing to do with each other: the answers to the noise of the
test split are compared, all together, with the test inputs, in features that were learned from the task's labels (`features`). Mean
confidence of a classifier alone says nothing: uniform noise gets 0.998 on MNIST.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.generative import pictures
from dl_nets.generative.distances import frechet, mean_kernel_distance, precision_and_recall
from dl_nets.generative.view import View, ViewConfig
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.task import Predict

SPLITS = ("train", "validation", "test")


@configclass
class GenerateConfig(ViewConfig):
    """The task whose inputs are to be drawn, and the noise that they are drawn from."""

    noise: Annotated[Count, Doc("Z, normal numbers that an example is drawn from")] = 64
    noise_seed: Annotated[Whole, Doc("number of the noise beside the examples; independent of the run's seed")] = 0


class Generate(View):
    """Noise [Z] as inputs, the inputs of another task as targets; judged by the distance of both samples' features. See `View`."""

    Config: ClassVar[type] = GenerateConfig
    metric = "Frechet distance"
    higher_is_better = False

    def __init__(self, config: GenerateConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        self._size, self._seed = config.noise, config.noise_seed
        self.input_space = spaces.Box(-np.inf, np.inf, (config.noise,), np.float32)
        self.output_space = self.space
        self._noise: dict[str, np.ndarray] = {}

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are generated from noise."""
        return super().traits() | {"generation"}

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return noise [B, Z] and inputs of the other task [B, ...]."""
        if split not in self._noise:
            rng = np.random.Generator(np.random.PCG64([self._seed, SPLITS.index(split)]))
            self._noise[split] = rng.standard_normal((self.num_examples(split), self._size), dtype=np.float32)
        return self._noise[split][indices], self.numbers(split, indices)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the distances of a sample [N, ...] from real examples [N, ...], and how its classes are shared out.

        `floor` is the Frechet distance of as many training inputs.
        """
        (real, _), (fake, probabilities) = self.extractor(np.asarray(targets)), self.extractor(np.asarray(predictions))
        precision, recall = precision_and_recall(real, fake)
        scores = {
            "Frechet distance": max(0.0, frechet(real, fake)),
            "floor": frechet(real, self._some_real(len(real))),
            "kernel distance": mean_kernel_distance(real, fake),
            "precision": precision,
            "recall": recall,
        }
        if probabilities is not None:
            shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(fake)
            scores |= {"least class share": float(shares.min()), "largest class share": float(shares.max())}
            scores["mean confidence"] = float(probabilities.max(axis=1).mean())
        return scores

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw a sheet of generated images, way-points between two of them, and the nearest training image of each of some."""
        if len(self.space.shape) != 3:
            return
        noise = np.asarray(self.read("test", np.arange(min(64, self.num_examples("test"))))[0])
        drawn = np.asarray(predict(noise))
        pictures.grids(folder / "samples.png", [pictures.sheet(drawn, 8)], [""], title="images generated from noise")
        angles = np.linspace(0.0, 0.5 * np.pi, 10)[:, None]  # a straight way would leave the shell that normal noise is in
        ways = [np.asarray(predict((np.cos(angles) * a + np.sin(angles) * b).astype(np.float32))) for a, b in (noise[:2], noise[2:4])]
        pictures.rows(folder / "between.png", {"from A to B": ways[0], "from C to D": ways[1]}, title="images between two of them")
        rows = np.arange(min(10_000, self.num_examples("train")))
        train = self.numbers("train", rows).reshape(len(rows), -1)
        some = drawn[:10].reshape(10, -1)
        nearest = (np.square(train).sum(1) - 2.0 * some @ train.T).argmin(axis=1)
        pairs = {"generated": drawn[:10], "nearest": train[nearest].reshape(drawn[:10].shape)}
        pictures.rows(folder / "nearest.png", pairs, title=f"the nearest of {len(rows):,} training images")

    @cached_property
    def extractor(self) -> Any:
        """The features that samples are compared by; learned at the first use."""
        from dl_nets.generative.features import extractor

        return extractor(self)

    def _some_real(self, count: int) -> np.ndarray:
        """Return features of as many training inputs, evenly spread over the split."""
        size = self.num_examples("train")
        features, _ = self.extractor(self.numbers("train", np.linspace(0, size - 1, min(count, size)).astype(np.int64)))
        return np.asarray(features)
