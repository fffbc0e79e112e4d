"""Vectors from contexts: `contextual` reads a corpus through a local BERT- or GPT-like model; needs the extra `transformers`.

The vector of a text is that of the model, pooled. The vector of a word, for questions about words and for files, is the mean of its
vectors over all its occurrences in the corpus.

Source: Devlin et al., "BERT", 2019; Bommasani, Davis, Cardie, "Interpreting Pretrained Contextualized Representations via
Reductions to Static Embeddings", 2020 (the mean over contexts).
Departures: every occurrence counts, not a sample of them. Without a folder the model is a small BERT of random weights, drawn
from the run's seed, a baseline for trained ones.
Letters: V words, d dimensions, T words of a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.reader import WordReader
from nlp_embeddings.evaluate.senses import Occurrence, draw_senses, occurrences
from nlp_embeddings.models.contextual import ContextualEncoder, Pooling, load_torch, require_model, write_random_bert
from nlp_embeddings.scratch import Scratch
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.training.vocabulary import Vocabulary
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.config import Count, Doc, FilePath, Meta, configclass

RANDOM_MODEL_WORDS = 5_000
"""Most words that the random model's tokenizer knows whole."""


@configclass
class ContextualConfig:
    """A model, and the vectors taken from it."""

    folder: Annotated[
        FilePath, Doc("folder of a model and its tokenizer, as `save_pretrained` writes them; empty: a small BERT of random weights")
    ] = ""
    pooling: Annotated[
        Pooling, Doc("a text's vector: the mean of its tokens' | the first (BERT's [CLS]) | the last (GPT's) | the maximum")
    ] = "mean"
    layer: Annotated[int, Doc("layer of the vectors: 0 is the embedding, -1 the last layer")] = -1
    min_count: Annotated[Count, Doc("a rarer word has no vector of its own")] = 5
    batch_size: Annotated[int, Meta(ge=1, le=100_000), Doc("texts or sentences that go through the model at once")] = 32
    chunk_words: Annotated[int, Meta(ge=1, le=10**12), Doc("words of one step")] = 2_000
    senses: Annotated[tuple[str, ...], Doc("words whose occurrences are drawn, grouped by their vectors in context")] = ()

    def __post_init__(self) -> None:
        if self.folder:
            require_model(Path(self.folder).expanduser())


class Contextual(WordAgent):
    """Averages a vector for each word of a corpus in one pass; the model itself does not change."""

    Config: ClassVar[type] = ContextualConfig
    config: ContextualConfig

    def setup(self) -> None:
        """Check the corpus; the model is loaded by the first step."""
        super().setup()
        load_torch()
        self.reader = WordReader(self.task, self.config.chunk_words)
        for word in () if self.task.saved_fingerprint else self.config.senses:
            if (count := len(occurrences(self.task, word))) < 3:
                raise ValueError(
                    f"senses names {word!r}, which occurs {count} times in the text; expected words that occur at least three times"
                )
        self.sums = np.zeros((0, 0))
        self.seen = np.zeros(0, dtype=np.int64)

    @cached_property
    def encoder(self) -> ContextualEncoder:
        """The model."""
        settings: Any = {"pooling": self.config.pooling, "layer": self.config.layer, "device": self.device}
        if self.config.folder:
            return ContextualEncoder(Path(self.config.folder).expanduser(), **settings)
        with Scratch("nlp-embeddings-model-") as folder:
            rng = np.random.default_rng(self.seeds.integer("random model"))
            write_random_bert(folder, self.task.corpus.words[:RANDOM_MODEL_WORDS], rng)
            return ContextualEncoder(folder, **settings)

    def step(self) -> dict[str, float]:
        """Read the next sentences, and add each word's vector to its sum."""
        if not len(self.vocabulary.words):
            self.vocabulary = Vocabulary.of_corpus(self.task, self.config.min_count)
            self.sums = np.zeros((len(self.vocabulary.words), self.encoder.vector_size))
            self.seen = np.zeros(len(self.vocabulary.words), dtype=np.int64)
        ids, starts, _ = self.reader.chunk()
        words, batch = self.task.corpus.words, self.config.batch_size
        sentences = [part[part >= 0] for part in np.split(ids, starts[1:-1])]
        sentences = sorted((part for part in sentences if len(part)), key=len)  # of similar length: little padding
        for first in range(0, len(sentences), batch):
            some = sentences[first : first + batch]
            found = np.concatenate(self.encoder.words([[words[index] for index in part] for part in some]))
            flat = np.concatenate(some)
            known = (flat < len(self.seen)) & np.isfinite(found).all(axis=1)
            np.add.at(self.sums, flat[known], found[known])
            np.add.at(self.seen, flat[known], 1)
        self.progress += len(ids)
        self.finished = self.reader.epoch > 0
        return {"words_with_a_vector": float((self.seen > 0).sum()), "occurrences": float(self.seen.sum())}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return vectors of texts [B, d], by the model and the pooling."""
        return self.encoder.predict(inputs, self.config.batch_size)

    def in_context(self, found: Sequence[Occurrence]) -> np.ndarray:
        """Return the model's vectors of words in their contexts [N, d]."""
        batch, vectors = self.config.batch_size, []
        for first in range(0, len(found), batch):
            some = found[first : first + batch]
            vectors += [rows[o.place] for rows, o in zip(self.encoder.words([o.words for o in some]), some, strict=True)]
        return np.nan_to_num(np.stack(vectors))

    def draw(self, folder: Path) -> None:
        """Draw a map of frequent words, and the senses of the words that the settings name."""
        super().draw(folder)
        for number, word in enumerate(self.config.senses):
            draw_senses(word, *self.senses(word), folder / f"senses-{number}.png")

    def word_vectors(self) -> np.ndarray:
        """Return means over contexts [V, d]; zeros for words not read yet."""
        return (self.sums / np.maximum(self.seen, 1)[:, None]).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return vocabulary, sums and position; the model stays in its folder."""
        return {"vocabulary": self.vocabulary.state_dict(), "sums": self.sums, "seen": self.seen, "reader": self.reader.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the vocabulary and the model.
        """
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        num_words = len(self.vocabulary.words)
        self.sums = saved_array(state, "sums", (num_words, self.encoder.vector_size if num_words else 0), np.float64)
        self.seen = saved_array(state, "seen", (num_words,), np.int64)
        self.reader.load_state_dict(state["reader"])
        self.forget()
