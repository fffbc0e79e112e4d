"""CPO, constrained policy optimisation: the largest natural step that keeps the linearised cost under its limit.

Minimise g^T x subject to c + b^T x <= 0 and x^T H x / 2 <= delta, with g the gradient of the loss, b that of the mean cost advantage,
c the violation per step and H the Fisher matrix.

Source: J. Achiam, D. Held, A. Tamar, P. Abbeel, "Constrained policy optimization", 2017, (10) to (14), section 6 and theorem 2.
Departures: as in `trpo`; cost advantages are centred, not scaled, so that c and b have one unit; an evaluation draws actions, as training
does.
Letters: B batch, P parameters of the policy.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.policy_gradient import fit_values, policy_gradient
from rl_algos.on_policy.rollout import flat, standardise
from rl_algos.on_policy.trpo import TRPO, TRPOConfig, conjugate_gradient, divergence, fisher_product, snapshot
from rl_algos.safety.costs import CostCritic, MeteredEnvs, cost_advantages, cost_parameters, fit_costs, limit_of
from rl_algos.safety.sampling import sampled_predictor
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.task import Predict


@configclass
class CPOConfig(TRPOConfig):
    """CPO settings, in addition to `TRPOConfig`."""

    cost_limit: Annotated[NonNegative | None, Doc("d, mean cost that an episode may have; null: the task's own")] = None
    cost_discount: Annotated[Fraction, Doc("gamma of the cost's critic")] = 0.99
    cost_gae_lambda: Annotated[Fraction, Doc("lambda of the cost's advantages")] = 0.95
    cost_learning_rate: Annotated[Positive, Doc("step size of Adam for the cost's critic")] = 1e-3
    cost_epochs: Annotated[Count, Doc("passes of the cost's critic over a rollout")] = 10
    sampled_evaluation: Annotated[bool, Doc("draw actions in an evaluation, as in training; false: the most probable ones")] = True


class Dual(NamedTuple):
    """Solution of the step's dual problem.

    Attributes:
        case: "free": the limit is far; "bound": the step may have to bend; "recovery": no step within the region keeps the limit.
        scale: lambda, > 0; the step is -(v + nu w) / lambda, and -sqrt(2 delta / s) w in a recovery.
        price: nu, >= 0.
    """

    case: Literal["free", "bound", "recovery"]
    scale: float
    price: float


def solve_dual(q: float, r: float, s: float, c: float, target_kl: float) -> Dual:
    """Return the multipliers of the step. (theorem 2)

    Args:
        q: g^T H^-1 g.
        r: g^T H^-1 b.
        s: b^T H^-1 b.
        c: Violation; above 0 the limit is broken.
        target_kl: delta.

    Far within the limit it is TRPO's step, of length sqrt(2 delta / q):

    >>> solve_dual(q=2.0, r=0.0, s=1.0, c=-1.0, target_kl=0.01)
    Dual(case='free', scale=10.0, price=0.0)
    """
    tiny = 1e-8
    free = Dual("free", float(np.sqrt(max(q, tiny) / (2.0 * target_kl))), 0.0)
    if s < tiny:
        return free
    rest, room = q - r * r / s, 2.0 * target_kl - c * c / s  # A and B
    if room < 0:
        return free if c < 0 else Dual("recovery", 1.0, 0.0)
    # lambda where nu = (lambda c - r) / s is positive, (f_a), and where it is 0, (f_b)
    edge = r / c if abs(c) > tiny else np.sign(r) * np.inf * np.sign(c or -1.0)
    above = (max(edge, 0.0), np.inf)
    below = (0.0, max(edge, 0.0))
    if abs(c) <= tiny:
        bending, straight = ((0.0, np.inf), None) if r < 0 else (None, (0.0, np.inf))
    else:
        bending, straight = (below, above) if c < 0 else (above, below)
    found = []
    if bending is not None and bending[1] > 0:
        scale = float(np.clip(np.sqrt(max(rest, 0.0) / max(room, tiny)), max(bending[0], tiny), bending[1]))
        found.append((-0.5 * (rest / scale + room * scale) - r * c / s, scale))
    if straight is not None and straight[1] > 0:
        scale = float(np.clip(free.scale, max(straight[0], tiny), straight[1]))
        found.append((-0.5 * (q / scale + 2.0 * target_kl * scale), scale))
    scale = max(found)[1]
    return Dual("bound", scale, max(0.0, (scale * c - r) / s))


class CPO(TRPO):
    """The agent: a rollout, the constrained natural step with a line search, then steps of both critics."""

    Config: ClassVar[type] = CPOConfig
    config: CPOConfig
    state_fields = (*TRPO.state_fields, "cost_critic", "cost_optimiser", "episode_cost")

    def setup(self) -> None:
        """Build the cost's critic, too."""
        super().setup()
        config = self.config
        self.limit = limit_of(self.task, config.cost_limit)
        self.meter = MeteredEnvs(self.collector.envs)
        self.collector.envs = self.meter
        rng = self.seeds.numpy("initialisation of the cost's critic")
        self.cost_critic = CostCritic(self.task, self.network, rng, self.actor_critic.device)
        self.cost_optimiser = Optimiser("adam", self.cost_critic.flat, learning_rate=config.cost_learning_rate, epsilon=1e-5)
        self.cost_shuffle = self.seeds.numpy("minibatches of the cost")
        self.episode_cost = self.limit  # of the last rollout in which an episode ended

    def step(self) -> dict[str, float]:
        """Run one iteration: a rollout, the constrained step of the policy, then both critics move towards what followed."""
        config, learner = self.config, self.actor_critic
        rollout = self.collector.collect(learner, config.rollout_steps)
        cost, episodes = self.meter.pop(), self.meter.pop_costs()
        if episodes:
            self.episode_cost = float(np.mean(episodes))
        length = rollout.reward.size / max(len(episodes), 1)
        batch = self.estimate(rollout, config.gae_lambda)
        inputs = self.collector.inputs(flat(rollout.obs)), self.collector.inputs(flat(rollout.final_obs))
        cost_advantage, target = cost_advantages(self.cost_critic, rollout, cost, inputs, config.cost_discount, config.cost_gae_lambda)

        violation = (self.episode_cost - self.limit) / length
        metrics = self.constrained(inputs[0], batch.action, (standardise(batch.advantage), cost_advantage), violation)
        value_loss = fit_values(self, inputs[0], batch.return_)
        metrics["cost_loss"] = fit_costs(self, inputs[0], target, config.value_batch_size)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics |= {"value_loss": value_loss, "episode_cost": self.episode_cost}
        return metrics | self.collector.episode_metrics()

    def constrained(
        self, inputs: np.ndarray, action: np.ndarray, advantages: tuple[np.ndarray, np.ndarray], violation: float
    ) -> dict[str, float]:
        """Move the policy by one constrained natural step.

        Args:
            inputs: [B, ...].
            action: [B] or [B, D].
            advantages: Of the reward, and of the cost [B] each.
            violation: c, of the limit per step.
        """
        config, learner = self.config, self.actor_critic
        (advantage, cost_advantage), vector = advantages, learner.policy_flat.vector
        policy_gradient(learner, inputs, action, advantage, entropy_weight=0.0)
        g = learner.policy_flat.gradient.cpu().numpy().copy()
        policy_gradient(learner, inputs, action, cost_advantage, entropy_weight=0.0)
        b = -learner.policy_flat.gradient.cpu().numpy().copy()
        old_log_prob = learner.log_prob(inputs, action).copy()
        fisher = fisher_product(learner, inputs)

        def damped(direction: np.ndarray) -> np.ndarray:
            return fisher(direction) + np.float32(config.damping) * direction

        v = conjugate_gradient(damped, g, config.gradient_iterations)
        w = conjugate_gradient(damped, b, config.gradient_iterations)
        dual = solve_dual(float(g @ v), float(g @ w), float(b @ w), violation, config.target_kl)
        recovery = dual.case == "recovery"
        step = -np.sqrt(2.0 * config.target_kl / float(b @ w)) * w if recovery else -(v + dual.price * w) / dual.scale

        start, old = vector.clone(), snapshot(learner, inputs)
        gain, rise, distance, attempt = 0.0, 0.0, 0.0, 0
        for attempt in range(config.backtracks):
            vector.copy_(start + learner.tensor(np.asarray(config.shrink**attempt * step, dtype=np.float32)))
            ratio = np.exp(learner.log_prob(inputs, action) - old_log_prob)
            gain = float(((ratio - 1.0) * advantage).mean())
            rise = float(((ratio - 1.0) * cost_advantage).mean())
            distance = divergence(learner, old, inputs)
            if distance <= config.target_kl and (recovery or gain >= 0) and rise <= max(-violation, 0.0):
                break
        else:  # no length will do: stay
            vector.copy_(start)
            gain, rise, distance, attempt = 0.0, 0.0, 0.0, config.backtracks
        metrics = {"gain": gain, "cost_change": rise, "kl": distance, "backtracks": float(attempt)}
        return metrics | {"recovery": float(recovery), "multiplier": dual.price}

    def predictor(self) -> Predict:
        """Return what answers in an evaluation: draws from the policy, or its most probable actions."""
        return sampled_predictor(self) if self.config.sampled_evaluation else super().predictor()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable number, by name."""
        return super().parameters() | cost_parameters(self.cost_critic)
