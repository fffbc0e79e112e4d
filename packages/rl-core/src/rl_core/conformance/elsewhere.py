"""A second Python process in which a run is taken further: what depends on this process's memory or hash seed comes to light.

The process is started once, with another hash seed, and serves every check; it ends with this one.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path

from rl_core.conformance.verdict import Fault


class Elsewhere:
    """The other process.

    Args:
        disabled: Plugins that it must leave out.
    """

    def __init__(self, disabled: tuple[str, ...]) -> None:
        hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl_core.conformance.elsewhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths, "RL_CORE_DISABLE": ",".join(disabled)},
        )
        atexit.register(self.close)

    def advance(self, folder: Path, steps: int) -> None:
        """Open the run in `folder` at its newest checkpoint, take steps, and save.

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
        """Whether it still answers."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        if self.alive:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()


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
    from rl_core.conformance import steps
    from rl_core.conformance.checks import in_words
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.run import Run

    catalogue = Catalogue.discover()
    for line in sys.stdin:
        request = json.loads(line)
        problem = ""
        try:
            with Run.open(Path(request["folder"]), catalogue) as run:
                for _ in steps.take(run, request["steps"]):
                    pass
        except (Exception, SystemExit) as error:
            problem = in_words(error)
        answers.write(json.dumps({"problem": problem}) + "\n")


if __name__ == "__main__":
    serve()
