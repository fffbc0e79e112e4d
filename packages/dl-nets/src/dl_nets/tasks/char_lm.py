"""The scheme `char-lm:<text file>`: predict the next character of a text, at each of its characters.

The last part of the text is the test split, the part before it the validation split, so that a model is judged by what comes after what
it learned from. A window of T characters is one example, and the targets are the same characters one place further. The vocabulary is
the task's state: a run answers and writes without the file.

Source: Shannon, *Prediction and entropy of printed English*, 1951; the split of the last tenth is that of Karpathy's nanoGPT.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from dl_nets.tasks.text_files import digest_of, printable, read_text, shown
from rl_core.config import Count, Doc, FilePath, Meta, configclass
from rl_core.task import DataTask
from rl_core.tokens import Tokens
from rl_core.writing import WritingConfig, continued

SPLITS = ("train", "validation", "test")
REPLACEMENT = "\ufffd"  # stands for every character outside the vocabulary
PART = 2**22  # characters that are encoded at once


@configclass
class CharLmConfig(WritingConfig):
    """The file, how it is split, and how more characters are written."""

    path: Annotated[FilePath, Doc("the text file; .gz, .bz2 and .xz are unpacked")] = ""
    length: Annotated[Count, Doc("T, characters of a window")] = 64
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the characters that are held out before the test part")] = 0.05
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the characters at the end that the score is computed on")] = 0.1
    max_characters: Annotated[int, Meta(ge=2), Doc("V, largest vocabulary; rarer characters become one, U+FFFD")] = 256
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: char-lm:book.txt")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"validation_fraction + test_fraction is {self.validation_fraction + self.test_fraction:g}; it must be < 1, or no text is "
                "left to learn from"
            )


class CharLm(DataTask):
    """Characters [T] of a text as tokens, and the next character of each [T]. The score is the mean of -ln p, in nats per character.

    In training, the windows of each epoch begin elsewhere. A model that only answers, without probabilities, is judged as if it gave
    its answer the probability a that it is right, and each other character an equal share of 1 - a.

    Args:
        config: The file, and how it is split.
        state: The `state_dict` of the task that an agent was trained on; `None` takes the vocabulary from the file.
        other: Whether the whole file is the test split.

    Raises:
        ValueError: if the file is not text in the encoding, or too short; the text names the place.
    """

    Config: ClassVar[type] = CharLmConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".txt", ".jsonl")
    config: CharLmConfig
    metric = "nats per character"
    higher_is_better = False
    by_likelihood = True
    augments = True

    def __init__(self, config: CharLmConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._whole_is_test = other
        if state is None:
            text, digest = read_text(Path(config.path), config.encoding)
            self.vocabulary = vocabulary_of(text, config.max_characters)
            self._state: dict[str, Any] = {"vocabulary": self.vocabulary, "characters": len(text), "digest": digest}
            self._ids = encode(text, self.vocabulary)
            self._require_enough()
        else:
            self.vocabulary = str(state["vocabulary"])
            self._state = dict(state)
        self.input_space = self.output_space = Tokens(config.length, len(self.vocabulary))

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> CharLm:
        """Return the task of a run, which reads its file only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> CharLm:
        """Return a task whose test split is all of another text, in the vocabulary of `state`."""
        text, digest = read_text(Path(config.path), config.encoding)
        task = cls(config, {**state, "characters": len(text), "digest": digest}, other=True)
        task._require_enough()
        return task

    def state_dict(self) -> dict[str, Any]:
        """Return the vocabulary, the length of the text, and the digest of the file."""
        return dict(self._state)

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the text {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._state["digest"] else f"the text {shown(path)} has changed since the run learned from it"

    def accept_data(self) -> None:
        """Go on with the text as it is now; its characters must be in the vocabulary."""
        text, digest = read_text(Path(self.config.path), self.config.encoding)
        self._state |= {"characters": len(text), "digest": digest}
        self._ids = encode(text, self.vocabulary)
        self._require_enough()

    def facts(self) -> dict[str, str]:
        """Return the length of the text, its vocabulary, and the windows of each split."""
        sizes = ", ".join(f"{self.num_examples(split):,} {split}" for split in SPLITS)
        shown_characters = json.dumps(self.vocabulary, ensure_ascii=False)[1:-1]
        return {
            "characters": f"{self._state['characters']:,}",
            "vocabulary": f"{len(self.vocabulary)}: {shown_characters}",
            f"windows of {self.config.length}": sizes,
        }

    def num_examples(self, split: str) -> int:
        """Return how many windows the split has; they do not overlap, and each predicts T characters."""
        first, last = self._bounds[split]
        return max(0, (last - first - 1) // self.config.length)

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens [B, T] and next tokens [B, T], int64, of the windows at `indices` [B]."""
        return self._windows(self._bounds[split][0] + indices * self.config.length)

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the training windows at `indices` [B], all moved by a number of characters that depends on the epoch."""
        first, last = self._bounds["train"]
        room = (last - first - 1) - self.num_examples("train") * self.config.length  # characters behind the last window
        shift = int(np.random.Generator(np.random.PCG64(seed)).integers(self.config.length))
        begins = first + indices * self.config.length + shift
        return self._windows(np.where(begins + self.config.length < last, begins, begins - shift + min(shift, room)))

    def judge(self) -> CodeLength:
        """Return a judge of answers, or of likelihoods."""
        return CodeLength(len(self.vocabulary))

    def parse(self, text: str) -> np.ndarray:
        """Return the end of a text as tokens [1, T]; a text that is shorter is preceded by line ends.

        A JSON array of T tokens is taken as well.

        Raises:
            ValueError: if a character is not in the vocabulary.
        """
        if text.startswith("[") and len(text) > self.config.length:
            try:
                return np.asarray(super().parse(text))
            except ValueError:
                pass  # a text that begins with a bracket
        if not text:
            raise ValueError("the input is empty; give the text to go on from")
        known = encode(text[-self.config.length :], self.vocabulary)
        tokens = np.full((1, self.config.length), self._filler, dtype=np.int64)
        tokens[0, self.config.length - len(known) :] = known
        return tokens

    def parse_file(self, path: Path) -> np.ndarray:
        """Return the end of a text file as tokens [1, T], or one input for each line of a .jsonl file."""
        return np.asarray(super().parse_file(path)) if path.suffix.lower() == ".jsonl" else self.parse(read_text(path)[0])

    def text(self, tokens: np.ndarray) -> str:
        """Return tokens [n] as a text."""
        return "".join(self.vocabulary[token] for token in tokens)

    def continued(self, text: str, scores: Callable[[Any], np.ndarray]) -> str:
        """Return a text with `written` characters behind it, the same for the same text; see `rl_core.task.ContinuesText`."""
        begin = self.parse(text)[0, -len(text) :]
        filler = self._filler

        def following(texts: np.ndarray) -> np.ndarray:
            missing = max(0, self.config.length - texts.shape[1])
            return scores(np.pad(texts, ((0, 0), (missing, 0)), constant_values=filler)[:, -self.config.length :])

        return text + self.text(np.array(continued(begin.tolist(), following, self.config)[len(begin) :], dtype=np.int64))

    def describe(self, predictions: np.ndarray) -> list[Any]:
        """Return the characters that are the likeliest to follow each character of the inputs; the last one goes on behind the text."""
        return [self.text(row) for row in predictions]

    @property
    def _filler(self) -> int:
        """Token that precedes a text which is shorter than a window."""
        return max(0, self.vocabulary.find("\n"))

    @cached_property
    def _ids(self) -> np.ndarray:
        """The text as tokens [N], uint8 or uint16."""
        if change := "" if self._whole_is_test else self.data_change():
            raise ValueError(change)
        return encode(read_text(Path(self.config.path), self.config.encoding)[0], self.vocabulary)

    @property
    def _bounds(self) -> dict[str, tuple[int, int]]:
        """First and last character of each split."""
        count = self._state["characters"]
        if self._whole_is_test:
            return {"train": (0, 0), "validation": (0, 0), "test": (0, count)}
        test = count - round(count * self.config.test_fraction)
        validation = test - round(count * self.config.validation_fraction)
        return {"train": (0, validation), "validation": (validation, test), "test": (test, count)}

    def _windows(self, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self._ids[begins[:, None] + np.arange(self.config.length + 1)].astype(np.int64)
        return rows[:, :-1], rows[:, 1:]

    def _require_enough(self) -> None:
        for split in ("test",) if self._whole_is_test else ("train", "test"):
            if not self.num_examples(split):
                first, last = self._bounds[split]
                raise ValueError(
                    f"{shown(Path(self.config.path))} has {self._state['characters']:,} characters, {last - first:,} of them for {split}; "
                    f"a window of length = {self.config.length} needs one more; set task.length lower, or take a longer text"
                )


class CodeLength:
    """Judge of next tokens: the mean of -ln p over all of them.

    Args:
        size: V, the number of tokens.

    A model that answers without probabilities, and is right with half of its answers among four tokens, needs
    -(1/2 ln 1/2 + 1/2 ln(1/2 / 3)) nats for each:

    >>> judge = CodeLength(4)
    >>> judge.add(np.array([[0, 1]]), np.array([[0, 2]]))
    >>> round(judge.result()["nats per character"], 4)
    1.2425
    >>> judge = CodeLength(4)
    >>> judge.add({"answers": np.array([[0]]), "log_likelihood": np.log([[0.25]])}, np.array([[0]]))
    >>> {name: round(value, 4) for name, value in judge.result().items()}
    {'nats per character': 1.3863, 'bits per character': 2.0, 'accuracy': 1.0}
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._right = self._count = self._likelihood_count = 0
        self._nats = 0.0

    def add(self, predictions: Any, targets: np.ndarray) -> None:
        """Count answers [B, T], or answers and log-likelihoods, against next tokens [B, T]."""
        if isinstance(predictions, Mapping):
            self._nats -= float(np.asarray(predictions["log_likelihood"], np.float64).sum())
            self._likelihood_count += targets.size
            predictions = predictions["answers"]
        self._right += int((predictions == targets).sum())
        self._count += targets.size

    def result(self) -> dict[str, float]:
        """Return nats and bits per character, and the share of the answers that are right."""
        share = self._right / max(1, self._count)
        if self._likelihood_count:
            nats = self._nats / self._likelihood_count
        else:
            parts = ((share, share), (1.0 - share, (1.0 - share) / (self._size - 1)))
            nats = -sum(weight * float(np.log(probability)) for weight, probability in parts if weight)
        return {"nats per character": nats, "bits per character": nats / float(np.log(2.0)), "accuracy": share}


def vocabulary_of(text: str, most: int) -> str:
    """Return the characters of a text in the order of their code points, or the most frequent ones and U+FFFD.

    >>> vocabulary_of("banana!", 9), vocabulary_of("banana!", 3)
    ('!abn', 'an�')
    """
    counts = sum((np.bincount(part, minlength=0x110000) for part in _codes(text)), np.zeros(0x110000, np.int64))
    found = np.flatnonzero(counts)
    if len(found) <= most:
        return "".join(map(chr, found))
    found = found[np.argsort(-counts[found], kind="stable")]
    kept = [chr(code) for code in found if chr(code) != REPLACEMENT][: most - 1]
    return "".join(sorted([*kept, REPLACEMENT]))


def encode(text: str, vocabulary: str) -> np.ndarray:
    """Return the number of each character in the vocabulary [N], uint8 or uint16.

    >>> encode("nab", "abn").tolist()
    [2, 0, 1]

    Raises:
        ValueError: for a character that is not in the vocabulary, unless U+FFFD stands for it; the text names its line.
    """
    number_of = np.full(0x110000, vocabulary.find(REPLACEMENT), np.int32)
    number_of[[ord(character) for character in vocabulary]] = np.arange(len(vocabulary))
    dtype = np.uint8 if len(vocabulary) <= 256 else np.uint16
    parts = []
    for number, codes in enumerate(_codes(text)):
        ids = number_of[codes]
        if len(unknown := np.flatnonzero(ids < 0)):
            place = number * PART + int(unknown[0])
            raise ValueError(
                f"line {text.count(chr(10), 0, place) + 1} of the text has the character {text[place]!r}, which the model has not learned; "
                f"its {len(vocabulary)} characters are {printable(vocabulary)}"
            )
        parts.append(ids.astype(dtype))
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def write_example(path: Path) -> None:
    """Write a text of numbers in words, which go on in order."""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    path.write_text("\n".join(" ".join(digits[int(mark)] for mark in str(number)) for number in range(300)) + "\n", encoding="utf-8")


def _codes(text: str) -> Iterator[np.ndarray]:
    """Yield the code points of a text, some million at a time."""
    for start in range(0, len(text), PART):
        yield np.frombuffer(text[start : start + PART].encode("utf-32-le", "surrogatepass"), "<u4")
