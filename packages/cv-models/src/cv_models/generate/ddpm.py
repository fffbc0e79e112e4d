"""A diffusion model: a network that learns to take noise out of images, and draws images by taking it out of nothing but noise.

An image x_0 is noised to x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e, e from N(0, 1), and the network learns to name e. Images are drawn by the
deterministic steps of DDIM, so that an image is a function of the noise that it began with. With labels, some are hidden while learning;
answers then follow e(x, hidden) + g (e(x, label) - e(x, hidden)), g the guidance.

Sources: Ho, Jain and Abbeel, *Denoising diffusion probabilistic models*, 2020, equations 4, 12 and 14; steps: Song, Meng and Ermon,
*Denoising diffusion implicit models*, 2021, equation 12 with sigma = 0; cosine schedule: Nichol and Dhariwal, *Improved denoising diffusion
probabilistic models*, 2021, equation 17; guidance: Ho and Salimans, *Classifier-free diffusion guidance*, 2022. Departures: a small U-Net
without attention; x_0 is clipped to [-1, 1] in each step.

The learner is `supervised`; `average=ema` is the moving average that answers. Letters: B batch, H W C image, T times, K classes.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import conv
from dl_nets.generative import pictures
from dl_nets.generative.conditions import joined, parts_of, split
from dl_nets.generative.conditions import shares as label_shares
from dl_nets.generative.noise import Noise
from dl_nets.learning.losses import weighted_mean
from dl_nets.networks.initialisation import linear
from dl_nets.networks.spaces import image_shape
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.network import Network

GROUPS = 4  # of group normalisation; channels are multiples of it


@configclass
class DDPMConfig:
    """Settings of the diffusion model."""

    width: Annotated[int, Meta(ge=4, multiple_of=4), Doc("channels of the largest map; each smaller one has twice as many")] = 32
    levels: Annotated[Count, Doc("sizes of maps, each half the one before")] = 2
    times: Annotated[int, Meta(ge=2), Doc("T, amounts of noise that are learned")] = 500
    schedule: Annotated[Literal["cosine", "linear"], Doc("how the share of the image falls with time")] = "cosine"
    steps: Annotated[Count, Doc("steps in which an image is drawn, T at most")] = 25
    hidden_labels: Annotated[float, Meta(ge=0, lt=1), Doc("share of the labels that are hidden while learning")] = 0.1
    guidance: Annotated[NonNegative, Doc("g, how much answers are moved towards their label; 1 is none")] = 1.0

    def __post_init__(self) -> None:
        if self.steps > self.times:
            raise ValueError(f"steps is {self.steps} and times {self.times}; expected at most as many steps as times")


def shares(schedule: str, times: int) -> np.ndarray:
    """Return a_t [T + 1], the share of an image's variance that is left at time t, from a_0 = 1.

    - cosine: a_t = f(t) / f(0), f(t) = cos^2((t / T + 0.008) / 1.008 * pi / 2);
    - linear: a_t = prod (1 - b_s), b from 0.1 / T to 20 / T, which for T = 1000 is Ho's.

    No step takes more than 0.999 of the variance.

    >>> [round(float(a), 3) for a in shares("cosine", 2)], [round(float(a), 3) for a in shares("linear", 1000)[[500, 1000]]]
    ([1.0, 0.494, 0.0], [0.079, 0.0])
    """
    if schedule == "cosine":
        angles = (np.arange(times + 1) / times + 0.008) / 1.008 * np.pi / 2
        ratio = np.cos(angles[1:]) ** 2 / np.cos(angles[:-1]) ** 2
    else:
        ratio = 1.0 - np.linspace(0.1, 20.0, times) / times
    return np.concatenate([[1.0], np.cumprod(np.clip(ratio, 0.001, 1.0))])


def noised(images: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Return x_t = sqrt(a) x_0 + sqrt(1 - a) e [B, ...] of images and noise [B, ...] and a [B] (4).

    >>> noised(torch.ones(1, 1), torch.ones(1, 1), torch.tensor([0.36])).item()  # 0.6 + 0.8
    1.4000000953674316
    """
    share = share.reshape(-1, *[1] * (images.ndim - 1))
    return share.sqrt() * images + (1.0 - share).sqrt() * noise


def earlier(noisy: Tensor, noise: Tensor, share: float, earlier_share: float) -> Tensor:
    """Return x_s [B, ...] of an earlier time s, from x_t and the noise that is in it (DDIM 12).

    x_s = sqrt(a_s) x_0 + sqrt(1 - a_s) e, x_0 = (x_t - sqrt(1 - a_t) e) / sqrt(a_t), clipped to [-1, 1].

    Back to time 0, with the true noise, the image is there again:

    >>> x = noised(torch.tensor([[0.5]]), torch.tensor([[2.0]]), torch.tensor([0.36]))
    >>> round(earlier(x, torch.tensor([[2.0]]), 0.36, 1.0).item(), 6)
    0.5
    """
    image = torch.clamp((noisy - math.sqrt(1.0 - share) * noise) / math.sqrt(share), -1.0, 1.0)
    return math.sqrt(earlier_share) * image + math.sqrt(1.0 - earlier_share) * noise


class Block(nn.Module):
    """Two convolutions with a residual, the second of which sees the time.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        size: Numbers that stand for a time.
        rng: Source of the weights.
    """

    def __init__(self, before: int, after: int, size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(GROUPS, before), nn.GroupNorm(GROUPS, after)
        self.first, self.second = conv(before, after, 3, rng, bias=True), conv(after, after, 3, rng, bias=True)
        self.time = linear(size, after, rng)
        self.passed = conv(before, after, 1, rng) if before != after else nn.Identity()

    def forward(self, maps: Tensor, time: Tensor) -> Tensor:
        """Return maps [B, after, H, W] of maps [B, before, H, W] at times [B, size]."""
        inner = self.first(functional.silu(self.first_norm(maps))) + self.time(time)[:, :, None, None]
        inner = self.second(functional.silu(self.second_norm(inner)))
        passed: Tensor = self.passed(maps)
        return (passed + inner) * math.sqrt(0.5)


class NoiseNetwork(nn.Module):
    """U-Net from noisy images [B, C, H, W] and times to the noise that is in them.

    Args:
        config: As the network's.
        classes: K; 0 for none.
        channels: C.
        rng: Source of the weights.
    """

    def __init__(self, config: DDPMConfig, classes: int, channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._times, size = config.times, 2 * config.width
        self._rates = [10_000.0 ** -(number / config.width) for number in range(config.width)]
        self.time = nn.Sequential(linear(size, size, rng), nn.SiLU(), linear(size, size, rng), nn.SiLU())
        self.label = nn.Parameter(torch.from_numpy(rng.standard_normal((classes + 1, size), dtype=np.float32))) if classes else None
        widths = [config.width * 2**level for level in range(config.levels)]
        self.first = conv(channels, config.width, 3, rng, bias=True)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = config.width
        for width in widths:
            self.down.append(Block(before, width, size, rng))
            before = width
        self.middle = Block(before, before, size, rng)
        for width in reversed(widths):
            self.up.append(Block(before + width, width, size, rng))
            before = width
        self.norm, self.last = nn.GroupNorm(GROUPS, before), conv(before, channels, 3, rng, bias=True)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, images: Tensor, times: Tensor, labels: Tensor | None) -> Tensor:
        """Return noise [B, C, H, W] at times [B]; label 0 of labels [B], or of every word of texts [B, T], is hidden."""
        angles = 1000.0 * times[:, None] / self._times * torch.tensor(self._rates, device=images.device)
        embedded = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.label is not None and labels is not None:
            embedded = embedded + label_shares(labels, len(self.label)) @ self.label
        maps, passed = self.first(images), []
        for number, block in enumerate(self.down):
            maps = block(functional.avg_pool2d(maps, 2, ceil_mode=True) if number else maps, embedded)
            passed.append(maps)
        maps = self.middle(maps, embedded)
        for number, block in enumerate(self.up):
            skip = passed.pop()
            if number:
                maps = functional.interpolate(maps, size=skip.shape[2:], mode="nearest")
            maps = block(torch.cat([maps, skip], dim=1), embedded)
        noise: Tensor = self.last(functional.silu(self.norm(maps)))
        return noise


class DDPMModule(nn.Module):
    """The module that `DDPM` builds.

    Args:
        config: As the network's.
        classes: K; 0 for none.
        space: Of images.
        rng: Source of the weights.
    """

    share: Tensor

    def __init__(self, config: DDPMConfig, classes: int, space: spaces.Box, rng: np.random.Generator) -> None:
        super().__init__()
        self.network = NoiseNetwork(config, classes, image_shape(space)[2], rng)
        self.noise = Noise(rng)
        self._config = config
        self._low, self._high = float(space.low.min()), float(space.high.max())
        self._classes = classes
        self._shares = shares(config.schedule, config.times)
        self.register_buffer("share", torch.from_numpy(self._shares.astype(np.float32)), persistent=False)

    def training_loss(self, inputs: Any, targets: Any, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared error [] of the noise that is named in images [B, H, W, C] (14); the noise in the inputs is not used."""
        images = ((targets.float() - self._low) * (2.0 / (self._high - self._low)) - 1.0).permute(0, 3, 1, 2)
        labels = split(inputs)[1]
        times = 1 + torch.floor(self.noise.uniform(images[:, 0, 0, 0]) * self._config.times).long()
        noise = self.noise.normal(images)
        if labels is not None:
            shown = self.noise.uniform(images[:, 0, 0, 0]) >= self._config.hidden_labels
            labels = torch.where(shown.reshape(-1, *[1] * (labels.ndim - 1)), labels.long() + 1, 0)
        found = self.network(noised(images, noise, self.share[times]), times, labels)
        return weighted_mean((found - noise).square().flatten(1).mean(1), weights), {}

    def answers(self, inputs: Any) -> Tensor:
        """Return images [B, H, W, C] that are drawn from noise [B, H, W, C]."""
        return self.path(inputs)[-1]

    def forward(self, inputs: Any) -> Tensor:
        """Return images [B, H, W, C] that are drawn from noise [B, H, W, C]."""
        return self.answers(inputs)

    def path(self, inputs: Any) -> list[Tensor]:
        """Return the images [B, H, W, C] after each step, from the noise [B, H, W, C] to the last, in their space's bounds."""
        noise, labels = split(inputs)
        images, steps = noise.float().permute(0, 3, 1, 2), self._config.steps
        times = [round(self._config.times * (steps - number) / steps) for number in range(steps + 1)]
        path = [images]
        for time, before in pairwise(times):
            path.append(earlier(path[-1], self._named(path[-1], time, labels), float(self._shares[time]), float(self._shares[before])))
        half = 0.5 * (self._high - self._low)
        return [torch.clamp(self._low + half * (each + 1.0), self._low, self._high).permute(0, 2, 3, 1) for each in path]

    def draw(self, folder: Path, task: Any) -> None:
        """Draw images on their way from noise."""
        indices = np.arange(min(8, task.num_examples("test")))
        noise, labels = split(task.read("test", indices)[0])
        given = [None if part is None else torch.from_numpy(np.asarray(part)).to(self.share.device) for part in (noise, labels)]
        assert given[0] is not None
        path = self.path(joined(given[0], given[1]))
        chosen = sorted({round(place) for place in np.linspace(0, len(path) - 1, 6)})
        rows = {f"step {place}": path[place] for place in chosen}
        pictures.rows(folder / "from-noise.png", rows, title=f"images on their way from noise, {len(path) - 1} steps")

    def _named(self, images: Tensor, time: int, labels: Tensor | None) -> Tensor:
        """Return the noise [B, C, H, W] in images at a time, moved by the guidance where there are labels."""
        times = torch.full((images.shape[0],), time, device=images.device)
        if labels is None:
            found: Tensor = self.network(images, times, None)
            return found
        found = self.network(images, times, labels.long() + 1)
        if self._config.guidance == 1.0:
            return found
        hidden = self.network(images, times, torch.zeros_like(labels.long()))
        return hidden + self._config.guidance * (found - hidden)


class DDPM(Network):
    """Builder of diffusion models for small images."""

    Config: ClassVar[type] = DDPMConfig
    config: DDPMConfig
    own_loss = True

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> DDPMModule:
        """Build a diffusion model of the images of the output space.

        Raises:
            ValueError: if inputs are not noise of the images' own shape, or images are not bounded.
        """
        noise, classes = parts_of(input_space)
        if not isinstance(output_space, spaces.Box) or len(output_space.shape) != 3 or not output_space.is_bounded():
            raise ValueError(f"the outputs are {output_space}; a diffusion model draws images, a bounded Box [height, width, channels]")
        if noise.shape != output_space.shape or noise.dtype.kind != "f" or noise == output_space:
            raise ValueError(f"the inputs are {noise}; expected noise of the images' own shape, {output_space.shape}: set task.noise=0")
        least = min(output_space.shape[:2])
        if least < 2 ** (self.config.levels - 1) * 2:
            raise ValueError(
                f"levels is {self.config.levels}, and images are {least} pixels high or wide; expected twice as many at the last"
            )
        return DDPMModule(self.config, classes, output_space, rng)
