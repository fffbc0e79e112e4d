"""Translation as a task: `translation:<file>` of pairs, and the bundled `dates`, `copy-letters` and `cipher`.

A row of token numbers goes in and a row in the target's vocabulary comes out, ended by the number 1 and padded with 0, so that networks for
sequences learn it. A file is judged by BLEU, as sacrebleu has it on these tokens (smooth exp; a word of the references that the vocabulary
lacks never matches), or on the words that subwords make up; the bundled tasks by the share of exact answers. Subwords are those of both
languages together, as Sennrich, Haddow, Birch, 2016, have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.reading.byte_pairs import BytePairs, SubwordConfig, marked_words, pairs_of_words, plain_text
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.pairs import TextPair, joined, read_pairs
from nlp_embeddings.reading.words import pieces, typed_ids
from nlp_embeddings.translation.bundled import pairs
from rl_core.config import Count, Doc, FilePath, configclass
from rl_core.judge import Judge
from rl_core.text_metrics import bleu_counts, bleu_of_counts
from rl_core.tokens import Tokens

END, UNKNOWN = 1, 2
SPECIAL = ["", "<end>", "<unknown>"]


@configclass
class TranslationConfig(SubwordConfig, FilesConfig):
    """Pairs of texts."""

    bundled: Annotated[Literal["dates", "copy", "cipher"], Doc("pairs that are drawn where no file is named")] = "dates"
    target_file: Annotated[FilePath, Doc("the targets of `file`, line by line, where they are in a file of their own")] = ""
    reverse: Annotated[bool, Doc("translate from the second column to the first")] = False
    token: Annotated[Literal["word", "character", "subword"], Doc("words and punctuation marks | characters | parts of words")] = "word"
    min_count: Annotated[Count, Doc("a rarer token is unknown")] = 2
    max_length: Annotated[Count, Doc("tokens of a text that are read or learned; what is longer is cut")] = 40


class TranslationTask(FileTask):
    """Pairs of texts, judged by BLEU or exact answers.

    Attributes:
        source_tokens: Tokens of the sources by number; the first three mean padding, end and unknown.
        target_tokens: Tokens of the targets by number, with the same first three.
        merges: Pairs of symbols that become one, of subwords.
        own_trait: What it offers beside the traits of every task.
    """

    Config: ClassVar[type] = TranslationConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("source_tokens", "target_tokens", "source_length", "target_length", "merges")
    metric = "BLEU"
    own_trait: ClassVar[str] = "translation"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the pairs of a file."""
        config = self.config
        beside = Path(config.target_file).expanduser() if config.target_file and str(path) == config.file else None
        found = read_pairs(path) if beside is None else joined(path, beside)
        return [TextPair(pair.target, pair.source) for pair in found] if config.reverse else list(found)

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return the pairs that are drawn from the seed."""
        found: dict[str, list[Any]] = dict(pairs(self.config.bundled, self.config.seed))
        return found

    def encode(self, examples: list[Any]) -> None:
        """Number the tokens of both sides, and set the lengths of rows."""
        self.merges = []
        if self.config.token == "subword":
            self.merges = pairs_of_words(
                Counter(word for pair in examples for text in pair for word in marked_words(text.lower())), self.config
            )
        sides = [[self.tokens_of(pair[side]) for pair in examples] for side in (0, 1)]
        tables, lengths = [], []
        for side in sides:
            counts = Counter(token for tokens in side for token in tokens)
            kept = sorted(token for token, count in counts.items() if count >= self.config.min_count)
            tables.append([*SPECIAL, *(token.replace("\n", " ") for token in kept)])
            lengths.append(min(max(map(len, side)), self.config.max_length))
        self.source_tokens, self.target_tokens = tables
        self.source_length, self.target_length = lengths[0], lengths[1] + 1

    def set_spaces(self) -> None:
        """Set the spaces, the numbers of tokens, and the metric."""
        self.input_space = Tokens(self.source_length, len(self.source_tokens), padding=0, end=END)
        self.output_space = Tokens(self.target_length, len(self.target_tokens), padding=0, end=END)
        self.number_of_source = {token: number for number, token in enumerate(self.source_tokens)}
        self.number_of_target = {token: number for number, token in enumerate(self.target_tokens)}
        self.metric = "BLEU" if self.config.file else "exact"
        self.target = None if self.config.file else 0.99

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and its own."""
        return super().traits() | {self.own_trait}

    def tokens_of(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        match self.config.token:
            case "character":
                return list(text)
            case "word":
                return pieces(text.lower())
            case _:
                return self._byte_pairs.subwords(text.lower())

    @cached_property
    def _byte_pairs(self) -> BytePairs:
        return BytePairs.of(self.merges)

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return token numbers of sources [B, T] and of targets [B, T'], each target ended by 1 where it fits."""
        chosen = [self.examples[split][int(index)] for index in indices]
        return self.rows_of_sources([pair.source for pair in chosen]), self.rows_of_targets([pair.target for pair in chosen])

    def rows_of_sources(self, texts: Sequence[str]) -> np.ndarray:
        """Return the token numbers [B, T] of sources."""
        rows = [[self.number_of_source.get(token, UNKNOWN) for token in self.tokens_of(text)] for text in texts]
        return self.padded(rows, self.source_length)

    def rows_of_targets(self, texts: Sequence[str]) -> np.ndarray:
        """Return the token numbers [B, T'] of targets, with their end."""
        rows = [[*(self.number_of_target.get(token, UNKNOWN) for token in self.tokens_of(text)), END] for text in texts]
        return self.padded(rows, self.target_length)

    def judge(self) -> Judge:
        """Return a judge of translations."""
        return TranslationJudge(self._words_of if self.config.token == "subword" else None)

    def _words_of(self, numbers: Sequence[int]) -> list[str]:
        """Return the words of a row of subwords; one with an unknown part matches none."""
        return pieces(plain_text("\0" if number == UNKNOWN else self.target_tokens[number] for number in numbers))

    def parse(self, text: str) -> np.ndarray:
        """Return the token numbers [1, T] of a text, or of a JSON list of numbers.

        Raises:
            ValueError: if the text has no tokens, or a number is outside the vocabulary.
        """
        numbers = typed_ids(text, self.input_space)
        if numbers is not None:
            return self.padded([numbers], self.source_length)
        if not self.tokens_of(text):
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a text with at least one")
        return self.rows_of_sources([text])

    def describe(self, predictions: Any) -> list[Any]:
        """Return the texts of rows of target numbers, up to their end."""
        rows = [[self.target_tokens[number] for number in ended(row)] for row in np.asarray(predictions).tolist()]
        if self.config.token == "subword":
            return [plain_text(row) for row in rows]
        return [("" if self.config.token == "character" else " ").join(row) for row in rows]


def ended(row: Sequence[int]) -> list[int]:
    """Return the numbers of a row in front of its end, without padding.

    >>> ended([5, 4, 1, 7, 0])
    [5, 4]
    """
    return [number for number in (row[: row.index(END)] if END in row else row) if number]


class TranslationJudge:
    """A judge that adds up BLEU's counts and exact answers.

    Args:
        words_of: Function from the numbers of a row to its words, by which BLEU counts; `None`: each number is a word.
    """

    def __init__(self, words_of: Callable[[Sequence[int]], list[str]] | None = None) -> None:
        self._words_of = words_of
        self._counts = [0] * 10
        self._exact = self._texts = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count rows of numbers [B, T'] against targets [B, T']."""
        for given, wanted in zip(np.asarray(predictions).tolist(), np.asarray(targets).tolist(), strict=True):
            answer, reference = ended(given), ended(wanted)
            if self._words_of:
                own, right = self._words_of(answer), [f"{word} " if "\0" in word else word for word in self._words_of(reference)]
            else:
                own = [str(number) for number in answer]
                right = ["unknown in the reference" if number == UNKNOWN else str(number) for number in reference]
            self._counts = [a + b for a, b in zip(self._counts, bleu_counts(own, [right]), strict=True)]
            self._exact += answer == reference and UNKNOWN not in reference
            self._texts += 1

    def result(self) -> dict[str, float]:
        """Return BLEU times 100, and the share of exact answers."""
        return {
            "BLEU": 100 * bleu_of_counts(self._counts),
            "exact": self._exact / max(self._texts, 1),
            "length ratio": self._counts[-2] / max(self._counts[-1], 1),
            "texts": float(self._texts),
        }
