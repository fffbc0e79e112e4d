"""Loggers."""

from __future__ import annotations

from typing import Any

from rl_core.api import hookimpl


class Listens:
    """A sound one."""

    @hookimpl
    def rl_run_started(self, run: Any) -> None:
        """Nothing."""


class Deaf:
    """Has no hook."""
