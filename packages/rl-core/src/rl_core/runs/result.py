"""The result of a run: the document that every command prints, and the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rl_core.runs import files, metrics_log

if TYPE_CHECKING:
    from rl_core.runs.run import Run


def summary(run: Run, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return the JSON document of a run with the numbers of an evaluation; a number that is not finite is null."""
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    score = finite[run.task.metric]
    return {
        "run": str(run.folder),
        "agent": run.recipe.agent,
        "task": run.task_name,
        "network": run.recipe.network,
        "seed": run.recipe.seed,
        "progress": run.agent.progress,
        "unit": run.spec.unit,
        "seconds": round(run.seconds, 3),
        "score": score,
        "metric": run.task.metric,
        "headline": run.agent.headline,
        "metrics": finite,
        "target": run.task.target,
        "higher_is_better": run.task.higher_is_better,
        "reached": None if score is None else run.task.reached(score),
        "best": run.evaluations.best_document(),
    }


def text(run: Run, document: Mapping[str, Any]) -> str:
    """Return the content of `result.json`: the document, and the returns of the evaluation's episodes, where the score is their mean."""
    returns = getattr(run.task, "returns", ())  # none of a task of data
    score, count = document["score"], document["metrics"].get("episodes")
    if score is not None and len(returns) == count and math.isclose(sum(returns) / len(returns), score, rel_tol=1e-6, abs_tol=1e-9):
        document = {**document, "returns": list(returns)}
    return json.dumps(document, indent=1) + "\n"


def draw(run: Run, score: float | None = None) -> None:
    """Draw the figures, with the score of the trained agent; one that cannot be drawn is a warning, since the run itself is complete."""
    figures = run.folder / "figures"
    try:
        files.make_folder(figures)
        from rl_core import figure

        figure.learning_curve(
            metrics_log.read(run.folder, metrics_log.ENOUGH_TO_DRAW),
            figures / "learning-curve.png",
            title=f"{run.recipe.agent} on {run.recipe.task}, seed {run.recipe.seed}",
            unit=run.spec.unit,
            headline=run.agent.headline,
            metric=run.task.metric,
            target=run.task.target,
            score=score,
        )
        run.agent.draw(figures)
    except (OSError, ImportError, ValueError) as error:
        run.warnings.append(f"figures could not be drawn: {error}")
