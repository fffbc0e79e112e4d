"""Clips as inputs of tasks: read from what a user names, and shown as strips of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cv_models.watch.frame_features import FrameFeatures
from cv_models.watch.index import answer_clip
from cv_models.watch.video_files import CLIPS, clip_frames, is_clip
from rl_core import parsing
from rl_core.task import DataTask, Predict

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


class ClipTask(DataTask):
    """Base of tasks whose inputs are clips, or features of their frames, beside the base that says what their targets are.

    Attributes:
        frame_features: What turns frames into features; `None` where inputs are the clips themselves.
    """

    file_suffixes: ClassVar[tuple[str, ...]] = (*CLIPS, ".jsonl")
    frame_features: FrameFeatures | None = None

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """Frames, height and width of a clip as it is decoded."""
        config: Any = self.config
        shape: tuple[int, ...] = tuple(self.input_space.shape or ())
        return (shape[0], shape[1], shape[2]) if len(shape) == 4 else (config.num_frames, config.height, config.width)

    def seen(self, clips: np.ndarray) -> np.ndarray:
        """Return clips [B, T, H, W, 3] as inputs: themselves, or the features of their frames [B, T, K]."""
        if self.frame_features is None:
            return clips
        return self.frame_features(clips.reshape(-1, *clips.shape[2:])).reshape(*clips.shape[:2], -1)

    def shown(self, example: np.ndarray) -> np.ndarray:
        """Return some frames of a clip side by side; features [T, K] as a map, a row for each frame, light where they are large."""
        if example.ndim == 4:
            return film_strip(example)
        scaled = 255.0 * (example - example.min()) / max(float(np.ptp(example)), 1e-9)
        return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)

    def parse(self, text: str) -> Any:
        """Return the inputs of the clip in a folder of frames or a video file [1, T, ...], or inputs given as JSON.

        Raises:
            ValueError: if it cannot be read.
        """
        path = Path(text)
        if len(text) < 1000 and "\n" not in text and not text.lstrip().startswith("[") and path.exists() and is_clip(path):
            return self._read_clip(path)
        return parsing.parse(self.input_space, text)

    def parse_file(self, path: Path) -> Any:
        """Return the inputs of the clip in a file [1, T, ...], or those of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        return self._read_clip(path) if path.suffix.lower() in CLIPS else super().parse_file(path)

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return the answer for each part of a video; write its index and its key frames into `folder`. See `cv_models.watch.index`.

        Raises:
            ValueError: naming the file that cannot be read or written.
        """
        if path.suffix.lower() not in CLIPS:
            return super().answer_file(path, predict, folder)
        return answer_clip(self.clip_shape, path, lambda clips: self.describe(predict(self.seen(clips))), folder)

    def _read_clip(self, path: Path) -> np.ndarray:
        return self.seen(clip_frames(path, *self.clip_shape)[None])
