"""Model-predictive control: plan a sequence of actions with a model, take the first one, plan again.

Source: J. Richalet, A. Rault, J. Testud, J. Papon, "Model predictive heuristic control", 1978; the common loop and the optimisers as in
K. Chua, R. Calandra, R. McAllister, S. Levine, "Deep reinforcement learning in a handful of trials using probabilistic dynamics
models", 2018, Algorithm 1, here with the task's own dynamics as the model.
Departures: a plan begins as the last one, moved by one step and filled up with the middle of the range; the rewards after the predicted
end of an episode count as 0.
Letters: N environments, P candidates, H steps of a plan, D numbers of an action, S numbers of a state.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np

from rl_algos.model_based.sequences import (
    Actions,
    CategoricalCrossEntropy,
    CovarianceMatrixAdaptation,
    CrossEntropy,
    Optimiser,
    PathIntegral,
    RandomShooting,
)
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.task import Dynamics, DynamicsTask, Predict

AT_ONCE = 200_000  # predicted states in one call of the model


@configclass
class MPCConfig:
    """Settings of the planner."""

    optimiser: Annotated[Literal["random", "cem", "mppi", "cma-es"], Doc("the optimiser of action sequences")] = "cem"
    horizon: Annotated[Count, Doc("H, steps that a plan looks ahead")] = 20
    num_candidates: Annotated[int, Meta(ge=4, le=1_000_000), Doc("P, candidates of one iteration")] = 100
    num_iterations: Annotated[Count, Doc("iterations for each decision; random shooting has one")] = 3
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward within a plan")] = 1.0
    elite_fraction: Annotated[float, Meta(gt=0, le=1), Doc("share of the candidates that CEM fits its distribution to")] = 0.1
    smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("alpha, weight of CEM's old mean and variance")] = 0.1
    noise_exponent: Annotated[NonNegative, Doc("beta of CEM's noise spectrum 1 / f^beta along time; 0 is white, 2 to 3 is iCEM")] = 1.0
    kept_fraction: Annotated[Fraction, Doc("share of CEM's elites that compete again in the next iteration; 0.3 is iCEM")] = 0.0
    shrink: Annotated[float, Meta(gt=0, le=1), Doc("factor on CEM's candidates from one iteration to the next; 0.8 is iCEM")] = 1.0
    first_std: Annotated[Positive, Doc("sigma of MPPI and CMA-ES, in half widths of the range of actions")] = 0.5
    temperature: Annotated[Positive, Doc("lambda of MPPI, in the unit of the return")] = 5.0
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 10
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 10


class Planner:
    """The receding horizon: one plan for each environment, moved on after every decision; a `rl_core.task.Predict` with a memory.

    Args:
        model: Dynamics that plans are played in; `None` where a subclass plays them.
        actions: The map to actions of the task.
        config: Settings.
        rng: The stream of the candidates.

    Attributes:
        plan: The plans [N, H, D] that the next decision begins from.
        model_steps: Predicted transitions so far.
        trace: Predicted returns [N, P] of each iteration, where a list is given to collect them.
    """

    def __init__(self, model: Dynamics | None, actions: Actions, config: MPCConfig, rng: np.random.Generator) -> None:
        self._model, self.actions, self._config, self._rng = model, actions, config, rng
        self._optimiser = optimiser_of(config, actions.num_choices)
        self.plan = np.zeros((0, config.horizon, actions.size))
        self.model_steps = 0
        self.trace: list[np.ndarray] | None = None

    def begin(self, starts: np.ndarray) -> None:
        """Forget the plans of the environments that start an episode [N]."""
        if len(starts) != len(self.plan):
            self.plan = np.zeros((len(starts), *self.plan.shape[1:]))
        self.plan = np.where(starts[:, None, None], 0.0, self.plan)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return actions [N, ...] at observations [N, ...]."""
        return self.actions(self.decide(inputs))

    def decide(self, inputs: np.ndarray) -> np.ndarray:
        """Return the numbers in [-1, 1] of actions [N, D] at observations [N, ...], and move the plans on."""
        plan = self._optimiser(partial(self.returns, self.state_of(inputs)), self.plan, self._rng)
        self.plan = np.concatenate([plan[:, 1:], np.zeros_like(plan[:, :1])], axis=1)
        return plan[:, 0]

    def state_of(self, inputs: np.ndarray) -> np.ndarray:
        """Return the states [N, S] that observations [N, ...] show."""
        assert self._model is not None
        return self._model.state_of(inputs)

    def returns(self, state: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        """Return the predicted returns [N, P] of sequences [N, P, H, D] from states [N, S]."""
        num_plans, num_candidates, horizon, size = sequences.shape
        flat = sequences.reshape(-1, horizon, size)
        states, at_once = np.repeat(state, num_candidates, axis=0), self.at_once
        total = np.concatenate([self.play(states[i : i + at_once], flat[i : i + at_once]) for i in range(0, len(flat), at_once)])
        self.model_steps += len(flat) * horizon
        returns = total.reshape(num_plans, num_candidates)
        if self.trace is not None:
            self.trace.append(returns)
        return returns

    @property
    def at_once(self) -> int:
        """Number of sequences in one call of `play`."""
        return AT_ONCE

    def play(self, state: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        """Return the predicted returns [B] of sequences [B, H, D] from states [B, S]."""
        assert self._model is not None
        total, alive = np.zeros(len(state)), np.ones(len(state), dtype=np.bool_)
        for t in range(sequences.shape[1]):
            state, reward, terminated = self._model.step(state, self.actions(sequences[:, t]))
            total += self._config.discount**t * np.where(alive, reward, 0.0)
            alive &= ~terminated
        return total


def optimiser_of(config: MPCConfig, num_actions: int | None = None) -> Optimiser:
    """Return the optimiser that a config names, for A choices, or for numbers where there are none."""
    size, is_discrete = (config.num_candidates, config.num_iterations), num_actions is not None
    if config.optimiser == "random":
        return RandomShooting(config.num_candidates)
    if config.optimiser == "mppi":
        return PathIntegral(*size, config.first_std, config.temperature)
    if config.optimiser == "cma-es":
        return CovarianceMatrixAdaptation(*size, config.first_std, take_best=is_discrete)
    elites, kept = (config.elite_fraction, config.smoothing), (config.kept_fraction, config.shrink)
    if num_actions is not None:
        return CategoricalCrossEntropy(num_actions, *size, *elites, *kept)
    return CrossEntropy(*size, *elites, config.noise_exponent, *kept)


class PlanningAgent(Agent):
    """Base of agents that plan every action."""

    def planner(self, rng: np.random.Generator) -> Planner:
        """Return a planner without plans, with the stream of its candidates."""
        raise NotImplementedError

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return actions [B, ...] planned from nothing at observations [B, ...], each planned alone with the same candidates."""
        actions = []
        for row in range(len(inputs)):
            player = self.planner(self.seeds.apart("prediction").numpy("candidates"))
            player.begin(np.ones(1, dtype=np.bool_))
            actions.append(player(inputs[row : row + 1]))
        return np.concatenate(actions)

    def predictor(self) -> Predict:
        """Return a player that keeps its plans from one decision to the next."""
        return self.planner(self.seeds.apart("evaluation").numpy("candidates"))


class MPC(PlanningAgent):
    """Agent that plans every action with the task's own dynamics. It learns nothing: a step only plays."""

    Config: ClassVar[type] = MPCConfig
    headline = "episode_return"
    state_fields = ("envs", "obs", "plan", "model_steps")
    config: MPCConfig
    task: DynamicsTask

    def setup(self) -> None:
        """Build the planner and the environments."""
        self.player = self.planner(self.seeds.numpy("candidates"))
        self.envs = self.task.envs(self.config.num_envs, self.seeds)
        self.obs = self.envs.reset()
        self.player.begin(np.ones(self.config.num_envs, dtype=np.bool_))
        self.plan, self.model_steps = self.player.plan, 0

    def planner(self, rng: np.random.Generator) -> Planner:
        """Return a planner without plans."""
        return Planner(self.task.dynamics(), Actions(self.task.output_space), self.config, rng)

    def step(self) -> dict[str, float]:
        """Play some steps of every environment, each planned anew."""
        self.player.plan, self.player.model_steps = self.plan, self.model_steps
        for _ in range(self.config.steps_per_iteration):
            transition = self.envs.step(self.player(self.obs))
            self.player.begin(transition.terminated | transition.truncated)
            self.obs = transition.obs
        self.plan, self.model_steps = self.player.plan, self.player.model_steps
        self.progress += self.config.steps_per_iteration * self.config.num_envs
        return {"model_steps": float(self.model_steps), **self.envs.episode_metrics()}
