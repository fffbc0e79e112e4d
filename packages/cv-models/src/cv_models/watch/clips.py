"""Clips as inputs of tasks: read from what a user names, and shown as strips of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cv_models.watch.index import answer_clip
from cv_models.watch.video_files import CLIPS, clip_frames, is_clip
from rl_core import parsing
from rl_core.task import DataTask, Predict, Task

STRIP = 4  # frames of a clip that are shown side by side


def film_strip(clip: np.ndarray) -> np.ndarray:
    """Return `STRIP` frames of a clip [T, H, W, C] side by side, first to last, with a white line between them.

    >>> film_strip(np.zeros((8, 2, 2, 3), np.uint8)).shape
    (2, 11, 3)
    """
    chosen = np.linspace(0, len(clip) - 1, STRIP).round().astype(int)
    line = np.full((clip.shape[1], 1, clip.shape[3]), 255, np.uint8)
    parts = [part for index in chosen for part in (clip[index], line)]
    return np.concatenate(parts[:-1], axis=1)


def parse_clip(task: Task, text: str) -> Any:
    """Return the clip in a file or a folder of frames at the size of the task's input space [1, T, H, W, C], or one given as JSON.

    Args:
        task: A task whose inputs are clips [T, H, W, C].
        text: A path, or JSON.

    Raises:
        ValueError: if the clip cannot be read.
    """
    path = Path(text)
    if len(text) < 1000 and "\n" not in text and not text.lstrip().startswith("[") and path.exists() and is_clip(path):
        return read_clip(task, path)
    return parsing.parse(task.input_space, text)


def read_clip(task: Task, path: Path) -> np.ndarray:
    """Return the clip in a file or a folder of frames at the size of the task's input space [1, T, H, W, C].

    Raises:
        ValueError: if the clip cannot be read.
    """
    count, height, width, channels = task.input_space.shape or (1, 1, 1, 3)
    frames = clip_frames(path, count, height, width)
    if channels == 1:
        frames = np.rint(frames @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    return frames[None]


class ClipTask(DataTask):
    """Base of tasks whose inputs are clips [T, H, W, C], beside the base that says what their targets are."""

    file_suffixes: ClassVar[tuple[str, ...]] = (*CLIPS, ".jsonl")

    def shown(self, example: np.ndarray) -> np.ndarray:
        """Return some frames of a clip side by side."""
        return film_strip(example)

    def parse(self, text: str) -> Any:
        """Return the clip in a folder of frames or a video file [1, T, H, W, C], or one given as JSON.

        Raises:
            ValueError: if it cannot be read.
        """
        return parse_clip(self, text)

    def parse_file(self, path: Path) -> Any:
        """Return the clip in a file [1, T, H, W, C], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        return read_clip(self, path) if path.suffix.lower() in CLIPS else super().parse_file(path)

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return the answer for each part of a video; write its index and its key frames into `folder`. See `cv_models.watch.index`.

        Raises:
            ValueError: naming the file that cannot be read or written.
        """
        return answer_clip(self, path, predict, folder) if path.suffix.lower() in CLIPS else super().answer_file(path, predict, folder)
