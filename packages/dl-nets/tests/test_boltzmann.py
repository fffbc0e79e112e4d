from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.classic.dbn import DBN, DBNConfig
from dl_nets.classic.rbm import RBM, RBMConfig, RBMModule
from dl_nets.learning.data import ArrayTask
from rl_core.seeds import Seeds

BINARY = spaces.Box(0, 1, (4,), np.float32)


def tiny() -> tuple[RBMModule, torch.Tensor]:
    """Return a machine of 4 visible and 3 hidden units with weights of a fair size, and all visible states [16, 4]."""
    rng = np.random.default_rng(0)
    machine = RBM(RBMConfig(hidden=3)).build(BINARY, BINARY, rng)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0.0, 0.7, tuple(parameter.shape))))
    return machine, torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))


def gradients(loss: torch.Tensor, machine: RBMModule) -> torch.Tensor:
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, list(machine.parameters()))])


def test_free_energies_sum_over_the_hidden_states() -> None:
    machine, states = tiny()
    hidden = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    energies = -(states @ machine.visible_bias)[:, None] - hidden @ machine.hidden_bias - states @ machine.weight.T @ hidden.T
    torch.testing.assert_close(machine.free_energy(states), -torch.logsumexp(-energies, dim=1))


def test_contrastive_divergence_of_many_steps_has_the_gradient_of_the_exact_likelihood() -> None:
    machine, states = tiny()
    data = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    log_partition = torch.logsumexp(-machine.free_energy(states), dim=0)
    exact = gradients(machine.free_energy(data).mean() + log_partition, machine)
    chains = data.repeat(10_000, 1)

    def estimate(steps: int) -> torch.Tensor:
        negative = machine.noise.bernoulli(machine.sampled(chains, steps))
        return gradients((machine.free_energy(chains) - machine.free_energy(negative)).mean(), machine)

    assert (estimate(30) - exact).abs().max() < 0.01
    assert (estimate(1) - exact).abs().max() > 0.02  # one step is biased, towards what the data is


def test_a_machine_refuses_to_answer_with_classes() -> None:
    with pytest.raises(ValueError, match="take a task reconstruct:<task>"):
        RBM(RBMConfig()).build(BINARY, spaces.Discrete(2), np.random.default_rng(0))


def stripes() -> ArrayTask:
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 2
    images = rng.random((120, 4, 4, 1), dtype=np.float32) * 0.3
    for image, label, place in zip(images, labels, rng.integers(4, size=120), strict=True):
        (image if label else image.transpose(1, 0, 2))[place] = 1.0
    box = spaces.Box(0, 1, (4, 4, 1), np.float32)
    parts = {"train": slice(0, 60), "validation": slice(60, 90), "test": slice(90, 120)}
    return ArrayTask(None, {name: (images[part], labels[part]) for name, part in parts.items()}, box, ("down", "across"))


def test_a_belief_network_learns_layer_by_layer_and_goes_on_exactly_in_each_of_them() -> None:
    task = stripes()
    config = DBNConfig(hidden=(12, 8), pretraining_epochs=20, pretraining_learning_rate=0.02, epochs=30, learning_rate=0.02, batch_size=20)
    budget = DBN.default_budget(config, task)
    assert budget == 2 * 20 * 60 + 30 * 90

    def built() -> DBN:
        return DBN(config, task, None, seeds=Seeds(0), budget=budget, device="cpu")

    agent, saved = built(), []
    while agent.progress < budget:
        agent.learner.__dict__["_examples_a_step"] = 400
        agent.step()
        saved.append((agent.progress, agent.state_dict()))
    final = agent.state_dict()
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["accuracy"] > 0.7
    errors = []
    for progress, state in (saved[10], saved[30], saved[50]):
        other = built()
        other.load_state_dict(state)
        other.progress = progress
        errors.append(len(other.layers))
        while other.progress < budget:
            other.learner.__dict__["_examples_a_step"] = 400
            other.step()
        module = other.state_dict()["learner"]["module"]
        assert all(np.array_equal(value, module[name]) for name, value in final["learner"]["module"].items())
    assert errors == [0, 1, 2]
