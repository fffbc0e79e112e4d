from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image
from torch import nn

from cv_models.generate.dead_leaves import tiles
from cv_models.generate.fidelity import psnr, ssim
from cv_models.generate.resolution import (
    FidelityJudge,
    FolderConfig,
    FolderResolution,
    LeavesConfig,
    LeavesResolution,
    bicubic,
    enlarged,
    reduced,
    write_example,
)
from cv_models.generate.upscalers import Upscaler, UpscalerConfig, UpscalerModule
from dl_nets.learning.export import exportable, write
from dl_nets.learning.losses import OwnRule


def pictures(side: int) -> spaces.Box:
    return spaces.Box(0, 255, (side, side, 3), np.uint8)


def built(body: str, scale: int = 2, **config: Any) -> UpscalerModule:
    network = Upscaler(UpscalerConfig(body=body, width=8, blocks=1, **config))  # type: ignore[arg-type]
    return network.build(pictures(12), pictures(12 * scale), np.random.default_rng(0)).eval()


def test_measures_are_those_of_scikit_image() -> None:
    y, x = np.mgrid[0:16, 0:16]
    one = y * 16.0 + x
    other = np.clip(one + 10 * ((y + x) % 3 - 1), 0, 255)
    assert ssim(one, other) == pytest.approx(0.94785066690, abs=1e-10)  # gaussian_weights, sigma 1.5, no sample covariance
    assert psnr(one, other) == pytest.approx(30.014215871, abs=1e-8)


def test_a_copy_is_perfect_and_bicubic_has_its_own_score() -> None:
    large = tiles(np.random.default_rng(0), 2, 32)
    judge = FidelityJudge(2)
    judge.add(large, large)
    found = judge.result()
    assert (found["PSNR"], found["SSIM"]) == (100.0, pytest.approx(1.0))
    other = FidelityJudge(2)
    other.add(bicubic(reduced(large, 2), 2), large)
    assert other.result()["PSNR"] == pytest.approx(found["bicubic PSNR"])


def test_leaves_are_those_of_their_seed() -> None:
    again, other = (tiles(np.random.default_rng(seed), 3, 24) for seed in (0, 1))
    assert np.array_equal(again, tiles(np.random.default_rng(0), 3, 24))
    assert not np.array_equal(again, other)


def test_pixel_shuffle_puts_each_channel_where_the_paper_does() -> None:
    maps, scale = torch.arange(2 * 9 * 2 * 3.0).reshape(2, 9, 2, 3), 3
    large = nn.PixelShuffle(scale)(maps)
    for y in range(2):
        for x in range(3):
            for i in range(scale):
                for j in range(scale):
                    assert torch.equal(large[:, 0, scale * y + i, scale * x + j], maps[:, scale * i + j, y, x])


@pytest.mark.parametrize("body", ["srcnn", "espcn", "srresnet"])
@pytest.mark.parametrize("scale", [2, 4])
def test_without_a_difference_the_answer_is_bicubic_and_flat_pictures_stay_flat(body: str, scale: int) -> None:
    module = built(body, scale)
    with torch.no_grad():
        for layer in module.layers:
            if isinstance(layer, nn.Conv2d):
                last = layer
        last.weight.zero_()
    small = reduced(tiles(np.random.default_rng(1), 2, 12 * scale), scale)
    answers = module.answers(torch.from_numpy(small)).numpy()
    assert np.abs(answers.astype(int) - bicubic(small, scale).astype(int)).max() <= 1
    assert (module.answers(torch.full((1, 5, 7, 3), 99, dtype=torch.uint8)) == 99).all()


def test_a_large_picture_in_parts_is_the_whole_one() -> None:
    module, picture = built("espcn"), tiles(np.random.default_rng(0), 1, 256)[0][:, :250]
    whole = module.answers(torch.from_numpy(picture[None])).numpy()[0]
    parts = enlarged(picture, lambda small: module.answers(torch.from_numpy(np.ascontiguousarray(small))).numpy(), 2)
    assert parts.shape == (512, 500, 3)
    assert np.array_equal(parts, whole)


def test_attention_is_an_option_of_the_residual_blocks() -> None:
    names = [name for name, _ in built("srresnet", attention="squeeze-excitation").named_parameters()]
    assert any("attention.fc1" in name for name in names)


def test_pictures_of_other_kinds_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="expected 2, 3 or 4 times the height and width"):
        Upscaler(UpscalerConfig()).build(pictures(12), pictures(60), np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected pictures of bytes"):
        Upscaler(UpscalerConfig()).build(spaces.Box(0, 1, (8, 8, 3)), pictures(16), np.random.default_rng(0))


def test_an_epoch_varies_patches_with_their_small_ones() -> None:
    task = LeavesResolution(LeavesConfig(size=24, num_train=9, num_validation=0, num_test=2))
    small, large = task.read_augmented(np.arange(9), seed=3, progress=0.0)
    assert np.array_equal(small, reduced(np.asarray(large), 2))
    again = task.read_augmented(np.array([4]), seed=3, progress=0.5)[1]
    assert np.array_equal(again[0], np.asarray(large)[4])
    assert not np.array_equal(large, task.read("train", np.arange(9))[1])


def test_a_folder_is_judged_on_whole_pictures_and_answers_any_size(tmp_path: Path) -> None:
    write_example(tmp_path / "photos")
    Image.fromarray(tiles(np.random.default_rng(0), 1, 64)[0][:, :51]).save(tmp_path / "photos" / "odd.png")
    task = FolderResolution(FolderConfig(path=str(tmp_path / "photos"), size=24))
    assert task.num_examples("train") + task.num_examples("test") == 6 * 4 + 2 * 2
    answer = lambda small: bicubic(np.asarray(small), 2)  # noqa: E731
    found = task.evaluate(answer, episodes=1, seeds=None)  # type: ignore[arg-type]
    assert found["PSNR"] == pytest.approx(found["bicubic PSNR"])
    (out,) = task.answer_file(tmp_path / "photos" / "odd.png", answer, tmp_path / "out")
    assert Image.open(out).size == (102, 128)
    gone = FolderResolution.from_state(FolderConfig(path="gone", size=24), task.state_dict())
    assert gone.num_examples("train") == task.num_examples("train")


def test_folders_that_cannot_be_used_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'nowhere' is not a folder"):
        FolderResolution(FolderConfig(path="nowhere"))
    with pytest.raises(ValueError, match="has 0 pictures"):
        FolderResolution(FolderConfig(path=str(tmp_path)))
    write_example(tmp_path / "small")
    with pytest.raises(ValueError, match=re.escape("has 96 x 96 pixels; give larger ones, or a smaller size")):
        FolderResolution(FolderConfig(path=str(tmp_path / "small"), size=96))
    (tmp_path / "small" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=re.escape("broken.png")):
        FolderResolution(FolderConfig(path=str(tmp_path / "small")))


def test_a_graph_of_an_upscaler_enlarges_any_number_of_pictures(tmp_path: Path) -> None:
    module, path = built("espcn"), tmp_path / "graph.pt2"
    write(exportable(module, OwnRule("auto", 0.0), pictures(12)), "torch-export", path)
    graph = torch.export.load(path).module()
    small = torch.randint(0, 256, (120, 12, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for count in (1, 120):
        assert torch.equal(graph(small[:count])[0], module(small[:count]))
