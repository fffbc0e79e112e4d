"""Losses by name: what the outputs of a module cost against targets, and the answers that they give, for each kind of output space.

The names that a kind takes:

- classes: cross-entropy, hinge, focal, squared-error (Brier's score), kl-divergence; of two classes also binary-cross-entropy, for
  which the network has one unit;
- flags (several labels at once): binary-cross-entropy, hinge, focal, squared-error;
- numbers: squared-error, absolute-error, huber, log-cosh, of standardised numbers; absolute-percentage-error,
  squared-logarithmic-error and cosine, in the task's unit; poisson, of counts; kl-divergence, of probabilities; binary-cross-entropy, of
  numbers in [0, 1].

Letters: B batch, K classes, H W C image, T tokens, N items of all ragged rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property, partial
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.learning import class_losses, number_losses
from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.network import OwnLoss
from rl_core.tokens import padding_of
from rl_core.traits import output_shape, output_trait

LossName = Literal[
    "auto", "cross-entropy", "binary-cross-entropy", "squared-error", "absolute-error", "absolute-percentage-error",
    "squared-logarithmic-error", "huber", "log-cosh", "hinge", "focal", "kl-divergence", "poisson", "cosine",
    "mse", "mae", "mape", "msle",
]  # fmt: skip
"""Losses by name; `mse`, `mae`, `mape` and `msle` are short for squared-error, absolute-error, absolute-percentage-error and
squared-logarithmic-error."""

SHORT = {
    "mse": "squared-error",
    "mae": "absolute-error",
    "mape": "absolute-percentage-error",
    "msle": "squared-logarithmic-error",
}
ROUNDING = 1e-12  # numbers whose deviation is smaller than this share of them are equal but for rounding

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function from outputs [B, K] and targets, [B] class numbers or [B, K] numbers, to losses [B]."""


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return losses [B]: - sum_k q_k log p_k, with p = softmax(logits) and q = (1 - s) [k = target] + s / K.

    Of a map or a row of tokens it is the mean over their pixels or tokens.

    Args:
        logits: [B, K], [B, H, W, K] or [B, T, K].
        targets: [B], [B, H, W] or [B, T], class numbers in [0, K).
        label_smoothing: s, in [0, 1): the share of the target that is spread evenly over all classes.

    Returns:
        [B].

    Source: Szegedy et al., *Rethinking the inception architecture for computer vision*, 2016, section 7.

    With p = (0.8, 0.2), target 0 and s = 0.1 it is -0.95 log 0.8 - 0.05 log 0.2:

    >>> logits = torch.log(torch.tensor([[0.8, 0.2]]))
    >>> round(cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1).item(), 4)
    0.2925

    Of two pixels with the probabilities 0.8 and 0.2 of their class it is the mean of -log 0.8 and -log 0.2:

    >>> round(cross_entropy(torch.stack([logits, logits], dim=1), torch.tensor([[0, 1]])).item(), 4)
    0.9163
    """
    targets = targets.long()
    if targets.ndim == 1:
        return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    each = functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none", label_smoothing=label_smoothing)
    return each.reshape(len(targets), -1).mean(1)


def _mean_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets.long())


CLASS_LOSSES: dict[str, Loss] = {
    "cross-entropy": cross_entropy,
    "hinge": class_losses.hinge,
    "focal": class_losses.focal,
    "squared-error": class_losses.brier,
    "kl-divergence": class_losses.smoothed_divergence,
}
FLAG_LOSSES: dict[str, Loss] = {
    "binary-cross-entropy": number_losses.binary_cross_entropy,
    "hinge": class_losses.flag_hinge,
    "focal": class_losses.flag_focal,
    "squared-error": lambda logits, targets: number_losses.squared_error(torch.sigmoid(logits), targets),
}
STANDARDISED: dict[str, Loss] = {
    "squared-error": number_losses.squared_error,
    "absolute-error": number_losses.absolute_error,
    "huber": number_losses.huber,
    "log-cosh": number_losses.log_cosh,
}
IN_UNITS: dict[str, Loss] = {
    "absolute-percentage-error": number_losses.absolute_percentage_error,
    "squared-logarithmic-error": number_losses.squared_logarithmic_error,
    "cosine": number_losses.cosine,
}
LINKED: dict[str, tuple[Loss, Callable[[Tensor], Tensor]]] = {
    "poisson": (number_losses.poisson, torch.exp),
    "kl-divergence": (number_losses.divergence, partial(torch.softmax, dim=1)),
    "binary-cross-entropy": (number_losses.binary_cross_entropy, torch.sigmoid),
}
"""Losses of raw outputs, each with the function from outputs [B, K] to answers [B, K]."""


def weighted_mean(losses: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean [] of losses [B]; with weights [B] >= 0, an example of weight 2 counts as two examples.

    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    return losses.mean() if weights is None else (weights * losses).sum() / weights.sum()


class TargetRule(Protocol):
    """The losses and answers of one output space."""

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss [B] of each example; outputs as `rl_core.network` has them, or flat [B, K], targets of the space."""

    def answers(self, outputs: Any) -> Batch:
        """Return the answers [B, ...] in the output space."""

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Return the answers [B, ...] to outputs [B, ...] by functions of torch alone, which an exporter can follow."""


class ClassTargets:
    """Classes: one an example, or one for each pixel of a map, each token, each item of ragged rows. The loss is their mean.

    Tokens that are padding (`rl_core.tokens.Tokens`) have no loss.

    Args:
        space: `Discrete`, `MultiDiscrete` of one number of classes, or `Sequence(Discrete)`.
        loss: Losses [N] of logits [N, K] and classes [N].

    >>> rule = ClassTargets(spaces.MultiDiscrete(np.full((1, 2), 3)))
    >>> outputs = torch.tensor([[[[5.0, 0.0, 0.0], [0.0, 0.0, 5.0]]]])
    >>> rule.answers(outputs)
    array([[[0, 2]]])
    """

    def __init__(self, space: Space[Any], loss: Loss = cross_entropy) -> None:
        feature = space.feature_space if isinstance(space, spaces.Sequence) else space
        self._shape = output_shape(feature)
        self._one_class = isinstance(space, spaces.Discrete)
        start = np.asarray(feature.start)
        self._start = torch.as_tensor(start) if start.any() else None
        self._padding = padding_of(feature)
        self._loss = loss

    @property
    def is_plain(self) -> bool:
        """True if each example has one class, from 0, and the loss is the cross-entropy of the outputs [B, K] alone."""
        return self._one_class and self._start is None and self._loss is CLASS_LOSSES["cross-entropy"]

    @property
    def mean(self) -> Loss | None:
        """The mean loss [] of outputs [B, K] and classes [B] in one call of torch; `None` where the losses are not plain."""
        return _mean_cross_entropy if self.is_plain else None

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the mean loss [B] of each example; 0 for an example without items."""
        if self._padding is not None and not isinstance(targets, Ragged):
            each = self._each(self._logits(outputs), targets)
            counted = targets != self._padding
            return (each * counted).sum(1) / counted.sum(1).clamp(min=1)
        if not isinstance(targets, Ragged):
            if targets.ndim == 1:
                return self._loss(self._logits(outputs), self._from_zero(targets))
            return self._each(self._logits(outputs), targets).reshape(len(targets), -1).mean(1)
        each = self._loss(_values(outputs), self._from_zero(targets.values))
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
        return log_probabilities.gather(-1, self._from_zero(targets)[..., None])[..., 0]

    def answers(self, outputs: Any) -> Batch:
        """Return the likeliest class of each example, pixel, token or item."""
        if isinstance(outputs, Ragged):
            return Ragged(self._from_start(outputs.values.argmax(-1)).cpu().numpy(), outputs.splits.cpu().numpy())
        return self.traced_answers(outputs).cpu().numpy()

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Return the likeliest class of each example, pixel or token."""
        return self._from_start(self._logits(outputs).argmax(-1))

    def probabilities(self, outputs: Any) -> Tensor:
        """Return the probabilities [B, ..., K] of the classes, float64."""
        return torch.softmax(self._logits(outputs).double(), dim=-1)

    def _each(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each pixel or token [B, ...]."""
        return self._loss(logits.flatten(0, -2), self._from_zero(targets).flatten()).view(targets.shape)

    def _from_zero(self, targets: Tensor) -> Tensor:
        return targets if self._start is None else targets - self._start.to(targets.device)

    def _from_start(self, classes: Tensor) -> Tensor:
        return classes if self._start is None else classes + self._start.to(classes.device)

    def _logits(self, outputs: Tensor) -> Tensor:
        assert self._shape is not None
        return outputs.reshape(outputs.shape[0], *self._shape)


class OneUnit:
    """Two classes from one output: p = sigmoid(z) is the probability of the second, and the loss is binary cross-entropy.

    Args:
        space: `Discrete` of two classes.

    >>> rule = OneUnit(spaces.Discrete(2))
    >>> outputs = torch.logit(torch.tensor([[0.8], [0.4]]))
    >>> rule.losses(outputs, torch.tensor([1, 0])), rule.answers(outputs)  # -log 0.8 and -log 0.6
    (tensor([0.2231, 0.5108]), array([1, 0]))
    """

    def __init__(self, space: spaces.Discrete) -> None:
        self._start = int(space.start)

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss [B] of each example."""
        return number_losses.binary_cross_entropy(outputs, (targets - self._start).float()[:, None])

    def answers(self, outputs: Any) -> Batch:
        """Return the likelier class [B]."""
        return self.traced_answers(outputs).cpu().numpy()

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Return the likelier class [B]."""
        return (outputs[:, 0] > 0).long() + self._start

    def probabilities(self, outputs: Any) -> Tensor:
        """Return the probabilities [B, 2] of the classes, float64."""
        second = torch.sigmoid(outputs.double())
        return torch.cat([1.0 - second, second], dim=1)


class FlagTargets:
    """Flags that are on or off, each on its own: the loss is the mean over them, and the answer is on above 1/2.

    Args:
        space: `MultiBinary`.
        loss: Losses [B] of logits [B, K] and flags [B, K].
    """

    def __init__(self, space: spaces.MultiBinary, loss: Loss = number_losses.binary_cross_entropy) -> None:
        self._shape = tuple(space.shape)
        self._loss = loss

    def losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss [B] of each example."""
        return self._loss(outputs.reshape(len(outputs), -1), targets.flatten(1).float())

    def answers(self, outputs: Any) -> Batch:
        """Return which flags are on [B, ...]."""
        return self.traced_answers(outputs).cpu().numpy()

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Return which flags are on [B, ...]."""
        return (outputs.reshape(-1, *self._shape) > 0).to(torch.int8)

    def probabilities(self, outputs: Any) -> Tensor:
        """Return the probability of each flag to be on [B, ...], float64."""
        return torch.sigmoid(outputs.double().reshape(-1, *self._shape))


class NumberTargets:
    """Numbers: outputs are numbers standardised by the training split's mean and deviation, answers are in the task's unit.

    Numbers of an image are standardised by channel. Answers of a bounded space are clipped to its bounds, whole numbers rounded. Losses
    of `LINKED` take outputs and targets as they are.

    Args:
        space: `Box`.
        loss: Name of the loss, one of `STANDARDISED`, `IN_UNITS` or `LINKED`.
        read: All training targets [N, ...], or a fair part of them; called at the first use, so that a model only predicts without data.
        device: Where outputs are.
    """

    def __init__(self, space: spaces.Box, loss: str, read: Callable[[], np.ndarray], device: torch.device) -> None:
        self._space, self._name, self._read, self._device = space, loss, read, device

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
        """Return the loss [B] of each example; of standardised numbers in units of the deviation."""
        flat, wanted = outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1).float()
        if self._name in LINKED:
            return LINKED[self._name][0](flat, wanted)
        mean, scale = self.statistics
        if self._name in IN_UNITS:
            return IN_UNITS[self._name](self._in_units(outputs).float().reshape(flat.shape), wanted)
        standardised = ((targets.double() - mean) / scale).float()
        return STANDARDISED[self._name](flat, standardised.reshape(flat.shape))

    def answers(self, outputs: Any) -> Batch:
        """Return predicted numbers [B, ...]."""
        return self.traced_answers(outputs).cpu().numpy()

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Return predicted numbers [B, ...]."""
        if self._name in LINKED:
            numbers = LINKED[self._name][1](outputs.flatten(1).double()).reshape(-1, *self._space.shape)
        else:
            numbers = self._in_units(outputs)
        if self._space.dtype.kind in "iu":
            numbers = numbers.round()
        low, high = (torch.as_tensor(bound.astype(np.float64), device=numbers.device) for bound in (self._space.low, self._space.high))
        return numbers.clamp(low, high).to(getattr(torch, self._space.dtype.name))

    def _in_units(self, outputs: Tensor) -> Tensor:
        """Return numbers in the task's unit [B, *shape], float64."""
        mean, scale = self.statistics
        return outputs.reshape(-1, *self._space.shape).double() * scale + mean

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

    def traced_answers(self, outputs: Tensor) -> Tensor:
        """Raise: the module computes its answers."""
        raise TypeError("a module that brings its own loss has no outputs to turn into answers")


def module_space(space: Space[Any], loss: LossName) -> Space[Any]:
    """Return the output space that a network is built for: that of the task, or one unit for two classes by binary cross-entropy.

    >>> module_space(spaces.Discrete(2), "binary-cross-entropy"), module_space(spaces.Discrete(2), "hinge")
    (MultiBinary(1), Discrete(2))
    """
    return spaces.MultiBinary(1) if loss == "binary-cross-entropy" and isinstance(space, spaces.Discrete) and space.n == 2 else space


def target_rule(
    space: Space[Any], loss: LossName, label_smoothing: float, read: Callable[[], np.ndarray], device: torch.device
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
    trait, name = output_trait(space), SHORT.get(loss, loss)
    has_classes = trait in ("discrete-output", "map-output", "token-output", "ragged-output")
    if not has_classes and not isinstance(space, spaces.Box | spaces.MultiBinary):
        raise ValueError(f"the task asks for {space} ({trait}), which needs a network that brings its own loss")
    kind = "classes" if has_classes else "flags" if isinstance(space, spaces.MultiBinary) else "numbers"
    two = isinstance(space, spaces.Discrete) and space.n == 2
    fitting = {
        "classes": [*CLASS_LOSSES, *(["binary-cross-entropy"] if two else [])],
        "flags": [*FLAG_LOSSES, "cross-entropy"],
        "numbers": [*STANDARDISED, *IN_UNITS, *LINKED],
    }[kind]
    if name not in ("auto", *fitting):
        raise ValueError(f"loss is {loss!r}, but the task asks for {kind}; use {', '.join(fitting)}, or auto")
    smoothed = has_classes and name in ("auto", "cross-entropy", "kl-divergence")
    if label_smoothing and not smoothed:
        reason = f"loss {loss} takes none" if has_classes else f"the task asks for {kind}, which have no labels"
        raise ValueError(f"label_smoothing is {label_smoothing}, but {reason}; set label_smoothing=0")
    if name == "binary-cross-entropy" and isinstance(space, spaces.Discrete):
        return OneUnit(space)
    if has_classes:
        of_classes: Callable[..., Tensor] = CLASS_LOSSES["cross-entropy" if name == "auto" else name]
        return ClassTargets(space, partial(of_classes, label_smoothing=label_smoothing) if label_smoothing else of_classes)
    if isinstance(space, spaces.MultiBinary):
        return FlagTargets(space, FLAG_LOSSES["binary-cross-entropy" if name in ("auto", "cross-entropy") else name])
    assert isinstance(space, spaces.Box)
    return NumberTargets(space, "squared-error" if name == "auto" else name, read, device)


def _values(outputs: Any) -> Tensor:
    values: Tensor = outputs.values if isinstance(outputs, Ragged) else outputs
    return values


def batch_loss(
    module: nn.Module, inputs: Any, targets: Any, weights: Tensor | None, loss: Loss, precision: torch.dtype, mean: Loss | None = None
) -> tuple[Tensor, dict[str, Any]]:
    """Return the mean loss [] of a batch, and further metrics where the module brings its own loss, or measures its forward pass.

    Args:
        module: From inputs to outputs, or one that brings its own loss. One with a method `measures()` gives metrics of its last pass.
        inputs: A batch of B examples.
        targets: A batch of B targets.
        weights: [B], >= 0: an example of weight 2 counts as two examples; all alike without them.
        loss: Losses [B] of outputs and targets.
        precision: Type in which matrix products are computed; parameters and loss keep theirs.
        mean: The mean [] of those losses without weights, where one call of torch gives it.
    """
    lower = precision != torch.float32
    with torch.autocast(next(module.parameters()).device.type, precision) if lower else nullcontext():
        if has_own_loss(module):
            return cast(OwnLoss, module).training_loss(inputs, targets, weights)
        outputs = module(inputs)
    measures = getattr(module, "measures", None)
    outputs = as_float(outputs)
    found = weighted_mean(loss(outputs, targets), weights) if mean is None or weights is not None else mean(outputs, targets)
    return found, measures() if measures else {}


def has_own_loss(module: nn.Module) -> bool:
    """Return whether a module brings its own loss (`rl_core.network.OwnLoss`), without the cost of a check of the protocol.

    >>> has_own_loss(nn.Linear(1, 1))
    False
    """
    return hasattr(type(module), "training_loss") and hasattr(type(module), "answers")


def as_float(outputs: Any) -> Any:
    """Return outputs with numbers of lower precision as float32.

    >>> as_float(torch.ones(1, dtype=torch.bfloat16))
    tensor([1.])
    """
    if type(outputs) is Tensor:
        return outputs.float()
    return batches.apply(outputs, lambda value: value.float() if value.is_floating_point() else value)
