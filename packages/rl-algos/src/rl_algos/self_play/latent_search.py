"""The whole search in a learned model of plain layers as one compiled loop: some thousand small steps that Python would only slow down.

`MuZero.search` in `LearnedGame` says the same step by step; it serves every other model, and is what this is tested against.
Letters: G trees, L numbers of a state, A actions, S bins, I inputs, O outputs of a layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from dl_nets.fast.bridge import why_torch
from dl_nets.fast.kernels import announced, copy_into, jit, kernel
from dl_nets.fast.mlp import Layout
from rl_algos.self_play.latent_model import EPSILON, LatentModel
from rl_algos.tree_search.forest import Walks, grow, new_forest, walk
from rl_algos.tree_search.tree import Search, Tree


class Layers(NamedTuple):
    """Weights [I, O] and biases [O] of linear layers with ReLU between them."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]


def is_plain(model: LatentModel) -> bool:
    """Return whether dynamics and prediction are linear layers with ReLU between them, computed on the processor."""
    layouts = [Layout.of(part) for part in (model.dynamics, model.prediction)]
    return not why_torch(model.dynamics, model.prediction) and all(
        layout is not None and (layout.activation == "relu" or len(layout.sizes) == 2) for layout in layouts
    )


def layers_of(module: nn.Module) -> Layers:
    """Return copies of a perceptron's layers."""
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    weights = tuple(np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in linear)
    return Layers(weights, tuple(layer.bias.detach().numpy() for layer in linear))


@jit(error_model="numpy", fastmath={"contract", "nsz"})
def apply(layers: Layers, inputs: np.ndarray, widest: int) -> np.ndarray:
    """Return outputs [G, O] of inputs [G, I]; no layer has more than `widest` outputs."""
    values, others, size = np.empty((len(inputs), widest), np.float32), np.empty((len(inputs), widest), np.float32), inputs.shape[1]
    for g in range(len(inputs)):
        copy_into(values[g], inputs[g])
    for k in range(len(layers.weights)):
        weight, bias = layers.weights[k], layers.biases[k]
        for g in range(len(inputs)):
            row, out = values[g], others[g]
            for o in range(len(bias)):
                out[o] = bias[o]
            for i in range(size):
                number = row[i]
                if number != 0:  # half of them are, behind a ReLU
                    for o in range(len(bias)):
                        out[o] += number * weight[i, o]
            if k + 1 < len(layers.weights):
                for o in range(len(bias)):
                    out[o] = max(out[o], np.float32(0.0))
        values, others, size = others, values, len(bias)
    return values[:, :size]


@kernel
def number(logits: np.ndarray) -> float:
    """Return the number that logits [S] mean, as `Bins.number`."""
    largest, total, mean, most = logits.max(), 0.0, 0.0, len(logits) // 2
    for s in range(len(logits)):
        weight = np.exp(np.float64(logits[s]) - largest)
        total += weight
        mean += weight * (s - most)
    mean /= total
    root = np.sqrt(1 + 4 * EPSILON * (abs(mean) + 1 + EPSILON))
    return np.sign(mean) * (((root - 1) / (2 * EPSILON)) ** 2 - 1)


@kernel
def search_all(
    forest: Tree,
    walks: Walks,
    search: Search,
    states: np.ndarray,
    dynamics: Layers,
    prediction: Layers,
    widest: int,
    rng: np.random.Generator,
) -> None:
    """Take all simulations of a search.

    Args:
        forest: G trees, whose roots have values and priors.
        walks: Room for the walks.
        search: Settings.
        states: Of the nodes [G, N, L]; those of the roots are known, the others are written.
        dynamics: From a state and an action to the next state and the reward's logits.
        prediction: From a state to the logits of actions and of the value.
        widest: Largest number of inputs or outputs of a layer.
        rng: Of the generator that breaks ties.
    """
    count, size, num_actions = len(states), states.shape[2], forest.priors.shape[2]
    inputs, over = np.zeros((count, size + num_actions), np.float32), np.zeros(count, np.bool_)
    reward, value, priors = np.empty(count), np.empty(count), np.empty((count, num_actions))
    state = np.empty((count, size), np.float32)
    for _ in range(search.num_simulations):
        walk(forest, walks, search.width, True, rng)
        for g in range(count):
            last = walks.path[g, walks.depth[g] - 1]
            copy_into(inputs[g], states[g, last[0]])
            inputs[g, size:] = 0.0
            inputs[g, size + last[1]] = 1.0
        outputs = apply(dynamics, inputs, widest)
        for g in range(count):
            low, high = outputs[g, :size].min(), outputs[g, :size].max()
            span = max(high - low, np.float32(1e-5))
            for i in range(size):
                state[g, i] = (outputs[g, i] - low) / span
            copy_into(states[g, forest.counts[g, 0]], state[g])
            reward[g] = number(outputs[g, size:])
        outputs = apply(prediction, state, widest)
        for g in range(count):
            largest, total = outputs[g, :num_actions].max(), 0.0
            for a in range(num_actions):
                priors[g, a] = np.exp(np.float64(outputs[g, a]) - largest)
                total += priors[g, a]
            for a in range(num_actions):
                priors[g, a] /= total
            value[g] = number(outputs[g, num_actions:])
        grow(forest, walks, search, reward, over, value, priors)


def grown_in(
    model: LatentModel, state: np.ndarray, value: np.ndarray, priors: np.ndarray, search: Search, rng: np.random.Generator
) -> Tree:
    """Return trees after all simulations in a plain model, as `forest.grown` does step by step.

    Args:
        model: The model; see `is_plain`.
        state: States of the roots [G, L].
        value: Of the roots [G].
        priors: Of the actions of the roots [G, A].
        search: Settings.
        rng: Breaks ties.
    """
    forest = new_forest(len(value), search.num_simulations, priors.shape[1])
    forest.value[:, 0], forest.priors[:, 0] = value, priors
    depth = min(search.max_depth, search.num_simulations)
    walks = Walks(np.zeros((len(value), depth, 3), np.int64), np.zeros((len(value), depth)), np.zeros(len(value), np.int64))
    states = np.zeros((len(state), search.num_simulations + 1, state.shape[1]), np.float32)
    states[:, 0] = state
    dynamics, prediction = layers_of(model.dynamics), layers_of(model.prediction)
    widest = max(state.shape[1] + priors.shape[1], *(len(bias) for part in (dynamics, prediction) for bias in part.biases))
    with announced("the search in a learned model"):
        search_all(forest, walks, search, states, dynamics, prediction, widest, rng)
    return forest
