"""Pictures with label maps drawn over them, and the figures of a run on label maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cv_models.tasks.judges import confusion

if TYPE_CHECKING:
    from cv_models.tasks.maps import MapTask
    from rl_core.task import Predict

OPACITY = 0.45  # of the colour over the picture
SHOWN = 4  # pictures among the best, and among the worst
LOOKED_AT = 64  # pictures of the test split that the best and the worst are found among
COLOURS = np.array(  # of Okabe and Ito, 2008: told apart by colour-blind readers as well
    [(0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66)], dtype=np.float64
)


def colour_of(number: int) -> np.ndarray:
    """Return the colour [3] of a class, 0 to 255; the classes beyond the seventh get darker and darker shades of the same colours."""
    return COLOURS[number % len(COLOURS)] * 0.7 ** (number // len(COLOURS))


def overlay(picture: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return a picture with the colour of each pixel's class over it, uint8 [H, W, 3]; class 0 is left clear, borders are drawn.

    Args:
        picture: uint8 [H, W, 1] or [H, W, 3].
        labels: Class of each pixel [H, W].
        num_classes: K.
    """
    base = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(np.float64)
    colours = np.stack([colour_of(number - 1) for number in range(num_classes)])
    border = np.zeros(labels.shape, dtype=np.bool_)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    weight = np.where(labels > 0, OPACITY, 0.0)[..., None]
    mixed = base * (1 - weight) + colours[labels] * weight
    mixed[border] = colours[np.maximum(labels, 1)][border]
    return np.rint(mixed).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    """Write pixels [H, W] or [H, W, 3] to a PNG file."""
    from PIL import Image

    Image.fromarray(pixels).save(path)


def draw_report(task: MapTask, folder: Path, predict: Predict) -> None:
    """Write the best and the worst maps of the test split and the confusion matrix; see `MapTask.draw_answers`."""
    count = min(task.num_examples("test"), LOOKED_AT)
    num_classes, table, scored = len(task.class_names), np.zeros((len(task.class_names),) * 2, np.int64), []
    for start in range(0, count, task.at_once):
        images, maps = task.read("test", np.arange(start, min(start + task.at_once, count)))
        answers = np.asarray(predict(images))
        for image, wanted, answer in zip(images, maps, answers, strict=True):
            one = confusion(answer, wanted, num_classes)
            table += one
            both = np.diagonal(one)
            either = one.sum(0) + one.sum(1) - both
            scored.append((float((both[either > 0] / either[either > 0]).mean()), image, wanted, answer))
    scored.sort(key=lambda row: row[0])
    for name, rows in (("worst", scored[:SHOWN]), ("best", scored[::-1][:SHOWN])):
        _draw_rows(task, rows, folder / f"{name}.png", f"{name} of {count} test pictures, by mean IoU")
    draw_confusion(table / np.maximum(table.sum(1, keepdims=True), 1), task.class_names, folder / "confusion.png", "share of pixels")


def _draw_rows(task: MapTask, rows: list[tuple[float, Any, Any, Any]], path: Path, title: str) -> None:
    from rl_core.figure import new_figure

    figure = new_figure(8.4, 3.1 * len(rows) + 0.6)
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, (score, image, wanted, answer) in zip(grid, rows, strict=True):
        size = len(task.class_names)
        shown = (np.broadcast_to(image, (*image.shape[:2], 3)), overlay(image, wanted, size), overlay(image, answer, size))
        for place, pixels, words in zip(axes, shown, ("picture", "target", f"answer, IoU {score:.3f}"), strict=True):
            place.imshow(pixels, interpolation="nearest")
            place.set_title(words, fontsize=9)
            place.set_xlabel("x, pixels", fontsize=7)
            place.set_ylabel("y, pixels", fontsize=7)
            place.tick_params(labelsize=6)
    handles = [_patch(number, name) for number, name in enumerate(task.class_names) if number]
    figure.legend(handles=handles[:12], loc="outside lower center", ncols=min(6, len(handles)), fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def _patch(number: int, name: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=tuple(colour_of(number - 1) / 255.0), label=name)


def draw_confusion(shares: np.ndarray, class_names: tuple[str, ...], path: Path, what: str) -> None:
    """Write a confusion matrix as a PNG: rows are true classes, columns are answers.

    Args:
        shares: Share of each true class that got each answer [K, K].
        class_names: Names of the K classes.
        path: The file to write.
        what: Meaning of a share.
    """
    from rl_core.figure import new_figure

    size = len(class_names)
    figure = new_figure(min(14.0, 2.6 + 0.55 * size), min(13.0, 2.2 + 0.5 * size))
    axes = figure.add_subplot(1, 1, 1)
    shown = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xlabel("answer")
    axes.set_ylabel("target")
    if size <= 30:
        axes.set_xticks(range(size), class_names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(size), class_names, fontsize=8)
    if size <= 12:
        for row in range(size):
            for column in range(size):
                dark = shares[row, column] > 0.5
                axes.text(column, row, f"{shares[row, column]:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    figure.colorbar(shown, ax=axes, label=f"{what} of the target's class")
    axes.set_title("confusion matrix", fontsize=10)
    figure.savefig(path, dpi=110)
