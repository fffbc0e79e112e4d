"""Numbers of steps in a config: a whole number, or a fraction of the run's budget."""

from __future__ import annotations

from typing import Annotated, Any

from rl_core.config import Meta

Steps = Annotated[int, Meta(ge=0)] | float
"""A whole number >= 0, or a fraction of the budget in (0, 1)."""


def require_steps(config: Any, name: str) -> None:
    """Refuse a field of the type `Steps` that is neither a whole number nor a fraction.

    Raises:
        ValueError: if that is so.
    """
    value = getattr(config, name)
    if not (0 < value < 1 or (0 <= value < 2**63 and value == int(value))):
        raise ValueError(f"{name} is {value}; it must be a whole number >= 0, or a fraction of the budget in (0, 1)")


def steps_within(steps: float, budget: int) -> int:
    """Return a number of steps; one in (0, 1) is a fraction of the budget.

    >>> steps_within(1_000, 50_000), steps_within(0.1, 50_000)
    (1000, 5000)
    """
    return int(steps * budget) if 0 < steps < 1 else int(steps)


def warm_up_warning(warm_up: int, budget: int) -> list[str]:
    """Return a warning if a budget ends before the first update.

    >>> warm_up_warning(1_000, 900)
    ['nothing is learned: the budget of 900 ends before the first update, after 1,000 (learning_starts); take a larger budget, or fewer']
    >>> warm_up_warning(0, 900)
    []
    """
    if warm_up < budget:
        return []
    return [
        f"nothing is learned: the budget of {budget:,} ends before the first update, after {warm_up:,} (learning_starts); "
        "take a larger budget, or fewer"
    ]
