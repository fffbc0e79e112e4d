"""The averaged perceptron as a tagger: greedy from left to right, with the last two tags among its features.

Source: Collins, "Discriminative Training Methods for Hidden Markov Models", 2002, section 2.4; the model is in `tagging.greedy`.
Departures: greedy search in place of Viterbi's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.tagging.agent import TaggerAgent
from nlp_embeddings.tagging.features import Encoded
from nlp_embeddings.tagging.greedy import GreedyModel
from rl_core.config import Count, Doc, Fraction, configclass


@configclass
class PerceptronConfig:
    """Settings of the averaged perceptron."""

    lookup_count: Annotated[Count, Doc("a word seen this often, nearly always with one tag, always gets that tag")] = 20
    lookup_share: Annotated[Fraction, Doc("share of one tag from which on a frequent word is looked up")] = 0.98
    sentences_per_step: Annotated[Count, Doc("sentences of one step")] = 1000


class PerceptronTagger(TaggerAgent):
    """Agent that learns tags by correcting its mistakes; one step is some sentences of an epoch, in the epoch's order."""

    Config: ClassVar[type] = PerceptronConfig
    config: PerceptronConfig

    @classmethod
    def default_budget(cls, config: Any, task: Any) -> int | None:
        """Return five rounds over the training sentences."""
        return 5 * len(task.examples["train"]) if hasattr(task, "examples") else None

    def setup(self) -> None:
        """Start without weights."""
        super().setup()
        self.model = GreedyModel(len(self.task.tags))

    def step(self) -> dict[str, float]:
        """Learn from the next sentences of the epoch."""
        self.begin()
        encoded, tags = self._training
        count = len(encoded.splits) - 1
        epoch, place = divmod(self.progress, count)
        stop = min(place + self.config.sentences_per_step, count, place + max(self.budget - self.progress, 1))
        order = np.random.default_rng(self.seeds.integer("order", epoch)).permutation(count)[place:stop]
        words = int((encoded.splits[1:] - encoded.splits[:-1])[order].sum())
        mistakes = self.model.learn(encoded, tags, order)
        self.progress += stop - place
        return {"accuracy": 1 - mistakes / max(words, 1), "epoch": self.progress / count}

    def begin(self) -> None:
        """Number the training words and make room for the weights."""
        if not self.words:
            config, tags = self.config, np.concatenate(self.task.tag_numbers("train"))
            self.model.begin(self.task.sentences("train"), tags, lookup_count=config.lookup_count, lookup_share=config.lookup_share)
            self.words = self.model.words

    def tag_sentences(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the tags of sentences by the averaged weights."""
        return self.model.tag(sentences)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the weights."""
        self.begin()
        return {"weights": self.model.weights}

    def state_dict(self) -> dict[str, Any]:
        """Return words, weights and their sums."""
        return self.model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the words and the tags.
        """
        self.model.load_state_dict(state)
        self.words = self.model.words
        self.__dict__.pop("_training", None)

    @cached_property
    def _training(self) -> tuple[Encoded, np.ndarray]:
        return self.model.encode(self.task.sentences("train")), np.concatenate(self.task.tag_numbers("train"))
