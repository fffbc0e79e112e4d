"""Prompts with two answers each, of which one was preferred: the task's arrays, and the scheme `preferences:<file>`.

A row of the file has the columns `prompt`, `chosen` and `rejected`: csv with a line of names, or JSON lines. All pairs of one prompt are in
the same split. Texts are split into words and marks in lower case. The vocabulary is that of the training rows, and with the lengths it is
the task's state.

Source: the columns are those of public sets of preferences, as in Y. Bai and others, "Training a helpful and harmless assistant", 2022.
Letters: N pairs, S tokens of a prompt, T tokens of an answer.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import digest_of, read_text, shown
from rl_core.config import Count, Doc, FilePath, configclass
from rl_core.task import DataTask
from rl_core.text_metrics import rouge_l
from rl_core.tokens import Tokens

PADDING, END, UNKNOWN = 0, 1, 2  # the first tokens; words follow
COLUMNS = ("prompt", "chosen", "rejected")
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Pairs(NamedTuple):
    """Prompts [N, S], the answers that were preferred [N, T], and the others [N, T]."""

    prompt: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray

    def rows(self, indices: np.ndarray) -> Pairs:
        """Return the pairs at `indices` [B]."""
        return Pairs(*(part[indices] for part in self))


class PreferenceTask(DataTask):
    """Prompts [S] to be answered [T]; an answer is better the likelier it is to be preferred. It offers the trait `preferences`.

    Attributes:
        words: Words by number, behind the three tokens that mean something else.
    """

    words: tuple[str, ...]

    def set_spaces(self, words: Sequence[str], prompt_length: int, answer_length: int) -> None:
        """Set vocabulary and spaces; an answer has one more token, its end."""
        self.words = tuple(words)
        self._number = {word: number for number, word in enumerate(self.words, start=UNKNOWN + 1)}
        size = len(self.words) + UNKNOWN + 1
        self.input_space = Tokens(prompt_length, size, padding=PADDING)
        self.output_space = Tokens(answer_length + 1, size, padding=PADDING, end=END)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `preferences`."""
        return super().traits() | {"preferences"}

    def pairs(self, split: str) -> Pairs:
        """Return the pairs of a split."""
        raise NotImplementedError

    def scores(self, answers: np.ndarray) -> np.ndarray | None:
        """Return what the judge thinks of answers [B, T], [B]: it prefers the larger score. `None`, as by default: only pairs are known."""
        return None

    def encoded(self, texts: Iterable[Sequence[str]], space: Tokens) -> np.ndarray:
        """Return texts as rows of tokens [B, length]: padded, and ended where the space has an end; what is too long is cut."""
        rows = []
        for words in texts:
            end = [] if space.end is None else [space.end]
            row = [self._number.get(word, UNKNOWN) for word in words][: space.length - len(end)] + end
            rows.append(row + [PADDING] * (space.length - len(row)))
        return np.array(rows, dtype=np.int64).reshape(-1, space.length)

    def parse(self, text: str) -> np.ndarray:
        """Return a prompt [1, S].

        Raises:
            ValueError: if it has no words.
        """
        words = split_words(text)
        if not words:
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a prompt to answer")
        return self.encoded([words], self.input_space)

    def describe(self, predictions: Any) -> list[str]:
        """Return answers [B, T] as texts."""
        return [" ".join(self.text(row)) for row in np.asarray(predictions)]

    def text(self, row: np.ndarray) -> list[str]:
        """Return the words of a row of tokens [T], up to its end."""
        numbers = row.tolist()
        numbers = numbers[: numbers.index(END)] if END in numbers else numbers
        return ["<unknown>" if number == UNKNOWN else self.words[number - UNKNOWN - 1] for number in numbers if number != PADDING]


@configclass
class PreferenceFileConfig(SplitConfig):
    """The file, its words, and how it is split."""

    path: Annotated[FilePath, Doc("csv or JSON lines with prompt, chosen and rejected; .gz, .bz2 and .xz are unpacked")] = ""
    prompt_length: Annotated[Count, Doc("S, tokens of a prompt; the end of a longer one is cut")] = 32
    answer_length: Annotated[Count, Doc("T - 1, tokens of an answer in front of its end; a longer one is cut")] = 32
    min_count: Annotated[Count, Doc("times that a word occurs in the training rows at least to be in the vocabulary")] = 2
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: preferences:answers.jsonl")


class PreferenceFile(PreferenceTask):
    """Pairs of a file. A language model learns the chosen answers, and is judged by ROUGE-L against those of the test split.

    Args:
        config: The file, its words, and how it is split.
        state: The `state_dict` of the task that an agent was trained on; `None` takes the vocabulary from the file.

    Raises:
        ValueError: if a row has another form; the text names it.
    """

    Config: ClassVar[type] = PreferenceFileConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    config: PreferenceFileConfig
    metric = "ROUGE-L"

    def __init__(self, config: PreferenceFileConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        if state is None:
            rows, digest = read_rows(Path(config.path), config.encoding)
            train = self._rows_of_splits(rows)["train"]
            counts = Counter(word for index in train for part in rows[index] for word in part)
            words = sorted(word for word, count in counts.items() if count >= config.min_count)
            state = {"words": words, "digest": digest}
        self._digest = str(state["digest"])
        self.set_spaces([str(word) for word in state["words"]], config.prompt_length, config.answer_length)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> PreferenceFile:
        """Return the task of a run, which reads its file only to learn or to be judged."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the vocabulary, and the digest of the file."""
        return {"words": list(self.words), "digest": self._digest}

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._digest else f"the file {shown(path)} has changed since the run learned from it"

    def accept_data(self) -> None:
        """Go on with the rows as they are now, in the vocabulary of the state."""
        self._digest = read_rows(Path(self.config.path), self.config.encoding)[1]
        self.__dict__.pop("_splits", None)

    def facts(self) -> dict[str, str]:
        """Return the sizes of the splits and of the vocabulary."""
        sizes = ", ".join(f"{self.num_examples(split):,} {split}" for split in ("train", "validation", "test"))
        return {"pairs": sizes, "vocabulary": f"{len(self.words):,} words"}

    def num_examples(self, split: str) -> int:
        """Return how many pairs the split has."""
        return len(self.pairs(split).prompt)

    def pairs(self, split: str) -> Pairs:
        """Return the pairs of a split."""
        return self._splits[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the prompts [B, S] and chosen answers [B, T] of the pairs at `indices` [B]."""
        pairs = self.pairs(split).rows(indices)
        return pairs.prompt, pairs.chosen

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the mean F1 of ROUGE-L of answers [N, T] against chosen ones, times 100."""
        pairs = zip(self.describe(predictions), self.describe(targets), strict=True)
        return {"ROUGE-L": 100.0 * float(np.mean([rouge_l(answer, chosen).f1 if chosen else 0.0 for answer, chosen in pairs]))}

    def _rows_of_splits(self, rows: Sequence[tuple[list[str], ...]]) -> dict[str, list[int]]:
        """Return the places of the rows of each split; all pairs of one prompt are in the same split."""
        asked = [tuple(row[0]) for row in rows]
        prompts = list(dict.fromkeys(asked))
        found = {split: {prompts[index] for index in indices} for split, indices in self.config.indices(len(prompts)).items()}
        return {split: [place for place, prompt in enumerate(asked) if prompt in chosen] for split, chosen in found.items()}

    @cached_property
    def _splits(self) -> dict[str, Pairs]:
        rows, _ = read_rows(Path(self.config.path), self.config.encoding)
        found = {}
        for split, indices in self._rows_of_splits(rows).items():
            columns = [[rows[index][column] for index in indices] for column in range(3)]
            spaces: tuple[Any, ...] = (self.input_space, self.output_space, self.output_space)
            found[split] = Pairs(*(self.encoded(texts, space) for texts, space in zip(columns, spaces, strict=True)))
        return found


def split_words(text: str) -> list[str]:
    """Return the lower-case words and marks of a text.

    >>> split_words("It's dear, isn't it?")
    ["it's", 'dear', ',', "isn't", 'it', '?']
    """
    return _WORD.findall(text.lower())


def read_rows(path: Path, encoding: str = "utf-8") -> tuple[list[tuple[list[str], ...]], str]:
    """Return the words of prompt, chosen and rejected answer of each row of a file, and the SHA-256 of its bytes.

    Args:
        path: JSON lines where its name holds ".json", else csv.
        encoding: Name of the encoding.

    Raises:
        ValueError: naming the row that cannot be read.
    """
    text, digest = read_text(path, encoding)
    rows = []
    for place, row in _objects(text, path):
        texts = [row.get(name) if isinstance(row, Mapping) else None for name in COLUMNS]
        if not all(isinstance(each, str) for each in texts):
            raise ValueError(f"{place} of {shown(path)} lacks one of the texts {', '.join(COLUMNS)}; expected all three in each row")
        words = tuple(split_words(str(each)) for each in texts)
        if not words[0] or words[1] == words[2]:
            fault = "an empty prompt" if not words[0] else "two equal answers"
            raise ValueError(f"{place} of {shown(path)} has {fault}; leave the row out")
        rows.append(words)
    if not rows:
        raise ValueError(f"{shown(path)} has no rows; expected prompt, chosen and rejected in each")
    return rows, digest


def _objects(text: str, path: Path) -> Iterable[tuple[str, Any]]:
    """Yield the place and the content of each row."""
    if ".json" not in path.name.lower():
        reader = csv.DictReader(io.StringIO(text, newline=""))
        yield from ((f"line {reader.line_num}", row) for row in reader)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} of {shown(path)} is not JSON ({error})") from error


def write_example(path: Path) -> None:
    """Write a small file of pairs for the conformance kit."""
    rows = [
        {"prompt": f"is {one} more than {other} ?", "chosen": "yes" if one > other else "no", "rejected": "who knows"}
        for one in range(6)
        for other in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
