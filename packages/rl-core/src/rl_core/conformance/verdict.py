"""How a check ends: with nothing to say, with a fault, or with the reason why it could not be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


class Fault(Exception):
    """The component breaks the contract: what came, what is needed, and what its author can do."""


class Skipped(Exception):
    """The check does not apply here; the text says why."""


@dataclass(frozen=True)
class Result:
    """The outcome of one check of one component.

    Attributes:
        component: Name of the component; of the distribution for checks of a whole plugin.
        check: Name of the check.
        status: "passed", "failed" or "skipped".
        seconds: How long it took. What several checks need is made by the first of them.
        message: Why it failed or was skipped; "" when it passed.
        error: The exception behind a failure.
    """

    component: str
    check: str
    status: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str
    error: BaseException | None = field(default=None, compare=False, repr=False)
