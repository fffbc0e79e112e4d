"""The checks as data, and their execution."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

from rl_core.conformance.subjects import Subject
from rl_core.conformance.verdict import Fault, Result, Skipped, in_words, place
from rl_core.errors import RequestError, RlError, nearest
from rl_core.plugins.containment import stdout_to_stderr


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Attributes:
        kind: The kind of component that is held to it.
        traits: A task is held to it if it has one of these traits; empty: each is.
        function: Raises `Fault` or `Skipped`, or returns.
        is_static: Whether it reads what the plugin says of a component, and builds no more than its config.
    """

    kind: str
    function: Callable[[Any], None]
    traits: frozenset[str] = frozenset()
    is_static: bool = False

    @property
    def name(self) -> str:
        """The name that `--check` takes."""
        return self.function.__name__.replace("_", "-")

    @property
    def text(self) -> str:
        """The requirement in a sentence: the first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    def applies(self, subject: Subject) -> bool:
        """Return whether a component is held to it."""
        return self.kind == subject.kind and (not self.traits or bool(self.traits & subject.traits))


@cache
def all_checks() -> tuple[Check, ...]:
    """Return every check, by kind, in the order in which they are made."""
    from rl_core.conformance import (
        agent_checks,
        agent_state_checks,
        control_checks,
        data_checks,
        family_checks,
        network_checks,
        plugin_checks,
        spec_checks,
        task_checks,
    )

    tables: list[tuple[str, tuple[Any, ...], frozenset[str]]] = [
        ("plugin", plugin_checks.PLUGIN, frozenset()),
        (
            "agent",
            (*spec_checks.COMPONENT, *spec_checks.PRESETS, *spec_checks.SOURCED, *agent_state_checks.AGENT, *agent_checks.AGENT),
            frozenset(),
        ),
        ("network", (*spec_checks.COMPONENT, *spec_checks.SOURCED, *network_checks.NETWORK), frozenset()),
        ("task", (*spec_checks.COMPONENT, *task_checks.TASK), frozenset()),
        ("task", control_checks.CONTROL, frozenset({"control", "mdp"})),
        ("task", data_checks.DATA, frozenset({"data", "offline"})),
        ("task", data_checks.OFFLINE, frozenset({"offline"})),
        ("task", family_checks.FAMILY, frozenset({"family"})),
        ("scheme", (*spec_checks.COMPONENT, *plugin_checks.SCHEME), frozenset()),
        ("logger", plugin_checks.LOGGER, frozenset()),
        ("launcher", plugin_checks.LAUNCHER, frozenset()),
    ]
    static = {*spec_checks.COMPONENT, *spec_checks.PRESETS, *spec_checks.SOURCED}
    return tuple(Check(kind, function, traits, function in static) for kind, functions, traits in tables for function in functions)


def chosen(names: tuple[str, ...] = ()) -> tuple[Check, ...]:
    """Return the checks of these names, or all.

    Raises:
        RequestError: for an unknown name.
    """
    known = {check.name for check in all_checks()}
    for name in names:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {', '.join(close)}? " if close else ""
            raise RequestError(f"no check is named {name!r}", f"{hint}see all: rl-core check --list")
    return tuple(check for check in all_checks() if not names or check.name in names)


def perform(check: Check, subject: Subject) -> Result:
    """Make one check of one component, and return its result whatever the component does.

    A crash is a failure of the first check that meets it; the others are skipped and name that check.
    """
    started = perf_counter()

    def result(status: Any, message: str = "", error: BaseException | None = None) -> Result:
        return Result(subject.name, check.name, status, round(perf_counter() - started, 3), message, error)

    if subject.missing:
        return result("skipped", subject.missing)
    try:
        with stdout_to_stderr():
            check.function(subject)
    except Skipped as reason:
        return result("skipped", str(reason))
    except (Exception, SystemExit) as error:
        message = in_words(error)
        first = next((name for where, name in subject.crashes.items() if where in message), "")
        if first and first != check.name:
            return result("skipped", f"the crash that {first} reports prevents it")
        if where := _crash(error):
            subject.crashes.setdefault(where, check.name)
        return result("failed", message, error)
    return result("passed")


def _crash(error: BaseException) -> str:
    """Return what identifies a crash in a message: its place, or the text of a refusal; "" for faults that a check found itself."""
    if isinstance(error, RlError):
        return error.message
    if isinstance(error, Fault):
        return _crash(error.__cause__) if error.__cause__ is not None else ""
    frames = traceback.extract_tb(error.__traceback__)
    return place(frames[-1]) if frames and "rl_core/conformance" not in frames[-1].filename.replace(chr(92), "/") else ""
