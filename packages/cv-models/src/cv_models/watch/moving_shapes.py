"""The tasks `moving-shapes` and `moving-shapes-actions`: clips of one shape that moves, made from a seed, in words or as a class.

`a red circle moves left`, or `a red circle moves left then right`: half of the clips go one way, half go and come back. The places that a
shape visits are as likely in either direction, so no single frame and no set of frames without their order says which direction it is. A
clip that is played backwards has a known caption as well: one way becomes the opposite way, there and back stays as it is. A captioner
that ignores time fails there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from cv_models.describe.caption_task import CaptionTask
from cv_models.describe.captions import Vocabulary
from cv_models.describe.shape_captions import COLOURS, KINDS, NOISE, SPREAD, inside
from cv_models.watch.clips import ClipTask
from dl_nets.learning.data import accuracy
from rl_core.config import Count, Doc, Meta, Whole, configclass
from rl_core.seeds import Seeds
from rl_core.task import Predict

SPLITS = ("train", "validation", "test")
WAYS = ("left", "right", "up", "down")
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
MOTIONS = (*WAYS, *(f"{way} then {OPPOSITE[way]}" for way in WAYS))
RADIUS = 0.17  # of the shapes, of the side; it varies by a tenth
LEAST = 0.35  # of the side that the centre can move in, is moved at least
LENGTH = 8  # tokens of the longest caption and its end
CHUNK = 100  # clips that are drawn together, when one of them is read


class Clips(NamedTuple):
    """N clips of one moving shape.

    Attributes:
        frames: Bytes [N, T, S, S, 3].
        motions: Number of each clip's motion [N], of `MOTIONS`.
        names: Colour and shape of each clip.
    """

    frames: np.ndarray
    motions: np.ndarray
    names: list[str]


def clips(rng: np.random.Generator, count: int, num_frames: int, size: int) -> Clips:
    """Return clips of one shape that moves along one axis.

    Args:
        rng: Source of the clips.
        count: N.
        num_frames: T, even.
        size: S, side of the frames, pixels.
    """
    colour, kind, motion = (rng.integers(0, most, count) for most in (len(COLOURS), len(KINDS), len(MOTIONS)))
    way, returns = motion % len(WAYS), motion >= len(WAYS)
    radius = RADIUS * size * rng.uniform(0.9, 1.1, count)
    room = size - 2 * radius
    path = rng.uniform(LEAST, 1.0, count) * room
    start = radius + rng.uniform(0, 1, count) * (room - path)  # the end of the path with the lower coordinate
    other = radius + rng.uniform(0, 1, count) * room  # the coordinate that stays
    once = np.linspace(0, 1, num_frames)
    half = np.linspace(0, 1, num_frames // 2)
    share = np.where(returns[:, None], np.concatenate([half, half[::-1]]), once)
    share = np.where(np.isin(way, (WAYS.index("left"), WAYS.index("up")))[:, None], 1.0 - share, share)
    moving = start[:, None] + share * path[:, None]  # [N, T]
    resting = np.broadcast_to(other[:, None], moving.shape)
    sideways = (way < 2)[:, None]
    centres = np.stack([np.where(sideways, moving, resting), np.where(sideways, resting, moving)], axis=2).reshape(-1, 2)
    paint = np.array(list(COLOURS.values()), np.float64)[colour] + rng.normal(0, SPREAD, (count, 3))
    pixels = np.broadcast_to(rng.uniform(90, 165, (count, 1, 1, 1, 1)), (count, num_frames, size, size, 3)).astype(np.float32)
    flat = pixels.reshape(-1, size, size, 3)
    y, x = np.mgrid[0:size, 0:size] + 0.5
    frame, row, column = np.nonzero(inside(np.repeat(kind, num_frames), x, y, centres, np.repeat(radius, num_frames)))
    flat[frame, row, column] = paint[frame // num_frames]
    flat += np.float32(NOISE) * rng.standard_normal(flat.shape, np.float32)
    frames = np.clip(flat, 0, 255).astype(np.uint8).reshape(pixels.shape)
    names = list(COLOURS)
    return Clips(frames, motion, [f"{names[one]} {KINDS[other]}" for one, other in zip(colour, kind, strict=True)])


def caption_of(name: str, motion: str) -> str:
    """Return the caption of a clip.

    >>> caption_of("red circle", "left then right")
    'a red circle moves left then right'
    """
    return f"a {name} moves {motion}"


def backwards(motion: str) -> str:
    """Return the motion that a clip shows when it is played backwards.

    >>> backwards("left"), backwards("left then right")
    ('right', 'left then right')
    """
    return OPPOSITE.get(motion, motion)


def slots_right(answer: str, references: Sequence[str]) -> dict[str, bool]:
    """Return which parts of an answer are right: colour, shape and motion.

    >>> slots_right("a red circle moves left", ["a red circle moves right"])
    {'colour': True, 'shape': True, 'motion': False}
    """
    given, true = ([*caption.split(" moves ", 1), "", ""][:2] for caption in (answer, references[0]))
    named, wanted = ([*part[0].split(), "", "", ""][1:3] for part in (given, true))
    return {"colour": named[0] == wanted[0], "shape": named[1] == wanted[1], "motion": given[1] == true[1]}


@configclass
class MovingShapesConfig:
    """The number of clips, and their size."""

    size: Annotated[int, Meta(ge=16, le=128), Doc("side of the frames, pixels")] = 24
    num_frames: Annotated[int, Meta(ge=4, le=64), Doc("T, frames of a clip, even")] = 12
    num_train: Annotated[Count, Doc("clips to learn from")] = 4000
    num_validation: Annotated[Whole, Doc("clips of the validation split")] = 100
    num_test: Annotated[Count, Doc("clips that the score is computed on")] = 400
    data_seed: Annotated[Whole, Doc("number of the set of clips; independent of the run's seed")] = 0

    def __post_init__(self) -> None:
        if self.num_frames % 2:
            raise ValueError(f"num_frames is {self.num_frames}; it must be even, so that there and back take as many frames")


class DrawnClips:
    """The clips of a config, drawn when they are read.

    Args:
        config: The set of clips.
    """

    def __init__(self, config: MovingShapesConfig) -> None:
        self.config = config
        self._chunk = cache(self._draw)

    def read(self, split: str, indices: np.ndarray) -> Clips:
        """Return the clips at `indices` [B]."""
        config, found = self.config, [(self._chunk(split, int(index) // CHUNK), int(index) % CHUNK) for index in indices]
        frames = np.zeros((len(found), config.num_frames, config.size, config.size, 3), np.uint8)
        for place, (chunk, row) in enumerate(found):
            frames[place] = chunk.frames[row]
        motions = np.array([chunk.motions[row] for chunk, row in found], np.int64)
        return Clips(frames, motions, [chunk.names[row] for chunk, row in found])

    def _draw(self, split: str, number: int) -> Clips:
        rng = np.random.default_rng((self.config.data_seed, SPLITS.index(split), number))
        return clips(rng, CHUNK, self.config.num_frames, self.config.size)


class MovingShapes(ClipTask, CaptionTask):
    """Clips [T, S, S, 3] and their captions.

    Args:
        config: The set of clips.
    """

    Config: ClassVar[type] = MovingShapesConfig
    config: MovingShapesConfig
    metric = "exact match"

    def __init__(self, config: MovingShapesConfig) -> None:
        super().__init__(config)
        words = Vocabulary(["a", "moves", "then", *COLOURS, *KINDS, *WAYS])
        self.set_spaces(_space(config), words, LENGTH, 1)
        self.slots = slots_right
        self._clips = DrawnClips(config)

    def num_examples(self, split: str) -> int:
        """Return how many clips the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return clips [B, T, S, S, 3] and captions [B, 8]."""
        found = self._clips.read(split, indices)
        return found.frames, self.rows([caption_of(name, MOTIONS[way]) for name, way in zip(found.names, found.motions, strict=True)])

    def rows(self, captions: Sequence[str]) -> np.ndarray:
        """Return the rows [B, 8] of captions."""
        rows = [self.vocabulary.row([caption.split()], LENGTH, 1) for caption in captions]
        return np.array(rows, np.int64).reshape(-1, LENGTH)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics on the test split, and those of the same clips played backwards."""
        scores = super().evaluate(predict, episodes=episodes, seeds=seeds)
        judge, count = self.judge(), self.num_examples("test")
        for start in range(0, count, self.at_once):
            found = self._clips.read("test", np.arange(start, min(start + self.at_once, count)))
            names = zip(found.names, found.motions, strict=True)
            wanted = self.rows([caption_of(name, backwards(MOTIONS[motion])) for name, motion in names])
            judge.add(np.asarray(predict(np.ascontiguousarray(found.frames[:, ::-1]))), wanted)
        result = judge.result()
        return scores | {f"{name}, played backwards": result[name] for name in ("exact match", "motion")}


class MovingShapesActions(ClipTask):
    """Clips [T, S, S, 3] and the class of the motion.

    Args:
        config: The set of clips.
    """

    Config: ClassVar[type] = MovingShapesConfig
    config: MovingShapesConfig
    metric = "accuracy"

    def __init__(self, config: MovingShapesConfig) -> None:
        super().__init__(config)
        self.input_space, self.output_space, self.class_names = _space(config), spaces.Discrete(len(MOTIONS)), MOTIONS
        self._clips = DrawnClips(config)

    def num_examples(self, split: str) -> int:
        """Return how many clips the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return clips [B, T, S, S, 3] and the number of each motion [B]."""
        found = self._clips.read(split, indices)
        return found.frames, found.motions

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the share of motions [N] that are right."""
        return {"accuracy": accuracy(np.asarray(predictions), targets)}

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the accuracy on the test split, and that on the same clips played backwards."""
        scores, judge = super().evaluate(predict, episodes=episodes, seeds=seeds), self.judge()
        turned = np.array([MOTIONS.index(backwards(motion)) for motion in MOTIONS])
        for start in range(0, self.num_examples("test"), 200):
            frames, motions = self.read("test", np.arange(start, min(start + 200, self.num_examples("test"))))
            judge.add(np.asarray(predict(np.ascontiguousarray(frames[:, ::-1]))), turned[motions])
        return scores | {"accuracy, played backwards": judge.result()["accuracy"]}


def _space(config: MovingShapesConfig) -> spaces.Box:
    return spaces.Box(0, 255, (config.num_frames, config.size, config.size, 3), np.uint8)
