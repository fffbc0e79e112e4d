"""A transition-based dependency parser: averaged perceptrons for tags, moves and relations, learned with a dynamic oracle.

Source: Goldberg, Nivre, "Training Deterministic Parsers with Non-Deterministic Oracles", 2013; Zhang, Nivre, "Transition-based Dependency
Parsing with Rich Non-local Features", 2011, for the features. Departures: moves are learned without relations, which a second perceptron
names when the tree is whole; the tags of the training sentences are those that the tagger gave before it learned from them, so that the
parser meets errors of tagging in learning as well. Letters: R rows of weights, L relations, S sentences, N words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.reading.line_agent import LineAgent
from nlp_embeddings.syntax.kernels import parse_sentences
from nlp_embeddings.syntax.task import ParsingTask, TreePredict, Trees
from nlp_embeddings.tagging.features import Encoded
from nlp_embeddings.tagging.greedy import GreedyModel
from nlp_embeddings.training.saved import saved_array
from rl_core.compiling import announced
from rl_core.config import Count, Doc, Meta, configclass

_ARRAYS = ("moves", "move_totals", "names", "name_totals")


@configclass
class ParserConfig:
    """Settings of the parser."""

    move_bits: Annotated[int, Meta(ge=4, le=26), Doc("log2 R, rows of the weights of moves, which features are hashed to")] = 20
    relation_bits: Annotated[int, Meta(ge=4, le=24), Doc("log2 of the rows of the weights of relations")] = 17
    tagging_epochs: Annotated[Count, Doc("rounds in which the tagger learns; the parser learns from the second round on")] = 5
    sentences_per_step: Annotated[Count, Doc("sentences of one step")] = 1000


class DependencyParser(LineAgent):
    """Agent that learns trees; one step is some sentences of an epoch. The first epoch is the tagger's alone."""

    Config: ClassVar[type] = ParserConfig
    headline: ClassVar[str] = "move_accuracy"
    config: ParserConfig
    task: ParsingTask

    @classmethod
    def default_budget(cls, config: Any, task: Any) -> int | None:
        """Return nine rounds over the training sentences, the first for the tagger alone."""
        return 9 * len(task.examples["train"]) if hasattr(task, "examples") else None

    def setup(self) -> None:
        """Start without weights.

        Raises:
            ValueError: if the task has no trees.
        """
        if not isinstance(self.task, ParsingTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; a parser needs parsing:<file>")
        self.tagger = GreedyModel(len(self.task.tags) + 1)
        rows, named = 1 << self.config.move_bits, 1 << self.config.relation_bits
        self.moves, self.move_totals = np.zeros((rows, 3), dtype=np.int32), np.zeros((rows, 3), dtype=np.int64)
        size = len(self.task.relations)
        self.names, self.name_totals = np.zeros((named, size), dtype=np.int32), np.zeros((named, size), dtype=np.int64)
        self.given = np.zeros(0, dtype=np.int64)  # tags that the parser learns from
        self.clock = 1

    def step(self) -> dict[str, float]:
        """Tag the next sentences of the epoch, let the tagger learn from them, and after the first epoch the parser."""
        self.begin()
        encoded, tags = self._training
        count = len(encoded.splits) - 1
        epoch, place = divmod(self.progress, count)
        stop = min(place + self.config.sentences_per_step, count, place + max(self.budget - self.progress, 1))
        order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(count)[place:stop]
        metrics = {"epoch": (self.progress + stop - place) / count}
        if epoch == 0 or (epoch == 1 and place == 0):  # the first sentences met a tagger that knew nothing
            first = np.random.default_rng(self.seeds.integer("order", 0)).permutation(count)[: self.config.sentences_per_step]
            chosen = order if epoch == 0 else first
            words = self._words
            for number, answer in zip(chosen, self.tagger.tag([words[number] for number in chosen]), strict=True):
                self.given[encoded.splits[number] : encoded.splits[number + 1]] = answer
        if epoch < self.config.tagging_epochs:
            mistakes = self.tagger.learn(encoded, tags, order)
            metrics["tag_accuracy"] = 1 - mistakes / max(int((encoded.splits[1:] - encoded.splits[:-1])[order].sum()), 1)
        if epoch:
            sentences, true = self._sentences(self._words, self.given), self._true
            with announced("dependency-parser"):
                mistakes, moves, _, self.clock = parse_sentences(
                    sentences, order, true, true, (self.moves, self.move_totals), (self.names, self.name_totals), self.clock, epoch > 1
                )
            metrics["move_accuracy"] = 1 - mistakes / max(moves, 1)
            self.__dict__.pop("_averaged", None)
        self.progress += stop - place
        return metrics

    def begin(self) -> None:
        """Number the training words and make room for the tagger's weights."""
        if not self.tagger.words:
            tags = self._true_tags
            self.tagger.begin(self._words, tags)
            self.given = np.zeros(len(tags), dtype=np.int64)

    def parse(self, sentences: Sequence[Sequence[str]]) -> Trees:
        """Return the heads, from 1, 0 for the root, and the relations of the words of sentences."""
        if not self.tagger.words:
            return [(np.zeros(len(words), dtype=np.int64), np.zeros(len(words), dtype=np.int64)) for words in sentences]
        tags = np.concatenate([*self.tagger.tag(sentences), np.zeros(0, dtype=np.int64)])
        encoded = self._sentences(sentences, tags)
        answers = np.zeros(len(encoded[0]), dtype=np.int64), np.zeros(len(encoded[0]), dtype=np.int64)
        moves, names = self._averaged
        empty = np.zeros((0, 3), dtype=np.int64), np.zeros((0, names.shape[1]), dtype=np.int64)
        with announced("dependency-parser"):
            parse_sentences(encoded, np.arange(len(sentences)), answers, answers, (moves, empty[0]), (names, empty[1]), 0, False)
        found = []
        for begin, words in zip(encoded[2], sentences, strict=False):
            heads, relations = (column[begin : begin + len(words)] for column in answers)
            found.append((np.where(heads == len(words), 0, heads + 1), relations))
        return found

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return numbers of head and relation [B, T] for word numbers [B, T]."""
        trees = self.parse(self.task.words_of_rows(inputs))
        result = self.task.padded([np.zeros(0)] * len(trees), self.task.length)
        for row, given, (heads, relations) in zip(result, inputs, trees, strict=True):
            row[: len(heads)] = self.task.row_of_tree(heads, relations)
            row[np.flatnonzero(given == 0)[np.flatnonzero(given == 0) >= len(heads)]] = 0
        return result

    def predictor(self) -> TreePredict:
        """Return `predict` together with `parse`, which reads words."""
        return TreePredict(self.predict, self.parse)

    def answer(self, text: str) -> Any:
        """Return for each word of a sentence its tag, its head's number and word, and its relation."""
        words = self.task.words_of(text)
        tags = self.tagger.tag([words])[0] if self.tagger.words else np.ones(len(words), dtype=np.int64)
        ((heads, relations),) = self.parse([words])
        names = ["ROOT", *words]
        return [
            [number, word, self.task.tags[tag - 1], int(head), names[head], self.task.relations[relation]]
            for number, (word, tag, head, relation) in enumerate(zip(words, tags, heads, relations, strict=True), start=1)
        ]

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the tagger's weights; those of the parser change from the second epoch on."""
        self.begin()
        return {"tagger": self.tagger.weights}

    def state_dict(self) -> dict[str, Any]:
        """Return all weights and their sums."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {"tagger": self.tagger.state_dict(), **arrays, "given": self.given, "clock": self.clock}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the settings and the relations.
        """
        self.tagger.load_state_dict(state["tagger"])
        for name in _ARRAYS:
            setattr(self, name, saved_array(state, name, getattr(self, name).shape, getattr(self, name).dtype))
        self.given = saved_array(state, "given", np.shape(state["given"]), np.int64)
        self.clock = int(state["clock"])
        for name in ("_averaged", "_training", "_number"):
            self.__dict__.pop(name, None)

    @cached_property
    def _averaged(self) -> tuple[np.ndarray, np.ndarray]:
        moves, names = self.moves - self.move_totals / self.clock, self.names - self.name_totals / self.clock
        return moves.astype(np.float32), names.astype(np.float32)

    @cached_property
    def _words(self) -> list[list[str]]:
        return [sentence.words for sentence in self.task.examples["train"]]

    @cached_property
    def _true_tags(self) -> np.ndarray:
        number = {tag: place for place, tag in enumerate(self.task.tags, start=1)}
        return np.array([number[tag] for sentence in self.task.examples["train"] for tag in sentence.tags], dtype=np.int64)

    @cached_property
    def _training(self) -> tuple[Encoded, np.ndarray]:
        return self.tagger.encode(self._words), self._true_tags

    @cached_property
    def _true(self) -> tuple[np.ndarray, np.ndarray]:
        """Heads and relations of the training sentences, a root behind each [N + S]."""
        heads, relations = [], []
        for own, names in self.task.trees("train"):
            heads += [*np.where(own == 0, len(own), own - 1).tolist(), 0]
            relations += [*names.tolist(), 0]
        return np.array(heads, dtype=np.int64), np.array(relations, dtype=np.int64)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(dict.fromkeys(map(str.lower, self.tagger.words)), start=1)}

    def _sentences(self, sentences: Sequence[Sequence[str]], tags: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return words and tags with a root behind each sentence [N + S], and the first place of each sentence [S + 1]."""
        number = self._number
        words = [place for sentence in sentences for place in (*(number.get(word.lower(), 0) for word in sentence), -1)]
        lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
        splits = np.concatenate([[0], np.cumsum(lengths + 1)]).astype(np.int64)
        with_roots = np.full(len(words), -1, dtype=np.int64)
        inner = np.ones(len(words), dtype=bool)
        inner[splits[1:] - 1] = False
        with_roots[inner] = tags
        return np.array(words, dtype=np.int64), with_roots, splits
