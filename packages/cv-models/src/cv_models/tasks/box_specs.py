"""Specs of the tasks that ask for boxes or instances, and of the schemes whose boxes are read from files."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSchemeSpec, TaskSpec


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="shapes-detection",
        target="cv_models.tasks.shape_boxes:ShapesDetection",
        summary="Where are the circles, squares and triangles? Made from a seed",
        traits=("data", "image-input", "boxes-output"),
        agent="supervised",
        tags=("detection", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="shapes-instances",
        target="cv_models.tasks.shape_boxes:ShapesInstances",
        summary="Which pixels belong to each shape? Made from a seed",
        traits=("data", "image-input", "instances-output"),
        agent="supervised",
        tags=("instance segmentation", "vision", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield from ()
