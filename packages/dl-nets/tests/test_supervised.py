from __future__ import annotations

import copy
import json
import multiprocessing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning import number_losses
from dl_nets.learning.class_weights import ClassWeights
from dl_nets.learning.data import ArrayTask
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.supervised import Supervised, SupervisedConfig, update
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.errors import WorkError
from rl_core.seeds import Seeds

Learner = Callable[..., Supervised]


def train(agent: Supervised, epochs: int) -> list[dict[str, float]]:
    return [agent.step() for _ in range(epochs)]


def arrays(state: Any, path: str = "") -> dict[str, np.ndarray]:
    """Every array and number of a nested state by its path."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {name: array for key, value in items for name, array in arrays(value, f"{path}/{key}").items()}
    return {path: np.asarray(state)}


def assert_same_bits(first: Supervised, second: Supervised) -> None:
    one, other = arrays(first.state_dict()), arrays(second.state_dict())
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one if one[name].dtype != object)


def resumed(agent: Supervised, fresh: Supervised) -> Supervised:
    """`fresh` with the state of `agent`, as a run carries it over: state, progress, finished and NumPy streams."""
    fresh.load_state_dict(copy.deepcopy(agent.state_dict()))
    fresh.progress, fresh.finished = agent.progress, agent.finished
    fresh.seeds.load_state_dict(json.loads(json.dumps(agent.seeds.state_dict())))
    return fresh


def test_it_separates_three_classes_and_answers_with_their_names(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes, budget=20)
    metrics = train(agent, 20)
    assert metrics[-1]["loss"] < 0.2 < metrics[0]["loss"]
    assert metrics[-1]["validation_accuracy"] == 1.0
    assert agent.evaluate(episodes=1, seeds=agent.seeds) == {"accuracy": 1.0}
    assert agent.answer("[3.0, 0.0]") == "b"


def test_it_fits_linear_functions_far_from_zero_in_their_own_unit(plane: ArrayTask, learner: Learner) -> None:
    agent = learner(plane, budget=60, network=MLPConfig(hidden=()), learning_rate=0.1, weight_decay=0.0)
    train(agent, 60)
    assert agent.evaluate(episodes=1, seeds=agent.seeds)["r2"] > 0.9999
    assert agent.answer("[0, 0, 0]") == pytest.approx([100.0, -3000.0], rel=1e-3)


def test_updates_without_a_graph_of_torchs_are_its_own_but_for_rounding(three_classes: ArrayTask, learner: Learner) -> None:
    fast, slow = learner(three_classes, budget=10), learner(three_classes, budget=10)
    assert fast._fast is not None
    slow._fast = None
    for one, other in zip(train(fast, 10), train(slow, 10), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4)
    for name, value in fast.parameters().items():
        np.testing.assert_allclose(value, slow.parameters()[name], atol=1e-5)


@pytest.mark.parametrize("settings", [{"label_smoothing": 0.1}, {"max_gradient_norm": 1.0}, {"class_weights": "balanced"}, {"shards": 2}])
def test_what_needs_more_than_a_mean_of_cross_entropy_is_left_to_torch(
    three_classes: ArrayTask, learner: Learner, settings: dict[str, Any]
) -> None:
    assert learner(three_classes, budget=10, **settings)._fast is None


@pytest.mark.parametrize("optimiser", ["sgd", "nesterov", "adamw", "nadam", "ftrl"])
def test_every_optimiser_learns(three_classes: ArrayTask, learner: Learner, optimiser: str) -> None:
    agent = learner(
        three_classes, budget=20, optimiser=optimiser, learning_rate=0.05 if optimiser == "sgd" else 0.5 if optimiser == "ftrl" else 0.01
    )
    metrics = train(agent, 20)
    assert metrics[-1]["validation_accuracy"] > 0.9  # chance is 1/3


def test_two_classes_are_learned_by_one_unit(learner: Learner) -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((120, 2)).astype(np.float32)
    labels = (points.sum(1) > 0).astype(np.int64)
    splits = {"train": (points[:80], labels[:80]), "validation": (points[80:100], labels[80:100]), "test": (points[100:], labels[100:])}
    task = ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (2,), np.float32), ("below", "above"))
    agent = learner(task, budget=30, network=MLPConfig(hidden=()), learning_rate=0.1, loss="binary-cross-entropy")
    assert train(agent, 30)[-1]["validation_accuracy"] >= 0.95
    assert agent.module.layers[-1].out_features == 1
    chances = agent.probabilities(points[100:])
    assert np.allclose(chances.sum(1), 1.0)
    assert np.array_equal(chances.argmax(1), agent.predict(points[100:]))


def test_several_labels_are_learned_at_once_and_judged_by_the_metrics_of_the_config(learner: Learner) -> None:
    class Flags(ArrayTask):
        """Two flags of a point: whether each of its coordinates is above 0."""

        def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
            return {"accuracy": float((predictions == targets).mean())}

    points = np.random.default_rng(0).standard_normal((120, 2)).astype(np.float32)
    flags = (points > 0).astype(np.int8)
    splits = {"train": (points[:80], flags[:80]), "validation": (points[80:100], flags[80:100]), "test": (points[100:], flags[100:])}
    task = Flags(None, splits, spaces.Box(-np.inf, np.inf, (2,), np.float32), ())
    task.output_space, task.metric = spaces.MultiBinary(2), "accuracy"
    agent = learner(task, budget=30, network=MLPConfig(hidden=()), learning_rate=0.1, metrics=("exact", "f1"))
    assert train(agent, 30)[-1]["validation_exact"] > 0.8  # chance is 1/4
    scores = agent.evaluate(episodes=1, seeds=agent.seeds)
    assert scores["exact"] > 0.8
    assert scores["f1"] > 0.8


def test_the_average_of_the_weights_answers(three_classes: ArrayTask, learner: Learner) -> None:
    plain, ema, swa = (learner(three_classes, average=average, average_start=0.5) for average in ("none", "ema", "swa"))
    for agent in (plain, ema, swa):
        train(agent, 10)
    for agent in (ema, swa):  # averaging does not change the course of learning
        assert all(np.array_equal(value, agent.parameters()[name]) for name, value in plain.parameters().items())
    assert swa._averaged.count == 5  # the epochs that ended at or after half of the budget
    assert not torch.equal(swa.module.layers[0].weight, plain.module.layers[0].weight)


@pytest.mark.parametrize("loss", ["mse", "absolute-error", "huber", "log-cosh"])
def test_every_loss_of_numbers_learns(plane: ArrayTask, learner: Learner, loss: str) -> None:
    agent = learner(plane, budget=30, loss=loss, network=MLPConfig(hidden=()), learning_rate=0.05)
    assert train(agent, 30)[-1]["validation_r2"] > 0.95


def test_a_batch_of_all_with_plain_gradient_descent_follows_the_loss_downhill(plane: ArrayTask, learner: Learner) -> None:
    """On a linear model the squared error is convex, so small steps can only lower it."""
    agent = learner(plane, budget=20, batch_size=0, optimiser="sgd", network=MLPConfig(hidden=()), learning_rate=0.05, weight_decay=0.0)
    path = [metrics["loss"] for metrics in train(agent, 20)]
    assert path == sorted(path, reverse=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimiser": "momentum", "max_gradient_norm": 0.1},
        {"patience": 5, "label_smoothing": 0.1},
        {"network": MLPConfig(hidden=(16,), dropout=0.3)},
        {"resident_megabytes": 0},
        {"average": "ema", "optimiser": "nadam", "l1": 1e-4},
        {"average": "swa", "average_start": 0.1, "patience": 5},
    ],
)
def test_an_interrupted_training_ends_with_the_same_bits(three_classes: ArrayTask, learner: Learner, settings: dict[str, Any]) -> None:
    straight = learner(three_classes, **settings)
    train(straight, 3)
    interrupted = learner(three_classes, **settings)
    train(interrupted, 1)
    continued = resumed(interrupted, learner(three_classes, **settings))
    assert train(continued, 2)[-1] == train(resumed(interrupted, learner(three_classes, **settings)), 2)[-1]
    assert_same_bits(straight, continued)
    inputs, _ = three_classes.read("test", np.arange(15))
    assert np.array_equal(straight.predict(inputs), continued.predict(inputs))


@pytest.mark.usefixtures("global_generators_stay")
def test_a_seed_gives_the_same_bits_and_another_gives_others(three_classes: ArrayTask, learner: Learner) -> None:
    first, second, other = (learner(three_classes, seed=seed, network=MLPConfig(hidden=(8,), dropout=0.2)) for seed in (1, 1, 2))
    metrics = [train(agent, 2) for agent in (first, second, other)]
    assert metrics[0] == metrics[1] != metrics[2]
    assert_same_bits(first, second)


def test_answering_between_epochs_changes_nothing(three_classes: ArrayTask, learner: Learner) -> None:
    quiet, asked = (learner(three_classes, network=MLPConfig(hidden=(8,), dropout=0.2)) for _ in range(2))
    for _ in range(3):
        quiet.step()
        asked.step()
        asked.evaluate(episodes=1, seeds=asked.seeds)
    assert_same_bits(quiet, asked)


def test_an_epoch_visits_every_example_once_in_batches_that_differ_by_one(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes, batch_size=16)
    first, second = agent._batches(0), agent._batches(1)
    assert sorted(np.concatenate(first).tolist()) == list(range(60))
    assert sorted(len(batch) for batch in first) == [15, 15, 15, 15]
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    assert np.array_equal(np.concatenate(agent._batches(0)), np.concatenate(first))


def test_the_learning_rate_follows_the_schedule_update_by_update(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes, budget=4, schedule="linear", learning_rate=0.8)
    rates = [metrics["learning_rate"] for metrics in train(agent, 4)]
    assert rates == pytest.approx([0.8 * (1 - done / 16) for done in (3, 7, 11, 15)])  # four updates an epoch: the last of each


def test_it_stops_when_patience_is_over_and_answers_with_the_best_epoch(plane: ArrayTask, learner: Learner) -> None:
    agent = learner(plane, budget=500, patience=3, learning_rate=0.3, schedule="constant")
    history, best_parameters = [], {}
    while not agent.finished:
        history.append(agent.step()["validation_loss"])
        if history[-1] == min(history):
            best_parameters = agent.parameters()
    assert len(history) < 500
    assert history.index(min(history)) == len(history) - 4  # three epochs without a better one
    saved = agent.state_dict()["best"]
    assert all(np.array_equal(saved[name], array) for name, array in best_parameters.items())
    inputs, _ = plane.read("validation", np.arange(15))
    replica = learner(plane)
    replica._module.load_state_dict({name: torch.tensor(array) for name, array in best_parameters.items()})
    assert np.array_equal(agent.predict(inputs), replica.predict(inputs))


def test_a_best_epoch_before_the_interruption_still_answers_after_it(plane: ArrayTask, learner: Learner) -> None:
    settings: dict[str, Any] = {"budget": 500, "patience": 100, "learning_rate": 0.3, "schedule": "constant"}
    agent = learner(plane, **settings)
    history = [agent.step()["validation_loss"]]
    while history[-1] == min(history):
        history.append(agent.step()["validation_loss"])
    continued = resumed(agent, learner(plane, **settings))
    inputs, _ = plane.read("test", np.arange(15))
    assert np.array_equal(continued.predict(inputs), agent.predict(inputs))
    assert continued.state_dict()["epochs_since_best"] == agent.state_dict()["epochs_since_best"] == 1


def test_without_patience_it_learns_to_the_end(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes, budget=30, learning_rate=0.3, schedule="constant")
    train(agent, 30)
    assert not agent.finished
    assert agent.state_dict()["best"] == {}


def test_answers_do_not_depend_on_the_batch(plane: ArrayTask, learner: Learner) -> None:
    agent = learner(plane)
    agent.step()
    inputs, _ = plane.read("train", np.arange(60))
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(agent.predict(inputs)[order], agent.predict(inputs[order]), rtol=1e-5)
    np.testing.assert_allclose(agent.predict(inputs[:1])[0], agent.predict(inputs)[0], rtol=1e-5)
    many = np.repeat(inputs, 20, axis=0)  # more than go through the network at once
    np.testing.assert_allclose(agent.predict(many)[::20], agent.predict(inputs), rtol=1e-5)


def test_class_numbers_may_start_anywhere(three_classes: ArrayTask, learner: Learner) -> None:
    three_classes.output_space = spaces.Discrete(3, start=5)
    three_classes._splits = {name: (inputs, targets + 5) for name, (inputs, targets) in three_classes._splits.items()}
    agent = learner(three_classes, budget=20)
    assert train(agent, 20)[-1]["validation_accuracy"] == 1.0
    assert set(agent.predict(three_classes.read("test", np.arange(15))[0])) == {5, 6, 7}


def test_it_learns_a_tiny_set_by_heart(learner: Learner) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(12, 5)).astype(np.float32), rng.integers(0, 4, 12)
    task = ArrayTask(None, dict.fromkeys(("train", "validation", "test"), noise), spaces.Box(-np.inf, np.inf, (5,)), ("a", "b", "c", "d"))
    agent = learner(task, budget=100, network=MLPConfig(hidden=(64,)))
    train(agent, 100)
    assert agent.evaluate(episodes=1, seeds=agent.seeds)["accuracy"] == 1.0


def test_a_step_changes_every_parameter_and_parameters_are_copies(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes)
    before = agent.parameters()
    agent.step()
    after = agent.parameters()
    assert before.keys() == after.keys()
    assert all(not np.array_equal(before[name], after[name]) for name in before)


def test_an_update_with_weights_is_the_update_on_repeated_examples() -> None:
    inputs, targets = torch.linspace(-1, 1, 6).reshape(3, 2), torch.tensor([0, 1, 1])
    modules = [nn.Linear(2, 2) for _ in range(2)]
    modules[1].load_state_dict(modules[0].state_dict())
    optimisers = [Optimiser("sgd", module.parameters(), learning_rate=0.5) for module in modules]
    weighted = update(modules[0], optimisers[0], inputs, targets, torch.tensor([2.0, 1.0, 0.0]))
    repeated = update(modules[1], optimisers[1], inputs[[0, 0, 1]], targets[[0, 0, 1]])
    torch.testing.assert_close(weighted, repeated)
    torch.testing.assert_close(modules[0].weight, modules[1].weight)


def test_a_long_gradient_is_shortened_and_a_short_one_left() -> None:
    def moved(bound: float) -> float:
        module = nn.Linear(1, 1)
        with torch.no_grad():
            module.weight.zero_()
            module.bias.zero_()
        optimiser = Optimiser("sgd", module.parameters(), learning_rate=1.0)
        update(module, optimiser, torch.ones(1, 1), torch.full((1, 1), 1.5), loss=number_losses.squared_error, max_gradient_norm=bound)
        return float((module.weight.square() + module.bias.square()).sqrt().item())

    assert moved(0.0) == pytest.approx(3 * 2**0.5)  # the gradient is (-3, -3)
    assert moved(1.0) == pytest.approx(1.0, rel=1e-4)
    assert moved(10.0) == pytest.approx(3 * 2**0.5)


def test_a_forward_pass_in_half_precision_keeps_parameters_and_loss_whole(three_classes: ArrayTask, learner: Learner) -> None:
    agent = learner(three_classes, budget=20, precision="bfloat16")
    metrics = train(agent, 20)
    assert metrics[-1]["validation_accuracy"] == 1.0
    assert {array.dtype for array in agent.parameters().values()} == {np.dtype(np.float32)}
    whole = learner(three_classes, budget=20)
    assert train(whole, 20)[-1]["loss"] != metrics[-1]["loss"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device on this machine")
def test_on_cuda_it_learns_in_half_precision_and_goes_on_from_a_checkpoint(three_classes: ArrayTask, learner: Learner) -> None:
    config, network = SupervisedConfig(batch_size=16, learning_rate=1e-2), MLP(MLPConfig(hidden=(16,)))
    agents = [
        Supervised(config, three_classes, network, seeds=Seeds(0), budget=20 * 75, device=device) for device in ("cuda", "cuda", "cpu")
    ]
    for _ in range(10):
        agents[0].step()
    resumed(agents[0], agents[1])
    metrics = [[agent.step() for _ in range(10)][-1] for agent in agents[:2]]
    assert metrics[0] == metrics[1]
    assert metrics[0]["validation_accuracy"] == 1.0
    assert agents[0]._precision is torch.bfloat16
    resumed(agents[0], agents[2])  # what was learned on a GPU answers on a CPU
    inputs, targets = three_classes.read("test", np.arange(15))
    assert np.array_equal(agents[2].predict(inputs), targets)


def test_the_loss_must_suit_what_the_task_asks_for(three_classes: ArrayTask, plane: ArrayTask, learner: Learner) -> None:
    with pytest.raises(ValueError, match="loss is 'huber', but the task asks for classes; use cross-entropy, hinge, focal"):
        learner(three_classes, loss="huber")
    with pytest.raises(ValueError, match="loss is 'cross-entropy', but the task asks for numbers; use squared-error, absolute-error"):
        learner(plane, loss="cross-entropy")
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.1, but the task asks for numbers"):
        learner(plane, label_smoothing=0.1)


def test_patience_needs_a_validation_split(three_classes: ArrayTask, learner: Learner) -> None:
    three_classes._splits["validation"] = (np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="patience is 3, but the task has no validation split"):
        learner(three_classes, patience=3)
    assert set(learner(three_classes).step()) == {"loss", "gradient_norm", "learning_rate", "epoch"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0; it must be > 0"),
        ({"batch_size": -1}, "batch_size is -1; it must be >= 0"),
        ({"weight_decay": -1.0}, r"weight_decay is -1\.0; it must be >= 0"),
        ({"patience": -1}, "patience is -1; it must be >= 0"),
        ({"label_smoothing": 1.0}, r"label_smoothing is 1\.0; it must be in \[0, 1\)"),
        ({"momentum": 1.0}, r"momentum is 1\.0; it must be in \[0, 1\)"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be > 0"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SupervisedConfig(**config)


def test_targets_far_from_zero_keep_their_digits(learner: Learner) -> None:
    """float32 numbers near 1.7e9 are 128 apart; the answers must not move in such steps."""
    x = np.linspace(-1.0, 1.0, 60)
    y = 1_700_000_000.0 + 3.0 * np.arange(60.0)[:, None]
    splits = {name: (x[part, None].astype(np.float32), y[part]) for name, part in (("train", slice(None)), ("test", slice(40, None)))}
    splits["validation"] = (x[:0, None].astype(np.float32), y[:0])
    task = ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (1,), np.float32), ())
    task.output_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    agent = learner(task, budget=100, network=MLPConfig(hidden=()), learning_rate=0.1, weight_decay=0.0)
    train(agent, 100)
    answers = agent.predict(splits["train"][0])
    assert answers.dtype == np.float64
    np.testing.assert_allclose(answers, y, atol=1.0)


def test_targets_that_are_equal_but_for_rounding_are_not_scaled_up(learner: Learner) -> None:
    x = np.linspace(-1.0, 1.0, 95, dtype=np.float32)[:, None]
    splits = dict.fromkeys(("train", "validation", "test"), (x, np.full((95, 1), 0.1)))
    agent = learner(ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (1,), np.float32), ()))
    assert agent.state_dict()["target_scale"].tolist() == [1.0]


def test_balanced_weights_let_a_rare_class_count_as_much_as_a_frequent_one(learner: Learner) -> None:
    """Of the examples that look alike, 2 in 50 are positive: weighted they are as likely as the others."""
    x, y = np.zeros((50, 1), dtype=np.float32), (np.arange(50) < 2).astype(np.int64)
    splits = dict.fromkeys(("train", "validation", "test"), (x, y))
    task = ArrayTask(None, splits, spaces.Box(-np.inf, np.inf, (1,), np.float32), ("no", "yes"))
    for class_weights, wanted in (("none", 0.04), ("balanced", 0.5)):
        agent = learner(
            task, budget=200, network=MLPConfig(hidden=()), batch_size=50, learning_rate=0.05, weight_decay=0.0, class_weights=class_weights
        )
        train(agent, 200)
        np.testing.assert_allclose(agent.probabilities(x[:1]), [[1.0 - wanted, wanted]], atol=0.02)


def test_class_weights_and_probabilities_need_classes(plane: ArrayTask, learner: Learner) -> None:
    with pytest.raises(ValueError, match="class_weights is 'balanced', but the task does not ask for one class"):
        learner(plane, class_weights="balanced")
    with pytest.raises(NotImplementedError, match="this task and network give no probabilities"):
        learner(plane).probabilities(np.zeros((1, 3), dtype=np.float32))


def test_weights_of_classes_are_given_in_order_or_by_name(three_classes: ArrayTask) -> None:
    labels, device = torch.tensor([0, 2, 1]), torch.device("cpu")
    in_order = ClassWeights((1.0, 2.0, 5.0), three_classes, device).of(labels)
    by_name = ClassWeights({"c": 5.0, "b": 2.0}, three_classes, device).of(labels)
    assert in_order is not None
    assert by_name is not None
    assert in_order.tolist() == by_name.tolist() == [1.0, 5.0, 2.0]
    for given, message in (
        ((1.0, 2.0), "class_weights has 2 weights, but there are 3 classes"),
        ({"x": 2.0}, "class_weights names 'x'; expected some of the classes a, b, c"),
        ((1.0, -1.0, 1.0), "each must be >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            ClassWeights(given, three_classes, device)


def test_any_number_of_processes_computes_the_same_shards_and_a_lost_one_is_named(three_classes: ArrayTask, learner: Learner) -> None:
    """Also: the sum over shards of unlike sizes is the gradient of the whole batch, up to rounding."""
    agents = {}
    for name, shards, processes in (("whole", 1, 1), ("one", 3, 1), ("two", 3, 2)):
        agents[name] = learner(three_classes, budget=2, shards=shards, class_weights=(1.0, 2.0, 3.0), optimiser="sgd")
        agents[name].use_processes(processes)
        train(agents[name], 1)
    assert_same_bits(agents["one"], agents["two"])
    whole, parts = agents["whole"].parameters(), agents["one"].parameters()
    assert all(np.allclose(whole[name], parts[name], atol=1e-5) for name in whole)
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    with pytest.raises(WorkError, match="a process that computes shards has ended"):
        train(agents["two"], 1)


def test_networks_whose_parts_differ_from_the_whole_are_refused_in_shards(three_classes: ArrayTask, learner: Learner) -> None:
    with pytest.raises(ValueError, match="drops units at random"):
        learner(three_classes, shards=2, network=MLPConfig(dropout=0.1))
    with pytest.raises(ValueError, match="shards is 1"):
        learner(three_classes).use_processes(2)
