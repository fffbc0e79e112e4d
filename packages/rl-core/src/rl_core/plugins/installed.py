"""Search for the installed distributions that declare plugins.

`importlib.metadata` returns the same, but importing it takes longer than everything else that `rl-core list` does (it imports email,
sockets and zip files). Directories on the path are therefore read here, by the same rules, and it is used only for other entries of the
path. `test_distributions.py` compares the two.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

_METADATA_FOLDERS = (".dist-info", ".egg-info")
_PLAIN_FINDERS = ("_frozen_importlib_external", "importlib_metadata")  # those that read the folders on the path, as is done here


class Declaration(NamedTuple):
    """One entry point as its distribution declares it.

    Attributes:
        package: Name of the distribution; "" when its metadata is missing.
        version: Version of the distribution; "?" when its metadata is missing.
        name: Name of the entry point; "" when the distribution's entry points cannot be read.
        value: Its target: "package.module" or "package.module:object".
        error: Why the entry points cannot be read; "" if they can.
    """

    package: str
    version: str
    name: str
    value: str
    error: str = ""


def declarations(group: str) -> list[Declaration]:
    """Return the entry points of a group, each distribution once: the first on the path, which is also the one that Python imports.

    Sorted by package and name, since the order of a file system is arbitrary. A distribution whose file of entry points cannot be read
    costs only itself, and is reported only if the file mentions the group.
    """
    found: list[Declaration] = []
    seen: set[str] = set()
    for text, metadata in _metadata_files():
        if group not in text:
            continue
        package, version = _identity(metadata)
        if package and normalised(package) in seen:  # an editable install beside an old egg-info, a folder twice on the path
            continue
        seen.add(normalised(package))
        try:
            declared = _entry_points(text, group)
        except ValueError as error:
            found.append(Declaration(package, version, "", "", str(error)))
        else:
            found += [Declaration(package or name, version, name, value) for name, value in declared.items()]
    return sorted(found, key=lambda declaration: (normalised(declaration.package), declaration.name))


def normalised(name: str) -> str:
    """Return the name of a distribution as package indexes compare it.

    >>> normalised("RL_Core")
    'rl-core'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _metadata_files() -> Iterator[tuple[str, str]]:
    """Yield the texts of `entry_points.txt` and of the metadata of each distribution that has entry points, in the order of the path."""
    if any(hasattr(finder, "find_distributions") and finder.__module__ not in _PLAIN_FINDERS for finder in sys.meta_path):
        yield from _asked_of_the_library()
        return
    for root in sys.path:
        folder = root or "."
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - importing pathlib would be a tenth of the whole command
        except TypeError:  # not a string, which Python ignores too
            continue
        except NotADirectoryError:  # a zip file, an egg
            yield from _asked_of_the_library(root)
            continue
        except OSError:
            continue
        if folder.rstrip("/\\").endswith(".egg"):
            yield from _asked_of_the_library(root)
        for name in names:
            if name.endswith(_METADATA_FOLDERS):
                text = _read(f"{folder}/{name}/entry_points.txt")
                if text:
                    yield text, _read(f"{folder}/{name}/METADATA") or _read(f"{folder}/{name}/PKG-INFO")


def _asked_of_the_library(root: str | None = None) -> Iterator[tuple[str, str]]:
    from importlib import metadata

    for distribution in metadata.distributions() if root is None else metadata.distributions(path=[root]):
        try:
            text = distribution.read_text("entry_points.txt")
            if text:
                yield text, distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        except (OSError, UnicodeError):
            continue


def _read(path: str) -> str:
    if not os.access(path, os.F_OK):  # most distributions have no entry points, and an exception takes longer than the question
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return ""


def _identity(metadata: str) -> tuple[str, str]:
    """Return name and version from the head of a metadata file."""
    fields = {"name": "", "version": ""}
    for line in metadata.splitlines():
        key, colon, value = line.partition(":")
        if not colon:  # the head ends with an empty line
            break
        if key.lower() in fields and not fields[key.lower()]:
            fields[key.lower()] = value.strip()
    return fields["name"], fields["version"] or "?"


def _entry_points(text: str, group: str) -> dict[str, str]:
    r"""Return names and values in the section of the group; of two equal names, the last.

    >>> _entry_points("[console_scripts]\nx = y:z\n[rl_core.plugins]\n# ours\na = a._plugin [extra]\n", "rl_core.plugins")
    {'a': 'a._plugin'}
    """
    section = ""
    found: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group:
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                raise ValueError(f"{line!r} is not a line of the form 'name = module'")
            found[name.strip()] = value.partition("[")[0].strip()
    return found
