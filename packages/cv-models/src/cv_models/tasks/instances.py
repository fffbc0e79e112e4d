"""The scheme `instances:<folder>`: a folder of pictures beside a folder of label maps in which every object has a number of its own.

Pixels of the number 0 are background; all objects are of one class. Maps are grey pictures of 8 or 16 bits with the pictures' names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from cv_models.tasks.box_files import BoxFilesConfig, BoxFilesTask, Collection, Labelled, labelled
from cv_models.tasks.label_files import files_by_stem, read_labels, resized_labels
from cv_models.tasks.pictures import fit_of
from dl_nets.tasks.picture_files import picture_size
from rl_core.config import Count, Doc, configclass

PICTURE_FOLDERS = ("images", "image", "pictures")
MAP_FOLDERS = ("instances", "masks", "labels")
BACKGROUND = 0


@configclass
class InstancesConfig(BoxFilesConfig):
    """The folder, and the smallest objects that count."""

    least_pixels: Annotated[Count, Doc("objects of fewer pixels of the file are left out")] = 1


class InstancesTask(BoxFilesTask):
    """Pictures with a number for the pixels of each object; see `BoxFilesTask` for the arguments."""

    Config: ClassVar[type] = InstancesConfig
    config: InstancesConfig
    scheme: ClassVar[str] = "instances"
    with_masks: ClassVar[bool] = True

    def collect(self) -> Collection:
        """Return the pictures of the folder."""
        root = Path(self.config.path)
        pictures, maps = files_by_stem(_folder(root, PICTURE_FOLDERS)), files_by_stem(_folder(root, MAP_FOLDERS))
        name = self.config.classes[0] if self.config.classes else "object"
        found = Collection({"train": []}, (name,))
        missing = sorted(set(pictures) ^ set(maps))
        if missing:
            raise ValueError(f"{root} has {missing[0]} in only one of its two folders; expected a map for each picture, with its name")
        for stem, picture in pictures.items():
            found.splits["train"].append(self._read(picture, maps[stem], name, found))
        return found

    def _read(self, picture: Path, path: Path, name: str, found: Collection) -> Labelled:
        labels, size = read_labels(path), picture_size(picture)
        if labels.shape != size[::-1]:
            raise ValueError(f"{path} is {labels.shape[1]} x {labels.shape[0]} pixels, but {picture.name} is {size[0]} x {size[1]}")
        found.text.append(picture.name.encode() + hashlib.blake2b(labels.tobytes(), digest_size=16).digest())
        boxes = []
        for number in self._numbers(labels):
            rows, columns = np.nonzero(labels == number)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        return labelled(picture, size, boxes, [name] * len(boxes), [False] * len(boxes), str(path))

    def _numbers(self, labels: np.ndarray) -> np.ndarray:
        """Return the numbers of a map's objects, in order."""
        numbers, counts = np.unique(labels, return_counts=True)
        return numbers[(numbers != BACKGROUND) & (counts >= self.config.least_pixels)]

    def masks_of(self, row: Labelled) -> dict[str, np.ndarray]:
        """Return the masks of a picture's objects [n, S, S]: at each pixel of the square, the nearest one of the map."""
        labels = read_labels(Path(row.where))
        fit = fit_of(row.width, row.height, self.size)
        height, width = max(1, round(row.height * fit.scale)), max(1, round(row.width * fit.scale))
        square = np.zeros((self.size, self.size), np.int64)
        square[fit.top : fit.top + height, fit.left : fit.left + width] = resized_labels(labels, height, width)
        return {"mask": (square == self._numbers(labels)[:, None, None]).astype(np.uint8)}


def write_example(folder: Path) -> None:
    """Write a small folder of pictures of shapes and their label maps."""
    from cv_models.tasks.overlays import save
    from cv_models.tasks.shapes import scene

    for name in ("images", "instances"):
        (folder / name).mkdir(parents=True)
    for number in range(10):
        made = scene(0, number, 64, 3)
        save(folder / "images" / f"{number}.png", made.picture)
        labels = (made.masks * (np.arange(len(made.masks)) + 1)[:, None, None]).sum(0)
        save(folder / "instances" / f"{number}.png", labels.astype(np.uint8))


def _folder(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise ValueError(f"{root} has no folder {' or '.join(names)}; expected pictures in images and label maps in instances")
