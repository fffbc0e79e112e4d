from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from sklearn.linear_model import Perceptron as Oracle  # type: ignore[import-untyped]

from dl_nets.classic.perceptron import Perceptron, PerceptronConfig, averaged, rosenblatt
from dl_nets.learning.data import ArrayTask
from rl_core.seeds import Seeds

PLANE = spaces.Box(-np.inf, np.inf, (2,), np.float32)


def task_of(points: np.ndarray, labels: np.ndarray) -> ArrayTask:
    examples = points.astype(np.float32), labels.astype(np.int64)
    names = tuple("abc"[: labels.max() + 1])
    return ArrayTask(None, {"train": examples, "validation": examples, "test": examples}, PLANE, names)


def learned(task: ArrayTask, epochs: int = 100, **config: object) -> Perceptron:
    agent = Perceptron(PerceptronConfig(**config), task, None, seeds=Seeds(0), budget=epochs * task.num_examples("train"))  # type: ignore[arg-type]
    while agent.progress < agent.budget and not agent.finished:
        agent.step()
    return agent


def test_it_separates_what_can_be_separated_within_the_bound_on_mistakes() -> None:
    rng = np.random.default_rng(0)
    normal = np.array([0.6, -0.8])
    points = rng.uniform(-1.0, 1.0, (400, 2))
    points = points[np.abs(points @ normal - 0.1) > 0.05]
    task = task_of(points, (points @ normal > 0.1).astype(np.int64))
    agent = learned(task)
    margin = 0.05 / np.sqrt(1.0 + 0.1**2)  # of the plane (normal, -0.1) in the space with the threshold's 1
    assert agent.finished
    assert (agent.predict(task.read("train", np.arange(5))[0]) == task.read("train", np.arange(5))[1]).all()
    assert task.evaluate(agent.predict, episodes=1, seeds=Seeds(0))["accuracy"] == 1.0
    assert 0 < agent.mistakes.sum() <= (agent.radius / margin) ** 2
    assert agent.verdict() == ""


def test_weights_that_return_prove_that_exclusive_or_is_not_separable() -> None:
    task = task_of(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0]))
    agent = learned(task, shuffle=False)
    assert agent.finished
    assert agent.verdict().startswith("the training split is not separable: after")
    agent.evaluate(episodes=1, seeds=Seeds(0))
    assert agent.warnings == [agent.verdict()]


def test_mistakes_without_end_bound_the_margin() -> None:
    rng = np.random.default_rng(1)
    points, labels = rng.normal(0.0, 1.0, (60, 2)), np.arange(60) % 2
    agent = learned(task_of(points, labels), epochs=20)
    bound = agent.radius / np.sqrt(agent.mistakes.max())
    assert f"margin is at most {bound:.3g}" in agent.verdict()


@pytest.mark.parametrize("num_classes", [2, 3])
def test_weights_are_those_of_scikit_learn(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    labels = np.arange(90) % num_classes
    points = np.array([[0, 0], [2, 0], [0, 2]])[labels] + rng.normal(0.0, 0.7, (90, 2))
    agent = learned(task_of(points, labels), epochs=7, shuffle=False)
    oracle = Oracle(shuffle=False, tol=None, max_iter=7).fit(points.astype(np.float32).astype(np.float64), labels)
    np.testing.assert_allclose(agent.weights, np.c_[oracle.coef_, oracle.intercept_], rtol=1e-9, atol=1e-9)


def test_the_averaged_weights_are_the_mean_over_examples() -> None:
    rng = np.random.default_rng(2)
    rows, signs = rng.normal(0.0, 1.0, (30, 3)), rng.choice(np.array([-1, 1], np.int8), (30, 1))
    weights, lagged, mistakes = np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1, np.int64)
    total = np.zeros((1, 3))
    for example in range(30):
        rosenblatt(rows[example : example + 1], signs[example : example + 1], weights, lagged, 1.0, example, mistakes)
        total += weights
    assert mistakes[0] > 3
    np.testing.assert_allclose(averaged(weights, lagged, 30), total / 30, rtol=1e-9)
