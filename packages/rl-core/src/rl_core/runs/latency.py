"""The time that one decision takes, as it would be taken in use: one observation at a time."""

from __future__ import annotations

import time

import numpy as np

from rl_core.errors import RequestError
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict, PredictWithMemory, Task

WARM_UP = 20  # decisions that compile, load and fill caches


def decision_times(task: Task, predict: Predict, *, seeds: Seeds, decisions: int = 500) -> dict[str, float]:
    """Return the median and the 99th percentile of the milliseconds that one decision takes, along episodes of one environment.

    Args:
        task: A control task.
        predict: What decides.
        seeds: Of the episodes.
        decisions: How many are timed, after some that are not.

    Raises:
        RequestError: if the task is not a control task.
    """
    if not isinstance(task, ControlTask):
        raise RequestError("the latency of decisions is that of a control task, and this run learned another kind", "leave out --latency")
    envs = task.envs(1, seeds.apart("latency"))
    obs, times = envs.reset(), []
    memory = predict if isinstance(predict, PredictWithMemory) else None
    if memory is not None:
        memory.begin(np.ones(1, dtype=np.bool_))
    for _ in range(WARM_UP + decisions):
        began = time.perf_counter()
        actions = predict(obs)
        times.append(time.perf_counter() - began)
        transition = envs.step(actions)
        obs = transition.obs
        if memory is not None:
            memory.begin(transition.terminated | transition.truncated)
    envs.close()
    middle, high = np.percentile(np.array(times[WARM_UP:]) * 1e3, (50, 99))
    return {"decision ms p50": float(middle), "decision ms p99": float(high)}
