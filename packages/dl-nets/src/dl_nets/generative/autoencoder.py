"""Autoencoders: networks that learn to answer their own inputs through a narrow code, or from inputs that were damaged.

Sources: Hinton and Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006; denoising: Vincent, Larochelle, Bengio
and Manzagol, *Extracting and composing robust features with denoising autoencoders*, 2008; as a detector of anomalies: Japkowicz, Myers and
Gluck, *A novelty detection approach to classification*, 1995. Departures: no layer is pretrained, since rectifiers learn without; encoder
and decoder have weights of their own; an input is anomalous where its error exceeds a quantile of the last training errors.

The learner is `supervised`: the module brings its own loss. Its answers are reconstructions on the tasks `reconstruct:<task>`, and
"normal" or "anomalous" on `anomalies:<task>`; `codes` gives the codes.

Letters: B batch, D numbers of an input, C numbers of a code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.generative import pictures
from dl_nets.generative.coders import Decoder, Encoder, Threshold, is_unit, numbers_space
from dl_nets.generative.noise import Noise
from dl_nets.generative.view import View
from dl_nets.learning.losses import weighted_mean
from dl_nets.networks.layers import Activation
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network


@configclass
class AutoencoderConfig:
    """Settings of the autoencoder."""

    code: Annotated[Count, Doc("C, numbers of a code")] = 32
    hidden: Annotated[tuple[Count, ...], Doc("units of the encoder's hidden layers; the decoder has them in reverse")] = (256,)
    channels: Annotated[tuple[Count, ...], Doc("filters of convolutions with stride 2 before the hidden layers; none for vectors")] = ()
    activation: Annotated[Activation, Doc("function behind each hidden layer and convolution")] = "relu"
    masking: Annotated[float, Meta(ge=0, lt=1), Doc("share of an input's numbers that are set to 0 while learning")] = 0.0
    noise: Annotated[NonNegative, Doc("deviation of the normal noise that is added to inputs while learning, in their unit")] = 0.0
    loss: Annotated[Literal["squared-error", "cross-entropy"], Doc("of reconstructions; cross-entropy needs inputs in [0, 1]")] = (
        "squared-error"
    )
    quantile: Annotated[float, Meta(gt=0, lt=1), Doc("share of the training inputs that count as normal, on a task of anomalies")] = 0.95


def reconstruction_losses(outputs: Tensor, targets: Tensor, loss: str, unit: bool) -> Tensor:
    """Return losses [B]: the mean over D of (sigmoid(o) - x)^2, or of the cross-entropy -x log sigmoid(o) - (1 - x) log(1 - sigmoid(o)).

    Args:
        outputs: o [B, ...], before the sigmoid.
        targets: x [B, ...].
        loss: "squared-error" or "cross-entropy".
        unit: Whether inputs are in [0, 1]; o is the reconstruction itself where they are not.

    >>> reconstruction_losses(torch.zeros(1, 2), torch.tensor([[1.0, 0.5]]), "squared-error", unit=True)
    tensor([0.1250])
    >>> reconstruction_losses(torch.zeros(1, 2), torch.tensor([[1.0, 0.5]]), "cross-entropy", unit=True)
    tensor([0.6931])
    """
    if loss == "cross-entropy":
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").flatten(1).mean(1)
    return (torch.sigmoid(outputs) if unit else outputs).sub(targets).square().flatten(1).mean(1)


class AutoencoderModule(nn.Module):
    """The module that `Autoencoder` builds.

    Args:
        config: As the network's.
        space: Of inputs.
        detects: Whether answers are 0 normal and 1 anomalous, instead of reconstructions.
        rng: Source of the weights.
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: AutoencoderConfig, space: spaces.Box, rng: np.random.Generator, *, detects: bool) -> None:
        super().__init__()
        shape = (config.hidden, config.channels, config.activation)
        self.encoder = Encoder(space.shape, config.code, *shape, rng)
        self.decoder = Decoder(config.code, space.shape, *shape, rng)
        self.noise = Noise(rng)
        self.threshold = Threshold(config.quantile) if detects else None
        self._config, self._unit = config, is_unit(space)
        self.register_buffer("low", torch.from_numpy(space.low), persistent=False)
        self.register_buffer("high", torch.from_numpy(space.high), persistent=False)

    def codes(self, inputs: Tensor) -> Tensor:
        """Return codes [B, C] of inputs [B, ...]."""
        codes: Tensor = self.encoder(inputs)
        return codes

    def forward(self, inputs: Tensor) -> Tensor:
        """Return reconstructions [B, ...] of inputs [B, ...], within the bounds of their space."""
        outputs = self.decoder(self.encoder(inputs)).float()
        return torch.sigmoid(outputs) if self._unit else torch.clamp(outputs, self.low, self.high)

    def damaged(self, inputs: Tensor) -> Tensor:
        """Return inputs [B, ...] with numbers set to 0 and noise added, as the config asks."""
        if self._config.masking:
            inputs = inputs * (self.noise.uniform(inputs) >= self._config.masking)
        return inputs + self._config.noise * self.noise.normal(inputs) if self._config.noise else inputs

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss [] of reconstructions of damaged inputs [B, ...]; the targets are not used."""
        inputs = inputs.float()
        losses = self._losses(self.damaged(inputs), inputs)
        if self.threshold is not None and self.training:
            self.threshold.observe(losses)
        return weighted_mean(losses, weights), {}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return reconstructions [B, ...]; or [B] 1 for inputs whose error exceeds the threshold, else 0."""
        if self.threshold is None:
            return self(inputs)
        return self.threshold.exceeded(self._losses(inputs.float(), inputs.float()))

    def draw(self, folder: Path, task: View) -> None:
        """Draw reconstructions of test images, and the codes of test inputs in the plane."""
        indices = np.arange(min(2000, task.num_examples("test")))
        inputs = torch.from_numpy(task.read("test", indices)[0]).to(self.low.device)
        if inputs.ndim == 4:
            shown = inputs[:10]
            rows = {"input": shown, "damaged": self.damaged(shown), "reconstruction": self(shown)}
            if not self._config.masking and not self._config.noise:
                del rows["damaged"]
            pictures.rows(folder / "reconstructions.png", rows, title=f"test images through {self._config.code} numbers")
            if self.threshold is not None:
                scores = self._losses(inputs.float(), inputs.float())
                pictures.anomalies(folder / "anomalies.png", inputs, self(inputs), scores, self.threshold.bound)
        pictures.codes(folder / "codes.png", self.codes(inputs).cpu().numpy(), task.classes("test", indices), task.source.class_names)

    def _losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return reconstruction_losses(self.decoder(self.encoder(inputs)).float(), targets, self._config.loss, self._unit)


class Autoencoder(Network):
    """Builder of autoencoders for vectors and images of numbers."""

    Config: ClassVar[type] = AutoencoderConfig
    config: AutoencoderConfig
    own_loss = True

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> AutoencoderModule:
        """Build an autoencoder of inputs; the output space is that of inputs, or two classes: normal and anomalous."""
        config = self.config
        space = numbers_space(input_space, config.channels)
        if config.loss == "cross-entropy" and not is_unit(space):
            raise ValueError(f"loss is 'cross-entropy', and the inputs are {space}; it needs numbers in [0, 1], set loss=squared-error")
        return AutoencoderModule(config, space, rng, detects=detects(space, output_space))


def detects(space: spaces.Box, output_space: gymnasium.Space[Any]) -> bool:
    """Return whether answers are two classes, normal and anomalous; `False` where they are reconstructions.

    Raises:
        ValueError: for any other output space.
    """
    if output_space == space:
        return False
    if isinstance(output_space, spaces.Discrete) and output_space.n == 2 and output_space.start == 0:
        return True
    raise ValueError(
        f"the output space is {output_space}; an autoencoder answers inputs of {space} by themselves, or by 0 normal and 1 anomalous: "
        "take a task reconstruct:<task> or anomalies:<task>"
    )
