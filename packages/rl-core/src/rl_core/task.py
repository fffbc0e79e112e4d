"""The task: a problem with a score. It says in spaces what goes in and what must come out, and it judges the answers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from rl_core.envs import Envs

if TYPE_CHECKING:
    import gymnasium

    from rl_core.seeds import Seeds

Predict = Callable[[np.ndarray], np.ndarray]
"""Inputs [B, ...] to answers [B, ...] in the task's output space.

One that carries a state from step to step has a method `begin(starts)` besides. A control task asks of the same environment in the
same row throughout, and calls `begin` with the rows whose episode starts [B], before the first question and after every step.
"""


class Task(ABC):
    """What every kind of task has in common.

    Args:
        config: An instance of `Config`, a frozen dataclass.

    Attributes:
        kind: "control", "mdp", "data" or "corpus"; the first of the task's traits.
        input_space: What goes in: an observation, an example.
        output_space: What must come out: an action, a label, a value.
        metric: Name of the number that the task is judged by.
        target: The published or derived number that counts as solved; `None` where there is none.
        higher_is_better: The direction of the metric.
        class_names: Names of the classes of a `Discrete` output space, in order; empty where they have none.
        file_suffixes: Suffixes of the files that `parse_file` reads.
    """

    Config: ClassVar[type]
    kind: ClassVar[str]
    file_suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)
    input_space: gymnasium.Space
    output_space: gymnasium.Space
    metric: str
    target: float | None = None
    higher_is_better: bool = True
    class_names: tuple[str, ...] = ()

    def __init__(self, config: Any) -> None:
        self.config = config

    def state_dict(self) -> dict[str, Any]:
        """Return what the task took from its data when it was built, for the run's checkpoints; empty where it took nothing.

        Encodings, class names, splits and a digest of the file: whatever an answer depends on. The kinds of values are those of
        `Agent.state_dict`. A run with such a state predicts and evaluates without the data, and after the data changed.
        """
        return {}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task as it was when `state_dict` returned `state`; the data is read when it is asked for, and need not exist.

        Raises:
            ValueError: if `state` was not written by such a task.
        """
        return cls(config)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other data, named by `config`, that judges an agent trained on a task of this class with this `state`.

        The encoding and the classes are those of `state`, and all of the data is the test split.

        Raises:
            ValueError: if the data does not fit the state.
        """
        return cls(config)

    def data_change(self) -> str:
        """Return a sentence that says how the data differs from that of the state the task was built from, or ""."""
        return ""

    def accept_data(self) -> None:
        """Go on with the data as it is now, in the encoding of the state, and let `state_dict` describe this data from now on."""

    def traits(self) -> frozenset[str]:
        """What this task offers, in the words of `rl_core.api`; a subclass adds its own to these."""
        return frozenset({self.kind, _input_trait(self.input_space), _output_trait(self.output_space)})

    @abstractmethod
    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Scores of `predict`, `metric` among them; `episodes` matters to control tasks alone.

        The same seeds give the same evaluation, which never moves the training's streams.
        """

    def parse(self, text: str) -> np.ndarray:
        """A batch of one input [1, ...] from what a user typed: JSON in the shape of the input space.

        Raises:
            ValueError: if the text is not JSON, or does not have the shape and the kind of numbers of the input space.
        """
        space, shape = self.input_space, self.input_space.shape or ()
        try:
            value = np.asarray(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the input {text[:60]!r} is no JSON array of numbers; this task takes {space}") from error
        kinds = "biuf" if np.dtype(space.dtype).kind == "f" else "biu"
        if value.dtype.kind not in kinds:
            raise ValueError(f"the input {text[:60]!r} is not made of {space.dtype} numbers; this task takes {space}")
        if value.shape != shape:
            raise ValueError(f"the input has shape {list(value.shape)}; this task takes {list(shape)} ({space})")
        typed = value.astype(space.dtype)
        known = np.isfinite(typed).all() if typed.dtype.kind == "f" else (typed == value).all()
        if not known or not (isinstance(space, spaces.Box) or space.contains(typed)):
            raise ValueError(f"the input {text[:60]!r} is outside of what this task takes: {space}")
        return typed[None]

    def parse_file(self, path: Path) -> np.ndarray:
        """Return a batch of inputs [B, ...] from a file with one of `file_suffixes`: one input a line, each as `parse` reads it.

        Raises:
            ValueError: naming the file and the line that cannot be read.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        inputs = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    inputs.append(self.parse(line))
                except ValueError as error:
                    raise ValueError(f"line {number} of {path}: {error}") from error
        if not inputs:
            raise ValueError(f"{path} has no inputs; expected one JSON value a line")
        return np.concatenate(inputs)

    def describe(self, predictions: np.ndarray) -> list[Any]:
        """Return predictions [B, ...] as values that JSON holds: names where the classes have some."""
        if self.class_names and isinstance(self.output_space, spaces.Discrete):
            return [self.class_names[int(number) - int(self.output_space.start)] for number in predictions]
        described: list[Any] = predictions.tolist()
        return described

    def caveat(self) -> str:
        """A sentence that the run says at its start: a promise this task cannot keep (an environment that cannot be replayed)."""
        return ""

    def reached(self, score: float) -> bool | None:
        """Whether the score meets the target; `None` without a target."""
        if self.target is None:
            return None
        return score >= self.target if self.higher_is_better else score <= self.target


class ControlTask(Task):
    """A Gymnasium environment, or several in step: the score is the mean return of fresh episodes."""

    kind: ClassVar[str] = "control"
    metric = "mean return"

    @abstractmethod
    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Environments stepped together, whose every random number comes from `seeds`."""

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Mean, spread and length of `episodes` whole episodes, each environment contributing as many as any other, or one more.

        The quota is fixed beforehand: taking whichever episodes end first would favour short ones.
        """
        num_envs = min(episodes, 100)
        envs = self.envs(num_envs, seeds.apart("evaluation"))
        quota = np.full(num_envs, episodes // num_envs)
        quota[: episodes % num_envs] += 1
        obs = envs.reset()
        begin = getattr(predict, "begin", _forget_nothing)
        begin(np.ones(num_envs, dtype=np.bool_))
        returns, lengths = [], []
        while quota.any():
            transition = envs.step(predict(obs))
            obs = transition.obs
            begin(transition.terminated | transition.truncated)
            for env, return_, length in envs.pop_episodes():
                if quota[env] > 0:
                    quota[env] -= 1
                    returns.append(return_)
                    lengths.append(length)
        envs.close()
        return {
            "mean return": float(np.mean(returns)),
            "standard deviation": float(np.std(returns)),
            "mean length": float(np.mean(lengths)),
            "episodes": float(episodes),
        }


class DataTask(Task):
    """Examples with answers, in splits "train", "validation" and "test", read by index arrays."""

    kind: ClassVar[str] = "data"

    @abstractmethod
    def num_examples(self, split: str) -> int:
        """How many examples the split has."""

    @abstractmethod
    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs [B, ...] and targets [B, ...] of the examples at `indices` [B]."""

    @abstractmethod
    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Metrics of predictions [B, ...] against targets [B, ...], `metric` among them."""

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Metrics on the test split."""
        return self.evaluate_split(predict, "test")

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Metrics on a split, read in batches."""
        count = self.num_examples(split)
        predictions, targets = [], []
        for start in range(0, count, batch_size):
            inputs, target = self.read(split, np.arange(start, min(start + batch_size, count)))
            predictions.append(predict(inputs))
            targets.append(target)
        return self.score(np.concatenate(predictions), np.concatenate(targets))


def _forget_nothing(starts: np.ndarray) -> None:
    """What `begin` is to a predictor without a state."""


def _input_trait(space: gymnasium.Space) -> str:
    if isinstance(space, spaces.Discrete):
        return "discrete-input"
    if isinstance(space, spaces.Box):
        return {1: "vector-input", 3: "image-input"}.get(len(space.shape), "array-input")
    if isinstance(space, spaces.MultiDiscrete):
        return "token-input"
    if isinstance(space, spaces.Text):
        return "text-input"
    return f"{type(space).__name__.lower()}-input"


def _output_trait(space: gymnasium.Space) -> str:
    if isinstance(space, spaces.Discrete):
        return "discrete-output"
    if isinstance(space, spaces.Box):
        return "continuous-output"
    if isinstance(space, spaces.MultiBinary):
        return "binary-output"
    return f"{type(space).__name__.lower()}-output"
