from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rl_core
from cv_models.generate.generated import Generated, GeneratedConfig, write_example


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "gan"
    write_example(folder)
    return folder


def test_generated_examples_fill_each_class_up_to_the_commonest(run: Path) -> None:
    task = Generated(GeneratedConfig(path=str(run)))
    real = task.source.num_examples("train")
    inputs, classes = (np.asarray(part) for part in task.read("train", np.arange(task.num_examples("train"))[::-1]))
    counts = np.bincount(classes, minlength=3)
    assert counts.min() == counts.max() == task._counts.max() > task._counts.min()
    assert inputs.dtype == np.uint8
    assert np.array_equal(inputs[::-1][:real], np.asarray(task.source.read("train", np.arange(real))[0]))
    assert np.array_equal(task.read("test", np.arange(8))[1], task.source.read("test", np.arange(8))[1])
    assert task.facts()["triangle"].endswith("generated")


def test_a_classifier_that_learned_answers_when_the_generator_is_gone(run: Path) -> None:
    task = Generated(GeneratedConfig(path=str(run)))
    gone = Generated.from_state(GeneratedConfig(path="gone"), task.state_dict())
    assert gone.class_names == task.class_names
    assert np.array_equal(gone.read("test", np.arange(4))[0], task.read("test", np.arange(4))[0])
    with pytest.raises(ValueError, match="'gone' is not a run; expected one of the agent gan"):
        gone.read("train", np.array([gone.num_examples("train") - 1]))


def test_a_run_without_labels_is_refused(tmp_path: Path) -> None:
    rl_core.learn("perceptron", task="xor", budget=40, out=tmp_path / "run")
    with pytest.raises(ValueError, match="did not learn to draw examples of a class"):
        Generated(GeneratedConfig(path=str(tmp_path / "run")))
