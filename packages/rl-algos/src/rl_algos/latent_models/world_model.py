"""A world model in three parts: vision codes observations, a memory predicts codes, and a small controller is evolved in its dreams.

Source: D. Ha, J. Schmidhuber, "World models", 2018, section 2, section 4 for learning inside of the dream, and section 5 for collecting
by the controller that was learned.
Departures: the parts learn side by side, on what was seen so far, each in a span of the budget of its own; dreams start where a stretch of
real experience ends; the worth of a dream counts the probability that it has not ended. Rewards are learned at unit scale.
Letters: N environments, W rows, B windows, Z numbers of a code, U units, A numbers of an action's code, P candidates, E dreams of each,
n parameters of a controller.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from dl_nets.learning.export import FORMATS, Exportable, example
from dl_nets.learning.optimisers import Optimiser
from rl_algos.latent_models.coders import Scale
from rl_algos.latent_models.mixture_memory import MixtureMemory
from rl_algos.latent_models.pictures import draw_dreams
from rl_algos.latent_models.vision import Vision
from rl_algos.latent_models.windows import ActionCode, Windows, newest_windows, replay_of, windows_at
from rl_algos.latent_models.world import OpenLoop, open_loop_ratio
from rl_algos.parts.exported import computed, zeros
from rl_algos.parts.normalisation import RunningMoments
from rl_algos.parts.players import Player, reset_where
from rl_algos.search.cma_es import SearchDistribution
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, Positive, Whole, configclass
from rl_core.task import ControlTask, Predict

CONTEXT, CHECKED = 5, 16  # rows that a prediction begins with, and windows that it is measured on
LEAST_STD = 0.02  # of the search: the model goes on learning, and so must the controller


@configclass
class WorldModelConfig:
    """Settings of the three parts and of the loop."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 4
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 16
    vision_ends: Annotated[Fraction, Doc("share of the budget after which vision stays as it is")] = 0.3
    controller_starts: Annotated[Fraction, Doc("share of the budget with random actions; then controllers act")] = 0.3
    update_every: Annotated[Count, Doc("environment steps for each update of vision and memory")] = 8
    buffer_size: Annotated[int, Meta(ge=2, le=100_000_000), Doc("newest rows that are learned from")] = 50_000
    num_rows: Annotated[int, Meta(ge=2, le=10_000), Doc("W, rows of a window")] = 32
    batch_size: Annotated[Count, Doc("B, windows in an update")] = 16
    learning_rate: Annotated[Positive, Doc("alpha of Adam, for vision and memory")] = 1e-3
    code: Annotated[Count, Doc("Z, numbers that vision codes a picture in; a vector is its own code")] = 16
    observation_std: Annotated[Positive, Doc("deviation of the decoder's normal, in shares of the range of grey levels")] = 0.3
    units: Annotated[Count, Doc("U, units of the memory")] = 64
    components: Annotated[Count, Doc("K, components of the mixture")] = 5
    temperature: Annotated[Positive, Doc("tau of the dreams: above 1 they are less certain, and errors of the model worth less")] = 1.0
    dream_steps: Annotated[Count, Doc("steps of a dream")] = 100
    num_dreams: Annotated[Count, Doc("E, dreams that judge a candidate, the same for all of a generation")] = 8
    population_size: Annotated[int, Meta(ge=4, le=10_000), Doc("P, candidates of a generation")] = 16
    generations: Annotated[Count, Doc("generations of controllers in an iteration")] = 1
    first_std: Annotated[Positive, Doc("sigma_0, deviation of the first candidates")] = 0.5
    sees_memory: Annotated[bool, Doc("whether the controller sees the memory's units beside the code")] = True
    check_every: Annotated[Count, Doc("environment steps between two measurements of the model")] = 2_000
    num_held_steps: Annotated[Whole, Doc("steps of a prediction that is compared with the newest episodes; 0 for none")] = 15


class WorldModel(Agent):
    """Agent whose linear controller reads the code of what it sees and the state of a memory.

    Attributes:
        vision: V.
        memory: M.
        search: Distribution of controllers, C; its mean answers.
        rewards: Mean and variance of rewards.
        state: The memory's state in each environment [N, 2 U].
        controllers: Who acts in each environment, drawn anew for each episode [N, n].
    """

    Config: ClassVar[type] = WorldModelConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = (
        "vision", "memory", "search", "scale", "rewards", "optimisers", "replay", "envs", "obs", "state", "controllers", "num_updates",
        "num_checks", "open_loop_error",
    )  # fmt: skip
    learned_fields = ("vision", "memory", "scale", "rewards")
    config: WorldModelConfig
    task: ControlTask

    def setup(self) -> None:
        """Build the three parts, the replay buffer and the environments."""
        config, task, seeds = self.config, self.task, self.seeds
        self.code, self.scale = ActionCode(task.output_space), Scale(task.input_space)
        rng = seeds.numpy("initialisation")
        self.vision = Vision(self.scale, config.code, config.observation_std, rng)
        self.memory = MixtureMemory(self.vision.size, self.code.size, config.units, config.components, rng)
        modules = [self.vision, self.memory] if self.vision.learns else [self.memory]
        self.optimisers = [Optimiser("adam", m.parameters(), learning_rate=config.learning_rate) for m in modules]
        self.path = "torch: small modules, on the processor"
        self.num_seen = self.vision.size + (config.units if config.sees_memory else 0)
        self.num_heads = self.code.size - 1 if self.code.is_choice else self.code.size  # the first choice counts 0
        self.search = SearchDistribution(np.zeros((self.num_seen + 1) * self.num_heads), config.first_std, config.population_size)
        self.rewards = RunningMoments(())
        capacity = min(config.buffer_size, 2 * self.budget + config.num_envs * (config.num_rows + 1))
        self.replay = replay_of(capacity, config.num_envs, config.num_rows, task.input_space, self.code)
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()
        self.scale.update(self.obs)
        self.state = np.zeros((config.num_envs, 2 * config.units), dtype=np.float32)
        self.draws, self.noise, self.random = seeds.numpy("windows"), seeds.numpy("dreams"), seeds.numpy("exploration")
        self.candidates = seeds.numpy("candidates")
        self.controllers = self.drawn()
        self.num_updates, self.num_checks, self.open_loop_error = 0, 0, -1.0

    @property
    def is_random(self) -> bool:
        """True while actions are drawn at random."""
        return self.progress < self.config.controller_starts * self.budget

    def step(self) -> dict[str, float]:
        """Take some steps, let vision and memory learn from what was seen, and evolve controllers in dreams."""
        config, losses = self.config, []
        for _ in range(config.steps_per_iteration):
            self.act()
        while self.num_updates < self.progress // config.update_every and self.replay.can_draw:
            losses.append(self.update())
        dreamt = [self.evolve() for _ in range(config.generations)] if not self.is_random and self.replay.can_draw else []
        if config.num_held_steps and self.num_updates and self.progress >= (self.num_checks + 1) * config.check_every:
            self.check()
        metrics = {name: float(np.mean([found[name] for found in losses])) for name in losses[0]} if losses else {}
        if dreamt:
            metrics |= {"dreamt_return": dreamt[-1], "search_std": self.search.std}
        known = {"open_loop_error": self.open_loop_error} if self.open_loop_error >= 0 else {}
        return metrics | known | self.envs.episode_metrics()

    def act(self) -> None:
        """Take one step in every environment: at random, or by the controller of each, and let the memory follow."""
        code = self.codes(self.obs)
        kept = self.code.random(self.random, len(code)) if self.is_random else self.control(self.controllers[:, None], code, self.state)
        after = self.envs.step(self.code.to_env(kept))
        self.replay.add(self.obs, kept, after)
        over = after.terminated | after.truncated
        self.state = reset_where(self.follow(self.state, code, kept), over)
        if over.any():
            self.controllers = np.where(over[:, None], self.drawn(), self.controllers)
        self.obs = after.obs
        self.scale.update(self.obs)
        self.rewards.update(after.reward)
        self.progress += len(code)

    def drawn(self) -> np.ndarray:
        """Return a controller [N, n] for each environment, drawn from the search."""
        return np.resize(self.search.ask(self.candidates), (self.config.num_envs, len(self.search.mean)))

    @torch.no_grad()
    def codes(self, obs: np.ndarray) -> np.ndarray:
        """Return the codes [N, Z] of observations [N, ...], by the mean."""
        codes: np.ndarray = self.vision(torch.from_numpy(self.scale(obs))).mean.numpy()
        return codes

    @torch.no_grad()
    def follow(self, state: np.ndarray, code: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Return the memory's states [N, 2 U] after codes [N, Z] and kept actions [N, ...]."""
        action = torch.from_numpy(self.code.of(kept))
        after: np.ndarray = self.memory.advance(torch.from_numpy(state), torch.from_numpy(code), action).numpy()
        return after

    def control(self, controllers: np.ndarray, code: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return kept actions [P E, ...] of controllers [P, 1, n] on E rows each of codes [P E, Z] and memory's states [P E, 2 U]."""
        seen = np.concatenate([code, state[:, : self.config.units]], axis=1) if self.config.sees_memory else code
        rows = seen.reshape(len(controllers), -1, self.num_seen)
        weight = controllers.reshape(len(controllers), self.num_seen + 1, self.num_heads).astype(np.float32)
        head = (rows @ weight[:, :-1] + weight[:, -1:]).reshape(len(seen), self.num_heads)
        if not self.code.is_choice:
            return np.tanh(head)
        chosen: np.ndarray = np.where(head.max(axis=1) > 0.0, 1 + head.argmax(axis=1), 0)
        return chosen

    def update(self) -> dict[str, float]:
        """Take one gradient step of vision, while it learns, and one of the memory."""
        config = self.config
        batch, found = self.batch(), {}
        noise = torch.from_numpy(self.noise.standard_normal((*batch.starts.shape, self.vision.size), dtype=np.float32))
        if self.vision.learns and self.progress <= max(config.vision_ends * self.budget, config.num_envs * config.steps_per_iteration):
            reconstruction, kl = self.vision.losses(batch.obs, noise)
            self.optimisers[0].zero_grad()
            (reconstruction + kl).backward()
            self.optimisers[0].step(max_norm=100.0)
            found = {"reconstruction_loss": reconstruction.item(), "kl": kl.item()}
        with torch.no_grad():
            coded = self.vision(batch.obs)
            codes = coded.mean + coded.std * noise
        reward = (batch.reward - float(self.rewards.mean)) / max(float(np.sqrt(self.rewards.variance)), 1e-3)
        loss = self.memory.loss(codes, batch.action, batch.starts, reward, batch.goes_on, batch.is_paid)
        self.optimisers[-1].zero_grad()
        loss.backward()
        self.optimisers[-1].step(max_norm=1.0)
        self.num_updates += 1
        return found | {"memory_loss": loss.item()}

    def batch(self) -> Any:
        """Return drawn windows as tensors with scaled observations."""
        slots, _ = self.replay.draw(self.draws, self.config.batch_size * (self.config.num_rows - 1))
        return self.tensors(windows_at(self.replay, slots, self.code))

    def tensors(self, windows: Windows) -> Any:
        """Return windows as tensors, with scaled observations."""
        return Windows(*(torch.from_numpy(column) for column in windows._replace(obs=self.scale(windows.obs))))  # type: ignore[arg-type]

    def evolve(self) -> float:
        """Judge one generation of controllers in dreams, move to the better ones, and return the mean worth."""
        candidates = self.search.ask(self.candidates)
        worth = self.dream(candidates)
        self.search.tell(candidates, -np.nan_to_num(worth, nan=-1e9, posinf=-1e9, neginf=-1e9))
        self.search.std = max(self.search.std, LEAST_STD)
        return float(worth.mean())

    @torch.no_grad()
    def dream(self, candidates: np.ndarray) -> np.ndarray:
        """Return the mean predicted return [P] of candidates [P, n], all in the same dreams: the same starts and the same chance."""
        config, memory, count = self.config, self.memory, len(candidates)
        batch = self.batch()
        codes = self.vision(batch.obs).mean
        states = memory.unroll(codes[:-1], batch.action[1:], batch.starts[:-1])[-1] * (1.0 - batch.starts[-1])[:, None]
        chosen = torch.from_numpy(self.draws.integers(states.shape[0], size=config.num_dreams)).repeat(count)  # [P E]
        code, state, alive = codes[-1][chosen], states[chosen], batch.goes_on[-1][chosen]
        total, controllers = torch.zeros(len(chosen)), candidates[:, None]
        mean, std = float(self.rewards.mean), max(float(np.sqrt(self.rewards.variance)), 1e-3)
        for _ in range(config.dream_steps):
            action = torch.from_numpy(self.code.of(self.control(controllers, code.numpy(), state.numpy())))
            state = memory.advance(state, code, action)
            forecast = memory.forecast(state[:, : config.units], code)
            choice = torch.from_numpy(self.noise.gumbel(size=(config.num_dreams, config.components)).astype(np.float32)).repeat(count, 1)
            noise = torch.from_numpy(self.noise.standard_normal((config.num_dreams, self.vision.size), dtype=np.float32)).repeat(count, 1)
            code = memory.draw(forecast, choice, noise, config.temperature)
            outcome = memory.outcome(state[:, : config.units], code)
            total += alive * (outcome.reward * std + mean)
            alive = alive * torch.sigmoid(-outcome.end)
        return total.view(count, -1).mean(dim=1).double().numpy()

    def check(self) -> None:
        """Measure the memory's predictions on the newest windows."""
        self.num_checks += 1
        batch = self.newest()
        if batch is not None:
            predicted = self.open_loop(batch)
            self.open_loop_error = float(open_loop_ratio(predicted.obs, batch.obs, CONTEXT)[-1])

    def newest(self) -> Any:
        """Return the newest windows of one episode each, as tensors with scaled observations; `None` where episodes are too short."""
        slots = newest_windows(self.replay, CONTEXT + self.config.num_held_steps, CHECKED)
        return self.tensors(windows_at(self.replay, slots, self.code)) if slots.shape[1] else None

    @torch.no_grad()
    def open_loop(self, batch: Any) -> OpenLoop:
        """Return predictions by the mixture's means after the first rows of windows."""
        memory, codes = self.memory, self.vision(batch.obs[:CONTEXT]).mean
        state = codes.new_zeros(codes.shape[1], 2 * self.config.units)
        if CONTEXT > 1:
            state = memory.unroll(codes[:-1], batch.action[1:CONTEXT], batch.starts[: CONTEXT - 1])[-1]
        code, found, rewards = codes[-1], [], []
        for action in batch.action[CONTEXT:]:
            state = memory.advance(state, code, action)
            forecast = memory.forecast(state[:, : self.config.units], code)
            code = (forecast.logits.softmax(dim=-1)[..., None] * forecast.mean).sum(dim=-2)
            found.append(code)
            reward = memory.outcome(state[:, : self.config.units], code).reward
            rewards.append(reward * max(float(np.sqrt(self.rewards.variance)), 1e-3) + float(self.rewards.mean))
        return OpenLoop(self.vision.decode(torch.stack(found)), torch.stack(rewards))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the mean controller's actions [B, ...] at the first observations of episodes [B, ...]."""
        return self.answer_with(inputs, np.zeros((len(inputs), self.state.shape[1]), np.float32))[0]

    def predictor(self) -> Predict:
        """Return a player whose memory follows each episode."""
        return Player(self.answer_with, self.state.shape[1])

    def answer_with(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean controller's actions [B, ...] at observations [B, ...] after states [B, 2 U], and the states after them."""
        code = self.codes(np.asarray(inputs))
        kept = self.control(self.search.mean[None, None], code, state)
        return self.code.to_env(kept), self.follow(state, code, kept)

    def exported(self) -> Exportable:
        """Return vision, memory and the mean controller as a graph."""
        vision, memory, scaled, bounded = self.vision, self.memory, self.scale.layer(), self.code.layer()
        controller = torch.from_numpy(self.search.mean.astype(np.float32)).view(self.num_seen + 1, self.num_heads)
        network = nn.ModuleDict({"vision": vision, "memory": memory, "controller": nn.ParameterDict({"weight": controller})})

        def step(observations: Tensor, state: Tensor) -> tuple[Tensor, ...]:
            code, weight = vision(scaled(observations)).mean, network["controller"]["weight"]  # type: ignore[index]
            seen = torch.cat([code, state[:, : self.config.units]], dim=1) if self.config.sees_memory else code
            head = seen @ weight[:-1] + weight[-1]
            if self.code.is_choice:
                head = pad(head, (1, 0))  # the first choice counts 0
            action = one_hot(head.argmax(dim=1), self.code.size).float() if self.code.is_choice else head.tanh()
            return bounded(head), code, memory.advance(state, code, action)

        words = {
            "actions": "the mean controller's actions as the environment takes them",
            "codes": "what vision makes of the observations",
            "next_state": "the memory to give as state with the next observations; 0 where an episode begins",
        }
        return computed(step, network, {"observations": example(self.task.input_space), "state": zeros(2 * self.config.units)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        named = [*self.vision.named_parameters("vision"), *self.memory.named_parameters("memory")]
        return {name: value.detach().numpy() for name, value in named} | {"controller": self.search.mean}

    def draw(self, folder: Path) -> None:
        """Write pictures of dreams beside what happened, and of errors over the horizon."""
        super().draw(folder)
        batch = self.newest() if self.config.num_held_steps and self.num_updates else None
        if batch is not None:
            draw_dreams(self.open_loop(batch), batch, CONTEXT, self.scale.is_image, folder)
