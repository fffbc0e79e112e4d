"""Costs of a rollout: what agents within limits keep beside rewards, and the critic that predicts it.

Letters: T steps, N environments, B = T N transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import Flat
from dl_nets.fast.mlp import FastMLP
from rl_algos.on_policy.rollout import Rollout, advantages, minibatches
from rl_algos.tasks.wrapped import WrappedEnvs
from rl_core.envs import Envs, Transition
from rl_core.network import Network
from rl_core.task import ControlTask


class MeteredEnvs(WrappedEnvs):
    """Environments whose costs are kept: of each step since the last `pop`, and of each episode that ended since the last `pop_costs`.

    Args:
        envs: The inner environments, whose transitions carry `cost`.
    """

    def __init__(self, envs: Envs) -> None:
        super().__init__(envs)
        self._steps: list[np.ndarray] = []
        self._cost = np.zeros(envs.num_envs)
        self._episodes: list[float] = []

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N, ...] and keep what they cost."""
        transition = self.inner.step(actions)
        cost = transition.extras["cost"]
        self._steps.append(cost)
        self._cost += cost
        over = transition.terminated | transition.truncated
        self._episodes += self._cost[over].tolist()
        self._cost[over] = 0.0
        return transition

    def pop(self) -> np.ndarray:
        """Return the costs [T, N] of the steps since the last call."""
        steps, self._steps = self._steps, []
        return np.stack(steps)

    def pop_costs(self) -> list[float]:
        """Return the costs of the episodes that ended since the last call."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the inner environments, and what the episodes under way have cost so far [N]."""
        return {**super().state_dict(), "cost": self._cost.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state` and return the current observations [N, ...]."""
        self._cost = np.array(state["cost"])
        return super().load_state_dict(state)


class CostCritic(nn.Module):
    """A network that predicts the discounted cost to come, read and trained like an actor-critic's critic.

    Args:
        task: The task.
        network: Builds the module.
        rng: Source of its parameters.
        device: Where to compute.

    Attributes:
        fast: Itself, where the module is a plain perceptron on the CPU that reads vectors.
        flat: The parameters on one vector.
    """

    def __init__(self, task: ControlTask, network: Network, rng: np.random.Generator, device: torch.device) -> None:
        super().__init__()
        self.critic: Any = network.build(task.input_space, spaces.Box(-np.inf, np.inf, (1,), np.float32), rng).eval()
        self.to(device)
        self.device = device
        self.flat = Flat(self.critic)
        self.mlp: FastMLP | None = self.flat.fast_mlp(self.critic) if getattr(self.critic, "vector_inputs", False) else None

    def value(self, inputs: np.ndarray) -> np.ndarray:
        """Return the predicted costs [B] of inputs [B, ...]."""
        if self.mlp is not None:
            return self.mlp.forward(inputs)[:, 0].copy()
        with torch.no_grad():
            outputs: np.ndarray = self.critic(torch.from_numpy(inputs).to(self.device)).squeeze(1).cpu().numpy()
            return outputs

    def loss(self, inputs: np.ndarray, target: np.ndarray) -> float:
        """Leave the gradient of the mean squared error against targets [B] in `flat`, and return the error."""
        if self.mlp is not None:
            error = self.mlp.forward(inputs)[:, 0] - target
            self.mlp.backward((2.0 / len(error) * error[:, None]).astype(np.float32))
            return float(np.mean(error**2))
        self.flat.zero_grad()
        loss = (self.critic(torch.from_numpy(inputs).to(self.device)).squeeze(1) - torch.from_numpy(target).to(self.device)).square().mean()
        torch.autograd.backward(loss)
        return float(loss.detach())


def cost_advantages(
    critic: CostCritic, rollout: Rollout, cost: np.ndarray, inputs: tuple[np.ndarray, np.ndarray], discount: float, gae_lambda: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return advantages [B] of the cost, centred and in its own unit, and the targets [B] of its critic.

    Args:
        critic: Predicts costs.
        rollout: [T, N].
        cost: [T, N].
        inputs: Of the observations, and of those that the steps led to [B, ...] each.
        discount: gamma of the cost.
        gae_lambda: lambda of the cost.
    """
    value, next_value = critic.value(inputs[0]), critic.value(inputs[1])
    discounts = np.where(rollout.terminated, 0.0, discount).astype(np.float32)
    shape = cost.shape
    advantage = advantages(cost, discounts, value.reshape(shape), next_value.reshape(shape), rollout.over, gae_lambda).ravel()
    return advantage - advantage.mean(dtype=np.float32), advantage + value


def limit_of(task: ControlTask, given: float | None) -> float:
    """Return the limit on an episode's mean cost: the one given, or the task's own.

    Raises:
        ValueError: if neither exists.
    """
    limit: float | None = getattr(task, "cost_limit", None) if given is None else given
    if limit is None:
        raise ValueError("cost_limit is null, and the task states no limit; set cost_limit to the mean cost that an episode may have")
    return limit


def fit_costs(agent: Any, inputs: np.ndarray, target: np.ndarray, batch_size: int) -> float:
    """Move an agent's critic of the cost towards targets [B], and return the mean error.

    Args:
        agent: Has `cost_critic`, `cost_optimiser`, `cost_shuffle` and `config.cost_epochs`.
        inputs: [B, ...].
        target: [B].
        batch_size: Transitions of a minibatch.
    """
    errors = []
    for indices in minibatches(agent.cost_shuffle, len(target), batch_size, agent.config.cost_epochs):
        errors.append(agent.cost_critic.loss(inputs[indices], target[indices]))
        agent.cost_optimiser.step()
    return float(np.mean(errors))


def cost_parameters(critic: CostCritic) -> dict[str, np.ndarray]:
    """Return the trainable numbers of a cost's critic, by name."""
    return {f"cost_{name}": value.detach().cpu().numpy() for name, value in critic.named_parameters()}
