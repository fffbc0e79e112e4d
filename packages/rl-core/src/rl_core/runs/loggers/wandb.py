"""Metrics of a run for Weights & Biases: `rl-core run ppo --logger wandb`."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.api import hookimpl
from rl_core.runs import files

if TYPE_CHECKING:
    from rl_core.api import RunView

ID_FILE = "wandb-id"
PROJECT = "rl-core"
_ID = re.compile(r"[0-9a-f]{16}")


class WandbLogger:
    """A logger that writes every metric against the agent's progress, into the folder `wandb` beside the run or in `WANDB_DIR`.

    W&B links its files, and a run's folder with links is not opened, so they cannot be in it. Nothing leaves the machine unless
    `WANDB_MODE=online` is set; `wandb sync wandb/offline-run-*` sends it later. `WANDB_PROJECT` names the project. The run's id is
    kept in the run's folder, so that a resumed run continues the same curves: a step that is taken again after a kill has the same
    values at the same progress.
    """

    def __init__(self) -> None:
        self._session: Any = None

    @hookimpl
    def rl_run_started(self, run: RunView) -> None:
        """Open the session, with the recipe as its config."""
        import wandb  # type: ignore[import-not-found, unused-ignore]

        online = os.environ.get("WANDB_MODE") == "online"
        self._session = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.folder.name,
            id=_id_of(run.folder),
            resume="allow" if online else None,
            dir=os.environ.get("WANDB_DIR", str(run.folder.parent)),
            mode="online" if online else "offline",
            config=run.recipe.to_dict(),
            settings=wandb.Settings(console="off", silent=True, x_disable_stats=True, disable_git=True, save_code=False),
        )
        self._session.define_metric("progress")
        self._session.define_metric("*", step_metric="progress")

    @hookimpl
    def rl_metrics(self, progress: int, metrics: Mapping[str, float]) -> None:
        """Write one point for each metric."""
        self._session.log({"progress": progress, **metrics})

    @hookimpl
    def rl_run_finished(self, result: Mapping[str, Any] | None, error: BaseException | None) -> None:
        """Write the score into the summary, and close the session."""
        if self._session is None:
            return
        if result and result.get("score") is not None:
            self._session.summary.update({f"score/{result['metric']}": result["score"], "seed": result["seed"]})
        self._session.finish(exit_code=0 if error is None else 1)
        self._session = None


def _id_of(folder: Path) -> str:
    """Return the id that W&B knows the run by, made at its first start."""
    with suppress(OSError):
        known = files.read(folder / ID_FILE).decode("ascii", errors="replace")
        if _ID.fullmatch(known):
            return known
    made = secrets.token_hex(8)
    files.replace(folder / ID_FILE, made.encode())
    return made
