"""The name of a run's folder, the checkpoint at which it is opened, and the error of a full disk."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from rl_core.api import RunView
from rl_core.errors import RequestError, WorkError
from rl_core.runs import checkpoint, recipe


def newest_checkpoint(folder: Path, *, best: bool = False) -> tuple[int, dict[str, Any], list[str]] | None:
    """Return what `checkpoint.newest` does; `None` if the run has no checkpoint.

    Args:
        folder: The run's folder.
        best: Whether to return the checkpoint of the best evaluation in place of the newest.

    Raises:
        RequestError: if the best one is asked for and the run kept none.
        WorkError: if there are checkpoints and none is whole.
    """
    checkpoints = folder / ("best" if best else "checkpoints")
    if best and not checkpoint.names(checkpoints):
        raise RequestError(f"{str(folder)!r} kept no best checkpoint", "leave out --best, or learn with --evaluate-every N")
    if not checkpoint.names(checkpoints):
        return None
    try:
        return checkpoint.newest(checkpoints)
    except checkpoint.BadCheckpoint as error:
        message = f"no checkpoint of {str(folder)!r} can be used: {error}"
        raise WorkError(message, f"start again with: {command_again(folder)}") from error


def command_again(folder: Path) -> str:
    """Return the command that starts the run of this folder again, as a new one."""
    return f"rl-core run --recipe {shlex.quote(str(recipe.path_in(folder)))}"


def folder_name(settings: recipe.Recipe) -> str:
    """Return the name of a run's folder by default: `ppo-CartPole-v1-seed0`."""
    names = [settings.agent, settings.task] + ([settings.network] if settings.network not in (None, "mlp") else [])
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "-", name or "").strip("-.") for name in names)[:150] + f"-seed{settings.seed}"


def disk_error(run: RunView, name: str, error: OSError) -> WorkError:
    """Return the error for a file of a run that could not be written."""
    kept = checkpoint.names(run.folder / "checkpoints")
    begun = (run.folder / "manifest.json").is_file()  # else nothing is left of it
    again = f"then: rl-core resume {shlex.quote(str(run.folder))}" if begun else "then run the command again"
    return WorkError(
        f"{name} of {str(run.folder)!r} could not be written: {error.strerror or error}",
        f"free some space, {again}" + (f" (it continues from checkpoint {kept[-1]})" if kept else ""),
    )
