"""Actor and critic that learn from imagined trajectories alone.

Source: D. Hafner and others, "Mastering diverse domains through world models", 2023, section "Actor critic learning"; for continuous
actions the gradient of the returns flows back through the model, as in "Dream to control", 2020, (6) to (8).
Departures: the critic's slow copy gives the values of the returns, in place of pulling at the critic.
Letters: H steps, M trajectories, A numbers of an action's code, D + Z numbers of a state, S bins.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rl_algos.latent_models.returns import SymexpBins, lambda_returns
from rl_algos.latent_models.world import Perceptron, World
from rl_core.config import Count, Doc, Fraction, NonNegative, configclass

UNIFORM = 0.01  # share of the uniform distribution in a policy over choices
LEAST_STD = 0.1
SLOW, RANGE = 0.02, 0.01  # shares of the new in the critic's slow copy, and in the range of returns


@configclass
class BehaviourConfig:
    """Settings of learning in imagination."""

    horizon: Annotated[Count, Doc("H, steps of an imagined trajectory")] = 15
    discount: Annotated[Fraction, Doc("gamma")] = 0.99
    lambda_: Annotated[Fraction, Doc("lambda, weight of longer returns")] = 0.95
    entropy_weight: Annotated[NonNegative, Doc("eta, worth of a nat of the policy's entropy, in ranges of returns")] = 3e-3


class Actor(nn.Module):
    """Policy on states: a squashed normal over numbers in [-1, 1], or a distribution over choices.

    Args:
        size: D + Z.
        hidden: Units of each hidden layer.
        action: A.
        is_choice: Whether actions are choices.
        rng: Source of the first weights.
    """

    def __init__(self, size: int, hidden: int, action: int, is_choice: bool, rng: np.random.Generator) -> None:
        super().__init__()
        self.action, self.is_choice = action, is_choice
        self.layers = Perceptron(size, hidden, action if is_choice else 2 * action, rng)

    def log_probs(self, state: Tensor) -> Tensor:
        """Return the log-probabilities of choices [..., A] in states [..., D + Z]."""
        return ((1.0 - UNIFORM) * self.layers(state).softmax(dim=-1) + UNIFORM / self.action).log()

    def normal(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation [..., A] of the normal that is squashed, in states [..., D + Z]."""
        mean, raw = self.layers(state).chunk(2, dim=-1)
        return 5.0 * torch.tanh(mean / 5.0), functional.softplus(raw + 0.5) + LEAST_STD

    def draw(self, state: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions' codes [..., A] and minus their log-probability [...]; noise [..., A] is normal, or Gumbel for choices."""
        if self.is_choice:
            log_probs = self.log_probs(state)
            code = functional.one_hot((log_probs + noise).argmax(dim=-1), self.action).to(state.dtype)
            return code, -(log_probs.exp() * log_probs).sum(dim=-1)
        mean, std = self.normal(state)
        number = mean + std * noise
        log_prob = -0.5 * noise**2 - std.log() - 0.5 * math.log(2 * math.pi)
        squash = 2.0 * (math.log(2.0) - number - functional.softplus(-2.0 * number))  # log(1 - tanh(number)^2)
        return torch.tanh(number), -(log_prob - squash).sum(dim=-1)

    def greedy(self, state: Tensor) -> Tensor:
        """Return the codes [..., A] of the most probable choice, or of the squashed mean."""
        if self.is_choice:
            return functional.one_hot(self.layers(state).argmax(dim=-1), self.action).to(state.dtype)
        return torch.tanh(self.normal(state)[0])


class Imagined(NamedTuple):
    """Trajectories of a policy in a model.

    Attributes:
        state: [H + 1, M, D + Z].
        action: Codes of the actions taken in all but the last [H, M, A].
        entropy: Of the policy there [H, M].
    """

    state: Tensor
    action: Tensor
    entropy: Tensor


class BehaviourLosses(NamedTuple):
    """Losses of one update before it, and means over the imagined trajectories."""

    policy_loss: float
    value_loss: float
    entropy: float
    imagined_value: float


class Behaviour(nn.Module):
    """Actor, critic and the critic's slow copy.

    Args:
        size: D + Z.
        hidden: Units of each hidden layer.
        action: A.
        is_choice: Whether actions are choices.
        config: Settings.
        rng: Source of the first weights.
    """

    def __init__(self, size: int, hidden: int, action: int, is_choice: bool, config: BehaviourConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.config, self.bins = config, SymexpBins()
        self.actor = Actor(size, hidden, action, is_choice, rng)
        self.critic = Perceptron(size, hidden, self.bins.count, rng)
        self.slow = copy.deepcopy(self.critic).requires_grad_(False)
        self.range: Tensor
        self.register_buffer("range", torch.zeros(()))

    def imagine(self, world: World, start: Tensor, rng: np.random.Generator) -> Imagined:
        """Return trajectories from states [M, D + Z]; actions do not move the states that they are taken in."""
        steps, count = self.config.horizon, len(start)
        shape = (steps, count, self.actor.action)
        raw = rng.gumbel(size=shape).astype(np.float32) if self.actor.is_choice else rng.standard_normal(shape, dtype=np.float32)
        noise = torch.from_numpy(raw).to(start.device)
        chance = torch.from_numpy(rng.standard_normal((steps, count, world.rssm.random), dtype=np.float32)).to(start.device)
        states, actions, entropies = [start], [], []
        for t in range(steps):
            action, entropy = self.actor.draw(states[-1].detach(), noise[t])
            states.append(world.rssm.imagine(states[-1], action, chance[t]))
            actions.append(action)
            entropies.append(entropy)
        return Imagined(torch.stack(states), torch.stack(actions), torch.stack(entropies))

    def losses(self, world: World, start: Tensor, weight: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, BehaviourLosses]:
        """Return the losses of actor and critic on trajectories from states [M, D + Z] with weights [M].

        The gradient of the actor's reaches the actor alone, that of the critic's the critic.
        """
        config, is_choice = self.config, self.actor.is_choice
        with fixed(world), torch.set_grad_enabled(not is_choice):
            seen = self.imagine(world, start, rng)
            ahead = seen.state[1:]
            discount = config.discount * world.continuations(ahead)
            returns = lambda_returns(world.rewards(ahead), discount, self.bins.mean(self.slow(ahead)), config.lambda_)  # [H, M]
        with torch.no_grad():
            reached = torch.cat([weight[None], weight * discount[:-1].cumprod(dim=0)])  # probability and worth of being there
            low, high = torch.quantile(returns.flatten(), torch.tensor([0.05, 0.95], device=start.device))
            self.range += (RANGE if self.range > 0 else 1.0) * (high - low - self.range)
            per_range = 1.0 / self.range.clamp(min=1.0)
        state = seen.state[:-1].detach()
        logits = self.critic(state)
        value_loss = (reached * self.bins.loss(logits, returns.detach())).mean()
        if is_choice:
            log_probs = self.actor.log_probs(state)
            entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
            advantage = (returns - self.bins.mean(logits.detach())) * per_range
            gain = (log_probs * seen.action).sum(dim=-1) * advantage
        else:
            entropy, gain = seen.entropy, returns * per_range
        policy_loss = -(reached * (gain + config.entropy_weight * entropy)).mean()
        measured = BehaviourLosses(policy_loss.item(), value_loss.item(), entropy.mean().item(), returns.mean().item())
        return policy_loss, value_loss, measured

    @torch.no_grad()
    def follow(self) -> None:
        """Move the critic's slow copy a little towards it."""
        for slow, fast in zip(self.slow.parameters(), self.critic.parameters(), strict=True):
            slow.lerp_(fast, SLOW)


@contextmanager
def fixed(module: nn.Module) -> Iterator[None]:
    """Compute no gradients of a module's parameters; they still flow through it."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
