"""The restricted Boltzmann machine: binary hidden units that explain visible ones, learned by contrastive divergence.

Sources: Smolensky, *Information processing in dynamical systems: foundations of harmony theory*, 1986; Hinton, *Training products of
experts by minimizing contrastive divergence*, 2002, and *A practical guide to training restricted Boltzmann machines*, 2010. Departures:
the optimiser is the learner's. Inputs in [0, 1] are probabilities of binary units; other numbers are normal units of variance 1
(Welling, Rosen-Zvi and Hinton 2005).

The learner is `supervised`: the module brings its own loss, the difference of the free energies of the data and of what k steps of Gibbs
sampling made of it. Its gradient is that of contrastive divergence.

Letters: B batch, D visible units, H hidden units.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.generative import pictures
from dl_nets.generative.coders import is_unit, numbers_space
from dl_nets.generative.noise import Noise
from dl_nets.learning.losses import weighted_mean
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network
from rl_core.task import DataTask


@configclass
class RBMConfig:
    """Settings of the machine."""

    hidden: Annotated[Count, Doc("H, hidden units")] = 256
    steps: Annotated[Count, Doc("k, steps of Gibbs sampling from the data")] = 1
    deviation: Annotated[Positive, Doc("of the first weights around 0")] = 0.01


class RBMModule(nn.Module):
    """The module that `RBM` builds.

    Args:
        config: As the network's.
        space: Of inputs.
        rng: Source of the weights.
    """

    def __init__(self, config: RBMConfig, space: spaces.Box, rng: np.random.Generator) -> None:
        super().__init__()
        self._shape, self._steps, self._unit = space.shape, config.steps, is_unit(space)
        size = math.prod(space.shape)
        self.weight = nn.Parameter(torch.from_numpy(config.deviation * rng.standard_normal((config.hidden, size), dtype=np.float32)))
        self.hidden_bias = nn.Parameter(torch.zeros(config.hidden))
        self.visible_bias = nn.Parameter(torch.zeros(size))
        self.noise = Noise(rng)

    def free_energy(self, visible: Tensor) -> Tensor:
        """Return F(v) [B]: -v.b - sum log(1 + exp(c + W v)), with |v - b|^2 / 2 in place of -v.b for normal units; p(v) ~ exp(-F(v)).

        Args:
            visible: v [B, D].
        """
        own = -(visible @ self.visible_bias) if self._unit else 0.5 * (visible - self.visible_bias).square().sum(1)
        return own - functional.softplus(functional.linear(visible, self.weight, self.hidden_bias)).sum(1)

    def hidden(self, visible: Tensor) -> Tensor:
        """Return the probabilities [B, H] that hidden units are on: s(c + W v)."""
        return torch.sigmoid(functional.linear(visible, self.weight, self.hidden_bias))

    def visible(self, hidden: Tensor) -> Tensor:
        """Return the means [B, D] of visible units: s(b + W' h), or b + W' h for normal units."""
        means = torch.addmm(self.visible_bias, hidden, self.weight)
        return torch.sigmoid(means) if self._unit else means

    @torch.no_grad()
    def sampled(self, visible: Tensor, steps: int) -> Tensor:
        """Return visible units [B, D] after `steps` of Gibbs sampling; the last ones are means, which are less noisy."""
        for step in range(steps):
            visible = self.visible(self.noise.bernoulli(self.hidden(visible)))
            if step < steps - 1:
                visible = self.noise.bernoulli(visible) if self._unit else visible + self.noise.normal(visible)
        return visible

    def forward(self, inputs: Tensor) -> Tensor:
        """Return reconstructions [B, ...] of inputs [B, ...], through the probabilities of hidden units."""
        return self.visible(self.hidden(inputs.float().flatten(1))).reshape(-1, *self._shape)

    def training_loss(self, inputs: Any, targets: Any, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of F(v) - F(v_k) [], whose gradient is that of contrastive divergence, and the reconstruction error."""
        visible = inputs.float().flatten(1)
        negative = self.sampled(visible, self._steps)
        loss = weighted_mean(self.free_energy(visible) - self.free_energy(negative), weights)
        return loss, {"reconstruction_error": (visible - negative).square().mean()}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return reconstructions [B, ...]."""
        return self(inputs)

    def draw(self, folder: Path, task: DataTask) -> None:
        """Draw the weights of hidden units as images, and reconstructions of test images."""
        if len(self._shape) != 3:
            return
        filters = self.weight[:100].reshape(-1, *self._shape).cpu().numpy()
        bound = max(1e-9, float(np.abs(filters).max()))
        title = f"weights of {len(filters)} of {len(self.weight)} hidden units: grey is 0, white {bound:.2g}"
        pictures.grids(folder / "filters.png", [pictures.sheet(0.5 + 0.5 * filters / bound, 10)], [""], title=title)
        inputs = torch.from_numpy(np.asarray(task.read("test", np.arange(min(10, task.num_examples("test"))))[0])).to(self.weight.device)
        pictures.rows(folder / "reconstructions.png", {"input": inputs, "reconstruction": self(inputs)}, title="test images")


class RBM(Network):
    """Builder of restricted Boltzmann machines for vectors and images of numbers."""

    Config: ClassVar[type] = RBMConfig
    config: RBMConfig
    own_loss = True

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> RBMModule:
        """Build a machine that answers inputs by themselves."""
        space = numbers_space(input_space, ())
        if output_space != space:
            raise ValueError(f"the output space is {output_space}; a Boltzmann machine answers its inputs: take a task reconstruct:<task>")
        return RBMModule(self.config, space, rng)
