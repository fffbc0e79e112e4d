"""Loggers."""

from __future__ import annotations

from typing import Any

from rl_core.api import hookimpl
from rl_core.config import configclass


class Listens:
    """A sound one."""

    @hookimpl
    def rl_run_started(self, run: Any) -> None:
        """Nothing."""


class Deaf:
    """Has no hook."""


@configclass
class EndlessConfig:
    """No settings."""


class Endless:
    """Starts workers, and cannot stop them."""

    Config = EndlessConfig

    def __init__(self, config: EndlessConfig) -> None: ...

    def start(self, argv: object, count: int, needs: object, folder: object) -> list[str]:
        return []

    def look(self, ids: object) -> dict[str, str]:
        return {}
