"""Heat maps of attention: a row for each token of an answer, a column for each token of the input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rl_core.figure import new_figure
from rl_core.task import DataTask
from rl_core.tokens import end_of, padding_of

MOST_TEXTS, MOST_TOKENS = 3, 30
LONGEST_LABEL = 14


class Attends(Protocol):
    """A module with attention that can be shown."""

    def answers(self, inputs: Any) -> Tensor:
        """Return answers [B, T]."""

    def attention(self, inputs: Any, answers: Tensor) -> Tensor:
        """Return the share [B, T, S] of each input token at each token of the answers."""


def draw_attention(path: Path, module: Attends, task: DataTask) -> None:
    """Write a PNG of the shares for the answers to some test inputs; tokens have their names where the task has them.

    Args:
        path: The file to write.
        module: The network, which answers.
        task: Reads tokens; may have `source_tokens` and `target_tokens`, texts by number.
    """
    inputs = task.read("test", np.arange(min(MOST_TEXTS, task.num_examples("test"))))[0]
    given = torch.from_numpy(np.asarray(inputs))
    answers = module.answers(given)
    shares = module.attention(given, answers).numpy()
    figure = new_figure(5.2 * len(answers), 4.8)
    for number, (source, answer) in enumerate(zip(np.asarray(inputs).tolist(), answers.tolist(), strict=True)):
        left = _shown(source, padding_of(task.input_space), None)
        right = _shown(answer, padding_of(task.output_space), end_of(task.output_space))
        axes = figure.add_subplot(1, len(answers), number + 1)
        picture = shares[number, : len(right), : len(left)]
        image = axes.imshow(picture, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(
            range(picture.shape[1]), _names(left[: picture.shape[1]], getattr(task, "source_tokens", ())), rotation=90, fontsize=8
        )
        axes.set_yticks(range(len(right)), _names(right, getattr(task, "target_tokens", ())), fontsize=8)
        axes.set_xlabel("token of the input")
        axes.set_ylabel("token of the answer")
    figure.colorbar(image, label="share of the attention (rows sum to 1)")
    figure.suptitle("Where the decoder looks while it writes, on test inputs", fontsize=11)
    figure.savefig(path, dpi=120)


def _shown(tokens: Sequence[int], padding: int | None, end: int | None) -> list[int]:
    kept = list(tokens[: tokens.index(end) + 1]) if end is not None and end in tokens else [each for each in tokens if each != padding]
    return kept[:MOST_TOKENS]


def _names(tokens: Sequence[int], names: Sequence[str]) -> list[str]:
    if not names:
        return [str(token) for token in tokens]
    shown = (names[token] if token < len(names) else "?" for token in tokens)
    return [
        (name[: LONGEST_LABEL - 3] + "..." if len(name) > LONGEST_LABEL else name).replace("$", r"\$").replace(" ", "\u2423")
        for name in shown
    ]
