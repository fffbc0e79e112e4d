"""Tasks made of text files: lists of examples, split by file or by number, encoded once, and saved with the run."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np

from nlp_embeddings.corpus.text_files import open_bytes, reading, require_file
from rl_core.config import Doc, FilePath, Whole, configclass
from rl_core.task import DataTask, Task

SPLITS = ("train", "validation", "test")
PART = 10  # one example in ten is for validation, one for testing, where no files are named for them


@configclass
class FilesConfig:
    """Files of examples. Without a file a bundled task draws its examples from its seed."""

    file: Annotated[FilePath, Doc("examples to learn from; without other files every tenth is for testing, every tenth for validation")] = (
        ""
    )
    validation: Annotated[FilePath, Doc("examples for validation; empty: some of `file`")] = ""
    test: Annotated[FilePath, Doc("examples to be judged by; empty: some of `file`")] = ""
    seed: Annotated[Whole, Doc("of the bundled examples")] = 0

    def __post_init__(self) -> None:
        if (self.validation or self.test) and not self.file:
            raise ValueError(f"file is empty and {'test' if self.test else 'validation'} is given; name the file to learn from as well")


class FileTask(DataTask):
    """Base of tasks whose examples are lists of plain Python values, from files or drawn from a seed.

    A subclass defines `examples_of_file`, `bundled_examples`, `encode` and `set_spaces`, and names in `encoding_fields` the attributes that
    `encode` sets: lists of texts, or numbers. These are saved with a run, which then answers without the files.

    Attributes:
        encoding_fields: Names of the attributes that `encode` sets.
        needs_file: Whether a file must be named: nothing is bundled.
    """

    Config: ClassVar[type] = FilesConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ()
    needs_file: ClassVar[bool] = False
    file_suffixes: ClassVar[tuple[str, ...]] = (".txt", ".jsonl")
    config: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._begin()
        if not config.file and self.needs_file:
            raise ValueError("file is empty; name a file of examples")
        for split in SPLITS:  # so that a bad file is refused here
            if not self.examples[split] and split != "validation":
                raise ValueError(f"{config.file} holds too few examples: none is left for the {split} split; at least {PART} are needed")
        self.encode(self.examples["train"])
        self.set_spaces()

    def _begin(self) -> None:
        self.saved_digest = ""
        self.all_test = False

    @abstractmethod
    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the examples of a file.

        Raises:
            ValueError: naming the file and the line that cannot be read.
        """

    @abstractmethod
    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return the examples by split of the bundled task, drawn from `config.seed`."""

    @abstractmethod
    def encode(self, examples: list[Any]) -> None:
        """Set the attributes of `encoding_fields` from the training examples."""

    @abstractmethod
    def set_spaces(self) -> None:
        """Set the spaces, and whatever else follows from the encoding."""

    @cached_property
    def examples(self) -> dict[str, list[Any]]:
        """Examples by split."""
        if not self.config.file:
            return self.bundled_examples()
        if self.all_test:
            return {"train": [], "validation": [], "test": self.read_file(self.config.test or self.config.file)}
        return self.parts()

    def parts(self) -> dict[str, list[Any]]:
        """Return the examples of the files by split; every tenth of the first file where no other is named."""
        config = self.config
        found: dict[str, list[Any]] = {"train": self.read_file(config.file)}
        taken = {}
        for split, name, place in (("test", config.test, PART - 1), ("validation", config.validation, PART // 2 - 1)):
            if name:
                found[split] = self.read_file(name)
            else:
                taken[place] = split
                found[split] = found["train"][place::PART]
        found["train"] = [example for number, example in enumerate(found["train"]) if number % PART not in taken]
        return found

    def read_file(self, name: str) -> list[Any]:
        """Return the examples of a file.

        Raises:
            ValueError: if it is not an ordinary file, or cannot be read.
        """
        path = Path(name).expanduser()
        require_file(path, "expected a text file of examples")
        return self.examples_of_file(path)

    def num_examples(self, split: str) -> int:
        """Return the number of examples of a split."""
        return len(self.examples[split])

    def state_dict(self) -> dict[str, Any]:
        """Return the encoding and a digest of the files."""
        fields = {name: getattr(self, name) for name in self.encoding_fields}
        saved = {name: "\n".join(value) if isinstance(value, list) else value for name, value in fields.items()}
        return {"digest": self.saved_digest or self._digest(), **saved}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task of a saved run; its files are read only when they are asked for."""
        task = cls.__new__(cls)
        Task.__init__(task, config)
        task._begin()
        task.saved_digest = str(state["digest"])
        for name in cls.encoding_fields:
            value = state[name]
            setattr(task, name, (value.split("\n") if value else []) if isinstance(value, str) else int(value))
        task.set_spaces()
        return task

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on another file in the encoding of a saved run; all of its examples are test examples."""
        task = cls.from_state(config, state)
        task.all_test, task.saved_digest = True, ""
        _ = task.examples
        return task

    def data_change(self) -> str:
        """Return a sentence if the files are no longer those that the run learned from, else an empty text."""
        if not self.saved_digest:
            return ""
        try:
            return "" if self._digest() == self.saved_digest else f"{self.config.file} has changed since the run was saved"
        except ValueError as error:
            return f"the examples can no longer be read: {error}"

    def accept_data(self) -> None:
        """Go on with the examples as they are now, in the encoding of the run."""
        self.saved_digest = self._digest()

    def _digest(self) -> str:
        digest = hashlib.blake2b(digest_size=12)
        for name in (self.config.file, self.config.validation, self.config.test):
            if name:
                path = Path(name).expanduser()
                with open_bytes(path) as file, reading(path, "its text"):
                    digest.update(file.read())
            digest.update(b"\x00")
        digest.update(str(self.config.seed).encode())
        return digest.hexdigest()

    def padded(self, rows: list[Any], length: int) -> np.ndarray:
        """Return rows of ids as one array [B, length], int64, padded with 0; longer rows are cut."""
        result = np.zeros((len(rows), length), dtype=np.int64)
        for number, row in enumerate(rows):
            kept = row[:length]
            result[number, : len(kept)] = kept
        return result
