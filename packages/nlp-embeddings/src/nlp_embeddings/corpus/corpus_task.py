"""Text as a task: `treasure-island` (bundled) and `corpus:<path>`.

What goes in is a text, what comes out is its vector. The score says whether vectors carry meaning: a passage has one of its
sentences held out (no agent sees it while learning), and the vector of that sentence must find the passage among all others
by cosine similarity. The number is the mean reciprocal rank over the held-out sentences: 1 is perfect, and guessing among
P passages gives about ln(P) / P.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.encode import FORMAT, Corpus, encode
from nlp_embeddings.corpus.passages import held_out_sentences, passage_bounds
from nlp_embeddings.corpus.phrases import join_phrases
from nlp_embeddings.corpus.text_files import corpus_files
from nlp_embeddings.corpus.tokenizers import STOP_WORDS, lemmatizer, stemmer, tokenize
from nlp_embeddings.spaces import Vector, text_space
from nlp_embeddings.vectors.word_vectors import unit_rows
from rl_core.config import Count, Doc, Positive, Whole, configclass
from rl_core.seeds import Seeds
from rl_core.task import Predict, Task

BUNDLED = Path(__file__).parents[1] / "data" / "treasure-island.txt.xz"
_BATCH = 128  # texts that an agent is asked about at once
MAX_QUERIES = 512  # passages that are searched when the task is scored, spread evenly over the corpus


@configclass
class CorpusConfig:
    """Which text, and how it becomes words."""

    path: Annotated[str, Doc("a text file, a folder of them, or a .gz, .bz2 or .xz file; empty: the bundled novel")] = ""
    tokenizer: Annotated[
        Literal["regex", "whitespace", "character"], Doc("words of letters and digits | between spaces | every character")
    ] = "regex"
    sentences: Annotated[Literal["punctuation", "line"], Doc("what ends a sentence: . ! ? and blank lines | every line break")] = (
        "punctuation"
    )
    lowercase: Annotated[bool, Doc("fold capitals")] = True
    stop_words: Annotated[bool, Doc("leave English function words out")] = False
    stemmer: Annotated[str, Doc('language of a Snowball stemmer, such as "english"; empty: words stay whole')] = ""
    lemmatizer: Annotated[str, Doc('two-letter language of a lemmatiser (extra "lemmas"); empty: none')] = ""
    undecodable: Annotated[Literal["refuse", "replace"], Doc("bytes that are not UTF-8: an error that names them | U+FFFD")] = "refuse"
    phrase_passes: Annotated[Whole, Doc("rounds of joining words that belong together (new_york), each up to doubling the length")] = 0
    phrase_threshold: Annotated[Positive, Doc("score from which two words are joined")] = 100.0
    phrase_min_count: Annotated[Count, Doc("how often two words must stand together to be joined")] = 5
    passage_words: Annotated[Count, Doc("words of a passage, the unit that is searched")] = 200

    def __post_init__(self) -> None:
        if self.phrase_passes < 0:
            raise ValueError(f"phrase_passes is {self.phrase_passes}; it must be >= 0")
        if self.phrase_threshold <= 0:
            raise ValueError(f"phrase_threshold is {self.phrase_threshold}; it must be > 0")
        if self.phrase_min_count < 1:
            raise ValueError(f"phrase_min_count is {self.phrase_min_count}; it must be >= 1")
        if self.passage_words < 1:
            raise ValueError(f"passage_words is {self.passage_words}; it must be >= 1")
        if self.stemmer and self.lemmatizer:
            raise ValueError(f"stemmer is {self.stemmer!r} and lemmatizer is {self.lemmatizer!r}; a word can go through one of them only")
        if self.path and not Path(self.path).expanduser().exists():
            raise ValueError(f"path is {self.path!r}, where there is no file or folder; a corpus is a text file or a folder of them")


class CorpusTask(Task):
    """A text to learn word and document vectors from.

    The text is encoded once into a cache folder (`$NLP_EMBEDDINGS_CACHE`, else `nlp-embeddings` in the user's cache folder)
    and memory-mapped from there; a changed file or another setting is another entry.
    """

    Config: ClassVar[type] = CorpusConfig
    kind: ClassVar[str] = "corpus"
    metric = "mean reciprocal rank"

    def __init__(self, config: CorpusConfig) -> None:
        super().__init__(config)
        self.input_space = text_space()
        self.output_space = Vector()

    @cached_property
    def corpus(self) -> Corpus:
        """The encoded text, from the cache or made now."""
        config = self.config
        source = Path(config.path).expanduser().resolve() if config.path else BUNDLED
        folder = _cache_folder() / self._key(source)
        if not (folder / "corpus.json").exists():
            encode(
                source,
                folder,
                tokenizer=config.tokenizer,
                lowercase=config.lowercase,
                sentences=config.sentences,
                drop=STOP_WORDS if config.stop_words else frozenset(),
                change=self._change,
                undecodable=config.undecodable,
            )
        for number in range(1, config.phrase_passes + 1):
            joined = folder.with_name(f"{folder.name}-{config.phrase_min_count}-{config.phrase_threshold:g}-{number}")
            if not (joined / "corpus.json").exists():
                join_phrases(Corpus(folder), joined, min_count=config.phrase_min_count, threshold=config.phrase_threshold)
            folder = joined
        return Corpus(folder)

    @cached_property
    def passages(self) -> np.ndarray:
        """First sentence of every passage, and the number of sentences at the end [P + 1]."""
        return passage_bounds(self.corpus.starts, self.config.passage_words)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Passages that are searched for [Q], evenly spread, and the sentence held out of each [Q]."""
        return held_out_sentences(self.corpus.starts, self.passages, MAX_QUERIES)

    @cached_property
    def counts(self) -> np.ndarray:
        """Occurrences by word id [V] in what may be learned from: without the held-out sentences. Never rises by more than those."""
        counts = self.corpus.counts.copy()
        for sentence in self.held_out[1]:
            start, end = self.corpus.starts[sentence : sentence + 2]
            np.subtract.at(counts, self.corpus.ids[start:end], 1)
        return counts

    def read(self, start: int, stop: int) -> np.ndarray:
        """Word ids [stop - start] from position `start` of the corpus, a copy; -1 where a sentence is held out."""
        ids = np.array(self.corpus.ids[start:stop])
        starts, sentences = self.corpus.starts, self.held_out[1]
        first = np.searchsorted(starts[1:][sentences], start, side="right")
        for sentence in sentences[first:]:
            if starts[sentence] >= stop:
                break
            ids[max(starts[sentence] - start, 0) : starts[sentence + 1] - start] = -1
        return ids

    def passage_ids(self, passage: int, *, whole: bool = False) -> np.ndarray:
        """Word ids of a passage, without its held-out sentence unless `whole`."""
        start, stop = self.corpus.starts[self.passages[passage]], self.corpus.starts[self.passages[passage + 1]]
        ids = np.array(self.corpus.ids[start:stop]) if whole else self.read(int(start), int(stop))
        return ids[ids >= 0]

    def text(self, ids: np.ndarray) -> str:
        """Words of ids, joined by spaces."""
        words = self.corpus.words
        return " ".join([words[index] for index in ids])

    def tokens(self, text: str, known: Any = ()) -> list[str]:
        """Words of a text as this corpus has them; what stands in `known` as it is, is taken so (stems, phrases).

        Args:
            text: Any text.
            known: Words that a model knows; anything with `in`.
        """
        found: list[str] = []
        for piece in text.split():
            if piece in known:
                found.append(piece)
                continue
            if self.config.tokenizer == "character":
                found.extend(tokenize(piece, "character", lowercase=self.config.lowercase))
                continue
            for token in tokenize(piece, self.config.tokenizer, lowercase=self.config.lowercase):
                if not (self.config.stop_words and token in STOP_WORDS):
                    found.append(self._change(token) if self._change and token not in known else token)
        return found

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Mean reciprocal rank of each held-out sentence's passage, and the share of passages found at first place."""
        passages, sentences = self.held_out
        if not len(passages):
            return self.ranking_score(np.zeros((0, 0)))
        starts = self.corpus.starts
        queries = [self.text(self.corpus.ids[starts[sentence] : starts[sentence + 1]]) for sentence in sentences]
        texts = [self.text(self.passage_ids(int(passage))) for passage in passages]
        return self.ranking_score(unit_vectors_of(predict, queries) @ unit_vectors_of(predict, texts).T)

    def ranking_score(self, scores: np.ndarray) -> dict[str, float]:
        """Metrics of scores [Q, Q]: how high does query q rank passage q? Ties share the mean of their ranks.

        Example:
            >>> CorpusTask(CorpusConfig()).ranking_score(np.array([[3.0, 1.0], [2.0, 1.0]]))["mean reciprocal rank"]
            0.75
        """
        own = np.diag(scores)[:, None]
        rank = 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        return {
            self.metric: float(np.mean(1 / rank)) if len(rank) else 0.0,
            "found first": float(np.mean(rank == 1)) if len(rank) else 0.0,
            "queries": float(len(rank)),
        }

    def parse(self, text: str) -> np.ndarray:
        """The text itself, as a batch of one."""
        return np.array([text], dtype=object)

    @cached_property
    def _change(self) -> Any:
        if self.config.stemmer:
            return stemmer(self.config.stemmer)
        return lemmatizer(self.config.lemmatizer) if self.config.lemmatizer else None

    def _key(self, source: Path) -> str:
        config = self.config
        files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in corpus_files(source)]
        how = [config.tokenizer, config.sentences, config.lowercase, config.stop_words, config.stemmer, config.lemmatizer]
        return hashlib.blake2b(json.dumps([FORMAT, files, how, config.undecodable]).encode(), digest_size=12).hexdigest()


def _cache_folder() -> Path:
    named = os.environ.get("NLP_EMBEDDINGS_CACHE")
    home = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nlp-embeddings"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / f"nlp-embeddings-{os.getuid() if hasattr(os, 'getuid') else 0}"


def unit_vectors_of(predict: Predict, texts: Sequence[str]) -> np.ndarray:
    """Vectors of texts, of length one; zero where the agent knows nothing of a text [N, d]."""
    batches = [predict(np.array(texts[start : start + _BATCH], dtype=object)) for start in range(0, len(texts), _BATCH)]
    return unit_rows(np.concatenate([np.asarray(batch, dtype=np.float32) for batch in batches]))
