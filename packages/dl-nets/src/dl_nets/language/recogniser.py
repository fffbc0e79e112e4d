"""Recognition of speech by connectionist temporal classification: letters for frames, without knowing where each one is.

Source: Graves, Fernandez, Gomez and Schmidhuber, *Connectionist temporal classification: labelling unsegmented sequence data with recurrent
neural networks*, 2006; prefix search as a beam, Graves and Jaitly, *Towards end-to-end speech recognition with recurrent neural networks*,
2014, algorithm 1, without a language model. Departures: frames are joined in groups, which shortens the recurrence.
Letters: B batch, T frames, F bands, S groups of frames, L letters of a transcript, V letters, of which 0 is the blank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.cells import Cells
from dl_nets.networks.embedding import vocabulary
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network
from rl_core.tokens import padding_of

BLANK = 0


@configclass
class RecogniserConfig:
    """Settings of recognisers."""

    units: Annotated[Count, Doc("H of each layer and direction of the LSTM")] = 64
    layers: Annotated[Count, Doc("layers above each other")] = 1
    stack: Annotated[Count, Doc("frames that are joined to one step; a transcript may have at most a letter a step")] = 2
    beams: Annotated[Count, Doc("prefixes that are followed when it answers; 1: the likeliest letter of each step")] = 1
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number of the LSTM's outputs is left out while training")] = 0.0


def collapsed(path: list[int]) -> list[int]:
    """Return the letters of a path: repeated ones once, then without blanks.

    >>> collapsed([0, 1, 1, 0, 1, 2, 2])
    [1, 1, 2]
    """
    return [letter for place, letter in enumerate(path) if letter != BLANK and (place == 0 or path[place - 1] != letter)]


def prefix_search(log_probs: np.ndarray, beams: int) -> list[int]:
    """Return the likeliest letters that a search over `beams` prefixes finds; with enough beams, those of highest probability.

    Args:
        log_probs: Of the letters at each step [S, V].
        beams: Prefixes that are kept at each step.

    Both steps' likeliest letter is the blank, with 0.36 for no letter at all; but all paths of the letter 1 together have 0.64:

    >>> prefix_search(np.log(np.array([[0.6, 0.4], [0.6, 0.4]])), 4)
    [1]
    """
    kept: dict[tuple[int, ...], tuple[float, float]] = {
        (): (0.0, -math.inf)
    }  # log probability of ending in a blank, and in the last letter
    for row in log_probs.tolist():
        found: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(prefix: tuple[int, ...], blank: float, letter: float, found: dict[tuple[int, ...], tuple[float, float]] = found) -> None:
            before = found.get(prefix, (-math.inf, -math.inf))
            found[prefix] = float(np.logaddexp(before[0], blank)), float(np.logaddexp(before[1], letter))

        for prefix, (blank, letter) in kept.items():
            whole = float(np.logaddexp(blank, letter))
            add(prefix, whole + row[BLANK], letter + row[prefix[-1]] if prefix else -math.inf)
            for number in range(1, len(row)):
                add((*prefix, number), -math.inf, (blank if prefix and prefix[-1] == number else whole) + row[number])
        best = sorted(found.items(), key=lambda each: -float(np.logaddexp(*each[1])))
        kept = dict(best[:beams])
    return list(next(iter(kept)))


class Recogniser(nn.Module):
    """The module that `CTCRecogniser` builds; it brings its own loss.

    Args:
        config: Settings.
        input_space: Frames [T, F]; those behind the last one that is not 0 do not count.
        output_space: Letters [L], padded by 0.
        rng: Source of the first weights and of dropout.

    Raises:
        ValueError: if the spaces are not frames and letters, or there are fewer steps than letters.
    """

    traced_outputs: Mapping[str, str] = {
        "answers": "letters: the likeliest of each step, repeated ones once, without blanks; with beams above 1 the agent searches further",
        "outputs": "log probabilities of the letters and the blank, 0, at each step",
    }

    def __init__(self, config: RecogniserConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        size = vocabulary(output_space)
        if not isinstance(input_space, spaces.Box) or len(input_space.shape) != 2 or size is None or padding_of(output_space) != BLANK:
            raise ValueError(
                f"inputs are {input_space} and outputs {output_space}; network ctc-recogniser reads frames, a Box [T, F], and writes "
                "letters, tokens [L] padded by 0"
            )
        frames, bands = input_space.shape
        self.length, self._stack, self._beams = int(output_space.shape[0]) if output_space.shape else 0, config.stack, config.beams
        if math.ceil(frames / config.stack) < self.length:
            raise ValueError(
                f"inputs have {frames} frames, of which stack joins {config.stack}, and transcripts up to {self.length} letters; "
                "a step has one letter at most: lower stack"
            )
        self.recurrent = Cells("lstm", bands * config.stack, config.units, config.layers, rng, bidirectional=True, dropout=config.dropout)
        self.output = linear(2 * config.units, size, rng, init="glorot")
        self.dropout = Dropout(config.dropout, rng)

    def scores(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities [S, B, V] of the letters at each step of frames [B, T, F], and the number of steps [B]."""
        frames = inputs.float()
        heard = frames.abs().amax(dim=2) > 0
        counts = torch.where(heard, torch.arange(1, frames.shape[1] + 1, device=frames.device), 0).amax(dim=1).clamp(min=1)
        steps = (counts + self._stack - 1) // self._stack
        # A graph has one length, and padding counts nothing.
        longest = -(-frames.shape[1] // self._stack) if torch.compiler.is_compiling() else int(steps.max())
        frames = functional.pad(frames, (0, 0, 0, self._stack))[:, : longest * self._stack]
        vectors = frames.reshape(frames.shape[0], longest, -1).transpose(0, 1)
        hidden = self.recurrent.both_ways(vectors, torch.arange(longest, device=frames.device)[:, None] == steps - 1)
        return self.output(self.dropout(hidden)).float().log_softmax(dim=2), steps

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return -log P(letters | frames), the sum over all alignments, divided by the number of letters, in the mean over letters []."""
        log_probs, steps = self.scores(inputs)
        letters = targets.long()
        lengths = (letters != BLANK).sum(dim=1)
        # A transcript that cannot fit its recording has an infinite loss and is left out.
        each = functional.ctc_loss(log_probs, letters, steps, lengths, blank=BLANK, reduction="none", zero_infinity=True)
        weight = torch.ones_like(each) if weights is None else weights.float()
        return (each * weight).sum() / (lengths * weight).sum().clamp(min=1e-9), {}

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return letters [B, L], the likeliest of each step, and log probabilities [B, S, V], for an exporter."""
        log_probs, steps = self.scores(inputs)
        path = log_probs.argmax(dim=2).T  # [B, S]
        before = functional.pad(path, (1, 0), value=BLANK)[:, :-1]
        counted = torch.arange(path.shape[1], device=path.device) < steps[:, None]
        kept = counted & (path != BLANK) & (path != before)
        # The n-th letter that is kept goes to place n - 1; all others, and what is too long, to one place more, which is cut off.
        places = torch.where(kept, kept.cumsum(dim=1) - 1, self.length).clamp(max=self.length)
        letters = torch.zeros_like(path[:, :1]).expand(-1, self.length + 1).scatter(1, places, path)
        return letters[:, : self.length], log_probs.transpose(0, 1)

    def answers(self, inputs: Tensor) -> Tensor:
        """Return letters [B, L] of frames [B, T, F]."""
        log_probs, steps = self.scores(inputs)
        answers = torch.zeros(len(steps), self.length, dtype=torch.int64)
        for row, count in enumerate(steps.tolist()):
            part = log_probs[:count, row]
            found = collapsed(part.argmax(dim=1).tolist()) if self._beams == 1 else prefix_search(part.cpu().numpy(), self._beams)
            kept = found[: self.length]
            answers[row, : len(kept)] = torch.tensor(kept, dtype=torch.int64)
        return answers


class CTCRecogniser(Network):
    """Builder of recognisers."""

    Config: ClassVar[type] = RecogniserConfig
    config: RecogniserConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Recogniser:
        """Build a recogniser from frames [B, T, F] to letters [B, L]."""
        return Recogniser(self.config, input_space, output_space, rng)
