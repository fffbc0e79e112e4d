"""The schemes `videos:<folder>`, clips with captions in MSVD's and MSR-VTT's local forms, and `actions:<folder>`, clips by class.

`videos` looks for the list in the folder, and for the clips beside it or in `videos`: files, or folders of frames. `actions` has one folder
of clips for each class, and may have `train` and `test` folders of those. Frames are decoded once and kept while they fit in memory. With
`features=RUN` the frozen network of a run on pictures turns each frame into features once; captioners then learn from those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space, spaces

from cv_models.describe.caption_lists import Captioned, read_list
from cv_models.describe.listed_captions import SPLITS, ListedCaptions, ListedConfig
from cv_models.watch.clips import ClipTask
from cv_models.watch.frame_features import FrameFeatures
from cv_models.watch.video_files import CLIPS, clip_frames, clips_in
from dl_nets.tasks.classification import report
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import shown
from rl_core import config as configs
from rl_core.config import Count, Doc, FilePath, configclass

LISTS = (
    "AllVideoDescriptions.txt",
    "*videodatainfo.json",
    "captions.json",
    "captions.csv",
    "captions.tsv",
    "*.json",
    "*.csv",
    "*.tsv",
    "*.txt",
)
FOLDERS = ("", "videos", "clips", "video", "YouTubeClips", "TrainValVideo", "TestVideo")
MSVD = (1200, 100, 670)  # clips of the training, the validation and the test split, in the order of the list
SPLIT_FOLDERS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@configclass
class VideosConfig(ListedConfig):
    """The folder of clips with a list of captions, and how clips are read."""

    num_frames: Annotated[Count, Doc("T, frames of a clip: the middle ones of T equal stretches of its time")] = 12
    features: Annotated[FilePath, Doc("run on pictures whose network turns each frame into features; none: inputs are the frames")] = ""
    features_folder: Annotated[FilePath, Doc("folder in which features are kept for other runs; none: nowhere")] = ""


class VideosTask(ClipTask, ListedCaptions):
    """Clips [T, H, W, 3] and their captions; see `ListedCaptions` for the arguments."""

    Config: ClassVar[type] = VideosConfig
    config: VideosConfig

    def __init__(self, config: VideosConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config, state, other=other)
        _check_features(self.frame_features, state)

    def state_dict(self) -> dict[str, Any]:
        """Return what `ListedCaptions` keeps, and a digest of the network of the features."""
        return {**super().state_dict(), "features": self.frame_features.digest if self.frame_features else ""}

    def collect(self) -> list[Captioned]:
        """Return the clips of the list.

        Raises:
            ValueError: if the folder holds no list.
        """
        path = Path(self.config.path)
        if path.is_file():
            return _with_msvd_splits(read_list(path))
        if not path.is_dir():
            raise ValueError(f"the folder {shown(path)} was not found")
        found = next((file for pattern in LISTS for file in sorted(path.glob(pattern))), None)
        if found is None:
            raise ValueError(f"{shown(path)} holds no list of captions; expected captions.csv, MSVD's text or MSR-VTT's JSON")
        return _with_msvd_splits(read_list(found))

    def file_of(self, name: str) -> Path | None:
        """Return the file or folder of a clip, or `None` where it is missing."""
        return self._files.get(name, self._files.get(Path(name).stem))

    def load(self, path: Path) -> np.ndarray:
        """Return the clip in a file or folder [T, H, W, 3], or the features of its frames [T, K].

        Raises:
            ValueError: naming the file that cannot be read.
        """
        return _loaded(self, path)

    def inputs(self) -> Space[Any]:
        """Return the space of clips, or of the features of their frames."""
        self.frame_features = _features_of(self.config)
        return _space(self.config, self.frame_features)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Clips by their name, with and without its suffix."""
        path, found = Path(self.config.path), dict[str, Path]()
        folder = path if path.is_dir() else path.parent
        for name in FOLDERS:
            if (folder / name).is_dir():
                for clip in clips_in(folder / name):
                    found.setdefault(clip.name, clip)
                    found.setdefault(clip.stem, clip)
        return found


def _with_msvd_splits(listed: list[Captioned]) -> list[Captioned]:
    """Return a list with MSVD's splits, if it has as many clips as MSVD and no splits of its own."""
    if len(listed) != sum(MSVD) or any(each.split for each in listed):
        return listed
    bounds = np.cumsum(MSVD)
    return [each._replace(split=SPLITS[int(np.searchsorted(bounds, place, side="right"))]) for place, each in enumerate(listed)]


@configclass
class ActionsConfig(SplitConfig):
    """The folder of clips by class, and how they are read."""

    path: Annotated[FilePath, Doc("the folder: one folder of clips for each class, or train and test folders of those")] = ""
    num_frames: Annotated[Count, Doc("T, frames of a clip: the middle ones of T equal stretches of its time")] = 12
    height: Annotated[Count, Doc("H, pixels")] = 64
    width: Annotated[Count, Doc("W, pixels")] = 64
    features: Annotated[FilePath, Doc("run on pictures whose network turns each frame into features; none: inputs are the frames")] = ""
    features_folder: Annotated[FilePath, Doc("folder in which features are kept for other runs; none: nowhere")] = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the folder after the colon: actions:clips")


class ActionsTask(ClipTask):
    """Clips [T, H, W, 3] and the class of each.

    Args:
        config: The folder and how it is read.
        state: The `state_dict` of the task that an agent was trained on; `None` finds everything in the folder.
        other: Whether all clips of the folder are the test split, in the classes of `state`.

    Raises:
        ValueError: if the folder has fewer than two classes with clips; the text names it.
    """

    Config: ClassVar[type] = ActionsConfig
    config: ActionsConfig
    metric = "accuracy"
    costly = True

    def __init__(self, config: ActionsConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._kept: dict[str, np.ndarray] = {}
        if state is None or other:
            self._list(tuple(str(name) for name in state["classes"]) if state else (), whole_is_test=other)
        else:
            self.class_names = tuple(str(name) for name in state["classes"])
            self._splits = {split: [str(name) for name in state["splits"][split]] for split in SPLITS}
            self._digest = str(state["digest"])
        self.frame_features = _features_of(config)
        _check_features(self.frame_features, state)
        self.input_space = _space(config, self.frame_features)
        self.output_space = spaces.Discrete(len(self.class_names))

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> ActionsTask:
        """Return the task of a run, which reads its folder only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> ActionsTask:
        """Return a task whose test split is all of another folder, in the classes of `state`."""
        return cls(configs.build(ActionsConfig, {**state["config"], "path": config.path}, where="task actions"), state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the classes, the clips of each split, and a digest of their names."""
        return {
            "config": configs.to_plain(self.config),
            "classes": list(self.class_names),
            "splits": dict(self._splits),
            "digest": self._digest,
            "features": self.frame_features.digest if self.frame_features else "",
        }

    def data_change(self) -> str:
        """Return how the folder differs from the one that the run learned from, or ""."""
        try:
            found = _digest(_clips_by_class(Path(self.config.path)))
        except ValueError as error:
            return f"{error} (if the data was moved, set task_config.path in the run's recipe.yaml)"
        return "" if found == self._digest else f"the clips in {self.config.path} have changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the folder as it is now, split anew."""
        self._list(self.class_names, whole_is_test=False)
        self._kept.clear()

    def num_examples(self, split: str) -> int:
        """Return how many clips the split has."""
        return len(self._splits[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return clips [B, T, H, W, 3], or the features of their frames [B, T, K], and classes [B].

        Raises:
            ValueError: naming the file that cannot be read.
        """
        names = [self._splits[split][index] for index in indices]
        clips = np.zeros((len(names), *(self.input_space.shape or ())), self.input_space.dtype)
        for place, name in enumerate(names):
            if name not in self._kept:
                self._kept[name] = _loaded(self, Path(self.config.path) / name)
            clips[place] = self._kept[name]
        return clips, np.array([self.class_names.index(Path(name).parent.name) for name in names], np.int64)

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the scores of classes that `classification.report` has."""
        return report(np.asarray(predictions), targets, self.class_names)

    def facts(self) -> dict[str, str]:
        """Return the counts and the classes."""
        names = [Path(name).parent.name for split in SPLITS for name in self._splits[split]]
        return {
            "clips": ", ".join(f"{len(self._splits[split]):,} {split}" for split in SPLITS),
            "classes": ", ".join(f"{name} ({names.count(name)})" for name in self.class_names),
        }

    def _list(self, known: tuple[str, ...], *, whole_is_test: bool) -> None:
        """Take the classes, the clips and the splits from the folder."""
        found = _clips_by_class(Path(self.config.path))
        self.class_names = known or tuple(sorted({Path(name).parent.name for name in found}))
        unknown = [name for name in found if Path(name).parent.name not in self.class_names]
        if unknown:
            raise ValueError(f"the clip {unknown[0]} has a class that the run does not know; its classes are {', '.join(self.class_names)}")
        if len(self.class_names) < 2:
            raise ValueError(
                f"{self.config.path} has clips of the class {self.class_names[0]} alone; expected a folder for each of two classes"
            )
        names, self._digest = sorted(found), _digest(found)
        given = {name: found[name] for name in names if found[name]}
        if whole_is_test:
            self._splits = {"train": names, "validation": [], "test": names}
        elif len(given) == len(names) and {"train", "test"} <= set(given.values()):
            self._splits = {split: [name for name in names if given[name] == split] for split in SPLITS}
        else:
            classes = np.array([self.class_names.index(Path(name).parent.name) for name in names])
            self._splits = {
                split: [names[index] for index in indices] for split, indices in self.config.indices(len(names), classes).items()
            }


def _features_of(config: VideosConfig | ActionsConfig) -> FrameFeatures | None:
    """Return what turns frames into features, if a config names it."""
    if not config.features:
        return None
    return FrameFeatures(Path(config.features), Path(config.features_folder) if config.features_folder else None)


def _check_features(features: FrameFeatures | None, state: Mapping[str, Any] | None) -> None:
    """Refuse features of another network than that of a state.

    Raises:
        ValueError: if the network has other weights now.
    """
    if features is not None and state is not None and state.get("features") != features.digest:
        raise ValueError("the run that features names has other weights than when this run learned from its features; name the old one")


def _space(config: VideosConfig | ActionsConfig, features: FrameFeatures | None) -> spaces.Box:
    """Return the space of clips, or of the features of their frames."""
    if features is not None:
        return spaces.Box(-np.inf, np.inf, (config.num_frames, features.size), np.float32)
    return spaces.Box(0, 255, (config.num_frames, config.height, config.width, 3), np.uint8)


def _loaded(task: VideosTask | ActionsTask, path: Path) -> np.ndarray:
    """Return the input of a task that is in a file or a folder of frames."""
    config = task.config

    def decode() -> np.ndarray:
        return clip_frames(path, config.num_frames, config.height, config.width)

    return decode() if task.frame_features is None else task.frame_features.of_clip(path, config.num_frames, decode)


def _clips_by_class(folder: Path) -> dict[str, str]:
    """Return the clips of a folder of classes, by their path below it, with the split that their folder says, or "".

    Raises:
        ValueError: if the folder is missing, or holds no clips.
    """
    if not folder.is_dir():
        raise ValueError(f"the folder {shown(folder)} was not found")
    found: dict[str, str] = {}
    tops = sorted(path for path in folder.iterdir() if path.is_dir())
    split_folders = [top for top in tops if top.name.lower() in SPLIT_FOLDERS]
    for split, classes in (
        [(SPLIT_FOLDERS[top.name.lower()], sorted(each for each in top.iterdir() if each.is_dir())) for top in split_folders]
        if split_folders
        else [("", tops)]
    ):
        for each in classes:
            found |= {clip.relative_to(folder).as_posix(): split for clip in clips_in(each)}
    if not found:
        raise ValueError(
            f"{shown(folder)} holds no clips; expected a folder of clips for each class: {', '.join(CLIPS)}, or folders of frames"
        )
    return found


def _digest(found: Mapping[str, str]) -> str:
    """Return a digest of the names of clips."""
    return hashlib.blake2b("\n".join(sorted(found)).encode(), digest_size=16).hexdigest()


def write_videos(path: Path) -> None:
    """Write 10 clips as folders of frames, and the list `captions.csv`, into a folder."""
    from cv_models.watch.moving_shapes import MOTIONS, caption_of

    lines = ["file,caption"]
    for number, (name, motion) in enumerate(_write_clips(path / "videos", 10)):
        lines.append(f"clip{number},{caption_of(name, MOTIONS[motion])}")
    (path / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_actions(path: Path) -> None:
    """Write 10 clips of two classes as folders of frames into a folder."""
    for number in range(2):
        _write_clips(path / ("one", "two")[number], 5)


def _write_clips(folder: Path, count: int) -> list[tuple[str, int]]:
    from PIL import Image

    from cv_models.watch.moving_shapes import clips

    made = clips(np.random.default_rng(len(folder.name)), count, 4, 16)
    for number, frames in enumerate(made.frames):
        (folder / f"clip{number}").mkdir(parents=True)
        for place, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"clip{number}" / f"{place:05d}.png")
    return list(zip(made.names, made.motions.tolist(), strict=True))
