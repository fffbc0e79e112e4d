"""Mean average precision, held equal to the library of COCO's authors; the confusion matrix."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from cv_models.tasks.boxes import BoxJudge
from cv_models.tasks.object_rows import objects
from rl_core import batches

NAMES = ("ant", "bee", "cat")
SIZE = 64


def drawn(rng: np.random.Generator, least: int, most: int, *, masks: bool) -> dict[str, np.ndarray]:
    """Return random objects, whose masks fill their boxes but for a corner."""
    count = int(rng.integers(least, most))
    corner, side = rng.integers(0, 40, (count, 2)), rng.integers(8, 24, (count, 2))
    row = {
        "box": np.concatenate([corner, corner + side], 1).astype(np.float32),
        "label": rng.integers(0, len(NAMES), count),
        "score": np.ones(count, np.float32),
    }
    if masks:
        row["mask"] = np.zeros((count, SIZE, SIZE), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(row["mask"], row["box"].astype(int), strict=True):
            mask[y1:y2, x1:x2] = 1
            mask[y1 : y1 + 3, x1 : x1 + 2] = 0
    return row


def guesses(rng: np.random.Generator, wanted: dict[str, np.ndarray], *, masks: bool) -> dict[str, np.ndarray]:
    """Return the objects moved by up to 2 pixels, some of another class, and some that are not there; scores with ties."""
    other = drawn(rng, 0, 3, masks=masks)
    shift = rng.integers(-2, 3, (len(wanted["box"]), 2))
    moved = {**wanted, "box": np.clip(wanted["box"] + np.tile(shift, 2), 0, SIZE).astype(np.float32)}
    moved["label"] = np.where(rng.random(len(shift)) < 0.2, (wanted["label"] + 1) % 3, wanted["label"])
    if masks:
        moved["mask"] = np.zeros_like(wanted["mask"])
        for mask, source, (dx, dy) in zip(moved["mask"], wanted["mask"], shift, strict=True):
            mask[:] = np.roll(source, (dy, dx), (0, 1))
    both = {name: np.concatenate([moved[name], wanted[name][::2], other[name]]) for name in moved}  # every second object twice
    both["score"] = (rng.integers(1, 20, len(both["label"])) / 20).astype(np.float32)
    return both


def by_library(targets: list[dict[str, np.ndarray]], answers: list[dict[str, np.ndarray]], kind: str) -> tuple[float, float]:
    """Return mAP at 0.5 and over 0.5 to 0.95 as pycocotools has them."""
    from pycocotools import coco
    from pycocotools import cocoeval as evaluation
    from pycocotools import mask as mask_tools

    def entry(row: dict[str, np.ndarray], number: int) -> dict[str, Any]:
        x1, y1, x2, y2 = (float(side) for side in row["box"][number])
        found: dict[str, Any] = {"category_id": int(row["label"][number]) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        found["area"] = (x2 - x1) * (y2 - y1)
        if kind == "segm":
            found["segmentation"] = mask_tools.encode(np.asfortranarray(row["mask"][number]))
        return found

    truth, found = [], []
    for image, (wanted, answer) in enumerate(zip(targets, answers, strict=True), start=1):
        for number in range(len(wanted["label"])):
            crowd = int(wanted["score"][number] == 0)
            truth.append({**entry(wanted, number), "image_id": image, "id": len(truth) + 1, "iscrowd": crowd})
        for number, score in enumerate(answer["score"].tolist()):
            found.append({**entry(answer, number), "image_id": image, "score": score})
    dataset = coco.COCO()
    dataset.dataset = {
        "images": [{"id": image, "width": SIZE, "height": SIZE} for image in range(1, len(targets) + 1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)],
        "annotations": truth,
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
        judge = evaluation.COCOeval(dataset, dataset.loadRes(found), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1]), float(judge.stats[0])


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
def test_the_means_are_those_of_the_library(masks: bool) -> None:
    rng = np.random.default_rng(0)
    targets = [drawn(rng, 0, 7, masks=masks) for _ in range(30)]
    answers = [guesses(rng, row, masks=masks) for row in targets]
    for row in targets[::4]:  # some are not asked for
        row["score"][:1] = 0
    judge = BoxJudge(NAMES, masks=masks)
    for part in (slice(0, 11), slice(11, 30)):
        judge.add(objects(answers[part], SIZE, masks=masks), objects(targets[part], SIZE, masks=masks))
    result = judge.result()
    assert 0.15 < result["map50_95"] < result["map50"] < 0.9
    assert (result["map50"], result["map50_95"]) == pytest.approx(by_library(targets, answers, "segm" if masks else "bbox"), abs=1e-6)


def test_only_the_best_hundred_detections_of_a_class_count() -> None:
    boxes = np.tile(np.array([[0.0, 0, 9, 9]], np.float32), (150, 1))
    boxes[120] = [20, 20, 40, 40]
    answer = {"box": boxes, "label": np.zeros(150, np.int64), "score": np.linspace(1, 0.5, 150, dtype=np.float32)}
    target = {"box": boxes[120:121], "label": np.zeros(1, np.int64), "score": np.ones(1, np.float32)}
    judge = BoxJudge(("ant",))
    judge.add(objects([answer], SIZE), objects([target], SIZE))
    assert judge.result()["map50"] == 0.0


def test_objects_and_detections_are_paired_whatever_their_class() -> None:
    box = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], np.float32)
    target = {"box": box, "label": np.array([0, 1, 2]), "score": np.ones(3, np.float32)}
    answer = {"box": box[[0, 1, 0]] + 1, "label": np.array([0, 2, 1]), "score": np.array([0.9, 0.8, 0.1], np.float32)}
    judge = BoxJudge(NAMES)
    judge.add(objects([answer], SIZE), objects([target], SIZE))
    assert judge.confusion.counts.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_split_without_objects_scores_nothing() -> None:
    nothing = objects([drawn(np.random.default_rng(0), 0, 1, masks=False)], SIZE)
    judge = BoxJudge(NAMES)
    judge.add(nothing, nothing)
    assert judge.result()["map50"] == 0.0
    assert batches.count(nothing) == 1
