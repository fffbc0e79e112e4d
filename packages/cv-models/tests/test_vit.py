from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from cv_models.classify.vit import Attention, VisionTransformer, ViT, ViTConfig, patches

DIGIT = spaces.Box(0.0, 1.0, (8, 8, 1))


def build(space: spaces.Box = DIGIT, classes: int = 10, seed: int = 0, **config: object) -> VisionTransformer:
    settings = ViTConfig(**{"patch_size": 2, "width": 16, "depth": 2, "num_heads": 4, **config})
    return ViT(settings).build(space, spaces.Discrete(classes), np.random.default_rng(seed))


def images(count: int = 4, shape: tuple[int, ...] = (8, 8, 1)) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(0).random((count, *shape)), dtype=torch.float32)


def test_vit_b_16_has_the_published_number_of_parameters() -> None:
    """86.6 M in table 1 of the paper; 86,567,656 with a head of 1,000 classes and images of 224 x 224."""
    config = ViTConfig(patch_size=16, size="base")
    module = ViT(config).build(spaces.Box(0, 1, (224, 224, 3)), spaces.Discrete(1000), _Zeros())
    assert sum(parameter.numel() for parameter in module.parameters()) == 86_567_656


class _Zeros:
    """A generator that draws zeros: the count of parameters needs no random numbers, and these come at once."""

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> np.ndarray:
        return np.zeros(size, np.float32)

    def normal(self, mean: float, deviation: float, size: tuple[int, ...]) -> np.ndarray:
        return np.zeros(size, np.float32)

    def integers(self, high: int) -> int:
        return 0


def test_it_computes_what_torchvisions_computes_with_the_same_weights(tmp_path: Path) -> None:
    from torchvision.models import VisionTransformer as Torchvisions

    theirs = Torchvisions(image_size=32, patch_size=8, num_layers=3, num_heads=4, hidden_dim=32, mlp_dim=128, num_classes=7).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # their head starts at 0, which would hide everything
        for parameter in theirs.parameters():
            parameter.normal_(0.0, 0.1, generator=generator)
    ours = build(spaces.Box(0, 1, (32, 32, 3)), 7, patch_size=8, width=32, depth=3).eval()
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    ours.load(tmp_path / "vit.pth")
    batch = images(5, (32, 32, 3))
    torch.testing.assert_close(ours(batch), theirs(batch.permute(0, 3, 1, 2)), rtol=1e-5, atol=1e-5)
    larger = build(spaces.Box(0, 1, (48, 40, 3)), 7, patch_size=8, width=32, depth=3, weights=str(tmp_path / "vit.pth"))
    assert larger.positions.shape == (1, 31, 32)  # 6 x 5 patches and the class token, resized from 4 x 4
    torch.testing.assert_close(larger.positions[:, 0], ours.positions[:, 0])
    other = build(spaces.Box(0, 1, (32, 32, 3)), 3, patch_size=8, width=32, depth=3, weights=str(tmp_path / "vit.pth"))
    torch.testing.assert_close(other.embedding.weight, ours.embedding.weight)  # all but the head, which is for other classes
    with pytest.raises(ValueError, match=r"has shape \[32\], this network's has \[16\]; set the network's size"):
        build(spaces.Box(0, 1, (32, 32, 3)), 7, patch_size=8, width=16, depth=3, weights=str(tmp_path / "vit.pth"))


def test_patches_are_cut_row_by_row_and_flattened_row_by_row_with_channels_last() -> None:
    picture = torch.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    cut = patches(picture, 2)
    assert cut.shape == (2, 6, 12)
    assert torch.equal(cut[1, 4], picture[1, 2:4, 2:4].flatten())


def test_attention_over_one_token_is_its_value_and_even_keys_give_the_mean() -> None:
    attention = Attention(8, 2, np.random.default_rng(0))
    tokens = torch.tensor(np.random.default_rng(1).normal(size=(3, 5, 8)), dtype=torch.float32)
    value = tokens @ attention.query_key_value.weight[16:].T
    alone = attention.output(value[:, :1])
    torch.testing.assert_close(attention(tokens[:, :1]), alone)
    with torch.no_grad():
        attention.query_key_value.weight[8:16] = 0.0
    torch.testing.assert_close(attention(tokens), attention.output(value.mean(1, keepdim=True)).expand(3, 5, 8))


def test_without_positions_the_order_of_patches_does_not_matter_and_with_them_it_does() -> None:
    module = build(pooling="mean")
    swapped = images()[:, [2, 3, 0, 1, 4, 5, 6, 7]]  # the first two rows of patches change places
    assert not torch.allclose(module(images()), module(swapped), atol=1e-4)
    with torch.no_grad():
        module.positions.zero_()
    torch.testing.assert_close(module(images()), module(swapped))


@pytest.mark.parametrize("pooling", ["class-token", "mean"])
def test_every_parameter_gets_a_gradient(pooling: str) -> None:
    module: nn.Module = build(pooling=pooling, dropout=0.1)
    module(images()).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


def test_a_seed_gives_the_same_bits_and_the_global_generator_stays() -> None:
    before = torch.get_rng_state()
    first, second, other = (build(seed=seed, dropout=0.1)(images()) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_permuted_batch_gives_a_permuted_result_and_a_batch_of_one_is_the_single_case() -> None:
    module, order = build(), torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(module(images())[order], module(images()[order]))
    torch.testing.assert_close(module(images()[2:3])[0], module(images())[2])


def test_bytes_are_read_as_numbers_from_zero_to_one() -> None:
    pixels = (images() * 255).to(torch.uint8)
    torch.testing.assert_close(build()(pixels), build()(pixels.float() / 255))


def test_a_patch_size_that_does_not_divide_the_image_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"patch_size is 3, but the image is 8 x 12; it must be one of 1, 2, 4: set network.patch_size"):
        build(spaces.Box(0, 1, (8, 12, 1)), patch_size=3)
    with pytest.raises(ValueError, match=r"an image is a Box of shape \[height, width, channels\]"):
        build(spaces.Box(0, 1, (64,)))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"patch_size": 0}, "patch_size is 0; it must be >= 1"),
        ({"depth": 0}, "depth is 0; it must be >= 1"),
        ({"width": 65}, "width is 65 and num_heads is 4; width must be a multiple of num_heads"),
        ({"dropout": 1.0}, r"dropout is 1\.0; it must be in \[0, 1\)"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ViTConfig(**config)


def test_images_of_another_size_get_resized_positions_and_attention_says_where_it_looks() -> None:
    module = build().eval()
    assert module(images(2, (12, 10, 1))).shape == (2, 10)
    maps = module.attention_maps(images())
    assert maps.shape == (4, 8, 8)
    torch.testing.assert_close(maps.amax((1, 2)), torch.ones(4))
    block = module.blocks[0]
    weights = block.attention.attention_weights(block.attention_norm(module.tokens(images())))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))


def test_a_stem_of_convolutions_sees_beyond_a_patch_and_takes_images_of_other_sizes() -> None:
    module = build(patch_size=4, stem="convolutions").eval()
    assert len(module.embedding) == 7  # type: ignore[arg-type]  # two convolutions with normalisation and ReLU, and one of 1 x 1
    picture = images(1).requires_grad_()
    module.tokens(picture)[0, 4].square().sum().backward()  # the last patch, rows and columns 4 to 7
    assert picture.grad is not None
    assert (picture.grad[0, 3] != 0).any()  # the row above it
    assert (picture.grad[0, 0] == 0).all()
    assert module(images(2, (12, 8, 1))).shape == (2, 10)
    assert module.attention_maps(images(2)).shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"patch_size is 6; with stem=convolutions, .* it must be 2, 4, 8, 16"):
        ViTConfig(patch_size=6, stem="convolutions")
