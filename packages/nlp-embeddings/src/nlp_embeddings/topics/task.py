"""Topics as a task: `topics:<file>` with a document a line, and the bundled `topic-bars`, whose topics are known.

Half of a document's words go in as counts, the probabilities of all words come out, and are judged by the perplexity of the other half:
lower is better. Agents that have topics (`TopicPredict`) are judged by them as well: on `topic-bars` by the mean total variation to the
true topics in the best matching, on files by the coherence of their ten first words.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces
from scipy.optimize import linear_sum_assignment

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.corpus.tokenizers import STOP_WORDS, tokenize
from nlp_embeddings.draws import number_of, steps_of
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from rl_core.config import Count, Doc, configclass
from rl_core.judge import Judge
from rl_core.task import Predict

BAR_DOCUMENTS = {"train": 500, "validation": 20, "test": 100}
BAR_SIDE, BAR_WORDS, BAR_ALPHA = 5, 60, 0.3
_TOP = 10  # words of a topic that coherence is computed on


class TopicPredict:
    """The predictor of an agent with topics.

    Args:
        predict: Function from counts [B, V] to probabilities [B, V].
        topics: Returns the topics [K, V], rows of sum 1.
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], topics: Callable[[], np.ndarray]) -> None:
        self._predict, self.topics = predict, topics

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return probabilities of words [B, V]."""
        return self._predict(inputs)


@configclass
class TopicsConfig(FilesConfig):
    """Documents."""

    max_terms: Annotated[Count, Doc("V, the most frequent words that are not stop words")] = 2000
    min_count: Annotated[Count, Doc("a word in fewer documents is left out")] = 2


class TopicsTask(FileTask):
    """Documents as counts of words, judged by the perplexity of held-out words.

    Attributes:
        terms: Words by number.
    """

    Config: ClassVar[type] = TopicsConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("terms",)
    metric = "perplexity"
    higher_is_better = False

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the words of each line that has two or more."""
        rows = [[word for word in tokenize(line) if word not in STOP_WORDS and not word.isdigit()] for _, line in numbered_lines(path)]
        return [row for row in rows if len(row) > 1]

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return documents of ten topics: the rows and the columns of a square of words."""
        rng = np.random.default_rng([self.config.seed, 11])
        topics = bars()
        steps = steps_of(topics)
        found: dict[str, list[Any]] = {}
        for split, count in BAR_DOCUMENTS.items():
            found[split] = []
            for _ in range(count):
                drawn = rng.choice(len(topics), BAR_WORDS, p=rng.dirichlet(np.full(len(topics), BAR_ALPHA)))
                found[split].append([_bar_word(number_of(rng, steps[topic])) for topic in drawn])
        return found

    def encode(self, examples: list[Any]) -> None:
        """Number the words that occur in enough documents."""
        counts = Counter(word for words in examples for word in dict.fromkeys(words))
        order = sorted(counts, key=lambda word: (-counts[word], word))
        self.terms = sorted(word for word in order[: self.config.max_terms] if counts[word] >= self.config.min_count)
        if len(self.terms) < 2:
            raise ValueError(
                f"{self.config.file} has {len(self.terms)} words in {self.config.min_count} or more documents; lower min_count"
            )

    def set_spaces(self) -> None:
        """Set the spaces."""
        size = len(self.terms)
        self.input_space = spaces.Box(0.0, np.inf, (size,), np.float32)
        self.output_space = spaces.Box(0.0, np.inf, (size,), np.float32)
        self.number_of = {term: number for number, term in enumerate(self.terms)}

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `word-counts`."""
        return super().traits() | {"word-counts"}

    def documents(self, split: str) -> list[np.ndarray]:
        """Return the numbers of the known words of each document."""
        return [np.array([self.number_of[w] for w in words if w in self.number_of], dtype=np.int64) for words in self.examples[split]]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return counts of one half of each document's words [B, V], and of the other half [B, V]."""
        inputs, targets = (np.zeros((len(indices), len(self.terms)), dtype=np.float32) for _ in range(2))
        for row, index in enumerate(indices):
            numbers = self._known[split][int(index)]
            seed = hashlib.blake2b(numbers.tobytes(), digest_size=4).digest()
            mixed = np.random.default_rng(int.from_bytes(seed, "little")).permutation(numbers)
            np.add.at(inputs[row], mixed[::2], 1)
            np.add.at(targets[row], mixed[1::2], 1)
        return inputs, targets

    def judge(self) -> Judge:
        """Return a judge of probabilities."""
        return PerplexityJudge()

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split, and what the agent's topics are worth."""
        found = super().evaluate_split(predict, split, batch_size)
        if isinstance(predict, TopicPredict):
            topics = predict.topics()
            if not self.config.file:
                distances = total_variation(topics, self._true_topics)
                found |= {"total variation": float(distances.mean()), "largest total variation": float(distances.max())}
            found["coherence"] = self.coherence(topics)
        return found

    def coherence(self, topics: np.ndarray) -> float:
        """Return the mean NPMI of the pairs of each topic's first words, over the training documents: from -1 to 1.

        Source: Lau, Newman, Baldwin, "Machine Reading Tea Leaves", 2014, with documents in place of windows.
        """
        seen = np.zeros((len(self._known["train"]), len(self.terms)), dtype=bool)
        for row, numbers in enumerate(self._known["train"]):
            seen[row, numbers] = True
        scores = []
        for topic in topics:
            top = np.argsort(-topic, kind="stable")[:_TOP]
            both = seen[:, top].T.astype(np.float64) @ seen[:, top] / len(seen)
            for i in range(len(top)):
                for j in range(i):
                    p = both[i, j]
                    scores.append(-1.0 if p == 0 else 1.0 if p == 1 else math.log(p / (both[i, i] * both[j, j])) / -math.log(p))
        return float(np.mean(scores)) if scores else 0.0

    @cached_property
    def _known(self) -> dict[str, list[np.ndarray]]:
        return {split: self.documents(split) for split in self.examples}

    @cached_property
    def _true_topics(self) -> np.ndarray:
        """The true topics [10, V] in the order of `terms`."""
        places = [self.number_of.get(_bar_word(number), -1) for number in range(BAR_SIDE**2)]
        result = np.zeros((2 * BAR_SIDE, len(self.terms)))
        for place, column in zip(places, bars().T, strict=True):
            if place >= 0:
                result[:, place] = column
        return result


class PerplexityJudge:
    """A judge that adds up the log-probabilities of held-out words."""

    def __init__(self) -> None:
        self._nats = self._words = 0.0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count probabilities [B, V] against counts [B, V]; numbers of another sum are scaled, with 1e-10 for each word at least."""
        given = np.maximum(np.asarray(predictions, dtype=np.float64), 0.0) + 1e-10
        counts = np.asarray(targets, dtype=np.float64)
        self._nats -= float((counts * np.log(given / given.sum(axis=1, keepdims=True))).sum())
        self._words += float(counts.sum())

    def result(self) -> dict[str, float]:
        """Return exp of the mean nats a word."""
        return {"perplexity": math.exp(min(self._nats / max(self._words, 1.0), 700.0)), "words": self._words}


def bars() -> np.ndarray:
    """Return the ten topics [10, 25]: each of the rows and columns of a square, its words alike.

    >>> bars().sum(axis=1).tolist() == [1.0] * 10, int((bars() > 0).sum())
    (True, 50)
    """
    cells = np.arange(BAR_SIDE**2).reshape(BAR_SIDE, BAR_SIDE)
    result = np.zeros((2 * BAR_SIDE, BAR_SIDE**2))
    for number in range(BAR_SIDE):
        result[number, cells[number]] = result[BAR_SIDE + number, cells[:, number]] = 1 / BAR_SIDE
    return result


def _bar_word(number: int) -> str:
    return f"{'abcde'[number // BAR_SIDE]}{'vwxyz'[number % BAR_SIDE]}"


def total_variation(topics: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return for each true topic half the sum of differences to the topic that it is matched with, in the matching with the least sum.

    Example:
        >>> total_variation(np.array([[0.0, 1.0], [0.9, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]])).round(3).tolist()
        [0.1, 0.0]
    """
    distances = np.abs(true[:, None] - topics[None]).sum(axis=2) / 2
    rows, columns = linear_sum_assignment(distances)
    found = np.ones(len(true))  # a true topic that is matched with none
    found[rows] = distances[rows, columns]
    return found
