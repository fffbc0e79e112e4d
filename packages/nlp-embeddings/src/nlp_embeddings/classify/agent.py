"""The part that all classifiers of texts share: answers to rows of numbers, to texts and to what is typed; the picture of confusions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.classify.task import LabelsTask, TextPredict
from nlp_embeddings.reading.line_agent import typed_lines
from rl_core.agent import Agent


class TextAgent(Agent):
    """Base of agents that learn labels of texts. A subclass defines `step`, `shares` and its state."""

    headline: ClassVar[str] = "accuracy"
    task: LabelsTask

    def setup(self) -> None:
        """Check that the task has labelled texts.

        Raises:
            ValueError: if it has none.
        """
        if not isinstance(self.task, LabelsTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; this classifier needs sentiment:<file>")

    @abstractmethod
    def shares(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probability, or a number between 0 and 1, of each label of texts [B, K]."""

    def classify(self, texts: Sequence[str]) -> np.ndarray:
        """Return the most probable labels of texts [B]; where a text may have several, those above one half [B, K]."""
        shares = self.shares(texts)
        return (shares > 0.5).astype(np.int8) if self.task.several else shares.argmax(axis=1)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the labels of rows of word numbers [B, T]."""
        return self.classify(self.task.texts_of_rows(inputs))

    def predictor(self) -> TextPredict:
        """Return `predict` together with `classify`, which reads texts."""
        return TextPredict(self.predict, self.classify)

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of labels [B, K] for rows of word numbers [B, T]."""
        return self.shares(self.task.texts_of_rows(inputs))

    def answer(self, text: str) -> Any:
        """Return each label's probability for a text."""
        self.task.parse(text)
        return {name: round(float(share), 4) for name, share in zip(self.task.labels, self.shares([text])[0], strict=True)}

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return the labels of the texts of a file, one a line."""
        return self.task.describe(self.classify([line for _, line in typed_lines(path)]))

    def draw(self, folder: Path) -> None:
        """Draw which labels of the validation texts were taken for which."""
        from nlp_embeddings.tagging.confusion import draw_confusion

        split = "validation" if self.task.examples["validation"] else "test"
        if not self.task.several:
            answered = self.classify(self.task.texts(split))
            true, path = self.task.targets(self.task.examples[split]), folder / "confusion.png"
            draw_confusion(true, answered, self.task.labels, path, split, of=("label", "texts"))
