"""The program `rl-core`, also as `python -m rl_core`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - pathlib would slow down every command
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # a letter that cannot be shown is \xe9 and not an exception
    from rl_core.cli.cli import cli

    cli.main(prog_name="rl-core")


if __name__ == "__main__":
    main()
