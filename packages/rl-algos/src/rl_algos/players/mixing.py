"""Mixers: what the values of each player's action sum up to for the team, so that each player's best action is the team's.

Source: T. Rashid, M. Samvelyan, C. Schroeder de Witt, G. Farquhar, J. Foerster, S. Whiteson, "QMIX: monotonic value function factorisation
for deep multi-agent reinforcement learning", 2018, section 4 and figure 2; P. Sunehag and others, "Value-decomposition networks", 2018,
for the sum. Departures: none. Letters: B batch, P players, S numbers of a state, E units of the mixer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.networks.initialisation import linear


class Monotonic(nn.Module):
    """QMIX's mixer: a network of two layers whose weights are positive functions of the state.

    Q_tot = |w_2(s)| . elu(|W_1(s)| q + b_1(s)) + v(s), so that no partial derivative of Q_tot by a player's value is negative.

    Args:
        num_players: P.
        num_numbers: S.
        units: E.
        rng: Source of the parameters.
    """

    def __init__(self, num_players: int, num_numbers: int, units: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.shape = (num_players, units)
        self.first_weights = linear(num_numbers, num_players * units, rng, init="uniform", gain=1.0)
        self.first_biases = linear(num_numbers, units, rng, init="uniform", gain=1.0)
        self.last_weights = linear(num_numbers, units, rng, init="uniform", gain=1.0)
        self.value = nn.Sequential(
            linear(num_numbers, units, rng, init="uniform", gain=1.0), nn.ReLU(), linear(units, 1, rng, init="uniform", gain=1.0)
        )

    def forward(self, values: Tensor, states: Tensor) -> Tensor:
        """Return Q_tot [B] of the players' values [B, P] in states [B, S]."""
        weights = self.first_weights(states).abs().unflatten(1, self.shape)
        hidden = nn.functional.elu(torch.einsum("bp,bpe->be", values, weights) + self.first_biases(states))
        total: Tensor = (hidden * self.last_weights(states).abs()).sum(dim=1) + self.value(states).squeeze(1)
        return total
