"""The scheme `voc:<folder>`: pictures with Pascal VOC annotations, one XML file for each.

Source: Everingham et al., *The Pascal visual object classes challenge: a retrospective*, 2015. Corners are pixels counted from 1, both
of them inside the box. Folders are `Annotations`, `JPEGImages` and `ImageSets/Main` with a text file for each split; pictures beside their
XML files, without splits, are read too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import ClassVar

import numpy as np

from cv_models.tasks.box_files import BoxFilesTask, Collection, Labelled, labelled
from dl_nets.tasks.picture_files import SUFFIXES, picture_size

PICTURE_FOLDERS = ("JPEGImages", "images", "Images")
SPLIT_FILES = {"train": "train", "validation": "val", "test": "test"}
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocTask(BoxFilesTask):
    """Pictures with Pascal VOC annotations; difficult objects are not asked for. See `BoxFilesTask` for the arguments."""

    scheme: ClassVar[str] = "voc"

    def collect(self) -> Collection:
        """Return the pictures of the folder."""
        root = _root(Path(self.config.path))
        annotations = root / "Annotations" if (root / "Annotations").is_dir() else root
        pictures = next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), root)
        by_stem = {path.stem: path for path in sorted(pictures.iterdir()) if path.suffix.lower() in SUFFIXES}
        found = Collection({})
        lists = root / "ImageSets" / "Main"
        stems = {split: _stems(lists / f"{name}.txt") for split, name in SPLIT_FILES.items() if (lists / f"{name}.txt").is_file()}
        if "train" in stems and "test" not in stems and "validation" in stems:
            stems["test"] = stems.pop("validation")  # as in 2012, whose test split is not public
        if "train" not in stems or "test" not in stems:
            stems = {"train": sorted(path.stem for path in annotations.glob("*.xml"))}
        for split, names in stems.items():
            found.splits[split] = [self._read(annotations / f"{stem}.xml", by_stem, pictures, found) for stem in names]
        if not any(found.splits.values()):
            raise ValueError(f"{annotations} has no .xml files; expected a Pascal VOC annotation for each picture")
        return found

    def _read(self, path: Path, by_stem: dict[str, Path], pictures: Path, found: Collection) -> Labelled:
        try:
            text = path.read_bytes()
            root = ElementTree.fromstring(text)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
        except ElementTree.ParseError as error:
            raise ValueError(f"{path} is not XML that can be read: {error}") from error
        found.text.append(path.name.encode() + text)
        picture = by_stem.get(path.stem) or pictures / (root.findtext("filename") or f"{path.stem}.jpg")
        if not picture.is_file():
            raise ValueError(f"{path} describes {picture.name}, which is not in {pictures}; add the picture, or remove the annotation")
        boxes, names, difficult = [], [], []
        for number, item in enumerate(root.iter("object"), start=1):
            name = (item.findtext("name") or "").strip()
            try:
                corners = [float(item.findtext(f"bndbox/{corner}") or "") for corner in CORNERS]
            except ValueError as error:
                raise ValueError(f"object {number} in {path} has no box; expected bndbox with {', '.join(CORNERS)}") from error
            if not name:
                raise ValueError(f"object {number} in {path} has no name of a class")
            whole = corners[2] > corners[0] and corners[3] > corners[1] and np.isfinite(corners).all()
            boxes.append([corners[0] - 1, corners[1] - 1, *corners[2:]] if whole else corners)
            names.append(name)
            difficult.append((item.findtext("difficult") or "0").strip() == "1")
        return labelled(picture, picture_size(picture), boxes, names, difficult, path.name)


def write_example(folder: Path) -> None:
    """Write a small folder in the layout of Pascal VOC: twelve pictures of shapes."""
    from cv_models.tasks.overlays import save
    from cv_models.tasks.shapes import KINDS, scene

    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split, numbers in (("train", range(6)), ("val", range(6, 9)), ("test", range(9, 12))):
        for number in numbers:
            made = scene(0, number, 64, 3)
            save(folder / "JPEGImages" / f"{number}.png", made.picture)
            objects = "".join(
                f"<object><name>{KINDS[label]}</name><bndbox><xmin>{box[0] + 1:.0f}</xmin><ymin>{box[1] + 1:.0f}</ymin>"
                f"<xmax>{box[2]:.0f}</xmax><ymax>{box[3]:.0f}</ymax></bndbox></object>"
                for box, label in zip(made.boxes, made.labels, strict=True)
            )
            (folder / "Annotations" / f"{number}.xml").write_text(f"<annotation>{objects}</annotation>\n", encoding="utf-8")
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{number}\n" for number in numbers), encoding="utf-8")


def _root(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder; expected one in the layout of Pascal VOC, with Annotations and JPEGImages")
    if (path / "Annotations").is_dir() or any(path.glob("*.xml")):
        return path
    inner = [folder for folder in sorted(path.iterdir()) if (folder / "Annotations").is_dir()]
    if len(inner) != 1:
        raise ValueError(f"{path} has no folder Annotations and no .xml files; expected the layout of Pascal VOC")
    return inner[0]


def _stems(path: Path) -> list[str]:
    try:
        return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
