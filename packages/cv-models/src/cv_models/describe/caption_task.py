"""Tasks that ask for a caption of a picture or a clip: spaces, the judge, the check by permuted inputs, and captions drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space

from cv_models.describe.caption_judge import CaptionJudge, Slots
from cv_models.describe.captions import Captions, Vocabulary
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Predict

SHOWN = 4  # examples among the best, and among the worst
LOOKED_AT = 64  # examples of the test split that the best and the worst are found among


class CaptionTask(DataTask):
    """A task that asks for a caption. A subclass defines `num_examples` and `read`, and calls `set_spaces`.

    Args:
        config: The task's settings.

    Attributes:
        vocabulary: The known words.
        slots: Parts of the meaning that are right in an answer; `None` without a grammar.
    """

    output_space: Captions
    vocabulary: Vocabulary
    slots: Slots | None = None

    def set_spaces(self, inputs: Space[Any], vocabulary: Vocabulary, length: int, num_captions: int) -> None:
        """Set the spaces: inputs, and up to `num_captions` captions of up to `length` tokens, their end included."""
        self.vocabulary = vocabulary
        self.input_space, self.output_space = inputs, Captions(length, vocabulary.size, num_captions, vocabulary.words)

    def judge(self) -> CaptionJudge:
        """Return a new judge of captions."""
        return CaptionJudge(self.vocabulary, self.output_space, self.slots)

    def describe(self, predictions: Any) -> list[Any]:
        """Return the captions in rows [B, R T]."""
        return [self.vocabulary.answer(row, self.output_space.caption_length) for row in np.asarray(predictions)]

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics on the test split, and the task's metric with each picture's caption judged as that of the next one.

        A captioner that ignores its input loses nothing when inputs are permuted.
        """
        judge, permuted = self.judge(), self.judge()
        count, size = self.num_examples("test"), self.at_once
        answers, targets = [], []
        for start in range(0, count, size):
            inputs, wanted = self.read("test", np.arange(start, min(start + size, count)))
            answers.append(np.asarray(predict(inputs)))
            targets.append(np.asarray(wanted))
        given, true = np.concatenate(answers), np.concatenate(targets)
        judge.add(given, true)
        permuted.add(np.roll(given, 1, axis=0), true)
        return judge.result() | {f"{self.metric}, inputs permuted": permuted.result()[self.metric]}

    @property
    def at_once(self) -> int:
        """The number of examples that are read and answered together."""
        return max(1, 2**22 // int(np.prod(self.input_space.shape or (1,))))

    def shown(self, example: np.ndarray) -> np.ndarray:
        """Return the picture [H, W, 1 or 3] that stands for an example in figures."""
        return example

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write the best and the worst captions of some test examples, with the true ones."""
        from rl_core.figure import new_figure

        count = min(self.num_examples("test"), LOOKED_AT)
        inputs, targets = (np.asarray(each) for each in self.read("test", np.arange(count)))
        answers = np.asarray(predict(inputs))
        scored = []
        for index in range(count):
            judge = CaptionJudge(self.vocabulary, self.output_space, self.slots)
            judge.add(answers[index : index + 1], targets[index : index + 1])
            result = judge.result()
            scored.append((result["exact match"], result["ROUGE-L"], -index, judge.answers[0], judge.references[0]))
        scored.sort(reverse=True)
        rows = [("best", row) for row in scored[:SHOWN]] + [("worst", row) for row in scored[::-1][:SHOWN]]
        figure = new_figure(3.4 * SHOWN, 7.0)
        figure.suptitle(f"captions of {count} test examples: the best above, the worst below", fontsize=11)
        grid = figure.subplots(2, SHOWN, squeeze=False).ravel()
        for axes, (kind, (_, rouge, place, answer, wanted)) in zip(grid, rows, strict=False):
            pixels = self.shown(inputs[-place])
            axes.imshow(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), interpolation="nearest")
            axes.set_title(wrapped(f"{kind}: {answer}"), fontsize=9)
            axes.set_xlabel(wrapped(f"true: {wanted[0]} (ROUGE-L {rouge:.2f})"), fontsize=8)
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in grid[len(rows) :]:
            axes.axis("off")
        figure.savefig(folder / "captions.png", dpi=110)


def wrapped(text: str, width: int = 38) -> str:
    """Return a text with line breaks, so that no line has more than `width` letters where words allow it."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width)) or text
