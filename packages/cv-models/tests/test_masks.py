from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_models.segment.unet import UNet, UNetConfig
from cv_models.tasks.judges import MapJudge
from cv_models.tasks.label_files import read_labels
from cv_models.tasks.masks import MasksConfig, MasksTask, write_example
from cv_models.tasks.shape_maps import ShapeMapsConfig, ShapesSegmentation
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.tasks.picture_files import read_picture
from rl_core.cli.answers import rows_of
from rl_core.errors import RequestError
from rl_core.seeds import Seeds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_example(tmp_path / "cells of Łódź")
    return tmp_path / "cells of Łódź"


def task(folder: Path, **config: object) -> MasksTask:
    return MasksTask(MasksConfig(path=str(folder), **config))  # type: ignore[arg-type]


def read_all(folder: Path, **config: object) -> None:
    made = task(folder, **config)
    for split in ("train", "validation", "test"):
        made.read(split, np.arange(made.num_examples(split)))


def test_the_judge_gives_a_library_s_numbers_over_the_whole_split() -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

    rng = np.random.default_rng(0)
    targets, answers = rng.integers(0, 3, (5, 8, 9)), rng.integers(0, 4, (5, 8, 9))
    judge = MapJudge(("a", "b", "c", "d"))
    judge.add(answers[:2], targets[:2])
    judge.add(answers[2:], targets[2:])
    scores, pair = judge.result(), (targets.ravel(), answers.ravel())
    assert np.array_equal(judge.table, confusion_matrix(*pair))
    assert scores["pixel accuracy"] == pytest.approx(accuracy_score(*pair))
    np.testing.assert_allclose([scores[f"IoU of {name}"] for name in "abcd"], jaccard_score(*pair, average=None))
    np.testing.assert_allclose([scores[f"Dice of {name}"] for name in "abcd"], f1_score(*pair, average=None))
    assert scores["mean IoU"] == pytest.approx(jaccard_score(*pair, average="macro"))


def test_a_folder_is_read_with_its_classes_and_says_what_it_holds(folder: Path) -> None:
    made = task(folder, classes=("ground", "circle", "square", "triangle"), validation_fraction=0.25)
    assert [made.num_examples(split) for split in ("train", "validation", "test")] == [7, 3, 2]
    images, maps = made.read("test", np.array([1, 0]))
    stem = made.state_dict()["splits"]["test"][1]
    assert np.array_equal(images[0], np.asarray(Image.open(folder / "images" / f"{stem}.png")))
    assert np.array_equal(maps[0], np.asarray(Image.open(folder / "masks" / f"{stem}.png")))
    facts = made.facts()
    assert facts["pictures"] == "7 train, 3 validation, 2 test"
    assert "circle (number 1, " in facts["classes"]


def test_numbers_of_objects_become_one_class_and_other_sizes_are_resized(folder: Path) -> None:
    path = folder / "masks" / "3.png"
    labels = np.asarray(Image.open(path)).astype(np.uint16) * 300  # 16 bits, as in maps of instances
    Image.fromarray(labels).save(path)
    with pytest.raises(ValueError, match=r"classes has 4 names and the masks have \d numbers"):
        task(folder, classes=("a", "b", "c", "d"))
    binary = task(folder, labels="binary", classes=("ground", "shape"), height=16, width=24, validation_fraction=0.0)
    images, maps = binary.read("train", np.arange(8))
    assert images.shape == (8, 16, 24, 3)
    assert maps.shape == (8, 16, 24)
    assert set(np.unique(maps)) == {0, 1}
    with pytest.raises(ValueError, match=r"3\.png holds 300 at row \d+, column \d+; the classes have the numbers 0, 1, 2, 3$") as refused:
        read_all(folder, values=(0, 1, 2, 3))
    assert "set task.values" in refused.value.hint


def test_numbers_of_classes_need_not_be_in_order(folder: Path) -> None:
    plain, turned = task(folder), task(folder, values=(2, 0, 3, 1))
    one, other = (made.read("train", np.arange(4))[1] for made in (plain, turned))
    assert np.array_equal(np.array([2, 0, 3, 1])[other], one)


def test_bad_files_are_refused_by_name(folder: Path) -> None:
    original = (folder / "images" / "0.png").read_bytes()
    cases: list[tuple[str, bytes | Image.Image | None, str]] = [
        ("images/0.png", original[:200], r"images/0\.png cannot be read as a picture"),
        ("images/0.png", b"no picture", r"images/0\.png is not a picture"),
        ("masks/0.png", Image.new("L", (31, 32)), r"mask .*masks/0\.png has 32 x 31 pixels and its picture 0\.png 32 x 32"),
        ("masks/0.png", Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)), r"masks/0\.png holds colours"),
        ("images/12.png", original, r"the picture .*12\.png has no mask of that name"),
    ]
    for name, content, words in cases:
        path = folder / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(content) if isinstance(content, bytes) else content.save(path)  # type: ignore[union-attr]
        with pytest.raises(ValueError, match=words):
            read_all(folder)
        path.unlink() if before is None else path.write_bytes(before)
    with pytest.raises(ValueError, match=r"has no folder masks, .*; its folders are: images, masks. Set task.masks|has no folder cells"):
        task(folder, masks="cells")


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (1, 1)).save(tmp_path / "huge.png")
    content = bytearray((tmp_path / "huge.png").read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)  # width and height in the header, and its checksum
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "huge.png").write_bytes(content)
    for read in (read_picture, read_labels):
        with pytest.raises(ValueError, match=r"huge\.png"):
            read(tmp_path / "huge.png")


def test_palettes_and_turned_files_are_read_as_they_are_shown(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    palette = Image.fromarray(labels).convert("P")
    palette.putdata(labels.ravel().tolist())
    palette.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0])
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_labels(tmp_path / "palette.png"), labels)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(labels).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_labels(tmp_path / "turned.png"), np.rot90(labels, -1))


def test_a_run_s_task_answers_without_the_folder_and_notices_changes(folder: Path) -> None:
    made = task(folder)
    state = made.state_dict()
    again = MasksTask.from_state(made.config, state)
    assert again.data_change() == ""
    assert again.output_space == made.output_space
    (folder / "images" / "0.png").unlink()
    (folder / "masks" / "0.png").unlink()
    assert "have changed" in again.data_change()
    again.accept_data()
    assert sum(again.num_examples(split) for split in ("train", "validation", "test")) == 11
    other = MasksTask.for_evaluation(made.config, state)
    assert other.num_examples("test") == 11


def test_answers_are_drawn_on_a_picture_of_any_size(tmp_path: Path) -> None:
    made = ShapesSegmentation(ShapeMapsConfig(size=16, num_train=4, num_validation=0, num_test=2))
    Image.new("RGB", (50, 30), (200, 10, 10)).save(tmp_path / "a b.jpg")
    answers = made.answer_file(tmp_path / "a b.jpg", lambda inputs: np.ones(inputs.shape[:3], np.int64), tmp_path / "out")
    assert answers == [{"background": 0.0, "circle": 1.0, "square": 0.0, "triangle": 0.0}]
    with Image.open(tmp_path / "out" / "a b.png") as drawn, Image.open(tmp_path / "out" / "a b-map.png") as labels:
        assert drawn.size == labels.size == (50, 30)
        assert np.asarray(labels).min() == 1
    assert '"width": 50' in (tmp_path / "out" / "a b.json").read_text()


def test_of_a_folder_every_picture_that_can_be_read_is_answered_to_files_of_its_own(tmp_path: Path) -> None:
    made = ShapesSegmentation(ShapeMapsConfig(size=16, num_train=4, num_validation=0, num_test=2))
    agent = Supervised(SupervisedConfig(batch_size=2), made, UNet(UNetConfig(channels=(2, 3))), seeds=Seeds(0), budget=4, device="cpu")
    run: Any = SimpleNamespace(agent=agent, task=made, folder=tmp_path / "run", recipe=SimpleNamespace(agent="supervised", task="shapes"))
    (tmp_path / "new").mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        Image.new("RGB", (20, 10)).save(tmp_path / "new" / name)
    (tmp_path / "new" / "c.png").write_bytes((tmp_path / "new" / "b.png").read_bytes()[:40])
    rows = rows_of(run, str(tmp_path / "new"), probabilities=False)
    assert [Path(row["file"]).name for row in rows if "answer" in row] == ["a.jpg", "a.png", "b.png"]
    (bad,) = [row for row in rows if "error" in row]
    assert "c.png is not a picture that can be read" in bad["error"]
    written = {path.relative_to(tmp_path / "run" / "predictions").as_posix() for path in (tmp_path / "run").rglob("*.json")}
    assert written == {"b.json", "new-a.jpg/a.json", "new-a.png/a.json"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    refused = {"empty": "the folder holds no file that the task reads", "new/z*.png": "no file matches it"}
    for name, words in (refused | {"nowhere/": "nor a folder of such", "notes.txt": "not a file that the task reads"}).items():
        with pytest.raises(RequestError, match=words):
            rows_of(run, f"{tmp_path}/{name}", probabilities=False)
