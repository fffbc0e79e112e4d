"""The program as a process of its own: started, killed, interrupted, continued."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (-9 when it was killed), standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)


class Forked:
    """A process that is a copy of this one and calls `rl-core`: it need not import what this one has imported.

    Args:
        call: What it does; returns its exit status.
    """

    def __init__(self, call: Callable[[], int]) -> None:
        self.returncode: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                status = call()
            finally:
                os._exit(status)

    def poll(self) -> int | None:
        """The exit status, once it has ended."""
        if self.returncode is None:
            self._note(*os.waitpid(self._pid, os.WNOHANG))
        return self.returncode

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self._pid, signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Wait for its end."""
        if self.returncode is None:
            self._note(*os.waitpid(self._pid, 0))
        return "", ""

    def _note(self, pid: int, status: int) -> None:
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)


class Program:
    """`rl-core` in a folder.

    Args:
        folder: Where it works.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            self.environment.pop(name, None)

    def see(self, path: Path) -> None:
        """Let the program see the distributions in the folder `path`."""
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), self.environment.get("PYTHONPATH", "")]))

    def call(self, *arguments: object) -> Ended:
        """As `run`, within this process: for what needs no kill, no signal and no terminal."""
        from click.testing import CliRunner

        from rl_core.cli.cli import cli

        before = dict(os.environ)
        try:
            with contextlib.chdir(self.folder):
                result = CliRunner().invoke(cli, list(map(str, arguments)), prog_name="rl-core")
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Ended(result.exit_code, result.stdout, result.stderr)

    def start(self, *arguments: object, python: Sequence[str] = ("-m", "rl_core"), **options: Any) -> subprocess.Popen[str]:
        """`rl-core` with these arguments, running; `python` is what Python itself is called with."""
        command = [sys.executable, *python, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **{**pipes, **options})

    def run(self, *arguments: object, **options: Any) -> Ended:
        """`rl-core` with these arguments, to its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=240)
        return Ended(process.returncode, out or "", err or "")

    def succeed(self, *arguments: object) -> Ended:
        """As `call`, and it must succeed."""
        ended = self.call(*arguments)
        assert ended.status == 0, ended.err
        return ended

    def kill(self, arguments: Sequence[object], run: str, size: int, delay: float, *, forked: bool) -> int:
        """Start `rl-core`, and kill it `delay` seconds after the metrics of a run have grown to `size` bytes.

        Returns:
            The size of the metrics then.
        """
        log = self.folder / run / "metrics.jsonl"
        began = log.stat().st_mtime_ns if log.exists() else 0
        process: Any = Forked(lambda: self.call(*arguments).status) if forked else self.start(*arguments)
        wait_for(lambda: process.poll() is not None or (log.exists() and log.stat().st_mtime_ns > began and log.stat().st_size >= size))
        time.sleep(delay)
        process.kill()
        _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"the run ended before it was killed: {err}"
        return log.stat().st_size

    def disturbed(self, run: str, arguments: Sequence[object], *, whole: str, kills: int, seed: int, forked: bool = False) -> list[int]:
        """Begin a run with `arguments` and kill it, at moments strewn over the whole of it; resume it after each kill but the last.

        Args:
            run: Folder of the run.
            arguments: Of `rl-core`, without `--out`.
            whole: Folder of the same run, undisturbed: how long its metrics are tells when it is to be killed.
            kills: How many times.
            seed: Of the moments.
            forked: Whether the processes are copies of this one, which saves their imports.

        Returns:
            Sizes of the metrics at each kill.
        """
        chance = random.Random(seed)
        length = (self.folder / whole / "metrics.jsonl").stat().st_size
        moments = sorted(chance.randrange(length * 9 // 10) for _ in range(kills))
        commands = [[*arguments, "--out", run]] + [["resume", run]] * (kills - 1)
        delays = [chance.uniform(0, 0.01) for _ in moments]
        return [self.kill(command, run, size, delay, forked=forked) for command, size, delay in zip(commands, moments, delays, strict=True)]

    def final(self, run: str) -> dict[str, bytes]:
        """Return the files of the newest checkpoint of a run, blocks included, by name with the checkpoint's own."""
        folder = max((self.folder / run / "checkpoints").iterdir(), key=lambda path: int(path.name))
        return {str(path.relative_to(folder.parent)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def progress(self, run: str) -> list[int]:
        """The progress in each line of a run's metrics."""
        return [json.loads(line)["progress"] for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, in a folder of this test."""
    return Program(tmp_path)
