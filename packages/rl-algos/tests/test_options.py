"""Options: their models, values over them, and endings that belong to the option that ran."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_algos.hierarchy.four_rooms import FourRooms, FourRoomsConfig
from rl_algos.hierarchy.option_critic import OptionCritic, OptionCriticConfig, learn
from rl_algos.hierarchy.options import model_of, plan, primitive, together
from rl_algos.hierarchy.smdp_q_learning import OptionPlayer, SMDPConfig, SMDPQLearning
from rl_algos.tabular.learner import Sample
from rl_core.seeds import Seeds


@pytest.fixture(scope="module")
def rooms() -> FourRooms:
    return FourRooms(FourRoomsConfig())


def built(kind: type, config: Any, task: Any) -> Any:
    return kind(config, task, None, seeds=Seeds(0), budget=10_000)


def test_the_rooms_have_104_cells_and_a_way_of_12_steps_on_average(rooms: FourRooms) -> None:
    assert rooms.free.sum() == 104
    values = np.zeros(rooms.mdp.num_states)
    for _ in range(300):
        values = rooms.mdp.action_values(values).max(axis=1)
    process = rooms.mdp.under(rooms.mdp.action_values(values).argmax(axis=1))
    walk = getattr(process.transition, "toarray", lambda: process.transition)()
    inside = np.flatnonzero(rooms.mdp.start)
    steps = np.linalg.solve(np.eye(len(inside)) - walk[np.ix_(inside, inside)], np.ones(len(inside)))
    assert steps.mean() == pytest.approx(12.1, abs=0.15)


def test_the_model_of_an_action_is_its_row_and_of_an_option_the_discounted_way(rooms: FourRooms) -> None:
    options = primitive(rooms.mdp.num_states, 4)
    reward, reach = model_of(rooms.mdp, options.policy[1], options.termination[1])
    assert np.allclose(reward, rooms.mdp.expected_reward[:, 1])
    assert np.allclose(reach.sum(axis=1), rooms.mdp.discount * (1 - reward))  # but for the goal, which ends the episode
    still = FourRooms(FourRoomsConfig(slip=0.0))
    way = still.options()
    start, door = 1 * 13 + 1, 6 * 13 + 2  # from the upper left corner to the door in the west: six steps
    assert model_of(still.mdp, way.policy[0], way.termination[0])[1][start, door] == pytest.approx(0.99**6)


def test_options_carry_values_a_room_a_sweep(rooms: FourRooms) -> None:
    actions = primitive(rooms.mdp.num_states, 4)
    inside = rooms.mdp.start > 0
    slow, fast = plan(rooms.mdp, actions, 3)[-1], plan(rooms.mdp, together(rooms.options(), actions), 3)[-1]
    assert (fast[inside] > 0.01).all()
    assert (slow[inside] > 0.01).mean() < 0.3
    best = plan(rooms.mdp, actions, 300)[-1]
    assert (fast <= best + 1e-9).all()  # options cannot do better than actions


def test_an_ending_is_judged_where_it_was_entered_with_the_option_that_ran(rooms: FourRooms) -> None:
    agent = built(OptionCritic, OptionCriticConfig(num_options=2), rooms)
    agent.memory.q[...] = np.random.default_rng(0).random(agent.memory.q.shape)
    agent.memory.option[0] = 1
    before = agent.memory.ending.copy()
    learn(agent.memory, Sample(14, 1, 0.0, 15, False, False), 0, np.random.default_rng(0))
    moved = np.argwhere(agent.memory.ending != before)
    assert moved.tolist() == [[1, 15]]
    agent.memory.option[0] = 0
    learn(agent.memory, Sample(14, 1, 1.0, 15, True, True), 0, np.random.default_rng(0))
    assert np.argwhere(agent.memory.ending != before).tolist() == [[1, 15]]  # none at the end of an episode


def test_a_player_follows_an_option_to_its_end(rooms: FourRooms) -> None:
    options = rooms.options()
    worth = np.where(options.initiation.T, np.arange(8.0), -np.inf)
    player = OptionPlayer(worth, options)
    player.begin(np.array([True]))
    corner = np.array([14])
    first = player(corner)
    assert first[0] == options.policy[1][14]  # of the two options of this room the second is worth more
    worth[:, 0] = 100.0  # and it is not left for a better one on the way
    assert player(corner)[0] == options.policy[1][14]


@pytest.mark.learning
def test_options_reach_the_goal_sooner_than_actions_at_first(rooms: FourRooms) -> None:
    first = {}
    for name, config in (("smdp", SMDPConfig()), ("intra", SMDPConfig(learning="intra-option"))):
        agent = built(SMDPQLearning, config, rooms)
        agent.learn(4_000)
        first[name] = np.mean([length for _, _, length in agent.envs.pop_episodes()][:20])
    agent = built(OptionCritic, OptionCriticConfig(), rooms)
    agent.learn(60_000)
    lengths = [length for _, _, length in agent.envs.pop_episodes()]
    assert max(first.values()) < 60 < np.mean(lengths[:20])
    assert np.mean(lengths[900:1000]) < 16
