"""Returns of many plans in a learned model, fast: matrix products by torch, and compiled loops for what is between them.

`LearnedModel.plain_returns` says the same in one step after another, and is what this is tested against. Numbers lie side by side along
candidates here, so that each loop runs over neighbours in memory; arrays are kept from one call to the next.

Departures: with z a log-variance between soft bounds l and h, exp(z) is computed as e^l + 1 / (e^-h + e^-z), to which the two softplus
of `perceptrons.bounded` reduce.
Letters: G weights of their own (members, or functions drawn), M particles, B candidates, H steps, S numbers of an observation, D of an
action's code, I = S + D inputs, K outputs of a layer, R = M / G * B columns of a group.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dl_nets.fast.kernels import inlined, jit, kernel
from rl_algos.model_based.perceptrons import Functions

if TYPE_CHECKING:
    from rl_algos.model_based.learned import LearnedModel

loops = jit(error_model="numpy", fastmath={"arcp", "contract", "nsz", "reassoc"})  # not "nnan": a model that diverges is told by its NaN

ONE, HALF, LOG2_E, MANTISSA = np.float32(1.0), np.float32(0.5), np.float32(1.44269504), np.int32(23)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # their sum is ln 2; the first has few digits
LEAST, MOST = np.float32(-87.0), np.float32(88.0)  # beyond them exp underflows or overflows
TERMS = tuple(np.float32(term) for term in (1.98756915e-4, 1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 1.66666655e-1, 5.00000012e-1))
T7, T6, T5, T4, T3, T2 = TERMS  # of the polynomial for exp on [-ln 2 / 2, ln 2 / 2]

ALWAYS = 1.2784645  # x sigmoid(x) = 1 there


class Numbers(NamedTuple):
    """Scales and bounds of what a model predicts.

    Attributes:
        edges: e^l and e^-h of the log-variances [2, S + 1].
        mean: Of the targets [S + 1].
        std: [S + 1].
        bounds: Least and largest observation [2, S].
    """

    edges: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    bounds: np.ndarray


@inlined
def exp(x: np.float32) -> np.float32:
    """Return e^x with an error of some 2e-7 of it: a polynomial, to whose exponent k is added; NaN stays. Loops of it are vectorised."""
    held = LEAST if x < LEAST else x
    held = MOST if held > MOST else held
    k = np.floor(held * LOG2_E + HALF)
    r = held - k * LN2_HIGH - k * LN2_LOW
    polynomial = np.float32(((((((T7 * r + T6) * r + T5) * r + T4) * r + T3) * r + T2) * r * r + r) + ONE)
    return np.int32(polynomial.view(np.int32) + (np.int32(k) << MANTISSA)).view(np.float32)


@loops
def activate(values: np.ndarray) -> None:
    """Apply x / (1 + e^-x), SiLU, to numbers [n] in place.

    >>> values = np.array([0.0, 1.0, -100.0], dtype=np.float32)
    >>> activate(values)
    >>> values.round(4).tolist()
    [0.0, 0.7311000227928162, -0.0]
    """
    for i in range(len(values)):
        held = -MOST if values[i] < -MOST else values[i]  # e^88 is held, too: what is far below must still become 0
        values[i] = held / (ONE + exp(-held))


@loops
def gather(state: np.ndarray, code: np.ndarray, order: np.ndarray, mean: np.ndarray, std: np.ndarray, inputs: np.ndarray) -> None:
    """Write the scaled inputs of a step.

    Args:
        state: [S, M, B].
        code: Of the actions [D, B].
        order: Number of the particle in each place [M]; consecutive places belong to one group.
        mean: Of the inputs [I].
        std: [I].
        inputs: Written [G, I + 1, R], but for the last row.
    """
    size, places, columns = len(state), len(order) // len(inputs), state.shape[2]
    for place, particle in enumerate(order):
        group, first = place // places, place % places * columns
        for i in range(size):
            for b in range(columns):
                inputs[group, i, first + b] = (state[i, particle, b] - mean[i]) / std[i]
        for d in range(len(code)):
            for b in range(columns):
                inputs[group, size + d, first + b] = (code[d, b] - mean[size + d]) / std[size + d]


@loops
def advance(
    head: np.ndarray,
    state: np.ndarray,
    order: np.ndarray,
    noise: np.ndarray,
    numbers: Numbers,
    after: np.ndarray,
    reward: np.ndarray,
    ended: np.ndarray,
) -> None:
    """Draw the next observations, the rewards and the ends from the outputs of the network.

    Args:
        head: Outputs [G, K, R]: means [S + 1], log-variances [S + 1] where there are some, and the logit of the end; R may also be B,
            for particles that a group shares.
        state: [S, M, B].
        order: As for `gather`.
        noise: Standard normal [M, S + 1]; empty for a deterministic model.
        numbers: Of the model.
        after: Written [S, M, B].
        reward: Written [M, B]; empty where it is not wanted, nor the ends.
        ended: Written [M, B].
    """
    size, places, columns, is_drawn, is_wanted = len(state), len(order) // len(head), state.shape[2], len(noise) > 0, len(reward) > 0
    for place, particle in enumerate(order):
        rows, begin = head[place // places], place % places * columns % head.shape[2]
        for i in range(size + 1 if is_wanted else size):
            written = after[i, particle] if i < size else reward[particle]
            if is_drawn:
                spread(rows[i, begin:], rows[size + 1 + i, begin:], numbers.edges[0, i], numbers.edges[1, i], noise[place, i], written)
            else:
                for b in range(columns):
                    written[b] = rows[i, begin + b]
            scale, shift = numbers.std[i], numbers.mean[i]
            if i == size:
                for b in range(columns):
                    written[b] = written[b] * scale + shift
                continue
            before, least, most = state[i, particle], numbers.bounds[0, i], numbers.bounds[1, i]
            for b in range(columns):
                moved = before[b] + (written[b] * scale + shift)
                moved = least if moved < least else moved
                written[b] = most if moved > most else moved
        if is_wanted:
            for b in range(columns):
                ended[particle, b] = rows[len(rows) - 1, begin + b] > 0


@loops
def spread(mean: np.ndarray, log_variance: np.ndarray, low: np.float32, high: np.float32, noise: np.float32, drawn: np.ndarray) -> None:
    """Draw numbers [B] from normal distributions, all with the same noise, whose variance is between soft bounds of e^l and e^h.

    Args:
        mean: [B or more].
        log_variance: [B or more].
        low: e^l.
        high: e^-h.
        noise: Standard normal.
        drawn: Written [B].
    """
    for b in range(len(drawn)):
        drawn[b] = mean[b] + np.sqrt(low + ONE / (high + exp(-log_variance[b]))) * noise


@kernel
def summed(paid: np.ndarray, ended: np.ndarray, states: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the returns [M, B] of particles until their ends; NaN for those that left the numbers before.

    Args:
        paid: Rewards [H, M, B].
        ended: [H, M, B].
        states: Observations [S, H + 1, M, B].
        weights: Powers of the discount [H].
    """
    total, alive = np.zeros(paid.shape[1:], dtype=np.float32), np.ones(paid.shape[1:], dtype=np.bool_)
    for t in range(len(paid)):
        for m in range(paid.shape[1]):
            for b in range(paid.shape[2]):
                if alive[m, b]:
                    total[m, b] += weights[t] * paid[t, m, b]
                    for i in range(len(states)):
                        if not np.isfinite(states[i, t + 1, m, b]):
                            total[m, b] = np.nan
                    alive[m, b] = not ended[t, m, b]
    return total


class Draws(NamedTuple):
    """Random draws of a rollout: particles in their places [H, M], and noise [H, M, S + 1], empty where none is drawn."""

    orders: np.ndarray
    noise: np.ndarray


def drawn(model: LearnedModel, num_steps: int, rng: np.random.Generator) -> Draws:
    """Draw the order of particles and the noise of each step, in the order in which a step after another draws them."""
    members, count = model.network.members, model.config.num_particles
    changes = model.config.propagation == "ts1" and not members.is_random and members.num_members > 1
    is_drawn = not model.network.is_point
    orders, noise = (
        np.empty((num_steps, count), np.int64),
        np.empty((num_steps, count if is_drawn else 0, model.num_numbers + 1), np.float32),
    )
    held = np.arange(count)
    for t in range(num_steps):
        if changes and t:
            held = held[rng.permutation(count)]
        orders[t] = held
        if is_drawn:
            rng.standard_normal(dtype=np.float32, out=noise[t])
    return Draws(orders, noise)


class Rollouts:
    """Plans played in a learned model.

    Args:
        model: The model; not a mixture.
    """

    def __init__(self, model: LearnedModel) -> None:
        self._model, self._kept = model, [np.empty(0, np.float32) for _ in range(4)]

    @torch.no_grad()
    def returns(self, obs: np.ndarray, sequences: np.ndarray, discount: float, rng: np.random.Generator) -> np.ndarray:
        """Return predicted returns [B] of sequences [B, H, d] from observations [B, S]; NaN where a particle leaves the numbers."""
        model, (columns, num_steps, _) = self._model, sequences.shape
        size, count, is_known = model.num_numbers, model.config.num_particles, model.outcome is not None
        functions = model.functions(count, rng)
        draws = drawn(model, num_steps, rng)
        plans = np.ascontiguousarray(sequences.transpose(1, 0, 2)).reshape(num_steps * columns, -1)
        codes = np.ascontiguousarray(model.code(plans).reshape(num_steps, columns, -1).transpose(0, 2, 1))
        network, noisy, scales = layers(functions), model.network, model.inputs
        groups, each = len(network[0].weight), count * columns
        edges = np.exp(np.stack([noisy.low.detach().numpy(), -noisy.high.detach().numpy()]))
        numbers = Numbers(edges, model.targets.mean, model.targets.std, np.stack([model.low, model.high]))
        states = self._room(3, (size, num_steps + 1, count, columns))
        states[:, 0] = obs.T[:, None]
        paid, ended = np.empty((num_steps, 0 if is_known else count, columns), np.float32), np.empty((num_steps, count, columns), np.bool_)
        for t in range(num_steps):
            before, after, order = states[:, t], states[:, t + 1], draws.orders[t]
            is_shared = t == 0 and not functions.masks  # all particles of a group still have the same state
            if t == 0 or t == 1:
                rooms = self._rooms(network, columns if is_shared else each // groups)
            places = order[:: count // groups] if is_shared else order
            gather(before, codes[t], places, scales.mean, scales.std, rooms[0].numpy())
            head = forward(network, rooms)
            advance(head, before, order, draws.noise[t], numbers, after, paid[t], ended[t])
        if model.outcome is not None:
            flat, actions = states.reshape(size, -1), model.actions(plans)
            shape = actions.shape[1:]
            spread = np.broadcast_to(actions.reshape(num_steps, 1, columns, *shape), (num_steps, count, columns, *shape))
            found = model.outcome(flat[:, :-each].T, spread.reshape(-1, *shape), flat[:, each:].T)
            paid, ended = np.asarray(found[0], dtype=np.float32).reshape(ended.shape), found[1].reshape(ended.shape)
        weights = np.array([discount**t for t in range(num_steps)], dtype=np.float32)
        mean: np.ndarray = summed(paid, ended, states, weights).mean(axis=0)
        return mean

    def _room(self, place: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return room for an array, where the last one of this place was if that is large enough."""
        size = math.prod(shape)
        if len(self._kept[place]) < size:
            self._kept[place] = np.empty(size, np.float32)
        return self._kept[place][:size].reshape(shape)

    def _rooms(self, network: list[Layer], num_columns: int) -> list[Tensor]:
        """Return room for the inputs [G, I, R] and for the outputs [G, K, R] of each layer; the inputs' last row is written."""
        sizes = [network[0].weight.shape[1], *(layer.weight.shape[2] for layer in network)]
        shapes = [(len(network[0].weight), size, num_columns) for size in sizes]
        rooms = [torch.from_numpy(self._room(2 - k % 2 if k else 0, shape)) for k, shape in enumerate(shapes)]
        rooms[0][:, -1] = 1.0
        return rooms


class Layer(NamedTuple):
    """A layer of G groups with a last input that is always 1, so that its bias is a weight.

    Attributes:
        weight: [G, I, K]; but for the last layer, the last unit is always 1, too.
        mask: Of dropout [G, K, M / G, 1].
    """

    weight: Tensor
    mask: Tensor | None


def layers(functions: Functions) -> list[Layer]:
    """Return the layers of functions, with biases among the weights."""
    found = []
    for k, (weight, bias) in enumerate(zip(functions.weights, functions.biases, strict=True)):
        groups, inputs, outputs = weight.shape
        extra = int(k + 1 < len(functions.weights))
        joined = torch.zeros(groups, inputs + 1, outputs + extra)
        joined[:, :-1, :outputs], joined[:, -1, :outputs] = weight, bias[:, 0]
        joined[:, -1, outputs:] = ALWAYS
        mask = None
        if functions.masks and extra:  # [M, 1, K]
            mask = torch.ones(groups, outputs + 1, len(functions.masks[k]) // groups, 1)
            mask[:, :-1, :, 0] = functions.masks[k].view(groups, -1, outputs).transpose(1, 2)
        found.append(Layer(joined, mask))
    return found


def forward(network: list[Layer], rooms: list[Tensor]) -> np.ndarray:
    """Return the outputs [G, K, R] of layers; the inputs are in the first of the rooms, which are written."""
    for k, layer in enumerate(network):
        torch.bmm(layer.weight.transpose(1, 2), rooms[k], out=rooms[k + 1])
        if k + 1 < len(network):
            activate(rooms[k + 1].view(-1).numpy())
        if layer.mask is not None:
            rooms[k + 1].view(*layer.mask.shape[:3], -1).mul_(layer.mask)
    return rooms[-1].numpy()
