"""The model of Dreamer: an encoder and decoder, the recurrent state-space model, and what a state says of reward and end.

Source: D. Hafner and others, "Mastering diverse domains through world models", 2023, section "World model learning".
Departures: vectors are brought to unit scale by the moments of what was seen, and the decoder's normal has a deviation of a setting.
Letters: T rows, B windows, H steps, D + Z numbers of a state.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, silu

from dl_nets.networks.initialisation import linear
from rl_algos.latent_models.coders import Coder, Scale, reconstruction_loss
from rl_algos.latent_models.returns import SymexpBins
from rl_algos.latent_models.rssm import GAIN, RSSM, Inferred, balanced_divergence, divergence
from rl_core.config import Count, Doc, NonNegative, Positive, configclass


@configclass
class WorldConfig:
    """Settings of the model."""

    memory: Annotated[Count, Doc("D, numbers of the state's memory")] = 64
    random: Annotated[Count, Doc("Z, numbers of its random part")] = 16
    hidden: Annotated[Count, Doc("units of each hidden layer, and numbers of an encoded observation")] = 64
    observation_std: Annotated[
        Positive, Doc("deviation of the decoder's normal: in deviations of each number of a vector, or shares of the range of grey levels")
    ] = 0.1
    free_nats: Annotated[NonNegative, Doc("F, divergence of posterior and prior below which it is not reduced")] = 1.0
    to_prior: Annotated[NonNegative, Doc("beta_dyn, weight of the divergence that moves the prior")] = 0.5
    to_posterior: Annotated[NonNegative, Doc("beta_rep, weight of the divergence that moves the posterior")] = 0.1


class WorldLosses(NamedTuple):
    """Means over the steps of a batch: the whole loss, and its parts."""

    loss: Tensor
    reconstruction: Tensor
    reward: Tensor
    continuation: Tensor
    kl: Tensor


class Perceptron(nn.Module):
    """Two hidden layers, and outputs that begin at 0.

    Args:
        inputs: Numbers of an input.
        hidden: Units of each layer.
        outputs: Numbers of an output.
        rng: Source of the first weights.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.first, self.second = linear(inputs, hidden, rng, gain=GAIN), linear(hidden, hidden, rng, gain=GAIN)
        self.norm, self.head = nn.LayerNorm(hidden), linear(hidden, outputs, rng, init="zeros")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [..., O] of inputs [..., I]."""
        outputs: Tensor = self.head(silu(self.second(silu(self.norm(self.first(inputs))))))
        return outputs


class World(nn.Module):
    """The whole model.

    Args:
        scale: Of observations.
        action: Numbers of an action's code.
        config: Settings.
        rng: Source of the first weights.
    """

    def __init__(self, scale: Scale, action: int, config: WorldConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.config, self.bins = config, SymexpBins()
        self.rssm = RSSM(config.hidden, action, config.memory, config.random, config.hidden, rng)
        self.coder = Coder(scale, config.hidden, self.rssm.size, (config.hidden,), rng)
        self.reward = Perceptron(self.rssm.size, config.hidden, self.bins.count, rng)
        self.goes_on = Perceptron(self.rssm.size, config.hidden, 1, rng)

    def observe(self, obs: Tensor, action: Tensor, starts: Tensor, noise: Tensor, state: Tensor | None = None) -> Inferred:
        """Return states of scaled observations [T, B, ...] and the actions that led to them; see `RSSM.observe`."""
        return self.rssm.observe(self.coder.encode(obs), action, starts, noise, state)

    def loss(self, batch: Any, noise: Tensor) -> tuple[WorldLosses, Tensor]:
        """Return the losses of `Windows` as tensors, with scaled observations, and the states [T, B, D + Z]."""
        config = self.config
        found = self.observe(batch.obs, batch.action, batch.starts, noise)
        reconstruction = reconstruction_loss(self.coder.decode(found.state), batch.obs, config.observation_std).mean()
        reward = (self.bins.loss(self.reward(found.state), batch.reward) * batch.is_paid).mean()
        logit = self.goes_on(found.state).squeeze(-1)
        continuation = (binary_cross_entropy_with_logits(logit, batch.goes_on, reduction="none") * batch.is_paid).mean()
        kl = balanced_divergence(found.posterior, found.prior, config.free_nats, config.to_prior, config.to_posterior).mean()
        with torch.no_grad():
            plain = divergence(found.posterior, found.prior).mean()
        return WorldLosses(reconstruction + reward + continuation + kl, reconstruction, reward, continuation, plain), found.state

    def rewards(self, state: Tensor) -> Tensor:
        """Return expected rewards [...] of the steps that led to states [..., D + Z]."""
        return self.bins.mean(self.reward(state))

    def continuations(self, state: Tensor) -> Tensor:
        """Return probabilities [...] that the episode goes on behind states [..., D + Z]."""
        return torch.sigmoid(self.goes_on(state).squeeze(-1))


class OpenLoop(NamedTuple):
    """Predictions from a context on, without further observations.

    Attributes:
        obs: Scaled observations [H, B, ...].
        reward: [H, B].
    """

    obs: Tensor
    reward: Tensor


@torch.no_grad()
def open_loop(world: World, batch: Any, context: int) -> OpenLoop:
    """Return predictions by the means of all distributions, for `Windows` as tensors with scaled observations, after `context` rows."""
    noise = batch.obs.new_zeros(context, batch.obs.shape[1], world.rssm.random)
    state = world.observe(batch.obs[:context], batch.action[:context], batch.starts[:context], noise).state[-1]
    states = []
    for action in batch.action[context:]:
        state = world.rssm.imagine(state, action, None)
        states.append(state)
    stacked = torch.stack(states)
    return OpenLoop(world.coder.decode(stacked), world.rewards(stacked))


def open_loop_ratio(predicted: Tensor, obs: Tensor, context: int) -> Tensor:
    """Return the errors [H] of predicted observations [H, B, ...] as a ratio to those of repeating the context's last of obs [W, B, ...].

    >>> obs = torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    >>> open_loop_ratio(torch.tensor([1.0, 1.0])[:, None, None], obs, 1).tolist()  # errors 0 and 1 of 1 and 2
    [0.0, 0.5]
    """
    real, last = obs[context:].flatten(1), obs[context - 1].flatten()
    error, constant = ((predicted.flatten(1) - real) ** 2).mean(dim=1), ((last - real) ** 2).mean(dim=1)
    return (error / constant.clamp(min=1e-12)).sqrt()
