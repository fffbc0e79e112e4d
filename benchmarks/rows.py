"""Rows of a table that are measured seed by seed, or part by part, and kept in a file of JSON; it runs nothing itself."""

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


def write_parts(
    store: Path,
    parts: Mapping[str, Callable[[], list[dict[str, Any]]]],
    arguments: Sequence[str],
    table: Callable[[dict[str, list[dict[str, Any]]]], list[str]],
) -> None:
    """Measure the parts that are named, or all, and after each write all that is known to the file, and beside it the table.

    Args:
        store: The file of JSON; the table has its name and ends in `.md`.
        parts: Functions that measure the rows of a part, by name.
        arguments: Of the command line: names of parts.
        table: Returns the lines of the table of all parts.

    Raises:
        SystemExit: if a name is not that of a part.
    """
    unknown = set(arguments) - set(parts)
    if unknown:
        raise SystemExit(f"unknown part {sorted(unknown)[0]!r}; the parts are {', '.join(parts)}")
    for name in arguments or parts:
        rows = parts[name]()
        known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
        store.write_text(json.dumps({**known, name: rows}, indent=1) + "\n", encoding="utf-8")
        store.with_suffix(".md").write_text("\n".join(table({**known, name: rows})), encoding="utf-8")
