"""Several runs side by side: a table of means over seeds with 95 % intervals, and one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rl_core import config, figure
from rl_core.errors import RequestError
from rl_core.run import read_metrics


def compare(folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Groups of runs that differ in nothing but their seed, best first.

    Args:
        folders: Folders of finished runs.
        out: Where the picture goes; by default `compare.png` beside the first run.

    Raises:
        RequestError: if a folder is no run or has no result yet, or the runs are judged by different metrics.
    """
    groups: dict[str, list[tuple[dict[str, Any], list[dict[str, float]]]]] = {}
    recipes = [_recipe(folder) for folder in folders]
    labels = _labels(recipes)
    for folder, label in zip(folders, labels, strict=True):
        groups.setdefault(label, []).append((_result(folder), read_metrics(folder)))
    results = [result for runs in groups.values() for result, _ in runs]
    kinds = sorted({f"{result['task']} ({result['metric']})" for result in results})
    if len({result["metric"] for result in results}) > 1:
        raise RequestError(f"these runs are judged by different metrics: {', '.join(kinds)}", "compare runs of one metric at a time")
    rows = [_row(label, [result for result, _ in runs]) for label, runs in groups.items()]
    rows.sort(key=lambda row: -row["mean"])
    picture, headline = None, results[0]["headline"]
    names = [figure.metric_names(lines) for runs in groups.values() for _, lines in runs]
    common = [name for name in names[0] if all(name in other for other in names)]
    if common:
        picture = out or folders[0].resolve().parent / "compare.png"
        curves = {label: [lines for _, lines in runs] for label, runs in groups.items()}
        figure.comparison(curves, picture, metric=headline if headline in common else common[0], unit=results[0]["unit"])
    return {"metric": results[0]["metric"], "groups": rows, "figure": str(picture) if picture else None}


def _row(label: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    scores = np.array([result["score"] for result in results])
    half = figure.student_t95(len(scores) - 1) * scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else None
    return {
        "name": label,
        "agent": results[0]["agent"],
        "task": results[0]["task"],
        "network": results[0]["network"],
        "seeds": [result["seed"] for result in results],
        "scores": scores.tolist(),
        "mean": float(scores.mean()),
        "interval": None if half is None else [float(scores.mean() - half), float(scores.mean() + half)],
        "seconds": float(np.mean([result["seconds"] for result in results])),
        "target": results[0]["target"],
    }


def _recipe(folder: Path) -> dict[str, Any]:
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise RequestError(f"{str(folder)!r} is no run: it has no recipe.yaml", "give folders of runs, such as runs/ppo-CartPole-v1-seed0")
    return config.read_file(path)


def _result(folder: Path) -> dict[str, Any]:
    try:
        result = json.loads((folder / "result.json").read_text())
        return {
            key: result[key] for key in ("agent", "task", "network", "seed", "score", "metric", "seconds", "target", "unit", "headline")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{str(folder)!r} has no result yet", f"finish it first: rl-core resume {folder}") from error


def _labels(recipes: Sequence[dict[str, Any]]) -> list[str]:
    """A name for each run: agent, task, network, and the settings in which the runs with these three differ."""
    bases = [" ".join(str(recipe[key]) for key in ("agent", "task", "network") if recipe.get(key)) for recipe in recipes]
    labels = []
    for base, recipe in zip(bases, recipes, strict=True):
        flat = _flat(recipe)
        others = [_flat(other) for other, same in zip(recipes, bases, strict=True) if same == base]
        differing = [key for key in sorted(flat) if any(other.get(key) != flat[key] for other in others)]
        labels.append(", ".join([base, *(f"{key}={flat[key]}" for key in differing)]))
    return labels


def _flat(recipe: dict[str, Any]) -> dict[str, str]:
    """The settings that can move a result, one level deep, without the seed."""
    flat = {}
    for key, value in recipe.items():
        if isinstance(value, dict):
            flat.update(
                {
                    f"{key.removesuffix('config').removesuffix('_')}{'.' if key != 'config' else ''}{name}": _text(item)
                    for name, item in value.items()
                }
            )
        elif key in ("budget", "threads"):
            flat[key] = _text(value)
    return flat


def _text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
