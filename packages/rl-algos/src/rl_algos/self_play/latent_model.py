"""MuZero's model: a state that is computed from an observation, what an action does to it, and what it is worth.

Source: J. Schrittwieser and others, "Mastering Atari, Go, chess and shogi by planning with a learned model", 2020, methods and
appendix F; T. Pohlen and others, "Observe and look further", 2018, for the scale of rewards and values.
Departures: none.
Letters: B batch, L numbers of a state, A actions, S bins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn.functional import one_hot

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.network import Network

EPSILON = 1e-3  # of the scale: keeps it invertible


def squeezed(number: Any) -> Any:
    """Return h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x, for an array or a tensor.

    >>> squeezed(np.array([3.0, -3.0])).tolist()
    [1.003, -1.003]
    """
    signs, roots = (torch.sign, torch.sqrt) if isinstance(number, Tensor) else (np.sign, np.sqrt)
    return signs(number) * (roots(abs(number) + 1) - 1) + EPSILON * number


def stretched(number: np.ndarray) -> np.ndarray:
    """Return the number whose `squeezed` is given.

    >>> stretched(squeezed(np.array([260.0, -3.0]))).round(6).tolist()
    [260.0, -3.0]
    """
    root = np.sqrt(1 + 4 * EPSILON * (np.abs(number) + 1 + EPSILON))
    return np.asarray(np.sign(number) * (((root - 1) / (2 * EPSILON)) ** 2 - 1))


class Bins:
    """Numbers as distributions over whole numbers from -most to most, after `squeezed`.

    Args:
        most: The largest bin; numbers beyond it are cut.

    Attributes:
        count: S.
    """

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 2 * most + 1
        self._support = np.arange(-most, most + 1, dtype=np.float64)

    def distribution(self, number: Tensor) -> Tensor:
        """Return the shares of the two bins next to each number [B], on all bins [B, S].

        >>> Bins(1).distribution(torch.tensor([0.0, 99.0])).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        place = squeezed(number).clamp(-self.most, self.most) + self.most
        low = place.floor().clamp(max=self.count - 2)
        upper = (place - low)[:, None]
        first = low.long()
        return (1 - upper) * one_hot(first, self.count) + upper * one_hot(first + 1, self.count)

    def number(self, logits: np.ndarray) -> np.ndarray:
        """Return the numbers [B] that logits [B, S] mean.

        >>> Bins(1).number(np.log(np.array([[1e-9, 1.0, 1e-9]]))).round(3).tolist()
        [0.0]
        """
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return stretched(weights @ self._support / weights.sum(axis=1))

    def traced_number(self, logits: Tensor) -> Tensor:
        """Return the numbers [B] that logits [B, S] mean, by functions of torch alone, which an exporter can follow.

        >>> logits = np.log(np.array([[0.2, 0.3, 0.5]]))
        >>> np.allclose(Bins(1).traced_number(torch.tensor(logits)), Bins(1).number(logits))
        True
        """
        number = logits.double().softmax(dim=1) @ torch.from_numpy(self._support).to(logits.device)  # roots of float32 lose four digits
        root = torch.sqrt(1 + 4 * EPSILON * (number.abs() + 1 + EPSILON))
        return (torch.sign(number) * (((root - 1) / (2 * EPSILON)) ** 2 - 1)).to(logits)


class Step(NamedTuple):
    """Outputs of the model for one step.

    Attributes:
        state: [B, L].
        reward: Logits of the reward of the action that led here [B, S].
        policy: Logits of actions [B, A].
        value: Logits of the value [B, S].
    """

    state: Tensor
    reward: Tensor
    policy: Tensor
    value: Tensor


class LatentModel(nn.Module):
    """Three networks: representation, dynamics, prediction.

    Args:
        network: Builds the representation.
        input_space: Space of observations.
        num_actions: A.
        size: L.
        hidden: Units of the hidden layers of dynamics and prediction.
        bins: Of rewards and values.
        rng: Source of the first weights.
    """

    def __init__(
        self,
        network: Network,
        input_space: Space[Any],
        num_actions: int,
        size: int,
        hidden: tuple[int, ...],
        bins: Bins,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.size, self.num_actions, self.bins = size, num_actions, bins

        def numbers(count: int) -> spaces.Box:
            return spaces.Box(-np.inf, np.inf, (count,), np.float32)

        layers = MLP(MLPConfig(hidden=hidden, activation="relu"))
        self.representation = network.build(input_space, numbers(size), rng)
        self.dynamics = layers.build(numbers(size + num_actions), numbers(size + bins.count), rng)
        self.prediction = layers.build(numbers(size), numbers(num_actions + bins.count), rng)
        self.eval()
        self._actions = torch.eye(num_actions)

    def represent(self, inputs: Tensor) -> Step:
        """Return the states of observations [B, ...], with what is predicted there; the reward has no meaning."""
        state = scaled(self.representation(inputs))
        return self._predicted(state, state.new_zeros(state.shape[0], self.bins.count))

    def act(self, state: Tensor, action: Tensor) -> Step:
        """Return what actions [B] lead to from states [B, L]."""
        outputs = self.dynamics(torch.cat([state, self._actions.to(state)[action]], dim=1))
        return self._predicted(scaled(outputs[:, : self.size]), outputs[:, self.size :])

    def _predicted(self, state: Tensor, reward: Tensor) -> Step:
        outputs = self.prediction(state)
        return Step(state, reward, outputs[:, : self.num_actions], outputs[:, self.num_actions :])


def scaled(state: Tensor) -> Tensor:
    """Return states [B, L] with each one's numbers scaled to [0, 1] (appendix G).

    >>> scaled(torch.tensor([[1.0, 3.0, 2.0], [4.0, 4.0, 4.0]])).tolist()
    [[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]]
    """
    low, high = state.amin(dim=1, keepdim=True), state.amax(dim=1, keepdim=True)
    return (state - low) / (high - low).clamp(min=1e-5)
