"""Learned models: batched networks against plain ones, uncertainty where there is no data, planning before and with a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rl_algos.model_based.learned import DynamicsNetwork, LearnedModel, ModelConfig, scores
from rl_algos.model_based.mpc import MPC, MPCConfig
from rl_algos.model_based.perceptrons import Perceptrons
from rl_algos.model_based.pets import PETS, LearnedPlanner, PETSConfig
from rl_algos.model_based.transitions import Rows, Transitions
from rl_algos.tasks.cartpole import CartPole, ContinuousCartPole
from rl_algos.tasks.pendulum import DampedPendulum, Pendulum
from rl_core.seeds import Seeds

KINDS = ("ensemble", "deterministic", "dropout", "linear", "mixture", "bayesian")


def pendulum_rows(num_steps: int = 150, num_envs: int = 4, num_members: int = 5) -> Transitions:
    """Return transitions of random play, each action held for three steps."""
    task = Pendulum(Pendulum.Config())
    envs, rng = task.envs(num_envs, Seeds(5)), np.random.default_rng(0)
    obs, data = envs.reset(), Transitions(num_steps * num_envs, 3, 1, num_members, np.random.default_rng(1))
    for t in range(num_steps):
        plan = rng.uniform(-1, 1, (num_envs, 1)).astype(np.float32) if t % 3 == 0 else plan  # noqa: F821
        after = envs.step(2 * plan)
        data.add(Rows(obs, plan, after.reward, after.terminated, after.final_obs))
        obs = after.obs
    return data


def test_a_batched_network_is_its_members_one_by_one() -> None:
    network = Perceptrons((3, 5, 2), 4, np.random.default_rng(0))
    inputs = torch.randn(8, 6, 3, generator=torch.Generator().manual_seed(0))  # two particles of each member
    found = network(inputs, network.draw(8, np.random.default_rng(1)))
    for particle in range(8):
        member = particle // 2
        hidden = torch.nn.functional.silu(inputs[particle] @ network.weights[0][member] + network.biases[0][member])
        assert torch.allclose(found[particle], hidden @ network.weights[1][member] + network.biases[1][member], atol=1e-6)


def test_a_mask_or_a_draw_of_weights_holds_for_a_whole_trajectory() -> None:
    rng = np.random.default_rng(0)
    inputs = torch.ones(3, 1, 4)
    for options in ({"dropout": 0.5}, {"is_bayesian": True}):
        network = Perceptrons((4, 16, 2), 1, rng, **options)  # type: ignore[arg-type]
        drawn = network.draw(3, rng)
        assert torch.equal(network(inputs, drawn), network(inputs, drawn))
        assert not torch.equal(network(inputs, drawn)[0], network(inputs, drawn)[1])


def test_the_divergence_of_weights_at_their_prior_is_zero() -> None:
    network = Perceptrons((4, 2), 1, np.random.default_rng(0), is_bayesian=True)
    with torch.no_grad():
        network.weights[0].zero_()
        network.spreads[0].fill_(float(np.log(np.expm1(0.5))))  # softplus of it is 1 / sqrt(4)
        assert network.divergence().item() == pytest.approx(0.0, abs=1e-5)
        network.weights[0].fill_(0.5)  # m^2 / (2 s^2) = 1/2 for each of 8
        assert network.divergence().item() == pytest.approx(4.0, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_model_predicts_the_pendulum_and_knows_its_errors(kind: Any) -> None:
    data, task = pendulum_rows(), Pendulum(Pendulum.Config())
    model = LearnedModel(task, ModelConfig(model=kind, model_updates=600), np.random.default_rng(2))
    data.counts = data.counts[:, : model.network.members.num_members]
    model.fit(data, np.random.default_rng(3))
    held_out = data.rows(np.flatnonzero(data.held_out))
    found = scores(model, held_out, np.random.default_rng(4))
    constant = (((held_out.next_obs - held_out.obs) / model.targets.std[:3]) ** 2).mean()
    assert (found.error**2).mean() < (0.7 if kind == "linear" else 0.1) * constant  # a pendulum is not linear
    if kind in ("deterministic", "linear"):
        assert found.z is None
    else:
        assert found.z is not None
        assert 0.3 < np.sqrt((found.z**2).mean()) < 1.6
    if kind in ("ensemble", "dropout", "bayesian"):
        far = held_out._replace(obs=4 * held_out.obs)
        assert scores(model, far, np.random.default_rng(4)).spread.mean() > 2 * found.spread.mean()


def test_what_a_model_has_not_seen_is_held_out_of_every_member() -> None:
    data = pendulum_rows(50)
    drawn = data.batches(20, 64, np.random.default_rng(0))
    assert drawn.shape == (20, 5, 64)
    assert not data.held_out[drawn].any()
    assert (data.counts[drawn, np.arange(5)[None, :, None]] > 0).all()


def test_a_model_that_diverges_never_wins() -> None:
    task = CartPole(CartPole.Config())
    agent = PETS(PETSConfig(horizon=5, num_members=2, num_particles=2), task, None, seeds=Seeds(0), budget=100)
    assert agent.model is not None
    with torch.no_grad():
        agent.model.network.members.weights[0][:, 4] = 3e38  # a push to the left leaves the numbers
    player = LearnedPlanner(agent.model, agent.config, np.random.default_rng(0))
    left, right = -np.ones((1, 1, 5, 1)), np.ones((1, 1, 5, 1))
    returns = player.returns(np.zeros((1, 4), np.float32), np.concatenate([left, right], axis=1))
    assert np.isnan(returns[0, 0])
    assert np.isfinite(returns[0, 1])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mixture"])
@pytest.mark.parametrize(
    ("task", "use_outcome", "propagation"), [(Pendulum, True, "ts1"), (CartPole, True, "ts-inf"), (CartPole, False, "ts1")]
)
def test_returns_are_those_of_one_step_after_another(kind: Any, task: Any, use_outcome: bool, propagation: Any) -> None:
    config = ModelConfig(model=kind, num_particles=10, hidden_layers=(16, 8), use_outcome=use_outcome, propagation=propagation)
    model, rng = LearnedModel(task(task.Config()), config, np.random.default_rng(1)), np.random.default_rng(2)
    with torch.no_grad():
        for bias in model.network.members.biases:
            bias.copy_(torch.from_numpy(rng.standard_normal(bias.shape)) / 10)
    model.inputs.mean[:], model.inputs.std[:], model.targets.mean[:], model.targets.std[:] = 0.1, 1.3, 0.02, 0.1
    obs = rng.standard_normal((7, model.num_numbers), dtype=np.float32) / 4
    sequences = rng.uniform(-1.0, 1.0, (7, 6, model.actions.size))
    fast, plain = (way(obs, sequences, 0.97, np.random.default_rng(3)) for way in (model.returns, model.plain_returns))
    np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5)
    assert np.ptp(plain) > 0.01


def test_with_the_true_dynamics_in_place_of_the_model_the_score_is_the_planner_s() -> None:
    task = Pendulum(Pendulum.Config())
    planner = MPC(MPCConfig(num_candidates=60, kept_fraction=0.3, shrink=0.8), task, None, seeds=Seeds(0), budget=100)
    agent = PETS(PETSConfig(model="true"), task, None, seeds=Seeds(0), budget=100)
    scores = [one.evaluate(episodes=4, seeds=Seeds(0, ("evaluation",)))["mean return"] for one in (planner, agent)]
    assert scores[0] == scores[1] > -400


def test_an_ensemble_s_particles_belong_to_members_in_equal_numbers() -> None:
    with pytest.raises(ValueError, match="multiple of num_members, 5"):
        PETSConfig(num_particles=7)


def test_learned_rewards_and_ends_take_the_place_of_the_task_s() -> None:
    network = DynamicsNetwork(5, 5, ModelConfig(num_members=2, num_particles=2), np.random.default_rng(0))
    assert network(torch.zeros(2, 3, 5), network.members.draw(2, np.random.default_rng(0))).end.shape == (2, 3)
    model = LearnedModel(CartPole(CartPole.Config()), ModelConfig(use_outcome=False), np.random.default_rng(0))
    assert model.outcome is None
    obs = torch.zeros(2, 3, 4)
    reward, end = model.judged(obs, np.zeros((3, 1)), obs, torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool))
    assert reward.tolist() == [[1.0] * 3] * 2
    assert not end.any()


@pytest.mark.learning
def test_pets_swings_the_pendulum_up_within_1_000_steps() -> None:
    agent = PETS(PETSConfig(), Pendulum(Pendulum.Config()), None, seeds=Seeds(0), budget=2_000)
    returns = []
    while agent.progress < 2_000:
        metrics = agent.step()
        returns += [metrics["episode_return"]] if "episode_return" in metrics else []
    assert max(returns[:5]) > -450
    assert np.median(returns[6:10]) >= -250
    assert 0.7 <= metrics["z_deviation"] <= 1.5
    assert metrics["open_loop_error"] < 1.0


@pytest.mark.learning
def test_pets_balances_the_continuous_pole() -> None:
    agent = PETS(PETSConfig(horizon=25), ContinuousCartPole(ContinuousCartPole.Config()), None, seeds=Seeds(0), budget=2_000)
    while agent.progress < 1_200:
        metrics = agent.step()
    assert metrics.get("episode_return", 200.0) == 200.0


def test_a_model_learned_for_one_task_serves_another_with_the_same_dynamics() -> None:
    small = PETSConfig(num_members=2, num_particles=2, hidden_layers=(32, 32), model_updates=150, num_candidates=30, num_iterations=2)
    source = PETS(small, Pendulum(Pendulum.Config()), None, seeds=Seeds(0), budget=600)
    assert source.model is not None
    source.data = pendulum_rows(num_members=2)
    source.model.fit(source.data, source.fits)
    task = DampedPendulum(Pendulum.Config(time_limit=40))
    moved = PETS(small, task, None, seeds=Seeds(0), budget=600)
    moved.start_from(source.state_dict())
    assert moved.num_fits == 1  # it plans at once, in the model as it was learned there
    score = moved.evaluate(episodes=3, seeds=Seeds(1))["mean return"]
    idle = task.evaluate(lambda obs: np.zeros((len(obs), 1), np.float32), episodes=3, seeds=Seeds(1))["mean return"]
    assert score > 0.5 * idle
