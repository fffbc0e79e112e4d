"""Learning on from saved weights: frozen layers, slower loaded layers, gradual unfreezing, and features that are computed once.

Sources: separate learning rates and gradual unfreezing, Howard and Ruder, *Universal language model fine-tuning for text
classification*, 2018, sections 3.2 and 3.3; frozen statistics of batch normalisation in frozen layers, as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from dl_nets.learning.losses import as_float
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.transfer import layers, tensors

Make = Callable[[list[nn.Parameter]], Optimiser]
"""A maker of an optimiser of some parameters."""


class Groups:
    """Several optimisers as one: each moves a group of parameters at a learning rate of its own, from an epoch of its own on.

    Args:
        parts: Optimiser, factor of the learning rate, and first epoch of each group.

    Attributes:
        epoch: The present epoch; groups that begin later are left as they are.
    """

    def __init__(self, parts: list[tuple[Optimiser, float, int]]) -> None:
        self._parts = parts
        self.epoch = 0
        self._rate = parts[0][0].learning_rate

    @property
    def learning_rate(self) -> float:
        """Learning rate of the groups whose factor is 1."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._rate = rate
        for optimiser, factor, _ in self._parts:
            optimiser.learning_rate = rate * factor

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        for optimiser, _, _ in self._parts:
            optimiser.zero_grad()

    def step(self) -> None:
        """Move every group that has begun."""
        for optimiser, _, first in self._parts:
            if self.epoch >= first:
                optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each optimiser."""
        return {"learning_rate": self._rate, "parts": [optimiser.state_dict() for optimiser, _, _ in self._parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._rate = float(state["learning_rate"])
        for (optimiser, _, _), part in zip(self._parts, state["parts"], strict=True):
            optimiser.load_state_dict(part)


class FineTuning:
    """The course of learning on from saved weights.

    Args:
        module: Its frozen parameters need no gradient; `module.loaded` names its loaded tensors.
        loaded_rate: Factor of the learning rate of loaded layers, >= 0.
        unfreeze_every: Epochs after which one more frozen layer is learned, the last one first; 0 for never.

    Attributes:
        frozen: Names of the layers that are frozen at the beginning, from the input on.
    """

    def __init__(self, module: nn.Module, loaded_rate: float, unfreeze_every: int) -> None:
        self._module = module
        loaded: frozenset[str] = getattr(module, "loaded", frozenset())
        found = layers(module)
        self.frozen = [name for name, part in found if not any(p.requires_grad for p in part.parameters(recurse=False))]
        self._first: dict[str, int] = {}
        if unfreeze_every:
            self._first = {name: number * unfreeze_every for number, name in enumerate(reversed(self.frozen), start=1)}
        self._rates = {name: loaded_rate if tensors(name, part) & loaded else 1.0 for name, part in found}

    @property
    def is_plain(self) -> bool:
        """True if one optimiser of all that is not frozen is enough."""
        return not self._first and set(self._rates.values()) == {1.0}

    def optimiser(self, make: Make) -> Groups:
        """Return the optimiser of all groups: parameters of one rate and one first epoch together."""
        groups: dict[tuple[float, int], list[nn.Parameter]] = {}
        for name, part in layers(self._module):
            for parameter in part.parameters(recurse=False):
                first = self._first.get(name, 0)
                if parameter.requires_grad or first:
                    parameter.requires_grad_(True)
                    groups.setdefault((self._rates[name], first), []).append(parameter)
        made = Groups([(make(parameters), rate, first) for (rate, first), parameters in groups.items()])
        self.enter(0)
        return made

    def enter(self, epoch: int) -> None:
        """Let learn what is learned in an epoch: frozen layers need no gradient, and behave as in an evaluation."""
        for name, part in layers(self._module):
            if name in self.frozen:
                learned = name in self._first and epoch >= self._first[name]
                for parameter in part.parameters(recurse=False):
                    parameter.requires_grad_(learned)
        self._set_modes()

    def head(self, inputs: Any, *, precision: torch.dtype) -> str:
        """Return the name of the part that all learning is in, if everything before it stays as it is; or "" without one.

        Its input for each example can then be computed once.

        Args:
            inputs: A batch to try it with.
            precision: As the module computes.
        """
        learned = [name.split(".")[:-1] for name, parameter in self._module.named_parameters() if parameter.requires_grad]
        if self._first or not self.frozen or not learned:
            return ""
        shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*learned, strict=False))
        name = ".".join(parts[0] for parts in shared)
        if not name:
            return ""
        seen: list[tuple[Any, Any]] = []
        with torch.no_grad(), _recorded(self._module.get_submodule(name), seen):
            outputs = evaluated(self._module, inputs, precision)
        single = len(seen) == 1 and len(seen[0][0]) == 1 and isinstance(seen[0][0][0], Tensor) and isinstance(outputs, Tensor)
        return name if single and torch.equal(as_float(seen[0][1]), outputs) else ""

    def features(self, name: str, inputs: Any, *, precision: torch.dtype) -> Tensor:
        """Return the inputs [B, ...] of the part of that name for inputs [B, ...] of the module."""
        seen: list[tuple[Any, Any]] = []
        with torch.no_grad(), _recorded(self._module.get_submodule(name), seen):
            evaluated(self._module, inputs, precision)
        self._set_modes()
        features: Tensor = as_float(seen[0][0][0])
        return features

    def _set_modes(self) -> None:
        self._module.train()
        for part in self._module.modules():
            parameters = list(part.parameters())
            part.training = not parameters or any(parameter.requires_grad for parameter in parameters)
        for part in self._module.modules():  # dropout and the like between frozen layers
            if not part.training:
                part.eval()


def evaluated(module: nn.Module, inputs: Any, precision: torch.dtype) -> Any:
    """Return a module's outputs as in an evaluation, float32."""
    module.eval()
    device = next(module.parameters()).device.type
    with torch.autocast(device, precision, enabled=precision != torch.float32):
        return as_float(module(inputs))


class _recorded:
    """A context in which the inputs and outputs of a module are appended to a list."""

    def __init__(self, module: nn.Module, seen: list[tuple[Any, Any]]) -> None:
        self._module, self._seen = module, seen

    def __enter__(self) -> None:
        self._handle = self._module.register_forward_hook(lambda _, inputs, outputs: self._seen.append((inputs, outputs)))

    def __exit__(self, *error: object) -> None:
        self._handle.remove()
