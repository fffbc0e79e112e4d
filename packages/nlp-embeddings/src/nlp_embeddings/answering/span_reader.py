"""A reader that answers a question with a span of words of its passage, by a log-linear model over all short spans.

p(span | question, passage) is softmax(w . f) over the spans of the sentences that share most words with the question. Features f: the share
of the question's words in the sentence, how near they are on either side, the form of the span, and pairs of a question word with the
form of the span and with the words on either side of it, hashed. A question without a passage is answered from the passage that was read
and shares most words with it.

Source: Rajpurkar, Zhang, Lopyrev, Liang, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016, section 5. Departures: spans
of words in place of constituents, no parse; a rate for each weight, by Duchi, Hazan, Singer, "Adaptive Subgradient Methods", 2011; hashing.

Letters: C spans, F features of a span, W weights, B questions.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from nlp_embeddings.answering.questions import Question, QuestionsTask, normalised
from nlp_embeddings.corpus.tokenizers import STOP_WORDS, split_sentences
from nlp_embeddings.reading.words import pieces
from nlp_embeddings.training.saved import saved_array
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, Positive, configclass

WEIGHTS = 1 << 16
_ASKING = ("who", "whom", "whose", "when", "where", "why", "what", "which", "how")


@configclass
class SpanReaderConfig:
    """Settings of the reader."""

    passes: Annotated[Count, Doc("rounds over the questions")] = 5
    longest: Annotated[int, Meta(ge=1, le=20), Doc("most words of an answer")] = 5
    sentences: Annotated[Count, Doc("sentences of a passage whose spans are compared: those nearest to the question")] = 5
    learning_rate: Annotated[Positive, Doc("of a weight before its first gradient")] = 0.3
    questions_per_step: Annotated[Count, Doc("questions learned from in one step")] = 50


class Spans(NamedTuple):
    """The spans of a passage that may answer a question.

    Attributes:
        texts: The spans [C].
        places: Places of their features among the weights [C, F].
        values: Values of the features [C, F].
    """

    texts: list[str]
    places: np.ndarray
    values: np.ndarray


class SpanReader(Agent):
    """Agent that learns which span of a passage answers a question; one step is some questions. Deterministic."""

    Config: ClassVar[type] = SpanReaderConfig
    headline: ClassVar[str] = "loss"
    config: SpanReaderConfig
    task: QuestionsTask

    def setup(self) -> None:
        """Start with weights of 0 and no passages.

        Raises:
            ValueError: if the task does not ask questions about passages.
        """
        if not isinstance(self.task, QuestionsTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a reader needs questions:<file>")
        self.weights, self.squares = np.zeros(WEIGHTS), np.zeros(WEIGHTS)
        self.passages: list[str] = []

    def step(self) -> dict[str, float]:
        """Learn from the next questions."""
        questions = self.task.examples["train"]
        left = min(self.config.questions_per_step, self.config.passes * len(questions) - self.progress, max(self.budget, 1) - self.progress)
        losses = [self._learn(questions[(self.progress + number) % len(questions)]) for number in range(max(left, 1))]
        self.progress += len(losses)
        self.finished = self.progress >= min(self.config.passes * len(questions), self.budget)
        found = [loss for loss in losses if loss is not None]
        return {"loss": float(np.mean(found)) if found else 0.0, "skipped": 1.0 - len(found) / len(losses)}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the answers to texts `question<TAB>passage` [B], or to questions about the passages that were read."""
        answers = []
        for text in inputs:
            question, _, passage = str(text).partition("\t")
            spans = self._spans(question, passage if passage.strip() else self._nearest(question))
            answers.append(spans.texts[int(np.round(self._scores(spans), 9).argmax())] if spans.texts else "")
        return np.array(answers, dtype=str)

    def answer(self, text: str) -> str:
        """Return the answer to a question."""
        return str(self.predict(self.task.parse(text))[0])

    def state_dict(self) -> dict[str, Any]:
        """Return weights, sums of squared gradients and the passages that were read."""
        return {"weights": self.weights, "squares": self.squares, "passages": "\n".join(self.passages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.weights, self.squares = (saved_array(state, name, (WEIGHTS,), np.float64) for name in ("weights", "squares"))
        self.passages = state["passages"].split("\n") if state["passages"] else []

    def _learn(self, question: Question) -> float | None:
        """Take a step on -ln p of the right spans; return it, or `None` if no span is right."""
        if question.passage not in self.passages[-1:] and self.progress < len(self.task.examples["train"]):
            self.passages.append(question.passage)
        spans = self._spans(question.question, question.passage)
        wanted = [normalised(answer) for answer in question.answers]
        right = np.array([normalised(text) in wanted for text in spans.texts], dtype=bool)
        if not right.any():
            return None
        scores = self._scores(spans)
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        mass = float(shares[right].sum())
        gradient = np.zeros(WEIGHTS)
        pull = shares - np.where(right, shares / mass, 0.0)
        np.add.at(gradient, spans.places, pull[:, None] * spans.values)
        moved = np.flatnonzero(gradient)
        self.squares[moved] += gradient[moved] ** 2
        self.weights[moved] -= self.config.learning_rate * gradient[moved] / np.sqrt(self.squares[moved])
        return -float(np.log(mass))

    def _scores(self, spans: Spans) -> np.ndarray:
        scores: np.ndarray = (self.weights[spans.places] * spans.values).sum(axis=1)
        return scores

    def _spans(self, question: str, passage: str) -> Spans:
        """Return the spans of the sentences of a passage that share most words with the question."""
        asked = [word.lower() for word in pieces(question)]
        content = {word for word in asked if word.isalnum() and word not in STOP_WORDS and word not in _ASKING}
        sentences = [pieces(sentence) for sentence in split_sentences(passage)]
        shares = [len(content & {word.lower() for word in words}) / max(len(content), 1) for words in sentences]
        best = sorted(range(len(sentences)), key=lambda place: -shares[place])[: self.config.sentences]
        kind = next((word for word in asked if word in _ASKING), "")
        after = asked[asked.index(kind) + 1] if kind and asked.index(kind) + 1 < len(asked) else ""
        about = [f"{kind} {after}" if kind in ("what", "which", "how") else kind, *sorted(content & set(asked))]
        texts, places, values = [], [], []
        for place in best:
            words, lower = sentences[place], [word.lower() for word in sentences[place]]
            near = [position for position, word in enumerate(lower) if word in content]
            for start in range(len(words)):
                for stop in range(start + 1, min(start + self.config.longest, len(words)) + 1):
                    if not words[start][0].isalnum() or not words[stop - 1][-1].isalnum():
                        continue
                    ahead = min((start - p for p in near if p < start), default=len(words))
                    behind = min((p - stop + 1 for p in near if p >= stop), default=len(words))
                    names = _names(words, lower, start, stop, about, f"{min(ahead, 6)} {min(behind, 6)}")
                    dense = [shares[place], 1 / (1 + min(ahead, behind)), float(any(start <= p < stop for p in near))]
                    texts.append(" ".join(words[start:stop]))
                    places.append([0, 1, 2, *names])
                    values.append([*dense, *([1.0] * len(names))])
        width = max(map(len, places), default=1)
        padded = np.zeros((2, len(texts), width))
        for row, (own, value) in enumerate(zip(places, values, strict=True)):
            padded[0, row, : len(own)], padded[1, row, : len(value)] = own, value
        return Spans(texts, padded[0].astype(np.int64), padded[1])

    def _nearest(self, question: str) -> str:
        """Return the passage that was read and shares most words with a question; empty if none was read."""
        content = {word.lower() for word in pieces(question)} - STOP_WORDS
        return max(self.passages, key=lambda passage: len(content & {word.lower() for word in pieces(passage)}), default="")


def _names(words: list[str], lower: list[str], start: int, stop: int, about: list[str], far: str) -> list[int]:
    """Return the places among the weights of the features of a span that are there or not.

    Args:
        words: Of the sentence.
        lower: The same in lower case.
        start: First word of the span.
        stop: Word behind it.
        about: The asking words of the question, and its content words.
        far: How many words lie between the span and the nearest ones of the question, on either side.
    """
    span = words[start:stop]
    form = "".join("9" if word[0].isdigit() else "A" if word[0].isupper() else "a" for word in span)
    before, following = lower[start - 1] if start else "<", lower[stop] if stop < len(lower) else ">"
    sides = (f"form {form}", f"before {before}", f"after {following}", f"far {far}")
    found = [*sides, *(f"{about[0]} {side}" for side in sides)]
    for word in about[1:]:
        found += [f"{about[0]} {word} {side}" for side in (f"form {form}", f"before {before}", f"after {following}")]
    return [3 + zlib.crc32(name.encode()) % (WEIGHTS - 3) for name in found]
