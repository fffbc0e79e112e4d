"""Recordings as csv: a log of decisions that any program can write, a row a transition.

Columns are the parts of a recording: `obs_0`, `obs_1`, ... for numbers and `obs` for one whole number, `action` or `action_0`, ...,
`reward`, and where they are known `probability`, `terminated`, `truncated` and `final_obs_0`, ... Without `terminated` and `truncated` each
row is an episode of its own, as in a log of users who were shown one item each.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FLAGS = ("terminated", "truncated")


def write_csv(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write arrays [T, ...] by name, a column a number."""
    names: list[str] = []
    columns: list[list[float]] = []
    for name, array in arrays.items():
        flat = array.reshape(len(array), -1)
        flat = flat.astype(np.int64) if flat.dtype.kind == "b" else flat
        names += [name] if array.ndim == 1 else [f"{name}_{number}" for number in range(flat.shape[1])]
        columns += flat.T.tolist()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))


def read_csv(path: Path) -> dict[str, np.ndarray]:
    """Return arrays [T, ...] by name.

    Raises:
        ValueError: if a row or a column cannot be read; the text names it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not csv in UTF-8: {error}") from error
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ValueError(f"row {number} of {path} has {len(row)} cells; expected {len(names)}, one for each column")
    arrays = {}
    for part in ("obs", "action", "reward", *FLAGS, "final_obs", "probability"):
        several = [f"{part}_{number}" for number in range(len(names)) if f"{part}_{number}" in names]
        chosen = [part] if part in names else several
        if chosen:
            texts = [[row[names.index(name)] for name in chosen] for row in rows]
            array = _numbers(texts, chosen, path)
            arrays[part] = array[:, 0] if part in names else array
    if "obs" in arrays and not set(FLAGS) & set(arrays):
        arrays["terminated"] = np.ones(len(rows), dtype=np.bool_)
    for flag in FLAGS:
        arrays[flag] = arrays.get(flag, np.zeros(len(rows))).astype(np.bool_)
    if "obs" in arrays and not arrays["truncated"].any():
        arrays.setdefault("final_obs", arrays["obs"])  # nothing is read of what follows an end
    return arrays


def _numbers(texts: list[list[str]], names: list[str], path: Path) -> np.ndarray:
    """Return texts as numbers [T, C]: whole where a single column has nothing else, else float32."""
    for number, row in enumerate(texts, start=2):
        for name, text in zip(names, row, strict=True):
            try:
                float(text)
            except ValueError:
                raise ValueError(f"row {number} of {path} has {text!r} in column {name}; expected a number") from None
    whole = all(text.lstrip("-").isdigit() for row in texts for text in row)
    found: np.ndarray = np.array(texts, dtype=np.float64).reshape(-1, len(names))
    return found.astype(np.int64 if whole and len(names) == 1 else np.float32)
