"""Networks that start from saved weights: `--set network.from=PATH`, for any agent, `ppo` as well as `supervised`.

PATH is a run of this project, a `.safetensors` file, a `.pt` or `.pth` file of a `state_dict` (torchvision's, for one), or a folder with
`model.safetensors` or `pytorch_model.bin`, as Hugging Face's `save_pretrained` writes. No code in a file is run.

Weights are matched by name and shape, whatever prefix the names have in the file. What does not fit keeps its first weights: usually the
head, whose outputs are those of another task. `--set network.head=new` keeps the first weights of the last layer in any case.
`--set network.freeze=` names what is not learned: `all` (all that was loaded, never the last layer), a number of layers from the input
on, or names of layers, with `*`, separated by commas.

Source: Yosinski, Clune, Bengio and Lipson, *How transferable are features in deep neural networks?*, 2014.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from dl_nets.learning.weight_files import read_tensors
from rl_core import documents
from rl_core.errors import RequestError
from rl_core.network import Network
from rl_core.runs import checkpoint

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
DEPTH = 4  # components at most of a prefix that names in a file may have
NOT_LEARNED = ("_extra_state", "num_batches_tracked")


class Pretrained(Network):
    """A network whose modules start from saved weights.

    Args:
        network: Builds the modules.
        source: Path of the weights.
        freeze: The layers that are not learned; see the module's text.
        head: "auto" keeps a last layer that fits, "new" gives it first weights.
        optional: Whether the source may be missing, since the weights of a checkpoint follow.

    Attributes:
        notes: Sentences about what was loaded, for the user.
    """

    def __init__(self, network: Network, source: Path, *, freeze: str = "", head: str = "auto", optional: bool = False) -> None:
        super().__init__(network.config)
        if head not in ("auto", "new"):
            raise RequestError(f"network.head is {head!r}; it must be auto or new", "leave it out, or write --set network.head=new")
        self._network, self._source, self._freeze, self._head = network, source, freeze, head
        self._missing = optional and not source.exists()
        self.notes: list[str] = []
        self.__dict__.update(stateful=network.stateful, own_loss=network.own_loss)  # as the network has them

    @staticmethod
    def network_of(source: Path) -> tuple[str, dict[str, Any]] | None:
        """Return the name and the settings of the network that a source was saved from; `None` where it does not say so.

        Raises:
            RequestError: if the recipe of a run cannot be read.
        """
        if (source / "recipe.yaml").exists():
            recipe = documents.read(source / "recipe.yaml")
            name, settings = recipe.get("network"), dict(recipe.get("network_config") or {})
            return (name, {key: value for key, value in settings.items() if key not in ("from", "freeze", "head")}) if name else None
        if (source / "config.json").exists():
            return "hugging-face", {"folder": str(source)}
        return None

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> nn.Module:
        """Build a module and start it from the saved weights."""
        return self._started(self._network.build(input_space, output_space, rng))

    def build_stepped(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> nn.Module:
        """Build a module that is stepped through time, and start it from the saved weights."""
        return self._started(self._network.build_stepped(input_space, output_space, rng))

    def _started(self, module: nn.Module) -> nn.Module:
        if self._missing:
            self._note(f"{str(self._source)!r} is gone; the weights are those of the checkpoint")
            loaded = frozenset(name for name, _ in module.named_parameters())
        else:
            given = read_weights(self._source)
            found = matched(module.state_dict(), given)
            if self._head == "new":
                head = tensors(*layers(module)[-1])
                found = {name: value for name, value in found.items() if name not in head}
            if not found:
                raise RequestError(
                    f"none of the {len(given)} tensors of {str(self._source)!r} fits this network in name and shape",
                    f"take the network that they were saved from; they begin with {', '.join(list(given)[:3])}",
                )
            module.load_state_dict(found, strict=False)
            loaded = frozenset(found)
            self._note(f"{len(found)} tensors start from {str(self._source)!r}")
            if new := [name for name in module.state_dict() if name not in loaded and not name.endswith(NOT_LEARNED)]:
                self._note(f"not loaded, with first weights: {', '.join(described(name, module, given) for name in new)}")
        module.loaded = loaded  # type: ignore[assignment]  # names of tensors, for learners that treat loaded layers in a way of their own
        if self._freeze:
            frozen = freeze(module, self._freeze, loaded)
            self._note(f"{len(frozen)} of {len(layers(module))} layers are frozen: {', '.join(frozen)}")
        return module

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def read_weights(source: Path) -> dict[str, Tensor]:
    """Return tensors by name.

    Args:
        source: A run's folder, a `.safetensors`, `.pt` or `.pth` file, or a folder with one of `WEIGHT_FILES`.

    Raises:
        RequestError: if the file is missing or does not hold tensors by name.
    """
    path = source
    if source.is_dir() and not (source / "recipe.yaml").exists():
        path = next((source / name for name in WEIGHT_FILES if (source / name).exists()), source)
    try:
        if (source / "recipe.yaml").exists():
            return _of_run(checkpoint.newest(source / "checkpoints")[1]["agent"])
        if (source / "config.json").exists() and importlib.util.find_spec("transformers") is not None:
            return _of_library(source)
        if not path.is_file():
            raise ValueError(f"expected a run, a file of weights, or a folder with {' or '.join(WEIGHT_FILES)}")
        return read_tensors(path)
    except Exception as error:
        cause = error.__cause__ or error  # what `read_tensors` met
        reason = str(cause).splitlines()[0] if str(cause) else ""
        raise RequestError(
            f"the weights of network.from, {str(source)!r}, cannot be read: {type(cause).__name__}: {reason[:200]}",
            "give a run folder, a .safetensors or .pth file of a state_dict, or a folder that save_pretrained wrote",
        ) from error


def _of_library(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder under the names that the installed version of the library transformers gives them."""
    from dl_nets.networks.hugging_face import library

    with torch.random.fork_rng(devices=[]):  # what the folder lacks is drawn from torch's global generator, and left out here
        model, found = library().AutoModel.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    missing = set(found["missing_keys"])
    return {name: value for name, value in model.state_dict().items() if name not in missing}


def _of_run(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of an agent's state by path; where averaged or best weights answer, they come first."""
    if not int(state.get("averaged", {}).get("count", 1)):
        state = {name: part for name, part in state.items() if name != "averaged"}
    order = sorted(state, key=lambda name: (name != "best", name != "averaged"))
    return {path: torch.from_numpy(np.array(array)) for name in order for path, array in _arrays(state[name], name)}


def _arrays(value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _arrays(part, f"{path}/{name}")
    elif isinstance(value, np.ndarray):
        yield path, value


def matched(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of the given tensors that fit a module in name and shape, under the module's names.

    Names may differ by a prefix on either side; of all pairs of prefixes, the one that fits the most tensors is taken, the first of
    equals.

    >>> own = {"backbone.conv.weight": torch.zeros(2, 3), "backbone.fc.weight": torch.zeros(5, 2)}
    >>> sorted(matched(own, {"model/conv.weight": torch.ones(2, 3), "model/fc.weight": torch.ones(9, 2)}))
    ['backbone.conv.weight']
    """
    names = [name for name in own if not name.endswith("_extra_state")]
    best: dict[str, Tensor] = {}
    for ours in _prefixes(names):
        tails = [(name, name[len(ours) :]) for name in names if name.startswith(ours)]
        for theirs in _prefixes(given):
            found = {name: given[theirs + tail] for name, tail in tails if theirs + tail in given}
            found = {name: value for name, value in found.items() if value.shape == own[name].shape}
            if len(found) > len(best):
                best = found
    return best


def _prefixes(names: Mapping[str, Tensor] | list[str]) -> list[str]:
    """Return the beginnings that names have, each up to a separator, "" the first."""
    found = {"": None}
    for name in names:
        ends = [place + 1 for place, letter in enumerate(name) if letter in "/."]
        found.update(dict.fromkeys(name[:end] for end in ends[:DEPTH]))
    return list(found)


def described(name: str, module: nn.Module, given: Mapping[str, Tensor]) -> str:
    """Return a tensor's name and shape, and the other shape that it has in the file, if the file has it."""
    shape = list(module.state_dict()[name].shape)
    other = next((list(value.shape) for key, value in given.items() if key.endswith(name) and list(value.shape) != shape), None)
    return f"{name} {shape}" + (f" (saved: {other})" if other else "")


def layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the modules that hold parameters of their own, by name, from the input on.

    >>> [name for name, _ in layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))]
    ['0', '2']
    """
    return [(name, part) for name, part in module.named_modules() if next(part.parameters(recurse=False), None) is not None]


def tensors(name: str, layer: nn.Module) -> set[str]:
    """Return the names that a layer's own parameters have in the module in which it has that name.

    >>> sorted(tensors("head", nn.Linear(1, 1)))
    ['head.bias', 'head.weight']
    """
    return {f"{name}.{own}" if name else own for own, _ in layer.named_parameters(recurse=False)}


def freeze(module: nn.Module, what: str, loaded: frozenset[str] = frozenset()) -> list[str]:
    """Exclude layers from learning, and return their names.

    Args:
        module: Its parameters are changed.
        what: "all" for all loaded layers but the last of the module, a number of layers from the input on, or names separated by commas.
        loaded: Names of the tensors that were loaded.

    Raises:
        RequestError: if a name fits no layer, or nothing would be left to learn.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> freeze(net, "1"), [parameter.requires_grad for parameter in net.parameters()]
    (['0'], [False, False, True, True])
    """
    found = layers(module)
    names = [name for name, _ in found]
    if what == "all":
        chosen = [name for name, part in found[:-1] if tensors(name, part) & loaded]
    elif what.isdecimal():
        chosen = names[: min(int(what), len(names) - 1)]
    else:
        patterns = [pattern.strip() for pattern in what.split(",") if pattern.strip()]
        for pattern in patterns:
            if not any(_within(name, pattern) for name in names):
                raise RequestError(f"network.freeze names {pattern!r}, which fits no layer", f"its layers are {', '.join(names)}")
        chosen = [name for name in names if any(_within(name, pattern) for pattern in patterns)]
    if len(chosen) == len(names):
        raise RequestError(f"network.freeze is {what!r}, which leaves nothing to learn", f"its layers are {', '.join(names)}")
    for name, part in found:
        if name in chosen:
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad_(False)
    return chosen


def _within(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
