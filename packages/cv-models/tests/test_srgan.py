from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cv_models.generate.dead_leaves import tiles
from cv_models.generate.perception import DegradationNetwork, degraded, feature_error
from cv_models.generate.resolution import LeavesConfig, LeavesResolution
from cv_models.generate.srgan import SRGAN, SRGANConfig
from cv_models.generate.upscalers import Upscaler, UpscalerConfig
from dl_nets.generative.leaky import LeakyMLP, LeakyMLPConfig
from rl_core.network import Network
from rl_core.seeds import Seeds


def built(seed: int = 0, network: Network | None = None, **config: Any) -> SRGAN:
    task = LeavesResolution(LeavesConfig(size=24, num_train=9, num_validation=0, num_test=2))
    body = network or Upscaler(UpscalerConfig(body="srresnet", width=2, blocks=1))
    settings = SRGANConfig(discriminator_width=2, feature_width=2, batch_size=2, updates_per_step=2, **config)
    return SRGAN(settings, task, body, seeds=Seeds(seed), budget=40, device="cpu")


def test_the_game_begins_behind_the_first_part_and_the_features_then_stay_as_they_are() -> None:
    agent = built(warm_up=0.2)
    names, kept = [], []
    for _ in range(4):
        names.append("adversarial_loss" in agent.step())
        kept.append(agent.features.parameters("")[".head.weight"])
    assert names == [False, False, True, True]
    assert not np.array_equal(kept[0], kept[1])
    assert np.array_equal(kept[1], kept[3])


def test_all_players_go_on_exactly_inside_an_epoch() -> None:
    one, other = built(warm_up=0.2), built(1, warm_up=0.2)
    one.step()
    assert one.progress % 9
    other.load_state_dict(one.state_dict())
    other.progress, other.seeds = one.progress, one.seeds
    other._forms.bit_generator.state = one._forms.bit_generator.state
    other.__dict__.pop("_examples", None)
    for _ in range(3):
        assert one.step() == other.step()
    small = one.task.read("test", np.arange(2))[0]
    assert np.array_equal(one.predict(small), other.predict(small))


def test_a_picture_is_degraded_in_the_form_that_its_class_says() -> None:
    luma = torch.from_numpy(tiles(np.random.default_rng(0), 40, 24)[..., :1].astype(np.float32) / 255.0).permute(0, 3, 1, 2)
    shown, forms = degraded(luma, 2, np.random.default_rng(1))
    sharpness = lambda maps: float((maps[..., 1:] - maps[..., :-1]).square().mean())  # noqa: E731
    whole, blurred, noisy, exchanged = (forms == form for form in range(4))
    assert torch.equal(shown[whole], luma[whole])
    assert sharpness(shown[blurred]) < sharpness(luma[blurred])
    assert sharpness(shown[noisy]) > sharpness(luma[noisy])
    assert set(shown[exchanged].flatten().tolist()) <= set(luma[exchanged].flatten().tolist())
    assert not torch.equal(shown[exchanged], luma[exchanged])


def test_the_error_of_features_is_zero_for_equal_pictures_and_leads_to_the_wanted_one() -> None:
    network = DegradationNetwork(4, np.random.default_rng(0))
    wanted = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    found = (0.5 * wanted + 0.25).requires_grad_()
    error = feature_error(network, found, wanted)
    error.backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None
    assert feature_error(network, wanted, wanted) == 0.0
    assert feature_error(network, (found - 0.05 * found.grad / found.grad.abs().max()).detach(), wanted) < error


def test_a_network_that_does_not_enlarge_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an upscaler: srresnet, espcn or srcnn"):
        built(network=LeakyMLP(LeakyMLPConfig(hidden=(2,))))
