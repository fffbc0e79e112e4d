"""Episodes of many tasks: played together, and estimated task by task.

Source of the baseline: Y. Duan, X. Chen, R. Houthooft, J. Schulman, P. Abbeel, "Benchmarking deep reinforcement learning for continuous
control", 2016, section 4: a linear function of s, s^2, t, t^2, t^3 and 1.
Departures: none. Letters: T steps, M tasks, B episodes of a task, N = M B environments, R = T B rows of a task, I inputs, F features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rl_algos.meta.action_heads import features
from rl_algos.meta.flat_policy import FlatPolicy
from rl_core.envs import Envs

RIDGE = 1e-5  # first penalty of the baseline; ten times as much as long as the equations cannot be solved
MOST_RIDGE = 1e3


class Episodes(NamedTuple):
    """One episode of each environment; what follows its end does not count.

    Attributes:
        inputs: [T, N, I].
        action: [T, N] or [T, N, D].
        reward: [T, N].
        counts: Whether a step belongs to the episode [T, N].
    """

    inputs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    counts: np.ndarray

    def returns(self, num_tasks: int) -> np.ndarray:
        """Return the mean return of an episode of each task [M]."""
        total = (self.reward * self.counts).sum(axis=0)
        mean: np.ndarray = total.reshape(num_tasks, -1).mean(axis=1)
        return mean


class TaskBatch(NamedTuple):
    """Steps of the episodes of each task, as tensors.

    Attributes:
        inputs: [M, R, I].
        action: [M, R] or [M, R, D].
        advantage: To mean 0 and deviation 1 within a task [M, R].
        weight: Share of each step in the mean over its task; 0 where it does not count [M, R].
    """

    inputs: Tensor
    action: Tensor
    advantage: Tensor
    weight: Tensor

    def thinned(self, stride: int) -> TaskBatch:
        """Return every `stride`-th step of each task, each with the share of as many.

        >>> batch = TaskBatch(*(torch.arange(4.0)[None] for _ in range(3)), torch.tensor([[0.4, 0.1, 0.1, 0.4]]))
        >>> batch.thinned(2).inputs, batch.thinned(2).weight.round(decimals=2)
        (tensor([[0., 2.]]), tensor([[0.8000, 0.2000]]))
        """
        inputs, action, advantage, weight = (tensor[:, ::stride] for tensor in self)
        return TaskBatch(inputs, action, advantage, weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-12))

    def to(self, dtype: torch.dtype) -> TaskBatch:
        """Return the batch with floats of another precision."""
        return TaskBatch(*(tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in self))


def play(envs: Envs, policy: FlatPolicy, parameters: np.ndarray, rng: np.random.Generator, max_steps: int) -> Episodes:
    """Return an episode of each environment, which the policy plays with the parameters of its task.

    Args:
        envs: M B environments, B of each task.
        policy: The policy.
        parameters: Of each task [M, P].
        rng: Stream of the actions.
        max_steps: Steps after which an episode that still goes on is cut.
    """
    num_tasks, space = len(parameters), envs.input_space
    inputs = features(space, envs.restart())
    running = np.ones(envs.num_envs, dtype=np.bool_)
    steps: list[tuple[np.ndarray, ...]] = []
    while running.any() and len(steps) < max_steps:
        head = policy.array_head(parameters, inputs.reshape(num_tasks, -1, inputs.shape[-1]))
        action = policy.sample(head, policy.actions.noise(rng, envs.num_envs))
        after = envs.step(policy.actions.to_env(action))
        steps.append((inputs, action, after.reward, running))
        running = running & ~(after.terminated | after.truncated)
        inputs = features(space, after.obs)
    envs.pop_episodes()
    inputs_, action, reward, counts = (np.stack(column) for column in zip(*steps, strict=True))
    return Episodes(inputs_, action, reward, counts)


def returns_to_go(reward: np.ndarray, discount: float) -> np.ndarray:
    """Return the discounted sum of the rewards [T, ...] from each step on.

    >>> returns_to_go(np.array([1.0, 2.0]), 0.5).tolist()
    [2.0, 2.0]
    """
    total, sums = np.zeros(reward.shape[1:]), np.empty(reward.shape)
    for t in range(len(reward) - 1, -1, -1):
        total = reward[t] + discount * total
        sums[t] = total
    return sums


def linear_baseline(values: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the least-squares fit [M, R] of targets [M, R] by features [M, R, F], for each task by itself.

    >>> rows = np.array([[[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]])
    >>> linear_baseline(rows, np.array([[1.0, 3.0, 5.0]]), np.ones((1, 3))).round(3).tolist()
    [[1.0, 3.0, 5.0]]
    """
    weighted = values * weight[..., None]
    square, right = weighted.transpose(0, 2, 1) @ values, weighted.transpose(0, 2, 1) @ targets[..., None]
    identity, ridge = np.eye(values.shape[-1]), RIDGE
    while True:
        try:
            solution = np.linalg.solve(square + ridge * identity, right)
            if np.isfinite(solution).all() or ridge > MOST_RIDGE:
                return (values @ np.nan_to_num(solution))[..., 0]
        except np.linalg.LinAlgError:
            if ridge > MOST_RIDGE:
                return np.zeros_like(targets)
        ridge *= 10.0


def task_batch(episodes: Episodes, num_tasks: int, discount: float) -> TaskBatch:
    """Return the steps of episodes by task, with advantages: returns less a linear baseline of the task's own."""
    num_steps = len(episodes.reward)

    def by_task(array: np.ndarray) -> np.ndarray:  # [T, M B, ...] to [M, T B, ...]
        shaped = array.reshape(num_steps, num_tasks, -1, *array.shape[2:])
        return np.moveaxis(shaped, 1, 0).reshape(num_tasks, -1, *array.shape[2:])

    counts = by_task(episodes.counts).astype(np.float64)
    target = by_task(returns_to_go(episodes.reward * episodes.counts, discount))
    inputs = by_task(episodes.inputs)
    time = np.repeat(np.arange(num_steps) / 100.0, counts.shape[1] // num_steps)[None, :, None] * np.ones((num_tasks, 1, 1))
    known = np.clip(inputs.astype(np.float64), -10.0, 10.0)
    advantage = target - linear_baseline(np.concatenate((known, known**2, time, time**2, time**3, time**0), axis=2), target, counts)
    weight = counts / counts.sum(axis=1, keepdims=True)
    mean = (weight * advantage).sum(axis=1, keepdims=True)
    std = np.sqrt((weight * (advantage - mean) ** 2).sum(axis=1, keepdims=True))
    standard = (advantage - mean) / (std + 1e-8)
    return TaskBatch(
        *(torch.from_numpy(np.ascontiguousarray(array)) for array in (inputs, by_task(episodes.action))),
        *(torch.from_numpy(array.astype(np.float32)) for array in (standard, weight)),
    )
