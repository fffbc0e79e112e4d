"""The tasks `permuted:<task>`: stages that each show the images of a task with their pixels in another order, one stage after another.

The first stage shows the images as they are. In each later one the pixels of all images are in the same order, drawn for the stage. All
stages ask for the same classes, of the same images, so that they are equally hard for a network without convolutions, and what was
learned of an earlier one says little about a later one.

Source: Goodfellow, Mirza, Xiao, Courville and Bengio, *An empirical investigation of catastrophic forgetting in gradient-based neural
networks*, 2013, section 5.2. Departures: none. Letters: B batch, S stages, D pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.generative.view import View, ViewConfig
from dl_nets.learning.data import Accuracy
from rl_core.config import Doc, Meta, Whole, configclass
from rl_core.judge import Judge


@configclass
class PermutedConfig(ViewConfig):
    """The task, and how often its pixels are put in another order."""

    stages: Annotated[int, Meta(ge=2, le=1_000), Doc("S, orders of the pixels, that of the images themselves included")] = 5
    data_seed: Annotated[Whole, Doc("number of the sample of orders; independent of the run's seed")] = 0


class Permuted(View):
    """Images of all stages in their order, and their classes; the score is the accuracy over all stages. See `View` for the arguments.

    Attributes:
        num_stages: S.

    Raises:
        ValueError: if the task does not ask for one class of each example.
    """

    Config: ClassVar[type] = PermutedConfig
    config: PermutedConfig
    metric = "accuracy"

    def __init__(self, config: PermutedConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config, state)
        wanted = self.source.output_space
        if not isinstance(wanted, spaces.Discrete):
            raise ValueError(f"task {config.task} asks for {wanted}; expected one class of each example")
        self.input_space, self.output_space = self.space, spaces.Discrete(int(wanted.n))
        self.class_names, self.num_stages = self.source.class_names, config.stages
        rng, size = np.random.Generator(np.random.PCG64(config.data_seed)), int(np.prod(self.space.shape))
        self._orders = np.stack([np.arange(size), *(rng.permutation(size) for _ in range(config.stages - 1))])

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `stages`."""
        return super().traits() | {"stages"}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has in all stages."""
        return self.num_stages * self.source.num_examples(split)

    def stage_of(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the stage [B] that each example belongs to, from 0; those of a stage follow each other."""
        return indices // self.source.num_examples(split)

    def read(self, split: str, indices: np.ndarray) -> tuple[Any, Any]:
        """Return images [B, ...] with their pixels in the order of their stage, and classes [B]."""
        stage, index = np.divmod(indices, self.source.num_examples(split))
        images = self.numbers(split, index)
        shuffled = np.take_along_axis(images.reshape(len(images), -1), self._orders[stage], axis=1).reshape(images.shape)
        return shuffled, self.classes(split, index)

    def judge(self) -> Judge:
        """Return a new judge of classes."""
        return Accuracy()
