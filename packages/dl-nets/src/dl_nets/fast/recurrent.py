"""Recurrent networks unrolled through time on a CPU: products by BLAS, gates by compiled loops, gradients by hand.

The reference is `recurrent.unrolled`; this file computes the same numbers several times as fast, and `test_recurrent` holds outputs
and gradients of both to each other. torch spends most of a step of 8 x 64 numbers on dispatch, and its own fused
networks cannot start anew in the middle of a sequence.

Source: back-propagation through time, P. J. Werbos, *Backpropagation through time: what it does and how to do it*, 1990.
Departures: none. sigmoid(x) is taken as (1 + tanh(x / 2)) / 2, since NumPy's tanh is vectorised.
Letters: T time, B batch, H units, G gates, S numbers of a state, whose first H are the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dl_nets.fast.kernels import copy_into, vectorised


def unrolled_compiled(
    cell: str, projected: Tensor, state: Tensor, starts: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the results of `recurrent.unrolled`, outputs [T, B, H] and the last state [B, S], of tensors of float32 on the CPU."""
    outputs: tuple[Tensor, Tensor] = Unroll.apply(cell, projected, state, starts.numpy(), weight, bias)
    return outputs


class Unroll(torch.autograd.Function):
    """All steps through time as one operation of torch, with a gradient of its own."""

    @staticmethod
    def forward(
        ctx: Any, cell: str, projected: Tensor, state: Tensor, starts: np.ndarray, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, H] and the last state [B, S]."""
        inputs, now = projected.detach().numpy(), state.detach().numpy()
        recurrent = weight.detach().numpy()
        num_steps, batch = starts.shape
        units = recurrent.shape[1]
        before = np.empty((num_steps, batch, now.shape[1]), np.float32)  # the state each step begins with
        outputs = np.empty((num_steps, batch, units), np.float32)
        gates = np.empty((num_steps, batch, len(recurrent)), np.float32)
        kept = np.empty((num_steps, batch, units), np.float32)  # further numbers that a cell's derivative needs
        product, after = np.empty(gates.shape[1:], np.float32), np.empty(now.shape, np.float32)
        step, transposed, offset = _STEPS[cell], recurrent.T, None if bias is None else bias.detach().numpy()
        for t in range(num_steps):
            begin(now, starts[t], before[t])
            np.matmul(before[t][:, :units], transposed, out=product)
            if offset is not None:
                np.add(product, offset, out=product)
            step(inputs[t], product, before[t], gates[t], kept[t], after)
            outputs[t] = after[:, :units]
            now = after
        ctx.cell, ctx.starts, ctx.has_bias = cell, starts, bias is not None
        ctx.arrays = before, gates, kept, recurrent
        return torch.from_numpy(outputs), torch.from_numpy(now.copy())

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Any, ...]:
        """Return derivatives with respect to `projected`, `state`, `weight` and `bias`, from those with respect to the results."""
        error = errors[0].numpy()
        before, gates, kept, weight = ctx.arrays
        num_steps, batch, units = kept.shape
        further = errors[1].numpy().copy()  # by the state after step t [B, S]
        through, product_error = np.empty((batch, units), np.float32), np.empty_like(gates)
        # Only a GRU has a gate behind the product: everywhere else the product and the projected input are one sum.
        input_error = np.empty_like(gates) if ctx.cell == "gru" else product_error
        step_error = _STEP_ERRORS[ctx.cell]
        for t in range(num_steps - 1, -1, -1):
            step_error(error[t], further, gates[t], kept[t], before[t], input_error[t], product_error[t])
            np.matmul(product_error[t], weight, out=through)
            pass_back(further, through, ctx.starts[t])
        flat_error = product_error.reshape(num_steps * batch, -1)
        weight_error = flat_error.T @ np.ascontiguousarray(before[:, :, :units]).reshape(num_steps * batch, units)
        bias_error = torch.from_numpy(flat_error.sum(axis=0)) if ctx.has_bias else None
        return None, torch.from_numpy(input_error), torch.from_numpy(further), None, torch.from_numpy(weight_error), bias_error


@vectorised
def begin(state: np.ndarray, starts: np.ndarray, before: np.ndarray) -> None:
    """Write the state [B, S] into `before` [B, S], as 0 where a sequence starts [B].

    >>> before = np.empty((2, 1), np.float32)
    >>> begin(np.array([[3.0], [4.0]], np.float32), np.array([True, False]), before)
    >>> before.tolist()
    [[0.0], [4.0]]
    """
    for b in range(state.shape[0]):
        if starts[b]:
            before[b] = np.float32(0.0)
        else:
            copy_into(before[b], state[b])


@vectorised
def pass_back(further: np.ndarray, through: np.ndarray, starts: np.ndarray) -> None:
    """Add the product's part [B, H] to the derivative with respect to the state [B, S]; it is 0 where a sequence starts [B]."""
    for b in range(further.shape[0]):
        if starts[b]:
            further[b] = np.float32(0.0)
        else:
            for h in range(through.shape[1]):
                further[b, h] += through[b, h]


def _step_rnn(
    projected: np.ndarray, product: np.ndarray, before: np.ndarray, gates: np.ndarray, kept: np.ndarray, after: np.ndarray
) -> None:
    np.add(projected, product, out=gates)
    np.tanh(gates, out=gates)
    after[:] = gates


def _step_gru(
    projected: np.ndarray, product: np.ndarray, before: np.ndarray, gates: np.ndarray, kept: np.ndarray, after: np.ndarray
) -> None:
    units = before.shape[1]
    switches, candidate = gates[:, : 2 * units], gates[:, 2 * units :]
    np.add(projected, product, out=gates)
    np.multiply(switches, np.float32(0.5), out=switches)
    np.tanh(switches, out=switches)
    gru_candidate(projected, product, gates, kept)
    np.tanh(candidate, out=candidate)
    gru_after(gates, before, after)


def _step_lstm(
    projected: np.ndarray, product: np.ndarray, before: np.ndarray, gates: np.ndarray, kept: np.ndarray, after: np.ndarray
) -> None:
    lstm_sums(projected, product, gates)
    np.tanh(gates, out=gates)
    lstm_cell(gates, before, after, kept)
    np.tanh(kept, out=kept)
    lstm_output(gates, kept, after)


@vectorised
def gru_candidate(projected: np.ndarray, product: np.ndarray, gates: np.ndarray, kept: np.ndarray) -> None:
    """Turn tanh(x / 2) of both switches into sigmoids, and write what the candidate is the tanh of: U x + r * (W h); keeps W h [B, H]."""
    units = kept.shape[1]
    for b in range(gates.shape[0]):
        for h in range(2 * units):
            gates[b, h] = np.float32(0.5) + np.float32(0.5) * gates[b, h]
        for h in range(units):
            kept[b, h] = product[b, 2 * units + h]
            gates[b, 2 * units + h] = projected[b, 2 * units + h] + gates[b, h] * kept[b, h]


@vectorised
def gru_after(gates: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Write the state after a step: (1 - z) * candidate + z * before [B, H], from gates r, z, candidate [B, 3 H]."""
    units = before.shape[1]
    for b in range(gates.shape[0]):
        for h in range(units):
            keep = gates[b, units + h]
            after[b, h] = (np.float32(1.0) - keep) * gates[b, 2 * units + h] + keep * before[b, h]


@vectorised
def lstm_sums(projected: np.ndarray, product: np.ndarray, gates: np.ndarray) -> None:
    """Write the arguments of tanh [B, 4 H]: the sum, or half of it where a sigmoid is wanted (i, f and o, but not g)."""
    units = gates.shape[1] // 4
    for b in range(gates.shape[0]):
        for h in range(4 * units):
            gates[b, h] = np.float32(0.5) * (projected[b, h] + product[b, h])
        for h in range(2 * units, 3 * units):
            gates[b, h] = np.float32(2.0) * gates[b, h]


@vectorised
def lstm_cell(gates: np.ndarray, before: np.ndarray, after: np.ndarray, kept: np.ndarray) -> None:
    """Turn tanh(x / 2) of i, f and o into sigmoids; the cell f * c + i * g goes to the second half of `after` [B, 2 H] and to `kept`."""
    units = kept.shape[1]
    half = np.float32(0.5)
    for b in range(gates.shape[0]):
        for h in range(units):
            gates[b, h] = half + half * gates[b, h]
            gates[b, units + h] = half + half * gates[b, units + h]
            gates[b, 3 * units + h] = half + half * gates[b, 3 * units + h]
            kept[b, h] = gates[b, units + h] * before[b, units + h] + gates[b, h] * gates[b, 2 * units + h]
            after[b, units + h] = kept[b, h]


@vectorised
def lstm_output(gates: np.ndarray, kept: np.ndarray, after: np.ndarray) -> None:
    """Write the output o * tanh(c) into the first half of `after` [B, 2 H]; `kept` is tanh(c) [B, H]."""
    units = kept.shape[1]
    for b in range(gates.shape[0]):
        for h in range(units):
            after[b, h] = gates[b, 3 * units + h] * kept[b, h]


@vectorised
def rnn_step_error(
    error: np.ndarray,
    further: np.ndarray,
    gates: np.ndarray,
    kept: np.ndarray,
    before: np.ndarray,
    input_error: np.ndarray,
    product_error: np.ndarray,
) -> None:
    """Write the derivatives with respect to the argument of tanh [B, H]; the state before acts only through the product.

    Args:
        error: Derivative with respect to the output of this step alone [B, H].
        further: With respect to the state after it, from all later steps [B, S]; becomes that of the state before, without the product's
            part.
        gates: Values of the gates [B, G H].
        kept: Further values of the cell [B, H].
        before: The state before [B, S].
        input_error: Becomes the derivative by the projected input [B, G H].
        product_error: Becomes the derivative by the product [B, G H].
    """
    for b in range(error.shape[0]):
        for h in range(error.shape[1]):
            product_error[b, h] = (error[b, h] + further[b, h]) * (np.float32(1.0) - gates[b, h] * gates[b, h])
            further[b, h] = np.float32(0.0)


@vectorised
def gru_step_error(
    error: np.ndarray,
    further: np.ndarray,
    gates: np.ndarray,
    kept: np.ndarray,
    before: np.ndarray,
    input_error: np.ndarray,
    product_error: np.ndarray,
) -> None:
    """Do the same as `rnn_step_error` for a GRU: gates are r, z and the candidate [B, 3 H], `kept` is W h of the candidate [B, H]."""
    one, units = np.float32(1.0), error.shape[1]
    for b in range(error.shape[0]):
        for h in range(units):
            reset, keep, candidate = gates[b, h], gates[b, units + h], gates[b, 2 * units + h]
            total = error[b, h] + further[b, h]
            by_candidate = total * (one - keep) * (one - candidate * candidate)
            by_reset = by_candidate * kept[b, h] * reset * (one - reset)
            by_keep = total * (before[b, h] - candidate) * keep * (one - keep)
            input_error[b, h] = product_error[b, h] = by_reset
            input_error[b, units + h] = product_error[b, units + h] = by_keep
            input_error[b, 2 * units + h] = by_candidate
            product_error[b, 2 * units + h] = by_candidate * reset
            further[b, h] = total * keep


@vectorised
def lstm_step_error(
    error: np.ndarray,
    further: np.ndarray,
    gates: np.ndarray,
    kept: np.ndarray,
    before: np.ndarray,
    input_error: np.ndarray,
    product_error: np.ndarray,
) -> None:
    """Do the same as `rnn_step_error` for an LSTM: gates are i, f, g and o [B, 4 H], `kept` is tanh(c) [B, H]."""
    one, units = np.float32(1.0), error.shape[1]
    for b in range(error.shape[0]):
        for h in range(units):
            enter, forget = gates[b, h], gates[b, units + h]
            content, show = gates[b, 2 * units + h], gates[b, 3 * units + h]
            total = error[b, h] + further[b, h]
            by_cell = further[b, units + h] + total * show * (one - kept[b, h] * kept[b, h])
            product_error[b, h] = by_cell * content * enter * (one - enter)
            product_error[b, units + h] = by_cell * before[b, units + h] * forget * (one - forget)
            product_error[b, 2 * units + h] = by_cell * enter * (one - content * content)
            product_error[b, 3 * units + h] = total * kept[b, h] * show * (one - show)
            further[b, units + h] = by_cell * forget
            further[b, h] = np.float32(0.0)


_STEPS: dict[str, Callable[..., None]] = {"rnn": _step_rnn, "gru": _step_gru, "lstm": _step_lstm}
_STEP_ERRORS: dict[str, Callable[..., None]] = {"rnn": rnn_step_error, "gru": gru_step_error, "lstm": lstm_step_error}
