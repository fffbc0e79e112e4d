"""Evaluations of a run while it learns: their curve, the checkpoint of the best of them, and the end at the target.

A control task is evaluated in episodes of its own, always the same ones, which neither learning nor the final evaluation plays; a data
task on its validation split. No stream of the learning moves, so a run learns the same with evaluations and without them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from rl_core.envs import learning_goes_on
from rl_core.errors import RequestError
from rl_core.offline import TransitionTask
from rl_core.runs import checkpoint, opening
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Task

if TYPE_CHECKING:
    from rl_core.runs.run import Run

FOLDER = "best"
PREFIX = "evaluation_"


class Evaluations:
    """The evaluations of one run, at each multiple of `evaluate_every` and at the end of the budget.

    Args:
        run: The run.

    Attributes:
        best: Progress and score of the best evaluation so far; `None` before the first.
        is_better: Whether the newest evaluation is the best so far, and its checkpoint has yet to be kept.

    Raises:
        RequestError: if the run cannot be evaluated while it learns, or is to stop at a target that the task does not have.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._every = run.recipe.evaluate_every
        self.best: tuple[int, float] | None = None
        self.is_better = False
        self._missed: Path | None = None
        task = run.agent.task
        if run.recipe.stop_at_target and task.target is None:
            raise RequestError(f"task {run.recipe.task} has no target to stop at", "leave out --stop-at-target")
        if run.recipe.stop_at_target and self._every is None:
            raise RequestError("the target is looked for in evaluations while learning", "give --evaluate-every as well")
        if self._every is not None and _has_splits(task) and not task.num_examples("validation"):
            raise RequestError(
                f"task {run.recipe.task} has no validation split to evaluate on while learning",
                "leave out --evaluate-every, or set aside some examples where the task has a setting for that",
            )

    def due(self, before: int) -> bool:
        """Return whether the run is to be evaluated after a step that began at the progress `before`."""
        if self._every is None:
            return False
        agent = self._run.agent
        return agent.progress // self._every > before // self._every or agent.finished or agent.progress >= self._run.budget

    def evaluate(self) -> dict[str, float]:
        """Return the numbers of an evaluation by the names of metrics, and take note of a new best.

        The agent is finished where the run stops at the target and the score reaches it.
        """
        run, task = self._run, self._run.agent.task
        if _has_splits(task):
            numbers = task.evaluate_split(run.agent.predictor(), "validation")
        else:
            with learning_goes_on():
                numbers = run.agent.evaluate(
                    episodes=run.recipe.evaluate_episodes, seeds=Seeds(run.recipe.seed, ("evaluation while learning",))
                )
        score = numbers[task.metric]
        if math.isfinite(score):
            self.is_better = self.best is None or (score > self.best[1] if task.higher_is_better else score < self.best[1])
            if self.is_better:
                self.best = run.agent.progress, float(score)
            if run.recipe.stop_at_target and task.reached(score):
                run.agent.finished = True
        return {name_of(name): float(value) for name, value in numbers.items() if math.isfinite(value) and name != "episodes"}

    def keep(self, saved: Path) -> None:
        """Keep the checkpoint `saved` as the best one, in place of the one before.

        Raises:
            WorkError: if it cannot be written.
        """
        self.is_better = False
        try:
            checkpoint.keep(saved, self._run.folder / FOLDER)
        except OSError as error:
            raise opening.disk_error(self._run, f"the best checkpoint {saved.name}", error) from error

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has of the evaluations; empty for a run without any."""
        return {} if self.best is None else {"best": {"progress": self.best[0], "score": self.best[1]}}

    def restore(self, state: Mapping[str, Any], saved: Path) -> None:
        """Restore what the checkpoint `saved` has of the evaluations."""
        best = state.get("best")
        if best is None:
            return
        self.best = int(best["progress"]), float(best["score"])
        if saved.name == str(self.best[0]) and not (self._run.folder / FOLDER / saved.name).exists():
            self._missed = saved

    def keep_missed(self) -> None:
        """Keep the best checkpoint where the process ended after that was written and before it was kept."""
        if self._missed is not None:
            self.keep(self._missed)

    def best_document(self) -> dict[str, Any] | None:
        """Return the best evaluation as `result.json` has it; `None` where there was none."""
        if self.best is None:
            return None
        return {"progress": self.best[0], "score": self.best[1], "checkpoint": f"{FOLDER}/{self.best[0]}"}


def _has_splits(task: Task) -> TypeGuard[DataTask]:
    """Return whether answers to a split judge the agent; of recorded transitions an environment does."""
    return isinstance(task, DataTask) and not isinstance(task, TransitionTask)


def name_of(name: str) -> str:
    """Return the name that a number of an evaluation has among the metrics of a run.

    >>> name_of("mean return")
    'evaluation_mean_return'
    """
    return PREFIX + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
