"""YOLO against its published size, torchvision's operations, and plain formulations of the assignment and the losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cv_models.detect.assigner import assign
from cv_models.detect.boxes import complete_iou, pairwise_iou, suppress
from cv_models.detect.yolo import Yolo, YoloConfig, YoloModule, grid
from cv_models.tasks.box_formats import convert_boxes
from cv_models.tasks.object_rows import objects_space, picture_space
from cv_models.tasks.shape_boxes import ShapeBoxesConfig, ShapesDetection
from dl_nets.learning.data import to_tensors
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.seeds import Seeds


def boxes(count: int, seed: int, size: float = 64.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand((count, 2), generator=generator) * size * 0.7
    return torch.cat([corner, corner + 1 + torch.rand((count, 2), generator=generator) * size * 0.3], 1)


def module(size: int = 64, num_classes: int = 3, **config: float) -> YoloModule:
    settings = YoloConfig(**{"width": 0.0625, "depth": 0.1, **config})  # type: ignore[arg-type]
    return Yolo(settings).build(picture_space(size), objects_space(size, num_classes), np.random.default_rng(0))


def test_the_nano_shape_has_the_published_number_of_parameters() -> None:
    made = Yolo(YoloConfig()).build(picture_space(64), objects_space(64, 80), np.random.default_rng(0))
    assert sum(parameter.numel() for parameter in made.parameters()) == 3_157_200


def test_overlaps_conversion_and_suppression_are_those_of_torchvision() -> None:
    from torchvision import ops

    one, other = boxes(200, 0).requires_grad_(), boxes(200, 1)
    loss, wanted = (1 - complete_iou(one, other)).sum(), ops.complete_box_iou_loss(one, other, reduction="sum")
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert torch.allclose(*(torch.autograd.grad(value, one)[0] for value in (loss, wanted)), atol=1e-5)
    assert torch.allclose(pairwise_iou(one, other), ops.box_iou(one, other), atol=1e-6)
    for target in ("xyxy", "xywh", "cxcywh"):
        for source in ("xyxy", "xywh", "cxcywh"):
            given = ops.box_convert(other, "xyxy", source)
            assert torch.allclose(convert_boxes(given, source, target), ops.box_convert(given, source, target), atol=1e-4)  # type: ignore[arg-type]
    for seed in range(5):
        many, generator = boxes(400, seed), torch.Generator().manual_seed(seed)
        scores, labels = torch.rand(400, generator=generator), torch.randint(0, 3, (400,), generator=generator)
        for overlap in (0.3, 0.7):
            assert torch.equal(suppress(many, scores, labels, overlap, 400), ops.batched_nms(many, scores, labels, overlap))


@pytest.mark.parametrize("seed", range(3))
def test_the_assignment_is_that_of_its_definition_written_in_loops(seed: int) -> None:
    points, _ = grid(64, 64)
    generator = torch.Generator().manual_seed(seed)
    picture = torch.tensor([0, 0, 0, 1, 1])
    wanted, labels = boxes(5, seed), torch.tensor([0, 2, 1, 1, 0])
    wanted[2], wanted[4] = wanted[1] + 2, torch.tensor([33.0, 33, 35, 35])  # one that competes, and one without a point
    scores = torch.rand((2, len(points), 3), generator=generator)
    reach = 12 * torch.rand((2, len(points), 4), generator=generator)
    predicted = torch.cat([points - reach[..., :2], points + reach[..., 2:]], -1)

    table, overlaps = {}, {}
    for g in range(5):
        inside = [a for a, (x, y) in enumerate(points.tolist()) if wanted[g, 0] < x < wanted[g, 2] and wanted[g, 1] < y < wanted[g, 3]]
        centre = (wanted[g, :2] + wanted[g, 2:]) / 2
        for a in inside or [int((points - centre).square().sum(1).argmin())]:
            overlaps[g, a] = max(0.1, complete_iou(predicted[picture[g], a], wanted[g]).item())
            table[g, a] = scores[picture[g], a, labels[g]].item() ** 0.5 * overlaps[g, a] ** 6
    own = {g: sorted((a for other, a in table if other == g), key=lambda a: -table[g, a])[:10] for g in range(5)}
    claims: dict[tuple[int, int], int] = {}
    for g, chosen in own.items():
        for a in chosen:
            place = int(picture[g]), a
            if place not in claims or overlaps[g, a] > overlaps[claims[place], a]:
                claims[place] = g
    expected = {}
    for (image, a), g in claims.items():
        kept = [b for (other, b), owner in claims.items() if owner == g and other == image]
        expected[image, a, g] = table[g, a] / max(table[g, b] for b in kept) * max(overlaps[g, b] for b in kept)

    got = assign(scores, predicted, points, picture, wanted, labels)
    found = dict(zip(zip(*(part.tolist() for part in got[:3]), strict=True), got.weight.tolist(), strict=True))
    assert set(found) == set(expected)
    assert any(g == 4 for _, _, g in found)
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_three_parts() -> None:
    made = module().train()
    task = ShapesDetection(ShapeBoxesConfig(num_train=6))
    inputs, targets = (to_tensors(part, torch.device("cpu")) for part in task.read("train", np.arange(6)))
    loss, metrics = made.training_loss(inputs, targets)
    raw = made(inputs)  # the same statistics of the batch
    distances, logits = raw.split([64, 3], -1)
    picture = torch.repeat_interleave(torch.arange(6), targets["box"].lengths)
    reach = distances.unflatten(-1, (4, 16)).softmax(-1) @ torch.arange(16.0) * made.strides[:, None]
    predicted = torch.cat([made.points - reach[..., :2], made.points + reach[..., 2:]], -1)
    chosen = assign(logits.sigmoid(), predicted, made.points, picture, targets["box"].values, targets["label"].values)
    wanted, parts, total = torch.zeros_like(logits), [0.0, 0.0], max(1.0, chosen.weight.sum().item())
    for image, point, g, weight in zip(*(part.tolist() for part in chosen), strict=True):
        wanted[image, point, targets["label"].values[g]] = weight
        box, stride = targets["box"].values[g], made.strides[point]
        parts[0] += weight * (1 - complete_iou(predicted[image, point] / stride, box / stride).item())
        sides = torch.cat([made.points[point] - box[:2], box[2:] - made.points[point]]) / stride
        for side, values in zip(sides.clamp(0, 14.99).tolist(), distances[image, point].unflatten(0, (4, 16)).log_softmax(-1), strict=True):
            low = math.floor(side)
            parts[1] -= weight * ((low + 1 - side) * values[low].item() + (side - low) * values[low + 1].item()) / 4
    classes = -(wanted * logits.sigmoid().log() + (1 - wanted) * (-logits).sigmoid().log()).sum().item()
    assert loss.item() == pytest.approx((7.5 * parts[0] + 0.5 * classes + 1.5 * parts[1]) / total, rel=1e-5)
    assert metrics["positives"] == pytest.approx(len(chosen.point) / 6)


def test_pictures_without_objects_and_any_size_are_learned() -> None:
    made = module(size=72).train()  # not a multiple of 32
    task = ShapesDetection(ShapeBoxesConfig(size=72, num_train=40))
    empty = np.flatnonzero(task.read("train", np.arange(40))[1]["box"].lengths == 0)[:2]
    assert len(empty) == 2
    inputs, targets = (to_tensors(part, torch.device("cpu")) for part in task.read("train", empty))
    loss, metrics = made.training_loss(inputs, targets)
    assert math.isfinite(loss.item())
    assert metrics["positives"] == 0
    assert made(inputs).shape == (2, 12**2 + 6**2 + 3**2, 4 * 16 + 3)


def test_detections_are_the_best_of_what_is_exported() -> None:
    made = module(num_classes=3).eval()
    with torch.no_grad():
        for boxes_of, classes_of in zip(made.box_heads, made.class_heads, strict=True):
            boxes_of.get_submodule("2").get_parameter("bias").copy_(-torch.arange(16.0).repeat(4))  # short distances
            classes_of.get_submodule("2").get_parameter("bias").fill_(-2.0)
    pictures = torch.from_numpy(ShapesDetection(ShapeBoxesConfig()).read("test", np.arange(2))[0])
    everything, found = made.traced_answers(pictures).detach(), made.answers(pictures)
    assert everything.shape == (2, 84, 4 + 3)
    for raw, box, label, score in zip(everything, found["box"], found["label"], found["score"], strict=True):
        assert len(box) > 3
        assert score.tolist() == sorted(score.tolist(), reverse=True)
        assert score[0] == raw[:, 4:].max()
        for one, kind, value in zip(box, label, score, strict=True):
            assert ((raw[:, :4] == one).all(1) & (raw[:, 4 + kind] == value)).any()
        overlaps = pairwise_iou(box, box) * (label[:, None] == label) - torch.eye(len(box))
        assert overlaps.max() <= 0.7


def test_mosaics_end_before_the_run_does_and_keep_boxes_on_their_objects() -> None:
    task = ShapesDetection(ShapeBoxesConfig(num_train=40, mosaic=1.0, augment=("flip", "turn"), mosaic_until=0.8))
    indices = np.arange(12)
    early, objects_early = task.read_augmented(indices, seed=5, progress=0.0)
    again, _ = task.read_augmented(indices[::-1], seed=5, progress=0.0)
    assert np.array_equal(early, again[::-1])
    late, objects_late = task.read_augmented(indices, seed=5, progress=0.8)
    assert np.array_equal(objects_late["box"].lengths, task.read("train", indices)[1]["box"].lengths)
    contrast = []
    for pictures, rows in ((early, objects_early["box"]), (late, objects_late["box"])):
        for picture, row in zip(pictures, rows, strict=True):
            for x1, y1, x2, y2 in np.round(row).astype(int):
                if min(x2 - x1, y2 - y1) >= 8 and x1 > 2 and y1 > 2 and x2 < 62 and y2 < 62:
                    middle = picture[(y1 + y2) // 2, (x1 + x2) // 2].astype(float)
                    around = [picture[y, x].astype(float) for y in (y1 - 2, y2 + 1) for x in (x1 - 2, x2 + 1)]
                    contrast.append(max(np.linalg.norm(middle - corner) for corner in around))
    assert len(contrast) > 20
    assert np.mean(np.array(contrast) > 40) > 0.95  # an object has another colour than what is beside its box


@pytest.mark.learning
def test_it_overfits_eight_pictures() -> None:
    task = ShapesDetection(ShapeBoxesConfig(num_train=8, num_validation=0))
    settings = SupervisedConfig(epochs=300, batch_size=8, learning_rate=3e-3, schedule="warm-up-cosine", max_gradient_norm=10.0)
    agent = Supervised(settings, task, Yolo(YoloConfig(width=0.125)), seeds=Seeds(0), budget=300 * 8, device="cpu")
    metrics: dict[str, float] = {}
    while agent.progress < agent.budget:
        metrics = agent.step()
    assert metrics["positives"] > 1
    assert metrics["highest_score"] > 0.5
    assert task.evaluate_split(agent.predict, "train", 8)["map50"] > 0.95
