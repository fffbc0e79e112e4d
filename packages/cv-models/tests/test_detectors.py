"""The detectors of torchvision as networks: their own loss, exact to continue, and able to learn eight pictures."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cv_models.tasks.shape_boxes import ShapeBoxesConfig, ShapesDetection, ShapesInstances
from dl_nets.learning.data import to_tensors
from dl_nets.learning.export import exportable, write
from dl_nets.learning.losses import OwnRule
from dl_nets.learning.streams import load_module_state, module_state
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.plugins.catalogue import Catalogue
from rl_core.seeds import Seeds


def network(name: str, **config: Any) -> Any:
    entry = Catalogue.discover().find(name, "network")
    if entry.missing:
        pytest.skip(f"{name} needs {', '.join(entry.missing)}")
    return entry.load()(entry.load().Config(**config))


def task_of(name: str, **config: Any) -> ShapesDetection:
    kind = ShapesInstances if name == "mask-rcnn" else ShapesDetection
    return kind(ShapeBoxesConfig(**{"num_train": 8, "num_validation": 0, **config}))


@pytest.mark.parametrize("name", ["faster-rcnn", "ssd"])
def test_updates_are_drawn_from_the_modules_own_seed_and_continue_exactly(name: str) -> None:
    task = task_of(name)
    built = [network(name, width=4).build(task.input_space, task.output_space, np.random.default_rng(0)) for _ in range(2)]
    inputs, targets = (to_tensors(part, torch.device("cpu")) for part in task.read("train", np.arange(4)))
    before = torch.get_rng_state()
    first, second = built[0].training_loss(inputs, targets)[0], built[0].training_loss(inputs, targets)[0]
    assert torch.equal(before, torch.get_rng_state())
    state = copy.deepcopy(module_state(built[0]))
    third = built[0].training_loss(inputs, targets)[0].item()
    load_module_state(built[1], state)
    assert built[1].training_loss(inputs, targets)[0].item() == third
    if name == "faster-rcnn":
        assert first.item() != second.item()  # other proposals were sampled


def test_a_loss_without_learning_changes_nothing() -> None:
    task = task_of("faster-rcnn")
    made = network("faster-rcnn", width=4).build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    inputs, targets = (to_tensors(part, torch.device("cpu")) for part in task.read("train", np.arange(4)))
    before = module_state(made)
    losses = [made.training_loss(inputs, targets)[0].item() for _ in range(2)]
    assert losses[0] == losses[1]
    assert all(np.array_equal(value, module_state(made)[key]) for key, value in before.items())
    assert not any(module.training for module in made.modules())


def test_detections_of_ssd_are_among_what_is_exported() -> None:
    task = task_of("ssd")
    made = network("ssd", width=4, least_score=0.0).build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    pictures = torch.from_numpy(task.read("train", np.arange(2))[0])
    found, every = made.answers(pictures), made.traced_answers(pictures).detach()
    boxes, scores = torch.as_tensor(found["box"].values), torch.as_tensor(found["score"].values)
    first = int(found["box"].splits[1])
    apart = (boxes[:first, None] - every[0, None, :, :4]).abs().amax(dim=2)  # [n, A]
    torch.testing.assert_close(apart.amin(dim=1), torch.zeros(first), atol=1e-3, rtol=0)
    torch.testing.assert_close(scores[0], every[0, :, 4:].max(), atol=1e-5, rtol=0)


def test_a_detector_of_two_stages_says_why_torch_has_no_graph_of_it(tmp_path: Path) -> None:
    task = task_of("faster-rcnn")
    made = network("faster-rcnn", width=4).build(task.input_space, task.output_space, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"cannot be exported as a graph: it looks at regions .*; export the format onnx or state-dict"):
        write(exportable(made, OwnRule("auto", 0.0), task.input_space), "torch-export", tmp_path / "graph.pt2")


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "onnxscript")), reason="needs onnx, onnxscript and onnxruntime"
)
@pytest.mark.parametrize("name", ["faster-rcnn", "mask-rcnn"])
def test_onnx_runtime_detects_what_a_detector_of_two_stages_does(name: str, tmp_path: Path) -> None:
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]

    task = task_of(name)
    made = network(name, width=4, channels=8, hidden=8, least_score=0.01).build(
        task.input_space, task.output_space, np.random.default_rng(0)
    )
    about = write(exportable(made, OwnRule("auto", 0.0), task.input_space), "onnx", tmp_path / "graph.onnx")
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3  # the number of masks is not the one that the graph was recorded with, which it reports of each
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", quiet)
    for picture in (1, 2):
        inputs = task.read("train", np.arange(picture, picture + 1))[0]
        expected = made.answers(torch.from_numpy(inputs))
        found = dict(zip(about["outputs"], session.run(None, {"inputs": inputs}), strict=True))
        assert len(found["boxes"]) > 3
        np.testing.assert_allclose(found["boxes"], expected["box"].values, atol=1e-4)
        np.testing.assert_allclose(found["scores"], expected["score"].values, atol=1e-4)
        np.testing.assert_array_equal(found["labels"], expected["label"].values)
        if name == "mask-rcnn":
            assert (found["masks"] == np.asarray(expected["mask"].values)).mean() > 0.9999  # halves may fall either way


@pytest.mark.learning
@pytest.mark.parametrize(
    ("name", "epochs", "learning_rate"),
    [("faster-rcnn", 90, 1e-3), ("ssd", 90, 1e-3), ("mask-rcnn", 80, 1e-3), ("detr", 400, 1e-3)],
)
def test_it_overfits_eight_pictures(name: str, epochs: int, learning_rate: float) -> None:
    task = task_of(name)
    settings = SupervisedConfig(epochs=epochs, batch_size=8, learning_rate=learning_rate, schedule="warm-up-cosine", max_gradient_norm=10.0)
    agent = Supervised(settings, task, network(name), seeds=Seeds(0), budget=epochs * 8, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    assert task.evaluate_split(agent.predict, "train", 8)["map50"] > 0.95
