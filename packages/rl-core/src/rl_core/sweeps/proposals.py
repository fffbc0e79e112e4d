"""Proposals of a tuning: what Optuna's samplers propose next, and how much each setting matters.

The study is built anew for each batch, from the trials of the batches before it in order of their number, with a sampler that is seeded by
(seed, batch). A tuning that was killed, or had other workers, therefore proposes bit for bit the same.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from rl_core.errors import RequestError
from rl_core.sweeps.space import Dimension

SAMPLERS = ("tpe", "random", "grid")
POINTS = 4  # of a range, in a grid


@dataclass(frozen=True)
class Trial:
    """A combination of settings and what it was worth, a line of `trials.jsonl`.

    Attributes:
        number: Its number.
        batch: Number of its batch.
        set: The settings, by key, as `--set` takes them.
        point: The settings as the sampler proposed them.
        seeds: The seeds it was learned with.
        scores: The score of each seed at its last rung; null for one that failed.
        value: Mean of the scores; of a trial with a failed seed the worst value until then.
        rung: Number of the last rung that it reached.
        state: "done", "cut" at a rung before the last, or "failed".
    """

    number: int
    batch: int
    set: Mapping[str, str]
    point: Mapping[str, Any]
    seeds: list[int] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    value: float | None = None
    rung: int = 0
    state: str = "done"


def propose(
    space: Sequence[Dimension], trials: Sequence[Trial], count: int, *, sampler: str, seed: int, batch: int, higher_is_better: bool
) -> list[dict[str, Any]]:
    """Return the next points of a search, each by the keys of the space.

    Args:
        space: What is searched.
        trials: The trials of all batches before, in order.
        count: Number of points at most; a grid may have fewer left.
        sampler: "tpe", "random" or "grid".
        seed: Seed of the tuning.
        batch: Number of the batch.
        higher_is_better: Whether larger values are better.

    Raises:
        RequestError: if Optuna is not installed, or the sampler is unknown.
    """
    if sampler == "grid":
        points = [dict(zip([each.key for each in space], values, strict=True)) for values in itertools.product(*map(_points, space))]
        return points[len(trials) : len(trials) + count]
    optuna = load_optuna()
    stream = int(np.random.SeedSequence([seed, batch]).generate_state(1)[0])
    if sampler == "tpe":
        made = optuna.samplers.TPESampler(seed=stream, multivariate=True, constant_liar=True)
    elif sampler == "random":
        made = optuna.samplers.RandomSampler(seed=stream)
    else:
        raise RequestError(f"no sampler is named {sampler!r}", f"its samplers are: {', '.join(SAMPLERS)}")
    study = _study(optuna, space, trials, made, higher_is_better)
    distributions = {each.key: _distribution(optuna, each) for each in space}
    return [dict(study.ask(fixed_distributions=distributions).params) for _ in range(count)]


def importance(space: Sequence[Dimension], trials: Sequence[Trial], *, higher_is_better: bool) -> dict[str, float]:
    """Return the share of each setting in what makes trials good, the largest first; empty for fewer than four finished trials.

    Source: Watanabe, Bansal and Hutter. PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces, 2023.
    """
    done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    optuna = load_optuna()
    study = _study(optuna, space, done, None, higher_is_better)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Mapping[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return dict(found)


def _study(optuna: Any, space: Sequence[Dimension], trials: Sequence[Trial], sampler: Any, higher_is_better: bool) -> Any:
    study = optuna.create_study(direction="maximize" if higher_is_better else "minimize", sampler=sampler)
    distributions = {each.key: _distribution(optuna, each) for each in space}
    for trial in trials:
        given: dict[str, Any] = {"params": dict(trial.point), "distributions": distributions}
        if trial.value is None:
            given["state"] = optuna.trial.TrialState.FAIL
        elif trial.state == "cut":
            given |= {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": {trial.rung: trial.value}}
        else:
            given["value"] = trial.value
        study.add_trial(optuna.trial.create_trial(**given))
    return study


def _distribution(optuna: Any, each: Dimension) -> Any:
    if each.choices:
        return optuna.distributions.CategoricalDistribution(each.choices)
    if each.whole:
        return optuna.distributions.IntDistribution(int(each.low), int(each.high), log=each.log)
    return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)


def _points(each: Dimension) -> list[Any]:
    """Return the points of a dimension in a grid."""
    if each.choices:
        return list(each.choices)
    low, high = (float(np.log(each.low)), float(np.log(each.high))) if each.log else (each.low, each.high)
    points = np.linspace(low, high, POINTS)
    values = np.exp(points) if each.log else points
    return list(dict.fromkeys(round(value) for value in values)) if each.whole else [float(value) for value in values]


def load_optuna() -> Any:
    """Return the module optuna.

    Raises:
        RequestError: if it is not installed.
    """
    try:
        optuna = import_module("optuna")
    except ImportError as error:
        raise RequestError(
            "a tuning needs optuna, which is not installed", 'pip install "rl-core[tune]"; --sampler grid does without'
        ) from error
    logging.getLogger("optuna").setLevel(logging.WARNING)
    return optuna
