"""The task `shapes-captions`: two shapes, made from a seed, and a sentence of a small grammar that says all about them.

`a large red circle above a small blue square`: size, colour and kind of each shape, and their relation. Each picture has two true captions
("X above Y" and "Y below X"). With `order=fixed` the one with "above" or "left of" is asked for; with `order=either` both are learned, and
either is right. A caption is judged by the grammar: as a whole (exact match) and slot by slot, so that the best score, 1, is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from cv_models.describe.caption_task import CaptionTask
from cv_models.describe.captions import Vocabulary
from cv_models.tasks.label_files import resized
from dl_nets.tasks.picture_files import SUFFIXES, read_picture
from rl_core.config import Count, Doc, Meta, Whole, configclass

SPLITS = ("train", "validation", "test")
SIZES, KINDS = ("small", "large"), ("circle", "square", "triangle")
COLOURS = {"red": (215, 45, 45), "green": (45, 175, 60), "blue": (55, 75, 225), "yellow": (230, 215, 50)}
RELATIONS = ("above", "left of", "below", "right of")
OPPOSITE = {"above": "below", "left of": "right of", "below": "above", "right of": "left of"}
RADII = (0.09, 0.17)  # of small and large shapes, of the picture's side; each varies by a tenth
SPREAD, NOISE = 12.0, 10.0  # deviation of a shape's colour, and of each pixel's, of 255
LENGTH = 11  # tokens of the longest caption and its end
CHUNK = 250  # pictures that are drawn together, when one of them is read
SLOTS = ("first size", "first colour", "first shape", "relation", "second size", "second colour", "second shape")


class Scenes(NamedTuple):
    """N pictures of two shapes.

    Attributes:
        pictures: Bytes [N, S, S, 3].
        centres: Centres (x, y) of the first and the second shape of the caption [N, 2, 2], pixels.
        captions: The captions with "above" or "left of".
    """

    pictures: np.ndarray
    centres: np.ndarray
    captions: list[str]


def scenes(rng: np.random.Generator, count: int, size: int) -> Scenes:
    """Return pictures of two shapes that do not touch, with the caption of each.

    Along the axis of the relation the centres are further apart than across it, by a third at least.

    Args:
        rng: Source of the pictures.
        count: N.
        size: S, side of the pictures, pixels.
    """
    level, colour, kind = (rng.integers(0, most, (count, 2)) for most in (2, len(COLOURS), len(KINDS)))
    axis = rng.integers(0, 2, count)  # 0: above, 1: left of
    radius = np.array(RADII)[level] * rng.uniform(0.9, 1.1, (count, 2)) * size
    reach = radius.sum(axis=1)
    apart = rng.uniform(reach + 1.0, size - reach)
    across = rng.uniform(-0.75, 0.75, count) * np.minimum(apart, size - reach)
    along = rng.uniform(radius[:, 0], size - apart - radius[:, 1])  # of the first centre
    low = np.maximum(radius[:, 0], radius[:, 1] - across)
    high = np.minimum(size - radius[:, 0], size - radius[:, 1] - across)
    beside = rng.uniform(low, np.maximum(low, high))
    ends = np.stack([np.stack([beside, along], 1), np.stack([beside + across, along + apart], 1)], 1)  # (x, y) of "above"
    centres = np.where(axis[:, None, None] == 1, ends[:, :, ::-1], ends)
    paint = np.array(list(COLOURS.values()), np.float64)[colour] + rng.normal(0, SPREAD, (count, 2, 3))
    ground = rng.uniform(90, 165, count)
    pictures = np.empty((count, size, size, 3), np.uint8)
    y, x = np.mgrid[0:size, 0:size] + 0.5
    pixels = np.broadcast_to(ground[:, None, None, None], pictures.shape).astype(np.float32)
    for number in range(2):
        place, row, column = np.nonzero(inside(kind[:, number], x, y, centres[:, number], radius[:, number]))
        pixels[place, row, column] = paint[:, number][place]
    pixels += np.float32(NOISE) * rng.standard_normal(pixels.shape, np.float32)
    pictures[:] = np.clip(pixels, 0, 255)
    names = list(COLOURS)
    objects = [[f"a {SIZES[level[i, n]]} {names[colour[i, n]]} {KINDS[kind[i, n]]}" for n in (0, 1)] for i in range(count)]
    captions = [f"{first} {RELATIONS[side]} {second}" for (first, second), side in zip(objects, axis, strict=True)]
    return Scenes(pictures, centres, captions)


def inside(kind: np.ndarray, x: np.ndarray, y: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return which pixels are inside each shape [n, S, S]; squares and triangles stand upright and have about the area of the circle."""
    right, down = (grid[None] - centre[:, place, None, None] for place, grid in enumerate((x, y)))
    r = radius[:, None, None]
    circle = right**2 + down**2 <= (0.95 * r) ** 2
    square = np.maximum(np.abs(right), np.abs(down)) <= 0.84 * r
    triangle = (down <= 0.8 * r) & (2.0 * np.abs(right) - down <= r)
    return np.asarray(np.choose(kind[:, None, None], [circle, square, triangle]))


def parsed(caption: str) -> tuple[str, ...] | None:
    """Return the seven slots of a caption; `None` for a text that the grammar does not make.

    >>> parsed("a large red circle left of a small blue square")
    ('large', 'red', 'circle', 'left of', 'small', 'blue', 'square')
    >>> parsed("a red large circle above a small blue square") is None
    True
    """
    words = caption.split()
    if len(words) == 10 and words[5] == "of":
        words[4:6] = [f"{words[4]} of"]
    if len(words) != 9 or words[0] != "a" or words[5] != "a" or words[4] not in RELATIONS:
        return None
    objects = words[1:4], words[6:9]
    if any(size not in SIZES or colour not in COLOURS or kind not in KINDS for size, colour, kind in objects):
        return None
    return (*objects[0], words[4], *objects[1])


def turned(caption: str) -> str:
    """Return the other true caption of a picture: the second object first.

    >>> turned("a large red circle above a small blue square")
    'a small blue square below a large red circle'
    """
    slots = parsed(caption)
    assert slots is not None
    return f"a {' '.join(slots[4:])} {OPPOSITE[slots[3]]} a {' '.join(slots[:3])}"


def slots_right(answer: str, references: Sequence[str]) -> dict[str, bool]:
    """Return which slots of an answer are right, by the true caption that it is nearest to, and whether the grammar makes it.

    >>> right = slots_right("a large red circle above a small red square", ["a large red circle above a small blue square"])
    >>> [name for name, value in right.items() if not value]
    ['second colour']
    """
    given = parsed(answer)
    best = [False] * len(SLOTS)
    for reference in references if given is not None else ():
        true = parsed(reference)
        found = [] if true is None or given is None else [one == other for one, other in zip(given, true, strict=True)]
        best = found if sum(found) > sum(best) else best
    return {"grammatical": given is not None, **dict(zip(SLOTS, best, strict=True))}


def grammar_words() -> Vocabulary:
    """Return the words of the grammar."""
    return Vocabulary(["a", "of", *SIZES, *COLOURS, *KINDS, *(relation.split()[0] for relation in RELATIONS)])


@configclass
class ShapeCaptionsConfig:
    """The number of pictures, and which captions are true."""

    size: Annotated[int, Meta(ge=32, le=256), Doc("side of the pictures, pixels")] = 48
    order: Annotated[
        Literal["fixed", "either"], Doc("fixed: the caption with above or left of is right; either: that from the other side as well")
    ] = "fixed"
    num_train: Annotated[Count, Doc("pictures to learn from")] = 8000
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 200
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 600
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


class ShapeCaptions(CaptionTask):
    """Pictures of two shapes [S, S, 3] and their captions.

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = ShapeCaptionsConfig
    config: ShapeCaptionsConfig
    metric = "exact match"
    file_suffixes = (*SUFFIXES, ".jsonl")

    def __init__(self, config: ShapeCaptionsConfig) -> None:
        super().__init__(config)
        pictures = spaces.Box(0, 255, (config.size, config.size, 3), np.uint8)
        self.set_spaces(pictures, grammar_words(), LENGTH, 1 if config.order == "fixed" else 2)
        self.slots = slots_right
        self._chunk = cache(self._draw)

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures [B, S, S, 3] and rows of captions [B, R T]."""
        parts = [(self._chunk(split, int(index) // CHUNK), int(index) % CHUNK) for index in indices]
        pictures = np.zeros((len(parts), *self.input_space.shape), np.uint8)
        rows = np.zeros((len(parts), *self.output_space.shape), np.int64)
        for place, (chunk, row) in enumerate(parts):
            pictures[place] = chunk.pictures[row]
            true = [chunk.captions[row].split(), turned(chunk.captions[row]).split()]
            rows[place] = self.vocabulary.row(true, self.output_space.caption_length, self.output_space.num_captions)
        return pictures, rows

    def captions(self, split: str) -> list[str]:
        """Return the caption with "above" or "left of" of each picture of a split."""
        count = self.num_examples(split)
        return [caption for number in range(-(-count // CHUNK)) for caption in self._chunk(split, number).captions][:count]

    def centres(self, split: str) -> np.ndarray:
        """Return the centres (x, y) of the first and the second shape of each caption [N, 2, 2], pixels."""
        count = self.num_examples(split)
        return np.concatenate([self._chunk(split, number).centres for number in range(-(-count // CHUNK))])[:count]

    def parse_file(self, path: Path) -> Any:
        """Return the picture in a file at the task's size [1, S, S, 3], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        if path.suffix.lower() not in SUFFIXES:
            return super().parse_file(path)
        return resized(read_picture(path), self.config.size, self.config.size)[None]

    def facts(self) -> dict[str, str]:
        """Return an example, and how many captions there are."""
        kinds = len(SIZES) * len(COLOURS) * len(KINDS)
        return {"first caption": self.captions("train")[0], "different captions": f"{2 * kinds**2:,}"}

    def _draw(self, split: str, number: int) -> Scenes:
        rng = np.random.default_rng((self.config.data_seed, SPLITS.index(split), number))
        return scenes(rng, CHUNK, self.config.size)
