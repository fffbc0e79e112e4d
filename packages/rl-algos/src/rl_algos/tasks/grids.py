"""Worlds on a grid: a robot on slippery ground, mazes, and the windy grid.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), examples 6.5 (wind), 8.1 (mazes); Russell and Norvig,
Artificial Intelligence (2020), section 17.1, for the robot that slips to the sides.

*Departures*: a maze costs 1 for bumping into a wall unless `wall_reward` is 0, as it is in the book.

*Letters*: S = H * W states, row by row; A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Count, Doc, Fraction, Meta, Whole, configclass

UP, RIGHT, DOWN, LEFT = (-1, 0), (0, 1), (1, 0), (0, -1)
COMPASS = (UP, RIGHT, DOWN, LEFT)  # each action's right-hand neighbour comes after it
KING = (*COMPASS, (-1, 1), (1, 1), (1, -1), (-1, -1))
LETTERS = ".SG#X"

ROBOT_WORLD = "S.....\n......\n..XX..\n..#X..\n......\n.....G"
DYNA_MAZE = ".......#G\n..#....#.\nS.#....#.\n..#......\n.....#...\n........."


@dataclass(frozen=True, eq=False)
class Grid:
    """A map of a grid.

    Attributes:
        letters: [H, W]: `.` floor, `S` start, `G` goal, `#` wall, `X` obstacle.
    """

    letters: np.ndarray

    @classmethod
    def read(cls, text: str) -> Grid:
        """Return a grid from text, a line for each row.

        Raises:
            ValueError: if rows differ in length, a letter is unknown, or no cell is a goal.
        """
        rows = [line.strip() for line in text.strip().splitlines()]
        for number, row in enumerate(rows):
            if len(row) != len(rows[0]):
                raise ValueError(f"row {number} of the layout has {len(row)} cells and row 0 has {len(rows[0])}; all rows must be alike")
            unknown = set(row) - set(LETTERS)
            if unknown:
                raise ValueError(f"row {number} of the layout has {sorted(unknown)[0]!r}; the letters are {' '.join(LETTERS)}")
        grid = cls(np.array([list(row) for row in rows]))
        if not (grid.letters == "G").any():
            raise ValueError("the layout has no goal 'G'")
        return grid

    def start(self) -> np.ndarray:
        """Distribution of the first state [S]: the cells `S`, else every free cell."""
        cells = self.letters.ravel() == "S"
        if not cells.any():
            cells = np.isin(self.letters.ravel(), [".", "X"])
        return cells / cells.sum()

    def layout(self, moves: Sequence[tuple[int, int]]) -> Layout:
        """Return the layout for pictures."""
        height, width = self.letters.shape
        cell = np.stack(np.divmod(np.arange(height * width), width), axis=1)
        return Layout(["".join(row) for row in self.letters], cell, arrows=moves)


def grid_process(
    grid: Grid,
    moves: Sequence[tuple[int, int]],
    *,
    chances: Sequence[Sequence[tuple[float, tuple[int, int]]]],
    step_reward: float,
    goal_reward: float,
    obstacle_reward: float = 0.0,
    wall_reward: float = 0.0,
    discount: float,
) -> MDP:
    """Return the process of moving on a grid; a move off the grid or into a wall leaves the state as it is.

    Args:
        grid: The map.
        moves: (rows down, columns right) of each action [A, 2].
        chances: For each action, how likely it moves how.
        step_reward: Reward of every step.
        goal_reward: Added on entering a goal, which ends the episode.
        obstacle_reward: Added on entering an obstacle.
        wall_reward: Added on bumping into a wall or the border.
        discount: gamma.
    """
    height, width = grid.letters.shape
    letters = grid.letters.ravel()
    num_states, num_actions, branches = height * width, len(moves), len(chances[0])
    row, column = np.divmod(np.arange(num_states), width)
    shape = (num_states, num_actions, branches)
    next_state, reward = np.empty(shape, dtype=np.int64), np.empty(shape)
    probability = np.broadcast_to(np.array([[chance for chance, _ in ways] for ways in chances]), shape)
    closed = np.isin(letters, ["#", "G"])
    for action, ways in enumerate(chances):
        for branch, (_, (down, right)) in enumerate(ways):
            to_row, to_column = np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)
            target = to_row * width + to_column
            blocked = (to_row != row + down) | (to_column != column + right) | (letters[target] == "#")
            target = np.where(blocked, np.arange(num_states), target)
            gain = step_reward + wall_reward * blocked + goal_reward * (letters[target] == "G") + obstacle_reward * (letters[target] == "X")
            next_state[:, action, branch] = np.where(closed, np.arange(num_states), target)
            reward[:, action, branch] = np.where(closed, 0.0, gain)
    return MDP(
        offset=np.arange(num_states * num_actions + 1) * branches,
        probability=probability.ravel(),
        next_state=next_state.ravel(),
        reward=reward.ravel(),
        terminated=closed[next_state.ravel()],
        discount=discount,
        start=grid.start(),
        num_actions=num_actions,
    )


@configclass
class GridRobotConfig:
    """A robot on slippery ground."""

    layout: Annotated[str, Doc("rows of . S G # X; empty: generated from the fields below")] = ROBOT_WORLD
    grip: Annotated[Fraction, Doc("p, probability that the robot moves as intended; else to either side alike")] = 0.8
    goal_reward: Annotated[float, Doc("reward of reaching the goal, unit of reward, any number")] = 10.0
    step_reward: Annotated[float, Doc("reward of every step, unit of reward, any number")] = -1.0
    obstacle_reward: Annotated[float, Doc("reward of driving onto an obstacle, unit of reward, any number")] = -100.0
    discount: Annotated[Fraction, Doc("gamma")] = 0.9
    height: Annotated[int, Meta(ge=2), Doc("rows of a generated grid")] = 20
    width: Annotated[int, Meta(ge=2), Doc("columns of a generated grid")] = 20
    obstacles: Annotated[float, Meta(ge=0, le=0.5), Doc("share of a generated grid's cells that are obstacles")] = 0.1
    layout_seed: Annotated[Whole, Doc("which generated grid")] = 0
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 200


class GridRobot(MDPTask):
    """+10 at the goal, -1 a step, -100 on an obstacle; the ground is slippery."""

    Config: ClassVar[type] = GridRobotConfig

    def __init__(self, config: GridRobotConfig) -> None:
        grid = Grid.read(config.layout) if config.layout else _generated(config)
        aside = (1.0 - config.grip) / 2.0
        chances = [
            [(config.grip, COMPASS[action]), (aside, COMPASS[(action + 1) % 4]), (aside, COMPASS[(action + 3) % 4])] for action in range(4)
        ]
        mdp = grid_process(
            grid,
            COMPASS,
            chances=chances,
            step_reward=config.step_reward,
            goal_reward=config.goal_reward,
            obstacle_reward=config.obstacle_reward,
            discount=config.discount,
        )
        super().__init__(config, mdp, max_steps=config.max_steps, layout=grid.layout(COMPASS))


def _generated(config: GridRobotConfig) -> Grid:
    rng = np.random.Generator(np.random.PCG64(config.layout_seed))
    letters = np.where(rng.random((config.height, config.width)) < config.obstacles, "X", ".")
    letters[-1, 0], letters[0, -1] = "S", "G"
    return Grid(letters)


@configclass
class MazeConfig:
    """A maze."""

    layout: Annotated[str, Doc("rows of . S G #; empty: generated from the fields below")] = DYNA_MAZE
    goal_reward: Annotated[float, Doc("reward of reaching the goal, unit of reward, any number")] = 1.0
    wall_reward: Annotated[float, Doc("reward of bumping into a wall or the border, unit of reward, any number")] = -1.0
    discount: Annotated[Fraction, Doc("gamma")] = 0.95
    size: Annotated[int, Meta(ge=5), Doc("rows and columns of a generated maze, odd")] = 15
    layout_seed: Annotated[Whole, Doc("which generated maze")] = 0
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 1_000

    def __post_init__(self) -> None:
        if self.size % 2 == 0:
            raise ValueError(f"size is {self.size}; it must be odd: walls are between cells")


class Maze(MDPTask):
    """+1 at the goal, -1 for hitting a wall; moves are deterministic."""

    Config: ClassVar[type] = MazeConfig

    def __init__(self, config: MazeConfig) -> None:
        grid = Grid.read(config.layout or generate_maze(config.size, config.layout_seed))
        mdp = grid_process(
            grid,
            COMPASS,
            chances=[[(1.0, move)] for move in COMPASS],
            step_reward=0.0,
            goal_reward=config.goal_reward,
            wall_reward=config.wall_reward,
            discount=config.discount,
        )
        super().__init__(config, mdp, max_steps=config.max_steps, layout=grid.layout(COMPASS))


def generate_maze(size: int, seed: int) -> str:
    """Return a maze of `size` x `size` cells in which exactly one way joins any two: a random walk that steps back where it is stuck.

    >>> print(generate_maze(5, 0))
    #####
    #S#.#
    #.#.#
    #..G#
    #####
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    cells = [["#"] * size for _ in range(size)]
    path = [(1, 1)]
    cells[1][1] = "."
    while path:
        row, column = path[-1]
        ways = [
            (down, right)
            for down, right in COMPASS
            if 0 < row + 2 * down < size - 1 and 0 < column + 2 * right < size - 1 and cells[row + 2 * down][column + 2 * right] == "#"
        ]
        if not ways:
            path.pop()
            continue
        down, right = ways[int(rng.integers(len(ways)))]
        cells[row + down][column + right] = cells[row + 2 * down][column + 2 * right] = "."
        path.append((row + 2 * down, column + 2 * right))
    cells[1][1], cells[size - 2][size - 2] = "S", "G"
    return "\n".join("".join(row) for row in cells)


@configclass
class WindyGridworldConfig:
    """A grid with a crosswind."""

    wind: Annotated[tuple[Whole, ...], Doc("cells that the wind of each column lifts a move")] = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)
    height: Annotated[Count, Doc("rows")] = 7
    king_moves: Annotated[bool, Doc("also diagonal moves (exercise 6.9)")] = False
    gusty: Annotated[bool, Doc("where there is wind, it is one more, as said, or one less, each a third of the time (exercise 6.10)")] = (
        False
    )
    discount: Annotated[Fraction, Doc("gamma")] = 1.0
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 1_000

    def __post_init__(self) -> None:
        if len(self.wind) < 2 or min(self.wind) < 0:
            raise ValueError(f"wind is {self.wind}; it needs two columns or more, each >= 0")


class WindyGridworld(MDPTask):
    """-1 a step until the goal; a wind blows upwards in some columns (example 6.5)."""

    Config: ClassVar[type] = WindyGridworldConfig

    def __init__(self, config: WindyGridworldConfig) -> None:
        moves = KING if config.king_moves else COMPASS
        height, width = config.height, len(config.wind)
        start_row, goal_column = height // 2, min(7, width - 1)
        letters = np.full((height, width), ".")
        letters[start_row, 0], letters[start_row, goal_column] = "S", "G"
        goal = start_row * width + goal_column
        table: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
        for state in range(height * width):
            row, column = divmod(state, width)
            gusts = (-1, 0, 1) if config.gusty and config.wind[column] else (0,)
            table[state] = {}
            for action, (down, right) in enumerate(moves):
                if state == goal:
                    table[state][action] = [(1.0, state, 0.0, True)]
                    continue
                outcomes = []
                for gust in gusts:
                    to_row = min(max(row + down - config.wind[column] - gust, 0), height - 1)
                    target = to_row * width + min(max(column + right, 0), width - 1)
                    outcomes.append((1.0 / len(gusts), target, -1.0, target == goal))
                table[state][action] = outcomes
        grid = Grid(letters)
        mdp = MDP.from_table(table, discount=config.discount, start=grid.start())
        super().__init__(config, mdp, max_steps=config.max_steps, layout=grid.layout(moves))
