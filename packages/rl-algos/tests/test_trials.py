"""Trials and the memories that play them: causality, agreement of the two ways to compute, and what the inputs hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.meta.action_heads import ActionHeads
from rl_algos.meta.bodies import CartPoleFamily, CartPoleFamilyConfig
from rl_algos.meta.rl2 import RL2, RecurrentMemory, RL2Config, initialised
from rl_algos.meta.snail import SNAIL, AttentiveMemory, SNAILConfig
from rl_algos.meta.tables import BanditFamily, BanditFamilyConfig, TableFamily, TableFamilyConfig
from rl_algos.meta.trial_learner import MemoryModule
from rl_algos.meta.trials import trial_size
from rl_core.seeds import Seeds

HEADS = ActionHeads(spaces.Discrete(3))


def memory(kind: str, length: int) -> MemoryModule:
    """Return a small memory for inputs of four numbers, with heads that are not small."""
    made: MemoryModule = (
        RecurrentMemory(4, 5, HEADS, 0.0, 1.0)
        if kind == "rl2"
        else AttentiveMemory(4, length, SNAILConfig(embedding=4, filters=3, keys=4), HEADS, 1.0)
    )
    initialised(made, np.random.default_rng(0))
    with torch.no_grad():
        made.policy_layer.weight.mul_(100.0)  # type: ignore[union-attr,operator]
    return made


@pytest.mark.parametrize("kind", ["rl2", "snail"])
@torch.no_grad()
def test_no_output_depends_on_a_later_input_to_the_bit(kind: str) -> None:
    made, inputs = memory(kind, 13), torch.randn(13, 2, 4, generator=torch.Generator().manual_seed(1))
    values, value = made(inputs)
    for time in (1, 6, 12):
        changed = inputs.clone()
        changed[time] += 1.0
        other_values, other_value = made(changed)
        assert torch.equal(values[:time], other_values[:time])
        assert torch.equal(value[:time], other_value[:time])
        assert not torch.equal(values[time], other_values[time])
        assert not torch.equal(values[-1], other_values[-1])  # and every input is seen until the end


@pytest.mark.parametrize("kind", ["rl2", "snail"])
@torch.no_grad()
def test_step_by_step_is_the_whole_trial(kind: str) -> None:
    made, inputs = memory(kind, 13), torch.randn(13, 2, 4, generator=torch.Generator().manual_seed(1))
    values, value = made(inputs)
    state = made.begin(2, 13)  # type: ignore[operator]
    for time in range(13):
        now, now_value, state = made.advance(inputs[time], state)  # type: ignore[operator]
        assert torch.allclose(now, values[time], atol=1e-5)
        assert torch.allclose(now_value, value[time], atol=1e-5)


def test_the_last_reward_of_an_episode_is_an_input_of_the_next_and_only_a_trial_begins_from_nothing() -> None:
    family = TableFamily(TableFamilyConfig(num_states=3, num_actions=2, time_limit=2, trial_episodes=3))
    agent = RL2(RL2Config(num_trials=5, units=3), family, None, seeds=Seeds(0), budget=1)
    trials = agent.play(family.tasks(5, 1, agent.seeds, "train"), agent.noise)
    assert trials.inputs.shape == (6, 5, trial_size(family.input_space, family.output_space)) == (6, 5, 7)
    assert (trials.inputs[0, :, 3:] == [0, 0, 0, 1]).all()
    assert np.array_equal(trials.inputs[1:, :, 5], trials.reward[:-1])
    assert np.array_equal(trials.inputs[1:, :, 3:5].argmax(axis=2), trials.action[:-1])
    assert np.array_equal(trials.inputs[1:, :, 6].astype(bool), trials.over[:-1])
    assert (trials.inputs[2, :, 0] == 1).all()  # the second episode starts in state 0
    assert np.allclose(trials.returns(3).sum(axis=0), trials.reward.sum(axis=0), atol=1e-5)


def test_steps_after_the_trial_change_no_gradient() -> None:
    family = CartPoleFamily(CartPoleFamilyConfig(time_limit=30))
    agent = RL2(RL2Config(num_trials=6, units=3, trial_episodes=2), family, None, seeds=Seeds(0), budget=1)
    trials = agent.play(family.tasks(6, 1, agent.seeds, "train"), agent.noise)
    assert not trials.counts.all()
    assert (trials.over & trials.counts).sum() == 12
    gain, rows, losses = np.ones_like(trials.reward), np.arange(6), []
    for filler in (0.0, 50.0):
        twin = RL2(agent.config, family, None, seeds=Seeds(0), budget=1)
        padded = np.where(trials.counts, gain, filler).astype(np.float32)
        losses.append(twin.update(trials, padded, padded, rows, 0.01))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", [RL2, SNAIL])
def test_an_iteration_counts_its_steps_and_an_evaluation_repeats(kind: type[RL2] | type[SNAIL]) -> None:
    config = kind.Config(num_trials=40, batch_trials=20, num_epochs=2)
    agent = kind(config, BanditFamily(BanditFamilyConfig(num_arms=2, num_pulls=4)), None, seeds=Seeds(0), budget=1_000)
    metrics = agent.step()
    assert agent.progress == 160
    assert 0 <= metrics["trial_return"] <= 4
    assert agent.evaluate(episodes=7, seeds=Seeds(1)) == agent.evaluate(episodes=7, seeds=Seeds(1))


def test_a_trial_of_no_episodes_is_refused() -> None:
    with pytest.raises(ValueError, match="trial_episodes is 0"):
        RL2Config(trial_episodes=0)


@pytest.mark.learning
def test_a_recurrent_policy_learns_to_learn_about_two_arms() -> None:
    config = RL2Config(num_trials=500, batch_trials=125, num_epochs=8, learning_rate=2e-3, units=32)
    agent = RL2(config, BanditFamily(BanditFamilyConfig(num_arms=2)), None, seeds=Seeds(0), budget=200_000)
    while agent.progress < agent.budget:
        agent.step()
    assert agent.evaluate(episodes=2_000, seeds=Seeds(1))["trial return"] > 5.6  # always the same arm: 5.0; always the better: 6.7
