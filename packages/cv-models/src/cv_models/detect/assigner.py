"""Task-aligned assignment: the points that answer for each object.

Source: Feng et al., *TOOD: task-aligned one-stage object detection*, 2021, section 3.2, with the settings alpha = 0.5, beta = 6 and 10
points that later single-stage detectors took over. Departures: the overlap is the complete IoU, at least 0.1, without which an object that
no first prediction overlaps would be taught as background for ever; a point that two objects claim goes to the one it overlaps more; an
object that covers no point gets the nearest one, so that none is lost however small.

The objects of all pictures are one list, so that nothing is padded. Letters: B pictures, A points of a picture, G objects of the batch,
K classes, P chosen pairs of an object and a point.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cv_models.detect.boxes import complete_iou

CLASS_POWER = 0.5  # alpha
OVERLAP_POWER = 6.0  # beta
LEAST_OVERLAP = 0.1
POINTS = 10  # m, of an object at most


class Assignment(NamedTuple):
    """The chosen pairs: point `point[p]` of picture `picture[p]` answers for object `object[p]`.

    Attributes:
        picture: [P].
        point: [P].
        object: [P], in [0, G).
        weight: The target of the class score [P], in [0, 1].
    """

    picture: Tensor
    point: Tensor
    object: Tensor
    weight: Tensor


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Return which points [A, 2] are inside boxes [G, 4]: [G, A]; of a box without any, the point nearest to its centre.

    >>> inside(torch.tensor([[4.0, 4.0], [12.0, 4.0]]), torch.tensor([[0.0, 0, 8, 8], [13, 0, 15, 2]])).tolist()
    [[True, False], [False, True]]
    """
    within = ((points > boxes[:, None, :2]) & (points < boxes[:, None, 2:])).all(-1)
    lost = (~within.any(1)).nonzero()[:, 0]
    if len(lost):
        centres = (boxes[lost, :2] + boxes[lost, 2:]) / 2
        within[lost, (points - centres[:, None]).square().sum(-1).argmin(1)] = True
    return within


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, points: Tensor, picture: Tensor, objects: Tensor, labels: Tensor) -> Assignment:
    """Return the pairs of objects and points, and the weight of each.

    The alignment of object g and a point inside it is t = score^alpha o^beta, with the point's score of g's class and the overlap
    o = max(CIoU, 0.1). The best 10 points of each object are its own. The weight is t / max t max o, the maxima over the object's points:
    the best aligned point is asked for a score as high as the best overlap.

    Args:
        scores: Probabilities of the classes at each point [B, A, K].
        boxes: Predicted boxes [B, A, 4].
        points: [A, 2], pixels.
        picture: Picture of each object [G].
        objects: Boxes of the objects [G, 4].
        labels: Classes of the objects [G].
    """
    num_points = len(points)
    which, where = inside(points, objects).nonzero(as_tuple=True)  # candidates
    overlap = complete_iou(boxes[picture[which], where], objects[which]).clamp(min=LEAST_OVERLAP)
    aligned = scores[picture[which], where, labels[which]] ** CLASS_POWER * overlap**OVERLAP_POWER
    table = aligned.new_full((len(objects), num_points), -1.0)
    table[which, where] = aligned
    overlaps = torch.zeros_like(table)
    overlaps[which, where] = overlap

    best = table.topk(min(POINTS, num_points), dim=1)
    owner = torch.arange(len(objects), device=table.device)[:, None].expand_as(best.indices)
    kept = best.values >= 0
    owner, point = owner[kept], best.indices[kept]
    place = picture[owner] * num_points + point  # of the point among those of all pictures
    claim = overlaps[owner, point]
    largest = claim.new_full((len(boxes) * num_points,), -1.0).scatter_reduce(0, place, claim, "amax")
    wins = claim == largest[place]
    first = owner.new_full((len(boxes) * num_points,), len(objects)).scatter_reduce(0, place[wins], owner[wins], "amin")  # of equal ones
    wins &= owner == first[place]
    owner, point = owner[wins], point[wins]

    t, u = table[owner, point], overlaps[owner, point]
    zeros = t.new_zeros(len(objects))
    most_aligned, most_overlap = (zeros.scatter_reduce(0, owner, values, "amax")[owner] for values in (t, u))
    weight = t / most_aligned.clamp(min=1e-30) * most_overlap
    return Assignment(picture[owner], point, owner, weight)
