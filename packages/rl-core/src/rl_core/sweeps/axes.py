"""The axes of a sweep: values of settings, and seeds, as they are written on the command line."""

from __future__ import annotations

import itertools
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rl_core import documents
from rl_core.errors import RequestError

MOST_RUNS = 1_000_000
OPTIONS = ("task", "network", "budget")  # keys that are options of `rl-core run`, all others are those of `--set`
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Variant:
    """One combination of the varied settings.

    Attributes:
        overrides: Texts of `--set`.
        options: Options of `rl-core run`.
        label: The combination as it is shown, `clip_range=0.1, gae_lambda=0.9`; "" where nothing is varied.
    """

    overrides: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    label: str = ""


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of a list of numbers and ranges.

    Raises:
        RequestError: if the text is not such a list, or names a seed twice.

    >>> parse_seeds("0-3,7")
    [0, 1, 2, 3, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:\s*-\s*(\d{1,18}))?\s*", part)
        if match is None:
            raise RequestError(
                f"--seeds expects numbers and ranges, got {reprlib.repr(text)}", "write for example: --seeds 0-9 or --seeds 0,3,7"
            )
        low = int(match[1])
        high = low if match[2] is None else int(match[2])
        if high < low:
            raise RequestError(f"--seeds has the range {part.strip()}, which is empty", f"write {high}-{low}")
        if high - low >= MOST_RUNS:
            raise RequestError(f"--seeds has the range {part.strip()}; at most {MOST_RUNS:,} runs are planned", "give fewer seeds")
        seeds += range(low, high + 1)
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None) if len(seeds) > len(set(seeds)) else None
    if twice is not None:
        raise RequestError(f"--seeds names seed {twice} twice", "name each seed once")
    return seeds


def split_values(text: str) -> list[str]:
    """Return the values of a list: commas inside brackets and quotes separate none.

    >>> split_values("[64,64],[32],'a,b'")
    ['[64,64]', '[32]', "'a,b'"]
    """
    values, depth, quote, begin = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            values.append(text[begin:place])
            begin = place + 1
    return [value.strip() for value in [*values, text[begin:]]]


def variants(texts: Sequence[str]) -> list[Variant]:
    """Return every combination of the settings that `--vary` names.

    Args:
        texts: `key=value,value,...`; or `@sets.yaml`, a file with a list of mappings, each a combination of its own.

    Raises:
        RequestError: if a text is neither, or a key or a value is given twice.
    """
    axes: list[list[dict[str, str]]] = []
    for text in texts:
        if text.startswith("@"):
            axes.append(_from_file(Path(text[1:])))
            continue
        key, equals, raw = text.partition("=")
        key = key.strip()
        values = split_values(raw)
        if not equals or not key or "" in values:
            raise RequestError(f"--vary expects KEY=VALUE,VALUE,..., got {text!r}", "write for example: --vary clip_range=0.1,0.2")
        if len(set(values)) < len(values):
            raise RequestError(f"--vary {key} has a value twice: {raw}", "name each value once; to repeat a run, give more --seeds")
        axes.append([{key: value} for value in values])
    found = []
    for parts in itertools.product(*axes):
        keys = [key for part in parts for key in part]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise RequestError(f"--vary gives {twice} twice", "give all its values in one --vary")
        found.append(_variant({key: value for part in parts for key, value in part.items()}))
        if len(found) > MOST_RUNS:
            raise RequestError(f"--vary makes more than {MOST_RUNS:,} combinations", "vary fewer settings at a time")
    return found


def _variant(values: dict[str, str]) -> Variant:
    overrides = tuple(f"{key}={value}" for key, value in values.items() if key not in OPTIONS)
    options = {key: value for key, value in values.items() if key in OPTIONS}
    return Variant(overrides, options, ", ".join(f"{key}={value}" for key, value in values.items()))


def _from_file(path: Path) -> list[dict[str, str]]:
    try:
        sets = documents.parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"--vary @{path}: the file cannot be read: {error}", "give a YAML file with a list of mappings") from error
    if not isinstance(sets, list) or not sets or not all(isinstance(each, dict) and each for each in sets):
        raise RequestError(f"--vary @{path}: expected a list of mappings of settings", "begin each with a dash: - {clip_range: 0.1}")
    return [{str(key): _text(value) for key, value in each.items()} for each in sets]


def _text(value: Any) -> str:
    """Return a value of a YAML file as `--set` reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return {True: "true", False: "false", None: "null"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)
