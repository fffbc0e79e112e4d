"""The judge of captions: n-gram metrics of a whole split against all true captions, and, where a grammar is known, the truth itself.

Sources: the metrics are those of `rl_core.text_metrics`. On captions from a template n-gram metrics measure the template: judge those by
exact match and by the slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cv_models.describe.captions import Captions, Vocabulary
from rl_core.text_metrics import bleu_counts, bleu_of_counts, cider_d, meteor, rouge_l_coco

Slots = Callable[[str, Sequence[str]], Mapping[str, bool]]
"""Function from an answer and the true captions to which parts of the meaning are right, by name; the same names for all answers."""


def caption_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return exact match, BLEU-1 to BLEU-4, ROUGE-L, METEOR and CIDEr-D of captions.

    Args:
        answers: N captions, words between spaces.
        references: True captions of each, at least one.

    >>> scores = caption_scores(["a red dog", "a cat"], [["a red dog"], ["a grey cat", "a cat"]])
    >>> scores["exact match"], scores["BLEU-1"]
    (1.0, 1.0)
    """
    pairs = list(zip(answers, map(tuple, references), strict=True))
    kinds = dict.fromkeys(pairs)  # captions from a template repeat: each pair is scored once
    counts = {pair: bleu_counts(pair[0].split(), [words.split() for words in pair[1]]) for pair in kinds}
    total = np.array([counts[pair] for pair in pairs]).sum(axis=0).tolist()
    rouge = {pair: rouge_l_coco(*pair) for pair in kinds}
    chunks = {pair: meteor(*pair, tokenize=str.split) for pair in kinds}
    count = len(pairs)
    return {
        "exact match": sum(answer in wanted for answer, wanted in pairs) / count,
        **{f"BLEU-{order}": bleu_of_counts([*total[: 2 * order], *total[-2:]], "none") for order in range(1, 5)},
        "ROUGE-L": sum(rouge[pair] for pair in pairs) / count,
        "METEOR": sum(chunks[pair] for pair in pairs) / count,
        "CIDEr-D": float(np.mean(cider_d(answers, references))),
    }


class CaptionJudge:
    """A judge of captions, which keeps their texts.

    Args:
        vocabulary: The known words.
        space: Space of the captions.
        slots: Parts of the meaning that are right; `None` without a grammar.
    """

    def __init__(self, vocabulary: Vocabulary, space: Captions, slots: Slots | None = None) -> None:
        self._vocabulary, self._space, self._slots = vocabulary, space, slots
        self.answers: list[str] = []
        self.references: list[list[str]] = []

    def add(self, predictions: np.ndarray, targets: np.ndarray) -> None:
        """Count the captions in rows [B, R T] against true ones [B, R T]."""
        length = self._space.caption_length
        self.answers += [self._vocabulary.answer(row, length) for row in np.asarray(predictions)]
        self.references += [self._vocabulary.texts(row, length) for row in np.asarray(targets)]

    def result(self) -> dict[str, float]:
        """Return the metrics of everything that was added.

        Raises:
            ValueError: if nothing was added.
        """
        if not self.answers:
            raise ValueError("no captions were added; there is nothing to judge")
        scores = caption_scores(self.answers, self.references)
        if self._slots is not None:
            right = [self._slots(*pair) for pair in zip(self.answers, self.references, strict=True)]
            for name in right[0]:
                scores[name] = float(np.mean([each[name] for each in right]))
        return scores
