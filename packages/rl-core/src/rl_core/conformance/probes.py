"""Small tasks with each kind of space, made here, as a component may find them in a catalogue that its author does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.config import configclass
from rl_core.conformance import inputs
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Task

STRUCTURED: tuple[tuple[gymnasium.Space[Any], gymnasium.Space[Any]], ...] = (
    (spaces.Box(0, 255, (32, 32, 3), np.uint8), spaces.MultiDiscrete(np.full((32, 32), 4))),
    (spaces.Box(0, 255, (32, 32, 3), np.uint8), spaces.Box(0.0, 1.0, (32, 32, 1), np.float32)),
    (spaces.MultiDiscrete(np.full(6, 9)), spaces.MultiDiscrete(np.full(6, 5))),
    (spaces.Box(-1.0, 1.0, (5,), np.float32), spaces.MultiBinary(3)),
    (spaces.Dict(numbers=spaces.Box(-1.0, 1.0, (5,), np.float32), kind=spaces.Discrete(3)), spaces.Discrete(4)),
    (spaces.Sequence(spaces.Discrete(9)), spaces.Discrete(4)),
    (spaces.Sequence(spaces.Discrete(9)), spaces.Sequence(spaces.Discrete(4))),
)
"""Pairs of input and output spaces of data tasks with structure: maps, images, tokens, flags, parts and ragged rows."""

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
    """An empty config."""


class ProbeEnvs(Envs):
    """Environments of random observations with a reward of 1 a step, whose episodes end after `EPISODE_STEPS`."""

    def __init__(self, num_envs: int, task: Task, seeds: Seeds) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._rng = seeds.numpy("probe")

    def reset(self) -> np.ndarray:
        """Return random observations."""
        self._obs = inputs.samples(self.input_space, self.num_envs, self._rng)
        return self._obs

    def step(self, actions: np.ndarray) -> Transition:
        """Return random observations, whatever the actions."""
        final_obs = inputs.samples(self.input_space, self.num_envs, self._rng)
        fresh = inputs.samples(self.input_space, self.num_envs, self._rng)
        over = self._length + 1 >= EPISODE_STEPS
        self._obs = np.where(over.reshape(-1, *[1] * (final_obs.ndim - 1)), fresh, final_obs)
        reward = np.ones(self.num_envs, dtype=np.float32)
        self._count(reward, over)
        return Transition(self._obs, reward, over, np.zeros(self.num_envs, dtype=bool), final_obs)

    def state_dict(self) -> dict[str, Any]:
        """Return observations and counters; the run keeps the stream."""
        return {"obs": self._obs, **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore both."""
        self._load_counters(state)
        self._obs = np.array(state["obs"])
        return self._obs


class ControlProbe(ControlTask):
    """A control task with the spaces given."""

    Config: ClassVar[type] = ProbeConfig

    def __init__(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any]) -> None:
        super().__init__(ProbeConfig())
        self.input_space, self.output_space = input_space, output_space

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments of random observations."""
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
        """Return the number that `EXAMPLES` has."""
        return EXAMPLES[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return inputs and targets at `indices`."""
        given, targets = self._splits[split]
        return batches.take(given, indices), batches.take(targets, indices)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the mean absolute error."""
        answers, wanted = (batch.values if isinstance(batch, Ragged) else batch for batch in (predictions, targets))
        return {self.metric: float(np.abs(np.asarray(answers, dtype=np.float64) - wanted).mean())}


def pairs() -> Iterator[tuple[str, str]]:
    """Yield every pair of a plain input trait and a plain output trait."""
    for given in INPUTS:
        for wanted in OUTPUTS:
            yield given, wanted


def tasks() -> Iterator[Task]:
    """Yield a control task and a data task for every plain pair, and a data task for every pair with structure."""
    for given, wanted in pairs():
        for kind in (ControlProbe, DataProbe):
            yield kind(INPUTS[given], OUTPUTS[wanted])
    for pair in STRUCTURED:
        yield DataProbe(*pair)
