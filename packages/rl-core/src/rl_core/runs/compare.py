"""Comparison of runs: a table of means and interquartile means over seeds with 95 % intervals, ranks over tasks, and one figure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rl_core import documents, figure, metric_names, statistics
from rl_core.errors import RequestError, WorkError
from rl_core.runs import files, metrics_log, recipe

_KEYS = ("agent", "task", "network", "seed", "score", "metric", "seconds", "target", "unit", "headline", "higher_is_better")


class _Label(NamedTuple):
    """The name of a run among others: its task, and the rest of what distinguishes it from them but its seed.

    Attributes:
        settings: The settings in which runs of its agent, task and network differ, as texts.
    """

    task: str
    method: str
    name: str
    settings: dict[str, str]


def compare(folders: Sequence[Path], out: Path | None = None, *, draw: bool = True) -> dict[str, Any]:
    """Return groups of runs that differ only in their seed, task by task, the best mean first.

    Args:
        folders: Folders of finished runs.
        out: The figure to write, .png where it has no suffix; by default `compare.png` beside the first run.
        draw: Whether the figure is written.

    Raises:
        RequestError: if a folder is not a run or has no score yet, two are the same run, or they are judged by different metrics.
        WorkError: if the picture cannot be written.
    """
    recipes = [documents.read(recipe.path_in(folder)) for folder in folders]
    results = [_result(folder) for folder in folders]
    labels = _labels(recipes, results)
    seen: dict[tuple[str, int], Path] = {}
    for folder, label, result in zip(folders, labels, results, strict=True):
        twin = seen.setdefault((label.name, result["seed"]), folder)
        if twin is not folder:
            raise RequestError(
                f"{str(folder)!r} has the same recipe and seed as {str(twin)!r}, so it is not a second sample", "name one of them"
            )
    kinds = sorted({f"{result['task']} ({result['metric']})" for result in results})
    if len({result["metric"] for result in results}) > 1:
        raise RequestError(f"these runs are judged by different metrics: {', '.join(kinds)}", "compare runs of one metric at a time")
    groups = rows((label.name, result) for label, result in zip(labels, results, strict=True))
    for group in groups:
        own = [(str(folder), label.settings) for folder, label in zip(folders, labels, strict=True) if label.name == group["name"]]
        group["folders"], group["settings"] = [folder for folder, _ in own], own[0][1]
    picture, no_figure = _draw(folders, labels, results, out) if draw else (None, "")
    overall, partial = _overall(labels, results)
    return {
        "metric": results[0]["metric"],
        "higher_is_better": results[0]["higher_is_better"],
        "groups": groups,
        "overall": overall,
        "partial": partial or None,
        "figure": str(picture) if picture else None,
        "no_figure": no_figure or None,
    }


def rows(labelled: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each group: its scores, their mean and interquartile mean with intervals, and its rank on its task.

    Args:
        labelled: The name of its group and the content of `result.json` of each run, each with a score.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, result in labelled:
        groups.setdefault(name, []).append(result)
    by_task: dict[str, list[dict[str, Any]]] = {}
    for name, results in groups.items():
        by_task.setdefault(results[0]["task"], []).append(_row(name, results))
    found = []
    for task_rows in by_task.values():
        task_rows.sort(key=lambda row: row["mean"], reverse=bool(task_rows[0]["higher_is_better"]))
        for place, row in enumerate(task_rows):
            row["rank"] = 1 + sum(other["mean"] != row["mean"] for other in task_rows[:place])
        found += task_rows
    return found


def _row(name: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scores = np.array([result["score"] for result in results], dtype=float)
    several = len(scores) > 1
    return {
        "name": name,
        "agent": results[0]["agent"],
        "task": results[0]["task"],
        "network": results[0]["network"],
        "metric": results[0]["metric"],
        "higher_is_better": results[0]["higher_is_better"],
        "seeds": [result["seed"] for result in results],
        "scores": scores.tolist(),
        "mean": float(scores.mean()),
        "interval": _interval_of_mean(scores),
        "interquartile_mean": float(statistics.interquartile_mean(scores)),
        "interquartile_interval": list(statistics.bootstrap_interval([scores])) if several else None,
        "seconds": float(np.mean([result["seconds"] for result in results])),
        "target": results[0]["target"],
    }


def _overall(labels: Sequence[_Label], results: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return a row for each method that has runs on every task, the best first, and in words which methods lack runs for that.

    Scores are normalised task by task: 0 is the worst score of all these runs on it, 1 the best. Both are empty for one task. Fewer than
    two methods get words alone, since their scores would be normalised by themselves.
    """
    tasks = list(dict.fromkeys(label.task for label in labels))
    if len(tasks) < 2:
        return [], ""
    sign = 1.0 if results[0]["higher_is_better"] else -1.0
    scores: dict[str, dict[str, list[float]]] = {}
    for label, result in zip(labels, results, strict=True):
        scores.setdefault(label.method, {}).setdefault(label.task, []).append(sign * result["score"])
    every = {task: [score for per_task in scores.values() for score in per_task.get(task, ())] for task in tasks}
    whole = {
        method: [statistics.normalised(np.array(per_task[task]), min(every[task]), max(every[task])) for task in tasks]
        for method, per_task in scores.items()
        if len(per_task) == len(tasks)
    }
    gaps = {method: [task for task in tasks if task not in scores[method]] for method in scores if method not in whole}
    short = "; ".join(f"{method} has no run on {', '.join(missing)}" for method, missing in gaps.items())
    if len(whole) < 2:
        needs = f"no ranking over the {len(tasks)} tasks: it takes two methods with runs on each of them"
        return [], f"{needs}; {short or f'here is only {next(iter(whole))}'}"
    ordered = sorted(whole, key=lambda method: -float(statistics.interquartile_mean(np.concatenate(whole[method]))))
    found = []
    for place, method in enumerate(ordered):
        second = ordered[place + 1] if place + 1 < len(ordered) else None
        found.append(
            {
                "name": method,
                "tasks": len(tasks),
                "runs": sum(map(len, whole[method])),
                "interquartile_mean": float(statistics.interquartile_mean(np.concatenate(whole[method]))),
                "interquartile_interval": list(statistics.bootstrap_interval(whole[method])),
                "better_than_next": None if second is None else statistics.probability_of_improvement(whole[method], whole[second]),
            }
        )
    return found, f"not ranked: {short}" if short else ""


def _draw(
    folders: Sequence[Path], labels: Sequence[_Label], results: Sequence[Mapping[str, Any]], out: Path | None
) -> tuple[Path | None, str]:
    """Write the figure; returns its path, or why there is none."""
    curves: dict[str, dict[str, list[list[dict[str, float]]]]] = {}
    for folder, label in zip(folders, labels, strict=True):
        lines = metrics_log.read(folder, metrics_log.ENOUGH_TO_DRAW)
        curves.setdefault(label.task, {}).setdefault(label.name, []).append(lines)
    groups = {name: runs for per_task in curves.values() for name, runs in per_task.items()}
    recorded = {name: figure.metric_names(runs[0]) for name, runs in groups.items()}
    names = [figure.metric_names(lines) for runs in groups.values() for lines in runs]
    common = [name for name in names[0] if all(name in other for other in names)]
    if not common:
        said = "; ".join(f"{name}: {', '.join(metrics) or 'nothing'}" for name, metrics in recorded.items())
        return None, f"these runs record no metric in common while they learn ({said})"
    if out is not None and not out.suffix:
        out = out.with_name(f"{out.name}.png")
    picture, headline = out or folders[0].resolve().parent / "compare.png", results[0]["headline"]
    units = " or ".join(dict.fromkeys(result["unit"] for result in results))
    targets = {result["task"]: result["target"] for result in results}
    metric = headline if headline in common else common[0]
    scores: dict[str, dict[str, list[float]]] = {}
    if metric_names.common(metric) == metric_names.common(results[0]["metric"]):
        for label, result in zip(labels, results, strict=True):
            scores.setdefault(label.task, {}).setdefault(label.name, []).append(result["score"])
    means = {task: {name: sum(values) / len(values) for name, values in groups.items()} for task, groups in scores.items()}
    try:
        figure.comparison(curves, picture, metric=metric, unit=units, targets=targets if metric == headline else {}, scores=means)
    except (OSError, ValueError) as error:
        raise WorkError(f"the figure {str(picture)!r} cannot be written: {error}", "give another --out, ending in .png") from error
    return picture, ""


def _result(folder: Path) -> dict[str, Any]:
    try:
        document = json.loads(files.read(folder / "result.json"))
        result = {key: document[key] for key in _KEYS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{str(folder)!r} has no result yet", f"finish it first: rl-core resume {shlex.quote(str(folder))}") from error
    if not isinstance(result["score"], int | float):
        raise RequestError(f"the score of {str(folder)!r} was not a finite number", "leave it out")
    return result


def _labels(recipes: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> list[_Label]:
    """Return a name for each run: agent, task, network, and the settings in which the runs with these three differ."""
    bases = [tuple(str(result[key]) for key in ("agent", "task", "network") if result[key]) for result in results]
    flat = [_flat(settings) for settings in recipes]
    of_base: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for base, values in zip(bases, flat, strict=True):
        of_base.setdefault(base, []).append(values)
    varied = {
        base: [key for key in sorted(set().union(*same)) if len({values.get(key) for values in same}) > 1] for base, same in of_base.items()
    }
    labels = []
    for base, values in zip(bases, flat, strict=True):
        settings = {key: values[key] for key in varied[base] if key in values}
        differing = [f"{key}={value}" for key, value in settings.items()]
        method = ", ".join([" ".join(part for place, part in enumerate(base) if place != 1), *differing])
        labels.append(_Label(base[1], method, ", ".join([" ".join(base), *differing]), settings))
    return labels


def _flat(settings: dict[str, Any]) -> dict[str, str]:
    """Return the settings that can change a result, one level deep, without the seed."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            scope = key.removesuffix("config").removesuffix("_")
            flat.update({f"{scope}{'.' if scope else ''}{name}": _text(item) for name, item in value.items()})
        elif key in ("budget", "threads"):
            flat[key] = _text(value)
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _interval_of_mean(scores: np.ndarray) -> list[float] | None:
    """Return the bootstrap's 95 % interval, which never leaves what was scored; of two runs their range; `None` for one run."""
    if len(scores) < 3:
        return [float(scores.min()), float(scores.max())] if len(scores) == 2 else None
    return statistics.bootstrap_band(scores[:, None], repetitions=statistics.REPETITIONS)[:, 0].tolist()
