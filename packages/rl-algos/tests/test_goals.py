"""Agents that set goals: what remains of a goal, goals that are corrected, and the maze that they are for."""

from __future__ import annotations

import numpy as np
import pytest

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.hierarchy import u_maze
from rl_algos.hierarchy.feudal import intrinsic_reward
from rl_algos.hierarchy.hiro import HIRO, Decision, corrected, remaining
from rl_algos.hierarchy.td3_level import Experience, TD3Level
from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds


def test_no_point_crosses_the_wall() -> None:
    rng = np.random.default_rng(0)
    points = u_maze.start(rng.random((500, 2)))
    reward, ended = np.zeros(500, np.float32), np.zeros(500, np.bool_)
    lower = np.ones(500, np.bool_)
    for _ in range(200):
        before = points.copy()
        u_maze.move(points, rng.uniform(-1.5, 1.5, (500, 2)), reward, ended)
        assert (np.abs(points) <= 1.0).all()
        assert not any(u_maze.in_wall(*point) for point in points)
        crossed = (before[:, 1] < 0) & (points[:, 1] >= 0)
        assert (points[crossed, 0] >= u_maze.WALL_END).all()
        lower &= points[:, 1] < u_maze.WALL
    assert not lower.all()  # some went around
    assert (reward == ended).all()


def test_the_way_around_the_wall_pays_and_noise_does_not_find_it() -> None:
    point = u_maze.start(np.full((1, 2), 0.5))
    reward, ended = np.zeros(1, np.float32), np.zeros(1, np.bool_)
    for direction, steps in (((1.0, 0.0), 12), ((0.0, 1.0), 12), ((-1.0, 0.0), 11)):
        for _ in range(steps):
            u_maze.move(point, np.array([direction]), reward, ended)
    assert ended[0]
    assert reward[0] == 1.0
    points, arrived = u_maze.start(np.random.default_rng(1).random((2_000, 2))), np.zeros(2_000, np.bool_)
    reward, ended = np.zeros(2_000, np.float32), np.zeros(2_000, np.bool_)
    rng = np.random.default_rng(2)
    for _ in range(100):
        u_maze.move(points, rng.uniform(-1.0, 1.0, (2_000, 2)), reward, ended)
        arrived |= ended
    assert arrived.mean() < 0.01


def test_a_goal_is_corrected_to_the_change_that_a_perfect_worker_would_have_been_asked_for() -> None:
    rng = np.random.default_rng(0)
    batch, steps, goal_range = 6, 5, 2.0
    change = rng.uniform(-0.8, 0.8, (batch, 2))  # in units of the range

    def worker(inputs: np.ndarray) -> np.ndarray:  # goes a fifth of what remains
        return 0.2 * inputs[:, 2:]

    place, left = np.zeros((batch, 2)), change.copy()
    trace = np.zeros((batch, steps, 4))
    count = np.full(batch, steps)
    count[0] = 3  # an episode that ended early
    for step in range(steps):
        action = worker(np.concatenate((place, left), axis=1))
        trace[:, step] = np.concatenate((place, action), axis=1)
        after = place + goal_range * action
        left, place = remaining(left, place, after, goal_range), after
    trace[0, 3:] = 7.0  # not a part of the decision
    zero = np.zeros(batch)
    decision = Decision(np.zeros((batch, 2)), -change, zero, place, zero, count, trace)
    candidates = np.stack((-change, change, *rng.uniform(-1.0, 1.0, (8, batch, 2))), axis=1)
    assert np.allclose(corrected(decision, worker, candidates, goal_range), change)


@pytest.fixture(scope="module")
def agent() -> HIRO:
    config = {"num_envs": 2, "decision_steps": 2, "learning_starts": 4, "random_goal_steps": 8, "buffer_size": 400}
    found = recipe.resolve(Catalogue.discover(), agent="hiro", config=config).build_agent(Seeds(0))
    assert isinstance(found, HIRO)
    return found


def test_a_decision_is_kept_with_the_goal_that_was_set_and_all_that_it_earned(agent: HIRO) -> None:
    goals, places = [], []
    for _ in range(3 * agent.config.decision_steps):
        starts = agent.since == 0
        places.append(agent.obs.copy())
        agent.act()
        if starts.all():  # what remains after the step is the goal, less the step
            moved = (agent.obs - places[-1]) / agent.config.goal_range
            goals.append(agent.goal + moved)
    kept = agent.decisions.state_dict()["rows"].reshape(3, agent.config.num_envs, -1)
    assert np.allclose(kept[..., 2:4], np.stack(goals), atol=1e-5)
    assert np.allclose(kept[:, :, :2], np.stack(places[:: agent.config.decision_steps]))
    assert (kept[..., 8] == agent.config.decision_steps).all()


def test_the_player_sets_a_goal_every_c_steps_and_at_the_start_of_an_episode(agent: HIRO) -> None:
    player = agent.predictor()
    envs = agent.task.envs(2, Seeds(3))
    obs = envs.reset()
    player.begin(np.ones(2, np.bool_))  # type: ignore[attr-defined]
    set_at = []
    for step in range(5):
        if step == 3:
            player.begin(np.array([True, False]))  # type: ignore[attr-defined]
        action = player(obs)
        set_at.append([bool(np.allclose(goal, wanted)) for goal, wanted in zip(player.goal, agent.manager.act(obs), strict=True)])  # type: ignore[attr-defined]
        obs = envs.step(action).obs
    assert [row[0] for row in set_at] == [True, False, True, True, False]
    assert [row[1] for row in set_at] == [True, False, True, False, True]


def test_a_goal_of_more_numbers_than_an_observation_is_refused() -> None:
    resolved = recipe.resolve(Catalogue.discover(), agent="hiro", config={"goal_size": 3})
    with pytest.raises(RequestError, match="goal_size is 3; it must be at most 2"):
        resolved.build_agent(Seeds(0))


def test_a_level_learns_by_the_same_numbers_with_derivatives_written_out_as_by_torch() -> None:
    levels = []
    for fast in (True, False):
        network = MLP(MLPConfig(hidden=(8,), activation="relu", fast=fast))
        levels.append(TD3Level(network, 3, 2, learning_rate=0.01, target_rate=0.1, seeds=Seeds(0), penalty=0.5))
    assert [level.fast is not None for level in levels] == [True, False]
    rng = np.random.default_rng(0)
    for _ in range(4):
        drawn = [rng.standard_normal(shape).astype(np.float32) for shape in ((5, 3), (5, 2), (5,), (5,), (5, 3))]
        fast, slow = (level.update(Experience(*drawn)) for level in levels)
        assert fast == pytest.approx(slow, rel=1e-4)
    for quick, plain in zip(levels[0].module.parameters(), levels[1].module.parameters(), strict=True):
        assert np.allclose(quick.detach().numpy(), plain.detach().numpy(), atol=1e-4)


def test_pay_for_directions_stops_at_the_start_of_an_episode() -> None:
    rng = np.random.default_rng(0)
    horizon, steps = 3, 4
    states, goals = rng.standard_normal((2, horizon + steps, 1, 2))
    after = rng.standard_normal((steps, 1, 2))
    ages = np.array([[5], [6], [0], [1]])  # an episode begins at the third step
    expected = np.zeros(steps)
    for step in range(steps):
        for back in range(1, min(horizon, ages[step, 0] + 1) + 1):
            way, goal = after[step, 0] - states[horizon + step + 1 - back, 0], goals[horizon + step + 1 - back, 0]
            expected[step] += way @ goal / np.linalg.norm(way) / np.linalg.norm(goal) / horizon
    assert np.allclose(intrinsic_reward(states, after, goals, ages)[:, 0], expected, atol=1e-6)


def test_the_manager_learns_towards_where_the_state_went_c_steps_later_within_an_episode() -> None:
    agent = recipe.resolve(
        Catalogue.discover(), agent="feudal", config={"num_envs": 1, "rollout_steps": 5, "horizon": 2, "goal_size": 1}
    ).build_agent(Seeds(0))
    states, after = np.arange(7.0).reshape(7, 1, 1), 10.0 + np.arange(5.0).reshape(5, 1, 1)
    over = np.array([[False], [False], [True], [False], [False]])
    way, known = agent.ways(states, after, over)  # type: ignore[attr-defined]
    assert known[:, 0].tolist() == [True, True, False, True, False]  # the third crosses an end, the last leads out of the rollout
    assert way[known].ravel().tolist() == [11.0 - 2.0, 12.0 - 3.0, 14.0 - 5.0]
