from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.learning.data import ArrayTask, Examples, accuracy, check_fractions, r2, split_indices


def test_the_splits_share_no_example_and_miss_none() -> None:
    splits = split_indices(100, 0.2, 0.1, 0)
    assert {name: len(indices) for name, indices in splits.items()} == {"train": 70, "validation": 20, "test": 10}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(100))


def test_every_class_has_its_share_in_every_split() -> None:
    classes = np.repeat([0, 1, 2], [50, 30, 20])
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        counts = np.bincount(classes[split_indices(100, 0.2, 0.1, 3, classes)[name]])
        np.testing.assert_allclose(counts, share * np.array([50, 30, 20]), atol=1e-9)


def test_a_split_seed_always_gives_the_same_splits_and_another_gives_others() -> None:
    first, second, other = (split_indices(50, 0.2, 0.2, seed)["test"] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_too_few_examples_for_a_test_split_are_refused_with_what_they_would_give() -> None:
    with pytest.raises(ValueError, match="2 examples are split into 2 train, 0 validation, 0 test; train and test need"):
        split_indices(2, 0.2, 0.2, 0)


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ((-0.1, 0.2), r"validation_fraction is -0\.1; it must be in \[0, 1\)"),
        ((0.1, 0.0), r"test_fraction is 0\.0; it must be in \(0, 1\)"),
        ((0.5, 0.5), r"validation_fraction \+ test_fraction is 1\.0; it must be < 1, or nothing is left"),
    ],
)
def test_fractions_that_leave_nothing_are_refused(fractions: tuple[float, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_fractions(*fractions)


def test_r2_is_one_for_right_answers_zero_for_the_mean_and_below_zero_for_worse() -> None:
    targets = np.array([[1.0], [2.0], [6.0]])
    assert r2(targets, targets) == 1.0
    assert r2(np.full((3, 1), 3.0), targets) == pytest.approx(0.0)
    assert r2(-targets, targets) < 0.0
    assert r2(np.ones(3), np.ones(3)) == 1.0
    assert r2(np.zeros(3), np.ones(3)) == 0.0


def test_accuracy_counts_what_is_right() -> None:
    assert accuracy(np.array([0, 1, 1]), np.array([0, 1, 0])) == pytest.approx(2 / 3)


def test_a_task_of_classes_is_judged_by_accuracy_and_one_of_numbers_by_r2(three_classes: ArrayTask, plane: ArrayTask) -> None:
    assert three_classes.traits() == {"data", "vector-input", "discrete-output"}
    assert plane.traits() == {"data", "vector-input", "continuous-output"}
    _, labels = three_classes.read("test", np.arange(15))
    assert three_classes.score(labels, labels) == {"accuracy": 1.0}
    _, numbers = plane.read("test", np.arange(15))
    assert plane.score(numbers + 2.0, numbers)["mean absolute error"] == pytest.approx(2.0, rel=1e-3)
    assert (three_classes.metric, plane.metric) == ("accuracy", "r2")


def test_a_split_too_large_to_keep_is_read_batch_by_batch_and_is_the_same(three_classes: ArrayTask) -> None:
    kept, read = (Examples(three_classes, "train", torch.device("cpu"), megabytes) for megabytes in (1, 0))
    assert len(kept) == len(read) == 60
    indices = np.array([5, 3, 3, 59])
    for one, other in zip(kept[indices], read[indices], strict=True):
        assert torch.equal(one, other)
    inputs, targets = three_classes.read("train", indices)
    assert np.array_equal(kept[indices][0].numpy(), inputs)
    assert np.array_equal(kept[indices][1].numpy(), targets)


def test_augmented_training_examples_vary_by_epoch_and_index_and_continue_inside_an_epoch() -> None:
    from dl_nets.learning.supervised import Supervised, SupervisedConfig
    from dl_nets.networks.mlp import MLP, MLPConfig
    from rl_core.seeds import Seeds

    class Varied(ArrayTask):
        augments = True
        seen: list[tuple[int, float, tuple[int, ...]]]

        def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[np.ndarray, np.ndarray]:
            self.seen.append((seed, progress, tuple(indices)))
            inputs, targets = self.read("train", indices)
            return inputs + np.float32(seed % 7), targets

    inputs = np.arange(12, dtype=np.float32)[:, None]
    splits = {name: (inputs, (inputs[:, 0] > 5).astype(np.int64)) for name in ("train", "validation", "test")}

    def agent() -> Supervised:
        task = Varied(None, splits, spaces.Box(-np.inf, np.inf, (1,), np.float32), ("low", "high"))
        task.seen = []
        return Supervised(SupervisedConfig(batch_size=4), task, MLP(MLPConfig(hidden=(4,))), seeds=Seeds(0), budget=48, device="cpu")

    whole = agent()
    while whole.progress < whole.budget:
        whole.step()
    seeds = [seed for seed, _, _ in whole.task.seen]
    assert len(set(seeds)) == 2  # two epochs of three batches
    assert [progress for _, progress, _ in whole.task.seen] == [0.0] * 3 + [0.5] * 3
    half = agent()
    half.progress = 4  # inside the first epoch
    half.step()
    assert half.task.seen[:2] == whole.task.seen[1:3]
