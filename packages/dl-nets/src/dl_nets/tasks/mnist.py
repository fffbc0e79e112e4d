"""The scheme `mnist:<folder>`: images and labels in the four idx files in which MNIST, Fashion-MNIST and others are published.

Source: LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied to document recognition*, 1998, section III.A. Target on
MNIST itself: 0.984, the accuracy of a perceptron with 800 hidden units and cross-entropy, without distorted images, of Simard, Steinkraus
and Platt, *Best practices for convolutional neural networks*, 2003, table 1. Other sets in this format have no target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import accuracy, split_indices
from dl_nets.tasks.augmented import AugmentConfig, varied_pictures
from dl_nets.tasks.idx import IdxFile, write_idx
from dl_nets.tasks.text_files import shown
from rl_core.config import Doc, FilePath, Meta, Whole, configclass
from rl_core.task import DataTask

PARTS = {"train": "train", "test": "t10k"}  # names of the files' parts
MNIST_TEST_LABELS = "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"  # SHA-256 of the 10,000 labels
MNIST_ACCURACY = 0.984


@configclass
class MnistConfig(AugmentConfig):
    """The folder, the examples that are taken, and how training images are varied."""

    path: Annotated[
        FilePath, Doc("the folder; it holds train-images-idx3-ubyte, train-labels-idx1-ubyte, and both for t10k, raw or .gz")
    ] = ""
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the training file that is held out for validation")] = 0.1
    split_seed: Annotated[Whole, Doc("number of the split of the training file; independent of the run's seed")] = 0
    labels: Annotated[tuple[int, ...], Doc("labels of the images that are kept, in the order of the classes; () keeps all")] = ()
    examples_per_class: Annotated[Whole, Doc("training images of each class at most, the first ones; 0 takes all")] = 0

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the folder of the idx files after the colon: mnist:data/mnist")
        if len(set(self.labels)) < len(self.labels) or min(self.labels, default=0) < 0 or len(self.labels) == 1:
            raise ValueError(f"labels is {self.labels}; expected two or more different labels >= 0, or () for all")


class Mnist(DataTask):
    """Images [H, W, 1] of bytes, and the class of each.

    The files' own training and test images stay apart; the validation split is a part of the training file in which each class has its
    share. Raw files are mapped into memory, compressed ones are unpacked when their images are first read.

    Args:
        config: The folder, and the examples that are taken.
        state: The `state_dict` of the task that an agent was trained on; `None` looks at the files.

    Raises:
        ValueError: if a file is missing, damaged, or does not fit the others; the text names the file.
    """

    Config: ClassVar[type] = MnistConfig
    config: MnistConfig
    metric = "accuracy"

    def __init__(self, config: MnistConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        if state is None:
            digests = {name: file.digest() for name, file in self._files.items()}
            state = {"shape": list(self._files["train images"].shape[1:]), "labels": self._used_labels(), "digests": digests}
            self.target = MNIST_ACCURACY if self._is_mnist() else None
        else:
            self.target = state["target"]
        self._state = {**state, "target": self.target}
        self.class_names = tuple(map(str, state["labels"]))
        self.input_space = spaces.Box(0, 255, (*state["shape"], 1), np.uint8)
        self.output_space = spaces.Discrete(len(self.class_names))
        self.augments = bool(config.augment)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Mnist:
        """Return the task of a run, which reads its files only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Mnist:
        """Return a task with the test images of another folder and the classes of `state`."""
        if not config.labels:
            config = MnistConfig(path=config.path, labels=tuple(int(label) for label in state["labels"]))
        task = cls(config)
        if list(task.class_names) != [str(label) for label in state["labels"]] or task._state["shape"] != list(state["shape"]):
            raise ValueError(
                f"{shown(Path(config.path))} has classes {', '.join(task.class_names)} and images {task._state['shape']}; the model was "
                f"trained on classes {', '.join(map(str, state['labels']))} and images {list(state['shape'])}"
            )
        return task

    def state_dict(self) -> dict[str, Any]:
        """Return the size of the images, the labels, and the digests of the files."""
        return dict(self._state)

    def data_change(self) -> str:
        """Return how the files differ from those that the run learned from, or ""."""
        try:
            changed = [file.name for name, file in self._files.items() if file.digest() != self._state["digests"][name]]
        except ValueError as error:
            return str(error)
        return f"{', '.join(changed)} changed since the run learned from it" if changed else ""

    def accept_data(self) -> None:
        """Go on with the files as they are now."""
        self._state["digests"] = {name: file.digest() for name, file in self._files.items()}

    def num_examples(self, split: str) -> int:
        """Return how many images the split has."""
        return len(self._rows[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images [B, H, W, 1], uint8, and classes [B] at `indices` [B] of the split."""
        rows, part = self._rows[split][indices], "test" if split == "test" else "train"
        return np.asarray(self._files[f"{part} images"].array[rows])[..., None], self._classes[part][rows]

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[np.ndarray, np.ndarray]:
        """Return training images at `indices` [B] as the config's transforms vary them in the epoch of this seed, and their classes."""
        images, classes = self.read("train", indices)
        return varied_pictures(images, self.config, seed=seed, indices=indices), classes

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the accuracy of classes [N]."""
        return {"accuracy": accuracy(predictions, targets)}

    @cached_property
    def _files(self) -> dict[str, IdxFile]:
        """The four files, their headers checked against each other."""
        folder = Path(self.config.path)
        if not folder.is_dir():
            raise ValueError(f"{shown(folder)} is not a folder; expected one with the files train-images-idx3-ubyte.gz and so on")
        files: dict[str, IdxFile] = {}
        for part, prefix in PARTS.items():
            images = files[f"{part} images"] = IdxFile(_find(folder, f"{prefix}-images", 3), 3)
            labels = files[f"{part} labels"] = IdxFile(_find(folder, f"{prefix}-labels", 1), 1)
            if images.dtype != np.uint8 or labels.dtype != np.uint8:
                raise ValueError(f"{images.name} holds {images.dtype}, {labels.name} {labels.dtype}; expected bytes (type 08)")
            if images.shape[0] != labels.shape[0]:
                raise ValueError(
                    f"{images.name} has {images.shape[0]:,} images, {labels.name} {labels.shape[0]:,} labels; expected as many"
                )
        train, test = files["train images"], files["test images"]
        if train.shape[1:] != test.shape[1:]:
            raise ValueError(
                f"{train.name} has images of {train.shape[1]} x {train.shape[2]}, {test.name} of {test.shape[1]} x {test.shape[2]}; "
                "expected one size"
            )
        return files

    @cached_property
    def _classes(self) -> dict[str, np.ndarray]:
        """The class of each label of both files [N]; -1 for labels that are not taken."""
        class_of = np.full(256, -1, dtype=np.int64)
        class_of[np.array(self._state["labels"], dtype=np.int64)] = np.arange(len(self.class_names))
        return {part: class_of[self._files[f"{part} labels"].array] for part in PARTS}

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        """The rows of the files that each split holds, sorted."""
        train, test = (np.flatnonzero(self._classes[part] >= 0) for part in PARTS)
        rows = {"train": train, "validation": train[:0], "test": test}
        if self.config.validation_fraction:
            parts = split_indices(len(train), 0.0, self.config.validation_fraction, self.config.split_seed, self._classes["train"][train])
            rows |= {"train": train[parts["train"]], "validation": train[parts["test"]]}
        if self.config.examples_per_class:
            classes = self._classes["train"][rows["train"]]
            first = [np.flatnonzero(classes == label)[: self.config.examples_per_class] for label in range(len(self.class_names))]
            rows["train"] = rows["train"][np.sort(np.concatenate(first))]
        return rows

    def _used_labels(self) -> list[int]:
        """Return the labels that are taken: those that the config names, else all from 0 to the largest of the training file."""
        counts = {part: np.bincount(self._files[f"{part} labels"].array, minlength=256) for part in PARTS}
        labels = self.config.labels or tuple(range(int(np.flatnonzero(counts["train"]).max(initial=-1)) + 1))
        for part in PARTS:
            missing = [label for label in labels if label > 255 or not counts[part][label]]
            if missing or len(labels) < 2:
                raise ValueError(
                    f"{self._files[f'{part} labels'].name} has no image with label {', '.join(map(str, missing)) or '> 0'}; "
                    "expected some of each class; name the labels to keep with task.labels"
                )
        if not self.config.labels and len(counts["test"].nonzero()[0]) > len(labels):
            raise ValueError(f"{self._files['test labels'].name} has labels above {labels[-1]}, the largest of the training file")
        return list(labels)

    def _is_mnist(self) -> bool:
        labels = self._files["test labels"].array
        return not self.config.labels and hashlib.sha256(labels.tobytes()).hexdigest() == MNIST_TEST_LABELS


def write_example(path: Path) -> None:
    """Write a folder of the four files: 40 training and 20 test images [8, 8], of bars that lie (0) and stand (1)."""
    path.mkdir(parents=True)
    rng = np.random.Generator(np.random.PCG64(0))
    for prefix, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = rng.integers(0, 60, (count, 8, 8)).astype(np.uint8)
        for image, label, place in zip(images, labels, rng.integers(0, 8, count), strict=True):
            (image.T if label else image)[place] = 255
        write_idx(path / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(path / f"{prefix}-labels-idx1-ubyte.gz", labels)


def _find(folder: Path, stem: str, num_axes: int) -> Path:
    """Return the file of this stem, raw before compressed."""
    names = [f"{stem}{mark}idx{num_axes}-ubyte{suffix}" for suffix in ("", ".gz") for mark in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
    raise ValueError(f"{shown(folder)} has no file {names[0]} or {names[2]}; it holds {there}")
