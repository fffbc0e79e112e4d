"""Generalised advantage estimation.

Source: J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel. "High-dimensional continuous control using generalized advantage
estimation", 2016, equations (11), (12) and (16).
Departures: none in the estimate. The paper's episodes all terminate; here one may also be cut by a time limit, and then the
value of where it was cut stands for the rest (F. Pardo and others, "Time limits in reinforcement learning", 2018).
Letters: T time, N environments.
"""

from __future__ import annotations

import numpy as np

from dl_nets.fast.kernels import kernel


@kernel
def advantages(
    reward: np.ndarray, discount: np.ndarray, value: np.ndarray, next_value: np.ndarray, over: np.ndarray, gae_lambda: float
) -> np.ndarray:
    """Advantages [T, N]: discounted sums of TD errors that stop at the end of an episode.

    delta_t = r_t + discount_t V(s_t+1) - V(s_t), and A_t = delta_t + discount_t lambda A_t+1 within an episode. (11), (16)

    Written once and compiled: `advantages.py_func` is the same text as plain Python.

    Args:
        reward: r_t [T, N].
        discount: gamma where the episode has a future, also one cut off by a time limit; 0 where it terminated [T, N].
        value: V(s_t) [T, N].
        next_value: V(s_t+1) of where the action led, before any new episode begins [T, N].
        over: Whether the episode ended with this step, either way [T, N].
        gae_lambda: lambda in [0, 1]; 0 is the TD error (17), 1 the Monte Carlo return less the value (18).

    Returns:
        A_t [T, N], float32.

    One episode of two steps that terminates: delta = (1 + 0.5 * 4 - 2, 1 - 4) = (1, -3), A_0 = 1 + 0.5 * 0.5 * -3 = 0.25.

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> advantages(column(1, 1), column(0.5, 0), column(2, 4), column(4, 9), np.array([[False], [True]]), 0.5).ravel().tolist()
    [0.25, -3.0]
    """
    num_steps, num_envs = reward.shape
    advantage = np.zeros((num_steps, num_envs), dtype=np.float32)
    for n in range(num_envs):
        trace = 0.0
        for t in range(num_steps - 1, -1, -1):
            td_error = reward[t, n] + discount[t, n] * next_value[t, n] - value[t, n]  # (11)
            trace = td_error + (0.0 if over[t, n] else discount[t, n] * gae_lambda * trace)  # (16), as a recursion
            advantage[t, n] = trace
    return advantage
