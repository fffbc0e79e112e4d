from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.nn import functional
from torchvision.models import segmentation

from cv_models.segment.losses import border_weights, cross_entropy, dice, focal, map_loss
from cv_models.segment.map_module import MapModule
from cv_models.segment.torchvision_maps import TorchvisionMaps, TorchvisionMapsConfig, build_model
from cv_models.segment.unet import AttentionGate, UNet, UNetConfig
from cv_models.tasks.shape_maps import ShapeMapsConfig, ShapesSegmentation
from dl_nets.learning import steps
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.network import Network
from rl_core.seeds import Seeds


def pair(height: int, width: int, channels: int, classes: int) -> tuple[spaces.Box, spaces.MultiDiscrete]:
    return spaces.Box(0, 255, (height, width, channels), np.uint8), spaces.MultiDiscrete(np.full((height, width), classes))


def build(network: Network, *sizes: int) -> MapModule:
    module: MapModule = network.build(*pair(*sizes), np.random.default_rng(0))
    return module


def test_the_paper_s_network_has_its_number_of_parameters() -> None:
    """31.0 M: two 3 x 3 convolutions with biases a level, 2 x 2 up-convolutions, channels 64 to 1024, one grey channel, two classes."""
    channels = (64, 128, 256, 512, 1024)
    module = build(UNet(UNetConfig(channels=channels, batch_norm=False)), 16, 16, 1, 2)
    sizes = (1, *channels)
    down = sum((9 * a + 1) * b + (9 * b + 1) * b for a, b in zip(sizes, channels, strict=False))
    up = sum((4 * b + 1) * a + (9 * 2 * a + 1) * a + (9 * a + 1) * a for a, b in itertools.pairwise(channels))
    assert sum(parameter.numel() for parameter in module.parameters()) == down + up + 64 * 2 + 2 == 31_030_658


def test_the_example_of_64_and_128_filters_is_a_config() -> None:
    """The smallest textbook U-Net: 64 filters, pooled, 128, grown, joined with the first features, 64, one map."""
    module = build(UNet(UNetConfig(channels=(64, 128), batch_norm=False)), 12, 12, 3, 2)
    names = [name for name, child in module.network.named_modules() if isinstance(child, torch.nn.Conv2d)]
    assert [module.network.get_submodule(name).out_channels for name in names] == [64, 64, 128, 128, 64, 64, 2]
    assert module(torch.zeros(1, 12, 12, 3, dtype=torch.uint8)).shape == (1, 12, 12, 2)


@pytest.mark.parametrize("reduction", [1, 2])
def test_any_size_is_padded_and_cut_and_the_padding_does_not_reach_far(reduction: int) -> None:
    module = build(UNet(UNetConfig(channels=(4, 6, 8), reduction=reduction)), 37, 22, 1, 3).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 37, 22, 1), dtype=np.uint8))
    assert module(images).shape == (2, 37, 22, 3)
    assert module.answers(images).shape == (2, 37, 22)
    larger = functional.pad(images.permute(0, 3, 1, 2).float(), (0, 2, 0, 3), mode="replicate").to(torch.uint8).permute(0, 2, 3, 1)
    torch.testing.assert_close(module(larger)[:, :37, :22], module(images), rtol=1e-4, atol=1e-4)  # 40 x 24 needs no padding


def test_images_standardised_by_themselves_look_alike_in_any_light() -> None:
    module = build(UNet(UNetConfig(channels=(4, 6), standardise="image")), 16, 16, 1, 2).eval()
    dark = torch.from_numpy(np.random.default_rng(0).integers(0, 60, (2, 16, 16, 1), dtype=np.uint8))
    torch.testing.assert_close(module(dark * 4 + 9), module(dark), rtol=0.02, atol=0.02)
    assert torch.isfinite(module(torch.zeros(1, 16, 16, 1, dtype=torch.uint8))).all()


def test_a_logarithm_shows_a_faint_object_beside_a_bright_one() -> None:
    picture = torch.full((1, 16, 16, 1), 3, dtype=torch.uint8)
    picture[0, 2:6, 2:6], picture[0, 9:13, 9:13] = 12, 200
    for standardise, least, most in (("image", 0.0, 0.1), ("log", 0.2, 0.5)):
        module = build(UNet(UNetConfig(channels=(4, 6), standardise=standardise)), 16, 16, 1, 2).eval()
        seen = module.prepared(picture)[0, 0]
        assert least < ((seen[3, 3] - seen[0, 0]) / (seen[10, 10] - seen[0, 0])).item() < most


def test_attention_gates_compute_the_paper_s_equations() -> None:
    gate = AttentionGate(6, 5, np.random.default_rng(0))
    skip, coarse = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 5, 4, 4)
    weighted, weights = gate(skip, coarse)
    one = skip[0, :, 2:4, 4:6]  # what the gate reads for the coarse pixel (1, 2)
    inner = torch.einsum("oiyx,iyx->o", gate.of_skip.weight, one) + gate.of_gate.weight.sum((1, 2, 3)) + gate.of_gate.bias
    expected = torch.sigmoid((gate.attention.weight.flatten() * inner.relu()).sum() + gate.attention.bias)
    grid = torch.sigmoid(gate.attention(functional.relu(gate.of_skip(skip) + gate.of_gate(coarse))))
    torch.testing.assert_close(grid[0, 0, 1, 2], expected[0])
    torch.testing.assert_close(weighted, skip * weights)
    assert weights.shape == (2, 1, 8, 8)


def test_losses_equal_torch_s_and_their_definitions_and_do_not_depend_on_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(3, 4, 5, 6, generator=generator), torch.randint(0, 4, (3, 5, 6), generator=generator)
    torch.testing.assert_close(cross_entropy(logits, targets).mean(), functional.cross_entropy(logits, targets))
    shares, hot = logits.softmax(1), functional.one_hot(targets, 4).permute(0, 3, 1, 2)
    by_hand = [
        np.mean([1 - (2 * (shares[b, k] * hot[b, k]).sum() + 1) / (shares[b, k].sum() + hot[b, k].sum() + 1) for k in range(4)])
        for b in range(3)
    ]
    np.testing.assert_allclose(dice(logits, targets).numpy(), by_hand, rtol=1e-5)
    right = shares.gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(focal(logits, targets), (-((1 - right) ** 2) * right.log()).mean((1, 2)))
    for name in ("dice+cross-entropy", "dice+focal", "dice+boundary"):
        whole = map_loss(name, logits, targets)  # type: ignore[arg-type]
        torch.testing.assert_close(whole[1:2], map_loss(name, logits[1:2], targets[1:2]))  # type: ignore[arg-type]


def test_pixels_near_a_border_weigh_more_and_far_from_any_weigh_one() -> None:
    labels = torch.zeros(1, 1, 40, dtype=torch.int64)
    labels[..., 20:] = 1
    weights = border_weights(labels)[0, 0]
    assert weights[0] == weights[-1] == 1.0
    torch.testing.assert_close(weights[19], weights[20])
    assert (weights[:20].diff() >= 0).all()
    assert torch.equal(border_weights(torch.zeros(1, 5, 5, dtype=torch.int64)), torch.ones(1, 5, 5))


def test_torchvision_s_networks_are_torchvision_s_and_leave_its_generator_alone() -> None:
    before = torch.get_rng_state()
    module = build(TorchvisionMaps(TorchvisionMapsConfig(width=0.1)), 32, 40, 1, 3).eval()
    assert torch.equal(torch.get_rng_state(), before)
    assert type(module.network.model).__name__ == "DeepLabV3"
    images = torch.randint(0, 256, (2, 32, 40, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen = module.prepared(images).expand(-1, 3, -1, -1)
    torch.testing.assert_close(module(images), module.network.model(seen)["out"].permute(0, 2, 3, 1))


def test_other_spaces_are_refused_in_words() -> None:
    image, labels = pair(8, 8, 1, 2)
    for given, wanted, words in (
        (image, spaces.Discrete(3), "this network gives label maps"),
        (image, pair(4, 8, 1, 2)[1], r"the image is 8 x 8 and the map \(4, 8\)"),
        (spaces.Box(0, 1, (5,)), labels, "an image is a Box of shape"),
    ):
        with pytest.raises(ValueError, match=words):
            UNet(UNetConfig()).build(given, wanted, np.random.default_rng(0))


def test_a_run_that_is_continued_inside_an_epoch_learns_from_the_same_variations_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(steps.STEP_OPERATIONS, "cpu", 1.0)  # a batch a step
    config = ShapeMapsConfig(size=16, num_train=6, num_validation=0, num_test=1, augment=("flip", "affine", "noise"), crop=12)

    def agent() -> Supervised:
        network = UNet(UNetConfig(channels=(2, 3), dropout=0.2))
        settings = SupervisedConfig(batch_size=2)
        return Supervised(settings, ShapesSegmentation(config), network, seeds=Seeds(0), budget=12, device="cpu")

    whole, first, second = agent(), agent(), agent()
    while first.progress < 4:
        first.step()
    assert first.progress == 4  # of 6 examples in an epoch
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    for each in (whole, second):
        while each.progress < each.budget:
            each.step()
    for name, value in whole.parameters().items():
        assert value.tobytes() == second.parameters()[name].tobytes(), name


NETWORKS: dict[str, Network] = {
    "unet": UNet(UNetConfig(channels=(16, 32, 64))),
    "attention-unet": UNet(UNetConfig(channels=(16, 32, 64), gates=True)),
    "fcn": TorchvisionMaps(TorchvisionMapsConfig(model="fcn", width=0.5, output_stride=4)),
    "deeplabv3": TorchvisionMaps(TorchvisionMapsConfig(width=0.5, output_stride=4)),
}


@pytest.mark.learning
@pytest.mark.parametrize("name", NETWORKS)
def test_eight_pictures_are_learned_by_heart(name: str) -> None:
    small = name in ("unet", "attention-unet")
    task = ShapesSegmentation(ShapeMapsConfig(size=64 if small else 128, num_train=8, num_validation=0, num_test=1))
    batch_size, epochs = (4, 250) if small else (8, 150)
    schedule: Any = "cosine" if small else "warm-up-cosine"
    config = SupervisedConfig(batch_size=batch_size, learning_rate=0.003, schedule=schedule, weight_decay=0.0)
    agent = Supervised(config, task, NETWORKS[name], seeds=Seeds(0), budget=8 * epochs, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    assert task.evaluate_split(agent.predict, "train")["mean IoU"] > 0.95


@pytest.mark.parametrize("backbone", ["mobilenet-v3-small", "resnet50"])
def test_features_have_the_output_stride_that_is_asked_for(backbone: Any) -> None:
    with torch.device("meta"):
        models = {stride: build_model(TorchvisionMapsConfig(backbone=backbone, output_stride=stride), 2) for stride in (4, 8, 16, 32)}
        found = {stride: model.eval().backbone(torch.zeros(1, 3, 64, 96))["out"].shape[2:] for stride, model in models.items()}
    assert found == {stride: (64 // stride, 96 // stride) for stride in found}


@pytest.mark.parametrize("model", ["fcn", "deeplabv3"])
def test_networks_equal_torchvisions_at_its_output_strides(model: Any) -> None:
    """Of 16 in a MobileNet, of 8 in a ResNet: names and dilations of all convolutions, and with them the answers."""
    for backbone, stride, theirs in (("mobilenet-v3-large", 16, "mobilenet_v3_large"), ("resnet50", 8, "resnet50")):
        if model == "fcn" and stride == 16:
            continue  # torchvision has none
        with torch.device("meta"):
            ours = build_model(TorchvisionMapsConfig(model=model, backbone=backbone, output_stride=stride), 3)
            other = getattr(segmentation, f"{model}_{theirs}")(weights=None, weights_backbone=None, num_classes=3)
        assert ours.state_dict().keys() == other.state_dict().keys()
        assert convolutions(ours) == convolutions(other)


def convolutions(model: torch.nn.Module) -> dict[str, tuple[object, ...]]:
    return {name: (m.stride, m.dilation, m.padding) for name, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)}
