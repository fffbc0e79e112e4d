"""Policies with a memory: what they replay is what acted, an episode's end is forgotten, a rollout's end is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from rl_algos.on_policy.a2c import A2C, A2CConfig
from rl_algos.on_policy.a3c import A3C, A3CConfig
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.on_policy.reinforce import Reinforce, ReinforceConfig
from rl_algos.parts.recurrence import Sequences, Unroller, sequence_minibatches
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole, MaskedCartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core import learn
from rl_core.cli.cli import cli
from rl_core.gym_task import GymConfig, GymTask
from rl_core.network import Network
from rl_core.seeds import Seeds

SMALL = PPOConfig(num_envs=3, rollout_steps=8, num_epochs=2, batch_size=8, normalise_obs=True)
CELLS = ("rnn", "gru", "lstm")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_agent(cell="lstm", config=SMALL, task=None, seeds=None, time_limit=5, agent=PPO, **network):
    network = RecurrentNetwork(RecurrentConfig(cell, **{"units": 6, **network}))
    task = task or MaskedCartPole(ArrayTaskConfig(time_limit=time_limit))
    return agent(config, task, network, seeds=seeds or Seeds(0), budget=1_000, device="cpu")


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_replayed_is_what_acted(cell):
    agent = make_agent(cell)
    for _ in range(3):
        acted, advance = [], agent.actor_critic.advance
        agent.actor_critic.advance = lambda inputs, state, acted=acted, advance=advance: acted.append(advance(inputs, state)) or acted[-1]
        rollout = agent.collector.collect(agent.actor_critic, 8)
        agent.actor_critic.advance = advance
        assert rollout.over.any()
        batch = agent.estimate(rollout, 0.9)
        heads = np.concatenate([head for head, _ in acted])
        np.testing.assert_allclose(agent.actor_critic.head(batch.inputs), heads, atol=1e-6)
        shifted = heads - np.log(np.exp(heads).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(batch.log_prob, np.take_along_axis(shifted, batch.action[:, None], 1)[:, 0], atol=1e-6)


@pytest.mark.parametrize("task", [MaskedCartPole, Pendulum])
def test_the_first_minibatch_finds_the_policy_that_collected(task):
    agent = make_agent(config=replace(SMALL, num_epochs=1, batch_size=24), task=task(ArrayTaskConfig(time_limit=5)))
    for _ in range(3):
        metrics = agent.step()
        assert metrics["updates"] == 1
        assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
        assert metrics["clip_fraction"] == 0.0


@pytest.mark.parametrize("cell", CELLS)
def test_values_are_those_of_each_episode_alone_over_cuts_ends_and_rollouts(cell):
    # Each value, and each bootstrap, must be the critic's after the observations of its own episode from the first on: cut ones
    # (a limit of 5 steps) and those that span two rollouts of 8.
    agent = make_agent(cell, replace(SMALL, discount=0.9, gae_lambda=0.0, normalise_obs=False))
    critic = agent.actor_critic.critic.network
    history = [[] for _ in range(3)]

    def value(observations):
        inputs = torch.from_numpy(np.stack(observations))[:, None]
        with torch.no_grad():
            return critic(inputs, critic.initial_state(1), torch.zeros(len(inputs), 1, dtype=torch.bool))[0][-1, 0, 0].item()

    for _ in range(3):
        rollout = agent.collector.collect(agent.actor_critic, 8)
        batch = agent.estimate(rollout, 0.0)
        bootstrap = (batch.advantage - rollout.reward.ravel() + batch.value) / 0.9
        for t in range(8):
            for n in range(3):
                history[n].append(rollout.obs[t, n])
                assert batch.value[3 * t + n] == pytest.approx(value(history[n]), abs=1e-5)
                expected = 0.0 if rollout.terminated[t, n] else value([*history[n], rollout.final_obs[t, n]])
                assert bootstrap[3 * t + n] == pytest.approx(expected, abs=1e-4)
                history[n] = [] if rollout.over[t, n] else history[n]
        assert rollout.truncated.any()
    assert not rollout.over[-1].all()


def test_an_update_does_not_depend_on_the_order_of_the_environments():
    agents = [make_agent(), make_agent()]
    columns = []
    for agent, envs in zip(agents, (np.arange(3), np.array([2, 0, 1])), strict=True):
        batch = agent.estimate(agent.collector.collect(agent.actor_critic, 8), 0.9)
        agent.optimiser.learning_rate = 0.1
        agent.update(batch.take((3 * np.arange(8)[:, None] + envs).ravel()), 0.2)
        columns.append(agent.parameters())
    for name, value in columns[0].items():
        np.testing.assert_allclose(value, columns[1][name], atol=1e-4, err_msg=name)


def test_minibatches_hold_whole_environments_in_the_order_of_time():
    batches = list(sequence_minibatches(np.random.default_rng(0), num_steps=4, num_envs=6, batch_size=8, num_epochs=2))
    assert [len(indices) for indices in batches] == [8] * 6
    for indices in batches:
        steps = indices.reshape(4, 2)
        assert (steps // 6 == np.arange(4)[:, None]).all()
        assert (steps % 6 == steps[0] % 6).all()
    epochs = [np.concatenate(batches[:3]), np.concatenate(batches[3:])]
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()
    assert len(list(sequence_minibatches(np.random.default_rng(0), 4, 2, batch_size=2, num_epochs=1))) == 2  # no less than an environment


@pytest.mark.parametrize("indices", [[0, 2, 1, 3, 4, 5], [3, 4, 5, 0, 1, 2], [0, 4, 2], [1, 3, 4]], ids=str)
def test_transitions_that_are_no_sequences_are_refused(indices):
    sequences = Sequences(np.zeros((6, 1)), np.zeros(6, bool), np.zeros((6, 1)), 3 if len(indices) == 3 else 2)
    with pytest.raises(ValueError, match=r"the transitions are not whole sequences of \d steps in order"):
        sequences[np.array(indices)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("kind", "config"), [(PPO, SMALL), (A2C, A2CConfig(num_envs=3, rollout_steps=8))], ids=["ppo", "a2c"])
def test_a_resumed_run_continues_to_the_last_bit(cell, kind, config):
    seeds = Seeds(5)
    agent = make_agent(cell, config, seeds=seeds, agent=kind)
    for _ in range(3):
        agent.step()
    state, streams = agent.state_dict(), seeds.state_dict()
    assert state["collector"]["state"].any()
    expected = [agent.step() for _ in range(3)]

    other_seeds = Seeds(5)
    other = make_agent(cell, config, seeds=other_seeds, agent=kind)
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = 72
    assert [other.step() for _ in range(3)] == expected
    for name, value in other.parameters().items():
        np.testing.assert_array_equal(value, agent.parameters()[name])
    np.testing.assert_array_equal(other.collector.state, agent.collector.state)


def test_a_step_changes_every_parameter_of_any_cell_and_input():
    for cell, task in (("rnn", GymTask(GymConfig(id="FrozenLake-v1"))), ("gru", Pendulum(ArrayTaskConfig())), ("lstm", None)):
        config = replace(SMALL, normalise_obs=False, entropy_weight=0.01)
        agent = make_agent(cell, config, task, before=(4,), after=(4,))
        before = {name: value.copy() for name, value in agent.parameters().items()}
        metrics = agent.step()
        assert all(np.isfinite(number) for number in metrics.values())
        for name, value in agent.parameters().items():
            assert (value != before[name]).any(), (cell, name)


def test_an_evaluation_remembers_each_episode_and_touches_nothing():
    left, right = make_agent(), make_agent()
    left.step(), right.step()
    obs = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    player, again = left.predictor(), left.predictor()
    player.begin(np.ones(4, bool)), again.begin(np.ones(4, bool))
    first = player(obs[0])
    np.testing.assert_array_equal(first, left.predict(obs[0]))
    np.testing.assert_array_equal(first, again(obs[0]))
    second = player._state.copy()
    player.begin(np.array([True, False, False, False]))
    assert not player._state[0].any()
    np.testing.assert_array_equal(player._state[1:], second[1:])
    left.evaluate(episodes=5, seeds=left.seeds)
    assert left.step() == right.step()
    assert left.seeds.state_dict() == right.seeds.state_dict()


def test_an_agent_that_carries_no_state_refuses_a_recurrent_network():
    class Forgetful(PPO):
        carries_state = False

    for agent, config in ((Forgetful, SMALL), (Reinforce, ReinforceConfig())):
        with pytest.raises(
            ValueError, match=r"network lstm needs an agent that carries its state from step to step, and this one does not"
        ):
            make_agent(config=config, agent=agent)


class Echo(torch.nn.Module):
    """A stranger's stepped module on torch's own LSTM cell; it knows nothing of the recurrent networks here."""

    state_size = 8

    def __init__(self, num_inputs, num_outputs):
        super().__init__()
        self.cell, self.head = torch.nn.LSTMCell(num_inputs, 4), torch.nn.Linear(4, num_outputs)

    def forward(self, inputs, state, starts):
        outputs = []
        for row, start in zip(inputs, starts, strict=True):
            state = torch.where(start[:, None], torch.zeros_like(state), state)
            state = torch.cat(self.cell(row, state.split(4, dim=1)), dim=1)
            outputs.append(self.head(state[:, :4]))
        return torch.stack(outputs), state


class EchoNetwork(Network):
    Config = dict
    stateful = True

    def build(self, input_space, output_space, rng):
        raise ValueError("it needs an agent that carries its state")

    def build_stepped(self, input_space, output_space, rng):
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            return Echo(input_space.shape[0], output_space.n if hasattr(output_space, "n") else output_space.shape[0])


@pytest.mark.parametrize(("kind", "config"), [(PPO, SMALL), (A2C, A2CConfig(num_envs=3, rollout_steps=8))], ids=["ppo", "a2c"])
def test_a_stranger_s_lstm_is_trained(kind, config):
    agent = kind(config, MaskedCartPole(ArrayTaskConfig(time_limit=5)), EchoNetwork({}), seeds=Seeds(0), budget=1_000, device="cpu")
    assert agent.path == "torch: Echo has no fast path"
    before = {name: value.copy() for name, value in agent.parameters().items()}
    metrics = agent.step()
    if kind is PPO:
        assert abs(metrics["policy_loss"]) < 1.0
    assert agent.collector.state.shape == (3, 16)
    assert all((value != before[name]).any() for name, value in agent.parameters().items())
    player = agent.predictor()
    player.begin(np.ones(4, bool))
    player(np.ones((4, 2), np.float32))
    assert player._state.any()


@pytest.mark.learning
def test_a_stranger_s_lstm_recalls_a_cue(recall):
    assert recalled(recall(3), EchoNetwork({}), config=replace(RECALLING, learning_rate=2e-2), budget=12_000) > 0.9


def test_one_worker_of_a3c_is_a2c_with_a_memory_too():
    ours = make_agent(config=A3CConfig(num_workers=1, num_envs=3, rollout_steps=8, rollouts_per_step=2), agent=A3C)
    theirs = make_agent(config=A2CConfig(num_envs=3, rollout_steps=8), agent=A2C)
    ours.step(), theirs.step(), theirs.step()
    for name, value in theirs.parameters().items():
        np.testing.assert_allclose(ours.parameters()[name], value, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(ours.agent.collector.state, theirs.collector.state, atol=1e-5)
    players = ours.predictor(), theirs.predictor()
    for player in players:
        player.begin(np.ones(4, dtype=bool))
        player(np.ones((4, 2), np.float32))
    np.testing.assert_allclose(players[0]._state, players[1]._state, atol=1e-5)


def test_actor_and_critic_keep_their_states_side_by_side():
    agent = make_agent(units=4)
    assert isinstance(agent.actor_critic.actor, Unroller)
    before = agent.collector.state.copy()
    assert before.shape == (3, 16)
    agent.actor_critic.critic.network.cells.forwards[0].weight.data += 1.0
    agent.collector.collect(agent.actor_critic, 2)
    moved = agent.collector.state
    other = make_agent(units=4)
    other.collector.collect(other.actor_critic, 2)
    np.testing.assert_array_equal(moved[:, :8], other.collector.state[:, :8])
    assert (moved[:, 8:] != other.collector.state[:, 8:]).any()


def test_a_masked_pole_moves_as_the_one_in_full_view():
    tasks = CartPole(ArrayTaskConfig()), MaskedCartPole(ArrayTaskConfig())
    full, masked = (task.envs(5, Seeds(0)) for task in tasks)
    assert tasks[1].input_space.shape == (2,)
    np.testing.assert_array_equal(full.reset()[:, ::2], masked.reset())
    rng = np.random.default_rng(0)
    for _ in range(100):
        actions = rng.integers(0, 2, 5)
        left, right = full.step(actions), masked.step(actions)
        np.testing.assert_array_equal(left.obs[:, ::2], right.obs)
        np.testing.assert_array_equal(left.final_obs[:, ::2], right.final_obs)
        for name in ("reward", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


RECALLING = PPOConfig(
    num_envs=16, rollout_steps=8, num_epochs=8, batch_size=64, learning_rate=1e-2, gae_lambda=1.0, discount=1.0, entropy_weight=0.01
)


def recalled(task, network, config=RECALLING, kind=PPO, budget=6_000):
    agent = kind(config, task, network, seeds=Seeds(0), budget=budget, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    return agent.evaluate(episodes=200, seeds=agent.seeds)["mean return"]


@pytest.mark.parametrize(("cell", "entropy_weight"), [("gru", 0.05), ("lstm", 0.1)])  # chosen on seeds from 100 on
def test_a_cue_is_recalled_exactly_after_five_steps(cell, entropy_weight, recall):
    # The episode is 6 steps and a rollout 8: most cues must be carried over the end of a rollout.
    config = replace(RECALLING, entropy_weight=entropy_weight)
    assert recalled(recall(5), RecurrentNetwork(RecurrentConfig(cell, units=16)), config=config) == 1.0


def test_a2c_recalls_a_cue_too(recall):
    config = A2CConfig(num_envs=16, rollout_steps=8, learning_rate=3e-3, discount=1.0, entropy_weight=0.01)
    assert recalled(recall(5), RecurrentNetwork(RecurrentConfig("lstm", units=16)), config=config, kind=A2C, budget=60_000) == 1.0


def test_without_a_memory_a_cue_is_guessed(recall):
    # 200 fair guesses of +-1: a mean beyond 0.28 comes up once in 13,000.
    assert abs(recalled(recall(5), MLP(MLPConfig(hidden=(16,))))) < 0.28


@pytest.mark.learning
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("network", "least", "most"), [("lstm", 450.0, 500.0), ("mlp", 0.0, 200.0)])
def test_a_pole_whose_velocities_are_hidden_takes_a_memory(network, least, most, tmp_path):
    # Seeds 0 to 4 are in benchmarks/deep_scores.md; this is another one.
    assert least <= learn("ppo", task="masked-CartPole-v1", network=network, seed=102, out=tmp_path / "run").score <= most


def test_a_network_that_carries_a_state_is_shown_for_one_step() -> None:
    done = CliRunner().invoke(cli, ["show", "lstm", "--task", "CartPole-v1"])
    assert "cells.forwards.0.projection  Linear" in done.stdout
