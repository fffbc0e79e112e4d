"""GloVe: word vectors whose products are the logarithms of co-occurrence counts.

Source: Pennington, Socher, Manning, "GloVe: Global Vectors for Word Representation", 2014.
Departures: the biases have a learning rate of their own, 1, as in the authors' program since 2019: at the vectors' rate, the paper's,
biases have not converged when vectors have, and vectors absorb the words' frequency. The vectors' rate is 0.075 instead of 0.05, which is
meant for billions of words. From the authors' program: single precision; a pair is stored once and learned from in both directions one
after the other. Held-out sentences are not counted.
Parallel without races: words are in eight groups, and two pairs without a common group have no common row. Rounds of pairs of groups
without a common one run at once, so the result does not depend on the number of threads.
Letters: V words, d dimensions, X_ij weighted co-occurrences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.reader import require_same_corpus
from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.models.glove_kernels import Pairs, Rates, Weights, train_glove
from nlp_embeddings.scratch import Scratch
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.training.shards import parallel
from nlp_embeddings.training.vocabulary import Vocabulary
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.memory import require_memory

GROUPS = 8
"""Groups of words."""

PAIR = np.dtype([("row", "<i4"), ("column", "<i4"), ("count", "<f4")])
"""A pair in a block."""

MATRICES = ("words", "contexts", "squares_words", "squares_contexts")
"""Names of the matrices that change while learning."""


@configclass
class GloVeConfig:
    """Settings of GloVe."""

    vector_size: Annotated[int, Meta(ge=1, le=1 << 16), Doc("d, dimensions of a vector")] = 100
    window: Annotated[int, Meta(ge=1, le=10_000), Doc("most words on each side that are context; one at distance k counts 1/k")] = 10
    min_count: Annotated[Count, Doc("a rarer word has no vector")] = 5
    x_max: Annotated[Positive, Doc("co-occurrences above it have weight 1 (the paper's 100 is for billions of words)")] = 10.0
    weight_exponent: Annotated[Positive, Doc("alpha of the weight (x / x_max)^alpha")] = 0.75
    learning_rate: Annotated[Positive, Doc("eta of AdaGrad, for the vectors")] = 0.075
    bias_learning_rate: Annotated[Positive, Doc("eta of AdaGrad, for the biases")] = 1.0
    text_vector: Annotated[
        Literal["mean", "tf-idf"], Doc("a text is the mean of its words' vectors | weighted by inverse document frequency")
    ] = "tf-idf"
    threads: Annotated[int, Meta(ge=1, le=1024), Doc("kernels that run at once; any number gives the same bits")] = 1
    memory_mb: Annotated[int, Meta(ge=16, le=1 << 24), Doc("bound of the memory for counting and for one block of pairs, in MiB")] = 512


def rounds_of_groups(num_groups: int) -> list[list[tuple[int, int]]]:
    """Return every pair of groups once, in rounds of pairs without a common group, as in a tournament; the first is each with itself.

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
    """Agent that learns word vectors from co-occurrence counts; one step is one round of groups of one block of pairs.

    Progress counts words: a round over all pairs counts as the whole corpus.
    """

    Config: ClassVar[type] = GloVeConfig
    config: GloVeConfig

    def setup(self) -> None:
        """Check the corpus and the memory; the vocabulary is chosen by the first step."""
        super().setup()
        self._rng = self.seeds.numpy("first vectors")
        self.weights: dict[str, np.ndarray] = {}
        self.epoch, self.part = 0, 0  # rounds over all pairs finished, and the next part of the present one
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._scratch: Scratch | None = None
        self._saved = ""  # fingerprint of the corpus of a saved run

    def require_room(self, num_words: int) -> None:
        """Check the memory of vectors and counting."""
        config = self.config
        require_memory(
            4 * num_words * (config.vector_size + 1) * 4 + (config.memory_mb << 20),
            f"vectors of {num_words:,} words and {config.vector_size:,} dimensions and memory_mb={config.memory_mb:,}",
            "lower vector_size or memory_mb, or raise min_count",
        )

    def begin(self) -> None:
        """Choose the vocabulary and draw first vectors and biases, uniform in +-1/(2d)."""
        self.vocabulary = Vocabulary.of_corpus(self.task, self.config.min_count)
        shape, size = (len(self.vocabulary.words), self.config.vector_size + 1), self.config.vector_size
        self.weights = {name: ((self._rng.random(shape, dtype=np.float32) - 0.5) / size) for name in ("words", "contexts")}
        self.weights |= {f"squares_{name}": np.ones(shape, dtype=np.float32) for name in ("words", "contexts")}

    def step(self) -> dict[str, float]:
        """Learn from the pairs of the next round of groups; of several if a text is so short that one round counts as no word."""
        if not self.weights:
            self.begin()
        if not self._blocks:
            self._prepare()
        words, before = int(self.vocabulary.counts.sum()), self.progress
        total, pairs = 0.0, 0
        while self.progress == before:
            if not self._parts:
                self._parts = self._parts_in_order()
                if self.part >= len(self._parts):
                    raise ValueError(
                        f"the saved position is part {self.part} of {len(self._parts)}; the checkpoint was not written by this run"
                    )
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
        """Return W + W~ without biases [V, d], as in the paper."""
        return self.weights["words"][:, :-1] + self.weights["contexts"][:, :-1]

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return W and W~, each with its biases as last column."""
        if not self.weights:
            self.begin()
        return {name: self.weights[name] for name in ("words", "contexts")}

    def state_dict(self) -> dict[str, Any]:
        """Return vocabulary, vectors, biases, AdaGrad's sums, and the position."""
        position = {"epoch": self.epoch, "part": self.part, "corpus": self._saved or self.task.corpus.fingerprint}
        return {"vocabulary": self.vocabulary.state_dict(), "weights": dict(self.weights), "position": position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; pairs are counted again from the corpus, or found in the cache.

        Raises:
            ValueError: if a matrix does not fit the vocabulary and the settings.
        """
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        position, shape = state["position"], (len(self.vocabulary.words), self.config.vector_size + 1)
        self.weights = {name: saved_array(state["weights"], name, shape, np.float32) for name in MATRICES if state["weights"]}
        self._saved = str(position["corpus"])
        self.epoch, self.part = int(position["epoch"]), int(position["part"])
        if min(self.epoch, self.part) < 0:
            raise ValueError(f"the position is round {self.epoch}, part {self.part}; expected numbers >= 0")
        self._blocks, self._parts = [], []
        self.forget()

    def _parts_in_order(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the parts of this round over all pairs: blocks in an order of the round's own, and the rounds of groups of each."""
        order = np.random.default_rng(self.seeds.integer("order", self.epoch)).permutation(len(self._blocks))
        return [(pairs, cells) for pairs, rounds in (self._blocks[n] for n in order) for cells in rounds if np.diff(cells).any()]

    def _train(self, pairs: np.ndarray) -> float:
        config = self.config
        columns = Pairs(*(np.ascontiguousarray(pairs[name]) for name in ("row", "column", "count")))
        rates = Rates(config.x_max, config.weight_exponent, np.float32(config.learning_rate), np.float32(config.bias_learning_rate))
        return float(train_glove(columns, Weights(*(self.weights[name] for name in MATRICES)), rates))

    def _prepare(self) -> None:
        """Count, or find the counts in the cache, then distribute the pairs at random to blocks that fit the memory."""
        if self._saved:
            require_same_corpus(self.task, self._saved)
        config, num_words = self.config, len(self.vocabulary.words)
        held = hashlib.blake2b(self.task.held_out[1].tobytes(), digest_size=6).hexdigest()
        folder = self.task.corpus.folder / f"pairs-{num_words}-{config.window}-{held}"
        entries = count_cooccurrences(self.task, num_words, config.window, folder, memory_mb=config.memory_mb)
        if not len(entries):
            raise ValueError("no two words of the vocabulary occur near each other; lower min_count or use a larger corpus")
        rng = np.random.default_rng(self.seeds.integer("blocks"))
        num_blocks = max(4, -(-len(entries) * PAIR.itemsize * 4 // (config.memory_mb << 20)))
        self._scratch = Scratch("nlp-embeddings-pairs-")
        paths = [self._scratch.path / f"{number}.bin" for number in range(num_blocks)]
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
    """Put a block's pairs in random order within cells of two groups; return them, and the ranges of each round's cells [R, C, 2]."""
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
