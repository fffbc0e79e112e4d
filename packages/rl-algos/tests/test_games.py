"""Board games: the rules, the opponents, and the searches of many trees in step."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.games import connect_four, tic_tac_toe
from rl_algos.games.opponents import Rollouts, random_moves, searching
from rl_algos.games.task import ConnectFour, GameConfig, TicTacToe
from rl_algos.tree_search.forest import grown, masked_priors, visit_shares
from rl_algos.tree_search.tree import Search
from rl_core.seeds import Seeds


def board(text):
    """Tic-tac-toe from "xo. ... ..." with x the player to move."""
    return np.array([[{"x": 1, "o": -1, ".": 0}[cell] for cell in text.replace(" ", "")]], np.int8)


def searched(position, num_simulations=400):
    rules = tic_tac_toe.RULES
    allowed = rules.legal(position)
    model = Rollouts(rules, position, num_simulations + 1, np.random.default_rng(0))
    search = Search(num_simulations, 1.4, 9, -1.0, best=False, merge=False)
    priors = masked_priors(np.zeros(allowed.shape), allowed)
    return grown(model, np.zeros(len(position)), priors, search, np.random.default_rng(1), bounds=(-1.0, 1.0), by_priors=False)


@pytest.mark.parametrize("line", tic_tac_toe.LINES.tolist())
def test_three_in_a_row_win(line):
    position = np.zeros((1, 9), np.int8)
    position[0, line[:2]] = 1
    reward, over = tic_tac_toe.RULES.move(position, np.array([line[2]]))
    assert (reward[0], over[0]) == (1.0, True)
    assert position[0, line].tolist() == [-1, -1, -1]  # seen by the other player


@pytest.mark.parametrize("rules", [tic_tac_toe.RULES, connect_four.RULES])
def test_a_move_that_is_not_allowed_loses(rules):
    position = np.ones((1, rules.num_cells), np.int8)
    assert not rules.legal(position).any()
    assert [part.tolist() for part in rules.move(position, np.array([3]))] == [[-1.0], [True]]


@pytest.mark.parametrize("rules", [tic_tac_toe.RULES, connect_four.RULES])
def test_a_symmetric_move_on_a_symmetric_board_leads_to_the_symmetric_board(rules):
    rng, choose = np.random.default_rng(0), random_moves(rules)
    boards = rules.start(200)
    for _ in range(4):
        rules.move(boards, choose(boards, rng))
    actions = choose(boards, rng)
    after = boards.copy()
    earned = rules.move(after, actions)
    assert len({tuple(cells) for cells in rules.cells.tolist()}) == len(rules.cells) == {9: 8, 42: 2}[rules.num_cells]
    for cells, order in zip(rules.cells, rules.actions, strict=True):
        assert (rules.legal(boards)[:, order] == rules.legal(boards[:, cells])).all()
        turned, turned_actions = np.ascontiguousarray(boards[:, cells]), np.argsort(order)[actions]
        found = rules.move(turned, turned_actions)
        assert (turned == after[:, cells]).all()
        assert all((one == other).all() for one, other in zip(found, earned, strict=True))


def four_in_a_row(grid):
    """Whether the stones of one player, a grid of booleans, hold four in a row; in the slowest and plainest way."""
    rows, columns = grid.shape
    for row in range(rows):
        for column in range(columns):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                cells = [(row + step * down, column + step * right) for step in range(4)]
                if all(0 <= r < rows and 0 <= c < columns and grid[r, c] for r, c in cells):
                    return True
    return False


def test_connect_four_ends_where_four_stones_are_in_a_row_and_nowhere_else():
    rules, rng = connect_four.RULES, np.random.default_rng(0)
    choose, wins = random_moves(rules), 0
    for _ in range(30):
        position, over = rules.start(1), False
        while not over:
            reward, ended = rules.move(position, choose(position, rng))
            over, wins = bool(ended[0]), wins + int(reward[0])
            grid = position.reshape(6, 7)
            assert four_in_a_row(grid == -1) == (reward[0] == 1)  # the mover's stones are -1 now
            assert over == (reward[0] == 1 or (grid != 0).all())
    assert wins > 20


def test_perfect_players_draw_and_never_lose_to_random_play():
    task = TicTacToe(GameConfig(opponent="perfect"))
    scores = task.evaluate(
        lambda obs: tic_tac_toe.perfect(tic_tac_toe.RULES.boards(obs), np.random.default_rng(0)), episodes=60, seeds=Seeds(0)
    )
    assert scores["drawn"] == 1.0
    assert scores["mean length"] == 4.5  # of the nine moves of a draw, five are the beginner's
    assert task.returns == (0.0,) * 60
    scores = TicTacToe(GameConfig()).evaluate(
        lambda obs: tic_tac_toe.perfect(tic_tac_toe.RULES.boards(obs), np.random.default_rng(0)), episodes=400, seeds=Seeds(0)
    )
    assert scores["lost"] == 0.0
    assert scores["won"] == pytest.approx(0.87, abs=0.06)  # over both sides


def test_a_search_takes_a_win_and_stops_one():
    win, block = searched(board("xx. oo. ..."), 2_000), searched(board("oo. .x. ..x"), 2_000)
    assert visit_shares(win)[0, 2] >= 0.9
    assert visit_shares(block)[0, 2] >= 0.9
    assert win.visits[0, 0].sum() == 2_000
    assert win.visits[0, 0, 0] == 0  # a stone is there
    assert win.values[0, 0, 2] == 1.0


def test_many_trees_grow_as_each_would_alone():
    positions = np.concatenate([board("... .x. ..o"), board("xo. ... ...")])
    shares = visit_shares(searched(positions))
    assert shares.shape == (2, 9)
    assert np.allclose(shares.sum(axis=1), 1.0)


def test_an_opponent_that_searches_beats_random_play_at_connect_four():
    rules = connect_four.RULES
    opponent = searching(rules, 30)
    rng = np.random.default_rng(0)
    scores = ConnectFour(GameConfig()).evaluate(lambda obs: opponent(rules.boards(obs), rng), episodes=20, seeds=Seeds(0))
    assert scores["won"] >= 0.85


def test_a_game_that_is_not_solved_has_no_perfect_opponent():
    with pytest.raises(ValueError, match="too large to be solved"):
        ConnectFour(GameConfig(opponent="perfect"))
