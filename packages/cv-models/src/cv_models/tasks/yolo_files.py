"""The scheme `yolo:<yaml>`: pictures with text files of boxes, described by a YAML file.

The YAML file holds `names` (a list, or numbers to names), `train`, `val` and, where there is one, `test`: each a folder, a text file that
lists pictures, or a list of them. `path`, the folder that those are in, and everything else is relative to the YAML file itself. The boxes
of `images/a/b.jpg` are in `labels/a/b.txt`: a line for each with the class's number and the middle, width and height as shares of the
picture, or the corners of a polygon, whose bounding box is taken. A picture without a text file has no objects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cv_models.tasks.box_files import BoxFilesTask, Collection, Labelled, labelled
from cv_models.tasks.box_formats import absolute, convert_boxes
from dl_nets.tasks.picture_files import SUFFIXES, picture_size
from rl_core.documents import parse_yaml

SPLIT_KEYS = {"train": "train", "validation": "val", "test": "test"}


class YoloFilesTask(BoxFilesTask):
    """Pictures with text files of boxes; see `BoxFilesTask` for the arguments."""

    scheme: ClassVar[str] = "yolo"

    def collect(self) -> Collection:
        """Return the pictures that the YAML file names."""
        path = Path(self.config.path)
        document, text = _read(path)
        names = _names(document, path)
        found = Collection({}, tuple(names.values()), [text])
        base = path.parent / str(document.get("path") or "")
        for split, key in SPLIT_KEYS.items():
            if document.get(key):
                found.splits[split] = [self._read(picture, names, found) for picture in _listed(document[key], base, path, key)]
        if "train" not in found.splits:
            raise ValueError(f"{path} names no pictures to learn from; expected the key train")
        if "test" not in found.splits and "validation" in found.splits:
            found.splits["test"] = found.splits.pop("validation")
        return found

    def _read(self, picture: Path, names: dict[int, str], found: Collection) -> Labelled:
        parts = list(picture.parts)
        if "images" in parts:
            last = len(parts) - 1 - parts[::-1].index("images")
            parts[last] = "labels"
        path = Path(*parts).with_suffix(".txt")
        size = picture_size(picture)
        boxes, labels = [], []
        text = path.read_bytes() if path.is_file() else b""
        found.text.append(picture.name.encode() + text)
        for number, line in enumerate(text.decode("utf-8", errors="replace").splitlines(), start=1):
            fields = line.split()
            if not fields:
                continue
            where = f"line {number} of {path}"
            try:
                stated, numbers = float(fields[0]), np.array([float(each) for each in fields[1:]])
                if not stated.is_integer() or not np.isfinite(numbers).all():
                    raise ValueError(line)
            except ValueError as error:
                raise ValueError(f"{where} is {line[:60]!r}; expected a class's number and four shares of the picture") from error
            label = int(stated)
            if label not in names:
                raise ValueError(f"{where} has the class {label}, which the YAML file does not name; it names {min(names)} to {max(names)}")
            if len(numbers) == 4:
                box = convert_boxes(numbers, "cxcywh", "xyxy")
            elif len(numbers) >= 6 and len(numbers) % 2 == 0:
                box = np.concatenate([numbers.reshape(-1, 2).min(0), numbers.reshape(-1, 2).max(0)])
            else:
                raise ValueError(f"{where} has {len(numbers)} numbers after the class; expected 4, or the corners of a polygon")
            boxes.append(absolute(box, *size).tolist())
            labels.append(names[label])
        return labelled(picture, size, boxes, labels, [False] * len(labels), path.name)


def write_example(path: Path) -> None:
    """Write a small YAML file and twelve pictures of shapes with their text files beside it."""
    from cv_models.tasks.box_formats import relative
    from cv_models.tasks.overlays import save
    from cv_models.tasks.shapes import KINDS, scene

    for number in range(12):
        split = "train" if number < 8 else "val"
        for kind in ("images", "labels"):
            (path.parent / kind / split).mkdir(parents=True, exist_ok=True)
        made = scene(0, number, 64, 3)
        save(path.parent / "images" / split / f"{number}.png", made.picture)
        boxes = convert_boxes(relative(made.boxes, 64, 64), "xyxy", "cxcywh")
        lines = [" ".join([str(label), *(f"{side:.6f}" for side in box)]) for label, box in zip(made.labels, boxes, strict=True)]
        (path.parent / "labels" / split / f"{number}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(KINDS))
    path.write_text(f"train: images/train\nval: images/val\nnames:\n{names}", encoding="utf-8")


def _listed(entry: Any, base: Path, path: Path, key: str) -> list[Path]:
    """Return the pictures of a split: those of a folder, those that a text file lists, or of several of these."""
    if isinstance(entry, list):
        return [picture for each in entry for picture in _listed(each, base, path, key)]
    place = base / str(entry)
    if place.is_dir():
        return sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
    if place.is_file() and place.suffix.lower() == ".txt":
        lines = [line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
        pictures = [place.parent / line if line.startswith("./") else base / line for line in lines]
        missing = next((picture for picture in pictures if not picture.is_file()), None)
        if missing is not None:
            raise ValueError(f"{place} lists {missing}, which is not there")
        return pictures
    if place.is_file() and place.suffix.lower() in SUFFIXES:
        return [place]
    raise ValueError(f"{path} has {key}: {entry}, but {place} is neither a folder nor a list of pictures; paths are relative to the file")


def _names(document: dict[str, Any], path: Path) -> dict[int, str]:
    names = document.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and names and all(isinstance(number, int) for number in names):
        found = {number: str(names[number]) for number in sorted(names)}
        if len(set(found.values())) == len(found):
            return found
        raise ValueError(f"{path} gives one name to two classes: {names!r}")
    raise ValueError(f"{path} has names: {names!r}; expected a list of the classes' names, or numbers to names")


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        document = parse_yaml(text.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not YAML that can be read: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not a YAML file with keys; expected names, train and val")
    return document, text
