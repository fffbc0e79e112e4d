"""Conversation word by word: `chat:<file>` of questions and answers, and the bundled `template-chat`.

The files are those of `dialogue:<file>`; here a row of words goes in and a row of words comes out, so that networks which write learn to
answer. What is not an answer of the file is answered too: such a network has no refusal but the ones that it has learned from.

Sources: O. Vinyals and Q. Le, *A neural conversational model*, 2015; J. Li, M. Galley, C. Brockett, J. Gao and B. Dolan, *A
diversity-promoting objective function for neural conversation models*, 2016 (distinct-1 and distinct-2, against dull answers).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from nlp_embeddings.answering.task import REFUSAL, read_dialogue, shop_dialogue
from nlp_embeddings.reading.byte_pairs import SubwordConfig
from nlp_embeddings.reading.file_task import FilesConfig
from nlp_embeddings.translation.task import TranslationJudge, TranslationTask, ended
from rl_core.config import Count, Doc, configclass
from rl_core.judge import Judge

BUNDLED = {"train": 400, "validation": 80, "test": 120}


@configclass
class ChatConfig(SubwordConfig, FilesConfig):
    """Questions and answers, word by word."""

    token: Annotated[Literal["word", "character", "subword"], Doc("words and punctuation marks | characters | parts of words")] = "word"
    min_count: Annotated[Count, Doc("a rarer token is unknown")] = 1
    max_length: Annotated[Count, Doc("tokens of a text that are read or learned; what is longer is cut")] = 40


class ChatTask(TranslationTask):
    """Questions and answers, judged by exact answers and by how much these differ from each other."""

    Config: ClassVar[type] = ChatConfig
    own_trait = "chat"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the pairs of a file: question and answer, a text and its one label, or conversations in YAML."""
        return read_dialogue(path)

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return questions to a shop, a fifth of which it cannot answer: their answer is the refusal."""
        rows = iter(shop_dialogue(self.config.seed, sum(BUNDLED.values()), REFUSAL))
        return {split: [next(rows) for _ in range(size)] for split, size in BUNDLED.items()}

    def set_spaces(self) -> None:
        """Set the spaces, the numbers of words, and the metric."""
        super().set_spaces()
        self.metric = "exact"
        self.target = None if self.config.file else 0.95

    def judge(self) -> Judge:
        """Return a judge of answers."""
        return ChatJudge(self._words_of if self.config.token == "subword" else None)

    def describe(self, predictions: Any) -> list[Any]:
        """Return the texts of rows of word numbers, up to their end, with each punctuation mark beside the word before it."""
        return [re.sub(r" ([.,;:!?])", r"\1", text) for text in super().describe(predictions)]


class ChatJudge(TranslationJudge):
    """A judge that also counts how many of the answers' words and pairs of words differ, and how often the commonest answer is given."""

    def __init__(self, words_of: Callable[[Sequence[int]], list[str]] | None = None) -> None:
        super().__init__(words_of)
        self._words: Counter[Any] = Counter()
        self._pairs: Counter[Any] = Counter()
        self._answers: Counter[Any] = Counter()

    def add(self, predictions: Any, targets: Any) -> None:
        """Count rows of numbers [B, T'] against targets [B, T']."""
        super().add(predictions, targets)
        for row in predictions.tolist():
            answer = ended(row)
            self._words.update(answer)
            self._pairs.update(pairwise(answer))
            self._answers[tuple(answer)] += 1

    def result(self) -> dict[str, float]:
        """Return the share of exact answers, BLEU times 100, distinct-1, distinct-2 and the share of the commonest answer."""
        found = super().result()
        shares = {name: len(of) / max(of.total(), 1) for name, of in (("distinct-1", self._words), ("distinct-2", self._pairs))}
        commonest = max(self._answers.values(), default=0) / max(self._answers.total(), 1)
        return {"exact": found["exact"], **shares, "commonest answer": commonest, **found}
