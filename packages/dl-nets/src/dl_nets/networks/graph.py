"""Networks as a graph of layers: any number of named inputs and outputs, layers that read each other, weights that are shared.

A graph is data. Each layer has a name, a `kind`, and the names that it reads in `from`: inputs of the task, or other layers.

    network: graph
    network_config:
      layers:
        strokes: {from: left, kind: convolution, units: 16, activation: relu}
        others: {from: right, like: strokes}              # the same weights on another input
        both: {from: [strokes, others], kind: concat}
        code: {from: both, kind: dense, units: 64, activation: relu}
      outputs: {larger: code, sum: code}                  # what the last linear layer of each output reads

A task whose inputs are not a dict has one input, `input`; one whose answers are not a dict has one output, `output`. An output that is
not named reads the layer that no other layer reads. Without layers, the graph is a hidden layer for each input, and one that reads all.

Source: LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied to document recognition*, 1998, section IV.

Letters: B batch, D units, C channels, T steps, K numbers of an output.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from dl_nets.networks.embedding import vocabulary
from dl_nets.networks.graph_layers import KINDS, MERGES, Layer, layer_of, merged
from dl_nets.networks.initialisation import linear
from dl_nets.networks.spaces import Features, UnitScale, output_size
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
SINGLE_INPUT, SINGLE_OUTPUT = "input", "output"


@configclass
class GraphConfig:
    """The layers of a graph."""

    layers: Annotated[
        Mapping[str, Any], Doc(f"each layer by its name: {{from: name or list, kind: one of {', '.join(KINDS)}, ...}}, or {{from, like}}")
    ] = field(default_factory=dict)
    outputs: Annotated[Mapping[str, str], Doc("the layer that each output reads; without it, the layer that no other one reads")] = field(
        default_factory=dict
    )
    units: Annotated[Count, Doc("D of each hidden layer of the graph that is built where no layers are named")] = 64

    def __post_init__(self) -> None:
        layers_of(self)


def layers_of(config: GraphConfig) -> dict[str, Layer]:
    """Return the layers that a config names.

    Raises:
        ValueError: naming the layer, if one is not described as it must be.
    """
    found = {}
    for name, described in config.layers.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"layers names {name!r}; expected letters, digits, - and _, beginning with a letter")
        found[name] = layer_of(name, described)
    for name, layer in found.items():
        if layer.like and (layer.like not in found or found[layer.like].like or found[layer.like].kind in MERGES):
            raise ValueError(f"layer {name} is like {layer.like!r}; expected the name of a layer with weights of its own")
    return found


def ordered(layers: Mapping[str, Layer], inputs: tuple[str, ...]) -> list[str]:
    """Return the names of layers so that each comes behind all that it reads; the order does not depend on that of the config.

    Raises:
        ValueError: if a layer reads something unknown, or layers read each other in a circle.

    >>> ordered({"b": Layer(("a",), "flatten"), "a": Layer(("input",), "flatten")}, ("input",))
    ['a', 'b']
    """
    for name, layer in layers.items():
        if name in inputs:
            raise ValueError(f"layer {name} has the name of an input; rename it")
        if unknown := [source for source in layer.sources if source not in layers and source not in inputs]:
            raise ValueError(f"layer {name} reads {unknown[0]!r}; expected an input ({', '.join(inputs)}) or a layer ({', '.join(layers)})")
    done: list[str] = []
    waiting = sorted(layers)
    while waiting:
        ready = [name for name in waiting if all(s in inputs or s in done for s in (*layers[name].sources, *layers[name].shared))]
        if not ready:
            raise ValueError(f"layers {', '.join(waiting)} read each other in a circle; each must lead back to an input")
        done.append(ready[0])
        waiting.remove(ready[0])
    return done


class Graph(nn.Module):
    """The module that `GraphNetwork` builds: from inputs by name to outputs by name.

    Args:
        parts: Spaces of the inputs by name.
        layers: Layers by name, as `ordered` has them.
        answers: For each output the layer that it reads, and K.
        single: Whether inputs, and whether outputs, are one array instead of a dict.
        rng: Source of the first weights.
    """

    def __init__(
        self,
        parts: Mapping[str, Space[Any]],
        layers: Mapping[str, Layer],
        answers: Mapping[str, tuple[str, int]],
        single: tuple[bool, bool],
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self._single_input, self._single_output = single
        self._names, self._layers = tuple(parts), dict(layers)
        self.inputs = nn.ModuleDict({name: reader(space) for name, space in parts.items()})
        values = {name: self.inputs[name](torch.zeros(1, *shape_of(space))) for name, space in parts.items()}
        self.layers = nn.ModuleDict()
        for name, layer in layers.items():
            given = [values[source] for source in layer.sources]
            if not layer.like and layer.kind not in MERGES:
                read = parts.get(layer.sources[0])
                try:
                    self.layers[name] = layer.build(name, given[0], None if read is None else vocabulary(read), rng)
                    self.layers[name].eval()  # so that the pass of zeros moves no statistics
                except KeyError as error:  # the name of a method of torch's container
                    raise ValueError(f"a layer is called {name!r}, which torch keeps for itself; rename it") from error
            with torch.no_grad():
                values[name] = self._value(name, given)
        self.train()
        self._answers = {name: source for name, (source, _) in answers.items()}
        for name, (source, _) in answers.items():
            if not values[source].is_floating_point():
                raise ValueError(f"output {name} reads the tokens {source}; put a layer of kind embedding between")
        self.outputs = nn.ModuleDict({name: linear(values[source][0].numel(), size, rng) for name, (source, size) in answers.items()})

    def forward(self, inputs: Any) -> Any:
        """Return outputs [B, K] by name of inputs [B, ...] by name."""
        given = {SINGLE_INPUT: inputs} if self._single_input else inputs
        values: dict[str, Tensor] = {name: self.inputs[name](given[name]) for name in self._names}
        for name, layer in self._layers.items():
            values[name] = self._value(name, [values[source] for source in layer.sources])
        outputs = {name: self.outputs[name](values[source].flatten(1)) for name, source in self._answers.items()}
        return outputs[SINGLE_OUTPUT] if self._single_output else outputs

    def _value(self, name: str, given: list[Tensor]) -> Tensor:
        layer = self._layers[name]
        if layer.kind in MERGES:
            if unfit := [source for source, value in zip(layer.sources, given, strict=True) if not value.is_floating_point()]:
                raise ValueError(f"layer {name} reads the tokens {unfit[0]}; put a layer of kind embedding between")
            return merged(name, layer.kind, given)
        try:
            value: Tensor = self.layers[layer.like or name](given[0])
        except RuntimeError as error:  # sizes that do not fit, which show in the first pass, when the graph is built
            shape = list(given[0].shape[1:])
            raise ValueError(
                f"layer {name} cannot read {layer.sources[0]}, whose shape is {shape}: {str(error).splitlines()[0]}"
            ) from error
        return value


class GraphNetwork(Network):
    """Builder of graphs of layers for inputs of any plain space, or dicts of them."""

    Config: ClassVar[type] = GraphConfig
    config: GraphConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Graph:
        """Build a graph from inputs, or a dict of them, to outputs [B, K], or a dict of them."""
        dict_inputs, dict_outputs = isinstance(input_space, spaces.Dict), isinstance(output_space, spaces.Dict)
        parts = dict(input_space.spaces) if isinstance(input_space, spaces.Dict) else {SINGLE_INPUT: input_space}
        wanted = dict(output_space.spaces) if isinstance(output_space, spaces.Dict) else {SINGLE_OUTPUT: output_space}
        for name in (*parts, *wanted):
            if not NAME.fullmatch(str(name)):
                raise ValueError(f"an input or output is called {name!r}; expected letters, digits, - and _, beginning with a letter")
        layers = layers_of(self.config) or default_layers(parts, self.config.units)
        names = ordered(layers, tuple(parts))
        if unknown := sorted(set(self.config.outputs) - set(wanted)):
            raise ValueError(f"outputs names {unknown[0]!r}, which the task does not ask for; its outputs are {', '.join(wanted)}")
        if unread := sorted(
            set(parts) - {source for layer in layers.values() for source in layer.sources} - set(self.config.outputs.values())
        ):
            raise ValueError(f"no layer reads the input {', '.join(unread)}; name it in the `from` of a layer")
        answers = {name: (self._source(name, layers, parts), output_size(space)) for name, space in wanted.items()}
        return Graph(parts, {name: layers[name] for name in names}, answers, (not dict_inputs, not dict_outputs), rng)

    def _source(self, output: str, layers: Mapping[str, Layer], parts: Mapping[str, Any]) -> str:
        """Return the layer that an output reads."""
        named = self.config.outputs.get(output)
        if named is not None:
            if named not in layers and named not in parts:
                raise ValueError(f"output {output} reads {named!r}; expected one of {', '.join((*parts, *layers))}")
            return named
        read = {source for layer in layers.values() for source in layer.sources}
        last = [name for name in layers if name not in read]
        if len(last) != 1:
            raise ValueError(
                f"outputs does not say what {output} reads, and the graph ends in {', '.join(last)}; write outputs: {{{output}: layer}}"
            )
        return last[0]


def reader(space: Space[Any]) -> nn.Module:
    """Return the layer from an input to numbers: images to [B, C, H, W], sequences [B, T, D] and tokens [B, T] as they are, others [B, D].

    Raises:
        ValueError: if it is not a plain space.
    """
    if vocabulary(space) is not None:
        return TokensAsGiven()
    if isinstance(space, spaces.Box) and len(space.shape) in (2, 3):
        return nn.Sequential(UnitScale(space), ChannelsFirst()) if len(space.shape) == 3 else UnitScale(space)
    return Features(space)


def shape_of(space: Space[Any]) -> tuple[int, ...]:
    """Return the shape of one input of a plain space."""
    return tuple(space.shape or ())


class TokensAsGiven(nn.Module):
    """Tokens [B, T], int64."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the same tokens."""
        return tokens.long()


class ChannelsFirst(nn.Module):
    """Images [B, H, W, C] as [B, C, H, W]."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the same images."""
        return images.permute(0, 3, 1, 2)


def default_layers(parts: Mapping[str, Space[Any]], units: int) -> dict[str, Layer]:
    """Return a hidden layer for each input, tokens as vectors before it, and one that reads them all."""
    layers, codes = {}, []
    for name, space in parts.items():
        source, code = name, f"{name}-code"
        if vocabulary(space) is not None:
            source = f"{name}-vectors"
            layers[source] = Layer((name,), "embedding", {"units": max(4, math.isqrt(units))})
        layers[code] = Layer((source,), "dense", {"units": units, "activation": "relu"})
        codes.append(code)
    layers["joined"] = Layer(tuple(codes), "concat") if len(codes) > 1 else Layer(tuple(codes), "flatten")
    layers["hidden"] = Layer(("joined",), "dense", {"units": units, "activation": "relu"})
    return layers
