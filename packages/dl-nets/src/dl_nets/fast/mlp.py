"""Fast perceptrons on a CPU: forward, backward and Adam on flat vectors, by BLAS and compiled loops.

A 64 x 64 perceptron on a batch of 256 takes some 10 MFLOP a step. On one core torch spends most of a step on dispatch; here a step is
a dozen calls of BLAS into arrays that are allocated once. The reference is the `torch.nn.Sequential` that `Layout.of` reads,
and the tests hold both to the same outputs, gradients and updated parameters.

Source: backpropagation, Rumelhart, Hinton and Williams, 1986; Adam, D. P. Kingma and J. Ba, "Adam: a method for stochastic
optimization", 2015, Algorithm 1; clipping by the norm, R. Pascanu and others, 2013, Algorithm 1.
Departures: none. The compiled loops may add in another order than written (`fastmath`), but always in the same one.
Letters: B batch, I inputs and O outputs of a layer, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import nn

from dl_nets.fast.sparse_rows import SparseRows
from rl_core.compiling import vectorised

WIDE = 1024  # inputs from which on it pays to look whether most of them are 0
MOSTLY = 0.05  # fraction that may differ from 0 then


@dataclass(frozen=True)
class Layout:
    """The shape of a plain perceptron: linear layers, and one activation between them.

    Attributes:
        sizes: Inputs, units of each hidden layer, outputs.
        activation: "tanh" or "relu".
    """

    sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]

    @classmethod
    def of(cls, module: nn.Module) -> Layout | None:
        """Return the layout of a plain perceptron, or `None` for any other module.

        Args:
            module: A `torch.nn.Sequential`, or a module that has one as `plain_layers` and reads vectors of floats.

        >>> Layout.of(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)))
        Layout(sizes=(4, 8, 2), activation='tanh')
        >>> Layout.of(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))) is None
        True
        """
        layers = getattr(module, "plain_layers", module)
        if type(layers) is not nn.Sequential:
            return None
        linear, between = [layer for layer in list(layers)[::2] if type(layer) is nn.Linear], list(layers)[1::2]
        kinds = {type(layer) for layer in between}
        if len(linear) != len(between) + 1 or any(layer.bias is None for layer in linear):
            return None
        if kinds not in ({nn.Tanh}, {nn.ReLU}, set()):
            return None
        sizes = (linear[0].in_features, *(layer.out_features for layer in linear))
        return cls(sizes, "relu" if kinds == {nn.ReLU} else "tanh")

    @property
    def num_parameters(self) -> int:
        """P, weights and biases."""
        return sum(outputs * (inputs + 1) for inputs, outputs in zip(self.sizes[:-1], self.sizes[1:], strict=True))


def flat_parameters(module: nn.Module) -> np.ndarray:
    """Return a copy of all parameters of a module in torch's order [P], float32: weight [O, I] and bias [O] of each layer.

    >>> layer = nn.Linear(2, 1)
    >>> nn.init.constant_(layer.weight, 0.5); nn.init.zeros_(layer.bias)
    Parameter containing:
    tensor([[0.5000, 0.5000]], requires_grad=True)
    Parameter containing:
    tensor([0.], requires_grad=True)
    >>> flat_parameters(layer).tolist()
    [0.5, 0.5, 0.0]
    """
    parts = [parameter.detach().cpu().numpy().ravel() for parameter in module.parameters()]
    return np.concatenate(parts).astype(np.float32)


class FastMLP:
    """A perceptron on views of flat vectors, which several networks of one agent share.

    Args:
        layout: Sizes and activation.
        parameters: The weights [P], float32; read at every call.
        gradient: Written by `backward` [P], float32.

    Wide inputs of which most are 0 are multiplied without the zeros (`sparse_rows`).
    `forward` returns a buffer, valid until the next `forward`; buffers grow with the largest batch.

    >>> layout = Layout((1, 1), "tanh")
    >>> net = FastMLP(layout, np.array([2, 1], dtype=np.float32), np.zeros(2, dtype=np.float32))
    >>> net.forward(np.array([[3.0], [0.5]], dtype=np.float32)).tolist()  # 2 x + 1
    [[7.0], [2.0]]
    >>> net.backward(np.ones((2, 1), dtype=np.float32))
    >>> net.gradient.tolist()  # sum of x, and number of rows
    [3.5, 2.0]
    """

    def __init__(self, layout: Layout, parameters: np.ndarray, gradient: np.ndarray) -> None:
        self.layout, self.parameters, self.gradient = layout, parameters, gradient
        self._weights, self._biases = _views(layout, parameters)
        self._weight_gradients, self._bias_gradients = _views(layout, gradient)
        self._reserve(0)
        self._seen: list[np.ndarray] = []  # the inputs, then the outputs of each layer
        self._sparse: SparseRows | None = None  # the inputs, where most of them are 0

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return outputs [B, O] of inputs [B, I], float32, and keep what `backward` needs."""
        size = len(inputs)
        if size > self._capacity:
            self._reserve(size)
        self._seen = [inputs, *(buffer[:size] for buffer in self._outputs)]
        self._sparse = forward_layers(self.layout, self._weights, self._biases, self._seen)
        return self._seen[-1]

    def backward(self, error: np.ndarray, *, to_inputs: bool = False, to_parameters: bool = True) -> np.ndarray | None:
        """Write the gradient of a loss into `gradient`, after the `forward` that computed its outputs.

        Args:
            error: Derivative of the loss with respect to the outputs [B, O].
            to_inputs: Whether to return the derivative with respect to the inputs.
            to_parameters: Whether to write the derivative with respect to the parameters; without it `gradient` keeps its content, at
                half of the cost.

        Returns:
            The derivative with respect to the inputs [B, I], a buffer, or `None`.
        """
        size = len(error)
        return backward_layers(
            self.layout,
            self._weights,
            self._seen,
            error,
            into=(self._weight_gradients, self._bias_gradients) if to_parameters else None,
            buffers=[buffer[:size] for buffer in self._errors],
            to_inputs=to_inputs,
            sparse=self._sparse,
        )

    def narrow(self, rows: np.ndarray) -> None:
        """Keep only some rows [B, bool] of the last `forward` for the next `backward`, which then takes and returns only theirs."""
        self._seen = [values[rows] for values in self._seen]
        self._sparse = None

    def tangent(self, direction: np.ndarray) -> np.ndarray:
        """Return J v [B, O]: how fast the outputs move when the parameters [P] move along `direction` v [P], at the last `forward`.

        Forward-mode differentiation: a layer's tangent is that of its inputs through its weights, and its inputs through the weights'.

        Source: B. Pearlmutter, "Fast exact multiplication by the Hessian", 1994, section 3.

        >>> net = FastMLP(Layout((1, 1), "tanh"), np.array([2, 1], dtype=np.float32), np.zeros(2, dtype=np.float32))
        >>> outputs = net.forward(np.array([[3.0]], dtype=np.float32))
        >>> net.tangent(np.array([10, 1], dtype=np.float32)).tolist()  # 10 * 3 + 1
        [[31.0]]
        """
        weights, biases = _views(self.layout, direction)
        moved = self._seen[0] @ weights[0].T
        _add_bias(moved, biases[0])
        for layer in range(1, len(weights)):
            _SLOPES[self.layout.activation](moved, self._seen[layer])
            moved = moved @ self._weights[layer].T
            moved += self._seen[layer] @ weights[layer].T
            _add_bias(moved, biases[layer])
        return moved

    def named_parameters(self, prefix: str) -> dict[str, np.ndarray]:
        """Return weights [O, I] and biases [O] by name, as views: "actor.0.weight"."""
        named: dict[str, np.ndarray] = {}
        for layer, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            named |= {f"{prefix}.{layer}.weight": weight, f"{prefix}.{layer}.bias": bias}
        return named

    def _reserve(self, size: int) -> None:
        self._capacity = size
        self._outputs = [np.empty((size, units), dtype=np.float32) for units in self.layout.sizes[1:]]
        self._errors = [np.empty((size, units), dtype=np.float32) for units in self.layout.sizes]


def forward_layers(
    layout: Layout, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], seen: Sequence[np.ndarray]
) -> SparseRows | None:
    """Run a batch through all layers, and return the inputs without their zeros where most of them are 0.

    Args:
        layout: Sizes and activation.
        weights: Of each layer [O, I].
        biases: Of each layer [O].
        seen: The inputs [B, I], then arrays that become the outputs of each layer [B, O], float32.
    """
    inputs, last = seen[0], len(weights) - 1
    sparse = SparseRows.of(inputs, MOSTLY) if inputs.shape[1] >= WIDE else None
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        below, hidden = seen[layer], seen[layer + 1]
        if sparse is not None and layer == 0:
            sparse.times(weight, hidden)
        else:
            np.matmul(below, weight.T, out=hidden)
        if layer == last:
            _add_bias(hidden, bias)
        else:
            _ACTIVATIONS[layout.activation](hidden, bias)
    return sparse


def backward_layers(
    layout: Layout,
    weights: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    error: np.ndarray,
    *,
    into: tuple[Sequence[np.ndarray], Sequence[np.ndarray]] | None,
    buffers: Sequence[np.ndarray],
    to_inputs: bool,
    sparse: SparseRows | None,
) -> np.ndarray | None:
    """Take a derivative with respect to the outputs back through all layers, after `forward_layers`.

    Args:
        layout: Sizes and activation.
        weights: Of each layer [O, I].
        seen: What `forward_layers` left: the inputs, then the outputs of each layer.
        error: Derivative with respect to the outputs [B, O].
        into: Arrays that become the derivatives with respect to weights [O, I] and biases [O] of each layer; `None` to skip them.
        buffers: Arrays for the derivatives with respect to the inputs of each layer [B, I].
        to_inputs: Whether to return the derivative with respect to the inputs [B, I].
        sparse: What `forward_layers` returned.
    """
    for layer in range(len(weights) - 1, -1, -1):
        below = seen[layer]
        if into is not None:
            if sparse is not None and layer == 0:
                sparse.outer(error, into[0][layer])
            else:
                np.matmul(error.T, below, out=into[0][layer])
            np.matmul(_ones(len(error)), error, out=into[1][layer])
        if layer == 0 and not to_inputs:
            return None
        weight, further = weights[layer], buffers[layer]
        if len(weight) == 1:  # BLAS is slow at the product of a column and a row
            np.multiply(error, weight, out=further)
        else:
            np.matmul(error, weight, out=further)
        if layer:
            _SLOPES[layout.activation](further, below)
        error = further
    return error


_all_ones = np.ones(256, dtype=np.float32)


def _ones(size: int) -> np.ndarray:
    """Return a vector of ones [B]: a product with it sums over a batch faster than NumPy's `sum`."""
    global _all_ones
    if size > len(_all_ones):
        _all_ones = np.ones(2 * size, dtype=np.float32)
    return _all_ones[:size]


@vectorised
def rmsprop_step(
    parameters: np.ndarray, gradient: np.ndarray, square: np.ndarray, learning_rate: float, decay: float, epsilon: float, max_norm: float
) -> float:
    """Return the norm of the gradient [P]; parameters and squares [P] are changed in place by one step of RMSProp.

    v <- beta v + (1 - beta) g^2, then theta <- theta - alpha g / sqrt(v + epsilon): epsilon is inside the root.

    Args:
        parameters: theta.
        gradient: g, scaled by max_norm / (|g| + 1e-6) where that is less than 1, as torch does.
        square: v.
        learning_rate: alpha.
        decay: beta.
        epsilon: > 0.
        max_norm: Longest gradient that is not scaled.

    Source: V. Mnih and others, "Asynchronous methods for deep reinforcement learning", 2016, (S2) and (S3).

    >>> theta, square = np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32)
    >>> rmsprop_step(theta, np.full(1, 2, dtype=np.float32), square, 0.1, 0.5, 0.0, np.inf)  # v = (1 + 2^2) / 2
    2.0
    >>> print(square, theta.round(4))  # -0.1 * 2 / sqrt(2.5)
    [2.5] [-0.1265]
    """
    total = np.float32(0.0)
    for i in range(len(gradient)):
        total += gradient[i] * gradient[i]
    norm = np.sqrt(total)
    scale = np.float32(min(1.0, max_norm / (norm + 1e-6)))
    keep, add, alpha, small = np.float32(decay), np.float32(1.0 - decay), np.float32(learning_rate), np.float32(epsilon)
    for i in range(len(gradient)):
        clipped = gradient[i] * scale
        square[i] = keep * square[i] + add * clipped * clipped
        parameters[i] -= alpha * clipped / np.sqrt(square[i] + small)
    return norm


@vectorised
def _add_bias(values: np.ndarray, bias: np.ndarray) -> None:
    """Add a bias [O] to each row of values [B, O]."""
    for b in range(values.shape[0]):
        for o in range(values.shape[1]):
            values[b, o] += bias[o]


@vectorised
def _times_tanh_slope(error: np.ndarray, output: np.ndarray) -> None:
    """Multiply errors [B, O] by 1 - tanh^2, from the outputs [B, O] of tanh."""
    for b in range(error.shape[0]):
        for o in range(error.shape[1]):
            error[b, o] *= np.float32(1.0) - output[b, o] * output[b, o]


@vectorised
def _times_relu_slope(error: np.ndarray, output: np.ndarray) -> None:
    """Set errors [B, O] to 0 where the outputs [B, O] of the ReLU are."""
    for b in range(error.shape[0]):
        for o in range(error.shape[1]):
            error[b, o] = error[b, o] if output[b, o] > 0 else np.float32(0.0)


def _bias_and_tanh(values: np.ndarray, bias: np.ndarray) -> None:
    _add_bias(values, bias)
    np.tanh(values, out=values)  # NumPy's is vectorised, numba's is not


@vectorised
def _bias_and_relu(values: np.ndarray, bias: np.ndarray) -> None:
    """Add a bias [O] to each row of values [B, O], and set negative values to 0."""
    for b in range(values.shape[0]):
        for o in range(values.shape[1]):
            values[b, o] = max(values[b, o] + bias[o], np.float32(0.0))


_ACTIVATIONS = {"tanh": _bias_and_tanh, "relu": _bias_and_relu}
_SLOPES = {"tanh": _times_tanh_slope, "relu": _times_relu_slope}


def _views(layout: Layout, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights [O, I] and biases [O] of each layer as views of a flat vector [P]."""
    if flat.shape != (layout.num_parameters,) or flat.dtype != np.float32:
        raise ValueError(f"the flat vector is {flat.dtype} {list(flat.shape)}; this layout takes float32 [{layout.num_parameters}]")
    weights, biases, start = [], [], 0
    for inputs, outputs in zip(layout.sizes[:-1], layout.sizes[1:], strict=True):
        weights.append(flat[start : start + inputs * outputs].reshape(outputs, inputs))
        start += inputs * outputs
        biases.append(flat[start : start + outputs])
        start += outputs
    return weights, biases


class FlatAdam:
    """Adam on a flat vector of parameters, with the gradient clipped by its norm, in one compiled pass.

    Args:
        parameters: [P], float32, changed in place.
        gradient: [P], float32, left as it is.
        beta_1: Decay of the mean, in [0, 1).
        beta_2: Decay of the square, in [0, 1).
        epsilon: Added to the root of the square, > 0.
        moments: Arrays for the running means of the gradient and of its square [P]; new ones without them.

    The first step has the length of the learning rate, whatever the gradient:

    >>> parameters, gradient = np.array([1.0, 1.0], dtype=np.float32), np.array([3.0, -4.0], dtype=np.float32)
    >>> FlatAdam(parameters, gradient).step(0.1, max_norm=1.0)
    5.0
    >>> print(parameters)
    [0.9 1.1]
    """

    def __init__(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        moments: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._betas, self._epsilon = (beta_1, beta_2), epsilon
        self._mean, self._square = moments or (np.zeros_like(parameters), np.zeros_like(parameters))
        self.num_steps = 0

    def step(self, learning_rate: float, max_norm: float = np.inf) -> float:
        """Change the parameters, and return the norm of the gradient before it was clipped to `max_norm`."""
        self.num_steps += 1
        beta_1, beta_2 = self._betas
        step_size = learning_rate / (1.0 - beta_1**self.num_steps)
        correction = (1.0 - beta_2**self.num_steps) ** 0.5
        return float(
            adam_pass(
                self._parameters, self._gradient, self._mean, self._square, beta_1, beta_2, step_size, correction, self._epsilon, max_norm
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """Return both moments [P] and the number of steps."""
        return {"mean": self._mean.copy(), "square": self._square.copy(), "num_steps": self.num_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._mean[:], self._square[:] = state["mean"], state["square"]
        self.num_steps = int(state["num_steps"])


@vectorised
def adam_pass(
    parameters: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    beta_1: float,
    beta_2: float,
    step_size: float,
    correction: float,
    epsilon: float,
    max_norm: float,
) -> float:
    """Return the norm of the gradient [P]; parameters and moments [P] are changed in place by one step of Adam.

    Args:
        parameters: theta.
        gradient: g, scaled by max_norm / (|g| + 1e-6) where that is less than 1, as torch does.
        mean: m.
        square: v.
        beta_1: Decay of m.
        beta_2: Decay of v.
        step_size: alpha / (1 - beta_1^t).
        correction: sqrt(1 - beta_2^t).
        epsilon: Added to sqrt(v) / correction.
        max_norm: Longest gradient that is not scaled.
    """
    total = np.float32(0.0)
    for i in range(len(gradient)):
        total += gradient[i] * gradient[i]
    norm = np.sqrt(total)
    scale = np.float32(min(1.0, max_norm / (norm + 1e-6)))
    keep_1, keep_2 = np.float32(beta_1), np.float32(beta_2)
    add_1, add_2 = np.float32(1.0 - beta_1), np.float32(1.0 - beta_2)
    alpha, root, small = np.float32(step_size), np.float32(1.0 / correction), np.float32(epsilon)
    for i in range(len(gradient)):
        clipped = gradient[i] * scale
        mean[i] = keep_1 * mean[i] + add_1 * clipped
        square[i] = keep_2 * square[i] + add_2 * clipped * clipped
        parameters[i] -= alpha * mean[i] / (np.sqrt(square[i]) * root + small)
    return norm
