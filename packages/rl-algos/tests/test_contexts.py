"""Agents that describe tasks: products of densities, gradients that stop where they should, adaptation and relabelling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rl_algos.meta.mier import MIER
from rl_algos.meta.pearl import PEARL, product_of_gaussians
from rl_algos.meta.points import PointConfig, PointRobot
from rl_algos.meta.relabelling import extrapolated, relabelled, reward_error
from rl_algos.meta.task_replay import TaskReplay
from rl_core.seeds import Seeds

SMALL: dict[str, Any] = {
    "num_tasks": 12,
    "context_size": 16,
    "num_latents": 3,
    "num_updates": 4,
    "batch_tasks": 6,
    "batch_size": 16,
    "hidden_layers": (16,),
}


def agent(kind: type[Any], **options: Any) -> Any:
    """Return a small agent on the point robot, after one step."""
    made = kind(kind.Config(**SMALL, **options), PointRobot(PointConfig()), None, seeds=Seeds(0), budget=10_000)
    made.step()
    return made


def test_a_product_of_densities_does_not_depend_on_their_order_and_equal_ones_are_surer() -> None:
    rng = torch.Generator().manual_seed(0)
    mean, variance = torch.randn(2, 5, 3, generator=rng), torch.rand(2, 5, 3, generator=rng) + 0.1
    first, second = product_of_gaussians(mean, variance), product_of_gaussians(mean.flip(1), variance.flip(1))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))
    same_mean, less = product_of_gaussians(mean[:, :1].expand(-1, 4, -1), variance[:, :1].expand(-1, 4, -1))
    assert torch.allclose(same_mean, mean[:, 0], atol=1e-5)
    assert torch.allclose(less, variance[:, 0] / 4)


def test_a_ring_keeps_the_newest_rows_of_each_task() -> None:
    ring = TaskReplay(2, 3, 1, 1)
    for value in range(5):
        ring.add(np.full((2, 1, 5), value, dtype=np.float32) + np.array([0.0, 10.0], dtype=np.float32)[:, None, None])
    assert sorted(ring.rows[1, :, 0].tolist()) == [12.0, 13.0, 14.0]
    assert (ring.sample_of(np.array([1]), 20, np.random.default_rng(0)) >= 12).all()


def test_the_critics_move_the_encoder_and_the_policy_does_not() -> None:
    made = agent(PEARL)
    rows = torch.from_numpy(made.replay.sample_of(np.arange(3), 8, np.random.default_rng(0)))
    mean, variance = made.posterior(rows)
    noise = torch.zeros(24, made.num_actions)
    latent, batch = mean.repeat_interleave(8, dim=0), made.rows(rows.numpy())
    loss = made.sac.critic_loss(batch, latent, noise, 0.9, 0.1)
    by_critics = torch.autograd.grad(loss, list(made.encoder.parameters()), retain_graph=True)
    assert all(float(gradient.abs().sum()) > 0 for gradient in by_critics)
    before = [weight.detach().clone() for weight in made.encoder.parameters()]
    made.actor_optimiser.zero_grad()
    made.sac.actor_loss(batch.obs, latent.detach(), noise, 0.1).backward(inputs=made.actor_optimiser.flat.parameters)
    made.actor_optimiser.step()
    assert all(torch.equal(one, other) for one, other in zip(before, made.encoder.parameters(), strict=True))
    assert float(variance.detach().min()) > 0


def test_the_first_test_episode_knows_nothing_and_contexts_grow() -> None:
    made = agent(PEARL)
    returns, found, latent, envs = made.trajectories(5, Seeds(3))
    assert returns.shape == (4, 5)
    assert latent.shape == (5, 3)
    assert (envs.numbers % 2 == 1).all()
    assert np.allclose(found[0][..., 4].sum(axis=1), returns[0], atol=1e-4)  # the reward follows two numbers of each, obs and action


def test_contexts_are_the_first_episodes_of_a_trial() -> None:
    made = agent(PEARL, trial_episodes=2, context_trials=2, final_rate=0.5)
    length = made.length
    number = np.broadcast_to(np.arange(2 * length, dtype=np.float32)[:, None], (12, 2 * length, made.trials.rows.shape[2]))
    for trial in range(3):  # of which two are kept
        made.trials.add(number + 100 * trial)
    drawn = np.concatenate([made.contexts(np.arange(12))[..., 0] for _ in range(20)])
    trial, place = np.divmod(drawn, 100)
    assert set(np.unique(trial)) == {1, 2}
    assert (trial == trial[:, :1]).all()  # a context is of one trial
    is_short = place.max(axis=1) < length
    assert 0.3 < is_short.mean() < 0.7  # and of its first episode, or of both
    assert made.actor_optimiser.learning_rate == pytest.approx(1e-3 * (0.5 + 0.5 * (1 - made.progress / made.budget)))


def test_the_gradient_of_the_model_goes_through_the_inner_steps() -> None:
    made = agent(MIER)
    contexts = torch.from_numpy(made.contexts(np.arange(4)))
    rows = torch.from_numpy(made.replay.sample_of(np.arange(4), 8, np.random.default_rng(0)))
    model = made.model.double()
    through = torch.autograd.grad(model.loss(model.adapted(contexts, [0.5], with_gradient=True), rows).sum(), model.network.weights[0])[0]
    fixed = torch.autograd.grad(model.loss(model.adapted(contexts, [0.5]), rows).sum(), model.network.weights[0])[0]
    weight = model.network.weights[0]
    step = torch.zeros_like(weight)
    step[0, -1, 0] = 1e-4  # a weight of the context vector

    def loss(sign: float) -> float:
        with torch.no_grad():
            weight.add_(sign * step)
        value = float(model.loss(model.adapted(contexts, [0.5]), rows).sum().detach())
        with torch.no_grad():
            weight.sub_(sign * step)
        return value

    difference = (loss(1.0) - loss(-1.0)) / 2e-4
    assert float(through[0, -1, 0]) == pytest.approx(difference, rel=1e-2)
    assert abs(float(fixed[0, -1, 0]) - difference) > abs(float(through[0, -1, 0]) - difference)


@pytest.mark.parametrize("with_dynamics", [False, True])
def test_relabelling_predicts_rewards_and_leaves_the_agent_as_it_is(with_dynamics: bool) -> None:
    made = agent(MIER, relabel_dynamics=with_dynamics, model_updates=3)
    before = {name: array.copy() for name, array in made.parameters().items()}
    real = made.play(made.family.tasks(1, 1, Seeds(5), "test"), np.zeros((1, 3), np.float32), np.random.default_rng(0))[0]
    context, model = extrapolated(made, real, np.random.default_rng(1))
    rows = made.replay.sample_of(np.arange(4), 5, np.random.default_rng(2))
    found = relabelled(made, model, context, made.sac, rows, np.random.default_rng(3))
    assert found.shape == (1, 20, 8)
    kept, changed = (slice(0, 2), slice(2, 7)) if with_dynamics else ([0, 1, 2, 3, 5, 6, 7], slice(4, 5))
    flat = rows.reshape(1, 20, 8)
    assert np.array_equal(found[..., kept], flat[..., kept])
    assert not np.allclose(found[..., changed], flat[..., changed])
    assert reward_error(made, model, context, real) >= 0
    assert all(np.array_equal(before[name], array) for name, array in made.parameters().items())


def test_a_model_of_rewards_alone_reads_no_next_observations_and_relabels_them_only() -> None:
    made = agent(MIER, next_obs=False)
    rows = torch.from_numpy(made.replay.sample_of(np.arange(3), 8, np.random.default_rng(0)))
    changed = rows.clone()
    changed[..., 5:7] += 1.0  # the next observations
    rates = made.rates()
    assert torch.equal(made.model.adapted(rows, rates), made.model.adapted(changed, rates))
    next_obs, reward = made.model.predicted(rows[0, :, :2], rows[0, :, 2:4], torch.zeros(1, 3))
    assert torch.equal(next_obs, rows[0, :, :2])
    assert reward.shape == (8, 1)
    with pytest.raises(ValueError, match="set next_obs to true"):
        MIER.Config(next_obs=False, relabel_dynamics=True)
