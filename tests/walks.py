"""Print the source files that one learning step of an agent enters: `python tests/walks.py [agent[:network]]...`.

A file counts once a function of it runs during the step, or a compiled function of it is called. The fewer files, the sooner a reader
has seen the whole way of a batch.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

LIMITS = {"ppo": 8, "dqn": 8, "sac": 9, "trpo": 9, "supervised": 8, "skip-gram": 5}
PACKAGES = ("rl_core", "dl_nets", "rl_algos", "nlp_embeddings", "cv_models")


def place(filename: str) -> str:
    """Return a first-party file's path within its package, or ""."""
    parts = Path(filename).parts
    found = [index for index, part in enumerate(parts) if part in PACKAGES]
    return "/".join(parts[found[-1] :]) if found else ""


class Walk:
    """The files that a traced call enters, in order, and the number of moves from one to another."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.moves = 0
        self._last = ""

    def enter(self, filename: str) -> None:
        """Note that a file is entered."""
        name = place(filename)
        if not name:
            return
        if name not in self.files:
            self.files.append(name)
        if name != self._last:
            self.moves, self._last = self.moves + 1, name

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Follow the profiler's events."""
        if event != "call":
            return
        self.enter(frame.f_code.co_filename)
        for name in frame.f_code.co_names:
            compiled = getattr(frame.f_globals.get(name), "py_func", None)
            if compiled is not None:
                self.enter(compiled.__code__.co_filename)


def walk(agent: str, network: str | None = None) -> Walk:
    """Return the walk of one step of an agent on its default task, after two steps that warm it up."""
    catalogue = Catalogue.discover()
    resolved = recipe.resolve(catalogue, agent=agent, network=network)
    with tempfile.TemporaryDirectory() as folder, Run.create(resolved, catalogue, Path(folder) / "run") as run:
        walked = Walk()
        for _ in range(2):
            run.agent.step()
        while not walked.files or (agent in ("dqn", "sac") and not any("optimisers" in file or "fast" in file for file in walked.files)):
            sys.setprofile(walked)
            try:
                run.agent.step()
            finally:
                sys.setprofile(None)
        walked = Walk()  # the step before may have been the first to learn, which loads compiled functions
        sys.setprofile(walked)
        try:
            run.agent.step()
        finally:
            sys.setprofile(None)
    return walked


def main(names: list[str]) -> int:
    """Print every walk; return 1 if one is longer than its limit."""
    too_long = 0
    for name in names or LIMITS:
        agent, _, network = name.partition(":")
        walked = walk(agent, network or None)
        limit = LIMITS.get(agent, 99)
        too_long += len(walked.files) > limit
        print(f"{name}: {len(walked.files)} files (at most {limit}), {walked.moves} moves: {', '.join(walked.files)}")
    return int(too_long > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
