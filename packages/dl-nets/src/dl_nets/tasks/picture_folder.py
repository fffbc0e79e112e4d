"""The scheme `images:<folder>`: pictures in one folder for each class.

Either `<folder>/<class>/<picture>`, which is split at random, or `<folder>/train/<class>/<picture>` and the same for `test`, and for
`validation` where it is there (`val`, `valid`). Pictures are decoded when they are read, and kept as long as they fit in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.tasks.augmented import AugmentConfig, varied_pictures
from dl_nets.tasks.classification import report
from dl_nets.tasks.picture_files import SUFFIXES, Fit, decoded, fitted, require_picture
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import digest_of, printable, shown
from rl_core.config import Count, Doc, FilePath, Whole, configclass
from rl_core.runs.checkpoint import Block
from rl_core.task import DataTask

SPLITS = ("train", "validation", "test")
_SPLIT_OF = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
READERS = 2  # threads that decode at the same time


@configclass
class PictureFolderConfig(SplitConfig, AugmentConfig):
    """The folder, the size that its pictures get, and how training pictures are varied."""

    path: Annotated[FilePath, Doc("the folder: one folder of pictures for each class, or train and test folders of those")] = ""
    height: Annotated[Count, Doc("H, pixels")] = 64
    width: Annotated[Count, Doc("W, pixels")] = 64
    channels: Annotated[Literal[1, 3], Doc("1: levels of grey; 3: red, green and blue")] = 3
    fit: Annotated[Fit, Doc("crop: the middle is kept; stretch: sides may change their ratio; pad: framed in grey")] = "crop"
    cache_megabytes: Annotated[Whole, Doc("decoded pictures are kept up to this size in all, MiB; beyond it each is decoded anew")] = 1024

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the folder after the colon: images:flowers")


class Listing(NamedTuple):
    """The pictures of a folder.

    Attributes:
        classes: Names of the classes, sorted.
        files: Paths below the folder [N], sorted, with "/" between their parts.
        labels: Class of each [N].
        splits: Number of the split of each [N]; empty where the folder has no splits.
        remarks: Sentences on what was left out.
        digest: Of names and sizes of the files.
    """

    classes: tuple[str, ...]
    files: list[str]
    labels: np.ndarray
    splits: np.ndarray
    remarks: list[str]
    digest: str


class PictureFolder(DataTask):
    """Pictures [H, W, C] of bytes, and the class of each.

    Args:
        config: The folder, and the size that its pictures get.
        state: The `state_dict` of the task that an agent was trained on; `None` looks at the folder.
        other: Whether all pictures of the folder are the test split, in the classes of `state`.

    Raises:
        ValueError: if the folder has fewer than two classes with pictures, or a file is not a picture; the text names it.
    """

    Config: ClassVar[type] = PictureFolderConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (*SUFFIXES, ".jsonl")
    config: PictureFolderConfig
    metric = "accuracy"
    costly = True

    def __init__(self, config: PictureFolderConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._remarks: list[str] = []
        if state is None or other:
            listing = list_pictures(Path(config.path), tuple(str(name) for name in state["classes"]) if state else ())
            self._take(listing, listing.splits if len(listing.splits) else self._random_split(listing), whole_is_test=other)
        else:
            self.class_names, self._digest = tuple(str(name) for name in state["classes"]), str(state["digest"])
            self._files = bytes(state["files"].array).decode().split("\0")
            self._labels, self._split_of_file = np.asarray(state["labels"].array), np.asarray(state["split"].array)
        self.input_space = spaces.Box(0, 255, (config.height, config.width, config.channels), np.uint8)
        self.output_space = spaces.Discrete(len(self.class_names))
        self.augments = bool(config.augment)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> PictureFolder:
        """Return the task of a run, which reads its folder only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> PictureFolder:
        """Return a task whose test split is all of another folder, in the classes of `state`; its class folders must be among them."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the classes, the pictures of each split by name, and a digest of the listing."""
        short = self._digest[:16]
        return {
            "classes": list(self.class_names),
            "digest": self._digest,
            "files": Block(f"images-files-{short}", np.frombuffer("\0".join(self._files).encode(), np.uint8)),
            "labels": Block(f"images-labels-{short}", self._labels),
            "split": Block(f"images-split-{short}", self._split_of_file),
        }

    def data_change(self) -> str:
        """Return how the folder differs from the one that the run learned from, or ""; names and sizes of the files are compared."""
        folder = Path(self.config.path)
        if not folder.is_dir():
            return f"the folder {shown(folder)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        digest = list_pictures(folder, self.class_names).digest
        return "" if digest == self._digest else f"the pictures in {shown(folder)} have changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the folder as it is now: pictures that were there keep their split, new ones are for training."""
        listing = list_pictures(Path(self.config.path), self.class_names)
        before = dict(zip(self._files, self._split_of_file.tolist(), strict=True))
        split = np.array([before.get(file, 0) for file in listing.files], np.uint8)
        self._take(listing, listing.splits if len(listing.splits) else split)
        for name in ("_places", "_cache"):
            self.__dict__.pop(name, None)

    def caveat(self) -> str:
        """Return what was left out of the folder, and what looks like a mistake."""
        return printable("; ".join(self._remarks))

    def facts(self) -> dict[str, str]:
        """Return the number of pictures of each class and split, and what was left out."""
        counts = np.bincount(self._labels, minlength=len(self.class_names))
        found = {
            "pictures": ", ".join(f"{len(places):,} {split}" for split, places in self._places.items()),
            "classes": printable(", ".join(f"{name} ({count})" for name, count in zip(self.class_names, counts, strict=True))),
            "read as": f"{self.config.height} x {self.config.width} x {self.config.channels}, {self.config.fit}",
        }
        return {**found, **({"remarks": self.caveat()} if self._remarks else {})}

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return len(self._places[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures [B, H, W, C], uint8, and classes [B] at `indices` [B] of the split.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        places = self._places[split][indices]
        pixels, known = self._cache
        if not len(known):
            return self._decoded(places), self._labels[places]
        unknown = np.unique(places[~known[places]])
        if len(unknown):
            pixels[unknown] = self._decoded(unknown)
            known[unknown] = True
        return pixels[places], self._labels[places]

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[np.ndarray, np.ndarray]:
        """Return training pictures at `indices` [B] as the config's transforms vary them in the epoch of this seed, and their classes."""
        pictures, classes = self.read("train", indices)
        return varied_pictures(pictures, self.config, seed=seed, indices=indices), classes

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the scores of classes that `classification.report` has."""
        return report(predictions, targets, self.class_names)

    def parse_file(self, path: Path) -> np.ndarray:
        """Return one picture [1, H, W, C] from a file, or one for each line of a .jsonl file."""
        return np.asarray(super().parse_file(path)) if path.suffix.lower() == ".jsonl" else self._picture(path)[None]

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """The pictures of each split."""
        return {name: np.flatnonzero(self._split_of_file == number) for number, name in enumerate(SPLITS)}

    @cached_property
    def _cache(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [N, H, W, C] of the pictures that were decoded, and whether each was [N]; both empty where they do not fit."""
        shape = (len(self._files), self.config.height, self.config.width, self.config.channels)
        if np.prod(shape, dtype=np.float64) > self.config.cache_megabytes * 2**20:
            return np.zeros((0, 1, 1, 1), np.uint8), np.zeros(0, np.bool_)
        return np.zeros(shape, np.uint8), np.zeros(len(self._files), np.bool_)

    def _picture(self, path: Path) -> np.ndarray:
        config = self.config
        image = decoded(path, grey=config.channels == 1, smallest=(2 * config.height, 2 * config.width))
        pixels = np.array(fitted(image, config.height, config.width, config.fit))  # a copy: torch warns of arrays it cannot write to
        return pixels.reshape(config.height, config.width, config.channels)

    def _decoded(self, places: np.ndarray) -> np.ndarray:
        """Return pictures [B, H, W, C], decoded by a few threads: the decoders release Python's lock."""
        folder = Path(self.config.path)
        pixels = np.empty((len(places), self.config.height, self.config.width, self.config.channels), np.uint8)
        with ThreadPoolExecutor(READERS, thread_name_prefix="decodes") as pool:
            for row, picture in enumerate(pool.map(lambda place: self._picture(folder / self._files[place]), places)):
                pixels[row] = picture
        return pixels

    def _random_split(self, listing: Listing) -> np.ndarray:
        split = np.zeros(len(listing.files), np.uint8)
        for number, indices in enumerate(self.config.indices(len(split), listing.labels).values()):
            split[indices] = number
        return split

    def _take(self, listing: Listing, split: np.ndarray, *, whole_is_test: bool = False) -> None:
        """Keep a listing; look at the head of each file, so that what is not a picture is refused before anything is learned."""
        for file in listing.files:
            require_picture(Path(self.config.path) / file)
        if whole_is_test:
            split = np.full(len(listing.files), SPLITS.index("test"), np.uint8)
        elif not (split == SPLITS.index("validation")).any() and len(listing.splits) and self.config.validation_fraction:
            train = np.flatnonzero(split == 0)
            parts = self.config.indices(len(train), listing.labels[train])
            split[train[parts["validation"]]] = SPLITS.index("validation")
        self.class_names, self._digest, self._remarks = listing.classes, listing.digest, listing.remarks
        self._files, self._labels, self._split_of_file = listing.files, listing.labels, split
        for name in ("test",) if whole_is_test else ("train", "test"):
            if not len(self._places[name]):
                raise ValueError(f"{shown(Path(self.config.path))} has no pictures in its {name} folder; expected some of each class")


def list_pictures(folder: Path, known: tuple[str, ...] = ()) -> Listing:
    """Return the pictures of a folder, without opening them.

    Args:
        folder: One folder for each class, or folders of splits with those.
        known: Names of the classes, if they are given; then a folder of another name is refused, and one class is enough.

    Raises:
        ValueError: if there are not two classes with pictures.
    """
    folders, has_splits, remarks = _class_folders(folder)
    found = sorted((file, path.name, split) for path, split in folders for file in _pictures(path))
    classes = known or tuple(sorted({label for _, label, _ in found}))
    _require_classes(folder, classes, {label for _, label, _ in found})
    if empty := sorted({path.name for path, _ in folders} - {label for _, label, _ in found}):
        remarks.append(f"left out the empty classes {', '.join(empty)}")
    others = sum(1 for path, _ in folders for file in path.rglob("*") if file.is_file() and file.suffix.lower() not in SUFFIXES)
    if others:
        remarks.append(f"left out {others} files that are not pictures")
    copies = _copies([file for file, _, _ in found])
    same = [file for file, first in copies.items() if file.parent == first.parent]
    if same:
        remarks.append(f"left out {len(same)} copies of pictures: {same[0].name} is {copies[same[0]].name} in {same[0].parent.name}")
    if elsewhere := sorted(set(copies) - set(same)):
        place, first_place = (file.relative_to(folder).as_posix() for file in (elsewhere[0], copies[elsewhere[0]]))
        remarks.append(f"{len(elsewhere)} pictures are in two places: {place} is {first_place}")
    kept = [row for row in found if row[0] not in set(same)]
    number_of = {label: number for number, label in enumerate(classes)}
    files = [file.relative_to(folder).as_posix() for file, _, _ in kept]
    sizes = "\n".join(f"{name}\0{row[0].stat().st_size}" for name, row in zip(files, kept, strict=True))
    labels = np.array([number_of[label] for _, label, _ in kept], dtype=np.int64)
    splits = np.array([split for _, _, split in kept], dtype=np.uint8) if has_splits else np.zeros(0, np.uint8)
    return Listing(classes, files, labels, splits, remarks, hashlib.sha256(sizes.encode()).hexdigest())


def write_example(path: Path) -> None:
    """Write two folders of twenty small pictures: reddish and bluish noise."""
    from PIL import Image

    rng = np.random.Generator(np.random.PCG64(0))
    for channel, name in ((0, "red"), (2, "light blue")):
        (path / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 120, (12, 16, 3)).astype(np.uint8)
            pixels[:, :, channel] += 120
            Image.fromarray(pixels).save(path / name / f"{number}.png")


def _class_folders(folder: Path) -> tuple[list[tuple[Path, int]], bool, list[str]]:
    """Return the folders of classes with the number of their split, whether there are splits, and remarks on other folders."""
    if not folder.is_dir():
        raise ValueError(f"{shown(folder)} is not a folder; expected one with a folder of pictures for each class")
    tops = _folders(folder)
    if not {_SPLIT_OF.get(top.name.lower()) for top in tops} >= {"train", "test"}:
        return [(top, 0) for top in tops], False, []
    ignored = [top.name for top in tops if top.name.lower() not in _SPLIT_OF]
    roots = {top: SPLITS.index(_SPLIT_OF[top.name.lower()]) for top in tops if top.name not in ignored}
    remarks = [f"left out the folders {', '.join(ignored)} beside train and test"] if ignored else []
    return [(path, split) for root, split in roots.items() for path in _folders(root)], True, remarks


def _require_classes(folder: Path, classes: tuple[str, ...], there: set[str]) -> None:
    """Refuse a folder without two classes of pictures, or with one that is not among the known ones."""
    name, listed = shown(folder), printable(", ".join(classes[:20]))
    if strange := sorted(there - set(classes)):
        raise ValueError(f"{name} has a class {strange[0]!r} that the model has not learned; its classes are {listed}")
    if len(classes) >= 2 and there:
        return
    loose = sum(1 for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    found = f"{len(classes)} folder{'' if len(classes) == 1 else 's'} with pictures{f' ({listed})' if listed else ''}"
    raise ValueError(
        f"{name} has {f'{loose} pictures beside its folders and ' if loose else ''}{found}; expected a folder of pictures "
        f"({', '.join(SUFFIXES[:4])}, ...) for each of two or more classes"
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures of a class, those in folders below it too."""
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")]


def _copies(files: list[Path]) -> dict[Path, Path]:
    """Return the files with the bytes of an earlier file, and that file; only files of one size are read."""
    of_size: dict[int, list[Path]] = {}
    for file in files:
        of_size.setdefault(file.stat().st_size, []).append(file)
    first: dict[str, Path] = {}
    copies = {}
    for alike in of_size.values():
        for file in alike if len(alike) > 1 else ():
            digest = digest_of(file)
            if digest in first:
                copies[file] = first[digest]
            first.setdefault(digest, file)
    return copies
