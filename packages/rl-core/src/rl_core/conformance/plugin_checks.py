"""Checks of a plugin as a whole, of its schemes and of its loggers."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rl_core.api import API, API_MIN, Spec
from rl_core.conformance.subjects import Subject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.errors import RlError
from rl_core.plugins import hookspecs

HEAVY = ("torch", "numpy", "numba", "gymnasium", "scipy", "pandas", "sklearn", "matplotlib", "tensorflow", "jax")
_COLLECTING = ("rl_agents", "rl_networks", "rl_tasks", "rl_task_schemes", "rl_loggers")
_LOADED = (
    "import sys; before = set(sys.modules); import importlib; importlib.import_module(sys.argv[1]); print(*(set(sys.modules) - before))"
)


def loads_without_problems(subject: Subject) -> None:
    """The plugin is imported, speaks an API that this host serves, and every hook and spec of it is sound."""
    problems = [row for row in subject.catalogue.broken if row.package == subject.package]
    if problems:
        raise Fault("; ".join(f"{row.error} ({row.remedy})" for row in problems))
    if not API_MIN <= (subject.plugin.api or 0) <= API:
        raise Fault(f"it is written for API {subject.plugin.api}; this host serves {API_MIN} to {API}")


def imports_lightly(subject: Subject) -> None:
    """Importing what the entry point names brings in none of the heavy libraries: every `rl-core list` pays for it."""
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
    """Each collecting hook gives specs, and the same ones each time it is called."""
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
            raise Fault(f"{name} gives {odd[0]!r}, which is no spec of rl_core.api")
        if first != second:
            raise Fault(
                f"{name} gives {len(first)} specs, and others the second time; build them anew in each call, from nothing that changes"
            )
    if not called:
        raise Skipped("it has no collecting hook")


def builds_its_example(subject: Subject) -> None:
    """The scheme's example is built, and offers the scheme's traits; an example that names a file may refuse it in words."""
    from rl_core.runs import recipe

    spec = subject.entry.spec
    if spec.example.partition(":")[0] != spec.name:
        raise Fault(f"example is {spec.example!r}; it must begin with {spec.name + ':'!r}")
    try:
        task = recipe.build_task(subject.catalogue, spec.example)
    except RlError as error:
        if spec.example.partition(":")[2] in error.message:
            raise Skipped(f"its example is not here: {error.message}") from error
        raise Fault(f"its example cannot be built, and what is said does not name it: {error.message}") from error
    missing = sorted(set(spec.traits) - task.traits())
    if missing:
        raise Fault(f"{spec.example} does not offer {', '.join(missing)}, which the scheme says of every task of its family")


def takes_part_in_runs(subject: Subject) -> None:
    """The logger is built without arguments and has at least one run hook, and no method that looks like a hook without being one."""
    instance = subject.loaded()
    hooks = {name for name in vars(hookspecs) if name.startswith("rl_")} - set(_COLLECTING)
    methods = {name for name in dir(instance) if name.startswith("rl_")}
    if not methods & hooks:
        raise Fault(f"{subject.entry.spec.target} has none of the run hooks {', '.join(sorted(hooks))}")
    unmarked = [name for name in sorted(methods) if name not in hooks or not hasattr(getattr(instance, name), "rl_core_impl")]
    if unmarked:
        raise Fault(f"{unmarked[0]} is no run hook, or lacks @hookimpl")


def _module_name(subject: Subject) -> str:
    if subject.plugin.status in ("failed", "incompatible"):
        raise Skipped("the plugin did not load")
    return subject.plugin.module.partition(":")[0].strip()


PLUGIN: tuple[Callable[[Any], None], ...] = (loads_without_problems, imports_lightly, repeats_its_hooks)
SCHEME: tuple[Callable[[Any], None], ...] = (builds_its_example,)
LOGGER: tuple[Callable[[Any], None], ...] = (takes_part_in_runs,)
