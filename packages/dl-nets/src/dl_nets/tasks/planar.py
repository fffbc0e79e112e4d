"""The tasks `xor`, `two-moons` and `spirals`: points of the plane in classes that no straight line separates.

Each class is a curve, or some spots, and a point is a place on it, drawn uniformly, plus normal noise. So the density of each class is
known, and with it the best answer to each point: the class of the largest density (Bayes' rule). Target: the accuracy of that rule on the
same test split, less 0.01.

Sources: Minsky and Papert, *Perceptrons*, 1969 (xor); Lang and Witbrock, *Learning to tell two spirals apart*, 1988; the moons are those
of scikit-learn's `make_moons`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask, accuracy
from dl_nets.tasks.splits import SplitConfig
from rl_core.config import Doc, Meta, Positive, Whole, configclass

PLACES = 200  # places of a curve
MARGIN = 0.01  # the target is the accuracy of Bayes' rule less this

Shape = Literal["xor", "two-moons", "spirals"]


@configclass
class PlanarConfig(SplitConfig):
    """The shape of the classes, and the points that are drawn."""

    shape: Annotated[Shape, Doc("xor: two corners of the unit square each; two-moons: interlocking half circles; spirals: arms")] = "xor"
    examples: Annotated[int, Meta(ge=20), Doc("N, points of all splits together")] = 1000
    noise: Annotated[Positive, Doc("sigma, deviation of the noise on each coordinate")] = 0.15
    arms: Annotated[int, Meta(ge=2), Doc("K, classes of spirals")] = 2
    turns: Annotated[Positive, Doc("revolutions of each arm of spirals")] = 1.0
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0


class Planar(ArrayTask):
    """Points [2] of the plane, and the class of each; each class has its share in every split."""

    Config: ClassVar[type] = PlanarConfig

    def __init__(self, config: PlanarConfig) -> None:
        rng = np.random.Generator(np.random.PCG64(config.data_seed))
        self._curves, self._noise = curves(config), config.noise
        classes = rng.permutation(np.arange(config.examples) % len(self._curves))
        places = rng.integers(0, self._curves.shape[1], config.examples)
        points = (self._curves[classes, places] + rng.normal(0.0, config.noise, (config.examples, 2))).astype(np.float32)
        parts = config.indices(config.examples, classes)
        splits = {name: (points[indices], classes[indices]) for name, indices in parts.items()}
        names = ("equal", "different") if config.shape == "xor" else tuple(str(label) for label in range(len(self._curves)))
        super().__init__(config, splits, spaces.Box(-np.inf, np.inf, (2,), np.float32), names)
        self.target = accuracy(self.bayes(splits["test"][0]), splits["test"][1]) - MARGIN

    def bayes(self, points: np.ndarray) -> np.ndarray:
        """Return the class [N] of the largest density at each of the points [N, 2]: the best possible answers."""
        return log_densities(points, self._curves, self._noise).argmax(axis=1)


def curves(config: PlanarConfig) -> np.ndarray:
    """Return the places [K, P, 2] that the points of each class lie around.

    >>> curves(PlanarConfig(shape="xor")).tolist()
    [[[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
    >>> curves(PlanarConfig(shape="two-moons"))[:, 0].round(3).tolist()
    [[1.0, 0.0], [0.0, 0.5]]
    """
    if config.shape == "xor":
        return np.array([[[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    share = np.linspace(0.0, 1.0, PLACES)
    if config.shape == "two-moons":
        x, y = np.cos(np.pi * share), np.sin(np.pi * share)
        return np.stack([np.stack([x, y], axis=1), np.stack([1.0 - x, 0.5 - y], axis=1)])
    radius = 0.3 + 2.7 * np.sqrt(share)  # about as many places for each length of arm
    angle = 2.0 * np.pi * (config.turns * np.sqrt(share) + np.arange(config.arms)[:, None] / config.arms)  # [K, P]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)


def log_densities(points: np.ndarray, places: np.ndarray, noise: float) -> np.ndarray:
    """Return the logarithm [N, K] of each class's density at points [N, 2], but for a constant: log mean_p exp(-|x - c_p|^2 / 2 sigma^2).

    Args:
        points: [N, 2].
        places: Places [K, P, 2] that the points of each class lie around, all equally likely.
        noise: sigma.

    >>> log_densities(np.array([[0.0, 2.0]]), np.array([[[0.0, 0.0]], [[0.0, 3.0]]]), 1.0).tolist()
    [[-2.0, -0.5]]
    """
    exponent = -np.square(points[:, None, None] - places).sum(3) / (2.0 * noise**2)  # [N, K, P]
    largest = exponent.max(axis=2)
    return largest + np.log(np.exp(exponent - largest[:, :, None]).mean(axis=2))
