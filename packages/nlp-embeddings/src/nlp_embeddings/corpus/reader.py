"""Reading a corpus round after round in chunks of whole sentences, from a position that is two integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask


class WordReader:
    """The corpus of a task, endlessly.

    Args:
        task: Whose corpus.
        chunk_words: Words of a chunk, at least; whole sentences, and never over the end of the corpus.

    Attributes:
        epoch: Rounds finished.
        sentence: The next sentence.
    """

    def __init__(self, task: CorpusTask, chunk_words: int) -> None:
        self.task, self.chunk_words = task, chunk_words
        self.epoch, self.sentence = 0, 0
        self._corpus_words: int | None = None  # of the corpus that a saved run had

    def chunk(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Word ids, where each sentence starts among them [S + 1], and a number that no other chunk of any round has."""
        starts = self.task.corpus.starts
        first = self.sentence
        last = int(np.searchsorted(starts, starts[first] + self.chunk_words))
        last = min(max(last, first + 1), len(starts) - 1)
        begin, end = int(starts[first]), int(starts[last])
        number = self.epoch * (len(starts) - 1) + first
        self.sentence = last
        if last == len(starts) - 1:
            self.epoch, self.sentence = self.epoch + 1, 0
        return self.task.read(begin, end), np.asarray(starts[first : last + 1]) - begin, number

    def state_dict(self) -> dict[str, Any]:
        """The position, and what tells this corpus from another."""
        return {"epoch": self.epoch, "sentence": self.sentence, "corpus_words": len(self.task.corpus)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; the corpus itself is looked at when the next chunk is read."""
        self.epoch, self.sentence = int(state["epoch"]), int(state["sentence"])
        self._corpus_words = int(state["corpus_words"])

    def check(self) -> None:
        """Refuse to go on in another corpus; see `refuse_changed_corpus`."""
        refuse_changed_corpus(self.task, self._corpus_words)


def refuse_changed_corpus(task: CorpusTask, expected: int | None) -> None:
    """Nothing, for a corpus that is still that of a saved run.

    Args:
        task: Whose corpus.
        expected: Words that it had then; `None` for a run that begins.

    Raises:
        ValueError: if the corpus no longer has the `expected` number of words.
    """
    if expected is not None and expected != len(task.corpus):
        raise ValueError(
            f"the corpus has {len(task.corpus)} words and had {expected} when the run was saved: it has changed, "
            "and the run cannot be continued; restore the text, or start anew"
        )
