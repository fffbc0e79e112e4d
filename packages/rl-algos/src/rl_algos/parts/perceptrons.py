"""An actor and its critics as plain perceptrons on one flat vector: what the compiled paths of continuous control compute with.

Letters: P parameters of all of them.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from dl_nets.fast.mlp import FastMLP, Layout, flat_parameters


class Perceptrons:
    """An actor and its critics on one flat vector, so that one pass moves all of them.

    Args:
        modules: The actor, then the critics; `Layout.of` must know each.

    Attributes:
        parameters: The actor's, then the critics' [P], float32.
        gradient: [P], float32.
        actor_size: How many of them are the actor's.
        actor: On its part of both.
        critics: On theirs.

    Raises:
        ValueError: if a module is no plain perceptron.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        layouts = [layout for module in modules if (layout := Layout.of(module))]
        if len(layouts) < len(modules):
            raise ValueError("the compiled path takes plain perceptrons of tanh or ReLU; for other networks set compiled=false")
        self.parameters = np.concatenate([flat_parameters(module) for module in modules])
        self.gradient = np.zeros_like(self.parameters)
        self.actor_size = layouts[0].num_parameters
        self.actor, *self.critics = _on_vector(layouts, self.parameters, self.gradient)

    def named_parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name, as views."""
        named = self.actor.named_parameters("actor")
        for number, critic in enumerate(self.critics):
            named |= critic.named_parameters(f"critics.{number}")
        return named

    def twin(self, parameters: np.ndarray) -> list[FastMLP]:
        """The same networks with other parameters [P]: actor, then critics. Their gradients are not to be asked for."""
        return _on_vector([self.actor.layout, *(critic.layout for critic in self.critics)], parameters, self.gradient)


def _on_vector(layouts: list[Layout], parameters: np.ndarray, gradient: np.ndarray) -> list[FastMLP]:
    """Networks one behind the other on flat vectors [P]."""
    nets, start = [], 0
    for layout in layouts:
        part = slice(start, start + layout.num_parameters)
        nets.append(FastMLP(layout, parameters[part], gradient[part]))
        start = part.stop
    return nets
