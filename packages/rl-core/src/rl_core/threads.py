"""A limit on the threads of linear algebra, which holds for every library that a process has loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import threadpoolctl


@contextmanager
def limited_threads(number: int) -> Iterator[None]:
    """Limit the threads of linear algebra within a `with` statement; the number from before holds again after it.

    torch is told by its own function, if it is loaded: its MKL is linked statically, so that threadpoolctl does not see it, and obeys
    `MKL_NUM_THREADS` rather than a limit of OpenMP.

    Args:
        number: Threads, >= 1.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    with threadpoolctl.threadpool_limits(number):
        if torch is not None:
            torch.set_num_threads(number)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
