"""Words as vectors that predict their neighbours: `skip-gram`, `cbow` and, with n-grams of letters, `fasttext`.

Source: Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word Representations in Vector Space", 2013; Mikolov, Sutskever,
Chen, Corrado, Dean, "Distributed Representations of Words and Phrases and their Compositionality", 2013; details as in the
authors' word2vec.c. Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information", 2017.
Departures: cbow's gradient is divided by the number of context words, as the derivative of a mean asks ("classic" is
word2vec.c's way); sentence ends are no word; the sigmoid is computed, not tabulated; see
also `word2vec_kernels`, `fasttext_kernels` and `subwords`. As in fastText a word with n-grams predicts its neighbours, while
without them the neighbours predict the word; both see the same pairs.
Errata: word2vec.c keeps a word with sqrt(t/f) + t/f, the paper writes sqrt(t/f); this is word2vec.c's, as in gensim and fastText.
Letters: V words, d dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.reader import WordReader
from nlp_embeddings.corpus.subwords import SubwordTable, SubwordVectors, mean_rows
from nlp_embeddings.corpus.vocabulary import Vocabulary
from nlp_embeddings.models.fasttext_kernels import train_fasttext
from nlp_embeddings.models.word2vec_kernels import SIX, train_cbow, train_skip_gram
from nlp_embeddings.models.word2vec_reading import Schedule, train_reading
from nlp_embeddings.training.sampling import alias_table, aligned_matrix, as_draws, huffman_tree, keep_probability
from nlp_embeddings.training.shards import BLOCK_WORDS, SHARDS, Copy, parallel, split_sentences_evenly
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Positive, configclass

MOST_WORDS_FOR_SOFTMAX = 20_000


@configclass
class Word2VecConfig:
    """How words become vectors."""

    architecture: Annotated[Literal["skip-gram", "cbow"], Doc("a neighbour predicts the word | the neighbours' mean does")] = "skip-gram"
    loss: Annotated[
        Literal["negative", "hierarchical", "softmax"], Doc("negative sampling | Huffman tree | whole vocabulary, in plain NumPy")
    ] = "negative"
    vector_size: Annotated[Count, Doc("d, dimensions of a vector")] = 100
    window: Annotated[Count, Doc("most words on each side that are context; the width is drawn from 1..window per word")] = 5
    negatives_per_word: Annotated[Count, Doc("K, words drawn from the noise for each predicted one")] = 5
    negatives: Annotated[
        Literal["pair", "window"], Doc("drawn for every pair | once for all pairs of a window (faster, a little worse)")
    ] = "pair"
    noise_exponent: Annotated[float, Doc("the noise draws a word in proportion to count^exponent, 0 to 1")] = 0.75
    min_count: Annotated[Count, Doc("a rarer word has no vector")] = 5
    subsample: Annotated[float, Doc("t: words above this share of the text are thinned out; 0: none")] = 1e-3
    learning_rate: Annotated[Positive, Doc("alpha at the start; falls linearly to 1e-4 of itself over the budget")] = 0.025
    min_ngram: Annotated[Count, Doc("letters of the shortest n-gram, the brackets <> included")] = 3
    max_ngram: Annotated[int, Doc("letters of the longest n-gram; 0: none, words are whole")] = 0
    buckets: Annotated[Count, Doc("buckets of the n-grams' hash")] = 2_000_000
    cbow_gradient: Annotated[Literal["mean", "classic"], Doc("divided by the number of context words | not, as in word2vec.c")] = "mean"
    text_vector: Annotated[
        Literal["mean", "tf-idf"], Doc("a text is the mean of its words' vectors | weighted by how telling they are")
    ] = "tf-idf"
    threads: Annotated[Count, Doc("kernels that run at once")] = 1
    mode: Annotated[Literal["fast", "deterministic"], Doc("on shared matrices: same bits for 1 thread only | same bits for any number")] = (
        "fast"
    )
    chunk_words: Annotated[Count, Doc("words of one step")] = 100_000

    def __post_init__(self) -> None:
        for name in ("vector_size", "window", "negatives_per_word", "min_count", "threads", "chunk_words", "min_ngram", "buckets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= 1")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be > 0")
        if self.subsample < 0:
            raise ValueError(f"subsample is {self.subsample}; it must be >= 0 (0 keeps every word)")
        if not 0 <= self.noise_exponent <= 1:
            raise ValueError(f"noise_exponent is {self.noise_exponent}; it must be between 0 and 1")
        if self.max_ngram and self.max_ngram < self.min_ngram:
            raise ValueError(f"max_ngram is {self.max_ngram}; it must be 0, or at least min_ngram, {self.min_ngram}")
        if self.max_ngram and (self.loss != "negative" or self.negatives != "pair"):
            raise ValueError(
                f"max_ngram is {self.max_ngram} with loss {self.loss!r} and negatives {self.negatives!r}; n-grams take negative and pair"
            )


class Word2Vec(WordAgent):
    """Learns a vector for each word of a corpus."""

    Config: ClassVar[type] = Word2VecConfig

    def __init__(self, config: Word2VecConfig, task: CorpusTask, network: None, **run: Any) -> None:
        super().__init__(config, task, network, **run)
        self._rng = self.seeds.numpy("first vectors")
        self.reader = WordReader(task, config.chunk_words)
        self.inputs = self.outputs = np.zeros((0, 0), dtype=np.float32)
        self._table: SubwordTable | None = None

    def begin(self) -> None:
        """Choose the vocabulary and draw the first vectors: W uniform in +-1/(2d), C zero."""
        config = self.config
        self.vocabulary = Vocabulary.of_corpus(self.task, config.min_count)
        num_words = len(self.vocabulary.words)
        self._find_subwords()
        num_rows = num_words if self._table is None else self._table.num_rows
        if config.loss == "softmax" and num_words > MOST_WORDS_FOR_SOFTMAX:
            raise ValueError(f"loss is 'softmax' with {num_words} words; over {MOST_WORDS_FOR_SOFTMAX} take 'negative' or 'hierarchical'")
        self.inputs = aligned_matrix(num_rows, config.vector_size)
        self.inputs[:, : config.vector_size] = (
            self._rng.random((num_rows, config.vector_size), dtype=np.float32) - 0.5
        ) / config.vector_size
        self.outputs = aligned_matrix(num_words + SIX, config.vector_size)
        self._prepare()

    def step(self) -> dict[str, float]:
        """Learn from the next chunk of the corpus."""
        if not len(self.vocabulary.words):
            self.begin()
        self.reader.check()
        ids, starts, number = self.reader.chunk()
        schedule = Schedule(self.config.learning_rate, self.config.learning_rate * 1e-4, self.progress, self.budget)
        if self.config.loss == "softmax":
            words, pairs, loss, measured = train_reading(
                ids, starts, self.inputs, self.outputs[:-SIX], *self._fixed, self.config.window, schedule, self._seed, number,
                cbow=self.config.architecture == "cbow", divide_gradient=self.config.cbow_gradient == "mean", softmax=True,
            )  # fmt: skip
        elif self.config.mode == "deterministic":
            words, pairs, loss, measured = self._deterministic(ids, starts, number, schedule)
        else:
            with announced(self.config.architecture):
                words, pairs, loss, measured = self._fast(ids, starts, number, schedule)
        self.progress += words
        rate = max(schedule.rate * (1 - schedule.done / (schedule.total + 1)), schedule.least)
        metrics = {"learning rate": rate, "pairs": float(pairs), "epoch": float(self.reader.epoch)}
        return {"loss": loss / measured, **metrics} if measured else metrics

    def word_vectors(self) -> np.ndarray:
        """W [V, d]; of a word with n-grams the mean of its rows."""
        if self._table is None:
            return self.inputs[:, : self.config.vector_size]
        return mean_rows(self.inputs[:, : self.config.vector_size], self._table)

    def subwords(self) -> SubwordVectors | None:
        """Vectors of unknown words from their n-grams; `None` if words are whole."""
        return None if self._table is None else SubwordVectors(self._table, self.inputs[:, : self.config.vector_size].copy())

    def parameters(self) -> Mapping[str, np.ndarray]:
        """W and C."""
        if not len(self.vocabulary.words):
            self.begin()
        return {"inputs": self.inputs, "outputs": self.outputs[:-SIX]}

    def state_dict(self) -> dict[str, Any]:
        """Vocabulary, matrices and position."""
        return {
            "vocabulary": self.vocabulary.state_dict(),
            "inputs": self.inputs,
            "outputs": self.outputs[: len(self.outputs) - SIX] if len(self.outputs) else self.outputs,
            "reader": self.reader.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.reader.load_state_dict(state["reader"])
        self.forget()
        if not len(self.vocabulary.words):
            return
        self._find_subwords()
        self.inputs = aligned_matrix(len(state["inputs"]), self.config.vector_size)
        self.outputs = aligned_matrix(len(self.vocabulary.words) + SIX, self.config.vector_size)
        self.inputs[:] = state["inputs"]
        self.outputs[:-SIX] = state["outputs"]
        self._prepare()

    def _find_subwords(self) -> None:
        config = self.config
        self._table = None
        if config.max_ngram:
            self._table = SubwordTable(self.vocabulary.words, config.min_ngram, config.max_ngram, config.buckets)

    def _prepare(self) -> None:
        """What depends on the counts alone."""
        config, counts = self.config, self.vocabulary.counts
        none = np.zeros(1, dtype=np.int64)
        tree = (none.astype(np.int8), none, none)
        if config.loss == "hierarchical" and len(counts) > 1:
            tree = huffman_tree(counts)
        noise = (*alias_table(np.maximum(counts, 1) ** config.noise_exponent), config.negatives_per_word)
        self._fixed = (len(counts), as_draws(keep_probability(counts, config.subsample)), noise, tree)
        self._seed = self.seeds.integer("words")

    def _kernel(self, ids: np.ndarray, starts: np.ndarray, done: int, position: int, schedule: Schedule, copies: Any = None) -> Any:
        inputs, outputs = (self.inputs, self.outputs) if copies is None else (copies[0][4], copies[1][4])
        rate = (schedule.rate, schedule.least, schedule.done + done, schedule.total)
        window, cbow, rest = self.config.window, self.config.architecture == "cbow", (rate, self._seed, position, copies)
        if self._table is not None:
            rows = (self._table.rows, self._table.begins)
            return train_fasttext(ids, starts, inputs, outputs, *self._fixed[:-1], *rows, window, cbow, *rest)
        if cbow:
            return train_cbow(ids, starts, inputs, outputs, *self._fixed, window, self.config.cbow_gradient == "mean", *rest)
        return train_skip_gram(ids, starts, inputs, outputs, *self._fixed, window, self.config.negatives == "window", *rest)

    def _fast(self, ids: np.ndarray, starts: np.ndarray, number: int, schedule: Schedule) -> tuple[int, int, float, int]:
        """Each thread takes its part of the chunk, all on the same matrices."""
        known = np.concatenate([[0], np.cumsum((ids >= 0) & (ids < len(self.vocabulary.words)))])
        parts = split_sentences_evenly(starts, self.config.threads)
        calls = [lambda a=a, b=b: self._kernel(ids, starts[a : b + 1], int(known[starts[a]]), number + a, schedule) for a, b in parts]
        return _total(parallel(calls, self.config.threads))

    def _deterministic(self, ids: np.ndarray, starts: np.ndarray, number: int, schedule: Schedule) -> tuple[int, int, float, int]:
        """Block after block, each in shards that work on copies of their own; what changed is added in the order of the shards."""
        known = np.concatenate([[0], np.cumsum((ids >= 0) & (ids < len(self.vocabulary.words)))])
        blocks = split_sentences_evenly(starts, max(1, round((starts[-1] - starts[0]) / (SHARDS * BLOCK_WORDS))))
        most = max(int(starts[b] - starts[a]) for a, b in blocks)
        shards = [self._copies(most) for _ in range(SHARDS)]
        results: list[tuple[int, int, float, int]] = []
        for first, last in blocks:
            parts = split_sentences_evenly(starts[first : last + 1], SHARDS)
            calls = [
                lambda a=first + a, b=first + b, copies=copies: self._shard(
                    ids, starts[a : b + 1], int(known[starts[a]]), number + a, schedule, copies
                )
                for (a, b), copies in zip(parts, shards, strict=False)
            ]
            results.extend(parallel(calls, self.config.threads))
            for copies in shards[: len(parts)]:
                for copy in copies:
                    copy.add()
        return _total(results)

    def _shard(
        self, ids: np.ndarray, starts: np.ndarray, done: int, position: int, schedule: Schedule, copies: tuple[Copy, Copy]
    ) -> tuple[int, int, float, int]:
        result = self._kernel(ids, starts, done, position, schedule, (copies[0].arrays(), copies[1].arrays()))
        for copy in copies:
            copy.difference()
        return result

    def _copies(self, words: int) -> tuple[Copy, Copy]:
        config, num_words = self.config, len(self.vocabulary.words)
        path = int(np.diff(self._fixed[3][2]).max()) if config.loss == "hierarchical" and num_words > 1 else 0
        targets = words * max(path, 1 + config.negatives_per_word * (1 if config.architecture == "cbow" else 2 * config.window))
        rows = words * (1 if self._table is None else int(np.diff(self._table.begins).max()))
        return Copy(min(rows, len(self.inputs)), self.inputs, 0), Copy(min(targets, num_words), self.outputs[:-SIX], SIX)


def _total(results: list[tuple[int, int, float, int]]) -> tuple[int, int, float, int]:
    words, pairs, loss, measured = zip(*results, strict=True)
    return sum(words), sum(pairs), sum(loss), sum(measured)
