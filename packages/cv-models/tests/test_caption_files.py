"""Lists of captions and clips in files: the forms that are read, the splits, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cv_models.describe.caption_files import CaptionFiles, CaptionFilesConfig, write_example
from cv_models.describe.caption_lists import read_list
from cv_models.watch.videos import ActionsConfig, ActionsTask, VideosConfig, VideosTask, write_actions, write_videos


def test_all_forms_of_a_list_say_the_same(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 7, "caption": "A dog."},
            {"image_id": 9, "caption": "Two cats"},
            {"image_id": 7, "caption": "One dog!"},
        ],
    }
    karpathy = {
        "images": [
            {"filename": "a.jpg", "split": "restval", "sentences": [{"tokens": ["a", "dog"]}, {"raw": "One dog!"}]},
            {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "Two cats."}]},
        ]
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    (tmp_path / "karpathy.json").write_text(json.dumps(karpathy))
    (tmp_path / "Flickr8k.token.txt").write_text("a.jpg#0\tA dog .\na.jpg#1\tOne dog .\nb.jpg#0\tTwo cats\n")
    (tmp_path / "table.csv").write_bytes(b'\xef\xbb\xbfcaption,file\r\n"A dog.",a.jpg\r\nOne dog,a.jpg\r\n\r\n"Two, cats",b.jpg\r\n')
    wanted = {"a.jpg": [["a", "dog"], ["one", "dog"]], "b.jpg": [["two", "cats"]]}
    for name in ("coco.json", "karpathy.json", "Flickr8k.token.txt", "table.csv"):
        assert {each.name: each.captions for each in read_list(tmp_path / name)} == wanted, name
    assert [each.split for each in read_list(tmp_path / "karpathy.json")] == ["train", "test"]
    vtt = {
        "videos": [{"video_id": "video0", "split": "train"}, {"video_id": "video1", "split": "validate"}],
        "sentences": [{"video_id": "video1", "caption": "a man runs"}, {"video_id": "video0", "caption": "a car"}],
    }
    (tmp_path / "vtt.json").write_text(json.dumps(vtt))
    assert {each.name: each.split for each in read_list(tmp_path / "vtt.json")} == {"video1": "validation", "video0": "train"}
    (tmp_path / "AllVideoDescriptions.txt").write_text("# MSVD\nmv89psg6zh4_33_46 a bird is bathing\n")
    assert read_list(tmp_path / "AllVideoDescriptions.txt")[0].captions == [["a", "bird", "is", "bathing"]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"images": [\n}', "line 2 of .*is not JSON"),
        ("a.json", '{"images": [{"id": 1}], "annotations": []}', "lacks 'file_name'"),
        ("a.json", "[]", "not a list of captions that is known"),
        ("a.csv", "file,caption\na.jpg", "line 2 of .* has 1 columns"),
        ("a.txt", "a.jpg#0\tdog\nb.jpg", "line 2 of .*expected a file, a tab or a space, and a caption"),
        ("a.txt", "# nothing\n", "holds no captions"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_place(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_list(tmp_path / name)


def test_pictures_are_split_whole_and_a_run_answers_without_the_list(tmp_path: Path) -> None:
    write_example(tmp_path / "captions.csv")
    (tmp_path / "3.png").unlink()
    task = CaptionFiles(CaptionFilesConfig(path=str(tmp_path / "captions.csv"), height=32, width=32))
    assert "1 files of the list are missing and left out, 3.png first" in task.caveat()
    assert [task.num_examples(split) for split in ("train", "validation", "test")] == [8, 1, 2]
    rows = task.read("test", np.arange(2))[1]
    assert all(len(task.vocabulary.texts(row, task.output_space.caption_length)) == 2 for row in rows)
    assert task.score(rows, rows)["exact match"] == 1.0
    state = task.state_dict()
    (tmp_path / "captions.csv").unlink()
    restored = CaptionFiles.from_state(task.config, state)
    assert restored.describe(rows) == task.describe(rows)
    assert restored.parse_file(tmp_path / "1.png").shape == (1, 32, 32, 3)
    assert "not found" in restored.data_change()
    (tmp_path / "list.csv").write_text("none.png,a dog\n")
    with pytest.raises(ValueError, match="captions of 0 files that are there"):
        CaptionFiles(CaptionFilesConfig(path=str(tmp_path / "list.csv")))


def test_clips_have_captions_or_classes(tmp_path: Path) -> None:
    write_videos(tmp_path / "videos")
    task = VideosTask(VideosConfig(path=str(tmp_path / "videos"), height=8, width=8, num_frames=3))
    clips, rows = task.read("train", np.arange(2))
    assert clips.shape == (2, 3, 8, 8, 3)
    assert " moves " in task.describe(rows)[0]
    write_actions(tmp_path / "actions")
    actions = ActionsTask(ActionsConfig(path=str(tmp_path / "actions"), height=8, width=8, num_frames=3))
    assert actions.class_names == ("one", "two")
    assert set(actions.read("train", np.arange(actions.num_examples("train")))[1]) == {0, 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no clips"):
        ActionsTask(ActionsConfig(path=str(tmp_path / "empty")))
    with pytest.raises(ValueError, match="holds no list of captions"):
        VideosTask(VideosConfig(path=str(tmp_path / "empty")))
