from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dl_nets.tasks.picture_files import ORIENTATION, picture_size, read_picture
from dl_nets.tasks.picture_folder import PictureFolder, PictureFolderConfig, write_example
from rl_core.cli.cli import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_example(tmp_path / "noise")
    return tmp_path / "noise"


def small(path: Path, **fields: object) -> PictureFolder:
    return PictureFolder(PictureFolderConfig(**{"path": str(path), "height": 6, "width": 8, **fields}))


def test_whatever_a_picture_holds_it_becomes_bytes_of_grey_or_colour(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = tmp_path / "deep.png"
    Image.fromarray(ramp.astype(np.uint16) * 257).save(deep)
    assert np.array_equal(read_picture(deep, grey=True)[..., 0], ramp)
    grey = tmp_path / "grey.png"
    Image.fromarray(ramp).save(grey)
    assert np.array_equal(read_picture(grey), np.repeat(ramp[..., None], 3, axis=2))
    palette = tmp_path / "palette.gif"
    Image.fromarray(np.stack([ramp, ramp * 0, 255 - ramp], axis=2)).convert("P", palette=Image.Palette.ADAPTIVE).save(palette)
    assert np.abs(read_picture(palette).astype(int) - np.stack([ramp, ramp * 0, 255 - ramp], axis=2)).max() < 12
    clear = tmp_path / "clear.png"
    Image.fromarray(np.dstack([ramp, ramp, ramp, np.zeros_like(ramp)])).save(clear)
    assert (read_picture(clear) == 255).all()  # transparent over white
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was held on its side: turn clockwise
    Image.fromarray(np.repeat(np.array([[0] * 32, [255] * 32], np.uint8), 8, axis=0)).save(turned, exif=exif)
    pixels = read_picture(turned, grey=True)[..., 0]
    assert (*pixels.shape[::-1],) == picture_size(turned) == (16, 32)
    assert pixels[:, :4].mean() > 200 > 50 > pixels[:, -4:].mean()


def test_files_that_are_not_pictures_are_refused_by_name(folder: Path) -> None:
    target = folder / "red" / "bad one.png"
    good = (folder / "red" / "0.png").read_bytes()
    for data, words in ((b"", "is empty"), (b"no picture", "is not a picture that can be read")):
        target.write_bytes(data)
        with pytest.raises(ValueError, match=rf"bad one\.png {words}; expected \.jpg, \.jpeg, \.png"):
            small(folder)
    target.write_bytes(good[: len(good) // 2])
    task = small(folder)
    with pytest.raises(ValueError, match=r"bad one\.png cannot be read as a picture: .*truncated"):
        [task.read(split, np.arange(task.num_examples(split))) for split in ("train", "validation", "test")]
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)  # a head suffices: nothing is decoded
    target.write_bytes(good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:])
    with pytest.raises(ValueError, match=r"bad one\.png has 400000000 pixels; at most 64,000,000 are read: make it smaller, or cut it"):
        small(folder)


def test_empty_classes_copies_and_other_files_are_said(folder: Path) -> None:
    (folder / "ünused").mkdir()
    (folder / "red" / "notes.txt").write_text("hello")
    shutil.copy(folder / "red" / "3.png", folder / "red" / "copy of 3.png")
    shutil.copy(folder / "red" / "4.png", folder / "light blue" / "stray.png")
    task = small(folder)
    assert task.class_names == ("light blue", "red")
    assert sum(task.num_examples(split) for split in ("train", "validation", "test")) == 41
    for words in (
        "left out the empty classes ünused",
        "left out 1 files that are not pictures",
        "left out 1 copies of pictures: copy of 3.png is 3.png in red",
        "1 pictures are in two places: red/4.png is light blue/stray.png",
    ):
        assert words in task.caveat()


def test_a_folder_without_two_classes_is_refused_with_what_it_has(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"red has 20 pictures beside its folders and 0 folders with pictures; expected a folder of"):
        small(folder / "red")
    shutil.rmtree(folder / "light blue")
    with pytest.raises(ValueError, match=r"noise has 1 folder with pictures \(red\); expected a folder of pictures"):
        small(folder)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        small(tmp_path / "nowhere")


def test_given_splits_are_kept_and_a_missing_validation_part_is_taken_from_training(folder: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    shutil.copytree(folder, split / "Train")
    for name in ("red", "light blue"):
        (split / "test" / name).mkdir(parents=True)
        for number in range(5):
            (split / "Train" / name / f"{number}.png").rename(split / "test" / name / f"{number}.png")
    task = small(split, validation_fraction=0.2)
    assert [task.num_examples(part) for part in ("train", "validation", "test")] == [24, 6, 10]
    images, classes = task.read("test", np.arange(10))
    assert images.shape == (10, 6, 8, 3)
    assert np.array_equal(classes, images[..., 0].mean((1, 2)) > images[..., 2].mean((1, 2)))


def test_pictures_are_the_same_with_and_without_memory(folder: Path) -> None:
    kept, anew = small(folder), small(folder, cache_megabytes=0)
    for indices in (np.array([3, 1, 3]), np.array([1, 5])):
        for one, other in zip(kept.read("train", indices), anew.read("train", indices), strict=True):
            assert np.array_equal(one, other)


def test_a_run_answers_without_its_folder_and_says_that_it_changed(folder: Path, tmp_path: Path) -> None:
    from rl_core.runs import checkpoint

    task = small(folder)
    checkpoint.save(tmp_path / "run", 0, {"task": task.state_dict()})
    state = checkpoint.load(tmp_path / "run" / "0")["task"]
    again = PictureFolder.from_state(task.config, state)
    assert again.data_change() == ""
    assert np.array_equal(again.read("test", np.arange(3))[0], task.read("test", np.arange(3))[0])
    shutil.copy(folder / "red" / "0.png", folder / "red" / "new.png")
    Image.new("RGB", (5, 5)).save(folder / "red" / "0.png")
    assert "have changed since" in again.data_change()
    assert again.parse_file(folder / "red" / "new.png").shape == (1, 6, 8, 3)
    (folder / "green").mkdir()
    Image.new("RGB", (5, 5)).save(folder / "green" / "0.png")
    with pytest.raises(ValueError, match="has a class 'green' that the model has not learned; its classes are light blue, red"):
        PictureFolder.for_evaluation(task.config, state)


def test_a_damaged_picture_ends_a_run_with_status_2_and_a_remedy(folder: Path, tmp_path: Path) -> None:
    damaged = sorted(path for path in folder.rglob("*") if path.is_file())[0]
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size * 2 // 3])
    ended = CliRunner().invoke(cli, ["run", f"images:{folder}", "--budget", "40", "--out", str(tmp_path / "run")])
    assert ended.exit_code == 2, ended.output
    assert f"{damaged.name} cannot be read as a picture" in ended.output
    assert "hint: copy or save the file again, then run the command again" in ended.output
