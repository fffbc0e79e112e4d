"""A linear-chain conditional random field as a tagger, learned by L-BFGS on the exact gradient.

Source: Lafferty, McCallum, Pereira, "Conditional Random Fields", 2001; Okazaki, CRFsuite, 2007, for features and the penalties c1, c2.
Departures: features of a word see one neighbour each, so that scores are summed by type of word, which gives the same numbers several
times as fast; tags that cannot follow each other (O, I-X) are forbidden in learning and in answers.
Letters: K tags (padding among them), R rows of weights, P parameters, N words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.tagging.agent import TaggerAgent
from nlp_embeddings.tagging.crf_kernels import forward_backward, sums_by_type, type_gradient, type_scores, word_scores
from nlp_embeddings.tagging.features import AttributeTable, Encoded, Template, Templates, names_of
from nlp_embeddings.tagging.hmm import viterbi
from nlp_embeddings.tagging.limited_memory import direction, pseudo_gradient
from nlp_embeddings.tagging.schemes import may_follow
from nlp_embeddings.tagging.task import EntitiesTask
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced
from rl_core.config import Doc, Meta, NonNegative, configclass

FORBIDDEN = -1e30
_TRIES = 20  # halvings of a step
_ENOUGH = 1e-4  # share of the promised decrease that a step must bring


@configclass
class CRFConfig:
    """Settings of the conditional random field."""

    l1: Annotated[NonNegative, Doc("c1, factor of the sum of absolute weights")] = 0.1
    l2: Annotated[NonNegative, Doc("c2, factor of the sum of squared weights")] = 0.01
    memory: Annotated[int, Meta(ge=1, le=100), Doc("m, pairs of L-BFGS's memory")] = 6
    window: Annotated[Literal[0, 1, 2], Doc("neighbours on each side that are looked at")] = 2


def templates_of(window: int) -> tuple[Template, ...]:
    """Return the templates for a window: everything of the word itself, less of its neighbours.

    >>> len(templates_of(0)), len(templates_of(2))
    (11, 27)
    """
    here = ("word", "lower", "prefix1", "prefix2", "prefix3", "suffix1", "suffix2", "suffix3", "suffix4", "shape", "outline")
    near = ("word", "lower", "suffix2", "suffix3", "outline")
    far = ("lower", "outline", "suffix3")
    found: list[Template] = [(0, name) for name in here]
    for distance, names in ((1, near), (2, far)):
        found += [(side * distance, name) for side in (-1, 1) for name in names if distance <= window]
    return tuple(found)


class CRFTagger(TaggerAgent):
    """Agent that maximises the likelihood of whole tag sequences; one step is an iteration of L-BFGS over all sentences."""

    Config: ClassVar[type] = CRFConfig
    headline: ClassVar[str] = "loss"
    config: CRFConfig

    def setup(self) -> None:
        """Start without weights."""
        super().setup()
        self.places = np.zeros(0, dtype=np.int64)
        self._allocate()
        self.loss = 0.0
        self.count = 0

    def step(self) -> dict[str, float]:
        """Move along L-BFGS's direction by the longest of 1, 1/2, 1/4, ... that lowers the loss enough."""
        self.begin()
        config = self.config
        with announced("crf-tagger"):
            if self.progress == 0:
                self.loss, self.gradient[:] = self._objective(self.vector)
            slope = pseudo_gradient(self.vector, self.gradient, config.l1)
            way = direction(slope, self.moves, self.changes, self.count)
            if config.l1:
                way[way * slope > 0] = 0.0  # OWL-QN: keep to the descending orthants
                side = np.where(self.vector != 0, np.sign(self.vector), -np.sign(slope))
            length = 1.0 if self.count else 1.0 / max(float(np.linalg.norm(slope)), 1e-12)
            before = self.loss + config.l1 * float(np.abs(self.vector).sum())
            for _ in range(_TRIES):
                new = self.vector + length * way
                if config.l1:
                    new[new * side < 0] = 0.0
                loss, gradient = self._objective(new)
                promised = float(slope @ (new - self.vector))
                if loss + config.l1 * float(np.abs(new).sum()) <= before + _ENOUGH * promised:
                    break
                length /= 2
            else:
                self.finished = True  # no lower point on this way: converged to rounding
                new, loss, gradient = self.vector.copy(), self.loss, self.gradient.copy()
        move, change = new - self.vector, gradient - self.gradient
        if float(move @ change) > 1e-12:
            place = self.count % config.memory
            self.moves[place], self.changes[place] = move, change
            self.count += 1
        self.vector[:], self.gradient[:], self.loss = new, gradient, loss
        self.progress += 1
        self.__dict__.pop("_answering", None)
        after = loss + config.l1 * float(np.abs(new).sum())
        return {"loss": after / len(self._training[0].types), "weights_used": float(np.count_nonzero(new))}

    def begin(self) -> None:
        """Number the training words and find the pairs of feature and tag that occur: each has a weight."""
        if self.words:
            return
        self.words = list(dict.fromkeys(word for words in self.task.sentences("train") for word in words))
        encoded, tags = self._training
        size = len(self.task.tags)
        occurs = self._gradient_of(np.eye(size)[tags], encoded) > 0
        self.places = np.flatnonzero(occurs.ravel())
        self._allocate()

    def tag_sentences(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the most probable tags of sentences as wholes."""
        encoded = self._table.encode(sentences)
        weights, transitions = self._answering
        with announced("crf-tagger"):
            best = viterbi(self._scores(weights, encoded), transitions, encoded.splits)
        return np.split(best, encoded.splits[1:-1])

    def marginals(self, sentence: Sequence[str]) -> np.ndarray:
        """Return P(tag | sentence) of each word [n, K]."""
        encoded = self._table.encode([sentence])
        weights, transitions = self._answering
        scores = self._scores(weights, encoded)
        result, pairs = np.zeros_like(scores), np.zeros_like(transitions)
        forward_backward(scores, transitions, encoded.splits, result, pairs)
        return result

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights."""
        self.begin()
        return {"weights": self.vector}

    def state_dict(self) -> dict[str, Any]:
        """Return words, weights and the memory of L-BFGS."""
        arrays = {name: getattr(self, name) for name in ("places", "vector", "gradient", "moves", "changes")}
        return {"words": "\n".join(self.words), **arrays, "loss": self.loss, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words and the tags.
        """
        self.words = state["words"].split("\n") if state["words"] else []
        for name in ("_table", "_templates", "_training", "_true_sums", "_answering"):
            self.__dict__.pop(name, None)
        self.places = saved_array(state, "places", np.shape(state["places"]), np.int64)
        if len(self.places) and not 0 <= self.places.min() <= self.places.max() < self._templates.num_rows * len(self.task.tags):
            raise ValueError("places is saved with numbers outside of the rows of the weights")
        self._allocate()
        for name in ("vector", "gradient", "moves", "changes"):
            setattr(self, name, saved_array(state, name, getattr(self, name).shape, np.float64))
        self.loss, self.count = float(state["loss"]), int(state["count"])

    def _allocate(self) -> None:
        size = len(self.places) + (len(self.task.tags) + 1) ** 2 if self.words else 0
        self.vector, self.gradient = np.zeros(size), np.zeros(size)
        self.moves, self.changes = (np.zeros((self.config.memory, size)) for _ in range(2))

    def _objective(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Return sum log Z - score of the true tags + c2 |w|^2, and its gradient: expected minus true counts + 2 c2 w [P]."""
        encoded, tags = self._training
        weights, transitions = self._unpacked(parameters)
        scores = self._scores(weights, encoded)
        marginals, pairs = np.zeros_like(scores), np.zeros_like(transitions)
        total = forward_backward(scores, transitions, encoded.splits, marginals, pairs)
        true_weights, true_pairs = self._true_sums
        free = self._allowed
        total -= float(scores[np.arange(len(tags)), tags].sum()) + float((true_pairs * np.where(free, transitions, 0.0)).sum())
        expected = self._gradient_of(marginals, encoded).ravel()[self.places]
        gradient = np.concatenate([expected - true_weights, np.where(free, pairs - true_pairs, 0.0).ravel()])
        return total + self.config.l2 * float(parameters @ parameters), gradient + 2 * self.config.l2 * parameters

    def _unpacked(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights [R, K] and transitions [K + 1, K + 1]."""
        size = len(self.task.tags)
        weights = np.zeros(self._templates.num_rows * size)
        weights[self.places] = parameters[: len(self.places)]
        transitions = np.where(self._allowed, parameters[len(self.places) :].reshape(size + 1, size + 1), FORBIDDEN)
        return weights.reshape(-1, size), transitions

    def _scores(self, weights: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the scores of tags [N, K]; padding is not a tag."""
        distances, slots = self._distances
        by_type = type_scores(weights, encoded.rows, slots, self._templates.columns, self._templates.bases, len(distances))
        scores = word_scores(by_type, encoded.types, encoded.splits, distances)
        scores[:, 0] = FORBIDDEN
        return scores

    def _gradient_of(self, values: np.ndarray, encoded: Encoded) -> np.ndarray:
        """Return the sums [R, K] of words' values [N, K] over the features that are active there."""
        distances, slots = self._distances
        by_type = sums_by_type(np.ascontiguousarray(values), encoded.types, encoded.splits, distances, len(encoded.rows))
        templates = self._templates
        return type_gradient(by_type, encoded.rows, slots, templates.columns, templates.bases, templates.num_rows)

    @cached_property
    def _true_sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of times that each weight's feature and tag, and each pair of tags, occur [P], [K + 1, K + 1]."""
        encoded, tags = self._training
        size = len(self.task.tags)
        pairs = np.zeros((size + 1, size + 1))
        for begin, end in zip(encoded.splits[:-1], encoded.splits[1:], strict=True):
            path = np.concatenate([[0], tags[begin:end] + 1, [0]])
            np.add.at(pairs, (path[:-1], path[1:]), 1)
        return self._gradient_of(np.eye(size)[tags], encoded).ravel()[self.places], pairs

    @cached_property
    def _allowed(self) -> np.ndarray:
        """Mask of the pairs of tags that may be neighbours [K + 1, K + 1]; row 0 is the start, column 0 the end."""
        names = ["", *self.task.tags]
        chain = isinstance(self.task, EntitiesTask)
        allowed = np.array([[not chain or may_follow(before, after) for after in names] for before in names])
        allowed[1, :] = allowed[:, 1] = False  # padding
        allowed[0, 0] = False
        return allowed

    @cached_property
    def _answering(self) -> tuple[np.ndarray, np.ndarray]:
        return self._unpacked(self.vector)

    @cached_property
    def _distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Different distances of the templates [O], and the number of each template's [F]."""
        distances, slots = np.unique(self._templates.offsets, return_inverse=True)
        return distances, slots.astype(np.int64)

    @cached_property
    def _table(self) -> AttributeTable:
        return AttributeTable(self.words, names_of(templates_of(self.config.window)))

    @cached_property
    def _templates(self) -> Templates:
        return Templates(templates_of(self.config.window), self._table)

    @cached_property
    def _training(self) -> tuple[Encoded, np.ndarray]:
        return self._table.encode(self.task.sentences("train")), np.concatenate(self.task.tag_numbers("train"))
