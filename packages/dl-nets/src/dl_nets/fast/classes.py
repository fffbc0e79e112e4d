"""Gradients of fast perceptrons that learn classes, without a graph of torch's.

The derivative of cross-entropy is known, so that a batch takes a forward pass, a softmax and a backward pass in NumPy. torch's graph,
its loss and its backward pass cost as much again on a small perceptron.

Letters: B batch, K classes.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from dl_nets.fast.bridge import Flat, Perceptron, is_plain
from dl_nets.fast.mlp import FastMLP


def cross_entropy_error(outputs: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of -ln softmax(z)[y], and its derivative with respect to the outputs [B, K]: (softmax(z) - 1[k = y]) / B.

    Args:
        outputs: z [B, K], float32.
        classes: y [B].

    Probabilities of 3/4 and 1/4, and the first class is right:

    >>> loss, error = cross_entropy_error(np.log(np.array([[3.0, 1.0]], dtype=np.float32)), np.array([0]))
    >>> round(loss, 4), error.round(4).tolist()
    (0.2877, [[-0.25, 0.25]])
    """
    rows = np.arange(len(outputs))
    shifted = outputs - outputs.max(1, keepdims=True)
    error = np.exp(shifted)
    total = error.sum(1, keepdims=True)
    loss = float((np.log(total[:, 0]) - shifted[rows, classes]).mean())
    error /= total
    error[rows, classes] -= 1.0
    error /= len(outputs)
    return loss, error


class FastClasses:
    """A perceptron that writes the gradient of its cross-entropy onto a flat vector.

    Args:
        module: The perceptron.
        layers: Its layers on the flat vector.
    """

    def __init__(self, module: Perceptron, layers: FastMLP) -> None:
        self._module, self._layers = module, layers

    @classmethod
    def of(cls, module: nn.Module, flat: Flat) -> FastClasses | None:
        """Return the perceptron of a module whose parameters are on `flat`, or `None` where it has no fast path."""
        layers = flat.fast_mlp(module) if type(module) is Perceptron else None
        return None if layers is None or not isinstance(module, Perceptron) else cls(module, layers)

    def backward(self, inputs: Tensor, classes: Tensor) -> float | None:
        """Write the gradient of a batch [B, ...] with classes [B] in 0 ... K - 1; return the mean loss, or `None` to leave it to torch."""
        vectors = self._module.vectors(inputs)
        if not is_plain(vectors) or self._module.has_hooks:
            return None
        loss, error = cross_entropy_error(self._layers.forward(vectors.numpy()), classes.numpy())
        self._layers.backward(error)
        return loss
