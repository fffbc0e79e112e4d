"""PPO-Lagrangian: PPO on rewards less a price for costs, where the price rises while episodes cost more than the limit.

max over policies, min over lambda >= 0 of J_R - lambda (J_C - d).

Source: A. Ray, J. Achiam, D. Amodei, "Benchmarking safe exploration in deep reinforcement learning", 2019, section 3.3; the terms in
proportion to the violation and to its rise, A. Stooke, J. Achiam, P. Abbeel, "Responsive safety in reinforcement learning by PID
Lagrangian methods", 2020, Algorithm 2.
Departures: the multiplier moves by the violation relative to the limit, in place of Adam, whose step has one length whatever the violation
is; rewards and costs are combined in their own units, so that lambda is a price, reward per unit of cost, and 0 is plain PPO to the bit.
An evaluation draws actions, as training does: the best policy within a limit is in general a random one.
Letters: T steps, N environments, B = T N transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.on_policy.rollout import Batch, Rollout, flat
from rl_algos.safety.costs import CostCritic, MeteredEnvs, cost_advantages, cost_parameters, fit_costs, limit_of
from rl_algos.safety.sampling import sampled_predictor
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.task import Predict


@configclass
class PPOLagrangianConfig(PPOConfig):
    """PPO-Lagrangian settings, in addition to `PPOConfig`."""

    cost_limit: Annotated[NonNegative | None, Doc("d, mean cost that an episode may have; null: the task's own")] = None
    multiplier: Annotated[NonNegative, Doc("lambda at first, reward per unit of cost")] = 0.0
    multiplier_rate: Annotated[NonNegative, Doc("K_I, what lambda gains a rollout from episodes of twice the limit")] = 0.1
    proportional_gain: Annotated[NonNegative, Doc("K_P, what a cost of twice the limit adds to lambda while it lasts")] = 0.0
    derivative_gain: Annotated[NonNegative, Doc("K_D, what a rise of the cost by the limit adds to lambda")] = 0.0
    multiplier_limit: Annotated[Positive, Doc("largest lambda, so that it does not grow without end where no policy is feasible")] = 1000.0
    cost_discount: Annotated[Fraction, Doc("gamma of the cost's critic")] = 0.99
    cost_gae_lambda: Annotated[Fraction, Doc("lambda of the cost's advantages")] = 0.95
    cost_learning_rate: Annotated[Positive, Doc("step size of Adam for the cost's critic")] = 1e-3
    cost_epochs: Annotated[Count, Doc("passes of the cost's critic over a rollout")] = 10
    sampled_evaluation: Annotated[bool, Doc("draw actions in an evaluation, as in training; false: the most probable ones")] = True


class Multiplier:
    """The price of costs, a PID controller of the violation.

    Args:
        config: Gains and limits.
        limit: d.

    Attributes:
        price: lambda.

    >>> price = Multiplier(PPOLagrangianConfig(multiplier_rate=0.5, proportional_gain=1.0), limit=2.0)
    >>> price.learn(4.0), price.learn(2.0)  # a violation of 1 times the limit, then none: the integral stays
    (1.5, 0.5)
    """

    def __init__(self, config: PPOLagrangianConfig, limit: float) -> None:
        self._config, self.limit = config, limit
        self._integral, self._before, self.price = config.multiplier, 0.0, config.multiplier

    def learn(self, cost: float) -> float:
        """Return lambda after episodes of a mean cost J_C."""
        config, error = self._config, (cost - self.limit) / max(self.limit, 1.0)
        self._integral = min(max(0.0, self._integral + config.multiplier_rate * error), config.multiplier_limit)
        price = self._integral + config.proportional_gain * error + config.derivative_gain * max(0.0, error - self._before)
        self._before, self.price = error, min(max(0.0, price), config.multiplier_limit)
        return self.price

    def state_dict(self) -> dict[str, Any]:
        """Return the controller's memory."""
        return {"integral": self._integral, "before": self._before, "price": self.price}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._integral, self._before, self.price = float(state["integral"]), float(state["before"]), float(state["price"])


def combined(advantage: np.ndarray, cost_advantage: np.ndarray, price: float) -> np.ndarray:
    """Return (A_R - lambda A_C) / (1 + lambda) [B], float32; A_R itself where lambda is 0.

    >>> combined(np.array([1.0]), np.array([2.0]), 3.0).tolist()  # (1 - 6) / 4
    [-1.25]
    """
    if price == 0.0:
        return advantage
    return ((advantage - price * cost_advantage) / (1.0 + price)).astype(np.float32)


class PPOLagrangian(PPO):
    """The agent: a rollout, a new price of costs, PPO's epochs on the combined advantages, and steps of the cost's critic."""

    Config: ClassVar[type] = PPOLagrangianConfig
    config: PPOLagrangianConfig
    state_fields = (*PPO.state_fields, "multiplier", "cost_critic", "cost_optimiser")
    carries_state = False

    def setup(self) -> None:
        """Build the cost's critic and the multiplier, too."""
        super().setup()
        config = self.config
        self.multiplier = Multiplier(config, limit_of(self.task, config.cost_limit))
        self.meter = MeteredEnvs(self.collector.envs)
        self.collector.envs = self.meter
        self.cost_critic = CostCritic(
            self.task, self.network, self.seeds.numpy("initialisation of the cost's critic"), self.actor_critic.device
        )
        self.cost_optimiser = Optimiser("adam", self.cost_critic.flat, learning_rate=config.cost_learning_rate, epsilon=1e-5)
        self.cost_shuffle = self.seeds.numpy("minibatches of the cost")

    def estimate(self, rollout: Rollout, gae_lambda: float) -> Batch:
        """Return PPO's estimates with the costs' advantages priced in, after the multiplier has learned."""
        config, cost = self.config, self.meter.pop()
        self.episode_costs = self.meter.pop_costs()
        if self.episode_costs:
            self.multiplier.learn(float(np.mean(self.episode_costs)))
        batch = super().estimate(rollout, gae_lambda)
        inputs = self.collector.inputs(flat(rollout.obs)), self.collector.inputs(flat(rollout.final_obs))
        advantage, target = cost_advantages(self.cost_critic, rollout, cost, inputs, config.cost_discount, config.cost_gae_lambda)
        self.learned_from = inputs[0], target
        return batch._replace(advantage=combined(batch.advantage, advantage, self.multiplier.price))

    def step(self) -> dict[str, float]:
        """Run one iteration of PPO, then some steps of the cost's critic."""
        metrics = super().step()
        metrics |= {"multiplier": self.multiplier.price, "cost_loss": fit_costs(self, *self.learned_from, self.config.batch_size)}
        return metrics | ({"episode_cost": float(np.mean(self.episode_costs))} if self.episode_costs else {})

    def predictor(self) -> Predict:
        """Return what answers in an evaluation: draws from the policy, or its most probable actions."""
        return sampled_predictor(self) if self.config.sampled_evaluation else super().predictor()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable number, by name."""
        return super().parameters() | cost_parameters(self.cost_critic)
