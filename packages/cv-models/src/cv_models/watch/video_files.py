"""Frames of clips from video files, animated pictures, and folders of frames.

Video files are decoded by OpenCV, with the extra `cv-models[video]`; folders of pictures and GIFs need Pillow alone. Frames are chosen by
time: a clip is cut into equal stretches, and the frame that is shown in the middle of each is taken, whatever the frame rate.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cv_models.tasks.label_files import resized
from dl_nets.tasks.picture_files import SUFFIXES, read_picture
from dl_nets.tasks.text_files import shown
from rl_core.errors import DataError

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
ANIMATED = (".gif",)
CLIPS = (*VIDEOS, *ANIMATED)
FOLDER_RATE = 25.0  # frames a second that a folder of frames is taken to have
WHOLE = 0.95  # share of the frames that a file announces which must be there


class Timeline(NamedTuple):
    """Times at which the frames of a clip are shown.

    Attributes:
        times: Begin of each frame, seconds from the first one [n].
        duration: Seconds until the end of the last frame.
    """

    times: np.ndarray
    duration: float


def clip_frames(path: Path, count: int, height: int, width: int) -> np.ndarray:
    """Return frames of a clip at one size, uint8 [T, H, W, 3]; a clip with fewer frames shows some more than once.

    Args:
        path: A video file, an animated picture, or a folder of pictures in the order of their names.
        count: T.
        height: H, pixels.
        width: W, pixels.

    Raises:
        DataError: naming the file that cannot be read, has no frames, or is cut off.
    """
    line = timeline(path)
    indices = at_times(line, (np.arange(count) + 0.5) * line.duration / count)
    return np.stack([resized(frame, height, width) for frame in frames_at(path, indices)])


def at_times(line: Timeline, seconds: np.ndarray) -> np.ndarray:
    """Return the index of the frame that is shown at each time [T].

    >>> at_times(Timeline(np.array([0.0, 1.0, 1.5]), 2.0), np.array([0.5, 1.0, 1.9])).tolist()
    [0, 1, 2]
    """
    return np.clip(np.searchsorted(line.times, seconds, side="right") - 1, 0, len(line.times) - 1)


def timeline(path: Path) -> Timeline:
    """Return when the frames of a clip are shown.

    Raises:
        DataError: naming the file that cannot be read, has no frames, or is cut off.
    """
    if path.is_dir():
        count = len(_pictures(path))
        return Timeline(np.arange(count) / FOLDER_RATE, count / FOLDER_RATE)
    if path.suffix.lower() in ANIMATED:
        return _animated_timeline(path)
    return _video_timeline(path)


def frames_at(path: Path, indices: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
    """Yield the frames uint8 [H, W, 3] at indices, which do not fall."""
    if path.is_dir():
        files = _pictures(path)
        yield from (read_picture(files[int(index)]) for index in indices)
    elif path.suffix.lower() in ANIMATED:
        from PIL import Image

        with Image.open(path) as image:
            for index in indices:
                image.seek(int(index))
                yield np.asarray(image.convert("RGB"))
    else:
        yield from _video_frames(path, [int(index) for index in indices])


def is_clip(path: Path) -> bool:
    """Return whether a path is a file of a clip, or a folder that holds pictures."""
    if path.is_dir():
        return any(each.suffix.lower() in SUFFIXES for each in path.iterdir())
    return path.suffix.lower() in CLIPS


def clips_in(folder: Path) -> list[Path]:
    """Return the clips of a folder by name: video files, animated pictures, and folders of frames; hidden ones are left out.

    Raises:
        ValueError: if the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_clip(path))
    except OSError as error:
        raise DataError(f"the folder {shown(folder)} cannot be read: {error.strerror or error}") from error


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not found:
        raise DataError(f"{shown(folder)} has no frames; expected pictures that are named in their order, such as 00001.png")
    return found


def _animated_timeline(path: Path) -> Timeline:
    from PIL import Image, UnidentifiedImageError

    durations = []
    try:
        with Image.open(path) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
                durations.append(max(float(image.info.get("duration", 0) or 0), 20.0) / 1000.0)
    except (OSError, SyntaxError, EOFError, UnidentifiedImageError) as error:
        raise DataError(f"{shown(path)} cannot be read as a clip: {getattr(error, 'strerror', None) or error}") from error
    ends = np.cumsum(durations)
    return Timeline(ends - durations, float(ends[-1]))


def _opencv() -> Any:
    """Return the module of OpenCV.

    Raises:
        ValueError: with the install line, if it is not installed.
    """
    if importlib.util.find_spec("cv2") is None:
        raise ValueError("video files need OpenCV, which is not installed here; install it: pip install 'cv-models[video]'")
    return importlib.import_module("cv2")


def _opened(path: Path) -> Any:
    """Return an open video.

    Raises:
        DataError: naming the file that cannot be opened.
    """
    cv2 = _opencv()
    if not path.is_file():
        raise DataError(f"the video {shown(path)} was not found")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise DataError(f"{shown(path)} cannot be read as a video; expected a file of {', '.join(VIDEOS)} that plays")
    return video


def _video_timeline(path: Path) -> Timeline:
    cv2, video, times = _opencv(), _opened(path), []
    announced = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = float(video.get(cv2.CAP_PROP_FPS))
    rate = rate if np.isfinite(rate) and rate > 0 else FOLDER_RATE
    while video.grab():
        times.append(float(video.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0)
    video.release()
    if not times:
        raise DataError(f"{shown(path)} has no frames; expected a video that plays")
    if len(times) < WHOLE * announced:
        raise DataError(f"{shown(path)} ends after {len(times)} of {announced} frames: the file is cut off or damaged; get it again")
    begins = np.array(times) - times[0]
    if (np.diff(begins) < 0).any() or (len(begins) > 1 and begins[-1] <= 0):  # containers without times
        begins = np.arange(len(times)) / rate
    return Timeline(begins, float(begins[-1]) + 1.0 / rate)


def _video_frames(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    cv2, video, place = _opencv(), _opened(path), -1
    frame: np.ndarray | None = None
    try:
        for index in indices:
            while place < index:
                if not video.grab():
                    raise DataError(f"{shown(path)} has no frame {index}; it ends after {place + 1}")
                place += 1
                if place == index:
                    _, pixels = video.retrieve()
                    frame = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            assert frame is not None
            yield frame
    finally:
        video.release()
