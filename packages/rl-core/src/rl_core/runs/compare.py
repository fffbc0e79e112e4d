"""Comparison of runs: a table of means over seeds with 95 % intervals, and one figure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_core import documents, figure
from rl_core.errors import RequestError, WorkError
from rl_core.runs import files, metrics_log, recipe


def compare(folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Return groups of runs that differ only in their seed, the best mean first.

    Args:
        folders: Folders of finished runs.
        out: The figure to write, .png where it has no suffix; by default `compare.png` beside the first run.

    Raises:
        RequestError: if a folder is not a run or has no score yet, two are the same run, or they are judged by different metrics.
        WorkError: if the picture cannot be written.
    """
    groups: dict[str, list[tuple[dict[str, Any], list[dict[str, float]]]]] = {}
    labels = _labels([documents.read(recipe.path_in(folder)) for folder in folders])
    seen: dict[tuple[str, int], Path] = {}
    for folder, label in zip(folders, labels, strict=True):
        result = _result(folder)
        twin = seen.setdefault((label, result["seed"]), folder)
        if twin is not folder:
            raise RequestError(
                f"{str(folder)!r} has the same recipe and seed as {str(twin)!r}, so it is not a second sample", "name one of them"
            )
        groups.setdefault(label, []).append((result, metrics_log.read(folder, metrics_log.ENOUGH_TO_DRAW)))
    results = [result for runs in groups.values() for result, _ in runs]
    kinds = sorted({f"{result['task']} ({result['metric']})" for result in results})
    if len({result["metric"] for result in results}) > 1:
        raise RequestError(f"these runs are judged by different metrics: {', '.join(kinds)}", "compare runs of one metric at a time")
    rows = [_row(label, [result for result, _ in runs]) for label, runs in groups.items()]
    rows.sort(key=lambda row: row["mean"], reverse=results[0]["higher_is_better"])
    if out is not None and not out.suffix:
        out = out.with_name(f"{out.name}.png")
    picture, headline, no_figure = None, results[0]["headline"], ""
    names = [figure.metric_names(lines) for runs in groups.values() for _, lines in runs]
    common = [name for name in names[0] if all(name in other for other in names)]
    if common:
        picture = out or folders[0].resolve().parent / "compare.png"
        curves = {label: [lines for _, lines in runs] for label, runs in groups.items()}
        units = " or ".join(dict.fromkeys(result["unit"] for result in results))
        try:
            figure.comparison(curves, picture, metric=headline if headline in common else common[0], unit=units)
        except (OSError, ValueError) as error:
            raise WorkError(f"the figure {str(picture)!r} cannot be written: {error}", "give another --out, ending in .png") from error
    else:
        recorded = "; ".join(f"{label}: {', '.join(metrics) or 'nothing'}" for label, metrics in _recorded(groups))
        no_figure = f"these runs record no metric in common while they learn ({recorded})"
    return {
        "metric": results[0]["metric"],
        "higher_is_better": results[0]["higher_is_better"],
        "groups": rows,
        "figure": str(picture) if picture else None,
        "no_figure": no_figure or None,
    }


def _recorded(groups: Mapping[str, list[tuple[dict[str, Any], list[dict[str, float]]]]]) -> list[tuple[str, list[str]]]:
    """Return each group's label with the names of the metrics that its first run recorded."""
    return [(label, figure.metric_names(runs[0][1])) for label, runs in groups.items()]


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


def _result(folder: Path) -> dict[str, Any]:
    keys = ("agent", "task", "network", "seed", "score", "metric", "seconds", "target", "unit", "headline", "higher_is_better")
    try:
        document = json.loads(files.read(folder / "result.json"))
        result = {key: document[key] for key in keys}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{str(folder)!r} has no result yet", f"finish it first: rl-core resume {shlex.quote(str(folder))}") from error
    if not isinstance(result["score"], int | float):
        raise RequestError(f"the score of {str(folder)!r} was not a finite number", "leave it out")
    return result


def _labels(recipes: Sequence[dict[str, Any]]) -> list[str]:
    """Return a name for each run: agent, task, network, and the settings in which the runs with these three differ."""
    bases = [" ".join(str(settings[key]) for key in ("agent", "task", "network") if settings.get(key)) for settings in recipes]
    labels = []
    for base, settings in zip(bases, recipes, strict=True):
        flat = _flat(settings)
        others = [_flat(other) for other, same in zip(recipes, bases, strict=True) if same == base]
        differing = [key for key in sorted(flat) if any(other.get(key) != flat[key] for other in others)]
        labels.append(", ".join([base, *(f"{key}={flat[key]}" for key in differing)]))
    return labels


def _flat(settings: dict[str, Any]) -> dict[str, str]:
    """Return the settings that can change a result, one level deep, without the seed."""
    flat = {}
    for key, value in settings.items():
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
    return value if isinstance(value, str) else json.dumps(value)
