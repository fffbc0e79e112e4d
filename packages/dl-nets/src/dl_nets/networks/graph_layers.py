"""The kinds of layers of a graph: their settings, and the modules that they are."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.networks.cells import CellName, Cells
from dl_nets.networks.embedding import token_vectors
from dl_nets.networks.hidden import BatchNorm
from dl_nets.networks.initialisation import conv2d, linear
from dl_nets.networks.layers import Activation, Dropout, activation

MERGES = ("concat", "add", "multiply")
SETTINGS: dict[str, dict[str, tuple[type, Any]]] = {
    "dense": {"units": (int, 64), "activation": (str, "identity"), "batch_norm": (bool, False), "dropout": (float, 0.0)},
    "convolution": {
        "units": (int, 16), "kernel": (int, 3), "stride": (int, 1), "padding": (int, -1), "activation": (str, "identity"),
        "batch_norm": (bool, False),
    },
    "pool": {"size": (int, 2), "average": (bool, False)},
    "recurrent": {"units": (int, 64), "cell": (str, "gru"), "bidirectional": (bool, False), "steps": (str, "last")},
    "embedding": {"units": (int, 16)},
    "activation": {"function": (str, "relu")},
    "dropout": {"rate": (float, 0.5)},
    "batch-norm": {},
    "layer-norm": {},
    "flatten": {},
    "concat": {},
    "add": {},
    "multiply": {},
}  # fmt: skip
"""Settings of each kind: type and default. `padding` -1 is half of the kernel; `steps` of a recurrent layer is last or all."""

KINDS = tuple(SETTINGS)


@dataclass(frozen=True)
class Layer:
    """One layer as a config describes it.

    Attributes:
        sources: Names of what it reads.
        kind: One of `KINDS`; "" for a layer that is like another one.
        settings: Settings of the kind.
        like: Name of the layer whose weights it shares, or "".
    """

    sources: tuple[str, ...]
    kind: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    like: str = ""

    @property
    def shared(self) -> tuple[str, ...]:
        """The layer whose weights it shares, if any."""
        return (self.like,) if self.like else ()

    def build(self, name: str, value: Tensor, tokens: int | None, rng: np.random.Generator) -> nn.Module:
        """Return the module.

        Args:
            name: Of the layer, for errors.
            value: What it reads, for one example [1, ...].
            tokens: V, where it reads an input of tokens.
            rng: Source of the first weights.

        Raises:
            ValueError: if the layer cannot read a value of that shape.
        """
        settings = {key: default for key, (_, default) in SETTINGS[self.kind].items()} | dict(self.settings)
        axes, shape = _AXES.get(self.kind), list(value.shape[1:])
        if (tokens is None) == (self.kind == "embedding"):
            other = "numbers; only an input of tokens has vectors" if tokens is None else "tokens; put a layer of kind embedding between"
            raise ValueError(f"layer {name} is of kind {self.kind}, but {self.sources[0]} gives {other}")
        if tokens is not None:
            return nn.Sequential(token_vectors(tokens, settings["units"], rng, 1.0))
        if axes is not None and len(shape) != axes[0]:
            raise ValueError(f"layer {name} is a {self.kind}, which reads {axes[1]}, but {self.sources[0]} has the shape {shape}")
        return nn.Sequential(*_BUILD[self.kind](value, settings, rng))


def layer_of(name: str, described: Any) -> Layer:
    """Return a layer as a config describes it.

    Raises:
        ValueError: naming the layer and the setting that is not as it must be.

    >>> layer_of("code", {"from": "image", "kind": "dense", "units": 8})
    Layer(sources=('image',), kind='dense', settings={'units': 8}, like='')
    """
    if not isinstance(described, Mapping):
        raise ValueError(f"layer {name} is {described!r}; expected {{from: ..., kind: ...}}")
    rest = dict(described)
    given, kind, like = rest.pop("from", None), rest.pop("kind", ""), rest.pop("like", "")
    sources = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else ()
    if not sources or not all(isinstance(source, str) for source in sources):
        raise ValueError(f"layer {name} has from = {given!r}; expected the name of an input or layer, or a list of them")
    if like:
        if kind or rest:
            raise ValueError(
                f"layer {name} is like {like!r} and also has {', '.join(filter(None, (kind and 'kind', *rest)))}; leave that out"
            )
    elif kind not in SETTINGS:
        raise ValueError(f"layer {name} has the kind {kind!r}; expected {', '.join(KINDS)}")
    if kind not in MERGES and len(sources) > 1:
        raise ValueError(
            f"layer {name} reads {', '.join(sources)}; only {', '.join(MERGES)} read several: put a layer of kind concat before it"
        )
    if kind in MERGES and len(sources) < 2:
        raise ValueError(f"layer {name} is a {kind} of {sources[0]} alone; name two or more in its `from`")
    for key, value in rest.items():
        _check(name, kind, key, value)
    return Layer(sources, kind, rest, like)


def merged(name: str, kind: str, values: list[Tensor]) -> Tensor:
    """Return several values as one: added, multiplied, or joined along units, channels or the numbers of steps.

    Raises:
        ValueError: naming the layer, if their shapes do not fit.

    >>> merged("both", "concat", [torch.ones(1, 2), torch.zeros(1, 1)]).tolist()
    [[1.0, 1.0, 0.0]]
    """
    axis = 1 if values[0].ndim == 4 else -1
    shapes = [list(value.shape[1:]) for value in values]
    try:
        return torch.cat(values, dim=axis) if kind == "concat" else reduce(torch.add if kind == "add" else torch.mul, values)
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"layer {name} cannot {kind} the shapes {shapes}; let them differ in one axis at most, or flatten them") from error


def _check(name: str, kind: str, key: str, value: Any) -> None:
    """Check one setting of a layer."""
    known = SETTINGS[kind]
    if key not in known:
        close = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known) or 'no settings'}"
        raise ValueError(f"layer {name} of kind {kind} has no setting {key!r}; {hint}")
    wanted, _ = known[key]
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if not fits:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise ValueError(f"layer {name} has {key} = {value!r}; expected {words[wanted]}")
    choices = {"activation": get_args(Activation), "function": get_args(Activation), "cell": get_args(CellName), "steps": ("last", "all")}
    if key in choices and value not in choices[key]:
        raise ValueError(f"layer {name} has {key} = {value!r}; expected {', '.join(choices[key])}")
    if wanted is int and value < (0 if key == "padding" else 1):
        raise ValueError(f"layer {name} has {key} = {value}; it must be >= {0 if key == 'padding' else 1}")
    if wanted is float and not 0 <= value < 1:
        raise ValueError(f"layer {name} has {key} = {value}; it must be in [0, 1)")


class Steps(nn.Module):
    """A recurrence over sequences [B, T, D]: what its units have read at the end [B, D], or the outputs of each step [B, T, D].

    Args:
        size: Numbers of a step.
        settings: Settings of the kind `recurrent`.
        rng: Source of the first weights.
    """

    def __init__(self, size: int, settings: Mapping[str, Any], rng: np.random.Generator) -> None:
        super().__init__()
        self.cells = Cells(settings["cell"], size, settings["units"], 1, rng, bidirectional=settings["bidirectional"])
        self._both, self._last, self._units = settings["bidirectional"], settings["steps"] == "last", settings["units"]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs of sequences [B, T, D]."""
        vectors = inputs.transpose(0, 1).contiguous()
        marks = torch.zeros(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        if self._both:
            marks[-1] = True
            hidden = self.cells.both_ways(vectors, marks)
            last = torch.cat([hidden[-1, :, : self._units], hidden[0, :, self._units :]], dim=1)
        else:
            hidden, _ = self.cells(vectors, vectors.new_zeros(vectors.shape[1], self.cells.state_size), marks)
            last = hidden[-1]
        return last if self._last else hidden.transpose(0, 1)


def _dense(value: Tensor, settings: Mapping[str, Any], rng: np.random.Generator) -> list[nn.Module]:
    modules: list[nn.Module] = [nn.Flatten()] if value.ndim > 2 else []
    modules.append(linear(value[0].numel(), settings["units"], rng, gain=_gain(settings["activation"])))
    modules += [BatchNorm(settings["units"])] if settings["batch_norm"] else []
    modules += [activation(settings["activation"])] if settings["activation"] != "identity" else []
    return modules + ([Dropout(settings["dropout"], rng)] if settings["dropout"] else [])


def _convolution(value: Tensor, settings: Mapping[str, Any], rng: np.random.Generator) -> list[nn.Module]:
    units, kernel, padding = settings["units"], settings["kernel"], settings["padding"]
    padding = kernel // 2 if padding < 0 else padding
    gain = _gain(settings["activation"])
    modules: list[nn.Module] = [conv2d(value.shape[1], units, kernel, rng, stride=settings["stride"], padding=padding, gain=gain)]
    modules += [nn.BatchNorm2d(units)] if settings["batch_norm"] else []
    return modules + ([activation(settings["activation"])] if settings["activation"] != "identity" else [])


def _gain(name: str) -> float:
    """Return the scale of first weights in front of an activation."""
    return 1.0 if name == "identity" else math.sqrt(2.0)


_AXES = {
    "convolution": (3, "images"),
    "pool": (3, "images"),
    "recurrent": (2, "sequences"),
}
_BUILD: dict[str, Callable[[Tensor, Mapping[str, Any], np.random.Generator], list[nn.Module]]] = {
    "dense": _dense,
    "convolution": _convolution,
    "pool": lambda _, settings, __: [(nn.AvgPool2d if settings["average"] else nn.MaxPool2d)(settings["size"])],
    "recurrent": lambda value, settings, rng: [Steps(value.shape[2], settings, rng)],
    "activation": lambda _, settings, __: [activation(settings["function"])],
    "dropout": lambda _, settings, rng: [Dropout(settings["rate"], rng)],
    "batch-norm": lambda value, _, __: [nn.BatchNorm2d(value.shape[1]) if value.ndim == 4 else BatchNorm(value.shape[-1])],
    "layer-norm": lambda value, _, __: [nn.LayerNorm(list(value.shape[1:]))],
    "flatten": lambda _, __, ___: [nn.Flatten()],
}
