"""The report of a run, from what is in its folder: nothing is learned, evaluated or imported for it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, TypeGuard

from rl_core import documents, figure
from rl_core.errors import RequestError
from rl_core.metric_names import common
from rl_core.report import page
from rl_core.report.curves import by_metric, chart
from rl_core.report.returns import histogram
from rl_core.runs import metrics_log, recipe

MOST_BYTES = 420_000  # of all pictures in a report, before they are encoded as text
LINES = 2_000  # of metrics that are read; a chart shows fewer


def run_report(folder: Path) -> str:
    """Return the report of a run as HTML.

    Raises:
        RequestError: if the folder is not a run's.
    """
    settings = documents.read(recipe.path_in(folder))
    manifest, result = page.document(folder / "manifest.json"), page.document(folder / "result.json")
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
    pictures = [*_returns(result, target), *_pictures(folder)]
    if pictures:
        body.append(f"<h2>What was learned</h2><div class='charts'>{''.join(pictures)}</div>")
    metrics = result.get("metrics")
    if isinstance(metrics, Mapping):
        body.append(
            "<h2>Final evaluation</h2>" + page.table(["number", "value"], [(name, page.number(value)) for name, value in metrics.items()])
        )
    body.append("<h2>How it was made</h2>")
    body.append(page.folded("settings", page.table(["setting", "value"], page.settings(settings))))
    body.append(page.folded("recipe.yaml", f"<pre>{escape((folder / 'recipe.yaml').read_text(encoding='utf-8'))}</pre>"))
    body += _origin(manifest)
    return page.page(title, body)


def _verdict(settings: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if not result:
        return "<p class='verdict'>This run is not finished.</p>"
    score, metrics = result.get("score"), result.get("metrics")
    text = f"{escape(str(result.get('metric')))} <b>{escape(page.number(score))}</b>"
    known = metrics if isinstance(metrics, Mapping) else {}
    deviation, count = known.get("standard deviation"), known.get("episodes")
    if _is_number(score) and _is_number(deviation) and _is_number(count) and count > 1:
        half = 1.96 * deviation / math.sqrt(count)
        text += f" &plusmn; {half:.3g} <span class='dim'>(95 % interval of the mean of {count:.0f} episodes)</span>"
    if _is_number(result.get("target")):
        text += f", target {page.number(result['target'])}: {'reached' if result.get('reached') else 'not reached'}"
    facts = (
        f"seed {settings.get('seed')}, {page.number(result.get('progress'))} {result.get('unit')} in {page.number(result.get('seconds'))} s"
    )
    best = result.get("best")
    if isinstance(best, Mapping):
        facts += f"; best evaluation {page.number(best.get('score'))} at {page.number(best.get('progress'))}"
    return f"<p class='verdict'>{text}</p><p class='dim'>{escape(facts)}</p>"


def _returns(result: Mapping[str, Any], target: float | None) -> list[str]:
    returns = result.get("returns")
    if not isinstance(returns, list) or not returns or not all(map(_is_number, returns)):
        return []
    return [histogram(returns, target)]


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


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_run(folder: Path) -> None:
    """Refuse a folder that is not a run's.

    Raises:
        RequestError: if it is a file, or has no recipe.
    """
    if folder.is_file():
        raise RequestError(f"{str(folder)!r} is a file, not a run folder", "name run folders, such as runs/*")
    recipe.path_in(folder)
