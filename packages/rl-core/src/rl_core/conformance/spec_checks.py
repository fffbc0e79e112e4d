"""Checks of what a plugin says of a component: the spec, the config, and the words in which both are explained."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.resources
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, get_type_hints

import gymnasium

from rl_core import config, documents
from rl_core.agent import Agent
from rl_core.conformance import ranges
from rl_core.conformance.subjects import Subject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.describe import describe
from rl_core.errors import RequestError, RlError, nearest
from rl_core.network import Network
from rl_core.plugins.catalogue import fits
from rl_core.plugins.installed import normalised
from rl_core.plugins.siblings import SIBLINGS
from rl_core.runs.start import SETTINGS
from rl_core.task import Task

_BASES: dict[str, type] = {"agent": Agent, "network": Network, "task": Task, "scheme": Task}
_PRESET_KEYS = {"budget", "config", "network", "network_config", "task_config"}


def names_a_class(subject: Subject) -> None:
    """Check that the target is a concrete class of the right kind, and its Config is a frozen dataclass whose fields have defaults."""
    target, base = subject.entry.spec.target, _BASES[subject.kind]
    found = subject.loaded
    if not issubclass(found, base):
        raise Fault(f"{target} is no {base.__name__}; a component's class derives from {base.__module__}.{base.__name__}")
    abstract = sorted(getattr(found, "__abstractmethods__", ()))
    if abstract:
        raise Fault(f"{target} leaves {', '.join(abstract)} abstract; it must define each method that the base class asks for")
    made_of = getattr(found, "Config", None)
    if not (isinstance(made_of, type) and dataclasses.is_dataclass(made_of)):
        raise Fault(f"{target} has no Config; it must be a frozen dataclass, given as a class attribute")
    if not made_of.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise Fault(f"{made_of.__name__} can be changed after it was made; write @dataclass(frozen=True)")
    required = [row.name for row in describe(made_of) if row.required]
    if required:
        raise Fault(f"{made_of.__name__} has no default for {', '.join(required)}; every field needs one, so that a bare name can be run")


def gives_settings_that_build(subject: Subject) -> None:
    """Check that the defaults, the spec's changes, its tiny size and every preset build a config, and presets name what exists."""
    spec, made_of = subject.entry.spec, subject.loaded.Config
    tried: list[tuple[str, Mapping[str, Any]]] = [("the defaults", {})]
    if subject.kind != "scheme":
        tried += [("config of the spec", spec.config), ("tiny of the spec", {**spec.config, **getattr(spec, "tiny", {})})]
    for task, preset in _presets(subject).items():
        tried.append((f"the preset for {task}", {**spec.config, **preset.get("config", {})}))
    for what, values in tried:
        try:
            config.build(made_of, values, where=f"{subject.kind} {spec.name}")
        except RequestError as error:
            if not values and subject.kind in ("scheme", "task"):
                continue  # a task may have to be told what it is of: csv:<file>
            raise Fault(f"{what} cannot be built: {error.message}; correct the value in the spec, the preset, or the class") from error
    for name, preset in _presets(subject).items():
        task, _, network = name.partition("+")
        _require_settings(subject, f"network_config of the preset for {name}", preset, preset.get("network") or network or spec.network)
        _require_settings(subject, f"task_config of the preset for {name}", preset, task)


def gives_presets_that_apply(subject: Subject) -> None:
    """Check that the key of every preset names a task, a Gymnasium id or `scheme:*`, with or without a network, that fits the agent."""
    spec = subject.entry.spec
    presets = _presets(subject)
    if not presets:
        raise Skipped("it has no presets")
    for key in presets:
        name, _, network = key.partition("+")
        entry = _task_of_preset(subject, key, name)
        if network and spec.network is None:
            raise Fault(f"the preset {key!r} names a network, but the agent takes none; it is never used")
        if network:
            _find(subject, network, "network")
        if entry is not None and entry.scheme is None and not fits(entry.spec.traits, spec.fits):
            raise Fault(
                f"the preset {key!r} is never used: task {name} offers {', '.join(entry.spec.traits)}, "
                f"the agent needs {' or '.join(spec.fits)}"
            )


def _task_of_preset(subject: Subject, key: str, name: str) -> Any:
    """Return the entry of the task that a preset is for; `None` for a whole scheme, and for what is not installed.

    Raises:
        Fault: if no task can have this name.
    """
    scheme, colon, rest = name.partition(":")
    schemes = [entry.spec.name for entry in subject.catalogue.entries("scheme")]
    if _is_elsewhere(subject, name) and scheme not in schemes and name not in [entry.name for entry in subject.catalogue.entries("task")]:
        return None
    if colon and rest == "*":
        if scheme in schemes:
            return None
        raise Fault(f"the preset {key!r} is never used: no scheme is named {scheme!r}; there are {', '.join(schemes)}")
    if colon and "/" not in name and scheme not in schemes:
        raise Fault(f"the preset {key!r} is never used: no scheme is named {scheme!r}; there are {', '.join(schemes)}")
    known = [entry.name for entry in subject.catalogue.entries("task")]
    plain = name.removeprefix("gym:")
    if name not in known and (not colon or name != plain) and "/" not in plain and plain not in gymnasium.registry:
        close = nearest(plain, [*known, *gymnasium.registry], 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise Fault(f"the preset {key!r} is never used: no task and no Gymnasium environment is named {plain!r}{hint}")
    try:
        return subject.catalogue.find(name, "task")
    except RlError:
        return None


def _require_settings(subject: Subject, what: str, preset: Mapping[str, Any], name: str | None) -> None:
    """Require that the settings of an agent's preset for a network or task make a config, where that is installed."""
    key = what.partition(" ")[0]
    kind = key.removesuffix("_config")
    if key not in preset or _find(subject, name, kind) is None:
        return
    entry = subject.catalogue.find(str(name), kind)
    if entry.missing:
        return
    try:
        config.build(entry.load().Config, {**entry.spec.config, **preset[key]}, where=f"{kind} {name}")
    except RequestError as error:
        raise Fault(f"{what} cannot be built: {error.message}; correct the value in the preset") from error


def names_what_exists_and_fits(subject: Subject) -> None:
    """Check that the default task, network and agent exist and fit each other."""
    spec = subject.entry.spec
    agent = spec if subject.kind == "agent" else _find(subject, getattr(spec, "agent", ""), "agent")
    network = spec if subject.kind == "network" else _find(subject, getattr(spec, "network", None), "network")
    task = _find(subject, getattr(spec, "task", ""), "task")
    traits = subject.traits if task is None else frozenset(task.traits)
    for other, kind in ((agent, "agent"), (network, "network")):
        if other is not None and traits and not _may_fit(subject, traits, other.fits):
            name = spec.name if task is None else task.name
            raise Fault(
                f"{kind} {other.name} does not fit task {name}: it needs {' or '.join(other.fits)}; the task offers "
                f"{', '.join(sorted(traits))}; name another default, or correct the traits"
            )


def requires_what_it_imports(subject: Subject) -> None:
    """Check that what its module imports is a dependency of its distribution, or is named in the spec's `requires`."""
    module = subject.entry.spec.target.partition(":")[0]
    try:
        certain = _distributions(subject.package)
    except metadata.PackageNotFoundError as error:
        raise Skipped(f"the metadata of {subject.package} cannot be found") from error
    for name, where in _imports(module).items():
        providers = {normalised(provider) for provider in _providers().get(name, ())}
        if providers and not providers & certain and name not in subject.entry.spec.requires:
            raise Fault(
                f"{where} imports {name}, which {subject.package} does not declare; add it to the distribution's dependencies, "
                f"or to the spec: requires=({name!r},), extra=..."
            )


def refuses_wrong_settings(subject: Subject) -> None:
    """Check that a config refuses unknown fields, values of a wrong type and invalid numbers, with messages that say what is needed."""
    where = f"{subject.kind} {subject.entry.spec.name}"
    made_of = subject.loaded.Config
    base = dict(subject.entry.spec.config) if subject.kind != "scheme" else {}
    _build(made_of, {**base, "no_such_field": 1}, where, refused="an unknown field")
    for row in describe(made_of):
        accepted = [value for value in ranges.WRONG if _build(made_of, {**base, row.name: value}, where)]
        if len(accepted) == len(ranges.WRONG):
            raise Fault(
                f"{row.name} takes {accepted[0]!r}, {accepted[1]!r} and everything else; annotate it with its type, not with {row.type}"
            )
        for value in ranges.ODD:
            _build(made_of, {**base, row.name: value}, where)


def holds_the_ranges_it_states(subject: Subject) -> None:
    """Check that values outside the range in a field's annotation (`Meta(gt=0)`) are refused."""
    where = f"{subject.kind} {subject.entry.spec.name}"
    made_of = subject.loaded.Config
    for name, hint in _hints(made_of).items():
        for value in ranges.outside(hint):
            if _build(made_of, {name: value}, where) and not _task_refuses(subject, {name: value}):
                raise Fault(f"{name} is said to be {config.range_of(hint)}, and takes {value!r}; write @configclass, which holds ranges")


def explains_its_fields(subject: Subject) -> None:
    """Check that every config field is annotated with a `Doc`, and a number also with its range, or `any number` in the `Doc`."""
    made_of = subject.loaded.Config
    for name, hint in _hints(made_of).items():
        if subject.kind == "network" and name in SETTINGS:  # its run could not be opened again
            raise Fault(f"{made_of.__name__}.{name} is named as one of the settings of every network ({', '.join(SETTINGS)}); rename it")
        explained = config.help_of(hint)
        if not explained:
            raise Fault(f'{made_of.__name__}.{name} is not explained; annotate it: Annotated[type, range, Doc("symbol, meaning, unit")]')
        if ranges.is_number(hint) and not config.range_of(hint) and not ranges.STATED.search(explained):
            raise Fault(
                f"{made_of.__name__}.{name} is a number, and its annotation does not say which ones are allowed; "
                "add a range such as Positive, Count or Meta(ge=0, le=1), or write `any number` in its Doc"
            )
    if not (made_of.__doc__ or "").strip() or (made_of.__doc__ or "").startswith(f"{made_of.__name__}("):
        raise Fault(f"{made_of.__name__} has no docstring; say in a line what is set there")


def _hints(made_of: type) -> dict[str, Any]:
    """Return the annotations of the fields that a user can set."""
    hints = get_type_hints(made_of, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(made_of) if field.init}


def names_its_source(subject: Subject) -> None:
    """Check that a source is named: by the spec's `reference`, or by a line `Source: ...` in the docstring of its module."""
    text = sys.modules[subject.loaded.__module__].__doc__ or ""
    if not subject.entry.spec.reference and not re.search(r"\bSources?\b", text):
        raise Fault(
            f"neither the spec nor {subject.loaded.__module__} names a source; give reference='authors, title, year' (or say there "
            "that it is your own)"
        )


def _build(made_of: type, values: Mapping[str, Any], where: str, refused: str = "") -> bool:
    """Return whether a config accepts values; any exception other than a refusal with a message is a fault."""
    try:
        config.build(made_of, values, where=where)
    except RequestError as error:
        if not error.message.strip():
            raise Fault(f"the config refuses {values!r} without a message; say what was given and what is needed") from error
        return False
    except Exception as error:
        raise Fault(
            f"the config meets {values!r} with {type(error).__name__}: {error}; it must raise a ValueError that says what is needed"
        ) from error
    if refused:
        raise Fault(f"the config takes {refused}: {values!r}")
    return True


def _task_refuses(subject: Subject, values: Mapping[str, Any]) -> bool:
    """Return whether a task, which is built before anything is written, refuses with a message values that its config accepts."""
    if subject.kind != "task":
        return False
    try:
        subject.loaded(subject.loaded.Config(**values))
    except ValueError as error:
        return bool(str(error).strip())
    return False


def _is_elsewhere(subject: Subject, name: str) -> bool:
    """Return whether a name, or the scheme of a task's, is that of a sibling package other than the subject's."""
    return SIBLINGS.get(name.partition(":")[0], subject.package) != subject.package


def _find(subject: Subject, name: str | None, kind: str) -> Any:
    """Return the spec of a default; `None` where none is named or its package is not installed."""
    if not name:
        return None
    try:
        return subject.catalogue.find(name, kind).spec
    except RlError as error:
        if _is_elsewhere(subject, name):
            return None
        raise Fault(f"the default {kind} {name!r} is not there: {error.message}; {error.hint}") from error


def _may_fit(subject: Subject, traits: frozenset[str], alternatives: tuple[str, ...]) -> bool:
    from rl_core.plugins.catalogue import may_fit

    schemes = [entry.spec.traits for entry in subject.catalogue.entries("scheme")]
    return fits(traits, alternatives) or (traits in map(frozenset, schemes) and may_fit(traits, alternatives))


def _presets(subject: Subject) -> dict[str, dict[str, Any]]:
    """Return the tuned settings by task; their form is checked."""
    text = getattr(subject.entry.spec, "presets", "")
    if not text:
        return {}
    package, _, resource = text.partition(":")
    try:
        presets = _parsed(importlib.resources.files(package).joinpath(resource).read_text(encoding="utf-8")) or {}
    except (OSError, ModuleNotFoundError, ValueError) as error:
        raise Fault(
            f"presets={text!r} cannot be read: {error}; it names a YAML file inside the package, and the wheel must hold it"
        ) from error
    if not isinstance(presets, dict):
        raise Fault(f"{text} holds no mapping of task names to settings")
    for task, preset in presets.items():
        odd = sorted(set(preset) - _PRESET_KEYS) if isinstance(preset, dict) else ["no mapping"]
        if odd:
            raise Fault(f"{text} has {odd[0]!r} under {task!r}; a preset has the keys {', '.join(sorted(_PRESET_KEYS))}")
        _find(subject, preset.get("network"), "network")
    return presets


@lru_cache(maxsize=2)
def _parsed(text: str) -> Any:
    return documents.parse_yaml(text)  # three checks of an agent read its presets


@cache
def _providers() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _distributions(package: str) -> frozenset[str]:
    """Return the distribution and everything that is installed with it: its requirements and theirs, without extras."""
    found: set[str] = set()
    open_ = [package]
    metadata.version(package)
    while open_:
        name = normalised(open_.pop())
        if name in found:
            continue
        found.add(name)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        open_ += [re.split(r"[^A-Za-z0-9_.-]", text, maxsplit=1)[0] for text in requirements if not re.search(r"\bextra\b", text)]
    return frozenset(found)


def libraries(modules: Iterable[str]) -> dict[str, str]:
    """Return what importing these modules imports from other packages, and the file and line that do; followed within their own package."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    open_ = list(modules)
    while open_:
        name = open_.pop()
        if name not in seen:
            seen.add(name)
            own, others = _read_imports(name)
            open_ += own
            found = {**others, **found}
    return found


def _imports(module: str) -> dict[str, str]:
    """Return the top-level modules outside of the standard library that importing a module imports, and the file and line that do."""
    found: dict[str, str] = {}
    for name, place in libraries([module]).items():
        found.setdefault(name.partition(".")[0], place)
    return {name: place for name, place in found.items() if name not in sys.stdlib_module_names}


def _read_imports(module: str) -> tuple[list[str], dict[str, str]]:
    """Return the modules of its own package that a module imports, and the names that it takes from others with the file and line."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return [], {}
    path = Path(spec.origin)
    return _parsed_imports(module, path.name, path.read_text(encoding="utf-8"))


@cache
def _parsed_imports(module: str, file: str, text: str) -> tuple[list[str], dict[str, str]]:
    own: list[str] = []
    others: dict[str, str] = {}
    for node in _at_import(ast.parse(text).body):
        for imported in _imported(node, module):
            if imported.partition(".")[0] == module.partition(".")[0]:
                own += [imported] if _exists(imported) else []
            else:
                others.setdefault(imported, f"{file}:{node.lineno}")
    return own, others


def _at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when the module is imported; not those that expect to fail, nor those for type checkers."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try) and not any("Error" in ast.unparse(handler.type or ast.Name("Error")) for handler in node.handlers):
            yield from _at_import([*node.body, *node.finalbody])
        elif isinstance(node, ast.ClassDef | ast.With):
            yield from _at_import(node.body)


def _imported(node: ast.Import | ast.ImportFrom, inside: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        base = ".".join([*inside.split(".")[: -node.level], *([base] if base else [])])
    return [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # an attribute of a module, not a module
        return False


COMPONENT: tuple[Callable[[Any], None], ...] = (
    names_a_class,
    gives_settings_that_build,
    names_what_exists_and_fits,
    requires_what_it_imports,
    refuses_wrong_settings,
    holds_the_ranges_it_states,
    explains_its_fields,
)
PRESETS: tuple[Callable[[Any], None], ...] = (gives_presets_that_apply,)
SOURCED: tuple[Callable[[Any], None], ...] = (names_its_source,)
