from __future__ import annotations

import numpy as np
import pytest
import torch

from cv_models.generate.cyclegan import CycleGAN, CycleGANConfig, Pool
from cv_models.generate.plain_shapes import PlainShapes, PlainShapesConfig
from cv_models.generate.renderings import INK, PAPER, Renderings, RenderingsConfig
from rl_core.seeds import Seeds

TINY = {"size": 8, "num_train": 30, "num_validation": 0, "num_test": 6}


def task() -> Renderings:
    return Renderings(RenderingsConfig(settings=TINY))


def test_the_exact_map_is_perfect_and_the_swapped_one_is_seen() -> None:
    given, truth = task().read("test", np.arange(6))
    assert task().score(truth, truth)["PSNR"] == pytest.approx(100.0)
    answers = np.asarray(truth)
    grey = np.asarray(given["domain"]) == 1
    swapped = np.where(grey[:, None, None, None], 1 - answers, INK + PAPER - answers)
    found = task().score(swapped, truth)
    assert found["swapped PSNR"] > 90
    assert found["PSNR"] < 10


def test_no_picture_is_in_both_domains() -> None:
    inputs, others = task().read("train", np.arange(15))
    source = PlainShapes(PlainShapesConfig(**TINY)).read("train", np.arange(30))[0].astype(np.float32) / 255
    assert np.allclose(np.asarray(inputs["picture"])[..., :1], source[:15])
    assert np.allclose(others, PAPER + source[15:] * (INK - PAPER), atol=1e-6)


def test_a_full_pool_exchanges_half_of_what_it_is_given() -> None:
    pool = Pool(10, (1,), np.random.default_rng(0))
    first = torch.arange(10.0)[:, None]
    assert torch.equal(pool.exchanged(first), first)
    shown = pool.exchanged(torch.arange(100.0, 300.0)[:, None])
    old = int((shown[:, 0] != torch.arange(100.0, 300.0)).sum())
    assert 70 < old < 130
    fresh = torch.ones(3, 1)
    assert torch.equal(Pool(0, (1,), np.random.default_rng(0)).exchanged(fresh), fresh)


def test_four_players_and_their_pools_go_on_exactly_inside_an_epoch() -> None:
    def built(seed: int) -> CycleGAN:
        config = CycleGANConfig(width=2, blocks=1, discriminator_width=2, batch_size=2, updates_per_step=2, pool=3)
        return CycleGAN(config, task(), None, seeds=Seeds(seed), budget=60, device="cpu")

    one, other = built(0), built(1)
    for _ in range(3):
        one.step()
    assert one.progress % 15
    other.load_state_dict(one.state_dict())
    other.seeds.load_state_dict(one.seeds.state_dict())
    other.progress, other.seeds.seed = one.progress, one.seeds.seed
    for _ in range(2):
        assert one.step() == other.step()
    given = task().read("test", np.arange(6))[0]
    assert np.array_equal(one.predict(given), other.predict(given))
    assert np.array_equal(one.pools["a"].held, other.pools["a"].held)


def test_domains_of_other_shapes_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="the identity term compares both domains"):
        CycleGAN(CycleGANConfig(), PlainShapes(PlainShapesConfig(**TINY)), None, seeds=Seeds(0), budget=10, device="cpu")
