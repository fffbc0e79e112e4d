"""Supervised learning: minibatch gradient descent on examples with answers.

Source: Bottou, Curtis and Nocedal, *Optimization methods for large-scale machine learning*, 2018, section 4. Departures: each epoch
visits every example once, in an order of its own, instead of drawing with replacement; its batches differ in size by at most one,
so that none is tiny. Early stopping is Prechelt, *Early stopping - but when?*, 1998: it ends after `patience` epochs without a
better validation loss, and the parameters of the best epoch answer.

An epoch is one pass over the training split, then one over the validation split. Progress counts the examples of both. A step visits
as many of them as take about a second at most, so an epoch may take many steps.

The loss follows from the output space: cross-entropy of classes, of the pixels of label maps, and of tokens; squared error of
standardised numbers. A network may bring its own loss instead (`rl_core.network.OwnLoss`).

Letters: B batch, K classes or numbers of an answer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.figures import draw as figures
from dl_nets.learning import losses
from dl_nets.learning.averaging import Averaged
from dl_nets.learning.class_weights import ClassWeights
from dl_nets.learning.data import Examples, ValidationRun, some_targets, to_arrays, to_tensors
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, exportable, write
from dl_nets.learning.fine_tuning import FineTuning, Groups
from dl_nets.learning.likelihood import WithLikelihood, judged
from dl_nets.learning.losses import TargetRule, as_float, batch_loss, has_own_loss
from dl_nets.learning.metrics import Metrics, judge_split
from dl_nets.learning.optimisers import Optimiser, Steps, descend, gradient_norm, gradient_step, schedule
from dl_nets.learning.several_outputs import PartTargets, network_space, rule_of
from dl_nets.learning.shards import Shards, require_separable
from dl_nets.learning.steps import examples_a_step, examples_at_once, fast_classes, num_numbers
from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.learning.supervised_config import SupervisedConfig as SupervisedConfig
from rl_core import batches
from rl_core.agent import Agent
from rl_core.batches import Batch
from rl_core.network import OwnLoss
from rl_core.seeds import Seeds
from rl_core.task import ContinuesText, DataTask, Predict, Task
from rl_core.traits import output_shape

NORM_EVERY = 50  # updates after which the length of the gradient is measured, and at the end of an epoch


def update(
    module: nn.Module,
    optimiser: Steps,
    inputs: Any,
    targets: Any,
    weights: Tensor | None = None,
    *,
    loss: losses.Loss = losses.cross_entropy,
    max_gradient_norm: float = 0.0,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Take one gradient step on a batch; return the loss [] before it. See `batch_loss` and `gradient_step` for the arguments."""
    mean_loss, _ = batch_loss(module, inputs, targets, weights, loss, precision)
    gradient_step(module, optimiser, mean_loss, max_gradient_norm)
    return mean_loss.detach()


class Supervised(Agent):
    """Agent that learns a data task; a step is a bounded number of batches. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = SupervisedConfig
    config: SupervisedConfig
    task: DataTask
    headline = "loss"
    export_formats = FORMATS

    @classmethod
    def default_budget(cls, config: SupervisedConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` epochs, those of the validation split included."""
        assert isinstance(task, DataTask)
        return config.epochs * (task.num_examples("train") + task.num_examples("validation"))

    def setup(self) -> None:
        """Build the module, the optimiser and the rule for the task's answers.

        Raises:
            ValueError: if the config, the network and the task do not go together.
        """
        config, space = self.config, self.task.output_space
        self._torch_device = resolve_device(self.device)
        use_bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and self._torch_device.type == "cuda")
        self._precision = torch.bfloat16 if use_bfloat16 else torch.float32
        if config.patience and not self.task.num_examples("validation"):
            raise ValueError(f"patience is {config.patience}, but the task has no validation split to be patient about; set patience=0")
        weighted = config.class_weights != "none"
        self._weights = ClassWeights(config.class_weights, self.task, self._torch_device) if weighted else None
        if self.budget < self.task.num_examples("train"):
            self.warnings.append(
                f"the budget of {self.budget:,} examples is less than one epoch, {self.task.num_examples('train'):,}; "
                "to learn for a number of epochs leave it out, and set epochs"
            )
        assert self.network is not None
        module = self.network.build(self.task.input_space, network_space(space, config), self.seeds.numpy("network"))
        self._module: nn.Module = module.to(self._torch_device)
        if config.shards > 1:
            require_separable(self._module, config.unfreeze_every)
        own_loss = has_own_loss(self._module)
        self._rule: TargetRule = (
            losses.OwnRule(config.loss, config.label_smoothing)
            if own_loss
            else rule_of(space, config, partial(some_targets, self.task), self._torch_device)
        )
        chosen = self._chosen_metrics()
        if own_loss and chosen is not None and chosen.needs_outputs:
            raise ValueError("metrics names a top_k, but the network brings its own loss and gives no probabilities; leave it out")
        self._tuning = FineTuning(self._module, config.loaded_rate, config.unfreeze_every) if hasattr(self._module, "loaded") else None
        make = partial(
            Optimiser,
            config.optimiser,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            l1=config.l1,
            l2=config.l2,
        )
        plain = self._tuning is None or self._tuning.is_plain
        self._optimiser = make(self._module.parameters()) if plain or self._tuning is None else self._tuning.optimiser(make)
        plain = config.shards == 1 and not (config.max_gradient_norm or weighted or self._tuning or use_bfloat16)
        self._fast = fast_classes(self._module, self._optimiser, self._rule) if plain else None
        self._mean_loss = self._rule.mean if isinstance(self._rule, losses.ClassTargets) else None
        self._schedule = schedule(config.schedule)
        self._averaged = None if config.average == "none" else Averaged(self._module, config.average, config.average_decay)
        self._best = copy.deepcopy(self._module)  # answers when there is patience
        self._best_loss: float | None = None
        self._epochs_since_best = 0
        self._shards: Shards | None = None  # made at the first update
        self._processes = 1
        self._reader: tuple[int, Iterator[tuple[Any, Any]]] = (-1, iter(()))  # progress that it is for, and the batches to come
        self._validation_run: tuple[int, ValidationRun] | None = None  # progress that it is for

    def use_processes(self, number: int) -> None:
        """Let processes compute the shards of each batch."""
        if number > 1 and self.config.shards < 2:
            raise ValueError("processes share the shards of a batch, and shards is 1; add --set shards=4, say")
        self._processes = number

    def step(self) -> dict[str, float]:
        """Learn from some batches; at the end of an epoch, look at the validation split, or at a part of it."""
        left = self._examples_a_step
        metrics: dict[str, float] = {}
        if self._position < len(self._train):
            left, metrics = self._learn(left)
        if self._position >= len(self._train) and left > 0 and self.progress < self.budget:
            metrics |= self._validate(left)
        return {**metrics, "epoch": self.progress / self._epoch_size}

    def predict(self, inputs: Any) -> Any:
        """Return the likeliest classes, the expected numbers, or the answers of a module with its own loss [B, ...]."""
        return batches.concatenate([self._answers(self.module, part) for part in self._parts(inputs)])

    def predictor(self) -> Predict:
        """Return `predict`, with the likelihood of targets where the task asks for it and the module has one."""
        if not self.task.by_likelihood or not isinstance(self._rule, losses.ClassTargets):
            return self.predict
        return WithLikelihood(lambda inputs: (self._forward(self.module, part) for part in self._parts(inputs)), self._rule)

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics that the task judges by, and those of the config, on the test split."""
        scores = super().evaluate(episodes=episodes, seeds=seeds)
        if not self.config.metrics:
            return scores

        def answered(inputs: Batch) -> tuple[Any, Any]:
            outputs = None if has_own_loss(self._module) else self._forward(self.module, to_tensors(inputs, self._torch_device))
            return (self.predict(inputs), None) if outputs is None else (self._rule.answers(outputs), outputs)

        return scores | judge_split(Metrics(self.config.metrics, self.task.output_space), self.task, answered)

    def answer(self, text: str) -> Any:
        """Return the class's name, or the numbers, for one input as the task reads it; a text that goes on, of a task that asks for one."""

        def next_token(inputs: Any) -> np.ndarray:
            outputs = self._forward(self.module, to_tensors(inputs, self._torch_device)).flatten(1)
            return outputs[:, -(output_shape(self.task.output_space) or (1,))[-1] :].float().cpu().numpy()

        if isinstance(self.task, ContinuesText) and not has_own_loss(self._module):
            return self.task.continued(text, next_token)
        return self.task.describe(self.predict(self.task.parse(text)))[0]

    def probabilities(self, inputs: Any) -> np.ndarray:
        """Return the probability [B, K] of each class, or of each flag to be on, for inputs [B, ...].

        Raises:
            NotImplementedError: if the task asks for neither one class nor flags of each example, or the network brings its own loss.
        """
        space = self.task.output_space
        flat = isinstance(space, spaces.Discrete) or (isinstance(space, spaces.MultiBinary) and len(space.shape) == 1)
        if not flat or not isinstance(self._rule, losses.ClassTargets | losses.OneUnit | losses.FlagTargets):
            raise NotImplementedError("this task and network give no probabilities of classes")
        outputs = torch.cat([self._forward(self.module, part) for part in self._parts(inputs)])
        return self._rule.probabilities(outputs).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and buffers, the optimiser's moments, the best epoch so far, and the targets' statistics."""
        return {
            "module": module_state(self._module),
            "optimiser": self._optimiser.state_dict(),
            "best": module_state(self._best) if self.config.patience else {},
            "best_loss": self._best_loss,
            "epochs_since_best": self._epochs_since_best,
            **({"averaged": self._averaged.state_dict()} if self._averaged else {}),
            **(self._rule.state_dict() if isinstance(self._rule, losses.NumberTargets | PartTargets) else {}),
        }

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Take over the module of another run, and the scale of its targets."""
        load_module_state(self._module, state["module"])
        if isinstance(self._rule, losses.NumberTargets | PartTargets):
            self._rule.load_state_dict(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        load_module_state(self._module, state["module"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self.config.patience:
            load_module_state(self._best, state["best"])
        self._best_loss, self._epochs_since_best = state["best_loss"], state["epochs_since_best"]
        if self._averaged:
            self._averaged.load_state_dict(state["averaged"])
        if isinstance(self._rule, losses.NumberTargets | PartTargets):
            self._rule.load_state_dict(state)

    def draw(self, folder: Path) -> None:
        """Write figures of answers and module into `folder`, the task's own, and the module's, if it has a method `draw(folder, task)`."""
        figures.draw(folder, self)
        self.task.draw_answers(folder, self.predict)
        module: Any = self.module.eval()
        if hasattr(module, "draw"):
            with torch.no_grad():
                module.draw(folder, self.task)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the network that answers, in one of `export_formats`; see `dl_nets.learning.export`."""
        return write(exportable(self.module, self._rule, self.task.input_space), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters by name, as they are now."""
        parameters = self._module.named_parameters()
        return {name: parameter.detach().cpu().numpy().copy() for name, parameter in parameters if parameter.requires_grad}

    def _learn(self, left: int) -> tuple[int, dict[str, float]]:
        """Take updates on about `left` examples, or to the end of the training split; return what is left, and metrics."""
        self._module.train()
        epoch, position = divmod(self.progress, self._epoch_size)
        if self._tuning is not None:
            self._tuning.enter(epoch)
            if isinstance(self._optimiser, Groups):
                self._optimiser.epoch = epoch
        learning = self._learning_part(self._module)
        parts = self._batches(epoch)
        first = int(np.searchsorted(np.cumsum([len(part) for part in parts]), position, side="right"))
        if self._reader[0] != self.progress:
            self._reader = (self.progress, self._train.stream(parts[first:], self._variation(epoch)))
        reader, visited, sizes = self._reader[1], 0, []
        seen: dict[str, list[Any]] = {}
        epochs = self.budget / self._epoch_size
        for number, part in enumerate(parts[first:], start=first):
            self._optimiser.learning_rate = self.config.learning_rate * self._schedule((epoch + number / len(parts)) / epochs)
            inputs, targets = next(reader)
            weights = None if self._weights is None else self._weights.of(targets)
            loss, metrics = self._take_step(learning, inputs, targets, weights)
            if self._averaged and self.config.average == "ema":
                self._averaged.add(self._module)
            seen.setdefault("loss", []).append(loss.detach())
            for name, value in metrics.items():
                seen.setdefault(name, []).append(value)
            sizes.append(len(part))
            visited += len(part)
            self.progress += len(part)
            if visited >= left or self.progress >= self.budget:
                break
        self._reader = (self.progress, reader) if number + 1 < len(parts) else (-1, iter(()))
        late = self.progress >= self.config.average_start * self.budget
        if self._averaged and self.config.average == "swa" and late and number + 1 == len(parts):
            self._averaged.add(self._module)
        shares = torch.tensor(sizes, dtype=torch.float64) / visited
        means = {name: float(torch.as_tensor(values, dtype=torch.float64) @ shares) for name, values in seen.items()}
        if number // NORM_EVERY > first // NORM_EVERY or number + 1 == len(parts):
            means["gradient_norm"] = float(gradient_norm(self._module.parameters()))
        return left - visited, {**means, "learning_rate": self._optimiser.learning_rate}

    def _take_step(self, learning: nn.Module, inputs: Any, targets: Any, weights: Tensor | None) -> tuple[Tensor, dict[str, Any]]:
        """Take one update on a batch; return its loss [] and further metrics."""
        shards, limit = self.config.shards, self.config.max_gradient_norm
        if shards > 1:
            if self._shards is None:
                self._shards = Shards(learning, self._rule.losses, self._precision, count=shards, processes=self._processes)
            loss = self._shards.backward(inputs, targets, weights)
            descend(learning, self._optimiser, limit)
            return loss, {}
        if self._fast is not None and (mean := self._fast.backward(inputs, targets)) is not None:
            self._optimiser.step()
            return torch.tensor(mean), {}
        loss, metrics = batch_loss(learning, inputs, targets, weights, self._rule.losses, self._precision, self._mean_loss)
        gradient_step(learning, self._optimiser, loss, limit)
        return loss, metrics

    def _variation(self, epoch: int) -> Callable[[np.ndarray], tuple[Batch, Batch]] | None:
        """Return the reader of the training examples as this epoch varies them; `None` where the task leaves them as they are."""
        if not self.task.augments:
            return None
        seed, begun = self.seeds.integer("augmentation", epoch), min(1.0, epoch * self._epoch_size / self.budget)
        return partial(self.task.read_augmented, seed=seed, progress=begun)

    def _validate(self, left: int) -> dict[str, float]:
        """Look at about `left` examples of the validation split; return its metrics when all were seen.

        The calls of the network are the same however many examples a step takes, so that sums are equal to the last bit. A run that
        is continued in the middle of the split looks at its beginning again.
        """
        seen = self._position - len(self._train)
        if self._validation_run is None or self._validation_run[0] != self.progress:
            self._validation_run = self.progress, ValidationRun(self.task.judge(), self._chosen_metrics())
            for start in range(0, seen, self._at_once):
                self._look(start)
        for _ in range(max(1, left // self._at_once)):
            count = self._look(seen)
            seen += count
            self.progress += count
            if seen == len(self._validation) or self.progress >= self.budget:
                break
        validation = self._validation_run[1]
        self._validation_run = self.progress, validation
        if seen < len(self._validation):
            return {}
        self._validation_run = None
        loss, metric = validation.loss / validation.weight, self.task.metric
        if self.config.patience:
            if self._best_loss is None or loss < self._best_loss:
                self._best_loss, self._epochs_since_best = loss, 0
                self._best.load_state_dict(self._candidate.state_dict())
            else:
                self._epochs_since_best += 1
            self.finished = self._epochs_since_best >= self.config.patience
        judged_as = validation.judge.result()
        each = judged_as if isinstance(self.task.output_space, spaces.Dict) else {metric: judged_as[metric]}
        found = {**each, **(validation.metrics.result() if validation.metrics else {})}
        scores = {f"validation_{name.replace(' ', '_')}": value for name, value in found.items()}
        return {metric.replace(" ", "_"): self._training_score(), "validation_loss": loss, **scores}

    def _training_score(self) -> float:
        """Return the task's metric on some training examples, evenly spaced, about a third as many as are held out for validation."""
        count = min(len(self._train), self._at_once, max(64, len(self._validation) // 3))
        inputs, targets = self._train[np.linspace(0, len(self._train) - 1, count).astype(np.int64)]
        (judge := self.task.judge()).add(self._answered(self._learning_part(self._candidate), inputs, targets)[0], to_arrays(targets))
        return judge.result()[self.task.metric]

    def _answered(self, module: nn.Module, inputs: Any, targets: Any) -> tuple[Any, Any]:
        """Return what a judge is given for a batch, and the outputs of the module, which are `None` where it brings its own loss."""
        if has_own_loss(module):
            return self._answers(module, inputs), None
        outputs = self._forward(module, inputs)
        return judged(self._rule, outputs, targets) if self.task.by_likelihood else self._rule.answers(outputs), outputs

    @torch.no_grad()
    def _look(self, start: int) -> int:
        """Count loss and answers for the examples of the validation split from `start` on; return how many they are."""
        assert self._validation_run is not None
        validation, module = self._validation_run[1], self._learning_part(self._candidate).eval()
        indices = np.arange(start, min(start + self._at_once, len(self._validation)))
        inputs, targets = self._validation[indices]
        weights = None if self._weights is None else self._weights.of(targets)
        weight = float(len(indices) if weights is None else weights.sum())
        if has_own_loss(module):
            loss = batch_loss(module, inputs, targets, weights, self._rule.losses, self._precision)[0]
        answers, outputs = self._answered(module, inputs, targets)
        if outputs is not None:
            loss = losses.weighted_mean(self._rule.losses(outputs, targets), weights)
        validation.loss += float(loss) * weight
        validation.weight += weight
        wanted = to_arrays(targets)
        validation.judge.add(answers, wanted)
        if validation.metrics:
            plain = answers["answers"] if isinstance(answers, dict) else answers
            validation.metrics.add(np.asarray(plain), np.asarray(wanted), outputs)
        return len(indices)

    @property
    def _position(self) -> int:
        """Examples of the current epoch that were visited."""
        return self.progress % self._epoch_size

    @property
    def module(self) -> nn.Module:
        """The module whose parameters answer: that of the best epoch where there is patience."""
        return self._best if self.config.patience else self._candidate

    @property
    def _candidate(self) -> nn.Module:
        """The module that the validation split judges: the average of the weights where there is one."""
        return self._averaged.module if self._averaged and self._averaged.count else self._module

    @cached_property
    def _train(self) -> Examples:
        """The training split, read at the first step: a model that only predicts does not need it."""
        return Examples(self.task, "train", self._torch_device, self.config.resident_megabytes, self._features)

    @cached_property
    def _validation(self) -> Examples:
        """The validation split."""
        return Examples(self.task, "validation", self._torch_device, self.config.resident_megabytes, self._features)

    @cached_property
    def _head(self) -> str:
        """The name of the part that all learning is in where its inputs never change, as behind frozen layers; "" for the whole module."""
        if self._tuning is None or self.task.augments or has_own_loss(self._module):
            return ""
        inputs = to_tensors(self.task.read("train", np.arange(min(8, self.task.num_examples("train"))))[0], self._torch_device)
        return self._tuning.head(inputs, precision=self._precision)

    @property
    def _features(self) -> Callable[[Any], Tensor] | None:
        """The function from inputs to those of the head; `None` where the whole module learns."""
        if not self._head or self._tuning is None:
            return None
        return partial(self._tuning.features, self._head, precision=self._precision)

    def _learning_part(self, module: nn.Module) -> nn.Module:
        """Return the part of the module, or of a copy of it, that examples are given to."""
        return module.get_submodule(self._head) if self._head else module

    @cached_property
    def _epoch_size(self) -> int:
        """Examples of the training and the validation split."""
        return len(self._train) + len(self._validation)

    @cached_property
    def _numbers(self) -> int:
        """Numbers in the inputs of one example; that of the first one."""
        return max(1, num_numbers(self.task.read("train", np.arange(1))[0]))

    @cached_property
    def _at_once(self) -> int:
        """Examples that are looked at in one call of the network."""
        return min(examples_at_once(self._numbers), max(self.config.batch_size, self._examples_a_step))

    @cached_property
    def _examples_a_step(self) -> int:
        """Examples that a step visits."""
        return examples_a_step(self._module, self._numbers, self._torch_device.type)

    def _chosen_metrics(self) -> Metrics | None:
        """Return the metrics of the config, with nothing added yet; `None` where it names none."""
        return Metrics(self.config.metrics, self.task.output_space) if self.config.metrics else None

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the indices of each batch; the order is fixed by the seed and the epoch's number."""
        if self._order[0] != epoch:
            order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(len(self._train))
            self._order = epoch, np.array_split(order, math.ceil(len(order) / (self.config.batch_size or len(order))))
        return self._order[1]

    _order: tuple[int, list[np.ndarray]] = (-1, [])

    def _parts(self, inputs: Batch) -> Iterator[Any]:
        """Yield inputs as tensors on the device, few enough for one call of the network."""
        count = batches.count(inputs)
        size = examples_at_once(math.ceil(num_numbers(inputs) / max(count, 1)))
        for start in range(0, max(count, 1), size):
            yield to_tensors(batches.take(inputs, slice(start, start + size)), self._torch_device)

    @torch.no_grad()
    def _forward(self, module: nn.Module, inputs: Any) -> Any:
        """Return outputs [B, ...], float32, without dropout and without moving any statistics."""
        module.eval()
        with torch.autocast(self._torch_device.type, self._precision, enabled=self._precision != torch.float32):
            return as_float(module(inputs))

    @torch.no_grad()
    def _answers(self, module: nn.Module, inputs: Any) -> Batch:
        """Return answers [B, ...] in the task's output space."""
        if not has_own_loss(module):
            return self._rule.answers(self._forward(module, inputs))
        module.eval()
        with torch.autocast(self._torch_device.type, self._precision, enabled=self._precision != torch.float32):
            return to_arrays(cast(OwnLoss, module).answers(inputs))
