"""The linear-quadratic regulator: the exact best control of a linear system with a quadratic cost.

Source: R. E. Kalman, "Contributions to the theory of optimal control", 1960; in discrete time D. P. Bertsekas, "Dynamic programming and
optimal control", volume 1, section 3.1 (equations below are his).
Departures: the matrices are read from the task's dynamics by differences, which are exact for such functions up to rounding.
Letters: S numbers of a state, D of an action; x' = A x + B u, cost x^T Q x + 2 u^T N x + u^T R u.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from rl_algos.model_based.gradient import differences, expand
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.task import Dynamics, DynamicsTask


@configclass
class LQRConfig:
    """Settings of the regulator."""

    discount: Annotated[Fraction, Doc("gamma, weight of the next step's cost")] = 1.0
    sweeps_per_iteration: Annotated[Count, Doc("steps of Riccati's recursion between two reports")] = 50
    tolerance: Annotated[float, Meta(gt=0, le=1), Doc("change of the cost matrix at which the recursion has converged")] = 1e-13


class System(NamedTuple):
    """Matrices of a linear system with a quadratic cost.

    Attributes:
        transition: A [S, S].
        push: B [S, D].
        cost: Q [S, S].
        effort: R [D, D].
        mixed: N [D, S].
    """

    transition: np.ndarray
    push: np.ndarray
    cost: np.ndarray
    effort: np.ndarray
    mixed: np.ndarray


def system_of(dynamics: Dynamics, num_states: int, size: int) -> System:
    """Return the system that a dynamics is.

    Raises:
        ValueError: if next states are not linear, or costs not quadratic, or actions cost nothing.
    """
    shifts = differences(num_states + size, 1.0)
    after, reward, _ = dynamics.step(shifts[:, :num_states].copy(), shifts[:, num_states:])
    found = expand(after[None], -reward[None].astype(np.float64), 1.0)
    jacobian, hessian = found.jacobian[0], found.hessian[0] / 2
    far = 3.0 * np.cos(np.arange(8.0 * (num_states + size))).reshape(8, -1)  # anywhere
    moved, paid, _ = dynamics.step(far[:, :num_states].copy(), far[:, num_states:])
    if not np.allclose(moved, far @ jacobian.T, atol=1e-6) or not np.allclose(-paid, ((far @ hessian) * far).sum(axis=1), atol=1e-4):
        raise ValueError("the task's dynamics are not linear with a quadratic cost, which lqr needs; take mpc-gradient")
    system = System(
        jacobian[:, :num_states],
        jacobian[:, num_states:],
        hessian[:num_states, :num_states],
        hessian[num_states:, num_states:],
        hessian[num_states:, :num_states],
    )
    if np.linalg.eigvalsh(system.effort).min() <= 0:
        raise ValueError("the task's cost does not rise with every number of an action, so that no action is best; take mpc-gradient")
    return system


def riccati_step(system: System, matrix: np.ndarray, discount: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return P one step earlier [S, S], and the gain K [D, S] of the best action u = K x there.

    K = -(R + g B^T P B)^-1 (N + g B^T P A), P <- Q + g A^T P A + (N + g B^T P A)^T K.

    Args:
        system: The system.
        matrix: P, cost to go x^T P x [S, S].
        discount: g.

    >>> one = np.ones((1, 1))
    >>> matrix, gain = riccati_step(System(one, one, one, one, 0 * one), one)
    >>> matrix.item(), gain.item()  # 1 + 1 - 1 * 1 / 2, and -1 / 2
    (1.5, -0.5)
    """
    transition, push, cost, effort, mixed = system
    across = mixed + discount * push.T @ matrix @ transition
    gain = -np.linalg.solve(effort + discount * push.T @ matrix @ push, across)
    before = cost + discount * transition.T @ matrix @ transition + across.T @ gain
    return (before + before.T) / 2, gain


class LQR(Agent):
    """Agent that solves Riccati's equation by its recursion and acts by the gain; it plays no episode."""

    Config: ClassVar[type] = LQRConfig
    headline = "change"
    state_fields = ("matrix", "gain")
    export_formats = ("arrays",)
    config: LQRConfig
    task: DynamicsTask

    def setup(self) -> None:
        """Read the system from the task's dynamics."""
        self.dynamics = self.task.dynamics()
        zero = np.zeros((1, *self.task.input_space.shape), np.float32)
        num_states, size = self.dynamics.state_of(zero).shape[1], int(np.prod(self.task.output_space.shape or (1,)))
        self.system = system_of(self.dynamics, num_states, size)
        self.matrix, self.gain = self.system.cost.copy(), np.zeros((size, num_states))

    def step(self) -> dict[str, float]:
        """Take some steps of the recursion."""
        for _ in range(self.config.sweeps_per_iteration):
            before = self.matrix
            self.matrix, self.gain = riccati_step(self.system, before, self.config.discount)
        self.progress += self.config.sweeps_per_iteration
        change = float(np.abs(self.matrix - before).max() / np.abs(self.matrix).max())
        self.finished = change <= self.config.tolerance
        return {"change": change, "cost_at_ones": float(self.matrix.sum())}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the best actions [B, ...] at observations [B, ...], within the bounds of the task."""
        space = self.task.output_space
        action = self.dynamics.state_of(inputs) @ self.gain.T
        return np.clip(action.reshape(-1, *space.shape), space.low, space.high).astype(space.dtype)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return cost matrix [S, S] and gain [D, S]."""
        return {"matrix": self.matrix, "gain": self.gain}
