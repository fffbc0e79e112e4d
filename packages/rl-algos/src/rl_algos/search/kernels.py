"""Whole episodes of many small perceptrons as compiled loops; the reference is `population.Population` in environments.

An episode of CartPole is up to 500 steps of a state of four numbers and a policy of ten: played one call at a time, nearly all of the
time goes into the calls. Here a generation of candidates is one call, and a step takes a fraction of a microsecond.
Source: none; the loops of `population.Population`, written out. Departures: none.
Letters: P candidates, E episodes of each, M = P E episodes, n parameters of a candidate, I inputs, O outputs, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import types

from dl_nets.fast.kernels import copy_into, jit, vectorised


class Perceptrons(NamedTuple):
    """Candidates of one shape, and how they see observations.

    Attributes:
        sizes: Inputs, units of each hidden layer, outputs.
        relu: Whether hidden units are rectified; else they are tanh.
        parameters: Candidates [P, n]: weight [O, I] and bias [O] of each layer in turn.
        mean: Subtracted from an observation [I]; [0] for observations as they are.
        deviation: By which it is then divided [I] or [0].
    """

    sizes: np.ndarray
    relu: bool
    parameters: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


_STATES, _OBS, _ROW = types.float64[:, ::1], types.float32[:, ::1], types.float64[::1]
_START, _OBSERVE = types.FunctionType(_STATES(_STATES)), types.FunctionType(_OBS(_STATES))
_PERCEPTRONS = types.NamedTuple((types.int64[::1], types.boolean, _OBS, _ROW, _ROW), Perceptrons)


def _signature(actions: types.Array) -> types.Type:
    """Return the types of `play_episodes` for actions of one kind; functions are typed by their arguments, so that code can be kept."""
    move = types.FunctionType(types.void(_STATES, actions, types.float32[::1], types.boolean[::1]))
    played = types.Tuple((_ROW, types.int64[::1], _ROW, _ROW))
    return played(_START, move, _OBSERVE, types.int64, _STATES, _PERCEPTRONS, _OBS, actions)


@vectorised
def respond(sizes: np.ndarray, relu: bool, parameters: np.ndarray, inputs: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Return outputs [O] of one perceptron at one input [I]; a view of `scratch`.

    Args:
        sizes: Inputs, units of each hidden layer, outputs.
        relu: Whether hidden units are rectified; else they are tanh.
        parameters: Weight [O, I] and bias [O] of each layer in turn [n].
        inputs: [I], float32.
        scratch: Room for two layers [2, widest], float32.

    >>> one = np.ones(1, dtype=np.float32)
    >>> respond(np.array([1, 1]), False, np.array([2, 1], dtype=np.float32), 3 * one, np.empty((2, 1), np.float32))  # 2 x + 1
    array([7.], dtype=float32)
    """
    below, start, last = inputs, 0, len(sizes) - 2
    for layer in range(last + 1):
        above, num_inputs, num_outputs = scratch[layer % 2], sizes[layer], sizes[layer + 1]
        bias = start + num_inputs * num_outputs
        for o in range(num_outputs):
            total = np.float32(0.0)
            for i in range(num_inputs):
                total += parameters[start + o * num_inputs + i] * below[i]
            total += parameters[bias + o]
            if layer < last:
                above[o] = max(total, np.float32(0.0)) if relu else math.tanh(total)
            else:
                above[o] = total
        below, start = above, bias + num_outputs
    return below[: sizes[-1]]


@vectorised
def respond_each(sizes: np.ndarray, relu: bool, parameters: np.ndarray, owner: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return outputs [B, O] at inputs [B, I], row b by the candidate `owner[b]`.

    >>> lines = np.array([[2, 1], [3, 0]], dtype=np.float32)  # 2 x + 1 and 3 x
    >>> print(respond_each(np.array([1, 1]), False, lines, np.array([1, 0]), np.ones((2, 1), np.float32)).T)
    [[3. 3.]]
    """
    outputs = np.empty((len(inputs), sizes[-1]), dtype=np.float32)
    scratch = np.empty((2, sizes.max()), dtype=np.float32)
    for b in range(len(inputs)):
        copy_into(outputs[b], respond(sizes, relu, parameters[owner[b]], inputs[b], scratch))
    return outputs


@jit([_signature(types.int64[::1]), _signature(types.float32[:, ::1])], error_model="numpy")
def play_episodes(
    start: Callable[[np.ndarray], np.ndarray],
    move: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None],
    observe: Callable[[np.ndarray], np.ndarray],
    time_limit: int,
    uniform: np.ndarray,
    policies: Perceptrons,
    scale: np.ndarray,
    action: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return returns [M] and lengths [M] of M episodes, and mean and sum of squared distances from it [I] of all observations seen.

    Args:
        start: First states from uniform numbers; this and the next two are those of `tasks.array_envs.Problem`.
        move: One step of a state.
        observe: Observations of states.
        time_limit: Steps after which an episode is cut.
        uniform: Uniform numbers for each episode's first state [M, U].
        policies: Candidates; each plays M / P episodes in a row.
        scale: For actions of a Box: middle, half width, lowest and highest [4, D].
        action: Room for one action: [1] of integers, or [1, D] of floats.
    """
    sizes, relu, parameters, mean, deviation = policies
    num_episodes = len(uniform) // len(parameters)
    returns, lengths = np.zeros(len(uniform)), np.zeros(len(uniform), dtype=np.int64)
    seen_mean, seen_squares, num_seen = np.zeros(len(mean)), np.zeros(len(mean)), 0
    scratch, inputs = np.empty((2, sizes.max()), dtype=np.float32), np.empty(sizes[0], dtype=np.float32)
    reward, terminated = np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.bool_)
    for episode in range(len(uniform)):
        state = start(uniform[episode : episode + 1])
        terminated[0] = False
        while not terminated[0] and lengths[episode] < time_limit:
            obs = observe(state)
            copy_into(inputs, obs[0])
            if len(mean):
                num_seen += 1
                for i in range(len(mean)):
                    offset = obs[0, i] - seen_mean[i]
                    seen_mean[i] += offset / num_seen
                    seen_squares[i] += offset * (obs[0, i] - seen_mean[i])
                    inputs[i] = min(max((obs[0, i] - mean[i]) / deviation[i], -10.0), 10.0)
            head = respond(sizes, relu, parameters[episode // num_episodes], inputs, scratch)
            if action.ndim == 1:
                action[0] = head.argmax()
            else:
                for d in range(action.shape[1]):
                    action[0, d] = min(max(scale[0, d] + scale[1, d] * head[d], scale[2, d]), scale[3, d])
            move(state, action, reward, terminated)
            returns[episode] += reward[0]
            lengths[episode] += 1
    return returns, lengths, seen_mean, seen_squares
