"""The part that all agents with topics share: answers in words, and the picture of topics."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from nlp_embeddings.corpus.tokenizers import tokenize
from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.topics.task import TopicsTask

_WORDS, _DRAWN = 8, 12  # words of a topic, topics of the picture


class TopicAgent(LineAgent):
    """Base of agents that find topics. A subclass defines `step`, `topics`, `shares`, `predict` and its state."""

    task: TopicsTask

    def setup(self) -> None:
        """Check that the task has documents.

        Raises:
            ValueError: if it has none.
        """
        if not isinstance(self.task, TopicsTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; topics are found in topics:<file>")

    @abstractmethod
    def topics(self) -> np.ndarray:
        """Return the topics [K, V], rows of sum 1."""

    @abstractmethod
    def shares(self, counts: np.ndarray) -> np.ndarray:
        """Return the shares of the topics [B, K] of documents' counts [B, V]."""

    def words_of_topic(self, topic: int, count: int = _WORDS) -> list[str]:
        """Return the most probable words of a topic."""
        return [self.task.terms[number] for number in np.argsort(-self.topics()[topic], kind="stable")[:count]]

    def answer(self, text: str) -> Any:
        """Return the topics of a text with their shares, the largest first; a text that is a list of numbers gets probabilities."""
        if text.lstrip().startswith("["):
            return super().answer(text)
        counts = np.zeros((1, len(self.task.terms)))
        for word in tokenize(text):
            if word in self.task.number_of:
                counts[0, self.task.number_of[word]] += 1
        if not counts.any():
            return {"unknown": tokenize(text)}
        shares = self.shares(counts)[0]
        best = np.argsort(-shares, kind="stable")[:3]
        return [{"topic": int(k), "share": round(float(shares[k]), 4), "words": self.words_of_topic(int(k))} for k in best]

    def draw(self, folder: Path) -> None:
        """Draw the most probable words of the topics that have the largest share of the training words."""
        from rl_core.figure import new_figure

        topics = self.topics()
        counts = np.zeros((1, len(self.task.terms)))
        for numbers in self.task.documents("train"):
            np.add.at(counts[0], numbers, 1)
        weight = self.shares(counts)[0]
        shown = np.argsort(-weight, kind="stable")[:_DRAWN]
        columns = min(4, len(shown))
        rows = -(-len(shown) // columns)
        figure = new_figure(3.0 * columns, 2.3 * rows)
        for place, topic in enumerate(shown):
            top = np.argsort(-topics[topic], kind="stable")[:_WORDS][::-1]
            axes = figure.add_subplot(rows, columns, place + 1)
            axes.barh(range(len(top)), topics[topic][top], color="C0")
            axes.set_yticks(range(len(top)), [self.task.terms[number] for number in top], fontsize=7)
            axes.set_title(f"topic {topic}: {weight[topic]:.0%} of all words", fontsize=8)
            axes.set_xlabel("probability", fontsize=7)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(axis="x", labelsize=7)
        figure.savefig(folder / "topics.png", dpi=120)
