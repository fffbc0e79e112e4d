"""Four rooms: a grid of four rooms with a doorway between each two neighbours, and options that lead to the doorways.

Source: R. Sutton, D. Precup, S. Singh, "Between MDPs and semi-MDPs", 1999, section 3 and figure 2.
Departures: a move that slips leads to a free neighbour, each alike, as in the program of option-critic's authors; the goal pays 1.
Letters: S states, K options.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, ClassVar

import numpy as np

from rl_algos.hierarchy.options import Options
from rl_algos.tasks.grids import COMPASS, Grid
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Count, Doc, Fraction, Whole, configclass

ROOMS = """
    #############
    #.....#.....#
    #.....#.....#
    #...........#
    #.....#.....#
    #.....#.....#
    ##.####.....#
    #.....###.###
    #.....#.....#
    #.....#.....#
    #...........#
    #.....#.....#
    #############
"""
DOORWAYS = {"west": (6, 2), "north": (3, 6), "south": (10, 6), "east": (7, 9)}


@configclass
class FourRoomsConfig:
    """Four rooms."""

    goal_row: Annotated[Whole, Doc("row of the goal, which is a free cell; by default the doorway in the east")] = 7
    goal_column: Annotated[Whole, Doc("column of the goal")] = 9
    slip: Annotated[Fraction, Doc("probability that a move leads to any free neighbour instead")] = 1 / 3
    discount: Annotated[Fraction, Doc("gamma")] = 0.99
    max_steps: Annotated[Count, Doc("steps after which an episode is cut")] = 1_000


class FourRooms(MDPTask):
    """Reach the goal from any cell; a reward of 1 there, none on the way."""

    Config: ClassVar[type] = FourRoomsConfig
    config: FourRoomsConfig

    def __init__(self, config: FourRoomsConfig) -> None:
        letters = Grid.read(ROOMS.replace(".", "G", 1)).letters.copy()
        letters[letters == "G"] = "."
        height, width = letters.shape
        if not (config.goal_row < height and config.goal_column < width) or letters[config.goal_row, config.goal_column] == "#":
            raise ValueError(
                f"the goal ({config.goal_row}, {config.goal_column}) is not a free cell of the {height} by {width} grid; "
                "take for example goal_row=7, goal_column=9"
            )
        self.config, self.free = config, letters != "#"
        letters[config.goal_row, config.goal_column] = "G"
        grid = Grid(letters)
        mdp = MDP.from_table(self._table(letters == "G"), discount=config.discount, start=grid.start())
        super().__init__(config, mdp, max_steps=config.max_steps, layout=grid.layout(COMPASS))

    def _table(self, goal: np.ndarray) -> dict[int, dict[int, list[tuple]]]:
        """Return the outcomes of every state and action; a state that is a wall stays as it is."""
        width = self.free.shape[1]
        table: dict[int, dict[int, list[tuple]]] = {}
        for row, column in np.ndindex(self.free.shape):
            state = row * width + column
            near = [(row + down, column + right) for down, right in COMPASS] if self.free[row, column] else []
            free = [cell for cell in near if self.free[cell]]
            table[state] = {}
            for action in range(4):
                to = near[action] if near and self.free[near[action]] else (row, column)
                ways = [(1.0 - self.config.slip, to), *((self.config.slip / len(free), cell) for cell in free)] if near else [(1.0, to)]
                table[state][action] = [
                    (chance, down * width + right, float(goal[down, right]), bool(goal[down, right])) for chance, (down, right) in ways
                ]
        return table

    def traits(self) -> frozenset[str]:
        """Return the traits of a process, with "options"."""
        return super().traits() | {"options"}

    def options(self) -> Options:
        """Return two options for each room: the shortest ways to its doorways, where they end, as they do outside the room."""
        policies, ends, starts, names = [], [], [], []
        for number, room in enumerate(self._rooms()):
            for name, door in DOORWAYS.items():
                if not any(room[door[0] + down, door[1] + right] for down, right in COMPASS):
                    continue
                inside = room.copy()
                for other in DOORWAYS.values():  # an option also leads from the room's other doorway through the room
                    inside[other] |= any(room[other[0] + down, other[1] + right] for down, right in COMPASS)
                policies.append(_ways(inside, door).ravel())
                inside[door] = False
                ends.append(np.where(inside.ravel(), 0.0, 1.0))
                starts.append(inside.ravel())
                names.append(f"room {number} to the {name} door")
        return Options(np.stack(policies), np.stack(ends), np.stack(starts), tuple(names))

    def _rooms(self) -> list[np.ndarray]:
        """Return the cells of each room [H, W], bool, without doorways."""
        left = self.free.copy()
        for door in DOORWAYS.values():
            left[door] = False
        rooms = []
        while left.any():
            room, waiting = np.zeros_like(left), [tuple(np.argwhere(left)[0])]
            while waiting:
                row, column = waiting.pop()
                if left[row, column]:
                    left[row, column], room[row, column] = False, True
                    waiting += [(row + down, column + right) for down, right in COMPASS]
            rooms.append(room)
        return rooms


def _ways(inside: np.ndarray, door: tuple[int, int]) -> np.ndarray:
    """Return the first move of a shortest way to a doorway from each cell [H, W]; 0 where there is none."""
    move, seen, waiting = np.zeros(inside.shape, dtype=np.int64), {door}, deque([door])
    while waiting:
        row, column = waiting.popleft()
        for action, (down, right) in enumerate(COMPASS):
            before = (row - down, column - right)
            if inside[before] and before not in seen:
                seen.add(before)
                move[before] = action
                waiting.append(before)
    return move
