"""Neurons, costs, descent, and what goes wrong in deep networks."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from concepts.drawing import label, picture
from dl_nets.learning import backpropagation


def neuron_and_layers(path: Path) -> str:
    """Draw a network of two hidden layers with its weights."""
    sizes = [2, 4, 3, 1]
    rng = np.random.default_rng(0)
    with picture(path, height=3.0, width=5.5) as axes:
        places = [[(depth, (row + 0.5) / size) for row in range(size)] for depth, size in enumerate(sizes)]
        for before, after in itertools.pairwise(places):
            for x0, y0 in before:
                for x1, y1 in after:
                    weight = rng.normal()
                    axes.plot([x0, x1], [y0, y1], color="tab:red" if weight < 0 else "tab:blue", linewidth=abs(weight), zorder=1)
        for depth, column in enumerate(places):
            axes.scatter(*np.transpose(column), s=350, c="white", edgecolors="black", zorder=2)
            axes.text(depth, -0.08, ("inputs", "hidden layer", "hidden layer", "output")[depth], ha="center", fontsize=8)
        axes.set_title("Each neuron: activation(sum of weights times inputs, plus bias)", fontsize=10)
        axes.axis("off")
    weights = sum(before * after for before, after in itertools.pairwise(sizes))
    return (
        f"Lines are weights (red: negative, wide: large), circles neurons. This network has {weights} weights and {sum(sizes[1:])} "
        f"biases: {weights + sum(sizes[1:])} parameters."
    )


def activations(path: Path) -> str:
    """Draw activation functions and their derivatives."""
    x = torch.linspace(-4, 4, 200)
    named = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "ReLU": torch.relu,
        "leaky ReLU": nn.functional.leaky_relu,
        "swish": nn.functional.silu,
    }
    steepest = {}
    with picture(path, 2) as (left, right):
        for name, function in named.items():
            inputs = x.clone().requires_grad_()
            outputs = function(inputs)
            (slope,) = torch.autograd.grad(outputs.sum(), inputs)
            left.plot(x, outputs.detach(), label=name)
            right.plot(x, slope, label=name)
            steepest[name] = float(slope.max())
        left.set_ylim(-1.5, 3)
        label(left, "Activation", "z", "a(z)")
        label(right, "Derivative", "z", "a'(z)")
    return (
        f"The derivative of the sigmoid is at most {steepest['sigmoid']:.2f}, so gradients shrink with every layer; those of ReLU "
        "and its kin are 1 where the unit is active."
    )


def cost_surface(path: Path) -> str:
    """Draw the cost of a line's slope and offset, and descents at three rates."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 50)
    y = 1.5 * x + 0.5 + 0.1 * rng.normal(size=50)
    inputs = np.stack([x, np.ones(50)], axis=1)
    curvature = 2 * inputs.T @ inputs / 50
    limit = 2 / np.linalg.eigvalsh(curvature).max()
    slopes, offsets = np.meshgrid(np.linspace(-2, 4, 80), np.linspace(-2, 3, 80))
    cost = ((slopes[..., None] * x + offsets[..., None] - y) ** 2).mean(-1)
    ends = []
    with picture(path, 3, width=3.4) as panels:
        for axes, share in zip(panels, (0.05, 0.5, 1.02), strict=True):
            weights, trace = np.array([-1.5, 2.5]), []
            for _ in range(25):
                trace.append(weights)
                weights = weights - share * limit * 2 * inputs.T @ (inputs @ weights - y) / 50
            axes.contour(slopes, offsets, cost, levels=np.geomspace(0.02, 15, 12), linewidths=0.6)
            axes.plot(*np.transpose(trace), "o-", markersize=3, color="tab:red")
            axes.set_xlim(-2, 4)
            axes.set_ylim(-2, 3)
            ends.append(float(((inputs @ weights - y) ** 2).mean()))
            label(axes, f"rate {share * limit:.2f}", "slope", "offset")
    return (
        f"Mean squared error of a line, and 25 steps of gradient descent. Too small a rate is slow (cost {ends[0]:.2f} at the "
        f"end), half the limit of {limit:.2f} arrives ({ends[1]:.3f}), beyond the limit it diverges ({ends[2]:.2f})."
    )


def computational_graph(path: Path) -> str:
    """Draw the graph of the network that is worked by hand, with the error of each unit."""
    error = backpropagation.error(backpropagation.LAYERS, [backpropagation.INPUT], backpropagation.TARGET)
    with picture(path, height=2.8, width=6.5) as axes:
        places = {"x": (0, 0.5), "a1": (1, 0.8), "a2": (1, 0.2), "a3": (2, 0.8), "a4": (2, 0.2), "a5": (3, 0.5), "E": (4, 0.5)}
        for source, target in (
            ("x", "a1"),
            ("x", "a2"),
            ("a1", "a3"),
            ("a1", "a4"),
            ("a2", "a3"),
            ("a2", "a4"),
            ("a3", "a5"),
            ("a4", "a5"),
            ("a5", "E"),
        ):
            axes.annotate("", places[target], places[source], arrowprops={"arrowstyle": "->", "shrinkA": 14, "shrinkB": 14})
            axes.annotate(
                "",
                places[source],
                places[target],
                arrowprops={"arrowstyle": "->", "shrinkA": 14, "shrinkB": 14, "color": "tab:red", "connectionstyle": "arc3,rad=0.2"},
            )
        for name, place in places.items():
            axes.text(*place, name, ha="center", va="center", bbox={"boxstyle": "circle", "facecolor": "white"})
        axes.set_xlim(-0.3, 4.3)
        axes.set_ylim(0, 1)
        axes.set_title("Black: values forward. Red: derivatives of the error backward, by the chain rule", fontsize=10)
        axes.axis("off")
    return (
        f"The network of the page on backpropagation: its error is {error:.10f}, and every derivative is a sum over the paths from "
        "the error back."
    )


def fitting(path: Path) -> str:
    """Draw errors on training and on fresh data over the degree of a polynomial."""
    rng = np.random.default_rng(0)
    degrees, train, fresh = range(13), [], []
    for degree in degrees:
        errors = []
        for _ in range(200):
            x, z = rng.uniform(-1, 1, (2, 15))
            y, w = (np.sin(3 * inputs) + 0.2 * rng.normal(size=15) for inputs in (x, z))
            weights = np.linalg.lstsq(np.vander(x, degree + 1), y, rcond=1e-9)[0]
            errors.append((np.mean((np.vander(x, degree + 1) @ weights - y) ** 2), np.mean((np.vander(z, degree + 1) @ weights - w) ** 2)))
        errors = np.median(errors, axis=0)
        train.append(errors[0])
        fresh.append(errors[1])
    with picture(path) as axes:
        axes.semilogy(degrees, train, "o-", label="the 15 points learned from")
        axes.semilogy(degrees, fresh, "s-", label="15 fresh points")
        label(axes, "Too simple, right, too free", "degree of the polynomial", "squared error, median of 200")
    best = int(np.argmin(fresh))
    return (
        f"Degree 0 underfits ({fresh[0]:.2f} on fresh points), degree {best} is right ({fresh[best]:.3f}), degree 12 overfits: "
        f"{train[12]:.4f} on the points it learned from, {fresh[12]:.1f} on fresh ones."
    )


def vanishing_gradients(path: Path) -> str:
    """Draw the gradient of the last state with respect to earlier ones, for recurrent cells."""
    generator, length, size = torch.Generator().manual_seed(0), 60, 32
    inputs = 0.1 * torch.randn(length, 1, size, generator=generator)

    def norms(cell: nn.Module, gain: float) -> np.ndarray:
        with torch.no_grad():
            for name, parameter in cell.named_parameters():
                if "weight" in name:
                    for block in parameter.view(-1, size, size):
                        square = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
                        block.copy_(gain * square if "hh" in name else 0.1 * square)
                else:
                    parameter.zero_()
            if isinstance(cell, nn.LSTMCell):
                cell.weight_hh.mul_(0.1)
                cell.bias_ih[size : 2 * size] = 4.0  # an open forget gate
        state = torch.zeros(1, size)
        memory, kept = torch.zeros(1, size), []
        for step in inputs:
            if isinstance(cell, nn.LSTMCell):
                state, memory = cell(step, (state, memory))
                memory.retain_grad()
                kept.append(memory)
            else:
                state = cell(step, state)
                state.retain_grad()
                kept.append(state)
        kept[-1].sum().backward()
        return np.array([float(each.grad.norm()) for each in kept])[::-1]

    curves = {
        "recurrent, weights 0.8": norms(nn.RNNCell(size, size), 0.8),
        "recurrent with ReLU, weights 1.8": norms(nn.RNNCell(size, size, nonlinearity="relu"), 1.8),
        "LSTM, forget gate open": norms(nn.LSTMCell(size, size), 1.0),
    }
    with picture(path) as axes:
        for name, curve in curves.items():
            axes.semilogy(curve / curve[0], label=name)
        label(axes, "What a step still feels of the past", "steps back", "gradient, relative to the last step")
    shrunk, grown, held = (curve[50] / curve[0] for curve in curves.values())
    return (
        f"Fifty steps back the gradient is {shrunk:.0e} of its size through weights of 0.8 and {grown:,.0f} times it through large "
        f"ones; along an LSTM's memory with an open gate it is {held:.2f}."
    )


def gates(path: Path) -> str:
    """Draw how long an LSTM's memory lasts over its forget gate."""
    steps = np.arange(0, 100)
    with picture(path) as axes:
        for gate in (0.5, 0.9, 0.98, 1.0):
            axes.plot(steps, gate**steps, label=f"forget gate {gate}")
        label(axes, "c(t) = f c(t - 1) + i g", "steps since it was written", "what is left of a memory")
    return (
        f"A gate of 0.9 halves a memory in {np.log(0.5) / np.log(0.9):.1f} steps, one of 0.98 in {np.log(0.5) / np.log(0.98):.0f}; "
        "the network learns when to open and close it."
    )


def shared_weights(path: Path) -> str:
    """Draw receptive fields and parameters of convolutions beside dense layers."""
    layers = np.arange(1, 9)
    side, channels = 64, 32
    convolution = channels * channels * 9 + channels
    dense = (side * side * channels) ** 2
    with picture(path, 2) as (left, right):
        left.plot(layers, 1 + 2 * layers, "o-", label="3 x 3, stride 1")
        left.plot(layers, 2.0 ** (layers + 1) - 1, "s-", label="3 x 3, stride 2")
        left.axhline(side, color="black", linestyle=":", label="the whole picture")
        label(left, "Receptive field of a unit", "layers", "pixels along a side")
        right.bar(["convolution", "locally connected", "dense"], [convolution, convolution * side * side, dense])
        right.set_yscale("log")
        label(right, "Parameters of one layer, 64 x 64 x 32", "", "parameters")
    return (
        f"One 3 x 3 convolution has {convolution:,} parameters wherever it looks; the same neighbourhoods without sharing "
        f"{convolution * side * side:,}, a dense layer {dense:,}."
    )


FIGURES = {
    "neuron-and-layers": neuron_and_layers,
    "activations": activations,
    "cost-surface": cost_surface,
    "computational-graph": computational_graph,
    "fitting": fitting,
    "vanishing-gradients": vanishing_gradients,
    "gates": gates,
    "shared-weights": shared_weights,
}
