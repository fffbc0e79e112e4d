from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image
from torch.nn import functional

from cv_models.generate.captioned_shapes import NEW_PAIRS, ShapesFromCaptions, ShapesFromCaptionsConfig, caption_of
from cv_models.generate.dcgan import DCGAN, DCGANConfig
from cv_models.generate.ddpm import DDPM, DDPMConfig, earlier, noised, shares
from cv_models.generate.plain_shapes import CLASSES, PlainShapes, PlainShapesConfig, drawn
from cv_models.generate.stylegan import ModulatedConvolution, StyleGAN, StyleGANConfig, deviation_channel
from dl_nets.generative.adversarial import path_lengths
from dl_nets.generative.conditions import with_label
from dl_nets.generative.gan import GAN, GANConfig
from dl_nets.generative.generate import Generate, GenerateConfig
from rl_core.network import Network
from rl_core.seeds import Seeds

NUMBER = spaces.Box(-np.inf, np.inf, (1,), np.float32)
TINY = {"size": 8, "num_train": 64, "num_validation": 0, "num_test": 16}


def images(height: int, width: int, channels: int) -> spaces.Box:
    return spaces.Box(0.0, 1.0, (height, width, channels), np.float32)


def noise(*shape: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def agent(network: Network, seed: int = 0, *, labels: bool = False, **config: Any) -> GAN:
    task = Generate(GenerateConfig(task="plain-shapes", settings=TINY, noise=6, labels=labels))
    settings = GANConfig(batch_size=8, updates_per_step=3, **config)
    return GAN(settings, task, network, seeds=Seeds(seed), budget=500, device="cpu")


def test_shapes_cover_the_area_of_their_class() -> None:
    labels = np.repeat(np.arange(3), 200)
    share = drawn(labels, np.random.default_rng(0), 16).astype(float).mean(axis=(1, 2, 3)) / 202.5  # mean brightness
    radius_squared = np.mean(np.linspace(0.22, 0.38, 1000) ** 2)
    areas = [np.pi, 2.0, 0.75 * np.sqrt(3.0)]  # of shapes in a circle of radius 1
    for index, area in enumerate(areas):
        assert share[labels == index].mean() == pytest.approx(area * radius_squared, rel=0.06), CLASSES[index]


def test_splits_of_shapes_are_apart_and_repeat() -> None:
    one, other = (PlainShapes(PlainShapesConfig(**TINY)) for _ in range(2))
    assert np.array_equal(one.read("train", np.arange(64))[0], other.read("train", np.arange(64))[0])
    assert not np.array_equal(one.read("train", np.arange(16))[0], one.read("test", np.arange(16))[0])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (28, 28)])
@pytest.mark.parametrize(
    "network", [DCGAN(DCGANConfig(width=2)), DCGAN(DCGANConfig(width=2, depth=2)), StyleGAN(StyleGANConfig(width=2, most=4, style=4))]
)
def test_generators_and_discriminators_take_images_of_any_size(network: Network, height: int, width: int) -> None:
    space, rng = images(height, width, 3), np.random.default_rng(0)
    given = {"label": torch.tensor([0, 2]), "numbers": torch.randn(2, 5)}
    made = network.build(with_label(noise(5), 3), space, rng)(given)
    assert made.shape == (2, height, width, 3)
    judged = network.build(with_label(space, 3), NUMBER, rng)
    assert judged({"label": torch.tensor([0, 2]), "numbers": made}).shape == (2, 1)


def test_a_discriminator_without_batch_normalisation_judges_each_example_alone_while_learning() -> None:
    x = torch.randn(4, 8, 8, 1)
    for normalisation, alone in (("layer", True), ("none", True), ("batch", False)):
        module = DCGAN(DCGANConfig(width=4, normalisation=normalisation)).build(images(16, 16, 1), NUMBER, np.random.default_rng(0)).train()
        x = torch.rand(4, 16, 16, 1)
        assert torch.allclose(module(x)[:2], module(x[:2]), atol=1e-6) == alone


def test_the_first_dcgan_has_as_many_parameters_as_the_paper_s_layers() -> None:
    network, rng = DCGAN(DCGANConfig(width=32)), np.random.default_rng(0)
    generator, discriminator = network.build(noise(64), images(32, 32, 1), rng), network.build(images(32, 32, 1), NUMBER, rng)
    # 64 -> 4x4x128, then 128 -> 64 -> 32 -> 1 by filters of 4 x 4, with biases, and gains and shifts of the normalised maps
    expected = 65 * 2048 + (128 * 64 + 64 * 32 + 32) * 16 + 64 + 32 + 1 + 2 * (128 + 64 + 32)
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected
    expected = (32 + 32 * 64 + 64 * 128) * 16 + 32 + 64 + 128 + 2 * (64 + 128) + 2048 + 1
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == expected


def test_modulation_is_a_convolution_with_scaled_weights_of_unit_length() -> None:
    layer = ModulatedConvolution(8, 16, 3, 4, np.random.default_rng(0))
    maps, styles = torch.randn(32, 8, 16, 16), torch.randn(32, 4)
    out = layer(maps, styles)
    weight = layer.affine(styles)[:, None, :, None, None] * layer.weight * layer._scale
    weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    one_by_one = torch.cat([functional.conv2d(maps[i : i + 1], weight[i], padding=1) for i in range(32)])
    assert torch.allclose(out, one_by_one, atol=1e-5)
    assert out[..., 1:-1, 1:-1].var().item() == pytest.approx(1.0, abs=0.05)


def test_the_deviation_channel_sees_that_all_images_are_one() -> None:
    alike = torch.randn(1, 3, 4, 4).expand(8, -1, -1, -1)
    assert deviation_channel(alike).max() < 1e-3 < 0.5 < deviation_channel(torch.randn(8, 3, 4, 4)).min()


def test_path_lengths_of_a_linear_generator_are_those_of_its_matrix() -> None:
    matrix, styles, direction = torch.randn(12, 5), torch.randn(3, 5, requires_grad=True), torch.randn(3, 2, 2, 3)
    made = (styles @ matrix.T).reshape(3, 2, 2, 3)
    expected = (direction.reshape(3, 12) @ matrix).norm(dim=1) / 2.0  # sqrt(4 pixels)
    assert torch.allclose(path_lengths(made, styles, direction), expected, atol=1e-5)


def test_styles_are_mixed_from_a_layer_on_and_truncated_towards_their_mean() -> None:
    def build(psi: float) -> Any:
        network = StyleGAN(StyleGANConfig(width=4, style=4, truncation=psi))
        return network.build(noise(4), images(16, 16, 1), np.random.default_rng(0))

    module, mean = build(1.0).eval(), build(0.0).eval()
    a, b = module.styles(torch.randn(1, 4)), module.styles(torch.randn(1, 4))
    whole = len(module.layers)
    assert torch.equal(module.drawn(a, b, torch.tensor([float(whole)])), module.drawn(a))
    assert torch.equal(module.drawn(a, b, torch.tensor([0.0])), module.drawn(b))
    assert not torch.equal(module.drawn(a, b, torch.tensor([2.0])), module.drawn(a))
    z = torch.randn(2, 4)
    assert torch.equal(mean(z)[0], mean(z)[1])
    assert torch.equal(module(z), module(z))
    assert not torch.equal(module(z)[0], module(z)[1])


@pytest.mark.parametrize(
    ("network", "config", "labels"),
    [
        (
            StyleGAN(StyleGANConfig(width=2, most=4, style=4)),
            {"penalty": "r1", "penalty_every": 2, "path_length_weight": 2.0, "path_length_every": 2, "averaging": 0.9},
            False,
        ),
        (DCGAN(DCGANConfig(width=2)), {"averaging": 0.9, "mismatch_weight": 0.5}, True),
    ],
)
def test_players_go_on_exactly_inside_an_epoch(network: Network, config: dict[str, Any], labels: bool) -> None:
    one, other = agent(network, labels=labels, **config), agent(network, 1, labels=labels, **config)
    for _ in range(2):
        one.step()
    assert one.progress % 64
    other.load_state_dict(one.state_dict())
    other.seeds.load_state_dict(one.seeds.state_dict())
    other.progress, other.seeds.seed = one.progress, one.seeds.seed
    for _ in range(4):
        metrics = one.step()
        assert metrics == other.step()
        assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.array_equal(value, other.parameters()[name]) for name, value in one.parameters().items())
    given = one.task.read("test", np.arange(4))[0]
    assert np.array_equal(one.predict(given), other.predict(given))


def test_a_penalty_on_path_lengths_needs_styles() -> None:
    with pytest.raises(ValueError, match="take the network stylegan"):
        agent(DCGAN(DCGANConfig(width=2)), path_length_weight=1.0)


def test_the_share_of_the_image_falls_from_one_to_nothing() -> None:
    for schedule in ("cosine", "linear"):
        found = shares(schedule, 100)
        assert found[0] == 1.0
        assert (np.diff(found) < 0).all()
        assert found[-1] < 1e-3


def test_steps_with_the_true_noise_end_at_the_image() -> None:
    image, noise = torch.rand(2, 1, 4, 4) * 2 - 1, torch.randn(2, 1, 4, 4)
    found = shares("cosine", 100)
    x = noised(image, noise, torch.full((2,), float(found[90])))
    for time in range(90, 0, -10):
        x = earlier(x, noise, float(found[time]), float(found[time - 10]))
    assert torch.allclose(x, image, atol=1e-4)


def test_guidance_of_one_follows_the_label_and_of_none_ignores_it() -> None:
    given = {"label": torch.tensor([0, 1]), "numbers": torch.randn(1, 8, 8, 1).expand(2, -1, -1, -1)}
    for guidance, differs in ((0.0, False), (1.0, True)):
        config = DDPMConfig(width=4, times=8, steps=3, guidance=guidance)
        module = DDPM(config).build(with_label(noise(8, 8, 1), 2), images(8, 8, 1), np.random.default_rng(0)).eval()
        one, other = module.answers(given)
        assert torch.equal(one, other) != differs


def test_a_diffusion_model_says_which_noise_it_needs() -> None:
    with pytest.raises(ValueError, match=re.escape("set task.noise=0")):
        DDPM(DDPMConfig()).build(noise(64), images(8, 8, 1), np.random.default_rng(0))


def test_a_text_asks_for_a_sheet_of_a_class(tmp_path: Any) -> None:
    task = Generate(GenerateConfig(task="plain-shapes", settings=TINY, noise=6, labels=True))
    seen: list[Any] = []

    def predict(inputs: Any) -> np.ndarray:
        seen.append(inputs)
        return np.zeros((len(inputs["label"]), 8, 8, 1), np.float32)

    path = task.answer_text("16 square", predict, tmp_path / "predictions")
    assert seen[0]["label"].tolist() == [1] * 16
    assert path == str(tmp_path / "predictions" / "16-square.png")
    assert (tmp_path / "predictions" / "16-square.png").exists()
    assert task.parse("4")["label"].tolist() == [0, 1, 2, 0]
    with pytest.raises(ValueError, match="class 'star' is not known; expected one of circle, square, triangle"):
        task.parse("16 star")
    with pytest.raises(ValueError, match="expected 1 to 400"):
        task.parse("1000000")


def captioned(**config: Any) -> ShapesFromCaptions:
    return ShapesFromCaptions(ShapesFromCaptionsConfig(**{"size": 16, "num_train": 40, "num_test": 12, **config}))


def test_pairs_of_colour_and_shape_that_are_never_shown_are_half_of_the_test() -> None:
    task = captioned(num_train=400)
    said = [caption_of(parts).split() for parts in task._examples["train"][0]]
    assert not any((words[2], words[3]) in NEW_PAIRS for words in said)
    tested = [caption_of(parts).split() for parts in task._examples["test"][0]]
    assert sum((words[2], words[3]) in NEW_PAIRS for words in tested) == 6
    shown = {task.vocabulary.answer(row, 5) for row in task.read("train", np.arange(400))[0]["label"]}
    assert {"a circle", "a red circle", "a large circle", "a large red circle"} <= shown


def test_a_generator_that_ignores_captions_is_seen_by_permuting_them(monkeypatch: pytest.MonkeyPatch) -> None:
    task = captioned()
    parts = task._examples["test"][0]
    monkeypatch.setattr(task, "_read_parts", lambda answers: answers[:, 0, 0].astype(int))  # a picture says its parts in one pixel
    monkeypatch.setattr(task, "read", lambda split, rows: (rows, np.broadcast_to(parts[rows][:, None, None], (len(rows), 1, 1, 3))))
    scores = task.evaluate_split(lambda rows: parts[rows][:, None, None], "test")
    assert (scores["exact match"], scores["exact match, new pairs"], scores["reader accuracy"]) == (1.0, 1.0, 1.0)
    ignoring = task.evaluate_split(lambda rows: np.zeros((len(rows), 1, 1, 3)), "test")
    assert ignoring["exact match"] == ignoring["exact match, captions permuted"] < scores["exact match"]
    assert scores["exact match, captions permuted"] < 0.5


def test_a_text_becomes_a_picture_file_and_unknown_words_are_named(tmp_path: Path) -> None:
    task = captioned()
    seen = []
    answer = lambda inputs: (seen.append(inputs), np.full((len(inputs["label"]), 16, 16, 3), 0.5))[1]  # noqa: E731
    path = task.answer_text("a red circle", answer, tmp_path)
    assert Image.open(path).size == (64, 64)
    assert task.vocabulary.answer(seen[0]["label"][0], 5) == "a red circle"
    assert Image.open(task.answer_text("4 a small square", answer, tmp_path)).size == (132, 132)
    with pytest.raises(ValueError, match="the words purple are not known; expected a caption such as"):
        task.parse("a purple circle")


def test_both_players_and_the_diffusion_model_are_given_texts() -> None:
    task, rng = captioned(noise=6), np.random.default_rng(0)
    for network in (DCGAN(DCGANConfig(width=2)), StyleGAN(StyleGANConfig(width=2, most=4, style=4))):
        learner = GAN(GANConfig(batch_size=8, updates_per_step=1, snapshots=1), task, network, seeds=Seeds(0), budget=8, device="cpu")
        learner.step()
        inputs = task.read("test", np.arange(3))[0]
        answers = learner.predict(inputs)
        assert answers.shape == (3, 16, 16, 3)
        other = learner.predict({**inputs, "label": np.roll(inputs["label"], 1, axis=0)})  # type: ignore[dict-item]
        assert not np.array_equal(answers, other)
    space = captioned()
    module = DDPM(DDPMConfig(width=4, times=4, steps=2)).build(space.input_space, space.output_space, rng)
    inputs, targets = space.read("train", np.arange(4))
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in inputs.items()}  # type: ignore[union-attr]
    loss, _ = module.training_loss(tensors, torch.from_numpy(np.asarray(targets)))
    loss.backward()
    assert module.network.label is not None
    assert module.network.label.grad is not None
    assert module.network.label.grad.abs().sum() > 0.0
