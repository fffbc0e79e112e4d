"""Claims: the lease that a worker has of a run, so that no two learn the same one, on one machine or on many that share a folder.

A lease is a file `claims/<run>.<number>`; the highest number is the lease that holds. A worker takes a run by linking a file of its
own to the next number, which only one of several can (link is atomic, on network file systems too, and needs no lock). It touches the
file every `HEARTBEAT` seconds. A lease whose file was not touched for `STALE` seconds, by the clock of the file system, may be taken
over with the next number, and so may one of a process of this machine that has ended. `Lease.holds` is the fence: a worker that was
suspended finds that a higher number is there, and writes nothing more.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

HEARTBEAT = 10.0
STALE = 60.0
_NO_NAMESPACE = ""


class Lease:
    """A run that this worker holds.

    Attributes:
        run: The id of the run.
        number: Which lease of the run this is; above 1 it was taken over from another worker.
        path: Its file.
        token: What no other lease has.
    """

    def __init__(self, run: str, number: int, path: Path, token: str) -> None:
        self.run, self.number, self.path, self.token = run, number, path, token

    def beat(self) -> None:
        """Touch the file, so that the lease stays fresh."""
        with suppress(OSError):
            os.utime(self.path)

    def holds(self) -> bool:
        """Return whether this worker still has the run."""
        if _path(self.path.parent, self.run, self.number + 1).exists():
            return False
        held = _read(self.path)
        return held is not None and held.get("token") == self.token

    def release(self) -> None:
        """Give the run back, and remove the leases before this one."""
        if not self.holds():
            return
        for number in range(1, self.number):
            _path(self.path.parent, self.run, number).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class Claims:
    """The claims of a sweep, as one worker sees them.

    Args:
        folder: The folder `claims` of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity = {**identity(), "token": ""}
        self._clock = folder / f".clock-{os.getpid()}-{secrets.token_hex(4)}-{socket.gethostname()}"

    def taken(self) -> dict[str, int]:
        """Return the number of the newest lease of each run that has one."""
        found: dict[str, int] = {}
        for entry in os.scandir(self._folder):
            run, _, number = entry.name.rpartition(".")
            if run and number.isdecimal():
                found[run] = max(found.get(run, 0), int(number))
        return found

    def fresh(self) -> set[str]:
        """Return the runs whose lease is fresh."""
        taken = self.taken()
        now = self._now() if taken else 0.0
        return {run for run, number in taken.items() if not self._is_stale(_path(self._folder, run, number), now)}

    def take(self, run: str) -> Lease | None:
        """Return a lease of the run; `None` if another worker has it."""
        number = self.taken_number(run)
        if number and not self._is_stale(_path(self._folder, run, number), self._now()):
            return None
        return self._link(run, number + 1)

    def taken_number(self, run: str) -> int:
        """Return the number of the newest lease of a run; 0 if there is none."""
        if not _path(self._folder, run, 1).exists():
            return self.taken().get(run, 0)
        number = 1
        while _path(self._folder, run, number + 1).exists():
            number += 1
        return number

    def clear(self) -> None:
        """Remove stale leases and what ended workers left; the folder too, if nothing stays in it."""
        now = self._now()
        for run, number in self.taken().items():
            if self._is_stale(_path(self._folder, run, number), now):
                for each in range(number, 0, -1):
                    _path(self._folder, run, each).unlink(missing_ok=True)
        for path in self._folder.glob(".*"):
            with suppress(OSError):
                if now - path.stat().st_mtime > STALE or self._is_clock_of_ended(path.name):
                    path.unlink()
        self.close()

    def close(self) -> None:
        """Remove the file that the clock is read with."""
        self._clock.unlink(missing_ok=True)

    def _link(self, run: str, number: int) -> Lease | None:
        token = secrets.token_hex(16)
        path, private = _path(self._folder, run, number), self._folder / f".{token}"
        private.write_text(json.dumps({**self._identity, "token": token}))
        try:
            os.link(private, path)
        except FileExistsError:
            return None
        except OSError:  # a file system without links: creating the file is as exclusive, and reading it early shows it empty, not free
            try:
                with open(path, "x") as file:  # noqa: PTH123 - pathlib has no exclusive text mode
                    file.write(private.read_text())
            except FileExistsError:
                return None
        finally:
            private.unlink(missing_ok=True)
        return Lease(run, number, path, token)

    def _is_stale(self, path: Path, now: float) -> bool:
        try:
            age = now - path.stat().st_mtime
        except FileNotFoundError:  # released at this moment
            return True
        return age > STALE or _has_ended(_read(path), self._identity)

    def _is_clock_of_ended(self, name: str) -> bool:
        """Return whether a file is the clock of a process of this machine that has ended."""
        kind, _, rest = name.partition("-")
        pid, _, host = rest.partition("-")
        mine = kind == ".clock" and host.partition("-")[2] == self._identity["host"] and bool(self._identity["boot"])
        return mine and pid.isdecimal() and _started(int(pid)) == ""

    def _now(self) -> float:
        """Return the time by the clock of the file system, which the clock of this machine may differ from."""
        self._clock.touch()
        return self._clock.stat().st_mtime


def identity() -> dict[str, Any]:
    """Return what tells this process from any other: host, boot, process namespace, process and its start."""
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid())}


def _has_ended(lease: dict[str, Any] | None, own: dict[str, Any]) -> bool:
    """Return whether the holder of a lease was a process of this machine that is not running any more."""
    if lease is None or lease.get("host") != own["host"] or lease.get("boot") != own["boot"] or not own["boot"]:
        return False
    pid = lease.get("pid")
    return isinstance(pid, int) and _started(pid) != lease.get("started")


def _started(pid: int) -> str:
    """Return when a process was started, in ticks; "" if there is none, or it has ended and was not waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _boot() -> str:
    """Return the boot of this machine and the namespace of its process numbers; "" where the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return _NO_NAMESPACE


def _path(folder: Path, run: str, number: int) -> Path:
    return folder / f"{run}.{number}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
