from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from cv_models.classify.attention import CBAM, SqueezeExcitation
from cv_models.classify.grad_cam import grad_cam, rollout
from cv_models.classify.lenet import LeNet, LeNetConfig
from cv_models.classify.resnet import Block, ResNet, ResNetConfig
from cv_models.classify.torchvision_classifier import TorchvisionClassifier, TorchvisionConfig
from cv_models.classify.vit import ViT, ViTConfig
from cv_models.tasks.shape_maps import ShapeClassesConfig, ShapesClassification
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.network import Network
from rl_core.seeds import Seeds

PICTURE = spaces.Box(0, 255, (32, 32, 3), np.uint8)
BATCH = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))


def build(network: Network, space: spaces.Box = PICTURE, classes: int = 5) -> Any:
    return network.build(space, spaces.Discrete(classes), np.random.default_rng(0)).eval()


@pytest.mark.parametrize(("depth", "blocks"), [(18, "basic"), pytest.param(50, "bottleneck", marks=pytest.mark.learning)])
def test_resnet_computes_what_torchvision_s_computes_with_the_same_weights(depth: int, blocks: str, tmp_path: Path) -> None:
    from torchvision.models import resnet

    kind = resnet.BasicBlock if blocks == "basic" else resnet.Bottleneck
    layers = [2, 2, 2, 2] if depth == 18 else [3, 4, 6, 3]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = resnet.ResNet(kind, layers, num_classes=5).eval()
        with torch.no_grad():
            for module in theirs.modules():
                if isinstance(module, nn.BatchNorm2d):  # its first statistics would hide it
                    module.running_mean.normal_(0.0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = build(ResNet(ResNetConfig(depth=depth, stem="large", weights=str(tmp_path / "weights.pth"))))  # type: ignore[arg-type]
    seen = ours.standardise(ours.scale(BATCH)).contiguous()
    torch.testing.assert_close(ours(BATCH), theirs(seen), rtol=1e-5, atol=1e-5)
    assert set(ours.state_dict()) - {"dropout._extra_state"} == set(theirs.state_dict())
    other = build(ResNet(ResNetConfig(depth=depth, stem="large", weights=str(tmp_path / "weights.pth"))), classes=3)  # type: ignore[arg-type]
    torch.testing.assert_close(other.features(BATCH), ours.features(BATCH))


def test_a_bottleneck_computes_what_torchvision_s_computes() -> None:
    from torchvision.models.resnet import Bottleneck

    ours = Block(16, 4, 2, ResNetConfig(depth=50), np.random.default_rng(0)).eval()
    assert ours.downsample is not None
    theirs = Bottleneck(16, 4, 2, nn.Sequential(nn.Conv2d(16, 16, 1, 2, bias=False), nn.BatchNorm2d(16))).eval()
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 16, 9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(features), theirs(features))


def test_attention_blocks_compute_their_papers_equations() -> None:
    rng, features = np.random.default_rng(0), torch.randn(2, 32, 6, 5, generator=torch.Generator().manual_seed(0))
    block = SqueezeExcitation(32, rng, reduction=4)
    first, second = block.fc1.weight[:, :, 0, 0], block.fc2.weight[:, :, 0, 0]
    weights = torch.sigmoid(functional.relu(features.mean((2, 3)) @ first.T) @ second.T)
    torch.testing.assert_close(block(features), features * weights[:, :, None, None])

    cbam = CBAM(32, rng, reduction=4)
    for last in (cbam.channel.fc2, cbam.spatial.conv):  # which are 0 at first
        torch.nn.init.normal_(last.weight)
    first, second = cbam.channel.fc1.weight[:, :, 0, 0], cbam.channel.fc2.weight[:, :, 0, 0]
    means, maxima = features.mean((2, 3)), features.flatten(2).max(2).values
    channel = torch.sigmoid(functional.relu(means @ first.T) @ second.T + functional.relu(maxima @ first.T) @ second.T)
    weighted = features * channel[:, :, None, None]
    pooled = torch.stack([weighted.mean(1), weighted.max(1).values], 1)
    place = torch.sigmoid(functional.conv2d(pooled, cbam.spatial.conv.weight, padding=3))
    torch.testing.assert_close(cbam(features), weighted * place)


def test_lenet_has_the_paper_s_layers() -> None:
    module = build(LeNet(LeNetConfig()), spaces.Box(0.0, 1.0, (28, 28, 1)), 10)
    shapes = [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]
    assert module(torch.zeros(2, 28, 28, 1)).shape == (2, 10)


def test_torchvision_s_classifiers_come_by_name_and_draw_nothing_from_torch_s_generator() -> None:
    before = torch.get_rng_state()
    module = build(TorchvisionClassifier(TorchvisionConfig(architecture="squeezenet1_1")))
    module.train()(BATCH)  # dropout draws
    assert torch.equal(torch.get_rng_state(), before)
    for architecture, words in (
        ("vgg61", r"torchvision has no classifier 'vgg61'; did you mean vgg"),
        ("alexnet", r"alexnet does not take images of 32 x 32 pixels: .*; set network.resize=224"),
    ):
        with pytest.raises(ValueError, match=words):
            build(TorchvisionClassifier(TorchvisionConfig(architecture=architecture)))


def test_weights_that_do_not_fit_or_are_not_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    for name, words in (("text.pth", r"text\.pth' cannot be read"), ("other.pth", r"other\.pth' lack bn1\.bias")):
        with pytest.raises(ValueError, match=words):
            build(ResNet(ResNetConfig(depth=10, width=4, weights=str(tmp_path / name))))


def test_grad_cam_finds_the_only_place_that_the_score_depends_on() -> None:
    class Corner(nn.Module):
        """A classifier of the brightness of one corner."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.conv.weight)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            maps = self.conv(inputs.permute(0, 3, 1, 2))
            score = maps[:, 0, :2, :2].sum((1, 2))
            return torch.stack([score, -score], 1)

    images = torch.zeros(1, 8, 8, 1)
    images[0, :2, :2] = 1.0
    maps, classes = grad_cam(Corner(), images)
    assert classes.tolist() == [0]
    assert torch.equal(maps[0] > 0, images[0, ..., 0] > 0)


def test_attention_that_stays_at_home_rolls_out_to_the_token_itself() -> None:
    stay = torch.eye(4).expand(2, 3, 4, 4)
    torch.testing.assert_close(rollout([stay, stay]), torch.eye(4)[0].expand(2, 4))
    even = torch.full((2, 3, 4, 4), 0.25)
    torch.testing.assert_close(rollout([even, even]).sum(1), torch.ones(2))
    torch.testing.assert_close(rollout([stay, stay], mean=True), torch.full((2, 4), 0.25))


NETWORKS: dict[str, Network] = {
    "resnet": ResNet(ResNetConfig(depth=10, width=8)),
    "se-resnet": ResNet(ResNetConfig(depth=10, width=8, attention="squeeze-excitation")),
    "cbam-resnet": ResNet(ResNetConfig(depth=10, width=8, attention="cbam")),
    "vit": ViT(ViTConfig(width=32, depth=2)),
    "lenet": LeNet(LeNetConfig()),
    "torchvision": TorchvisionClassifier(TorchvisionConfig()),
}


@pytest.mark.learning
@pytest.mark.parametrize("name", NETWORKS)
def test_eight_pictures_are_learned_by_heart(name: str) -> None:
    task = ShapesClassification(ShapeClassesConfig(num_train=8, num_validation=0, num_test=1))
    config = SupervisedConfig(batch_size=8, learning_rate=0.003, weight_decay=0.0)
    agent = Supervised(config, task, NETWORKS[name], seeds=Seeds(0), budget=8 * 150, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    assert task.evaluate_split(agent.predict, "train")["accuracy"] == 1.0
