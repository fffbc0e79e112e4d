"""The command of a worker, as an engine's task calls it on whatever node it is put: a process with its own signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from rl_core.launchers.death import end_with_parent


def call(argv: Sequence[str]) -> int:
    """Run a command to its end, and return its exit status; the process ends with this one."""
    command = [sys.executable, "-m", "rl_core.launchers.command", str(os.getpid()), *argv]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    finally:
        with suppress(OSError):
            process.send_signal(signal.SIGTERM)


def main() -> None:
    """Become the command, which gets SIGTERM when the process that asked for it ends. The arguments: that process, the command."""
    end_with_parent(int(sys.argv[1]), signal.SIGTERM)  # kept by the program that this process becomes
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
