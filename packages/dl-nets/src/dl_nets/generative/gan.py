"""A generative adversarial network: a generator of examples and a discriminator that tells them from real ones, learning in turns.

Source: Goodfellow et al., *Generative adversarial nets*, 2014, algorithm 1, with the generator's non-saturating loss by default. Losses and
penalties are those of `adversarial`. Departures: the generator that answers may be a moving average (Yazici et al. 2019); images are
scaled to [-1, 1], and a tanh bounds what is generated in a bounded space.

Within an update the discriminator first sees real and generated examples, in two batches because of batch normalisation, then the generator
learns. At the best discriminator of a perfect generator the discriminator's loss is 2 log 2 = 1.386 (1.376 with labels of 0.9); a loss near
0 means that the discriminator has won and the generator learns nothing.

Letters: B batch, Z numbers of noise.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.generative import pictures
from dl_nets.generative.adversarial import (
    AdversarialLoss,
    average_into,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from dl_nets.learning.data import Examples
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser, ScheduleName, clip_gradient_norm, schedule
from dl_nets.learning.streams import load_module_state, module_state
from rl_core import config as configs
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, Whole, configclass
from rl_core.network import Network
from rl_core.plugins.catalogue import Catalogue
from rl_core.task import DataTask, Task

AT_ONCE = 1024  # examples that are generated in one call of the network
Beta = Annotated[float, Meta(ge=0, lt=1)]


@configclass
class GANConfig:
    """Settings of both players."""

    loss: Annotated[AdversarialLoss, Doc("of the game; wasserstein needs penalty=gradient, or weight_clip")] = "non-saturating"
    real_label: Annotated[float, Meta(gt=0, le=1), Doc("t, label of real examples; below 1 is one-sided label smoothing")] = 1.0
    penalty: Annotated[Literal["none", "r1", "gradient"], Doc("on the discriminator's gradient: R1 at real examples, or WGAN-GP's")] = (
        "none"
    )
    penalty_weight: Annotated[NonNegative, Doc("gamma of r1, lambda of gradient")] = 1.0
    learning_rate: Annotated[Positive, Doc("Adam's step size for the generator")] = 2e-4
    schedule: Annotated[ScheduleName, Doc("of both step sizes over the budget")] = "constant"
    discriminator_learning_rate: Annotated[NonNegative, Doc("Adam's step size for the discriminator; 0: that of the generator")] = 0.0
    beta_1: Annotated[Beta, Doc("how much of Adam's first moment stays")] = 0.5
    beta_2: Annotated[Beta, Doc("how much of Adam's second moment stays")] = 0.999
    batch_size: Annotated[Count, Doc("B, real examples of one update, and as many generated ones")] = 64
    discriminator_updates: Annotated[Count, Doc("updates of the discriminator for each one of the generator")] = 1
    weight_clip: Annotated[NonNegative, Doc("bound on each of the discriminator's weights after an update; 0 is off")] = 0.0
    max_gradient_norm: Annotated[NonNegative, Doc("longer gradients of either player are shortened to it; 0 is off")] = 0.0
    averaging: Annotated[Beta, Doc("decay of the moving average of the generator that answers; 0: the generator itself")] = 0.0
    epochs: Annotated[Count, Doc("passes over the training split, where no budget is given")] = 50
    discriminator: Annotated[str, Doc("network of the discriminator; the one of the generator where it is empty")] = ""
    discriminator_config: Annotated[Mapping[str, Any], Doc("fields of the discriminator's network")] = field(default_factory=dict)
    updates_per_step: Annotated[Count, Doc("updates that a step takes")] = 20
    snapshots: Annotated[Whole, Doc("times, evenly spread, at which samples are kept for the figure")] = 8

    def __post_init__(self) -> None:
        if self.loss == "wasserstein" and self.penalty != "gradient" and not self.weight_clip:
            raise ValueError("loss is 'wasserstein' without a bound on the discriminator; set penalty=gradient, or weight_clip=0.01")


class GAN(Agent):
    """Agent of two players; a step takes some updates of both. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = GANConfig
    config: GANConfig
    task: DataTask
    headline = "discriminator_loss"

    @classmethod
    def default_budget(cls, config: GANConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` epochs."""
        assert isinstance(task, DataTask)
        return config.epochs * task.num_examples("train")

    def setup(self) -> None:
        """Build both networks and their optimisers."""
        config, space = self.config, self.task.output_space
        assert isinstance(space, spaces.Box)
        assert self.network is not None
        self._torch_device = resolve_device(self.device)
        self._bounded = space.is_bounded()
        low, high = (space.low, space.high) if self._bounded else (np.float32(0.0), np.float32(0.0))
        self._middle = torch.as_tensor(0.5 * (low + high), device=self._torch_device)
        self._half = torch.as_tensor(0.5 * (high - low) if self._bounded else np.float32(1.0), device=self._torch_device)
        seen = spaces.Box(-1.0, 1.0, space.shape, np.float32) if self._bounded else space
        verdict = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        network = self._discriminator_network()
        self.generator: nn.Module = self.network.build(self.task.input_space, space, self.seeds.numpy("generator")).to(self._torch_device)
        self.discriminator: nn.Module = network.build(seen, verdict, self.seeds.numpy("discriminator")).to(self._torch_device)
        self.average = copy.deepcopy(self.generator)
        self._rates = (config.learning_rate, config.discriminator_learning_rate or config.learning_rate)
        self._schedule = schedule(config.schedule)
        self._optimisers = tuple(
            Optimiser("adam", module.parameters(), learning_rate=rate)
            for module, rate in zip((self.generator, self.discriminator), self._rates, strict=True)
        )
        for optimiser in self._optimisers:
            optimiser.set_betas(config.beta_1, config.beta_2)
        self._noise = self.seeds.numpy("noise")
        self._fixed = self.seeds.apart("fixed noise").numpy("noise").standard_normal((256, *self._noise_shape), dtype=np.float32)
        self.snapshots: list[dict[str, Any]] = []  # "progress", and "outputs" of the fixed noise then
        self.updates = 0  # of the discriminator
        self._reader: tuple[int, Iterator[tuple[Any, Any]]] = (-1, iter(()))  # progress that it is for, and the batches to come

    def step(self) -> dict[str, float]:
        """Take some updates of both players."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        self.generator.train()
        self.discriminator.train()
        for _ in range(self.config.updates_per_step):
            for name, value in self._update(self._next_real()).items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value
                counts[name] = counts.get(name, 0) + 1
            if self.progress >= self.budget:
                break
        if self.config.snapshots and self.progress * self.config.snapshots >= self.budget * (len(self.snapshots) + 1):
            self.snapshots = [*self.snapshots, {"progress": self.progress, "outputs": self.predict(self._fixed[: self._num_fixed])}]
        metrics = {name: float(value) / counts[name] for name, value in sums.items()}
        return {**metrics, "epoch": self.progress / self.task.num_examples("train")}

    @torch.no_grad()
    def predict(self, inputs: Any) -> Any:
        """Return what is generated from noise [B, Z]."""
        module = self.average.eval() if self.config.averaging else self.generator.eval()
        noise = torch.from_numpy(np.asarray(inputs, dtype=np.float32)).to(self._torch_device)
        parts = [self._to_space(self._squashed(module(part))).cpu().numpy() for part in noise.split(AT_ONCE)]
        space = self.task.output_space
        assert isinstance(space, spaces.Box)
        answers = np.concatenate(parts)
        return np.clip(answers, space.low, space.high) if self._bounded else answers

    def state_dict(self) -> dict[str, Any]:
        """Return both networks, both optimisers, the average, and the snapshots; the run keeps the stream of the noise."""
        return {
            **{name: module_state(getattr(self, name)) for name in ("generator", "discriminator", "average")},
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "snapshots": list(self.snapshots),
            "updates": self.updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in ("generator", "discriminator", "average"):
            load_module_state(getattr(self, name), state[name])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.snapshots = [{"progress": int(each["progress"]), "outputs": np.array(each["outputs"])} for each in state["snapshots"]]
        self.updates = int(state["updates"])

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters of both networks by name."""
        players = {"generator": self.generator, "discriminator": self.discriminator}
        return {
            f"{player}.{name}": parameter.detach().cpu().numpy().copy()
            for player, module in players.items()
            for name, parameter in module.named_parameters()
        }

    def draw(self, folder: Path) -> None:
        """Draw the samples of the same noise over time, and the task's figures of what is generated."""
        if self.snapshots:
            pictures.snapshots(folder / "samples-over-time.png", self.snapshots, self.task.read("train", np.arange(64))[1])
        self.task.draw_answers(folder, self.predict)

    def _update(self, real: Tensor) -> dict[str, Tensor]:
        """Let the discriminator learn from real examples [B, ...] and generated ones; then, in its turn, the generator."""
        config, (of_generator, of_discriminator) = self.config, self._optimisers
        with torch.no_grad():
            fake = self._squashed(self.generator(self._drawn_noise(len(real))))
        right, wrong = self._discriminate(real), self._discriminate(fake)
        loss = discriminator_loss(config.loss, right, wrong, config.real_label)
        metrics = {"discriminator_loss": loss, "real_score": torch.sigmoid(right).mean(), "fake_score": torch.sigmoid(wrong).mean()}
        if config.penalty != "none":
            mix = torch.from_numpy(self._noise.random(len(real), dtype=np.float32)).to(real.device)
            at = (real,) if config.penalty == "r1" else (real, fake, mix)
            metrics["penalty"] = (
                r1_penalty(self._discriminate, *at) if config.penalty == "r1" else gradient_penalty(self._discriminate, *at)
            )
            loss = loss + config.penalty_weight * metrics["penalty"]
        self._descend(of_discriminator, self.discriminator, loss)
        if config.weight_clip:
            with torch.no_grad():
                of_discriminator.flat.vector.clamp_(-config.weight_clip, config.weight_clip)
        self.updates += 1
        if self.updates % config.discriminator_updates == 0:
            fooled = self._discriminate(self._squashed(self.generator(self._drawn_noise(len(real)))))
            metrics["generator_loss"] = generator_loss(config.loss, fooled)
            self._descend(of_generator, self.generator, metrics["generator_loss"])
            if config.averaging:
                steps = self.updates // config.discriminator_updates  # early on the average is short, or it would keep the first weights
                average_into(self.average, self.generator, min(config.averaging, (1 + steps) / (10 + steps)))
        return {name: value.detach() for name, value in metrics.items()}

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.config.penalty == "r1":
            return r1_penalty(self._discriminate, real)
        mix = torch.from_numpy(self._noise.random(len(real), dtype=np.float32)).to(real.device)
        return gradient_penalty(self._discriminate, real, fake, mix)

    def _descend(self, optimiser: Optimiser, module: nn.Module, loss: Tensor) -> None:
        optimiser.learning_rate = self._rates[optimiser is not self._optimisers[0]] * self._schedule(self.progress / self.budget)
        optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=[parameter for parameter in module.parameters() if parameter.requires_grad])
        if self.config.max_gradient_norm:
            clip_gradient_norm(module.parameters(), self.config.max_gradient_norm)
        optimiser.step()

    def _discriminate(self, examples: Tensor) -> Tensor:
        """Return logits [B] of examples [B, ...] as the discriminator sees them."""
        logits: Tensor = self.discriminator(examples)
        return logits.float().reshape(len(examples), -1)[:, 0]

    def _squashed(self, outputs: Tensor) -> Tensor:
        """Return generated examples [B, ...] as the discriminator sees them: in [-1, 1] where the space is bounded."""
        examples = outputs.float().reshape(len(outputs), *(self.task.output_space.shape or ()))
        return torch.tanh(examples) if self._bounded else examples

    def _to_space(self, examples: Tensor) -> Tensor:
        return self._middle + self._half * examples

    def _drawn_noise(self, count: int) -> Tensor:
        return torch.from_numpy(self._noise.standard_normal((count, *self._noise_shape), dtype=np.float32)).to(self._torch_device)

    def _next_real(self) -> Tensor:
        """Return the next batch of real examples [B, ...] as the discriminator sees them; each epoch has an order of its own."""
        epoch, position = divmod(self.progress, len(self._examples))
        if self._reader[0] != self.progress:
            order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(len(self._examples))
            parts = np.array_split(order, -(-len(order) // self.config.batch_size))
            first = int(np.searchsorted(np.cumsum([len(part) for part in parts]), position, side="right"))
            self._reader = self.progress, self._examples.stream(parts[first:])
        real = next(self._reader[1])[1]
        self.progress += len(real)
        self._reader = (self.progress, self._reader[1]) if self.progress % len(self._examples) else (-1, iter(()))
        return (real.float() - self._middle) / self._half

    def _discriminator_network(self) -> Network:
        """Return the network of the discriminator, with its config.

        Raises:
            ValueError: if no network has this name, or its config is wrong.
        """
        config, network = self.config, self.network
        assert network is not None
        if not config.discriminator:
            fields = {**configs.to_plain(network.config), **config.discriminator_config}
            return type(network)(configs.build(type(network.config), fields, where="the discriminator's network"))
        entry = Catalogue.discover().find(config.discriminator, "network")
        made_of = entry.load()
        fields = {**entry.spec.config, **config.discriminator_config}
        built: Network = made_of(configs.build(made_of.Config, fields, where=f"network {config.discriminator}"))
        return built

    @property
    def _noise_shape(self) -> tuple[int, ...]:
        return self.task.input_space.shape or ()

    @property
    def _num_fixed(self) -> int:
        """Samples of a snapshot: 64 images, 256 vectors."""
        return 64 if len(self.task.output_space.shape or ()) == 3 else 256

    @cached_property
    def _examples(self) -> Examples:
        """The training split, read at the first step: a model that only predicts does not need it."""
        return Examples(self.task, "train", self._torch_device, 1024)
