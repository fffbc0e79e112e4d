"""Words of two languages as a task: the vector of a word goes in, that of its translation comes out.

Judged by the share of test words whose nearest vector of the other language, by cosine, is that of a translation in the dictionary. Without
files the vectors are drawn: those of the second language are the first ones, turned, with noise, so that a rotation explains them.

Source: Mikolov, Le and Sutskever, "Exploiting Similarities among Languages for Machine Translation", 2013, for the task and its score.
Letters: N pairs, V words of the second language, d dimensions.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from nlp_embeddings.linear import unit_rows
from nlp_embeddings.reading.pairs import read_pairs
from nlp_embeddings.vectors.formats import load
from nlp_embeddings.vectors.word_vectors import WordVectors
from rl_core.config import Doc, FilePath, NonNegative, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import DataTask

PART = 5  # one word of the dictionary in five is for testing
DRAWN_WORDS, DRAWN_SIZE = 400, 16
NEAREST = 5


@configclass
class WordPairsConfig:
    """Vectors of two languages, and a dictionary."""

    dictionary: Annotated[FilePath, Doc("`word<TAB>translation` a line; empty: words and vectors are drawn")] = ""
    source: Annotated[FilePath, Doc("vectors of the first language, in any format that is read")] = ""
    target: Annotated[FilePath, Doc("vectors of the second language, as wide as the first ones")] = ""
    noise: Annotated[NonNegative, Doc("of drawn vectors: deviation of the noise, where a number of a vector has the deviation 1")] = 0.5
    seed: Annotated[Whole, Doc("of the drawn vectors")] = 0

    def __post_init__(self) -> None:
        given = [name for name in ("dictionary", "source", "target") if getattr(self, name)]
        if given and len(given) < 3:
            raise ValueError(f"{' and '.join(given)} is given alone; name dictionary, source and target, or none of them")


class WordPairsTask(DataTask):
    """Vectors [d] of words and of their translations, judged by the share whose nearest word is right.

    Raises:
        ValueError: if the vectors have unlike widths, or too few pairs of the dictionary have vectors.
    """

    Config: ClassVar[type] = WordPairsConfig
    config: WordPairsConfig
    metric = "precision at 1"

    def __init__(self, config: WordPairsConfig) -> None:
        super().__init__(config)
        if config.dictionary:
            self.source, self.target_words = (load(Path(path).expanduser()) for path in (config.source, config.target))
            pairs = [tuple(pair) for pair in read_pairs(Path(config.dictionary).expanduser())]
        else:
            self.source, self.target_words, pairs = drawn_languages(config.seed, config.noise)
        if self.source.vector_size != self.target_words.vector_size:
            raise ValueError(
                f"{config.source} has vectors of width {self.source.vector_size}, {config.target} of {self.target_words.vector_size}; "
                "they must be equal"
            )
        known = [(a, b) for a, b in dict.fromkeys(pairs) if a in self.source and b in self.target_words]
        words = list(dict.fromkeys(a for a, _ in known))
        if len(words) < 2 * PART:
            raise ValueError(f"{config.dictionary} has {len(words)} words with vectors on both sides; at least {2 * PART} are needed")
        place = {word: number % PART for number, word in enumerate(words)}
        self.pairs = {
            "train": [pair for pair in known if place[pair[0]] > 1],
            "validation": [pair for pair in known if place[pair[0]] == 1],
            "test": [pair for pair in known if place[pair[0]] == 0],
        }
        size = self.source.vector_size
        self.input_space = self.output_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.target = None if config.dictionary else 0.95

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `word-pairs`."""
        return super().traits() | {"word-pairs"}

    def num_examples(self, split: str) -> int:
        """Return the number of pairs of a split."""
        return len(self.pairs[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return unit vectors [B, d] of words and of their translations."""
        chosen = [self.pairs[split][int(index)] for index in indices]
        sides = ((self.source, 0), (self.target_words, 1))
        inputs, targets = (np.stack([words.get_vector(pair[k], norm=True) for pair in chosen]).astype(np.float32) for words, k in sides)
        return inputs, targets

    def judge(self) -> Judge:
        """Return a judge of vectors."""
        return NearestJudge(self._units)

    def parse(self, text: str) -> np.ndarray:
        """Return the unit vector [1, d] of a word of the first language, or a vector from a JSON list.

        Raises:
            ValueError: if it has none.
        """
        if text.lstrip().startswith("["):
            return np.asarray(super().parse(text))
        word = text.strip()
        if word not in self.source:
            raise ValueError(
                f"the word {word[:60]!r} has no vector; expected a word of {self.config.source or 'the drawn words, such as a7'}"
            )
        return self.source.get_vector(word, norm=True).astype(np.float32)[None]

    def describe(self, predictions: Any) -> list[list[str]]:
        """Return the nearest words of the second language to each vector [B, d]."""
        nearest = np.argsort(-unit_rows(np.asarray(predictions, dtype=np.float64)) @ self._units.T, axis=1, kind="stable")[:, :NEAREST]
        return [[self.target_words.index_to_key[number] for number in row] for row in nearest.tolist()]

    @cached_property
    def _units(self) -> np.ndarray:
        return unit_rows(self.target_words.unit_vectors.astype(np.float64))


class NearestJudge:
    """A judge that counts how often the right word is among the nearest.

    Args:
        units: Unit vectors of all words [V, d].
    """

    def __init__(self, units: np.ndarray) -> None:
        self._units, self._found, self._count = units, np.zeros(2), 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count vectors [B, d] against targets [B, d]."""
        scores = unit_rows(np.asarray(predictions, dtype=np.float64)) @ self._units.T
        right = (unit_rows(np.asarray(targets, dtype=np.float64)) @ self._units.T).argmax(axis=1)
        ranks = (scores > scores[np.arange(len(right)), right][:, None]).sum(axis=1)
        self._found += [(ranks < 1).sum(), (ranks < NEAREST).sum()]
        self._count += len(ranks)

    def result(self) -> dict[str, float]:
        """Return the shares of words whose translation is the nearest, and among the five nearest."""
        first, five = (float(number) / max(self._count, 1) for number in self._found)
        return {"precision at 1": first, f"precision at {NEAREST}": five, "words": float(self._count)}


def drawn_languages(seed: int, noise: float) -> tuple[WordVectors, WordVectors, list[tuple[str, ...]]]:
    """Return vectors of two languages, the second ones turned and with noise, and the dictionary."""
    rng = np.random.default_rng([seed, 12])
    first = rng.standard_normal((DRAWN_WORDS, DRAWN_SIZE))
    turn, _ = np.linalg.qr(rng.standard_normal((DRAWN_SIZE, DRAWN_SIZE)))
    second = first @ turn + noise * rng.standard_normal(first.shape)
    names = [[f"{letter}{number}" for number in range(DRAWN_WORDS)] for letter in "ab"]
    one, other = (WordVectors(words, vectors.astype(np.float32)) for words, vectors in zip(names, (first, second), strict=True))
    return one, other, list(zip(*names, strict=True))
