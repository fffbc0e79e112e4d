"""Checks of a plugin as a whole, of its schemes, loggers and launchers."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rl_core.api import API, API_MIN, Spec
from rl_core.conformance import spec_checks
from rl_core.conformance.subjects import Subject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.errors import RlError
from rl_core.plugins import hookspecs
from rl_core.runs import recipe

HEAVY = ("torch", "numpy", "numba", "gymnasium", "scipy", "pandas", "sklearn", "matplotlib", "tensorflow", "jax")
_COLLECTING = ("rl_agents", "rl_networks", "rl_tasks", "rl_task_schemes", "rl_loggers", "rl_launchers")
_LOADED = (
    "import sys; before = set(sys.modules); import importlib; importlib.import_module(sys.argv[1]); print(*(set(sys.modules) - before))"
)


def loads_without_problems(subject: Subject) -> None:
    """Check that the plugin can be imported, uses an API version that this host supports, and has valid hooks and specs."""
    problems = [row for row in subject.catalogue.broken if row.package == subject.package]
    if problems:
        raise Fault("; ".join(f"{row.error} ({row.remedy})" for row in problems))
    if not API_MIN <= (subject.plugin.api or 0) <= API:
        raise Fault(f"it is written for API {subject.plugin.api}; this host serves {API_MIN} to {API}")


def imports_lightly(subject: Subject) -> None:
    """Check that importing the module of the entry point imports none of the heavy libraries, since every `rl-core list` imports it."""
    module = _module_name(subject)
    paths = [path or "." for path in sys.path]
    command = f"import sys; sys.path[:] = {paths!r}; {_LOADED}"
    done = subprocess.run([sys.executable, "-c", command, module], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Fault(f"{module} cannot be imported by itself: {lines[-1] if lines else done.returncode}")
    found = sorted({name.partition(".")[0] for name in done.stdout.split()} & set(HEAVY))
    if found:
        raise Fault(f"importing {module} imports {', '.join(found)}; import only rl_core.api there, and nothing in the package's __init__")


def repeats_its_hooks(subject: Subject) -> None:
    """Check that each collecting hook gives specs, and the same ones at each call."""
    module = importlib.import_module(_module_name(subject))
    called = 0
    for name in _COLLECTING:
        hook = getattr(module, name, None)
        if hook is None:
            continue
        called += 1
        first, second = list(hook() or ()), list(hook() or ())
        odd = [spec for spec in first if not isinstance(spec, Spec)]
        if odd:
            raise Fault(f"{name} gives {odd[0]!r}, which is not a spec of rl_core.api")
        if first != second:
            raise Fault(
                f"{name} gives {len(first)} specs, and others the second time; build them anew in each call, from nothing that changes"
            )
    if not called:
        raise Skipped("it has no collecting hook")


def imports_without_side_effects(subject: Subject) -> None:
    """Check that importing the plugin and its components leaves no folder, handler, thread, logger, filter, seed or limit changed."""
    targets = [entry.spec.target for entry in subject.catalogue.entries() if entry.package == subject.package and not entry.missing]
    modules = list(dict.fromkeys([_module_name(subject), *(target.partition(":")[0] for target in targets)]))
    libraries = list(spec_checks.libraries(modules))
    with tempfile.TemporaryDirectory(prefix="rl-core-check-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "rl_core.conformance.importing", json.dumps({"modules": modules, "libraries": libraries})],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path or ".").resolve()) for path in sys.path)},
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Fault(f"its modules cannot be imported by themselves: {lines[-1] if lines else done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found:
        raise Fault(f"importing its modules changed {'; '.join(found)}; do that when a component is used, within a `with` block")


def builds_its_example(subject: Subject) -> None:
    """Check that the scheme's example is built, from a file that `make_example` writes if it is given, and offers the scheme's traits."""
    spec = subject.entry.spec
    scheme, _, rest = spec.example.partition(":")
    if scheme != spec.name:
        raise Fault(f"example is {spec.example!r}; it must begin with {spec.name + ':'!r}")
    example = spec.example
    if spec.make_example:
        path = subject.folder() / rest
        _written(spec.make_example)(path)
        if not path.exists():
            raise Fault(f"{spec.make_example} leaves nothing at the path that it is given")
        example = f"{scheme}:{path}"
    try:
        task = recipe.build_task(subject.catalogue, example)
    except RlError as error:
        if rest in error.message and not spec.make_example:
            raise Skipped(f"its example is not here, and the spec names no make_example: {error.message}") from error
        raise Fault(f"its example cannot be built: {error.message}") from error
    missing = sorted(set(spec.traits) - task.traits())
    if missing:
        raise Fault(f"{spec.example} does not offer {', '.join(missing)}, which the scheme says of every task of its family")


def _written(text: str) -> Callable[[Path], object]:
    """Return the function that an import string names.

    Raises:
        Fault: if there is none.
    """
    module, _, name = text.partition(":")
    try:
        function: Callable[[Path], object] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Fault(f"make_example is {text!r}, which cannot be imported: {error}") from error
    return function


def takes_part_in_runs(subject: Subject) -> None:
    """Check that the logger is built without arguments, has at least one run hook, and marks each method with a hook's name as a hook."""
    instance = subject.loaded()
    hooks = {name for name in vars(hookspecs) if name.startswith("rl_")} - set(_COLLECTING)
    methods = {name for name in dir(instance) if name.startswith("rl_")}
    if not methods & hooks:
        raise Fault(f"{subject.entry.spec.target} has none of the run hooks {', '.join(sorted(hooks))}")
    unmarked = [name for name in sorted(methods) if name not in hooks or not hasattr(getattr(instance, name), "rl_core_impl")]
    if unmarked:
        raise Fault(f"{unmarked[0]} is not a run hook, or lacks @hookimpl")


def is_made_from_its_config(subject: Subject) -> None:
    """Check that the launcher is made from the defaults of its config, and has the methods of a launcher."""
    launcher = subject.loaded(subject.loaded.Config())
    for name in ("start", "look", "stop"):
        if not callable(getattr(launcher, name, None)):
            raise Fault(f"{subject.entry.spec.target} has no method {name}; see rl_core.launchers.launcher.Launcher")


def _module_name(subject: Subject) -> str:
    if subject.plugin.status in ("failed", "incompatible"):
        raise Skipped("the plugin did not load")
    return subject.plugin.module.partition(":")[0].strip()


PLUGIN: tuple[Callable[[Any], None], ...] = (loads_without_problems, imports_lightly, imports_without_side_effects, repeats_its_hooks)
SCHEME: tuple[Callable[[Any], None], ...] = (builds_its_example,)
LOGGER: tuple[Callable[[Any], None], ...] = (takes_part_in_runs,)
LAUNCHER: tuple[Callable[[Any], None], ...] = (is_made_from_its_config,)
