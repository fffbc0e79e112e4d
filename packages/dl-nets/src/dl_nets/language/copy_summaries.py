"""Summaries with words that no vocabulary has: the bundled task `copy-summaries`.

A document goes in as a row of words, and a summary comes out, ended. Words that the vocabulary lacks are numbered by their order in the
document (`copy_tokens`), so that a network may copy them. Documents are tables of facts about persons with made-up names, in any order
and among facts that do not matter; the summary is one sentence. Each name is in one table only, so that a network which cannot copy has no
exact answer.

Source: See, Liu and Manning, *Get to the point: summarization with pointer-generator networks*, 2017, for the numbers of words outside of
the vocabulary; the tables are ours. Target: 0.98 of the summaries exact, which a network reaches only if it copies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.language.copy_tokens import END, UNKNOWN, CopyTokens, numbered
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import DataTask
from rl_core.text_metrics import rouge_l, rouge_n

EXAMPLES = {"train": 4000, "validation": 200, "test": 400}
LEAST_COUNT = 20  # of a word in the vocabulary: all but the names
NAMES = 7  # of a table
_WORD = re.compile(r"\w+|[^\w\s]")
_JOBS = ("painter", "doctor", "singer", "judge", "baker", "pilot", "poet", "farmer")


class Document(NamedTuple):
    """A document and its summary, as words."""

    words: list[str]
    summary: list[str]


@configclass
class CopySummariesConfig:
    """Tables of facts with summaries."""

    copies: Annotated[Count, Doc("K, words of a document outside of the vocabulary that have a number")] = 20
    data_seed: Annotated[Whole, Doc("number of the sample that is drawn; independent of the run's seed")] = 0


class CopySummariesTask(DataTask):
    """Documents [S] and summaries [T], judged by the share of exact summaries.

    Attributes:
        source_tokens: Words by number, and names for those that are copied.
        target_tokens: The same.
    """

    Config: ClassVar[type] = CopySummariesConfig
    config: CopySummariesConfig
    metric = "exact match"
    target = 0.98

    def __init__(self, config: CopySummariesConfig) -> None:
        super().__init__(config)
        self._splits = drawn_tables(config.data_seed)
        counts = Counter(word for document in self._splits["train"] for word in (*document.words, *document.summary))
        words = sorted(word for word, count in counts.items() if count >= LEAST_COUNT)
        self._numbers = {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}
        known, documents = len(words) + UNKNOWN + 1, self._splits["train"]
        self.input_space = CopyTokens(max(len(each.words) for each in documents), known, config.copies, ends=False)
        self.output_space = CopyTokens(max(len(each.summary) for each in documents) + 1, known, config.copies, ends=True)
        self.source_tokens = ["", "<end>", "<unknown>", *words, *(f"<word {number + 1}>" for number in range(config.copies))]
        self.target_tokens = self.source_tokens
        self._asked: dict[str, int] = {}  # words of the last typed document that have a number of their own

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `copying`."""
        return super().traits() | {"copying"}

    def num_examples(self, split: str) -> int:
        """Return how many documents the split has."""
        return len(self._splits[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return words [B, S] of documents and [B, T] of summaries, each summary ended by 1 where it fits."""
        spaces = self.input_space, self.output_space
        inputs, targets = (np.zeros((len(indices), space.length), np.int64) for space in spaces)
        for place, index in enumerate(indices):
            document = self._splits[split][int(index)]
            row, others = numbered(document.words[: spaces[0].length], self._numbers, self.config.copies)
            summary = [self._numbers.get(word, others.get(word, UNKNOWN)) for word in document.summary[: spaces[1].length - 1]]
            inputs[place, : len(row)], targets[place, : len(summary) + 1] = row, [*summary, END]
        return inputs, targets

    def judge(self) -> Judge:
        """Return a judge of summaries."""
        return SummaryJudge()

    def parse(self, text: str) -> np.ndarray:
        """Return the words [1, S] of a document.

        Raises:
            ValueError: if it has none.
        """
        words = split_words(text)
        if not words:
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a document to summarise")
        row, self._asked = numbered(words[: self.input_space.length], self._numbers, self.config.copies)
        return np.array([row + [0] * (self.input_space.length - len(row))])

    def describe(self, predictions: Any) -> list[str]:
        """Return summaries of rows of words; words that were copied are those of the last document that was typed."""
        names = dict(enumerate(self.source_tokens)) | {number: word for word, number in self._asked.items()}
        return [" ".join(names[number] for number in ended(row)) for row in np.asarray(predictions).tolist()]


class SummaryJudge:
    """A judge that adds up ROUGE and counts exact summaries; a word of a summary that the document lacks never matches."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)

    def add(self, predictions: Any, targets: Any) -> None:
        """Count rows of words [B, T] against targets [B, T]."""
        for given, wanted in zip(np.asarray(predictions).tolist(), np.asarray(targets).tolist(), strict=True):
            answer, reference = ended(given), ended(wanted)
            own = " ".join(f"w{number}" for number in answer)
            right = " ".join("unknown" if number == UNKNOWN else f"w{number}" for number in reference)
            exact = answer == reference and UNKNOWN not in reference
            self._sums += (rouge_n(own, right).f1, rouge_n(own, right, 2).f1, rouge_l(own, right).f1, exact, 1)

    def result(self) -> dict[str, float]:
        """Return the mean F1 of each ROUGE, times 100, and the share of exact summaries."""
        one, two, longest, exact, count = (float(each) for each in self._sums)
        count = max(count, 1.0)
        return {
            "exact match": exact / count,
            "ROUGE-1": 100 * one / count,
            "ROUGE-2": 100 * two / count,
            "ROUGE-L": 100 * longest / count,
        }


def ended(row: Sequence[int]) -> list[int]:
    """Return the numbers of a row in front of its end, without padding.

    >>> ended([5, 4, 1, 7, 0])
    [5, 4]
    """
    return [number for number in (row[: row.index(END)] if END in row else row) if number]


def split_words(text: str) -> list[str]:
    """Return the lower-case words and punctuation marks of a text.

    >>> split_words("Ada, 1815.")
    ['ada', ',', '1815', '.']
    """
    return _WORD.findall(text.lower())


@lru_cache(maxsize=2)
def drawn_tables(seed: int) -> dict[str, list[Document]]:
    """Return tables of facts and their summaries by split, drawn from a seed; no name is in two tables."""
    rng = np.random.default_rng([seed, 21])
    count = sum(EXAMPLES.values())
    consonants, vowels = (np.array(list(letters)) for letters in ("bdfgklmnprstv", "aeiou"))
    numbers = rng.choice((len(consonants) * len(vowels)) ** 4, count * NAMES, replace=False)
    pairs = np.array([first + second for first in consonants for second in vowels])
    syllables = [pairs[numbers // len(pairs) ** place % len(pairs)] for place in range(4)]
    names = np.array(["".join(parts) for parts in zip(*syllables, strict=True)]).reshape(count, NAMES)
    jobs, years = rng.integers(0, len(_JOBS), count), rng.integers(1900, 2000, count)
    orders = rng.permuted(np.tile(np.arange(NAMES), (count, 1)), axis=1)
    rows = iter(zip(names.tolist(), jobs.tolist(), years.tolist(), orders.tolist(), strict=True))
    return {split: [_table(*next(rows)) for _ in range(size)] for split, size in EXAMPLES.items()}


def _table(names: Sequence[str], job: int, year: int, order: Sequence[int]) -> Document:
    """Return a table of a person, and the sentence about it."""
    facts = (
        ["name", ":", names[0], names[1]],
        ["town", ":", names[2]],
        ["job", ":", _JOBS[job]],
        ["born", ":", str(year)],
        ["friend", ":", names[3], names[4]],
        ["school", ":", names[5]],
        ["ship", ":", names[6]],
    )
    words = [word for place in order for word in (*facts[place], ";")]
    summary = f"{names[0]} {names[1]} , a {_JOBS[job]} of {names[2]} , was born in {year} and sailed on {names[6]} ."
    return Document(words, summary.split())
