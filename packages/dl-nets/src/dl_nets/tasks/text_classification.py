"""The scheme `text-classification:<tsv>`: texts with one label each, as rows of tokens.

A line is `label<TAB>text`, or `__label__label text` as for Facebook's fastText. Texts are split into words and marks, in lower case unless
the config says otherwise. The vocabulary is that of the training texts, and with the labels and the split it is the task's state.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.tasks.classification import report
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import digest_of, printable, read_text, shown
from rl_core.batches import Ragged
from rl_core.config import Count, Doc, FilePath, Meta, configclass
from rl_core.runs.checkpoint import Block
from rl_core.task import DataTask
from rl_core.tokens import Tokens

MARK = "__label__"
PADDING, UNKNOWN = 0, 1  # the first tokens; words follow
SPLITS = ("train", "validation", "test")
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@configclass
class TextClassificationConfig(SplitConfig):
    """The file, its words, and how it is split."""

    path: Annotated[FilePath, Doc("the file: `label<TAB>text` a line; .gz, .bz2 and .xz are unpacked")] = ""
    length: Annotated[Count, Doc("T, tokens of a text; longer texts are cut, shorter ones padded")] = 64
    max_words: Annotated[int, Meta(ge=3), Doc("V, largest vocabulary, of the most frequent words")] = 20_000
    min_count: Annotated[Count, Doc("times that a word occurs in the training texts at least to be in the vocabulary")] = 2
    lower: Annotated[bool, Doc("whether upper and lower case are the same")] = True
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: text-classification:reviews.tsv")


class Labelled(NamedTuple):
    """Texts with one label each.

    Attributes:
        labels: N labels.
        texts: N texts.
        digest: SHA-256 of the bytes of the file.
    """

    labels: list[str]
    texts: list[str]
    digest: str


class TextClassification(DataTask):
    """Tokens [T], padded at the end, and the class of each text.

    Args:
        config: The file, its words, and how it is split.
        state: The `state_dict` of the task that an agent was trained on; `None` takes the vocabulary from the file.
        other: Whether all texts of the file are the test split.

    Raises:
        ValueError: if the file has a line of another form; the text names it.
    """

    Config: ClassVar[type] = TextClassificationConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".txt", ".tsv", ".jsonl")
    config: TextClassificationConfig
    metric = "accuracy"

    def __init__(self, config: TextClassificationConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        if state is None:
            self._fit(read_labelled(Path(config.path), config.encoding))
        else:
            self._words = tuple(str(word) for word in state["words"])
            self.class_names = tuple(str(name) for name in state["labels"])
            self._digest, self._split_of_text = str(state["digest"]), np.asarray(state["split"].array)
        if other:
            labelled = read_labelled(Path(config.path), config.encoding)
            self._digest, self._split_of_text = labelled.digest, np.full(len(labelled.texts), SPLITS.index("test"), np.uint8)
            self._rows = self._encoded(labelled)
        self.input_space = Tokens(config.length, len(self._words) + 2, padding=PADDING)
        self.output_space = spaces.Discrete(len(self.class_names))

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> TextClassification:
        """Return the task of a run, which reads its file only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> TextClassification:
        """Return a task whose test split is all of another file, in the words and labels of `state`."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the vocabulary, the labels, the split, and the digest of the file."""
        return {
            "words": list(self._words),
            "labels": list(self.class_names),
            "digest": self._digest,
            "split": Block(f"texts-split-{self._digest[:16]}", self._split_of_text),
        }

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._digest else f"the file {shown(path)} has changed since the run learned from it"

    def accept_data(self) -> None:
        """Go on with the texts as they are now: those that were there keep their split by number, further ones are for training."""
        labelled = read_labelled(Path(self.config.path), self.config.encoding)
        split = np.zeros(len(labelled.texts), np.uint8)
        known = min(len(split), len(self._split_of_text))
        split[:known] = self._split_of_text[:known]
        self._digest, self._split_of_text = labelled.digest, split
        self._rows = self._encoded(labelled)
        self.__dict__.pop("_places", None)

    def caveat(self) -> str:
        """Return what was inferred from the file, and how many training texts are longer than what is read of them."""
        if "_rows" not in self.__dict__:
            return ""
        tokens, classes = self._rows
        lengths, counts = tokens.lengths[self._places["train"]], np.bincount(classes, minlength=len(self.class_names))
        cut = float((lengths > self.config.length).mean())
        rarest = int(counts.argmin())
        words = f"{len(self.class_names)} labels, the rarest {self.class_names[rarest]!r} with {counts[rarest]} of {len(classes)} texts"
        long = f"; {cut:.0%} of the training texts are cut at {self.config.length} tokens (task.length)" if cut else ""
        return printable(f"{words}; {len(self._words):,} words{long}")

    def num_examples(self, split: str) -> int:
        """Return how many texts the split has."""
        return len(self._places[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens [B, T] and classes [B] of the texts at `indices` [B]."""
        rows = self._places[split][indices]
        tokens, classes = self._rows
        return padded(tokens[rows], self.config.length), classes[rows]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the scores of classes that `classification.report` has."""
        return report(predictions, targets, self.class_names)

    def parse(self, text: str) -> np.ndarray:
        """Return a text as tokens [1, T]; a JSON array of T tokens is taken as well.

        Raises:
            ValueError: if the text has no words.
        """
        if text.startswith("["):
            try:
                return np.asarray(super().parse(text))
            except ValueError:
                pass  # a text that begins with a bracket
        tokens = self._tokens([text])
        if not len(tokens.values):
            raise ValueError(f"the input {text[:60]!r} has no words; give a text")
        return padded(tokens, self.config.length)

    def parse_file(self, path: Path) -> np.ndarray:
        """Return tokens [B, T] of the texts of a file: one a line, a label before a tab is not read.

        Raises:
            ValueError: for a file without texts.
        """
        if path.suffix.lower() == ".jsonl":
            return np.asarray(super().parse_file(path))
        lines = [line for line in read_text(path, self.config.encoding)[0].splitlines() if line.strip()]
        if not lines:
            raise ValueError(f"{shown(path)} has no texts; expected one a line")
        return padded(self._tokens([line.rpartition("\t")[2] if path.suffix == ".tsv" else line for line in lines]), self.config.length)

    def words(self, tokens: np.ndarray) -> list[str]:
        """Return the words of tokens [n], without padding."""
        return [("", "?", *self._words)[token] for token in tokens if token != PADDING]

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self._words, start=UNKNOWN + 1)}

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """The texts of each split, in the order of the file."""
        return {name: np.flatnonzero(self._split_of_text == number) for number, name in enumerate(SPLITS)}

    @cached_property
    def _rows(self) -> tuple[Ragged, np.ndarray]:
        """Tokens of all texts, and their classes [N]."""
        if change := self.data_change():
            raise ValueError(change)
        return self._encoded(read_labelled(Path(self.config.path), self.config.encoding))

    def _fit(self, labelled: Labelled) -> None:
        """Take labels, split and vocabulary from the file."""
        config, name = self.config, shown(Path(self.config.path))
        self.class_names = tuple(sorted(set(labelled.labels)))
        if len(self.class_names) < 2:
            raise ValueError(f"every text of {name} has the label {self.class_names[0]!r}; expected two or more labels")
        number_of = {label: number for number, label in enumerate(self.class_names)}
        classes = np.array([number_of[label] for label in labelled.labels])
        parts = config.indices(len(classes), classes)
        self._digest, self._split_of_text = labelled.digest, np.zeros(len(classes), np.uint8)
        for number, split in enumerate(SPLITS):
            self._split_of_text[parts[split]] = number
        counts: Counter[str] = Counter()
        for index in parts["train"]:
            counts.update(tokenised(labelled.texts[index], lower=config.lower))
        frequent = sorted((word for word, count in counts.items() if count >= config.min_count), key=lambda word: (-counts[word], word))
        if not frequent:
            raise ValueError(f"no word of {name} occurs {config.min_count} times in the training texts; set task.min_count=1")
        self._words = tuple(frequent[: config.max_words - 2])
        self._rows = self._encoded(labelled)

    def _encoded(self, labelled: Labelled) -> tuple[Ragged, np.ndarray]:
        number_of = {label: number for number, label in enumerate(self.class_names)}
        strange = sorted(set(labelled.labels) - set(number_of))
        if strange:
            raise ValueError(
                f"{shown(Path(self.config.path))} has the label {strange[0]!r}, which the model has not learned; its labels are "
                f"{printable(', '.join(self.class_names[:20]))}"
            )
        return self._tokens(labelled.texts), np.array([number_of[label] for label in labelled.labels], dtype=np.int64)

    def _tokens(self, texts: Iterable[str]) -> Ragged:
        """Return the tokens of texts as ragged rows."""
        number_of, lower = self._number_of, self.config.lower
        rows = [[number_of.get(word, UNKNOWN) for word in tokenised(text, lower=lower)] for text in texts]
        return Ragged.of(rows, like=np.zeros(0, np.int32))


def tokenised(text: str, *, lower: bool = True) -> list[str]:
    """Return the words and marks of a text.

    >>> tokenised("It's GOOD, isn't it?")
    ["it's", 'good', ',', "isn't", 'it', '?']
    """
    return _WORD.findall(text.lower() if lower else text)


def padded(rows: Ragged, length: int) -> np.ndarray:
    """Return rows of tokens as an array [B, length], int64, cut or filled with padding.

    >>> padded(Ragged.of([[5, 6, 7], [8]]), 2).tolist()
    [[5, 6], [8, 0]]
    """
    places = rows.splits[:-1, None] + np.arange(length)
    inside = np.arange(length) < rows.lengths[:, None]
    found = np.zeros((len(rows), length), dtype=np.int64)
    found[inside] = rows.values[places[inside]]
    return found


def read_labelled(path: Path, encoding: str = "utf-8") -> Labelled:
    """Return the texts of a file with their labels.

    Args:
        path: A line for each text: `label<TAB>text`, or `__label__label text`. Empty lines are skipped.
        encoding: Name of the encoding.

    Raises:
        ValueError: naming the line that has another form.
    """
    text, digest = read_text(path, encoding)
    labels, texts = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        marked = line.startswith(MARK)
        label, _, content = line.removeprefix(MARK).partition(" ") if marked else line.partition("\t")
        if not label.strip() or not content.strip():
            form = f"`{MARK}label text`" if marked else "`label<TAB>text`"
            raise ValueError(f"line {number} of {shown(path)} is {printable(line[:60])!r}; expected {form}")
        if marked and content.lstrip().startswith(MARK):
            raise ValueError(f"line {number} of {shown(path)} has several labels; expected one: write the line once for each")
        labels.append(printable(label.strip()))
        texts.append(content)
    if not texts:
        raise ValueError(f"{shown(path)} has no texts; expected `label<TAB>text` a line")
    return Labelled(labels, texts, digest)


def write_example(path: Path) -> None:
    """Write sixty short texts with two labels."""
    words = {"praise": ("good", "fine", "lovely"), "blame": ("bad", "dull", "awful")}
    texts = [
        f"{label}\tThe {subject} was {word} {time}."
        for label, some in words.items()
        for word in some
        for subject in ("play", "book", "song", "film", "meal")
        for time in ("today", "again")
    ]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
