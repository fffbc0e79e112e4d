"""MAML: its gradient against differences, its baseline, and what an update does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.meta.episodes import TaskBatch, play, task_batch
from rl_algos.meta.flat_policy import FlatPolicy
from rl_algos.meta.maml import MAML, MAMLConfig, adapted, surrogate
from rl_algos.meta.points import Navigation, NavigationConfig
from rl_algos.meta.tables import BanditFamily, BanditFamilyConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.seeds import Seeds

RATE = 0.5


def batch(policy: FlatPolicy, rng: np.random.Generator, *, is_discrete: bool) -> TaskBatch:
    """Return made-up steps of two tasks, in double precision."""
    inputs = torch.from_numpy(rng.standard_normal((2, 12, 1)))
    action = torch.from_numpy(rng.integers(2, size=(2, 12)) if is_discrete else rng.standard_normal((2, 12, 1)))
    advantage, weight = torch.from_numpy(rng.standard_normal((2, 12))), torch.full((2, 12), 1 / 12, dtype=torch.float64)
    return TaskBatch(inputs, action, advantage, weight)


@pytest.mark.parametrize("is_discrete", [True, False])
@pytest.mark.parametrize("num_updates", [1, 2])
def test_the_meta_gradient_is_that_of_differences_and_the_first_order_one_is_not(is_discrete: bool, num_updates: int) -> None:
    action_space = spaces.Discrete(2) if is_discrete else spaces.Box(-1, 1, (1,))
    policy, rng = FlatPolicy(spaces.Box(-1, 1, (1,)), action_space, (), "tanh"), np.random.default_rng(0)
    first = torch.from_numpy(policy.first(rng, 0.0) + rng.standard_normal(policy.num_parameters)).requires_grad_()
    assert policy.num_parameters == (4 if is_discrete else 3)
    before, after = [batch(policy, rng, is_discrete=is_discrete) for _ in range(num_updates)], batch(policy, rng, is_discrete=is_discrete)
    played = adapted(policy, first.detach(), before, RATE, with_gradient=False)
    old = policy.log_prob(policy.head(played, after.inputs), after.action)

    def loss(theta: torch.Tensor, *, order: bool = True) -> torch.Tensor:
        return surrogate(policy, adapted(policy, theta, before, RATE, with_gradient=order), after, old, 0.2)

    (gradient,) = torch.autograd.grad(loss(first), first)
    (first_order,) = torch.autograd.grad(loss(first, order=False), first)
    steps = 1e-5 * torch.eye(policy.num_parameters, dtype=torch.float64)
    differences = torch.stack([(loss(first.detach() + step) - loss(first.detach() - step)) / 2e-5 for step in steps])
    assert (gradient - differences).norm() / differences.norm() < 1e-3
    assert (first_order - differences).norm() / differences.norm() > 1e-2


def test_tasks_are_adapted_each_by_itself() -> None:
    policy, rng = FlatPolicy(spaces.Box(-1, 1, (1,)), spaces.Discrete(2), (3,), "relu"), np.random.default_rng(1)
    first, both = torch.from_numpy(policy.first(rng, 0.0)).double(), batch(policy, rng, is_discrete=True)
    together = adapted(policy, first, [both], RATE, with_gradient=False)
    for task in range(2):
        alone = adapted(policy, first, [TaskBatch(*(part[task : task + 1] for part in both))], RATE, with_gradient=False)
        assert torch.allclose(together[task], alone[0])
    assert not torch.allclose(together[0], together[1])


def test_steps_after_the_end_do_not_count() -> None:
    family = Navigation(NavigationConfig())
    policy = FlatPolicy(family.input_space, family.output_space, (4,), "tanh")
    parameters = np.repeat(policy.first(np.random.default_rng(0), 0.0)[None], 3, axis=0)
    episodes = play(family.tasks(3, 400, Seeds(0), "train"), policy, parameters, np.random.default_rng(1), 100)
    assert not episodes.counts.all()  # some walk into the goal
    found = task_batch(episodes, 3, 0.99)
    assert torch.allclose(found.weight.sum(dim=1), torch.ones(3))
    assert (found.weight * found.advantage).sum(dim=1).abs().max() < 1e-5
    assert ((found.weight * found.advantage**2).sum(dim=1) - 1).abs().max() < 1e-4
    changed = episodes._replace(reward=np.where(episodes.counts, episodes.reward, 100.0).astype(np.float32))
    assert torch.equal(task_batch(changed, 3, 0.99).advantage * found.weight, found.advantage * found.weight)


@pytest.mark.parametrize("outer", ["ppo", "trpo", "vpg"])
def test_each_outer_step_lowers_its_loss_within_its_bound(outer: str) -> None:
    config = MAMLConfig(num_tasks=4, episodes_per_task=8, hidden_layers=(8,), outer=outer, max_steps=10, inner_rate=0.5)  # type: ignore[arg-type]
    agent = MAML(config, BanditFamily(BanditFamilyConfig()), None, seeds=Seeds(0), budget=1)
    before = agent.first.detach().clone()
    metrics = agent.step()
    assert not torch.equal(before, agent.first.detach())
    assert 0 < metrics["kl"] < 0.02
    if outer == "trpo":
        assert metrics["gain"] > 0
        assert metrics["kl"] <= config.target_kl


def test_a_single_task_is_refused() -> None:
    with pytest.raises(ValueError, match="learns on a family"):
        MAML(MAMLConfig(), CartPole(CartPole.Config()), None, seeds=Seeds(0), budget=1)
