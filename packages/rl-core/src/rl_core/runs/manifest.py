"""The manifest of a run: versions, machine and sessions; and the lock that lets only one process work on a run."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import IN_PROCESS
from rl_core.runs import files
from rl_core.threads import controller

if TYPE_CHECKING:
    from rl_core.runs.recipe import Resolved


def write(folder: Path, resolved: Resolved, *, progress: int, path: str = "", parent: dict[str, Any] | None = None) -> None:
    """Write `manifest.json`, or add this session to an existing one.

    Args:
        folder: The run's folder.
        resolved: The components of the run.
        progress: Where the session starts, in the agent's unit.
        path: How the agent computes, in words; empty where there is only one way.
        parent: The run that this one started from: its folder, progress and checksum; `None` where there is none.
    """
    packages = sorted({"rl-core", *(entry.package for entry in resolved.entries())})
    now = dict(_versions_once(tuple(packages)))
    before = _read(folder)
    document = {
        "recipe": msgspec.to_builtins(resolved.recipe),
        "seed": resolved.recipe.seed,
        "packages": {entry.kind: entry.package for entry in resolved.entries()},
        "versions": before.get("versions") or now,
        "recipe_versions": now,  # the recipe's config fields are those of these versions
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
    parent = before.get("parent") or parent
    if parent is not None:
        document["parent"] = parent
    files.replace(folder / "manifest.json", (json.dumps(document, indent=1) + "\n").encode())


def machine() -> dict[str, Any]:
    """Describe this machine, and what of it the last digits of a sum depend on."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernels": kernels(),
    }


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the name of the processor's family."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a file of the system
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def kernels() -> dict[str, str]:
    """Return the variants of the loaded linear algebra libraries, which are chosen by processor or environment."""
    found = {}
    for library in controller().info():
        if library.get("user_api") == "blas":
            name = f"{library['internal_api']} of {library['prefix'].removeprefix('lib')}"
            found[name] = str(library.get("architecture") or library.get("version") or "unknown")
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch.backends, "cpu"):
        found["torch"] = str(torch.backends.cpu.get_cpu_capability())
    return found


def versions(packages: list[str]) -> dict[str, str]:
    """Return the versions of the packages and of their direct requirements without extras, as far as they are installed."""
    names = set(packages)
    for package in packages:
        for requirement in _requires(package):
            if "extra ==" not in requirement:
                names.add(re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0])
    found = {name: _version(name) for name in sorted(names, key=str.lower)}
    return {name: version for name, version in found.items() if version}


@lru_cache(maxsize=64)
def _versions_once(packages: tuple[str, ...]) -> dict[str, str]:
    """Return `versions`, looked up once in a process: what it has imported stays, and a worker of a sweep writes many manifests."""
    return versions(list(packages))


def differences(folder: Path) -> list[str]:
    """Return how this environment differs from the run's first: versions, processor, linear algebra. Exactness is then not promised."""
    document = _read(folder)
    before = document.get("machine", {})
    variants = {"processor": processor(), **kernels()}
    known = {"processor": before.get("processor"), **(before.get("kernels") if isinstance(before.get("kernels"), dict) else {})}
    changed = [f"{name} {known[name]} (now {value})" for name, value in variants.items() if known.get(name) not in (None, value)]
    then = {**document.get("versions", {}), "Python": document.get("machine", {}).get("python", platform.python_version())}
    now = {name: _version(name) for name in then} | {"Python": platform.python_version()}
    return [f"{name} {version} (now {now[name] or 'not installed'})" for name, version in then.items() if now[name] != version] + changed


def require_installed(folder: Path) -> None:
    """Check that the packages of the run's components are installed.

    Raises:
        RequestError: naming the first that is not, with the version to install.
    """
    document = _read(folder)
    packages, known = document.get("packages"), document.get("versions", {})
    for kind, package in packages.items() if isinstance(packages, dict) else ():
        if isinstance(package, str) and package != IN_PROCESS and _version(package) is None:
            wanted = f"{package}=={known[package]}" if package in known else package
            raise RequestError(
                f"the {kind} of {str(folder)!r} belongs to package {package}, which is not installed", f'pip install "{wanted}"'
            )


def recipe_versions(folder: Path) -> dict[str, str]:
    """Return the versions of packages whose config fields the run's recipe has; empty if that is not known."""
    found = _read(folder).get("recipe_versions")
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


class Lock:
    """A lock on a run's folder for this process; the system releases it when the process ends, however it does.

    Raises:
        RequestError: if another process holds it.
        WorkError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = open(files.opened(folder / ".lock", os.O_WRONLY | os.O_CREAT), "a")  # noqa: SIM115, PTH123
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
                f"{str(folder)!r} is in use by another process", "wait until it ends, or stop it, or start another run"
            ) from error
        except OSError:  # a file system without locks
            return

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


def _requires(package: str) -> list[str]:
    try:
        return metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []


def _version(package: str) -> str | None:
    return _version_on(package, tuple(sys.path))


@lru_cache(maxsize=256)
def _version_on(package: str, _paths: tuple[str, ...]) -> str | None:
    """Return the version of a package; its metadata is parsed once, because a process keeps what it imported."""
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _read(folder: Path) -> dict[str, Any]:
    """Return the manifest; empty where there is none, or another program wrote it."""
    try:
        document = json.loads(files.read(folder / "manifest.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    kinds = {"versions": dict, "machine": dict, "sessions": list}
    whole = isinstance(document, dict) and all(isinstance(document.get(key), kind) for key, kind in kinds.items())
    return document if whole else {}
