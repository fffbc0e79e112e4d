"""The part that all taggers of words share: answers to rows of numbers, to sentences and to typed text; the picture of confusions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.tagging.confusion import draw_confusion
from nlp_embeddings.tagging.schemes import spans
from nlp_embeddings.tagging.task import EntitiesTask, TaggingTask, TagPredict


class TaggerAgent(LineAgent):
    """Base of agents that learn tags from words. A subclass defines `step`, `tag_sentences` and its state.

    Attributes:
        words: Different words of the training text; empty before the first step.
    """

    headline: ClassVar[str] = "accuracy"
    task: TaggingTask

    def setup(self) -> None:
        """Check that the task has tagged words.

        Raises:
            ValueError: if it has none.
        """
        if not isinstance(self.task, TaggingTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a tagger of words needs tagging:<file> or entities:<file>")
        self.words: list[str] = []

    @abstractmethod
    def tag_sentences(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the tag numbers of the words of sentences."""

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the tag numbers of the words of sentences; the last tag for each word before anything was learned."""
        if not self.words:
            return [np.full(len(sentence), len(self.task.tags) - 1, dtype=np.int64) for sentence in sentences]
        return self.tag_sentences(sentences)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return tag numbers [B, T] for word numbers [B, T]."""
        return self.task.padded(self.tag(self.task.words_of_rows(inputs)), self.task.length)

    def predictor(self) -> TagPredict:
        """Return `predict` together with `tag`, which reads words."""
        return TagPredict(self.predict, self.tag)

    def answer(self, text: str) -> Any:
        """Return each word of a sentence with its tag; of entities also their words and types."""
        words = self.task.words_of(text)
        tags = [self.task.tags[number] for number in self.tag([words])[0]]
        if isinstance(self.task, EntitiesTask):
            return [[" ".join(words[start:end]), name] for start, end, name in spans(tags)]
        return [list(pair) for pair in zip(words, tags, strict=True)]

    def draw(self, folder: Path) -> None:
        """Draw which tags of the validation sentences were taken for which."""
        split = "validation" if self.task.examples["validation"] else "test"
        answered = np.concatenate(self.tag(self.task.sentences(split)))
        draw_confusion(np.concatenate(self.task.tag_numbers(split)), answered, self.task.tags, folder / "confusion.png", split)
