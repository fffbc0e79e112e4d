"""Sound tasks with structure: boxes, recorded transitions, a family of tasks. Each variant has one fault."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from faulty.drift import Drift, DriftConfig
from rl_core import batches
from rl_core.batches import Ragged
from rl_core.config import configclass
from rl_core.family import Split, TaskFamily
from rl_core.offline import TransitionTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask

NUM_EXAMPLES = 20  # of each split
UNIT = spaces.Box(0.0, 1.0, (4,), np.float32)


@configclass
class EmptyConfig:
    """An empty config."""


class Boxes(DataTask):
    """Where are the boxes? The inputs have two parts, the targets a number of boxes that differs from one example to the next."""

    Config = EmptyConfig
    metric = "share of right counts"
    input_space = spaces.Dict(image=spaces.Box(0, 255, (4, 4, 1), np.uint8), words=spaces.Sequence(spaces.Discrete(9)))
    output_space = spaces.Sequence(spaces.Dict(box=UNIT, label=spaces.Discrete(2)))

    def __init__(self, config: EmptyConfig) -> None:
        super().__init__(config)
        rng = np.random.default_rng(0)
        lengths = rng.integers(0, 4, 3 * NUM_EXAMPLES)
        self.images = rng.integers(0, 256, (3 * NUM_EXAMPLES, 4, 4, 1), dtype=np.uint8)
        self.words = Ragged.of([rng.integers(0, 9, length) for length in lengths], np.zeros(0, np.int64))
        self.boxes = Ragged.of([rng.random((length, 4), np.float32) for length in lengths], np.zeros((0, 4), np.float32))
        self.labels = Ragged.of([rng.integers(0, 2, length) for length in lengths], np.zeros(0, np.int64))

    def num_examples(self, split: str) -> int:
        return NUM_EXAMPLES

    def read(self, split: str, indices: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
        chosen = indices + NUM_EXAMPLES * ("train", "validation", "test").index(split)
        return {"image": self.images[chosen], "words": self.words[chosen]}, {"box": self.boxes[chosen], "label": self.labels[chosen]}

    def judge(self) -> CountsRight:
        return CountsRight()


class CountsRight:
    """The share of examples with the right number of boxes."""

    def __init__(self) -> None:
        self.right = self.all = 0

    def add(self, predictions: Any, targets: Any) -> None:
        self.right += int((predictions["box"].lengths == targets["box"].lengths).sum())
        self.all += batches.count(targets)

    def result(self) -> dict[str, float]:
        return {"share of right counts": self.right / self.all}


class LosesALabel(Boxes):
    def read(self, split: str, indices: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
        inputs, targets = super().read(split, indices)
        return inputs, {**targets, "label": Ragged.of([row[1:] for row in targets["label"]], np.zeros(0, np.int64))}


class LoggedDrift(TransitionTask):
    """Transitions of the drifting point under a random policy."""

    Config = EmptyConfig
    input_space, output_space = Drift.input_space, Drift.output_space

    def __init__(self, config: EmptyConfig) -> None:
        super().__init__(config)
        envs, rng = self.control().envs(3, Seeds(0, ("logged",))), np.random.default_rng(0)
        obs, steps = envs.reset(), []
        for _ in range(NUM_EXAMPLES):
            action = rng.integers(0, 2, 3)
            transition = envs.step(action)
            steps.append({"obs": obs, "action": action, **transition._asdict()} | {"obs": obs})
            obs = transition.obs
        names = ("obs", "action", "reward", "terminated", "truncated", "final_obs")
        self.parts = {name: np.concatenate([step[name] for step in steps]) for name in names}

    def control(self) -> ControlTask:
        return Drift(DriftConfig())

    def num_examples(self, split: str) -> int:
        return NUM_EXAMPLES

    def read(self, split: str, indices: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        chosen = indices + NUM_EXAMPLES * ("train", "validation", "test").index(split)
        parts = {name: array[chosen] for name, array in self.parts.items()}
        return parts, parts["action"]


class WidensItsRewards(LoggedDrift):
    def read(self, split: str, indices: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        parts, actions = super().read(split, indices)
        return {**parts, "reward": parts["reward"].astype(np.float64)}, actions


class Drifts(TaskFamily):
    """Points that differ in how far a push moves them: below 0.5 for training, above for tests."""

    Config = EmptyConfig
    input_space, output_space = Drift.input_space, Drift.output_space

    def draw(self, seeds: Seeds, split: Split) -> ControlTask:
        low = 0.1 if split == "train" else 0.5
        return Drift(DriftConfig(push=float(self.rng(seeds).uniform(low, low + 0.4))))

    def rng(self, seeds: Seeds) -> np.random.Generator:
        return seeds.numpy("push")


class DrawsUnseeded(Drifts):
    def rng(self, seeds: Seeds) -> np.random.Generator:
        return np.random.default_rng()


class TestsItsTraining(Drifts):
    def draw(self, seeds: Seeds, split: Split) -> ControlTask:
        return super().draw(seeds, "train")
