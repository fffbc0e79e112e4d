"""Mean average precision of boxes and masks, as COCO defines it, picture by picture.

Source: Lin et al., *Microsoft COCO: common objects in context*, 2014, and the evaluation that its authors publish as pycocotools; a test
holds the numbers equal to that library's. Detections of a class are sorted by score; each takes the free object of its class that it
overlaps most, if the overlap is at least the threshold. Precision is read at 101 recalls. The first 100 detections of a class count.

An object with score 0 in the targets (a crowd of COCO, a difficult object of Pascal VOC) is neither asked for nor counted against what
covers it.

A batch is matched at once: rank after rank of the detections of all its pictures and all thresholds. Only scores and flags are kept.

Letters: D detections, N objects of a picture, B pictures, T thresholds, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cv_models.tasks.box_formats import area, intersection

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_DETECTIONS = 100  # of a class in a picture
CONFIDENT = 0.25  # least score of the detections that the confusion matrix counts


class Overlaps(NamedTuple):
    """Overlaps of the detections of one picture, best first, with its objects.

    Attributes:
        iou: [D, N], intersection over union; over the detection's own area for objects that are not asked for.
        scores: [D].
        labels: Classes of the detections [D].
        objects: Classes of the objects [N].
        unasked: Which objects are not asked for [N], bool.
    """

    iou: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    unasked: np.ndarray


def best_first(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the order of detections [D] by falling score, without those beyond the first 100 of a class.

    >>> best_first(np.array([0.1, 0.9, 0.5]), np.array([0, 0, 1])).tolist()
    [1, 2, 0]
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) <= MOST_DETECTIONS:
        return order
    by_class = np.argsort(labels[order], kind="stable")
    sorted_labels = labels[order][by_class]
    rank = np.arange(len(order)) - np.searchsorted(sorted_labels, sorted_labels)
    return order[np.sort(by_class[rank < MOST_DETECTIONS])]


def box_overlaps(boxes: np.ndarray, objects: np.ndarray, unasked: np.ndarray) -> np.ndarray:
    """Return the overlap [D, N] of boxes [D, 4] with those of objects [N, 4]."""
    return _over_union(intersection(boxes, objects), area(boxes), area(objects), unasked)


def mask_overlaps(masks: np.ndarray, objects: np.ndarray, unasked: np.ndarray) -> np.ndarray:
    """Return the overlap [D, N] of masks [D, H, W] with those of objects [N, H, W], bool."""
    one, other = (part.reshape(len(part), int(np.prod(part.shape[1:]))).astype(np.float32) for part in (masks, objects))
    return _over_union((one @ other.T).astype(np.float64), one.sum(1, dtype=np.float64), other.sum(1, dtype=np.float64), unasked)


def match(pictures: list[Overlaps]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each picture which detections find an object [T, D], and which are not counted [T, D], bool.

    Two detections of one object at the overlaps 0.8 and 0.6: the better one finds it up to the threshold 0.8, the other one never.

    >>> one = Overlaps(np.array([[0.8], [0.6]]), np.array([0.9, 0.5]), np.zeros(2, int), np.zeros(1, int), np.zeros(1, bool))
    >>> match([one])[0][0].sum(axis=0).tolist()
    [7, 0]
    """
    least = THRESHOLDS[0]
    rivals = [np.where(each.labels[:, None] == each.objects, each.iou, -1.0) for each in pictures]
    near = [np.flatnonzero(iou.max(axis=1, initial=-1.0) >= least) for iou in rivals]  # the others find nothing
    ranks, most = max(map(len, near), default=0), max((iou.shape[1] for iou in rivals), default=0)
    found = [np.zeros((len(THRESHOLDS), len(each.scores)), bool) for each in pictures]
    left_out = [np.zeros((len(THRESHOLDS), len(each.scores)), bool) for each in pictures]
    if not ranks:
        return found, left_out
    iou = np.full((len(pictures), ranks, most), -1.0)
    unasked = np.zeros((len(pictures), most), bool)
    for number, (rows, values, each) in enumerate(zip(near, rivals, pictures, strict=True)):
        iou[number, : len(rows), : values.shape[1]] = values[rows]
        unasked[number, : values.shape[1]] = each.unasked
    bounds = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None, None]
    free = np.broadcast_to(~unasked, (len(THRESHOLDS), *unasked.shape)).copy()
    hits, ignored = (np.zeros((len(THRESHOLDS), len(pictures), ranks), bool) for _ in range(2))
    which, picture = np.ogrid[: len(THRESHOLDS), : len(pictures)]
    for rank in range(ranks):
        reached = iou[:, rank] >= bounds  # [T, B, N]
        open_to = reached & free
        hits[..., rank] = open_to.any(-1)
        values = np.where(open_to, iou[:, rank], -1.0)
        taken = most - 1 - values[..., ::-1].argmax(-1)  # of equal overlaps the last object, as COCO has it
        free[which, picture, taken] &= ~hits[..., rank]
        ignored[..., rank] = ~hits[..., rank] & (reached & unasked).any(-1)
    for number, rows in enumerate(near):
        found[number][:, rows] = hits[:, number, : len(rows)]
        left_out[number][:, rows] = ignored[:, number, : len(rows)]
    return found, left_out


class Curves(NamedTuple):
    """Precision of each class at the recalls of `RECALLS`.

    Attributes:
        precision: [K, T, 101]; NaN for a class without objects.
        recall: The largest recall of each class [K, T].
    """

    precision: np.ndarray
    recall: np.ndarray

    @property
    def average(self) -> np.ndarray:
        """The average precision [K, T] of each class and threshold."""
        return np.asarray(self.precision.mean(-1))

    def mean(self, threshold: int | None = None) -> float:
        """Return the mean over the classes that have objects, of one threshold or of all; 0 without any object."""
        average = self.average if threshold is None else self.average[:, threshold]
        known = average[~np.isnan(average)]
        return float(known.mean()) if known.size else 0.0


class AveragePrecision:
    """The matches of all pictures so far, of one way to measure overlaps.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_objects = np.zeros(num_classes, np.int64)
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, pictures: list[Overlaps]) -> None:
        """Match the detections of some pictures."""
        bits = 1 << np.arange(len(THRESHOLDS), dtype=np.uint16)
        for each, found, left_out in zip(pictures, *match(pictures), strict=True):
            self._num_objects += np.bincount(each.objects[~each.unasked], minlength=len(self._num_objects))
            flags = [(part * bits[:, None]).sum(0, dtype=np.uint16) for part in (found, left_out)]
            self._kept.append((each.scores.astype(np.float32), each.labels.astype(np.int32), *flags))

    def curves(self) -> Curves:
        """Return the precision of each class over its recall."""
        num_classes = len(self._num_objects)
        precision = np.full((num_classes, len(THRESHOLDS), len(RECALLS)), np.nan)
        recall = np.full((num_classes, len(THRESHOLDS)), np.nan)
        if not self._kept:
            return Curves(precision, recall)
        scores, labels, found, left_out = (np.concatenate(parts) for parts in zip(*self._kept, strict=True))
        order = np.argsort(-scores, kind="stable")
        for number in np.flatnonzero(self._num_objects):
            chosen = order[labels[order] == number]
            for index in range(len(THRESHOLDS)):
                counted = chosen[(left_out[chosen] >> index & 1) == 0]
                hits = (found[counted] >> index & 1).astype(bool)
                precision[number, index], recall[number, index] = _curve(hits, int(self._num_objects[number]))
        return Curves(precision, recall)


class Confusion:
    """Counts of the objects of each class that were found as each class, at an overlap of 1/2 and a score of 1/4.

    Args:
        num_classes: K.

    Attributes:
        counts: [K + 1, K + 1], true class by found class; the last row and column stand for "nothing".
    """

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)

    def add(self, pictures: list[Overlaps]) -> None:
        """Pair objects and detections of some pictures, the largest overlaps first, whatever their classes."""
        for each in pictures:
            sure = each.scores >= CONFIDENT
            iou, labels, objects = each.iou[sure][:, ~each.unasked], each.labels[sure], each.objects[~each.unasked]
            free_detections, free_objects = np.ones(len(labels), bool), np.ones(len(objects), bool)
            pairs = np.argwhere(iou >= THRESHOLDS[0])
            for detection, target in pairs[np.argsort(-iou[tuple(pairs.T)], kind="stable")]:
                if free_detections[detection] and free_objects[target]:
                    free_detections[detection] = free_objects[target] = False
                    self.counts[objects[target], labels[detection]] += 1
            np.add.at(self.counts[:, -1], objects[free_objects], 1)
            np.add.at(self.counts[-1], labels[free_detections], 1)


def _curve(hits: np.ndarray, num_objects: int) -> tuple[np.ndarray, float]:
    """Return the precision at each recall [101] of detections in order of their score [D], and the largest recall.

    >>> _curve(np.array([True, False, True]), 2)[0][[0, 50, 51, 100]].round(4).tolist()
    [1.0, 1.0, 0.6667, 0.6667]
    """
    if not len(hits):
        return np.zeros(len(RECALLS)), 0.0
    right = np.cumsum(hits)
    recall = right / num_objects
    precision = right / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return np.append(precision, 0.0)[at], float(recall[-1])


def _over_union(shared: np.ndarray, one: np.ndarray, other: np.ndarray, unasked: np.ndarray) -> np.ndarray:
    union = np.where(unasked, one[:, None], one[:, None] + other - shared)
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)
