"""A grid with lava: the short way costs, and how often it may be taken is limited. The best feasible policy is known exactly.

Source: E. Altman, "Constrained Markov decision processes", 1999, chapters 3 and 6: the linear program over occupation measures. The map is
ours. Departures: the program is without the time limit, which hardly an episode of a good policy meets.
Letters: S states, A actions, N environments.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from rl_algos.safety.shield import ShieldedEnvs, TableShield
from rl_algos.tasks.grids import COMPASS, Grid, grid_process
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.simulator import MDPEnvs
from rl_algos.tasks.mdp.task import MDPTask
from rl_algos.tasks.wrapped import WrappedEnvs
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds

LAVA_WORLD = "S..X..G\n.#####.\n.#####.\n.#####.\n......."


class Feasible(NamedTuple):
    """The best policy within a limit, with what it earns and costs.

    Attributes:
        return_: Expected return of an episode, undiscounted.
        cost: Expected cost of an episode.
        policy: Probabilities of actions [S, A]; in one state, at most, more than one is above 0.
    """

    return_: float
    cost: float
    policy: np.ndarray


def best_feasible(mdp: MDP, cost: np.ndarray, limit: float) -> Feasible:
    """Return the policy of the largest expected return whose expected cost is at most `limit`: a linear program.

    Maximise sum x(s, a) r(s, a) over expected numbers of visits x >= 0, with sum_a x(s', a) = mu(s') + sum x(s, a) p(s' | s, a) for every
    state and sum x(s, a) c(s, a) <= limit; every episode must end.

    Args:
        mdp: The process; its discount is not used.
        cost: Cost of entering each state [S].
        limit: Of the expected cost of an episode.

    Raises:
        ValueError: if no policy keeps the limit.
    """
    states, actions = mdp.num_states, mdp.num_actions
    pairs = np.repeat(np.arange(states * actions), np.diff(mdp.offset))
    stays = ~mdp.terminated
    flow = sparse.coo_array((mdp.probability[stays], (mdp.next_state[stays], pairs[stays])), shape=(states, states * actions)).tocsr()
    leaving = sparse.kron(sparse.eye_array(states), np.ones((1, actions))).tocsr()
    costs = np.bincount(pairs, mdp.probability * cost[mdp.next_state], states * actions)
    reachable = _reachable(mdp, pairs)
    bounds = np.where(np.repeat(reachable, actions)[:, None], [0.0, np.inf], 0.0)
    solved = linprog(
        -mdp.expected_reward.ravel(),
        A_ub=costs[None],
        b_ub=[limit],
        A_eq=(leaving - flow)[reachable],
        b_eq=mdp.start[reachable],
        bounds=bounds,
    )
    if solved.status != 0:
        raise ValueError(f"no policy keeps the expected cost within {limit:g}: {solved.message}")
    visits = solved.x.reshape(states, actions)
    total = visits.sum(axis=1, keepdims=True)
    policy = np.where(total > 1e-12, visits / np.maximum(total, 1e-12), 1.0 / actions)
    return Feasible(float(-solved.fun), float(costs @ solved.x), policy)


def _reachable(mdp: MDP, pairs: np.ndarray) -> np.ndarray:
    """Return which states an episode can be in [S]; goals, from which nothing follows, are not among them."""
    seen = mdp.start > 0
    while True:
        on = seen[pairs // mdp.num_actions] & ~mdp.terminated & (mdp.probability > 0)
        more = seen.copy()
        more[mdp.next_state[on]] = True
        if (more == seen).all():
            return seen
        seen = more


class CostOfStates(WrappedEnvs):
    """Environments with numbered states, of which entering some costs.

    Args:
        envs: The inner environments.
        cost: Cost of entering each state [S], float32.
    """

    def __init__(self, envs: MDPEnvs, cost: np.ndarray) -> None:
        super().__init__(envs)
        self._process, self._cost = envs, cost

    @property
    def state(self) -> np.ndarray:
        """The states [N], which exploring starts write to."""
        return self._process.state

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N]; the transition carries the costs."""
        transition = self.inner.step(actions)
        return transition._replace(extras={"cost": self._cost[transition.final_obs]})


@configclass
class GridLavaConfig:
    """A grid with lava."""

    layout: Annotated[str, Doc("rows of . S G # X; X is lava")] = LAVA_WORLD
    grip: Annotated[float, Meta(gt=0, le=1), Doc("p, probability to move as intended; else to either side alike")] = 0.9
    goal_reward: Annotated[float, Doc("reward of reaching the goal, unit of reward, any number")] = 20.0
    cost_limit: Annotated[NonNegative, Doc("steps on lava that an episode may have on average")] = 0.5
    shield: Annotated[Literal["none", "table"], Doc("table: no action is carried out that may lead into lava")] = "none"
    max_steps: Annotated[Count, Doc("steps after which an episode is cut")] = 200


class GridLava(MDPTask):
    """-1 a step, +20 at the goal, and a cost of 1 for each step onto lava. The target is 90 % of the best feasible return.

    Attributes:
        cost: Cost of entering each state [S], float32.
        cost_limit: Of an episode's mean cost.
    """

    Config: ClassVar[type] = GridLavaConfig
    extras = ("cost",)

    def __init__(self, config: GridLavaConfig) -> None:
        grid = Grid.read(config.layout)
        aside = (1.0 - config.grip) / 2.0
        chances = [
            [(config.grip, COMPASS[action]), (aside, COMPASS[(action + 1) % 4]), (aside, COMPASS[(action + 3) % 4])] for action in range(4)
        ]
        mdp = grid_process(grid, COMPASS, chances=chances, step_reward=-1.0, goal_reward=config.goal_reward, discount=1.0)
        super().__init__(config, mdp, max_steps=config.max_steps, layout=grid.layout(COMPASS))
        self.cost = (grid.letters.ravel() == "X").astype(np.float32)
        self.cost_limit = config.cost_limit
        best = self.best_feasible().return_
        self.target = best - 0.1 * abs(best)

    def best_feasible(self) -> Feasible:
        """Return the best policy within the limit, what it earns and what it costs."""
        return best_feasible(self.mdp, self.cost, self.cost_limit)

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return copies of the process in step, with costs, behind the shield if there is one."""
        envs: Envs = CostOfStates(MDPEnvs(self.mdp, num_envs, seeds, self.max_steps), self.cost)
        return envs if self.config.shield == "none" else ShieldedEnvs(envs, TableShield(self.mdp, self.cost > 0))
