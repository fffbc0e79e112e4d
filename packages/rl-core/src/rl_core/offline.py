"""Offline data: transitions of an environment, recorded by some policy, as a data task."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.batches import Batch
from rl_core.config import Doc, Meta, configclass
from rl_core.recording import PARTS as PARTS
from rl_core.recording import Recording
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, DataTask, Predict


class TransitionTask(DataTask):
    """Transitions to learn a policy from, which the environment then judges; its kind is "offline".

    An example is a dict of the parts `obs`, `action`, `reward` (float32), `terminated`, `truncated` (bool) and `final_obs`, and of the
    extras that the task declares; see `rl_core.envs.Transition`. Its target is the action. The transitions of an episode have
    neighbouring indices. An agent is asked about observations: `input_space` is that of `obs`, `output_space` that of actions.

    Attributes:
        extras: Names of further parts: "cost", "legal", "goal", and "probability", with which each action was taken.
    """

    kind: ClassVar[str] = "offline"
    metric = "mean return"
    extras: tuple[str, ...] = ()

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and the names of the extras."""
        return super().traits() | frozenset(self.extras)

    @property
    def example_space(self) -> gymnasium.Space[Any]:
        """The space of a transition, without its extras."""
        flag = spaces.Box(0, 1, (), np.bool_)
        return spaces.Dict(
            {
                "obs": self.input_space,
                "action": self.output_space,
                "reward": spaces.Box(-np.inf, np.inf, (), np.float32),
                "terminated": flag,
                "truncated": flag,
                "final_obs": self.input_space,
            }
        )

    @abstractmethod
    def control(self) -> ControlTask:
        """Return the environment that judges the policy."""

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of the policy in the environment."""
        return self.control().evaluate(predict, episodes=episodes, seeds=seeds)


@configclass
class RecordedConfig:
    """Settings of the split of a recording by episodes."""

    validation_fraction: Annotated[float, Meta(ge=0, lt=0.5), Doc("share of the episodes that settings are chosen by")] = 0.05
    test_fraction: Annotated[float, Meta(gt=0, lt=0.5), Doc("share of the episodes that are held back")] = 0.05


class RecordedTask(TransitionTask):
    """Transitions of a recording; its first episodes are the training split, its last ones the test split.

    A subclass sets the spaces, and loads the recording when it is first read.
    """

    Config: ClassVar[type] = RecordedConfig
    config: RecordedConfig

    @abstractmethod
    def load(self) -> Recording:
        """Return the recording.

        Raises:
            ValueError: if it cannot be read, or does not fit the spaces.
        """

    @cached_property
    def recording(self) -> Recording:
        """The recording, loaded once."""
        return self.load()

    @cached_property
    def _bounds(self) -> dict[str, tuple[int, int]]:
        """First and last transition of each split; a recording of fewer than three episodes is split within them."""
        starts, count = self.recording.starts, len(self.recording.arrays["reward"])
        if len(starts) < 3:
            starts = np.arange(count)
        if len(starts) < 3:
            raise ValueError(f"the recording has {count} transitions; expected three at least, to learn from and to hold back")
        num_test = max(1, int(len(starts) * self.config.test_fraction))
        num_validation = min(int(len(starts) * self.config.validation_fraction), len(starts) - num_test - 1)
        first_test = int(starts[-num_test])
        first_validation = int(starts[-num_test - num_validation]) if num_validation else first_test
        return {"train": (0, first_validation), "validation": (first_validation, first_test), "test": (first_test, count)}

    def num_examples(self, split: str) -> int:
        """Return how many transitions the split has."""
        first, last = self._bounds[split]
        return last - first

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return transitions and their actions at `indices` [B]."""
        rows = np.asarray(indices) + self._bounds[split][0]
        arrays = self.recording.arrays
        chosen: dict[str, Any] = {name: arrays[name][rows] for name in (*PARTS, *self.extras)}
        return chosen, chosen["action"]

    def facts(self) -> dict[str, str]:
        """Return counts, and the returns of the recorded policy."""
        returns = self.recording.returns()
        return {
            "transitions": f"{len(self.recording.arrays['reward']):,} in {len(returns):,} episodes",
            "mean return of the data": f"{returns.mean():.1f} (from {returns.min():.1f} to {returns.max():.1f})",
            **{name.replace("_", " "): str(value) for name, value in self.recording.facts.items() if value not in ("", None, {})},
        }
