"""Reading of a corpus round after round in chunks of whole sentences, from a position that is two integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from rl_core.errors import RequestError


class Chunk(NamedTuple):
    """Some sentences of a corpus.

    Attributes:
        ids: Word ids [N].
        starts: First word of each sentence in `ids` [S + 1].
        number: A number that no other chunk of any round has.
    """

    ids: np.ndarray
    starts: np.ndarray
    number: int


class WordReader:
    """The corpus of a task, endlessly.

    Args:
        task: Task to read.
        chunk_words: Least number of words of a chunk; chunks are whole sentences and end with the corpus.

    Attributes:
        epoch: Rounds finished.
        sentence: The next sentence.
    """

    def __init__(self, task: CorpusTask, chunk_words: int) -> None:
        self.task, self.chunk_words = task, chunk_words
        self.epoch, self.sentence = 0, 0
        self._saved = ""  # fingerprint of the corpus of a saved run, until it is compared

    def chunk(self) -> Chunk:
        """Read the next chunk.

        Raises:
            RequestError: if the corpus is not the one of the saved run.
            ValueError: if the saved position is not one of it.
        """
        if self._saved:
            self._check()
        starts = self.task.corpus.starts
        first = self.sentence
        last = int(np.searchsorted(starts, starts[first] + self.chunk_words))
        last = min(max(last, first + 1), len(starts) - 1)
        begin, end = int(starts[first]), int(starts[last])
        number = self.epoch * (len(starts) - 1) + first
        self.sentence = last
        if last == len(starts) - 1:
            self.epoch, self.sentence = self.epoch + 1, 0
        return Chunk(self.task.read(begin, end), np.asarray(starts[first : last + 1]) - begin, number)

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the fingerprint of the corpus."""
        return {"epoch": self.epoch, "sentence": self.sentence, "corpus": self._saved or self.task.corpus.fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. The corpus is compared when the next chunk is read, so that it need not exist before.

        Raises:
            ValueError: if the position is not a possible one.
        """
        epoch, sentence = int(state["epoch"]), int(state["sentence"])
        if epoch < 0 or sentence < 0:
            raise ValueError(f"the position is round {epoch}, sentence {sentence}; expected numbers >= 0")
        self.epoch, self.sentence, self._saved = epoch, sentence, str(state["corpus"])

    def _check(self) -> None:
        """Check that the saved position is one of this corpus."""
        require_same_corpus(self.task, self._saved)
        sentences = self.task.corpus.num_sentences
        if self.sentence >= sentences:
            raise ValueError(f"the position is round {self.epoch}, sentence {self.sentence}; the corpus has {sentences} sentences")
        self._saved = ""


def require_same_corpus(task: CorpusTask, fingerprint: str) -> None:
    """Check that a corpus is still the one that a saved run learned from.

    Args:
        task: Task with the corpus.
        fingerprint: Fingerprint of the corpus when the run was saved.

    Raises:
        RequestError: if it is another one, whose word ids mean other words.
    """
    if task.corpus.fingerprint != fingerprint:
        name = task.corpus_config.path or "the bundled text"
        raise RequestError(
            f"the corpus {name} has changed since the run was saved, so the run cannot be continued on it",
            "restore the text as it was, or start a new run",
        )
