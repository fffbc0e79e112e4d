"""The number of threads of linear algebra.

A run limits it to its recipe's `threads` while it learns; code that starts processes of its own passes the number on.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import threadpoolctl

_libraries = threadpoolctl.ThreadpoolController()


def num_threads() -> int:
    """Return the number of threads that BLAS uses now; 1 where it is unknown."""
    counts = [library["num_threads"] for library in _libraries.info() if library["user_api"] == "blas"]
    return max(counts, default=1)


def limited_threads(count: int) -> AbstractContextManager[object]:
    """Return a context in which BLAS uses `count` threads.

    >>> with limited_threads(1):
    ...     num_threads()
    1
    """
    return _libraries.limit(limits=count, user_api="blas")
