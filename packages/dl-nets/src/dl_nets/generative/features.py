"""Features that samples are compared by: of a small network that learned the task's own labels, or principal components without labels."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.generative.view import View
from dl_nets.learning.streams import module_state
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.initialisation import conv2d, linear
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import DataTask

SIZE = 64  # D, features at most
EPOCHS = 2
EXAMPLES = 10_000  # of the training split, at most, that give the scale of the features
KEPT = 4  # extractors that a process keeps, by what they were learned from


@configclass
class FeatureConfig:
    """The network has no settings: distances by other features could not be compared."""


class FeatureLayers(nn.Module):
    """Module from images [B, H, W, C] to logits [B, K], through `features` [B, D]."""

    def __init__(self, space: gymnasium.Space[Any], outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        height, width, channels = image_shape(space)
        self.scale = UnitScale(space)
        layers: list[nn.Module] = []
        for filters in (16, 32, 64):
            layers += [conv2d(channels, filters, 3, rng, stride=2, padding=1, gain=2.0**0.5), nn.BatchNorm2d(filters), nn.ReLU()]
            height, width, channels = (height + 1) // 2, (width + 1) // 2, filters
        self.layers = nn.Sequential(*layers, nn.Flatten(), linear(height * width * channels, SIZE, rng))
        self.head = linear(SIZE, outputs, rng)

    def features(self, images: Tensor) -> Tensor:
        """Return features [B, D] of images [B, H, W, C], bytes or numbers in [0, 1]."""
        features: Tensor = self.layers(self.scale(images).permute(0, 3, 1, 2))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, K]."""
        logits: Tensor = self.head(torch.relu(self.features(images)))
        return logits


class FeatureNetwork(Network):
    """Builder of the small network whose features are compared."""

    Config: ClassVar[type] = FeatureConfig

    def build(self, input_space: gymnasium.Space[Any], output_space: gymnasium.Space[Any], rng: np.random.Generator) -> FeatureLayers:
        """Build it for images and classes."""
        return FeatureLayers(input_space, output_size(output_space), rng)


class Extractor(NamedTuple):
    """Features of one task's inputs, standardised by its training split.

    Attributes:
        module: The network; `None` for principal components.
        mean: Of the raw features [D].
        scale: Deviation of the raw features [D].
        axes: Principal axes [numbers of an input, D] without a network.
        digest: Names the features: distances with other digests are not comparable.
    """

    module: FeatureLayers | None
    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    digest: str

    @torch.no_grad()
    def __call__(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return features [B, D] of inputs as numbers [B, ...], and the probabilities of classes [B, K], or `None`."""
        if self.module is None:
            return (inputs.reshape(len(inputs), -1) @ self.axes - self.mean) / self.scale, None
        raw, logits = [], []
        for part in torch.from_numpy(np.asarray(inputs, dtype=np.float32)).split(500):
            raw.append(self.module.eval().features(part))
            logits.append(self.module.head(torch.relu(raw[-1])))
        probabilities = torch.softmax(torch.cat(logits).double(), dim=1).numpy()
        return (torch.cat(raw).double().numpy() - self.mean) / self.scale, probabilities


_LEARNED: dict[str, Extractor] = {}


def extractor(view: View) -> Extractor:
    """Return the features of a view's inputs: learned from the labels of its task where it shows images of classes.

    They are a function of the task and its data, always from the same seed, so a process learns them once.
    """
    rows = np.arange(min(EXAMPLES, view.num_examples("train")))
    numbers, classes = view.numbers("train", rows), view.classes("train", rows)
    key = hashlib.blake2b(numbers.tobytes() + (b"" if classes is None else classes.tobytes()), digest_size=16).hexdigest()
    key = f"{type(view.source).__qualname__} {view.source.config!r} {view.num_examples('train')} {key}"
    if key not in _LEARNED:
        while len(_LEARNED) >= KEPT:
            del _LEARNED[next(iter(_LEARNED))]
        _LEARNED[key] = _made(view, numbers)
    return _LEARNED[key]


def _made(view: View, numbers: np.ndarray) -> Extractor:
    """Return the extractor of a view, the scale of whose features follows from training inputs as numbers [N, ...]."""
    if isinstance(view.source.output_space, spaces.Discrete) and len(view.space.shape) == 3 and min(view.space.shape[:2]) >= 4:
        module, axes = _learned(view.source), np.zeros((0, 0))
        digest = hashlib.blake2b(b"".join(value.tobytes() for value in module_state(module).values()), digest_size=4).hexdigest()
        made = Extractor(module, np.zeros(SIZE), np.ones(SIZE), axes, digest)
    else:
        flat = numbers.reshape(len(numbers), -1).astype(np.float64)
        axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][: min(SIZE, len(flat) // 4)].T
        made = Extractor(None, np.zeros(axes.shape[1]), np.ones(axes.shape[1]), axes, f"pca-{axes.shape[1]}")
    raw = made(numbers)[0]
    deviation = raw.std(axis=0)
    return made._replace(mean=raw.mean(axis=0), scale=np.where(deviation > 1e-9, deviation, 1.0))


def _learned(task: DataTask) -> FeatureLayers:
    """Return the network after `EPOCHS` epochs on the task's labels, and more on small tasks; always from the same seed."""
    size = task.num_examples("train") + task.num_examples("validation")
    epochs = max(EPOCHS, min(30, 20_000 // size))
    config = SupervisedConfig(learning_rate=3e-3, batch_size=64, epochs=epochs)
    learner = Supervised(config, task, FeatureNetwork(FeatureConfig()), seeds=Seeds(0), budget=epochs * size, device="cpu")
    while learner.progress < learner.budget:
        learner.step()
    module = learner.module
    assert isinstance(module, FeatureLayers)
    return module
