"""An n-gram language model with modified Kneser-Ney smoothing, interpolated.

Source: Chen, Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1999, section 3; Heafield et al., "Scalable
Modified Kneser-Ney Language Model Estimation", 2013, for the base 1/V, and for n-grams at the begin of a line, which are counted by their
occurrences in every order. Departures: unless the task says that each line is by itself, the text is one sequence, with no mark at its
begin; where counts of counts are missing, the discounts are 1/2, 1 and 3/2, as KenLM's --discount_fallback has them.
Letters: N tokens, V vocabulary, M contexts and G n-grams of an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.language_model.ngram_kernels import context_keys, fall_back, fall_back_whole
from nlp_embeddings.language_model.task import LanguagePredict, LanguageTask
from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced
from rl_core.config import Doc, Meta, configclass

_FIELDS = ("contexts", "splits", "tokens", "counts")
_ODD = 0x9E3779B97F4A7C15  # a factor for contexts that 64 bits cannot hold exactly


@configclass
class NGramConfig:
    """Settings of the n-gram model."""

    order: Annotated[int, Meta(ge=1, le=20), Doc("n, tokens of the longest n-gram")] = 6


def discounts(counts: np.ndarray) -> np.ndarray:
    """Return D_1, D_2, D_3+ [4], with 0 in front: Y = n_1 / (n_1 + 2 n_2), D_k = k - (k + 1) Y n_{k+1} / n_k, (26).

    Example:
        >>> discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4])).round(4).tolist()
        [0.0, 0.5, 1.25, 1.0]
    """
    n = np.array([np.count_nonzero(counts == k) for k in range(5)], dtype=np.float64)
    if not n[1:4].all():
        return np.array([0.0, 0.5, 1.0, 1.5])
    share = n[1] / (n[1] + 2 * n[2])
    found = np.array([0.0, *(k - (k + 1) * share * n[k + 1] / n[k] for k in (1, 2, 3))])
    return found if (found[1:] >= 0).all() else np.array([0.0, 0.5, 1.0, 1.5])


def grouped(contexts: np.ndarray, tokens: np.ndarray, before: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the different contexts [M], the first n-gram of each [M + 1], the n-grams' last tokens [G] and their counts [G].

    Args:
        contexts: Number of the context of each token of the text [N].
        tokens: [N].
        before: The token in front of each context [N]: n-grams are counted by how many different ones they follow; each of those below 0
            counts, as there is none. `None`: all are counted.
    """
    if not len(tokens):
        return contexts, np.zeros(1, dtype=np.int64), tokens, np.zeros(0, dtype=np.int64)
    order = np.lexsort((tokens, contexts) if before is None else (before, tokens, contexts))
    columns = [column[order] for column in (contexts, tokens, *(() if before is None else (before,)))]
    fresh = [np.concatenate([[True], column[1:] != column[:-1]]) for column in columns]
    new_context, new_gram = fresh[0], fresh[0] | fresh[1]
    starts = np.flatnonzero(new_gram)
    occurs = np.ones(len(order), dtype=np.int64) if before is None else (new_gram | fresh[2] | (columns[2] < 0)).astype(np.int64)
    places = np.searchsorted(starts, np.flatnonzero(new_context))
    return columns[0][new_context], np.append(places, len(starts)), columns[1][starts], np.add.reduceat(occurs, starts)


class NGramModel(LineAgent):
    """Agent that counts n-grams; one step is the n-grams of one order, the shortest first. Deterministic."""

    Config: ClassVar[type] = NGramConfig
    headline: ClassVar[str] = "ngrams"
    config: NGramConfig
    task: LanguageTask

    @classmethod
    def default_budget(cls, config: Any, task: Any) -> int | None:
        """Return n: one step for each order."""
        return int(config.order)

    def setup(self) -> None:
        """Start without counts.

        Raises:
            ValueError: if the task is not the next token of a text.
        """
        if not isinstance(self.task, LanguageTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; an n-gram model needs language-model:<file>")
        self.tables: list[dict[str, np.ndarray]] = []

    def step(self) -> dict[str, float]:
        """Count the n-grams of the next order: the longest ones by their occurrences, others by how many tokens they follow."""
        text = self.task.marked(self.task.text("train"))
        order = self.progress + 1
        with announced("ngram-lm"):
            keys, before = context_keys(text, order, self._factor, self.task.begin)
        known = before > -2
        last = order == self.config.order
        self.tables.append(dict(zip(_FIELDS, grouped(keys[known], text[known], None if last else before[known]), strict=True)))
        self.__dict__.pop("_weights", None)
        self.progress = order
        self.finished = order == self.config.order
        return {"ngrams": float(len(self.tables[-1]["tokens"])), "contexts": float(len(self.tables[-1]["contexts"]))}

    def log_probabilities(self, text: np.ndarray) -> np.ndarray:
        """Return ln p of each token of a text [N] given those before it."""
        text = self.task.marked(text)
        found = np.full(len(text), 1 / self._size)
        for order, (table, (shares, left)) in enumerate(zip(self.tables, self._weights, strict=True), start=1):
            keys, before = context_keys(text, order, self._factor, self.task.begin)
            fall_back(found, keys, before > -2, table["contexts"], table["splits"], (table["tokens"], shares), left, text)
        return np.log(found[text != self.task.begin])

    def next_token(self, history: np.ndarray, *, opening: bool = True) -> np.ndarray:
        """Return the probabilities [N + 1, V] of the token after each beginning of a history [N], the empty one first; padding has none.

        Args:
            history: Token numbers [N].
            opening: Whether the history begins a line, where the task has the begins of lines marked.
        """
        text = self.task.marked(np.append(history, 0), opening=opening)
        found = np.full((len(text), len(self.task.vocabulary)), 1 / self._size)
        found[:, 0] = 0.0
        for order, (table, (shares, left)) in enumerate(zip(self.tables, self._weights, strict=True), start=1):
            keys, before = context_keys(text, order, self._factor, self.task.begin)
            fall_back_whole(found, keys, before > -2, table["contexts"], table["splits"], (table["tokens"], shares), left)
        return found[text != self.task.begin]

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable next token after each token of rows [B, T]; padding where the rows have it."""
        result = np.zeros(inputs.shape, dtype=np.int64)
        for number, row in enumerate(np.asarray(inputs, dtype=np.int64)):
            result[number] = self.next_token(row, opening=False)[1:].argmax(axis=1) * (row != 0)
        return result

    def predictor(self) -> LanguagePredict:
        """Return `predict` together with the probabilities."""
        return LanguagePredict(self.predict, self.log_probabilities)

    def answer(self, text: str) -> str:
        """Return a text with what the model writes after it; the same beginning gets the same text."""
        order = self.config.order

        def scores(texts: np.ndarray) -> np.ndarray:
            opening = texts.shape[1] <= order and texts.shape[1] < self.task.config.length  # else the beginning is cut off
            with np.errstate(divide="ignore"):
                return np.log([self.next_token(text[-order:], opening=opening)[-1] for text in texts])

        return self.task.continued(text, scores)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the counts of the newest order."""
        return {"counts": self.tables[-1]["counts"] if self.tables else np.zeros(0, dtype=np.int64)}

    def state_dict(self) -> dict[str, Any]:
        """Return the counts of each order."""
        return {"orders": len(self.tables), "tables": {str(number): dict(table) for number, table in enumerate(self.tables, start=1)}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if arrays of a table do not fit each other.
        """
        self.tables = []
        for number in range(1, int(state["orders"]) + 1):
            saved = state["tables"][str(number)]
            size, grams = len(saved["contexts"]), len(saved["tokens"])
            shapes = {"contexts": (size,), "splits": (size + 1,), "tokens": (grams,), "counts": (grams,)}
            kinds = {"contexts": np.uint64, "splits": np.int64, "tokens": np.int64, "counts": np.int64}
            table = {name: saved_array(saved, name, shapes[name], kinds[name]) for name in _FIELDS}
            inside = not grams or 0 <= table["tokens"].min() <= table["tokens"].max() < len(self.task.vocabulary)
            if not inside or (np.diff(table["splits"]) < 0).any() or table["splits"][0] != 0 or table["splits"][-1] != grams:
                raise ValueError(f"the n-grams of order {number} are saved with numbers outside of their tables")
            self.tables.append(table)
        self.__dict__.pop("_weights", None)

    @property
    def _size(self) -> int:
        """Tokens that can follow: all but padding."""
        return len(self.task.vocabulary) - 1

    @property
    def _factor(self) -> Any:
        size = len(self.task.vocabulary) + 2
        return np.uint64(size if size ** (self.config.order - 1) < 2**64 else _ODD)

    @cached_property
    def _weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each order the discounted shares of the n-grams [G], and what each context leaves to the shorter one [M]."""
        found = []
        for table in self.tables:
            counts, firsts = table["counts"], table["splits"][:-1]
            taken = discounts(counts)[np.minimum(counts, 3)]
            totals = np.add.reduceat(counts, firsts) if len(counts) else np.zeros(0)
            sizes = np.diff(table["splits"])
            shares = (counts - taken) / np.repeat(totals, sizes)
            found.append((shares, np.add.reduceat(taken, firsts) / totals if len(counts) else np.zeros(0)))
        return found
