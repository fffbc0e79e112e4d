"""A limit on the threads of linear algebra, which holds for every library that a process has loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import threadpoolctl


def controller() -> Any:
    """Return threadpoolctl's controller of the loaded libraries, which are searched for again once further modules were imported."""
    return _controller(len(sys.modules))


@lru_cache(maxsize=1)
def _controller(_modules: int) -> Any:
    return threadpoolctl.ThreadpoolController()


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
    with controller().limit(limits=number):
        if torch is not None:
            torch.set_num_threads(number)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
