"""Answers of several parts, each with a rule and a loss of its own: the loss of an example is the weighted sum of those of the parts.

Source: Caruana, *Multitask learning*, 1997, section 1.

Letters: B batch, K outputs of a part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from dl_nets.learning.losses import LossName, NumberTargets, TargetRule, module_space, target_rule
from rl_core.batches import Batch


class LossConfig(Protocol):
    """The settings that the losses follow from."""

    @property
    def loss(self) -> LossName:
        """Loss of a task that asks for one answer."""

    @property
    def losses(self) -> Mapping[str, LossName]:
        """Loss of each part of the answers."""

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weight of the loss of each part."""

    @property
    def label_smoothing(self) -> float:
        """Share of the target that is spread over all classes."""


class PartTargets:
    """The rule of answers by name; see `TargetRule`.

    Args:
        rules: Rule of each part.
        weights: Weight of the loss of each part, 1 where it is missing.

    >>> from dl_nets.learning.losses import ClassTargets
    >>> rule = PartTargets({"a": ClassTargets(spaces.Discrete(2)), "b": ClassTargets(spaces.Discrete(2))}, {"b": 3.0})
    >>> outputs = {"a": torch.log(torch.tensor([[0.8, 0.2]])), "b": torch.log(torch.tensor([[0.5, 0.5]]))}
    >>> rule.losses(outputs, {"a": torch.tensor([0]), "b": torch.tensor([1])})  # -log 0.8 - 3 log 0.5
    tensor([2.3026])
    """

    def __init__(self, rules: Mapping[str, TargetRule], weights: Mapping[str, float]) -> None:
        self._rules = rules
        self._weights = {name: float(weights.get(name, 1.0)) for name in rules}

    @property
    def names(self) -> list[str]:
        """Names of the parts, in their order."""
        return list(self._rules)

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the weighted sum of the parts' losses [B]."""
        parts = [weight * self._rules[name].losses(outputs[name], targets[name]) for name, weight in self._weights.items() if weight]
        return torch.stack(parts).sum(dim=0)

    def answers(self, outputs: Any) -> Batch:
        """Return the answers [B, ...] of each part."""
        return {name: rule.answers(outputs[name]) for name, rule in self._rules.items()}

    def traced_answers(self, outputs: Any) -> Any:
        """Return the answers [B, ...] of each part by functions of torch alone."""
        return {name: rule.traced_answers(outputs[name]) for name, rule in self._rules.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics of each part that has some."""
        return {"parts": {name: rule.state_dict() for name, rule in self._rules.items() if isinstance(rule, NumberTargets)}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, part in state["parts"].items():
            cast(NumberTargets, self._rules[name]).load_state_dict(part)


def network_space(space: Space[Any], config: LossConfig) -> Space[Any]:
    """Return the output space that a network is built for; see `losses.module_space`."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: module_space(part, config.losses.get(name, "auto")) for name, part in space.spaces.items()})
    return module_space(space, config.loss)


def rule_of(space: Space[Any], config: LossConfig, read: Callable[[str], np.ndarray], device: torch.device) -> TargetRule:
    """Return the rule of an output space, of one answer or of several by name.

    Args:
        space: What the task asks for.
        config: The losses.
        read: From the name of a part, or "" for a task of one answer, to its training targets; see `NumberTargets`.
        device: Where outputs are.

    Raises:
        ValueError: if the losses do not suit the space, or name a part that it does not have.
    """
    if not isinstance(space, spaces.Dict):
        for name in ("losses", "loss_weights"):
            if given := getattr(config, name):
                raise ValueError(f"{name} names {', '.join(given)}, but the task asks for one answer; set loss instead")
        return target_rule(space, config.loss, config.label_smoothing, partial(read, ""), device)
    if config.loss != "auto":
        raise ValueError(f"loss is {config.loss!r}, but the task asks for {', '.join(space.spaces)}; set losses={{name: loss}}")
    for name in ("losses", "loss_weights"):
        if unknown := [part for part in getattr(config, name) if part not in space.spaces]:
            raise ValueError(f"{name} names {unknown[0]!r}; expected some of {', '.join(space.spaces)}")
    rules: dict[str, TargetRule] = {}
    for name, part in space.spaces.items():
        try:
            smoothing = config.label_smoothing if isinstance(part, spaces.Discrete) else 0.0
            rules[name] = target_rule(part, config.losses.get(name, "auto"), smoothing, partial(read, name), device)
        except ValueError as error:
            raise ValueError(f"of the answer {name}: {error}") from error
    weights = {name: config.loss_weights.get(name, 1.0) for name in rules}
    if not any(weights.values()):
        raise ValueError("loss_weights is 0 for all answers; leave at least one above 0")
    return PartTargets(rules, weights)
