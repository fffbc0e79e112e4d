"""Deep exploration: the deep sea, bonuses, noise and heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rl_algos.exploration.deep_sea import DeepSea, DeepSeaConfig
from rl_algos.exploration.noisy_dqn import NoisyLinear
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds


def built(agent: str, depth: int = 4, budget: int = 400, **config: Any) -> Any:
    resolved = recipe.resolve(
        Catalogue.discover(), agent=agent, task="deep-sea", task_config={"depth": depth}, config=config, budget=budget, seed=1
    )
    return resolved.build_agent(Seeds(1))


def test_one_way_of_all_leads_to_the_treasure() -> None:
    task = DeepSea(DeepSeaConfig(depth=5))
    assert task.mdp.start.argmax() == 0
    values = np.zeros(25)
    for _ in range(5):
        values = task.mdp.action_values(values).max(axis=1)
    assert values[0] == pytest.approx(0.99)
    random = task.mdp.under(np.full((25, 2), 0.5))
    values = np.zeros(25)
    for _ in range(5):
        values = random.reward + random.transition @ values
    assert values[0] == pytest.approx(2.0**-5 - 0.005)  # the treasure once in 2^5 dives, and half of the moves


def test_a_bonus_is_in_the_replayed_rewards_alone() -> None:
    agent = built("count-dqn", learning_starts=20, optimism=0.0)
    for _ in range(3):
        agent.act()
    slots, _ = agent.replay.draw(np.random.default_rng(0), 8, 1.0)
    plain, paid = agent.read_plain(slots), agent.read(slots)
    counts = agent.visits[plain.obs, plain.action]
    assert np.allclose(paid.reward - plain.reward, 0.5 / np.sqrt(counts))
    assert agent.visits.sum() == 3


def test_an_action_that_was_never_tried_is_tried_first() -> None:
    agent = built("count-dqn", learning_starts=0, exploration_rate=0.0, optimism=10.0)
    for _ in range(8):  # two dives
        agent.act()
    assert (agent.visits[0] == 1).all()


def test_predictors_disagree_less_about_what_they_have_learned() -> None:
    agent = built("disagreement-dqn", learning_starts=10, num_predictors=3)
    seen, other = np.array([0]), np.array([15])
    before = agent.optimistic_values(seen, None)[0] - agent.plain_values(seen, None)[0]
    assert not before.any()  # there is no usual size yet
    while agent.progress < 400:
        agent.step()
    with torch.no_grad():
        found = agent.predicted(np.concatenate([seen, other]))  # [E, 2, A, F]
    spread = found.var(dim=0, correction=0).mean(dim=2).sqrt().numpy()
    assert spread[0].max() < spread[1].min()  # every dive begins in the first cell; the last one was hardly ever seen
    bonus = agent.optimistic_values(seen, None)[0] - agent.plain_values(seen, None)[0]
    expected = agent.config.bonus_scale * np.minimum(spread[:1] / agent.usual, agent.config.largest_bonus)
    assert np.allclose(bonus, expected, atol=1e-6)


def test_noise_is_drawn_for_acting_and_gone_afterwards() -> None:
    agent = built("noisy-dqn")
    layers = [layer for layer in agent.module.modules() if isinstance(layer, NoisyLinear)]
    obs = np.arange(5)
    quiet = agent.plain_values(obs, None)[0]
    agent.draw_noise(agent.module)
    assert not np.allclose(agent.plain_values(obs, None)[0], quiet)
    agent.act()
    assert len(layers) >= 2
    assert all(not layer.noise_in.any() for layer in layers)
    assert np.array_equal(agent.plain_values(obs, None)[0], quiet)


def test_heads_differ_by_their_priors_and_each_learns_towards_its_own_target() -> None:
    agent = built("bootstrapped-dqn", num_heads=3, double=False, learning_starts=4)
    every = agent.module(agent.tensor(np.arange(16))).reshape(16, 3, 2).detach()
    assert (every[:, 0] - every[:, 1]).abs().mean() > 0.1
    for _ in range(20):
        agent.act()
    batch = agent.replay.read(agent.replay.draw(np.random.default_rng(0), 6, 1.0)[0])
    with torch.no_grad():
        best = agent.target(agent.tensor(batch.next_obs)).reshape(6, 3, 2).max(dim=2).values
        wanted = torch.from_numpy(batch.reward)[:, None] + torch.from_numpy(batch.discount)[:, None] * best
        value = agent.module(agent.tensor(batch.obs)).reshape(6, 3, 2)[torch.arange(6), :, torch.from_numpy(batch.action)]
    update = agent.torch_update(batch, np.ones(6, np.float32))
    assert np.allclose(update.td_error, (value - wanted).mean(dim=1).numpy(), atol=1e-5)


@pytest.mark.learning
def test_counts_and_heads_find_a_treasure_of_which_there_is_one_in_65_000_dives() -> None:
    for name in ("count-dqn", "bootstrapped-dqn"):
        agent = built(name, depth=16, budget=16_000)
        while agent.progress < 16_000:
            agent.step()
        assert agent.evaluate(episodes=1, seeds=Seeds(0))["mean return"] > 0.9, name
