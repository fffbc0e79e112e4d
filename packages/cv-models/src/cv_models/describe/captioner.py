"""The part that all captioners share: the loss of the words, the check by permuted inputs, and captions by beam search.

A captioner looks at an input once (`memory`) and then writes word by word (`advance`). It learns from the true words before each word, and
answers by beam search. Beside its loss each batch reports `permuted_loss`: the loss where each caption is said of the next input of the
batch. A captioner that ignores its input has the same loss there.

Source: the loss, Vinyals, Toshev, Bengio and Erhan, *Show and tell*, 2015, equation 13, as a mean over words.

Letters: B batch, N captions, R captions of an input, T tokens of a caption, V vocabulary, L places of a memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.describe.captions import UNKNOWN, Captions
from dl_nets.networks.embedding import vocabulary
from dl_nets.networks.generation import GREEDY, NextTokenByBeam, beam_search, greedy
from rl_core.config import Count, Doc, Meta, NonNegative, configclass
from rl_core.tokens import end_of, padding_of

CHECKED = 16  # captions of a batch that are also said of the next input

Memory = tuple[Tensor, ...]
"""Tensors [N, ...] of what was seen in inputs."""
State = tuple[Tensor, ...]
"""Tensors [N, ...] of what was written so far."""


@configclass
class CaptionerConfig:
    """Settings of every captioner."""

    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number is left out on its way into or out of the decoder")] = 0.0
    label_smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("share of the target that is spread over all words while training")] = 0.0
    beams: Annotated[Count, Doc("captions that are followed at a time when it answers; 1 takes the likeliest word each time")] = 3
    length_penalty: Annotated[NonNegative, Doc("alpha of a beam's score, log probability over ((5 + length) / 6)^alpha")] = 0.6


class Captioner(nn.Module):
    """A module that captions inputs and brings its own loss. A subclass defines `memory`, `begin` and `advance`.

    Args:
        config: Settings.
        output_space: Captions, or other tokens.

    Attributes:
        size: V; the token V stands for the beginning.
        length: T.

    Raises:
        ValueError: if the output space is not one of tokens.
    """

    traced_outputs = GREEDY

    def __init__(self, config: CaptionerConfig, output_space: Space[Any]) -> None:
        super().__init__()
        size = vocabulary(output_space)
        if size is None or output_space.shape is None:
            raise ValueError(f"outputs are {output_space}; a captioner writes tokens, MultiDiscrete [T] of one vocabulary from 0")
        is_captions = isinstance(output_space, Captions)
        self.size, self.num_captions = size, output_space.num_captions if is_captions else 1
        self.length = int(output_space.shape[0]) // self.num_captions
        self._padding, self._end = padding_of(output_space), end_of(output_space)
        self._banned = [UNKNOWN] if is_captions else []
        self._smoothing, self._beams, self._length_penalty = config.label_smoothing, config.beams, config.length_penalty

    def memory(self, inputs: Tensor) -> Memory:
        """Return what the decoder sees of inputs [B, ...]."""
        raise NotImplementedError

    def begin(self, memory: Memory) -> State:
        """Return the state before the first word."""
        raise NotImplementedError

    def advance(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor]:
        """Return the logits [N, V] of the token after `tokens` [N], the state there, and the share of each place of the memory [N, L]."""
        raise NotImplementedError

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T], and the shares of the places [N, T, L]."""
        state, found = self.begin(memory), []
        for step in range(before.shape[1]):
            logits, state, shares = self.advance(memory, state, before[:, step])
            found.append((logits, shares))
        return torch.stack([logits for logits, _ in found], 1), torch.stack([shares for _, shares in found], 1)

    def penalty(self, shares: Tensor, counted: Tensor) -> Tensor:
        """Return what is added to the loss of each caption [N], given shares [N, T, L] and which tokens count [N, T]; 0 by default."""
        return shares.new_zeros(len(shares))

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean cross-entropy [] of the words, in nats, and metrics.

        Args:
            inputs: [B, ...].
            targets: True captions [B, R T].
            weights: How often each example counts [B].
        """
        captions = targets.long().reshape(-1, self.length)
        rows = torch.arange(len(inputs), device=captions.device).repeat_interleave(self.num_captions)
        if self.num_captions > 1 and self._padding is not None:
            used = (captions != self._padding).any(dim=1)
            captions, rows = captions[used], rows[used]
        memory = self.memory(inputs)
        counted = torch.ones_like(captions, dtype=torch.float32) if self._padding is None else (captions != self._padding).float()
        weight = torch.ones(len(rows), device=captions.device) if weights is None else weights[rows]
        logits, shares = self.read(taken(memory, rows), self._before(captions))
        smoothing = self._smoothing if self.training else 0.0
        each = functional.cross_entropy(logits.float().transpose(1, 2), captions, reduction="none", label_smoothing=smoothing)
        share = counted * weight[:, None] / (counted * weight[:, None]).sum().clamp(min=1e-9)
        loss = (each * share).sum() + (self.penalty(shares, counted) * weight).sum() / weight.sum().clamp(min=1e-9)
        right = (logits.detach().argmax(dim=2) == captions).float()
        metrics = {"token_accuracy": (right * share).sum()}
        if self.training:
            metrics["permuted_loss"] = self._permuted_loss(memory, rows[:CHECKED], captions[:CHECKED], counted[:CHECKED])
        return loss, metrics

    @torch.no_grad()
    def _permuted_loss(self, memory: Memory, rows: Tensor, captions: Tensor, counted: Tensor) -> Tensor:
        """Return the loss [] of captions that are said of the next input of the batch."""
        logits, _ = self.read(taken(memory, (rows + 1) % len(memory[0])), self._before(captions))
        each = functional.cross_entropy(logits.float().transpose(1, 2), captions, reduction="none")
        return (each * counted).sum() / counted.sum().clamp(min=1e-9)

    def answers(self, inputs: Tensor) -> Tensor:
        """Return captions [B, R T] of inputs [B, ...] by beam search, each in the first slot of its row."""
        memory = self.memory(inputs)
        found = beam_search(
            self.writing(memory),
            torch.full((len(inputs), 1), self.size, device=inputs.device),
            self.length,
            beams=self._beams,
            end=self._end,
            padding=self._filling,
            length_penalty=self._length_penalty,
        )
        return self._row(found)

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return captions [B, R T] of one beam and their logits [B, T, V], in as many steps for each input, for an exporter."""
        memory = self.memory(inputs)
        state = self.begin(memory)

        def following(tokens: Tensor) -> Tensor:
            nonlocal state
            logits, state, _ = self.advance(memory, state, tokens[:, -1])
            return logits

        return self.likeliest(following, torch.full_like(memory[0].flatten(1)[:, :1], self.size, dtype=torch.long))

    def likeliest(self, following: Callable[[Tensor], Tensor], begin: Tensor) -> tuple[Tensor, Tensor]:
        """Return captions [B, R T] that take the likeliest token each time, and their logits [B, T, V].

        Args:
            following: From tokens [B, 1] to the logits [B, V] of the next; called with one more token each time.
            begin: The beginning [B, 1].
        """
        captions, logits = greedy(
            lambda tokens: self.without_unknown(following(tokens)), begin, self.length, end=self._end, padding=self._filling
        )
        return self._row(captions), logits

    def writing(self, memory: Memory) -> NextTokenByBeam:
        """Return the model of the next word that beam search asks."""
        return Writing(self, memory)

    def without_unknown(self, logits: Tensor) -> Tensor:
        """Return logits [..., V] in which the token of unknown words is impossible."""
        if self._banned:
            logits = logits.clone()
            logits[..., self._banned] = -torch.inf
        return logits

    def _before(self, captions: Tensor) -> Tensor:
        """Return the token before each one of captions [N, T]."""
        return torch.cat([torch.full_like(captions[:, :1], self.size), captions[:, :-1]], dim=1)

    def _row(self, captions: Tensor) -> Tensor:
        return functional.pad(captions, (0, self.length * (self.num_captions - 1)), value=self._filling)

    @property
    def _filling(self) -> int:
        return self._padding if self._padding is not None else self._end or 0


class Writing:
    """A captioner at work on some captions.

    Args:
        module: The captioner.
        memory: What it sees of the inputs.
    """

    def __init__(self, module: Captioner, memory: Memory) -> None:
        self._module, self._memory, self._state = module, memory, module.begin(memory)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [N, V] of the token after `tokens` [N, n], which follow those before."""
        for step in range(tokens.shape[1]):
            logits, self._state, _ = self._module.advance(self._memory, self._state, tokens[:, step])
        return self._module.without_unknown(logits)

    def reorder(self, rows: Tensor) -> None:
        """Go on with the captions in rows `rows` [N]."""
        self._memory, self._state = taken(self._memory, rows), taken(self._state, rows)


def taken(tensors: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    """Return the rows `rows` [N] of each tensor [B, ...]."""
    return tuple(tensor[rows] for tensor in tensors)
