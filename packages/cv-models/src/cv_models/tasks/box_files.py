"""Tasks whose pictures and boxes are read from files, whatever the format: splits, memory, state, and what was left out.

Each format is a subclass that turns its files into `Labelled` pictures. The classes, the size, the pictures of each split and a digest of
the annotations are the task's state: a run keeps them in its checkpoints, and answers pictures without the files.

Letters: S side of the square that pictures are fitted into, n objects of a picture.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np

from cv_models.tasks.box_formats import clip_boxes
from cv_models.tasks.boxes import BoxAugmentConfig, BoxTask
from cv_models.tasks.object_rows import objects
from cv_models.tasks.pictures import fit_of, letterbox
from dl_nets.learning.data import check_fractions, split_indices
from dl_nets.tasks.picture_files import read_picture
from rl_core.config import Doc, FilePath, Meta, Whole, configclass
from rl_core.errors import DataError

SPLITS = ("train", "validation", "test")
MEMORY = 2**30  # bytes of read pictures that are kept
EXAMPLES = 3  # files that a fact names


@configclass
class BoxFilesConfig(BoxAugmentConfig):
    """The files, the classes, the size of the pictures, and the split."""

    path: Annotated[FilePath, Doc("the file or folder")] = ""
    size: Annotated[int, Meta(ge=32, le=4096), Doc("S, side of the square that pictures are fitted into, pixels")] = 320
    classes: Annotated[tuple[str, ...], Doc("names of the classes to find, in order; none for all that occur")] = ()
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share for validation, where the files name no split")] = 0.1
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share for the score, where the files name no split")] = 0.2
    split_seed: Annotated[Whole, Doc("number of the split; independent of the run's seed")] = 0
    learn_validation: Annotated[bool, Doc("learn from the pictures of the validation split, too; none then watch the run")] = False

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        if not self.path:
            raise ValueError("path is empty; name the file or folder after the colon, as in voc:cells")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes is {list(self.classes)}; each may occur once")


@dataclass
class Labelled:
    """One picture and its objects.

    Attributes:
        path: File of the picture.
        width: Pixels.
        height: Pixels.
        boxes: Corners [n, 4] in pixels of the picture, float64.
        names: Class of each object.
        unasked: Which objects are not asked for [n], bool.
        where: File and place of the annotation, for messages.
    """

    path: Path
    width: int
    height: int
    boxes: np.ndarray
    names: list[str]
    unasked: np.ndarray
    where: str


@dataclass
class Collection:
    """All pictures that the files name.

    Attributes:
        splits: Pictures by split; only "train" where the files name no splits.
        class_names: Names in the files' own order; empty: those that occur, sorted.
        text: Everything that the annotations depend on, for the digest.
        notes: Further facts by name.
    """

    splits: dict[str, list[Labelled]]
    class_names: tuple[str, ...] = ()
    text: list[bytes] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


class BoxFilesTask(BoxTask):
    """Pictures [S, S, 3] from files and the boxes on them.

    Args:
        config: The files and how they are read.
        state: The `state_dict` of the task that an agent was trained on; `None` finds everything in the files.
        other: Whether all pictures are the test split, with the classes and the size of `state`.

    Raises:
        ValueError: if the files do not hold such pictures; the text names the file.
    """

    Config: ClassVar[type] = BoxFilesConfig
    config: BoxFilesConfig
    with_masks: ClassVar[bool] = False

    def __init__(self, config: BoxFilesConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._dropped: dict[str, list[str]] = {}
        self._memory: dict[Path, np.ndarray] = {}
        self._memory_bytes = 0
        self._other = other
        if state is None:
            names = config.classes or self._found.class_names or tuple(sorted(self._occurring()))
            if not names:
                raise ValueError(f"{config.path} has no objects, so there is nothing to find; expected at least one box")
            self._digest = _digest(self._found.text)
            size = config.size
        else:
            try:
                names, size, self._digest = tuple(map(str, state["classes"])), int(state["size"]), str(state["digest"])
                self._counts = {split: int(state["counts"][split]) for split in SPLITS}
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"the saved state is not one of a task of boxes: {error}") from error
        self.set_spaces(size, names, masks=self.with_masks)
        if state is None or other:
            self._counts = {split: len(rows) for split, rows in self._pictures.items()}

    @abstractmethod
    def collect(self) -> Collection:
        """Return the pictures that the files name.

        Raises:
            ValueError: naming the file and the place that cannot be read.
        """

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Return the task of a run, which reads its files only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Return a task whose test split is all pictures of other files, with the classes and the size of `state`."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the classes, the size, the number of pictures of each split, and a digest of the annotations."""
        return {"classes": list(self.class_names), "size": self.size, "counts": dict(self._counts), "digest": self._digest}

    def data_change(self) -> str:
        """Return how the annotations differ from those that the run learned from, or ""."""
        try:
            digest = _digest(self._found.text)
        except ValueError as error:
            return f"{error} (if the data was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest == self._digest else f"the annotations of {self.config.path} changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the files as they are now, and the classes as they were."""
        self._digest = _digest(self._found.text)
        self._counts = {split: len(rows) for split, rows in self._pictures.items()}

    def facts(self) -> dict[str, str]:
        """Return the pictures and objects of each split, the classes, the sizes, and what was left out or kept."""
        rows = [row for split in SPLITS for row in self._pictures[split]]
        boxes = {split: sum(len(row.names) for row in self._pictures[split]) for split in SPLITS}
        per_class = Counter(name for row in rows for name in row.names)
        sizes = Counter((row.width, row.height) for row in rows)
        sides = np.concatenate([np.sqrt((row.boxes[:, 2:] - row.boxes[:, :2]).prod(1)) for row in rows] or [np.zeros(0)])
        told = {
            "pictures": ", ".join(f"{len(self._pictures[split]):,} {split}" for split in SPLITS),
            "objects": ", ".join(f"{boxes[split]:,} {split}" for split in SPLITS),
            "classes": ", ".join(f"{name} {per_class[name]:,}" for name in self.class_names),
            "sizes": ", ".join(f"{width} x {height} ({count:,})" for (width, height), count in sizes.most_common(EXAMPLES))
            + (f", and {len(sizes) - EXAMPLES:,} more" if len(sizes) > EXAMPLES else ""),
            "fitted into": f"{self.size} x {self.size} pixels",
        }
        if len(sides):
            told["side of an object"] = f"{sides.min():.0f} to {sides.max():.0f} pixels, median {np.median(sides):.0f}"
        empty = sum(1 for row in rows if not row.names)
        told["kept without objects"] = f"{empty:,} pictures"
        unasked = sum(int(row.unasked.sum()) for row in rows)
        if unasked:
            told["not asked for"] = f"{unasked:,} objects (crowds, difficult ones): neither learned nor judged"
        for reason, places in self._dropped.items():
            more = f", and {len(places) - EXAMPLES:,} more" if len(places) > EXAMPLES else ""
            told[f"left out, {reason}"] = f"{len(places):,}: {'; '.join(places[:EXAMPLES])}{more}"
        return told | self._found.notes

    def caveat(self) -> str:
        """Return what was left out of the annotations, if anything was."""
        if "_pictures" not in self.__dict__ or not self._dropped:
            return ""
        counts = ", ".join(f"{len(places):,} {reason}" for reason, places in self._dropped.items())
        return f"left out of the boxes: {counts}; see rl-core show {self.scheme}:{self.config.path}"

    scheme: ClassVar[str] = "voc"

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return self._counts[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Return pictures [B, S, S, 3] and their objects.

        Raises:
            ValueError: naming a picture that cannot be read.
        """
        rows = [self._pictures[split][int(index)] for index in indices]
        number_of = {name: number for number, name in enumerate(self.class_names)}
        pictures = np.zeros((len(rows), self.size, self.size, 3), np.uint8)
        parts = []
        for number, row in enumerate(rows):
            pictures[number] = self._picture(row)
            part = {
                "box": fit_of(row.width, row.height, self.size).into(row.boxes),
                "label": np.array([number_of[name] for name in row.names], dtype=np.int64),
                "score": np.where(row.unasked, 0.0, 1.0).astype(np.float32),
            }
            parts.append(part | (self.masks_of(row) if self.masks else {}))
        return pictures, objects(parts, self.size, masks=self.masks)

    def masks_of(self, row: Labelled) -> dict[str, np.ndarray]:
        """Return the masks of a picture's objects [n, S, S], where the format has them."""
        raise NotImplementedError

    def _picture(self, row: Labelled) -> np.ndarray:
        if row.path in self._memory:
            return self._memory[row.path]
        picture = read_picture(row.path)
        if picture.shape[:2] != (row.height, row.width):
            raise DataError(
                f"{row.path} is {picture.shape[1]} x {picture.shape[0]} pixels, but {row.where} says {row.width} x {row.height}",
                "boxes are meant for pictures of the stated size: correct the size, or take the pictures that were labelled",
            )
        fitted = letterbox(picture, self.size)
        if self._memory_bytes + fitted.nbytes <= MEMORY:
            self._memory[row.path] = fitted
            self._memory_bytes += fitted.nbytes
        return fitted

    @cached_property
    def _found(self) -> Collection:
        return self.collect()

    def _occurring(self) -> set[str]:
        return {name for rows in self._found.splits.values() for row in rows for name in row.names}

    @cached_property
    def _pictures(self) -> dict[str, list[Labelled]]:
        """The pictures of each split, their boxes cut at the edges, those of other classes and faulty ones left out."""
        splits = {split: [self._cleaned(row) for row in rows] for split, rows in self._found.splits.items()}
        everything = [row for rows in splits.values() for row in rows]
        if self._other:
            return {"train": everything, "validation": [], "test": everything}
        if set(splits) != {"train"}:
            whole = {split: splits.get(split, []) for split in SPLITS}
            for split in ("train", "test"):
                if not whole[split]:
                    raise ValueError(f"{self.config.path} has no pictures in the split {split}; expected at least one")
        else:
            config = self.config
            groups = split_indices(len(everything), config.validation_fraction, config.test_fraction, config.split_seed)
            whole = {split: [everything[index] for index in indices] for split, indices in groups.items()}
        if self.config.learn_validation:
            whole = {**whole, "train": whole["train"] + whole["validation"], "validation": []}
        return whole

    def _cleaned(self, row: Labelled) -> Labelled:
        boxes, faults = clip_boxes(row.boxes, row.width, row.height)
        for number, name in enumerate(row.names):
            reason = {"degenerate": "degenerate boxes", "outside": "boxes outside of their picture"}.get(str(faults[number]), "")
            if not reason and name not in self.class_names:
                reason = "other classes"
            if reason:
                sides = " ".join(f"{side:g}" for side in row.boxes[number])
                self._dropped.setdefault(reason, []).append(f"{name} {sides} in {row.where}")
        keep = [number for number, name in enumerate(row.names) if not faults[number] and name in self.class_names]
        names = [row.names[number] for number in keep]
        return Labelled(row.path, row.width, row.height, boxes[keep], names, row.unasked[keep], row.where)


def labelled(
    path: Path, size: tuple[int, int], boxes: Sequence[Sequence[float]], names: Iterable[str], unasked: Sequence[bool], where: str
) -> Labelled:
    """Return one picture with its objects, from plain lists."""
    corners = np.array(boxes, dtype=np.float64).reshape(len(boxes), 4)
    return Labelled(path, size[0], size[1], corners, list(names), np.array(unasked, dtype=bool), where)


def _digest(texts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()
