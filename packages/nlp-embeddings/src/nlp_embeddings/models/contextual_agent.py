"""Vectors out of contexts: `contextual` reads a corpus through a local BERT- or GPT-like model; needs the extra `transformers`.

A text's vector is the model's, pooled. A word's, for questions about words and for files, is the mean of its vectors over all
places of the corpus where it stands.

Source: Devlin et al., "BERT", 2019; Bommasani, Davis, Cardie, "Interpreting Pretrained Contextualized Representations via
Reductions to Static Embeddings", 2020 (the mean over contexts).
Departures: every occurrence counts, not a sample of them. Without a folder the model is a small BERT of random weights, drawn
from the run's seed: what trained ones are to be compared with.
Letters: V words, d dimensions, T words of a sentence.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusTask
from nlp_embeddings.corpus.reader import WordReader
from nlp_embeddings.corpus.vocabulary import Vocabulary
from nlp_embeddings.models.contextual import ContextualEncoder, Pooling, refuse_no_model, write_random_bert
from nlp_embeddings.training.word_agent import WordAgent
from rl_core.config import Count, Doc, configclass

RANDOM_MODEL_WORDS = 5_000  # most words that the random model's tokenizer knows whole


@configclass
class ContextualConfig:
    """Which model reads, and what is taken from it."""

    folder: Annotated[str, Doc("of a model and its tokenizer, as `save_pretrained` writes them; empty: a small BERT of random weights")] = (
        ""
    )
    pooling: Annotated[
        Pooling, Doc("a text's vector: the mean of its tokens' | the first (BERT's [CLS]) | the last (GPT's) | the maximum")
    ] = "mean"
    layer: Annotated[int, Doc("whose vectors: 0 is the embedding, -1 the last layer")] = -1
    min_count: Annotated[Count, Doc("a rarer word has no vector of its own")] = 5
    batch_size: Annotated[Count, Doc("texts or sentences that go through the model at once")] = 32
    chunk_words: Annotated[Count, Doc("words of one step")] = 2_000

    def __post_init__(self) -> None:
        for name in ("min_count", "batch_size", "chunk_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be >= 1")
        if self.folder:
            refuse_no_model(Path(self.folder).expanduser())


class Contextual(WordAgent):
    """Gathers a vector for each word of a corpus, once through it; the model itself stays as it is."""

    Config: ClassVar[type] = ContextualConfig

    def __init__(self, config: ContextualConfig, task: CorpusTask, network: None, **run: Any) -> None:
        super().__init__(config, task, network, **run)
        self.reader = WordReader(task, config.chunk_words)
        self.sums = np.zeros((0, 0))
        self.seen = np.zeros(0, dtype=np.int64)

    @cached_property
    def encoder(self) -> ContextualEncoder:
        """The model."""
        settings = {"pooling": self.config.pooling, "layer": self.config.layer, "device": self.device}
        if self.config.folder:
            return ContextualEncoder(Path(self.config.folder).expanduser(), **settings)
        with tempfile.TemporaryDirectory(prefix="nlp-embeddings-model-") as folder:
            rng = np.random.default_rng(self.seeds.integer("random model"))
            write_random_bert(Path(folder), self.task.corpus.words[:RANDOM_MODEL_WORDS], rng)
            return ContextualEncoder(folder, **settings)

    def step(self) -> dict[str, float]:
        """Read the next sentences, and add each word's vector to its sum."""
        if not len(self.vocabulary.words):
            self.vocabulary = Vocabulary.of_corpus(self.task, self.config.min_count)
            self.sums = np.zeros((len(self.vocabulary.words), self.encoder.vector_size))
            self.seen = np.zeros(len(self.vocabulary.words), dtype=np.int64)
        self.reader.check()
        ids, starts, _ = self.reader.chunk()
        words, batch = self.task.corpus.words, self.config.batch_size
        sentences = [part[part >= 0] for part in np.split(ids, starts[1:-1])]
        sentences = sorted((part for part in sentences if len(part)), key=len)  # alike in length: little padding
        for first in range(0, len(sentences), batch):
            some = sentences[first : first + batch]
            found = np.concatenate(self.encoder.words([[words[index] for index in part] for part in some]))
            flat = np.concatenate(some)
            known = (flat < len(self.seen)) & np.isfinite(found).all(axis=1)
            np.add.at(self.sums, flat[known], found[known])
            np.add.at(self.seen, flat[known], 1)
        self.progress += len(ids)
        self.finished = self.reader.epoch > 0
        return {"words with a vector": float((self.seen > 0).sum()), "occurrences": float(self.seen.sum())}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Vectors of texts [B, d], by the model and the pooling."""
        return self.encoder.predict(inputs, self.config.batch_size)

    def word_vectors(self) -> np.ndarray:
        """Means over contexts [V, d]; zeros for a word that was not met yet."""
        return (self.sums / np.maximum(self.seen, 1)[:, None]).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Vocabulary, sums and position; the model stays in its folder."""
        return {"vocabulary": self.vocabulary.state_dict(), "sums": self.sums, "seen": self.seen, "reader": self.reader.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.vocabulary = Vocabulary.from_state(state["vocabulary"])
        self.sums, self.seen = np.array(state["sums"]), np.array(state["seen"])
        self.reader.load_state_dict(state["reader"])
        self.forget()
