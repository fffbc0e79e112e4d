"""Rules of output spaces: the losses of a module's outputs against targets, and the answers that outputs stand for.

Letters: B batch, K classes, H W C image, T tokens, N items of all ragged rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from dl_nets.learning import losses
from rl_core.batches import Batch, Ragged
from rl_core.tokens import padding_of
from rl_core.traits import output_shape, output_trait

LossName = Literal["auto", "cross-entropy", "squared-error", "absolute-error", "huber"]

ROUNDING = 1e-12  # numbers whose deviation is smaller than this share of them are equal but for rounding


class TargetRule(Protocol):
    """The losses and answers of one output space."""

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss [B] of each example; outputs as `rl_core.network` has them, or flat [B, K], targets of the space."""

    def answers(self, outputs: Any) -> Batch:
        """Return the answers [B, ...] in the output space."""


class ClassTargets:
    """Classes: one an example, or one for each pixel of a map, each token, each item of ragged rows. The loss is their mean.

    Tokens that are padding (`rl_core.tokens.Tokens`) have no loss.

    Args:
        space: `Discrete`, `MultiDiscrete` of one number of classes, or `Sequence(Discrete)`.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).

    >>> rule = ClassTargets(spaces.MultiDiscrete(np.full((1, 2), 3)))
    >>> outputs = torch.tensor([[[[5.0, 0.0, 0.0], [0.0, 0.0, 5.0]]]])
    >>> rule.answers(outputs)
    array([[[0, 2]]])
    """

    def __init__(self, space: spaces.Space[Any], label_smoothing: float = 0.0) -> None:
        feature = space.feature_space if isinstance(space, spaces.Sequence) else space
        self._shape = output_shape(feature)
        self._start = torch.as_tensor(np.asarray(feature.start))
        self._padding = padding_of(feature)
        self._loss = partial(losses.cross_entropy, label_smoothing=label_smoothing)

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the mean cross-entropy [B] of each example; 0 for an example without items."""
        if self._padding is not None and not isinstance(targets, Ragged):
            each = self._loss(self._logits(outputs).flatten(0, 1), targets.flatten()).view(targets.shape)
            counted = targets != self._padding
            return (each * counted).sum(1) / counted.sum(1).clamp(min=1)
        if not isinstance(targets, Ragged):
            return self._loss(self._logits(outputs), targets - self._start.to(targets.device))
        each = self._loss(_values(outputs), targets.values - self._start.to(targets.values.device))
        lengths = targets.lengths
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=each.device), lengths)
        return torch.zeros(len(lengths), device=each.device).index_add(0, rows, each) / lengths.clamp(min=1)

    def log_likelihood(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return ln of the probability of each target [B], or of each token [B, T] or pixel [B, H, W].

        >>> rule = ClassTargets(spaces.Discrete(2))
        >>> rule.log_likelihood(torch.tensor([[1.0, 3.0]]).log(), torch.tensor([1])).exp()
        tensor([0.7500])
        """
        log_probabilities = functional.log_softmax(self._logits(outputs), dim=-1)
        classes = (targets - self._start.to(targets.device))[..., None]
        return log_probabilities.gather(-1, classes)[..., 0]

    def answers(self, outputs: Any) -> Batch:
        """Return the likeliest class of each example, pixel, token or item."""
        if isinstance(outputs, Ragged):
            return Ragged(self._likeliest(outputs.values), outputs.splits.cpu().numpy())
        return self._likeliest(self._logits(outputs))

    def _likeliest(self, logits: Tensor) -> np.ndarray:
        return (logits.argmax(-1).cpu() + self._start).numpy()

    def _logits(self, outputs: Tensor) -> Tensor:
        assert self._shape is not None
        return outputs.reshape(len(outputs), *self._shape)


class FlagTargets:
    """Flags that are on or off, each on its own: the loss is their mean binary cross-entropy, and the answer is on above 1/2.

    Args:
        space: `MultiBinary`.
    """

    def __init__(self, space: spaces.MultiBinary) -> None:
        self._shape = tuple(space.shape)

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the mean binary cross-entropy [B] of each example."""
        logits = outputs.reshape(len(outputs), -1)
        return functional.binary_cross_entropy_with_logits(logits, targets.flatten(1).float(), reduction="none").mean(1)

    def answers(self, outputs: Any) -> Batch:
        """Return which flags are on [B, ...]."""
        return (outputs.reshape(-1, *self._shape) > 0).cpu().numpy().astype(np.int8)


class NumberTargets:
    """Numbers: the loss is that of numbers standardised by the training split's mean and deviation, answers are in the task's unit.

    Numbers of an image are standardised by channel. Answers of a bounded space are clipped to its bounds, whole numbers rounded.

    Args:
        space: `Box`.
        loss: Losses [B] of predictions [B, K] and targets [B, K].
        read: All training targets [N, ...], or a fair part of them; called at the first use, so that a model only predicts without data.
        device: Where outputs are.
    """

    def __init__(self, space: spaces.Box, loss: losses.Loss, read: Callable[[], np.ndarray], device: torch.device) -> None:
        self._space, self._loss, self._read, self._device = space, loss, read, device

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the training split's numbers, float64: [*shape], or [C] of images."""
        targets = self._read()
        shape = self._space.shape[-1:] if output_trait(self._space) == "image-output" else self._space.shape
        numbers = targets.reshape(-1, *shape).astype(np.float64)
        scale = np.atleast_1d(numbers.std(axis=0))
        scale[scale <= ROUNDING * np.atleast_1d(np.abs(numbers).max(axis=0))] = 1.0
        mean, scale = numbers.mean(axis=0), scale.reshape(shape)
        return torch.tensor(mean, device=self._device), torch.tensor(scale, device=self._device)

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss [B] of each example, in units of the deviation."""
        mean, scale = self.statistics
        standardised = ((targets.double() - mean) / scale).float()
        return self._loss(outputs.reshape(len(outputs), -1), standardised.reshape(len(outputs), -1))

    def answers(self, outputs: Any) -> Batch:
        """Return predicted numbers [B, ...]."""
        mean, scale = self.statistics
        numbers = (outputs.reshape(-1, *self._space.shape).double() * scale + mean).cpu().numpy()
        if self._space.dtype.kind in "iu":
            numbers = np.rint(numbers)
        return np.clip(numbers, self._space.low, self._space.high).astype(self._space.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return mean and deviation."""
        mean, scale = self.statistics
        return {"target_mean": mean.cpu().numpy(), "target_scale": scale.cpu().numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore mean and deviation."""
        self.statistics = (
            torch.tensor(np.array(state["target_mean"]), device=self._device),
            torch.tensor(np.array(state["target_scale"]), device=self._device),
        )


class OwnRule:
    """The rule of a module that brings its own loss: nothing is asked of it.

    Args:
        loss: The loss that the config names.
        label_smoothing: As the config has it.

    Raises:
        ValueError: if the config asks for a loss, or for smoothed labels.
    """

    def __init__(self, loss: LossName, label_smoothing: float) -> None:
        if loss != "auto" or label_smoothing:
            raise ValueError(
                f"loss is {loss!r} and label_smoothing {label_smoothing}, but the network brings its own loss; set loss=auto and "
                "label_smoothing=0, or take another network"
            )

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Raise: the module computes its loss."""
        raise TypeError("a module that brings its own loss has no outputs to compare")

    def answers(self, outputs: Any) -> Batch:
        """Raise: the module computes its answers."""
        raise TypeError("a module that brings its own loss has no outputs to turn into answers")


def target_rule(
    space: spaces.Space[Any], loss: LossName, label_smoothing: float, read: Callable[[], np.ndarray], device: torch.device
) -> TargetRule:
    """Return the rule of an output space.

    Args:
        space: What the task asks for.
        loss: Name of the loss; "auto" is cross-entropy of classes and flags, squared error of numbers.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        read: All training targets, or a fair part of them; see `NumberTargets`.
        device: Where outputs are.

    Raises:
        ValueError: if the loss does not suit the space, or the space needs a module that brings its own loss.
    """
    trait = output_trait(space)
    has_classes = trait in ("discrete-output", "map-output", "token-output", "ragged-output")
    kind = "classes" if has_classes else "flags" if isinstance(space, spaces.MultiBinary) else "numbers"
    if not has_classes and not isinstance(space, spaces.Box | spaces.MultiBinary):
        raise ValueError(f"the task asks for {space} ({trait}), which needs a network that brings its own loss")
    if loss != "auto" and (loss == "cross-entropy") == (kind == "numbers"):
        fitting = "squared-error, absolute-error or huber" if kind == "numbers" else "cross-entropy"
        raise ValueError(f"loss is {loss!r}, but the task asks for {kind}; use {fitting}, or auto")
    if label_smoothing and not has_classes:
        raise ValueError(f"label_smoothing is {label_smoothing}, but the task asks for {kind}, which have no labels; set it to 0")
    if has_classes:
        return ClassTargets(space, label_smoothing)
    if isinstance(space, spaces.MultiBinary):
        return FlagTargets(space)
    assert isinstance(space, spaces.Box)
    number_losses = {"absolute-error": losses.absolute_error, "huber": losses.huber}
    return NumberTargets(space, number_losses.get(loss, losses.squared_error), read, device)


def _values(outputs: Any) -> Tensor:
    values: Tensor = outputs.values if isinstance(outputs, Ragged) else outputs
    return values
