"""Tasks whose answer is a set of boxes, or of instances with masks: their spaces, their judge, and how answers are written down.

The parts of an object are those of `cv_models.tasks.object_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from cv_models.tasks.average_precision import AveragePrecision, Confusion, Curves, Overlaps, best_first, box_overlaps, mask_overlaps
from cv_models.tasks.object_rows import objects, objects_space, picture_space, rows_of
from cv_models.tasks.pictures import fit_of, letterbox
from dl_nets.tasks.picture_files import SUFFIXES, read_picture
from rl_core.batches import Batch, Ragged
from rl_core.config import Doc, Fraction, NonNegative, configclass
from rl_core.seeds import Seeds
from rl_core.task import DataTask, Predict

AT_ONCE = 32  # pictures of an evaluation that are read and answered together
MOST_LISTED = 20  # classes whose average precision is listed one by one
SHOWN = 0.25  # least score of the boxes that are drawn and written down


BoxVariation = Literal["flip", "flip-vertical", "turn", "brightness", "contrast", "colour", "noise"]
"""Names of the variations of pictures with boxes: mirrored, turned by quarters, and with other colours."""


@configclass
class BoxAugmentConfig:
    """Variations of the training pictures."""

    augment: Annotated[
        tuple[BoxVariation, ...], Doc("flip, flip-vertical, turn, brightness, contrast, colour, noise: variations of training pictures")
    ] = ()
    augment_strength: Annotated[NonNegative, Doc("factor of the ranges of the variations of colours")] = 1.0
    mosaic: Annotated[Fraction, Doc("share of the training pictures put together from four; the others are magnified and shifted")] = 0.0
    mosaic_until: Annotated[Fraction, Doc("share of the budget after which mosaics end, and pictures are learned as they are")] = 0.85


class BoxJudge:
    """The mean average precision at an overlap of 0.5 (`map50`) and over 0.5 to 0.95 (`map50_95`) of boxes, or of masks.

    Args:
        class_names: Names of the K classes.
        masks: Whether the masks are judged; the boxes are then judged beside them.

    Attributes:
        confusion: Counts of true by found classes.
    """

    def __init__(self, class_names: Sequence[str], *, masks: bool = False) -> None:
        self._names = tuple(class_names)
        self._masks = AveragePrecision(len(class_names)) if masks else None
        self._boxes = AveragePrecision(len(class_names))
        self.confusion = Confusion(len(class_names))

    def add(self, predictions: Any, targets: Any) -> None:
        """Match the objects of some pictures with those that were to be found."""
        by_box, by_mask = [], []
        for answer, wanted in zip(rows_of(predictions), rows_of(targets), strict=True):
            order = best_first(answer["score"], answer["label"])
            unasked = wanted["score"] == 0
            labels, scores, classes = answer["label"][order], answer["score"][order], wanted["label"]
            boxes = box_overlaps(answer["box"][order], wanted["box"], unasked)
            by_box.append(Overlaps(boxes, scores, labels, classes, unasked))
            if self._masks is not None:
                by_mask.append(Overlaps(mask_overlaps(answer["mask"][order], wanted["mask"], unasked), *by_box[-1][1:]))
        self._boxes.add(by_box)
        if self._masks is not None:
            self._masks.add(by_mask)
        self.confusion.add(by_mask or by_box)

    def curves(self) -> Curves:
        """Return precision over recall of each class: of the masks, if there are any."""
        return (self._masks or self._boxes).curves()

    def result(self) -> dict[str, float]:
        """Return both means, the precision of each class at 0.5, and the boxes' means beside the masks'."""
        curves = self.curves()
        metrics = {"map50": curves.mean(0), "map50_95": curves.mean()}
        if self._masks is not None:
            boxes = self._boxes.curves()
            metrics |= {"box map50": boxes.mean(0), "box map50_95": boxes.mean()}
        if 1 < len(self._names) <= MOST_LISTED:
            each = curves.average[:, 0]
            metrics |= {f"ap50 of {name}": float(value) for name, value in zip(self._names, each, strict=True) if not np.isnan(value)}
        return metrics


class BoxTask(DataTask):
    """A task whose answer is the objects of a square picture.

    A subclass calls `set_spaces`, and defines `num_examples` and `read`.

    Args:
        config: A config with the fields of `BoxAugmentConfig`.
    """

    metric = "map50"
    file_suffixes = (*SUFFIXES, ".jsonl")
    masks: bool = False
    config: Any

    def set_spaces(self, size: int, class_names: Sequence[str], *, masks: bool = False) -> None:
        """Set the spaces for pictures with sides of `size` pixels and these classes."""
        self.size, self.masks, self.class_names = size, masks, tuple(class_names)
        self.input_space = picture_space(size)
        self.output_space = objects_space(size, len(class_names), masks=masks)
        self.augments = bool(self.config.augment or self.config.mosaic)

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Batch, Batch]:
        """Return training pictures and their objects as the config's variations have them in the epoch of this seed."""
        from cv_models.augment.flips import flipped
        from dl_nets.tasks.transforms import recoloured_pictures, uniforms

        config = self.config
        if config.mosaic and progress < config.mosaic_until and not self.masks:
            pictures, rows = self._mosaic(indices, seed)
        else:
            whole, targets = self.read("train", indices)
            pictures, rows = np.asarray(whole), rows_of(targets)
        numbers = uniforms(seed, indices)
        pictures, rows = flipped(pictures, rows, config.augment, numbers)
        pictures = recoloured_pictures(pictures, config.augment, numbers, config.augment_strength)
        return pictures, objects(rows, self.size, masks=self.masks)

    def _mosaic(self, indices: np.ndarray, seed: int) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Return pictures put together or magnified, and their objects."""
        from cv_models.augment.mosaic import mosaic

        known: dict[int, dict[str, np.ndarray]] = {}

        def read(wanted: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
            pictures, targets = self.read("train", wanted)
            rows = rows_of(targets)
            known.update(zip(wanted.tolist(), rows, strict=True))
            return np.asarray(pictures), [row["box"] for row in rows]

        pictures, boxes, origins = mosaic(read, self.num_examples("train"), indices, seed, self.config.mosaic)
        rows = []
        for box, origin in zip(boxes, origins, strict=True):
            label, score = ([known[picture][name][number] for picture, number in origin] for name in ("label", "score"))
            rows.append({"box": box, "label": np.array(label, np.int64), "score": np.array(score, np.float32)})
        return pictures, rows

    def judge(self) -> BoxJudge:
        """Return a new judge of mean average precision."""
        return BoxJudge(self.class_names, masks=self.masks)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics on the test split."""
        return self.evaluate_split(predict, "test", AT_ONCE)

    def parse_file(self, path: Path) -> Any:
        """Return the picture in a file, fitted into the square [1, S, S, 3], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        if path.suffix.lower() not in SUFFIXES:
            return super().parse_file(path)
        return letterbox(read_picture(path), self.size)[None]

    def describe(self, predictions: Any) -> list[Any]:
        """Return the objects of each picture with a score of at least 1/4, best first, with the names of their classes.

        Masks are left out: they are in the pictures that `answer_file` writes.
        """
        answers = []
        for row in rows_of(predictions):
            order = [number for number in np.argsort(-row["score"], kind="stable") if row["score"][number] >= SHOWN]
            answers.append(
                [
                    {
                        "label": self.class_names[int(row["label"][number])],
                        "score": round(float(row["score"][number]), 4),
                        "box": [round(float(side), 1) for side in row["box"][number]],
                    }
                    for number in order
                ]
            )
        return answers

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return the objects in a picture, boxes in its own pixels; write it into `folder` with them drawn in, and a JSON beside it.

        Raises:
            ValueError: naming the file that cannot be read or written.
        """
        if path.suffix.lower() not in SUFFIXES:
            return super().answer_file(path, predict, folder)
        from cv_models.tasks.box_drawing import save_drawn

        picture = read_picture(path)
        fit = fit_of(picture.shape[1], picture.shape[0], self.size)
        found = predict(letterbox(picture, self.size)[None])
        row = rows_of(found)[0]
        row["box"] = fit.back(row["box"])
        if self.masks:
            row["mask"] = fit.masks_back(row["mask"])
        answers = self.describe({name: Ragged(part, np.array([0, len(part)])) for name, part in row.items()})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_drawn(folder / f"{path.stem}.png", picture, row, self.class_names)
            text = json.dumps({"picture": str(path), "width": fit.width, "height": fit.height, "objects": answers[0]}, indent=2)
            (folder / f"{path.stem}.json").write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{folder} cannot be written to: {error.strerror or error}") from error
        return answers

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write the pictures with the best and the worst answers, precision over recall, and the confusion matrix."""
        from cv_models.tasks.box_drawing import draw_report

        draw_report(self, folder, predict)
