"""Model-predictive control with Gaussian processes: the uncertainty of a prediction is carried along by its moments.

Sources: moments, M. Deisenroth and C. Rasmussen, "PILCO: a model-based and data-efficient approach to policy search", 2011; the receding
horizon, S. Kamthe and M. Deisenroth, "Data-efficient reinforcement learning with probabilistic model predictive control", 2018.
Departures: a plan is found by CEM on the mean prediction, then improved by gradients through the moments. There the reward is an output of
the processes as well, whose expectation needs no form of the task's cost. Where the task states its reward, plans are compared by it, and a
step along the gradient is taken only if it is better: a learned reward is too smooth to tell 0.3 rad from upright. Inputs and outputs are
brought to a common scale at each fit.
Letters: N environments, H steps, S numbers of an observation, D of an action's code, I = S + D.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rl_algos.model_based.gaussian_process import GaussianProcesses
from rl_algos.model_based.learned import open_loop_ratio
from rl_algos.model_based.mpc import MPCConfig, Planner, PlanningAgent
from rl_algos.model_based.pictures import draw_compounding
from rl_algos.model_based.sequences import Actions
from rl_algos.model_based.transitions import Scale
from rl_algos.parts.steps import warm_up_warning
from rl_algos.tasks.array_envs import Outcome
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, Whole, configclass
from rl_core.task import ControlTask, Predict

WINDOWS, STEPS = 16, 15  # predictions whose errors are drawn, and steps of each
LARGEST = 10.0  # variance of an observation, on the common scale, at which it is held


@configclass
class GPMPCConfig(MPCConfig):
    """Settings of planning with Gaussian processes: those of CEM, and of the processes."""

    horizon: Annotated[Count, Doc("H, steps that a plan looks ahead")] = 18
    num_candidates: Annotated[int, Meta(ge=4, le=1_000_000), Doc("P, candidates of the first iteration")] = 60
    kept_fraction: Annotated[Fraction, Doc("share of CEM's elites that compete again in the next iteration")] = 0.3
    shrink: Annotated[float, Meta(gt=0, le=1), Doc("factor on CEM's candidates from one iteration to the next")] = 0.8
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 1
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 5
    learning_starts: Annotated[Count, Doc("environment steps with random actions before the first fit")] = 50
    fit_every: Annotated[Count, Doc("environment steps between two fits of lengths and deviations")] = 25
    fit_iterations: Annotated[Count, Doc("iterations of L-BFGS in a fit, from each of two starts")] = 30
    num_points: Annotated[int, Meta(ge=4, le=1_000), Doc("most points that are kept; time grows with their square")] = 90
    least_error: Annotated[NonNegative, Doc("error of a prediction, on the common scale, from which its transition becomes a point")] = 0.02
    least_std: Annotated[NonNegative, Doc("predicted deviation, on the common scale, from which a transition becomes a point")] = 0.05
    gradient_steps: Annotated[Whole, Doc("steps along the gradient of the expected return through the moments")] = 1
    use_outcome: Annotated[bool, Doc("whether plans are compared by the reward that the task states, where it does")] = True
    gradient_size: Annotated[Positive, Doc("largest change of an action in such a step, in half widths")] = 0.1
    exploration: Annotated[NonNegative, Doc("kappa, weight of the deviation of the reward in the return")] = 0.0


class GPModel:
    """Processes of the changes of observations and of the reward, with the points they know.

    Args:
        task: The task, whose spaces are read.
        config: Settings.

    Raises:
        ValueError: if observations are not vectors, or actions are choices.
    """

    def __init__(self, task: ControlTask, config: GPMPCConfig) -> None:
        space = task.input_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1 or space.dtype.kind != "f":
            raise ValueError(f"the task's observations are {space}; Gaussian processes predict vectors of floats")
        self.config, self.actions, self.num_numbers = config, Actions(task.output_space), space.shape[0]
        if self.actions.num_choices is not None:
            raise ValueError(f"the task's actions are {task.output_space}; gp-mpc follows gradients in a Box: take pets for choices")
        size = self.num_numbers + self.actions.size
        self.points, self.values, self.size = np.zeros((config.num_points, size)), np.zeros((config.num_points, self.num_numbers + 1)), 0
        self.inputs, self.targets = Scale(size), Scale(self.num_numbers + 1)
        self.processes = GaussianProcesses(size, self.num_numbers + 1)
        self.outcome: Outcome | None = getattr(getattr(task, "problem", None), "outcome", None) if config.use_outcome else None

    def add(self, obs: np.ndarray, plan: np.ndarray, reward: np.ndarray, next_obs: np.ndarray) -> int:
        """Keep the transitions [N] that are not predicted well; return how many there were."""
        points = np.concatenate([obs, plan], axis=1).astype(np.float64)
        values = np.concatenate([next_obs - obs, reward[:, None]], axis=1).astype(np.float64)
        new = np.ones(len(points), dtype=np.bool_)
        if len(self.processes.points):
            given = torch.from_numpy((points - self.inputs.mean) / self.inputs.std)
            error = np.abs(self.processes.predict(given).numpy() - (values - self.targets.mean) / self.targets.std)
            std = self.processes.variance(given).sqrt().numpy()
            new = (error.max(axis=1) > self.config.least_error) | (std.max(axis=1) > self.config.least_std)
        for point, value in zip(points[new], values[new], strict=True):
            at = self.size if self.size < self.config.num_points else self._redundant()
            self.points[at], self.values[at] = point, value
            self.size = max(self.size, at + 1)
            if len(self.processes.points):
                self.condition()
        return int(new.sum())

    def _redundant(self) -> int:
        """Return the number of the point that the others predict with the least variance, (5.12) of Rasmussen and Williams."""
        if not len(self.processes.points):
            return 0
        left_out = self.processes.inverse.diagonal(dim1=1, dim2=2).log().mean(dim=0)
        return int(left_out.argmax())

    def fit(self) -> float:
        """Fit the scales, the lengths and the deviations; return the mean log-likelihood of a number."""
        self.inputs.fit(self.points[: self.size])
        self.targets.fit(self.values[: self.size])
        likelihood = self.processes.fit(*self._scaled(), self.config.fit_iterations)
        self.condition()
        return likelihood

    def condition(self) -> None:
        """Make the points known to the processes."""
        self.processes.condition(*self._scaled())

    def _scaled(self) -> tuple[np.ndarray, np.ndarray]:
        kept = slice(0, self.size)
        points = (self.points[kept] - self.inputs.mean.astype(np.float64)) / self.inputs.std
        return points, (self.values[kept] - self.targets.mean.astype(np.float64)) / self.targets.std

    def expected(self, obs: np.ndarray, plans: Tensor, carry_moments: bool) -> Tensor:
        """Return the expected returns [B] of plans [B, H, D] from observations [B, S], by moments or by means alone."""
        size, config = self.num_numbers, self.config
        low, high = torch.from_numpy(self.inputs.mean.astype(np.float64)), torch.from_numpy(self.inputs.std.astype(np.float64))
        centre, width = torch.from_numpy(self.targets.mean.astype(np.float64)), torch.from_numpy(self.targets.std.astype(np.float64))
        mean, total = torch.from_numpy(obs.astype(np.float64)), torch.zeros(len(obs), dtype=torch.float64)
        covariance = torch.zeros(len(obs), size, size, dtype=torch.float64)
        for t in range(plans.shape[1]):
            inputs = (torch.cat([mean, plans[:, t]], dim=1) - low) / high
            if not carry_moments:
                change = self.processes.predict(inputs) * width + centre
                mean, total = mean + change[:, :size], total + config.discount**t * change[:, size]
                continue
            scaled = covariance / high[:size] / high[:size, None]
            joint = torch.nn.functional.pad(scaled, (0, plans.shape[2], 0, plans.shape[2]))
            found = self.processes.moments(inputs, joint, num_joint=size + (config.exploration > 0))
            across = found.across[:, :size, :size] * high[:size, None] * width[:size]
            joint_width = width[: found.covariance.shape[1]]
            change = found.covariance * joint_width * joint_width[:, None]
            total = total + config.discount**t * (found.mean[:, size] * width[size] + centre[size])
            if config.exploration:
                total = total + config.discount**t * config.exploration * change[:, size, size].clamp(min=1e-12).sqrt()
            mean = mean + found.mean[:, :size] * width[:size] + centre[:size]
            covariance = covariance + change[:, :size, :size] + across + across.transpose(1, 2)
            covariance = (covariance + covariance.transpose(1, 2)) / 2
            covariance = covariance + torch.diag_embed((1e-9 - covariance.diagonal(dim1=1, dim2=2)).clamp(min=0.0))  # rounding
            largest = covariance.diagonal(dim1=1, dim2=2).div(high[:size] ** 2).amax(dim=1).clamp(min=LARGEST) / LARGEST
            covariance = covariance / largest[:, None, None]
        return total

    def returns(self, obs: np.ndarray, plans: np.ndarray) -> np.ndarray:
        """Return the returns [B] of plans [B, H, D] from observations [B, S] along the mean prediction, to the end of an episode."""
        if self.outcome is None:
            return self.expected(obs, torch.from_numpy(plans.astype(np.float64)), carry_moments=False).numpy()
        before, alive, total = obs.astype(np.float64), np.ones(len(obs), dtype=np.bool_), np.zeros(len(obs))
        for t, after in enumerate(self.trajectories(obs, plans).swapaxes(0, 1)):
            reward, ended = self.outcome(before, self.actions(plans[:, t]), after)
            total += self.config.discount**t * np.where(alive, reward, 0.0)
            before, alive = after, alive & ~ended
        return total

    @torch.no_grad()
    def trajectories(self, obs: np.ndarray, plans: np.ndarray) -> np.ndarray:
        """Return the mean predictions [W, H, S] of plans [W, H, D] from observations [W, S]."""
        state, found = obs.astype(np.float64), []
        for t in range(plans.shape[1]):
            scaled = (np.concatenate([state, plans[:, t]], axis=1) - self.inputs.mean) / self.inputs.std
            change = self.processes.predict(torch.from_numpy(scaled)).numpy() * self.targets.std + self.targets.mean
            state = state + change[:, : self.num_numbers]
            found.append(state)
        return np.stack(found, axis=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the points, the scales and the settings of the processes; the rest follows from them."""
        kept = slice(0, self.size)
        scales = {"inputs": self.inputs.state_dict(), "targets": self.targets.state_dict()}
        points = {"points": self.points[kept].copy(), "values": self.values[kept].copy()}
        return {**points, **scales, "logs": self.processes.logs.copy(), "is_known": bool(len(self.processes.points))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.size = len(state["points"])
        self.points[: self.size], self.values[: self.size] = state["points"], state["values"]
        self.inputs.load_state_dict(state["inputs"])
        self.targets.load_state_dict(state["targets"])
        self.processes.logs[...] = state["logs"]
        if state["is_known"]:
            self.condition()


class GPPlanner(Planner):
    """The receding horizon in Gaussian processes: CEM on means, then gradients through moments.

    Args:
        model: The model.
        config: Settings.
        rng: The stream of the candidates.
    """

    def __init__(self, model: GPModel, config: GPMPCConfig, rng: np.random.Generator) -> None:
        super().__init__(None, model.actions, config, rng)
        self._processes, self._settings = model, config

    def state_of(self, inputs: np.ndarray) -> np.ndarray:
        """Return the observations themselves."""
        return inputs

    @torch.no_grad()
    def play(self, state: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        """Return the returns [B] of sequences [B, H, D] from states [B, S] by the mean prediction."""
        return self._processes.returns(state, sequences)

    def decide(self, inputs: np.ndarray) -> np.ndarray:
        """Return the numbers in [-1, 1] of actions [N, D] at observations [N, ...], and move the plans on."""
        plan = self._optimiser(partial(self.returns, inputs), self.plan, self._rng)
        for _ in range(self._settings.gradient_steps):
            climbed = self._climbed(inputs, plan)
            if self._processes.outcome is not None:  # the reward that is learned is smoother than the true one
                kept, moved = self.returns(inputs, np.stack([plan, climbed], axis=1)).T
                climbed = np.where((moved > kept)[:, None, None], climbed, plan)
            plan = climbed
        self.plan = np.concatenate([plan[:, 1:], np.zeros_like(plan[:, :1])], axis=1)
        return plan[:, 0]

    def _climbed(self, inputs: np.ndarray, plan: np.ndarray) -> np.ndarray:
        """Return plans [N, H, D] one step up the expected return."""
        given = torch.from_numpy(plan.astype(np.float64)).requires_grad_(True)
        self._processes.expected(inputs, given, carry_moments=True).sum().backward()
        assert given.grad is not None
        slope = given.grad.numpy()
        largest = np.abs(slope).max(axis=(1, 2), keepdims=True)
        step = np.where(np.isfinite(largest) & (largest > 0), slope / np.maximum(largest, 1e-12), 0.0)
        return np.clip(plan + self._settings.gradient_size * step, -1.0, 1.0)


class GPMPC(PlanningAgent):
    """Agent that plans with Gaussian processes, which learn the task from a few hundred steps.

    Attributes:
        model: The processes and their points.
    """

    Config: ClassVar[type] = GPMPCConfig
    headline = "episode_return"
    state_fields = ("envs", "obs", "plan", "model", "num_fits", "likelihood")
    config: GPMPCConfig
    task: ControlTask

    def setup(self) -> None:
        """Build the processes, the planner and the environments."""
        config, seeds = self.config, self.seeds
        self.model = GPModel(self.task, config)
        self.random, self.num_fits, self.likelihood = seeds.numpy("warm-up"), 0, 0.0
        self.warnings += warm_up_warning(config.learning_starts, self.budget)
        self.player = self.planner(seeds.numpy("candidates"))
        self.envs = self.task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()
        self.player.begin(np.ones(config.num_envs, dtype=np.bool_))
        self.plan = self.player.plan

    def step(self) -> dict[str, float]:
        """Play some steps, planned or at first at random, and fit the processes when it is due."""
        config, self.player.plan = self.config, self.plan
        for _ in range(config.steps_per_iteration):
            if self.num_fits:
                plan = self.player.decide(self.obs)
            else:
                plan = self.random.uniform(-1.0, 1.0, (config.num_envs, self.model.actions.size))
            after = self.envs.step(self.model.actions(plan))
            self.model.add(self.obs, plan, after.reward, after.final_obs)
            self.player.begin(after.terminated | after.truncated)
            self.obs = after.obs
            self.progress += config.num_envs
            if self.progress >= config.learning_starts + self.num_fits * config.fit_every:
                self.likelihood = self.model.fit()
                self.num_fits += 1
        self.plan = self.player.plan
        known = {"likelihood": self.likelihood} if self.num_fits else {}
        return {"points": float(self.model.size), **known, **self.envs.episode_metrics()}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return actions [B, ...] planned from nothing at observations [B, ...], each planned alone with the same candidates."""
        space = self.task.output_space
        if not self.num_fits:
            middle = np.zeros((len(inputs), self.model.actions.size))
            return self.model.actions(middle).reshape(-1, *space.shape)
        return super().predict(inputs)

    def predictor(self) -> Predict:
        """Return a player that keeps its plans from one decision to the next."""
        return super().predictor() if self.num_fits else self.predict

    def planner(self, rng: np.random.Generator) -> GPPlanner:
        """Return a planner without plans."""
        return GPPlanner(self.model, self.config, rng)

    def draw(self, folder: Path) -> None:
        """Draw the growth of the model's errors over the horizon, in fresh episodes with random actions."""
        super().draw(folder)
        if not self.num_fits:
            return
        envs = self.task.envs(WINDOWS, self.seeds.apart("figures"))
        plans = self.seeds.apart("figures").numpy("actions").uniform(-1.0, 1.0, (WINDOWS, STEPS, self.model.actions.size))
        first, real, is_whole = envs.reset(), [], np.ones(WINDOWS, dtype=np.bool_)
        for t in range(STEPS):
            after = envs.step(self.model.actions(plans[:, t]))
            real.append(after.final_obs)
            is_whole &= ~((after.terminated | after.truncated) & (t < STEPS - 1))
        envs.close()
        if not is_whole.any():
            return
        predicted, std = self.model.trajectories(first, plans)[is_whole], self.model.inputs.std[: self.model.num_numbers]
        ratio = open_loop_ratio(predicted[None], np.stack(real, axis=1)[is_whole], std, first[is_whole])
        draw_compounding(ratio, "Gaussian processes: errors compound over the horizon", folder)
