"""The number of threads of linear algebra.

A run limits it to its recipe's `threads` while it learns; code that starts processes of its own passes the number on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar

import threadpoolctl

_P = ParamSpec("_P")
_R = TypeVar("_R")
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


def one_thread(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a function so that BLAS uses one thread while it runs.

    Not for the `step` of an agent, where it would override the `threads` of the recipe.

    >>> one_thread(abs)(-2)
    2
    """

    @functools.wraps(function)
    def limited(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with limited_threads(1):
            return function(*args, **kwargs)

    return limited
