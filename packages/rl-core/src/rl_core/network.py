"""The network: builds modules from spaces. The host knows no deep-learning library; the module is the plugin's affair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import gymnasium
    import numpy as np


class Network(ABC):
    """A recipe for modules: one network may build several (an actor and a critic) with the same config.

    Args:
        config: An instance of `Config`, a frozen dataclass.
    """

    Config: ClassVar[type]

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def build(self, input_space: gymnasium.Space, output_space: gymnasium.Space, rng: np.random.Generator) -> Any:
        """A freshly initialised module (a `torch.nn.Module` in this repository) from inputs [B, ...] to outputs [B, K].

        K is the number of classes or actions for `Discrete`, the product of the shape for `Box`. Image inputs arrive
        as the space has them, [B, H, W, C]. All random numbers come from `rng`; nothing global is read or seeded.
        """
