"""Networks that start from saved weights: the settings `from`, `freeze` and `head`, which every network takes beside its own.

The host knows no file of weights. A plugin states in its module what does: `RL_WEIGHTS = "package.module:Class"`. The class is called as
`Class(network, source, freeze=..., head=..., optional=...)` and is a `rl_core.network.Network` that builds what the given network builds
and starts it from the source; its attribute `notes` holds sentences for the user. `Class.network_of(source)` returns the name and the
settings of the network that the source was saved from, or `None`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue

if TYPE_CHECKING:
    from rl_core.network import Network

SETTINGS = ("from", "freeze", "head")


class Start:
    """The saved weights that a network starts from.

    Args:
        catalogue: Installed plugins.
        values: Those of `SETTINGS` that were given.
        folder: Folder that a relative path is resolved against.
        optional: Whether the source may be missing, since a checkpoint follows.

    Raises:
        RequestError: if a value is not a text, the source is missing, or no plugin loads weights.
    """

    def __init__(self, catalogue: Catalogue, values: Mapping[str, Any], folder: Path, *, optional: bool) -> None:
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise RequestError(f"network.{name} is {value!r}; it must be a text", f"write for example: --set network.{name}=all")
        self.settings = {name: str(values[name]) for name in SETTINGS if str(values.get(name, ""))}
        self.source: Path | None = None
        if not self.settings:
            return
        if "from" not in self.settings:
            raise RequestError(
                f"network.{next(iter(self.settings))} was set without network.from", "say what the network starts from: network.from=PATH"
            )
        self.source = (folder / Path(self.settings["from"]).expanduser()).resolve()
        if not self.source.exists() and not optional:
            raise RequestError(f"network.from is {str(self.source)!r}, which does not exist", "give a run folder or a file of weights")
        self.settings["from"] = str(self.source)
        self._optional = optional
        self._loader = _loader(catalogue)

    def network(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and the settings of the network that the source was saved from; `None` where it does not say."""
        found: tuple[str, dict[str, Any]] | None = None if self.source is None else self._loader.network_of(self.source)
        return found

    def around(self, network: Network) -> Network:
        """Return the network, or one that starts from the source."""
        if self.source is None:
            return network
        options = {name: value for name, value in self.settings.items() if name != "from"}
        started: Network = self._loader(network, self.source, optional=self._optional, **options)
        return started


def _loader(catalogue: Catalogue) -> Any:
    for plugin in catalogue.plugins:
        target = getattr(sys.modules.get(plugin.module), "RL_WEIGHTS", "")
        if target:
            module, _, name = target.partition(":")
            return getattr(import_module(module), name)
    raise RequestError("network.from was set, but no installed package loads weights", "install one that does, such as dl-nets")
