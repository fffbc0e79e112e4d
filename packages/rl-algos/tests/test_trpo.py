"""TRPO and NPG: conjugate gradient, products with the Fisher matrix, the KL divergence, and what the line search lets pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy import trpo
from rl_algos.on_policy.loop import ActorCritic
from rl_algos.on_policy.trpo import TRPO, TRPOConfig, conjugate_gradient, divergence, fisher_product, largest_step, snapshot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

TASKS = {"CartPole": CartPole, "Pendulum": Pendulum}


def make_agent(task="CartPole", hidden=(4,), budget=10**6, fast=True, **settings):
    config = TRPOConfig(**({"num_envs": 4, "rollout_steps": 64, "policy_gain": 1.0} | settings))
    task = TASKS[task](ArrayTaskConfig(time_limit=200))
    return TRPO(config, task, MLP(MLPConfig(hidden=hidden, fast=fast)), seeds=Seeds(0), budget=budget, device="cpu")


def explicit_fisher(learner, inputs):
    """E[grad ln pi grad ln pi^T] [P, P]: over all actions for a categorical, and as the Hessian of KL for a Gaussian."""
    old = snapshot(learner, inputs)
    parameters = [parameter for parameter in learner.policy_flat.parameters if parameter.numel()]

    def distance(*values):
        names = [name for name, _ in learner.actor.named_parameters()]
        log_std = values[0] if len(values) > len(names) else learner.log_std
        values = values[-len(names) :]
        head = torch.func.functional_call(learner.actor, dict(zip(names, values, strict=True)), (torch.from_numpy(inputs),))
        return learner.actions.kl(*old, head, log_std).mean()

    blocks = torch.autograd.functional.hessian(distance, tuple(parameter.detach() for parameter in parameters))
    sizes = [parameter.numel() for parameter in parameters]
    return np.block([[blocks[i][j].reshape(sizes[i], sizes[j]).numpy() for j in range(len(sizes))] for i in range(len(sizes))])


def score_products(learner, inputs):
    """E[grad ln pi grad ln pi^T] [P, P] of a categorical, action by action."""
    matrix = 0.0
    for row in inputs:
        head = learner.actor(torch.from_numpy(row[None]))
        for log_prob in head.log_softmax(dim=1)[0]:
            score = torch.cat([g.flatten() for g in torch.autograd.grad(log_prob, list(learner.actor.parameters()), retain_graph=True)])
            matrix = matrix + (log_prob.exp() * torch.outer(score, score)).detach().numpy() / len(inputs)
    return matrix


@pytest.mark.parametrize("size", [1, 5, 20])
def test_conjugate_gradient_solves_as_numpy_does(size):
    rng = np.random.default_rng(size)
    root = rng.standard_normal((size, size))
    matrix, target = root @ root.T + np.eye(size), rng.standard_normal(size)
    solution = conjugate_gradient(lambda v: matrix @ v, target, 5 * size)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, target), rtol=1e-4, atol=1e-5)


def test_a_step_of_conjugate_gradient_is_steepest_descent():
    matrix, target = np.diag([1.0, 4.0]), np.array([1.0, 2.0])
    assert conjugate_gradient(lambda v: matrix @ v, target, 1) == pytest.approx(target * 5 / 17)  # b.b / b.Ab


def test_nothing_is_solved_for_a_target_of_zero():
    assert conjugate_gradient(lambda v: v, np.zeros(3), 10).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_a_fisher_product_is_that_of_the_explicit_matrix(task, fast):
    plain, rng = make_agent(task, fast=False), np.random.default_rng(0)
    learner = make_agent(task, fast=fast).actor_critic
    inputs = rng.standard_normal((9, *plain.task.input_space.shape), dtype=np.float32)
    fisher = explicit_fisher(plain.actor_critic, inputs)
    if task == "CartPole":
        np.testing.assert_allclose(fisher, score_products(plain.actor_critic, inputs), atol=1e-5)
    product = fisher_product(learner, inputs)
    for _ in range(3):
        vector = rng.standard_normal(len(fisher), dtype=np.float32)
        expected = fisher @ vector
        assert np.linalg.norm(product(vector) - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_the_divergence_is_of_the_old_policy_from_the_new(task, fast):
    learner, rng = make_agent(task, fast=fast).actor_critic, np.random.default_rng(0)
    inputs = rng.standard_normal((50, 4 if task == "CartPole" else 3), dtype=np.float32)
    old, head, log_std = snapshot(learner, inputs), learner.head(inputs).astype(np.float64), learner.sigma.astype(np.float64)
    assert divergence(learner, old, inputs) == pytest.approx(0.0, abs=1e-6)
    learner.policy_flat.vector += torch.from_numpy(rng.normal(0, 0.5, len(learner.policy_flat)).astype(np.float32))
    new_head, new_log_std = learner.head(inputs).astype(np.float64), learner.sigma.astype(np.float64)
    if task == "CartPole":
        p, q = (np.exp(h - h.max(axis=1, keepdims=True)) for h in (head, new_head))
        p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
        expected, reverse = (p * np.log(p / q)).sum(axis=1).mean(), (q * np.log(q / p)).sum(axis=1).mean()
    else:
        old_variance, variance = np.exp(2 * log_std), np.exp(2 * new_log_std)
        square = (head - new_head) ** 2
        expected = (new_log_std - log_std + (old_variance + square) / (2 * variance) - 0.5).sum(axis=1).mean()
        reverse = (log_std - new_log_std + (variance + square) / (2 * old_variance) - 0.5).sum(axis=1).mean()
    assert abs(expected - reverse) > 1e-3  # the direction can be told
    assert divergence(learner, old, inputs) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_the_quadratic_model_foretells_the_divergence(task, fast):
    agent, rng = make_agent(task, fast=fast, damping=1e-3, target_kl=1e-3, line_search=False), np.random.default_rng(0)
    learner = agent.actor_critic
    inputs = rng.standard_normal((300, *agent.task.input_space.shape), dtype=np.float32)
    action = rng.integers(0, 2, 300) if task == "CartPole" else rng.standard_normal((300, 1), dtype=np.float32)
    advantage = (np.sin(inputs.sum(axis=1)) * (action.reshape(300) - 0.5)).astype(np.float32)  # something that can be learned
    for _ in range(3):
        fisher, before = fisher_product(learner, inputs), learner.policy_flat.vector.numpy().copy()
        products = np.stack([fisher(row) for row in np.eye(len(before), dtype=np.float32)])
        metrics = agent.improve(inputs, action, learner.log_prob(inputs, action), advantage)
        step = learner.policy_flat.vector.numpy() - before
        assert metrics["kl"] == pytest.approx(step @ products @ step / 2, rel=0.3)
        assert step @ (products + 1e-3 * np.eye(len(step))) @ step / 2 == pytest.approx(1e-3, rel=1e-3)


def test_the_largest_step_ends_at_the_divergence_asked_for():
    matrix = np.array([[4.0, 1.0], [1.0, 3.0]])
    step = largest_step(np.array([2.0, -1.0]), matrix @ np.array([2.0, -1.0]), 0.05)
    assert step @ matrix @ step / 2 == pytest.approx(0.05)


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.learning)])
def test_the_line_search_lets_no_divergence_above_the_bound_pass(fast):
    settings = {"num_envs": 8, "rollout_steps": 64, "damping": 1e-3, "hidden": (16,), "fast": fast, "value_epochs": 1}
    searched, unsearched = make_agent(**settings), make_agent(**settings, line_search=False)
    metrics = [searched.step() for _ in range(15)]
    assert max(one["kl"] for one in metrics) <= 0.01
    assert min(one["gain"] for one in metrics) >= 0.0
    assert sum(one["backtracks"] for one in metrics) > 0  # some steps were too long
    assert max(unsearched.step()["kl"] for _ in range(15)) > 0.01  # and pass where nobody looks


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("fault", ["divergence", "gain"])
def test_where_no_length_will_do_the_policy_stays(fault, fast, monkeypatch):
    agent = make_agent(fast=fast, value_epochs=1)
    if fault == "divergence":
        monkeypatch.setattr(trpo, "divergence", lambda learner, old, inputs: 1.0)
    else:
        monkeypatch.setattr(agent.actor_critic, "log_prob", lambda inputs, action, legal=None: np.full(len(action), -5.0, np.float32))
    before = agent.actor_critic.policy_flat.vector.clone()
    metrics = agent.step()
    assert metrics["backtracks"] == 10
    assert (metrics["kl"], metrics["gain"]) == (0.0, 0.0)
    assert torch.equal(agent.actor_critic.policy_flat.vector, before)


@pytest.mark.parametrize("fast", [True, False])
def test_a_good_action_becomes_more_probable(fast):
    agent = make_agent(fast=fast)
    inputs, action = np.random.default_rng(0).standard_normal((64, 4), dtype=np.float32), np.arange(64) % 2
    before = agent.actor_critic.log_prob(inputs, action)
    metrics = agent.improve(inputs, action, before, np.where(action == 0, 1.0, -1.0).astype(np.float32))
    after = agent.actor_critic.log_prob(inputs, action)
    assert metrics["gain"] > 0
    assert (after - before)[action == 0].mean() > 0 > (after - before)[action == 1].mean()


class Scaled(nn.Module):
    """The same policies as its `layers`, told in other numbers: the last weights count `factor` times."""

    def __init__(self, layers, factor):
        super().__init__()
        self.layers, self.factor = layers, factor
        layers[-1].weight.data /= factor

    def forward(self, inputs):
        hidden = self.layers[:-1](inputs)
        return self.factor * nn.functional.linear(hidden, self.layers[-1].weight) + self.layers[-1].bias


def test_a_natural_step_is_the_same_however_the_policy_is_written_down():
    inputs, results = np.random.default_rng(0).standard_normal((200, 4), dtype=np.float32), {}
    action, advantage = np.arange(200) % 2, np.sin(np.arange(200)).astype(np.float32)
    for factor in (1.0, 10.0):
        agent = make_agent(damping=1e-6, line_search=False, gradient_iterations=60, fast=False, target_kl=1e-3)
        rng = np.random.default_rng(1)
        actor = MLP(MLPConfig(hidden=(4,))).build(agent.task.input_space, agent.task.output_space, rng).layers
        critic = MLP(MLPConfig(hidden=(4,))).build(agent.task.input_space, agent.task.output_space, rng)
        agent.actor_critic = ActorCritic(
            Scaled(actor, factor), critic, agent.actions, log_std=0.0, device=torch.device("cpu"), together=False
        )
        agent.improve(inputs, action, agent.actor_critic.log_prob(inputs, action), advantage)
        results[factor] = np.exp(agent.actor_critic.log_prob(inputs, action))
    np.testing.assert_allclose(results[10.0], results[1.0], rtol=0.01)
