"""SRGAN: an upscaler that learns from features of large pictures and from a discriminator of them, so that textures are sharp.

L_G = a |y - G(x)| + p E(G(x), y) + w (-log s(D(G(x)))), y luma in [0, 1], E the error in features (`perception`) and s the sigmoid.

In the first part of the budget the upscaler learns from the absolute error alone, and the network of the features learns what sharp
pictures look like; then that network stays as it is, and the game begins. Sharp textures in a wrong place cost PSNR: it is lower than that
of the same upscaler without the game, by which SRGAN is not to be judged.

Source: Ledig et al., *Photo-realistic single image super-resolution using a generative adversarial network*, 2017, equations 2 to 6; the
absolute error beside is that of Wang et al., *ESRGAN*, 2018, equation 3. Departures: features are learned here in place of VGG's; the
discriminator is DCGAN's on luma, with R1.

Letters: B batch, H W large picture.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from cv_models.generate.dcgan import DCGAN, DCGANConfig
from cv_models.generate.perception import DegradationNetwork, degraded, feature_error
from cv_models.generate.upscalers import UpscalerModule
from dl_nets.generative.adversarial import discriminator_loss, generator_loss, r1_penalty
from dl_nets.generative.players import Player, Shuffled
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, exportable, write
from dl_nets.learning.losses import OwnRule
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass
from rl_core.task import DataTask, Task

Share = Annotated[float, Meta(ge=0, lt=1)]


@configclass
class SRGANConfig:
    """Settings of the players."""

    pixel_weight: Annotated[NonNegative, Doc("a, on the absolute error of luma in [0, 1], behind the first part")] = 1.0
    feature_weight: Annotated[NonNegative, Doc("p, on the relative squared error of features, behind the first part")] = 0.1
    adversarial_weight: Annotated[NonNegative, Doc("w, on the discriminator's verdict, behind the first part")] = 0.003
    warm_up: Annotated[Share, Doc("share of the budget that the first part takes")] = 0.5
    penalty_weight: Annotated[NonNegative, Doc("gamma of R1 on the discriminator; 0 is off")] = 0.1
    learning_rate: Annotated[Positive, Doc("Adam's step size for all players; it falls to a tenth over the budget")] = 1e-3
    beta_1: Annotated[Share, Doc("how much of Adam's first moment stays")] = 0.9
    beta_2: Annotated[Share, Doc("how much of Adam's second moment stays")] = 0.999
    discriminator_width: Annotated[Count, Doc("channels of the discriminator's first map")] = 16
    feature_width: Annotated[Count, Doc("channels of the first maps of the network of the features")] = 16
    batch_size: Annotated[Count, Doc("B, pictures of an update")] = 16
    epochs: Annotated[Count, Doc("passes over the training split, where no budget is given")] = 20
    updates_per_step: Annotated[Count, Doc("updates that a step takes")] = 5


class SRGAN(Agent):
    """Agent of an upscaler, a discriminator and a network of features. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = SRGANConfig
    config: SRGANConfig
    task: DataTask
    headline = "pixel_loss"
    export_formats = FORMATS
    state_fields = ("generator", "discriminator", "features")

    @classmethod
    def default_budget(cls, config: SRGANConfig, task: Task) -> int | None:
        """Return the examples of `config.epochs` epochs."""
        assert isinstance(task, DataTask)
        return config.epochs * task.num_examples("train")

    def setup(self) -> None:
        """Build the networks and their optimisers.

        Raises:
            ValueError: if the network does not build upscalers.
        """
        config, space = self.config, self.task.output_space
        assert self.network is not None
        self._torch_device = resolve_device(self.device)
        module = self.network.build(self.task.input_space, space, self.seeds.numpy("generator"))
        if not isinstance(module, UpscalerModule):
            raise ValueError(f"the network builds a {type(module).__name__}; expected an upscaler: srresnet, espcn or srcnn")
        assert isinstance(space, spaces.Box)
        judged = spaces.Box(-1.0, 1.0, (*space.shape[:2], 1), np.float32)
        verdict = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        judge = DCGAN(DCGANConfig(width=config.discriminator_width, normalisation="none"))
        discriminator = judge.build(judged, verdict, self.seeds.numpy("discriminator"))
        seen = DegradationNetwork(config.feature_width, self.seeds.numpy("features"))
        betas = (config.beta_1, config.beta_2)
        self._upscaler, self._seen = module.to(self._torch_device), seen.to(self._torch_device)
        self.generator = Player(self._upscaler, config.learning_rate, betas)
        self.discriminator = Player(discriminator.to(self._torch_device), config.learning_rate, betas)
        self.features = Player(self._seen, config.learning_rate, betas)
        self._scale = space.shape[0] // (self.task.input_space.shape or (1,))[0]
        self._forms = self.seeds.numpy("forms")

    def step(self) -> dict[str, float]:
        """Take some updates of the players whose turn it is."""
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for _ in range(self.config.updates_per_step):
            small, large, progress = self._examples.after(self.progress)
            self._upscaler.train()
            first = self.progress < self.config.warm_up * self.budget
            share = 1.0 - 0.9 * self.progress / self.budget
            wanted, made = self._upscaler.luma(large), self._upscaler.large_luma(small)
            for name, value in (self._prepare if first else self._play)(made, wanted, share).items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
                counts[name] = counts.get(name, 0) + 1
            self.progress = progress
            if self.progress >= self.budget:
                break
        return {**{name: value / counts[name] for name, value in sums.items()}, "epoch": self.progress / self.task.num_examples("train")}

    @torch.no_grad()
    def predict(self, inputs: Any) -> Any:
        """Return large pictures [B, H, W, C], bytes."""
        return self._upscaler.eval().answers(torch.from_numpy(np.ascontiguousarray(inputs)).to(self._torch_device)).cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trainable parameters of the upscaler by name; the others have turns of their own."""
        return self.generator.parameters("generator")

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the upscaler, in one of `export_formats`; see `dl_nets.learning.export`."""
        return write(exportable(self._upscaler, OwnRule("auto", 0.0), self.task.input_space), form, out)

    def draw(self, folder: Path) -> None:
        """Draw the task's figures."""
        self.task.draw_answers(folder, self.predict)

    def _prepare(self, made: Tensor, wanted: Tensor, share: float) -> dict[str, Tensor]:
        """Let the upscaler learn from the absolute error of luma [B, 1, H, W], and the features from degraded pictures."""
        shown, forms = degraded(wanted, self._scale, self._forms)
        logits = self._seen(shown)
        metrics = {
            "pixel_loss": (made - wanted).abs().mean(),
            "form_loss": functional.cross_entropy(logits, forms),
            "form_accuracy": (logits.argmax(dim=1) == forms).float().mean(),
        }
        self.features.descend(metrics["form_loss"], share)
        self.generator.descend(metrics["pixel_loss"], share)
        return metrics

    def _play(self, made: Tensor, wanted: Tensor, share: float) -> dict[str, Tensor]:
        """Let the discriminator learn from luma [B, 1, H, W] of large pictures and of made ones, then the upscaler."""
        config = self.config
        real, fake = ((2.0 * luma - 1.0).permute(0, 2, 3, 1) for luma in (wanted, made))
        metrics = {"discriminator_loss": discriminator_loss("non-saturating", self._judged(real), self._judged(fake.detach()))}
        loss = metrics["discriminator_loss"]
        if config.penalty_weight:
            loss = loss + config.penalty_weight * r1_penalty(self._judged, real)
        self.discriminator.descend(loss, share)
        metrics["pixel_loss"] = (made - wanted).abs().mean()
        metrics["feature_loss"] = feature_error(self._seen, made, wanted)
        metrics["adversarial_loss"] = generator_loss("non-saturating", self._judged(fake))
        loss = config.pixel_weight * metrics["pixel_loss"] + config.feature_weight * metrics["feature_loss"]
        self.generator.descend(loss + config.adversarial_weight * metrics["adversarial_loss"], share)
        return metrics

    def _judged(self, luma: Tensor) -> Tensor:
        logits: Tensor = self.discriminator.module(luma)
        return logits[:, 0]

    @cached_property
    def _examples(self) -> Shuffled:
        return Shuffled(self.task, self.seeds, self._torch_device, self.config.batch_size)
