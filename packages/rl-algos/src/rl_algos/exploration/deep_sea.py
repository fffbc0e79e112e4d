"""Deep sea: a grid of N by N in which only one way of 2^N leads to the treasure, and each step of it costs something.

Source: I. Osband and others, "Behaviour suite for reinforcement learning", 2020, appendix A.6; the tree of B. O'Donoghue and others.
Departures: observations are the numbers of the cells. Letters: N rows and columns, S = N^2 cells.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Doc, Fraction, Meta, NonNegative, Whole, configclass


@configclass
class DeepSeaConfig:
    """A deep sea."""

    depth: Annotated[int, Meta(ge=2, le=200), Doc("N, rows and columns, and steps of an episode")] = 10
    move_cost: Annotated[NonNegative, Doc("cost of the N moves to the right together, unit of reward")] = 0.01
    mapping_seed: Annotated[Whole, Doc("which action moves to the right in each cell")] = 0
    discount: Annotated[Fraction, Doc("gamma of the process, for planners")] = 1.0


class DeepSea(MDPTask):
    """Each step goes down a row, and left or right; the treasure of 1 is at the right end of the last row.

    Random play finds it once in 2^N episodes, and what it meets on the way there teaches it to turn back.
    """

    Config: ClassVar[type] = DeepSeaConfig

    def __init__(self, config: DeepSeaConfig) -> None:
        size = config.depth
        right_action = np.random.Generator(np.random.PCG64(config.mapping_seed)).integers(0, 2, (size, size))
        table: dict[int, dict[int, list[tuple]]] = {}
        for row in range(size):
            for column in range(size):
                table[row * size + column] = {}
                for action in range(2):
                    goes_right, is_last = action == right_action[row, column], row == size - 1
                    to = min(column + 1, size - 1) if goes_right else max(column - 1, 0)
                    reward = -config.move_cost / size if goes_right else 0.0
                    if is_last and goes_right and column == size - 1:
                        reward += 1.0
                    table[row * size + column][action] = [(1.0, (row if is_last else row + 1) * size + to, reward, is_last)]
        start = np.eye(size * size)[0]
        cell = np.stack(np.divmod(np.arange(size * size), size), axis=1)
        layout = Layout(["." * size] * size, cell)
        super().__init__(config, MDP.from_table(table, discount=config.discount, start=start), max_steps=0, layout=layout)
        self.target = 1.0 - 2.0 * config.move_cost
