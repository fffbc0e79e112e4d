"""The bundled task `two-senses`: bank, duck and bat, each in sentences of two senses that are to be told apart by their contexts.

An agent reads the sentences without labels. Its vectors of the word in each sentence are grouped, and the groups are compared with the
senses: the adjusted Rand index, 1 for the same groups and 0 for chance. Agents without vectors in context are asked for the sentence's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask, unit_vectors_of
from nlp_embeddings.evaluate.predictors import WordPredict
from nlp_embeddings.evaluate.senses import Occurrence, adjusted_rand, grouped
from nlp_embeddings.linear import principal_components, unit_rows
from rl_core.config import configclass
from rl_core.seeds import Seeds
from rl_core.task import Predict

TEXT = Path(__file__).parents[1] / "data" / "two-senses.txt"
"""Sentences, a line each: of the words of `FIELDS` in turn, and of each word's senses in turn."""

SENTENCES = 600
_WHO = ("anna", "the farmer", "my brother", "an old man", "the teacher", "our neighbour", "a young woman", "the children")
_WHEN = ("yesterday", "in the morning", "last summer", "on monday", "before noon", "every week", "again", "at last")
_FRAMES = (
    "{who} {did} the {thing} and the {kind} {word} {when}",
    "{when} the {word} of {who} {did} with a {thing}",
    "the {kind} {word} {did} near the {thing} and the {other} {when}",
    "{who} saw a {thing} and a {other} by the {word}",
    "{when} {who} spoke of a {word} the {thing} and a {kind} {other}",
    "a {word} {did} and {who} lost the {thing} {when}",
)
FIELDS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "bank": (
        {
            "did": "paid deposited withdrew borrowed lent charged",
            "kind": "local private rich trusted central",
            "thing": "loan mortgage cheque salary credit receipt cash interest",
        },
        {
            "did": "fished swam flooded waded drifted camped",
            "kind": "muddy grassy steep sandy rocky",
            "thing": "river stream canal brook creek boat current tributary",
        },
    ),
    "duck": (
        {
            "did": "quacked dived nested waddled landed paddled",
            "kind": "wild white feathered hungry noisy",
            "thing": "pond goose marsh feather duckling swan egg bill",
        },
        {
            "did": "stooped dodged crouched bent ran escaped",
            "kind": "quick sudden clumsy deep hasty",
            "thing": "branch beam punch ball ceiling rope blow stone",
        },
    ),
    "bat": (
        {
            "did": "hit struck missed scored batted won",
            "kind": "wooden new broken heavy borrowed",
            "thing": "match team batsman captain pitcher game stadium coach",
        },
        {
            "did": "flew flitted crept hung squeaked slept",
            "kind": "small brown blind hungry nocturnal",
            "thing": "cave night attic tunnel darkness barn cellar tower",
        },
    ),
}
"""Verbs, adjectives and nouns of each word's senses; both senses have the same frames, so that these words alone differ."""


def sentences(seed: int = 0) -> list[str]:
    """Return 600 sentences: number i has the word i % 3 in its sense i // 3 % 2."""
    rng = np.random.default_rng(seed)
    words, found = list(FIELDS), []
    for number in range(SENTENCES):
        word = words[number % 3]
        field = {name: options.split() for name, options in FIELDS[word][number // 3 % 2].items()}
        choices = {**field, "other": field["thing"], "who": _WHO, "when": _WHEN}
        chosen = {name: options[int(rng.integers(len(options)))] for name, options in choices.items()}
        found.append(_FRAMES[int(rng.integers(len(_FRAMES)))].format(word=word, **chosen))
    return found


@configclass
class TwoSensesConfig:
    """Settings of the task: none."""


class TwoSenses(CorpusTask):
    """Words of two senses, judged by groups of their vectors in context."""

    Config: ClassVar[type] = TwoSensesConfig
    metric = "adjusted Rand index"

    @staticmethod
    def config_of_corpus(config: Any) -> CorpusConfig:
        """Return the config of the bundled sentences."""
        return CorpusConfig(path=str(TEXT), sentences="line", passage_words=40)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """No passages: every sentence is read, and none is searched for."""
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the mean adjusted Rand index over the words, and that of each word."""
        lines = TEXT.read_text(encoding="utf-8").split("\n")[:SENTENCES]
        metrics = {}
        for place, word in enumerate(FIELDS):
            texts = lines[place::3]
            if isinstance(predict, WordPredict):
                vectors = predict.in_context([Occurrence(text.split(), text.split().index(word)) for text in texts])
            else:
                vectors = unit_vectors_of(predict, texts)
            points, _ = principal_components(unit_rows(vectors.astype(np.float64)), 10)
            rng = seeds.apart("groups").numpy(word)
            metrics[word] = adjusted_rand(grouped(points, rng), np.arange(len(texts)) % 2)
        return {self.metric: float(np.mean(list(metrics.values()))), **metrics}
