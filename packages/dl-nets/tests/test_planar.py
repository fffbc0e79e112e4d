from __future__ import annotations

import math

import numpy as np
import pytest

from dl_nets.tasks.planar import Planar, PlanarConfig, Shape


def test_bayes_rule_of_xor_has_the_accuracy_that_its_noise_leaves() -> None:
    """A point of a corner crosses a given middle line with p = Phi(-0.5 / sigma), and one crossing of two misleads: 1 - 2 p (1 - p)."""
    task = Planar(PlanarConfig(shape="xor", noise=0.3, examples=20_000))
    crossing = 0.5 * math.erfc(0.5 / 0.3 / math.sqrt(2.0))
    points, classes = task.read("train", np.arange(task.num_examples("train")))
    accuracy = float((task.bayes(points) == classes).mean())
    assert accuracy == pytest.approx(1 - 2 * crossing * (1 - crossing), abs=0.01)  # 3 standard errors of 12,000 points


@pytest.mark.parametrize("shape", ["xor", "two-moons", "spirals"])
def test_no_straight_line_parts_the_classes_but_bayes_rule_does(shape: Shape) -> None:
    from sklearn.linear_model import LogisticRegression

    task = Planar(PlanarConfig(shape=shape, examples=600))
    points, classes = task.read("train", np.arange(task.num_examples("train")))
    assert LogisticRegression().fit(points, classes).score(points, classes) < 0.9
    assert (task.bayes(points) == classes).mean() > 0.95
    assert task.target is not None
    assert task.target > 0.95


def test_spirals_have_as_many_classes_as_arms() -> None:
    task = Planar(PlanarConfig(shape="spirals", arms=3, examples=90))
    assert task.class_names == ("0", "1", "2")
