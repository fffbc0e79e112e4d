"""Networks: builders of modules from spaces. The host knows no deep-learning library; the plugin decides what a module is.

**What a module gives.** Inputs are a batch of the input space: an array [B, ...] as the space has it (images [B, H, W, C]), a dict of
arrays for `Dict`, `rl_core.batches.Ragged` rows for `Sequence`. A learner passes them as arrays of the module's library. Outputs depend
on the output space:

| output space | outputs |
|---|---|
| `Discrete(K)` | logits [B, K] |
| `Box`, `MultiBinary` | numbers, or logits, [B, *shape] |
| `MultiDiscrete` [H, W] of K classes (a label map) | logits [B, H, W, K] |
| `MultiDiscrete` [T] of V tokens | logits [B, T, V] |
| `Sequence(Discrete(K))` | `Ragged` logits, values [N, K]: one for each item of the target's rows |
| `Dict` of the above | a dict of the outputs of each part |
| `Text`, `Sequence(Dict(box, label[, mask]))`, anything else | a module with its own loss |

A flat row [B, K] of the same numbers in the same order is accepted wherever the table has more than two axes.

**A module may bring its own loss.** It then has two methods, and its network sets `own_loss = True`:

- `training_loss(inputs, targets, weights) -> (loss, metrics)`: the mean loss [] of a batch, ready for a gradient, and further metrics
  by name, numbers or arrays []. `weights` [B] count examples more than once; `None`: all alike. Called on a module that learns, and,
  without gradients, on one that does not, for the validation loss.
- `answers(inputs) -> predictions`: a batch in the task's output space, arrays of the module's library or of NumPy.

Detectors, sequence models, autoencoders and captioners are learned by `supervised` through these two.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from rl_core.configured import Configured

if TYPE_CHECKING:
    import gymnasium
    import numpy as np


@runtime_checkable
class OwnLoss(Protocol):
    """A module that brings its own loss; see the module's text."""

    def training_loss(self, inputs: Any, targets: Any, weights: Any = None) -> tuple[Any, dict[str, Any]]:
        """Return the mean loss [] of a batch and further metrics by name."""

    def answers(self, inputs: Any) -> Any:
        """Return predictions [B, ...] in the task's output space."""


class Network(Configured):
    """A recipe for modules: one network may build several (an actor and a critic) with the same config.

    Args:
        config: An instance of `Config`, a frozen dataclass.

    Attributes:
        stateful: Whether modules carry a state from one input to the next. Agents that keep states use `build_stepped` then.
        own_loss: Whether the modules bring their own loss (`OwnLoss`). Agents that need plain outputs refuse such a network.
    """

    stateful: ClassVar[bool] = False
    own_loss: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def build(self, input_space: gymnasium.Space, output_space: gymnasium.Space, rng: np.random.Generator) -> Any:
        """Return a freshly initialised module (a `torch.nn.Module` in this repository) from inputs to outputs, as the table above has it.

        All random numbers come from `rng`; nothing global is read or seeded.

        Raises:
            ValueError: if the network cannot take one of the spaces; the message says which spaces it takes.
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
