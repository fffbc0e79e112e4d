"""Pictures of boxes and masks: answers drawn on a picture, the best and worst of a split, precision over recall, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cv_models.tasks.average_precision import RECALLS, Curves
from cv_models.tasks.object_rows import rows_of
from cv_models.tasks.overlays import OPACITY, colour_of, draw_confusion, save

if TYPE_CHECKING:
    from cv_models.tasks.boxes import BoxTask
    from rl_core.task import Predict

AT_ONCE = 32  # pictures that are answered together
LOOKED_AT = 200  # pictures of the test split
SHOWN = 4  # best and worst pictures
SHOWN_SCORE = 0.25  # least score of the boxes that are drawn


def save_drawn(path: Path, picture: np.ndarray, row: Mapping[str, np.ndarray], class_names: Sequence[str]) -> None:
    """Write a picture [H, W, 3] with its objects of a score of at least 1/4, masks shaded, as a PNG of the same size."""
    save(path, drawn(picture, row, class_names))


def drawn(picture: np.ndarray, row: Mapping[str, np.ndarray], class_names: Sequence[str], *, words: bool = True) -> np.ndarray:
    """Return a picture [H, W, 3] with its objects in it.

    Args:
        picture: Bytes.
        row: `box` [n, 4] in pixels of the picture, `label`, `score` and, where there are any, `mask` [n, H, W].
        class_names: Names of the classes.
        words: Whether the class and the score are written at each box.
    """
    from PIL import Image, ImageDraw

    sure = np.flatnonzero(row["score"] >= SHOWN_SCORE)
    pixels = picture.astype(np.float64)
    for number in sure if "mask" in row else ():
        inside = row["mask"][number] > 0
        pixels[inside] = pixels[inside] * (1 - OPACITY) + colour_of(int(number)) * OPACITY  # a colour for each instance
    image = Image.fromarray(np.rint(pixels).astype(np.uint8))
    pen, thick = ImageDraw.Draw(image), max(1, round(min(picture.shape[:2]) / 240))
    for number in sure[np.argsort(row["score"][sure], kind="stable")]:  # the best on top
        label = int(row["label"][number])
        colour = tuple(int(part) for part in colour_of(label))
        x1, y1, x2, y2 = (float(side) for side in row["box"][number])
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=thick)
        if words:
            text = f"{class_names[label]} {row['score'][number]:.2f}"
            left, top, right, bottom = pen.textbbox((x1, y1), text)
            up = min(bottom - top + 3.0, y1)
            pen.rectangle((left, top - up, right + 2, bottom - up + 1), fill=colour)
            pen.text((x1 + 1, y1 - up), text, fill=(0, 0, 0) if sum(colour) > 380 else (255, 255, 255))
    return np.asarray(image)


def draw_report(task: BoxTask, folder: Path, predict: Predict) -> None:
    """Write `best.png`, `worst.png`, `precision-recall.png` and `confusion.png` of the test split, or its first pictures."""
    count = min(task.num_examples("test"), LOOKED_AT)
    judge, scored = task.judge(), []
    for start in range(0, count, AT_ONCE):
        pictures, targets = task.read("test", np.arange(start, min(start + AT_ONCE, count)))
        answers = predict(pictures)
        judge.add(answers, targets)
        for picture, wanted, answer in zip(pictures, rows_of(targets), rows_of(answers), strict=True):
            scored.append((_quality(wanted, answer, task), picture, wanted, answer))
    scored.sort(key=lambda row: row[0])
    best = sorted(scored, key=lambda row: (not len(row[2]["box"]), -row[0]))  # those with objects first
    for name, rows in (("worst", scored[:SHOWN]), ("best", best[:SHOWN])):
        _draw_rows(task, rows, folder / f"{name}.png", f"{name} of {count} test pictures, by F1 at an overlap of 0.5")
    _draw_curves(judge.curves(), task.class_names, folder / "precision-recall.png")
    counts = judge.confusion.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    draw_confusion(shares, (*task.class_names, "nothing"), folder / "confusion.png", "share of objects")


def _quality(wanted: Mapping[str, np.ndarray], answer: Mapping[str, np.ndarray], task: BoxTask) -> float:
    """Return the F1 of the detections with a score of at least 1/4 on one picture: 2 hits / (detections + objects)."""
    from cv_models.tasks.average_precision import Confusion, Overlaps, box_overlaps

    unasked = wanted["score"] == 0
    iou = box_overlaps(answer["box"], wanted["box"], unasked)
    table = Confusion(len(task.class_names))
    table.add([Overlaps(iou, answer["score"], answer["label"], wanted["label"], unasked)])
    hits = int(np.trace(table.counts[:-1, :-1]))
    asked = int((answer["score"] >= SHOWN_SCORE).sum()) + int((~unasked).sum())
    return 2 * hits / asked if asked else 1.0


def _draw_rows(task: BoxTask, rows: list[tuple[float, Any, Any, Any]], path: Path, title: str) -> None:
    from matplotlib.patches import Patch

    from rl_core.figure import new_figure

    figure = new_figure(8.4, 4.2 * len(rows) + 0.6)
    grid = figure.subplots(len(rows), 2, squeeze=False)
    for axes, (score, picture, wanted, answer) in zip(grid, rows, strict=True):
        for place, row, words in zip(axes, (wanted, answer), ("target", f"answer, F1 {score:.2f}"), strict=True):
            place.imshow(drawn(picture, row, task.class_names, words=False), interpolation="nearest")
            count = int((row["score"] >= SHOWN_SCORE).sum())
            place.set_title(f"{words}, {count} object{'s' * (count != 1)}", fontsize=9)
            place.set_xlabel("x, pixels", fontsize=7)
            place.set_ylabel("y, pixels", fontsize=7)
            place.tick_params(labelsize=6)
    handles = [Patch(color=tuple(colour_of(number) / 255.0), label=name) for number, name in enumerate(task.class_names[:12])]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def _draw_curves(curves: Curves, class_names: Sequence[str], path: Path) -> None:
    """Write precision over recall at an overlap of 0.5, a line for each of the first classes that have objects, and their mean."""
    from rl_core.figure import new_figure

    figure = new_figure(5.6, 4.4)
    axes = figure.add_subplot(1, 1, 1)
    known = np.flatnonzero(~np.isnan(curves.precision[:, 0, 0]))
    for number in known[:10]:
        axes.plot(RECALLS, curves.precision[number, 0], linewidth=1, label=f"{class_names[number]}, {curves.average[number, 0]:.3f}")
    if len(known) > 1:
        mean = curves.precision[known, 0].mean(0)
        axes.plot(RECALLS, mean, "k", linewidth=2, label=f"mean of {len(known)} classes, {curves.mean(0):.3f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall: share of the objects that are found")
    axes.set_ylabel("precision: share of the detections that are right")
    axes.set_title("precision over recall at an overlap of 0.5, and its mean", fontsize=10)
    axes.grid(alpha=0.25)
    if len(known):
        axes.legend(fontsize=8, loc="lower left")
    figure.savefig(path, dpi=110)
