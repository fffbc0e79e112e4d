"""The tasks `generated:<RUN>`: a task of classes whose rare classes are filled up with what a conditional generator draws.

RUN is a run of the agent `gan` on `generate:<task>` with labels=true. The training split is that task's own, and for each class as many
generated examples as the commonest class has more; validation and test are the task's own. What a classifier gains is its score here less
that on the task itself.

Letters: B batch, N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from dl_nets.generative.conditions import LABEL, NUMBERS
from dl_nets.generative.generate import Generate, GenerateConfig
from rl_core import config as configs
from rl_core.batches import Batch
from rl_core.config import Doc, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import DataTask


@configclass
class GeneratedConfig:
    """The run whose generator is used, and the noise that it draws from."""

    path: Annotated[str, Doc("run of the agent gan on generate:<task> with labels=true")] = ""
    noise_seed: Annotated[Whole, Doc("number of the noise; independent of the run's seed")] = 0


class Generated(DataTask):
    """The examples of another task, with generated ones of the rare classes.

    Args:
        config: The run.
        state: The `state_dict` of the task of a trained agent; `None` opens the run.

    Raises:
        ValueError: if the path does not hold a run, or its task has no labels.
    """

    Config: ClassVar[type] = GeneratedConfig
    config: GeneratedConfig

    def __init__(self, config: GeneratedConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        if state is None:
            self._view = self._generator.task
        else:
            view = configs.with_absolute_paths(configs.build(GenerateConfig, state["config"], where="the run"), lambda _: Path())
            self._view = Generate.from_state(view, state["view"])
        source = self._view.source
        self.source, self.metric, self.class_names = source, source.metric, source.class_names
        self.input_space, self.output_space = source.input_space, source.output_space

    @classmethod
    def from_state(cls, config: GeneratedConfig, state: Mapping[str, Any]) -> Self:
        """Return the task of a run, which opens the generator's run only to learn."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the config and the state of the task that was generated from."""
        return {"config": configs.to_plain(self._view.config), "view": self._view.state_dict()}

    def facts(self) -> dict[str, str]:
        """Return how many examples of each class there are, real and generated."""
        pairs = zip(self.class_names, self._counts, self._lacking, strict=True)
        return {name: f"{real:,} real, {made:,} generated" for name, real, made in pairs}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return self.source.num_examples(split) + (int(self._lacking.sum()) if split == "train" else 0)

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return inputs [B, ...] and classes [B]; generated ones come behind the real ones."""
        real = self.source.num_examples(split)
        if split != "train" or not (indices >= real).any():
            return self.source.read(split, indices)
        made, first = indices >= real, int(self.output_space.start)
        inputs = np.empty((len(indices), *(self.input_space.shape or ())), self.input_space.dtype)
        classes = np.empty(len(indices), np.int64)
        if not made.all():
            inputs[~made], classes[~made] = self.source.read(split, indices[~made])
        inputs[made], classes[made] = self._made[indices[made] - real], self._labels[indices[made] - real] + first
        return inputs, classes

    def judge(self) -> Judge:
        """Return a new judge of the task."""
        return self.source.judge()

    @cached_property
    def _counts(self) -> np.ndarray:
        """Number of real training examples of each class [K]."""
        classes = self._view.classes("train", np.arange(self.source.num_examples("train")))
        assert classes is not None  # the labels that the generator learned from
        return np.bincount(classes, minlength=len(self.class_names))

    @property
    def _lacking(self) -> np.ndarray:
        """Number of generated examples of each class [K]."""
        return self._counts.max() - self._counts

    @property
    def _labels(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.class_names)), self._lacking)

    @cached_property
    def _made(self) -> np.ndarray:
        """Generated inputs [N, ...], in the task's input space."""
        space, labels = self._view.input_space, self._labels
        rng = np.random.default_rng((self.config.noise_seed, len(labels)))
        noise = rng.standard_normal((len(labels), *space[NUMBERS].shape), dtype=np.float32)
        made = np.asarray(self._generator.predict({LABEL: labels, NUMBERS: noise}))
        is_bytes = self.input_space.dtype == np.uint8
        return np.round(made * 255.0).astype(np.uint8) if is_bytes else made.astype(self.input_space.dtype)

    @cached_property
    def _generator(self) -> Any:
        """The agent of the run."""
        import rl_core

        if not (Path(self.config.path) / "recipe.yaml").is_file():
            raise ValueError(f"{self.config.path!r} is not a run; expected one of the agent gan: generated:runs/gan")
        agent = rl_core.load(self.config.path)
        task = agent.task
        if not isinstance(task, Generate) or not isinstance(task.input_space, spaces.Dict):
            raise ValueError(
                f"the run {self.config.path} did not learn to draw examples of a class; run gan on generate:<task> with "
                "--set task.labels=true, as the network conditional-gan does"
            )
        return agent


def write_example(folder: Path) -> None:
    """Write a run of a tiny conditional generator."""
    import rl_core

    shapes = {"size": 8, "num_train": 160, "num_validation": 0, "num_test": 80, "rare": 0.5}
    task = {"labels": True, "noise": 4, "settings": shapes}
    rl_core.learn("conditional-gan", task="generate:plain-shapes", network_config={"width": 2}, task_config=task, budget=96, out=folder)
