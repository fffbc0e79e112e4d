from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from cv_models import _plugin
from cv_models.classify.lenet import LeNet, LeNetConfig
from cv_models.classify.vit import ViT, ViTConfig
from cv_models.segment.unet import UNet, UNetConfig
from cv_models.tasks.shape_maps import ShapeClassesConfig, ShapeMapsConfig, ShapesClassification, ShapesSegmentation
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import DataTask


def run(task: DataTask, network: Network, folder: Path) -> Any:
    agent = Supervised(SupervisedConfig(batch_size=2), task, network, seeds=Seeds(0), budget=4, device="cpu")
    return SimpleNamespace(agent=agent, folder=folder, recipe=SimpleNamespace(task="shapes"))


def test_varied_pictures_gates_roll_out_evidence_and_confusion_are_drawn(tmp_path: Path) -> None:
    maps = ShapesSegmentation(ShapeMapsConfig(size=16, num_train=2, num_validation=0, num_test=2, augment=("flip", "turn")))
    segmenting = run(maps, UNet(UNetConfig(channels=(2, 3), gates=True)), tmp_path)
    _plugin.rl_run_started(segmenting)
    maps.draw_answers(tmp_path / "figures", segmenting.agent.predict)
    with torch.no_grad():
        segmenting.agent.module.draw(tmp_path / "figures", maps)
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"augmented", "attention", "best", "confusion", "worst"}
    (weights,) = segmenting.agent.module.attention_maps(torch.from_numpy(maps.read("test", np.arange(2))[0]))
    assert weights.shape == (2, 16, 16)

    classes = ShapesClassification(ShapeClassesConfig(size=16, num_train=4, num_validation=0, num_test=3))
    for network, names in (
        (LeNet(LeNetConfig()), {"confusion", "grad-cam"}),
        (ViT(ViTConfig(width=8, depth=1)), {"confusion", "attention"}),
    ):
        folder = tmp_path / type(network).__name__
        (folder / "figures").mkdir(parents=True)
        classifying = run(classes, network, folder)
        _plugin.rl_run_finished(classifying, {}, None)
        if isinstance(network, ViT):
            with torch.no_grad():
                classifying.agent.module.draw(folder / "figures", classes)
        assert {path.stem for path in (folder / "figures").iterdir()} == names
