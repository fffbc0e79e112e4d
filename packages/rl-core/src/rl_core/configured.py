"""The base of agents, networks and tasks."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar


class Configured(ABC):
    """Base of components whose settings are an instance of `Config`, a class made by `rl_core.config.configclass`."""

    Config: ClassVar[type]

    @classmethod
    def upgrade_config(cls, values: dict[str, Any], version: str) -> dict[str, Any]:
        """Return the config fields that an older version of the package wrote into a recipe, under their present names.

        Called when a run is opened, before the values are checked. Override it in the version that renames a field.

        Args:
            values: Fields by name, as they are in the run's recipe.
            version: Version of the package that wrote them.
        """
        return values
