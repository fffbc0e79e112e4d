"""Versions of the installed packages that need each other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from rl_core.plugins.installed import normalised
from rl_core.plugins.siblings import SIBLINGS


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
    """Return the needs of packages for each other, for rl-core and for its siblings, that the installed versions do not meet."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    known = dict.fromkeys(["rl-core", *map(normalised, packages)])
    versions = {}
    for name in known:
        with suppress(PackageNotFoundError):  # a plugin without metadata
            versions[name] = version(name)
    # A sibling is looked at even if it is not there: then its plugin did not load.
    wanted = {*known, *SIBLINGS.values()}
    found = []
    for name, own in versions.items():
        for need in map(Requirement, requires(name) or ()):
            other = normalised(need.name)
            if other not in wanted or (need.marker is not None and not need.marker.evaluate({"extra": ""})):
                continue
            held = versions.get(other, "")
            if not held or not need.specifier.contains(held, prereleases=True):
                clauses = str(need.specifier)
                remedy = f"pip install '{other}{clauses}', or the version of {name} that suits {other} {held}".rstrip()
                found.append(Conflict(f"{name} {own}", f"{other}{clauses}", held or "not installed", remedy))
    return found
