"""Versions of the installed packages that need each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from rl_core.plugins.installed import normalised

_NEED = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_CLAUSE = re.compile(r"(===|==|!=|>=|<=|~=|<|>)\s*(\S+)")


class Conflict(NamedTuple):
    """A package beside one that does not suit it.

    Attributes:
        package: Name and version of the package that states a need.
        need: The need, as in "rl-core==0.1.0".
        installed: The version that is installed, or "not installed".
        remedy: The command that installs what suits.
    """

    package: str
    need: str
    installed: str
    remedy: str


def conflicts(packages: Iterable[str]) -> list[Conflict]:
    """Return the needs of packages for each other, and for rl-core, that the installed versions do not meet."""
    from importlib.metadata import PackageNotFoundError, requires, version

    known = list(dict.fromkeys(["rl-core", *map(normalised, packages)]))
    versions = {}
    for name in known:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a plugin without metadata
            continue
    # A sibling that a package needs is looked at even if it is not there: its own plugin does not load without it.
    wanted = {*known, "dl-nets"}
    found = []
    for name in versions:
        for text in requires(name) or ():
            need = _NEED.match(text)
            if need is None or normalised(need[1]) not in wanted or (need[3] and "extra" in need[3]):
                continue
            other, clauses = normalised(need[1]), need[2].strip()
            held = versions.get(other, "")
            if not held or not meets(held, clauses):
                remedy = f"pip install '{other}{clauses}', or the version of {name} that suits {other} {held}".rstrip()
                found.append(Conflict(f"{name} {versions[name]}", f"{other}{clauses}", held or "not installed", remedy))
    return found


def meets(version: str, clauses: str) -> bool:
    """Return whether a version meets clauses such as `>=1.1,<2`, by the numbers of its release.

    >>> meets("0.1.0", "==0.1.0"), meets("0.2.0", "==0.1.0"), meets("0.2", ">=0.1,<0.2"), meets("1.4.2", "~=1.3"), meets("1.0", "==1.*")
    (True, False, False, True, True)
    """
    held = _release(version)
    for clause in clauses.split(","):
        parts = _CLAUSE.fullmatch(clause.strip())
        if parts is None:
            continue
        sign, text = parts[1], parts[2]
        wanted = _release(text)
        width = max(len(held), len(wanted))
        one, two = (numbers + (0,) * (width - len(numbers)) for numbers in (held, wanted))
        equal = held[: len(wanted)] == wanted if text.endswith(".*") else one == two
        compatible = one >= two and held[: len(wanted) - 1] == wanted[:-1]
        results = {"==": equal, "===": version == text, "!=": not equal, ">=": one >= two, "<=": one <= two, "<": one < two, ">": one > two}
        if not (compatible if sign == "~=" else results[sign]):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a release: (1, 4, 2) of 1.4.2rc1."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
