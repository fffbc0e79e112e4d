"""The task `shapes-from-captions`: draw a picture of which a caption is true, such as `a large red circle`.

Captions are the objects of `shapes-captions`; a part of the training captions leave out the size or the colour, which may then be any. Some
pairs of colour and kind are never shown: half of the test captions name them, so a learner must put together what it saw apart. Answers are
read by a classifier that learned from real pictures of the task, all pairs among them, always from the same seed. Its accuracy on real
pictures is `reader accuracy`, which no learner can be expected to exceed.

Letters: B batch, N pictures, S side, T tokens.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from cv_models.describe.captions import Captions, Vocabulary, words_of
from cv_models.describe.shape_captions import COLOURS, KINDS, SIZES, inside
from dl_nets.generative import pictures
from dl_nets.generative.conditions import LABEL, NUMBERS, with_label
from dl_nets.generative.generate import MOST, ZOOM
from dl_nets.learning.data import ArrayTask
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Meta, Whole, configclass
from rl_core.task import DataTask, Predict

if TYPE_CHECKING:
    from torch import nn

SPLITS = ("train", "validation", "test")
NEW_PAIRS = (("red", "triangle"), ("blue", "square"), ("yellow", "circle"))
RADII = (0.18, 0.34)  # of small and large shapes, of the side; each varies by a tenth
SPREAD = 12.0  # deviation of a shape's colour, of 255
LEFT_OUT = 0.15  # share of the training captions without a size, and without a colour
LENGTH = 5  # tokens of the longest caption and its end
READ = 4000  # pictures that the reader learns from
SHOWN = 24  # pictures of the figure
PARTS = (("size", SIZES), ("colour", tuple(COLOURS)), ("shape", KINDS))


@configclass
class ShapesFromCaptionsConfig:
    """The number of pictures and their size, and the noise that answers are drawn from."""

    size: Annotated[int, Meta(ge=16, le=128), Doc("S, side of the pictures, pixels")] = 24
    noise: Annotated[Whole, Doc("normal numbers that a picture is drawn from; 0: as many as it has, in its shape")] = 0
    num_train: Annotated[Count, Doc("pictures to learn from")] = 4000
    num_test: Annotated[Count, Doc("captions that the score is computed on")] = 400
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


def drawn(parts: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """Return pictures [N, S, S, 3], bytes, of one shape each.

    Args:
        parts: Number of its size, its colour and its kind [N, 3].
        rng: Source of place, colour and ground.
        side: S.

    >>> drawn(np.array([[1, 0, 0]]), np.random.default_rng(0), 16).shape
    (1, 16, 16, 3)
    """
    count, fine = len(parts), 2 * side  # each pixel is the mean of four points
    radius = np.array(RADII)[parts[:, 0]] * rng.uniform(0.9, 1.1, count) * fine
    centres = radius[:, None] + rng.uniform(0.0, 1.0, (count, 2)) * (fine - 2.0 * radius[:, None])
    y, x = np.mgrid[0:fine, 0:fine] + 0.5
    share = inside(parts[:, 2], x, y, centres, radius).reshape(count, side, 2, side, 2).mean(axis=(2, 4))[..., None]
    paint = np.array(list(COLOURS.values()), np.float64)[parts[:, 1]] + rng.normal(0.0, SPREAD, (count, 3))
    ground = rng.uniform(90.0, 165.0, (count, 1, 1, 1))
    return np.clip(np.round(share * paint[:, None, None] + (1.0 - share) * ground), 0, 255).astype(np.uint8)


def caption_of(parts: np.ndarray) -> str:
    """Return the caption of the numbers of size, colour and kind [3]; -1 leaves a part out.

    >>> caption_of(np.array([1, 0, 2])), caption_of(np.array([-1, -1, 0]))
    ('a large red triangle', 'a circle')
    """
    return " ".join(["a", *(names[part] for (_, names), part in zip(PARTS, parts, strict=True) if part >= 0)])


class ShapesFromCaptions(DataTask):
    """Noise and a caption [T] as inputs, pictures [S, S, 3] in [0, 1] as targets; judged by the parts of the caption that are true.

    Args:
        config: The set of pictures.
    """

    Config: ClassVar[type] = ShapesFromCaptionsConfig
    config: ShapesFromCaptionsConfig
    metric = "exact match"

    def __init__(self, config: ShapesFromCaptionsConfig) -> None:
        super().__init__(config)
        self.vocabulary = Vocabulary(["a", *SIZES, *COLOURS, *KINDS])
        side = config.size
        self._shape = (config.noise,) if config.noise else (side, side, 3)
        texts = Captions(LENGTH, self.vocabulary.size, 1, self.vocabulary.words)
        self.input_space = with_label(spaces.Box(-np.inf, np.inf, self._shape, np.float32), texts)
        self.output_space = spaces.Box(0.0, 1.0, (side, side, 3), np.float32)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that answers are generated from noise."""
        return super().traits() | {"generation"}

    def num_examples(self, split: str) -> int:
        """Return how many examples the split has; none for validation."""
        return 0 if split == "validation" else int(getattr(self.config, f"num_{split}"))

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return noise with captions [B, T], and pictures [B, S, S, 3] of which they are true."""
        _, rows, noise, shown = self._examples[split]
        return {LABEL: rows[indices], NUMBERS: noise[indices]}, shown[indices].astype(np.float32) / np.float32(255.0)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the share of pictures [N, S, S, 3] in which the reader sees what it sees in the true ones."""
        found, true = (self._read_parts(np.asarray(each)) for each in (predictions, targets))
        return {self.metric: float((found == true).all(axis=1).mean())}

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 256) -> dict[str, float]:
        """Return the shares of captions, and of their parts, that the reader finds in the answers; apart those of pairs never shown.

        In `exact match, captions permuted` each answer is judged by the next caption: a learner that ignores captions loses nothing there.
        """
        count = self.num_examples(split)
        parts, (_, truth) = self._examples[split][0], self.read(split, np.arange(count))
        batches = np.array_split(np.arange(count), -(-count // batch_size))
        answers = np.concatenate([np.asarray(predict(self.read(split, rows)[0])) for rows in batches])
        found, real = self._read_parts(answers), self._read_parts(np.asarray(truth))
        right, new = found == parts, _are_new(parts)
        exact = right.all(axis=1)
        scores = {"exact match": float(exact.mean()), **{name: float(right[:, place].mean()) for place, (name, _) in enumerate(PARTS)}}
        if new.any() and not new.all():
            scores |= {"exact match, pairs seen": float(exact[~new].mean()), "exact match, new pairs": float(exact[new].mean())}
        permuted = (found == np.roll(parts, 1, axis=0)).all(axis=1).mean()
        return scores | {"exact match, captions permuted": float(permuted), "reader accuracy": float((real == parts).all(axis=1).mean())}

    def parse(self, text: str) -> Any:
        """Return noise and the caption of a text such as `a red circle`, or `9 a red circle` for nine pictures; or JSON.

        Raises:
            ValueError: if a word is not known.
        """
        if text.lstrip()[:1] in "{[":
            return super().parse(text)
        first, _, rest = text.strip().partition(" ")
        count, caption = (int(first), rest) if first.isdigit() else (1, text)
        if not 1 <= count <= MOST:
            raise ValueError(f"{count} pictures were asked for; expected 1 to {MOST}")
        words = words_of(caption)
        unknown = [word for word in words if word not in self.vocabulary.words]
        if unknown or not words or len(words) >= LENGTH:
            known = "; ".join(", ".join(names) for _, names in PARTS)
            wrong = f"the words {', '.join(unknown)} are not known" if unknown else f"the caption has {len(words)} words"
            raise ValueError(f"{wrong}; expected a caption such as 'a large red circle', of: {known}")
        rows = np.repeat(self._rows([" ".join(words)]), count, axis=0)
        noise = np.random.default_rng((self.config.data_seed, len(SPLITS))).standard_normal((count, *self._shape), dtype=np.float32)
        return {LABEL: rows, NUMBERS: noise}

    def answer_text(self, text: str, predict: Predict, folder: Path) -> Any:
        """Return the path of the picture, or the sheet of pictures, that a text asks for, written into `folder`."""
        from PIL import Image

        made = np.asarray(predict(self.parse(text)))
        sheet = np.clip(pictures.sheet(made, math.ceil(math.sqrt(len(made))))[:-1, :-1], 0.0, 1.0)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{'-'.join(words_of(text))[:40] or 'sample'}.png"
        Image.fromarray(np.round(sheet * 255.0).astype(np.uint8).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)).save(path)
        return str(path)

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw a picture for each of some test captions, the caption above it; one of a pair that was never shown has a star."""
        from rl_core.figure import new_figure

        rows = np.arange(min(SHOWN, self.num_examples("test")))
        parts, drawn_ones = self._examples["test"][0][rows], np.asarray(predict(self.read("test", rows)[0]))
        figure = new_figure(10.0, 1.9 * -(-len(rows) // 6) + 0.5)
        figure.suptitle("pictures drawn from test captions; * a pair of colour and shape that was never shown", fontsize=11)
        grid = figure.subplots(-(-len(rows) // 6), 6, squeeze=False).ravel()
        for axes, each, picture, new in zip(grid, parts, drawn_ones, _are_new(parts), strict=False):
            pictures.show(axes, picture)
            axes.set_title(f"{caption_of(each)}{' *' if new else ''}", fontsize=8)
        for axes in grid[len(rows) :]:
            axes.axis("off")
        figure.savefig(folder / "from-captions.png", dpi=110)

    def _rows(self, captions: list[str]) -> np.ndarray:
        return np.array([self.vocabulary.row([caption.split()], LENGTH, 1) for caption in captions], np.int64).reshape(-1, LENGTH)

    @cached_property
    def _examples(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Parts [N, 3], rows of captions [N, T], noise and pictures, bytes, of each split."""
        found = {}
        for split in SPLITS:
            number, count = SPLITS.index(split), self.num_examples(split)
            rng = np.random.default_rng((self.config.data_seed, number))
            parts = _some_parts(rng, count, new=(np.arange(count) % 2 == 1) & (split == "test"))
            said = parts.copy()
            if split == "train":
                said[:, :2][rng.random((count, 2)) < LEFT_OUT] = -1
            noise = rng.standard_normal((count, *self._shape), dtype=np.float32)
            found[split] = parts, self._rows([caption_of(each) for each in said]), noise, drawn(parts, rng, self.config.size)
        return found

    def _read_parts(self, answers: np.ndarray) -> np.ndarray:
        """Return the numbers of size, colour and kind [N, 3] that the reader sees in pictures [N, S, S, 3] in [0, 1]."""
        import torch

        reader = _reader_of(self.config)
        shown = torch.from_numpy(np.clip(np.round(answers * 255.0), 0, 255).astype(np.uint8))
        with torch.no_grad():
            classes = torch.cat([reader(part).argmax(dim=1) for part in shown.split(256)]).numpy()
        return np.stack(np.unravel_index(classes, [len(names) for _, names in PARTS]), axis=1)


@lru_cache(maxsize=1)  # it learns for seconds, and every task of these settings has the same one
def _reader_of(config: ShapesFromCaptionsConfig) -> nn.Module:
    """Return the classifier of size, colour and kind."""
    from cv_models.generate.reader import learned

    count = min(READ, 8 * config.num_train)
    rng = np.random.default_rng((config.data_seed, len(SPLITS) + 1))
    parts = np.stack([rng.integers(0, len(names), count) for _, names in PARTS], axis=1)
    classes = np.ravel_multi_index(tuple(parts.T), [len(names) for _, names in PARTS])
    shown = drawn(parts, rng, config.size)
    splits = {split: (shown[:size], classes[:size]) for split, size in (("train", count), ("validation", 0), ("test", 1))}
    names = tuple(str(number) for number in range(math.prod(len(each) for _, each in PARTS)))
    return learned(ArrayTask(config, splits, spaces.Box(0, 255, shown.shape[1:], np.uint8), names))


def _are_new(parts: np.ndarray) -> np.ndarray:
    """Return which rows [N, 3] have a pair of colour and kind that is never shown."""
    pairs = [(list(COLOURS).index(colour), KINDS.index(kind)) for colour, kind in NEW_PAIRS]
    return np.any([(parts[:, 1] == colour) & (parts[:, 2] == kind) for colour, kind in pairs], axis=0)


def _some_parts(rng: np.random.Generator, count: int, new: np.ndarray) -> np.ndarray:
    """Return numbers of size, colour and kind [N, 3], of the pairs that are never shown where `new` [N] is true."""
    every = np.stack(np.meshgrid(*[np.arange(len(names)) for _, names in PARTS], indexing="ij"), axis=-1).reshape(-1, len(PARTS))
    are_new = _are_new(every)
    chosen = rng.random(count)
    groups = [every[~are_new], every[are_new]]
    return np.where(new[:, None], groups[1][(chosen * len(groups[1])).astype(int)], groups[0][(chosen * len(groups[0])).astype(int)])
