"""Small processes of the textbooks, and random ones of any size.

*Source*: Sutton and Barto, Reinforcement Learning (2nd edition, 2018), examples 4.3 (gambler) and 6.2 (random walk); Silver, Lectures on
Reinforcement Learning (2015), lecture 2 (student); Archibald, McKinnon and Thomas, On the Generation of Markov Decision Processes
(1995) (garnet).

*Letters*: S states, A actions, B branches.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Count, Doc, Fraction, Meta, Whole, configclass


@configclass
class RandomWalkConfig:
    """A walk to either side until an end is reached."""

    num_states: Annotated[Count, Doc("S, states between the two ends")] = 5
    left_reward: Annotated[float, Doc("reward of leaving on the left, unit of reward, any number")] = 0.0
    right_reward: Annotated[float, Doc("reward of leaving on the right, unit of reward, any number")] = 1.0
    discount: Annotated[Fraction, Doc("gamma")] = 1.0
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 0


class RandomWalk(MDPTask):
    """A reward process (one action): from the middle, a step to either side alike, 1 for leaving on the right (example 6.2)."""

    Config: ClassVar[type] = RandomWalkConfig

    def __init__(self, config: RandomWalkConfig) -> None:
        last = config.num_states - 1
        table = {
            state: {
                0: [
                    (0.5, max(state - 1, 0), config.left_reward if state == 0 else 0.0, state == 0),
                    (0.5, min(state + 1, last), config.right_reward if state == last else 0.0, state == last),
                ]
            }
            for state in range(config.num_states)
        }
        start = np.zeros(config.num_states)
        start[config.num_states // 2] = 1.0
        super().__init__(config, MDP.from_table(table, discount=config.discount, start=start), max_steps=config.max_steps)


@configclass
class GamblersProblemConfig:
    """A gambler who bets on a coin."""

    heads: Annotated[float, Meta(gt=0, lt=1), Doc("p_h, probability to win a bet")] = 0.4
    goal: Annotated[int, Meta(ge=2), Doc("capital at which the gambler has won")] = 100
    discount: Annotated[Fraction, Doc("gamma")] = 1.0
    max_steps: Annotated[Whole, Doc("bets after which an episode is cut; 0 for no limit")] = 0


class GamblersProblem(MDPTask):
    """Reach the goal or lose everything (example 4.3). Action a stakes a + 1, or as much as capital and goal allow."""

    Config: ClassVar[type] = GamblersProblemConfig

    def __init__(self, config: GamblersProblemConfig) -> None:
        goal = config.goal
        table: dict[int, dict[int, list[tuple]]] = {}
        for capital in range(goal + 1):
            table[capital] = {}
            for action in range(goal // 2):
                stake = min(action + 1, capital, goal - capital)
                if stake == 0:
                    table[capital][action] = [(1.0, capital, 0.0, True)]
                    continue
                won, lost = capital + stake, capital - stake
                table[capital][action] = [
                    (config.heads, won, float(won == goal), won == goal),
                    (1.0 - config.heads, lost, 0.0, lost == 0),
                ]
        start = np.zeros(goal + 1)
        start[1:goal] = 1.0 / (goal - 1)
        super().__init__(config, MDP.from_table(table, discount=config.discount, start=start), max_steps=config.max_steps)


@configclass
class StudentConfig:
    """A student's day."""

    discount: Annotated[Fraction, Doc("gamma")] = 0.9
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 0


STUDENT_STATES = ("class 1", "class 2", "class 3", "pass", "pub", "facebook", "sleep")


class StudentProcess(MDPTask):
    """A reward process (one action): three classes, a pub and a feed, until sleep (Silver's lecture 2)."""

    Config: ClassVar[type] = StudentConfig

    def __init__(self, config: StudentConfig) -> None:
        class_1, class_2, class_3, passed, pub, feed, sleep = range(7)
        moves = {
            class_1: (-2.0, {class_2: 0.5, feed: 0.5}),
            class_2: (-2.0, {class_3: 0.8, sleep: 0.2}),
            class_3: (-2.0, {passed: 0.6, pub: 0.4}),
            passed: (10.0, {sleep: 1.0}),
            pub: (1.0, {class_1: 0.2, class_2: 0.4, class_3: 0.4}),
            feed: (-1.0, {class_1: 0.1, feed: 0.9}),
            sleep: (0.0, {sleep: 1.0}),
        }
        table = {
            state: {0: [(chance, target, reward, target == sleep) for target, chance in targets.items()]}
            for state, (reward, targets) in moves.items()
        }
        start = np.eye(7)[class_1]
        layout = Layout(["......."], np.array([[0, state] for state in range(7)]), caption=STUDENT_STATES)
        mdp = MDP.from_table(table, discount=config.discount, start=start)
        super().__init__(config, mdp, max_steps=config.max_steps, layout=layout)


@configclass
class GarnetConfig:
    """A random process."""

    num_states: Annotated[int, Meta(ge=2), Doc("S")] = 100
    num_actions: Annotated[Count, Doc("A")] = 4
    branches: Annotated[int, Doc("B, states that a pair can lead to, in [1, S]")] = 5
    discount: Annotated[Fraction, Doc("gamma")] = 0.95
    ending: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a step ends the episode")] = 0.0
    process_seed: Annotated[Whole, Doc("which process")] = 0
    max_steps: Annotated[Whole, Doc("steps after which an episode is cut; 0 for no limit")] = 100

    def __post_init__(self) -> None:
        if not 1 <= self.branches <= self.num_states:
            raise ValueError(f"branches is {self.branches}; it must be in [1, {self.num_states}]")


class Garnet(MDPTask):
    """A random process: each pair leads to B distinct states, with random probabilities, for a reward in [0, 1)."""

    Config: ClassVar[type] = GarnetConfig

    def __init__(self, config: GarnetConfig) -> None:
        super().__init__(config, garnet(config), max_steps=config.max_steps)


def garnet(config: GarnetConfig) -> MDP:
    """Return a random process; probabilities are the gaps between B - 1 uniform cuts of [0, 1]."""
    rng = np.random.Generator(np.random.PCG64(config.process_seed))
    pairs, branches = config.num_states * config.num_actions, config.branches
    if branches * 4 > config.num_states:
        successor = rng.permuted(np.tile(np.arange(config.num_states), (pairs, 1)), axis=1)[:, :branches]
    else:  # few of many: draw, and draw rows with a repetition again
        successor = rng.integers(config.num_states, size=(pairs, branches))
        while True:
            ordered = np.sort(successor, axis=1)
            repeated = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
            if not repeated.any():
                break
            successor[repeated] = rng.integers(config.num_states, size=(int(repeated.sum()), branches))
    cuts = np.sort(rng.random((pairs, branches - 1)), axis=1)
    probability = np.diff(np.concatenate([np.zeros((pairs, 1)), cuts, np.ones((pairs, 1))], axis=1), axis=1)
    reward = np.repeat(rng.random(pairs), branches)
    successor, probability, terminated = successor.ravel(), probability.ravel(), np.zeros(pairs * branches, dtype=bool)
    per_pair = branches
    if config.ending > 0.0:  # every outcome is doubled: it ends the episode, or it does not
        per_pair = 2 * branches
        successor, reward = np.repeat(successor, 2), np.repeat(reward, 2)
        probability = (probability[:, None] * np.array([1.0 - config.ending, config.ending])).ravel()
        terminated = np.tile([False, True], pairs * branches)
    return MDP(
        offset=np.arange(pairs + 1) * per_pair,
        probability=probability,
        next_state=successor,
        reward=reward,
        terminated=terminated,
        discount=config.discount,
        start=np.full(config.num_states, 1.0 / config.num_states),
        num_actions=config.num_actions,
    )
