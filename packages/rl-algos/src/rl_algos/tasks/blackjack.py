"""Blackjack, from its table and through Gymnasium.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), example 5.1; the rules are those of Gymnasium's `Blackjack-v1`
with `sab=True`: an endless deck, no splitting or doubling, and a natural wins unless the dealer has one too.

*Departures*: a hand of 21 in two cards (a natural) has a state of its own in the table, because sticking with it pays otherwise than
with a 21 of more cards; Gymnasium's observation does not tell the two apart.

A state is numbered (sum * 11 + dealer's card) * 2 + usable ace; a natural is numbered as the sum 22.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Doc, Fraction, configclass
from rl_core.envs import Envs
from rl_core.gym_envs import GymEnvs
from rl_core.gym_interface import ACTIONS
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

NUM_STATES = 32 * 11 * 2
STICK, HIT = 0, 1
NATURAL = 22
CARDS = tuple((card, 4.0 / 13.0 if card == 10 else 1.0 / 13.0) for card in range(1, 11))
TARGET = -0.06  # mean return; the best policy reaches about -0.047


@configclass
class BlackjackConfig:
    """Blackjack has nothing to set but how its future counts."""

    discount: Annotated[Fraction, Doc("gamma")] = 1.0


class Blackjack(MDPTask):
    """Blackjack whose model is known; prediction is about sticking on 20 and 21 alone (figure 5.1)."""

    Config: ClassVar[type] = BlackjackConfig

    def __init__(self, config: BlackjackConfig) -> None:
        super().__init__(config, blackjack_process(config.discount), max_steps=0, layout=_layout(), policy=stick_from(20))
        self.class_names = ACTIONS["Blackjack"]
        self.target = TARGET


class BlackjackByGymnasium(ControlTask):
    """Gymnasium's `Blackjack-v1` with its three observed numbers combined into one; the model stays hidden."""

    Config: ClassVar[type] = BlackjackConfig
    class_names = ACTIONS["Blackjack"]
    target = TARGET

    def __init__(self, config: BlackjackConfig) -> None:
        super().__init__(config)
        self.input_space = spaces.Discrete(NUM_STATES)
        self.output_space = spaces.Discrete(2)
        self.discount = config.discount
        self.policy = np.eye(2)[stick_from(20)]
        self.layout = _layout()

    def traits(self) -> frozenset[str]:
        """Return the task's traits, with "layout" and "policy"."""
        return super().traits() | {"layout", "policy"}

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return Gymnasium's environments one after the other."""
        return GymEnvs(_make, num_envs, seeds)


class _Numbered(gymnasium.ObservationWrapper):
    observation_space = spaces.Discrete(NUM_STATES)

    def observation(self, observation: tuple[int, int, int]) -> int:
        return number_of(*observation)


def _make() -> gymnasium.Env:
    env: Any = gymnasium.make("Blackjack-v1", disable_env_checker=True)
    return _Numbered(env)


def number_of(total: int, dealer: int, usable: int) -> int:
    """Return the number of a state.

    >>> number_of(13, 2, 0)
    290
    """
    return (int(total) * 11 + int(dealer)) * 2 + int(usable)


def stick_from(total: int) -> np.ndarray:
    """Return the policy [S] that sticks with `total` or more and hits with less."""
    sums = np.arange(NUM_STATES) // 22
    return np.where(sums >= total, STICK, HIT)


@lru_cache(maxsize=1)
def dealer_results() -> dict[int, dict[int, float]]:
    """Return the probabilities that each dealer's card leads to a final sum of 17 to 21, to 0 (bust), or to `NATURAL`."""

    def play(total: int, ace: bool, cards: int) -> dict[int, float]:
        best = total + 10 if ace and total <= 11 else total
        if best >= 17:
            return {NATURAL if cards == 2 and best == 21 else best if best <= 21 else 0: 1.0}
        results: dict[int, float] = {}
        for card, chance in CARDS:
            for result, probability in play(total + card, ace or card == 1, cards + 1).items():
                results[result] = results.get(result, 0.0) + chance * probability
        return results

    return {card: play(card, card == 1, 1) for card, _ in CARDS}


def blackjack_process(discount: float = 1.0) -> MDP:
    """Return the table of blackjack; numbers that no hand has are terminal."""
    table: dict[int, dict[int, list[tuple]]] = {state: {STICK: [], HIT: []} for state in range(NUM_STATES)}
    for dealer, results in dealer_results().items():
        for total in range(4, NATURAL + 1):
            for usable in (0, 1):
                if usable and total < 12:
                    continue
                state = number_of(total, dealer, usable)
                table[state] = {STICK: _stick(state, total, results), HIT: _hit(min(total, 21), dealer, usable)}
    for state, actions in table.items():
        if not actions[STICK]:
            table[state] = {action: [(1.0, state, 0.0, True)] for action in (STICK, HIT)}
    start = np.zeros(NUM_STATES)
    for first, first_chance in CARDS:
        for second, second_chance in CARDS:
            for dealer, dealer_chance in CARDS:
                total, ace = first + second, 1 in (first, second)
                best = total + 10 if ace else total
                start[number_of(NATURAL if best == 21 else best, dealer, ace)] += first_chance * second_chance * dealer_chance
    return MDP.from_table(table, discount=discount, start=start)


def _stick(state: int, total: int, results: dict[int, float]) -> list[tuple]:
    chances = {1.0: 0.0, 0.0: 0.0, -1.0: 0.0}
    for result, probability in results.items():
        # among naturals it is a draw; any other 21 ties with a dealer's natural
        reward = float(np.sign(total - (result if total == NATURAL else min(result, 21))))
        chances[reward] += probability
    return [(chance, state, reward, True) for reward, chance in chances.items() if chance > 0.0]


def _hit(total: int, dealer: int, usable: int) -> list[tuple]:
    outcomes = []
    for card, chance in CARDS:
        hard = total - 10 * usable + card
        soft = bool(usable or card == 1) and hard <= 11
        if hard > 21:
            outcomes.append((chance, number_of(total, dealer, usable), -1.0, True))
        else:
            outcomes.append((chance, number_of(hard + 10 if soft else hard, dealer, soft), 0.0, False))
    return outcomes


def _layout() -> Layout:
    """Lay out sums from 22 down to 0 against the dealer's cards: without a usable ace on the left, with one on the right."""
    sums, rest = np.divmod(np.arange(NUM_STATES), 22)
    dealer, usable = np.divmod(rest, 2)
    return Layout(["." * 23] * 32, np.stack([31 - sums, dealer + 12 * usable], axis=1))
