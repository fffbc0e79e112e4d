"""A small host for learning algorithms: find, run, compare and continue agents, networks and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl_core.learning import Result, learn, load, register
    from rl_core.runs.run import Run

__all__ = ["Result", "Run", "learn", "load", "register"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import rl_core` stays fast."""
    if name not in __all__:
        raise AttributeError(f"module 'rl_core' has no attribute {name!r}")
    if name == "Run":
        from rl_core.runs.run import Run

        return Run
    from rl_core import learning

    return getattr(learning, name)


def __dir__() -> list[str]:
    """List the public names too."""
    return sorted([*globals(), *__all__])
