"""The compiled twin of the Q-networks: plain perceptrons on flat vectors, gradients written out by hand.

`dqn.QNetwork` is what to read; this file computes the same numbers several times as fast, and `test_dqn_compiled` holds every update
to the other's.
Source: the derivatives of `dqn.td_loss` and `dqn.dueling_values`.
Departures: none. Letters: B batch, A actions, H outputs of the network: A, or 1 + A where it duels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import nn

from dl_nets.fast.kernels import announced, vectorised
from dl_nets.fast.mlp import FastMLP, FlatAdam, Layout, flat_parameters

if TYPE_CHECKING:
    from rl_algos.q_learning.dqn import DQNConfig
    from rl_algos.replay.buffer import Batch


class Update(NamedTuple):
    """What one gradient step saw, before it; of either twin."""

    loss: float
    value: float  # mean of Q(s, a)
    td_error: np.ndarray  # Q(s, a) less its target [B]


class CompiledQNetwork:
    """Does what `dqn.QNetwork` does, for perceptrons of tanh or ReLU on vectors of floats, on the CPU.

    Args:
        module: `Layout.of` must know it.
        config: Settings.
    """

    def __init__(self, module: nn.Module, config: DQNConfig) -> None:
        layout = Layout.of(module)
        if layout is None:
            raise ValueError("the compiled path of dqn takes plain perceptrons of tanh or ReLU; for other networks set compiled=false")
        self.state_size = 0
        self._config = config
        self._parameters = flat_parameters(module)
        self._target_parameters = self._parameters.copy()
        self._gradient = np.zeros_like(self._parameters)
        self._online = FastMLP(layout, self._parameters, self._gradient)
        self._target = FastMLP(layout, self._target_parameters, np.zeros_like(self._parameters))
        self._adam = FlatAdam(self._parameters, self._gradient)
        with announced("DQN's update"):
            self._rehearse()

    def update(self, batch: Batch, weight: np.ndarray, learning_rate: float) -> Update:
        """One gradient step on a `replay.Batch` with weights [B]."""
        config = self._config
        obs, action, reward, discount, next_obs = batch
        q_target = self._target.forward(next_obs)
        q_choice = self._online.forward(next_obs) if config.double else q_target
        target = td_target(reward, discount, q_target, q_choice, config.dueling)
        head = self._online.forward(obs)  # the last forward is the one that is gone back through
        error, td_error, loss, value = head_error(head, action, target, weight, config.dueling, config.loss == "huber")
        self._online.backward(error)
        self._adam.step(learning_rate, config.max_grad_norm)
        return Update(loss, value, td_error)

    def move_target(self, rate: float) -> None:
        """Move the target network towards the other: theta' <- theta' + tau (theta - theta')."""
        if rate == 1.0:
            self._target_parameters[:] = self._parameters
        else:
            self._target_parameters += np.float32(rate) * (self._parameters - self._target_parameters)

    def values(self, inputs: np.ndarray) -> np.ndarray:
        """Q [B, A] of inputs [B, I]; a buffer where the network does not duel."""
        head = self._online.forward(inputs)
        return dueling_values(head) if self._config.dueling else head

    def _rehearse(self) -> None:
        """Take a step of length 0, so that everything is compiled."""
        inputs, number = np.zeros((2, self._online.layout.sizes[0]), np.float32), np.zeros(2, np.float32)
        self.values(inputs)
        self.update((inputs, np.zeros(2, np.int64), number, number, inputs), number, 0.0)  # type: ignore[arg-type]
        self._adam = FlatAdam(self._parameters, self._gradient)

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self._online.named_parameters("q")

    def state_dict(self) -> dict[str, Any]:
        """Parameters of both networks, Adam's moments and its step count."""
        return {"parameters": self._parameters.copy(), "target": self._target_parameters.copy(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._parameters[:], self._target_parameters[:] = state["parameters"], state["target"]
        self._adam.load_state_dict(state["adam"])


@vectorised
def dueling_values(head: np.ndarray) -> np.ndarray:
    """Q(s, .) = V(s) + A(s, .) - mean A(s, .) [B, A], from a head [B, 1 + A].

    >>> dueling_values(np.array([[10, 1, 3]], dtype=np.float32)).tolist()
    [[9.0, 11.0]]
    """
    size, num_actions = head.shape[0], head.shape[1] - 1
    q = np.empty((size, num_actions), dtype=np.float32)
    for b in range(size):
        mean = np.float32(0.0)
        for a in range(num_actions):
            mean += head[b, 1 + a]
        mean /= np.float32(num_actions)
        for a in range(num_actions):
            q[b, a] = head[b, 0] + head[b, 1 + a] - mean
    return q


@vectorised
def td_target(reward: np.ndarray, discount: np.ndarray, head_target: np.ndarray, head_choice: np.ndarray, dueling: bool) -> np.ndarray:
    """Targets r + discount Q'(s', a*) [B], a* the action that `head_choice` [B, H] likes best, Q' from `head_target` [B, H].

    >>> one, half = np.ones(1, dtype=np.float32), np.full(1, 0.5, dtype=np.float32)
    >>> target, choice = np.array([[1, 5]], dtype=np.float32), np.array([[3, 2]], dtype=np.float32)
    >>> td_target(one, half, target, target, False).tolist(), td_target(one, half, target, choice, False).tolist()
    ([3.5], [1.5])
    """
    q_target = dueling_values(head_target) if dueling else head_target
    q_choice = dueling_values(head_choice) if dueling else head_choice
    target = np.empty(len(reward), dtype=np.float32)
    for b in range(len(reward)):
        best = 0
        for a in range(1, q_choice.shape[1]):
            if q_choice[b, a] > q_choice[b, best]:
                best = a
        target[b] = reward[b] + discount[b] * q_target[b, best]
    return target


@vectorised
def head_error(
    head: np.ndarray, action: np.ndarray, target: np.ndarray, weight: np.ndarray, dueling: bool, huber: bool
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """D loss / d head [B, H], TD errors [B], the loss, and the mean value.

    d loss / d Q(s, a) = w delta / B, delta cut to [-1, 1] for Huber. A dueling head's V takes it whole; of the advantages, the
    action's own takes 1 - 1/A of it and every other -1/A.

    Args:
        head: [B, H].
        action: [B].
        target: Of Q(s, a) [B].
        weight: Of each loss [B].
        dueling: Whether the head is V and A.
        huber: Whether the loss is Huber's, else half the square.

    >>> one = np.ones(1, dtype=np.float32)
    >>> error, td_error, loss, value = head_error(np.array([[4, 2]], dtype=np.float32), np.array([0]), one, 0.5 * one, False, True)
    >>> error.tolist(), td_error.tolist(), loss, value  # delta 3: loss 0.5 (3 - 0.5)
    ([[0.5, 0.0]], [3.0], 1.25, 4.0)
    """
    q = dueling_values(head) if dueling else head
    size, num_actions = q.shape
    error, td_error = np.zeros_like(head), np.empty(size, dtype=np.float32)
    loss, value = 0.0, 0.0
    for b in range(size):
        delta = q[b, action[b]] - target[b]
        td_error[b] = delta
        slope = delta
        if huber and abs(delta) > 1:
            slope = np.float32(1.0) if delta > 0 else np.float32(-1.0)
        slope *= weight[b] / np.float32(size)
        if dueling:
            error[b, 0] = slope
            for a in range(num_actions):
                error[b, 1 + a] = -slope / np.float32(num_actions)
            error[b, 1 + action[b]] += slope
        else:
            error[b, action[b]] = slope
    for b in range(size):
        size_of_error = abs(td_error[b])
        loss += weight[b] * (size_of_error - 0.5 if huber and size_of_error > 1 else 0.5 * size_of_error * size_of_error)
        value += q[b, action[b]]
    return error, td_error, loss / size, value / size
