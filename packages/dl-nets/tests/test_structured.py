"""Supervised learning of tasks with structure, in short steps, with losses that modules bring."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning.data import Examples, to_arrays, to_tensors
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.initialisation import linear
from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.config import configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import DataTask

SIZES = {"train": 60, "validation": 21, "test": 30}
IMAGE = spaces.Box(0.0, 1.0, (4, 4, 2), np.float32)


@configclass
class EmptyConfig:
    """An empty config."""


class Held(DataTask):
    """Examples in memory, judged by the share of right answers, or minus the mean absolute error of numbers."""

    Config = EmptyConfig
    metric = "score"

    def __init__(self, input_space: spaces.Space[Any], output_space: spaces.Space[Any], make: Callable[[np.random.Generator, int], Any]):
        super().__init__(EmptyConfig())
        self.input_space, self.output_space = input_space, output_space
        rng = np.random.default_rng(0)
        self.splits = {split: make(rng, size) for split, size in SIZES.items()}
        self.threads: set[str] = set()

    def num_examples(self, split: str) -> int:
        return SIZES[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        self.threads.add(threading.current_thread().name)
        inputs, targets = self.splits[split]
        return batches.take(inputs, indices), batches.take(targets, indices)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        one, other = (batch.values if isinstance(batch, Ragged) else batch for batch in (predictions, targets))
        right = -np.abs(one - other).mean() if other.dtype.kind == "f" else (one == other).mean()
        return {"score": float(right)}


class PerItem(nn.Module):
    """The same linear map of the last axis, or of each item of ragged rows."""

    def __init__(self, size: int, outputs: int, rng: np.random.Generator, num_embedded: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_embedded, size) if num_embedded else None
        if self.embedding is not None:
            self.embedding.weight.data = torch.as_tensor(rng.normal(size=(num_embedded, size)), dtype=torch.float32)
        self.layer = linear(size, outputs, rng)

    def forward(self, inputs: Any) -> Any:
        if isinstance(inputs, Ragged):
            return Ragged(self(inputs.values), inputs.splits)
        return self.layer(inputs if self.embedding is None else self.embedding(inputs))


class MeanOfParts(PerItem):
    """The mean over the words of a sentence beside a vector: inputs with parts, ragged ones among them."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(6, 2, rng)
        self.embedding = nn.Embedding(6, 4)
        self.embedding.weight.data = torch.as_tensor(rng.normal(size=(6, 4)), dtype=torch.float32)

    def forward(self, inputs: Any) -> Tensor:
        words = inputs["words"]
        rows = torch.repeat_interleave(torch.arange(len(words)), words.lengths)
        summed = torch.zeros(len(words), 4).index_add(0, rows, self.embedding(words.values))  # type: ignore[misc]
        return self.layer(torch.cat([summed / words.lengths.clamp(min=1)[:, None], inputs["vector"]], dim=1))


class Autoencoder(PerItem):
    """A module that brings its own loss, and a metric of its own."""

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        errors = (self(inputs) - targets).square().flatten(1).mean(1)
        return errors.mean(), {"largest_error": errors.max().detach()}

    def answers(self, inputs: Tensor) -> Tensor:
        return self(inputs).clamp(0, 1)


class Built(Network):
    """Builds what it is given."""

    Config = EmptyConfig

    def __init__(self, make: Callable[[np.random.Generator], nn.Module]) -> None:
        super().__init__(EmptyConfig())
        self.make = make

    def build(self, input_space: Any, output_space: Any, rng: np.random.Generator) -> nn.Module:
        return self.make(rng)


def learner(task: DataTask, make: Callable[[np.random.Generator], nn.Module], epochs: int = 30, **config: Any) -> Supervised:
    settings = SupervisedConfig(**{"batch_size": 16, "learning_rate": 0.05, "weight_decay": 0.0, **config})
    return Supervised(settings, task, Built(make), seeds=Seeds(0), budget=epochs * 81, device="cpu")


def learned(agent: Supervised) -> dict[str, float]:
    metrics: dict[str, float] = {}
    while agent.progress < agent.budget and not agent.finished:
        metrics |= agent.step()
    return metrics


def a_map() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        images = rng.random((size, 4, 4, 2), np.float32)
        return images, 2 + (images[..., 0] > images[..., 1]).astype(np.int64)

    return Held(IMAGE, spaces.MultiDiscrete(np.full((4, 4), 2), start=np.full((4, 4), 2)), make)


def an_image() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        images = rng.random((size, 4, 4, 2), np.float32)
        return images, np.rint(255 * images.mean(-1, keepdims=True)).astype(np.uint8)

    return Held(IMAGE, spaces.Box(0, 255, (4, 4, 1), np.uint8), make)


def tokens() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        ids = rng.integers(0, 6, (size, 5))
        return ids, ids % 3

    return Held(spaces.MultiDiscrete([6] * 5), spaces.MultiDiscrete([3] * 5), make)


def ragged() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        rows = Ragged.of([rng.integers(0, 6, rng.integers(0, 5)) for _ in range(size)], np.zeros(0, np.int64))
        return rows, Ragged(rows.values % 3, rows.splits)

    return Held(spaces.Sequence(spaces.Discrete(6)), spaces.Sequence(spaces.Discrete(3)), make)


def flags() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        vectors = rng.normal(size=(size, 3)).astype(np.float32)
        return vectors, (vectors > 0).astype(np.int8)

    return Held(spaces.Box(-np.inf, np.inf, (3,), np.float32), spaces.MultiBinary(3), make)


def parts() -> Held:
    def make(rng: np.random.Generator, size: int) -> Any:
        words = Ragged.of([rng.integers(0, 6, rng.integers(1, 5)) for _ in range(size)])
        vector = rng.normal(size=(size, 2)).astype(np.float32)
        sums = np.array([(row >= 3).mean() - 0.5 for row in words])
        return {"words": words, "vector": vector}, (sums + vector[:, 0] > 0).astype(np.int64)

    space = spaces.Dict(words=spaces.Sequence(spaces.Discrete(6)), vector=spaces.Box(-np.inf, np.inf, (2,), np.float32))
    return Held(space, spaces.Discrete(2), make)


@pytest.mark.parametrize(
    ("task", "make", "least"),
    [
        (a_map(), lambda rng: PerItem(2, 2, rng), 0.9),  # chance is 0.5
        (an_image(), lambda rng: PerItem(2, 1, rng), -1.0),  # grey levels; the mean is 42 off
        (tokens(), lambda rng: PerItem(4, 3, rng, num_embedded=6), 0.99),  # chance is 1/3
        (ragged(), lambda rng: PerItem(4, 3, rng, num_embedded=6), 0.99),
        (flags(), lambda rng: PerItem(3, 3, rng), 0.95),
        (parts(), MeanOfParts, 0.85),
    ],
    ids=["map", "image", "tokens", "ragged", "flags", "parts"],
)
def test_it_learns_a_task_with_structure(task: Held, make: Any, least: float) -> None:
    agent = learner(task, make)
    metrics = learned(agent)
    score = agent.evaluate(episodes=1, seeds=Seeds(0))["score"]
    assert score > least
    assert metrics["validation_score"] > least - 0.1
    given = task.read("test", np.arange(3))[0]
    assert batches.problem(agent.predict(given)) == ""
    assert len(agent.task.describe(agent.predict(given))) == 3


def test_a_plain_network_answers_with_maps() -> None:
    from dl_nets.networks.mlp import MLP, MLPConfig

    task = a_map()
    agent = Supervised(SupervisedConfig(epochs=1), task, MLP(MLPConfig()), seeds=Seeds(0), budget=81, device="cpu")
    agent.step()
    assert task.output_space.contains(agent.predict(task.read("test", np.arange(2))[0])[1])


def autoencoder(**config: Any) -> Supervised:
    def make(rng: np.random.Generator, size: int) -> Any:
        images = rng.random((size, 4, 4, 2), np.float32)
        return images, images

    return learner(Held(IMAGE, IMAGE, make), lambda rng: Autoencoder(2, 2, rng), epochs=60, **config)


def test_a_module_may_bring_its_own_loss_and_metrics() -> None:
    agent = autoencoder()
    first = agent.step()
    last = learned(agent)
    assert first["largest_error"] > first["loss"] > 100 * last["loss"]
    assert last["validation_loss"] < 1e-3
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["score"] > -0.02
    with pytest.raises(NotImplementedError, match="no probabilities"):
        agent.probabilities(np.zeros((1, 4, 4, 2), np.float32))


def test_a_loss_in_the_config_is_refused_where_the_network_brings_one() -> None:
    with pytest.raises(ValueError, match="the network brings its own loss; set loss=auto"):
        autoencoder(loss="huber")


def test_a_task_that_needs_a_loss_of_the_network_says_so() -> None:
    boxes = spaces.Sequence(spaces.Dict(box=spaces.Box(0, 1, (4,), np.float32), label=spaces.Discrete(2)))
    task = a_map()
    task.output_space = boxes
    with pytest.raises(ValueError, match="needs a network that brings its own loss"):
        learner(task, lambda rng: PerItem(2, 2, rng))


@pytest.mark.parametrize("settings", [{}, {"resident_megabytes": 0}, {"patience": 3}, {"class_weights": "none"}])
def test_steps_inside_an_epoch_lead_to_the_same_bits(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    """However much a step visits, and wherever it is interrupted, in training or in validation, the parameters are the same."""
    make: Any = lambda rng: PerItem(2, 2, rng)  # noqa: E731
    monkeypatch.setattr("dl_nets.learning.steps.AT_ONCE", 4)
    whole = learner(a_map(), make, epochs=3, **settings)
    learned(whole)

    monkeypatch.setattr(Supervised, "_examples_a_step", 10)
    short = learner(a_map(), make, epochs=3, **settings)
    seen = []
    while short.progress < short.budget:
        fresh = learner(a_map(), make, epochs=3, **settings)
        fresh.load_state_dict(copy.deepcopy(short.state_dict()))
        fresh.progress = short.progress
        metrics = short.step()
        assert fresh.step() == metrics
        seen.append(short.progress)
        short = fresh if len(seen) % 2 else short
    assert len(seen) == len(set(seen)) >= 3 * (4 + 2)
    for name, array in whole.parameters().items():
        assert np.array_equal(short.parameters()[name], array)
    assert whole.state_dict()["best_loss"] == short.state_dict()["best_loss"]


def test_a_step_is_short_however_long_an_epoch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of a million parameters on images of a thousand numbers: one step is one batch, not an epoch."""

    class Wide(nn.Module):
        def __init__(self, rng: np.random.Generator) -> None:
            super().__init__()
            self.layer = linear(1024, 1024, rng)
            self.last = linear(1024, 2, rng)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.last(self.layer(inputs.flatten(1)).relu())

    class Endless(DataTask):
        Config = EmptyConfig
        metric = "accuracy"
        input_space, output_space = spaces.Box(0, 1, (32, 32, 1), np.float32), spaces.Discrete(2)

        def num_examples(self, split: str) -> int:
            return 40_000

        def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.full((len(indices), 32, 32, 1), indices[:, None, None, None] / 4e4, np.float32), indices % 2

        def score(self, predictions: Any, targets: Any) -> dict[str, float]:
            return {"accuracy": float((predictions == targets).mean())}

    agent = Supervised(SupervisedConfig(epochs=2), Endless(EmptyConfig()), Built(Wide), seeds=Seeds(0), budget=160_000, device="cpu")
    agent.step()
    assert agent.progress == 64
    agent.progress = 40_000  # the beginning of the validation split
    started = time.perf_counter()
    metrics = agent.step()
    assert time.perf_counter() - started < 5.0
    assert 40_000 < agent.progress < 41_100
    assert "validation_loss" not in metrics


def test_a_default_budget_is_a_number_of_epochs_of_both_splits() -> None:
    assert Supervised.default_budget(SupervisedConfig(epochs=7), a_map()) == 7 * 81


def test_a_budget_below_one_epoch_is_said() -> None:
    agent = Supervised(SupervisedConfig(), a_map(), Built(lambda rng: PerItem(2, 2, rng)), seeds=Seeds(0), budget=50, device="cpu")
    assert agent.warnings[0].startswith("the budget of 50 examples is less than one epoch, 60")


def test_examples_are_read_ahead_in_order_by_another_thread() -> None:
    task = a_map()
    examples = Examples(task, "train", torch.device("cpu"), 0)
    wanted = np.array_split(np.random.default_rng(0).permutation(60), 9)
    got = [to_arrays(targets) for _, targets in examples.stream(wanted)]
    assert all(batches.equal(one, task.read("train", part)[1]) for one, part in zip(got, wanted, strict=True))
    assert any(name.startswith("reads-ahead") for name in task.threads)
    assert not any(thread.name.startswith("reads-ahead") for thread in threading.enumerate())


def test_an_error_while_reading_ahead_reaches_the_learner() -> None:
    task = a_map()
    examples = Examples(task, "train", torch.device("cpu"), 0)
    task.splits["train"] = (np.zeros((1, 4, 4, 2), np.float32), np.zeros((1, 4, 4), np.int64))
    with pytest.raises(IndexError):
        list(examples.stream([np.arange(3)]))


def test_kept_examples_are_those_that_are_read() -> None:
    for task in (a_map(), ragged(), parts()):
        kept, read = (Examples(task, "train", torch.device("cpu"), megabytes) for megabytes in (1, 0))
        indices = np.array([5, 3, 3, 59])
        for one, other, wanted in zip(kept[indices], read[indices], task.read("train", indices), strict=True):
            assert batches.equal(to_arrays(one), wanted)
            assert batches.equal(to_arrays(other), wanted)


def test_texts_stay_arrays_and_unsigned_numbers_are_widened() -> None:
    made = to_tensors({"name": np.array(["a", "b"]), "depth": np.array([1, 65535], np.uint16)}, torch.device("cpu"))
    assert made["name"].tolist() == ["a", "b"]
    assert made["depth"].tolist() == [1, 65535]


def test_padding_of_a_token_output_has_no_loss() -> None:
    from dl_nets.learning.losses import ClassTargets
    from rl_core.tokens import Tokens

    rule = ClassTargets(Tokens(3, 2, padding=0))
    outputs = torch.log(torch.tensor([[[0.25, 0.75], [0.5, 0.5], [0.9, 0.1]]]))
    mean = -(np.log(0.75) + np.log(0.5)) / 2
    assert rule.losses(outputs, torch.tensor([[1, 1, 0]])).item() == pytest.approx(mean)
