"""Tasks of captions from a list and the files that it names: the vocabulary, the splits, and what a run keeps of them.

Examples are split by picture or clip, never by caption. Files that the list names and that are not there are left out and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from gymnasium import Space

from cv_models.describe.caption_lists import Captioned
from cv_models.describe.caption_task import CaptionTask
from cv_models.describe.captions import Vocabulary
from dl_nets.learning.data import check_fractions, split_indices
from rl_core import config as configs
from rl_core.config import Count, Doc, FilePath, Meta, Whole, configclass

SPLITS = ("train", "validation", "test")
MEMORY = 2**30  # bytes of read examples that are kept


@configclass
class ListedConfig:
    """The list, and how captions are read and split."""

    path: Annotated[FilePath, Doc("the list of captions, or the folder that holds it")] = ""
    height: Annotated[Count, Doc("H, pixels")] = 64
    width: Annotated[Count, Doc("W, pixels")] = 64
    captions: Annotated[Count, Doc("R, captions that are read of each example; further ones are left out")] = 5
    least_count: Annotated[Count, Doc("times that a word must occur in the training captions to be known")] = 2
    length: Annotated[Whole, Doc("T, tokens of a caption with its end; longer ones are cut; 0: as many as 99 of 100 captions need")] = 0
    validation_fraction: Annotated[
        float, Meta(ge=0, lt=1), Doc("share of the examples for the choice of settings, without given splits")
    ] = 0.1
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the examples that the score is computed on, without given splits")] = (
        0.2
    )
    split_seed: Annotated[Whole, Doc("number of the split; independent of the run's seed")] = 0

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        if not self.path:
            raise ValueError("path is empty; name the list of captions after the colon")


class ListedCaptions(CaptionTask):
    """Examples in files, and their captions. A subclass defines `collect`, `file_of`, `load` and `example_shape`.

    Args:
        config: The list and how it is read.
        state: The `state_dict` of the task that an agent was trained on; `None` finds everything in the list.
        other: Whether all examples of the list are the test split, with the vocabulary of `state`.

    Raises:
        ValueError: if the list does not hold such examples; the text names the file.
    """

    config: Any
    metric = "CIDEr-D"
    costly = True

    def __init__(self, config: Any, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._splits: dict[str, list[str]] = {}
        self._kept: dict[str, np.ndarray] = {}
        self._kept_bytes = 0
        if state is None:
            entries = self._entries
            self._split(entries)
            training = [caption for name in self._splits["train"] for caption in entries[name].captions[: config.captions]]
            words = Vocabulary.of(training, config.least_count)
            longest = int(np.quantile([len(caption) for caption in training], 0.99, method="higher")) + 1
            self._digest = _digest(entries)
            self.set_spaces(self.inputs(), words, config.length or longest, config.captions)
            return
        try:
            words = Vocabulary([str(word) for word in state["words"]])
            length, count = int(state["length"]), int(state["captions"])
            self._digest = str(state["digest"])
            self._splits = {split: [str(name) for name in state["splits"][split]] for split in SPLITS}
        except (KeyError, TypeError) as error:
            raise ValueError(f"the saved state is not one of a task of captions: {error}") from error
        if other:
            names = list(self._entries)
            self._splits, self._digest = {"train": names, "validation": [], "test": names}, _digest(self._entries)
        self.set_spaces(self.inputs(), words, length, count)

    def collect(self) -> list[Captioned]:
        """Return the examples of the list."""
        raise NotImplementedError

    def file_of(self, name: str) -> Path | None:
        """Return the file of an example, or `None` where it is missing."""
        raise NotImplementedError

    def load(self, path: Path) -> np.ndarray:
        """Return the example in a file, in the input space."""
        raise NotImplementedError

    def inputs(self) -> Space[Any]:
        """Return the space of one example."""
        raise NotImplementedError

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> ListedCaptions:
        """Return the task of a run, which reads its list only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> ListedCaptions:
        """Return a task whose test split is all of another list, with the vocabulary and the size of `state`."""
        own = configs.build(cls.Config, {**state["config"], "path": config.path}, where="task")
        return cls(own, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the vocabulary, the lengths, the examples of each split, and a digest of the list."""
        return {
            "config": configs.to_plain(self.config),
            "words": list(self.vocabulary.words),
            "length": self.output_space.caption_length,
            "captions": self.output_space.num_captions,
            "splits": dict(self._splits),
            "digest": self._digest,
        }

    def data_change(self) -> str:
        """Return how the list differs from the one that the run learned from, or ""."""
        try:
            digest = _digest(self._listed())
        except ValueError as error:
            return f"{error} (if the data was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest == self._digest else f"the captions in {self.config.path} have changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the list as it is now: examples that were there keep their split, new ones are trained on."""
        self.__dict__.pop("_entries", None)
        entries = self._entries
        known = {name for names in self._splits.values() for name in names}
        self._splits = {split: [name for name in names if name in entries] for split, names in self._splits.items()}
        self._splits["train"] += [name for name in entries if name not in known]
        self._digest = _digest(entries)
        self._kept.clear()

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return len(self._splits[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return examples [B, ...] and rows of captions [B, R T].

        Raises:
            ValueError: naming the file that cannot be read.
        """
        names, space = [self._splits[split][index] for index in indices], self.output_space
        shape, entries = tuple(self.input_space.shape or ()), self._entries
        inputs = np.zeros((len(names), *shape), self.input_space.dtype)
        rows = np.zeros((len(names), space.length), np.int64)
        for place, name in enumerate(names):
            if name not in entries:
                raise ValueError(f"the example {name!r} of the run's data is missing in {self.config.path}")
            inputs[place] = self._example(name)
            rows[place] = self.vocabulary.row(entries[name].captions, space.caption_length, space.num_captions)
        return inputs, rows

    def facts(self) -> dict[str, str]:
        """Return counts of examples, captions and words, and what was left out."""
        entries = self._entries.values()
        space = self.output_space
        found = {
            "examples": ", ".join(f"{len(self._splits[split]):,} {split}" for split in SPLITS),
            "captions": f"{sum(len(each.captions) for each in entries):,}, of which up to {space.num_captions} of an example are read",
            "words": f"{len(self.vocabulary.words):,} known, up to {space.caption_length - 1} in a caption",
        }
        return {**found, **({"remarks": self._remark} if self._remark else {})}

    def caveat(self) -> str:
        """Return what was left out."""
        return self._remark

    _remark = ""

    @cached_property
    def _entries(self) -> dict[str, Captioned]:
        """The examples whose files are there, by name."""
        return self._listed()

    def _listed(self) -> dict[str, Captioned]:
        listed = self.collect()
        found = {each.name: each for each in listed if self.file_of(each.name) is not None}
        missing = [each.name for each in listed if each.name not in found]
        if len(found) < 2:
            example = f"; the list names {listed[0].name!r}, for example" if listed else ""
            raise ValueError(f"{self.config.path} has captions of {len(found)} files that are there; at least 2 are needed{example}")
        self._remark = f"{len(missing)} files of the list are missing and left out, {missing[0]} first" if missing else ""
        return found

    def _split(self, entries: Mapping[str, Captioned]) -> None:
        names = list(entries)
        if all(entries[name].split for name in names) and {"train", "test"} <= {entries[name].split for name in names}:
            self._splits = {split: [name for name in names if entries[name].split == split] for split in SPLITS}
            return
        config = self.config
        parts = split_indices(len(names), config.validation_fraction, config.test_fraction, config.split_seed)
        self._splits = {split: [names[index] for index in indices] for split, indices in parts.items()}

    def _example(self, name: str) -> np.ndarray:
        if name in self._kept:
            return self._kept[name]
        file = self.file_of(name)
        if file is None:
            raise ValueError(f"the file of {name!r} is missing; see {self.config.path}")
        example = self.load(file)
        if self._kept_bytes + example.nbytes <= MEMORY:
            self._kept_bytes += example.nbytes
            self._kept[name] = example
        return example


def _digest(entries: Mapping[str, Captioned]) -> str:
    """Return a digest of the names and the captions."""
    lines: Sequence[str] = [f"{name} {each.split} {each.captions}" for name, each in sorted(entries.items())]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
