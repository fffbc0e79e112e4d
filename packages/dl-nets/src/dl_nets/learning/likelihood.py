"""Answers together with the likelihood of the targets, for tasks that judge by likelihood (`rl_core.task.DataTask.by_likelihood`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from dl_nets.learning.losses import ClassTargets, TargetRule
from rl_core import batches
from rl_core.batches import Batch


def judged(rule: TargetRule, outputs: Any, targets: Any) -> Batch:
    """Return what a judge is given: "answers" and "log_likelihood", or the answers alone where outputs are not probabilities.

    Args:
        rule: From outputs to answers.
        outputs: Of a module [B, ...].
        targets: Tensors [B, ...].
    """
    answers = rule.answers(outputs)
    if not isinstance(rule, ClassTargets):
        return answers
    return {"answers": answers, "log_likelihood": rule.log_likelihood(outputs, targets).cpu().numpy()}


class WithLikelihood:
    """A predictor that also says how likely the module held each target; see `rl_core.task.PredictLikelihood`.

    Args:
        outputs: Function from inputs [B, ...] to the outputs of the module, part by part.
        rule: From outputs to answers.
    """

    def __init__(self, outputs: Callable[[Any], Iterable[Any]], rule: ClassTargets) -> None:
        self._outputs, self._rule = outputs, rule

    def __call__(self, inputs: Any, /) -> Any:
        """Return the answers [B, ...] to inputs [B, ...]."""
        return batches.concatenate([self._rule.answers(outputs) for outputs in self._outputs(inputs)])

    def with_likelihood(self, inputs: Any, targets: np.ndarray, /) -> dict[str, Any]:
        """Return answers, and ln of the probability of each target [B, ...]."""
        parts, first = [], 0
        for outputs in self._outputs(inputs):
            part = torch.as_tensor(targets[first : first + len(outputs)], device=outputs.device)
            parts.append(judged(self._rule, outputs, part))
            first += len(part)
        return dict(batches.concatenate(parts))
