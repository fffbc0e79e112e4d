"""Summaries as a task: `summaries:<file>` of documents with summaries, and the bundled `central-sentences`.

A text goes in, a shorter text comes out: at most `words` words. Judged by ROUGE-1, ROUGE-2 and ROUGE-L, as F1 against the first summary
of a document, the mean over documents, times 100.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.draws import one_of
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.labelled import json_object
from nlp_embeddings.reading.pairs import TextPair
from nlp_embeddings.spaces import AnyText
from rl_core.config import Count, Doc, configclass
from rl_core.judge import Judge
from rl_core.text_metrics import rouge_l, rouge_n

DOCUMENTS = {"train": 40, "validation": 20, "test": 60}


@configclass
class SummariesConfig(FilesConfig):
    """Documents with summaries."""

    words: Annotated[Count, Doc("most words of a summary")] = 50


class SummariesTask(FileTask):
    """Documents with summaries, judged by ROUGE."""

    Config: ClassVar[type] = SummariesConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("documents",)
    metric = "ROUGE-1"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the documents of a file of JSON lines with `document` and `summary`, a text or a list of them."""
        found = []
        for number, line in numbered_lines(path):
            if line.strip():
                fields = json_object(path, number, line)
                summary = fields.get("summary", fields.get("summaries"))
                first = summary[0] if isinstance(summary, list) and summary else summary
                if not isinstance(fields.get("document"), str) or not isinstance(first, str) or not first.strip():
                    raise ValueError(f'{path}, line {number}: expected {{"document": ..., "summary": ...}}, got {reprlib.repr(line)}')
                found.append(TextPair(fields["document"], first))
        return found

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return documents in which three sentences share their words with each other, and the others hardly with any."""
        rng = np.random.default_rng([self.config.seed, 10])
        return {split: [_document(rng) for _ in range(count)] for split, count in DOCUMENTS.items()}

    def encode(self, examples: list[Any]) -> None:
        """Count the documents."""
        self.documents = len(examples)

    def set_spaces(self) -> None:
        """Set the spaces."""
        self.input_space, self.output_space = AnyText(), AnyText()
        self.target = None if self.config.file else 95.0

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `summaries`."""
        return super().traits() | {"summaries"}

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return documents [B] and summaries [B]."""
        chosen = [self.examples[split][int(index)] for index in indices]
        return np.array([pair.source for pair in chosen], dtype=str), np.array([pair.target for pair in chosen], dtype=str)

    def judge(self) -> Judge:
        """Return a judge of summaries."""
        return SummaryJudge()

    def parse(self, text: str) -> np.ndarray:
        """Return the document as a batch of one.

        Raises:
            ValueError: if it is empty.
        """
        if not text.strip():
            raise ValueError("the input is empty; expected a text to summarise")
        return np.array([text])


class SummaryJudge:
    """A judge that adds up ROUGE."""

    def __init__(self) -> None:
        self._sums = np.zeros(4)

    def add(self, predictions: Any, targets: Any) -> None:
        """Count summaries [B] against targets [B]."""
        for given, wanted in zip(np.asarray(predictions).tolist(), np.asarray(targets).tolist(), strict=True):
            self._sums += (rouge_n(given, wanted).f1, rouge_n(given, wanted, 2).f1, rouge_l(given, wanted).f1, 1)

    def result(self) -> dict[str, float]:
        """Return the mean F1 of each ROUGE, times 100."""
        one, two, longest, count = self._sums
        scale = 100 / max(count, 1)
        return {"ROUGE-1": float(one * scale), "ROUGE-2": float(two * scale), "ROUGE-L": float(longest * scale), "texts": float(count)}


_CONSONANTS, _VOWELS = "bdfgklmnprstv", "aeiou"


def _document(rng: np.random.Generator) -> TextPair:
    """Return a document of twelve sentences, and the three of them that are about its subject."""
    numbers = iter(rng.integers(np.tile([len(_CONSONANTS), len(_VOWELS)], 3 * 130)).tolist())
    words = ["".join(_CONSONANTS[next(numbers)] + _VOWELS[next(numbers)] for _ in range(3)) for _ in range(130)]
    subject, rest, places = words[:9], iter(words[9:]), sorted(rng.choice(np.arange(1, 12), 3, replace=False))
    sentences = []
    for place in range(12):
        own = [str(word) for word in rng.choice(subject, 7, replace=False)] if place in places else [next(rest) for _ in range(8)]
        if place not in places:
            own[0] = one_of(rng, subject)
        sentences.append(f"{' '.join(own).capitalize()}.")
    return TextPair(" ".join(sentences), " ".join(sentences[place] for place in places))
