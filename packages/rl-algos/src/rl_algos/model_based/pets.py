"""Plan with a model that is learned on the way: collect, learn the model, plan, repeat. PETS, and the same loop on other kinds of model.

Source: K. Chua, R. Calandra, R. McAllister, S. Levine, "Deep reinforcement learning in a handful of trials using probabilistic dynamics
models", 2018, Algorithm 1; one deterministic network as in A. Nagabandi and others, "Neural network dynamics for model-based deep
reinforcement learning with model-free fine-tuning", 2018; dropout as in Y. Gal, R. McAllister, C. Rasmussen, "Improving PILCO with
Bayesian neural network dynamics models", 2016.
Departures: the model goes on from its weights at every fit; the optimiser of plans is any of `mpc`'s.
Letters: N environments, P candidates, H steps, S numbers of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.export import FORMATS, Exportable, example
from rl_algos.model_based.learned import LearnedModel, ModelConfig, open_loop, open_loop_ratio, scores
from rl_algos.model_based.mpc import MPCConfig, Planner, PlanningAgent
from rl_algos.model_based.perceptrons import Functions
from rl_algos.model_based.pictures import draw_model, draw_search
from rl_algos.model_based.sequences import Actions
from rl_algos.model_based.transitions import Rows, Transitions
from rl_algos.parts.exported import computed, zeros
from rl_algos.parts.steps import warm_up_warning
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.task import ControlTask, DynamicsTask

CHECKS = ("open_loop_error", "model_error", "z_deviation", "mixture_z_deviation")
AT_ONCE = 20_000  # predicted states of all particles in one call of the model: more would leave the cache


@configclass
class PETSConfig(MPCConfig, ModelConfig):
    """Settings of planning with a learned model: those of the planner, of the model, and of the loop."""

    num_candidates: Annotated[int, Meta(ge=4, le=1_000_000), Doc("P, candidates of the first iteration")] = 60
    kept_fraction: Annotated[Fraction, Doc("share of CEM's elites that compete again in the next iteration")] = 0.3
    shrink: Annotated[float, Meta(gt=0, le=1), Doc("factor on CEM's candidates from one iteration to the next")] = 0.8
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 1
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 20
    learning_starts: Annotated[Count, Doc("environment steps with random actions before the first fit")] = 200
    fit_every: Annotated[Count, Doc("environment steps between two fits")] = 100
    capacity: Annotated[Count, Doc("newest transitions that the model learns from")] = 20_000


class LearnedPlanner(Planner):
    """The receding horizon in a learned model.

    Args:
        model: The model.
        config: Settings.
        rng: The stream of the candidates and of the particles.
    """

    def __init__(self, model: LearnedModel, config: PETSConfig, rng: np.random.Generator) -> None:
        super().__init__(None, model.actions, config, rng)
        self._learned = model

    def state_of(self, inputs: np.ndarray) -> np.ndarray:
        """Return the observations themselves: the model's states."""
        return inputs

    def play(self, state: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        """Return the predicted returns [B] of sequences [B, H, D] from states [B, S]."""
        return self._learned.returns(state, sequences, self._config.discount, self._rng)

    @property
    def at_once(self) -> int:
        """Number of sequences in one call of `play`."""
        return max(1, AT_ONCE // self._learned.config.num_particles)


class PETS(PlanningAgent):
    """Agent that plans with a learned model, which it fits anew after every few steps.

    Attributes:
        model: The model; `None` where the task's own dynamics take its place (`model="true"`).
        data: Real transitions.
        checks: What the last fit measured, in the order of `CHECKS`; infinite while it is not known.
    """

    Config: ClassVar[type] = PETSConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("envs", "obs", "plan", "model_steps", "num_fits", "checks", "data", "model")
    learned_fields = ("model",)
    config: PETSConfig
    task: ControlTask

    def setup(self) -> None:
        """Build the model, the planner and the environments."""
        config, seeds = self.config, self.seeds
        self.model = None if config.model == "true" else LearnedModel(self.task, config, seeds.numpy("initialisation"))
        if self.model is None and "dynamics" not in self.task.traits():
            raise ValueError("model is 'true', but the task does not show its dynamics; take another model")
        if self.model is not None:
            members, model = self.model.network.members.num_members, self.model
            size = min(config.capacity, max(self.budget, config.learning_starts) + config.num_envs)
            self.warnings += warm_up_warning(config.learning_starts, self.budget)
            self.data = Transitions(size, model.num_numbers, model.code_size, members, seeds.numpy("bootstrap"))
        else:
            self.data = Transitions(1, 0, 0, 1, seeds.numpy("bootstrap"))
        self.fits, self.draws, self.random = seeds.numpy("fits"), seeds.numpy("checks"), seeds.numpy("warm-up")
        self.player = self.planner(seeds.numpy("candidates"))
        self.envs = self.task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()
        self.player.begin(np.ones(config.num_envs, dtype=np.bool_))
        self.plan, self.model_steps, self.num_fits = self.player.plan, 0, 0
        self.checks = np.full(len(CHECKS), np.inf)

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Take over the model of another run, and plan with it from the first step on: in this task, whose reward may be another.

        The reward is the one of this task where the task states it (`use_outcome`), or what the model predicts, until it is fitted anew.

        Raises:
            ValueError: if the model does not fit, or the dynamics are not learned here.
        """
        if self.model is None:
            raise ValueError("model is 'true', which learns nothing; take another model")
        super().start_from(state)
        self.num_fits = 1

    def planner(self, rng: np.random.Generator) -> Planner:
        """Return a planner without plans: in the model, or in the task's own dynamics."""
        if self.model is not None:
            return LearnedPlanner(self.model, self.config, rng)
        assert isinstance(self.task, DynamicsTask)
        return Planner(self.task.dynamics(), Actions(self.task.output_space), self.config, rng)

    def step(self) -> dict[str, float]:
        """Play some steps, planned or at first at random, and fit the model when it is due."""
        self.player.plan, self.player.model_steps = self.plan, self.model_steps
        metrics: dict[str, float] = {}
        for _ in range(self.config.steps_per_iteration):
            self._act()
            if self.model is not None and self._is_due():
                metrics |= self._fit()
        self.plan, self.model_steps = self.player.plan, self.player.model_steps
        checks = {name: float(value) for name, value in zip(CHECKS, self.checks, strict=True) if np.isfinite(value)}
        return {**metrics, **checks, "model_steps": float(self.model_steps), **self.envs.episode_metrics()}

    def _is_due(self) -> bool:
        """Return whether enough steps were made since the last fit."""
        first, every = self.config.learning_starts, self.config.fit_every
        return self.progress >= first + self.num_fits * every

    def _act(self) -> None:
        """Take one step in every environment and keep it."""
        if self.model is not None and self.num_fits == 0:
            plan = self.random.uniform(-1.0, 1.0, (self.config.num_envs, self.model.actions.size))
        else:
            plan = self.player.decide(self.obs)
        transition = self.envs.step(self.player.actions(plan))
        if self.model is not None:
            self.data.add(
                Rows(self.obs, self.model.code(plan), transition.reward, transition.terminated, transition.final_obs.astype(np.float32))
            )
        self.player.begin(transition.terminated | transition.truncated)
        self.obs = transition.obs
        self.progress += self.config.num_envs

    def _fit(self) -> dict[str, float]:
        """Measure the model on what it has not seen, and let it learn; return the metrics."""
        assert self.model is not None
        if self.num_fits and (ratio := self._open_loop()) is not None:
            self.checks[0] = ratio[-1]
        metrics = self.model.fit(self.data, self.fits)
        self.num_fits += 1
        held_out = np.flatnonzero(self.data.held_out[: self.data.size])
        if len(held_out) >= 10:
            found = scores(self.model, self.data.rows(held_out), self.draws)
            self.checks[1] = root_mean_square(found.error)
            if found.z is not None and found.mixture_z is not None:
                self.checks[2:] = root_mean_square(found.z), root_mean_square(found.mixture_z)
        return metrics

    def newest(self) -> Rows | None:
        """Return the newest transitions of the first environment that follow on one another; `None` where they are few."""
        config = self.config
        return self.data.newest_episode(config.fit_every, config.num_envs, config.num_held_steps) if config.num_held_steps else None

    def _open_loop(self) -> np.ndarray | None:
        """Return the model's error on the newest transitions, as a ratio to the constant prediction's, after each step [H]."""
        rows, steps = self.newest(), self.config.num_held_steps
        if rows is None or self.model is None:
            return None
        predicted, real, first = open_loop(self.model, rows, steps, self.draws, 4 * self.config.num_particles)
        return open_loop_ratio(predicted, real, self.model.inputs.std[: self.model.num_numbers], first)

    def exported(self) -> Exportable:
        """Return the model as a graph: what each of its networks predicts. Actions are found by a search, which no graph holds.

        Raises:
            ValueError: if the task's own dynamics take the model's place.
        """
        if self.model is None:
            raise ValueError("model is 'true', so that nothing was learned that could be written; take another model")
        network, size = self.model.network, self.model.num_numbers
        members = network.members
        functions = Functions(list(members.weights), list(members.biases), [])  # of uncertain weights the means, and nothing left out
        centre, unit, target_centre, target_unit = (
            torch.from_numpy(array.copy())
            for array in (self.model.inputs.mean, self.model.inputs.std, self.model.targets.mean, self.model.targets.std)
        )

        def step(observations: Tensor, action_codes: Tensor) -> tuple[Tensor, ...]:
            obs = observations.float()
            inputs = (torch.cat([obs, action_codes], dim=1) - centre) / unit
            found = network(inputs.expand(members.num_members, -1, -1), functions)
            target = found.mean * target_unit + target_centre  # [E, B, S + 1]
            log_variance = torch.zeros_like(target) - torch.inf if found.log_variance is None else found.log_variance
            parts = (obs + target[..., :size], target[..., size], (0.5 * log_variance).exp() * target_unit, found.end.sigmoid())
            return tuple(part.transpose(0, 1) for part in parts)

        words = {
            "next_observations": "means of each network; an action's code is its numbers from -1 to 1, or one at its number",
            "rewards": "of each network",
            "deviations": "of these numbers and of the reward under each network; 0 where it has none",
            "ends": "probability that the episode ends, of each network",
        }
        return computed(step, network, {"observations": example(self.task.input_space), "action_codes": zeros(self.model.code_size)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters of the model by name."""
        if self.model is None:
            return {}
        named = self.model.network.named_parameters()
        return {name: value.detach().numpy() for name, value in named if value.requires_grad}

    def draw(self, folder: Path) -> None:
        """Draw predicted against real trajectories, calibration, the growth of errors over the horizon, and the search for a plan."""
        draw_search(self, folder)
        if self.model is not None and self.num_fits and self.newest() is not None:
            draw_model(self, folder)


def root_mean_square(numbers: np.ndarray) -> float:
    """Return the root of the mean square of numbers [...].

    >>> root_mean_square(np.array([3.0, -3.0]))
    3.0
    """
    return float(np.sqrt((numbers.astype(np.float64) ** 2).mean()))
