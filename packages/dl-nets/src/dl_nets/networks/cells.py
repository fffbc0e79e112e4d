"""Recurrent cells: a state becomes the next. Elman's network, the GRU and the LSTM, step by step and unrolled through time.

Sources: J. L. Elman, *Finding structure in time*, 1990; K. Cho and others, *Learning phrase representations using RNN
encoder-decoder*, 2014, appendix A.1.1; S. Hochreiter and J. Schmidhuber, *Long short-term memory*, 1997, with the forget gate of
F. A. Gers, J. Schmidhuber and F. Cummins, *Learning to forget*, 2000. First weights: orthogonal from state to state, Saxe, McClelland
and Ganguli 2014; forget gates open, R. Jozefowicz, W. Zaremba and I. Sutskever, *An empirical exploration of recurrent network
architectures*, 2015, section 2.2. Layers above each other, and in both directions: A. Graves, A. Mohamed and G. Hinton, *Speech
recognition with deep recurrent neural networks*, 2013; M. Schuster and K. Paliwal, *Bidirectional recurrent neural networks*, 1997.
Departures: tanh everywhere (Elman's units are logistic); the reset gate of the GRU is applied after the product with the state, as
in torch (in the paper, before it), so that one product serves all gates; no peepholes.
Letters: T time, B batch, I inputs, H units, G gates, S numbers of a state.

The state of a cell is one array [B, S] whose first H numbers are the units' outputs: S is H, or 2 H for an LSTM, whose cells follow.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.fast.bridge import is_plain
from dl_nets.fast.recurrent import unrolled_compiled
from dl_nets.networks.initialisation import Init, linear, orthogonal
from dl_nets.networks.layers import Dropout

CellName = Literal["rnn", "gru", "lstm"]


def rnn_step(projected: Tensor, product: Tensor, state: Tensor) -> Tensor:
    """Return the next state [B, H] of Elman's network: h' = tanh(U x + b + W h).

    Args:
        projected: U x + b [B, H].
        product: W h [B, H].
        state: h [B, H].

    >>> rnn_step(torch.tensor([[0.5]]), torch.tensor([[-0.5]]), torch.tensor([[9.0]]))
    tensor([[0.]])
    """
    return torch.tanh(projected + product)


def gru_step(projected: Tensor, product: Tensor, state: Tensor) -> Tensor:
    """Return the next state [B, H] of a GRU: h' = (1 - z) n + z h, where n = tanh(U x + r (W h)), and r and z are sigmoids of U x + W h.

    Args:
        projected: U x + b of r, z and n [B, 3 H].
        product: W h + b of r, z and n [B, 3 H].
        state: h [B, H].

    With r = z = 1/2: n = tanh(0 + 1/2 * 0) = 0 and h' = 1/2 * 0 + 1/2 * 3.

    >>> gru_step(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([[3.0]]))
    tensor([[1.5000]])
    """
    units = state.shape[1]
    reset, keep = torch.sigmoid(projected[:, : 2 * units] + product[:, : 2 * units]).split(units, dim=1)
    candidate = torch.tanh(projected[:, 2 * units :] + reset * product[:, 2 * units :])
    return (1 - keep) * candidate + keep * state


def lstm_step(projected: Tensor, product: Tensor, state: Tensor) -> Tensor:
    """Return the next state [B, 2 H] of an LSTM: c' = f c + i g and h' = o tanh(c'); i, f, o are sigmoids and g a tanh of U x + W h.

    Args:
        projected: U x + b of i, f, g and o [B, 4 H].
        product: W h of i, f, g and o [B, 4 H].
        state: h, then c [B, 2 H].

    With all sums 0: c' = 1/2 * 2 + 1/2 * 0 = 1, and h' = 1/2 tanh(1).

    >>> lstm_step(torch.zeros(1, 4), torch.zeros(1, 4), torch.tensor([[7.0, 2.0]]))
    tensor([[0.3808, 1.0000]])
    """
    units = state.shape[1] // 2
    enter, forget, content, show = (projected + product).split(units, dim=1)
    cell = torch.sigmoid(forget) * state[:, units:] + torch.sigmoid(enter) * torch.tanh(content)
    return torch.cat([torch.sigmoid(show) * torch.tanh(cell), cell], dim=1)


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}
NUM_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def unrolled(
    cell: CellName, projected: Tensor, state: Tensor, starts: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return outputs [T, B, H] and the last state [B, S]: one step after the other, each from the state after the one before.

    Args:
        cell: Kind of step.
        projected: Contribution of the inputs to each gate [T, B, G H].
        state: The state before the first step [B, S].
        starts: Whether a sequence starts with this step, from a state of 0 [T, B].
        weight: W [G H, H].
        bias: Added to the product W h [G H]; none for nothing.
    """
    outputs, units = [], weight.shape[1]
    for t in range(len(projected)):
        state = torch.where(starts[t, :, None], torch.zeros_like(state), state)
        state = STEPS[cell](projected[t], functional.linear(state[:, :units], weight, bias), state)
        outputs.append(state[:, :units])
    return torch.stack(outputs), state


class Cell(nn.Module):
    """One layer of recurrent units.

    Args:
        name: Kind of step.
        inputs: I.
        units: H.
        rng: Source of the first weights.
        init: How weights of the inputs are drawn.
        forget_bias: First bias of an LSTM's forget gates.
        fast: Whether a CPU steps through time by BLAS and compiled loops.

    Attributes:
        state_size: S.

    >>> cell = Cell("gru", 2, 3, np.random.default_rng(0))
    >>> outputs, state = cell(torch.ones(5, 4, 2), torch.zeros(4, 3), torch.zeros(5, 4, dtype=torch.bool))
    >>> outputs.shape, state.shape
    (torch.Size([5, 4, 3]), torch.Size([4, 3]))
    """

    def __init__(
        self,
        name: CellName,
        inputs: int,
        units: int,
        rng: np.random.Generator,
        *,
        init: Init = "orthogonal",
        forget_bias: float = 1.0,
        fast: bool = True,
    ) -> None:
        super().__init__()
        self._name, self._fast = name, fast
        self.state_size = units * (2 if name == "lstm" else 1)
        gates = NUM_GATES[name]
        self.projection = _by_gate([linear(inputs, units, rng, init=init) for _ in range(gates)])
        if name == "lstm":
            self.projection.bias.data[units : 2 * units] += forget_bias
        square = (units, units)
        self.weight = nn.Parameter(torch.from_numpy(np.concatenate([orthogonal(square, rng) for _ in range(gates)])))
        # Only a GRU's candidate needs it; elsewhere the projection has a bias already.
        self.bias = nn.Parameter(torch.zeros(gates * units)) if name == "gru" else None

    def forward(self, vectors: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, H] and the last state [B, S].

        Args:
            vectors: [T, B, I].
            state: The state before the first step [B, S].
            starts: Whether a sequence starts with this step: the state before it counts as 0 [T, B].
        """
        projected = self.projection(vectors)
        if self._fast and self.weight.dtype == torch.float32 and is_plain(projected[0]):
            return unrolled_compiled(self._name, projected, state, starts, self.weight, self.bias)
        return unrolled(self._name, projected, state, starts, self.weight, self.bias)


class Cells(nn.Module):
    """Layers of recurrent units above each other; each reads the outputs of the one below, in one direction or in both.

    Args:
        name: Kind of step.
        inputs: I.
        units: H of each layer and direction.
        layers: How many.
        rng: Source of the first weights and of dropout.
        bidirectional: Whether each layer reads backwards as well.
        init: How weights of the inputs are drawn.
        forget_bias: First bias of an LSTM's forget gates.
        fast: As in `Cell`.
        dropout: Probability that an output is left out on its way to the next layer while training.

    Attributes:
        state_size: Numbers of the states of all layers, those of the lowest first; only forwards.
        size: Outputs of a step: H, or 2 H in both directions.
    """

    def __init__(
        self,
        name: CellName,
        inputs: int,
        units: int,
        layers: int,
        rng: np.random.Generator,
        *,
        bidirectional: bool = False,
        init: Init = "orthogonal",
        forget_bias: float = 1.0,
        fast: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.size = units * (2 if bidirectional else 1)
        sizes = [inputs] + [self.size] * (layers - 1)
        self.forwards = nn.ModuleList(Cell(name, size, units, rng, init=init, forget_bias=forget_bias, fast=fast) for size in sizes)
        self.backwards = nn.ModuleList(
            Cell(name, size, units, rng, init=init, forget_bias=forget_bias, fast=fast) for size in (sizes if bidirectional else [])
        )
        self.between = nn.ModuleList(Dropout(dropout, rng) for _ in range(layers - 1))
        self._layer_state = units * (2 if name == "lstm" else 1)
        self.state_size = layers * self._layer_state

    def forward(self, vectors: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the highest layer's outputs [T, B, H] and the last states [B, state_size], read forwards; see `Cell.forward`."""
        states = []
        for number, (cell, before) in enumerate(zip(self.forwards, state.split(self._layer_state, dim=1), strict=True)):
            vectors, after = cell(self.between[number - 1](vectors) if number else vectors, before, starts)
            states.append(after)
        return vectors, states[0] if len(states) == 1 else torch.cat(states, dim=1)

    def both_ways(self, vectors: Tensor, ends: Tensor) -> Tensor:
        """Return outputs [T, B, 2 H] of sequences [T, B, I] that start at step 0: those forwards, then those backwards.

        Args:
            vectors: [T, B, I].
            ends: Whether a sequence ends with this step [T, B]; backwards it starts there.
        """
        state = vectors.new_zeros(vectors.shape[1], self._layer_state)
        never = torch.zeros_like(ends)
        for number, (forwards, backwards) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            vectors = self.between[number - 1](vectors) if number else vectors
            ahead, _ = forwards(vectors, state, never)
            back, _ = backwards(vectors.flip(0), state, ends.flip(0))
            vectors = torch.cat([ahead, back.flip(0)], dim=2)
        return vectors


def _by_gate(layers: list[nn.Linear]) -> nn.Linear:
    """Return linear layers [H, I] of the same inputs as one [G H, I]: each gate starts as a layer of its own would."""
    whole = nn.Linear(layers[0].in_features, len(layers) * layers[0].out_features, device="meta")
    whole.weight = nn.Parameter(torch.cat([layer.weight.detach() for layer in layers]))
    whole.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))
    return whole
