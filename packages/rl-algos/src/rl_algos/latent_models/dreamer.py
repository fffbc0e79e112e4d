"""Dreamer: learn a latent model from experience, and actor and critic from what the model imagines.

Source: D. Hafner and others, "Mastering diverse domains through world models", 2023 (DreamerV3), and "Dream to control", 2020.
Departures: as `rssm`, `world`, `behaviour` and `returns` name them: a small model with a Gaussian random part, vectors by moments, and no
more than one processor is needed. Windows begin with a state of 0.
Letters: N environments, W rows, B windows, D + Z numbers of a state, A numbers of an action's code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable, example
from dl_nets.learning.optimisers import Optimiser
from rl_algos.latent_models.behaviour import Behaviour, BehaviourConfig
from rl_algos.latent_models.coders import Scale
from rl_algos.latent_models.pictures import draw_dreams
from rl_algos.latent_models.windows import ActionCode, Windows, newest_windows, replay_of, windows_at
from rl_algos.latent_models.world import World, WorldConfig, open_loop, open_loop_ratio
from rl_algos.parts.exported import computed, zeros
from rl_algos.parts.players import Player, reset_where
from rl_algos.parts.steps import warm_up_warning
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, Positive, Whole, configclass
from rl_core.task import ControlTask, Predict

CONTEXT, CHECKED = 5, 16  # rows that a prediction begins with, and windows that it is measured on


@configclass
class DreamerConfig(WorldConfig, BehaviourConfig):
    """Settings of Dreamer: those of the model, of learning in imagination, and of the loop."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 1
    steps_per_iteration: Annotated[Count, Doc("steps of each environment between two reports")] = 8
    learning_starts: Annotated[Count, Doc("environment steps with random actions before the first update")] = 1_000
    update_every: Annotated[Count, Doc("environment steps for each update of model, actor and critic")] = 4
    buffer_size: Annotated[int, Meta(ge=2, le=100_000_000), Doc("newest rows that are learned from")] = 50_000
    num_rows: Annotated[int, Meta(ge=2, le=10_000), Doc("W, rows of a window")] = 20
    batch_size: Annotated[Count, Doc("B, windows in an update")] = 8
    num_starts: Annotated[Count, Doc("states of a batch, at most, that imagined trajectories begin in")] = 128
    model_learning_rate: Annotated[Positive, Doc("alpha of Adam, for the model")] = 1e-3
    actor_learning_rate: Annotated[Positive, Doc("alpha of Adam, for the actor")] = 1e-3
    critic_learning_rate: Annotated[Positive, Doc("alpha of Adam, for the critic")] = 1e-3
    check_every: Annotated[Count, Doc("environment steps between two measurements of the model")] = 1_000
    num_held_steps: Annotated[Whole, Doc("steps of a prediction that is compared with the newest episodes; 0 for none")] = 15


class Dreamer(Agent):
    """Agent that acts by a policy learned in its own model.

    Attributes:
        world: The model.
        behaviour: Actor and critic.
        scale: Of observations.
        memory: State and action code before each environment's next observation [N, D + Z + A].
        open_loop_error: The model's error after the last step of a prediction, as a ratio to the constant one's; -1 while not known.
    """

    Config: ClassVar[type] = DreamerConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = (
        "world", "behaviour", "scale", "optimisers", "replay", "envs", "obs", "memory", "num_updates", "num_checks", "open_loop_error",
    )  # fmt: skip
    learned_fields = ("world", "behaviour", "scale")
    config: DreamerConfig
    task: ControlTask

    def setup(self) -> None:
        """Build the model, actor and critic, the replay buffer and the environments."""
        config, task, seeds = self.config, self.task, self.seeds
        self.code, self.scale = ActionCode(task.output_space), Scale(task.input_space)
        self.torch_device = resolve_device(self.device)
        self.path = f"torch: a latent model, on {self.torch_device.type}"
        rng = seeds.numpy("initialisation")
        self.world = World(self.scale, self.code.size, config, rng).to(self.torch_device)
        size = self.world.rssm.size
        behaviour = Behaviour(size, config.hidden, self.code.size, self.code.is_choice, config, rng)
        self.behaviour = behaviour.to(self.torch_device)
        rates = (config.model_learning_rate, config.actor_learning_rate, config.critic_learning_rate)
        modules = (self.world, self.behaviour.actor, self.behaviour.critic)
        self.optimisers = [Optimiser("adam", m.parameters(), learning_rate=r) for m, r in zip(modules, rates, strict=True)]
        capacity = min(config.buffer_size, 2 * max(self.budget, config.learning_starts) + config.num_envs * (config.num_rows + 1))
        self.replay = replay_of(capacity, config.num_envs, config.num_rows, task.input_space, self.code)
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()
        self.scale.update(self.obs)
        self.memory = np.zeros((config.num_envs, size + self.code.size), dtype=np.float32)
        self.draws, self.noise, self.random = seeds.numpy("windows"), seeds.numpy("imagination"), seeds.numpy("exploration")
        self.num_updates, self.num_checks, self.open_loop_error = 0, 0, -1.0
        self.warnings += warm_up_warning(config.learning_starts, self.budget)

    def step(self) -> dict[str, float]:
        """Take some steps, learn as often as they are worth, and measure the model when that is due."""
        config, losses = self.config, []
        for _ in range(config.steps_per_iteration):
            self.act()
            due = (self.progress - config.learning_starts) // config.update_every
            while self.num_updates < due and self.replay.can_draw:
                losses.append(self.update())
        if self.num_updates and config.num_held_steps and self.progress >= self.num_checks * config.check_every + config.learning_starts:
            self.check()
        metrics = {name: float(np.mean([found[name] for found in losses])) for name in losses[0]} if losses else {}
        known = {"open_loop_error": self.open_loop_error} if self.open_loop_error >= 0 else {}
        return metrics | known | self.envs.episode_metrics()

    def act(self) -> None:
        """Take one step in every environment: at random before the first update, then by a draw of the policy."""
        count = self.config.num_envs
        if self.progress < self.config.learning_starts:
            kept = self.code.random(self.random, count)
        else:
            shape = (count, self.code.size)
            noise = self.random.gumbel(size=shape) if self.code.is_choice else self.random.standard_normal(shape)
            chance = self.random.standard_normal((1, count, self.world.rssm.random), dtype=np.float32)
            with torch.no_grad():
                state = self.state(self.obs, self.memory, chance)
                code = self.behaviour.actor.draw(state, self.tensor(noise))[0].cpu().numpy()
            kept = code.argmax(axis=1) if self.code.is_choice else code
            self.memory[:, : state.shape[1]] = state.cpu().numpy()
        self.memory[:, -self.code.size :] = self.code.of(kept)
        after = self.envs.step(self.code.to_env(kept))
        self.replay.add(self.obs, kept, after)
        over = after.terminated | after.truncated
        if self.progress < self.config.learning_starts:
            over = np.ones_like(over)  # random steps are not followed by the model: the first it follows is taken as an episode's first
        self.memory = reset_where(self.memory, over)
        self.obs = after.obs
        self.scale.update(self.obs)
        self.progress += count

    def state(self, obs: np.ndarray, memory: np.ndarray, chance: np.ndarray) -> Tensor:
        """Return the states [N, D + Z] of observations [N, ...] that follow memories [N, D + Z + A], with normal noise [1, N, Z]."""
        before = self.tensor(memory)
        size = self.world.rssm.size
        starts = torch.zeros(1, len(obs), device=self.torch_device)
        inputs = self.tensor(self.scale(obs))[None]
        return self.world.observe(inputs, before[None, :, size:], starts, self.tensor(chance), before[:, :size]).state[0]

    def update(self) -> dict[str, float]:
        """Take one gradient step of the model on drawn windows, and one of actor and critic on what it imagines from their states."""
        config = self.config
        slots, _ = self.replay.draw(self.draws, config.batch_size * (config.num_rows - 1))
        batch = self.tensors(windows_at(self.replay, slots, self.code))
        shape = (*slots.shape, config.random)
        losses, states = self.world.loss(batch, self.tensor(self.noise.standard_normal(shape, dtype=np.float32)))
        of_world, of_actor, of_critic = self.optimisers
        of_world.zero_grad()
        losses.loss.backward()
        of_world.step(max_norm=100.0)
        start, weight = states.detach().flatten(0, 1), batch.goes_on.flatten()
        if len(start) > config.num_starts:
            chosen = torch.from_numpy(self.draws.choice(len(start), config.num_starts, replace=False)).to(self.torch_device)
            start, weight = start[chosen], weight[chosen]
        policy_loss, value_loss, measured = self.behaviour.losses(self.world, start, weight, self.noise)
        of_actor.zero_grad()
        of_critic.zero_grad()
        policy_loss.backward()
        value_loss.backward()
        of_actor.step(max_norm=10.0)
        of_critic.step(max_norm=10.0)
        self.behaviour.follow()
        self.num_updates += 1
        names = ("model_loss", "reconstruction_loss", "reward_loss", "continuation_loss", "kl")
        return {**dict(zip(names, (part.item() for part in losses), strict=True)), **measured._asdict()}

    def check(self) -> None:
        """Measure the model's predictions on the newest windows."""
        self.num_checks += 1
        batch = self.newest()
        if batch is not None:
            predicted = open_loop(self.world, batch, CONTEXT)
            self.open_loop_error = float(open_loop_ratio(predicted.obs, batch.obs, CONTEXT)[-1])

    def newest(self) -> Any:
        """Return the newest windows of one episode each, as tensors with scaled observations; `None` where episodes are too short."""
        slots = newest_windows(self.replay, CONTEXT + self.config.num_held_steps, CHECKED)
        return self.tensors(windows_at(self.replay, slots, self.code)) if slots.shape[1] else None

    def tensors(self, windows: Windows) -> Any:
        """Return windows as tensors on the model's device, with scaled observations."""
        return Windows(*(self.tensor(column) for column in windows._replace(obs=self.scale(windows.obs))))  # type: ignore[arg-type]

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the model's device, float32."""
        return torch.from_numpy(np.asarray(array, dtype=np.float32)).to(self.torch_device)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the policy's best actions [B, ...] at the first observations of episodes [B, ...]."""
        return self.answer_with(inputs, np.zeros((len(inputs), self.memory.shape[1]), np.float32))[0]

    def predictor(self) -> Predict:
        """Return a player that follows each episode by the means of the model."""
        return Player(self.answer_with, self.memory.shape[1])

    @torch.no_grad()
    def answer_with(self, inputs: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the best actions [B, ...] at observations [B, ...] after memories [B, D + Z + A], and the memories after them."""
        state = self.state(np.asarray(inputs), memory, np.zeros((1, len(inputs), self.config.random), np.float32))
        code = self.behaviour.actor.greedy(state)
        kept = code.cpu().numpy()
        action = self.code.to_env(kept.argmax(axis=1) if self.code.is_choice else kept)
        return action, torch.cat([state, code], dim=1).cpu().numpy()

    def exported(self) -> Exportable:
        """Return encoder, model and actor as a graph, whose memory is the state and the action's code, by the means of the model."""
        world, actor, size = self.world, self.behaviour.actor, self.world.rssm.size
        scaled, bounded = self.scale.layer(), self.code.layer()

        def step(observations: Tensor, state: Tensor) -> tuple[Tensor, ...]:
            inputs = scaled(observations)[None]
            starts, chance = inputs.new_zeros(1, inputs.shape[1]), inputs.new_zeros(1, inputs.shape[1], world.rssm.random)
            after = world.observe(inputs, state[None, :, size:], starts, chance, state[:, :size]).state[0]
            head = actor.layers(after) if actor.is_choice else actor.normal(after)[0]
            return bounded(head), head, torch.cat([after, actor.greedy(after)], dim=1)

        words = {
            "actions": "the policy's best actions as the environment takes them",
            "outputs": "logits of the actions, or means before tanh",
            "next_state": "the memory to give as state with the next observations; 0 where an episode begins",
        }
        network = nn.ModuleDict({"world": world, "actor": actor})
        return computed(step, network, {"observations": example(self.task.input_space), "state": zeros(size + self.code.size)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        modules = (("world", self.world), ("actor", self.behaviour.actor), ("critic", self.behaviour.critic))
        named = (pair for prefix, module in modules for pair in module.named_parameters(prefix))
        return {name: value.detach().cpu().numpy() for name, value in named}

    def draw(self, folder: Path) -> None:
        """Write pictures of predictions beside what happened, and of errors over the horizon."""
        super().draw(folder)
        batch = self.newest() if self.config.num_held_steps and self.num_updates else None
        if batch is not None:
            draw_dreams(open_loop(self.world, batch, CONTEXT), batch, CONTEXT, self.scale.is_image, folder)
