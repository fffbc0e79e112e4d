"""Long videos: what is seen when, key frames in place of the whole, and a search over the indices of a folder of videos.

    rl-core predict RUN talk.mp4                        # writes talk.json, the captions of its parts, and talk.png, its key frames
    python -m cv_models.watch.index RUN/predictions "red circle"        # the parts of all indexed videos that match best

A video is cut where its colours change at once (a new shot), and each shot into parts of about `PART` seconds; each part has a caption.
Key frames are chosen so that each frame of the video is near to one of them in its colours and layout.

Sources: shots by differences of colour histograms, Boreczky and Rowe, *Comparison of video shot boundary detection techniques*, 1996;
key frames as centres, Gonzalez, *Clustering to minimize the maximum intercluster distance*, 1985; the search is a cosine of tf-idf weights,
Salton and Buckley, *Term-weighting approaches in automatic text retrieval*, 1988.

Letters: n frames, K key frames.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cv_models.describe.captions import words_of
from cv_models.tasks.label_files import resized
from cv_models.watch.video_files import at_times, frames_at, timeline

PART = 4.0  # seconds of a video that share a caption, about
LOOKED_AT = 2.0  # frames a second that shots and key frames are found among, at most
MOST = 600  # frames that are looked at in one video
CUT = 0.35  # difference of two histograms, of 1, that makes a new shot
GRID, LEVELS = 4, 4  # parts of a frame's side, and levels of each colour, of its features
KEY_FRAMES = 8


class Part(NamedTuple):
    """A part of a video.

    Attributes:
        begin: Seconds.
        end: Seconds.
        caption: Words that say what is seen.
    """

    begin: float
    end: float
    caption: str


def features(frame: np.ndarray) -> np.ndarray:
    """Return the histogram of the colours of a frame [H, W, 3], sum 1, and the mean colour of each part of it, in [0, 1]."""
    levels = (frame.astype(np.int64) * LEVELS) // 256
    codes = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
    histogram = np.bincount(codes.ravel(), minlength=LEVELS**3) / codes.size
    return np.concatenate([histogram, resized(frame, GRID, GRID).ravel() / 255.0 / GRID])


def cuts(found: np.ndarray) -> list[int]:
    """Return the frames at which a new shot begins, the first one included.

    Args:
        found: Features of frames [n, F]; the histogram is first.

    >>> red, blue = np.zeros(112), np.zeros(112)
    >>> red[0] = blue[9] = 1.0
    >>> cuts(np.stack([red, red, blue]))
    [0, 2]
    """
    histograms = found[:, : LEVELS**3]
    changes = 0.5 * np.abs(np.diff(histograms, axis=0)).sum(axis=1)
    return [0, *(int(place) + 1 for place in np.flatnonzero(changes > CUT))]


def key_frames(found: np.ndarray, count: int) -> list[int]:
    """Return up to `count` frames so that every frame is near to one of them; sorted.

    The first is nearest to the mean; each further one is the farthest from those before, which is at most twice the best distance.

    Args:
        found: Features of frames [n, F].
        count: K.

    >>> key_frames(np.array([[0.0], [0.1], [1.0]]), 2)
    [1, 2]
    """
    chosen = [int(np.square(found - found.mean(axis=0)).sum(axis=1).argmin())]
    nearest = np.square(found - found[chosen[0]]).sum(axis=1)
    while len(chosen) < count and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(found - found[chosen[-1]]).sum(axis=1))
    return sorted(chosen)


def parts_of(duration: float, begins: Sequence[float]) -> list[tuple[float, float]]:
    """Return begin and end of each part of a video: shots, in parts of about `PART` seconds.

    >>> parts_of(10.0, [0.0, 2.0])
    [(0.0, 2.0), (2.0, 6.0), (6.0, 10.0)]
    """
    found = []
    for begin, end in zip(begins, [*begins[1:], duration], strict=True):
        number = max(1, round((end - begin) / PART))
        bounds = [begin + (end - begin) * part / number for part in range(number + 1)]
        found += list(pairwise(bounds))
    return found


def answer_clip(shape: tuple[int, int, int], path: Path, describe: Callable[[np.ndarray], Sequence[Any]], folder: Path) -> list[Any]:
    """Return the caption of each part of a video, and write its index and its key frames into `folder`.

    Args:
        shape: T, H, W of the clips.
        path: A video file, an animated picture, or a folder of frames.
        describe: Returns the captions of clips [B, T, H, W, 3].
        folder: Where `<name>.json` and `<name>.png` are written.

    Raises:
        ValueError: naming the file that cannot be read or written.
    """
    line = timeline(path)
    looked = np.unique(at_times(line, np.linspace(0, line.duration, min(MOST, 2 + int(LOOKED_AT * line.duration)), endpoint=False)))
    small, found = [], []
    for frame in frames_at(path, looked):
        found.append(features(frame))
        small.append(resized(frame, *_shown_size(frame)))
    spans = parts_of(line.duration, [float(line.times[looked[place]]) if place else 0.0 for place in cuts(np.stack(found))])
    count, height, width = shape
    wanted = np.concatenate([at_times(line, begin + (np.arange(count) + 0.5) * (end - begin) / count) for begin, end in spans])
    order, places = np.unique(wanted, return_inverse=True)
    clips = np.stack([resized(frame, height, width) for frame in frames_at(path, order)])[places].reshape(-1, count, height, width, 3)
    answers = [str(answer) for answer in describe(clips)]
    index = [Part(round(begin, 3), round(end, 3), answer) for (begin, end), answer in zip(spans, answers, strict=True)]
    chosen = key_frames(np.stack(found), KEY_FRAMES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        document = {"video": str(path), "seconds": round(line.duration, 3), "parts": [part._asdict() for part in index]}
        (folder / f"{path.stem}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        times = [float(line.times[looked[place]]) for place in chosen]
        _draw(folder / f"{path.stem}.png", path.name, [small[place] for place in chosen], times, index)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written to: {error.strerror or error}") from error
    return [answers[0]] if len(index) == 1 else [part._asdict() for part in index]


def search(folder: Path, query: str, most: int = 10) -> list[dict[str, Any]]:
    """Return the parts of the indexed videos of a folder whose captions are nearest to a query, best first.

    Args:
        folder: The folder of indices that `answer_clip` wrote.
        query: Words.
        most: How many parts are returned at most.

    Raises:
        ValueError: if the folder holds no index, or the query no word.
    """
    entries = []
    for file in sorted(folder.glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "parts" in document:
            entries += [{"video": document["video"], **part} for part in document["parts"]]
    if not entries:
        raise ValueError(f"{folder} holds no index of a video; write one: rl-core predict RUN VIDEO")
    asked = Counter(words_of(query))
    if not asked:
        raise ValueError(f"the query {query!r} has no words; expected for example: red circle")
    captions = [Counter(words_of(entry["caption"])) for entry in entries]
    frequency = Counter(word for words in captions for word in words)

    def weighted(words: Counter[str]) -> dict[str, float]:
        return {word: count * math.log(1.0 + len(entries) / (1 + frequency[word])) for word, count in words.items()}

    wanted, scored = weighted(asked), []
    for entry, words in zip(entries, captions, strict=True):
        own = weighted(words)
        norms = math.hypot(*wanted.values()) * math.hypot(*own.values())
        score = sum(value * own.get(word, 0.0) for word, value in wanted.items()) / norms if norms else 0.0
        if score > 0:
            scored.append({**entry, "score": round(score, 4)})
    return sorted(scored, key=lambda entry: -entry["score"])[:most]


def _shown_size(frame: np.ndarray) -> tuple[int, int]:
    """Return the height and width at which a frame is drawn, 160 pixels high at most."""
    height, width = frame.shape[:2]
    factor = min(1.0, 160.0 / height)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _draw(path: Path, name: str, frames: Sequence[np.ndarray], times: Sequence[float], index: Sequence[Part]) -> None:
    from cv_models.describe.caption_task import wrapped
    from rl_core.figure import new_figure

    columns = min(4, len(frames))
    rows = -(-len(frames) // columns)
    figure = new_figure(3.0 * columns + 0.4, 2.7 * rows + 0.6)
    figure.suptitle(f"key frames of {name}", fontsize=10)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, frame, time in zip(grid, frames, times, strict=False):
        said = next((part.caption for part in index if part.begin <= time < part.end), index[-1].caption)
        axes.imshow(frame, interpolation="nearest")
        axes.set_title(wrapped(f"{time:.1f} s: {said}", 34), fontsize=8)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Print the parts that match a query, one JSON object a line; return the exit status."""
    if len(arguments) != 2:
        sys.stderr.write(
            "error: expected a folder of indices and a query\nhint: python -m cv_models.watch.index RUN/predictions 'red circle'\n"
        )
        return 2
    try:
        found = search(Path(arguments[0]), arguments[1])
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
