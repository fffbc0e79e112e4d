"""Pursuit on a grid: hunters who see a part of it catch a prey that flees, and only two of them together can.

A step moves every hunter at once, by stay, up, down, left or right. The prey is caught when two hunters stand on or beside its cell. If it
is not, it moves, with probability 3/4, to a free cell around it, or stays, whichever is farthest from the nearest hunter. A step costs 0.1,
the catch earns 10 for the whole team, and an episode is cut after 50 steps.

Source: M. Benda, V. Jagannathan, R. Dodhiawala, "On optimal cooperation of knowledge sources", 1985, for the problem; M. Tan, "Multi-agent
reinforcement learning: independent vs. cooperative agents", 1993, for hunters with a limited sight who catch together.
Departures: the prey flees instead of walking at random.
Letters: N environments, P hunters, G side of the grid, D numbers of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from dl_nets.fast.kernels import kernel
from rl_algos.parts.ranges import require_array
from rl_algos.players.team import TeamTask
from rl_algos.tasks.sketches import board
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds

MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
"""Rows and columns of stay, up, down, left and right."""
CATCH, STEP_COST, CAUTION, CATCHERS = 10.0, 0.1, 0.75, 2
"""Reward of a catch, cost of a step, probability that the prey moves, and hunters that a catch takes."""


@configclass
class PursuitConfig:
    """Size of a hunt."""

    size: Annotated[int, Meta(ge=3, le=20), Doc("G, rows and columns of the grid")] = 6
    hunters: Annotated[int, Meta(ge=2, le=8), Doc("P; two of them catch together")] = 2
    sight: Annotated[Count, Doc("rows and columns that a hunter sees in each direction")] = 3
    time_limit: Annotated[Count, Doc("steps after which an episode is cut")] = 50


@kernel
def caught(hunters: np.ndarray, prey: np.ndarray) -> bool:
    """Return whether enough hunters [P, 2] are on or beside the cell of the prey [2]."""
    near = 0
    for p in range(len(hunters)):
        near += abs(hunters[p, 0] - prey[0]) + abs(hunters[p, 1] - prey[1]) <= 1
    return near >= CATCHERS


@kernel
def escapes(hunters: np.ndarray, prey: np.ndarray, size: int) -> np.ndarray:
    """Return which moves of a prey [2] are farthest from the nearest hunter [P, 2], among those to free cells [5], bool."""
    distances = np.full(len(MOVES), -1, dtype=np.int64)
    for move in range(len(MOVES)):
        row, column = prey[0] + MOVES[move, 0], prey[1] + MOVES[move, 1]
        if 0 <= row < size and 0 <= column < size:
            distance = 2 * size
            for p in range(len(hunters)):
                distance = min(distance, abs(hunters[p, 0] - row) + abs(hunters[p, 1] - column))
            distances[move] = distance if distance > 0 or move == 0 else -1  # a cell with a hunter is not free
    return distances == distances.max()


@kernel
def advance(
    hunters: np.ndarray, prey: np.ndarray, actions: np.ndarray, size: int, uniform: np.ndarray, reward: np.ndarray, over: np.ndarray
) -> None:
    """Take one step in place.

    Args:
        hunters: Cells [N, P, 2].
        prey: Cells [N, 2].
        actions: [N, P].
        size: G.
        uniform: Numbers in [0, 1) [N, 2].
        reward: Written [N].
        over: Whether the prey was caught; written [N].
    """
    for n in range(len(prey)):
        for p in range(hunters.shape[1]):
            for axis in range(2):
                place = hunters[n, p, axis] + MOVES[actions[n, p], axis]
                hunters[n, p, axis] = min(max(place, 0), size - 1)
        over[n] = caught(hunters[n], prey[n])
        reward[n] = (CATCH if over[n] else 0.0) - STEP_COST
        if not over[n] and uniform[n, 0] < CAUTION:
            good = np.flatnonzero(escapes(hunters[n], prey[n], size))
            move = good[int(uniform[n, 1] * len(good))]
            prey[n, 0] += MOVES[move, 0]
            prey[n, 1] += MOVES[move, 1]


@kernel
def observe(hunters: np.ndarray, prey: np.ndarray, size: int, sight: int) -> np.ndarray:
    """Return observations [N, P, D] in [-1, 1]: the hunter's cell, then the prey and each other hunter, as seen or not and where from here.

    What is not seen is three zeros. D is 2 + 3 P.
    """
    count, players = hunters.shape[:2]
    obs = np.zeros((count, players, 2 + 3 * players), dtype=np.float32)
    for n in range(count):
        for p in range(players):
            obs[n, p, 0] = 2.0 * hunters[n, p, 0] / (size - 1) - 1.0
            obs[n, p, 1] = 2.0 * hunters[n, p, 1] / (size - 1) - 1.0
            place = 2
            for other in range(-1, players):
                if other == p:
                    continue
                cell = prey[n] if other < 0 else hunters[n, other]
                rows, columns = cell[0] - hunters[n, p, 0], cell[1] - hunters[n, p, 1]
                if abs(rows) <= sight and abs(columns) <= sight:
                    obs[n, p, place] = 1.0
                    obs[n, p, place + 1], obs[n, p, place + 2] = rows / (size - 1), columns / (size - 1)
                place += 3
    return obs


@kernel
def best_values(size: int, steps: int) -> np.ndarray:
    """Return the most that two hunters can expect who see everything [G^2, G^2, G^2], by `steps` sweeps back from the last step.

    Indexed by the cells, row G + column, of both hunters and the prey.
    """
    cells = size * size
    value, moved = np.zeros((cells, cells, cells)), np.zeros((cells, cells, cells))  # before the hunters' move, and after it
    hunters, prey = np.empty((2, 2), dtype=np.int64), np.empty(2, dtype=np.int64)
    reach = np.empty((cells, len(MOVES)), dtype=np.int64)
    for cell in range(cells):
        for move in range(len(MOVES)):
            row, column = cell // size + MOVES[move, 0], cell % size + MOVES[move, 1]
            reach[cell, move] = min(max(row, 0), size - 1) * size + min(max(column, 0), size - 1)
    for _ in range(steps):
        for first in range(cells):
            for second in range(cells):
                hunters[0, 0], hunters[0, 1], hunters[1, 0], hunters[1, 1] = first // size, first % size, second // size, second % size
                for third in range(cells):
                    prey[0], prey[1] = third // size, third % size
                    if caught(hunters, prey):
                        moved[first, second, third] = CATCH
                    else:
                        good = np.flatnonzero(escapes(hunters, prey, size))
                        fled = 0.0
                        for escape in good:
                            fled += value[first, second, reach[third, escape]]
                        moved[first, second, third] = CAUTION * fled / len(good) + (1.0 - CAUTION) * value[first, second, third]
        for first in range(cells):
            for second in range(cells):
                for third in range(cells):
                    best = -np.inf
                    for one in range(len(MOVES)):
                        for two in range(len(MOVES)):
                            best = max(best, moved[reach[first, one], reach[second, two], third])
                    value[first, second, third] = best - STEP_COST
    return value


class PursuitEnvs(Envs):
    """N hunts, stepped by one compiled call.

    Args:
        task: The hunt.
        num_envs: N.
        seeds: The stream `environments` gives first cells and the prey's moves.
    """

    def __init__(self, task: Pursuit, num_envs: int, seeds: Seeds) -> None:
        super().__init__(num_envs, task.input_space, task.output_space)
        self._config = task.config
        self._rng = seeds.numpy("environments")
        self._hunters = np.zeros((num_envs, task.num_players, 2), dtype=np.int64)
        self._prey = np.zeros((num_envs, 2), dtype=np.int64)

    def reset(self) -> np.ndarray:
        """Return first observations [N, P, D]."""
        self._begin(np.ones(self.num_envs, dtype=np.bool_))
        return self._seen()

    def _begin(self, where: np.ndarray) -> None:
        """Draw cells for the hunts [N] that begin: any for the hunters, one without a hunter beside it for the prey, if there is one."""
        config, count = self._config, int(where.sum())
        drawn = self._rng.integers(config.size, size=(count, self._hunters.shape[1] + 8, 2))
        hunters, places = drawn[:, :-8], drawn[:, -8:]
        apart = np.abs(places[:, :, None] - hunters[:, None]).sum(axis=3).min(axis=2) > 1  # [count, 8]
        self._hunters[where], self._prey[where] = hunters, places[np.arange(count), apart.argmax(axis=1)]

    def _seen(self) -> np.ndarray:
        obs: np.ndarray = observe(self._hunters, self._prey, self._config.size, self._config.sight)
        return obs

    def step(self, actions: np.ndarray) -> Transition:
        """Move the hunters by actions [N, P], and then the prey."""
        reward, terminated = np.empty(self.num_envs, dtype=np.float32), np.empty(self.num_envs, dtype=np.bool_)
        uniform = self._rng.random((self.num_envs, 2))
        advance(self._hunters, self._prey, np.asarray(actions, dtype=np.int64), self._config.size, uniform, reward, terminated)
        truncated = ~terminated & (self._length + 1 >= self._config.time_limit)
        obs = final_obs = self._seen()
        if (terminated | truncated).any():
            self._begin(terminated | truncated)
            obs = self._seen()
        self._count(reward, terminated | truncated)
        rewards = np.repeat(reward[:, None], self._hunters.shape[1], axis=1)
        return Transition(obs, reward, terminated, truncated, final_obs, {"rewards": rewards})

    def cells(self) -> np.ndarray:
        """Return the grid of the first hunt [G * G]: 1 for a hunter, -1 for the prey."""
        grid = np.zeros((self._config.size, self._config.size), dtype=np.int8)
        grid[tuple(self._prey[0])] = -1
        grid[tuple(self._hunters[0].T)] = 1
        return grid.ravel()

    def state_dict(self) -> dict[str, Any]:
        """Return all cells; the stream of chance is saved with the run."""
        return {"hunters": self._hunters.copy(), "prey": self._prey.copy(), **self._counters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return its observations [N, P, D].

        Raises:
            ValueError: if an array has another shape or type than here, or a cell is outside of the grid.
        """
        self._hunters = require_array("hunters", state["hunters"], self._hunters, 0, self._config.size).copy()
        self._prey = require_array("prey", state["prey"], self._prey, 0, self._config.size).copy()
        self._load_counters(state)
        return self._seen()


class Pursuit(TeamTask):
    """Hunters who catch a prey together. The score is the mean return of the team."""

    Config: ClassVar[type] = PursuitConfig
    config: PursuitConfig

    def __init__(self, config: PursuitConfig) -> None:
        super().__init__(config)
        self.set_spaces(config.hunters, 2 + 3 * config.hunters, len(MOVES))

    def envs(self, num_envs: int, seeds: Seeds) -> PursuitEnvs:
        """Return N hunts."""
        return PursuitEnvs(self, num_envs, seeds)

    frames_per_second = 3.0

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture of the first hunt: hunters in one colour, the prey in the other."""
        assert isinstance(envs, PursuitEnvs)
        return board(envs.cells(), (self.config.size, self.config.size))

    def best_return(self, episodes: int = 2_000) -> float:
        """Return the mean return of two hunters who see everything and play as well as can be, over first cells of `episodes` episodes.

        No hunters who see a part do better. It is exact but for the draw of first cells.

        Raises:
            ValueError: if there are more than two hunters.
        """
        if self.num_players != 2:
            raise ValueError(f"hunters is {self.num_players}; the best return is computed for 2")
        values, size = best_values(self.config.size, self.config.time_limit), self.config.size
        envs = self.envs(episodes, Seeds(0, ("best return",)))
        envs.reset()
        state = envs.state_dict()
        cells = [place[..., 0] * size + place[..., 1] for place in (state["hunters"][:, 0], state["hunters"][:, 1], state["prey"])]
        return float(values[cells[0], cells[1], cells[2]].mean())
