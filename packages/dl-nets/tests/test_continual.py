"""Continual learning: stages of permuted images, springs that hold weights, and what is forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.continual.consolidation import Springs, fisher_diagonal
from dl_nets.continual.learner import Continual
from dl_nets.continual.permuted import Permuted, PermutedConfig
from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds


def built(**config: Any) -> Continual:
    resolved = recipe.resolve(Catalogue.discover(), agent="continual", config=config)
    agent = resolved.build_agent(Seeds(0))
    assert isinstance(agent, Continual)
    return agent


@pytest.fixture(scope="module")
def task() -> Permuted:
    return Permuted(PermutedConfig(task="digits", stages=3))


def test_a_stage_shows_the_same_images_in_an_order_of_its_own(task: Permuted) -> None:
    count = task.source.num_examples("train")
    indices = np.arange(20)
    first, second, third = (task.read("train", stage * count + indices) for stage in range(3))
    assert np.array_equal(first[0], task.source.read("train", indices)[0])
    for images, labels in (second, third):
        assert np.array_equal(labels, first[1])
        assert np.array_equal(np.sort(images.reshape(20, -1)), np.sort(first[0].reshape(20, -1)))
        assert not np.array_equal(images, first[0])
    test = task.read("test", task.source.num_examples("test") + np.arange(1))[0]  # the order belongs to the stage, not to the split
    order = task._orders[1]
    assert np.array_equal(test.ravel(), task.source.read("test", np.arange(1))[0].ravel()[order])


def test_the_fisher_information_is_that_of_the_softmax() -> None:
    rng, layer = np.random.default_rng(0), nn.Linear(2, 3, bias=False)
    inputs = torch.from_numpy(rng.standard_normal((4_000, 2)).astype(np.float32))
    found = fisher_diagonal(layer, inputs, rng).reshape(3, 2)
    chance = layer(inputs).softmax(dim=1)
    exact = ((chance * (1.0 - chance))[:, :, None] * inputs[:, None] ** 2).mean(dim=0)
    assert torch.allclose(found, exact.detach(), rtol=0.15)


def test_springs_add_up_to_the_penalties_of_all_stages() -> None:
    rng = np.random.default_rng(0)
    stages = [torch.from_numpy(rng.random((2, 5)).astype(np.float32)) for _ in range(3)]
    springs, here = Springs(5), torch.ones(5)
    for fisher, parameters in stages:
        springs.add(fisher, parameters)
    assert torch.allclose(springs.gradient(here), sum((fisher * (here - parameters) for fisher, parameters in stages), torch.zeros(5)))


def test_springs_without_limit_leave_the_weights_where_the_first_stage_left_them() -> None:
    agent = built(spring_weight=1e9, epochs=1)
    while agent.learned < 1:
        agent.step()
    agent.springs.add(torch.ones_like(agent.springs.stiffness), agent.optimiser.flat.vector.detach())  # none is quite loose
    before = agent.optimiser.flat.vector.clone()
    agent.step()
    assert agent.progress > agent.budget // 5
    assert torch.allclose(agent.optimiser.flat.vector, before, atol=1e-4)


def test_replay_fills_half_of_a_batch_from_earlier_stages() -> None:
    agent = built(method="replay", epochs=1)
    while agent.learned < 2:
        agent.step()
    stages = agent.task.stage_of("train", agent.batch(2))
    assert (stages[:32] == 2).all()
    assert set(stages[32:]) == {0, 1}
    assert set(agent.batch(2)[32:]) <= set(agent.kept[:2].ravel())


def test_a_task_without_stages_and_one_without_a_class_are_refused() -> None:
    with pytest.raises(RequestError, match="digits"):
        recipe.resolve(Catalogue.discover(), agent="continual", task="digits")
    with pytest.raises(ValueError, match="expected one class of each example"):
        Permuted(PermutedConfig(task="diabetes"))


@pytest.mark.learning
def test_replay_and_springs_forget_less_than_fine_tuning() -> None:
    forgotten = {}
    for method in ("fine-tuning", "ewc", "replay"):
        agent = built(method=method)
        while not agent.finished:
            agent.step()
        forgotten[method] = agent.evaluate(episodes=1, seeds=Seeds(1))["forgetting"]
    assert forgotten["ewc"] < forgotten["fine-tuning"] - 0.1
    assert forgotten["replay"] < forgotten["fine-tuning"] - 0.2


def test_a_network_with_dropout_answers_without_it(task: Permuted) -> None:
    settings = {"agent": "continual", "config": {"epochs": 1}, "network_config": {"dropout": 0.5}}
    agent = recipe.resolve(Catalogue.discover(), **settings).build_agent(Seeds(0))
    inputs = task.read("test", np.arange(50))[0]
    while agent.progress < 2_000:
        agent.step()  # the first stage's Fisher information is computed on the way
    assert np.array_equal(agent.predict(inputs), agent.predict(inputs))
