"""Pages of components, from the catalogue, the file that implements each, its presets, and its rows in `benchmarks/`."""

from __future__ import annotations

import ast
import importlib.resources
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rl_core import describe
from rl_core.errors import RlError
from rl_core.plugins.catalogue import Catalogue, Entry

TITLES = {
    "agent": "Agents",
    "network": "Networks",
    "task": "Tasks",
    "scheme": "Schemes of tasks",
    "launcher": "Launchers",
    "logger": "Loggers",
}
"""Headings by kind of component."""


def pages(root: Path) -> dict[str, str]:
    """Return the page of every installed component by its place on the site.

    Args:
        root: Folder of the repository, whose `benchmarks/` have the scores.
    """
    rows = list(score_rows(root / "benchmarks"))
    found = {}
    for entry in Catalogue.discover().entries():
        name = re.sub(r"[^A-Za-z0-9.-]", "-", entry.name)
        found[f"components/{entry.kind}-{entry.package}-{name}"] = page(entry, rows)
    return found


def page(entry: Entry, rows: list[tuple[str, str, str]]) -> str:
    """Return the page of a component as Markdown."""
    spec = entry.spec
    parts = [f"# {entry.name}", f"{spec.summary}.", *_facts(entry), *_command(entry)]
    header = _header(getattr(spec, "target", ""))
    if header:
        parts += ["## The algorithm" if entry.kind == "agent" else "## How it works", header]
    parts += _settings(entry)
    parts += _presets(entry)
    parts += _scores(entry, rows)
    return "\n\n".join(parts) + "\n"


def score_rows(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name of the table's page, heading of the table and row, for every row of every table in the folder's pages."""
    for path in sorted(folder.glob("*.md")):
        heading = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("|"):
                heading = ""
            elif not heading:
                heading = line
            elif not set(line) <= set("|-: "):
                yield path.stem, heading, line


def _facts(entry: Entry) -> list[str]:
    spec = entry.spec
    facts = {"kind": entry.kind, "package": f"`{entry.package}`"}
    for name in ("reference", "unit"):
        if getattr(spec, name, ""):
            facts["source" if name == "reference" else "unit of progress"] = getattr(spec, name)
    for name in ("task", "network", "agent"):
        if isinstance(getattr(spec, name, None), str):
            facts[f"default {name}"] = f"`{getattr(spec, name)}`"
    if getattr(spec, "target", ""):
        facts["implemented by"] = f"`{spec.target}`"
    if getattr(spec, "tags", ()):
        facts["tags"] = ", ".join(spec.tags)
    return ["| | |\n|---|---|\n" + "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items())]


def _command(entry: Entry) -> list[str]:
    if entry.kind in ("logger", "launcher"):
        return []
    shown = f"'{entry.name}:...'" if entry.kind == "scheme" else entry.name
    return [f"```sh\nrl-core show {shown}\nrl-core run {shown}\n```"]


def _header(target: str) -> str:
    """Return the docstring of the file that a spec's target names, without importing it."""
    module = target.partition(":")[0]
    spec = importlib.util.find_spec(module.partition(".")[0]) if module else None
    if spec is None or spec.origin is None:
        return ""
    path = Path(spec.origin).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.exists():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    # each of the labelled parts of a header begins a paragraph of its own
    text = re.sub(r"\n(?=(?:Source|Sources|Departures|Errata|Letters): )", "\n\n", text)
    return "\n".join(line if not line.startswith("    ") else line.strip() for line in re.sub(r"([<>{}$])", r"\\\1", text).splitlines())


def _settings(entry: Entry) -> list[str]:
    if not getattr(entry.spec, "target", "") or entry.status != "ready":
        return []
    try:
        config = getattr(entry.load(), "Config", None)
    except RlError:
        return ["Its settings are shown where what it needs is installed."]
    if config is None:
        return []
    fields = describe.describe(config, dict(getattr(entry.spec, "config", {}) or {}))
    if not fields:
        return []
    table = "\n".join(
        f"| `{field.name}` | `{_cell(field.type)}` | `{_cell(json.dumps(field.default))}` | {_cell(field.help)} |" for field in fields
    )
    return ["## Settings", f"| setting | type | default | |\n|---|---|---|---|\n{table}"]


def _presets(entry: Entry) -> list[str]:
    package, _, path = getattr(entry.spec, "presets", "").partition(":")
    if not package:
        return []
    text = importlib.resources.files(package).joinpath(path).read_text(encoding="utf-8")
    return ["## Presets", "Settings that are taken by default on these tasks:", f"```yaml\n{text.rstrip()}\n```"]


def _scores(entry: Entry, rows: list[tuple[str, str, str]]) -> list[str]:
    """Return the rows whose first cell names the component, under the heading of each table."""
    wanted = re.compile(rf"(?<![\w.-]){re.escape(entry.name)}(?![\w.-])")
    tables: dict[tuple[str, str], list[str]] = {}
    for stem, heading, row in rows:
        if wanted.search(row.split("|")[1]):
            tables.setdefault((stem, heading), []).append(row)
    if not tables:
        return []
    parts = ["## Measured"]
    for (stem, heading), found in tables.items():
        columns = heading.strip().strip("|").count("|") + 1
        shown = "\n".join(found[:40])
        parts += [f"From [{stem}](../benchmarks/{stem}.md):", f"{heading}\n{'|---' * columns}|\n{shown}"]
    return parts


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
