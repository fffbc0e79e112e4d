"""The program as a process of its own: started, killed, interrupted, continued."""

from __future__ import annotations

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

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """`rl-core` with these arguments, running."""
        command = [sys.executable, "-m", "rl_core", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **{**pipes, **options})

    def run(self, *arguments: object, **options: Any) -> Ended:
        """`rl-core` with these arguments, to its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=240)
        return Ended(process.returncode, out or "", err or "")

    def succeed(self, *arguments: object, **options: Any) -> Ended:
        """As `run`, and it must succeed."""
        ended = self.run(*arguments, **options)
        assert ended.status == 0, ended.err
        return ended

    def disturbed(self, run: str, arguments: Sequence[object], *, kills: int, chance: random.Random) -> list[int]:
        """Begin the run in the folder `run` with `arguments`, and kill it `kills` times while it learns; resume it after each but the last.

        A process is killed by SIGKILL after a random part of a second from when it has begun to write metrics or a checkpoint.

        Returns:
            Bytes of metrics at each kill.
        """
        log = self.folder / run / "metrics.jsonl"
        sizes = []
        for attempt in range(kills):
            before = self._traces(run)
            process = self.start(*(arguments if attempt == 0 else ["resume"]), *(["--out", run] if attempt == 0 else [run]))
            wait_for(lambda before=before, process=process: self._traces(run) != before or process.poll() is not None)
            time.sleep(chance.uniform(0.0, 0.25))
            assert process.poll() is None, f"the run ended before it was killed: {process.communicate()[1]}"
            process.send_signal(signal.SIGKILL)
            process.communicate()
            sizes.append(log.stat().st_size if log.exists() else 0)
        return sizes

    def _traces(self, run: str) -> Any:
        """What changes when the run in that folder takes steps."""
        log = self.folder / run / "metrics.jsonl"
        return log.stat().st_size if log.exists() else -1

    def final(self, run: str) -> dict[str, bytes]:
        """The files of the newest checkpoint of a run, by name, with the checkpoint's own."""
        folder = max((self.folder / run / "checkpoints").iterdir(), key=lambda path: int(path.name))
        return {f"{folder.name}/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}

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
