"""Trials: some episodes of one task in a row, seen by a policy with a memory that learns within them.

An input holds the observation, the action before it, the reward that followed, and whether an episode began. The last reward of an
episode is an input at the first step of the next one; the memory begins anew only with the trial.

Source: Y. Duan and others, "RL^2: fast reinforcement learning via slow reinforcement learning", 2016, section 2.2.
Departures: none. Letters: T steps of a trial, N trials, I inputs, D dimensions of an action, E episodes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rl_algos.meta.action_heads import ActionHeads, Head, features, num_features
from rl_algos.on_policy.rollout import advantages
from rl_core.envs import Envs


class Memory(Protocol):
    """A policy and its critic with a memory of the trial."""

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return heads [T, N, K] and values [T, N] of whole trials [T, N, I]."""

    def begin(self, num_trials: int, num_steps: int) -> Any:
        """Return the memory of trials that begin, of at most so many steps."""

    def advance(self, inputs: Tensor, memory: Any) -> tuple[Tensor, Tensor, Any]:
        """Return heads [N, K], values [N] and the next memory, of inputs [N, I]."""

    @property
    def log_std(self) -> Tensor:
        """The ln sigma of real actions [D]."""


class Trials(NamedTuple):
    """Record of trials.

    Attributes:
        inputs: [T, N, I].
        action: [T, N] or [T, N, D].
        reward: [T, N].
        over: Whether an episode ended with this step [T, N].
        counts: Whether a step belongs to the trial [T, N].
        log_prob: ln pi(a|s) when it was played [T, N].
        value: What the critic expected then [T, N].
    """

    inputs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    over: np.ndarray
    counts: np.ndarray
    log_prob: np.ndarray
    value: np.ndarray

    def returns(self, num_episodes: int) -> np.ndarray:
        """Return the return of each episode of the trials [E, N]; 0 for one that was not reached."""
        number = np.cumsum(self.over, axis=0) - self.over
        paid = self.reward * self.counts
        return np.stack([(paid * (number == episode)).sum(axis=0) for episode in range(num_episodes)])


def trial_size(input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any]) -> int:
    """Return I: the numbers of an observation, of an action, a reward and a beginning."""
    return num_features(input_space) + num_features(output_space) + 2


def after_action(space: gymnasium.Space[Any], action: np.ndarray) -> np.ndarray:
    """Return actions [N] or [N, D], as they were drawn, as numbers of the next input: one at its number, or the action itself."""
    if isinstance(space, spaces.Discrete):
        return (action[:, None] == np.arange(space.n)).astype(np.float32)
    return action.reshape(len(action), math.prod(space.shape or ())).clip(-2.0, 2.0)


@torch.no_grad()
def play(envs: Envs, memory: Memory, heads: ActionHeads, rng: np.random.Generator, num_episodes: int, max_steps: int) -> Trials:
    """Return a trial of each environment, whose actions are drawn from the policy.

    Args:
        envs: N environments that stay with their tasks.
        memory: The policy.
        heads: Its distribution of actions.
        rng: Stream of the actions.
        num_episodes: E.
        max_steps: Steps after which a trial is cut.
    """
    num_trials, log_std = envs.num_envs, memory.log_std.numpy()
    seen = features(envs.input_space, envs.restart())
    before = np.zeros((num_trials, num_features(envs.output_space) + 1), dtype=np.float32)  # no action, no reward
    begins = np.ones((num_trials, 1), dtype=np.float32)
    state, finished = memory.begin(num_trials, max_steps), np.zeros(num_trials, dtype=np.int64)
    steps: list[tuple[np.ndarray, ...]] = []
    while (finished < num_episodes).any() and len(steps) < max_steps:
        inputs = np.concatenate((seen, before, begins), axis=1)
        values, value, state = memory.advance(torch.from_numpy(inputs), state)
        head = Head(values[None], torch.from_numpy(log_std)[None, None])
        action = heads.sample(Head(values[None].numpy(), log_std[None, None]), heads.actions.noise(rng, num_trials))
        log_prob = heads.log_prob(head, torch.from_numpy(action)[None])[0]
        after = envs.step(heads.actions.to_env(action))
        over, counts = after.terminated | after.truncated, finished < num_episodes
        steps.append((inputs, action, after.reward, over, counts, log_prob.numpy(), value.numpy()))
        finished += over
        seen = features(envs.input_space, after.obs)
        before = np.concatenate((after_action(envs.output_space, action), after.reward[:, None]), axis=1)
        begins = over[:, None].astype(np.float32)
    envs.pop_episodes()
    return Trials(*(np.stack(column) for column in zip(*steps, strict=True)))


def trial_advantages(trials: Trials, discount: float, gae_lambda: float) -> np.ndarray:
    """Return advantages [T, N] over whole trials: nothing stops at the end of an episode, everything at that of the trial.

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> over, counts = np.array([[True], [True]]), np.array([[True], [True]])
    >>> trials = Trials(column(0, 0), column(0, 0), column(1, 2), over, counts, column(0, 0), column(0, 0))
    >>> trial_advantages(trials, 0.5, 1.0).ravel().tolist()  # 1 + 0.5 * 2, and 2
    [2.0, 2.0]
    """
    last = trials.counts & ~np.concatenate((trials.counts[1:], np.zeros_like(trials.counts[:1])))
    next_value = np.concatenate((trials.value[1:], np.zeros_like(trials.value[:1])))
    factor = np.where(last, 0.0, discount).astype(np.float32)
    return advantages(trials.reward, factor, trials.value, next_value, last, gae_lambda)
