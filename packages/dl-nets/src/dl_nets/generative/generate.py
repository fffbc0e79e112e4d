"""The tasks `generate:<task>`: the inputs of another task, to be drawn from noise, and judged as a sample.

An example is noise with an input of the other task beside it. The two have nothing to do with each other: the answers to the noise of the
test split are compared, all together, with the test inputs, in features that were learned from the task's labels (`features`). Mean
confidence of a classifier alone says nothing: uniform noise gets 0.998 on MNIST.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.generative import pictures
from dl_nets.generative.conditions import LABEL, NUMBERS, with_label
from dl_nets.generative.distances import frechet, mean_kernel_distance, precision_and_recall
from dl_nets.generative.view import View, ViewConfig
from rl_core.batches import Batch
from rl_core.config import Doc, Whole, configclass
from rl_core.task import Predict

SPLITS = ("train", "validation", "test")
MOST = 400  # examples that are drawn for one text
ZOOM = 4  # pixels of a file for each of an image


@configclass
class GenerateConfig(ViewConfig):
    """The task whose inputs are to be drawn, and the noise that they are drawn from."""

    noise: Annotated[Whole, Doc("Z, normal numbers that an example is drawn from; 0: as many as it has, in its shape")] = 64
    labels: Annotated[bool, Doc("whether the class of an example is given with the noise")] = False
    validation: Annotated[bool, Doc("whether there is a validation split, for which a learner draws examples after each epoch")] = True
    most_tested: Annotated[Whole, Doc("examples that are drawn for the score at most; 0: as many as the test split has")] = 0
    noise_seed: Annotated[Whole, Doc("number of the noise beside the examples; independent of the run's seed")] = 0


class Generate(View):
    """Noise [Z] as inputs, the inputs of another task as targets; judged by the distance of both samples' features. See `View`."""

    Config: ClassVar[type] = GenerateConfig
    config: GenerateConfig
    metric = "Frechet distance"
    higher_is_better = False

    def __init__(self, config: GenerateConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        self._shape, self._seed, self._labels = (config.noise,) if config.noise else self.space.shape, config.noise_seed, config.labels
        shown = self.source.output_space
        if config.labels and not isinstance(shown, spaces.Discrete):
            raise ValueError(f"labels is true, and task {config.task} asks for {shown}, not for one class; set labels=false")
        self.class_names = self.source.class_names if config.labels else ()
        noise = spaces.Box(-np.inf, np.inf, self._shape, np.float32)
        self.input_space = with_label(noise, int(shown.n) if config.labels and isinstance(shown, spaces.Discrete) else 0)
        self.output_space = self.space
        self._noise: dict[str, np.ndarray] = {}

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are generated from noise."""
        return super().traits() | {"generation"}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        if split == "validation" and not self.config.validation:
            return 0
        count = super().num_examples(split)
        return min(count, self.config.most_tested or count) if split == "test" else count

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return noise [B, Z], with the label [B] of each example where labels are given, and inputs of the other task [B, ...]."""
        if split not in self._noise:
            self._noise[split] = self._drawn(self.num_examples(split), SPLITS.index(split))
        noise = self._noise[split][indices]
        return self._inputs(noise, self.classes(split, indices) if self._labels else None), self.numbers(split, indices)

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split; with labels also `class accuracy`, the share of answers that the classifier gives their label."""
        scores = super().evaluate_split(predict, split, batch_size)
        if not self._labels:
            return scores
        rows = np.arange(self.num_examples(split))
        parts = np.array_split(rows, -(-len(rows) // batch_size))
        answers = np.concatenate([np.asarray(predict(self.read(split, part)[0])) for part in parts])
        probabilities, labels = self.extractor(answers)[1], self.classes(split, rows)
        if probabilities is None or labels is None:
            return scores
        return scores | {"class accuracy": float((probabilities.argmax(axis=1) == labels).mean())}

    def parse(self, text: str) -> Any:
        """Return noise for as many examples as a text says, such as `16`, of a class with its name behind, `16 circle`; or JSON.

        Without a name labels take turns. The same text gives the same noise.

        Raises:
            ValueError: if the text is neither.
        """
        count, _, name = text.strip().partition(" ")
        if not count.isdigit():
            return super().parse(text)
        if not 1 <= int(count) <= MOST:
            raise ValueError(f"{count} examples were asked for; expected 1 to {MOST}")
        labels = np.arange(int(count)) % max(1, len(self.class_names))
        if name:
            if name not in self.class_names:
                known = ", ".join(self.class_names) or "none: the task has labels=false"
                raise ValueError(f"class {name!r} is not known; expected one of {known}")
            labels[:] = self.class_names.index(name)
        return self._inputs(self._drawn(int(count), len(SPLITS)), labels if self._labels else None)

    def answer_text(self, text: str, predict: Predict, folder: Path) -> Any:
        """Return the path of a sheet of the images that a text asks for, written into `folder`; other answers as they are."""
        inputs = self.parse(text)
        answers = np.asarray(predict(inputs))
        if len(self.space.shape) != 3:
            return self.describe(answers)
        from PIL import Image

        columns = math.ceil(math.sqrt(len(answers)))
        sheet = np.clip(pictures.sheet(answers, columns)[:-1, :-1], 0.0, 1.0)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{'-'.join(text.split())[:40] if text.strip()[:1].isdigit() else 'sample'}.png"
        shown = np.round(sheet * 255.0).astype(np.uint8).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
        Image.fromarray(shown[..., 0] if shown.shape[2] != 3 else shown).save(path)
        return str(path)

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
        rows = np.arange(min(64, self.num_examples("test")))
        noise = self._drawn(len(rows), SPLITS.index("test"))
        labels = rows % len(self.class_names) if self._labels else None
        drawn = np.asarray(predict(self._inputs(noise, labels)))
        pictures.grids(folder / "samples.png", [pictures.sheet(drawn, 8)], [""], title="images generated from noise")
        angles = np.linspace(0.0, 0.5 * np.pi, 10)[:, None]  # a straight way would leave the shell that normal noise is in
        angles = angles.reshape(-1, *[1] * len(self._shape))
        first = np.zeros(10, np.int64) if self._labels else None
        between = [(np.cos(angles) * a + np.sin(angles) * b).astype(np.float32) for a, b in (noise[:2], noise[2:4])]
        ways = [np.asarray(predict(self._inputs(way, first))) for way in between]
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

    def _drawn(self, count: int, stream: int) -> np.ndarray:
        rng = np.random.Generator(np.random.PCG64([self._seed, stream]))
        return rng.standard_normal((count, *self._shape), dtype=np.float32)

    def _inputs(self, noise: np.ndarray, labels: np.ndarray | None) -> Any:
        return noise if labels is None else {LABEL: labels, NUMBERS: noise}

    def _some_real(self, count: int) -> np.ndarray:
        """Return features of as many training inputs, evenly spread over the split."""
        size = self.num_examples("train")
        features, _ = self.extractor(self.numbers("train", np.linspace(0, size - 1, min(count, size)).astype(np.int64)))
        return np.asarray(features)
