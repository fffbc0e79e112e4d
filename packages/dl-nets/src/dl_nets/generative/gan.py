"""A generative adversarial network: a generator of examples and a discriminator that tells them from real ones, learning in turns.

Source: Goodfellow et al., *Generative adversarial nets*, 2014, algorithm 1, with the generator's non-saturating loss by default. Losses and
penalties are those of `adversarial`. Departures: the generator that answers may be a moving average (Yazici et al. 2019); images are
scaled to [-1, 1], and a tanh bounds what is generated in a bounded space. Where the task's inputs have labels, both players see them
(Mirza and Osindero, *Conditional generative adversarial nets*, 2014), the discriminator those of the real examples beside the generated
ones, and with `mismatch_weight` it sees real examples with the labels of others as well (Reed et al., *Generative adversarial text to
image synthesis*, 2016). A penalty of every n-th update has n times its weight (Karras et al., *Analyzing and improving the image quality of
StyleGAN*, 2020).

Within an update the discriminator first sees real and generated examples, in two batches because of batch normalisation, then the generator
learns. At the best discriminator of a perfect generator the discriminator's loss is 2 log 2 = 1.386 (1.376 with labels of 0.9); a loss near
0 means that the discriminator has won and the generator learns nothing.

Letters: B batch, Z numbers of noise.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
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
    mismatch_loss,
    path_lengths,
    r1_penalty,
)
from dl_nets.generative.conditions import joined, label_space, parts_of, split, with_label
from dl_nets.generative.players import Player, Shuffled
from dl_nets.learning.data import to_tensors
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, ByPosition, Exportable, example, write
from dl_nets.learning.optimisers import ScheduleName, schedule
from dl_nets.learning.streams import load_module_state, module_state
from rl_core import batches
from rl_core import config as configs
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, Whole, configclass
from rl_core.network import Network
from rl_core.plugins.catalogue import Catalogue
from rl_core.task import DataTask, Task

AT_ONCE = 256  # examples that are generated in one call of the network
PATH_LENGTH_RATE = 0.01  # of the moving average of path lengths
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
    penalty_every: Annotated[Count, Doc("discriminator updates of which one has the penalty, with that many times the weight")] = 1
    mismatch_weight: Annotated[NonNegative, Doc("on telling real examples with labels of others from those with their own; 0 is off")] = 0.0
    path_length_weight: Annotated[NonNegative, Doc("on how unlike the generator's path lengths are; of the network stylegan; 0 is off")] = (
        0.0
    )
    path_length_every: Annotated[Count, Doc("generator updates of which one has the penalty on path lengths")] = 4
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
    export_formats = FORMATS

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
        self._noise_space, classes = parts_of(self.task.input_space)
        label = label_space(self.task.input_space)
        self._bounded = space.is_bounded()
        low, high = (space.low, space.high) if self._bounded else (np.float32(0.0), np.float32(0.0))
        self._middle = torch.as_tensor(0.5 * (low + high), device=self._torch_device)
        self._half = torch.as_tensor(0.5 * (high - low) if self._bounded else np.float32(1.0), device=self._torch_device)
        seen = spaces.Box(-1.0, 1.0, space.shape, np.float32) if self._bounded else space
        verdict = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        generator = self.network.build(self.task.input_space, space, self.seeds.numpy("generator"))
        discriminator = self._discriminator_network().build(with_label(seen, label), verdict, self.seeds.numpy("discriminator"))
        if config.path_length_weight and not hasattr(generator, "styles"):
            raise ValueError(
                f"path_length_weight is {config.path_length_weight}, and the generator has no styles; set it to 0, or take the network "
                "stylegan"
            )
        self.generator: nn.Module = generator.to(self._torch_device)
        self.discriminator: nn.Module = discriminator.to(self._torch_device)
        self.average = copy.deepcopy(self.generator)
        rates = (config.learning_rate, config.discriminator_learning_rate or config.learning_rate)
        betas = (config.beta_1, config.beta_2)
        self._players = {
            name: Player(module, rate, betas, config.max_gradient_norm)
            for name, module, rate in zip(("generator", "discriminator"), (self.generator, self.discriminator), rates, strict=True)
        }
        self._schedule = schedule(config.schedule)
        self._noise = self.seeds.numpy("noise")
        fixed = self.seeds.apart("fixed noise").numpy("noise").standard_normal((256, *self._noise_space.shape), dtype=np.float32)
        shown = np.arange(256) % classes if isinstance(label, spaces.Discrete) else self._some_labels(256) if classes else None
        self._fixed: Any = joined(fixed, shown)  # type: ignore[arg-type]
        self.snapshots: list[dict[str, Any]] = []  # "progress", and "outputs" of the fixed noise then
        self.updates = 0  # of the discriminator
        self.path_length = 0.0  # moving average of the generator's path lengths

    def step(self) -> dict[str, float]:
        """Take some updates of both players."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        self.generator.train()
        self.discriminator.train()
        for _ in range(self.config.updates_per_step):
            inputs, targets, progress = self._examples.after(self.progress)
            real = (targets.float() - self._middle) / self._half
            for name, value in self._update(real, split(inputs)[1]).items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value
                counts[name] = counts.get(name, 0) + 1
            self.progress = progress
            if self.progress >= self.budget:
                break
        if self.config.snapshots and self.progress * self.config.snapshots >= self.budget * (len(self.snapshots) + 1):
            shown = batches.take(self._fixed, np.arange(self._num_fixed))
            self.snapshots = [*self.snapshots, {"progress": self.progress, "outputs": self.predict(shown)}]
        metrics = {name: float(value) / counts[name] for name, value in sums.items()}
        return {**metrics, "epoch": self.progress / self.task.num_examples("train")}

    @torch.no_grad()
    def predict(self, inputs: Any) -> Any:
        """Return what is generated from noise [B, Z], with the labels [B] where the task has them."""
        answers = []
        for start in range(0, batches.count(inputs), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, batches.count(inputs)))
            part = to_tensors(batches.take(inputs, rows), self._torch_device)
            answers.append(self._answered(self._answering.eval(), part).cpu().numpy())
        return np.concatenate(answers)

    def state_dict(self) -> dict[str, Any]:
        """Return both players, the average, and the snapshots; the run keeps the stream of the noise."""
        return {
            **{name: player.state_dict() for name, player in self._players.items()},
            "average": module_state(self.average) if self.config.averaging else {},
            "snapshots": list(self.snapshots),
            "updates": self.updates,
            "path_length": self.path_length,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, player in self._players.items():
            player.load_state_dict(state[name])
        if self.config.averaging:
            load_module_state(self.average, state["average"])
        self.snapshots = [{"progress": int(each["progress"]), "outputs": np.array(each["outputs"])} for each in state["snapshots"]]
        self.updates, self.path_length = int(state["updates"]), float(state["path_length"])

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters of both networks by name."""
        return {key: value for name, player in self._players.items() for key, value in player.parameters(name).items()}

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the generator that answers, in one of `export_formats`; see `dl_nets.learning.export`."""
        module, space = self._answering, self.task.input_space
        parts = space.spaces if isinstance(space, spaces.Dict) else {"noise": space}
        inputs = {} if form == "state-dict" else {name: example(part) for name, part in parts.items()}
        graph = ByPosition(Generating(self), list(inputs)) if isinstance(space, spaces.Dict) else Generating(self)
        return write(Exportable(graph, module, inputs, {"answers": "new inputs that the generator draws"}), form, out)

    def draw(self, folder: Path) -> None:
        """Draw the samples of the same noise over time, and the task's figures of what is generated."""
        if self.snapshots:
            pictures.snapshots(folder / "samples-over-time.png", self.snapshots, self.task.read("train", np.arange(64))[1])
        self.task.draw_answers(folder, self.predict)

    def _update(self, real: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Let the discriminator learn from real examples [B, ...] and generated ones; then, in its turn, the generator."""
        config, share = self.config, self._schedule(self.progress / self.budget)

        def discriminate(examples: Tensor, beside: Tensor | None = labels) -> Tensor:
            logits: Tensor = self.discriminator(joined(examples, beside))
            return logits.float().reshape(len(examples), -1)[:, 0]

        with torch.no_grad():
            fake = self._squashed(self.generator(joined(self._drawn_noise(len(real)), labels)))
        right, wrong = discriminate(real), discriminate(fake)
        loss = discriminator_loss(config.loss, right, wrong, config.real_label)
        metrics = {"discriminator_loss": loss, "real_score": torch.sigmoid(right).mean(), "fake_score": torch.sigmoid(wrong).mean()}
        if config.mismatch_weight and labels is not None and len(real) > 1:
            others = labels.roll(1, 0)
            differs = (others != labels).reshape(len(real), -1).any(dim=1)
            metrics["mismatch_loss"] = mismatch_loss(config.loss, discriminate(real, others), differs)
            loss = loss + config.mismatch_weight * metrics["mismatch_loss"]
        if config.penalty != "none" and self.updates % config.penalty_every == 0:
            if config.penalty == "r1":
                metrics["penalty"] = r1_penalty(discriminate, real)
            else:
                mix = torch.from_numpy(self._noise.random(len(real), dtype=np.float32)).to(real.device)
                metrics["penalty"] = gradient_penalty(discriminate, real, fake, mix)
            loss = loss + config.penalty_weight * config.penalty_every * metrics["penalty"]
        self._players["discriminator"].descend(loss, share)
        if config.weight_clip:
            self._players["discriminator"].clip_weights(config.weight_clip)
        self.updates += 1
        if self.updates % config.discriminator_updates == 0:
            fooled = discriminate(self._squashed(self.generator(joined(self._drawn_noise(len(real)), labels))))
            metrics["generator_loss"] = loss = generator_loss(config.loss, fooled)
            steps = self.updates // config.discriminator_updates
            if config.path_length_weight and steps % config.path_length_every == 0:
                metrics["path_length_penalty"] = self._path_length_penalty(max(1, len(real) // 2))
                loss = loss + config.path_length_weight * config.path_length_every * metrics["path_length_penalty"]
            self._players["generator"].descend(loss, share)
            if config.averaging:  # early on the average is short, or it would keep the first weights
                average_into(self.average, self.generator, min(config.averaging, (1 + steps) / (10 + steps)))
        return {name: value.detach() for name, value in metrics.items()}

    def _path_length_penalty(self, count: int) -> Tensor:
        """Return the mean [] of the squared distances of `count` path lengths from their moving average, which follows them."""
        generator: Any = self.generator
        styles = generator.styles(self._drawn_noise(count))
        images = generator.drawn(styles)
        directions = torch.from_numpy(self._noise.standard_normal(images.shape, dtype=np.float32)).to(images.device)
        lengths = path_lengths(images, styles, directions)
        self.path_length += PATH_LENGTH_RATE * (float(lengths.detach().mean()) - self.path_length)
        return (lengths - self.path_length).square().mean()

    @property
    def _answering(self) -> nn.Module:
        return self.average if self.config.averaging else self.generator

    def _answered(self, module: nn.Module, inputs: Any) -> Tensor:
        """Return what a module generates, in the output space."""
        answers = self._middle + self._half * self._squashed(module(inputs))
        space = self.task.output_space
        assert isinstance(space, spaces.Box)
        low, high = (torch.as_tensor(bound, device=answers.device) for bound in (space.low, space.high))
        return torch.clamp(answers, low, high) if self._bounded else answers

    def _squashed(self, outputs: Tensor) -> Tensor:
        """Return generated examples [B, ...] as the discriminator sees them: in [-1, 1] where the space is bounded."""
        examples = outputs.float().reshape(outputs.shape[0], *(self.task.output_space.shape or ()))  # an exporter cannot follow len
        return torch.tanh(examples) if self._bounded else examples

    def _drawn_noise(self, count: int) -> Tensor:
        return torch.from_numpy(self._noise.standard_normal((count, *self._noise_space.shape), dtype=np.float32)).to(self._torch_device)

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

    def _some_labels(self, count: int) -> np.ndarray:
        """Return texts [count, T] of the test split, over and over where it has fewer."""
        rows = np.arange(count) % self.task.num_examples("test")
        return np.asarray(split(self.task.read("test", rows)[0])[1])

    @property
    def _num_fixed(self) -> int:
        """Samples of a snapshot: 64 images, 256 vectors."""
        return 64 if len(self.task.output_space.shape or ()) == 3 else 256

    @cached_property
    def _examples(self) -> Shuffled:
        """The training split, read at the first step: a model that only predicts does not need it."""
        return Shuffled(self.task, self.seeds, self._torch_device, self.config.batch_size)


class Generating(nn.Module):
    """The generator of an agent with its bounds, as a module that can be exported."""

    def __init__(self, agent: GAN) -> None:
        super().__init__()
        self.network = agent._answering
        self._answered = agent._answered

    def forward(self, noise: Any) -> tuple[Tensor]:
        """Return answers [B, ...] to noise [B, Z], with labels [B] or texts [B, T] where the task has them."""
        return (self._answered(self.network, noise),)
