"""Word vectors that predict their neighbours: `skip-gram` and `cbow`.

Source: Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word Representations in Vector Space", 2013; Mikolov, Sutskever,
Chen, Corrado, Dean, "Distributed Representations of Words and Phrases and their Compositionality", 2013; details as in the
authors' word2vec.c.
Departures: the gradient of cbow is divided by the number of context words, as the derivative of a mean requires ("classic" is
word2vec.c's way); the end of a sentence is not a word; the sigmoid is computed, not tabulated; see also `word2vec_kernels`.
Errata: word2vec.c keeps a word with sqrt(t/f) + t/f, the paper writes sqrt(t/f); this is word2vec.c's, as in gensim and fastText.
Letters: V words, d dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.reader import Chunk, WordReader
from nlp_embeddings.models.softmax import Random, SoftmaxWalk
from nlp_embeddings.models.word2vec_kernels import train_cbow, train_skip_gram
from nlp_embeddings.training.sampling import alias_table, aligned_matrix, as_draws, huffman_tree, keep_probability
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.training.shards import Copies, learn_in_shards, learn_on_shared
from nlp_embeddings.training.stream import NO_TREE, SIX, Noise, Progress, Schedule, Stream
from nlp_embeddings.training.vocabulary import Vocabulary
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.memory import require_memory

MOST_WORDS_FOR_SOFTMAX = 20_000
STEP_WORK = 20_000_000_000
"""Bound of the multiplications of a step, some seconds."""

SOFTMAX_WORK = 50_000_000
"""Numbers of C that a step with the full softmax may touch: less than a second, but for a pair of words which touches more on its own."""


@configclass
class Word2VecConfig:
    """Settings of skip-gram and cbow."""

    architecture: Annotated[Literal["skip-gram", "cbow"], Doc("a neighbour predicts the word | the neighbours' mean does")] = "skip-gram"
    loss: Annotated[
        Literal["negative", "hierarchical", "softmax"], Doc("negative sampling | Huffman tree | whole vocabulary, in plain NumPy")
    ] = "negative"
    vector_size: Annotated[int, Meta(ge=1, le=1 << 16), Doc("d, dimensions of a vector")] = 100
    window: Annotated[
        int, Meta(ge=1, le=1000), Doc("most words on each side that are context; the width is drawn from 1..window per word")
    ] = 5
    negatives_per_word: Annotated[int, Meta(ge=1, le=1000), Doc("K, words drawn from the noise for each predicted one")] = 5
    negatives: Annotated[
        Literal["pair", "window"], Doc("drawn for every pair | once for all pairs of a window (faster, a little worse)")
    ] = "pair"
    noise_exponent: Annotated[Fraction, Doc("the noise draws a word in proportion to count^exponent")] = 0.75
    min_count: Annotated[Count, Doc("a rarer word has no vector")] = 5
    subsample: Annotated[NonNegative, Doc("t: words above this share of the text are thinned out; 0 keeps every word")] = 1e-3
    learning_rate: Annotated[Positive, Doc("alpha at the start; falls linearly to 1e-4 of itself over the budget")] = 0.025
    cbow_gradient: Annotated[Literal["mean", "classic"], Doc("divided by the number of context words | not, as in word2vec.c")] = "mean"
    text_vector: Annotated[
        Literal["mean", "tf-idf"], Doc("a text is the mean of its words' vectors | weighted by inverse document frequency")
    ] = "tf-idf"
    threads: Annotated[int, Meta(ge=1, le=1024), Doc("kernels that run at once")] = 1
    mode: Annotated[Literal["fast", "deterministic"], Doc("on shared matrices: same bits for 1 thread only | same bits for any number")] = (
        "fast"
    )
    chunk_words: Annotated[int, Meta(ge=1, le=10**12), Doc("words of one step; fewer where settings make it longer than some seconds")] = (
        100_000
    )


class Word2Vec(WordAgent):
    """Agent that learns a vector for each word of a corpus."""

    Config: ClassVar[type] = Word2VecConfig
    config: Word2VecConfig

    def setup(self) -> None:
        """Check the corpus and the memory; the vocabulary is chosen by the first step."""
        super().setup()
        self._rng = self.seeds.numpy("first vectors")
        config = self.config
        if config.loss == "softmax":
            self.warnings.append(
                "loss=softmax touches the vectors of all words for each pair; loss=negative learns in a small part of the time"
            )
        most = step_words(config.vector_size, config.window, config.negatives_per_word)
        self.reader = WordReader(self.task, min(config.chunk_words, most))
        self.inputs = self.outputs = np.zeros((0, 0), dtype=np.float32)
        self._compiled = False
        self._walk: SoftmaxWalk | None = None  # an unfinished chunk of the full softmax
        self._walk_chunk: Chunk | None = None
        self._saved_walk: Mapping[str, Any] | None = None  # of a saved run, until the next step
        self._walk_began = (0, 0)  # position of the reader before it

    def require_room(self, num_words: int) -> None:
        """Check the number of words and the memory."""
        config = self.config
        if config.loss == "softmax" and num_words > MOST_WORDS_FOR_SOFTMAX:
            raise ValueError(
                f"loss is 'softmax' with {num_words} words; above {MOST_WORDS_FOR_SOFTMAX} "
                "use 'negative' or 'hierarchical', or raise min_count"
            )
        require_memory(
            matrix_bytes(2 * num_words + SIX, config.vector_size) + target_bytes(config.window, config.negatives_per_word),
            f"vectors of {num_words:,} words and {config.vector_size:,} dimensions",
            "lower vector_size, window or negatives_per_word, or raise min_count",
        )

    def begin(self) -> None:
        """Choose the vocabulary and draw the first vectors: W uniform in +-1/(2d), C zero."""
        config = self.config
        self.vocabulary = Vocabulary.of_corpus(self.task, config.min_count)
        num_words = len(self.vocabulary.words)
        self.inputs = first_vectors(self._rng, num_words, config.vector_size)
        self.outputs = aligned_matrix(num_words + SIX, config.vector_size)
        self._prepare()

    def step(self) -> dict[str, float]:
        """Learn from the next chunk of the corpus; with the full softmax, from a part of it."""
        if not len(self.vocabulary.words):
            self.begin()
        if not self._compiled:
            with announced(self.config.architecture):
                learned = self._learn()
            self._compiled = True
        else:
            learned = self._learn()
        while not learned.words and not learned.pairs:  # only rare words and held-out sentences
            learned = self._learn()
        rate = rate_of(self._schedule())
        self.progress += learned.words
        metrics = {"learning_rate": rate, "pairs": float(learned.pairs), "epoch": float(self.reader.epoch)}
        return {"loss": learned.loss / learned.measured, **metrics} if learned.measured else metrics

    def word_vectors(self) -> np.ndarray:
        """Return W [V, d]."""
        return self.inputs[:, : self.config.vector_size]

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return W and C."""
        if not len(self.vocabulary.words):
            self.begin()
        return {"inputs": self.inputs, "outputs": self.outputs[:-SIX]}

    def state_dict(self) -> dict[str, Any]:
        """Return vocabulary, matrices and position."""
        position = self.reader.state_dict()
        if self._walk is not None:
            position["epoch"], position["sentence"] = self._walk_began
        return {
            "vocabulary": self.vocabulary.state_dict(),
            "inputs": self.inputs,
            "outputs": self.outputs[: len(self.outputs) - SIX] if len(self.outputs) else self.outputs,
            "reader": position,
            "softmax": self._saved_walk if self._walk is None else self._walk.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if a matrix does not fit the vocabulary and the settings.
        """
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.reader.load_state_dict(state["reader"])
        self.forget()
        self._walk = self._saved_walk = None
        num_words = len(self.vocabulary.words)
        if not num_words:
            return
        self.inputs = saved_matrix(state, "inputs", num_words, self.config.vector_size)
        self.outputs = saved_matrix(state, "outputs", num_words, self.config.vector_size, blanks=SIX)
        self._prepare()
        self._saved_walk = state["softmax"]

    def _prepare(self) -> None:
        """Make the tables that depend on the counts alone."""
        config, counts = self.config, self.vocabulary.counts
        self._tree = huffman_tree(counts) if config.loss == "hierarchical" and len(counts) > 1 else NO_TREE
        self._noise = Noise(*alias_table(np.maximum(counts, 1) ** config.noise_exponent), config.negatives_per_word)
        self._keep = as_draws(keep_probability(counts, config.subsample))
        self._seed = self.seeds.integer("words")

    def _schedule(self) -> Schedule:
        return Schedule(self.config.learning_rate, self.config.learning_rate * 1e-4, self.progress, self.budget)

    def _stream(self, chunk: Chunk) -> Stream:
        seed = (self._seed, chunk.number)
        return Stream(chunk.ids, chunk.starts, self._keep, self._noise, self._tree, self.config.window, self._schedule(), seed)

    def _learn(self) -> Progress:
        """Learn from the next chunk, or a part of it."""
        config = self.config
        if config.loss == "softmax":
            return self._learn_softmax()
        stream = self._stream(self.reader.chunk())
        if config.mode == "fast":
            return learn_on_shared(self._kernel, stream, self.inputs, self.outputs, config.threads)
        path = int(np.diff(self._tree.starts).max()) if len(self._tree.starts) > 1 else 0
        targets = 1 + config.negatives_per_word * (1 if config.architecture == "cbow" else 2 * config.window)
        return learn_in_shards(self._kernel, stream, self.inputs, self.outputs, config.threads, (1, max(path, targets)))

    def _kernel(self, stream: Stream, inputs: np.ndarray, outputs: np.ndarray, copies: Copies | None) -> Progress:
        if self.config.architecture == "cbow":
            result = train_cbow(stream, inputs, outputs, self.config.cbow_gradient == "mean", copies)
        else:
            result = train_skip_gram(stream, inputs, outputs, self.config.negatives == "window", copies)
        return Progress(*result)

    def _learn_softmax(self) -> Progress:
        """Learn from the next windows of a chunk."""
        if self._walk is None:
            self._begin_walk()
        walk, chunk = self._walk, self._walk_chunk
        assert walk is not None
        assert chunk is not None
        stream = self._stream(chunk)
        stream = stream._replace(schedule=stream.schedule._replace(done=self.progress - walk.words))
        rule = "skip-gram" if self.config.architecture == "skip-gram" else self.config.cbow_gradient
        learned = walk.advance(stream, self.inputs, self.outputs[:-SIX], rule, SOFTMAX_WORK)
        if walk.done(stream):
            self._walk = self._walk_chunk = None
        return learned

    def _begin_walk(self) -> None:
        self._walk_began = (self.reader.epoch, self.reader.sentence)
        self._walk_chunk = self.reader.chunk()
        self._walk = SoftmaxWalk(Random(self._seed, self._walk_chunk.number))
        if self._saved_walk is not None:
            self._walk.load_state_dict(self._saved_walk, len(self.vocabulary.words), len(self._walk_chunk.starts) - 1)
            self._saved_walk = None


def rate_of(schedule: Schedule) -> float:
    """Return the learning rate at the beginning of a call."""
    return max(schedule.rate * (1 - schedule.done / (schedule.total + 1)), schedule.least)


def first_vectors(rng: np.random.Generator, num_rows: int, vector_size: int) -> np.ndarray:
    """Return rows uniform in +-1/(2d) [num_rows, D], padded with zeros."""
    matrix = aligned_matrix(num_rows, vector_size)
    matrix[:, :vector_size] = (rng.random((num_rows, vector_size), dtype=np.float32) - 0.5) / vector_size
    return matrix


def saved_matrix(state: Mapping[str, Any], name: str, num_rows: int, vector_size: int, *, blanks: int = 0) -> np.ndarray:
    """Return an aligned copy of a matrix of a saved state [num_rows + blanks, D].

    Raises:
        ValueError: if it has another shape or type.
    """
    matrix = aligned_matrix(num_rows + blanks, vector_size)
    matrix[:num_rows] = saved_array(state, name, (num_rows, matrix.shape[1]), np.float32)
    return matrix


def matrix_bytes(num_rows: int, vector_size: int) -> int:
    """Return the bytes of an aligned matrix.

    Example:
        >>> matrix_bytes(10, 17)  # 32 numbers a row
        1280
    """
    return num_rows * -(-vector_size // 16) * 64


def step_words(vector_size: int, window: int, negatives_per_word: int) -> int:
    """Return the number of words of a step that takes some seconds.

    Example:
        >>> step_words(100, 5, 5), step_words(65536, 5, 5)
        (3333333, 5086)
    """
    return max(1, STEP_WORK // (2 * window * (negatives_per_word + 1) * vector_size))


def target_bytes(window: int, negatives_per_word: int) -> int:
    """Return the bytes of the targets of one window, which a kernel holds."""
    return 2 * window * (negatives_per_word + SIX) * 8
