"""Rows of `language.py`: runs, their means over seeds, and a division of sentences that several parts share."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import rl_core

SEEDS = (0, 1, 2)
Row = tuple[str, str, str, str, str]
"""Task, agent, score, threshold, and what stands beside it."""


def learn(agent: str, task: str, seed: int = 0, **options: Any) -> Any:
    """Return the result of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return rl_core.learn(agent, task=task, seed=seed, out=Path(folder) / "run", **options)


def scores(agent: str, task: str, seeds: tuple[int, ...] = (0,), **options: Any) -> list[dict[str, float]]:
    """Return the metrics of each seed."""
    return [learn(agent, task, seed, **options).metrics for seed in seeds]


def mean(rows: list[dict[str, float]], name: str, digits: int = 3) -> str:
    """Return the mean of a metric, with its least and largest value where there are several runs."""
    values = [row[name] for row in rows]
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def polarity(data: Path) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Return the classes and sentences of sentence polarity, and the fold of each [N]."""
    with zipfile.ZipFile(data / "sentence_polarity.zip") as file:
        texts = [
            (kind, line)
            for kind in ("neg", "pos")
            for line in file.read(f"sentence_polarity/rt-polarity.{kind}").decode("latin-1").splitlines()
            if line.strip()
        ]
    return texts, np.random.default_rng(0).permutation(len(texts)) % 10
