"""A second Python process in which a run is continued, to find what depends on the process and not on the run.

It differs from this one in its working directory, hash seed, number of processors and of threads in the environment, time of day, time
zone, and the speed of its clocks. It is started once and serves every check; it ends with this one.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rl_core.conformance.verdict import Fault, in_words

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Elsewhere:
    """The other process.

    Args:
        disabled: Plugins that it must leave out.
    """

    def __init__(self, disabled: tuple[str, ...]) -> None:
        hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        paths = os.pathsep.join(str(Path(path or ".").resolve()) for path in sys.path)
        self._folder = tempfile.TemporaryDirectory(prefix="rl-core-elsewhere-", ignore_cleanup_errors=True)
        threads = {name: "2" if os.environ.get(name) != "2" else "3" for name in _THREADS}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl_core.conformance.elsewhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self._folder.name,
            env={
                **os.environ,
                **threads,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": paths,
                "RL_CORE_DISABLE": ",".join(disabled),
                "TZ": "UTC+7" if os.environ.get("TZ") != "UTC+7" else "UTC-5",
            },
        )
        atexit.register(self.close)

    def advance(self, folder: Path, steps: int) -> None:
        """Open the run in `folder` at its newest checkpoint, take up to `steps` steps, and save.

        Raises:
            Fault: if it fails there; the text is the other process's.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"folder": str(folder), "steps": steps}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise Fault(f"another process that took the run further died with exit status {self._process.wait()}")
        problem = json.loads(answer)["problem"]
        if problem:
            raise Fault(f"another process could not take the run further: {problem}")

    @property
    def alive(self) -> bool:
        """True while the process is running."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        if self.alive:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
        self._folder.cleanup()


_running: dict[tuple[str, ...], Elsewhere] = {}


def advance(folder: Path, steps: int, disabled: tuple[str, ...] = ()) -> None:
    """Take the run in `folder` further in another process, started if there is none; see `Elsewhere.advance`."""
    key = (*disabled, *sys.path)
    if key not in _running or not _running[key].alive:
        _running[key] = Elsewhere(disabled)
    _running[key].advance(folder, steps)


def serve() -> None:
    """Answer requests on standard input, a line of JSON each, until it ends. Nothing else reaches standard output."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _disguise()
    from rl_core.conformance import steps
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.run import Run

    catalogue = Catalogue.discover()
    for line in sys.stdin:
        request = json.loads(line)
        problem = ""
        try:
            with Run.open(Path(request["folder"]), catalogue) as run:
                for _ in steps.go(run, request["steps"]):
                    pass
                steps.save(run)
        except (Exception, SystemExit) as error:
            problem = in_words(error)
        answers.write(json.dumps({"problem": problem}) + "\n")


def _disguise() -> None:
    """Make this process look like one on another machine at another hour: more processors, clocks that run faster."""
    processors = (os.cpu_count() or 1) + 1
    os.cpu_count = lambda: processors
    for name in ("time", "perf_counter", "monotonic", "process_time"):
        setattr(time, name, _faster(getattr(time, name), getattr(time, name)()))


def _faster(clock: Callable[[], float], start: float) -> Callable[[], float]:
    return lambda: start + 7 * 3600 + 5.0 * (clock() - start)


if __name__ == "__main__":
    serve()
