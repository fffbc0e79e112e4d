"""Rows of a table that are measured seed by seed and kept in a file of JSON; it runs nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Row = TypeVar("Row")


def measured(
    store: Path, rows: Mapping[str, Row], arguments: Sequence[str], seeds: Sequence[int], measure: Callable[[Row, int], dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Measure the rows that are named, or all, with `--seeds 0,1` or the usual ones; return all that the file holds then.

    The file is written after every run, in which a run takes the place of an earlier one with its seed.

    Args:
        store: The file.
        rows: By name.
        arguments: Of the command line.
        seeds: Usual ones.
        measure: Returns what is kept of a row and a seed, the seed among it.
    """
    names = list(arguments)
    if "--seeds" in names:
        place = names.index("--seeds")
        seeds = tuple(map(int, names[place + 1].split(",")))
        del names[place : place + 2]
    for name in names or list(rows):
        for seed in seeds:
            found = measure(rows[name], seed)
            known: dict[str, list[dict[str, Any]]] = json.loads(store.read_text()) if store.exists() else {}
            known[name] = sorted([run for run in known.get(name, []) if run["seed"] != seed] + [found], key=lambda run: run["seed"])
            store.write_text(json.dumps(known, indent=1) + "\n")
            print(name, seed, found, flush=True)
    held: dict[str, list[dict[str, Any]]] = json.loads(store.read_text())
    return held
