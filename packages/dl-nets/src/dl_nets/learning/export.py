"""Export of trained modules to files that other programs run or read.

| format | file | read by |
|---|---|---|
| `onnx` | a graph with its weights | ONNX Runtime and many others; needs the extra `dl-nets[onnx]` to write |
| `torch-export` | a graph with its weights | `torch.export.load(path).module()`, without this package; name it .pt2 |
| `state-dict` | weights by name, safetensors | `safetensors.torch.load_file`, for a module of the same shape |

A graph has the run's inputs as the task has them, batches of any size first, and returns the answers in the task's output space; what is
before and after the network (scaling, normalisation, the choice among actions) is part of it. Inputs of several parts are arguments by
the names of the parts, and so are answers. What a graph computes, with the types and shapes of its inputs and outputs, is what `write`
returns, for the user and for a file beside the graph. A module that no graph can hold says why in an attribute `no_graph`; ONNX can hold
some of these, for one example at a time: see `Recorded`.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning.losses import TargetRule, as_float
from dl_nets.learning.several_outputs import PartTargets
from rl_core.network import OwnLoss

FORMATS = ("onnx", "torch-export", "state-dict")
EXAMPLES = 3  # of the batch that is followed; neither 0 nor 1, which torch takes for fixed sizes
ANSWERS = "answers in the task's output space"


class Exportable(NamedTuple):
    """A module in the form in which it is exported.

    Attributes:
        graph: From inputs, by position, to a tuple of outputs.
        network: Module whose weights a `state-dict` holds.
        inputs: An example of each input by name, a batch of `EXAMPLES`.
        outputs: What each output is, in words, by name.
    """

    graph: nn.Module
    network: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, str]

    def write(self, form: str, out: Path) -> dict[str, Any]:
        """Write it to a file; see `write` of this module."""
        return write(self, form, out)


@runtime_checkable
class Traced(Protocol):
    """A module that brings its own answers, in a form that an exporter can follow, where `answers` itself is not one.

    Attributes:
        traced_outputs: What each output of the graph is, in words, by name; the answers first.
    """

    traced_outputs: Mapping[str, str]

    def traced_answers(self, inputs: Any) -> Tensor | tuple[Tensor, ...]:
        """Return the outputs [B, ...] by steps that do not depend on the numbers in the inputs."""


@runtime_checkable
class Recorded(Protocol):
    """A module with `no_graph` that ONNX holds nevertheless, since its exporter can record the steps on one example.

    Attributes:
        recorded_outputs: What each output is, in words, by name; how many rows they have differs from example to example.
    """

    recorded_outputs: Mapping[str, str]

    def recorded_answers(self, inputs: Any) -> tuple[Tensor, ...]:
        """Return the outputs [n, ...] of one example [1, ...]."""


class Recording(nn.Module):
    """A network whose steps are recorded on one example.

    Args:
        network: It is `Recorded`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any) -> tuple[Tensor, ...]:
        """Return the outputs [n, ...] of one example [1, ...]."""
        assert isinstance(self.network, Recorded)
        return self.network.recorded_answers(inputs)


class Answering(nn.Module):
    """A network followed by the rule that turns its outputs into answers.

    Args:
        network: From inputs to outputs.
        rule: Rule of the output space.
    """

    def __init__(self, network: nn.Module, rule: TargetRule) -> None:
        super().__init__()
        self.network = network
        self._rule = rule

    def forward(self, inputs: Any) -> tuple[Tensor, ...]:
        """Return answers [B, ...] and the network's outputs [B, ...]; of several parts, the answers of all and then their outputs."""
        outputs = as_float(self.network(inputs))
        found = self._rule.traced_answers(outputs), outputs
        return tuple(value for each in found for value in (each.values() if isinstance(each, Mapping) else (each,)))


class OwnAnswers(nn.Module):
    """A network that brings its own answers.

    Args:
        network: A module with `answers`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any) -> tuple[Tensor, ...]:
        """Return answers [B, ...], and what else the network's `traced_outputs` names."""
        answer: Any = self.network.traced_answers if isinstance(self.network, Traced) else self.network.answers
        found = answer(inputs)
        return found if isinstance(found, tuple) else (found,)


class ByPosition(nn.Module):
    """A graph of inputs by name as one of inputs by position, in the order of their names.

    Args:
        graph: From {name: inputs [B, ...]} to a tuple of outputs.
        names: Of the inputs.
    """

    def __init__(self, graph: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.answering = graph  # torch's own graphs have an attribute graph
        self._names = names

    def forward(self, *inputs: Tensor) -> Any:
        """Return the outputs of the graph."""
        return self.answering(dict(zip(self._names, inputs, strict=True)))


def example(space: gymnasium.Space[Any], count: int = EXAMPLES) -> Tensor:
    """Return `count` inputs of a space as a tensor: zeros, or the lowest values where 0 is outside.

    Raises:
        ValueError: if inputs of the space are not one array.

    >>> example(spaces.Discrete(3, start=1)), example(spaces.Box(0, 255, (2,), "uint8"), 1)
    (tensor([1, 1, 1]), tensor([[0, 0]], dtype=torch.uint8))
    """
    if isinstance(space, spaces.Discrete):
        return torch.full((count,), int(space.start))
    if not isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete) or space.shape is None or space.dtype is None:
        raise ValueError(f"inputs are {space}; a graph is exported for inputs that are one array; export the format state-dict instead")
    return torch.zeros(count, *space.shape, dtype=getattr(torch, space.dtype.name))


def exportable(network: nn.Module, rule: TargetRule, space: gymnasium.Space[Any]) -> Exportable:
    """Return a trained network with the rule of its output space, ready for export.

    Args:
        network: As `supervised` trained it.
        rule: Rule of the output space.
        space: Space of the inputs.
    """
    own = isinstance(network, OwnLoss)
    graph: nn.Module = OwnAnswers(network) if own else Answering(network, rule)
    words = {"answers": ANSWERS} if own else {"answers": ANSWERS, "outputs": "what the network gives, of which the answers are made"}
    if isinstance(network, Traced):
        words = dict(network.traced_outputs)
    if isinstance(rule, PartTargets):
        words = {f"{name}.{part}": text for name, text in words.items() for part in rule.names}
    if not isinstance(space, spaces.Dict):
        return Exportable(graph, network, {"inputs": example(space)}, words)
    inputs = {name: example(part) for name, part in space.spaces.items()}
    return Exportable(ByPosition(graph, list(inputs)), network, inputs, words)


def write(made: Exportable, form: str, out: Path) -> dict[str, Any]:
    """Write a module to the file `out`, and return what the file holds, as JSON has it; the module is left as it was.

    Args:
        made: What to export.
        form: One of `FORMATS`.
        out: File to write.

    Raises:
        ValueError: if the extra for ONNX is not installed, or torch cannot follow the module.
    """
    about: dict[str, Any] = {"format": form, "network": type(made.network).__name__}
    if form == "state-dict":
        from safetensors.torch import save_file

        # Parameters may be views of one vector, which the format does not hold: each is written on its own.
        weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in made.network.state_dict().items()}
        save_file(weights, out)
        return {**about, "weights": {name: _described(tensor) for name, tensor in weights.items()}}
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if form == "onnx" and missing:
        raise ValueError(f"the format onnx needs {' and '.join(missing)}, not installed here; install them: pip install 'dl-nets[onnx]'")
    modes = [(module, module.training) for module in made.graph.modules()]
    if form == "onnx" and isinstance(made.network, Recorded):
        about |= _write_recorded(made.network, dict(made.inputs), out)
        for module, mode in modes:
            module.training = mode
        return about
    program = _followed(made)
    for module, mode in modes:
        module.training = mode
    given = [
        node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    (results,) = (node.args[0] for node in program.graph.nodes if node.op == "output")
    found = [node.meta["val"] for node in results[-len(made.outputs) :]]  # before them are buffers that the graph changes
    about["inputs"] = {name: _described(value) for name, value in zip(made.inputs, given, strict=True)}
    about["outputs"] = {name: {**_described(value), "is": text} for (name, text), value in zip(made.outputs.items(), found, strict=True)}
    if form == "torch-export":
        graph = io.BytesIO()  # a path would have to end in .pt2
        with _quiet():
            torch.export.save(program, graph)
        out.write_bytes(graph.getvalue())
        return about
    with _quiet():
        onnx = torch.onnx.export(program, input_names=list(made.inputs), output_names=list(made.outputs), dynamo=True, verbose=False)
        assert onnx is not None
        onnx.save(str(out))
    return about


def _write_recorded(network: Any, inputs: dict[str, Tensor], out: Path) -> dict[str, Any]:
    """Write the steps of a network on one example as ONNX; return inputs and outputs as JSON has them."""
    graph, one = Recording(network).eval(), {name: value[:1] for name, value in inputs.items()}
    words: Mapping[str, str] = network.recorded_outputs
    rows = {name: {0: "found"} for name in words}
    with _quiet(), torch.no_grad():
        found = graph(*one.values())
        torch.onnx.export(
            graph, tuple(one.values()), str(out), input_names=list(one), output_names=list(words), dynamic_axes=rows, dynamo=False
        )
    outputs = {
        name: {"type": str(value.dtype).removeprefix("torch."), "shape": ["found", *value.shape[1:]], "is": text}
        for (name, text), value in zip(words.items(), found, strict=True)
    }
    return {"inputs": {name: {**_described(value), "shape": list(value.shape)} for name, value in one.items()}, "outputs": outputs}


def _described(tensor: Tensor) -> dict[str, Any]:
    """Return the type and the shape of a tensor, in which the size of a batch has a name."""
    return {
        "type": str(tensor.dtype).removeprefix("torch."),
        "shape": [size if isinstance(size, int) else "batch" for size in tensor.shape],
    }


def _followed(made: Exportable) -> torch.export.ExportedProgram:
    """Return the graph of a module for batches of any size.

    Raises:
        ValueError: if its steps depend on the numbers in its inputs, so that no graph has them.
    """
    reason: str = getattr(made.network, "no_graph", "")
    if reason:
        others = "onnx or state-dict" if isinstance(made.network, Recorded) else "state-dict"
        raise ValueError(f"{type(made.network).__name__} cannot be exported as a graph: {reason}; export the format {others} instead")
    batch = torch.export.Dim("batch", min=1)
    sizes: Any = tuple({0: batch} for _ in made.inputs)
    if isinstance(made.graph, ByPosition):  # all of them are one argument, *inputs
        sizes = (sizes,)
    with _quiet(), torch.no_grad():  # a module that turns gradients off for a part would leave a file that torch cannot read
        try:
            return torch.export.export(made.graph.eval(), tuple(made.inputs.values()), dynamic_shapes=sizes)
        except Exception as error:  # of many kinds: torch raises its own for each thing that it cannot follow
            name = type(made.network).__name__
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ValueError(f"{name} cannot be exported as a graph ({first}); export the format state-dict instead") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes on their own progress from the user, and those of triton, which prints a page when the process ends.

    torch imports triton for GPUs; without one it is not found for the time of the export.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "torch.utils.flop_counter")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    hidden = "triton" not in sys.modules and not torch.cuda.is_available()
    if hidden:
        sys.modules["triton"] = None  # type: ignore[assignment]  # what an import of it then finds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if hidden:
            sys.modules.pop("triton", None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
