"""The scheme `masks:<folder>`: a folder of pictures beside a folder of label maps with the same file names.

The classes, the size, and the files of each split are the task's state: a run keeps them in its checkpoints, and answers pictures without
the folder.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from cv_models.tasks.label_files import files_by_stem, read_labels, resized_labels
from cv_models.tasks.maps import MapTask
from dl_nets.learning.data import check_fractions, split_indices
from dl_nets.tasks.augmented import Transform
from dl_nets.tasks.picture_files import picture_size, read_picture
from rl_core import config as configs
from rl_core.config import Doc, FilePath, Meta, NonNegative, Whole, configclass
from rl_core.errors import DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "pictures")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations")
SPLITS = ("train", "validation", "test")
MOST_VALUES = 64  # of label maps whose classes are not named; more look like numbers of instances
ENOUGH = 400  # label maps, evenly spaced, that the classes are found in; each map is checked again when it is read
MEMORY = 2**30  # bytes of read examples that are kept


@configclass
class MasksConfig:
    """The folder, its classes, and how it is read and split."""

    path: Annotated[FilePath, Doc("the folder that holds the folders of pictures and of masks")] = ""
    images: Annotated[str, Doc('name of the folder of pictures; "" finds images, image, imgs or pictures')] = ""
    masks: Annotated[str, Doc('name of the folder of masks; "" finds masks, mask, labels, label or annotations')] = ""
    labels: Annotated[
        Literal["auto", "values", "binary"], Doc("values: each number of a mask is a class; binary: 0 is one class and all else another")
    ] = "auto"
    classes: Annotated[tuple[str, ...], Doc("names of the classes, in the order of their numbers; none for the numbers as names")] = ()
    values: Annotated[tuple[Whole, ...], Doc("number of each class in the masks; none for those that occur, in order")] = ()
    height: Annotated[Whole, Doc("pixels that pictures are resized to; 0: the commonest height")] = 0
    width: Annotated[Whole, Doc("pixels that pictures are resized to; 0: the commonest width")] = 0
    validation_fraction: Annotated[float, Meta(ge=0, lt=1), Doc("share of the pictures for early stopping and the choice of settings")] = (
        0.1
    )
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the pictures that the score is computed on")] = 0.2
    split_seed: Annotated[Whole, Doc("number of the split; independent of the run's seed")] = 0
    augment: Annotated[
        tuple[Transform, ...],
        Doc("flip, flip-vertical, turn, affine, elastic, brightness, contrast, colour, noise, erase: variations of training pictures"),
    ] = ()
    augment_strength: Annotated[NonNegative, Doc("factor of the ranges of the variations")] = 1.0
    crop: Annotated[Whole, Doc("side of the random part of each picture to train on, pixels; 0: the whole picture")] = 0

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        if not self.path:
            raise ValueError("path is empty; name the folder after the colon: masks:cells")
        if self.values and self.classes and len(self.values) != len(self.classes):
            raise ValueError(f"values has {len(self.values)} numbers and classes {len(self.classes)} names; give one name for each number")
        if len(set(self.values)) < len(self.values) or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"values is {list(self.values)} and classes {list(self.classes)}; each may occur once")


class MasksTask(MapTask):
    """Pictures [H, W, C] and the class of each pixel.

    Args:
        config: The folder and how it is read.
        state: The `state_dict` of the task that an agent was trained on; `None` finds everything in the folder.
        other: Whether all pictures of the folder are the test split, with the classes and the size of `state`.

    Raises:
        ValueError: if the folder does not hold such pictures; the text names the file.
    """

    Config: ClassVar[type] = MasksConfig
    config: MasksConfig

    def __init__(self, config: MasksConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._kept: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._kept_bytes = 0
        self._sizes: Counter[tuple[int, int]] = Counter()
        if state is None:
            self._fit()
            return
        try:
            shape, names = [int(number) for number in state["shape"]], [str(name) for name in state["classes"]]
            self._values, self._digest = tuple(int(value) for value in state["values"]), str(state["digest"])
            self._splits = {split: [str(stem) for stem in state["splits"][split]] for split in SPLITS}
        except (KeyError, TypeError) as error:
            raise ValueError(f"the saved state is not one of a masks task: {error}") from error
        if other:
            pairs = self._pairs()
            self._splits, self._digest = {"train": sorted(pairs), "validation": [], "test": sorted(pairs)}, _digest(pairs)
        self.set_spaces(shape[0], shape[1], shape[2], names)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> MasksTask:
        """Return the task of a run, which reads its folder only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> MasksTask:
        """Return a task whose test split is all of another folder, with the classes and the size of `state`."""
        own = {"path": config.path, "images": config.images, "masks": config.masks}
        return cls(configs.build(MasksConfig, {**state["config"], **own}, where="task masks"), state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the classes, the size, the files of each split, and a digest of their names and sizes."""
        return {
            "config": configs.to_plain(self.config),
            "shape": list(self.input_space.shape or ()),
            "classes": list(self.class_names),
            "values": list(self._values),
            "splits": dict(self._splits),
            "digest": self._digest,
        }

    def data_change(self) -> str:
        """Return how the folder differs from the one that the run learned from, or ""."""
        try:
            digest = _digest(self._pairs())
        except ValueError as error:
            return f"{error} (if the data was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest == self._digest else f"the pictures in {self.config.path} have changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the folder as it is now: files that were there keep their split, new ones are trained on."""
        pairs = self._pairs()
        known = {stem for stems in self._splits.values() for stem in stems}
        self._splits = {split: [stem for stem in stems if stem in pairs] for split, stems in self._splits.items()}
        self._splits["train"] += sorted(set(pairs) - known)
        self._digest = _digest(pairs)
        self._kept.clear()

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return len(self._splits[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures [B, H, W, C] and maps [B, H, W].

        Raises:
            DataError: naming the file that cannot be read, the mask of another size, or the label that belongs to no class.
        """
        height, width, channels = self.input_space.shape or (1, 1, 1)
        images = np.zeros((len(indices), height, width, channels), np.uint8)
        maps = np.zeros((len(indices), height, width), np.int64)
        for row, index in enumerate(indices):
            images[row], maps[row] = self._example(self._splits[split][index])
        return images, maps

    def facts(self) -> dict[str, str]:
        """Return the counts, the classes with their share of the pixels, and the sizes of the pictures."""
        stems = [stem for split in SPLITS for stem in self._splits[split]]
        counts = np.zeros(len(self.class_names), np.int64)
        for stem in stems[:: max(1, len(stems) // ENOUGH)]:
            counts += np.bincount(self._example(stem)[1].ravel(), minlength=len(counts))
        shares = counts / max(1, counts.sum())
        height, width, channels = self.input_space.shape or (1, 1, 1)
        sizes = [f"{h} x {w} ({number})" for (h, w), number in self._sizes.most_common(5)]
        return {
            "pictures": ", ".join(f"{len(self._splits[split])} {split}" for split in SPLITS),
            "classes": ", ".join(
                f"{name} (number {value}, {share:.1%} of the pixels)"
                for name, value, share in zip(self.class_names, self._values or ("0", "above 0"), shares, strict=True)
            ),
            "read as": f"{height} x {width}, {'grey' if channels == 1 else 'colour'}",
            "sizes in the files": ", ".join(sizes) + (f" and {len(self._sizes) - 5} more" if len(self._sizes) > 5 else ""),
        }

    def _example(self, stem: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture [H, W, C] and its map [H, W]; read once while there is room for it."""
        if stem in self._kept:
            return self._kept[stem]
        pairs = self._files
        if stem not in pairs:
            raise DataError(f"the picture {stem!r} of the run's data is missing in {self.config.path}")
        image_path, mask_path = pairs[stem]
        picture, labels = read_picture(image_path), read_labels(mask_path)
        if picture.shape[:2] != labels.shape:
            raise DataError(
                f"the mask {mask_path} has {labels.shape[0]} x {labels.shape[1]} pixels and its picture {image_path.name} "
                f"{picture.shape[0]} x {picture.shape[1]} (height x width); save both at one size"
            )
        example = self.fitted(picture), resized_labels(self._numbered(labels, mask_path), *(self.input_space.shape or (1, 1))[:2])
        size = sum(array.nbytes for array in example)
        if self._kept_bytes + size <= MEMORY:
            self._kept_bytes += size
            self._kept[stem] = example
        return example

    def _numbered(self, labels: np.ndarray, path: Path) -> np.ndarray:
        """Return the class of each pixel, from 0, of the numbers in a mask."""
        if not self._values:
            return (labels > 0).astype(np.int64)
        values = np.array(sorted(self._values))
        places = np.minimum(np.searchsorted(values, labels), len(values) - 1)
        wrong = values[places] != labels
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise DataError(
                f"the mask {path} holds {labels[row, column]} at row {row}, column {column}; the classes have the numbers "
                f"{', '.join(map(str, self._values))}",
                "set task.values to every number that the masks hold, or task.labels=binary",
            )
        return np.argsort(np.array(self._values))[places]  # the class of each of the sorted numbers

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path]]:
        """Picture and mask of each name, as they were found first."""
        return self._pairs()

    def _pairs(self) -> dict[str, tuple[Path, Path]]:
        """Return picture and mask of each name.

        Raises:
            ValueError: if the folder is missing, it holds no pictures, or a picture has no mask.
        """
        folder = Path(self.config.path)
        images = files_by_stem(_part(folder, self.config.images, IMAGE_FOLDERS, "images"))
        masks = files_by_stem(_part(folder, self.config.masks, MASK_FOLDERS, "masks"))
        alone = sorted(set(images) ^ set(masks))
        if alone:
            file = images.get(alone[0], masks.get(alone[0]))
            kind, lacks = ("picture", "mask") if alone[0] in images else ("mask", "picture")
            raise ValueError(
                f"the {kind} {file} has no {lacks} of that name (and {len(alone) - 1} more); name both files alike, or remove it"
            )
        if len(images) < 2:
            raise ValueError(f"{folder} has {len(images)} pictures; at least 2 are needed, one to learn from and one to be judged by")
        return {stem: (images[stem], masks[stem]) for stem in images}

    def _fit(self) -> None:
        """Find the classes, the size and the splits in the folder."""
        config, pairs = self.config, self._files
        stems = sorted(pairs)
        grey = True
        for stem in stems:
            image, mask = (picture_size(path) for path in pairs[stem])
            if image != mask:
                raise ValueError(
                    f"the mask {pairs[stem][1]} has {mask[1]} x {mask[0]} pixels and its picture {pairs[stem][0].name} "
                    f"{image[1]} x {image[0]} (height x width); save both at one size"
                )
            self._sizes[image[1], image[0]] += 1
            grey = grey and _is_grey(pairs[stem][0])
        (height, width), _ = self._sizes.most_common(1)[0]
        self._values, names = self._find_classes([pairs[stem][1] for stem in stems[:: max(1, len(stems) // ENOUGH)]])
        self.set_spaces(config.height or height, config.width or width, 1 if grey else 3, names)
        parts = split_indices(len(stems), config.validation_fraction, config.test_fraction, config.split_seed)
        self._splits = {split: [stems[index] for index in indices] for split, indices in parts.items()}
        self._digest = _digest(pairs)

    def _find_classes(self, masks: Sequence[Path]) -> tuple[tuple[int, ...], list[str]]:
        """Return the numbers of the classes, none of binary masks, and their names."""
        config = self.config
        if config.labels == "binary":
            return (), _named(config.classes, ["0", "1"])
        if config.values:
            return config.values, _named(config.classes, [str(value) for value in config.values])
        found: set[int] = set()
        for path in masks:
            found |= set(np.unique(read_labels(path)).tolist())
            if len(found) > MOST_VALUES:
                raise ValueError(
                    f"the masks hold more than {MOST_VALUES} numbers by {path}, as those of single objects do; set task.labels=binary to "
                    "tell them from the background, or name the classes with task.values"
                )
        if len(found) < 2:
            raise ValueError(f"the masks hold the number {min(found)} alone; there is nothing to tell apart: see {masks[0]}")
        values = tuple(sorted(found))
        return values, _named(config.classes, [str(value) for value in values])


def _named(names: Sequence[str], defaults: list[str]) -> list[str]:
    if names and len(names) != len(defaults):
        raise ValueError(
            f"classes has {len(names)} names and the masks have {len(defaults)} numbers ({', '.join(defaults)}); give one name for each"
        )
    return list(names) or defaults


def _part(folder: Path, name: str, usual: Sequence[str], what: str) -> Path:
    """Return the subfolder of pictures or of masks."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected one that holds the folders images and masks")
    found = [folder / each for each in ((name,) if name else usual) if (folder / each).is_dir()]
    if not found:
        there = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())) or "none"
        raise ValueError(f"{folder} has no folder {name or ', '.join(usual)}; its folders are: {there}. Set task.{what}")
    return found[0]


def _is_grey(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16")


def _digest(pairs: Mapping[str, tuple[Path, Path]]) -> str:
    """Return a digest of the names and the sizes of the files."""
    text = "\n".join(f"{stem} {image.stat().st_size} {mask.stat().st_size}" for stem, (image, mask) in sorted(pairs.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_example(path: Path) -> None:
    """Write 12 pictures of shapes and their masks into the folders `images` and `masks` of the folder `path`."""
    from PIL import Image

    from cv_models.tasks.shapes import scene

    for name in ("images", "masks"):
        (path / name).mkdir(parents=True)
    for index in range(12):
        made = scene(0, index, 32, 2, 1)
        labels = (made.masks * (made.labels + 1)[:, None, None]).sum(0).astype(np.uint8)
        Image.fromarray(made.picture).save(path / "images" / f"{index}.png")
        Image.fromarray(labels).save(path / "masks" / f"{index}.png")
