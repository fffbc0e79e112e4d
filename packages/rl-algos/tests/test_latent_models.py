"""Latent models: what a window holds, the state-space model, learning in imagination, and the world model's memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.latent_models.behaviour import Behaviour, BehaviourConfig
from rl_algos.latent_models.coders import Coder, Scale
from rl_algos.latent_models.dreamer import Dreamer, DreamerConfig
from rl_algos.latent_models.mixture_memory import Forecast, MixtureMemory, mixture_log_density
from rl_algos.latent_models.returns import SymexpBins, lambda_returns
from rl_algos.latent_models.rssm import RSSM
from rl_algos.latent_models.windows import ActionCode, newest_windows, replay_of, windows_at
from rl_algos.latent_models.world import World, WorldConfig, open_loop
from rl_algos.latent_models.world_model import WorldModel, WorldModelConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.envs import Transition
from rl_core.seeds import Seeds

NO, YES = np.array([False]), np.array([True])


def filled(ends):
    """A buffer of one environment whose observation counts steps; step t takes action t % 2, pays t, and ends as `ends` says."""
    code = ActionCode(spaces.Discrete(2))
    replay = replay_of(40, 1, 4, spaces.Box(-99, 99, (1,), np.float32), code)
    now = 0.0
    for t, end in enumerate(ends):
        after = np.array([[now + 1]], np.float32)
        replay.add(
            np.array([[now]], np.float32), np.array([t % 2]), Transition(after, np.array([t], np.float32), YES if end else NO, NO, after)
        )
        now = 10.0 * (t + 1) if end else now + 1
    return replay, code


def test_a_window_holds_with_each_observation_what_led_to_it_and_starts_anew_behind_an_end():
    replay, code = filled([False, True, False, False])
    found = windows_at(replay, np.arange(5)[:, None], code)
    assert found.obs.ravel().tolist() == [0, 1, 2, 20, 21]
    assert found.action[:, 0].tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [1, 0]]
    assert found.reward.ravel().tolist() == [0, 0, 1, 0, 2]
    assert found.is_paid.ravel().tolist() == [0, 1, 1, 0, 1]
    assert found.goes_on.ravel().tolist() == [1, 1, 0, 1, 1]
    assert found.starts.ravel().tolist() == [0, 0, 0, 1, 0]


def test_the_newest_windows_stay_within_an_episode():
    replay, code = filled([False] * 6 + [True] + [False] * 4)
    slots = newest_windows(replay, 4, 3)
    assert slots.shape == (4, 3)
    found = windows_at(replay, slots, code)
    assert not found.starts.any()
    assert found.obs[-1, 0, 0] == 73  # of the newest step that is complete


def test_a_start_in_a_sequence_forgets_what_was_before():
    rssm, rng = RSSM(3, 2, 4, 2, 5, np.random.default_rng(0)), np.random.default_rng(1)
    codes, actions, noise = (torch.from_numpy(rng.standard_normal((4, 1, k)).astype(np.float32)) for k in (3, 2, 2))
    starts = torch.zeros(4, 1)
    starts[2] = 1
    whole = rssm.observe(codes, actions, starts, noise).state
    alone = rssm.observe(codes[2:], torch.cat([0 * actions[2:3], actions[3:]]), 0 * starts[2:], noise[2:]).state
    torch.testing.assert_close(whole[2:], alone)
    assert not torch.allclose(whole[2:], rssm.observe(codes, actions, 0 * starts, noise).state[2:])


def test_prediction_with_the_mean_is_the_prior_that_observing_compares_with():
    rssm = RSSM(3, 2, 4, 2, 5, np.random.default_rng(0))
    codes, actions, noise = torch.ones(2, 1, 3), torch.ones(2, 1, 2), torch.zeros(2, 1, 2)
    found = rssm.observe(codes, actions, torch.zeros(2, 1), noise)
    imagined = rssm.imagine(found.state[0], actions[1], None)
    torch.testing.assert_close(imagined[:, :4], found.state[1][:, :4])
    torch.testing.assert_close(imagined[:, 4:], found.prior.mean[1])


def test_lambda_one_is_the_whole_return_and_lambda_zero_one_step():
    rng = torch.Generator().manual_seed(0)
    reward, discount, value = (torch.rand(5, 3, generator=rng) for _ in range(3))
    weights = torch.cat([torch.ones(1, 3), discount.cumprod(dim=0)])
    torch.testing.assert_close(lambda_returns(reward, discount, value, 1.0)[0], (weights[:-1] * reward).sum(0) + weights[-1] * value[-1])
    torch.testing.assert_close(lambda_returns(reward, discount, value, 0.0), reward + discount * value)


def test_bins_give_back_small_and_large_numbers():
    bins, numbers = SymexpBins(), torch.tensor([-12_345.6, -0.03, 0.0, 1.0, 499.5])
    torch.testing.assert_close(bins.mean(bins.distribution(numbers).log()), numbers, rtol=1e-4, atol=1e-3)


class Payer(torch.nn.Module):
    """A world of one number whose reward is the first number of the last action, or whether the second choice was taken."""

    def __init__(self):
        super().__init__()
        self.rssm = self
        self.random = 1

    def imagine(self, state, action, noise):
        return action[:, -1:]

    def rewards(self, state):
        return state[..., 0]

    def continuations(self, state):
        return torch.ones_like(state[..., 0])


@pytest.mark.parametrize("is_choice", [False, True])
def test_an_actor_learns_in_imagination_to_take_what_pays(is_choice):
    config = BehaviourConfig(horizon=3, discount=0.9)
    size = 2 if is_choice else 1
    behaviour, rng = Behaviour(1, 8, size, is_choice, config, np.random.default_rng(0)), np.random.default_rng(0)
    optimiser = torch.optim.Adam(behaviour.parameters(), 0.03)
    start = torch.from_numpy(rng.uniform(0, 1, (32, 1)).astype(np.float32))
    for _ in range(60):
        policy_loss, value_loss, _ = behaviour.losses(Payer(), start, torch.ones(32), rng)
        optimiser.zero_grad()
        (policy_loss + value_loss).backward()
        optimiser.step()
        behaviour.follow()
    assert (behaviour.actor.greedy(start)[:, -1] > 0.9).all()


def test_imagination_moves_the_actor_and_leaves_the_model_alone():
    world = World(Scale(spaces.Box(-1, 1, (2,), np.float32)), 1, WorldConfig(memory=4, random=2, hidden=4), np.random.default_rng(0))
    behaviour = Behaviour(6, 4, 1, False, BehaviourConfig(horizon=2), np.random.default_rng(0))
    torch.nn.init.normal_(world.reward.head.weight)
    policy_loss, value_loss, _ = behaviour.losses(world, torch.ones(3, 6), torch.ones(3), np.random.default_rng(0))
    policy_loss.backward()
    assert all(p.grad is None and p.requires_grad for p in world.parameters())
    assert all(p.grad is None for p in behaviour.critic.parameters())
    assert behaviour.actor.layers.head.weight.grad.abs().sum() > 0
    value_loss.backward()
    assert behaviour.critic.head.weight.grad.abs().sum() > 0


def test_pictures_of_odd_sizes_are_coded_and_decoded():
    coder = Coder(Scale(spaces.Box(0, 255, (20, 33, 3), np.uint8)), 5, 6, (), np.random.default_rng(0))
    assert coder.encode(torch.zeros(2, 3, 20, 33, 3)).shape == (2, 3, 5)
    assert coder.decode(torch.zeros(2, 3, 6)).shape == (2, 3, 20, 33, 3)


def test_an_open_loop_does_not_see_what_comes():
    world = World(Scale(spaces.Box(-1, 1, (2,), np.float32)), 1, WorldConfig(memory=4, random=2, hidden=4), np.random.default_rng(0))
    replay, code = (
        replay_of(40, 1, 4, spaces.Box(-1, 1, (2,), np.float32), ActionCode(spaces.Box(-1, 1, (1,)))),
        ActionCode(spaces.Box(-1, 1, (1,))),
    )
    for t in range(8):
        obs, after = np.full((1, 2), t / 9, np.float32), np.full((1, 2), (t + 1) / 9, np.float32)
        replay.add(obs, np.full((1, 1), 0.5), Transition(after, np.ones(1, np.float32), NO, NO, after))
    batch = windows_at(replay, np.arange(7)[:, None], code)
    batch = type(batch)(*map(torch.from_numpy, batch))
    changed = batch._replace(obs=torch.cat([batch.obs[:3], 0 * batch.obs[3:]]))
    torch.testing.assert_close(open_loop(world, batch, 3).obs, open_loop(world, changed, 3).obs)


def test_mixture_densities_integrate_to_one_and_agree_with_a_sum_by_hand():
    rng = torch.Generator().manual_seed(0)
    one = Forecast(torch.randn(1, 3, generator=rng), torch.randn(1, 3, 1, generator=rng), torch.zeros(1, 3, 1))
    grid = torch.linspace(-12, 12, 4_001)[:, None]
    density = mixture_log_density(Forecast(*(part.expand(len(grid), *part.shape[1:]) for part in one)), grid).exp()
    assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1.0, abs=1e-4)


def test_a_mixture_holds_two_futures_that_a_mean_would_blur():
    memory = MixtureMemory(1, 1, 4, 2, np.random.default_rng(0))
    optimiser, rng = torch.optim.Adam(memory.parameters(), 0.05), np.random.default_rng(0)
    one = torch.ones(2, 64)
    for _ in range(120):
        codes = torch.zeros(2, 64, 1)
        codes[1, :, 0] = torch.from_numpy(rng.choice([-1.0, 1.0], 64).astype(np.float32))
        loss = memory.loss(codes, torch.ones(2, 64, 1), 0 * one, 0 * one, one, one)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    state = memory.advance(torch.zeros(500, 8), torch.zeros(500, 1), torch.ones(500, 1))
    forecast = memory.forecast(state[:, :4], torch.zeros(500, 1))
    gumbel, normal = (
        torch.from_numpy(rng.gumbel(size=(500, 2)).astype(np.float32)),
        torch.from_numpy(rng.standard_normal((500, 1), dtype=np.float32)),
    )
    drawn = memory.draw(forecast, gumbel, normal, 1.0)
    assert (drawn.abs() - 1).abs().mean() < 0.1
    assert 0.3 < (drawn > 0).float().mean() < 0.7


def test_an_end_on_either_side_is_learned_from_the_next_code():
    memory, rng = MixtureMemory(1, 1, 8, 2, np.random.default_rng(0)), np.random.default_rng(0)
    optimiser, one = torch.optim.Adam(memory.parameters(), 0.02), torch.ones(2, 128)
    for _ in range(200):
        codes = torch.from_numpy(rng.uniform(-2.0, 2.0, (2, 128, 1)).astype(np.float32))
        goes_on = (codes[..., 0].abs() < 1.0).float()
        loss = memory.loss(codes, torch.zeros(2, 128, 1), one, 0 * one, goes_on, one)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    end = torch.sigmoid(memory.outcome(torch.zeros(3, 8), torch.tensor([[-1.7], [0.0], [1.7]])).end)
    assert end[0] > 0.9
    assert end[1] < 0.1
    assert end[2] > 0.9


def test_candidates_dream_under_the_same_chance():
    agent = WorldModel(
        WorldModelConfig(num_envs=2, num_rows=4, batch_size=4, dream_steps=5, num_dreams=3, controller_starts=0.0),
        CartPole(ArrayTaskConfig()), None, seeds=Seeds(0), budget=64,
    )  # fmt: skip
    agent.step()
    same = np.resize(agent.search.ask(np.random.default_rng(0))[:1], (4, len(agent.search.mean)))
    worth = agent.dream(same)
    np.testing.assert_allclose(worth, worth[0])


def test_a_latent_model_refuses_what_it_cannot_read():
    with pytest.raises(ValueError, match="reads vectors of floats, or pictures"):
        Scale(spaces.Discrete(3))
    with pytest.raises(ValueError, match="without bounds"):
        Scale(spaces.Box(-np.inf, np.inf, (8, 8, 1), np.float32))


@pytest.mark.learning
def test_dreamer_swings_a_pendulum_up_within_three_thousand_steps():
    agent = Dreamer(DreamerConfig(), Pendulum(ArrayTaskConfig()), None, seeds=Seeds(100), budget=3_000)
    while agent.progress < 3_000:
        agent.step()
    assert agent.open_loop_error < 1
    assert agent.evaluate(episodes=10, seeds=Seeds(1))["mean return"] > -600  # random play: about -1,200
