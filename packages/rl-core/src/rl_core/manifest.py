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

from rl_core import checkpoint
from rl_core.errors import RequestError

if TYPE_CHECKING:
    from rl_core.recipe import Resolved


def write(folder: Path, resolved: Resolved, *, progress: int) -> None:
    """Write `manifest.json`, or add this session to the one that is there."""
    import msgspec

    packages = sorted({"rl-core", *(entry.package for entry in resolved.entries())})
    sessions = (_read(folder) or {}).get("sessions", [])
    document = {
        "recipe": msgspec.to_builtins(resolved.recipe),
        "seed": resolved.recipe.seed,
        "versions": versions(packages),
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "sessions": [*sessions, {"started": datetime.now(UTC).isoformat(timespec="seconds"), "progress": progress}],
    }
    checkpoint.replace(folder / "manifest.json", (json.dumps(document, indent=1) + "\n").encode())


def versions(packages: list[str]) -> dict[str, str]:
    """Versions of the packages and of what they require directly, without extras, as far as installed."""
    names = set(packages)
    for package in packages:
        for requirement in _requires(package):
            if "extra ==" not in requirement:
                names.add(re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0])
    found = {}
    for name in sorted(names, key=str.lower):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def differences(folder: Path) -> list[str]:
    """A sentence if the run was made with other versions than those installed: exactness is then not promised."""
    document = _read(folder)
    if not document:
        return []
    then = document.get("versions", {})
    now = versions([name for name in then if _requires(name)])
    changed = [f"{name} {version} (now {now[name]})" for name, version in then.items() if name in now and now[name] != version]
    if document.get("machine", {}).get("python") not in (None, platform.python_version()):
        changed.append(f"Python {document['machine']['python']} (now {platform.python_version()})")
    if not changed:
        return []
    return [f"the run was made with {', '.join(changed)}: it continues, but no longer to the last bit"]


class Lock:
    """Holds a run's folder for this process, as long as the system lives; a killed process gives it back by itself.

    Raises:
        RequestError: if another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / ".lock").open("a")
        try:
            import fcntl
        except ImportError:  # a system without advisory locks: nothing to hold
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise RequestError(
                f"{str(folder)!r} is being worked on by another process", "wait for it, or stop it, or start another run"
            ) from error

    def release(self) -> None:
        """Give the folder back."""
        self._file.close()


def _requires(package: str) -> list[str]:
    try:
        return metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        document = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
