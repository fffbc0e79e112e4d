"""TRPO, trust-region policy optimisation: the largest step up the natural gradient that keeps the policy within a KL divergence.

Source: J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel. "Trust region policy optimization", 2015, (14) and appendix C;
without the line search it is the natural policy gradient (the entry `npg`), S. Kakade, "A natural policy gradient", 2002, with the
step normalised as in A. Rajeswaran and others, "Towards generalization and simplicity in continuous control", 2017, Algorithm 1.
Conjugate gradient: M. Hestenes, E. Stiefel, 1952. The Fisher matrix is the Hessian of the mean KL divergence where both policies are the
same. Its product with a vector is the gradient of an inner product (appendix C.1); or, in the Gauss-Newton form, J^T M J v, with J the
head's Jacobian and M the Hessian with respect to the head, N. Schraudolph, "Fast curvature matrix-vector products for second-order
gradient descent", 2002, section 3: no second derivative is taken.
Departures: advantages are those of GAE, to mean 0 and deviation 1; the critic is fitted by minibatches of Adam after the policy's
step; the Fisher matrix is of the whole rollout and gets `damping` on its diagonal, in the products and in the length of the step.
Errata: appendix C bounds the step by the quadratic model alone, and the line search checks the objective; here it checks the true
divergence too, as the authors' code does.
Letters: B batch, P parameters of the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch

from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.loop import ActorCritic, FastPolicy, OnPolicy, OnPolicyConfig
from rl_algos.on_policy.policy_gradient import fit_values, policy_gradient
from rl_algos.on_policy.rollout import standardise
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass

Product = Callable[[np.ndarray], np.ndarray]
"""A matrix [P, P], given by its products with vectors [P]."""


@configclass
class TRPOConfig(OnPolicyConfig):
    """TRPO and NPG settings, in addition to `OnPolicyConfig`."""

    rollout_steps: Annotated[Count, Doc("T, steps of each environment between two updates")] = 256
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.95
    target_kl: Annotated[Positive, Doc("delta, KL divergence of a step in nats")] = 0.01
    damping: Annotated[NonNegative, Doc("added to the diagonal of the Fisher matrix")] = 0.1
    gradient_iterations: Annotated[Count, Doc("of conjugate gradient")] = 15
    line_search: Annotated[bool, Doc("shorten a step until it improves within the KL divergence; without, it is NPG")] = True
    backtracks: Annotated[Count, Doc("lengths that the line search tries")] = 10
    shrink: Annotated[Fraction, Doc("factor from one length to the next")] = 0.8
    value_learning_rate: Annotated[Positive, Doc("step size of Adam for the critic")] = 1e-3
    value_learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = (
        "constant"
    )
    value_epochs: Annotated[Count, Doc("passes of the critic over a rollout")] = 10
    value_batch_size: Annotated[Count, Doc("transitions in one of its minibatches")] = 128

    def __post_init__(self) -> None:
        """Refuse a rollout of one transition."""
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


def conjugate_gradient(product: Product, target: np.ndarray, iterations: int, tolerance: float = 1e-10) -> np.ndarray:
    """Return x [P] with A x = b, for a symmetric positive matrix A given by its products.

    Args:
        product: v to A v.
        target: b [P].
        iterations: Most iterations; P are enough but for rounding.
        tolerance: Square of the residual |b - A x|^2 below which it ends.

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
    """Return the step [P] along a direction x after which the quadratic model of the KL divergence, x^T F x / 2, is delta.

    sqrt(2 delta / (x^T F x)) x; (appendix C)

    Args:
        direction: x [P].
        moved: F x [P].
        target_kl: delta.

    >>> largest_step(np.array([1.0, 0.0]), np.array([8.0, 3.0]), 0.01).tolist()  # sqrt(0.02 / 8)
    [0.05, 0.0]
    """
    return np.sqrt(2 * target_kl / max(float(direction @ moved), 1e-12)) * direction


def fisher_product(learner: ActorCritic, inputs: np.ndarray) -> Product:
    """Return the Fisher matrix of the policy as it is, averaged over inputs [B, ...]: v to F v. Valid until the actor's next forward."""
    if learner.fast is not None:
        return fast_fisher_product(learner, learner.fast, inputs)
    parameters = learner.policy_flat.parameters
    head = learner.actor(learner.tensor(inputs))
    divergence = learner.actions.kl(head.detach(), learner.log_std.detach(), head, learner.log_std).mean()
    gradient = _flat(torch.autograd.grad(divergence, parameters, create_graph=True, allow_unused=True), parameters)

    def product(vector: np.ndarray) -> np.ndarray:
        moved = torch.autograd.grad(gradient @ learner.tensor(vector), parameters, retain_graph=True, allow_unused=True)
        return _flat(moved, parameters).cpu().numpy()

    return product


def fast_fisher_product(learner: ActorCritic, fast: FastPolicy, inputs: np.ndarray) -> Product:
    """Return the same matrix in the Gauss-Newton form: J v goes forward through the layers, J^T backward."""
    policy, scale = fast.policy(inputs).copy(), len(fast.log_std)  # ln sigma comes first on the vector, then the actor's parameters
    gradient = learner.policy_flat.gradient.numpy()

    def product(vector: np.ndarray) -> np.ndarray:
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        tangent = fast.actor.tangent(vector[scale:])
        fast.actor.backward(learner.actions.array_curvature(policy, fast.log_std, tangent, vector[:scale], fast.log_std_error))
        return gradient.copy()

    return product


def snapshot(learner: ActorCritic, inputs: np.ndarray) -> tuple[Any, Any]:
    """Return the policy at inputs [B, ...] and ln sigma as they are now, to be compared with later by `divergence`."""
    if learner.fast is not None:
        return learner.fast.policy(inputs).copy(), learner.fast.log_std.copy()
    with torch.no_grad():
        return learner.actor(learner.tensor(inputs)), learner.log_std.detach().clone()


def divergence(learner: ActorCritic, old: tuple[Any, Any], inputs: np.ndarray) -> float:
    """Return the mean KL(pi_old || pi) over inputs [B, ...], from a snapshot at the same inputs."""
    if learner.fast is not None:
        return learner.actions.array_kl(*old, learner.fast.policy(inputs), learner.fast.log_std)
    with torch.no_grad():
        return float(learner.actions.kl(*old, learner.actor(learner.tensor(inputs)), learner.log_std).mean())


class TRPO(OnPolicy):
    """The agent: a rollout, the largest step of the policy within the trust region, then several of the critic."""

    Config: ClassVar[type] = TRPOConfig
    config: TRPOConfig
    state_fields = (*OnPolicy.state_fields, "value_optimiser")
    by_hand = True

    def setup(self) -> None:
        """Build the critic's optimiser, too."""
        super().setup()
        assert self.actor_critic.critic_flat is not None
        self.value_optimiser = Optimiser("adam", self.actor_critic.critic_flat, learning_rate=self.config.value_learning_rate)
        self.shuffle = self.seeds.numpy("minibatches")

    def step(self) -> dict[str, float]:
        """Run one iteration: a rollout, a step up the natural gradient, then the critic moves towards the returns."""
        config, learner = self.config, self.actor_critic
        self.value_optimiser.learning_rate = self.scheduled(config.value_learning_rate, config.value_learning_rate_schedule)
        rollout = self.collector.collect(learner, config.rollout_steps)
        batch = self.estimate(rollout, config.gae_lambda)

        metrics = self.improve(batch.inputs, batch.action, batch.log_prob, standardise(batch.advantage))
        value_loss = fit_values(self, batch.inputs, batch.return_)
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        return metrics | {"value_loss": value_loss, "value": float(batch.value.mean())} | self.collector.episode_metrics()

    def improve(self, inputs: np.ndarray, action: np.ndarray, old_log_prob: np.ndarray, advantage: np.ndarray) -> dict[str, float]:
        """Move the policy by one natural step, and return how far it went."""
        config, learner = self.config, self.actor_critic
        vector = learner.policy_flat.vector
        # At the policy that acted every ratio is 1, and the gradient of the objective (14) is the policy gradient.
        policy_gradient(learner, inputs, action, advantage, entropy_weight=0.0)
        gradient = -learner.policy_flat.gradient.cpu().numpy()
        fisher = fisher_product(learner, inputs)

        def damped(direction: np.ndarray) -> np.ndarray:
            return fisher(direction) + np.float32(config.damping) * direction

        direction = conjugate_gradient(damped, gradient, config.gradient_iterations)
        step = largest_step(direction, damped(direction), config.target_kl)

        start, old = vector.clone(), snapshot(learner, inputs)
        objective = float(advantage.mean())  # where every ratio is 1
        tries = config.backtracks if config.line_search else 1
        for attempt in range(tries):
            vector.copy_(start + learner.tensor(np.float32(config.shrink**attempt) * step))
            gain = float((np.exp(learner.log_prob(inputs, action) - old_log_prob) * advantage).mean()) - objective  # (14)
            distance = divergence(learner, old, inputs)
            if not config.line_search or (gain > 0 and distance <= config.target_kl):
                break
        else:  # no length will do: stay
            vector.copy_(start)
            gain, distance, attempt = 0.0, 0.0, tries
        return {"gain": gain, "kl": distance, "backtracks": float(attempt)}


def _flat(tensors: tuple[torch.Tensor | None, ...], parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """Return derivatives as one vector [P]; a parameter without one has 0."""
    pairs = zip(tensors, parameters, strict=True)
    return torch.cat([(torch.zeros_like(parameter) if tensor is None else tensor).flatten() for tensor, parameter in pairs])
