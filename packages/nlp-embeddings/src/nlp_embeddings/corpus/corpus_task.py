"""Text as a task: `treasure-island` (bundled) and `corpus:<path>`.

The input is a text, the output its vector. The score measures whether vectors carry meaning: one sentence of a passage is held out (no
agent sees it while learning), and the vector of that sentence must find the passage among all others by cosine similarity. The number is
the mean reciprocal rank over the held-out sentences: 1 is perfect, and guessing among P passages gives about ln(P) / P.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np

from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.corpus.encoded import FORMAT, Corpus, cached_corpus
from nlp_embeddings.corpus.passages import held_out_sentences, passage_bounds
from nlp_embeddings.corpus.phrases import join_phrases
from nlp_embeddings.corpus.text_files import corpus_files, sample_of_file
from nlp_embeddings.corpus.tokenizers import STOP_WORDS, has_full_stops, lemmatizer, stemmer, tokenize
from nlp_embeddings.linear import unit_rows
from nlp_embeddings.spaces import Vector, text_space
from rl_core.config import Doc, FilePath, Meta, Positive, configclass
from rl_core.errors import RequestError
from rl_core.seeds import Seeds
from rl_core.task import Predict, Task

BUNDLED = Path(__file__).parents[1] / "data" / "treasure-island.txt.xz"
_BATCH = 128  # texts given to an agent at once
MAX_QUERIES = 512  # passages that are searched when the task is scored, spread evenly over the corpus


@configclass
class CorpusConfig:
    """A text, and the rules that turn it into words."""

    path: Annotated[FilePath, Doc("a text file, a folder of them, or a .gz, .bz2 or .xz file; empty: the bundled novel")] = ""
    tokenizer: Annotated[
        Literal["regex", "whitespace", "character"], Doc("words of letters and digits | between spaces | every character")
    ] = "regex"
    sentences: Annotated[
        Literal["auto", "punctuation", "line"],
        Doc("end of a sentence: line if the text has hardly any full stops, else punctuation | . ! ? and blank lines | every line break"),
    ] = "auto"
    lowercase: Annotated[bool, Doc("fold capitals")] = True
    stop_words: Annotated[bool, Doc("leave English function words out")] = False
    stemmer: Annotated[str, Doc('language of a Snowball stemmer, such as "english"; empty: words stay whole')] = ""
    lemmatizer: Annotated[str, Doc('two-letter language of a lemmatizer (extra "lemmas"); empty: none')] = ""
    undecodable: Annotated[Literal["refuse", "replace"], Doc("bytes that are not UTF-8: an error that names them | U+FFFD")] = "refuse"
    phrase_passes: Annotated[
        int, Meta(ge=0, le=10), Doc("rounds of joining words that belong together (new_york), each up to doubling the length")
    ] = 0
    phrase_threshold: Annotated[Positive, Doc("score above which two words are joined")] = 100.0
    phrase_min_count: Annotated[int, Meta(ge=1, le=10**12), Doc("least number of times that two words occur together to be joined")] = 5
    passage_words: Annotated[int, Meta(ge=1, le=10**12), Doc("words of a passage, the unit that is searched")] = 200

    def __post_init__(self) -> None:
        if self.stemmer and self.lemmatizer:
            raise ValueError(f"stemmer is {self.stemmer!r} and lemmatizer is {self.lemmatizer!r}; a word can go through one of them only")
        if self.stemmer:
            stemmer(self.stemmer)
        if self.lemmatizer:
            lemmatizer(self.lemmatizer)


class CorpusTask(Task):
    """A text to learn word and document vectors from.

    The text is encoded once into a cache folder (`$NLP_EMBEDDINGS_CACHE`, else `nlp-embeddings` in the user's cache folder) and
    memory-mapped from there; a changed file or another setting is another entry.

    Attributes:
        corpus_config: The text and the rules that turn it into words.
        saved_fingerprint: Fingerprint of the corpus that a saved run learned from; empty for a new run.
    """

    Config: ClassVar[type] = CorpusConfig
    kind: ClassVar[str] = "corpus"
    metric = "mean reciprocal rank"
    saved_fingerprint: str = ""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.corpus_config = self.config_of_corpus(config)
        self.input_space = text_space()
        self.output_space = Vector()
        if self.corpus_config.path:
            corpus_files(Path(self.corpus_config.path).expanduser())

    @staticmethod
    def config_of_corpus(config: Any) -> CorpusConfig:
        """Return the config of the corpus; here the task's own."""
        own: CorpusConfig = config
        return own

    def state_dict(self) -> dict[str, Any]:
        """Return the fingerprint of the corpus."""
        return {"corpus": self.saved_fingerprint or self.corpus.fingerprint}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task of a saved run; its text is read only when it is asked for, and need not exist to answer questions."""
        task = cls.__new__(cls)
        Task.__init__(task, config)
        task.corpus_config = cls.config_of_corpus(config)
        task.input_space, task.output_space = text_space(), Vector()
        task.saved_fingerprint = str(state["corpus"])
        return task

    def data_change(self) -> str:
        """Return a sentence if the text is no longer the one that the run learned from, else an empty text."""
        if not self.saved_fingerprint:
            return ""
        name = self.corpus_config.path or "the bundled text"
        try:
            changed = self.corpus.fingerprint != self.saved_fingerprint
        except ValueError as error:
            return f"the text {name} can no longer be read: {error}"
        return f"the text {name} has changed since the run was saved" if changed else ""

    def accept_data(self) -> None:
        """Refuse to continue: vectors belong to the words of their text, whose numbers mean other words in another text.

        Raises:
            RequestError: always.
        """
        raise RequestError(
            f"a run on a corpus cannot be continued on another text: {self.data_change()}",
            "restore the text as it was, or start a new run",
        )

    @cached_property
    def corpus(self) -> Corpus:
        """The encoded text, from the cache or encoded now.

        Raises:
            ValueError: if the text cannot be read, or has no words.
        """
        config = self.corpus_config
        source = Path(config.path).expanduser().resolve() if config.path else BUNDLED
        sentences = self._sentences(source)
        folder = _cache_folder() / self._key(source, sentences)

        def make() -> Corpus:
            return encode(
                source,
                folder,
                tokenizer=config.tokenizer,
                lowercase=config.lowercase,
                sentences=sentences,
                drop=STOP_WORDS if config.stop_words else frozenset(),
                change=self._change,
                undecodable=config.undecodable,
            )

        corpus = cached_corpus(folder, make)
        for number in range(1, config.phrase_passes + 1):
            joined = corpus.folder.with_name(f"{folder.name}-{config.phrase_min_count}-{config.phrase_threshold:g}-{number}")
            corpus = cached_corpus(joined, partial(self._join, corpus, joined))
        return corpus

    @cached_property
    def passages(self) -> np.ndarray:
        """First sentence of every passage, and the number of sentences at the end [P + 1]."""
        return passage_bounds(self.corpus.starts, self.corpus_config.passage_words)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Passages that are searched for [Q], evenly spread, and the held-out sentence of each [Q]."""
        return held_out_sentences(self.corpus.starts, self.passages, MAX_QUERIES)

    @cached_property
    def counts(self) -> np.ndarray:
        """Occurrences by word id [V] without the held-out sentences."""
        counts = self.corpus.counts.copy()
        for sentence in self.held_out[1]:
            start, end = self.corpus.starts[sentence : sentence + 2]
            np.subtract.at(counts, self.corpus.ids[start:end], 1)
        return counts

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return a copy of the word ids [stop - start] from position `start` of the corpus; -1 in held-out sentences."""
        ids = np.array(self.corpus.ids[start:stop])
        starts, sentences = self.corpus.starts, self.held_out[1]
        first = np.searchsorted(starts[1:][sentences], start, side="right")
        for sentence in sentences[first:]:
            if starts[sentence] >= stop:
                break
            ids[max(starts[sentence] - start, 0) : starts[sentence + 1] - start] = -1
        return ids

    def passage_ids(self, passage: int, *, whole: bool = False) -> np.ndarray:
        """Return the word ids of a passage, without its held-out sentence unless `whole`."""
        start, stop = self.corpus.starts[self.passages[passage]], self.corpus.starts[self.passages[passage + 1]]
        ids = np.array(self.corpus.ids[start:stop]) if whole else self.read(int(start), int(stop))
        return ids[ids >= 0]

    def text(self, ids: np.ndarray) -> str:
        """Return the words of ids, joined by spaces."""
        words = self.corpus.words
        return " ".join([words[index] for index in ids])

    def tokens(self, text: str, known: Any = ()) -> list[str]:
        """Return the words of a text in the form of this corpus; pieces that are in `known` unchanged are kept (stems, phrases).

        Args:
            text: Any text.
            known: Words that a model knows: any container.
        """
        found: list[str] = []
        for piece in text.split():
            if piece in known:
                found.append(piece)
                continue
            if self.corpus_config.tokenizer == "character":
                found.extend(tokenize(piece, "character", lowercase=self.corpus_config.lowercase))
                continue
            for token in tokenize(piece, self.corpus_config.tokenizer, lowercase=self.corpus_config.lowercase):
                if not (self.corpus_config.stop_words and token in STOP_WORDS):
                    found.append(self._change(token) if self._change and token not in known else token)
        return found

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean reciprocal rank of the held-out sentences' passages, and the share found first; NaN if none can be held out."""
        passages, sentences = self.held_out
        if not len(passages):
            return self.ranking_score(np.zeros((0, 0)))
        starts = self.corpus.starts
        queries = [self.text(self.corpus.ids[starts[sentence] : starts[sentence + 1]]) for sentence in sentences]
        texts = [self.text(self.passage_ids(int(passage))) for passage in passages]
        return self.ranking_score(unit_vectors_of(predict, queries) @ unit_vectors_of(predict, texts).T)

    def ranking_score(self, scores: np.ndarray) -> dict[str, float]:
        """Return metrics of scores [Q, Q] by the rank of passage q for query q; ties share the mean of their ranks.

        Example:
            >>> CorpusTask(CorpusConfig()).ranking_score(np.array([[3.0, 1.0], [2.0, 1.0]]))["mean reciprocal rank"]
            0.75
        """
        own = np.diag(scores)[:, None]
        rank = 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        return {
            self.metric: float(np.mean(1 / rank)) if len(rank) else math.nan,
            "found first": float(np.mean(rank == 1)) if len(rank) else math.nan,
            "queries": float(len(rank)),
        }

    def parse(self, text: str) -> np.ndarray:
        """Return the text itself, as a batch of one."""
        return np.array([text], dtype=object)

    @cached_property
    def _change(self) -> Callable[[str], str] | None:
        if self.corpus_config.stemmer:
            return stemmer(self.corpus_config.stemmer)
        return lemmatizer(self.corpus_config.lemmatizer) if self.corpus_config.lemmatizer else None

    def _join(self, corpus: Corpus, folder: Path) -> Corpus:
        return join_phrases(corpus, folder, min_count=self.corpus_config.phrase_min_count, threshold=self.corpus_config.phrase_threshold)

    def _sentences(self, source: Path) -> Literal["punctuation", "line"]:
        """Return the end of a sentence, chosen by the beginning of the text if it is "auto"."""
        if self.corpus_config.sentences != "auto":
            return self.corpus_config.sentences
        if not self.corpus_config.path or has_full_stops(sample_of_file(corpus_files(source)[0])):
            return "punctuation"
        print(f"{source} has hardly any full stops: each line is read as a sentence (task.sentences=line)", file=sys.stderr)
        return "line"

    def _key(self, source: Path, sentences: str) -> str:
        config = self.corpus_config
        files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in corpus_files(source)]
        rules = [config.tokenizer, sentences, config.lowercase, config.stop_words, config.stemmer, config.lemmatizer]
        return hashlib.blake2b(json.dumps([FORMAT, files, rules, config.undecodable]).encode(), digest_size=12).hexdigest()


def _cache_folder() -> Path:
    """Return the folder of encoded texts; one in the system's temporary folder if no other can be written."""
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
    """Return vectors of texts, of length one; zero for a text of unknown words [N, d]."""
    batches = [predict(np.array(texts[start : start + _BATCH], dtype=object)) for start in range(0, len(texts), _BATCH)]
    return unit_rows(np.concatenate([np.asarray(batch, dtype=np.float32) for batch in batches]))
