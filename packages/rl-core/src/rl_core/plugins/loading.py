"""Loading of plugins, isolated from each other: one that fails costs only itself.

pluggy enforces the contract of the hooks, but its own loader has no `try`, silently drops a second plugin of the same name, and follows
the order of the file system. Plugins are therefore loaded here: every entry point of the group `rl_core.plugins` in its own `try`, in
sorted order, with disabled ones skipped before their code runs.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

import pluggy

from rl_core.api import API, API_MIN, GROUP, PROJECT
from rl_core.errors import DataError, RequestError, RlError, nearest, printable
from rl_core.plugins import hookspecs
from rl_core.plugins.containment import LONGEST_REPORT, author_remedy, contained, contained_import, said, stdout_to_stderr
from rl_core.plugins.installed import declarations, normalised

DISABLE_VARIABLE = "RL_CORE_DISABLE"
FAILURES_ALLOWED = 3
MOST_SPECS = 10_000  # of one hook of a plugin


@dataclass(frozen=True)
class Broken:
    """A part of a plugin that does not work: all of it, one hook, or one spec.

    Attributes:
        package: The distribution of the plugin.
        version: Its version; "?" if its metadata has none.
        entry_point: Name of its entry point.
        error: The fault, one line.
        remedy: The remedy, one line.
        cause: The exception, if there was one; its traceback is for the plugin's author.
    """

    package: str
    version: str
    entry_point: str
    error: str
    remedy: str
    cause: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass
class Plugin:
    """One entry point of the group, loaded or not.

    Attributes:
        package: Its distribution.
        version: Version of the distribution.
        entry_point: Name of the entry point; by convention that of the distribution.
        module: Module, or module and object, that the entry point names.
        api: The plugin's `RL_API`; `None` before it was read.
        status: "ready", "failed", "incompatible", "disabled", or "ready, with problems".
        milliseconds: Duration of its import.
        hooks: Names of the hooks it implements.
    """

    package: str
    version: str
    entry_point: str
    module: str
    api: int | None = None
    status: str = "ready"
    milliseconds: float = 0.0
    hooks: tuple[str, ...] = ()


class Plugins:
    """The plugins of this environment, and the only way in which their hooks are called.

    Attributes:
        rows: Every entry point of the group, sorted by package.
        broken: What does not work, with reason and remedy.
    """

    def __init__(self) -> None:
        self.rows: list[Plugin] = []
        self.broken: list[Broken] = []
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._by_id: dict[str, Plugin] = {}
        self._failures: dict[tuple[str, str], int] = {}

    @classmethod
    def load(cls, disabled: Collection[str] = ()) -> Plugins:
        """Load every plugin except the disabled ones, which are named by distribution or entry point.

        Raises:
            RequestError: if a disabled name belongs to no plugin; a wrong name would otherwise silently disable nothing.
            WorkError: if the user interrupts the import of a plugin.
        """
        plugins = cls()
        for package, version, name, value, error in declarations(GROUP):
            if error:
                problem = f"its entry_points.txt cannot be read: {error}"
                plugins.broken.append(Broken(package or "?", version, "?", problem, _reinstall(package or "it")))
            else:
                plugins.rows.append(Plugin(package, version, name, value))
        known = {name for plugin in plugins.rows for name in (plugin.package, plugin.entry_point)}
        ids = {normalised(name) for name in known}
        for name in disabled:
            if normalised(name) not in ids:
                close = nearest(name, known)
                hint = f"did you mean {', '.join(close)}?" if close else "see the plugins: rl-core doctor"
                raise RequestError(f"no plugin is named {name!r}, so it cannot be disabled (--disable, {DISABLE_VARIABLE})", hint)
        skip = {normalised(name) for name in disabled}
        with stdout_to_stderr():
            for plugin in plugins.rows:
                if {normalised(plugin.package), normalised(plugin.entry_point)} & skip:
                    plugin.status = "disabled"
                    continue
                try:
                    with contained_import(plugin.package) as effects:
                        plugins._load(plugin)
                    for effect in effects:
                        plugins.report(plugin, f"importing {plugin.module} {effect}", author_remedy(plugin.package))
                except RlError:
                    raise
                except BaseException as error:  # an object whose attributes raise
                    plugin.status = "failed"
                    plugins.report(plugin, f"{plugin.module} cannot be used: {contained(error)}", author_remedy(plugin.package), error)
        return plugins

    def collect(self, hook: str) -> Iterator[tuple[Plugin, Any]]:
        """Yield what each implementation of a collecting hook returned, in the order of the plugins.

        Of an implementation that raises midway, what it had yielded before is kept, and the error is reported.
        """
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            plugin = self._by_id[impl.plugin_name]
            if impl.wrapper or impl.hookwrapper:
                self.report(plugin, f"its {hook} is a wrapper, which this host does not call", f"remove wrapper=True from {hook}")
                continue
            items: list[Any] = []
            try:
                with stdout_to_stderr(), contained_import(plugin.package):
                    given = impl.function()
                    if given is not None and (isinstance(given, str) or not hasattr(given, "__iter__")):
                        raise TypeError(f"it returned {type(given).__name__}; it must yield specs")
                    for item in given or ():
                        if len(items) == MOST_SPECS:
                            items.clear()
                            raise ValueError(f"it yields more than {MOST_SPECS:,} specs")
                        items.append(item)  # one by one: `extend` would lose the items before an exception
            except RlError:
                raise
            except BaseException as error:
                self.report(plugin, f"its hook {hook} failed: {contained(error)}", author_remedy(plugin.package), error)
            for item in items:
                yield plugin, item

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call every implementation of a run hook, each in its own `try`; none can stop a run.

        The first failure of an implementation is reported on standard error; after the third it is not called again.
        """
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            key = (impl.plugin_name, hook)
            if impl.wrapper or impl.hookwrapper or self._failures.get(key, 0) >= FAILURES_ALLOWED:
                continue
            try:
                with redirect_stdout(sys.stderr):
                    impl.function(*(arguments[name] for name in impl.argnames))
            except DataError:  # of the user's data, which the run reads next and refuses itself
                continue
            except BaseException as error:
                text = contained(error)
                count = self._failures[key] = self._failures.get(key, 0) + 1
                if count == 1:
                    _warn(f"{impl.plugin_name}: {hook} failed ({text}); the run continues")
                if count == FAILURES_ALLOWED:
                    _warn(f"{impl.plugin_name}: {hook} failed {count} times and will not be called again in this run")

    def register(self, instance: object, name: str) -> None:
        """Register an object for the run hooks: a logger that was chosen.

        Raises:
            RequestError: if one of that name is registered already, or its methods do not fit the hooks.
        """
        try:
            self._manager.register(instance, name=name)
        except ValueError as error:
            raise RequestError(f"the logger {name} is given twice", "name each logger once") from error
        except pluggy.PluginValidationError as error:
            self._forget(instance)
            raise RequestError(
                f"{name} does not fit the hooks of this host: {said(error)}", "see the hooks: the README of rl-core"
            ) from error

    def report(self, plugin: Plugin, error: str, remedy: str, cause: BaseException | None = None) -> None:
        """Record that a part of a plugin does not work."""
        error = printable(" ".join(error.split()), LONGEST_REPORT)
        self.broken.append(Broken(plugin.package, plugin.version, plugin.entry_point, error, remedy, cause))
        if plugin.status == "ready":
            plugin.status = "ready, with problems"

    def _load(self, plugin: Plugin) -> None:
        started = perf_counter()
        try:
            module = _imported(plugin.module)
        except BaseException as error:
            plugin.status = "failed"
            self.report(plugin, *_import_problem(plugin, error), error)
            return
        finally:
            plugin.milliseconds = (perf_counter() - started) * 1e3
        plugin.api = getattr(module, "RL_API", None)
        unserved = _api_problem(plugin)
        if unserved:
            plugin.status = "incompatible"
            self.report(plugin, *unserved)
            return
        other = self._manager.get_name(module)
        if other is not None:
            plugin.status = "failed"
            problem = f"{plugin.module} is already the plugin of {self._by_id[other].package}, so it is not loaded a second time"
            self.report(plugin, problem, f"uninstall one of {self._by_id[other].package} and {plugin.package}")
            return
        plugin_id = f"{plugin.package}:{plugin.entry_point}"
        try:
            self._manager.register(module, name=plugin_id)
        except pluggy.PluginValidationError as error:
            plugin.status = "failed"
            self._forget(module)
            self.report(plugin, f"{plugin.module} does not fit the hooks of this host: {said(error)}", author_remedy(plugin.package), error)
            return
        self._by_id[plugin_id] = plugin
        callers = self._manager.get_hookcallers(module) or []
        plugin.hooks = tuple(sorted(caller.name for caller in callers if caller.has_spec()))
        self._check_hook_names(plugin, module, [caller.name for caller in callers if not caller.has_spec()])

    def _forget(self, plugin: object) -> None:
        """Undo a registration that failed; older versions of pluggy leave a part of it."""
        with suppress(AssertionError):  # nothing was left
            self._manager.unregister(plugin)

    def _check_hook_names(self, plugin: Plugin, module: object, unknown: list[str]) -> None:
        known = [name for name in vars(hookspecs) if name.startswith("rl_")]
        for name in unknown:
            close = nearest(name, known)
            remedy = f"did its author mean {close[0]}?" if close else author_remedy(plugin.package)
            self.report(plugin, f"{name} is not a hook of this host (plugin API {API})", remedy)
        for name in known:
            if callable(getattr(module, name, None)) and name not in plugin.hooks:
                self.report(plugin, f"{name} in {plugin.module} is not marked as a hook", f"put @hookimpl above def {name}")


def _imported(value: str) -> Any:
    """Return what an entry point names: a module, or an object in one."""
    name, _, attribute = value.partition(":")
    found: Any = import_module(name.strip())
    for part in filter(None, attribute.strip().split(".")):
        found = getattr(found, part)
    return found


def _import_problem(plugin: Plugin, error: BaseException) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = plugin.module.partition(":")[0].strip()
        if module == error.name or module.startswith(error.name + "."):
            return f"its entry point names {plugin.module}, but module {error.name} was not found", _reinstall(plugin.package)
        return (
            f"importing {plugin.module} failed: it needs {error.name}, which is not installed",
            f"install {error.name}, or switch the plugin off (--disable {plugin.package})",
        )
    if isinstance(error, SystemExit):
        return f"importing {plugin.module} tried to end the program (SystemExit: {error.code})", author_remedy(plugin.package)
    return f"importing {plugin.module} failed: {contained(error)}", author_remedy(plugin.package)


def _reinstall(package: str) -> str:
    return f"reinstall it (pip install --force-reinstall {package}), or switch it off (--disable {package})"


def _api_problem(plugin: Plugin) -> tuple[str, str] | None:
    served = str(API) if API == API_MIN else f"{API_MIN} to {API}"
    if plugin.api is None:
        return (
            f"{plugin.module} does not say which plugin API it is written for",
            f"ask its author to add RL_API = {API} to it",
        )
    if not isinstance(plugin.api, int) or isinstance(plugin.api, bool):
        given, plugin.api = plugin.api, None
        return f"RL_API of {plugin.module} is {given!r}; it must be an integer", f"ask its author to write RL_API = {API}"
    if plugin.api > API:
        return f"it is written for plugin API {plugin.api}; this rl-core serves {served}", "update the host: pip install --upgrade rl-core"
    if plugin.api < API_MIN:
        return (
            f"it is written for plugin API {plugin.api}; this rl-core serves {served}",
            f"update it: pip install --upgrade {plugin.package}; its author finds what to change under 'Changes of the API' in rl_core.api",
        )
    return None


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
