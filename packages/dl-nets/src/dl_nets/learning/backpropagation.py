"""Forward and backward pass of a network with the layers 1-2-2-1, number by number, in plain Python.

The page docs/backpropagation.md follows these numbers by hand; `test_backpropagation.py` holds every derivative to torch's autodiff.

Source: Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors*, 1986, equations 1 to 9.

Letters: x input, W weights (one row for each unit), b biases, z = W a + b sums, a = sigmoid(z) outputs of a layer, y target,
E = (a - y)^2 / 2 error, delta = dE/dz.
"""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = list[float]
Layer = tuple[list[Vector], Vector]
"""Weights, one row for each unit, and biases."""

LAYERS: list[Layer] = [
    ([[0.3], [-0.2]], [0.1, 0.4]),
    ([[0.5, -0.6], [0.7, 0.2]], [0.0, -0.1]),
    ([[0.8, -0.5]], [0.2]),
]
"""The weights and biases of the worked network."""

INPUT, TARGET = 0.5, 1.0


class Pass(NamedTuple):
    """Sums and outputs of each layer.

    Attributes:
        sums: z of each layer.
        outputs: a of each layer; the first are the inputs.
    """

    sums: list[Vector]
    outputs: list[Vector]


def sigmoid(z: float) -> float:
    """Return 1 / (1 + exp(-z)).

    >>> sigmoid(0.0), round(sigmoid(0.25), 6)
    (0.5, 0.562177)
    """
    return 1.0 / (1.0 + math.exp(-z))


def forward(layers: list[Layer], inputs: Vector) -> Pass:
    """Return the sums z = W a + b and the outputs a = sigmoid(z) of each layer (1), (2).

    >>> for z, a in zip(*(forward(LAYERS, [INPUT]).sums, forward(LAYERS, [INPUT]).outputs[1:])):
    ...     print([round(value, 10) for value in z], [round(value, 10) for value in a])
    [0.25, 0.3] [0.5621765009, 0.5744425168]
    [-0.0635772596, 0.408412054] [0.4841110368, 0.6007070581]
    [0.2869353003] [0.5712456787]
    """
    sums: list[Vector] = []
    outputs = [inputs]
    for weights, biases in layers:
        below = outputs[-1]
        sums.append([sum(w * a for w, a in zip(row, below, strict=True)) + b for row, b in zip(weights, biases, strict=True)])
        outputs.append([sigmoid(z) for z in sums[-1]])
    return Pass(sums, outputs)


def error(layers: list[Layer], inputs: Vector, target: float) -> float:
    """Return E = (a - y)^2 / 2 of the last layer's one unit (3).

    >>> round(error(LAYERS, [INPUT], TARGET), 10)
    0.091915134
    """
    return 0.5 * (forward(layers, inputs).outputs[-1][0] - target) ** 2


def deltas(layers: list[Layer], passed: Pass, target: float) -> list[Vector]:
    """Return delta = dE/dz of each unit, layer by layer from the input on.

    Of the last layer: (a - y) a (1 - a) (4), (5). Of a layer before: (sum_k delta_k w_kj) a_j (1 - a_j), over the units k above (7).

    >>> for delta in deltas(LAYERS, forward(LAYERS, [INPUT]), TARGET):
    ...     print([round(value, 10) for value in delta])
    [-0.0004122272, 0.0036931656]
    [-0.0209812402, 0.0125940183]
    [-0.1050122462]
    """
    last = passed.outputs[-1][0]
    found = [[(last - target) * last * (1.0 - last)]]
    for (weights, _), outputs in zip(reversed(layers[1:]), reversed(passed.outputs[1:-1]), strict=True):
        above = found[0]
        back = [sum(delta * row[j] for delta, row in zip(above, weights, strict=True)) for j in range(len(outputs))]
        found.insert(0, [value * a * (1.0 - a) for value, a in zip(back, outputs, strict=True)])
    return found


def gradient(layers: list[Layer], inputs: Vector, target: float) -> list[Layer]:
    """Return dE/dw_ji = delta_j a_i (6) and dE/db_j = delta_j of each layer.

    >>> for weights, biases in gradient(LAYERS, [INPUT], TARGET):
    ...     print([[round(value, 10) for value in row] for row in weights], [round(value, 10) for value in biases])
    [[-0.0002061136], [0.0018465828]] [-0.0004122272, 0.0036931656]
    [[-0.0117951602, -0.0120525164], [0.0070800612, 0.0072345396]] [-0.0209812402, 0.0125940183]
    [[-0.0508375874, -0.0630815975]] [-0.1050122462]
    """
    passed = forward(layers, inputs)
    return [
        ([[delta * a for a in below] for delta in layer], layer)
        for layer, below in zip(deltas(layers, passed, target), passed.outputs, strict=False)
    ]


def descend(layers: list[Layer], inputs: Vector, target: float, learning_rate: float) -> list[Layer]:
    """Return the layers after one step of gradient descent, w - alpha dE/dw (8).

    >>> after = descend(LAYERS, [INPUT], TARGET, learning_rate=1.0)
    >>> round(error(after, [INPUT], TARGET), 10)
    0.0744996386
    """
    return [
        (
            [[w - learning_rate * d for w, d in zip(row, rows, strict=True)] for row, rows in zip(weights, by_weights, strict=True)],
            [b - learning_rate * d for b, d in zip(biases, by_biases, strict=True)],
        )
        for (weights, biases), (by_weights, by_biases) in zip(layers, gradient(layers, inputs, target), strict=True)
    ]
