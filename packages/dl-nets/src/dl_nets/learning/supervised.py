"""Supervised learning: minibatch gradient descent on examples with answers.

Source: Bottou, Curtis and Nocedal, *Optimization methods for large-scale machine learning*, 2018, section 4. Departures: each epoch
visits every example once, in an order of its own, instead of drawing with replacement; its batches differ in size by at most one,
so that none is tiny. Early stopping is Prechelt, *Early stopping - but when?*, 1998: it ends after `patience` epochs without a
better validation loss, and the parameters of the best epoch answer.

Numbers to be predicted are standardised with the training split's mean and deviation: losses are in that unit, answers in the task's.

Letters: B batch, K classes or numbers of an answer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning import losses
from dl_nets.learning.data import Examples
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser, OptimiserName, clip_gradient_norm
from dl_nets.learning.schedules import ScheduleName, schedule
from dl_nets.learning.streams import load_module_state, module_state
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, Whole, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import DataTask

ROUNDING = 1e-12  # targets whose deviation is smaller than this share of them are equal but for rounding
PREDICTED_AT_ONCE = 1024  # inputs: what a prediction takes through the network in one go


@configclass
class SupervisedConfig:
    """How to learn from examples."""

    learning_rate: Annotated[Positive, Doc("alpha, step size at the start of the schedule")] = 1e-3
    schedule: Annotated[ScheduleName, Doc("constant, linear, cosine, step, exponential, warm-up, warm-up-linear or warm-up-cosine")] = (
        "cosine"
    )
    batch_size: Annotated[Count, Doc("B, examples of one update")] = 64
    optimiser: Annotated[OptimiserName, Doc("sgd, momentum, nesterov, adam, adamw or rmsprop")] = "adamw"
    momentum: Annotated[float, Meta(ge=0, lt=1), Doc("mu, of the optimisers momentum and nesterov")] = 0.9
    weight_decay: Annotated[NonNegative, Doc("lambda, pull of the weight matrices towards 0")] = 0.01
    loss: Annotated[
        Literal["auto", "cross-entropy", "squared-error", "absolute-error", "huber"], Doc("auto: cross-entropy, or squared-error")
    ] = "auto"
    label_smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("share of cross-entropy's target that is spread over all classes")] = 0.0
    class_weights: Annotated[
        Literal["none", "balanced"], Doc("balanced: an example counts N / (K n), n of the N training examples having its class of K")
    ] = "none"
    max_gradient_norm: Annotated[NonNegative, Doc("longer gradients are shortened to it; 0 is off")] = 0.0
    patience: Annotated[
        Whole, Doc("epochs without a better validation loss before it ends; 0: learn to the end, the last parameters answer")
    ] = 0
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("of the forward pass; auto is bfloat16 on CUDA")] = "auto"
    resident_megabytes: Annotated[Whole, Doc("a split up to this size is kept on the device whole, MiB")] = 1024

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be > 0")
        for name in ("weight_decay", "max_gradient_norm", "patience", "resident_megabytes"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= 0")
        for name in ("momentum", "label_smoothing"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")


def update(
    module: nn.Module,
    optimiser: Optimiser | torch.optim.Optimizer,
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    loss: losses.Loss = losses.cross_entropy,
    max_gradient_norm: float = 0.0,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """One gradient step from a batch; the loss [] before it.

    Args:
        module: From inputs to outputs [B, K].
        optimiser: Over the module's parameters.
        inputs: [B, ...].
        targets: What `loss` takes: class numbers [B] or numbers [B, K].
        weights: [B], >= 0: an example of weight 2 counts as two examples; all alike without them.
        loss: Losses [B] of outputs and targets.
        max_gradient_norm: A longer gradient is shortened to it; 0 is off.
        precision: What matrix products are computed in; parameters, loss and optimiser keep theirs.
    """
    with torch.autocast(inputs.device.type, precision, enabled=precision != torch.float32):
        outputs = module(inputs)
    mean_loss = losses.weighted_mean(loss(outputs.float(), targets), weights)
    optimiser.zero_grad()
    torch.autograd.backward(mean_loss)
    if max_gradient_norm:
        clip_gradient_norm(module.parameters(), max_gradient_norm)
    optimiser.step()
    return mean_loss.detach()


class Supervised(Agent):
    """Learns a data task; one step is one epoch. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = SupervisedConfig
    config: SupervisedConfig
    task: DataTask

    def __init__(
        self, config: SupervisedConfig, task: DataTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto"
    ) -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self._device = resolve_device(device)
        use_bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and self._device.type == "cuda")
        self._precision = torch.bfloat16 if use_bfloat16 else torch.float32
        if config.patience and not task.num_examples("validation"):
            raise ValueError(f"patience is {config.patience}, but the task has no validation split to be patient about; set patience=0")
        self._loss = _loss(config, task.output_space)
        if config.class_weights != "none" and not isinstance(task.output_space, spaces.Discrete):
            raise ValueError(
                f"class_weights is {config.class_weights!r}, but the task asks for numbers, which have no classes; set it to none"
            )

        self._module = network.build(task.input_space, task.output_space, seeds.numpy("network")).to(self._device)
        self._optimiser = Optimiser(
            config.optimiser,
            self._module.parameters(),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
        )
        self._schedule = schedule(config.schedule)
        self._best = copy.deepcopy(self._module)  # answers when there is patience
        self._best_loss: float | None = None
        self._epochs_since_best = 0

    def step(self) -> dict[str, float]:
        """Visit every training example once, then look at the validation split."""
        self._module.train()
        batches = self._batches(epoch=self.progress)
        total = torch.zeros((), device=self._device)
        for number, batch in enumerate(batches):
            fraction_done = (self.progress + number / len(batches)) / self.budget
            self._optimiser.learning_rate = self.config.learning_rate * self._schedule(fraction_done)
            inputs, targets = self._train[batch]
            loss = update(
                self._module,
                self._optimiser,
                inputs,
                self._standardised(targets),
                self._weights(targets),
                loss=self._loss,
                max_gradient_norm=self.config.max_gradient_norm,
                precision=self._precision,
            )
            total += loss * len(batch)
        self.progress += 1
        metrics = {"loss": total.item() / len(self._train), "learning rate": self._optimiser.learning_rate}
        if len(self._validation):
            metrics |= self._validate()
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The likeliest class [B], or the expected numbers [B, ...], of inputs [B, ...]."""
        return self._answers(self._outputs(inputs))

    def answer(self, text: str) -> Any:
        """Return the class's name, or the numbers, for one input as the task reads it."""
        return self.task.describe(self.predict(self.task.parse(text)))[0]

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probability [B, K] of each class for inputs [B, ...]: the softmax of the outputs.

        Raises:
            NotImplementedError: if the task asks for numbers.
        """
        if not isinstance(self.task.output_space, spaces.Discrete):
            raise NotImplementedError("the task asks for numbers, which have no probabilities")
        return torch.softmax(self._outputs(inputs).double(), dim=1).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers, the optimiser's moments, the best epoch so far, and the targets' statistics."""
        return {
            "module": module_state(self._module),
            "optimiser": self._optimiser.state_dict(),
            "best": module_state(self._best) if self.config.patience else {},
            "best_loss": self._best_loss,
            "epochs_since_best": self._epochs_since_best,
            "target_mean": self._statistics[0].cpu().numpy(),
            "target_scale": self._statistics[1].cpu().numpy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` stands."""
        load_module_state(self._module, state["module"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self.config.patience:
            load_module_state(self._best, state["best"])
        self._best_loss, self._epochs_since_best = state["best_loss"], state["epochs_since_best"]
        mean, scale = (torch.tensor(state[name], device=self._device) for name in ("target_mean", "target_scale"))
        self._statistics = mean, scale

    def parameters(self) -> dict[str, np.ndarray]:
        """Trainable parameters by name, as they are now."""
        return {name: parameter.detach().cpu().numpy().copy() for name, parameter in self._module.named_parameters()}

    @cached_property
    def _train(self) -> Examples:
        """The training split, read at the first step: a model that only predicts does not need it."""
        return Examples(self.task, "train", self._device, self.config.resident_megabytes)

    @cached_property
    def _validation(self) -> Examples:
        """The validation split."""
        return Examples(self.task, "validation", self._device, self.config.resident_megabytes)

    @cached_property
    def _class_weights(self) -> Tensor | None:
        """Weight [K] of an example of each class; `None` where all count alike."""
        if self.config.class_weights == "none":
            return None
        space = self.task.output_space
        assert isinstance(space, spaces.Discrete)
        return torch.tensor(balanced_weights(_targets(self.task, "train") - int(space.start), int(space.n)), device=self._device)

    def _weights(self, targets: Tensor) -> Tensor | None:
        """Weights [B] of examples with these targets [B]; `None` where all count alike."""
        return None if self._class_weights is None else self._class_weights[self._standardised(targets)]

    def _outputs(self, inputs: np.ndarray) -> Tensor:
        """Outputs [B, K] of the parameters that answer."""
        module = self._best if self.config.patience else self._module
        parts = torch.split(torch.as_tensor(inputs), PREDICTED_AT_ONCE)
        return torch.cat([self._forward(module, part.to(self._device)) for part in parts])

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of each batch; the order is fixed by the seed and the epoch's number."""
        order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(len(self._train))
        return np.array_split(order, math.ceil(len(order) / self.config.batch_size))

    def _validate(self) -> dict[str, float]:
        """Loss and metric on the validation split; keeps the best parameters and strikes when patience is over."""
        outputs, targets = [], []
        for indices in np.array_split(np.arange(len(self._validation)), math.ceil(len(self._validation) / PREDICTED_AT_ONCE)):
            inputs, target = self._validation[indices]
            outputs.append(self._forward(self._module, inputs))
            targets.append(target)
        output, target = torch.cat(outputs), torch.cat(targets)
        loss = losses.weighted_mean(self._loss(output, self._standardised(target)), self._weights(target)).item()
        score = self.task.score(self._answers(output), target.cpu().numpy())[self.task.metric]
        if self.config.patience:
            if self._best_loss is None or loss < self._best_loss:
                self._best_loss, self._epochs_since_best = loss, 0
                self._best.load_state_dict(self._module.state_dict())
            else:
                self._epochs_since_best += 1
            self.finished = self._epochs_since_best >= self.config.patience
        return {"validation loss": loss, f"validation {self.task.metric}": score}

    @torch.no_grad()
    def _forward(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Outputs [B, K], float32, without dropout and without moving any statistics."""
        module.eval()
        with torch.autocast(self._device.type, self._precision, enabled=self._precision != torch.float32):
            outputs: Tensor = module(inputs)
        return outputs.float()

    def _standardised(self, targets: Tensor) -> Tensor:
        """Targets [B, ...] as the loss takes them: class numbers from 0 [B], or standardised numbers [B, K]."""
        if isinstance(self.task.output_space, spaces.Discrete):
            return targets - int(self.task.output_space.start)
        mean, scale = self._statistics
        return ((targets.flatten(1).double() - mean) / scale).float()

    def _answers(self, outputs: Tensor) -> np.ndarray:
        """Answers [B, ...] in the task's output space from outputs [B, K]."""
        space = self.task.output_space
        if isinstance(space, spaces.Discrete):
            return outputs.argmax(1).cpu().numpy() + int(space.start)
        mean, scale = self._statistics
        return (outputs.double() * scale + mean).reshape(-1, *(space.shape or ())).cpu().numpy().astype(space.dtype)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation [K] of the training split's numbers, float64; 0 and 1 where the targets are classes."""
        if isinstance(self.task.output_space, spaces.Discrete):
            return torch.zeros(1, device=self._device), torch.ones(1, device=self._device)
        targets = _targets(self.task, "train")
        targets = targets.reshape(len(targets), -1).astype(np.float64)
        scale = targets.std(axis=0)
        scale[scale <= ROUNDING * np.abs(targets).max(axis=0)] = 1.0
        mean, scale = (torch.tensor(array, device=self._device) for array in (targets.mean(axis=0), scale))
        return mean, scale


def balanced_weights(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the weight [K] of an example of each class, N / (K n) for the n of N examples: the classes then count alike in sum.

    Args:
        classes: Class of each example [N], from 0.
        num_classes: K.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(classes.ravel(), minlength=num_classes)
    return (len(classes) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def _targets(task: DataTask, split: str) -> np.ndarray:
    """Return all targets [N, ...] of a split, read in parts."""
    count = task.num_examples(split)
    parts = np.array_split(np.arange(count), max(1, math.ceil(count / PREDICTED_AT_ONCE)))
    return np.concatenate([np.asarray(task.read(split, part)[1]) for part in parts])


def _loss(config: SupervisedConfig, output_space: spaces.Space[Any]) -> losses.Loss:
    """The loss that the config names, checked against what the task asks for."""
    has_classes = isinstance(output_space, spaces.Discrete)
    name = config.loss
    if name == "auto":
        name = "cross-entropy" if has_classes else "squared-error"
    if has_classes != (name == "cross-entropy"):
        kind, fitting = ("classes", "cross-entropy") if has_classes else ("numbers", "squared-error, absolute-error or huber")
        raise ValueError(f"loss is {name!r}, but the task asks for {kind}; use {fitting}, or auto")
    if config.label_smoothing and not has_classes:
        raise ValueError(f"label_smoothing is {config.label_smoothing}, but the task asks for numbers, which have no labels; set it to 0")
    match name:
        case "cross-entropy":
            return partial(losses.cross_entropy, label_smoothing=config.label_smoothing)
        case "squared-error":
            return losses.squared_error
        case "absolute-error":
            return losses.absolute_error
        case _:
            return losses.huber
