"""The variational autoencoder: an encoder that gives a normal distribution over codes, and a decoder that also draws new inputs.

Source: Kingma and Welling, *Auto-encoding variational Bayes*, 2014, section 3 and appendix B; beta is Higgins et al., *beta-VAE*, 2017.
Departures: none. Pixels in [0, 1] count as probabilities: the bound is the one on binary images drawn from them, in expectation.

The learner is `supervised`. On `reconstruct:<task>` answers are reconstructions, on `generate:<task>` they are drawn from the task's noise,
on `anomalies:<task>` inputs of a low bound are anomalous.

Letters: B batch, D numbers of an input, L latent numbers.
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
from dl_nets.generative.autoencoder import detects
from dl_nets.generative.coders import Decoder, Encoder, Threshold, is_unit, numbers_space
from dl_nets.generative.noise import Noise
from dl_nets.generative.view import View
from dl_nets.learning.losses import weighted_mean
from dl_nets.networks.layers import Activation
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass
from rl_core.network import Network


@configclass
class VariationalConfig:
    """Settings of the variational autoencoder."""

    latents: Annotated[Count, Doc("L, numbers of a code; on a task of generation as many as its noise has")] = 20
    hidden: Annotated[tuple[Count, ...], Doc("units of the encoder's hidden layers; the decoder has them in reverse")] = (400,)
    channels: Annotated[tuple[Count, ...], Doc("filters of convolutions with stride 2 before the hidden layers; none for vectors")] = ()
    activation: Annotated[Activation, Doc("function behind each hidden layer and convolution")] = "relu"
    beta: Annotated[NonNegative, Doc("weight of the divergence from the prior; 1 is the bound on the likelihood")] = 1.0
    deviation: Annotated[Positive, Doc("of the normal noise around the decoder's outputs, for inputs that are not in [0, 1]")] = 1.0
    quantile: Annotated[float, Meta(gt=0, lt=1), Doc("share of the training inputs that count as normal, on a task of anomalies")] = 0.95


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) [B], nats: the sum over L of (mean^2 + variance - log variance - 1) / 2 (appendix B).

    N(1, 1) is 1/2 nat away:

    >>> divergence(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([0.5000])
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1)


def log_likelihood(outputs: Tensor, targets: Tensor, deviation: float, unit: bool) -> Tensor:
    """Return log p(x | z) [B], nats: of pixels x that are drawn with probability sigmoid(o), or of numbers from N(o, deviation^2).

    Args:
        outputs: o [B, ...].
        targets: x [B, ...].
        deviation: Of each number.
        unit: Whether inputs are pixels in [0, 1].

    >>> log_likelihood(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 1.0, unit=True)  # 2 log 1/2
    tensor([-1.3863])
    >>> log_likelihood(torch.zeros(1, 1), torch.ones(1, 1), 1.0, unit=False)  # -1/2 - log(2 pi) / 2
    tensor([-1.4189])
    """
    if unit:
        return -functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").flatten(1).sum(1)
    scaled = ((targets - outputs) / deviation).square()
    return -0.5 * (scaled + math.log(2.0 * math.pi * deviation**2)).flatten(1).sum(1)


class VariationalModule(nn.Module):
    """The module that `VariationalAutoencoder` builds.

    Args:
        config: As the network's.
        space: Of what is encoded and drawn.
        rng: Source of the weights.
        detects: Whether answers are 0 normal and 1 anomalous.
        generates: Whether inputs are codes, and answers what is drawn from them.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, config: VariationalConfig, space: spaces.Box, rng: np.random.Generator, *, detects: bool = False, generates: bool = False
    ) -> None:
        super().__init__()
        shape = (config.hidden, config.channels, config.activation)
        self.encoder = Encoder(space.shape, 2 * config.latents, *shape, rng)
        self.decoder = Decoder(config.latents, space.shape, *shape, rng)
        self.noise = Noise(rng)
        self.threshold = Threshold(config.quantile) if detects else None
        self._config, self._unit, self._generates = config, is_unit(space), generates
        self.register_buffer("low", torch.from_numpy(space.low), persistent=False)
        self.register_buffer("high", torch.from_numpy(space.high), persistent=False)

    def codes(self, inputs: Tensor) -> Tensor:
        """Return the means [B, L] of the codes of inputs [B, ...]."""
        mean: Tensor = self.encoder(inputs).chunk(2, dim=1)[0]
        return mean

    def drawn(self, codes: Tensor) -> Tensor:
        """Return what the decoder expects behind codes [B, L]: [B, ...], within the bounds of the inputs' space."""
        outputs = self.decoder(codes).float()
        return torch.sigmoid(outputs) if self._unit else torch.clamp(outputs, self.low, self.high)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return reconstructions [B, ...] of inputs [B, ...], from the mean of their codes."""
        return self.drawn(self.codes(inputs))

    def bound(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(x | z) [B] for one z of each input [B, ...], and the divergence [B] of its distribution, nats."""
        mean, log_variance = self.encoder(inputs).float().chunk(2, dim=1)
        codes = mean + torch.exp(0.5 * log_variance) * self.noise.normal(mean)
        outputs = self.decoder(codes).float()
        return log_likelihood(outputs, inputs, self._config.deviation, self._unit), divergence(mean, log_variance)

    def training_loss(self, inputs: Any, targets: Any, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of beta times the divergence less the log-likelihood [], nats; and both parts, and the bound."""
        likelihood, distance = self.bound((targets if self._generates else inputs).float())
        losses = self._config.beta * distance - likelihood
        if self.threshold is not None and self.training:
            self.threshold.observe(losses)
        metrics = {"elbo": likelihood - distance, "kl": distance}
        return weighted_mean(losses, weights), {name: weighted_mean(value.detach(), weights) for name, value in metrics.items()}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return reconstructions of inputs, what is drawn from codes [B, L], or 1 for inputs above the threshold."""
        if self._generates:
            return self.drawn(inputs.float())
        if self.threshold is None:
            return self(inputs)
        likelihood, distance = self.bound(inputs.float())
        return self.threshold.exceeded(self._config.beta * distance - likelihood)

    def draw(self, folder: Path, task: View) -> None:
        """Draw new images, reconstructions, and the codes of test inputs in the plane."""
        indices = np.arange(min(2000, task.num_examples("test")))
        given, targets = task.read("test", indices)
        inputs = torch.from_numpy(targets if self._generates else given).to(self.low.device)
        if inputs.ndim == 4:
            codes = self.noise.normal(self.low.new_empty(64, self._config.latents))
            title = f"images drawn from {self._config.latents} normal numbers"
            pictures.grids(folder / "samples.png", [pictures.sheet(self.drawn(codes).cpu().numpy(), 8)], [""], title=title)
            rows = {"input": inputs[:10], "reconstruction": self(inputs[:10])}
            pictures.rows(folder / "reconstructions.png", rows, title=f"test images through {self._config.latents} latent numbers")
        pictures.codes(folder / "codes.png", self.codes(inputs).cpu().numpy(), task.classes("test", indices), task.source.class_names)


class VariationalAutoencoder(Network):
    """Builder of variational autoencoders for vectors and images of numbers."""

    Config: ClassVar[type] = VariationalConfig
    config: VariationalConfig
    own_loss = True

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> VariationalModule:
        """Build one of inputs that answers in their space, by 0 normal and 1 anomalous, or from codes as inputs."""
        config = self.config
        if isinstance(input_space, spaces.Box) and input_space.shape == (config.latents,) and isinstance(output_space, spaces.Box):
            if output_space != input_space:
                return VariationalModule(config, numbers_space(output_space, config.channels), rng, generates=True)
        elif isinstance(output_space, spaces.Box) and output_space != input_space:
            raise ValueError(
                f"the inputs are {input_space} and the answers {output_space}; on a task of generation inputs are codes: set "
                f"network.latents to the size of the task's noise, or task.noise={config.latents}"
            )
        space = numbers_space(input_space, config.channels)
        return VariationalModule(config, space, rng, detects=detects(space, output_space))
