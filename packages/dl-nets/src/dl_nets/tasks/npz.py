"""The scheme `npz:<file>`: arrays that NumPy saved, as examples.

Either `x_train`, `y_train`, `x_test` and `y_test`, as Keras' data sets have them, whose split is kept, or `x` and `y` (also `X`, `data`,
`images` or `inputs`, and `labels`, `target` or `targets`), which are split at random. Arrays of objects are refused: they would need
pickle, which can run code.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.learning.data import r2, split_indices
from dl_nets.tasks.classification import report
from dl_nets.tasks.numbers import LARGEST
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import digest_of, printable, shown
from rl_core.config import Doc, FilePath, configclass
from rl_core.task import DataTask

INPUTS = ("x", "X", "data", "images", "inputs")
TARGETS = ("y", "Y", "labels", "label", "target", "targets")
MAX_CLASSES = 1000  # whole numbers with more values than these are numbers


@configclass
class NpzConfig(SplitConfig):
    """The file, and what its targets are."""

    path: Annotated[FilePath, Doc("the file, as numpy.savez writes it")] = ""
    output: Annotated[Literal["auto", "classes", "number"], Doc("kind of the targets; auto: classes for whole numbers from 0")] = "auto"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: npz:digits.npz")


class Npz(DataTask):
    """Inputs as the file has them, and the class of each, or its numbers; a channel is added to images [H, W] of bytes.

    Vectors of floats are standardised by the training rows; the scale is in the task's state.

    Args:
        config: The file, and what its targets are.
        state: The `state_dict` of the task that an agent was trained on; `None` looks at the file.

    Raises:
        ValueError: if the file lacks an array, or one does not fit the others; the text names it.
    """

    Config: ClassVar[type] = NpzConfig
    config: NpzConfig

    def __init__(self, config: NpzConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._state = dict(state) if state is not None else self._look()
        shape, dtype = tuple(self._state["shape"]), np.dtype(self._state["dtype"])
        is_bytes = dtype == np.uint8
        self.input_space = spaces.Box(0 if is_bytes else -np.inf, 255 if is_bytes else np.inf, shape, np.uint8 if is_bytes else np.float32)
        classes = int(self._state["classes"])
        self.class_names = tuple(map(str, range(classes)))
        numbers = tuple(self._state["target_shape"]) or (1,)
        self.output_space = spaces.Discrete(classes) if classes else spaces.Box(-np.inf, np.inf, numbers, np.float32)
        self.metric = "accuracy" if classes else "r2"

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Npz:
        """Return the task of a run, which reads its file only to learn or to be judged."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return shapes, classes, the scale of the inputs, and the digest of the file."""
        return dict(self._state)

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._state["digest"] else f"the file {shown(path)} has changed since the run learned from it"

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""
        return len(self._splits[split][0])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs [B, ...] and classes [B], or numbers [B, ...], at `indices` [B] of the split."""
        inputs, targets = self._splits[split]
        chosen, wanted = inputs[indices].reshape(len(indices), *self._state["shape"]), targets[indices]
        if self.input_space.dtype != np.uint8:
            chosen = ((chosen - np.array(self._state["mean"])) / np.array(self._state["scale"])).astype(np.float32)
        if self.class_names:
            return chosen, wanted.reshape(len(indices)).astype(np.int64)
        return chosen, wanted.reshape(len(indices), *self.output_space.shape).astype(np.float32)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the scores of classes that `classification.report` has, or r2 and the mean absolute error of numbers."""
        if self.class_names:
            return report(predictions, targets, self.class_names)
        return {"r2": r2(predictions, targets), "mean absolute error": float(np.abs(targets - predictions).mean())}

    @cached_property
    def _splits(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        if "digest" in self.__dict__.get("_state", {}) and (change := self.data_change()):
            raise ValueError(change)
        arrays, config = self._arrays, self.config
        if set(arrays) == {"x_train", "y_train", "x_test", "y_test"}:
            train, test = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
            kept, held = np.arange(len(train[0])), np.zeros(0, np.int64)
            if config.validation_fraction:
                parts = split_indices(len(train[0]), 0.0, config.validation_fraction, config.split_seed)
                kept, held = parts["train"], parts["test"]
            return {"train": (train[0][kept], train[1][kept]), "validation": (train[0][held], train[1][held]), "test": test}
        inputs, targets = arrays["x"], arrays["y"]
        parts = config.indices(len(inputs), targets.ravel() if self._has_classes(targets) else None)
        return {name: (inputs[rows], targets[rows]) for name, rows in parts.items()}

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the file by the names of this module."""
        path = Path(self.config.path)
        name = shown(path)
        if not path.is_file():
            raise ValueError(f"file {name!r} not found")
        try:
            with path.open("rb") as opened:
                head = opened.read(6)
            if head == b"\x93NUMPY":
                raise ValueError(f"{name} holds one array; expected an .npz file with x and y, saved with numpy.savez(path, x=..., y=...)")
            if not head.startswith(b"PK"):
                raise ValueError(f"{name} is not an .npz file; save one with numpy.savez(path, x=..., y=...)")
            with np.load(path, allow_pickle=False) as file:
                found = {key: file[key] for key in file.files}
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise ValueError(f"{name} is not a whole .npz file: {error}; copy the file again, or save it with numpy.savez") from error
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise ValueError(f"{name} holds objects, which need pickle; expected an .npz file of numbers") from error
        keras = {"x_train", "y_train", "x_test", "y_test"}
        if keras <= set(found):
            chosen = {key: found[key] for key in keras}
        else:
            keys = [next((key for key in names if key in found), "") for names in (INPUTS, TARGETS)]
            if not all(keys):
                listed = printable(", ".join(found)) or "nothing"
                raise ValueError(f"{name} holds {listed}; expected x and y, or x_train, y_train, x_test and y_test")
            chosen = {"x": found[keys[0]], "y": found[keys[1]]}
        for key, array in chosen.items():
            self._require(name, key, array, len(chosen[key.replace("y", "x")]))
        return chosen

    def _require(self, name: str, key: str, array: np.ndarray, count: int) -> None:
        if array.dtype.kind not in "biuf" or not array.ndim or len(array) != count or not count:
            raise ValueError(
                f"array {key} of {name} is {array.dtype}{list(array.shape)}; expected numbers, one row for each of {count} inputs"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = np.unravel_index(int(np.flatnonzero(~np.isfinite(array))[0]), array.shape)
            raise ValueError(f"array {key} of {name} holds {array[place]} at {[int(index) for index in place]}; expected finite numbers")
        if array.dtype.kind == "f" and (largest := float(np.abs(array).max(initial=0.0))) > LARGEST:
            raise ValueError(f"array {key} of {name} holds {largest:.3g}; expected numbers up to {LARGEST:g}: divide them by a constant")

    def _has_classes(self, targets: np.ndarray) -> bool:
        flat = targets.ndim == 1 or targets.shape[1:] == (1,)
        whole = flat and (targets.dtype.kind in "biu") and int(targets.min()) >= 0 and int(targets.max()) < MAX_CLASSES
        if self.config.output == "classes" and not whole:
            raise ValueError(f"the targets are {targets.dtype}{list(targets.shape)}; classes are whole numbers from 0 to {MAX_CLASSES - 1}")
        return whole and self.config.output != "number"

    def _look(self) -> dict[str, Any]:
        """Return the state of the file."""
        splits = self._splits
        inputs, targets = splits["train"]
        classes = 0
        if self._has_classes(targets):
            classes = max(2, *(int(part[1].max()) + 1 for part in splits.values() if len(part[1])))
        shape = list(inputs.shape[1:]) or [1]
        if inputs.dtype == np.uint8 and len(shape) == 2:
            shape.append(1)
        is_bytes = inputs.dtype == np.uint8
        mean, scale = np.zeros(()), np.ones(())
        if not is_bytes:
            axis = 0 if len(shape) == 1 else None
            numbers = inputs.reshape(len(inputs), -1).astype(np.float64)
            mean, scale = np.asarray(numbers.mean(axis=axis)), np.asarray(numbers.std(axis=axis))
            scale = np.where(scale > 0, scale, 1.0)
        return {
            "shape": shape,
            "dtype": "uint8" if is_bytes else "float32",
            "classes": classes,
            "target_shape": list(targets.shape[1:]),
            "mean": mean.tolist(),
            "scale": scale.tolist(),
            "digest": digest_of(Path(self.config.path)),
        }


def write_example(path: Path) -> None:
    """Write sixty points of the plane in two classes."""
    rng = np.random.Generator(np.random.PCG64(0))
    labels = np.arange(60) % 2
    np.savez(path, x=rng.normal(0.0, 1.0, (60, 2)) + 3.0 * labels[:, None], y=labels)
