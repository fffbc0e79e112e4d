"""Recurrent networks: a state is carried from one input to the next. Elman's network, the GRU and the LSTM.

Sources: J. L. Elman, *Finding structure in time*, 1990; K. Cho and others, *Learning phrase representations using RNN
encoder-decoder*, 2014, appendix A.1.1; S. Hochreiter and J. Schmidhuber, *Long short-term memory*, 1997, with the forget gate of
F. A. Gers, J. Schmidhuber and F. Cummins, *Learning to forget*, 2000. First weights: orthogonal from state to state, Saxe, McClelland
and Ganguli 2014; forget gates open, R. Jozefowicz, W. Zaremba and I. Sutskever, *An empirical exploration of recurrent network
architectures*, 2015, section 2.2.
Departures: tanh everywhere (Elman's units are logistic); the reset gate of the GRU is applied after the product with the state, as
in torch (in the paper, before it), so that one product serves all gates; no peepholes.
Letters: T time, B batch, I inputs, H units, G gates, S numbers of a state, K outputs.

A state is one array [B, S] whose first H numbers are the units' outputs: S is H, or 2 H for an LSTM, whose cells follow. A new
state is 0. Two ways to use such a network:

- inputs that hold a sequence ([T, D], or an image read row by row) are read from start to end, and the outputs are the last step's:
  `build` makes that module, and `supervised` trains it as any other;
- inputs that are one step each ([D], a number) need an agent that carries the state, which asks for `build_stepped`.
  `build` refuses them, since an agent that calls a network input by input would make it forget everything each time.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.fast.bridge import is_plain
from dl_nets.fast.recurrent import unrolled_compiled
from dl_nets.networks.initialisation import Init, linear, orthogonal
from dl_nets.networks.layers import Activation, activation
from dl_nets.networks.spaces import Features, UnitScale, output_size
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network

Cell = Literal["rnn", "gru", "lstm"]


@configclass
class RecurrentConfig:
    """Settings of recurrent networks."""

    cell: Annotated[Cell, Doc("rnn (Elman), gru or lstm: how a state becomes the next")] = "lstm"
    units: Annotated[Count, Doc("H, numbers that go on to the next step and to the outputs")] = 64
    before: Annotated[tuple[Count, ...], Doc("units of each hidden layer between input and recurrence")] = ()
    after: Annotated[tuple[Count, ...], Doc("units of each hidden layer between recurrence and output")] = ()
    activation: Annotated[Activation, Doc("function behind each hidden layer; the recurrence has its own")] = "tanh"
    init: Annotated[Init, Doc("how weights are drawn; from state to state they are orthogonal")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of the hidden layers' first weights")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    forget_bias: Annotated[float, Doc("first bias of an LSTM's forget gates, any number; above 0 they start open")] = 1.0
    fast: Annotated[bool, Doc("whether a CPU steps through time by BLAS and compiled loops; the results differ by rounding")] = True


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


def unrolled(cell: Cell, projected: Tensor, state: Tensor, starts: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
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


class Recurrent(nn.Module):
    """The module of `build_stepped`: a network that is stepped through time by a caller who keeps its state.

    Args:
        config: Settings.
        features: Turns inputs into vectors.
        num_outputs: K.
        rng: Source of the first weights.

    Attributes:
        state_size: S.

    >>> network = Recurrent(RecurrentConfig("gru", units=3), Features(spaces.Box(-1, 1, (2,))), 1, np.random.default_rng(0))
    >>> inputs, state = torch.ones(5, 4, 2), network.initial_state(4)
    >>> outputs, state = network(inputs, state, torch.zeros(5, 4, dtype=torch.bool))
    >>> outputs.shape, state.shape
    (torch.Size([5, 4, 1]), torch.Size([4, 3]))
    """

    def __init__(self, config: RecurrentConfig, features: Features, num_outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._cell, self._fast = config.cell, config.fast
        self.state_size = config.units * (2 if config.cell == "lstm" else 1)
        self.features = features
        self.before = _hidden(features.size, config.before, config, rng)
        size, gates = (features.size, *config.before)[-1], NUM_GATES[config.cell]
        self.projection = _by_gate([linear(size, config.units, rng, init=config.init) for _ in range(gates)])
        if config.cell == "lstm":
            self.projection.bias.data[config.units : 2 * config.units] += config.forget_bias
        square = (config.units, config.units)
        self.weight = nn.Parameter(torch.from_numpy(np.concatenate([orthogonal(square, rng) for _ in range(gates)])))
        # Only a GRU's candidate needs it; elsewhere the projection has a bias already.
        self.bias = nn.Parameter(torch.zeros(gates * config.units)) if config.cell == "gru" else None
        self.after = _hidden(config.units, config.after, config, rng)
        self.output = linear((config.units, *config.after)[-1], num_outputs, rng, init=config.init, gain=config.output_gain)

    def initial_state(self, batch: int) -> Tensor:
        """Return a new state [B, S]: 0."""
        return torch.zeros(batch, self.state_size, device=self.weight.device)

    def forward(self, inputs: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, K] and the state after the last step [B, S].

        Args:
            inputs: [T, B, ...].
            state: The state that the last call returned, or `initial_state` [B, S].
            starts: Whether a sequence starts with this step: the state before it counts as 0 [T, B].
        """
        hidden, state = self.hidden(self.features(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2]), state, starts)
        outputs: Tensor = self.output(self.after(hidden))
        return outputs, state

    def one(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [B, K] and the state after one step [B, S], of inputs [B, ...] that follow a state [B, S]."""
        starts = torch.zeros(1, len(state), dtype=torch.bool, device=state.device)
        outputs, state = self(inputs[None], state, starts)
        return outputs[0], state

    def why_torch(self) -> str:
        """Return the reason why time is stepped through by torch, or ""."""
        if not self._fast:
            return "network.fast is false"
        return "" if self.weight.device.type == "cpu" else f"it is on {self.weight.device.type}"

    def hidden(self, vectors: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the units [T, B, H], and the last state [B, S], of input vectors [T, B, I]."""
        projected = self.projection(self.before(vectors))
        if self._fast and is_plain(projected[0]) and self.weight.dtype == torch.float32:
            return unrolled_compiled(self._cell, projected, state, starts, self.weight, self.bias)
        return unrolled(self._cell, projected, state, starts, self.weight, self.bias)


class SequenceReader(nn.Module):
    """The module of `build`: reads a whole sequence, and returns the outputs of its last step.

    Args:
        recurrent: Reads step by step.
        scale: Of a whole sequence.
    """

    def __init__(self, recurrent: Recurrent, scale: UnitScale) -> None:
        super().__init__()
        self.scale = scale
        self.recurrent = recurrent

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of sequences [B, T, ...]."""
        vectors = self.scale(inputs).flatten(2).transpose(0, 1)  # [T, B, I]
        starts = torch.zeros(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        hidden, _ = self.recurrent.hidden(vectors, self.recurrent.initial_state(len(inputs)), starts)
        outputs: Tensor = self.recurrent.output(self.recurrent.after(hidden[-1]))
        return outputs


class RecurrentNetwork(Network):
    """Builder of recurrent networks: `build` for inputs that are sequences, `build_stepped` for agents that carry a state."""

    Config: ClassVar[type] = RecurrentConfig
    config: RecurrentConfig
    stateful = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> SequenceReader:
        """Build a network from sequences [B, T, ...] to outputs [B, K].

        Raises:
            ValueError: if an input is not a sequence: it is not a Box, or one with less than two axes.
        """
        num_outputs = output_size(output_space)
        if not isinstance(input_space, spaces.Box) or len(input_space.shape) < 2:
            raise ValueError(
                f"the input space is {input_space}, which has no axis of time; network {self.config.cell} needs an agent that carries its "
                "state from step to step, and this one does not; use such an agent (ppo, a2c, a3c and dqn do), or network mlp"
            )
        step = spaces.Box(-np.inf, np.inf, input_space.shape[1:], np.float32)
        return SequenceReader(Recurrent(self.config, Features(step), num_outputs, rng), UnitScale(input_space))

    def build_stepped(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Recurrent:
        """Build a network from inputs [T, B, ...] to outputs [T, B, K], whose state the caller keeps."""
        return Recurrent(self.config, Features(input_space), output_size(output_space), rng)


def _by_gate(layers: list[nn.Linear]) -> nn.Linear:
    """Return linear layers [H, I] of the same inputs as one [G H, I]: each gate starts as a layer of its own would."""
    whole = nn.Linear(layers[0].in_features, len(layers) * layers[0].out_features, device="meta")
    whole.weight = nn.Parameter(torch.cat([layer.weight.detach() for layer in layers]))
    whole.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))
    return whole


def _hidden(inputs: int, layers: tuple[int, ...], config: RecurrentConfig, rng: np.random.Generator) -> nn.Sequential:
    modules: list[nn.Module] = []
    for units in layers:
        modules += [linear(inputs, units, rng, init=config.init, gain=config.hidden_gain), activation(config.activation)]
        inputs = units
    return nn.Sequential(*modules)
