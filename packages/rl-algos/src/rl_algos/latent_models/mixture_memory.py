"""The second part of a world model: a recurrent network that predicts the next code as a mixture of normals, the reward and the end.

Source: D. Ha, J. Schmidhuber, "World models", 2018, section 2.2; C. Bishop, "Mixture density networks", 1994, (22) and (23).
Departures: log-deviations are held in [-5, 2]; the losses of code, reward and end are divided by Z + 2 together. Reward and end are read
from the memory and the code that follows, by a hidden layer: whether a pole has fallen to either side is not linear in the memory, and
with ends that are rare, and seldom predicted, all dreams are alike.
Letters: T steps, B sequences, Z numbers of a code, A of an action's code, U units, K components.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot, silu

from dl_nets.networks.cells import lstm_step
from dl_nets.networks.initialisation import linear


class Forecast(NamedTuple):
    """Distribution of what an action leads to.

    Attributes:
        logits: Of the components [..., K].
        mean: Codes of each component [..., K, Z].
        log_std: [..., K, Z].
    """

    logits: Tensor
    mean: Tensor
    log_std: Tensor


class Outcome(NamedTuple):
    """The outcome of an action beside the next code.

    Attributes:
        reward: [...].
        end: Logit that the episode terminates [...].
    """

    reward: Tensor
    end: Tensor


def mixture_log_density(forecast: Forecast, code: Tensor) -> Tensor:
    """Return log sum_k pi_k prod_j N(z_j; mu_kj, sigma_kj) [...] of codes [..., Z].

    >>> zero = torch.zeros(1, 2)
    >>> one_normal_twice = Forecast(zero, torch.zeros(1, 2, 1), torch.zeros(1, 2, 1))
    >>> mixture_log_density(one_normal_twice, torch.zeros(1, 1))  # -log(2 pi) / 2
    tensor([-0.9189])
    """
    z = (code[..., None, :] - forecast.mean) * torch.exp(-forecast.log_std)
    each = (-0.5 * z**2 - forecast.log_std - 0.5 * math.log(2 * math.pi)).sum(dim=-1)
    return torch.logsumexp(forecast.logits.log_softmax(dim=-1) + each, dim=-1)


class MixtureMemory(nn.Module):
    """A long short-term memory with a head of mixtures. Its state [B, 2 U] is the units' outputs h, and behind them the cells.

    Args:
        code: Z.
        action: A.
        units: U.
        components: K.
        rng: Source of the first weights.
    """

    def __init__(self, code: int, action: int, units: int, components: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.code, self.units, self.components = code, units, components
        self.inputs, self.recurrent = linear(code + action, 4 * units, rng), linear(units, 4 * units, rng)
        self.head = linear(units, components * (1 + 2 * code), rng, gain=0.5)
        self.outcome_hidden, self.outcome_head = linear(units + code, units, rng), linear(units, 2, rng, gain=0.5)
        with torch.no_grad():
            self.inputs.bias[units : 2 * units] = 1.0  # forget gates open
            # narrow normals apart from one another: wide ones all settle in the middle of what they should share out
            means, size = slice(components, components * (1 + code)), components * code
            self.head.bias[means] = torch.from_numpy(0.5 * rng.standard_normal(size).astype(np.float32))
            self.head.bias[components * (1 + code) :] = -1.0

    def advance(self, state: Tensor, code: Tensor, action: Tensor) -> Tensor:
        """Return the state [B, 2 U] after codes [B, Z] and actions [B, A]."""
        return lstm_step(self.inputs(torch.cat([code, action], dim=1)), self.recurrent(state[:, : self.units]), state)

    def forecast(self, memory: Tensor, code: Tensor) -> Forecast:
        """Return what follows on memories [..., U] that took in codes [..., Z] and actions; means are changes added to the codes."""
        head = self.head(memory)
        count, size = self.components, self.components * self.code
        logits, mean, log_std = head.split([count, size, size], dim=-1)
        shape = (*head.shape[:-1], count, self.code)
        mean = mean.reshape(shape) + code[..., None, :]
        return Forecast(logits, mean, log_std.reshape(shape).clamp(-5.0, 2.0))

    def outcome(self, memory: Tensor, next_code: Tensor) -> Outcome:
        """Return reward and end [...] of memories [..., U] and the codes that followed [..., Z]."""
        reward, end = self.outcome_head(silu(self.outcome_hidden(torch.cat([memory, next_code], dim=-1)))).unbind(dim=-1)
        return Outcome(reward, end)

    def unroll(self, codes: Tensor, actions: Tensor, starts: Tensor) -> Tensor:
        """Return the states [T, B, 2 U] after codes [T, B, Z] and actions on them [T, B, A]; 0 before the first, and at starts [T, B]."""
        state, states = codes.new_zeros(codes.shape[1], 2 * self.units), []
        keeps = (1.0 - starts)[..., None]
        for t in range(len(codes)):
            state = self.advance(state * keeps[t], codes[t], actions[t])
            states.append(state)
        return torch.stack(states)

    def draw(self, forecast: Forecast, choice: Tensor, noise: Tensor, temperature: float) -> Tensor:
        """Return next codes [B, Z] with Gumbel noise [B, K] and normal noise [B, Z]; a higher temperature spreads both choices."""
        chosen = one_hot((forecast.logits / temperature + choice).argmax(dim=-1), self.components).to(noise.dtype)[..., None]
        mean, std = (forecast.mean * chosen).sum(dim=-2), (forecast.log_std.exp() * chosen).sum(dim=-2)
        return mean + math.sqrt(temperature) * std * noise

    def loss(self, codes: Tensor, actions: Tensor, starts: Tensor, reward: Tensor, goes_on: Tensor, is_paid: Tensor) -> Tensor:
        """Return the mean loss of predictions, a scalar, for rows as `windows.Windows` has them, with codes [W, B, Z].

        Args:
            codes: Of the observations, not to be learned [W, B, Z].
            actions: That led to each row [W, B, A].
            starts: Whether an episode starts with a row [W, B].
            reward: That was paid on the way to each row [W, B], at unit scale.
            goes_on: Whether the episode goes on behind each row [W, B].
            is_paid: Whether a step led to each row [W, B].
        """
        states = self.unroll(codes[:-1], actions[1:], starts[:-1])
        memory = states[..., : self.units]
        of_code = -mixture_log_density(self.forecast(memory, codes[:-1]), codes[1:])
        outcome = self.outcome(memory, codes[1:])
        of_reward = (outcome.reward - reward[1:]) ** 2
        of_end = binary_cross_entropy_with_logits(outcome.end, 1.0 - goes_on[1:], reduction="none")
        return ((of_code + of_reward + of_end) * is_paid[1:]).mean() / (self.code + 2)
