"""Checks of what a step returned and of what is about to be saved: a run that diverged stops, with its last good checkpoint named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rl_core.api import RunView
from rl_core.errors import WorkError
from rl_core.runs import checkpoint, metrics_log

LARGEST_PARAMETER = 1e10  # of a network in single precision; beyond it a run has diverged, though its metrics may be finite


def require_progress(run: RunView, before: int) -> None:
    """Check that a step that began at `before` made progress.

    Raises:
        WorkError: if it did not: the run would never end.
    """
    if run.agent.progress <= before:
        raise WorkError(
            f"agent {run.spec.name} took a step at {before:,} {run.spec.unit} and made no progress: the run would never end", _fault(run)
        )


def require_metrics(run: RunView, metrics: Mapping[str, float]) -> None:
    """Check that the metrics of a step are finite numbers with free names.

    Raises:
        WorkError: if one is not.
    """
    if not isinstance(metrics, Mapping):
        returned = "None" if metrics is None else f"a {type(metrics).__name__}"
        raise WorkError(f"agent {run.spec.name} returned {returned} from step(); it must be a dict of metrics", _fault(run))
    for name, value in metrics.items():
        if name in metrics_log.RESERVED:
            raise WorkError(f"agent {run.spec.name} has a metric called {name!r}, which the run writes itself", _fault(run))
        try:
            finite = math.isfinite(value)
        except TypeError as error:
            message = f"{name} became {value!r} at {run.agent.progress:,} {run.spec.unit}, which is not a number"
            raise WorkError(message, _fault(run)) from error
        if not finite:
            raise _diverged(run, f"{name} became {value}")


def require_parameters(run: RunView) -> None:
    """Check that the trainable parameters are finite, and not so large that single precision cannot compute with them.

    Raises:
        WorkError: naming the first that is.
    """
    for name, value in run.agent.parameters().items():
        if value.dtype.kind != "f" or not value.size:
            continue
        largest = max(float(value.max()), -float(value.min()))  # NaN stays NaN
        if not math.isfinite(largest):
            raise _diverged(run, f"parameter {name} became {largest}")
        if value.dtype.itemsize <= 4 and largest >= LARGEST_PARAMETER:
            raise _diverged(run, f"parameter {name} grew to {largest:.3g}")


def state_of(run: RunView) -> Mapping[str, Any]:
    """Return the state of the agent, to be saved.

    Raises:
        WorkError: if `state_fields` names what the agent does not have, or what cannot be saved.
    """
    try:
        return run.agent.state_dict()
    except (AttributeError, TypeError) as error:
        raise WorkError(f"the state of agent {run.spec.name} cannot be saved: {error}", _fault(run)) from error


def _diverged(run: RunView, what: str) -> WorkError:
    kept = checkpoint.names(run.folder / "checkpoints")
    last = f"the last good checkpoint is {kept[-1]}" if kept else "the run has no earlier checkpoint"
    return WorkError(
        f"{what} at {run.agent.progress:,} {run.spec.unit}; {last}",
        f"a smaller learning_rate is the usual remedy, or a smaller scale of inputs, targets or rewards; the metrics up to here are in "
        f"{run.folder / metrics_log.NAME}",
    )


def _fault(run: RunView) -> str:
    return f"this is a fault of the package {run.package}: report it to its authors"
