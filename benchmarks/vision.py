"""Measure the networks of pictures: speed beside timm, torchvision and plain torch, equality with them, and scores on real pictures.

    uv pip install timm segmentation-models-pytorch
    python benchmarks/vision.py                                         # equality and speed, about three minutes
    python benchmarks/vision.py --run membrane --data FOLDER            # a score: three runs of `rl-core run`, prints the row
    python benchmarks/vision.py --run mnist --data FOLDER --network vit
    python benchmarks/vision.py --results RUN [RUN ...]                 # the same row from runs that are there

Speed: forward passes and whole steps (forward, backward, AdamW) in one process with one thread, in turn; see `pairs.py`. The plain U-Net
has the same layers and weights in torch's default layout. The variations of training pictures are those of `torchvision.transforms.v2`,
which varies one picture after the other.

Scores: means over seeds 0 to 2 on the test split, 1/5 of the pictures, drawn by `split_seed` 0. FOLDER holds the folders `image` and
`label` of the 30 electron micrographs of the ISBI 2012 challenge, or `images` and `instances` of 334 pictures of nuclei of the 2018 Data
Science Bowl. For `mnist` it holds the four idx files, whose own 10,000 test images judge, and the settings are the presets of the agent
`supervised`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pairs
import torch
from gymnasium import spaces
from torch import Tensor, nn

NUM_PAIRS = 5
SETTINGS: dict[str, list[str]] = {
    "membrane": [
        "task.images=image",
        "task.masks=label",
        "task.classes=[membrane,interior]",
        "task.validation_fraction=0",
        "task.crop=256",
        "task.augment=[flip,flip-vertical,turn,elastic,contrast,brightness]",
        "network.reduction=2",
        "epochs=60",
        "batch_size=4",
        "learning_rate=0.003",
        "schedule=warm-up-cosine",
    ],
    "nuclei": [
        "task.masks=instances",
        "task.labels=binary",
        "task.classes=[background,nucleus]",
        "task.validation_fraction=0",
        "task.augment=[flip,flip-vertical,turn,affine]",
        "network.standardise=log",
        "network.reduction=2",
        "epochs=14",
        "batch_size=8",
        "learning_rate=0.003",
        "schedule=warm-up-cosine",
    ],
    "mnist": [],
}
SHOWN = ("mean IoU", "accuracy", "IoU of nucleus", "Dice of nucleus", "Dice of interior", "Dice of membrane")


class AsImages(nn.Module):
    """A peer's network for images [B, H, W, C] of bytes, standardised as ours are."""

    def __init__(self, model: nn.Module, ours: nn.Module) -> None:
        super().__init__()
        self.model, self.scale, self.standardise = model, ours.scale, ours.standardise

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the peer gives for images in torch's default layout."""
        images = self.standardise(self.scale(inputs)) if self.standardise is not None else self.scale(inputs).permute(0, 3, 1, 2)
        return self.model(images.contiguous())


def way(build: Callable[[], nn.Module], shape: tuple[int, ...], *, step: bool) -> pairs.Way:
    """Return the work of some forward passes, or of whole steps, on random images."""

    def begin(seed: int) -> Callable[[], int]:
        module = build().train(step)
        images = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))
        optimiser = torch.optim.AdamW(module.parameters())

        def work() -> int:
            for _ in range(3):
                with torch.set_grad_enabled(step):
                    result = module(images)
                if step:
                    optimiser.zero_grad()
                    result.square().mean().backward()
                    optimiser.step()
            return 3 * len(images)

        return work

    return begin


def networks() -> dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]]:
    """Return ours, the peer's, and the shape of a batch, by name of the comparison."""
    import timm
    from torchvision import models

    from cv_models.classify.resnet import ResNet, ResNetConfig
    from cv_models.classify.vit import ViT, ViTConfig
    from cv_models.segment.unet import UNet, UNetConfig

    image = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    pixels = spaces.MultiDiscrete(np.full((96, 96), 3))

    def resnet(attention: str) -> nn.Module:
        return ResNet(ResNetConfig(attention=attention)).build(image, spaces.Discrete(100), np.random.default_rng(0))

    def vit() -> nn.Module:
        return ViT(ViTConfig(size="tiny", patch_size=8, standardise=True)).build(image, spaces.Discrete(100), np.random.default_rng(0))

    def unet() -> nn.Module:
        return UNet(UNetConfig()).build(spaces.Box(0, 255, (96, 96, 3), np.uint8), pixels, np.random.default_rng(0))

    ours_resnet, ours_vit = resnet("none"), vit()
    tiny = {"img_size": 64, "patch_size": 8, "num_classes": 100}
    return {
        "resnet-18, torchvision": (lambda: resnet("none"), lambda: AsImages(models.resnet18(num_classes=100), ours_resnet), (8, 64, 64, 3)),
        "resnet-18, timm": (
            lambda: resnet("none"),
            lambda: AsImages(timm.create_model("resnet18", num_classes=100), ours_resnet),
            (8, 64, 64, 3),
        ),
        "se-resnet-18, timm": (
            lambda: resnet("squeeze-excitation"),
            lambda: AsImages(timm.create_model("seresnet18", num_classes=100), ours_resnet),
            (8, 64, 64, 3),
        ),
        "vit tiny, timm": (vit, lambda: AsImages(timm.create_model("vit_tiny_patch16_224", **tiny), ours_vit), (8, 64, 64, 3)),
        "unet, plain": (unet, lambda: Plain(unet()), (4, 96, 96, 3)),
    }


class Plain(nn.Module):
    """Our U-Net on images in torch's default layout, as most write it."""

    def __init__(self, ours: nn.Module) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K, H, W]."""
        return self.ours.network(self.ours.prepared(inputs).contiguous())


def equality() -> list[str]:
    """Return a line for each block and loss that equals a peer's with the same weights, after checking it."""
    import segmentation_models_pytorch as smp
    from timm.layers import SEModule
    from timm.layers.cbam import CbamModule

    from cv_models.classify.attention import CBAM, SqueezeExcitation
    from cv_models.segment.losses import dice

    features, rng = torch.randn(2, 64, 9, 7, generator=torch.Generator().manual_seed(0)), np.random.default_rng(0)
    lines = []
    ours, theirs = SqueezeExcitation(64, rng, 8), SEModule(64, rd_ratio=1 / 8, rd_divisor=1)
    theirs.load_state_dict(ours.state_dict())
    lines.append(("squeeze-and-excitation, timm.layers.SEModule", ours(features), theirs(features)))
    block, peer = CBAM(64, rng, 8), CbamModule(64, rd_ratio=1 / 8, rd_divisor=1)
    for last in (block.channel.fc2, block.spatial.conv):  # which are 0 at first
        nn.init.normal_(last.weight)
    peer.channel.load_state_dict(block.channel.state_dict())
    peer.spatial.conv.conv.load_state_dict(block.spatial.conv.state_dict())
    peer.spatial.conv.bn = nn.Identity()  # timm normalises the map of places, the paper does not
    lines.append(("CBAM without timm's normalisation of the map, timm.layers.CbamModule", block(features), peer(features)))
    logits, labels = torch.randn(1, 4, 8, 8), torch.randint(0, 4, (1, 8, 8))
    loss = smp.losses.DiceLoss(mode="multiclass", smooth=0.5, eps=0.0)(logits, labels)  # theirs counts twice
    lines.append(("Dice loss of one map, smp.losses.DiceLoss", dice(logits, labels)[0], loss))
    result = []
    for name, mine, other in lines:
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
        result.append(f"| {name} | {(mine - other).abs().max():.1e} |")
    return result


def variations() -> tuple[pairs.Way, pairs.Way]:
    """Return our variations of 32 pictures and maps, and those of torchvision.transforms.v2."""
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    from dl_nets.tasks.transforms import vary

    pictures = np.random.default_rng(0).integers(0, 256, (32, 128, 128, 3), dtype=np.uint8)
    maps = np.random.default_rng(1).integers(0, 3, (32, 128, 128))

    def ours(seed: int) -> Callable[[], int]:
        names = ("flip", "flip-vertical", "affine", "brightness", "contrast")
        return lambda: len(vary(pictures, maps, names=names, seed=seed, indices=np.arange(32))[0])

    def theirs(seed: int) -> Callable[[], int]:
        colours = v2.ColorJitter(brightness=0.2, contrast=0.4)
        moves = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.RandomAffine(15, (0.08, 0.08), (0.83, 1.2), interpolation=2)]
        transform = v2.Compose([*moves, colours])

        def work() -> int:
            for picture, labels in zip(pictures, maps, strict=True):
                image = tv_tensors.Image(torch.from_numpy(picture).permute(2, 0, 1))
                transform(image, tv_tensors.Mask(torch.from_numpy(labels)))
            return 32

        return work

    return ours, theirs


def score_row(name: str, results: list[dict[str, Any]]) -> str:
    """Return the mean of each shown metric, and the single values, of runs on other seeds."""
    cells = []
    for metric in SHOWN:
        values = [result["metrics"][metric] for result in results if metric in result["metrics"]]
        if values:
            digits = 4 if metric == "accuracy" else 3
            cells.append(f"{metric} **{statistics.mean(values):.{digits}f}** ({', '.join(f'{value:.{digits}f}' for value in values)})")
    seeds = ", ".join(str(result["seed"]) for result in results)
    seconds = statistics.mean(result["seconds"] for result in results)
    return f"| {name} | {results[0]['network']} | {seeds} | {'; '.join(cells)} | {results[0]['progress']:,} | {seconds:.0f} |"


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", choices=SETTINGS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--network", default="unet")
    parser.add_argument("--results", type=Path, nargs="+")
    options = parser.parse_args()
    if options.results:
        print(score_row("", [json.loads((folder / "result.json").read_text()) for folder in options.results]))
        return
    if options.run:
        results, scheme = [], "mnist" if options.run == "mnist" else "masks"
        for seed in range(3):
            with tempfile.TemporaryDirectory() as folder:
                command = [
                    sys.executable,
                    "-m",
                    "rl_core",
                    "run",
                    options.network,
                    "--task",
                    f"{scheme}:{options.data}",
                    "--seed",
                    str(seed),
                ]
                sets = [part for setting in SETTINGS[options.run] for part in ("--set", setting)]
                done = subprocess.run([*command, *sets, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=True)
                results.append(json.loads(done.stdout))
        print(score_row(options.run, results))
        return
    torch.set_num_threads(1)
    print("| equal with the same weights | largest difference |\n|---|---:|", *equality(), "", *pairs.HEAD, sep="\n")
    for name, (ours, theirs, shape) in networks().items():
        for what, step in (("forward", False), ("step", True)):
            print(pairs.row(f"{name}: {what}", pairs.paired(way(ours, shape, step=step), way(theirs, shape, step=step), NUM_PAIRS), 1.0))
    ours, theirs = variations()
    print(pairs.row("32 pictures and maps varied, torchvision.transforms.v2", pairs.paired(ours, theirs, NUM_PAIRS), 1.0))


if __name__ == "__main__":
    main()
