"""Tasks whose answer is a class for each pixel: spaces, varied training examples, the judge, and answers drawn on pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from gymnasium import spaces

from cv_models.tasks.judges import MapJudge
from cv_models.tasks.label_files import resized, resized_labels
from dl_nets.tasks import augmented
from dl_nets.tasks.picture_files import SUFFIXES, read_picture
from rl_core.batches import Batch
from rl_core.config import Doc, Whole, configclass
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Predict

PIXELS_AT_ONCE = 4_000_000  # of the pictures of an evaluation that are read and answered together


@configclass
class AugmentConfig(augmented.AugmentConfig):
    """Settings of the variations of training pictures, and of the parts that are cut out of them."""

    crop: Annotated[Whole, Doc("side of the random part of each picture to train on, pixels; 0: the whole picture")] = 0


class MapTask(DataTask):
    """A task that asks for the class of each pixel. A subclass defines `num_examples` and `read`, and calls `set_spaces`.

    Args:
        config: A config with the fields of `AugmentConfig`.
    """

    metric = "mean IoU"
    file_suffixes = (*SUFFIXES, ".jsonl")
    config: Any

    def set_spaces(self, height: int, width: int, channels: int, class_names: Sequence[str]) -> None:
        """Set the spaces for pictures [H, W, C] and maps [H, W] of these classes."""
        self.class_names = tuple(class_names)
        self.input_space = spaces.Box(0, 255, (height, width, channels), np.uint8)
        self.output_space = spaces.MultiDiscrete(np.full((height, width), len(self.class_names)))
        self.augments = bool(self.config.augment or self.config.crop)

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Batch, Batch]:
        """Return training pictures and maps as the config's transforms vary them in the epoch of this seed."""
        images, maps = self.read("train", indices)
        from dl_nets.tasks.transforms import vary

        assert isinstance(images, np.ndarray)
        assert isinstance(maps, np.ndarray)
        config = self.config
        varied, moved = vary(
            images, maps, names=config.augment, seed=seed, indices=indices, crop=config.crop, strength=config.augment_strength
        )
        assert moved is not None
        return varied, moved

    def judge(self) -> MapJudge:
        """Return a new judge of IoU and Dice."""
        return MapJudge(self.class_names)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics on the test split."""
        return self.evaluate_split(predict, "test", self.at_once)

    @property
    def at_once(self) -> int:
        """The number of pictures that are read and answered together."""
        height, width, _ = self.input_space.shape or (1, 1, 1)
        return max(1, PIXELS_AT_ONCE // (height * width))

    def fitted(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture [H, W, 3] at the size and with the channels of the input space."""
        height, width, channels = self.input_space.shape or (1, 1, 1)
        return resized(_grey(picture) if channels == 1 else picture, height, width)

    def parse_file(self, path: Path) -> Any:
        """Return the picture in a file at the task's size [1, H, W, C], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        return self.fitted(read_picture(path))[None] if path.suffix.lower() in SUFFIXES else super().parse_file(path)

    def describe(self, predictions: Any) -> list[Any]:
        """Return the share of the pixels of each class, by name, for each map; the maps are in the files that `answer_file` writes."""
        size = len(self.class_names)
        shares = [np.bincount(np.asarray(each).ravel(), minlength=size) / np.asarray(each).size for each in predictions]
        return [{name: round(float(part), 4) for name, part in zip(self.class_names, each, strict=True)} for each in shares]

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return the shares of a picture's classes; write the picture with its map drawn over it, the map, and a JSON into `folder`.

        Raises:
            ValueError: naming the file that cannot be read or written.
        """
        if path.suffix.lower() not in SUFFIXES:
            return super().answer_file(path, predict, folder)
        from cv_models.tasks.overlays import overlay, save

        picture = read_picture(path)
        labels = np.asarray(predict(self.fitted(picture)[None]))[0]
        labels = resized_labels(labels, *picture.shape[:2])
        answers = self.describe(labels[None])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save(folder / f"{path.stem}.png", overlay(picture, labels, len(self.class_names)))
            save(folder / f"{path.stem}-map.png", labels.astype(np.uint8 if len(self.class_names) <= 256 else np.uint16))
            document = {
                "picture": str(path),
                "height": picture.shape[0],
                "width": picture.shape[1],
                "map": f"{path.stem}-map.png",
                "classes": list(self.class_names),
                "shares": answers[0],
            }
            (folder / f"{path.stem}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{folder} cannot be written to: {error.strerror or error}") from error
        return answers

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write the best and the worst maps of the test split, the confusion matrix, and varied training pictures, if there are any."""
        from cv_models.tasks.overlays import draw_report

        draw_report(self, folder, predict)


def _grey(picture: np.ndarray) -> np.ndarray:
    """Return the luminance [H, W, 1] of a picture [H, W, 3], uint8 (ITU-R BT.601)."""
    if (picture == picture[..., :1]).all():
        return picture[..., :1]
    return np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
