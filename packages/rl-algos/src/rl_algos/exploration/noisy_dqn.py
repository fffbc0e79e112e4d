"""Noisy DQN: weights have learned noise, drawn anew for each step and each update, in place of random actions.

Source: M. Fortunato and others, "Noisy networks for exploration", 2018, (9) to (11), with factorised noise and the initial scale of
section 3.2.
Departures: the means of the weights begin as the network's own; greedy answers are given without noise.
Letters: I inputs, O outputs of a layer.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rl_algos.q_learning.building import Update
from rl_algos.q_learning.dqn import DQN
from rl_algos.q_learning.settings import DQNConfig

FIRST_SCALE = 0.5  # sigma_0; a weight's deviation is sigma_0 / sqrt(I)


class NoisyLinear(nn.Module):
    """A linear layer with w = mu + sigma f(e_out) f(e_in)^T and b = mu_b + sigma_b f(e_out), where f(x) = sign(x) sqrt|x|.

    Args:
        layer: The layer whose weights are the means.
    """

    noise_in: Tensor
    noise_out: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        outputs, inputs = layer.weight.shape
        self.weight, bias = layer.weight, layer.bias if layer.bias is not None else nn.Parameter(torch.zeros(outputs))
        self.bias = bias
        self.weight_scale = nn.Parameter(torch.full((outputs, inputs), FIRST_SCALE / math.sqrt(inputs)))
        self.bias_scale = nn.Parameter(torch.full((outputs,), FIRST_SCALE / math.sqrt(inputs)))
        self.register_buffer("noise_in", torch.zeros(inputs))
        self.register_buffer("noise_out", torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, O] of inputs [B, I]."""
        weight = self.weight + self.weight_scale * torch.outer(self.noise_out, self.noise_in)
        return functional.linear(inputs, weight, self.bias + self.bias_scale * self.noise_out)


class NoisyNetwork:
    """A network whose linear layers are noisy.

    Args:
        network: The network.
    """

    stateful = False

    def __init__(self, network: Any) -> None:
        self._network = network

    def build(self, input_space: Any, output_space: Any, rng: np.random.Generator) -> nn.Module:
        """Build the network's module, with noisy layers in place of linear ones."""
        module: nn.Module = self._network.build(input_space, output_space, rng)
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear:
                    setattr(parent, name, NoisyLinear(child))
        return module


class NoisyDQN(DQN):
    """DQN that acts greedily by noisy values."""

    Config: ClassVar[type] = DQNConfig
    config: DQNConfig

    def setup(self) -> None:
        """Build DQN with noisy layers.

        Raises:
            ValueError: if the network is recurrent.
        """
        if self.network.stateful:
            raise ValueError("the network is recurrent, and its layers cannot be made noisy; take network mlp or cnn")
        super().setup()
        self.noise = self.seeds.numpy("layers")

    def architecture(self) -> NoisyNetwork:
        """Return what builds the network with noisy layers."""
        return NoisyNetwork(self.network)

    def act(self) -> None:
        """Take one step in every environment, by values with new noise."""
        self.draw_noise(self.module)
        super().act()
        self.silence(self.module)

    def learn(self) -> Update:
        """Take one gradient step, with new noise in both networks."""
        for module in (self.module, self.target):
            self.draw_noise(module)
        update = super().learn()
        for module in (self.module, self.target):
            self.silence(module)
        return update

    def draw_noise(self, module: nn.Module) -> None:
        """Draw new noise for each layer of a module."""
        for layer in module.modules():
            if isinstance(layer, NoisyLinear):
                for noise in (layer.noise_in, layer.noise_out):
                    drawn = torch.from_numpy(self.noise.standard_normal(len(noise), dtype=np.float32))
                    noise.copy_(drawn.sign() * drawn.abs().sqrt())

    def silence(self, module: nn.Module) -> None:
        """Set the noise of each layer of a module to 0."""
        for layer in module.modules():
            if isinstance(layer, NoisyLinear):
                layer.noise_in.zero_()
                layer.noise_out.zero_()
