from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from matplotlib.axes import Axes

from dl_nets.figures import insides
from dl_nets.figures.answers import confusion_counts
from dl_nets.figures.draw import draw
from dl_nets.figures.sample import test_sample as sample_of
from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.attention import Attention
from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.tasks.digits import Digits, DigitsConfig
from dl_nets.tasks.planar import Planar, PlanarConfig
from rl_core.seeds import Seeds


def trained(task: ArrayTask, network: CNN | MLP) -> Supervised:
    agent = Supervised(SupervisedConfig(), task, network, seeds=Seeds(0), budget=400, device="cpu")
    agent.step()
    return agent


@pytest.mark.filterwarnings("error")
def test_a_classifier_of_images_is_drawn_inside_and_out(tmp_path: Path) -> None:
    agent = trained(Digits(DigitsConfig()), CNN(CNNConfig(channels=(4, 8), hidden=(16,))))
    draw(tmp_path, agent)
    names = {"confusion.png", "worst-examples.png", "first-layer.png", "feature-maps.png", "activations.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in agent.module.modules())


def test_points_of_the_plane_have_a_boundary_and_numbers_their_own_figures(tmp_path: Path, plane: ArrayTask) -> None:
    for folder, task in (("classes", Planar(PlanarConfig(shape="spirals", arms=3, examples=60))), ("numbers", plane)):
        (tmp_path / folder).mkdir()
        draw(tmp_path / folder, trained(task, MLP(MLPConfig(hidden=(8,)))))
    assert (tmp_path / "classes" / "boundary.png").is_file()
    assert (tmp_path / "numbers" / "answers.png").is_file()
    assert not (tmp_path / "numbers" / "confusion.png").exists()


def test_the_sample_is_of_the_test_split_and_its_answers_are_the_agents(three_classes: ArrayTask) -> None:
    agent = trained(three_classes, MLP(MLPConfig(hidden=(8,))))
    sample = sample_of(agent)
    assert sample is not None
    inputs, targets = three_classes.read("test", np.arange(15))
    order = np.lexsort(sample.inputs.T)
    assert np.array_equal(sample.inputs[order], inputs[np.lexsort(inputs.T)])
    assert np.array_equal(sample.targets[order], targets[np.lexsort(inputs.T)])
    assert np.array_equal(sample.answers, agent.predict(sample.inputs))


def test_the_confusion_counts_true_classes_in_rows() -> None:
    assert confusion_counts(np.array([2, 2, 0]), np.array([1, 2, 0]), 3).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]


def test_activations_show_the_share_of_zeros_of_each_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: dict[str, np.ndarray] = {}
    monkeypatch.setattr(Axes, "barh", lambda axes, places, widths, **options: shares.update(zeros=np.asarray(widths)))
    module = torch.nn.Sequential(torch.nn.Linear(2, 4, bias=False), torch.nn.ReLU())
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
    insides.activations(tmp_path / "activations.png", module, np.ones((3, 2), np.float32))
    assert shares["zeros"].tolist() == [0.0, 25.0]


@pytest.mark.parametrize("causal", [False, True])
def test_attention_weights_are_those_by_which_attention_takes_its_values(causal: bool) -> None:
    rng = np.random.default_rng(0)
    attention = Attention(8, 2, rng)
    steps = torch.from_numpy(rng.standard_normal((3, 5, 8)).astype(np.float32))
    keys, values = attention.read(steps)
    weights = attention.attention_weights(steps, (keys, values), causal=causal)
    taken = attention.output((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(taken, attention(steps, (keys, values), causal=causal))
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5))


def test_attention_is_drawn_for_modules_that_have_weights(tmp_path: Path, learner: Callable[..., Supervised]) -> None:
    from dl_nets.networks.transformer import TransformerConfig, TransformerNetwork

    space = spaces.MultiDiscrete([9] * 6)
    module = TransformerNetwork(TransformerConfig(width=8, depth=2, num_heads=2)).build(space, spaces.Discrete(3), np.random.default_rng(0))
    insides.attention(tmp_path / "attention.png", module, np.zeros((2, 6), np.int64))
    assert (tmp_path / "attention.png").is_file()


def test_training_reports_its_score_and_the_length_of_the_gradient(three_classes: ArrayTask, learner: Callable[..., Supervised]) -> None:
    agent = learner(three_classes, budget=15, schedule="constant")
    metrics: dict[str, float] = {}
    while agent.progress < agent.budget:
        metrics = agent.step() or metrics
    assert metrics["accuracy"] > 0.8
    assert 0.0 < metrics["gradient_norm"] < 10.0
