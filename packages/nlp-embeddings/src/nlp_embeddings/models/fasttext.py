"""Word vectors made of n-grams of letters: `fasttext`.

Source: Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information", 2017.
Departures: the gradient of cbow is that of a mean; see also `fasttext_kernels` and `subwords`. As in fastText a word predicts its
neighbours, while in word2vec the neighbours predict the word; both see the same pairs.
Letters: V words, U buckets in use, d dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.reader import WordReader
from nlp_embeddings.corpus.subwords import SubwordTable, SubwordVectors, mean_rows
from nlp_embeddings.models.fasttext_kernels import WordRows, train_fasttext
from nlp_embeddings.models.word2vec import first_vectors, matrix_bytes, rate_of, saved_matrix, step_words, target_bytes
from nlp_embeddings.training.sampling import alias_table, aligned_matrix, as_draws, keep_probability
from nlp_embeddings.training.shards import Copies, learn_in_shards, learn_on_shared
from nlp_embeddings.training.stream import NO_TREE, SIX, Noise, Progress, Schedule, Stream
from nlp_embeddings.training.vocabulary import Vocabulary
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.memory import require_memory


@configclass
class FastTextConfig:
    """Settings of fastText."""

    architecture: Annotated[
        Literal["skip-gram", "cbow"], Doc("a word predicts its neighbours one by one | the neighbours' mean predicts it")
    ] = "skip-gram"
    vector_size: Annotated[int, Meta(ge=1, le=1 << 16), Doc("d, dimensions of a vector")] = 100
    window: Annotated[
        int, Meta(ge=1, le=1000), Doc("most words on each side that are context; the width is drawn from 1..window per word")
    ] = 5
    negatives_per_word: Annotated[int, Meta(ge=1, le=1000), Doc("K, words drawn from the noise for each predicted one")] = 5
    noise_exponent: Annotated[Fraction, Doc("the noise draws a word in proportion to count^exponent")] = 0.75
    min_count: Annotated[Count, Doc("a rarer word has no vector of its own")] = 5
    subsample: Annotated[NonNegative, Doc("t: words above this share of the text are thinned out; 0 keeps every word")] = 1e-3
    learning_rate: Annotated[Positive, Doc("alpha at the start; falls linearly to 1e-4 of itself over the budget")] = 0.025
    min_ngram: Annotated[int, Meta(ge=1, le=1000), Doc("letters of the shortest n-gram, the brackets <> included")] = 3
    max_ngram: Annotated[int, Meta(ge=1, le=1000), Doc("letters of the longest n-gram")] = 6
    buckets: Annotated[int, Meta(ge=1, le=2**31), Doc("buckets of the n-grams' hash")] = 2_000_000
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

    def __post_init__(self) -> None:
        if self.max_ngram < self.min_ngram:
            raise ValueError(f"max_ngram is {self.max_ngram}; it must be at least min_ngram, {self.min_ngram}")


class FastText(WordAgent):
    """Agent that learns vectors of words and of n-grams of letters; the vector of a word is the mean of its own and its n-grams'."""

    Config: ClassVar[type] = FastTextConfig
    config: FastTextConfig

    def setup(self) -> None:
        """Check the corpus and the memory; the vocabulary is chosen by the first step."""
        super().setup()
        self._rng = self.seeds.numpy("first vectors")
        config = self.config
        most = step_words(config.vector_size, config.window, config.negatives_per_word)
        self.reader = WordReader(self.task, min(config.chunk_words, most))
        self.inputs = self.outputs = np.zeros((0, 0), dtype=np.float32)
        self._table = SubwordTable([], 1, 1, 1)

    def require_room(self, num_words: int) -> None:
        """Check the memory of the words' own rows and of the kernel."""
        config = self.config
        require_memory(
            matrix_bytes(2 * num_words + SIX, config.vector_size) + target_bytes(config.window, config.negatives_per_word),
            f"vectors of {num_words:,} words and {config.vector_size:,} dimensions",
            "lower vector_size, window or negatives_per_word, or raise min_count",
        )

    def begin(self) -> None:
        """Choose the vocabulary and draw the first rows, uniform in +-1/(2d); C is zero."""
        config = self.config
        self.vocabulary = Vocabulary.of_corpus(self.task, config.min_count)
        self._prepare()
        require_memory(
            matrix_bytes(self._table.num_rows, config.vector_size),
            f"{self._table.num_rows:,} rows of words and n-grams with {config.vector_size:,} dimensions",
            "lower vector_size or buckets, or raise min_count",
        )
        self.inputs = first_vectors(self._rng, self._table.num_rows, config.vector_size)
        self.outputs = aligned_matrix(len(self.vocabulary.words) + SIX, config.vector_size)

    def step(self) -> dict[str, float]:
        """Learn from the next chunk of the corpus."""
        if not len(self.vocabulary.words):
            self.begin()
        with announced("fasttext"):
            learned = self._learn()
        while not learned.words:  # only rare words and held-out sentences
            learned = self._learn()
        rate = rate_of(self._schedule())
        self.progress += learned.words
        metrics = {"learning_rate": rate, "pairs": float(learned.pairs), "epoch": float(self.reader.epoch)}
        return {"loss": learned.loss / learned.measured, **metrics} if learned.measured else metrics

    def word_vectors(self) -> np.ndarray:
        """Return the means of the words' rows [V, d]."""
        return mean_rows(self.inputs[:, : self.config.vector_size], self._table)

    def subwords(self) -> SubwordVectors:
        """Return vectors of unknown words from their n-grams."""
        return SubwordVectors(self._table, self.inputs[:, : self.config.vector_size].copy())

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the rows and C."""
        if not len(self.vocabulary.words):
            self.begin()
        return {"inputs": self.inputs, "outputs": self.outputs[:-SIX]}

    def state_dict(self) -> dict[str, Any]:
        """Return vocabulary, matrices and position."""
        return {
            "vocabulary": self.vocabulary.state_dict(),
            "inputs": self.inputs,
            "outputs": self.outputs[: len(self.outputs) - SIX] if len(self.outputs) else self.outputs,
            "reader": self.reader.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if a matrix does not fit the vocabulary and the settings.
        """
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.reader.load_state_dict(state["reader"])
        self.forget()
        if not len(self.vocabulary.words):
            return
        self._prepare()
        self.inputs = saved_matrix(state, "inputs", self._table.num_rows, self.config.vector_size)
        self.outputs = saved_matrix(state, "outputs", len(self.vocabulary.words), self.config.vector_size, blanks=SIX)

    def _prepare(self) -> None:
        """Make the tables that depend on the words and their counts alone."""
        config, counts = self.config, self.vocabulary.counts
        self._table = SubwordTable(self.vocabulary.words, config.min_ngram, config.max_ngram, config.buckets)
        self._noise = Noise(*alias_table(np.maximum(counts, 1) ** config.noise_exponent), config.negatives_per_word)
        self._keep = as_draws(keep_probability(counts, config.subsample))
        self._seed = self.seeds.integer("words")

    def _schedule(self) -> Schedule:
        return Schedule(self.config.learning_rate, self.config.learning_rate * 1e-4, self.progress, self.budget)

    def _learn(self) -> Progress:
        """Learn from the next chunk."""
        config, chunk = self.config, self.reader.chunk()
        seed = (self._seed, chunk.number)
        stream = Stream(chunk.ids, chunk.starts, self._keep, self._noise, NO_TREE, config.window, self._schedule(), seed)
        if config.mode == "fast":
            return learn_on_shared(self._kernel, stream, self.inputs, self.outputs, config.threads)
        targets = 1 + config.negatives_per_word * (1 if config.architecture == "cbow" else 2 * config.window)
        rows = int(np.diff(self._table.begins).max())
        return learn_in_shards(self._kernel, stream, self.inputs, self.outputs, config.threads, (rows, targets))

    def _kernel(self, stream: Stream, inputs: np.ndarray, outputs: np.ndarray, copies: Copies | None) -> Progress:
        words = WordRows(self._table.rows, self._table.begins)
        return Progress(*train_fasttext(stream, inputs, outputs, words, self.config.architecture == "cbow", copies))
