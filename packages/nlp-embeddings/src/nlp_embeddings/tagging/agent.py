"""The part that all taggers of words share: answers to rows of numbers, to sentences and to typed text; the picture of confusions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.tagging.schemes import spans
from nlp_embeddings.tagging.task import EntitiesTask, TaggingTask, TagPredict
from rl_core.agent import Agent

_SHOWN = 25  # tags of the picture


class TaggerAgent(Agent):
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

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return the answers to the sentences of a file, one a line."""
        from nlp_embeddings.corpus.text_files import numbered_lines

        return [self.answer(line) for _, line in numbered_lines(path) if line.strip()]

    def draw(self, folder: Path) -> None:
        """Draw which tags of the validation sentences were taken for which."""
        split = "validation" if self.task.examples["validation"] else "test"
        answered = np.concatenate(self.tag(self.task.sentences(split)))
        draw_confusion(np.concatenate(self.task.tag_numbers(split)), answered, self.task.tags, folder / "confusion.png", split)


def draw_confusion(
    true: np.ndarray, answered: np.ndarray, names: Sequence[str], path: Path, split: str, *, of: tuple[str, str] = ("tag", "words")
) -> None:
    """Draw the share of each true tag's words that got each tag, for the most frequent tags.

    Args:
        true: Numbers of the true tags [N].
        answered: Numbers of the tags given [N].
        names: Names by number.
        path: The file to write.
        split: Name of the split, for the title.
        of: Name of what is given, and of what it is given to.
    """
    from rl_core.figure import new_figure

    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (true, answered), 1)
    shown = np.argsort(-counts.sum(axis=1), kind="stable")[:_SHOWN]
    shown = shown[counts.sum(axis=1)[shown] > 0]
    shares = counts[np.ix_(shown, shown)] / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.32 * len(shown)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot(1, 1, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [f"{names[tag]} ({counts[tag].sum():,})" for tag in shown]
    axes.set_xticks(range(len(shown)), [names[tag] for tag in shown], rotation=90, fontsize=8)
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.set_xlabel(f"{of[0]} given")
    axes.set_ylabel(f"true {of[0]} ({of[1]})")
    axes.set_title(f"{of[0].capitalize()}s of the {split} {of[1]}: {np.mean(true == answered):.1%} right", fontsize=10)
    for row in range(len(shown)):
        for column in range(len(shown)):
            if shares[row, column] >= 0.02:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(image, label=f"share of its {of[1]}", shrink=0.8)
    figure.savefig(path, dpi=120)
