"""Trajectory optimisation by derivatives: iterative LQR in a receding horizon.

Source: W. Li and E. Todorov, "Iterative linear quadratic regulator design for nonlinear biological movement systems", 2004; the bounds of
actions and the receding horizon as in Y. Tassa, N. Mansard, E. Todorov, "Control-limited differential dynamic programming", 2014, and
Y. Tassa, T. Erez, E. Todorov, "Synthesis and stabilization of complex behaviors through online trajectory optimization", 2012.
Departures: derivatives are differences of the dynamics, so that any batched function serves; a number of an action that a step would take
out of its bounds is held at the bound, the others are not solved for again (the same where an action is one number); the step sizes of the
line search are tried together. A few random plans compete with the last one before it is improved: a derivative finds no other valley.
Letters: N plans, H steps, S numbers of a state, D of an action, Z = S + D.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from rl_algos.model_based.mpc import MPC, MPCConfig, Planner
from rl_algos.model_based.sequences import Actions, RandomShooting
from rl_core.config import Count, Doc, Fraction, Meta, Positive, Whole, configclass
from rl_core.task import Dynamics

STEP_SIZES = np.array([1.0, 0.4, 0.1])  # of the line search


@configclass
class GradientConfig:
    """Settings of the planner by derivatives."""

    horizon: Annotated[Count, Doc("H, steps that a plan looks ahead")] = 20
    num_iterations: Annotated[Count, Doc("backward and forward passes for each decision")] = 1
    num_candidates: Annotated[Whole, Doc("random plans that compete with the last one at each decision")] = 12
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward within a plan")] = 1.0
    difference: Annotated[float, Meta(gt=0, le=1), Doc("width of differences, in units of the state and half widths of an action")] = 0.03
    damping: Annotated[Positive, Doc("lambda, added to the curvature in the action")] = 1e-3
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 10
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 10


class Expansion(NamedTuple):
    """Second-order model of one step around states and actions.

    Attributes:
        jacobian: Of the next state by (state, action) [N, S, Z].
        gradient: Of the cost [N, Z].
        hessian: Of the cost, without negative curvature [N, Z, Z].
    """

    jacobian: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


def differences(size: int, width: float) -> np.ndarray:
    """Return the shifts [1 + 2 Z + Z (Z - 1) / 2, Z] whose values give gradient and Hessian: none, each way, and pairs.

    >>> differences(2, 1.0).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, -0.0], [-0.0, -1.0], [1.0, 1.0]]
    """
    one = width * np.eye(size)
    first, second = np.triu_indices(size, 1)
    return np.concatenate([np.zeros((1, size)), one, -one, one[first] + one[second]])


def expand(after: np.ndarray, cost: np.ndarray, width: float) -> Expansion:
    """Return the expansion from next states [N, K, S] and costs [N, K] at the K shifts of `differences`.

    >>> shifts = differences(2, 0.1)[None]
    >>> found = expand(shifts[..., :1] + 2 * shifts[..., 1:], 3 * shifts[..., 0] ** 2 + shifts[..., 1], 0.1)
    >>> found.jacobian.round(6).tolist(), found.gradient.round(6).tolist(), found.hessian.round(6).tolist()
    ([[[1.0, 2.0]]], [[0.0, 1.0]], [[[6.0, 0.0], [0.0, 0.0]]])
    """
    size = round((-3 + np.sqrt(9 + 8 * (cost.shape[1] - 1))) / 2)
    plus, minus, both = slice(1, 1 + size), slice(1 + size, 1 + 2 * size), slice(1 + 2 * size, None)
    jacobian = np.swapaxes(after[:, plus] - after[:, minus], 1, 2) / (2 * width)
    gradient = (cost[:, plus] - cost[:, minus]) / (2 * width)
    hessian = np.zeros((len(cost), size, size))
    diagonal = np.arange(size)
    hessian[:, diagonal, diagonal] = (cost[:, plus] - 2 * cost[:, :1] + cost[:, minus]) / width**2
    first, second = np.triu_indices(size, 1)
    mixed = (cost[:, both] - cost[:, 1 + first] - cost[:, 1 + second] + cost[:, :1]) / width**2
    hessian[:, first, second] = hessian[:, second, first] = mixed
    curvature, axes = np.linalg.eigh(hessian)
    return Expansion(jacobian, gradient, (axes * np.maximum(curvature, 0.0)[:, None]) @ np.swapaxes(axes, 1, 2))


def backward(
    expansions: list[Expansion], alive: np.ndarray, plan: np.ndarray, discount: float, damping: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps k [N, H, D] and gains K [N, H, D, S] of the plan, from the last step to the first.

    Args:
        expansions: Of each step.
        alive: Whether the episode goes on at each step [N, H]; what is after its end costs nothing.
        plan: Actions [N, H, D] in [-1, 1].
        discount: gamma.
        damping: lambda.
    """
    num_plans, horizon, size = plan.shape
    num_states = expansions[0].jacobian.shape[1]
    steps, gains = np.zeros_like(plan), np.zeros((*plan.shape, num_states))
    slope, curvature = np.zeros((num_plans, num_states)), np.zeros((num_plans, num_states, num_states))
    for t in reversed(range(horizon)):
        jacobian, gradient, hessian = expansions[t]
        ahead = discount * np.swapaxes(jacobian, 1, 2)
        q = gradient + (ahead @ slope[..., None])[..., 0]  # Q_z
        qq = hessian + ahead @ curvature @ jacobian  # Q_zz
        quu = qq[:, num_states:, num_states:] + damping * np.eye(size)
        step = -np.linalg.solve(quu, q[:, num_states:, None])[..., 0]
        gain = -np.linalg.solve(quu, qq[:, num_states:, :num_states])
        bounded = np.clip(plan[:, t] + step, -1.0, 1.0) - plan[:, t]
        gain = np.where((np.abs(bounded - step) > 0)[..., None], 0.0, gain)
        turned = np.swapaxes(gain, 1, 2)
        qux, qu = qq[:, num_states:, :num_states], q[:, num_states:]
        slope = q[:, :num_states] + (turned @ (qu + (quu @ bounded[..., None])[..., 0])[..., None])[..., 0]
        slope = slope + (np.swapaxes(qux, 1, 2) @ bounded[..., None])[..., 0]
        curvature = qq[:, :num_states, :num_states] + turned @ quu @ gain + turned @ qux + np.swapaxes(qux, 1, 2) @ gain
        lives = alive[:, t]
        slope, curvature = slope * lives[:, None], (curvature + np.swapaxes(curvature, 1, 2)) / 2 * lives[:, None, None]
        steps[:, t], gains[:, t] = bounded * lives[:, None], gain
    return steps, gains


class GradientPlanner(Planner):
    """A receding horizon whose plans are improved by iterative LQR.

    Args:
        model: Dynamics that plans are played in.
        actions: The map to actions of the task.
        config: Settings.
        rng: The stream of the random plans.
    """

    def __init__(self, model: Dynamics, actions: Actions, config: GradientConfig, rng: np.random.Generator) -> None:
        super().__init__(model, actions, MPCConfig(horizon=config.horizon, discount=config.discount), rng)
        self._dynamics, self._settings = model, config

    def decide(self, inputs: np.ndarray) -> np.ndarray:
        """Return the numbers in [-1, 1] of actions [N, D] at observations [N, ...], and move the plans on."""
        state, plan = self.state_of(inputs), self.plan
        if self._settings.num_candidates:
            shooting = RandomShooting(self._settings.num_candidates + 1, hold=self._settings.horizon // 2)
            plan = shooting(partial(self.returns, state), plan, self._rng)
        for _ in range(self._settings.num_iterations):
            plan = self.improved(state, plan)
        self.plan = np.concatenate([plan[:, 1:], plan[:, -1:]], axis=1)
        return plan[:, 0]

    def improved(self, state: np.ndarray, plan: np.ndarray) -> np.ndarray:
        """Return better plans [N, H, D] from states [N, S], by one backward and one forward pass; those that get no better stay."""
        config, (num_plans, horizon, size) = self._settings, plan.shape
        shifts = differences(state.shape[1] + size, config.difference)
        states, alive, expansions = [state], np.ones((num_plans, horizon), dtype=np.bool_), []
        for t in range(horizon):
            around = np.concatenate([states[t], plan[:, t]], axis=1)[:, None] + shifts
            flat = around.reshape(-1, around.shape[2])
            after, reward, terminated = self._dynamics.step(flat[:, : state.shape[1]].copy(), self.actions(flat[:, state.shape[1] :]))
            after, cost = after.reshape(num_plans, len(shifts), -1), -reward.reshape(num_plans, -1).astype(np.float64)
            expansions.append(expand(after, cost, config.difference))
            states.append(after[:, 0])
            if t + 1 < horizon:
                alive[:, t + 1] = alive[:, t] & ~terminated.reshape(num_plans, -1)[:, 0]
        self.model_steps += num_plans * horizon * len(shifts)
        steps, gains = backward(expansions, alive, plan, config.discount, config.damping)
        return self._forward(np.stack(states, axis=1), plan, steps, gains)

    def _forward(self, states: np.ndarray, plan: np.ndarray, steps: np.ndarray, gains: np.ndarray) -> np.ndarray:
        """Return the best of the plans that the step sizes lead to [N, H, D], or the plan itself."""
        num_plans, horizon, size = plan.shape
        sizes = np.concatenate([[0.0], STEP_SIZES])
        state = np.repeat(states[:, 0], len(sizes), axis=0)
        played = np.zeros((num_plans, len(sizes), horizon, size))
        total, alive = np.zeros(len(state)), np.ones(len(state), dtype=np.bool_)
        for t in range(horizon):
            apart = state.reshape(num_plans, len(sizes), -1) - states[:, t, None]
            action = plan[:, t, None] + sizes[:, None] * steps[:, t, None] + np.einsum("nds,nks->nkd", gains[:, t], apart)
            played[:, :, t] = np.clip(action, -1.0, 1.0)
            state, reward, terminated = self._dynamics.step(state, self.actions(played[:, :, t].reshape(-1, size)))
            total += self._settings.discount**t * np.where(alive, reward, 0.0)
            alive &= ~terminated
        self.model_steps += len(state) * horizon
        returns = np.where(np.isfinite(total), total, -np.inf).reshape(num_plans, -1)
        return played[np.arange(num_plans), returns.argmax(axis=1)]


class MPCGradient(MPC):
    """Agent that plans every action with the task's own dynamics by iterative LQR."""

    Config: ClassVar[type] = GradientConfig
    config: GradientConfig  # type: ignore[assignment]

    def planner(self, rng: np.random.Generator) -> Planner:
        """Return a planner without plans."""
        return GradientPlanner(self.task.dynamics(), Actions(self.task.output_space), self.config, rng)
