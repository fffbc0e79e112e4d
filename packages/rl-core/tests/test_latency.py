"""The time of one decision: measured one observation at a time, and refused where there are no decisions."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rl_core.errors import RequestError
from rl_core.gym_task import GymTask
from rl_core.runs.latency import decision_times
from rl_core.seeds import Seeds


def test_the_median_is_what_most_decisions_take_and_the_99th_percentile_what_few_do():
    asked = []

    def sometimes_slow(obs: np.ndarray) -> np.ndarray:
        asked.append(len(obs))
        if len(asked) % 20 == 0:
            time.sleep(0.01)
        return np.zeros(len(obs), dtype=np.int64)

    times = decision_times(GymTask(GymTask.Config(id="CartPole-v1")), sometimes_slow, seeds=Seeds(0), decisions=100)
    assert set(asked) == {1}
    assert times["decision ms p50"] < 8 < times["decision ms p99"]


def test_a_task_without_decisions_is_refused():
    with pytest.raises(RequestError, match="that of a control task"):
        decision_times(object(), None, seeds=Seeds(0))
