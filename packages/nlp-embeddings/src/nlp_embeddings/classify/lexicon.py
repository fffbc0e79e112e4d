"""Sentiment by rules: a list of words with their valence, negation, intensifiers, and the word "but".

Source: Hutto, Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014, for the kinds of rules.
Departures: a list of words of our own, `data/valence.tsv`; the bounds between labels are learned from the training texts, and nothing else.
A sentence without a word of the list scores 0, and the share of such texts is among the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.classify.agent import TextAgent
from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.training.saved import saved_array
from rl_core.config import Count, Doc, FilePath, Fraction, Positive, Whole, configclass

LIST = Path(__file__).parents[1] / "data" / "valence.tsv"
_NEGATIONS = """
not no never neither nor none nothing nowhere hardly scarcely barely without cannot can't don't doesn't didn't isn't aren't wasn't weren't
won't wouldn't shouldn't couldn't haven't hasn't hadn't ain't n't lacks lacking
"""
_STRONGER = "very really extremely so too absolutely deeply truly totally utterly highly thoroughly quite exceptionally"
_WEAKER = "slightly somewhat barely rather fairly kinda partly almost mildly occasionally marginally sometimes"
NEGATIONS = frozenset(_NEGATIONS.split())
"""Words that turn the valence of the words after them round."""
INTENSIFIERS = {**dict.fromkeys(_STRONGER.split(), 1.3), **dict.fromkeys(_WEAKER.split(), 0.7)}
"""Factors of the valence of the next word."""


@configclass
class LexiconConfig:
    """Settings of the rules."""

    words: Annotated[FilePath, Doc("a file of `word<TAB>valence` lines; empty: the bundled list of English words")] = ""
    negation_reach: Annotated[Whole, Doc("words after a negation whose valence is turned round")] = 3
    negation_factor: Annotated[Fraction, Doc("size of a negated valence: not great is less bad than terrible")] = 0.74
    but_factor: Annotated[Positive, Doc("what follows the last `but` counts this often, what precedes it once divided by this")] = 1.5
    texts_per_step: Annotated[Count, Doc("texts scored in one step")] = 5000


@lru_cache(maxsize=4)
def valences(path: Path) -> Mapping[str, float]:
    """Return the valence of each word of a file of `word<TAB>valence` lines.

    Raises:
        ValueError: naming the line that has another form.
    """
    found = {}
    for number, line in numbered_lines(path):
        if line.strip():
            word, _, value = line.partition("\t")
            try:
                found[word.strip().lower()] = float(value)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: expected `word<TAB>valence`, got {line[:40]!r}") from error
    return found


def sentiment(words: Sequence[str], valence: Mapping[str, float], config: LexiconConfig) -> float:
    """Return the sum of the valences of lower-case words, turned round after a negation, changed by an intensifier before them.

    Example:
        >>> values = {"good": 2.0, "dull": -2.0}
        >>> sentiment("not very good".split(), values, LexiconConfig()), sentiment("good , but dull".split(), values, LexiconConfig())
        (-1.924, -1.6666666666666667)
    """
    contrast = max((place for place, word in enumerate(words) if word == "but"), default=-1)
    total = 0.0
    for place, word in enumerate(words):
        value = valence.get(word, 0.0)
        if not value:
            continue
        if place:
            value *= INTENSIFIERS.get(words[place - 1], 1.0)
        if any(before in NEGATIONS for before in words[max(place - config.negation_reach, 0) : place]):
            value *= -config.negation_factor
        if contrast >= 0:
            value *= config.but_factor if place > contrast else 1 / config.but_factor
        total += value
    return total


class Lexicon(TextAgent):
    """Agent that scores texts by rules; it learns the labels' order and the bounds between them. Deterministic; one step is some texts."""

    Config: ClassVar[type] = LexiconConfig
    headline: ClassVar[str] = "texts"
    config: LexiconConfig

    def setup(self) -> None:
        """Read the list of words.

        Raises:
            ValueError: if the list cannot be read, or texts have several labels.
        """
        super().setup()
        if self.task.several:
            raise ValueError(
                "the texts have several labels each; a single score cannot tell those apart: use naive-bayes or linear-classifier"
            )
        self._valence = valences(Path(self.config.words).expanduser() if self.config.words else LIST)
        self.scores = np.zeros(0)
        self.order = np.arange(len(self.task.labels))
        self.bounds = np.zeros(len(self.task.labels) - 1)

    def step(self) -> dict[str, float]:
        """Score the next texts, and set the bounds anew."""
        examples = self.task.examples["train"]
        stop = min(self.progress + self.config.texts_per_step, len(examples), max(self.budget, 1))
        self.scores = np.append(self.scores, self._scores([example.text for example in examples[self.progress : stop]]))
        labels = self.task.targets(examples[:stop])
        means = [self.scores[labels == k].mean() if (labels == k).any() else 0.0 for k in range(len(self.task.labels))]
        self.order = np.argsort(means, kind="stable")
        self.bounds = best_bounds(self.scores, np.argsort(self.order)[labels], len(means))
        self.progress = stop
        self.finished = stop == len(examples)
        return {"texts": float(stop), "texts_without_a_known_word": float((self.scores == 0).mean())}

    def shares(self, texts: Sequence[str]) -> np.ndarray:
        """Return 1 for the label between whose bounds a text's score is, else 0 [B, K]."""
        result = np.zeros((len(texts), len(self.order)))
        result[np.arange(len(texts)), self.order[np.searchsorted(self.bounds, self._scores(texts))]] = 1.0
        return result

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the scores of the training texts."""
        return {"scores": self.scores}

    def state_dict(self) -> dict[str, Any]:
        """Return scores, the order of the labels and the bounds."""
        return {"scores": self.scores, "order": self.order, "bounds": self.bounds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the labels.
        """
        self.scores = saved_array(state, "scores", np.shape(state["scores"]), np.float64)
        self.order = saved_array(state, "order", self.order.shape, np.int64)
        self.bounds = saved_array(state, "bounds", self.bounds.shape, np.float64)

    def _scores(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([sentiment(self.task.words_of(text), self._valence, self.config) for text in texts])


def best_bounds(scores: np.ndarray, ranks: np.ndarray, size: int) -> np.ndarray:
    """Return the rising bounds [K - 1] between labels in order with the most right answers: a score up to bound k gets a rank up to k.

    Args:
        scores: [N].
        ranks: Places of the labels in their order [N].
        size: K.

    Example:
        >>> best_bounds(np.array([-2.0, -1.0, 0.0, 0.5, 3.0]), np.array([0, 0, 1, 1, 2]), 3).tolist()
        [-0.5, 1.75]
    """
    values = np.unique(scores)
    hits = np.zeros((size, len(values) + 1), dtype=np.int64)
    np.add.at(hits, (ranks, np.searchsorted(values, scores) + 1), 1)
    below = hits.cumsum(axis=1)  # texts of rank k among the lowest v values
    best, back = below[0], np.zeros((size, len(values) + 1), dtype=np.int64)
    for rank in range(1, size):
        gain = best - below[rank]  # the rank begins after v values
        start = np.maximum.accumulate(gain)
        place = np.where(gain == start, np.arange(len(gain)), 0)
        back[rank] = np.maximum.accumulate(place)
        best = start + below[rank]
    cuts, end = [], len(values)
    for rank in range(size - 1, 0, -1):
        end = int(back[rank, end])
        cuts.append(end)
    edges = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    bounds: np.ndarray = edges[cuts[::-1]]
    return bounds
