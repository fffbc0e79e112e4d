"""The tasks `shifted:<task>`: labelled images of a task, unlabelled ones of the same kind on patterned backgrounds, judged on the latter.

The images of the source domain are those of the task as they are. In the target domain a pattern b, a wave of a direction, length, phase
and strength of its own for each image, is combined with the image x as |x - b|, as MNIST-M combines digits with photographs. The training
images are divided: those with even indices are the source, those with odd ones the target, so that no image is seen in both domains.

`learn` says what the training split shows: adapt, images and labels of the source and images of the target; source, only the former;
target, images of the target with their labels, which bounds what adaptation can reach. The validation split is of the domain whose labels
are learned; the test split is always the target's.

Source: Ganin and others, *Domain-adversarial training of neural networks*, 2016, section 5.2.4. Departure: waves in place of photographs,
so that nothing has to be fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.generative.view import View, ViewConfig
from dl_nets.learning.data import Accuracy
from dl_nets.tasks.counted_numbers import uniform
from rl_core import parsing
from rl_core.config import Doc, Fraction, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import Predict

SPLITS = ("train", "validation", "test")
SHOWN = 12  # images of each domain in the figure


@configclass
class ShiftedConfig(ViewConfig):
    """The task, and what of both domains is shown."""

    learn: Annotated[Literal["adapt", "source", "target"], Doc("what the training split shows; see the task's text")] = "adapt"
    strength: Annotated[Fraction, Doc("largest brightness of a pattern; 0 leaves images as they are")] = 0.9
    data_seed: Annotated[Whole, Doc("number of the sample of patterns; independent of the run's seed")] = 0


class Shifted(View):
    """Images of two domains, and the class of each labelled one; the score is the accuracy on the target's test images.

    An input has two parts, `image` and `unlabelled`, where `learn` is adapt; else it is one image. See `View` for the arguments.

    Raises:
        ValueError: if the task does not ask for one class of images in [0, 1].
    """

    Config: ClassVar[type] = ShiftedConfig
    config: ShiftedConfig
    metric = "accuracy"

    def __init__(self, config: ShiftedConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        wanted, unit = self.source.output_space, not self.space.low.any() and bool((self.space.high == 1.0).all())
        if len(self.space.shape) != 3 or not unit or not isinstance(wanted, spaces.Discrete):
            raise ValueError(
                f"task {config.task} has the inputs {self.source.input_space} and asks for {wanted}; expected images and a class"
            )
        self.output_space, self.class_names = spaces.Discrete(int(wanted.n)), self.source.class_names
        self.input_space = spaces.Dict(image=self.space, unlabelled=self.space) if config.learn == "adapt" else self.space

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `unlabelled` where inputs have such a part."""
        return super().traits() | ({"unlabelled"} if self.config.learn == "adapt" else set())

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has: half of the images, of the test split all."""
        count = self.source.num_examples(split)
        return count if split == "test" else count // 2

    def read(self, split: str, indices: np.ndarray) -> tuple[Any, Any]:
        """Return images, or both parts of the inputs [B, H, W, C], and classes [B]."""
        learn = self.config.learn
        if split == "test":
            images, labels = self._target(split, indices), self.classes(split, indices)
            return ({"image": images, "unlabelled": images.copy()} if learn == "adapt" else images), labels
        evens, odds = 2 * indices, 2 * indices + 1
        if learn == "target":
            return self._target(split, odds), self.classes(split, odds)
        images, labels = self.numbers(split, evens), self.classes(split, evens)
        return ({"image": images, "unlabelled": self._target(split, odds)} if learn == "adapt" else images), labels

    def judge(self) -> Judge:
        """Return a new judge of classes."""
        return Accuracy()

    def parse(self, text: str) -> Any:
        """Return a batch of one from an image as JSON."""
        image = parsing.parse(self.space, text)
        return {"image": image, "unlabelled": image} if self.config.learn == "adapt" else image

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write a PNG of images of both domains."""
        from dl_nets.figures.grid import as_picture, grid

        indices = np.arange(min(SHOWN, self.num_examples("test")))
        inputs, classes = self.read("test", indices)
        answers = np.asarray(predict(inputs))
        target = inputs["image"] if isinstance(inputs, dict) else inputs
        names = self.class_names or tuple(map(str, range(int(self.output_space.n))))
        pictures = [as_picture(image) for image in (*self.numbers("test", indices), *target)]
        titles = [f"source, {names[label]}" for label in classes]
        titles += [f"target, {names[label]}\nanswer {names[answer]}" for label, answer in zip(classes, answers, strict=True)]
        grid(folder / "domains.png", pictures, titles, title="test images in both domains", columns=SHOWN // 2, side=1.2)

    def _target(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the images at `indices` [B] in the target domain [B, H, W, C]."""
        images = self.numbers(split, indices)
        drawn = uniform(self.config.data_seed, SPLITS.index(split), indices, 4)
        return np.abs(images - self.config.strength * waves(drawn, images.shape[1], images.shape[2])[..., None]).astype(np.float32)


def waves(drawn: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return patterns [B, H, W] in [0, 1]: s (1 + sin(2 pi (k cos(a) x + k sin(a) y + p))) / 2, x and y in [0, 1] across the image.

    Args:
        drawn: Uniform numbers [B, 4]: direction a in [0, pi), cycles k in [1/2, 5/2), phase p in [0, 1), strength s in [1/2, 1).
        height: H.
        width: W.

    >>> waves(np.array([[0.0, 0.25, 0.0, 0.0]]), 1, 5).round(2).tolist()  # k = 1, s = 1/2
    [[[0.25, 0.5, 0.25, 0.0, 0.25]]]
    """
    angle, cycles, phase, strength = np.pi * drawn[:, 0], 0.5 + 2.0 * drawn[:, 1], drawn[:, 2], 0.5 + 0.5 * drawn[:, 3]
    across, down = np.linspace(0.0, 1.0, width), np.linspace(0.0, 1.0, height)
    turns = (
        (cycles * np.cos(angle))[:, None, None] * across + (cycles * np.sin(angle))[:, None, None] * down[:, None] + phase[:, None, None]
    )
    return strength[:, None, None] * (1.0 + np.sin(2.0 * np.pi * turns)) / 2.0
