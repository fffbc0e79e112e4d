"""Search spaces of a tuning: the settings that are searched, with their ranges, as data of a plugin or from the command line.

A space is a YAML file that maps settings, as `--set` names them, to a range or to choices:

    learning_rate: {low: 1e-5, high: 1e-2, log: true}
    num_epochs: {low: 1, high: 20, whole: true}
    batch_size: {choices: [64, 128, 256]}
"""

from __future__ import annotations

import importlib.resources
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_core import documents
from rl_core.errors import RequestError
from rl_core.sweeps.axes import split_values


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched.

    Attributes:
        key: The setting, as `--set` names it.
        low: Lower end of its range.
        high: Upper end of its range.
        log: Whether it is searched by its logarithm.
        whole: Whether it is a whole number.
        choices: Its values as `--set` takes them; empty for a range.
    """

    key: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """A value of it, as `--set` takes it."""
        return self.choices[0] if self.choices else self.text(self.low)

    def text(self, value: Any) -> str:
        """Return a value as `--set` takes it; a number that is not whole has four digits.

        >>> Dimension("a", 1e-5, 1e-2).text(0.00123456), Dimension("n", 1, 8, whole=True).text(3)
        ('0.001235', '3')
        """
        if self.choices:
            return str(value)
        return str(int(value)) if self.whole else repr(min(max(float(f"{value:.4g}"), self.low), self.high))


def parse(document: Mapping[str, Any], where: str) -> list[Dimension]:
    """Return the dimensions of a space.

    Raises:
        RequestError: if one is neither a range nor choices.
    """
    if not document:
        raise RequestError(f"{where} names no setting", "write for example: learning_rate: {low: 1e-5, high: 1e-2, log: true}")
    return [_dimension(str(key), value, where) for key, value in document.items()]


def of_range(text: str) -> Dimension:
    """Return the dimension of a text KEY=LOW:HIGH or KEY=LOW:HIGH:log; a range of whole numbers is searched by whole numbers.

    >>> of_range("learning_rate=1e-5:1e-2:log")
    Dimension(key='learning_rate', low=1e-05, high=0.01, log=True, whole=False, choices=())
    """
    match = re.fullmatch(r"\s*([^=\s]+)\s*=\s*([^:]+):([^:]+?)(:log)?\s*", text)
    if match is None:
        raise RequestError(
            f"--range expects KEY=LOW:HIGH or KEY=LOW:HIGH:log, got {text!r}", "for example: --range learning_rate=1e-5:1e-2:log"
        )
    key, low, high, log = match.groups()
    try:
        whole = all(re.fullmatch(r"-?\d+", end.strip()) for end in (low, high))
        return _checked(Dimension(key, float(low), float(high), log is not None, whole), "--range")
    except ValueError as error:
        raise RequestError(f"--range {key} has an end that is not a number: {text!r}", "for example: --range gae_lambda=0.8:1.0") from error


def of_choices(text: str) -> Dimension:
    """Return the dimension of a text KEY=A,B,...

    >>> of_choices("network.hidden=[64,64],[32]").choices
    ('[64,64]', '[32]')
    """
    key, equals, raw = text.partition("=")
    choices = split_values(raw)
    if not equals or not key.strip() or "" in choices:
        raise RequestError(f"--choice expects KEY=A,B,..., got {text!r}", "for example: --choice batch_size=64,128,256")
    return _checked(Dimension(key.strip(), choices=tuple(choices)), "--choice")


def of_file(path: Path) -> list[Dimension]:
    """Return the space in a file.

    Raises:
        RequestError: if it cannot be read, or has a mistake.
    """
    try:
        document = documents.parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"the space {str(path)!r} cannot be read: {error}", "give a YAML file of settings") from error
    if not isinstance(document, dict):
        raise RequestError(f"the space {str(path)!r} is not a mapping of settings", "begin with: learning_rate: {low: 1e-5, high: 1e-2}")
    return parse(document, f"the space {str(path)!r}")


def of_plugin(resource: str, agent: str) -> list[Dimension]:
    """Return the space that an agent's spec names, "package:folder/file.yaml".

    Raises:
        RequestError: if the agent has none, or it has a mistake.
    """
    package, _, name = resource.partition(":")
    if not name:
        raise RequestError(
            f"agent {agent} has no search space", "say what is searched: --range KEY=LOW:HIGH, --choice KEY=A,B or --space FILE"
        )
    with importlib.resources.as_file(importlib.resources.files(package).joinpath(name)) as path:
        return of_file(path)


def _dimension(key: str, value: Any, where: str) -> Dimension:
    known = {"low", "high", "log", "whole", "choices"}
    if not isinstance(value, dict) or not value.keys() <= known or not ({"low", "high"} <= value.keys()) ^ ("choices" in value):
        raise RequestError(f"{key!r} of {where} is {value!r}", "it must be {low: L, high: H} with log and whole, or {choices: [A, B]}")
    if "choices" in value:
        if not isinstance(value["choices"], list) or not value["choices"]:
            raise RequestError(f"{key!r} of {where} has the choices {value['choices']!r}", "give a list of values")
        return _checked(Dimension(key, choices=tuple(map(_text, value["choices"]))), where)
    try:
        made = Dimension(key, float(value["low"]), float(value["high"]), bool(value.get("log")), bool(value.get("whole")))
    except (TypeError, ValueError) as error:
        raise RequestError(f"{key!r} of {where} has an end that is not a number: {value!r}", "give numbers") from error
    return _checked(made, where)


def _checked(made: Dimension, where: str) -> Dimension:
    if not made.choices and not (made.low < made.high < math.inf and made.low > (0 if made.log else -math.inf)):
        raise RequestError(
            f"{made.key!r} of {where} has the range {made.low:g} to {made.high:g}{' by logarithm' if made.log else ''}",
            "the lower end must be below the upper one, and above 0 by logarithm",
        )
    if len(set(made.choices)) < len(made.choices):
        raise RequestError(f"{made.key!r} of {where} has a choice twice", "name each once")
    return made


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def to_document(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return the space as `parse` reads it."""
    found: dict[str, Any] = {}
    for each in dimensions:
        found[each.key] = (
            {"choices": list(each.choices)} if each.choices else {"low": each.low, "high": each.high, "log": each.log, "whole": each.whole}
        )
    return found
