from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from dl_nets.networks.cnn import CNN, CNNConfig

NATURE = {"channels": (32, 64, 64), "kernels": (8, 4, 3), "strides": (4, 2, 1), "hidden": (512,)}


def build(height: int = 8, width: int = 8, depth: int = 1, *, seed: int = 0, dtype: type = np.float32, **config: object) -> nn.Module:
    space = spaces.Box(0, 255 if dtype is np.uint8 else 1, (height, width, depth), dtype)
    return CNN(CNNConfig(**config)).build(space, spaces.Discrete(10), np.random.default_rng(seed))


@pytest.mark.parametrize("size", [(2, 3, 1), (6, 7, 2), (9, 13, 3), (84, 84, 4), (8, 60, 2)])
def test_it_takes_images_of_any_size(size: tuple[int, int, int]) -> None:
    assert build(*size)(torch.zeros(3, *size)).shape == (3, 10)


def test_its_linear_layers_do_not_grow_with_the_image() -> None:
    sizes = {sum(parameter.numel() for parameter in build(side, side).parameters()) for side in (8, 32, 128)}
    assert len(sizes) == 1


def test_its_parameters_are_as_many_as_paper_and_pencil_say() -> None:
    parameters = sum(parameter.numel() for parameter in build(depth=3).parameters())
    assert parameters == (3 * 9 * 32 + 32) + (32 * 9 * 64 + 64) + (64 * 16 * 128 + 128) + (128 * 10 + 10)


def test_bytes_are_read_as_numbers_from_zero_to_one() -> None:
    pixels = torch.tensor(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)), dtype=torch.uint8)
    torch.testing.assert_close(build(dtype=np.uint8)(pixels), build()(pixels.float() / 255))


def test_a_shifted_blob_is_found_by_the_same_filters() -> None:
    """Convolutions and pooling commute with shifts of the image by what pooling halves."""
    module = build(32, 32, hidden=()).convolutions[:-1]
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 10:14, 10:14] = 1.0
    torch.testing.assert_close(module(image.roll(4, dims=2)), module(image).roll(2, dims=2))


@pytest.mark.usefixtures("global_generators_stay")
def test_a_seed_gives_the_same_bits_and_the_global_generators_stay() -> None:
    images = torch.linspace(0, 1, 128).reshape(2, 8, 8, 1)
    assert torch.equal(build(seed=1)(images), build(seed=1)(images))
    assert not torch.equal(build(seed=1)(images), build(seed=2)(images))


@pytest.mark.parametrize("config", [{}, {"batch_norm": True, "dropout": 0.2}])
def test_every_parameter_gets_a_gradient(config: dict[str, object]) -> None:
    module = build(**config)
    module(torch.tensor(np.random.default_rng(0).random((16, 8, 8, 1)), dtype=torch.float32)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


def test_a_permuted_batch_gives_a_permuted_result() -> None:
    module, images = build(), torch.tensor(np.random.default_rng(0).random((6, 8, 8, 1)), dtype=torch.float32)
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    torch.testing.assert_close(module(images)[order], module(images[order]))


def test_too_many_halvings_for_the_image_are_refused_with_the_number_that_it_allows() -> None:
    with pytest.raises(ValueError, match=r"the image is 8 x 8; 5 convolutions .* need 16 x 16"):
        CNN(CNNConfig(channels=(4, 4, 4, 4, 4))).build(spaces.Box(0, 1, (8, 8, 1)), spaces.Discrete(2), np.random.default_rng(0))
    CNN(CNNConfig(channels=(4, 4, 4, 4))).build(spaces.Box(0, 1, (8, 8, 1)), spaces.Discrete(2), np.random.default_rng(0))


def test_with_strides_it_is_the_network_that_plays_atari_games() -> None:
    module = build(84, 84, 4, dtype=np.uint8, **NATURE)
    shapes = []
    images = torch.zeros(2, 4, 84, 84)
    for layer in module.convolutions:
        images = layer(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes[::2] == [(32, 20, 20), (64, 9, 9), (64, 7, 7)]  # as the paper has it
    assert all(type(layer) in (nn.Conv2d, nn.ReLU) for layer in module.convolutions)  # nothing is pooled
    parameters = sum(parameter.numel() for parameter in module.parameters())
    assert parameters == (4 * 64 * 32 + 32) + (32 * 16 * 64 + 64) + (64 * 9 * 64 + 64) + (64 * 49 * 512 + 512) + (512 * 10 + 10)


def test_a_filter_of_a_strided_convolution_sees_what_a_plain_sum_says() -> None:
    module = build(9, 10, 2, channels=(1,), kernels=(4,), strides=(3,), hidden=())
    pixels = np.random.default_rng(0).random((1, 9, 10, 2), dtype=np.float32)
    convolution = module.convolutions[0]
    weight, bias = convolution.weight.detach().numpy()[0], convolution.bias.item()  # [C, height, width]
    expected = [
        [(pixels[0, y : y + 4, x : x + 4].transpose(2, 0, 1) * weight).sum() + bias for x in range(0, 7, 3)] for y in range(0, 6, 3)
    ]
    outputs = convolution(torch.from_numpy(pixels).permute(0, 3, 1, 2)).detach()[0, 0]
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_an_image_too_small_for_its_strides_is_refused_with_the_size_that_it_needs() -> None:
    with pytest.raises(ValueError, match=r"the image is 35 x 84; 3 convolutions \(kernel 8, stride 4, pool 1; .*\) need 36 x 36"):
        build(35, 84, 4, **NATURE)
    assert build(36, 36, 4, **NATURE)(torch.zeros(1, 36, 36, 4)).shape == (1, 10)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_padding_stride_and_pooling_by_config_are_torch_s_layers(pooling: str) -> None:
    config: dict[str, object] = {"channels": (3, 4), "kernels": (3, 5), "strides": (2, 1), "padding": (1, 2), "pools": (2, 3)}
    module, images = build(24, 30, 2, pooling=pooling, **config), torch.tensor(np.random.default_rng(0).random((2, 24, 30, 2)).astype("f"))
    first, second = (layer for layer in module.convolutions if isinstance(layer, nn.Conv2d))
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    seen = pool(functional.conv2d(images.permute(0, 3, 1, 2), first.weight, first.bias, stride=2, padding=1).relu(), 2)
    seen = pool(functional.conv2d(seen, second.weight, second.bias, padding=2).relu(), 3)
    assert seen.shape == (2, 4, 2, 2)
    torch.testing.assert_close(module(images), module.layers(seen.flatten(1)))


def test_the_textbook_s_network_of_one_convolution_has_as_many_parameters_as_its_summary_says() -> None:
    """Of 64 x 64 x 3 pixels: 32 filters of 3 x 3 without padding, maxima of 2 x 2, 128 units, 10 classes."""
    module = build(64, 64, 3, channels=(32,), kernels=(3,), padding=(0,), pools=(2,))
    counts = [sum(parameter.numel() for parameter in layer.parameters()) for layer in (*module.convolutions, *module.layers)]
    assert [count for count in counts if count] == [896, 31 * 31 * 32 * 128 + 128, 1290]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"channels": ()}, r"channels is \[\]; it must name at least one convolution"),
        ({"channels": (0,)}, r"channels is \[0\]; it must be >= 1"),
        ({"hidden": (0,)}, r"hidden is \[0\]; it must be >= 1"),
        ({"hidden_gain": 0.0}, r"hidden_gain is 0\.0; it must be > 0"),
        ({"kernels": (3, 3, 3)}, r"and kernels \[3, 3, 3\]; .* for each of the 2 convolutions, one for all, or none"),
        ({"kernels": (3, 3), "strides": (1, 0)}, r"strides is \[1, 0\]; it must be >= 1"),
        ({"dropout": -0.1}, r"dropout is -0\.1; it must be in \[0, 1\)"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CNNConfig(**config)
