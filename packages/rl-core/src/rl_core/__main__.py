"""The program `rl-core`, also as `python -m rl_core`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode shows \xe9 and not an exception
    from rl_core.cli import cli

    cli.main(prog_name="rl-core")


if __name__ == "__main__":
    main()
