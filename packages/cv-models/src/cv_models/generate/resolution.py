"""The tasks of super-resolution: a picture from one that has a fraction of its pixels.

The small picture is the large one under an antialiased bicubic filter, rounded to bytes; on Set5 bicubic interpolation then has the PSNR
that is published, to 0.03 dB. Answers are judged as in the tables of the literature: PSNR and SSIM of luma, `scale` pixels left out along
each edge, and bicubic interpolation of the same pictures beside.

Letters: B batch, S side of a patch, s scale, C channels.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from cv_models.generate import dead_leaves
from cv_models.generate.fidelity import luma, psnr, ssim
from dl_nets.generative import pictures
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Meta, Whole, configclass
from rl_core.task import DataTask, Predict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rl_core.seeds import Seeds

SPLITS = ("train", "validation", "test")
TILE, MARGIN = 192, 16  # pixels of a part of a large picture, and around it
Scale = Annotated[int, Meta(ge=2, le=4), Doc("s, how many times larger the answers are")]
Side = Annotated[int, Meta(ge=24, le=512), Doc("S, side of the large patches that are learned from, pixels; a multiple of the scale")]


def reduced(large: np.ndarray, scale: int) -> np.ndarray:
    """Return pictures [B, H / s, W / s, C], bytes, of pictures [B, H, W, C] under an antialiased bicubic filter.

    >>> reduced(np.full((1, 4, 4, 1), 7, np.uint8), 2).tolist()
    [[[[7], [7]], [[7], [7]]]]
    """
    return _resized(large, large.shape[1] // scale, large.shape[2] // scale)


def bicubic(small: np.ndarray, scale: int) -> np.ndarray:
    """Return pictures [B, s H, s W, C], bytes, of pictures [B, H, W, C] by bicubic interpolation."""
    return _resized(small, small.shape[1] * scale, small.shape[2] * scale)


def _resized(given: np.ndarray, height: int, width: int) -> np.ndarray:
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy(given.astype(np.float64)).permute(0, 3, 1, 2)
    with torch.no_grad():
        made = functional.interpolate(tensor, size=(height, width), mode="bicubic", antialias=True).permute(0, 2, 3, 1).numpy()
    return np.clip(np.round(made), 0, 255).astype(np.uint8)


class FidelityJudge:
    """Mean PSNR and SSIM of pictures, and those of bicubic interpolation.

    Args:
        scale: s.
    """

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._rows: list[tuple[float, float, float, float]] = []

    def add(self, predictions: Any, targets: Any) -> None:
        """Count answers [B, H, W, C] against pictures [B, H, W, C], bytes."""
        plain = bicubic(reduced(np.asarray(targets), self._scale), self._scale)
        for answer, wanted, baseline in zip(np.asarray(predictions), np.asarray(targets), plain, strict=True):
            inner = (slice(self._scale, -self._scale),) * 2
            found, y, base = (luma(picture)[inner] for picture in (answer, wanted, baseline))
            self._rows.append((psnr(found, y), ssim(found, y), psnr(base, y), ssim(base, y)))

    def result(self) -> dict[str, float]:
        """Return the means over pictures."""
        means = np.mean(self._rows, axis=0)
        return dict(zip(("PSNR", "SSIM", "bicubic PSNR", "bicubic SSIM"), map(float, means), strict=True))


class SuperResolution(DataTask):
    """Base class of the tasks: small pictures [S / s, S / s, 3] as inputs, large ones as targets, both bytes.

    Args:
        config: With `scale` and `size`.
    """

    metric = "PSNR"
    file_suffixes = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jsonl")
    augments = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.scale, small = int(config.scale), int(config.size) // int(config.scale)
        if config.size % config.scale:
            raise ValueError(f"size is {config.size} and scale {config.scale}; expected a size that is a multiple of the scale")
        self.input_space = spaces.Box(0, 255, (small, small, 3), np.uint8)
        self.output_space = spaces.Box(0, 255, (config.size, config.size, 3), np.uint8)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and that pictures are enlarged."""
        return super().traits() | {"super-resolution"}

    def large(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the large pictures [B, S, S, 3] at `indices` [B]."""
        raise NotImplementedError

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return small pictures [B, S / s, S / s, 3] and large ones [B, S, S, 3]."""
        large = self.large(split, indices)
        return reduced(large, self.scale), large

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Batch, Batch]:
        """Return training pictures, each in one of eight mirrored and turned forms."""
        large = self.large("train", indices).copy()
        for row, index in enumerate(indices):
            form = int(np.random.default_rng((seed, int(index))).integers(8))
            turned = np.rot90(large[row], form % 4)
            large[row] = turned[:, ::-1] if form >= 4 else turned
        return reduced(large, self.scale), large

    def judge(self) -> FidelityJudge:
        """Return a new judge."""
        return FidelityJudge(self.scale)

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return the path of the enlarged picture in a file, written into `folder`."""
        if path.suffix.lower() == ".jsonl":
            return super().answer_file(path, predict, folder)
        from PIL import Image

        from dl_nets.tasks.picture_files import read_picture

        made = enlarged(read_picture(path), predict, self.scale)
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / f"{path.stem}-x{self.scale}.png"
        Image.fromarray(made).save(out)
        return [str(out)]

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw test pictures: the small one, bicubic, the answer, and the large one."""
        small, large = (np.asarray(batch) for batch in self.read("test", np.arange(min(6, self.num_examples("test")))))
        answers = np.asarray(predict(small))
        rows = {
            "small": small.repeat(self.scale, axis=1).repeat(self.scale, axis=2),
            "bicubic": bicubic(small, self.scale),
            "answer": answers,
            "large": large,
        }
        judge = self.judge()
        judge.add(answers, large)
        found = judge.result()
        title = f"test pictures x{self.scale}: {found['PSNR']:.2f} dB, bicubic {found['bicubic PSNR']:.2f} dB"
        pictures.rows(folder / "enlarged.png", {name: row / 255.0 for name, row in rows.items()}, title=title)


def enlarged(picture: np.ndarray, predict: Predict, scale: int) -> np.ndarray:
    """Return a picture [s H, s W, 3], bytes, of one of any size [H, W, 3]; a large one in parts that overlap by a margin."""
    height, width = picture.shape[:2]
    if max(height, width) <= TILE + 2 * MARGIN:
        return np.asarray(predict(picture[None]))[0]
    made = np.zeros((height * scale, width * scale, picture.shape[2]), np.uint8)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            first, begin = max(0, top - MARGIN), max(0, left - MARGIN)
            part = picture[first : top + TILE + MARGIN, begin : left + TILE + MARGIN]
            answer = np.asarray(predict(part[None]))[0]
            down, right = min(top + TILE, height), min(left + TILE, width)
            inner = answer[(top - first) * scale : (down - first) * scale, (left - begin) * scale : (right - begin) * scale]
            made[top * scale : down * scale, left * scale : right * scale] = inner
    return made


@configclass
class LeavesConfig:
    """The number of pictures of leaves, and their size."""

    scale: Scale = 2
    size: Side = 48
    num_train: Annotated[Count, Doc("pictures to learn from")] = 600
    num_validation: Annotated[Whole, Doc("pictures of the validation split")] = 20
    num_test: Annotated[Count, Doc("pictures that the score is computed on")] = 60
    data_seed: Annotated[Whole, Doc("number of the set of pictures; independent of the run's seed")] = 0


class LeavesResolution(SuperResolution):
    """Super-resolution of dead leaves, which are made from a seed."""

    Config: ClassVar[type] = LeavesConfig
    config: LeavesConfig

    def num_examples(self, split: str) -> int:
        """Return how many pictures the split has."""
        return int(getattr(self.config, f"num_{split}"))

    def large(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the large pictures [B, S, S, 3] at `indices` [B]."""
        seed = (self.config.data_seed, SPLITS.index(split))
        return _leaves(seed, self.num_examples(split), self.config.size)[indices]


@lru_cache(maxsize=len(SPLITS))  # seconds are spent on a set of pictures, which several agents of a process learn from
def _leaves(seed: tuple[int, int], count: int, size: int) -> np.ndarray:
    if not count:
        return np.zeros((0, size, size, 3), np.uint8)
    return dead_leaves.tiles(np.random.default_rng(seed), count, size)


@configclass
class FolderConfig:
    """A folder of pictures, and the patches that are cut from them."""

    path: Annotated[str, Doc("folder of pictures, or of folders `train` and `test` of pictures")] = ""
    scale: Scale = 2
    size: Side = 48
    test_fraction: Annotated[float, Meta(gt=0, lt=1), Doc("share of the pictures that are tested, unless there is a folder `test`")] = 0.2
    split_seed: Annotated[Whole, Doc("number of the split; independent of the run's seed")] = 0


class FolderResolution(SuperResolution):
    """Super-resolution of the pictures of a folder: learned from patches, judged on whole pictures.

    Args:
        config: The folder.
        state: The `state_dict` of the task of a trained agent; `None` looks into the folder.

    Raises:
        ValueError: naming the folder or the file that cannot be used.
    """

    Config: ClassVar[type] = FolderConfig
    config: FolderConfig
    costly = True

    def __init__(self, config: FolderConfig, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._files: dict[str, list[Path]] = {}
        if state is not None:
            self._files = {split: [Path(name) for name in state[split]] for split in SPLITS}
            self._places = {split: [tuple(place) for place in state["places"][split]] for split in SPLITS}
        else:
            self._files = files_of(config)
            self._places = {split: self._cut(files) for split, files in self._files.items()}
            for split in ("train", "test"):
                if not self._places[split]:
                    raise ValueError(
                        f"no picture of the {split} split in {config.path} has {config.size} x {config.size} pixels; give larger ones, "
                        "or a smaller size"
                    )
        self._picture = lru_cache(maxsize=64)(self._opened)

    @classmethod
    def from_state(cls, config: FolderConfig, state: Mapping[str, Any]) -> Self:
        """Return the task of a run, which reads its pictures only to learn or to be judged."""
        return cls(config, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the files of each split, and the places of the patches."""
        files = {split: [str(path) for path in files] for split, files in self._files.items()}
        return {**files, "places": {split: [list(place) for place in places] for split, places in self._places.items()}}

    def facts(self) -> dict[str, str]:
        """Return counts of pictures and patches."""
        return {
            "pictures": ", ".join(f"{len(files):,} {split}" for split, files in self._files.items() if files),
            "patches": ", ".join(f"{len(places):,} {split}" for split, places in self._places.items() if places),
        }

    def num_examples(self, split: str) -> int:
        """Return how many patches the split has."""
        return len(self._places[split])

    def large(self, split: str, indices: np.ndarray) -> np.ndarray:
        """Return the patches [B, S, S, 3] at `indices` [B]."""
        size, made = self.config.size, []
        for index in indices:
            number, top, left = self._places[split][int(index)]
            made.append(self._picture(self._files[split][number])[top : top + size, left : left + size])
        return np.stack(made)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return PSNR and SSIM of whole test pictures, cut to a multiple of the scale."""
        judge = self.judge()
        for path in self._files["test"]:
            picture = self._picture(path)
            height, width = (side - side % self.scale for side in picture.shape[:2])
            large = picture[:height, :width]
            judge.add(enlarged(reduced(large[None], self.scale)[0], predict, self.scale)[None], large[None])
        return judge.result()

    def _opened(self, path: Path) -> np.ndarray:
        from dl_nets.tasks.picture_files import read_picture

        return read_picture(path)

    def _cut(self, files: list[Path]) -> list[tuple[int, int, int]]:
        """Return number of the picture, top and left of each patch."""
        from dl_nets.tasks.picture_files import picture_size

        size, places = self.config.size, []
        for number, path in enumerate(files):
            width, height = picture_size(path)
            places += [(number, top, left) for top in range(0, height - size + 1, size) for left in range(0, width - size + 1, size)]
        return places


def files_of(config: FolderConfig) -> dict[str, list[Path]]:
    """Return the pictures of each split: those of the folders `train` and `test`, or a split of all; none for validation.

    Raises:
        ValueError: if the folder is not there, or has fewer than two pictures.
    """
    from dl_nets.learning.data import split_indices
    from dl_nets.tasks.picture_files import SUFFIXES

    folder = Path(config.path)
    if not config.path or not folder.is_dir():
        raise ValueError(f"{config.path!r} is not a folder; expected one of pictures: super-resolution:photos")

    def pictures_in(inner: Path) -> list[Path]:
        return sorted(path for path in inner.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))

    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return {"train": pictures_in(folder / "train"), "validation": [], "test": pictures_in(folder / "test")}
    files = pictures_in(folder)
    if len(files) < 2:
        raise ValueError(f"{config.path} has {len(files)} pictures ({', '.join(SUFFIXES)}); expected two at least")
    test = max(config.test_fraction, 1.0 / len(files))
    parts = split_indices(len(files), 0.0, test, config.split_seed)
    return {split: [files[index] for index in parts[split]] for split in SPLITS}


def write_example(folder: Path) -> None:
    """Write a folder of pictures as `super-resolution` reads it."""
    from PIL import Image

    folder.mkdir(parents=True)
    for number, tile in enumerate(dead_leaves.tiles(np.random.default_rng(0), 6, 48)):
        Image.fromarray(tile).save(folder / f"{number}.png")
