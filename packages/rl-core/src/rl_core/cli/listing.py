"""Read-only commands: `list`, `show` and `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.cli import Call, wants_colour
from rl_core.cli.completion import component_names
from rl_core.errors import RequestError, RlError, printable
from rl_core.plugins.catalogue import KINDS, Catalogue, Entry, fits, may_fit

if TYPE_CHECKING:
    from rl_core.cli.layers import Layer
    from rl_core.describe import ConfigField
    from rl_core.plugins.versions import Conflict
    from rl_core.runs.recipe import Resolved

_TITLES = {
    "agent": "Agents",
    "network": "Networks",
    "task": "Tasks",
    "scheme": "Tasks by scheme",
    "logger": "Loggers",
    "launcher": "Launchers",
}
_WIDEST_TYPE = 60  # characters of a type in a table
_SLOW_MILLISECONDS = 100.0


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only components of this kind.")
@click.option("--fits", "partner", metavar="NAME", shell_complete=component_names(), help="Only what works together with this component.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def list_components(call: Call, kind: str | None, partner: str | None, as_json: bool) -> None:
    """List the components of every installed plugin, and broken ones. Imports none of them."""
    catalogue = call.catalogue()
    entries = catalogue.entries()
    if partner is not None:
        entries = _fitting(catalogue, catalogue.find(partner))
    if kind is not None:
        entries = [entry for entry in entries if entry.kind == kind or (kind == "task" and entry.kind == "scheme")]
    if as_json:
        _print_json({"components": [_component(entry) for entry in entries], "broken": _broken(catalogue)})
        return
    for each in KINDS:
        rows = [
            (_shown_name(entry), entry.status, entry.spec.summary, f"{entry.package} {entry.version}")
            for entry in entries
            if entry.kind == each
        ]
        if rows:
            _heading(_TITLES[each])
            _table(rows, cut=2)
    _print_broken(catalogue)
    problems = f"; {_counted(len(catalogue.broken), 'problem')}, see: rl-core doctor" if catalogue.broken else ""
    packages = _counted(len({entry.package for entry in entries}), "package")
    click.echo(f"{_counted(len(entries), 'component')} from {packages}{problems}", err=True)
    if partner is not None and "data" in getattr(catalogue.find(partner).spec, "traits", ()) and not catalogue.installed("dl-nets"):
        click.echo("networks learn tasks like this one too; they are in dl-nets, which is not installed: pip install dl-nets", err=True)


@click.command("show")
@click.argument("name", shell_complete=component_names(*KINDS))
@click.option("--kind", type=click.Choice(KINDS), help="Where one name is used by two kinds.")
@click.option("--task", shell_complete=component_names("task"), help="Show the settings of a run on this task, and where each comes from.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_obj
def show(call: Call, name: str, kind: str | None, task: str | None, as_json: bool) -> None:
    """Show one component: its config, defaults and source; the layers of a network. Of the folder of a sweep: the states of its runs.

    With --task: the settings of a run on that task, where each comes from, and the layers of a network that was named.
    """
    if kind is None and _holds(name, "sweep.yaml"):
        from rl_core.cli.sweeping import show_sweep

        show_sweep(name, as_json)
        return
    if kind is None and _holds(name, "tune.yaml"):
        from rl_core.cli.tuning import show_tuning

        show_tuning(name, as_json)
        return
    catalogue = call.catalogue()
    if task is not None:
        _show_settings(catalogue, name, task, as_json)
        return
    entry = _find_any(catalogue, name, kind)
    fields, problem = _config_of(entry)
    document = _component(entry) | {
        "reference": entry.spec.reference,
        "unit": getattr(entry.spec, "unit", None),
        "defaults": _defaults(entry),
        "config": [_config_field(field) for field in fields],
        "fits": list(getattr(entry.spec, "fits", ())),
        "traits": sorted(getattr(entry.spec, "traits", ())),
        "presets": _preset_tasks(entry),
        "target": entry.spec.target,
        "run": _run_line(entry),
        "data": _facts(catalogue, entry),
        "problem": problem,
        "also": [other.kind for other in catalogue.entries() if other.name == entry.name and other.kind != entry.kind],
    }
    layers = _layers_by_default(catalogue, entry) if entry.kind == "network" else []
    if entry.kind == "network":
        document["layers"] = [row._asdict() for row in layers]
    if as_json:
        _print_json(document)
    else:
        _print_component(entry, document)
        _print_layers(layers, str(document["defaults"]["task"]))


def _show_settings(catalogue: Catalogue, name: str, task: str, as_json: bool) -> None:
    from rl_core.plugins.containment import stdout_to_stderr
    from rl_core.runs import recipe

    with stdout_to_stderr():
        resolved = recipe.resolve(catalogue, name, task=task)
    rows = resolved.settings()
    if as_json:
        layers = _layers(resolved) if resolved.network is not None and resolved.network.name == name else []
        _print_json({"name": name, "task": task, "settings": [row._asdict() for row in rows], "layers": [row._asdict() for row in layers]})
        return
    import json

    _heading(f"{resolved.recipe.agent} on {resolved.recipe.task}")
    _table([(row.name, row.value if isinstance(row.value, str) else json.dumps(row.value), row.source) for row in rows])
    if resolved.network is not None and resolved.network.name == name:
        _print_layers(_layers(resolved), task)


def _layers(resolved: Resolved) -> list[Layer]:
    """Return the layers of a run's network; none where it cannot be built."""
    from rl_core.cli.layers import layers_of
    from rl_core.plugins.containment import stdout_to_stderr

    if resolved.built_network is None:
        return []
    with stdout_to_stderr():
        try:
            return layers_of(resolved.built_network, resolved.built_task)
        except ValueError as error:
            raise RequestError(str(error), "name a task that fits with --task") from error


def _layers_by_default(catalogue: Catalogue, entry: Entry) -> list[Layer]:
    """Return the layers of a network on its default task; none where the task, or what it needs, is not there."""
    from rl_core.plugins.containment import stdout_to_stderr
    from rl_core.runs import recipe

    try:
        with stdout_to_stderr():
            resolved = recipe.resolve(catalogue, entry.qualified)
        return _layers(resolved)
    except RlError:
        return []


def _print_layers(layers: Sequence[Layer], task: str) -> None:
    if not layers:
        return
    _heading(f"Layers on {task} (B: batch)")
    _table([("name", "kind", "outputs", "parameters"), *((row.name or "-", row.kind, row.shape, f"{row.parameters:,}") for row in layers)])
    _line(f"{sum(row.parameters for row in layers):,} parameters")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """List every plugin, how it loads, and its problems, such as packages of versions that do not suit each other.

    Ends with status 1 if there are any.
    """
    from rl_core.plugins.versions import conflicts

    catalogue = ctx.obj.catalogue()
    unsuited = conflicts(plugin.package for plugin in catalogue.plugins)
    ambiguous = [entry for entry in catalogue.entries() if entry.status == "ambiguous"]
    missing = [entry for entry in catalogue.entries() if entry.missing]
    healthy = not catalogue.broken and not ambiguous and not unsuited
    if as_json:
        _print_json(
            {
                "healthy": healthy,
                "plugins": [_plugin(plugin) for plugin in catalogue.plugins],
                "broken": _broken(catalogue),
                "ambiguous": [_component(entry) | {"remedy": entry.remedy} for entry in ambiguous],
                "missing": [_component(entry) | {"remedy": entry.remedy} for entry in missing],
                "versions": [conflict._asdict() for conflict in unsuited],
            }
        )
    else:
        _print_doctor(catalogue, ambiguous, missing, unsuited)
    if ctx.obj.traceback:
        import traceback

        for broken in catalogue.broken:
            if broken.cause is not None:
                traceback.print_exception(broken.cause)
    if not healthy:
        ctx.exit(1)


def _holds(name: str, file: str) -> bool:
    """Return whether a name is a folder with this file."""
    from pathlib import Path

    return (Path(name) / file).is_file()


def _find_any(catalogue: Catalogue, name: str, kind: str | None) -> Entry:
    """Return the component that `show` means: a runnable one first, then a scheme (with or without its colon), a logger or a launcher."""
    if kind is not None:
        return catalogue.find(name, kind)
    try:
        return catalogue.find(name)
    except RequestError:
        for other in ("scheme", "logger", "launcher"):
            try:
                return catalogue.find(name.removesuffix(":"), other)
            except RequestError:
                continue
        raise


def _fitting(catalogue: Catalogue, partner: Entry) -> list[Entry]:
    """Return the components that can be in one run with `partner`. Agents and networks fit when some task that is known fits both."""
    entries = catalogue.entries()
    if partner.kind == "task":
        return [entry for entry in entries if entry.kind in ("agent", "network") and _task_fits(partner, entry)]
    tasks = [entry for entry in entries if entry.kind in ("task", "scheme") and _task_fits(entry, partner)]
    other = "network" if partner.kind == "agent" else "agent"
    learners = [
        entry
        for entry in catalogue.entries(other)
        if _takes_network(entry) and _takes_network(partner) and any(_task_fits(task, entry) for task in tasks)
    ]
    return sorted([*learners, *tasks], key=lambda entry: KINDS.index(entry.kind))


def _task_fits(task: Entry, learner: Entry) -> bool:
    """Return whether a task fits; one of a scheme, whose traits are known in part before it is built, fits unless they contradict."""
    open_ended = task.kind == "scheme" or task.scheme is not None
    return (may_fit if open_ended else fits)(task.spec.traits, learner.spec.fits)


def _takes_network(entry: Entry) -> bool:
    return entry.kind == "network" or entry.spec.network is not None


def _config_of(entry: Entry) -> tuple[list[ConfigField], str]:
    """Return the fields of the component's config, or why they cannot be read."""
    if entry.kind == "logger":
        return [], ""
    from rl_core.plugins.placeholders import config_fields

    try:
        return config_fields(entry, whole=entry.kind == "network"), ""  # a network is built, for its layers
    except RlError as error:
        return [], f"{error.message}; {error.hint}"
    except (AttributeError, TypeError) as error:
        return [], f"{entry.spec.target} has no config that can be read: {error}"


def _facts(catalogue: Catalogue, entry: Entry) -> dict[str, str]:
    """Return what the task of a file or folder says of its data, which is read for it; empty for any other component.

    Raises:
        RequestError: if the data cannot be read.
    """
    if entry.kind != "task" or entry.scheme is None or not entry.scheme.make_example:
        return {}
    from rl_core.plugins.containment import stdout_to_stderr
    from rl_core.runs import recipe

    with stdout_to_stderr():
        return recipe.build_task(catalogue, entry.qualified).facts()


def _defaults(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    agent = getattr(spec, "agent", None) or next(iter(entry.scheme.agents if entry.scheme else getattr(spec, "agents", ())), None)
    return {
        "agent": agent,
        "task": getattr(spec, "task", None),
        "network": getattr(spec, "network", None),
        "budget": getattr(spec, "budget", None),
    }


def _preset_tasks(entry: Entry) -> list[str]:
    """Return the names of the tasks that the agent ships tuned settings for."""
    package, _, path = getattr(entry.spec, "presets", "").partition(":")
    if not package:
        return []
    import importlib.resources

    import yaml

    try:
        return sorted(yaml.safe_load(importlib.resources.files(package).joinpath(path).read_text(encoding="utf-8")))
    except (ImportError, OSError, TypeError, yaml.YAMLError):  # `rl-core check` is where a plugin's author reads of it
        return []


def _run_line(entry: Entry) -> str | None:
    name = entry.qualified if entry.status == "ambiguous" else entry.name
    if entry.kind == "agent":
        network = f" --network {entry.spec.network}" if entry.spec.network else ""
        return f"rl-core run {name} --task {entry.spec.task}{network} --seed 0"  # no budget: a preset may have another
    if entry.kind == "logger":
        return f"rl-core run ppo --logger {name}"
    if entry.kind == "launcher":
        return f"rl-core sweep ppo --seeds 0-9 --out sweeps/ppo --launcher {name}"
    return f"rl-core run {entry.spec.example if entry.kind == 'scheme' else name} --seed 0"


def _shown_name(entry: Entry) -> str:
    return f"{entry.name}:<{entry.spec.argument}>" if entry.kind == "scheme" else entry.name


def _component(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "package": entry.package,
        "version": entry.version,
        "summary": entry.spec.summary,
        "status": entry.status,
        "needs": list(entry.missing),
        "tags": list(entry.spec.tags),
    }


def _config_field(field: ConfigField) -> dict[str, Any]:
    return {"name": field.name, "type": field.type, "default": field.default, "help": field.help, "required": field.required}


def _broken(catalogue: Catalogue) -> list[dict[str, str]]:
    names = ("package", "version", "entry_point", "error", "remedy")
    return [{name: getattr(broken, name) for name in names} for broken in catalogue.broken]


def _plugin(plugin: Any) -> dict[str, Any]:
    return {
        "name": plugin.entry_point,
        "package": plugin.package,
        "version": plugin.version,
        "api": plugin.api,
        "status": plugin.status,
        "milliseconds": round(plugin.milliseconds, 2),
        "hooks": list(plugin.hooks),
    }


def _print_component(entry: Entry, document: dict[str, Any]) -> None:
    import json

    _heading(_shown_name(entry))
    _line(entry.spec.summary)
    status = f"{entry.status} ({entry.remedy})" if entry.remedy else entry.status
    defaults = ", ".join(f"{key} {value}" for key, value in document["defaults"].items() if value is not None)
    rows = [
        ("kind", _TITLES[entry.kind].lower().removesuffix("s")),
        ("package", f"{entry.package} {entry.version}"),
        ("status", status),
        ("source", document["reference"]),
        ("fits", "; or ".join(document["fits"])),
        ("traits", ", ".join(document["traits"])),
        ("defaults", defaults + (f" {document['unit']}" if document["unit"] else "")),
        ("presets", ", ".join(document["presets"])),
        ("also", ", ".join(f"a {kind} of that name: rl-core show {entry.name} --kind {kind}" for kind in document["also"])),
    ]
    _table([row for row in rows if row[1]])
    if document["config"]:
        _heading("Config")
        _table(
            [
                (row["name"], _short(row["type"]), "required" if row["required"] else json.dumps(row["default"]), row["help"])
                for row in document["config"]
            ]
        )
        for row in document["config"]:
            if _short(row["type"]) != row["type"]:
                _line(f"{row['name']}: {row['type']}")
    if document["data"]:
        _heading("Data")
        _table(list(document["data"].items()))
    if document["problem"] and document["problem"] != entry.problem:
        _heading("Problem")
        _line(document["problem"])
    if document["run"]:
        _heading("Run it")
        _line(document["run"])


def _short(type_: str) -> str:
    """Return a type as the table of the config prints it: many choices are listed below the table."""
    return type_ if len(type_) <= _WIDEST_TYPE else f"{type_.partition('[')[0]}[...]"


def _print_doctor(catalogue: Catalogue, ambiguous: Sequence[Entry], missing: Sequence[Entry], unsuited: Sequence[Conflict]) -> None:
    import platform
    from importlib.metadata import version

    _line(f"rl-core {version('rl-core')} in Python {platform.python_version()}, {sys.prefix}", indent="")
    _heading("Plugins")
    _table(
        [
            (
                plugin.package,
                plugin.version,
                plugin.status,
                "-"
                if plugin.status == "disabled"
                else f"{plugin.milliseconds:.1f} ms" + (" (slow)" if plugin.milliseconds > _SLOW_MILLISECONDS else ""),
                ", ".join(plugin.hooks),
            )
            for plugin in catalogue.plugins
        ]
    )
    _print_broken(catalogue)
    if ambiguous:
        _heading("Ambiguous names")
        _table([(entry.name, entry.kind, entry.package, entry.remedy) for entry in ambiguous])
    if missing:
        _heading("Not installed")
        _table([(entry.name, entry.kind, entry.status, entry.remedy) for entry in missing])
    if unsuited:
        _heading("Versions that do not suit each other")
        _table([(conflict.package, f"needs {conflict.need}", conflict.installed, conflict.remedy) for conflict in unsuited])
    unkept = _unkept_code(catalogue)
    if unkept:
        _heading("Compiled code")
        for problem in unkept:
            _line(f"{problem}; every process compiles anew")
        _line("remedy: set NUMBA_CACHE_DIR to a folder that can be written", indent="    ")
    if not catalogue.broken and not ambiguous and not unsuited and not unkept:
        _line("no problems", indent="")


def _unkept_code(catalogue: Catalogue) -> list[str]:
    """Return a sentence for each plugin whose compiled code cannot be kept on disk."""
    from pathlib import Path

    from rl_core.compiling import cache_problem

    files = [getattr(sys.modules.get(plugin.module), "__file__", None) for plugin in catalogue.plugins]
    return [problem for file in files if file and (problem := cache_problem(Path(file).parent))]


def _print_broken(catalogue: Catalogue) -> None:
    if catalogue.broken:
        _heading("Broken")
    for broken in catalogue.broken:
        _line(f"{broken.package} {broken.version}: {broken.error}")
        _line(f"remedy: {broken.remedy}", indent="    ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _heading(text: str) -> None:
    click.echo(click.style(printable(text), bold=True), color=wants_colour())


def _line(text: str, indent: str = "  ") -> None:
    click.echo(indent + printable(text), color=wants_colour())


def _table(rows: Iterable[Sequence[str]], cut: int | None = None) -> None:
    """Padded columns. On a terminal that is too narrow, column `cut` is shortened; nothing ever is in a pipe or a file."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if cut is not None and sys.stdout.isatty():
        import shutil

        room = shutil.get_terminal_size().columns - 2 - sum(widths) - 2 * (len(widths) - 1) + widths[cut]
        widths[cut] = min(widths[cut], max(room, 16))
    lines = []
    for row in cells:
        if cut is not None and len(row[cut]) > widths[cut]:
            row[cut] = row[cut][: widths[cut] - 1] + "…"
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo("\n".join(lines), color=wants_colour())


def _print_json(document: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(document, indent=2))
