"""MBPO: SAC that learns mostly from short rollouts of its policy in a learned model, branched from real states.

Source: M. Janner, J. Fu, M. Zhang, S. Levine, "When to trust your model: model-based policy optimization", 2019, Algorithm 2.
Departures: every fit takes a fixed number of gradient steps in place of a stop by held-out loss; a rollout that ends early is followed by
another one from a new real state; the rollouts of the last `kept_fits` fits are kept.
Letters: B batch, N environments, S numbers of an observation, D dimensions of an action, k steps of a rollout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch

from rl_algos.continuous.agent import single
from rl_algos.continuous.sac import LOG_STD_BOUNDS, SAC, SACConfig
from rl_algos.model_based.learned import LearnedModel, ModelConfig, scores
from rl_algos.model_based.model_envs import ModelEnvs
from rl_algos.model_based.pictures import draw_model
from rl_algos.model_based.transitions import Rows, Transitions
from rl_algos.replay.buffer import Batch
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.envs import Transition

CHECKS = ("model_error", "z_deviation", "mixture_z_deviation")


@configclass
class ModelSACConfig(SACConfig, ModelConfig):
    """Settings of SAC, of a model, and of how often it is fitted."""

    model_learning_rate: Annotated[float, Meta(gt=0), Doc("alpha of Adam, for the model")] = 1e-3
    use_outcome: Annotated[bool, Doc("whether the task's own reward and end of episodes are known; otherwise they are learned")] = False
    fit_every: Annotated[Count, Doc("environment steps between two fits of the model")] = 100


class ModelSAC(SAC):
    """SAC with a model beside it: the base of agents that learn both from the same real transitions.

    Attributes:
        model: The model.
        data: Real transitions, as the model reads them.
        num_fits: How often the model was fitted.
        checks: What the last fit measured on held-out transitions, in the order of `CHECKS`; infinite while it is not known.
    """

    state_fields = (*SAC.state_fields, "model", "data", "num_fits", "checks")
    config: ModelSACConfig

    def setup(self) -> None:
        """Build SAC, the model and its data."""
        super().setup()
        config, seeds = self.config, self.seeds
        if config.model == "true":
            raise ValueError("model is 'true', which plans with the task's dynamics; this agent learns its model: take model=ensemble")
        self.model = LearnedModel(self.task, config, seeds.numpy("model initialisation"))
        members, size = self.model.network.members.num_members, min(config.buffer_size, max(self.budget, 1_000) + config.num_envs)
        self.data = Transitions(size, self.model.num_numbers, self.model.code_size, members, seeds.numpy("bootstrap"))
        self.fits, self.imagination = seeds.numpy("fits"), seeds.numpy("imagination")
        self.num_fits, self.checks = 0, np.full(len(CHECKS), np.inf)

    def store(self, action: np.ndarray, after: Transition) -> None:
        """Keep one step of every environment, for SAC and for the model."""
        super().store(action, after)
        code = self.model.code(action.astype(np.float32))
        self.data.add(Rows(self.obs, code, after.reward, after.terminated, single(after.final_obs)))

    def act(self) -> None:
        """Take one step in every environment, and fit the model when it is due."""
        super().act()
        if self.progress >= self.warm_up + self.num_fits * self.config.fit_every:
            self.fit()

    def fit(self) -> None:
        """Fit the model, and measure it on held-out transitions."""
        self.model.fit(self.data, self.fits)
        self.num_fits += 1
        held_out = np.flatnonzero(self.data.held_out[: self.data.size])
        if len(held_out) >= 10:
            found = scores(self.model, self.data.rows(held_out[-1_000:]), self.fits)
            self.checks[0] = np.sqrt((found.error**2).mean())
            if found.z is not None and found.mixture_z is not None:
                self.checks[1:] = np.sqrt((found.z**2).mean()), np.sqrt((found.mixture_z**2).mean())

    def step(self) -> dict[str, float]:
        """Run one iteration, as SAC does."""
        metrics = super().step()
        return metrics | {name: float(value) for name, value in zip(CHECKS, self.checks, strict=True) if np.isfinite(value)}

    def newest(self) -> Rows | None:
        """Return the newest transitions of the first environment that follow on one another; `None` where they are few."""
        config = self.config
        return self.data.newest_episode(1_000, config.num_envs, config.num_held_steps) if config.num_held_steps else None

    def draw(self, folder: Path) -> None:
        """Draw the model's trajectories against real ones, its calibration, and the growth of its errors over the horizon."""
        super().draw(folder)
        if self.num_fits and self.newest() is not None:
            draw_model(self, folder)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name, with those of the model."""
        named = self.model.network.named_parameters(prefix="model")
        return super().parameters() | {name: value.detach().numpy() for name, value in named if value.requires_grad}


@configclass
class MBPOConfig(ModelSACConfig):
    """Settings of MBPO, in addition to those of SAC and of the model."""

    num_elites: Annotated[Count, Doc("members with the least held-out error that predict rollouts; at most num_members")] = 3
    rollout_length: Annotated[Count, Doc("k, steps of a rollout")] = 1
    rollouts_per_step: Annotated[Count, Doc("rollouts for each environment step")] = 50
    kept_fits: Annotated[Count, Doc("fits whose rollouts are kept")] = 2
    real_share: Annotated[Fraction, Doc("share of real transitions in a batch")] = 0.05
    num_updates: Annotated[int, Meta(ge=1, le=1_000_000), Doc("G, gradient steps of SAC in a round")] = 5


class MBPO(ModelSAC):
    """SAC whose batches are mostly imagined.

    Attributes:
        imagined: The kept rollouts, as one row a transition [rows, S + D + 2 + S]: obs, action, reward, discount, next obs.
        num_imagined: How many there are, since the start of the run.
    """

    Config: ClassVar[type] = MBPOConfig
    state_fields = (*ModelSAC.state_fields, "imagined", "num_imagined")
    config: MBPOConfig

    def setup(self) -> None:
        """Build the agent and the room for its rollouts."""
        super().setup()
        config, size = self.config, 2 * self.model.num_numbers + self.actions.num_dimensions + 2
        period = config.rollouts_per_step * config.fit_every * config.rollout_length
        self.imagined, self.num_imagined = np.zeros((config.kept_fits * period, size), dtype=np.float32), 0

    def fit(self) -> None:
        """Fit the model, choose the elites, and imagine."""
        super().fit()
        config, held_out = self.config, np.flatnonzero(self.data.held_out[: self.data.size])
        rows = self.data.rows(held_out if len(held_out) else None)
        elites = self.elites(rows)
        envs = ModelEnvs(
            self.model,
            self.task,
            self.branches,
            config.rollouts_per_step * config.fit_every,
            config.rollout_length,
            self.imagination,
            elites,
        )
        obs = envs.reset()
        for _ in range(config.rollout_length):
            action = self.sampled(obs)
            after = envs.step(self.actions.to_env(action))
            discount = np.where(after.terminated, 0.0, config.discount)
            columns = [obs, action, after.reward[:, None], discount[:, None], after.final_obs]
            at = (self.num_imagined + np.arange(len(obs))) % len(self.imagined)
            self.imagined[at] = np.concatenate(columns, axis=1)
            self.num_imagined += len(obs)
            obs = after.obs

    def branches(self, count: int) -> np.ndarray:
        """Return real observations [count, S], each with the same probability."""
        return self.data.rows(self.imagination.integers(self.data.size, size=count)).obs

    @torch.no_grad()
    def elites(self, rows: Rows) -> np.ndarray:
        """Return the numbers of the members with the least squared error on transitions."""
        members = self.model.network.members
        if members.is_random or members.num_members == 1:
            return np.arange(members.num_members)
        obs = torch.from_numpy(rows.obs).expand(members.num_members, *rows.obs.shape)
        found = self.model.predict(obs, torch.from_numpy(rows.action), self.model.functions(members.num_members, self.imagination))
        target = np.concatenate([rows.next_obs - rows.obs, rows.reward[:, None]], axis=1)
        error = (found.mean.numpy() - (target - self.model.targets.mean) / self.model.targets.std) ** 2
        return np.sort(error.mean(axis=(1, 2)).argsort(kind="stable")[: self.config.num_elites])

    def sampled(self, obs: np.ndarray) -> np.ndarray:
        """Return actions [N, D] in [-1, 1] drawn from the policy at observations [N, S]."""
        mean, log_std = np.split(self.actor_head(obs), 2, axis=1)
        noise = self.imagination.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean + np.exp(np.clip(log_std, *LOG_STD_BOUNDS)) * noise)

    def update(self, batch: Batch) -> tuple:  # type: ignore[override]
        """Take one gradient step on a batch of which a part is real."""
        real = round(self.config.real_share * len(batch.reward))
        count = len(batch.reward) - real
        if not self.num_imagined or not count:
            return super().update(batch)
        rows = self.imagined[self.imagination.integers(min(self.num_imagined, len(self.imagined)), size=count)]
        size, dimensions = self.model.num_numbers, self.actions.num_dimensions
        ends = np.cumsum([size, dimensions, 1, 1])
        obs, action, reward, discount, next_obs = np.split(rows, ends, axis=1)
        imagined = (obs, action, reward[:, 0], discount[:, 0], next_obs)
        mixed = [np.ascontiguousarray(np.concatenate([kept[:real], new])) for kept, new in zip(batch, imagined, strict=True)]
        return super().update(Batch(*mixed))
