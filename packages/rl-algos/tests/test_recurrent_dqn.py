"""DQN with a memory: the rows that it replays, the states that it begins with, and what it can recall."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from rl_algos.q_learning.dqn import DQN, DQNConfig
from rl_algos.replay import buffer as replay
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import MaskedCartPole
from rl_core.runs.checkpoint import Block
from rl_core.seeds import Seeds

SMALL = DQNConfig(
    num_envs=3, rollout_steps=4, learning_starts=0, buffer_size=60, batch_size=12, sequence_steps=4, burn_in_steps=3, target_steps=24,
    discount=0.9, return_steps=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_agent(cell="lstm", config=SMALL, task=None, seeds=None, **network):
    network = RecurrentNetwork(RecurrentConfig(cell, **{"units": 6, **network}))
    task = task or MaskedCartPole(ArrayTaskConfig(time_limit=5))
    return DQN(config, task, network, seeds=seeds or Seeds(0), budget=1_000, device="cpu")


def play(agent, num_steps):
    """Act without learning; the rows of each ring: the episode up to there, the action, the reward, whether it ended."""
    rows = [[] for _ in range(agent.config.num_envs)]
    history = [[] for _ in rows]
    step = agent.envs.step

    def watched(actions):
        obs, after = agent.obs, step(actions)
        for n, ring in enumerate(rows):
            history[n].append(obs[n])
            ring.append((list(history[n]), int(actions[n]), after.reward[n], bool(after.terminated[n])))
            if after.terminated[n] or after.truncated[n]:
                ring.append(([*history[n], after.final_obs[n]], None, 0.0, False))
                history[n] = []
        return after

    agent.envs.step = watched
    for _ in range(num_steps):
        agent.act()
    agent.envs.step = step
    return rows


def q_after(network, observations):
    inputs = torch.from_numpy(np.stack(observations))[:, None]
    with torch.no_grad():
        return network(inputs, network.initial_state(1), torch.zeros(len(inputs), 1, dtype=torch.bool))[0][-1, 0].numpy()


def all_windows(agent):
    """Slots [W, B] of every sequence, with the ring and the first row of each."""
    oldest, end = agent.replay.bounds()
    length = agent.config.burn_in_steps + agent.config.sequence_steps + agent.config.return_steps
    places = [(n, first) for n in range(len(oldest)) for first in range(oldest[n], end[n] - length + 1)]
    ring, first = np.array(places).T
    return places, ring * agent.replay.num_rows + (first + np.arange(length)[:, None]) % agent.replay.num_rows


@pytest.mark.parametrize("num_steps", [13, 40], ids=["filling", "around the ring"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_is_replayed_is_what_acted_over_ends_and_around_the_ring(cell, num_steps):
    agent = make_agent(cell)
    rows = play(agent, num_steps)
    places, slots = all_windows(agent)
    assert len(places) == agent.replay.num_sequences > 0
    replayed = agent.replay.read_sequences(slots)
    network = agent.module
    with torch.no_grad():
        q, _ = network(*map(torch.from_numpy, (replayed.obs, replayed.state, replayed.starts)))
    for column, (ring, first) in enumerate(places):
        for w in range(len(slots)):
            np.testing.assert_allclose(q[w, column], q_after(network, rows[ring][first + w][0]), atol=1e-5)


def test_targets_look_two_rewards_ahead_and_stop_at_an_end():
    agent = make_agent(config=dataclasses.replace(SMALL, double=True))
    rows = play(agent, 30)
    for name, parameter in agent.target.named_parameters():  # another network, so that it is seen which one values and which chooses
        parameter.data += 0.1 * torch.from_numpy(np.random.default_rng(len(name)).normal(size=parameter.shape).astype(np.float32))
    places, slots = all_windows(agent)
    replayed = agent.replay.read_sequences(slots)
    target, module = agent.target, agent.module
    with torch.no_grad():  # the stored state is the acting network's; behind it each network goes its own way
        inputs, state, starts = map(torch.from_numpy, (replayed.obs, replayed.state, replayed.starts))
        q_target, q = target(inputs, state, starts)[0].numpy(), module(inputs, state, starts)[0].numpy()
    expected = np.zeros(replayed.action.shape)
    for column, (ring, first) in enumerate(places):
        for t in range(4):
            row = first + 3 + t
            _, action, total, ended = rows[ring][row]
            if action is None:
                continue
            ahead, discount = 1, 0.0 if ended else 0.9
            if rows[ring][row + 1][1] is not None:  # two steps in the same episode
                total, ahead = total + 0.9 * rows[ring][row + 1][2], 2
                discount = 0.0 if rows[ring][row + 1][3] else 0.81
            choice = q[3 + t + ahead, column].argmax()
            expected[t, column] = q[3 + t, column, action] - total - discount * q_target[3 + t + ahead, column, choice]
    update = agent.update(replayed, np.ones(replayed.obs.shape[1], np.float32))
    np.testing.assert_allclose(update.td_error, expected, atol=1e-5)
    counted = np.array([[rows[ring][first + 3 + t][1] is not None for ring, first in places] for t in range(4)])
    assert not counted.all()
    huber = np.where(np.abs(expected) <= 1, 0.5 * expected**2, np.abs(expected) - 0.5)
    assert update.loss == pytest.approx(huber[counted].mean(), rel=1e-4)


def test_no_gradient_reaches_the_burn_in():
    agent = make_agent(before=(3,))
    play(agent, 30)
    replayed = agent.replay.read_sequences(all_windows(agent)[1][:, :1])
    inside = replayed._replace(obs=replayed.obs.copy(), starts=np.zeros_like(replayed.starts))
    inside.obs[3:] = 0.0  # nothing of the learned rows passes the layer before the recurrence
    inside.obs[:3] = 1.0
    agent.update(inside, np.ones(1, np.float32))
    layer = agent.module.before[0]
    assert not layer.weight.grad.any()
    assert layer.bias.grad.any()


def test_every_sequence_is_drawn_as_often_as_another():
    agent = make_agent()
    play(agent, 30)
    places, slots = all_windows(agent)
    drawn = [agent.replay.draw(agent.draws, 300 * agent.config.sequence_steps)[0] for _ in range(20)]
    counts = {tuple(column): 0 for column in slots.T}
    for column in np.concatenate(drawn, axis=1).T:
        counts[tuple(column)] += 1
    mean = 6_000 / len(places)
    assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())  # five deviations


@pytest.mark.parametrize("in_blocks", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_resumed_run_continues_to_the_last_bit(monkeypatch, cell, in_blocks, assert_same):
    if in_blocks:
        monkeypatch.setattr(replay, "BLOCK_BYTES", 512)
    config = dataclasses.replace(SMALL, dueling=True, double=True, num_updates=2, burn_in_steps=0)  # a burn-in would cover a wrong state
    seeds = Seeds(5)
    agent = make_agent(cell, config, seeds=seeds)
    for _ in range(8):
        agent.step()
    state, streams = agent.state_dict(), seeds.state_dict()
    assert state["state"].any()
    pieces = [piece for ring in state["replay"]["rings"] for piece in ring]
    assert any(isinstance(piece, Block) for piece in pieces) is in_blocks
    assert sum(piece.nbytes for piece in pieces if not isinstance(piece, Block)) < (2_000 if in_blocks else 10_000)
    state = copy.deepcopy(state)  # blocks are views, which the run that goes on writes over
    expected = [agent.step() for _ in range(3)]  # less than once around the ring

    other_seeds = Seeds(5)
    other = make_agent(cell, config, seeds=other_seeds)
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = 96
    assert [other.step() for _ in range(3)] == expected
    assert_same(other.state_dict(), agent.state_dict())


def test_a_step_changes_every_parameter_and_an_evaluation_none():
    agent, twin = make_agent(), make_agent()
    for one in (agent, twin):
        for _ in range(6):
            one.step()
    before = {name: value.copy() for name, value in agent.parameters().items()}
    agent.evaluate(episodes=5, seeds=agent.seeds)
    obs = np.zeros((4, 2), np.float32)
    player = agent.predictor()
    player.begin(np.ones(4, dtype=bool))
    np.testing.assert_array_equal(player(obs), agent.predict(obs))
    assert agent.step() == twin.step()
    for name, value in agent.parameters().items():
        assert (value != before[name]).any(), name


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prioritised": True}, r"prioritised is true, and the network is recurrent, which learns from plain sequences"),
        ({"stack_axis": 0}, r"stack_axis is 0, and the network is recurrent"),
        ({"sequence_steps": 0}, r"sequence_steps is 0; it must be in \[1, 100000\]"),
        ({"burn_in_steps": -1}, r"burn_in_steps is -1; it must be in \[0, 100000\]"),
        ({"buffer_size": 20}, r"buffer_size is 20; it must be at least 27: 9 rows"),
    ],
)
def test_what_cannot_be_is_refused_in_words(setting, message):
    with pytest.raises(ValueError, match=message):
        make_agent(config=dataclasses.replace(SMALL, **setting))


def recalled(task, network):
    config = DQNConfig(
        num_envs=8, rollout_steps=2, learning_starts=200, buffer_size=4_000, batch_size=128, sequence_steps=8, burn_in_steps=4,
        learning_rate=5e-3, discount=0.95, target_steps=400,
    )  # fmt: skip
    agent = DQN(config, task, network, seeds=Seeds(0), budget=4_000, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    return agent.evaluate(episodes=200, seeds=agent.seeds)["mean return"]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_cue_is_recalled_exactly_after_five_steps(cell, recall):
    assert recalled(recall(5), RecurrentNetwork(RecurrentConfig(cell, units=16))) == 1.0


def test_without_a_memory_a_cue_is_guessed(recall):
    # 200 fair guesses of +-1: a mean beyond 0.28 comes up once in 13,000.
    assert abs(recalled(recall(5), MLP(MLPConfig(hidden=(16,))))) < 0.28
