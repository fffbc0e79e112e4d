"""Domain adaptation: a classifier of labelled images of one domain, whose codes become alike in another, where labels are unknown.

- `dann`: a discriminator tells from a code which domain it is of; its gradient reaches the encoder reversed, so that codes become hard to
  tell apart. Source: Ganin and others, *Domain-adversarial training of neural networks*, 2016, equations 9 to 14; the weight rises as in
  section 5.2.2, over a number of updates in place of the share of all.
- `coral`: the covariances of the codes of both domains are drawn together. Source: Sun and Saenko, *Deep CORAL: correlation alignment for
  deep domain adaptation*, 2016, equations 1 to 3.

Letters: B batch, D numbers of a code, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.learning.losses import weighted_mean
from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.networks.initialisation import linear
from rl_core.config import Count, Doc, NonNegative, Positive, configclass
from rl_core.network import Network

STEEPNESS = 10.0  # gamma of the rise of the weight


@configclass
class AdaptedConfig:
    """Settings of a classifier that adapts to another domain."""

    method: Annotated[Literal["dann", "coral"], Doc("what makes the codes of both domains alike")] = "dann"
    weight: Annotated[NonNegative, Doc("lambda, final weight of the loss between the domains; 0 learns from the source alone")] = 1.0
    rise: Annotated[Positive, Doc("updates over which lambda rises from 0: lambda (2 / (1 + exp(-10 n / rise)) - 1)")] = 500.0
    channels: Annotated[tuple[Count, ...], Doc("filters of each convolution of the encoder")] = (32, 64)
    code: Annotated[Count, Doc("D, numbers of a code")] = 64
    hidden: Annotated[Count, Doc("units of the hidden layer of the discriminator")] = 64


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -lambda.

    >>> x = torch.ones(1, requires_grad=True)
    >>> ReverseGradient.apply(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000])
    """

    @staticmethod
    def forward(context: Any, codes: Tensor, weight: float) -> Tensor:
        """Return the codes."""
        context.weight = weight
        return codes.view_as(codes)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the reversed gradient."""
        return -context.weight * gradients[0], None


def covariance(codes: Tensor) -> Tensor:
    """Return the covariance [D, D] of codes [B, D].

    >>> covariance(torch.tensor([[0.0, 0.0], [2.0, 4.0]])).tolist()
    [[2.0, 4.0], [4.0, 8.0]]
    """
    centred = codes - codes.mean(dim=0)
    return centred.T @ centred / max(1, len(codes) - 1)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance [] of the covariances of codes [B, D] of two domains, ||C_s - C_t||^2 / (4 D^2).

    >>> coral_loss(torch.tensor([[0.0, 0.0], [2.0, 4.0]]), torch.zeros(2, 2))  # (4 + 16 + 16 + 64) / 16
    tensor(6.2500)
    """
    return (covariance(source) - covariance(target)).square().sum() / (4.0 * source.shape[1] ** 2)


class Adapted(nn.Module):
    """The module that `AdaptedNetwork` builds.

    Args:
        config: Settings.
        space: Space of one image.
        classes: K.
        rng: Source of the first weights.
    """

    updates: Tensor

    def __init__(self, config: AdaptedConfig, space: spaces.Box, classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._config = config
        numbers = spaces.Box(-np.inf, np.inf, (config.code,), np.float32)
        self.encoder = CNN(CNNConfig(channels=config.channels, hidden=(), output_gain=math.sqrt(2.0))).build(space, numbers, rng)
        self.classifier = linear(config.code, classes, rng)
        self.discriminator = (
            nn.Sequential(linear(config.code, config.hidden, rng, gain=math.sqrt(2.0)), nn.ReLU(), linear(config.hidden, 1, rng))
            if config.method == "dann"
            else None
        )
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def codes(self, images: Tensor) -> Tensor:
        """Return codes [B, D] of images [B, H, W, C]."""
        return torch.relu(self.encoder(images))

    def forward(self, inputs: Any) -> Tensor:
        """Return logits [B, K] of images [B, H, W, C], or of the part `image` of inputs."""
        logits: Tensor = self.classifier(self.codes(inputs["image"] if isinstance(inputs, Mapping) else inputs))
        return logits

    def training_loss(self, inputs: Any, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return cross-entropy of the labelled images plus the weighted loss between the domains [], and both on their own."""
        count, weight = len(targets), self.weight
        both = self.codes(torch.cat([inputs["image"], inputs["unlabelled"]]))
        logits = self.classifier(both[:count])
        right = weighted_mean(functional.cross_entropy(logits, targets.long(), reduction="none"), weights)
        if self.discriminator is not None:
            domains = torch.cat([torch.zeros(count), torch.ones(len(both) - count)]).to(both.device)
            said = self.discriminator(ReverseGradient.apply(both, weight))[:, 0].float()
            apart = functional.binary_cross_entropy_with_logits(said, domains)
            loss = right + apart  # the discriminator learns at full weight; lambda is in the reversed gradient
            measures = {"domain_loss": apart.detach(), "domain_accuracy": ((said > 0) == (domains > 0.5)).float().mean()}
        else:
            apart = coral_loss(both[:count].float(), both[count:].float())
            loss, measures = right + weight * apart, {"domain_loss": apart.detach()}
        if self.training:
            self.updates += 1
        return loss, {"class_loss": right.detach(), **measures}

    def answers(self, inputs: Any) -> Tensor:
        """Return the likeliest class [B] of each image."""
        return self(inputs).argmax(dim=1)

    @property
    def weight(self) -> float:
        """The present lambda.

        >>> module = Adapted(AdaptedConfig(rise=100.0), spaces.Box(0, 1, (8, 8, 1)), 10, np.random.default_rng(0))
        >>> module.updates += 10
        >>> round(module.weight, 4)  # 2 / (1 + 1 / e) - 1
        0.4621
        """
        share = float(self.updates) / self._config.rise
        return self._config.weight * (2.0 / (1.0 + math.exp(-STEEPNESS * share)) - 1.0)


class AdaptedNetwork(Network):
    """Builder of classifiers that adapt to the domain of unlabelled images."""

    Config: ClassVar[type] = AdaptedConfig
    config: AdaptedConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Adapted:
        """Build a classifier of images; inputs have the parts `image` and `unlabelled`."""
        parts = dict(input_space.spaces) if isinstance(input_space, spaces.Dict) else {}
        image = parts.get("image")
        if set(parts) != {"image", "unlabelled"} or not isinstance(image, spaces.Box):
            raise ValueError(
                f"the input space is {input_space}; {self.config.method} reads the parts image and unlabelled: take a task shifted:<task> "
                "with learn=adapt, or network cnn"
            )
        if not isinstance(output_space, spaces.Discrete) or output_space.start != 0:
            raise ValueError(f"the output space is {output_space}; {self.config.method} answers with a class, counted from 0")
        return Adapted(self.config, image, int(output_space.n), rng)
