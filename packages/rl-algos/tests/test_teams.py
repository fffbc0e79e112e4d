"""Teams: worked steps of a hunt, its best return by brute force, mixtures that never fall, and which learner solves which game."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rl_algos.players.mixing import Monotonic
from rl_algos.players.pursuit import CATCH, STEP_COST, Pursuit, PursuitConfig, advance, best_values, escapes
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import build_task, resolve
from rl_core.seeds import Seeds


def learned(agent: str, task: str, seed: int = 0, overrides: tuple[str, ...] = (), budget: int | None = None) -> float:
    learner = resolve(Catalogue.discover(), agent, task=task, overrides=list(overrides), budget=budget).build_agent(Seeds(seed))
    while learner.progress < learner.budget:
        learner.step()
    return learner.evaluate(episodes=20, seeds=Seeds(1))["mean return"]


def test_two_hunters_beside_the_prey_catch_it_and_one_does_not():
    prey = np.array([[2, 2], [2, 2]])
    hunters = np.array([[[0, 2], [2, 4]], [[0, 2], [5, 5]]])
    reward, over = np.zeros(2, np.float32), np.zeros(2, np.bool_)
    advance(hunters, prey, np.array([[2, 3], [2, 1]]), 6, np.zeros((2, 2)), reward, over)  # down and left; down and up
    assert over.tolist() == [True, False]
    assert reward.tolist() == pytest.approx([CATCH - STEP_COST, -STEP_COST])
    assert prey[0].tolist() == [2, 2]
    assert abs(prey[1] - hunters[1]).sum(axis=1).min() == 2


def test_the_prey_in_a_corner_has_no_cell_that_is_farther():
    assert escapes(np.array([[0, 3], [3, 0]]), np.array([0, 0]), 6).tolist() == [True, False, False, False, False]
    assert escapes(np.array([[0, 1], [5, 5]]), np.array([0, 0]), 6).tolist() == [False, False, True, False, False]


def test_a_hunter_sees_what_is_within_its_sight_and_nothing_else():
    task = Pursuit(PursuitConfig(sight=1))
    envs = task.envs(1, Seeds(0))
    envs.reset()
    envs.load_state_dict({**envs.state_dict(), "hunters": np.array([[[0, 0], [5, 5]]]), "prey": np.array([[1, 1]])})
    seen = envs.load_state_dict(envs.state_dict())[0]
    assert seen[0].tolist() == pytest.approx([-1, -1, 1, 0.2, 0.2, 0, 0, 0])
    assert seen[1].tolist() == pytest.approx([1, 1, 0, 0, 0, 0, 0, 0])


def test_no_play_is_better_than_the_best_return_and_one_step_is_exact():
    values = best_values(3, 1)
    prey = 4  # the middle of 3 x 3 cells: hunters who are two moves away from it, in all, catch it at once
    assert values[0, 8, prey] == pytest.approx(CATCH - STEP_COST)
    assert best_values(4, 1)[0, 0, 15] == pytest.approx(-STEP_COST)  # too far
    small = Pursuit(PursuitConfig(size=4, time_limit=6))
    rng = np.random.default_rng(0)
    chance = small.evaluate(lambda obs: rng.integers(5, size=(len(obs), 2)), episodes=200, seeds=Seeds(0))["mean return"]
    assert chance + 1.0 < small.best_return(500) < CATCH


def test_the_mixture_never_falls_when_a_player_s_value_rises_and_forgets_no_player():
    rng = np.random.default_rng(0)
    mixer = Monotonic(3, 4, 8, rng)
    values = torch.from_numpy(rng.standard_normal((64, 3)).astype(np.float32) * 5).requires_grad_()
    mixer(values, torch.from_numpy(rng.standard_normal((64, 4)).astype(np.float32) * 5)).sum().backward()
    assert (values.grad >= 0).all()
    assert (values.grad.max(dim=0).values > 0).all()


def test_qmix_refuses_a_buffer_smaller_than_its_environments():
    with pytest.raises(Exception, match="buffer_size is 8; it must be >= 9"):
        resolve(Catalogue.discover(), "qmix", overrides=["buffer_size=8", "num_envs=8"])


@pytest.mark.learning
def test_qmix_solves_the_two_step_game_of_its_paper_and_the_sum_takes_the_wrong_branch():
    assert learned("qmix", "two-step-game") == 8.0
    assert learned("qmix", "two-step-game", overrides=("mixing=sum",)) == 7.0


@pytest.mark.learning
def test_values_that_fall_slowly_find_the_best_joint_action_that_a_wrong_partner_makes_expensive():
    assert [learned(agent, "climbing-game") for agent in ("hysteretic-q", "independent-q")] == [11.0, 5.0]


@pytest.mark.learning
def test_a_team_learns_to_hunt():
    assert learned("mappo", "pursuit") > 8.0


def test_pettingzoo_games_are_played_with_their_turns_masks_and_rewards_and_continue_exactly(monkeypatch):
    pytest.importorskip("pettingzoo", reason="PettingZoo is not installed; it comes with rl-algos[pettingzoo]")
    pytest.importorskip("pygame", reason="the classic games need pygame, which comes with rl-algos[pettingzoo]")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    task = build_task(Catalogue.discover(), "pettingzoo:classic.tictactoe_v3")
    envs = task.envs(1, Seeds(0))
    envs.reset()
    assert envs.extras()["legal"].sum(axis=2).tolist() == [[9, 1]]  # the second player waits
    for first, second in ((0, 0), (0, 1), (3, 0), (0, 4)):
        after = envs.step(np.array([[first, second]]))
        assert not after.extras["rewards"].any()
    again = task.envs(1, Seeds(0))
    again.load_state_dict(envs.state_dict())
    for played in (envs, again):
        last = played.step(np.array([[6, 0]]))  # the first column is full
        assert last.terminated.tolist() == [True]
        assert last.extras["rewards"].tolist() == [[1.0, -1.0]]
        assert last.extras["legal"].sum(axis=2).tolist() == [[9, 1]]  # of the next game
    with pytest.raises(Exception, match="cannot be imported"):
        build_task(Catalogue.discover(), "pettingzoo:classic.nothing_v0")
