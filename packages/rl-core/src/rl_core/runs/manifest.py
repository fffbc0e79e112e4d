"""The manifest of a run: what it was made with, where and when; and the lock that keeps two processes off one run."""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from rl_core.runs import checkpoint
from rl_core.errors import RequestError, WorkError

if TYPE_CHECKING:
    from rl_core.runs.recipe import Resolved


def write(folder: Path, resolved: Resolved, *, progress: int, path: str = "") -> None:
    """Write `manifest.json`, or add this session to an existing one.

    Args:
        folder: The run's folder.
        resolved: The components of the run.
        progress: Where the session starts, in the agent's unit.
        path: How the agent computes, in words; empty where there is only one way.
    """
    packages = sorted({"rl-core", *(entry.package for entry in resolved.entries())})
    before = _read(folder)
    document = {
        "recipe": msgspec.to_builtins(resolved.recipe),
        "seed": resolved.recipe.seed,
        "versions": before.get("versions") or versions(packages),
        "machine": before.get("machine") or machine(),
        "sessions": [
            *before.get("sessions", []),
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "progress": progress,
                "path": path,
                "differences": differences(folder),
            },
        ],
    }
    checkpoint.replace(folder / "manifest.json", (json.dumps(document, indent=1) + "\n").encode())


def machine() -> dict[str, Any]:
    """This machine in words."""
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def versions(packages: list[str]) -> dict[str, str]:
    """Versions of the packages and of what they require directly, without extras, as far as installed."""
    names = set(packages)
    for package in packages:
        for requirement in _requires(package):
            if "extra ==" not in requirement:
                names.add(re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0])
    found = {name: _version(name) for name in sorted(names, key=str.lower)}
    return {name: version for name, version in found.items() if version}


def differences(folder: Path) -> list[str]:
    """What is installed in another version than the run was made with: exactness is then not promised."""
    document = _read(folder)
    then = {**document.get("versions", {}), "Python": document.get("machine", {}).get("python", platform.python_version())}
    now = {name: _version(name) for name in then} | {"Python": platform.python_version()}
    return [f"{name} {version} (now {now[name] or 'not installed'})" for name, version in then.items() if now[name] != version]


class Lock:
    """Holds a run's folder for this process, as long as the system lives; a killed process gives it back by itself.

    Raises:
        RequestError: if another process holds it.
        WorkError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = (folder / ".lock").open("a")
        except OSError as error:
            raise WorkError(
                f"{str(folder)!r} cannot be written: {error.strerror or error}", "make the folder writable, or copy it"
            ) from error
        try:
            import fcntl
        except ImportError:  # a system without advisory locks: nothing to hold
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise RequestError(
                f"{str(folder)!r} is being worked on by another process", "wait for it, or stop it, or start another run"
            ) from error
        except OSError:  # a file system without locks
            return

    def release(self) -> None:
        """Give the folder back."""
        self._file.close()


def _requires(package: str) -> list[str]:
    try:
        return metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _read(folder: Path) -> dict[str, Any]:
    """The manifest that is there; empty where there is none, or another program wrote it."""
    try:
        document = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    kinds = {"versions": dict, "machine": dict, "sessions": list}
    whole = isinstance(document, dict) and all(isinstance(document.get(key), kind) for key, kind in kinds.items())
    return document if whole else {}
