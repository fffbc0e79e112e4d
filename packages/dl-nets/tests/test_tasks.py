from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest

import dl_nets._plugin as plugin
from dl_nets.learning.data import ArrayTask
from dl_nets.tasks.baselines import least_squares_r2
from dl_nets.tasks.digits import Digits, DigitsConfig
from dl_nets.tasks.sklearn_tables import BundledTable, BundledTableConfig
from rl_core.api import TaskSpec

SPECS = {spec.name: spec for spec in plugin.rl_tasks()}


def build(spec: TaskSpec) -> ArrayTask:
    module, _, name = spec.target.partition(":")
    task_class = getattr(import_module(module), name)
    return task_class(task_class.Config(**spec.config))


@pytest.mark.parametrize(
    ("name", "sizes", "shape"),
    [
        ("digits", (1079, 359, 359), (8, 8, 1)),
        ("breast-cancer", (343, 113, 113), (30,)),
        ("wine", (106, 36, 36), (13,)),
        ("diabetes", (266, 88, 88), (10,)),
    ],
)
def test_every_task_is_what_its_spec_says_and_has_all_its_examples(name: str, sizes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    task = build(SPECS[name])
    assert task.traits() == set(SPECS[name].traits)
    assert tuple(task.num_examples(split) for split in ("train", "validation", "test")) == sizes
    inputs, targets = task.read("train", np.arange(5))
    assert inputs.shape == (5, *shape)
    assert inputs.dtype == np.float32
    assert all(task.input_space.contains(example) for example in inputs)
    assert all(task.output_space.contains(target) for target in targets)


def test_pictures_of_digits_have_the_numbers_of_the_file() -> None:
    """The first picture of the file is a 0, whose first row begins 0 0 5 13 9 (of 16)."""
    digits = Digits(DigitsConfig())
    images = np.concatenate([digits.read(split, np.arange(digits.num_examples(split)))[0] for split in ("train", "validation", "test")])
    row = np.array([0, 0, 5, 13, 9, 1, 0, 0]) / 16
    assert (np.abs(images[:, 0, :, 0] - row).max(axis=1) == 0).any()
    assert digits.class_names == tuple("0123456789")


@pytest.mark.parametrize("name", ["breast-cancer", "wine", "diabetes"])
def test_inputs_are_standardised_by_the_training_rows(name: str) -> None:
    task = build(SPECS[name])
    inputs, _ = task.read("train", np.arange(task.num_examples("train")))
    np.testing.assert_allclose(inputs.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(axis=0), 1.0, atol=1e-4)


def test_a_row_in_the_tables_own_units_is_read_as_the_split_has_it() -> None:
    from sklearn import datasets

    wine, bunch = BundledTable(BundledTableConfig(table="wine")), datasets.load_wine()
    row = dict(zip(bunch.feature_names, bunch.data[0].tolist(), strict=True))
    parsed = wine.parse(json.dumps(row))
    inputs = np.concatenate([wine.read(split, np.arange(wine.num_examples(split)))[0] for split in ("train", "validation", "test")])
    assert (inputs == parsed).all(axis=1).sum() == 1


def test_least_squares_recovers_a_line_and_is_the_target_of_diabetes() -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 2))
    targets = inputs @ np.array([[2.0], [-1.0]]) + 7.0
    assert least_squares_r2((inputs, targets), (inputs + 1.0, targets + 1.0)) == pytest.approx(1.0)
    target = BundledTable(BundledTableConfig(table="diabetes")).target
    assert target is not None
    assert 0.3 < target < 0.6  # Efron et al. report 0.518 on the rows that the line was fitted to


def test_a_config_out_of_range_is_refused_in_words() -> None:
    for config_class in (DigitsConfig, BundledTableConfig):
        with pytest.raises(ValueError, match="split_seed is -1; it must be >= 0"):
            config_class(split_seed=-1)
        with pytest.raises(ValueError, match=r"test_fraction is 1\.5; it must be in \(0, 1\)"):
            config_class(test_fraction=1.5)
