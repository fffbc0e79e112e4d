"""The scheme `coco:<json>`: pictures with the annotations of COCO, one JSON file for all of them.

Source: Lin et al., *Microsoft COCO: common objects in context*, 2014. Boxes are left, top, width and height in pixels; crowds are not asked
for. Pictures are found relative to the JSON file: beside it, or in the folder that `images` names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from cv_models.tasks.box_files import BoxFilesConfig, BoxFilesTask, Collection, Labelled, labelled
from cv_models.tasks.box_formats import convert_boxes
from dl_nets.tasks.picture_files import picture_size
from rl_core.config import Doc, FilePath, configclass


@configclass
class CocoConfig(BoxFilesConfig):
    """The JSON file, those of the other splits, and the folder of the pictures."""

    images: Annotated[str, Doc('folder of the pictures, relative to the JSON file; "" looks beside it and in images')] = ""
    validation_path: Annotated[FilePath, Doc('JSON file of the validation split; "" for none')] = ""
    test_path: Annotated[FilePath, Doc('JSON file of the test split; "" splits the pictures of path by the fractions')] = ""


class CocoTask(BoxFilesTask):
    """Pictures with the annotations of COCO; see `BoxFilesTask` for the arguments."""

    Config: ClassVar[type] = CocoConfig
    config: CocoConfig
    scheme: ClassVar[str] = "coco"

    def collect(self) -> Collection:
        """Return the pictures that the JSON files name."""
        config = self.config
        paths = {"train": config.path, "validation": config.validation_path, "test": config.test_path}
        found = Collection({})
        names: dict[int | str, str] = {}
        for split, path in paths.items():
            if path:
                document, text = _read(Path(path))
                found.text.append(text)
                names |= {entry["id"]: str(entry["name"]) for entry in document["categories"]}
                found.splits[split] = self._pictures_of(Path(path), document)
        found.class_names = tuple(dict.fromkeys(names[number] for number in sorted(names, key=lambda each: (isinstance(each, str), each))))
        if set(found.splits) == {"train", "validation"}:
            raise ValueError("validation_path is given without test_path; give both, or none for a split by fractions")
        return found

    def _pictures_of(self, path: Path, document: dict[str, Any]) -> list[Labelled]:
        names = {entry["id"]: str(entry["name"]) for entry in document["categories"]}
        by_picture: dict[Any, list[dict[str, Any]]] = {}
        known = {entry["id"] for entry in document["images"]}
        for number, entry in enumerate(document["annotations"]):
            where = f"annotation {entry.get('id', number)} in {path.name}"
            if not _is_id(entry.get("image_id")) or entry["image_id"] not in known:
                raise ValueError(f"{where} belongs to the picture {entry.get('image_id')!r}, which the file does not name")
            if not _is_id(entry.get("category_id")) or entry["category_id"] not in names:
                raise ValueError(f"{where} has the category {entry.get('category_id')!r}, which the file does not name")
            box = entry.get("bbox")
            if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
                raise ValueError(f"{where} has the box {box!r}; expected four numbers: left, top, width, height")
            by_picture.setdefault(entry["image_id"], []).append(entry)
        rows = []
        for entry in document["images"]:
            own = by_picture.get(entry["id"], [])
            picture = _picture(path, self.config.images, str(entry["file_name"]))
            stated = entry.get("width"), entry.get("height")
            size = stated if all(isinstance(side, int) and side > 0 for side in stated) else picture_size(picture)
            boxes = convert_boxes(np.array([each["bbox"] for each in own], dtype=np.float64).reshape(-1, 4), "xywh", "xyxy")
            labels, crowds = [names[each["category_id"]] for each in own], [bool(each.get("iscrowd", 0)) for each in own]
            rows.append(labelled(picture, size, boxes.tolist(), labels, crowds, f"{path.name}, picture {entry['file_name']}"))
        return rows


def write_example(path: Path) -> None:
    """Write a small JSON file in COCO's form, and ten pictures of shapes beside it."""
    from cv_models.tasks.overlays import save
    from cv_models.tasks.shapes import KINDS, scene

    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    document: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    document["categories"] = [{"id": number, "name": name} for number, name in enumerate(KINDS, start=1)]
    for number in range(10):
        made = scene(0, number, 64, 3)
        save(path.parent / "images" / f"{number}.png", made.picture)
        document["images"].append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        for box, label in zip(convert_boxes(made.boxes, "xyxy", "xywh").tolist(), made.labels.tolist(), strict=True):
            identity = len(document["annotations"])
            document["annotations"].append({"id": identity, "image_id": number, "category_id": label + 1, "bbox": box, "iscrowd": 0})
    path.write_text(json.dumps(document), encoding="utf-8")


def _picture(path: Path, folder: str, name: str) -> Path:
    tried = [path.parent / folder / name] if folder else [path.parent / name, path.parent / "images" / name]
    for file in tried:
        if file.is_file():
            return file
    raise ValueError(f"{path.name} names the picture {name}, which is not at {' or '.join(map(str, tried))}; set task.images to its folder")


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        text = path.read_bytes()
        document = json.loads(text)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON that can be read: {error}") from error
    for part, keys in (("images", ("id", "file_name")), ("annotations", ()), ("categories", ("id", "name"))):
        rows = document.get(part) if isinstance(document, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and all(key in row for key in keys) for row in rows):
            wanted = f" with {' and '.join(keys)}" if keys else ""
            raise ValueError(f"{path} has no list {part!r} of objects{wanted}; expected the form of COCO: images, annotations, categories")
        wrong = next((row["id"] for row in rows if keys and not _is_id(row["id"])), None)
        if wrong is not None:
            raise ValueError(f"an entry of {part} in {path} has the id {wrong!r}; expected a whole number or a text")
    return document, text
