from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from sklearn.cluster import KMeans  # type: ignore[import-untyped]

from dl_nets.classic.rbf import RBFConfig, RBFNetwork
from dl_nets.learning.data import ArrayTask
from rl_core.seeds import Seeds


def curve(count: int = 60) -> ArrayTask:
    points = np.linspace(-2.0, 2.0, count, dtype=np.float32)[:, None]
    examples = points, (100.0 + 10.0 * np.sin(2.0 * points)).astype(np.float32)
    return ArrayTask(None, dict.fromkeys(("train", "validation", "test"), examples), spaces.Box(-np.inf, np.inf, (1,), np.float32), ())


def learned(task: ArrayTask, **config: object) -> RBFNetwork:
    settings = RBFConfig(**config)  # type: ignore[arg-type]
    agent = RBFNetwork(settings, task, None, seeds=Seeds(0), budget=RBFNetwork.default_budget(settings, task) or 1)
    while agent.progress < agent.budget and not agent.finished:
        agent.step()
    return agent


def test_as_many_centres_as_examples_interpolate_them_in_their_own_unit() -> None:
    task = curve(12)
    agent = learned(task, centres=12, iterations=1, ridge=0.0, width=0.5)
    inputs, targets = task.read("train", np.arange(12))
    np.testing.assert_allclose(agent.predict(inputs), targets, atol=0.02)


def test_centres_are_those_of_k_means_from_the_same_start() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(90, 3)).astype(np.float32)
    examples = points, np.arange(90) % 2
    box = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    task = ArrayTask(None, dict.fromkeys(("train", "validation", "test"), examples), box, ("a", "b"))
    start = RBFNetwork(RBFConfig(centres=5), task, None, seeds=Seeds(0), budget=2000)._module.centres.detach().numpy().copy()
    agent = learned(task, centres=5, iterations=40)
    oracle = KMeans(5, init=start, n_init=1, max_iter=40, tol=0.0).fit(points)
    np.testing.assert_allclose(agent._module.centres.detach().numpy(), oracle.cluster_centers_, atol=1e-4)


def test_gradients_go_on_where_the_least_squares_ended_and_a_run_continues_in_any_phase() -> None:
    task, settings = curve(), RBFConfig(centres=6, iterations=3, tuning="all", tuning_epochs=4, batch_size=20, learning_rate=0.01)
    budget = RBFNetwork.default_budget(settings, task)
    assert budget is not None
    for cut in (1, 3, 4, 6):
        agent, other = (RBFNetwork(settings, task, None, seeds=Seeds(0), budget=budget) for _ in range(2))
        for learner in (agent, other):
            learner.tuner.__dict__["_examples_a_step"] = 40
        for _ in range(cut):
            agent.step()
        other.load_state_dict(agent.state_dict())
        other.progress = agent.progress
        while agent.progress < budget:
            assert agent.step() == other.step()
        assert np.array_equal(agent._module.centres.detach(), other._module.centres.detach())
    solved = task.score(
        learned(task, centres=6, iterations=3).predict(task.read("test", np.arange(60))[0]), task.read("test", np.arange(60))[1]
    )
    tuned = task.score(agent.predict(task.read("test", np.arange(60))[0]), task.read("test", np.arange(60))[1])
    assert tuned["r2"] >= solved["r2"] > 0.9


def test_more_centres_than_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="centres is 100, and there are 60 training examples"):
        RBFNetwork(RBFConfig(), curve(), None, seeds=Seeds(0), budget=10)
