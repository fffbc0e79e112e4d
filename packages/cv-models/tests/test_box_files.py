"""Boxes and instances from files: what is read, what is left out and said, and what is refused with the file's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_models.tasks import coco, instances, voc, yolo_files
from cv_models.tasks.box_files import BoxFilesConfig, BoxFilesTask
from cv_models.tasks.coco import CocoConfig, CocoTask
from cv_models.tasks.instances import InstancesConfig, InstancesTask
from cv_models.tasks.pictures import fit_of, letterbox
from cv_models.tasks.shape_boxes import ShapeBoxesConfig, ShapesDetection
from cv_models.tasks.shapes import KINDS, scene
from cv_models.tasks.voc import VocTask
from cv_models.tasks.yolo_files import YoloFilesTask
from dl_nets.tasks.picture_files import read_picture
from rl_core.errors import DataError


def examples(tmp_path: Path) -> dict[str, BoxFilesTask]:
    folder = tmp_path / "Zellen — 細胞 of today"
    folder.mkdir()
    voc.write_example(folder / "voc")
    coco.write_example(folder / "cells.json")
    (folder / "yolo").mkdir()
    yolo_files.write_example(folder / "yolo" / "cells.yaml")
    instances.write_example(folder / "instances")
    return {
        "voc": VocTask(BoxFilesConfig(path=str(folder / "voc"), size=64)),
        "coco": CocoTask(CocoConfig(path=str(folder / "cells.json"), size=64)),
        "yolo": YoloFilesTask(BoxFilesConfig(path=str(folder / "yolo" / "cells.yaml"), size=64)),
        "instances": InstancesTask(InstancesConfig(path=str(folder / "instances"), size=64)),
    }


def test_every_format_gives_the_boxes_that_were_written(tmp_path: Path) -> None:
    written = {number: scene(0, number, 64, 3) for number in range(12)}
    for name, task in examples(tmp_path).items():
        seen = 0
        for split in ("train", "validation", "test"):
            pictures, targets = task.read(split, np.arange(task.num_examples(split)))
            for picture, box, label in zip(pictures, targets["box"], targets["label"], strict=True):
                number = next(key for key, made in written.items() if np.array_equal(made.picture, picture))
                wanted = written[number]
                assert np.allclose(np.sort(box, 0), np.sort(wanted.boxes, 0), atol=1e-3), name
                if name != "instances":
                    assert sorted(task.class_names[each] for each in label) == sorted(KINDS[each] for each in wanted.labels)
                seen += 1
        assert seen == (10 if name in ("coco", "instances") else 12)
        restored = type(task).from_state(task.config, task.state_dict())
        assert restored.data_change() == ""
        assert restored.output_space == task.output_space


def test_masks_are_those_of_the_map(tmp_path: Path) -> None:
    task = examples(tmp_path)["instances"]
    _, targets = task.read("train", np.arange(task.num_examples("train")))
    for box, mask in zip(targets["box"].values, targets["mask"].values, strict=True):
        rows, columns = np.nonzero(mask)
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    voc.write_example(tmp_path / "cells")
    objects = "".join(
        f"<object><name>circle</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        "</bndbox></object>"
        for a, b, c, d, difficult in ((5, 5, 5, 9, 0), (70, 1, 90, 9, 0), (-3, 1, 9, 9, 0), (10, 10, 20, 20, 1))
    )
    (tmp_path / "cells" / "Annotations" / "0.xml").write_text(f"<annotation>{objects}</annotation>")
    (tmp_path / "cells" / "Annotations" / "1.xml").write_text("<annotation></annotation>")
    task = VocTask(BoxFilesConfig(path=str(tmp_path / "cells"), size=64))
    facts = task.facts()
    assert facts["left out, degenerate boxes"] == "1: circle 5 5 5 9 in 0.xml"
    assert facts["left out, boxes outside of their picture"] == "1: circle 69 0 90 9 in 0.xml"
    assert facts["not asked for"].startswith("1 objects")
    assert int(facts["kept without objects"].split()[0]) >= 1
    _, targets = task.read("train", np.arange(2))
    assert targets["box"].lengths.tolist() == [2, 0]
    assert targets["box"].values[0].tolist() == [0, 0, 9, 9]
    assert targets["score"].values.tolist() == [1, 0]
    assert "1 degenerate boxes" in task.caveat()


def break_coco(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], str]:
    def breaks(folder: Path) -> str:
        path = folder / "cells.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        CocoTask(CocoConfig(path=str(path), size=64))
        return ""

    return breaks


def break_file(name: str, content: str, build: Callable[[Path], BoxFilesTask]) -> Callable[[Path], str]:
    def breaks(folder: Path) -> str:
        (folder / name).write_text(content)
        task = build(folder)
        task.read("train", np.arange(task.num_examples("train")))
        return ""

    return breaks


def voc_of(folder: Path) -> BoxFilesTask:
    return VocTask(BoxFilesConfig(path=str(folder / "voc"), size=64))


def yolo_of(folder: Path) -> BoxFilesTask:
    return YoloFilesTask(BoxFilesConfig(path=str(folder / "yolo" / "cells.yaml"), size=64))


def instances_of(folder: Path) -> BoxFilesTask:
    return InstancesTask(InstancesConfig(path=str(folder / "instances")))


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (break_coco(lambda document: document.pop("images")), "cells.json has no list 'images'"),
        (break_coco(lambda document: document["annotations"][0].update(category_id=9)), "annotation 0 in cells.json has the category 9"),
        (
            break_coco(lambda document: document["annotations"][0].update(bbox=[1, 2])),
            "annotation 0 in cells.json has the box .1, 2.; expected",
        ),
        (break_coco(lambda document: document["images"][3].update(file_name="gone.png")), "names the picture gone.png, which is not at"),
        (break_coco(lambda document: document["images"][3].update(id=[1])), r"an entry of images in .*cells.json has the id .1.; expected"),
        (
            break_coco(lambda document: document["annotations"][0].update(category_id=[1])),
            "annotation 0 in cells.json has the category .1.",
        ),
        (break_file("yolo/labels/train/3.txt", "inf .5 .5 .1 .1", yolo_of), "line 1 of .*3.txt is 'inf"),
        (break_file("yolo/labels/train/3.txt", "0.9 .5 .5 .1 .1", yolo_of), "line 1 of .*3.txt is '0.9"),
        (break_file("yolo/labels/train/3.txt", "0 nan .5 .1 .1", yolo_of), "line 1 of .*3.txt is '0 nan"),
        (break_file("yolo/cells.yaml", "train: images/train\nnames: [a, a]", yolo_of), "gives one name to two classes"),
        (break_file("cells.json", "[1", lambda folder: CocoTask(CocoConfig(path=str(folder / "cells.json")))), "cells.json is not JSON"),
        (break_file("voc/Annotations/3.xml", "<annotation><object>", voc_of), "3.xml is not XML that can be read"),
        (break_file("voc/Annotations/3.xml", "<a><object><name>x</name></object></a>", voc_of), "object 1 in .*3.xml has no box; expected"),
        (break_file("voc/JPEGImages/3.png", "text", voc_of), "3.png is not a picture that can be read"),
        (break_file("yolo/labels/train/3.txt", "0 .5 .5 .1", yolo_of), "line 1 of .*3.txt has 3 numbers after the class"),
        (break_file("yolo/labels/train/3.txt", "7 .5 .5 .1 .1", yolo_of), "3.txt has the class 7, which the YAML file does not name"),
        (break_file("yolo/cells.yaml", "train: nowhere\nnames: [a]", yolo_of), "has train: nowhere, but .* is neither a folder"),
        (break_file("yolo/cells.yaml", "train: images/train", yolo_of), "names: None; expected a list"),
        (
            break_file("instances/instances/other.png", "", lambda folder: InstancesTask(InstancesConfig(path=str(folder / "instances")))),
            "has other in only one",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, breaks: Callable[[Path], str], words: str) -> None:
    voc.write_example(tmp_path / "voc")
    coco.write_example(tmp_path / "cells.json")
    (tmp_path / "yolo").mkdir()
    yolo_files.write_example(tmp_path / "yolo" / "cells.yaml")
    instances.write_example(tmp_path / "instances")
    with pytest.raises(ValueError, match=words):
        breaks(tmp_path)


def test_a_picture_of_another_size_than_the_file_says_is_refused_as_the_data_of_a_user(tmp_path: Path) -> None:
    coco.write_example(tmp_path / "cells.json")
    document = json.loads((tmp_path / "cells.json").read_text())
    document["images"][0].update(width=400, height=300)
    document["images"][1].update(width=None)  # as some programs export it: the picture says its size itself
    (tmp_path / "cells.json").write_text(json.dumps(document))
    task = CocoTask(CocoConfig(path=str(tmp_path / "cells.json"), size=64))
    with pytest.raises(DataError, match=r"0\.png is 64 x 64 pixels, but .* says 400 x 300"):
        [task.read(split, np.arange(task.num_examples(split))) for split in ("train", "validation", "test")]


def test_pictures_of_any_kind_are_fitted_without_distortion(tmp_path: Path) -> None:
    wide = np.zeros((30, 60, 3), np.uint8)
    wide[10:20, 30:45] = 255
    fit = fit_of(60, 30, 128)
    box = fit.into(np.array([[30.0, 10, 45, 20]]))
    x1, y1, x2, y2 = np.round(box[0]).astype(int)
    square = letterbox(wide, 128)
    assert square[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() == 255
    assert square[0, 0].tolist() == [114] * 3
    assert np.allclose(fit.back(box), [[30, 10, 45, 20]])
    assert fit.masks_back((square[None, ..., 0] == 255).astype(np.uint8))[0, 12:18, 32:43].min() == 1
    Image.fromarray(np.full((8, 4), 30000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((8, 4, 4), 0, np.uint8)).save(tmp_path / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.zeros((8, 4), np.uint8)).save(tmp_path / "turned.jpg", exif=turned)
    assert read_picture(tmp_path / "deep.png")[0, 0].tolist() == [116] * 3
    assert read_picture(tmp_path / "clear.png")[0, 0].tolist() == [255] * 3
    assert read_picture(tmp_path / "turned.jpg").shape == (4, 8, 3)


def test_a_picture_is_written_with_its_objects_and_a_json_beside_it(tmp_path: Path) -> None:
    task = examples(tmp_path)["instances"]
    made = scene(0, 3, 64, 3, 1)
    path = tmp_path / "a cell.png"
    Image.fromarray(made.picture).resize((128, 128), Image.Resampling.NEAREST).save(path)

    def predict(inputs: np.ndarray) -> Any:
        from cv_models.tasks.object_rows import objects

        scores = np.linspace(0.9, 0.8, len(made.labels)).astype(np.float32)
        row = {"box": made.boxes, "label": np.zeros_like(made.labels), "score": scores, "mask": made.masks}
        return objects([row], 64, masks=True)

    answers = task.answer_file(path, predict, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "a cell.json").read_text())
    assert written["objects"] == answers[0]
    assert answers[0][0] == {"label": "object", "score": 0.9, "box": (2 * made.boxes[0]).round(1).tolist()}
    drawn = np.asarray(Image.open(tmp_path / "out" / "a cell.png"))
    assert drawn.shape == (128, 128, 3)
    changed = (drawn != np.asarray(Image.open(path))).any(-1)
    assert changed[np.kron(made.masks[0], np.ones((2, 2), bool))].mean() > 0.9


def test_a_report_has_pictures_curves_and_confusion(tmp_path: Path) -> None:
    task = ShapesDetection(ShapeBoxesConfig(num_test=6))
    targets = task.read("test", np.arange(6))[1]
    task.draw_answers(tmp_path, lambda inputs: targets)
    drawn = {path.name: np.asarray(Image.open(path)) for path in tmp_path.iterdir()}
    assert set(drawn) == {"best.png", "worst.png", "precision-recall.png", "confusion.png"}
    assert all(picture.std() > 5 for picture in drawn.values())
