"""Reports of one run and of several, from what is in their folders: nothing is learned, evaluated or imported for them."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rl_core import documents, figure
from rl_core.errors import RequestError
from rl_core.metric_names import common
from rl_core.report import page
from rl_core.report.curves import Curve, by_metric, chart, thinned
from rl_core.runs import files, metrics_log, recipe

MOST_BYTES = 420_000  # of all pictures in a report, before they are encoded as text
LINES = 2_000  # of metrics that are read; a chart shows fewer


def run_report(folder: Path) -> str:
    """Return the report of a run as HTML.

    Raises:
        RequestError: if the folder is not a run's.
    """
    settings = documents.read(recipe.path_in(folder))
    manifest, result = _document(folder / "manifest.json"), _document(folder / "result.json")
    lines = metrics_log.read(folder, LINES)
    unit = str(result.get("unit", "progress"))
    title = f"{settings.get('agent')} on {settings.get('task')}"
    body = [f"<h1>{escape(title)}</h1>", _verdict(settings, result)]
    again = f"rl-core run --recipe {shlex.quote(str(folder / 'recipe.yaml'))}"
    body.append(f"<p>The same run again: <code>{escape(again)}</code></p>")
    headline = str(result.get("headline", ""))
    metric, target = str(result.get("metric", "")), result.get("target")
    target = target if _is_number(target) else None
    charts = []
    for name, names in figure.panels(lines, headline).items():
        curves = by_metric(lines, names)
        if curves:
            charts.append(chart(curves, title=name, unit=unit, target=target if metric and common(name) == common(metric) else None))
    body.append(f"<h2>Learning</h2><div class='charts'>{''.join(charts)}</div>" if charts else "<p>No metrics yet.</p>")
    pictures = _pictures(folder)
    if pictures:
        body.append(f"<h2>What was learned</h2><div class='charts'>{''.join(pictures)}</div>")
    metrics = result.get("metrics")
    if isinstance(metrics, Mapping):
        body.append(
            "<h2>Final evaluation</h2>" + page.table(["number", "value"], [(name, _number(value)) for name, value in metrics.items()])
        )
    body.append("<h2>How it was made</h2>")
    body.append(page.folded("settings", page.table(["setting", "value"], page.settings(settings))))
    body.append(page.folded("recipe.yaml", f"<pre>{escape((folder / 'recipe.yaml').read_text(encoding='utf-8'))}</pre>"))
    body += _origin(manifest)
    return page.page(title, body)


def comparison_report(folders: Sequence[Path], compared: Mapping[str, Any]) -> str:
    """Return the report of a comparison as HTML.

    Args:
        folders: The runs' folders.
        compared: What `rl_core.runs.compare.compare` returned.
    """
    metric, groups = str(compared["metric"]), compared["groups"]
    title = f"{len(folders)} runs: {metric}"
    rows = []
    for group in groups:
        interval = group.get("interval")
        shown = f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "needs 2 runs"
        scores = ", ".join(f"{score:.4g}" for score in group["scores"])
        rows.append((group["name"], f"{group['mean']:.4g}", shown, len(group["scores"]), f"{group['seconds']:.1f}", scores))
    body = [f"<h1>{escape(title)}</h1>"]
    body.append(page.table(["", metric, "95 % interval", "runs", "seconds", "scores"], rows))
    by_name: dict[str, list[list[dict[str, float]]]] = {}
    units, headlines, targets = set(), set(), set()
    for folder in folders:
        settings, result = documents.read(recipe.path_in(folder)), _document(folder / "result.json")
        by_name.setdefault(f"{settings.get('agent')} on {settings.get('task')}", []).append(metrics_log.read(folder, LINES))
        units.add(str(result.get("unit", "progress")))
        headlines.add(str(result.get("headline", "")))
        targets.add(result.get("target"))
    evaluated = "evaluation_" + metric.replace(" ", "_")
    for name in dict.fromkeys([evaluated, *sorted(headlines)]):
        curves = [curve for group, runs in by_name.items() for curve in _band(group, runs, name)]
        if curves:
            target = next(iter(targets)) if len(targets) == 1 and common(name.removeprefix("evaluation_")) == common(metric) else None
            body.append(chart(curves, title=name.replace("_", " "), unit=", ".join(sorted(units)), target=target))
    body.append("<h2>Runs</h2>")
    body.append(
        page.table(["run", "score"], [(str(folder), _number(_document(folder / "result.json").get("score"))) for folder in folders])
    )
    return page.page(title, body)


def _band(name: str, runs: Sequence[Sequence[Mapping[str, float]]], metric: str) -> list[Curve]:
    """Return the mean of a metric over runs, with the 95 % interval of that mean where there are several."""
    curves = [thinned(curve) for lines in runs for curve in by_metric(lines, {name: metric})]
    if not curves:
        return []
    low, high = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    grid = np.linspace(low, max(high, low), 150) if high > low else np.array([low])
    values = np.array([np.interp(grid, curve.x, curve.y) for curve in curves])
    mean = values.mean(axis=0)
    if len(curves) == 1:
        return [Curve(name, grid, mean)]
    half = figure.student_t95(len(curves) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(curves))
    return [Curve(f"{name} (n = {len(curves)})", grid, mean, np.stack([mean - half, mean + half]))]


def _verdict(settings: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if not result:
        return "<p class='verdict'>This run is not finished.</p>"
    score, metrics = result.get("score"), result.get("metrics")
    text = f"{escape(str(result.get('metric')))} <b>{escape(_number(score))}</b>"
    known = metrics if isinstance(metrics, Mapping) else {}
    deviation, count = known.get("standard deviation"), known.get("episodes")
    if _is_number(score) and _is_number(deviation) and _is_number(count) and count > 1:
        half = 1.96 * deviation / math.sqrt(count)
        text += f" &plusmn; {half:.3g} <span class='dim'>(95 % interval of the mean of {count:.0f} episodes)</span>"
    if _is_number(result.get("target")):
        text += f", target {_number(result['target'])}: {'reached' if result.get('reached') else 'not reached'}"
    facts = f"seed {settings.get('seed')}, {_number(result.get('progress'))} {result.get('unit')} in {_number(result.get('seconds'))} s"
    best = result.get("best")
    if isinstance(best, Mapping):
        facts += f"; best evaluation {_number(best.get('score'))} at {_number(best.get('progress'))}"
    return f"<p class='verdict'>{text}</p><p class='dim'>{escape(facts)}</p>"


def _pictures(folder: Path) -> list[str]:
    """Return the animation and the figures of a run, as far as they fit."""
    left, found = MOST_BYTES, []
    candidates = [*sorted(folder.glob("watch.*")), *sorted((folder / "figures").glob("*.png"))]
    for path in candidates:
        if path.suffix.lower() not in page.KINDS or path.is_symlink() or path.name == "learning-curve.png":
            continue
        if (size := path.stat().st_size) <= left:
            left -= size
            found.append(page.picture(path, path.stem.replace("-", " ")))
    return found


def _origin(manifest: Mapping[str, Any]) -> list[str]:
    found = []
    versions, machine, sessions, parent = (manifest.get(name) for name in ("versions", "machine", "sessions", "parent"))
    if isinstance(parent, Mapping):
        found.append(f"<p>It started from {escape(str(parent.get('run')))} at {escape(str(parent.get('progress')))}.</p>")
    if isinstance(versions, Mapping):
        found.append(page.folded("versions", page.table(["package", "version"], list(versions.items()))))
    if isinstance(machine, Mapping):
        found.append(page.folded("machine", page.table(["", ""], page.settings(machine))))
    if isinstance(sessions, list):
        rows = [(entry.get("started"), entry.get("progress"), entry.get("path")) for entry in sessions if isinstance(entry, Mapping)]
        found.append(page.folded(f"sessions: {len(rows)}", page.table(["started", "at", "path"], rows)))
    return found


def _document(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file of a run; empty where there is none."""
    try:
        found = json.loads(files.read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else "not a finite number" if value is None else str(value)


def require_run(folder: Path) -> None:
    """Refuse a folder that is not a run's.

    Raises:
        RequestError: if it is a file, or has no recipe.
    """
    if folder.is_file():
        raise RequestError(f"{str(folder)!r} is a file, not a run folder", "name run folders, such as runs/*")
    recipe.path_in(folder)
