"""Specs of the tasks that ask for the class of a picture, or of each of its pixels."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSchemeSpec, TaskSpec

FEW = {"num_train": 60, "num_validation": 20, "num_test": 30}


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="shapes-classification",
        target="cv_models.tasks.shape_maps:ShapesClassification",
        summary="Circle, square or triangle? Made from a seed",
        traits=("data", "image-input", "discrete-output"),
        agent="supervised",
        tiny=FEW,
        tags=("classification", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="shapes-segmentation",
        target="cv_models.tasks.shape_maps:ShapesSegmentation",
        summary="Which pixels belong to which shape? Made from a seed",
        traits=("data", "image-input", "map-output"),
        agent="supervised",
        tiny=FEW,
        tags=("segmentation", "vision", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="masks",
        target="cv_models.tasks.masks:MasksTask",
        summary="A folder of pictures beside a folder of label maps",
        argument="path",
        example="masks:cells",
        make_example="cv_models.tasks.masks:write_example",
        traits=("data", "image-input", "map-output"),
        agents=("supervised",),
        tags=("segmentation", "vision"),
    )
