"""The catalogue: every component of the plugins of this environment, with its status."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from rl_core.api import AgentSpec, LauncherSpec, LoggerSpec, NetworkSpec, Spec, TaskSchemeSpec, TaskSpec
from rl_core.errors import RequestError, RlError, nearest
from rl_core.plugins.containment import author_remedy, contained, contained_import, stdout_to_stderr
from rl_core.plugins.installed import normalised
from rl_core.plugins.loading import DISABLE_VARIABLE, Broken, Plugin, Plugins
from rl_core.plugins.siblings import SIBLINGS
from rl_core.plugins.spec_problems import forget_what_was_seen, is_installed, plain_spec, problem_of, unresolved

Kind = Literal["agent", "network", "task", "scheme", "logger", "launcher"]
KINDS: tuple[Kind, ...] = ("agent", "network", "task", "scheme", "logger", "launcher")
RUNNABLE: tuple[Kind, ...] = ("agent", "network", "task")
_HOOKS: dict[Kind, tuple[str, type[Spec]]] = {
    "agent": ("rl_agents", AgentSpec),
    "network": ("rl_networks", NetworkSpec),
    "task": ("rl_tasks", TaskSpec),
    "scheme": ("rl_task_schemes", TaskSchemeSpec),
    "logger": ("rl_loggers", LoggerSpec),
    "launcher": ("rl_launchers", LauncherSpec),
}
_GYMNASIUM_ID = re.compile(r"([\w-]+/)?[\w.-]+-v\d+")  # with its version, as all of Gymnasium's own have it


IN_PROCESS = "this program"  # stands for a package where a component was given as an object
registered: list[Entry] = []
"""Components that were registered in this process, by `rl_core.register`; every catalogue has them."""


@dataclass(frozen=True)
class Entry:
    """One component of the catalogue.

    Attributes:
        kind: "agent", "network", "task", "scheme" (a family of tasks), "logger" or "launcher".
        spec: Its spec. For `gym:CartPole-v1` a task's spec made from the scheme's.
        package: Its distribution.
        version: Version of the distribution.
        status: "ready", "needs X" (a module that is not installed), "broken" (its import string cannot be
            resolved) or "ambiguous" (two packages provide one name).
        missing: The modules it requires that are not installed.
        problem: Why it is "broken".
        scheme: The scheme that a task such as `gym:CartPole-v1` was made from; its `agents` are the defaults to try.
        component: The class, where it was given in this process and need not be imported.
        make: Builds the component from its config, where calling the class does not; see `rl_core.plugins.in_process`.
    """

    kind: Kind
    spec: Any
    package: str
    version: str
    status: str = "ready"
    missing: tuple[str, ...] = ()
    problem: str = ""
    scheme: TaskSchemeSpec | None = None
    component: type[Any] | None = None
    make: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        """The name that the user types."""
        return self.spec.name

    @property
    def qualified(self) -> str:
        """The unambiguous name "package/name"."""
        return f"{self.package}/{self.spec.name}"

    @property
    def remedy(self) -> str:
        """The remedy that makes the component usable, one line; "" if it is usable."""
        if self.missing:
            return f'pip install "{self.spec.extra or " ".join(self.missing)}"'
        if self.problem:
            return author_remedy(self.package)
        return f"write {self.qualified}" if self.status == "ambiguous" else ""

    def load(self) -> type[Any]:
        """Import and return the class that the spec's `target` names.

        Raises:
            RequestError: if a module it requires is not installed, or it cannot be imported.
        """
        if self.component is not None:
            return self.component
        place = f"{self.kind} {self.name} ({self.package} {self.version})"
        if self.missing:
            raise RequestError(f"{place} needs {', '.join(self.missing)}, which is not installed", f"install it: {self.remedy}")
        module_name, _, attribute = self.spec.target.partition(":")
        try:
            with stdout_to_stderr(), contained_import(self.package):
                from importlib import import_module

                found: Any = import_module(module_name)
        except RlError:
            raise
        except BaseException as error:
            hint = f"see where with --traceback; then {author_remedy(self.package)}"
            raise RequestError(f"{place} cannot be imported: {self.spec.target}: {contained(error)}", hint) from error
        for part in attribute.split("."):
            if not hasattr(found, part):
                close = nearest(part, [name for name in dir(found) if not name.startswith("_")])
                hint = f"{module_name} has {', '.join(close)}; " if close else ""
                raise RequestError(
                    f"{place} cannot be imported: {self.spec.target}: {module_name} has no {part}", hint + author_remedy(self.package)
                )
            found = getattr(found, part)
        if not isinstance(found, type):
            raise RequestError(
                f"{place}: {self.spec.target} is of type {type(found).__name__}; it must be a class", author_remedy(self.package)
            )
        return found


class Catalogue:
    """Every component of every plugin.

    Args:
        plugins: The plugins whose registration hooks are called.

    Attributes:
        broken: Parts of plugins that do not work, with reason and remedy.
    """

    def __init__(self, plugins: Plugins) -> None:
        forget_what_was_seen()
        self._plugins = plugins
        self._entries: list[Entry] = []
        for kind in KINDS:
            self._entries += self._collect(kind)
        for row in plugins.rows:
            if row.status == "ready" and not row.hooks:
                plugins.report(
                    row, f"{row.module} implements no hook, so it provides nothing", "ask its author to mark hooks with @hookimpl"
                )

    @classmethod
    def discover(cls, disabled: Iterable[str] = ()) -> Catalogue:
        """Return the catalogue of this environment, without the plugins named here or in the variable RL_CORE_DISABLE.

        Raises:
            RequestError: if a disabled name belongs to no plugin.
        """
        from_environment = [name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")]
        catalogue = cls(Plugins.load([*disabled, *filter(None, from_environment)]))
        for entry in registered:
            catalogue.add(entry)
        return catalogue

    def add(self, entry: Entry) -> None:
        """Add a component that was given in this process; one of the same kind and name is replaced."""
        self._entries = [other for other in self._entries if (other.kind, other.name) != (entry.kind, entry.name)]
        self._entries.append(entry)
        self.__dict__.pop("_by_name", None)

    @property
    def broken(self) -> list[Broken]:
        """Parts of plugins that do not work, with reason and remedy."""
        return self._plugins.broken

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin, loaded or not, sorted by package."""
        return self._plugins.rows

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return the components of a kind, or all, sorted by kind, name and package."""
        return [entry for entry in self._entries if kind in (None, entry.kind)]

    def find(self, name: str, kind: str | None = None) -> Entry:
        """Return the component of that name.

        Args:
            name: `ppo`, `rl-algos/ppo`, `gym:CartPole-v1`, or a Gymnasium id that no plugin provides. One with a namespace, such as
                `ALE/Pong-v5`, belongs to the scheme of that name if a plugin provides it.
            kind: Kind of component; `None` searches agents, then networks, then tasks, as `rl-core run` does.

        Raises:
            RequestError: if there is none, or two packages provide it.
        """
        kinds = RUNNABLE if kind is None else (kind,)
        package, plain = self._split(name)
        for wanted in kinds:
            found = [
                entry for entry in self._by_name.get(plain, ()) if entry.kind == wanted and package in (None, normalised(entry.package))
            ]
            if found:
                return self._only(found)
        if "task" in kinds:
            task = self._of_scheme(package, plain) if ":" in plain else self._of_gymnasium(name)
            if task:
                return task
        raise self._unknown(name, plain, kind)

    def call_run_hook(self, name: str, **arguments: Any) -> None:
        """Call a run hook of every plugin and every registered logger; a failing one is reported, and dropped after its third failure."""
        self._plugins.notify(name, **arguments)

    def register(self, instance: object, name: str) -> None:
        """Register a logger for the run hooks."""
        self._plugins.register(instance, name)

    @cached_property
    def _by_name(self) -> dict[str, list[Entry]]:
        index: dict[str, list[Entry]] = {}
        for entry in self._entries:
            index.setdefault(entry.name, []).append(entry)
        return index

    def _collect(self, kind: Kind) -> list[Entry]:
        hook, expected = _HOOKS[kind]
        entries: dict[tuple[str, str], Entry] = {}
        for plugin, spec in self._plugins.collect(hook):
            try:
                spec = plain_spec(spec, expected)
                problem = problem_of(spec, expected)
            except BaseException as error:  # a spec whose attributes raise
                problem = f"a spec cannot be read: {contained(error)}"
            if not problem and (spec.name, plugin.package) in entries:
                problem = f"{spec.name} is given twice"
            if problem:
                self._plugins.report(plugin, f"in {hook}: {problem}", author_remedy(plugin.package))
                continue
            entries[spec.name, plugin.package] = self._entry(kind, spec, plugin)
        packages: dict[str, int] = {}
        for name, _ in entries:
            packages[name] = packages.get(name, 0) + 1
        return [
            replace(entry, status="ambiguous") if packages[entry.name] > 1 else entry
            for entry in sorted(entries.values(), key=lambda entry: (entry.name.lower(), entry.name, entry.package))
        ]

    def _entry(self, kind: Kind, spec: Any, plugin: Plugin) -> Entry:
        missing = tuple(module for module in spec.requires if not is_installed(module))
        problem = "" if missing else unresolved(spec.target)
        if problem:
            self._plugins.report(
                plugin, f"{kind} {spec.name}: its target {spec.target} cannot be resolved: {problem}", author_remedy(plugin.package)
            )
        status = f"needs {', '.join(missing)}" if missing else "broken" if problem else "ready"
        return Entry(kind, spec, plugin.package, plugin.version, status, missing, problem)

    def _split(self, name: str) -> tuple[str | None, str]:
        """Return package and plain name; a slash behind anything but an installed package belongs to the name, as in `ALE/Pong-v5`."""
        package, slash, rest = name.partition("/")
        if slash and any(normalised(package) == normalised(row.package) for row in self.plugins):
            return normalised(package), rest
        return None, name

    def _only(self, found: list[Entry]) -> Entry:
        if len(found) == 1:
            return found[0]
        first = found[0]
        packages = " and ".join(entry.package for entry in found)
        raise RequestError(
            f"{first.kind} {first.name} is provided by {packages}", f"write {' or '.join(entry.qualified for entry in found)}"
        )

    def _of_scheme(self, package: str | None, name: str) -> Entry | None:
        scheme_name, _, rest = name.partition(":")
        found = [entry for entry in self.entries("scheme") if entry.name == scheme_name and package in (None, normalised(entry.package))]
        if not found:
            return None
        entry = self._only(found)
        scheme: TaskSchemeSpec = entry.spec
        if not rest:
            raise RequestError(f"{name!r} does not name a task: the part after the colon is missing", f"for example {scheme.example}")
        spec = TaskSpec(
            name=name,
            target=scheme.target,
            summary=scheme.summary,
            reference=scheme.reference,
            requires=scheme.requires,
            extra=scheme.extra,
            config={**scheme.config, scheme.argument: rest},
            tags=scheme.tags,
            traits=scheme.traits,
            agent=scheme.agents[0] if len(scheme.agents) == 1 else "",
        )
        return replace(entry, kind="task", spec=spec, scheme=scheme)

    def _of_gymnasium(self, name: str) -> Entry | None:
        """Return the task of a Gymnasium id, the last resort, and the only case in which looking up a name imports Gymnasium."""
        namespace, slash, rest = name.partition("/")
        if slash and any(entry.name == namespace for entry in self.entries("scheme")):
            return self._of_scheme(None, f"{namespace}:{rest}")
        if not _GYMNASIUM_ID.fullmatch(name) or not any(entry.name == "gym" for entry in self.entries("scheme")):
            return None
        return self._of_scheme(None, f"gym:{name}") if name in _gymnasium_ids() else None

    def installed(self, package: str) -> bool:
        """Return whether a package has a plugin here, one that failed to load included."""
        return any(normalised(row.package) == package for row in self.plugins)

    def _form_of(self, name: str) -> str:
        """Return the way to write a task that was given as a path or by an id with a namespace; "" for other names."""
        if ":" in name:
            return ""
        from pathlib import PurePath  # only a mistake pays for it

        suffix = PurePath(name).suffix.lower()
        examples = {entry.name: PurePath(entry.spec.example.partition(":")[2]).suffix.lower() for entry in self.entries("scheme")}
        of_files = [entry for entry in self.entries("scheme") if not {"control", "mdp", "offline"} & set(entry.spec.traits)]
        of_files.sort(key=lambda entry: ("corpus" not in entry.spec.traits, entry.name != "corpus"))  # what reads any text comes first
        suffixes = (suffix, "") if suffix == ".txt" else (suffix,)
        takes_text = ("corpus",) if suffix == ".txt" else ()
        schemes = [entry.name for entry in of_files if suffix and (examples[entry.name] in suffixes or entry.name in takes_text)]
        if not schemes and name.startswith((".", "~", "/")):
            schemes = [entry.name for entry in of_files]
        if schemes:
            return " or ".join(f"{scheme}:{name}" for scheme in schemes[:3])
        namespace = name.partition("/")[0]
        if "/" in name and _GYMNASIUM_ID.fullmatch(name) and namespace.isidentifier() and "gym" in examples:
            return f"gym:{namespace}:{name}, which imports the module {namespace} first"
        return ""

    def _unknown(self, name: str, plain: str, kind: str | None) -> RequestError:
        what = f"no {kind} is named" if kind else "nothing is named"
        message = f"{what} {name!r}"
        others = [entry for entry in self._by_name.get(plain, ()) if entry.kind != kind]
        if others:
            other = others[0]
            message += f"; {other.name} is {_NOUNS[other.kind]}"
            return RequestError(message, _USES[other.kind].format(name=other.name, example=getattr(other.spec, "example", "")))
        sibling = SIBLINGS.get(plain.partition(":")[0])
        if sibling is not None and not self.installed(sibling):
            return RequestError(f"{message} here; it is provided by {sibling}, which is not installed", f"pip install {sibling}")
        if kind is None and _is_run(name):
            folder = shlex.quote(name)
            return RequestError(f"{message}; it is the folder of a run", f"see: rl-core report {folder}, or rl-core eval {folder}")
        if kind in (None, "task") and (form := self._form_of(plain)):
            return RequestError(message, f"did you mean {form}?")
        known = [entry.name for entry in self._entries if kind in (None, entry.kind) and (kind or entry.kind in RUNNABLE)]
        if kind in (None, "task"):
            known += [f"{entry.name}:" for entry in self.entries("scheme")]
            if _GYMNASIUM_ID.fullmatch(plain):
                known += _gymnasium_ids()
        close = nearest(plain.partition(":")[0] + ":" if ":" in plain else plain, known)
        hint = f"did you mean {', '.join(close)}? " if close else ""
        hint += f"see all: rl-core list{f' --kind {kind}' if kind in RUNNABLE else ''}"
        failed = sorted({row.package for row in self.plugins if row.status in ("failed", "incompatible")})
        if failed:
            hint += f"; or it belongs to a plugin that failed to load ({', '.join(failed)}): rl-core doctor"
        disabled = sorted(row.package for row in self.plugins if row.status == "disabled")
        if disabled:
            hint += f"; or it belongs to a plugin that is disabled ({', '.join(disabled)})"
        return RequestError(message, hint)


_NOUNS = {
    "agent": "an agent",
    "network": "a network",
    "task": "a task",
    "scheme": "a family of tasks",
    "logger": "a logger",
    "launcher": "a launcher",
}
_USES = {
    "agent": "name it as the agent: rl-core run {name}",
    "network": "name it as the network: --network {name}",
    "task": "name it as the task: --task {name}",
    "scheme": "name one of the family: {example}",
    "logger": "name it as a logger: --logger {name}",
    "launcher": "name it as a launcher of a sweep: --launcher {name}",
}


def fits(traits: Collection[str], alternatives: Sequence[str]) -> bool:
    """Return whether a task with these traits fits: it offers every trait of at least one alternative.

    >>> fits({"control", "vector-input", "discrete-output"}, ("mdp", "control discrete-output"))
    True
    >>> fits({"data", "image-input", "discrete-output"}, ("mdp", "control discrete-output"))
    False
    """
    return any(set(alternative.split()) <= set(traits) for alternative in alternatives)


def may_fit(traits: Collection[str], alternatives: Sequence[str]) -> bool:
    """Return whether a task with at least these traits could fit: they contradict no trait of at least one alternative.

    A scheme such as `gym:<id>` states the kind of its tasks; their inputs and outputs are known once one is built.

    >>> may_fit({"control"}, ("control discrete-output",)), may_fit({"control"}, ("data discrete-output",))
    (True, False)
    """
    said_groups = {_group(trait) for trait in traits}
    return any(all(trait in traits or _group(trait) not in said_groups for trait in alternative.split()) for alternative in alternatives)


def _group(trait: str) -> str:
    return trait.rpartition("-")[2] if trait.endswith(("-input", "-output")) else "kind"


def _is_run(name: str) -> bool:
    """Return whether a name is the folder of a run."""
    from pathlib import Path  # only a mistake pays for it

    try:
        return bool(name) and (Path(name) / "manifest.json").is_file()
    except OSError:  # longer than a name of a file can be, say
        return False


def _gymnasium_ids() -> list[str]:
    try:
        with stdout_to_stderr():
            import gymnasium
    except Exception:  # a broken Gymnasium must not hide the name that was asked for
        return []
    return list(gymnasium.registry)
