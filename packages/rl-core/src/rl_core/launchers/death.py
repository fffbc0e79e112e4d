"""Processes that end with the process that started them, so that none is left behind by a `kill -9`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Let the system send this process a signal when its parent ends; ends it now if that has happened.

    Only Linux can do that. Elsewhere a learner finds out at its next write, from the number of its parent process.

    Args:
        parent: The process that started this one.
        number: The signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
