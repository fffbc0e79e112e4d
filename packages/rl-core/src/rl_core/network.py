"""The network: builds modules from spaces. The host knows no deep-learning library; the plugin decides what a module is."""

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

    Attributes:
        stateful: Whether modules carry a state from one input to the next. Agents that keep states use `build_stepped` then.
    """

    Config: ClassVar[type]
    stateful: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def build(self, input_space: gymnasium.Space, output_space: gymnasium.Space, rng: np.random.Generator) -> Any:
        """Return a freshly initialised module (a `torch.nn.Module` in this repository) from inputs [B, ...] to outputs [B, K].

        K is the number of classes or actions for `Discrete`, the product of the shape for `Box`. Image inputs arrive
        as the space has them, [B, H, W, C]. All random numbers come from `rng`; nothing global is read or seeded.
        """

    def build_stepped(self, input_space: gymnasium.Space, output_space: gymnasium.Space, rng: np.random.Generator) -> Any:
        """Return a freshly initialised module that is stepped through time by an agent, which keeps its state.

        The module has an attribute `state_size`, S, and is called as `module(inputs, state, starts)` with

        - inputs [T, B, ...] of T steps,
        - the state before the first of them [B, S], float32, which is 0 for a new sequence,
        - starts [T, B], bool: whether a new sequence starts with a step, so that the state before it counts as 0.

        It returns outputs [T, B, K] and the state after the last step [B, S]. A network that is `stateful` implements this.
        """
        raise NotImplementedError(f"{type(self).__name__} carries no state from step to step; take a recurrent network")
