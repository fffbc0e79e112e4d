"""FastText as a classifier: a softmax over the mean of the rows of a text's words and n-grams.

Source: Joulin, Grave, Bojanowski, Mikolov, "Bag of Tricks for Efficient Text Classification", 2017.
Departures: pairs of neighbouring words are hashed by their numbers rather than by their letters; the gradient of the rows is divided by
their number, as in the authors' program for classification.
Letters: V words, C labels, d dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.subwords import SubwordTable
from nlp_embeddings.evaluate.predictors import LabelPredict
from nlp_embeddings.evaluate.tasks import ClassificationTask
from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.training.kernels import FAST
from nlp_embeddings.training.sampling import aligned_matrix
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced, jit
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.memory import require_memory


@configclass
class TextClassifierConfig:
    """Settings of the text classifier."""

    vector_size: Annotated[int, Meta(ge=1, le=1 << 16), Doc("d, dimensions of a vector")] = 50
    min_count: Annotated[Count, Doc("a rarer word has no row of its own")] = 1
    min_ngram: Annotated[int, Meta(ge=1, le=1000), Doc("letters of the shortest n-gram, the brackets <> included")] = 3
    max_ngram: Annotated[int, Meta(ge=0, le=1000), Doc("letters of the longest n-gram; 0: none, words are whole")] = 5
    buckets: Annotated[int, Meta(ge=1, le=2**31), Doc("buckets of the hashes of n-grams and of pairs of words")] = 200_000
    word_pairs: Annotated[bool, Doc("pairs of neighbouring words are features of their own")] = True
    learning_rate: Annotated[Positive, Doc("alpha at the start; falls linearly to 0 over the budget")] = 2.0
    chunk_texts: Annotated[Count, Doc("texts of one step")] = 200

    def __post_init__(self) -> None:
        if self.max_ngram and self.max_ngram < self.min_ngram:
            raise ValueError(f"max_ngram is {self.max_ngram}; it must be 0, or at least min_ngram, {self.min_ngram}")


@jit(nogil=True, fastmath=FAST)
def train_classifier(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    rows: np.ndarray,
    outputs: np.ndarray,
    rate: float,
    rate_step: float,
) -> float:
    """Descend -log softmax(C h)[label] text after text, h the mean of a text's rows, and return the sum of losses.

    Args:
        features: Row numbers of all texts, one after the other.
        begins: First of each text's rows in `features` [N + 1].
        labels: [N].
        order: Texts in the order of learning.
        rows: [R, D], float32.
        outputs: C [C, D].
        rate: alpha at the first text.
        rate_step: Decrease of alpha with each text.
    """
    size, num_labels = rows.shape[1], len(outputs)
    hidden, error, scores = np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(num_labels, np.float32)
    total = 0.0
    for n in range(len(order)):
        text = order[n]
        begin, end = begins[text], begins[text + 1]
        if begin == end:
            continue
        alpha = np.float32(rate - n * rate_step)
        share = np.float32(1) / np.float32(end - begin)
        hidden[:] = 0
        error[:] = 0
        for i in range(begin, end):
            row = features[i]
            for k in range(size):
                hidden[k] += rows[row, k] * share
        largest = np.float32(-1e30)
        for c in range(num_labels):
            score = np.float32(0)
            for k in range(size):
                score += outputs[c, k] * hidden[k]
            scores[c] = score
            largest = max(largest, score)
        mass = np.float32(0)
        for c in range(num_labels):
            scores[c] = np.exp(scores[c] - largest)
            mass += scores[c]
        total -= np.log(scores[labels[text]] / mass + 1e-30)
        for c in range(num_labels):
            step = alpha * ((1 if c == labels[text] else 0) - scores[c] / mass)
            for k in range(size):
                error[k] += step * outputs[c, k]
                outputs[c, k] += step * hidden[k]
        for i in range(begin, end):
            row = features[i]
            for k in range(size):
                rows[row, k] += error[k] * share
    return total


class TextClassifier(LineAgent):
    """Agent that learns labels of texts; one step is some texts of a round over the training texts.

    Progress counts texts; the round, its order, the place in it and the rate follow from it.
    """

    Config: ClassVar[type] = TextClassifierConfig
    config: TextClassifierConfig
    task: ClassificationTask

    def setup(self) -> None:
        """Check the task and the memory; the words are chosen by the first step.

        Raises:
            ValueError: if the task has no labelled texts, or a model of these settings does not fit the memory.
        """
        if not isinstance(self.task, ClassificationTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a text classifier needs labelled texts: classification:<file>")
        config = self.config
        require_memory(
            (config.buckets if config.word_pairs else 0) * -(-config.vector_size // 16) * 64,
            f"rows of {config.buckets:,} buckets and {config.vector_size:,} dimensions",
            "lower buckets or vector_size",
        )
        self._rng = self.seeds.numpy("first vectors")
        self.words: list[str] = []
        self.rows = self.outputs = np.zeros((0, 0), dtype=np.float32)
        self._shuffled = (-1, np.zeros(0, dtype=np.int64))  # a round and its order

    def begin(self) -> None:
        """Choose the words and draw the rows, uniform in +-1/d; C is zero."""
        config = self.config
        counts: dict[str, int] = {}
        for text in self._train_texts:
            for token in self.task.tokens(text):
                counts[token] = counts.get(token, 0) + 1
        self.words = sorted(word for word, count in counts.items() if count >= config.min_count)
        if not self.words:
            raise ValueError(f"min_count is {config.min_count}, but no word of the texts is that frequent; lower it")
        shape = (self._num_rows, config.vector_size)
        self.rows = aligned_matrix(*shape)
        self.rows[:, : config.vector_size] = (2 * self._rng.random(shape, dtype=np.float32) - 1) / config.vector_size
        self.outputs = aligned_matrix(len(self.task.names), config.vector_size)

    def step(self) -> dict[str, float]:
        """Learn from the next texts of the round; every round has its own order."""
        if not self.words:
            self.begin()
        features, begins = self._features
        labels = self._train_labels
        epoch, place = divmod(self.progress, len(labels))
        left = max(self.budget - self.progress, 1)  # the rate is 0 at the budget, never below
        texts = self._order(epoch)[place : place + min(self.config.chunk_texts, left)]
        rate_step = self.config.learning_rate / self.budget
        rate = max(self.config.learning_rate - self.progress * rate_step, 0.0)
        with announced("text-classifier"):
            total = train_classifier(features, begins, labels, texts, self.rows, self.outputs, rate, rate_step)
        self.progress += len(texts)
        return {"loss": total / len(texts), "learning_rate": rate, "epoch": float(self.progress // len(labels))}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of the labels [B, C] of texts; equal ones if no feature is known."""
        features, begins = self._encode([str(text) for text in inputs])
        hidden = np.zeros((len(inputs), self.rows.shape[1]))
        for number in range(len(inputs)):
            if begins[number + 1] > begins[number]:
                hidden[number] = self.rows[features[begins[number] : begins[number + 1]]].mean(axis=0)
        scores = hidden @ self.outputs.T
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    def evaluate(self, *, episodes: int, seeds: Any) -> dict[str, float]:
        """Return the accuracy of the most probable labels on the test texts."""
        return self.task.evaluate(self.predictor(), episodes=episodes, seeds=seeds)

    def predictor(self) -> LabelPredict:
        """Return `predict` together with the names of the labels."""
        return LabelPredict(self.predict, self.task.names)

    def answer(self, text: str) -> dict[str, float]:
        """Return each label's probability for a text.

        Raises:
            ValueError: if it has no words.
        """
        if not text.strip():
            raise ValueError("the input is empty; expected a text")
        probabilities = self.predict(np.array([text], dtype=object))[0]
        return {name: round(float(p), 4) for name, p in zip(self.task.names, probabilities, strict=True)}

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the rows and C."""
        if not self.words:
            self.begin()
        return {"rows": self.rows, "outputs": self.outputs}

    def state_dict(self) -> dict[str, Any]:
        """Return words and matrices."""
        return {"words": "\n".join(self.words), "rows": self.rows, "outputs": self.outputs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if a matrix does not fit the words, the labels and the settings.
        """
        self.words = state["words"].split("\n") if state["words"] else []
        for name in ("_table", "_number", "_features"):
            self.__dict__.pop(name, None)
        width = -(-self.config.vector_size // 16) * 16 if self.words else 0
        self.rows = saved_array(state, "rows", (self._num_rows if self.words else 0, width), np.float32)
        self.outputs = saved_array(state, "outputs", (len(self.task.names) if self.words else 0, width), np.float32)

    @property
    def _num_rows(self) -> int:
        return self._table.num_rows + self.config.buckets * self.config.word_pairs

    @cached_property
    def _train_texts(self) -> list[str]:
        return [text for text, test in zip(self.task.texts, self.task.is_test, strict=True) if not test]

    @cached_property
    def _train_labels(self) -> np.ndarray:
        return self.task.labels[~self.task.is_test]

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of the texts in a round."""
        if self._shuffled[0] != epoch:
            self._shuffled = epoch, np.random.default_rng(self.seeds.integer("order", epoch)).permutation(len(self._train_labels))
        return self._shuffled[1]

    @cached_property
    def _features(self) -> tuple[np.ndarray, np.ndarray]:
        return self._encode(self._train_texts)

    @cached_property
    def _table(self) -> SubwordTable:
        return SubwordTable(self.words, self.config.min_ngram, self.config.max_ngram, self.config.buckets)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def _encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of texts, one text after the other, and the first of each text's."""
        table, number = self._table, self._number
        found: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        ends = []
        for text in texts:
            tokens = self.task.tokens(text)
            known = [number.get(token, -1) for token in tokens]
            parts = [
                table.rows[table.begins[n] : table.begins[n + 1]] if n >= 0 else table.rows_of_unknown(token)
                for n, token in zip(known, tokens, strict=True)
            ]
            if self.config.word_pairs and len(known) > 1:
                pairs = np.array(known, dtype=np.int64)
                pairs = (pairs[:-1] * 116_049_371 + pairs[1:]) % self.config.buckets + table.num_rows
                parts.append(pairs[(np.array(known[:-1]) >= 0) & (np.array(known[1:]) >= 0)])
            found.extend(parts)
            ends.append(sum(len(part) for part in parts))
        return np.concatenate(found), np.concatenate([[0], np.cumsum(ends, dtype=np.int64)]).astype(np.int64)
