"""The program `rl-core`, also as `python -m rl_core`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

OBJECTS_BEFORE_COLLECTION = 10_000
"""Objects made, and not freed, before a search for cycles. With Python's 700, imports are searched hundreds of times, for nothing."""


def main() -> None:
    """Run the command line and end the process with its exit status."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION, *gc.get_threshold()[1:])
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - pathlib would slow down every command
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # an unencodable character is printed as \xe9 and is not an exception
    from rl_core.cli.cli import cli

    if "_RL_CORE_COMPLETE" in os.environ:
        from rl_core.cli.completion import register_bash

        register_bash()
    try:
        cli.main(prog_name="rl-core")
    finally:
        _close_stdout()
        if "torch" not in sys.modules:  # whose compiler reports what is not collected at the end, on many lines
            gc.freeze()  # else Python searches all objects for cycles while it ends: an eighth of `rl-core list`


def _close_stdout() -> None:
    """Send everything printed from now on, at the end of the process, to standard error: the result is complete."""
    with suppress(OSError, ValueError):
        try:
            if sys.__stdout__ is not None:  # not sys.stdout: click puts one there that hides a broken pipe
                sys.__stdout__.flush()
        except (OSError, ValueError):  # the reader has gone: the rest is dropped
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        else:
            os.dup2(2, 1)
    sys.stdout = sys.stderr


if __name__ == "__main__":
    main()
