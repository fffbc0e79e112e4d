"""TRPO, trust-region policy optimisation: the largest step up the natural gradient that keeps the policy within a KL divergence.

Source: J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel. "Trust region policy optimization", 2015, (14) and appendix C;
without the line search it is the natural policy gradient (the entry `npg`), S. Kakade, "A natural policy gradient", 2002, with the
step normalised as in A. Rajeswaran and others, "Towards generalization and simplicity in continuous control", 2017, Algorithm 1.
Conjugate gradient: M. Hestenes, E. Stiefel, 1952. Products with the Fisher matrix: it is the Hessian of the mean KL divergence where
both policies are the same, and its product with a vector is the gradient of an inner product (appendix C.1).
Departures: advantages are those of GAE, to mean 0 and deviation 1; the critic is fitted by minibatches of Adam after the policy's
step; the Fisher matrix is of the whole rollout and gets `damping` on its diagonal, in the products and in the length of the step.
Errata: appendix C bounds the step by the quadratic model alone and lets the line search look at the objective; here it looks at the
true divergence too, as the authors' code does.
Letters: B batch, P parameters of the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from dl_nets.fast.mlp import one_thread
from dl_nets.learning.schedules import schedule
from rl_algos.compiled.policies import standardise
from rl_algos.compiled.trpo import CompiledNaturalLearner
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import PolicyGradient
from rl_algos.on_policy.rollout import minibatches
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

Product = Callable[[np.ndarray], np.ndarray]
"""A matrix [P, P] that is known by its products with vectors [P]."""


@configclass
class TRPOConfig(OnPolicyConfig):
    """Settings of TRPO and NPG beside those of every on-policy agent."""

    rollout_steps: Annotated[Count, Doc("T, steps of each environment between two updates")] = 256
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.95
    target_kl: Annotated[Positive, Doc("delta, KL divergence of a step in nats")] = 0.01
    damping: Annotated[NonNegative, Doc("added to the diagonal of the Fisher matrix")] = 0.1
    gradient_iterations: Annotated[Count, Doc("of conjugate gradient")] = 15
    line_search: Annotated[bool, Doc("whether a step is shortened until it improves within the KL divergence; without, it is NPG")] = True
    backtracks: Annotated[Count, Doc("how many lengths the line search tries")] = 10
    shrink: Annotated[Fraction, Doc("factor from one length to the next")] = 0.8
    value_learning_rate: Annotated[Positive, Doc("step size of Adam for the critic")] = 1e-3
    value_learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = (
        "constant"
    )
    value_epochs: Annotated[Count, Doc("passes of the critic over a rollout")] = 10
    value_batch_size: Annotated[Count, Doc("transitions in one of its minibatches")] = 128
    entropy_weight: ClassVar[float] = 0.0  # not a setting: the trust region keeps the policy from settling too early

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


def conjugate_gradient(product: Product, target: np.ndarray, iterations: int, tolerance: float = 1e-10) -> np.ndarray:
    """x [P] with A x = b, for a symmetric positive matrix A that is known by its products.

    Args:
        product: v to A v.
        target: b [P].
        iterations: At most so many; P are enough but for rounding.
        tolerance: It ends when the square of the residual |b - A x|^2 is below it.

    >>> conjugate_gradient(lambda v: np.array([4 * v[0] + v[1], v[0] + 3 * v[1]]), np.array([1.0, 2.0]), 2).round(4).tolist()
    [0.0909, 0.6364]
    """
    solution = np.zeros_like(target)
    residual, direction = target.copy(), target.copy()
    square = float(residual @ residual)
    for _ in range(iterations):
        if square < tolerance:
            break
        moved = product(direction)
        length = square / float(direction @ moved)
        solution += length * direction
        residual -= length * moved
        square, before = float(residual @ residual), square
        direction = residual + square / before * direction
    return solution


def largest_step(direction: np.ndarray, moved: np.ndarray, target_kl: float) -> np.ndarray:
    """The step [P] along a direction x at whose end the quadratic model of the KL divergence, x^T F x / 2, is delta.

    sqrt(2 delta / (x^T F x)) x; (appendix C)

    Args:
        direction: x [P].
        moved: F x [P].
        target_kl: delta.

    >>> largest_step(np.array([1.0, 0.0]), np.array([8.0, 3.0]), 0.01).tolist()  # sqrt(0.02 / 8)
    [0.05, 0.0]
    """
    return np.sqrt(2 * target_kl / max(float(direction @ moved), 1e-12)) * direction


class NaturalLearner(PolicyGradient):
    """A policy that is moved by hand, and its critic, in torch. The compiled twin is in `compiled.trpo`."""

    @property
    def policy_vector(self) -> np.ndarray:
        """The policy's parameters [P]."""
        return torch.nn.utils.parameters_to_vector(self._policy_parameters).detach().cpu().numpy()

    @policy_vector.setter
    def policy_vector(self, vector: np.ndarray) -> None:
        parts = torch.split(self._tensor(vector), [parameter.numel() for parameter in self._policy_parameters])
        for parameter, part in zip(self._policy_parameters, parts, strict=True):
            parameter.data.copy_(part.view_as(parameter))

    def ascent(self, inputs: np.ndarray, action: np.ndarray, advantage: np.ndarray) -> np.ndarray:
        """Gradient [P] of the mean of ratio * advantage at the policy that acted, where the ratio is 1: the policy gradient."""
        self.policy_gradient(inputs, action, advantage)
        return -torch.cat([parameter.grad.flatten() for parameter in self._policy_parameters if parameter.grad is not None]).cpu().numpy()

    def fisher_product(self, inputs: np.ndarray) -> Product:
        """The Fisher matrix of the policy as it is, averaged over inputs [B, ...]: v to F v."""
        head = self._actor(self._tensor(inputs))
        divergence = self._actions.kl(head.detach(), self._log_std.detach(), head, self._log_std).mean()
        gradient = _flat(torch.autograd.grad(divergence, self._policy_parameters, create_graph=True))

        def product(vector: np.ndarray) -> np.ndarray:
            return _flat(torch.autograd.grad(gradient @ self._tensor(vector), self._policy_parameters, retain_graph=True)).cpu().numpy()

        return product

    @torch.no_grad()
    def snapshot(self, inputs: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy at inputs [B, ...] as it is now, to be compared with later."""
        return self._actor(self._tensor(inputs)), self._log_std.detach().clone()

    @torch.no_grad()
    def divergence(self, old: tuple[torch.Tensor, torch.Tensor], inputs: np.ndarray) -> float:
        """Mean KL(pi_old || pi) over inputs [B, ...], from a snapshot at the same inputs."""
        return float(self._actions.kl(*old, self._actor(self._tensor(inputs)), self._log_std).mean())


class TRPO(OnPolicy):
    """The agent: a rollout, one step of the policy as far as the trust region lets it, then the critic's share of learning."""

    Config: ClassVar[type] = TRPOConfig
    config: TRPOConfig
    learner, compiled_learner = NaturalLearner, CompiledNaturalLearner

    def __init__(self, config: TRPOConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.shuffle = seeds.numpy("minibatches")

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: a rollout, a step up the natural gradient, then the critic moves towards the returns."""
        config = self.config
        value_learning_rate = config.value_learning_rate * schedule(config.value_learning_rate_schedule)(self.progress / self.budget)
        rollout = self.collector.collect(self.actor_critic, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)

        metrics = self.improve(batch.inputs, batch.action, batch.log_prob, standardise(batch.advantage))
        errors = [
            self.actor_critic.value_step(batch.inputs[indices], batch.return_[indices], value_learning_rate)
            for indices in minibatches(self.shuffle, rollout.reward.size, config.value_batch_size, config.value_epochs)
        ]
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        return metrics | {"value_loss": float(np.mean(errors)), "value": float(batch.value.mean())} | self.collector.episode_metrics()

    def improve(self, inputs: np.ndarray, action: np.ndarray, old_log_prob: np.ndarray, advantage: np.ndarray) -> dict[str, float]:
        """Move the policy by one natural step, and say how far it went."""
        config, learner = self.config, self.actor_critic
        gradient = learner.ascent(inputs, action, advantage)
        fisher = learner.fisher_product(inputs)

        def damped(vector: np.ndarray) -> np.ndarray:
            return fisher(vector) + np.float32(config.damping) * vector

        direction = conjugate_gradient(damped, gradient, config.gradient_iterations)
        step = largest_step(direction, damped(direction), config.target_kl)

        start, old = learner.policy_vector.copy(), learner.snapshot(inputs)
        objective = float(advantage.mean())  # where every ratio is 1
        tries = config.backtracks if config.line_search else 1
        for attempt in range(tries):
            learner.policy_vector = start + np.float32(config.shrink**attempt) * step
            gain = float((np.exp(learner.log_prob(inputs, action) - old_log_prob) * advantage).mean()) - objective  # (14)
            divergence = learner.divergence(old, inputs)
            if not config.line_search or (gain > 0 and divergence <= config.target_kl):
                break
        else:  # no length will do: stay
            learner.policy_vector = start
            gain, divergence, attempt = 0.0, 0.0, tries
        return {"gain": gain, "kl": divergence, "backtracks": float(attempt)}


def _flat(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
