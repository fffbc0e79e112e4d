"""Skip-gram and cbow with the full softmax, in plain NumPy and in steps of bounded work.

Source: Mikolov, Sutskever, Chen, Corrado, Dean, "Distributed Representations of Words and Phrases", 2013, equation 2.
Departures: none. Random numbers are those of the compiled kernels, so that the same words are kept and the same windows drawn.
Letters: V words, D padded width of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nlp_embeddings.training.stream import Progress, Stream

_MASK = (1 << 64) - 1


class Random:
    """The generator of the kernels: xorshift64*, started from a seed and a position by SplitMix64.

    Args:
        seed: Seed of the run.
        position: Position of the call.
    """

    def __init__(self, seed: int, position: int) -> None:
        z = (seed + (position + 1) * 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        self.state = (z ^ (z >> 31)) or 1

    def bits(self) -> int:
        """Return 64 random bits."""
        self.state ^= self.state >> 12
        self.state = (self.state ^ (self.state << 25)) & _MASK
        self.state ^= self.state >> 27
        return (self.state * 2685821657736338717) & _MASK

    def upper(self) -> int:
        """Return 32 random bits."""
        return self.bits() >> 32

    def below(self, bound: int) -> int:
        """Return a random integer in [0, bound)."""
        return (self.upper() * bound) >> 32


def softmax_loss(hidden: np.ndarray, outputs: np.ndarray, word: int) -> float:
    """Compute -log softmax(C h)[w], over the whole vocabulary (2).

    Example:
        >>> round(softmax_loss(np.array([0.0]), np.zeros((4, 1)), 2), 4)  # log 4
        1.3863
    """
    scores = outputs @ hidden
    return float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[word])


def softmax_gradient(hidden: np.ndarray, outputs: np.ndarray, word: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of `softmax_loss` by h [D] and by C [V, D]: (p - y) C and (p - y) h."""
    scores = outputs @ hidden
    error = np.exp(scores - scores.max())
    error /= error.sum()
    error[word] -= 1
    return error @ outputs, np.outer(error, hidden)


def softmax_step(hidden: np.ndarray, outputs: np.ndarray, word: int, rate: float | np.float32) -> float:
    """Take one step on h and C in place, and return the loss before it."""
    loss = softmax_loss(hidden, outputs, word)
    by_hidden, by_outputs = softmax_gradient(hidden, outputs, word)
    outputs -= rate * by_outputs
    hidden -= rate * by_hidden
    return loss


class SoftmaxWalk:
    """A walk through the windows of a chunk of sentences that can pause after each pair.

    Args:
        random: The chunk's generator.

    Attributes:
        words: Words of the vocabulary passed so far; those of an unfinished sentence in proportion.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self._sentence, self._centre = 0, 0  # the next ones
        self._finished_words, self._sentence_words = 0, 0
        self._kept: list[int] | None = None  # words of the current sentence
        self._context: list[int] = []  # of skip-gram: words that the last centre still has to be predicted from

    @property
    def words(self) -> int:
        """Words of the vocabulary passed so far."""
        centres = self._centre - bool(self._context)  # one whose pairs are not all done does not count yet
        return self._finished_words + (self._sentence_words * centres // len(self._kept) if self._kept else 0)

    def done(self, stream: Stream) -> bool:
        """Return whether all sentences are finished."""
        return not self._context and self._kept is None and self._sentence >= len(stream.starts) - 1

    def advance(self, stream: Stream, inputs: np.ndarray, outputs: np.ndarray, rule: str, work: int) -> Progress:
        """Learn from the next windows.

        Args:
            stream: The chunk; its schedule counts from the chunk's beginning.
            inputs: W [V, D].
            outputs: C [V, D].
            rule: "skip-gram"; or "mean" or "classic" for cbow with the gradient divided by the number of context words, or not.
            work: Bound of the work, in numbers of C touched: a pair touches all of them.
        """
        before, pairs, loss = self.words, 0, 0.0
        while pairs * outputs.size < work and not self.done(stream):
            if self._kept is None:
                self._begin_sentence(stream)
            kept = self._kept or []
            schedule = stream.schedule
            rate = np.float32(max(schedule.rate * (1 - (schedule.done + self._finished_words) / (schedule.total + 1)), schedule.least))
            if self._context:
                loss += softmax_step(inputs[self._context.pop()], outputs, kept[self._centre - 1], rate)
                pairs += 1
                continue
            centre = self._centre
            if centre >= len(kept):
                self._finished_words += self._sentence_words
                self._kept, self._centre, self._sentence_words = None, 0, 0
                self._sentence += 1
                continue
            reach = self.random.below(stream.window) + 1
            context = kept[max(0, centre - reach) : centre] + kept[centre + 1 : centre + reach + 1]
            self._centre += 1
            if not context:
                continue
            if rule == "skip-gram":
                self._context = context[::-1]
                continue
            start = inputs[context].sum(axis=0) * np.float32(1 / len(context))
            hidden = start.copy()
            loss += softmax_step(hidden, outputs, kept[centre], rate)
            np.add.at(inputs, context, (hidden - start) / len(context) if rule == "mean" else hidden - start)
            pairs += 1
        return Progress(self.words - before, pairs, loss, pairs)

    def _begin_sentence(self, stream: Stream) -> None:
        """Choose the words of the next sentence that are kept."""
        start, stop = stream.starts[self._sentence : self._sentence + 2]
        known = [int(word) for word in stream.ids[start:stop] if 0 <= word < len(stream.keep)]
        self._kept = [word for word in known if self.random.upper() <= stream.keep[word]]
        self._sentence_words, self._centre = len(known), 0

    def state_dict(self) -> dict[str, Any]:
        """Return the place, and the state of the generator as text."""
        return {
            "random": str(self.random.state),
            "place": [self._sentence, self._centre, self._finished_words, self._sentence_words],
            "kept": None if self._kept is None else np.array(self._kept, dtype=np.int64),
            "context": np.array(self._context, dtype=np.int64),
        }

    def load_state_dict(self, state: Mapping[str, Any], num_words: int, num_sentences: int) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: The state.
            num_words: V.
            num_sentences: Sentences of the chunk.

        Raises:
            ValueError: if the place is not one of the chunk, or a word is not in the vocabulary.
        """
        self.random.state = int(state["random"]) & _MASK
        place = [int(number) for number in state["place"]]
        kept = None if state["kept"] is None else [int(word) for word in state["kept"]]
        context = [int(word) for word in state["context"]]
        if min(place) < 0 or place[0] > num_sentences or any(not 0 <= word < num_words for word in [*(kept or []), *context]):
            raise ValueError(f"the place {place} is not one of a chunk of {num_sentences} sentences and {num_words} words")
        self._sentence, self._centre, self._finished_words, self._sentence_words = place
        self._kept, self._context = kept, context
