"""Networks of ratings: vectors and biases of users and items, and a perceptron on both vectors where the config has one.

Source: Koren, Bell and Volinsky, *Matrix factorization techniques for recommender systems*, 2009, equation (4); with hidden layers, He
and others, *Neural collaborative filtering*, 2017, section 3.4. Departures: the overall mean is left to the learner, which standardises
the ratings; the perceptron shares its vectors with the product.
Letters: B batch, F factors.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from dl_nets.networks.initialisation import linear
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network


@configclass
class FactorsConfig:
    """Settings of the networks of ratings."""

    factors: Annotated[Count, Doc("F, numbers of a user's and of an item's vector")] = 8
    hidden: Annotated[tuple[Count, ...], Doc("units of each hidden layer on both vectors; () for the product alone")] = ()
    deviation: Annotated[Positive, Doc("of the first numbers of the vectors")] = 0.1


def rating(user: Tensor, item: Tensor, user_bias: Tensor, item_bias: Tensor) -> Tensor:
    """Return b_u + b_i + q_i' p_u [B]: equation (4), less the mean.

    >>> rating(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]]), torch.tensor([0.5]), torch.tensor([-0.25]))
    tensor([1.2500])
    """
    return user_bias + item_bias + (user * item).sum(dim=-1)


class FactorModel(nn.Module):
    """The module that `Factors` builds.

    Args:
        config: Settings.
        num_users: How many users there are.
        num_items: How many items there are.
        rng: Source of the first weights.
    """

    def __init__(self, config: FactorsConfig, num_users: int, num_items: int, rng: np.random.Generator) -> None:
        super().__init__()
        vectors = [
            torch.tensor(rng.normal(0.0, config.deviation, (count, config.factors)), dtype=torch.float32)
            for count in (num_users, num_items)
        ]
        self.users, self.items = (nn.Embedding.from_pretrained(vector, freeze=False) for vector in vectors)
        self.user_biases, self.item_biases = nn.Parameter(torch.zeros(num_users)), nn.Parameter(torch.zeros(num_items))
        layers: list[nn.Module] = []
        size = 2 * config.factors
        for units in config.hidden:
            layers += [linear(size, units, rng), nn.ReLU()]
            size = units
        self.perceptron = nn.Sequential(*layers, linear(size, 1, rng, gain=0.1)) if config.hidden else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ratings [B, 1] of pairs [B, 2] of a user and an item."""
        users, items = inputs[:, 0].long(), inputs[:, 1].long()
        user, item = self.users(users), self.items(items)
        ratings = rating(user, item, self.user_biases[users], self.item_biases[items])[:, None]
        if self.perceptron is None:
            return ratings
        correction: Tensor = self.perceptron(torch.cat([user, item], dim=1))
        return ratings + correction


class Factors(Network):
    """Builder of networks of ratings, for pairs of a user and an item."""

    Config: ClassVar[type] = FactorsConfig
    config: FactorsConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> FactorModel:
        """Build a network from pairs [B, 2] to ratings [B, 1].

        Raises:
            ValueError: if the inputs are not pairs that count from 0, or the output is not one number.
        """
        pairs = isinstance(input_space, spaces.MultiDiscrete) and input_space.shape == (2,) and not input_space.start.any()
        if not pairs or not isinstance(output_space, spaces.Box) or output_space.shape != (1,):
            raise ValueError(f"inputs are {input_space} and outputs {output_space}; expected MultiDiscrete([users, items]) and Box [1]")
        num_users, num_items = input_space.nvec.tolist()
        return FactorModel(self.config, num_users, num_items, rng)
