"""What a network's head means: distributions over actions, sampled in NumPy from noise that the agent draws.

Sampling is apart from the random stream so that a whole rollout's noise is drawn in one call, and so that two ways of
computing the same policy take the same actions.
Source: any text on exponential families; the Gaussian's entropy is D/2 (1 + ln 2 pi) + sum(log sigma).
Letters: B batch, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from dl_nets.fast.kernels import kernel

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Categorical:
    """A choice among the A actions of a `Discrete` space; the head gives logits [B, A].

    Args:
        space: Its `start` need not be 0.
    """

    scale_size = 0  # no parameters besides the head

    def __init__(self, space: spaces.Discrete) -> None:
        self.num_outputs = int(space.n)
        self._start = int(space.start)

    def noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Uniform numbers in [0, 1), one for each action to be drawn."""
        return rng.random(shape)

    def sample(self, head: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [B] drawn by inverting the cumulative distribution at `noise` [B]."""
        return sample_categorical(head, noise)

    def greedy(self, head: np.ndarray) -> np.ndarray:
        """The most probable actions [B]."""
        return head.argmax(axis=1)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Actions as the environment numbers them [B]."""
        return action + self._start if self._start else action

    def log_prob(self, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-probabilities ln pi(a|s) [B] of actions [B].

        >>> Categorical(spaces.Discrete(2)).log_prob(torch.tensor([[0.0, math.log(3)]]), torch.zeros(0), torch.tensor([1])).exp()
        tensor([0.7500])
        """
        return head.log_softmax(dim=1).gather(1, action[:, None]).squeeze(1)

    def entropy(self, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Entropy [B] in nats.

        >>> Categorical(spaces.Discrete(2)).entropy(torch.zeros(1, 2), torch.zeros(0))
        tensor([0.6931])
        """
        log_prob = head.log_softmax(dim=1)
        return -(log_prob.exp() * log_prob).sum(dim=1)

    def kl(self, old_head: torch.Tensor, old_log_std: torch.Tensor, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """KL(old || new) [B] in nats: sum_j p_j (ln p_j - ln q_j).

        >>> none = torch.zeros(0)
        >>> Categorical(spaces.Discrete(2)).kl(torch.zeros(1, 2), none, torch.tensor([[0.0, math.log(3)]]), none)  # (ln 2 + ln 2/3) / 2
        tensor([0.1438])
        """
        old_log_prob, log_prob = old_head.log_softmax(dim=1), head.log_softmax(dim=1)
        return (old_log_prob.exp() * (old_log_prob - log_prob)).sum(dim=1)


class Gaussian:
    """Independent normal distributions over a `Box`; the head gives means [B, D], the deviations do not depend on the state.

    Inside, a bounded dimension runs from -1 to 1, whatever the Box's bounds are: one start for `log_std` then suits every task.
    Actions are cut to the Box on their way to the environment only: their probability is that of what was drawn.

    Args:
        space: Of float numbers.
    """

    def __init__(self, space: spaces.Box) -> None:
        self.num_outputs = self.scale_size = math.prod(space.shape)
        self._shape, self._low, self._high = space.shape, space.low, space.high
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
        self._middle, self._half_width = ((high + low) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)

    def noise(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Standard normal numbers, D for each action to be drawn."""
        return rng.standard_normal((*shape, self.num_outputs), dtype=np.float32)

    def sample(self, head: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [B, D]: mean + sigma * noise."""
        return head + np.exp(log_std) * noise

    def greedy(self, head: np.ndarray) -> np.ndarray:
        """The most probable actions [B, D]: the means."""
        return head

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Actions in the Box [B, ...].

        >>> Gaussian(spaces.Box(0.0, 10.0, (1,))).to_env(np.array([[0.5], [3.0]], dtype=np.float32)).tolist()
        [[7.5], [10.0]]
        """
        action = self._middle + self._half_width * action.reshape(-1, *self._shape)
        return np.minimum(np.maximum(action, self._low), self._high)

    def scale(self) -> np.ndarray:
        """What `to_env` does, as numbers: middle, half width, lowest and highest action [4, D], float32.

        >>> Gaussian(spaces.Box(0.0, 10.0, (1,))).scale().ravel().tolist()
        [5.0, 5.0, 0.0, 10.0]
        """
        return np.stack([self._middle, self._half_width, self._low, self._high]).reshape(4, -1).astype(np.float32)

    def log_prob(self, head: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-probabilities ln pi(a|s) [B] of actions [B, D].

        >>> Gaussian(spaces.Box(-1, 1, (1,))).log_prob(torch.zeros(1, 1), torch.zeros(1), torch.ones(1, 1))
        tensor([-1.4189])
        """
        standard = (action - head) * (-log_std).exp()
        return (-0.5 * standard**2 - log_std - HALF_LOG_TWO_PI).sum(dim=1)

    def entropy(self, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """Entropy [B] in nats, the same for every state."""
        return (log_std + HALF_LOG_TWO_PI + 0.5).sum().expand(len(head))

    def kl(self, old_head: torch.Tensor, old_log_std: torch.Tensor, head: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
        """KL(old || new) [B] in nats: sum_d ln(s/s_old) + (s_old^2 + (m_old - m)^2) / (2 s^2) - 1/2.

        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> Gaussian(spaces.Box(-1, 1, (1,))).kl(zero, zero[0], one, zero[0])
        tensor([0.5000])
        """
        square = (2 * (old_log_std - log_std)).exp() + (-2 * log_std).exp() * (old_head - head) ** 2
        return (log_std - old_log_std + 0.5 * (square - 1)).sum(dim=1)


def distribution(space: gymnasium.Space) -> Categorical | Gaussian:
    """The distribution that suits a space of actions.

    Raises:
        ValueError: if the space is neither `Discrete` nor a `Box` of floats.
    """
    if isinstance(space, spaces.Discrete):
        return Categorical(space)
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        return Gaussian(space)
    raise ValueError(f"the task takes actions of {space}; a policy gives a Discrete action or a Box of floats")


@kernel
def sample_categorical(logits: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Actions [B], the first whose cumulative probability exceeds `uniform` [B]; from logits [B, A].

    >>> sample_categorical(np.log(np.array([[0.2, 0.3, 0.5]] * 3)), np.array([0.19, 0.49, 0.51])).tolist()
    [0, 1, 2]
    """
    actions = np.empty(len(logits), dtype=np.int64)
    for b in range(len(logits)):
        weight = np.exp(logits[b] - logits[b].max())
        threshold = uniform[b] * weight.sum()
        action, cumulative = 0, weight[0]
        while cumulative <= threshold and action < len(weight) - 1:
            action += 1
            cumulative += weight[action]
        actions[b] = action
    return actions
