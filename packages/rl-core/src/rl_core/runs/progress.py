"""Progress of a run on standard error: a bar with rate and remaining time on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rl_core.errors import printable

if TYPE_CHECKING:
    from rl_core.api import RunView

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_DRAWS = 0.1
SECONDS_BETWEEN_UPDATES = 0.5  # of a notebook, which every update travels to
SECONDS_OF_SILENCE = 10.0
ENDLESS = 10**9  # budget of an agent that ends by itself: how much is left is not known


@contextmanager
def told_when_slow(sentence: str, *, quiet: bool) -> Iterator[None]:
    """Print a sentence on standard error, once, if the block takes longer than 10 s."""
    timer = threading.Timer(SECONDS_OF_SILENCE, print, (sentence,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


class Progress:
    """A display on standard error that draws only when something changed.

    Args:
        run: The run to follow.
        quiet: Whether to print nothing at all.
    """

    def __init__(self, run: RunView, *, quiet: bool) -> None:
        self._run = run
        self._quiet = quiet
        self._bar: Any = None
        self._display: Any = None  # of a notebook: a line that is replaced
        self._began = self._drawn = time.monotonic()
        self._first = run.agent.progress
        self._headline: tuple[str, float] | None = None

    def __enter__(self) -> Progress:
        """Begin the bar if standard error is a terminal."""
        if not self._quiet and in_notebook():
            shown = import_module("IPython.display")
            self._pretty = shown.Pretty
            self._display = shown.display(shown.Pretty(""), display_id=True)
        elif not self._quiet and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[told]}", markup=False),
                console=Console(stderr=True),
                auto_refresh=False,
            )
            self._bar.start()
            label = printable(f"{self._run.recipe.agent} on {self._run.recipe.task}", 100)
            self._task = self._bar.add_task(
                label, total=self._run.budget if self._run.budget < ENDLESS else None, completed=self._first, told=""
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the last state of the bar on the screen."""
        if self._bar is not None or self._display is not None:
            self._draw()
        if self._bar is not None:
            self._bar.stop()

    def show(self, metrics: Mapping[str, float]) -> None:
        """Show the metrics of a step."""
        name = self._run.agent.headline or next(iter(metrics), "")
        if name in metrics:
            self._headline = (name, metrics[name])
        now = time.monotonic()
        if self._quiet or now - self._drawn < self._pause():
            return
        self._drawn = now
        if self._bar is not None or self._display is not None:
            self._draw()
        else:
            print(self.sentence(), file=sys.stderr, flush=True)

    def sentence(self) -> str:
        """Return the state in words: `46,080 of 100,000 environment steps, 31,000/s, 0:02 left, return 312.1`."""
        done, budget = self._run.agent.progress, self._run.budget
        rate = (done - self._first) / max(time.monotonic() - self._began, 1e-9)
        whole = "" if budget >= ENDLESS else f" of {budget:,}"
        parts = [f"{done:,}{whole} {self._run.spec.unit}", f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"]
        if done < budget < ENDLESS and rate > 0:
            left = int((budget - done) / rate)
            parts.append(
                f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left" if left >= 3600 else f"{left // 60}:{left % 60:02d} left"
            )
        if self._headline:
            parts.append(f"{printable(self._headline[0], 100)} {self._headline[1]:.4g}")
        return ", ".join(parts)

    def _pause(self) -> float:
        if self._bar is not None:
            return SECONDS_BETWEEN_DRAWS
        return SECONDS_BETWEEN_UPDATES if self._display is not None else SECONDS_BETWEEN_LINES

    def _draw(self) -> None:
        if self._display is not None:
            self._display.update(self._pretty(f"{self._run.recipe.agent} on {self._run.recipe.task}: {self.sentence()}"))
            return
        self._bar.update(self._task, completed=min(self._run.agent.progress, self._run.budget), told=self.sentence())
        self._bar.refresh()
