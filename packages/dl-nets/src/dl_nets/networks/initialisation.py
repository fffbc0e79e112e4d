"""First weights of a layer, drawn from a NumPy generator so that torch's global generator is neither read nor moved.

Sources: orthogonal, Saxe, McClelland and Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks*, 2014; glorot, Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*, 2010,
equation 16; he, He et al., *Delving deep into rectifiers*, 2015, equation 10; lecun, LeCun, Bottou, Orr and Müller, *Efficient backprop*,
1998, section 4.6; sparse, Martens, *Deep learning via Hessian-free optimization*, 2010, section 5.

Letters: O outputs, I inputs, F = fan-in (what one output sums over: I, times the kernel's area in a convolution).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

Init = Literal[
    "orthogonal", "glorot", "he", "uniform", "glorot-normal", "he-uniform", "lecun-normal", "lecun-uniform", "normal", "truncated-normal",
    "sparse", "identity", "zeros",
]  # fmt: skip
"""Ways to draw weights; all are multiplied by the layer's gain. `uniform` is that of torch's own layers: U(-1/sqrt(F), 1/sqrt(F)) for
weights and biases. `glorot` is also called Xavier, `he` Kaiming. A gain of 1 makes `he` and `he-uniform` those of LeCun, and sqrt(2)
those of He. `normal` and `truncated-normal` have the deviation 0.02."""


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights [O, ...] whose rows, or columns where there are fewer, are orthonormal times `gain`.

    The Q of a Gaussian matrix, with the signs of R's diagonal taken in: without them Q is not uniform over rotations.

    Args:
        shape: [O, I] or [O, I, height, width]; all but the first are taken as one.
        rng: Source of the random numbers.
        gain: Length of each row; sqrt(2) keeps the variance through a ReLU.

    >>> w = orthogonal((2, 5), np.random.default_rng(0), gain=3.0)
    >>> np.allclose(w @ w.T, 9.0 * np.eye(2), atol=1e-5)
    True
    """
    rows, columns = shape[0], math.prod(shape[1:])
    gaussian = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diagonal(r))
    weights: np.ndarray = gain * (q if rows >= columns else q.T)
    return weights.reshape(shape).astype(np.float32)


def glorot(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights from U(-b, b), b = gain sqrt(6 / (fan-in + fan-out)) (16): variance 2 gain^2 / (fan-in + fan-out).

    >>> w = glorot((300, 100), np.random.default_rng(0))
    >>> round(glorot_bound(100, 300), 4), bool(abs(w).max() <= glorot_bound(100, 300))
    (0.1225, True)
    """
    area = math.prod(shape[2:])
    bound = gain * glorot_bound(shape[1] * area, shape[0] * area)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def glorot_bound(fan_in: int, fan_out: int) -> float:
    """Return the b of U(-b, b): sqrt(6 / (fan_in + fan_out)).

    >>> glorot_bound(2, 4)
    1.0
    """
    return math.sqrt(6.0 / (fan_in + fan_out))


def he(shape: tuple[int, ...], rng: np.random.Generator, gain: float = math.sqrt(2.0)) -> np.ndarray:
    """Return weights from N(0, gain^2 / F) (10); gain sqrt(2) is He's, for layers followed by a ReLU.

    >>> w = he((1000, 50), np.random.default_rng(0))
    >>> bool(abs(w.var() - 2 / 50) < 0.001)
    True
    """
    fan_in = math.prod(shape[1:])
    return (rng.standard_normal(shape) * (gain / math.sqrt(fan_in))).astype(np.float32)


def uniform(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights from U(-b, b), b = gain / sqrt(F): variance gain^2 / 3F.

    >>> bool(abs(uniform((8, 4), np.random.default_rng(0))).max() <= 0.5)
    True
    """
    bound = gain / math.sqrt(math.prod(shape[1:]))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights from N(0, 2 gain^2 / (fan-in + fan-out)): the variance of `glorot`.

    >>> bool(abs(glorot_normal((300, 100), np.random.default_rng(0)).var() - 2 / 400) < 1e-4)
    True
    """
    area = math.prod(shape[2:])
    return normal(shape, rng, gain * math.sqrt(2.0 / (area * (shape[0] + shape[1]))), deviation=1.0)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator, gain: float = math.sqrt(2.0)) -> np.ndarray:
    """Return weights from U(-b, b), b = gain sqrt(3 / F): the variance of `he`.

    >>> bool(abs(he_uniform((1000, 50), np.random.default_rng(0)).var() - 2 / 50) < 0.001)
    True
    """
    return uniform(shape, rng, gain * math.sqrt(3.0))


def normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0, deviation: float = 0.02) -> np.ndarray:
    """Return weights from N(0, (gain deviation)^2).

    >>> bool(abs(normal((100, 100), np.random.default_rng(0)).std() - 0.02) < 0.001)
    True
    """
    return (rng.standard_normal(shape) * (gain * deviation)).astype(np.float32)


def truncated_normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights from N(0, (0.02 gain)^2), drawn again while they are beyond two deviations.

    >>> bool(abs(truncated_normal((100, 100), np.random.default_rng(0))).max() <= 0.04)
    True
    """
    weights = rng.standard_normal(shape)
    while (beyond := np.abs(weights) > 2.0).any():
        weights[beyond] = rng.standard_normal(int(beyond.sum()))
    return (weights * (0.02 * gain)).astype(np.float32)


def sparse(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0, connections: int = 15) -> np.ndarray:
    """Return weights of which each output has `connections` from N(0, gain^2 / connections), or all where it has fewer inputs.

    >>> (sparse((4, 40), np.random.default_rng(0)) != 0).sum(axis=1).tolist()
    [15, 15, 15, 15]
    """
    rows, columns = shape[0], math.prod(shape[1:])
    kept = min(connections, columns)
    chosen = rng.permuted(np.broadcast_to(np.arange(columns) < kept, (rows, columns)), axis=1)
    return np.where(chosen, normal((rows, columns), rng, gain, deviation=kept**-0.5), np.float32(0.0)).reshape(shape)


def identity(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights that pass input i on to output i, times `gain`; of a convolution, at the kernel's middle.

    >>> identity((2, 3), np.random.default_rng(0)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    weights = np.zeros(shape, np.float32)
    diagonal = np.arange(min(shape[:2]))
    middle: tuple[Any, ...] = tuple(side // 2 for side in shape[2:])
    weights[(diagonal, diagonal, *middle)] = gain
    return weights


def zeros(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """Return weights that are all 0. Hidden units of one layer then stay equal for ever: it is for last layers, and to show that.

    >>> zeros((1, 2), np.random.default_rng(0)).tolist()
    [[0.0, 0.0]]
    """
    return np.zeros(shape, np.float32)


_WEIGHTS: dict[str, Callable[[tuple[int, ...], np.random.Generator, float], np.ndarray]] = {
    "orthogonal": orthogonal,
    "glorot": glorot,
    "he": he,
    "uniform": uniform,
    "glorot-normal": glorot_normal,
    "he-uniform": he_uniform,
    "lecun-normal": he,
    "lecun-uniform": he_uniform,
    "normal": normal,
    "truncated-normal": truncated_normal,
    "sparse": sparse,
    "identity": identity,
    "zeros": zeros,
}


def linear(inputs: int, outputs: int, rng: np.random.Generator, *, init: Init = "orthogonal", gain: float = 1.0) -> nn.Linear:
    """Return a linear layer from `inputs` to `outputs`, drawn from `rng`; biases are 0, except with `uniform`.

    Args:
        inputs: I, at least 1.
        outputs: O, at least 1.
        rng: Source of the random numbers.
        init: How weights are drawn.
        gain: Scale of the weights; for `he`, sqrt(2) is the paper's.

    >>> before = torch.get_rng_state()
    >>> layer = linear(3, 2, np.random.default_rng(0))
    >>> layer.weight.shape, layer.bias.tolist(), torch.equal(before, torch.get_rng_state())
    (torch.Size([2, 3]), [0.0, 0.0], True)
    """
    layer = nn.Linear(inputs, outputs, device="meta")  # without torch's own first weights
    layer.weight, layer.bias = _draw(tuple(layer.weight.shape), rng, init, gain)
    return layer


def conv2d(
    channels_in: int,
    channels_out: int,
    kernel_size: int,
    rng: np.random.Generator,
    *,
    stride: int = 1,
    padding: int = 0,
    init: Init = "orthogonal",
    gain: float = 1.0,
) -> nn.Conv2d:
    """Return a convolution on [B, C, H, W], drawn from `rng` as `linear` draws its weights."""
    layer = nn.Conv2d(channels_in, channels_out, kernel_size, stride=stride, padding=padding, device="meta")
    layer.weight, layer.bias = _draw(tuple(layer.weight.shape), rng, init, gain)
    return layer


def _draw(shape: tuple[int, ...], rng: np.random.Generator, init: Init, gain: float) -> tuple[nn.Parameter, nn.Parameter]:
    """Return first weight [O, ...] and bias [O] of a layer. (To fill torch's own, by `to_empty` from "meta", would import sympy.)"""
    # Rows one after the other: torch would keep another order, and Adam's fused step mixes it up with restored moments.
    weight = np.ascontiguousarray(_WEIGHTS[init](shape, rng, gain))
    bias = np.zeros(shape[0], dtype=np.float32)
    if init == "uniform":  # torch's layers draw their biases with the same bound
        bound = gain / math.sqrt(math.prod(shape[1:]))
        bias = rng.uniform(-bound, bound, shape[0]).astype(np.float32)
    return nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
