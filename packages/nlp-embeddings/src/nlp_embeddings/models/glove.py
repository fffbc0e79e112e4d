"""GloVe: word vectors whose products are the logarithms of how often words stand near each other.

Source: Pennington, Socher, Manning, "GloVe: Global Vectors for Word Representation", 2014.
Departures: the biases learn at a rate of their own, 1, as in the authors' program since 2019: at the vectors' rate, the paper's way,
biases are still on their way when vectors are done, and vectors take on what is the words' frequency. The vectors' rate is 0.075
instead of 0.05, which is meant for billions of words. From the authors' program: single precision; a pair is held once and learned
from in both directions one after the other; held-out sentences are not counted.
Parallel without races: words are in eight groups, and two pairs that share no group share no row. Rounds of pairs of groups that
share none run at once, so the result does not depend on the number of threads.
Letters: V words, d dimensions, X_ij weighted co-occurrences.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.reader import refuse_changed_corpus
from nlp_embeddings.corpus.vocabulary import Vocabulary
from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.models.glove_kernels import train_glove
from nlp_embeddings.training.shards import parallel
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Meta, Positive, configclass

GROUPS = 8
PAIR = np.dtype([("row", "<i4"), ("column", "<i4"), ("count", "<f4")])


@configclass
class GloVeConfig:
    """How co-occurrences become vectors."""

    vector_size: Annotated[Count, Doc("d, dimensions of a vector")] = 100
    window: Annotated[Count, Doc("most words on each side that are context; one at distance k counts 1/k")] = 10
    min_count: Annotated[Count, Doc("a rarer word has no vector")] = 5
    x_max: Annotated[Positive, Doc("co-occurrences above it weigh 1 (the paper's 100 is for billions of words)")] = 10.0
    weight_exponent: Annotated[Positive, Doc("alpha of the weight (x / x_max)^alpha")] = 0.75
    learning_rate: Annotated[Positive, Doc("eta of AdaGrad, for the vectors")] = 0.075
    bias_learning_rate: Annotated[Positive, Doc("eta of AdaGrad, for the biases")] = 1.0
    text_vector: Annotated[
        Literal["mean", "tf-idf"], Doc("a text is the mean of its words' vectors | weighted by how telling they are")
    ] = "tf-idf"
    threads: Annotated[Count, Doc("kernels that run at once; any number gives the same bits")] = 1
    memory_mb: Annotated[int, Meta(ge=16), Doc("bound of counting and of one block of pairs, in MiB")] = 512

    def __post_init__(self) -> None:
        for name, least in (("vector_size", 1), ("window", 1), ("min_count", 1), ("threads", 1), ("memory_mb", 16)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= {least}")
        for name in ("x_max", "weight_exponent", "learning_rate", "bias_learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be > 0")


def rounds_of_groups(num_groups: int) -> list[list[tuple[int, int]]]:
    """Every pair of groups once, in rounds whose pairs share no group: a tournament; the first round is each group with itself.

    Args:
        num_groups: Even.

    Example:
        >>> rounds_of_groups(4)
        [[(0, 0), (1, 1), (2, 2), (3, 3)], [(0, 3), (1, 2)], [(0, 2), (1, 3)], [(0, 1), (2, 3)]]
    """
    rounds = [[(group, group) for group in range(num_groups)]]
    circle = list(range(num_groups))
    for _ in range(num_groups - 1):
        rounds.append(
            sorted((min(a, b), max(a, b)) for a, b in zip(circle[: num_groups // 2], circle[: num_groups // 2 - 1 : -1], strict=True))
        )
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return rounds


class GloVe(WordAgent):
    """Learns word vectors from co-occurrence counts; one step is one round of groups of one block of pairs.

    Progress counts words: all pairs once are the whole corpus once.
    """

    Config: ClassVar[type] = GloVeConfig

    def __init__(self, config: GloVeConfig, task: CorpusTask, network: None, **run: Any) -> None:
        super().__init__(config, task, network, **run)
        self._rng = self.seeds.numpy("first vectors")
        self.weights: dict[str, np.ndarray] = {}
        self.epoch, self.part = 0, 0  # rounds over all pairs finished, and the next part of the one that goes on
        self._corpus_words: int | None = None  # of the corpus that a saved run had
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def begin(self) -> None:
        """Choose the vocabulary and draw first vectors and biases, uniform in +-1/(2d)."""
        self.vocabulary = Vocabulary.of_corpus(self.task, self.config.min_count)
        shape, size = (len(self.vocabulary.words), self.config.vector_size + 1), self.config.vector_size
        self.weights = {name: ((self._rng.random(shape, dtype=np.float32) - 0.5) / size) for name in ("words", "contexts")}
        self.weights |= {f"squares_{name}": np.ones(shape, dtype=np.float32) for name in ("words", "contexts")}

    def step(self) -> dict[str, float]:
        """Learn from the pairs of the next round of groups; of several where a text is so short that one is worth no word."""
        if not self.weights:
            self.begin()
        if not self._blocks:
            self._prepare()
        words, before = int(self.vocabulary.counts.sum()), self.progress
        total, pairs = 0.0, 0
        while self.progress == before:
            if not self._parts:
                self._parts = self._parts_in_order()
            block, cells = self._parts[self.part]
            calls = [lambda a=a, b=b, block=block: self._train(block[a:b]) for a, b in cells if b > a]
            with announced("glove"):
                total += sum(parallel(calls, self.config.threads))
            pairs += int(np.diff(cells).sum())
            self.part += 1
            self.progress = self.epoch * words + words * self.part // len(self._parts)
            if self.part == len(self._parts):
                self.epoch, self.part, self._parts = self.epoch + 1, 0, []
        return {"loss": total / pairs, "pairs": float(pairs), "epoch": float(self.epoch)}

    def word_vectors(self) -> np.ndarray:
        """W + W~ without biases [V, d], as the paper has it."""
        return self.weights["words"][:, :-1] + self.weights["contexts"][:, :-1]

    def parameters(self) -> Mapping[str, np.ndarray]:
        """W and W~, each with its biases as last column."""
        if not self.weights:
            self.begin()
        return {name: self.weights[name] for name in ("words", "contexts")}

    def state_dict(self) -> dict[str, Any]:
        """Vocabulary, vectors, biases, AdaGrad's sums, and the position."""
        position = {"epoch": self.epoch, "part": self.part, "corpus_words": len(self.task.corpus)}
        return {"vocabulary": self.vocabulary.state_dict(), "weights": dict(self.weights), "position": position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; pairs are counted anew from the corpus, or found in the cache."""
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.weights = {name: np.array(value) for name, value in state["weights"].items()}
        self.epoch, self.part = int(state["position"]["epoch"]), int(state["position"]["part"])
        self._corpus_words = int(state["position"]["corpus_words"])
        self._blocks, self._parts = [], []
        self.forget()

    def _parts_in_order(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """What this round over all pairs goes through: blocks in an order of the round's own, and of each its rounds of groups."""
        order = np.random.default_rng(self.seeds.integer("order", self.epoch)).permutation(len(self._blocks))
        return [(pairs, cells) for pairs, rounds in (self._blocks[n] for n in order) for cells in rounds if np.diff(cells).any()]

    def _train(self, pairs: np.ndarray) -> float:
        w, config = self.weights, self.config
        columns = (np.ascontiguousarray(pairs[name]) for name in ("row", "column", "count"))
        matrices = (w["words"], w["contexts"], w["squares_words"], w["squares_contexts"])
        rates = (np.float32(config.learning_rate), np.float32(config.bias_learning_rate))
        return float(train_glove(*columns, *matrices, config.x_max, config.weight_exponent, *rates))

    def _prepare(self) -> None:
        """Count, or find the counts in the cache, then deal the pairs at random into blocks that fit the memory."""
        refuse_changed_corpus(self.task, self._corpus_words)
        config, num_words = self.config, len(self.vocabulary.words)
        held = hashlib.blake2b(self.task.held_out[1].tobytes(), digest_size=6).hexdigest()
        folder = self.task.corpus.folder / f"pairs-{num_words}-{config.window}-{held}"
        entries = count_cooccurrences(self.task, num_words, config.window, folder, memory_mb=config.memory_mb)
        if not len(entries):
            raise ValueError("no two words of the vocabulary stand near each other; lower min_count or take a larger corpus")
        rng = np.random.default_rng(self.seeds.integer("blocks"))
        num_blocks = max(4, -(-len(entries) * PAIR.itemsize * 4 // (config.memory_mb << 20)))
        self._folder = tempfile.TemporaryDirectory(prefix="nlp-embeddings-pairs-")
        paths = [Path(self._folder.name) / f"{number}.bin" for number in range(num_blocks)]
        files = [path.open("wb") for path in paths]
        for start in range(0, len(entries), 1 << 20):
            part = entries[start : start + (1 << 20)]
            pairs = np.empty(len(part), dtype=PAIR)
            pairs["row"], pairs["column"], pairs["count"] = part["key"] // num_words, part["key"] % num_words, part["weight"]
            block = rng.integers(0, num_blocks, len(part))
            for number, file in enumerate(files):
                pairs[block == number].tofile(file)
        for file in files:
            file.close()
        self._blocks = [_in_cells(path, rng) for path in paths if path.stat().st_size]


def _in_cells(path: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A block's pairs in random order within cells of two groups, written back; and for each round where its cells are [R, C, 2]."""
    pairs = np.fromfile(path, dtype=PAIR)
    pairs = pairs[rng.permutation(len(pairs))]
    first, second = pairs["row"] % GROUPS, pairs["column"] % GROUPS
    cell = np.minimum(first, second) * GROUPS + np.maximum(first, second)
    order = np.argsort(cell, kind="stable")
    pairs[order].tofile(path)
    bounds = np.searchsorted(cell[order], np.arange(GROUPS * GROUPS + 1))
    rounds = rounds_of_groups(GROUPS)
    cells = np.zeros((len(rounds), GROUPS, 2), dtype=np.int64)
    for r, together in enumerate(rounds):
        for c, (a, b) in enumerate(together):
            cells[r, c] = bounds[a * GROUPS + b], bounds[a * GROUPS + b + 1]
    return np.memmap(path, dtype=PAIR, mode="r"), cells
