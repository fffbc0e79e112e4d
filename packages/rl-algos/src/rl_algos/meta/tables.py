"""Families of bandits and of small Markov decision processes with random tables.

Source: Y. Duan, J. Schulman, X. Chen, P. Bartlett, I. Sutskever, P. Abbeel, "RL^2: fast reinforcement learning via slow reinforcement
learning", 2016, sections 3.1 and 3.2. Departures: none.
Letters: N environments, A actions, S states, U uniform numbers of a task.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import kernel
from rl_algos.meta.families import ArrayFamily, FamilyConfig, Motion
from rl_core.config import Count, Doc, Meta, configclass


@configclass
class BanditFamilyConfig(FamilyConfig):
    """Settings of the family of bandits."""

    trial_episodes: Annotated[Count, Doc("episodes that an agent with a memory plays in one task, a trial")] = 1
    num_arms: Annotated[int, Meta(ge=2, le=10_000), Doc("K")] = 5
    num_pulls: Annotated[Count, Doc("n, pulls of an episode")] = 10


@configclass
class TableFamilyConfig(FamilyConfig):
    """Settings of the family of random processes."""

    trial_episodes: Annotated[Count, Doc("n, episodes that an agent with a memory plays in one task, a trial")] = 10
    num_states: Annotated[int, Meta(ge=1, le=100), Doc("S")] = 10
    num_actions: Annotated[int, Meta(ge=2, le=100), Doc("A")] = 5
    time_limit: Annotated[Count, Doc("steps of an episode")] = 10


@kernel
def first_state(uniform: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """Return states 0 [N, 1]."""
    return np.zeros((len(variation), 1))


@kernel
def observe(state: np.ndarray) -> np.ndarray:
    """Return the numbers of the states [N], int64."""
    return state[:, 0].astype(np.int64)


@kernel
def pull(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Pay 1 with the probability of the arm [N, A] that is pulled [N], else 0."""
    for n in range(len(state)):
        reward[n] = 1.0 if uniform[n, 0] < variation[n, action[n]] else 0.0
        terminated[n] = False


@kernel
def move(
    state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray, variation: np.ndarray, uniform: np.ndarray
) -> None:
    """Pay a normal reward of deviation 1 around the mean of state and action, and go to the next state.

    Args:
        state: [N, 1]; becomes the next state.
        action: [N].
        reward: Written to [N].
        terminated: Becomes false [N].
        variation: S, A, mean rewards [S A] and cumulated transition probabilities [S A S], one behind the other [N, ...].
        uniform: One number for the next state and two for the reward [N, 3].
    """
    for n in range(len(state)):
        num_states, num_actions = int(variation[n, 0]), int(variation[n, 1])
        pair = int(state[n, 0]) * num_actions + action[n]
        normal = math.sqrt(-2.0 * math.log(1.0 - uniform[n, 1])) * math.cos(2.0 * math.pi * uniform[n, 2])
        reward[n] = variation[n, 2 + pair] + normal
        first = 2 + num_states * num_actions + pair * num_states
        after = 0
        while after < num_states - 1 and variation[n, first + after] <= uniform[n, 0]:
            after += 1
        state[n, 0] = after
        terminated[n] = False


class BanditFamily(ArrayFamily):
    """Bernoulli bandits whose arms pay with probabilities drawn uniformly from [0, 1]. An episode of n pulls ends; it is not cut."""

    Config: ClassVar[type] = BanditFamilyConfig
    motion = Motion(first_state, pull, observe, num_chance=1)
    ends = True
    config: BanditFamilyConfig

    def __init__(self, config: BanditFamilyConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = spaces.Discrete(1), spaces.Discrete(config.num_arms)
        self.num_uniform, self.time_limit = config.num_arms, config.num_pulls

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return the arms' probabilities [N, A], which are the uniform numbers."""
        return uniform


class TableFamily(ArrayFamily):
    """Processes with transition probabilities from Dirichlet(1) and mean rewards from N(1, 1); episodes start in state 0."""

    Config: ClassVar[type] = TableFamilyConfig
    motion = Motion(first_state, move, observe, num_chance=3)
    ends = True
    config: TableFamilyConfig

    def __init__(self, config: TableFamilyConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space = spaces.Discrete(config.num_states), spaces.Discrete(config.num_actions)
        self.num_uniform = config.num_states * config.num_actions * (config.num_states + 2)
        self.time_limit = config.time_limit

    def vary(self, uniform: np.ndarray, is_test: np.ndarray) -> np.ndarray:
        """Return S, A, mean rewards and cumulated probabilities of each task, as `move` reads them."""
        config = self.config
        pairs = config.num_states * config.num_actions
        mean = 1.0 + np.sqrt(-2.0 * np.log1p(-uniform[:, :pairs])) * np.cos(2.0 * math.pi * uniform[:, pairs : 2 * pairs])
        weights = -np.log1p(-uniform[:, 2 * pairs :]).reshape(len(uniform), pairs, config.num_states)  # exponential, so Dirichlet(1)
        cumulated = np.cumsum(weights, axis=2) / weights.sum(axis=2, keepdims=True)
        sizes = np.broadcast_to([float(config.num_states), float(config.num_actions)], (len(uniform), 2))
        return np.concatenate((sizes, mean, cumulated.reshape(len(uniform), -1)), axis=1)
