"""CycleGAN: two generators that translate pictures between two domains, and a discriminator of each domain, learning without pairs.

L = (D_B(G(a)) - 1)^2 + (D_A(F(b)) - 1)^2 + c (|F(G(a)) - a| + |G(F(b)) - b|) + i (|G(b) - b| + |F(a) - a|), absolute values as means.

Source: Zhu, Park, Isola and Efros, *Unpaired image-to-image translation using cycle-consistent adversarial networks*, 2017, equations 1 to
3 and sections 4 and 5.2; the pool of generated pictures is Shrivastava et al. 2017's. Departures: batches of several pictures; small
networks. The identity term (i) keeps colours, which pictures whose halves look alike may otherwise swap.

Letters: B batch, C channels, H W picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from cv_models.generate.translators import PatchDiscriminator, Translator
from dl_nets.generative import pictures
from dl_nets.generative.adversarial import discriminator_loss
from dl_nets.generative.players import Player, Shuffled
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, ByPosition, Exportable, example, write
from rl_core import batches
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, Whole, configclass
from rl_core.task import DataTask, Task

AT_ONCE = 256  # pictures that are translated in one call
Beta = Annotated[float, Meta(ge=0, lt=1)]


@configclass
class CycleGANConfig:
    """Settings of the four players."""

    cycle_weight: Annotated[NonNegative, Doc("c, on the way there and back")] = 10.0
    identity_weight: Annotated[NonNegative, Doc("i, on pictures that are of the wanted domain already; 0 is off")] = 5.0
    learning_rate: Annotated[Positive, Doc("Adam's step size; it falls to 0 over the second half of the budget")] = 4e-4
    beta_1: Annotated[Beta, Doc("how much of Adam's first moment stays")] = 0.5
    beta_2: Annotated[Beta, Doc("how much of Adam's second moment stays")] = 0.999
    batch_size: Annotated[Count, Doc("B, pictures of each domain in an update")] = 8
    pool: Annotated[Whole, Doc("generated pictures of each domain that discriminators go on to see; 0: only the newest")] = 50
    width: Annotated[Count, Doc("channels of the generators' largest map")] = 16
    blocks: Annotated[Count, Doc("residual blocks of a generator")] = 2
    discriminator_width: Annotated[Count, Doc("channels of the discriminators' first map")] = 24
    epochs: Annotated[Count, Doc("passes over the training split, where no budget is given")] = 4
    updates_per_step: Annotated[Count, Doc("updates that a step takes")] = 5


class Pool:
    """Generated pictures of the past: half of those that it is given are exchanged for older ones.

    Args:
        size: Pictures that it holds at most.
        shape: Of one picture.
        rng: Source of the choices.

    >>> pool = Pool(1, (1,), np.random.default_rng(0))
    >>> pool.exchanged(torch.tensor([[1.0], [2.0]])).shape
    torch.Size([2, 1])
    """

    def __init__(self, size: int, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.held = torch.zeros(size, *shape)
        self.count = 0
        self._rng = rng

    def exchanged(self, fresh: Tensor) -> Tensor:
        """Return pictures [B, ...]: fresh ones, or with probability 1/2, once the pool is full, older ones, which fresh ones replace."""
        shown = fresh.clone()
        for row in range(len(fresh) if len(self.held) else 0):
            if self.count < len(self.held):
                self.held[self.count] = fresh[row].cpu()
                self.count += 1
            elif self._rng.random() < 0.5:
                place = int(self._rng.integers(len(self.held)))
                shown[row] = self.held[place].to(fresh.device)
                self.held[place] = fresh[row].cpu()
        return shown

    def state_dict(self) -> dict[str, Any]:
        """Return the pictures, and how many there are."""
        return {"held": self.held.numpy().copy(), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.held = torch.from_numpy(np.array(state["held"]))
        self.count = int(state["count"])


class CycleGAN(Agent):
    """Agent of four players. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = CycleGANConfig
    config: CycleGANConfig
    task: DataTask
    headline = "cycle_loss"
    export_formats = FORMATS
    state_fields = ("players", "pools", "updates", "shown")

    @classmethod
    def default_budget(cls, config: CycleGANConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` epochs."""
        assert isinstance(task, DataTask)
        return config.epochs * task.num_examples("train")

    def setup(self) -> None:
        """Build two generators and two discriminators with their optimisers.

        Raises:
            ValueError: if the pictures of both domains do not have one shape.
        """
        config, space, given = self.config, self.task.output_space, self.task.input_space
        picture = given["picture"] if isinstance(given, spaces.Dict) and set(given) == {"domain", "picture"} else None
        if not isinstance(space, spaces.Box) or picture != space or len(space.shape) != 3 or not space.is_bounded():
            raise ValueError(
                f"inputs are {given} and outputs {space}; expected a Dict of 'picture' and 'domain', and pictures of that same shape: "
                "the identity term compares both domains"
            )
        if min(space.shape[:2]) < 8:
            raise ValueError(f"pictures are {space.shape[0]} x {space.shape[1]}; expected 8 x 8 at least")
        self._torch_device = resolve_device(self.device)
        self._low, self._span = float(space.low.min()), float(space.high.max() - space.low.min())
        channels, betas = space.shape[2], (config.beta_1, config.beta_2)
        translators = {name: Translator(channels, config.width, config.blocks, self.seeds.numpy(name)) for name in ("to_b", "to_a")}
        self.generators = nn.ModuleDict(translators).to(self._torch_device)
        self.players = {"generators": Player(self.generators, config.learning_rate, betas)}
        for name in ("judge_b", "judge_a"):
            judge = PatchDiscriminator(channels, config.discriminator_width, self.seeds.numpy(name))
            self.players[name] = Player(judge.to(self._torch_device), config.learning_rate, betas)
        shape = (channels, *space.shape[:2])
        self.pools = {name: Pool(config.pool, shape, self.seeds.numpy(f"pool {name}")) for name in ("a", "b")}
        self.updates = 0
        self.shown: list[np.ndarray] = []  # translations of the same pictures at four times

    def step(self) -> dict[str, float]:
        """Take some updates of all players."""
        sums: dict[str, Tensor] = {}
        count = 0
        while count < self.config.updates_per_step and self.progress < self.budget:
            inputs, targets, progress = self._examples.after(self.progress)
            for name, value in self._update(self._seen(inputs["picture"]), self._seen(targets)).items():
                sums[name] = sums.get(name, torch.zeros(())) + value.detach().cpu()
            self.progress = progress
            self.updates += 1
            count += 1
        if self.progress * 4 >= self.budget * (len(self.shown) + 1):
            self.shown = [*self.shown, np.asarray(self.predict(self._fixed))]
        return {**{name: float(value) / count for name, value in sums.items()}, "epoch": self.progress / self.task.num_examples("train")}

    @torch.no_grad()
    def predict(self, inputs: Any) -> Any:
        """Return pictures [B, H, W, C] of the other domain."""
        shown, domains = np.asarray(inputs["picture"], np.float32), np.asarray(inputs["domain"])
        answers = np.empty_like(shown)
        for domain, name in enumerate(("to_b", "to_a")):
            for rows in np.array_split(np.flatnonzero(domains == domain), 1 + len(shown) // AT_ONCE):
                if len(rows):
                    made = self.generators[name](self._seen(torch.from_numpy(shown[rows]).to(self._torch_device)))
                    answers[rows] = (self._low + 0.5 * self._span * (made.permute(0, 2, 3, 1) + 1.0)).cpu().numpy()
        return np.clip(answers, self._low, self._low + self._span)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters of all players by name."""
        return {key: value for name, player in self.players.items() for key, value in player.parameters(name).items()}

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write both generators, in one of `export_formats`; see `dl_nets.learning.export`."""
        inputs = {name: example(space) for name, space in self.task.input_space.spaces.items()}
        words = {"answers": "the picture in the other domain: domain 0 is translated to 1, and 1 to 0"}
        return write(Exportable(ByPosition(Translating(self), list(inputs)), self.generators, inputs, words), form, out)

    def draw(self, folder: Path) -> None:
        """Draw translations of the same pictures over time, and the task's figures."""
        if self.shown:
            rows = {"before": self._fixed["picture"], **{f"{25 * (n + 1)} %": each for n, each in enumerate(self.shown)}}
            pictures.rows(folder / "translations-over-time.png", rows, title="translations after shares of the budget")
        self.task.draw_answers(folder, self.predict)

    def _update(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """Let both generators learn from pictures [B, C, H, W] of each domain, then both discriminators."""
        config, share = self.config, min(1.0, 2.0 * (1.0 - self.progress / self.budget))
        to_b, to_a = self.generators["to_b"], self.generators["to_a"]
        judge_b, judge_a = self.players["judge_b"].module, self.players["judge_a"].module
        fake_b, fake_a = to_b(a), to_a(b)
        fooled = (judge_b(fake_b) - 1.0).square().mean() + (judge_a(fake_a) - 1.0).square().mean()
        cycle = (to_a(fake_b) - a).abs().mean() + (to_b(fake_a) - b).abs().mean()
        loss = fooled + config.cycle_weight * cycle
        metrics = {"generator_loss": fooled, "cycle_loss": cycle}
        if config.identity_weight:
            metrics["identity_loss"] = (to_b(b) - b).abs().mean() + (to_a(a) - a).abs().mean()
            loss = loss + config.identity_weight * metrics["identity_loss"]
        self.players["generators"].descend(loss, share)
        for name, judge, real, fake in (("b", judge_b, b, fake_b), ("a", judge_a, a, fake_a)):
            old = self.pools[name].exchanged(fake.detach())
            metrics[f"discriminator_loss_{name}"] = discriminator_loss("least-squares", judge(real), judge(old))
            self.players[f"judge_{name}"].descend(metrics[f"discriminator_loss_{name}"], share)
        return metrics

    def _seen(self, shown: Tensor) -> Tensor:
        """Return pictures [B, C, H, W] in [-1, 1] of pictures [B, H, W, C] in their space."""
        return ((shown.float() - self._low) * (2.0 / self._span) - 1.0).permute(0, 3, 1, 2).contiguous()

    @cached_property
    def _examples(self) -> Shuffled:
        return Shuffled(self.task, self.seeds, self._torch_device, self.config.batch_size)

    @cached_property
    def _fixed(self) -> Any:
        inputs = self.task.read("test", np.arange(min(10, self.task.num_examples("test"))))[0]
        return batches.apply(inputs, np.asarray)


class Translating(nn.Module):
    """Both generators of an agent, as a module that can be exported.

    Args:
        agent: The agent.
    """

    def __init__(self, agent: CycleGAN) -> None:
        super().__init__()
        self.network = agent.generators
        self._seen, self._low, self._span = agent._seen, agent._low, agent._span

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor]:
        """Return pictures [B, H, W, C] of the other domain, for pictures [B, H, W, C] of domains [B]."""
        seen = self._seen(inputs["picture"])
        to_b, to_a = (self.network[name](seen) for name in ("to_b", "to_a"))
        made = torch.where((inputs["domain"] == 0)[:, None, None, None], to_b, to_a)
        return ((self._low + 0.5 * self._span * (made.permute(0, 2, 3, 1) + 1.0)).clamp(self._low, self._low + self._span),)
