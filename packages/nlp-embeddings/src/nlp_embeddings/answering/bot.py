"""A bot that answers with the reply of the most similar known question, and refuses politely where none is similar enough.

Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, for the similarity. Departures: a BM25 score is
divided by the best one that the question could have, so that one threshold fits short and long questions. The threshold is set on the
validation questions: where some of them have no answer, to the one with the most right answers, refusals among them; else so that one in
fifty is refused. Letters: N known questions, V words, B questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from nlp_embeddings.answering.task import DialoguePredict, DialogueTask
from nlp_embeddings.classify.features import GramTable
from nlp_embeddings.linear import unit_rows
from nlp_embeddings.reading.line_agent import typed_lines
from nlp_embeddings.reading.words import pieces
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.vectors.tfidf import bm25, inverse_document_frequency, tf_idf
from rl_core.agent import Agent
from rl_core.config import Count, Doc, FilePath, Fraction, Meta, NonNegative, configclass

_REFUSED_SHARE = 0.02  # of the validation questions, where all of them have an answer
_BATCH = 256


@configclass
class BotConfig:
    """Settings of the bot."""

    similarity: Annotated[Literal["bm25", "cosine", "vectors"], Doc("BM25 | cosine of tf-idf | cosine of mean word vectors")] = "bm25"
    vectors: Annotated[FilePath, Doc("vectors: a file of word vectors, of any format that this package reads")] = ""
    order: Annotated[int, Meta(ge=1, le=3), Doc("n, words of the longest n-gram")] = 1
    neighbours: Annotated[Count, Doc("known questions that vote for their answers with their similarity")] = 5
    saturation: Annotated[NonNegative, Doc("bm25: k1; the larger, the longer repeated words add to the score")] = 1.2
    length_weight: Annotated[Fraction, Doc("bm25: b, discount of long questions")] = 0.5
    questions_per_step: Annotated[Count, Doc("known questions read in one step")] = 20_000

    def __post_init__(self) -> None:
        if self.similarity == "vectors" and not self.vectors:
            raise ValueError("similarity is 'vectors' and vectors is empty; name a file of word vectors")


class RetrievalBot(Agent):
    """Agent that remembers questions with their answers; one step is some questions. Deterministic."""

    Config: ClassVar[type] = BotConfig
    headline: ClassVar[str] = "questions"
    config: BotConfig
    task: DialogueTask

    def setup(self) -> None:
        """Start without memory.

        Raises:
            ValueError: if the task has no questions and answers.
        """
        if not isinstance(self.task, DialogueTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a bot needs dialogue:<file>")
        self.questions: list[str] = []
        self.replies: list[str] = []
        self.threshold = np.zeros(1)

    def step(self) -> dict[str, float]:
        """Remember the next questions; after the last one, set the threshold."""
        known = [pair for pair in self.task.examples["train"] if pair.target != self.task.config.refusal]
        stop = min(self.progress + self.config.questions_per_step, len(known), max(self.budget, 1))
        self.questions += [pair.source for pair in known[self.progress : stop]]
        self.replies += [pair.target for pair in known[self.progress : stop]]
        self._forget()
        self.progress = stop
        self.finished = stop == len(known)
        if self.finished:
            self.threshold[0] = self._best_threshold()
        return {"questions": float(stop), "threshold": float(self.threshold[0])}

    def reply(self, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """Return the best answer to each text, and how similar its question is, from 0 to 1 [B]."""
        answers: list[str] = []
        similar = np.zeros(len(texts))
        for start in range(0, len(texts), _BATCH):
            scores = np.round(self._similarities(texts[start : start + _BATCH]), 9)  # sums of other batches differ in the last bits
            for row, own in enumerate(scores):
                best = np.argsort(-own, kind="stable")[: self.config.neighbours]
                votes: dict[str, float] = {}
                for place in best:
                    votes[self.replies[place]] = votes.get(self.replies[place], 0.0) + float(own[place])
                answers.append(max(votes, key=lambda answer: votes[answer]))
                similar[start + row] = votes[answers[-1]] / len(best)
        return answers, similar

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the answers to texts [B]; the refusal where no known question is similar enough."""
        refusal = self.task.config.refusal
        if not self.questions:
            return np.array([refusal] * len(inputs))
        answers, similar = self.reply([str(text) for text in inputs])
        return np.array([a if s > 0 and s >= self.threshold[0] else refusal for a, s in zip(answers, similar, strict=True)])

    def predictor(self) -> DialoguePredict:
        """Return `predict` together with how sure the bot is."""
        return DialoguePredict(self.predict, lambda texts: self.reply(texts)[1] if self.questions else np.zeros(len(texts)))

    def answer(self, text: str) -> str:
        """Return the answer to a question."""
        return str(self.predict(self.task.parse(text))[0])

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return the answers to the questions of a file, one a line, which are compared with the known ones at once."""
        found: list[Any] = self.predict(np.array([line for _, line in typed_lines(path)])).tolist()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return questions, answers and the threshold."""
        return {"questions": "\n".join(self.questions), "replies": "\x00".join(self.replies), "threshold": self.threshold}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if there are not as many answers as questions.
        """
        self.questions = state["questions"].split("\n") if state["questions"] else []
        self.replies = state["replies"].split("\x00") if state["replies"] else []
        if len(self.questions) != len(self.replies):
            raise ValueError(f"{len(self.questions)} questions are saved with {len(self.replies)} answers")
        self.threshold = saved_array(state, "threshold", (1,), np.float64)
        self._forget()

    def _forget(self) -> None:
        for name in ("_table", "_weights", "_idf", "_means"):
            self.__dict__.pop(name, None)

    def _best_threshold(self) -> float:
        """Return the threshold with the most right answers on the validation questions."""
        pairs = self.task.examples["validation"]
        if not pairs or not self.questions:
            return 0.0
        answers, similar = self.reply([pair.source for pair in pairs])
        right = np.array([pair.target == answer for pair, answer in zip(pairs, answers, strict=True)])
        outside = np.array([pair.target == self.task.config.refusal for pair in pairs])
        if not outside.any():
            return float(np.quantile(similar, _REFUSED_SHARE))
        order = np.argsort(similar, kind="stable")
        gain = np.cumsum(outside[order].astype(np.int64) - right[order])  # refusing the n least similar ones
        best = int(gain.argmax())
        return float(similar[order[best + 1]]) if gain[best] > 0 and best + 1 < len(order) else 0.0

    def _similarities(self, texts: Sequence[str]) -> np.ndarray:
        """Return similarities [B, N] of texts and known questions, from 0 to 1."""
        if self.config.similarity == "vectors":
            return np.maximum(self._mean_vectors(texts) @ self._means.T, 0.0)
        rows = self._table.rows(texts, counted=True)
        if self.config.similarity == "cosine":
            return np.asarray((tf_idf(rows, self._idf) @ self._weights.T).todense())
        rows.data[:] = 1.0
        scores = np.asarray((rows @ self._weights.T).todense())
        most = (self.config.saturation + 1) * self._idf
        unknown = np.array([len(set(self._words(text))) for text in texts]) - np.asarray((rows > 0).sum(axis=1)).ravel()
        best = rows @ most + np.maximum(unknown, 0) * (most.max() if len(most) else 1.0)
        return scores / np.maximum(best, 1e-12)[:, None]

    @staticmethod
    def _words(text: str) -> list[str]:
        return pieces(text.lower())

    @cached_property
    def _table(self) -> GramTable:
        return GramTable.of_texts(self.questions, self._words, self.config.order, 1)

    @cached_property
    def _idf(self) -> np.ndarray:
        frequency = np.asarray((self._table.rows(self.questions) > 0).sum(axis=0)).ravel()
        return inverse_document_frequency(frequency, len(self.questions), "lucene" if self.config.similarity == "bm25" else "smooth")

    @cached_property
    def _weights(self) -> sparse.csr_matrix:
        counts = self._table.rows(self.questions, counted=True)
        if self.config.similarity == "cosine":
            return tf_idf(counts, self._idf)
        mean = max(float(counts.sum()) / len(self.questions), 1.0)
        return bm25(counts, self._idf, mean, saturation=self.config.saturation, length_weight=self.config.length_weight)

    @cached_property
    def _word_vectors(self) -> Any:
        from nlp_embeddings.vectors.formats import load

        return load(Path(self.config.vectors).expanduser())

    @cached_property
    def _means(self) -> np.ndarray:
        return self._mean_vectors(self.questions)

    def _mean_vectors(self, texts: Sequence[str]) -> np.ndarray:
        vectors = self._word_vectors
        means = np.zeros((len(texts), vectors.vector_size))
        for row, text in enumerate(texts):
            known = [vectors.get_vector(word) for word in self._words(text) if vectors.has_vector(word)]
            if known:
                means[row] = np.mean(known, axis=0)
        return unit_rows(means)
