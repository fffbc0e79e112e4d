"""Linear classifiers of n-grams, learned by L-BFGS: logistic regression, the support vector machine, and the SVM on naive Bayes's ratios.

Source: Wang, Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", 2012, for `nb-svm`; Chang, Hsieh, Lin,
"Coordinate descent method for large-scale L2-loss linear SVM", 2008, for the loss. Departures: solved in the primal by L-BFGS, to the same
minimum. Letters: K labels, F n-grams, B texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from nlp_embeddings.classify.agent import TextAgent
from nlp_embeddings.classify.features import GramTable, unit_rows
from nlp_embeddings.classify.naive_bayes import log_likelihoods
from nlp_embeddings.tagging.limited_memory import direction
from nlp_embeddings.training.saved import saved_array
from rl_core.config import Count, Doc, Fraction, Meta, Positive, configclass

_TRIES = 20


@configclass
class LinearConfig:
    """Settings of the linear classifiers."""

    loss: Annotated[Literal["logistic", "squared-hinge"], Doc("softmax, or sigmoids for several labels | support vector machine")] = (
        "logistic"
    )
    features: Annotated[
        Literal["binary", "tf-idf", "log-ratio"], Doc("n-gram or not | times idf, unit length | times naive Bayes's ratio")
    ] = "tf-idf"
    order: Annotated[int, Meta(ge=1, le=5), Doc("n, words of the longest n-gram")] = 2
    min_count: Annotated[Count, Doc("an n-gram in fewer texts is left out")] = 1
    cost: Annotated[Positive, Doc("C, weight of the losses beside 1/2 |w|^2")] = 10.0
    interpolation: Annotated[Fraction, Doc("log-ratio: beta, weight of the SVM's weights beside their mean size")] = 0.25
    memory: Annotated[int, Meta(ge=1, le=100), Doc("m, pairs of L-BFGS's memory")] = 10
    tolerance: Annotated[Positive, Doc("learning ends when the gradient is this small beside the first one")] = 1e-3


class LinearClassifier(TextAgent):
    """Agent that minimises a convex loss of linear scores; one step is an iteration of L-BFGS over all texts."""

    Config: ClassVar[type] = LinearConfig
    headline: ClassVar[str] = "loss"
    config: LinearConfig

    def setup(self) -> None:
        """Start without weights."""
        super().setup()
        self.grams: list[str] = []
        self._allocate()
        self.loss, self.first, self.count = 0.0, 0.0, 0

    def step(self) -> dict[str, float]:
        """Move along L-BFGS's direction by the longest of 1, 1/2, 1/4, ... that lowers the loss enough."""
        self.begin()
        if self.progress == 0:
            self.loss, self.gradient[:] = self._objective(self.weights)
            self.first = float(np.linalg.norm(self.gradient))
        way = direction(self.gradient, self.moves, self.changes, self.count)
        length = 1.0 if self.count else 1.0 / max(self.first, 1e-12)
        slope = float(self.gradient @ way)
        for _ in range(_TRIES):
            new = self.weights + length * way
            loss, gradient = self._objective(new)
            if loss <= self.loss + 1e-4 * length * slope:
                break
            length /= 2
        else:
            self.finished = True  # no lower point on this way: converged to rounding
            new, loss, gradient = self.weights.copy(), self.loss, self.gradient.copy()
        move, change = new - self.weights, gradient - self.gradient
        if float(move @ change) > 1e-12:
            place = self.count % self.config.memory
            self.moves[place], self.changes[place] = move, change
            self.count += 1
        self.weights[:], self.gradient[:], self.loss = new, gradient, loss
        self.progress += 1
        self.finished = self.finished or float(np.linalg.norm(gradient)) <= self.config.tolerance * self.first
        return {"loss": loss / len(self.task.examples["train"]), "gradient": float(np.linalg.norm(gradient))}

    def begin(self) -> None:
        """Number the n-grams of the training texts, and count the texts and labels that each occurs in."""
        if self.grams:
            return
        table = GramTable.of_texts(self.task.texts("train"), self.task.words_of, self.config.order, self.config.min_count)
        self.grams = table.grams
        self._allocate()
        rows = table.rows(self.task.texts("train"))
        if self.config.features == "tf-idf":
            frequency = np.asarray(rows.sum(axis=0)).ravel()
            self.factors[:] = (np.log((1 + rows.shape[0]) / (1 + frequency)) + 1)[:, None]
        elif self.config.features == "log-ratio":
            own = (self._signs > 0).astype(np.float64).T @ rows
            rest = np.asarray(rows.sum(axis=0)) - own
            self.factors[:] = (log_likelihoods(own, 1.0) - log_likelihoods(rest, 1.0)).T

    def shares(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities of labels [B, K]; of the support vector machine, sigmoids of its scores.

        Where a text has one label, they sum to 1.
        """
        if not self.grams:
            return np.full((len(texts), len(self.task.labels)), 1 / len(self.task.labels))
        weights, bias = self._split(self.weights)
        if self.config.features == "log-ratio":
            beta, size = self.config.interpolation, np.abs(weights).mean(axis=0, keepdims=True)
            weights = (1 - beta) * size + beta * weights
        scores = self._scaled(self._table.rows(texts)) @ (weights * self._column_factors) + bias
        if self.config.loss == "logistic" and not self.task.several:
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            result: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
            return result
        shares: np.ndarray = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
        return shares if self.task.several else shares / shares.sum(axis=1, keepdims=True)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights."""
        self.begin()
        return {"weights": self.weights}

    def state_dict(self) -> dict[str, Any]:
        """Return n-grams, weights and the memory of L-BFGS."""
        arrays = {name: getattr(self, name) for name in ("factors", "weights", "gradient", "moves", "changes")}
        return {"grams": "\n".join(self.grams), **arrays, "loss": self.loss, "first": self.first, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the n-grams and the labels.
        """
        self.grams = state["grams"].split("\n") if state["grams"] else []
        self._allocate()
        for name in ("factors", "weights", "gradient", "moves", "changes"):
            setattr(self, name, saved_array(state, name, getattr(self, name).shape, np.float64))
        self.loss, self.first, self.count = float(state["loss"]), float(state["first"]), int(state["count"])

    def _allocate(self) -> None:
        for name in ("_table", "_rows"):
            self.__dict__.pop(name, None)
        size, wide = len(self.task.labels), self.config.features == "log-ratio"
        self.factors = np.ones((len(self.grams), size if wide else 1))
        count = (len(self.grams) + 1) * size if self.grams else 0
        self.weights, self.gradient = np.zeros(count), np.zeros(count)
        self.moves, self.changes = (np.zeros((self.config.memory, count)) for _ in range(2))

    def _objective(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return C sum of losses + 1/2 |w|^2, and its gradient; the bias is not held small."""
        weights, bias = self._split(flat)
        scores = self._rows @ (weights * self._column_factors) + bias  # [B, K]
        signs = self._signs
        if self.config.loss == "squared-hinge":
            margin = np.maximum(1 - signs * scores, 0.0)
            total, slope = float((margin**2).sum()), -2 * margin * signs
        elif self.task.several:
            total = float(np.logaddexp(0, -signs * scores).sum())
            slope = -signs / (1 + np.exp(np.clip(signs * scores, -500, 500)))
        else:
            top = scores.max(axis=1, keepdims=True)
            mass = np.exp(scores - top).sum(axis=1, keepdims=True)
            total = float((np.log(mass) + top).sum() - scores[signs > 0].sum())
            slope = np.exp(scores - top) / mass - (signs > 0)
        slope = slope * self.config.cost
        by_gram = (self._rows.T @ slope) * self._column_factors + weights
        gradient = np.concatenate([by_gram, slope.sum(axis=0, keepdims=True)]).ravel()
        return self.config.cost * total + 0.5 * float((weights**2).sum()), gradient

    def _split(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights [F, K] and bias [K]."""
        both = flat.reshape(-1, len(self.task.labels))
        return both[:-1], both[-1]

    def _scaled(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return rows of n-grams as the scores see them: by tf-idf their idf is in the row, so that its length can be one."""
        if self.config.features != "tf-idf":
            return rows
        return unit_rows(sparse.csr_matrix(rows @ sparse.diags(self.factors[:, 0])))

    @property
    def _column_factors(self) -> np.ndarray | float:
        """Factors of the n-grams' columns that differ between labels [F, K]; 1 where they are in the rows."""
        return self.factors if self.config.features == "log-ratio" else 1.0

    @cached_property
    def _rows(self) -> sparse.csr_matrix:
        return self._scaled(self._table.rows(self.task.texts("train")))

    @cached_property
    def _signs(self) -> np.ndarray:
        """1 for each label that a training text has, -1 for the others [B, K]."""
        targets = self.task.targets(self.task.examples["train"])
        return np.where(targets, 1.0, -1.0) if self.task.several else 2 * np.eye(len(self.task.labels))[targets] - 1

    @cached_property
    def _table(self) -> GramTable:
        return GramTable(self.grams, self.task.words_of, self.config.order)
