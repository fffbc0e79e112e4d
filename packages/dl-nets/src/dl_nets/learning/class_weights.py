"""Weights of examples by their class: all alike, balanced, or as a config gives them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from dl_nets.learning.class_losses import balanced_weights
from dl_nets.learning.data import read_targets
from rl_core.task import DataTask


class ClassWeights:
    """The weight of each example of a task, by its class.

    Args:
        given: "none"; "balanced", an example counts N / (K n); the weight of each class in order; or weights by the names of the
            classes, where a class that is not named has the weight 1.
        task: Asks for one class of each example, unless all count alike.
        device: Where targets are.

    Raises:
        ValueError: if the weights do not suit the classes of the task.
    """

    def __init__(self, given: str | tuple[float, ...] | Mapping[str, float], task: DataTask, device: torch.device) -> None:
        self._given, self._task, self._device = given, task, device
        self._weights: Tensor | None = None
        if given == "none":
            return
        space = task.output_space
        if not isinstance(space, spaces.Discrete):
            raise ValueError(f"class_weights is {given!r}, but the task does not ask for one class of each example; set it to none")
        self._start, count = int(space.start), int(space.n)
        if given != "balanced":
            assert not isinstance(given, str)
            self._weights = torch.tensor(_in_order(given, task.class_names, count), dtype=torch.float32, device=device)

    def of(self, targets: Tensor) -> Tensor | None:
        """Return the weights [B] of examples with these classes [B]; `None` where all count alike."""
        if self._given == "none":
            return None
        if self._weights is None:  # balanced: counted at the first use, so that a model which only predicts needs no examples
            space = self._task.output_space
            assert isinstance(space, spaces.Discrete)
            classes = read_targets(self._task, np.arange(self._task.num_examples("train"))) - self._start
            self._weights = torch.tensor(balanced_weights(classes, int(space.n)), device=self._device)
        return self._weights[targets - self._start]


def _in_order(given: tuple[float, ...] | Mapping[str, float], names: tuple[str, ...], count: int) -> list[float]:
    """Return the weight of each class [K]."""
    if isinstance(given, Mapping):
        known = names or tuple(map(str, range(count)))
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"class_weights names {unknown[0]!r}; expected some of the classes {', '.join(known)}")
        weights = [float(given.get(name, 1.0)) for name in known]
    else:
        weights = [float(weight) for weight in given]
        if len(weights) != count:
            raise ValueError(f"class_weights has {len(weights)} weights, but there are {count} classes; give one for each, in order")
    if min(weights) < 0 or not any(weights):
        raise ValueError(f"class_weights is {list(weights)}; each must be >= 0, and one at least > 0")
    return weights
