"""Specs of the tasks that ask for boxes or instances, and of the schemes whose boxes are read from files."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSchemeSpec, TaskSpec

FEW = {"num_train": 60, "num_validation": 20, "num_test": 30}


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="shapes-detection",
        target="cv_models.tasks.shape_boxes:ShapesDetection",
        summary="Where are the circles, squares and triangles? Made from a seed",
        traits=("data", "image-input", "boxes-output"),
        agent="supervised",
        tiny=FEW,
        tags=("detection", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="shapes-instances",
        target="cv_models.tasks.shape_boxes:ShapesInstances",
        summary="Which pixels belong to each shape? Made from a seed",
        traits=("data", "image-input", "instances-output"),
        agent="supervised",
        tiny=FEW,
        tags=("instance segmentation", "vision", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    for name, target, summary, example, outputs in (
        ("voc", "voc:VocTask", "Pictures with Pascal VOC annotations, one XML file each", "voc:cells", "boxes"),
        ("coco", "coco:CocoTask", "Pictures with the annotations of COCO in one JSON file", "coco:cells.json", "boxes"),
        ("yolo", "yolo_files:YoloFilesTask", "Pictures with text files of boxes, described in YAML", "yolo:cells.yaml", "boxes"),
        ("instances", "instances:InstancesTask", "Pictures beside maps with a number for each object", "instances:cells", "instances"),
    ):
        yield TaskSchemeSpec(
            name=name,
            target=f"cv_models.tasks.{target}",
            summary=summary,
            argument="path",
            example=example,
            make_example=f"cv_models.tasks.{target.partition(':')[0]}:write_example",
            traits=("data", "image-input", f"{outputs}-output"),
            agents=("supervised",),
            tags=("detection" if outputs == "boxes" else "instance segmentation", "vision"),
        )
