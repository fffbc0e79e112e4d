"""The league: points by hand, ratings that come back, and members that are kept as they were."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.games import tic_tac_toe
from rl_algos.games.opponents import random_moves
from rl_algos.self_play.league import elo_ratings, points_of
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds


def test_points_of_perfect_players_are_halves_and_against_random_play_those_of_the_exact_value():
    rng, rules = np.random.default_rng(0), tic_tac_toe.RULES
    assert points_of(rules, tic_tac_toe.perfect, tic_tac_toe.perfect, 20, rng) == 10.0
    won = points_of(rules, tic_tac_toe.perfect, random_moves(rules), 400, rng)
    lost = points_of(rules, random_moves(rules), tic_tac_toe.perfect, 400, rng)
    assert won / 400 == pytest.approx(0.87 + 0.13 / 2, abs=0.05)
    assert lost / 400 == pytest.approx(1 - won / 400, abs=0.05)


def test_ratings_that_made_the_points_are_found_again():
    true = np.array([0.0, 120.0, -80.0, 300.0])
    expected = 1.0 / (1.0 + 10.0 ** ((true[None] - true[:, None]) / 400.0))
    points = 100.0 * expected
    np.fill_diagonal(points, 0.0)
    assert elo_ratings(points, prior=0.0) == pytest.approx(true, abs=0.1)


def test_the_learner_joins_its_league_and_every_pair_has_met():
    tiny = ["num_envs=4", "rollout_steps=8", "num_epochs=1", "batch_size=16", "members=2", "games_per_pair=6"]
    learner = resolve(Catalogue.discover(), "league", overrides=tiny, budget=128).build_agent(Seeds(0))
    first = learner.selves[0].copy()
    while learner.progress < learner.budget:
        learner.step()
    assert learner.num_members == 3
    assert (learner.points + learner.points.T + 6 * np.eye(3) == 6).all()
    assert (learner.selves[0] == first).all()
    assert (learner.selves[2] != first).any()
