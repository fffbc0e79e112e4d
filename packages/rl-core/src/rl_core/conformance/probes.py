"""Small tasks with each plain kind of space, made here: what a component meets in a catalogue that it has never seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.config import configclass
from rl_core.conformance import inputs
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Task

INPUTS: dict[str, gymnasium.Space[Any]] = {
    "vector-input": spaces.Box(-1.0, 1.0, (5,), np.float32),
    "image-input": spaces.Box(0, 255, (32, 32, 3), np.uint8),
    "discrete-input": spaces.Discrete(7),
}
OUTPUTS: dict[str, gymnasium.Space[Any]] = {
    "discrete-output": spaces.Discrete(4),
    "continuous-output": spaces.Box(-1.0, 1.0, (2,), np.float32),
}
EPISODE_STEPS = 5
EXAMPLES = {"train": 24, "validation": 8, "test": 8}


@configclass
class ProbeConfig:
    """Nothing to set."""


class ProbeEnvs(Envs):
    """Observations at random, a reward of 1 a step, and an end after `EPISODE_STEPS`."""

    def __init__(self, num_envs: int, task: Task, seeds: Seeds) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._rng = seeds.numpy("probe")

    def reset(self) -> np.ndarray:
        """Random observations."""
        self._obs = inputs.samples(self.input_space, self.num_envs, self._rng)
        return self._obs

    def step(self, actions: np.ndarray) -> Transition:
        """Random observations, whatever is done."""
        final_obs = inputs.samples(self.input_space, self.num_envs, self._rng)
        fresh = inputs.samples(self.input_space, self.num_envs, self._rng)
        over = self._length + 1 >= EPISODE_STEPS
        self._obs = np.where(over.reshape(-1, *[1] * (final_obs.ndim - 1)), fresh, final_obs)
        reward = np.ones(self.num_envs, dtype=np.float32)
        self._count(reward, over)
        return Transition(self._obs, reward, over, np.zeros(self.num_envs, dtype=bool), final_obs)

    def state_dict(self) -> dict[str, Any]:
        """Observations and counters; the stream is the run's to keep."""
        return {"obs": self._obs, **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Take both back."""
        self._load_counters(state)
        self._obs = np.array(state["obs"])
        return self._obs


class ControlProbe(ControlTask):
    """Environments with the spaces given."""

    Config: ClassVar[type] = ProbeConfig

    def __init__(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any]) -> None:
        super().__init__(ProbeConfig())
        self.input_space, self.output_space = input_space, output_space

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Environments of random observations."""
        return ProbeEnvs(num_envs, self, seeds)


class DataProbe(DataTask):
    """Random examples with the spaces given; the score is the mean absolute error."""

    Config: ClassVar[type] = ProbeConfig
    metric = "mean absolute error"
    higher_is_better = False

    def __init__(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any]) -> None:
        super().__init__(ProbeConfig())
        self.input_space, self.output_space = input_space, output_space
        rng = np.random.default_rng(0)
        self._splits = {
            name: (inputs.samples(input_space, count, rng), inputs.samples(output_space, count, rng)) for name, count in EXAMPLES.items()
        }
        self.class_names = tuple(map(str, range(int(output_space.n)))) if isinstance(output_space, spaces.Discrete) else ()

    def num_examples(self, split: str) -> int:
        """As many as `EXAMPLES` says."""
        return EXAMPLES[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets at `indices`."""
        given, targets = self._splits[split]
        return given[indices], targets[indices]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Mean absolute error."""
        return {self.metric: float(np.abs(np.asarray(predictions, dtype=np.float64) - targets).mean())}


def pairs() -> Iterator[tuple[str, str]]:
    """Every pair of an input trait and an output trait."""
    for given in INPUTS:
        for wanted in OUTPUTS:
            yield given, wanted


def tasks() -> Iterator[Task]:
    """A control task and a data task for every pair."""
    for given, wanted in pairs():
        for kind in (ControlProbe, DataProbe):
            yield kind(INPUTS[given], OUTPUTS[wanted])
