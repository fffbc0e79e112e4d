"""Trading with a known optimum: how much to bet on a risky asset, and how to sell many shares without moving the price.

Source: J. L. Kelly, "A new interpretation of information rate", 1956 (portfolio); R. Almgren, N. Chriss, "Optimal execution of portfolio
transactions", 2001, sections 1 to 2.2 (execution).
Departures: two regimes that the investor sees; the seller's risk is charged as it is borne, lambda sigma^2 x^2 a step, so that the reward
is the paper's objective U = E + lambda V, without the noise of prices.
Letters: N environments, T steps.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from gymnasium import spaces

from rl_algos.tasks.array_envs import ArrayTask, Problem
from rl_core.compiling import kernel
from rl_core.seeds import Seeds
from rl_core.task import Predict, PredictWithMemory

UP, DOWN = 0.1, 0.1  # what a bet gains or loses, share of it
CHANCES = np.array([0.75, 0.55])  # of a gain, in the calm and in the wild regime
STAY = 0.9  # probability that the regime stays
TRADES = 60
ASKED = 1_000  # bets in each regime that an evaluation asks for: of a policy that draws, none is like another

SHARES_STEPS, RISK, IMPACT = 20, 0.01, 1.0  # T; lambda sigma^2 of a step and eta, for a position of 1


@kernel
def uniform_number(state: np.ndarray, n: int, column: int) -> float:
    """Return a uniform number from the Lehmer generator that row n keeps in a column."""
    state[n, column] = (state[n, column] * 48271.0) % 2147483647.0
    return state[n, column] / 2147483647.0


@kernel
def start_portfolio(uniform: np.ndarray) -> np.ndarray:
    """Return states [N, 2], regime and generator, from `uniform` [N, 2]."""
    state = np.empty((len(uniform), 2))
    for n in range(len(state)):
        state[n, 0] = 1.0 if uniform[n, 0] < 0.5 else 0.0
        state[n, 1] = 1.0 + math.floor(uniform[n, 1] * 2147483645.0)
    return state


@kernel
def move_portfolio(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Bet shares of the wealth [N, 1]: an action in [-1, 1] bets from none to nine times it, with credit; the reward is the log growth."""
    for n in range(len(state)):
        bet = 4.5 * (min(max(action[n, 0], -1.0), 1.0) + 1.0)
        regime = int(state[n, 0])
        change = UP if uniform_number(state, n, 1) < CHANCES[regime] else -DOWN
        reward[n] = math.log(1.0 + bet * change)
        if uniform_number(state, n, 1) > STAY:
            state[n, 0] = 1.0 - state[n, 0]
        terminated[n] = False


@kernel
def observe_portfolio(state: np.ndarray) -> np.ndarray:
    """Return the regime, -1 calm and 1 wild [N, 1], float32."""
    obs = np.empty((len(state), 1), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0] = 2.0 * state[n, 0] - 1.0
    return obs


def kelly_growth(chance: float) -> tuple[float, float]:
    """Return the best bet, as a share of wealth, and its expected log growth: f = p / d - (1 - p) / u.

    >>> bet, growth = kelly_growth(0.75)
    >>> round(bet, 4), round(growth, 4)  # 5; 0.75 ln 1.5 + 0.25 ln 0.5
    (5.0, 0.1308)
    """
    bet = max(0.0, chance / DOWN - (1.0 - chance) / UP)
    return bet, chance * math.log(1.0 + bet * UP) + (1.0 - chance) * math.log(1.0 - bet * DOWN)


class Portfolio(ArrayTask):
    """Bet on an asset that rises more often than it falls, in two regimes. The reward is log growth; the target 95 % of Kelly's.

    Attributes:
        best: Expected return of the best bets.
    """

    input_names, output_names = ("regime [-1 calm, 1 wild]",), ("bet [-1: none, 1: 9 times the wealth]",)
    best: ClassVar[float] = TRADES * sum(kelly_growth(chance)[1] for chance in CHANCES.tolist()) / 2.0
    problem = Problem(
        start_portfolio,
        move_portfolio,
        observe_portfolio,
        num_uniform=2,
        input_space=spaces.Box(-1.0, 1.0, (1,), np.float32),
        output_space=spaces.Box(-1.0, 1.0, (1,), np.float32),
        time_limit=TRADES,
        target=0.95 * best,
    )

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of every control task, and the expected return of the bets, free of the luck of the episodes."""
        scores = super().evaluate(predict, episodes=episodes, seeds=seeds)
        if isinstance(predict, PredictWithMemory):
            predict.begin(np.ones(2 * ASKED, dtype=np.bool_))
        actions = np.asarray(predict(np.repeat(np.array([[-1.0], [1.0]], dtype=np.float32), ASKED, axis=0)), dtype=np.float64)
        bets = 4.5 * (np.clip(actions.reshape(2, ASKED), -1.0, 1.0) + 1.0)
        return scores | {"expected return": expected_return(bets)}


def expected_return(bets: np.ndarray) -> float:
    """Return the expected log growth of an episode whose bets [2, N] in the calm and in the wild regime are drawn from these.

    Each regime has half of the steps. Nothing is won by not betting, and Kelly's bets win the most:

    >>> expected_return(np.zeros((2, 1))), round(expected_return(np.array([[5.0], [1.0]])), 3), round(Portfolio.best, 3)
    (0.0, 4.075, 4.075)
    """
    chances = CHANCES[:, None]
    growth = chances * np.log(1.0 + bets * UP) + (1.0 - chances) * np.log(1.0 - bets * DOWN)
    return float(TRADES * growth.mean())


@kernel
def start_execution(uniform: np.ndarray) -> np.ndarray:
    """Return states [N, 2], the position of 1 and the steps so far."""
    state = np.zeros((len(uniform), 2))
    state[:, 0] = 1.0
    return state


@kernel
def move_execution(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Sell shares of what is left [N, 1]: an action in [-1, 1] sells from none to all of it; the last step sells the rest.

    The reward is -100 (eta v^2 + lambda sigma^2 x^2), with v sold and x left.
    """
    for n in range(len(state)):
        share = (min(max(action[n, 0], -1.0), 1.0) + 1.0) / 2.0
        state[n, 1] += 1.0
        if state[n, 1] >= SHARES_STEPS:
            share = 1.0
        sold = share * state[n, 0]
        state[n, 0] -= sold
        reward[n] = -100.0 * (IMPACT * sold**2 + RISK * state[n, 0] ** 2)
        terminated[n] = state[n, 1] >= SHARES_STEPS


@kernel
def observe_execution(state: np.ndarray) -> np.ndarray:
    """Return position and time left, in [-1, 1] [N, 2], float32."""
    obs = np.empty((len(state), 2), dtype=np.float32)
    for n in range(len(state)):
        obs[n, 0], obs[n, 1] = 2.0 * state[n, 0] - 1.0, 1.0 - 2.0 * state[n, 1] / SHARES_STEPS
    return obs


def best_positions() -> np.ndarray:
    """Return the best positions [T + 1] by Almgren and Chriss.

    x_j = sinh(kappa (T - j)) / sinh(kappa T), (17), with 2 (cosh kappa - 1) = lambda sigma^2 / eta, (18).

    >>> best_positions()[[0, 10, 20]].round(3).tolist()
    [1.0, 0.324, 0.0]
    """
    kappa = math.acosh(1.0 + RISK / IMPACT / 2.0)
    steps = np.arange(SHARES_STEPS + 1)
    positions: np.ndarray = np.sinh(kappa * (SHARES_STEPS - steps)) / math.sinh(kappa * SHARES_STEPS)
    return positions


def best_return() -> float:
    """Return what the best positions earn.

    >>> round(best_return(), 3)
    -9.887
    """
    positions = best_positions()
    return float(-100.0 * (IMPACT * np.diff(positions) ** 2 + RISK * positions[1:] ** 2).sum())


class Execution(ArrayTask):
    """Sell a position over 20 steps: fast sales move the price, slow ones bear risk. The target is 2 % below Almgren and Chriss's best."""

    input_names, output_names = ("position left [-1 none, 1 all]", "time left [-1 none, 1 all]"), ("sale [-1 none, 1 all that is left]",)
    problem = Problem(
        start_execution,
        move_execution,
        observe_execution,
        num_uniform=1,
        input_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
        output_space=spaces.Box(-1.0, 1.0, (1,), np.float32),
        time_limit=SHARES_STEPS,
        target=1.02 * best_return(),
        state_of=lambda obs: np.stack([(obs[:, 0] + 1.0) / 2.0, np.round((1.0 - obs[:, 1]) / 2.0 * SHARES_STEPS)], axis=1).astype(
            np.float64
        ),
    )
