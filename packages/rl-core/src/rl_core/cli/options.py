"""Options and types of arguments that several commands have in common."""

from __future__ import annotations

import os
import re
import reprlib
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from rl_core.cli.completion import component_names


class WholeNumber(click.ParamType):
    """A whole number, also written as 1e6 or 10_000."""

    name = "integer"

    def __init__(self, least: int | None = None) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or fail with an example."""
        try:
            number = int(value)
        except ValueError:
            try:
                exact = float(value)
                number = int(exact)
            except (ValueError, OverflowError):
                number, exact = 0, 0.5
            if number != exact:
                self.fail(f"{value!r} is not a whole number; write for example 10000, 10_000 or 1e4", param, ctx)
        if self.least is not None and number < self.least:
            self.fail(f"{number} is less than {self.least}", param, ctx)
        return number


class UserPath(click.ParamType):
    """A path, refused in words when the system cannot look it up: a NUL byte, a name too long, a loop of links."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        path = Path(value)
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError) as error:
            self.fail(f"{reprlib.repr(str(path))} is not a valid path here: {getattr(error, 'strerror', None) or error}", param, ctx)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete files and folders."""
        return [CompletionItem(incomplete, type="file")]


class OutFile(UserPath):
    """A file to write, refused before any work when it is a folder, has another ending, or is a file that a run is made of.

    Args:
        endings: Endings that the command writes; none: any.
    """

    def __init__(self, *endings: str) -> None:
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        path = super().convert(value, param, ctx)
        if path.is_dir():
            self.fail(f"{str(path)!r} is a folder; expected a file to write", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{str(path)!r} cannot be written: {str(path.parent)!r} is not a folder; make it first", param, ctx)
        if self.endings and path.suffix.lower() not in self.endings:
            self.fail(f"{str(path)!r} ends with {path.suffix!r}; expected {' or '.join(filter(None, self.endings))}", param, ctx)
        if _is_part_of_a_run(path):
            self.fail(f"{str(path)!r} is a file of a run, a sweep or a tuning, which would be lost; give another name", param, ctx)
        return path


class OutFolder(UserPath):
    """A folder to write into, refused before any work when a file has its name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        path = super().convert(value, param, ctx)
        if path.exists() and not path.is_dir():
            self.fail(f"{str(path)!r} is a file; expected a folder", param, ctx)
        return path


_OWN_FILES = {"recipe.yaml", "manifest.json", "metrics.jsonl", "result.json", "sweep.yaml", "plan.jsonl", "tune.yaml", "trials.jsonl"}


def _is_part_of_a_run(path: Path) -> bool:
    """Return whether a file is one that the folder of a run, a sweep or a tuning is made of."""
    for folder in path.absolute().parents[:2]:
        if folder.name in ("checkpoints", "best") and (folder.parent / "manifest.json").is_file():
            return path.exists()
    return path.name in _OWN_FILES and any((path.parent / name).is_file() for name in ("manifest.json", "sweep.yaml", "tune.yaml"))


class NegativeNumbers(click.Command):
    """A command that takes `-1` or `-0.5,2` for an argument, which click would read as an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, with arguments that begin as a negative number behind a `--`."""
        end = args.index("--") if "--" in args else len(args)
        numbers = [arg for arg in args[:end] if re.match(r"-\.?\d", arg)]
        if numbers:
            args = [*(arg for arg in args[:end] if arg not in numbers), "--", *numbers, *args[end + 1 :]]
        return super().parse_args(ctx, args)


UNTIL = click.option("--until", type=WholeNumber(1), help="Pause at this progress, with the budget unchanged.")
PROCESSES = click.option(
    "--processes", type=WholeNumber(1), default=1, show_default=True, help="Processes that share each step; the result is the same."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
DEVICES = click.Choice(["auto", "cpu", "cuda"])
DEVICE = click.option("--device", type=DEVICES, help="Where tensors are placed.  [default: as in training]")
EPISODES = click.option(
    "--episodes", type=WholeNumber(1), default=100, show_default=True, help="Episodes of the evaluation of a control task."
)
RUN_EPISODES = click.option("--episodes", type=WholeNumber(1), help="Episodes of the evaluation of a control task.  [default: 100]")
LOGGER = click.option(
    "--logger", "loggers", multiple=True, shell_complete=component_names("logger"), help="A logger to use, such as tensorboard."
)
BEST = click.option("--best", is_flag=True, help="Take the checkpoint of the best evaluation while learning, not the newest.")
FOLDER = click.argument("folder", metavar="RUN", type=UserPath())


def limit_threads(threads: int) -> None:
    """Set the number of threads of linear algebra and compiled loops; it has no effect once they are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(max(1, threads))
