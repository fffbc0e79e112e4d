"""Runs that start from what another run learned: `rl-core run --from RUN`.

The recipe names the checkpoint that the run starts from, and the manifest its checksum. The first checkpoint of the new run is written
before its first step, so that from then on it needs its parent no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.errors import RequestError
from rl_core.runs import checkpoint, manifest, recipe

if TYPE_CHECKING:
    from rl_core.agent import Agent

FOLDERS = ("checkpoints", "best")


def checkpoint_of(path: Path) -> Path:
    """Return the checkpoint that a path names: a checkpoint's own folder, or the newest one of a run's folder.

    Raises:
        RequestError: if there is none.
    """
    path = path.expanduser().resolve()
    if path.name.isdecimal() and path.parent.name in FOLDERS and path.is_dir():
        return path
    recipe.path_in(path)
    known = checkpoint.names(path / "checkpoints")
    if not known:
        raise RequestError(f"the run in {str(path)!r} has no checkpoint to start from", "let it learn first: rl-core resume")
    return path / "checkpoints" / str(known[-1])


def recipe_of(saved: Path, named: Mapping[str, Any]) -> recipe.RecipeFile:
    """Return the settings of the run that a checkpoint belongs to, without those of components that the call replaces.

    Args:
        saved: The checkpoint.
        named: The components that the call names, by kind; `None` for one that it does not name.
    """
    folder = saved.parent.parent
    file = recipe.read(recipe.path_in(folder))
    values = {key: value for key, value in file.values.items() if key != "from_run"}
    for kind, settings in (("agent", "config"), ("task", "task_config"), ("network", "network_config")):
        if named.get(kind) not in (None, values.get(kind)):
            values.pop(kind, None)
            values.pop(settings, None)
    return recipe.RecipeFile(file.name, values, file.folder, manifest.recipe_versions(folder))


def start(agent: Agent, settings: recipe.Recipe) -> None:
    """Let an agent take over what the recipe's `from_run` learned; nothing where it names none.

    Raises:
        RequestError: if the checkpoint is gone or damaged, or does not fit the agent.
    """
    if settings.from_run is None:
        return
    saved = Path(settings.from_run)
    if not saved.is_dir():
        raise RequestError(f"from_run is {settings.from_run!r}, which does not exist", "give --from a run's folder or a checkpoint of it")
    try:
        state = checkpoint.load(saved)
    except checkpoint.BadCheckpoint as error:
        raise RequestError(f"checkpoint {str(saved)!r} cannot be used: {error}", "start from another checkpoint") from error
    try:
        agent.start_from(agent.upgrade_state(state["agent"], state.get("version", "")))
    except NotImplementedError as error:
        raise RequestError(
            f"agent {settings.agent} cannot start from another run", "continue that run itself: rl-core resume RUN"
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise RequestError(
            f"agent {settings.agent} cannot start from {str(saved)!r}: {text}",
            "use the agent, the network and the spaces of that run",
        ) from error


def described(settings: recipe.Recipe) -> dict[str, Any] | None:
    """Return the parent as the manifest has it: its folder, the progress of the checkpoint, and the checksum of that."""
    if settings.from_run is None:
        return None
    saved = Path(settings.from_run)
    try:
        digest = hashlib.sha256((saved / checkpoint.STATE).read_bytes()).hexdigest()
    except OSError:
        return None
    return {"run": str(saved.parent.parent), "progress": int(saved.name), "sha256": digest}
