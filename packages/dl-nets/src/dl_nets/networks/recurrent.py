"""Recurrent networks: a state is carried from one input to the next. Elman's network, the GRU and the LSTM, deep and in both directions.

Sources and departures: see `cells`.
Letters: T time, B batch, I inputs, H units, S numbers of a state, K outputs, V vocabulary.

Two ways to use such a network:

- inputs that hold a sequence (tokens [T], numbers [T, D], or an image read row by row) are read from start to end. The answer is the
  last step's (many to one) or, where the task asks for one at each step, every step's (many to many). An input without time whose
  answer is a row of tokens is read again at each step of the answer (one to many). `build` makes that module, and `supervised` trains
  it as any other;
- inputs that are one step each ([D], a number) need an agent that carries the state, which asks for `build_stepped`.
  `build` refuses them, since an agent that calls a network input by input would make it forget everything each time.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from dl_nets.networks.cells import CellName, Cells
from dl_nets.networks.embedding import steps_answered, token_vectors, vocabulary
from dl_nets.networks.generation import choose
from dl_nets.networks.hidden import hidden_layers
from dl_nets.networks.initialisation import Init, linear
from dl_nets.networks.layers import Activation
from dl_nets.networks.spaces import Features, UnitScale, output_size
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.network import Network
from rl_core.tokens import padding_of


@configclass
class RecurrentConfig:
    """Settings of recurrent networks."""

    cell: Annotated[CellName, Doc("rnn (Elman), gru or lstm: how a state becomes the next")] = "lstm"
    units: Annotated[Count, Doc("H of each layer and direction, numbers that go on to the next step and to the outputs")] = 64
    layers: Annotated[Count, Doc("layers of such units above each other")] = 1
    bidirectional: Annotated[bool, Doc("whether each layer reads backwards as well; for whole sequences only")] = False
    embedding: Annotated[Count, Doc("numbers of the vector that stands for a token")] = 32
    before: Annotated[tuple[Count, ...], Doc("units of each hidden layer between input and recurrence")] = ()
    after: Annotated[tuple[Count, ...], Doc("units of each hidden layer between recurrence and output")] = ()
    activation: Annotated[Activation, Doc("function behind each hidden layer; the recurrence has its own")] = "tanh"
    init: Annotated[Init, Doc("how weights are drawn; from state to state they are orthogonal")] = "orthogonal"
    hidden_gain: Annotated[Positive, Doc("scale of the hidden layers' first weights")] = math.sqrt(2.0)
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0
    forget_bias: Annotated[float, Doc("first bias of an LSTM's forget gates, any number; above 0 they start open")] = 1.0
    layer_norm: Annotated[bool, Doc("whether each hidden layer is normalised before its activation")] = False
    batch_norm: Annotated[bool, Doc("whether each hidden unit is normalised over batch and time before its activation")] = False
    dropout: Annotated[
        float, Meta(ge=0, lt=1), Doc("probability that a hidden unit, or what goes up a layer, is left out while training")
    ] = 0.0
    fast: Annotated[bool, Doc("whether a CPU steps through time by BLAS and compiled loops; the results differ by rounding")] = True

    def __post_init__(self) -> None:
        if self.layer_norm and self.batch_norm:
            raise ValueError("layer_norm and batch_norm are both true; a layer is normalised in one way at most")


class Recurrent(nn.Module):
    """The module of `build_stepped`: a network that is stepped through time by a caller who keeps its state.

    Args:
        config: Settings.
        features: Turns inputs into vectors.
        num_inputs: I, numbers of such a vector.
        num_outputs: K.
        rng: Source of the first weights.

    Attributes:
        state_size: S.

    >>> features = Features(spaces.Box(-1, 1, (2,)))
    >>> network = Recurrent(RecurrentConfig("gru", units=3), features, 2, 1, np.random.default_rng(0))
    >>> inputs, state = torch.ones(5, 4, 2), network.initial_state(4)
    >>> outputs, state = network(inputs, state, torch.zeros(5, 4, dtype=torch.bool))
    >>> outputs.shape, state.shape
    (torch.Size([5, 4, 1]), torch.Size([4, 3]))
    """

    def __init__(self, config: RecurrentConfig, features: nn.Module, num_inputs: int, num_outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._fast = config.fast
        self.features = features
        self.before = nn.Sequential(*hidden_layers(num_inputs, config.before, config, rng))
        self.cells = Cells(
            config.cell,
            (num_inputs, *config.before)[-1],
            config.units,
            config.layers,
            rng,
            bidirectional=config.bidirectional,
            init=config.init,
            forget_bias=config.forget_bias,
            fast=config.fast,
            dropout=config.dropout,
        )
        self.state_size = self.cells.state_size
        self.after = nn.Sequential(*hidden_layers(self.cells.size, config.after, config, rng))
        self.output = linear((self.cells.size, *config.after)[-1], num_outputs, rng, init=config.init, gain=config.output_gain)

    def initial_state(self, batch: int) -> Tensor:
        """Return a new state [B, S]: 0."""
        return torch.zeros(batch, self.state_size, device=self.output.weight.device)

    def forward(self, inputs: Tensor, state: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, K] and the state after the last step [B, S].

        Args:
            inputs: [T, B, ...].
            state: The state that the last call returned, or `initial_state` [B, S].
            starts: Whether a sequence starts with this step: the state before it counts as 0 [T, B].
        """
        vectors = self.features(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        hidden, state = self.cells(self.before(vectors), state, starts)
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
        device = self.output.weight.device.type
        return "" if device == "cpu" else f"it is on {device}"


class SequenceReader(nn.Module):
    """The module of `build`: reads whole sequences, and answers at the end, or at each step.

    Args:
        config: Settings.
        input_space: Tokens, a Box of at least two axes, or one step that is read at each step of the answer.
        output_space: Space of the answers.
        rng: Source of the first weights.

    Attributes:
        length: T.

    Raises:
        ValueError: if neither inputs nor answers are sequences.
    """

    def __init__(self, config: RecurrentConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        self._bidirectional, self._padding, self._repeated = config.bidirectional, padding_of(input_space), False
        size = vocabulary(input_space)
        features: nn.Module
        self.scale = UnitScale(input_space)
        if size is not None:
            assert input_space.shape is not None
            self.length = input_space.shape[0]
            features, numbers = token_vectors(size, config.embedding, rng, 1.0), config.embedding
        elif isinstance(input_space, spaces.Box) and len(input_space.shape) >= 2:
            self.length, numbers = input_space.shape[0], math.prod(input_space.shape[1:])
            features = nn.Flatten()
        elif vocabulary(output_space) is not None and output_space.shape is not None and not isinstance(input_space, spaces.MultiDiscrete):
            self.length, self._repeated = output_space.shape[0], True
            features = Features(input_space)
            numbers = features.size
        else:
            raise ValueError(
                f"the input space is {input_space}, which has no axis of time; network {config.cell} needs an agent that carries its "
                "state from step to step, and this one does not; use such an agent (ppo, a2c, a3c and dqn do), or network mlp"
            )
        self.outputs_per_step = steps_answered(output_space, self.length)
        outputs = output_size(output_space) if self.outputs_per_step is None else self.outputs_per_step
        self._writes_what_it_reads = size is not None and size == self.outputs_per_step
        self.recurrent = Recurrent(config, features, numbers, outputs, rng)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of sequences [B, T, ...], or [B, T, K] where each step has its own."""
        network, hidden = self.recurrent, self._hidden(inputs)
        if self.outputs_per_step is None:
            outputs: Tensor = network.output(network.after(self._last(hidden, inputs)))
            return outputs
        each: Tensor = network.output(network.after(hidden)).transpose(0, 1)
        return each

    def generate(
        self, prompt: Tensor, count: int, rng: np.random.Generator, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
    ) -> Tensor:
        """Return tokens [B, count] that continue a prompt [B, n], one drawn after the other; see `generation.choose`.

        Raises:
            ValueError: if the network does not model the next token, or the prompt is empty.
        """
        if not self._writes_what_it_reads or self._bidirectional:
            raise ValueError("this network does not model the next token; it needs tokens as inputs and outputs, and one direction")
        if prompt.ndim != 2 or not prompt.shape[1]:
            raise ValueError(f"the prompt has shape {list(prompt.shape)}; expected [B, n] with at least one token")
        was_training, state, unseen, drawn = self.training, self.recurrent.initial_state(len(prompt)), prompt.T, []
        self.eval()
        with torch.no_grad():
            for _ in range(count):
                outputs, state = self.recurrent(unseen, state, torch.zeros(unseen.shape, dtype=torch.bool, device=unseen.device))
                drawn.append(choose(outputs[-1], rng, temperature=temperature, top_k=top_k, top_p=top_p))
                unseen = drawn[-1][None]
        self.train(was_training)
        return torch.stack(drawn, dim=1) if drawn else prompt[:, :0]

    def _hidden(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the units [T, B, H], or [T, B, 2 H] in both directions, of sequences [B, T, ...]."""
        network = self.recurrent
        if self._repeated:
            vectors = network.features(inputs).expand(self.length, -1, -1)
        elif isinstance(network.features, nn.Embedding):
            vectors = network.features(inputs.long().T)
        else:
            vectors = self.scale(inputs).flatten(2).transpose(0, 1)  # [T, B, I]
        vectors = network.before(vectors)
        if self._bidirectional:
            steps = torch.arange(len(vectors), device=vectors.device)[:, None]
            outputs: Tensor = network.cells.both_ways(vectors, steps == self._last_steps(inputs))
            return outputs
        starts = torch.zeros(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        outputs, _ = network.cells(vectors, network.initial_state(inputs.shape[0]), starts)
        return outputs

    def _last(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """Return what each direction has read at its end [B, H]: at the last step that is not padding, and backwards at the first."""
        last = hidden[self._last_steps(inputs), torch.arange(hidden.shape[1], device=hidden.device)]
        if not self._bidirectional:
            return last
        units = hidden.shape[2] // 2
        return torch.cat([last[:, :units], hidden[0, :, units:]], dim=1)

    def _last_steps(self, inputs: Tensor) -> Tensor:
        """Return the last step of each sequence that is not padding [B]; the first one of an empty text."""
        if self._padding is None:
            return torch.full((inputs.shape[0],), self.length - 1, device=inputs.device)
        return ((inputs != self._padding).sum(dim=1) - 1).clamp(min=0)


class RecurrentNetwork(Network):
    """Builder of recurrent networks: `build` for inputs or answers that are sequences, `build_stepped` for agents that carry a state."""

    Config: ClassVar[type] = RecurrentConfig
    config: RecurrentConfig
    stateful = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> SequenceReader:
        """Build a network from sequences [B, T, ...] to outputs [B, K] or [B, T, K].

        Raises:
            ValueError: if neither inputs nor answers have an axis of time.
        """
        return SequenceReader(self.config, input_space, output_space, rng)

    def build_stepped(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Recurrent:
        """Build a network from inputs [T, B, ...] to outputs [T, B, K], whose state the caller keeps.

        Raises:
            ValueError: if the network reads in both directions: what comes later is not known yet.
        """
        if self.config.bidirectional:
            raise ValueError(
                "bidirectional is true, but this agent steps through time and does not know what follows; set network.bidirectional=false, "
                f"or take network {self.config.cell}"
            )
        features = Features(input_space)
        return Recurrent(self.config, features, features.size, output_size(output_space), rng)
