from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.seeds import Seeds


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def global_generators_stay() -> Iterator[None]:
    """Fails the test that read or seeded torch's or NumPy's own generator."""
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()
    yield
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before[1])


@pytest.fixture
def three_classes() -> ArrayTask:
    """Ninety points around three corners of a square, which a line separates from one another."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    points = (np.array([[0, 0], [3, 0], [0, 3]])[labels] + rng.normal(0.0, 0.4, (90, 2))).astype(np.float32)
    splits = {name: (points[part], labels[part]) for name, part in _parts().items()}
    return ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (2,), np.float32), ("a", "b", "c"))


@pytest.fixture
def plane() -> ArrayTask:
    """Ninety points and two linear functions of each, far from 0 and of unlike scales."""
    rng = np.random.default_rng(1)
    points = rng.normal(0.0, 1.0, (90, 3)).astype(np.float32)
    numbers = (points @ np.array([[1.0, 50.0], [2.0, 0.0], [0.0, -20.0]]) + np.array([100.0, -3000.0])).astype(np.float32)
    splits = {name: (points[part], numbers[part]) for name, part in _parts().items()}
    return ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (3,), np.float32), ())


def _parts() -> dict[str, slice]:
    return {"train": slice(0, 60), "validation": slice(60, 75), "test": slice(75, 90)}


@pytest.fixture
def learner() -> Callable[..., Supervised]:
    """Build a supervised agent with a small perceptron and a budget in epochs; keyword arguments are fields of its config."""

    def build(task: ArrayTask, *, seed: int = 0, budget: int = 10, network: MLPConfig | None = None, **config: object) -> Supervised:
        mlp = MLP(network or MLPConfig(hidden=(16,)))
        settings = SupervisedConfig(**{"batch_size": 16, "learning_rate": 1e-2, **config})
        examples = budget * (task.num_examples("train") + task.num_examples("validation"))
        return Supervised(settings, task, mlp, seeds=Seeds(seed), budget=examples, device="cpu")

    return build
