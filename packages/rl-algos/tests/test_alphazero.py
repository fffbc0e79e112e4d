"""AlphaZero: what is learned from a finished game, and that play becomes perfect."""

from __future__ import annotations

import numpy as np
import pytest

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.games import tic_tac_toe
from rl_algos.games.task import GameConfig, TicTacToe
from rl_algos.self_play.alphazero import AlphaZero, AlphaZeroConfig
from rl_algos.self_play.positions import Positions
from rl_core.seeds import Seeds


def make(seed=0, **settings):
    network = MLP(MLPConfig(hidden=(64, 64), activation="relu"))
    return AlphaZero(AlphaZeroConfig(**settings), TicTacToe(GameConfig()), network, seeds=Seeds(seed), budget=30_000)


def test_a_result_belongs_to_the_player_who_moved():
    """x: 0 1 2, o: 3 4; the winner's positions are worth 1, the loser's -1."""
    positions = Positions(16, 1, tic_tac_toe.RULES)
    for cell in (0, 3, 1, 4, 2):
        ended = positions.play(np.array([cell]), np.eye(9, dtype=np.float32)[[cell]], np.array([0.5]))
    assert (ended.results, ended.lengths) == ([1.0], [5])
    boards, shares, results = (ring[:5] for ring in positions._known)
    assert results.tolist() == [1, -1, 1, -1, 1]
    assert shares.argmax(axis=1).tolist() == [0, 3, 1, 4, 2]
    assert boards[4].tolist() == [1, 1, 0, -1, -1, 0, 0, 0, 0]
    assert not positions.boards.any()  # the next game


def test_a_position_may_be_worth_a_mean_of_the_result_and_of_its_search():
    """A quarter of what the searches held the positions to be worth, and three quarters of the result."""
    positions = Positions(16, 1, tic_tac_toe.RULES, search_share=0.25)
    for cell, value in zip((0, 3, 1, 4, 2), (0.0, -0.2, 0.4, -0.6, 1.0), strict=True):
        positions.play(np.array([cell]), np.eye(9, dtype=np.float32)[[cell]], np.array([value]))
        again = Positions(16, 1, tic_tac_toe.RULES, search_share=0.25)
        again.load_state_dict(positions.state_dict())
        positions = again
    assert positions._known[2][:5].tolist() == pytest.approx([0.75, -0.8, 0.85, -0.9, 1.0])


def test_a_search_without_a_learned_network_takes_a_win():
    agent = make(num_simulations=50)
    position = np.array([[1, 1, 0, -1, -1, 0, 0, 0, 0]], np.int8)
    assert agent.predict(tic_tac_toe.RULES.planes(position)).tolist() == [2]


@pytest.mark.learning
def test_tic_tac_toe_is_drawn_against_perfect_play():
    agent = make(num_simulations=40, random_moves=6)
    while agent.progress < 100_000:
        agent.step()
    scores = TicTacToe(GameConfig(opponent="perfect")).evaluate(agent.predict, episodes=200, seeds=Seeds(1))
    assert scores["lost"] <= 0.01
