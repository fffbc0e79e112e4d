"""Actor and critic as two heads of one network: what is computed once is what two passes would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from rl_algos.on_policy.a2c import A2C, A2CConfig
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.on_policy.rollout import flat
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.seeds import Seeds

SMALL = PPOConfig(num_envs=4, rollout_steps=16, num_epochs=2, batch_size=16, shared_body=True, normalise_obs=True)


def make(agent_class=PPO, config=SMALL, network=None):
    task = CartPole(ArrayTaskConfig(time_limit=6))  # most episodes are cut, some fall
    return agent_class(config, task, network or MLP(MLPConfig(hidden=(8,))), seeds=Seeds(0), budget=1_000, device="cpu")


def test_values_and_targets_are_those_of_separate_passes_wherever_an_episode_ends():
    agent = make(config=replace(SMALL, rollout_steps=40))
    rollout = agent.collector.collect(agent.actor_critic, 40)
    assert rollout.truncated.any()
    inputs, action = agent.collector.inputs(flat(rollout.obs)), flat(rollout.action)
    value, log_prob = agent.actor_critic.value_and_log_prob(inputs, action, None)
    np.testing.assert_allclose(value, agent.actor_critic.value(inputs), rtol=1e-6)
    np.testing.assert_allclose(log_prob, agent.actor_critic.log_prob(inputs, action), rtol=1e-6)
    led_to = agent.actor_critic.value(agent.collector.inputs(flat(rollout.final_obs)))
    going_on = ~flat(rollout.terminated)
    np.testing.assert_allclose(agent._next_values(rollout, value)[going_on], led_to[going_on], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("agent_class", "config"), [(PPO, SMALL), (A2C, A2CConfig(num_envs=4, shared_body=True))])
def test_one_body_learns_from_both_losses_and_resumes_to_the_last_bit(agent_class, config):
    agent, other = make(agent_class, config), make(agent_class, config)
    body = agent.actor_critic.actor.body
    assert body is agent.actor_critic.critic.body
    assert len(agent.actor_critic.policy_flat) == sum(parameter.numel() for parameter in body.parameters())
    before = {name: values.copy() for name, values in agent.parameters().items()}
    agent.step()
    assert all((values != before[name]).any() for name, values in agent.parameters().items())
    other.load_state_dict(agent.state_dict())
    other.seeds.load_state_dict(agent.seeds.state_dict())
    other.progress = agent.progress
    for each in (agent, other):
        each.step()
    assert torch.equal(agent.actor_critic.policy_flat.vector, other.actor_critic.policy_flat.vector)


def test_a_network_with_a_memory_is_refused():
    with pytest.raises(ValueError, match="shared_body is true, and this network carries a memory"):
        make(network=RecurrentNetwork(RecurrentConfig()))
