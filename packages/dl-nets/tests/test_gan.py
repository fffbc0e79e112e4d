from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.generative.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1_penalty
from dl_nets.generative.gan import GAN, GANConfig
from dl_nets.generative.gaussians import Gaussians, GaussiansConfig
from dl_nets.generative.leaky import LeakyMLP, LeakyMLPConfig
from rl_core.seeds import Seeds


@pytest.mark.parametrize(("gamma", "radii"), [(0.0, (0.680, 0.372, 0.273)), (1.0, (0.059, 5e-9, 7e-18))])
def test_the_dirac_gan_circles_without_the_penalty_and_converges_with_it(gamma: float, radii: tuple[float, ...]) -> None:
    # real examples are a point at 0, generated ones at theta, D(x) = psi x; alternating steps of 0.1
    theta, psi = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, 0.0))
    found = []
    for step in range(1, 1001):
        real = torch.zeros(1, 1, dtype=torch.float64)
        loss = discriminator_loss("non-saturating", psi * real[:, 0], psi * theta.detach())
        loss = loss + gamma * r1_penalty(lambda x, psi=psi: psi * x[:, 0], real)
        (slope,) = torch.autograd.grad(loss, psi)
        with torch.no_grad():
            psi -= 0.1 * slope
        (slope,) = torch.autograd.grad(generator_loss("non-saturating", psi.detach() * theta), theta)
        with torch.no_grad():
            theta -= 0.1 * slope
        if step in (100, 500, 1000):
            found.append(torch.hypot(theta, psi).item())
    assert found == pytest.approx(radii, rel=0.15)


def test_the_gradient_penalty_has_its_known_optimum() -> None:
    # real at 0, generated at theta = 2, D(u) = -w u: w = 1 + theta / (2 lambda)
    weight = torch.tensor([0.5], requires_grad=True)
    real, fake = torch.zeros(8, 1), torch.full((8, 1), 2.0)
    for _ in range(300):
        loss = discriminator_loss("wasserstein", -weight * real[:, 0], -weight * fake[:, 0])
        loss = loss + 10.0 * gradient_penalty(lambda u, weight=weight: -weight * u[:, 0], real, fake, torch.rand(8))
        (slope,) = torch.autograd.grad(loss, weight)
        with torch.no_grad():
            weight -= 0.02 * slope
    assert weight.item() == pytest.approx(1.1, abs=1e-4)


def test_a_perfect_sample_finds_all_modes_and_a_collapsed_one_is_seen() -> None:
    task = Gaussians(GaussiansConfig())
    points = task.read("test", np.arange(2500))[1]
    scores = task.score(points, points)
    assert scores["modes"] == 8
    assert scores["good samples"] == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert scores["divergence of modes"] < 0.01
    collapsed = task.score(np.tile(task.centres[0], (100, 1)), points)
    assert collapsed == {"modes": 1.0, "good samples": 1.0, "divergence of modes": pytest.approx(np.log(8))}


def built(seed: int = 0, **config: object) -> GAN:
    network = LeakyMLP(LeakyMLPConfig(hidden=(12,)))
    settings = GANConfig(batch_size=16, updates_per_step=3, **config)  # type: ignore[arg-type]
    return GAN(settings, Gaussians(GaussiansConfig(examples=100, noise=3)), network, seeds=Seeds(seed), budget=500, device="cpu")


@pytest.mark.parametrize(
    "config",
    [
        {"loss": "wasserstein", "weight_clip": 0.05, "discriminator_updates": 2},
        {
            "loss": "least-squares",
            "real_label": 0.9,
            "max_gradient_norm": 0.5,
            "discriminator": "mlp",
            "discriminator_config": {"hidden": [4]},
        },
    ],
)
def test_both_players_go_on_exactly_inside_an_epoch(config: dict[str, object]) -> None:
    agent, other = built(**config), built(1, **config)
    for _ in range(2):
        agent.step()
    assert agent.progress % 100
    other.load_state_dict(agent.state_dict())
    other.seeds.load_state_dict(agent.seeds.state_dict())
    other.progress, other.seeds.seed = agent.progress, agent.seeds.seed
    for _ in range(3):
        assert agent.step() == other.step()
    assert all(np.array_equal(value, other.parameters()[name]) for name, value in agent.parameters().items())


def test_clipping_bounds_the_weights_of_the_discriminator_alone() -> None:
    agent = built(loss="wasserstein", weight_clip=0.05, learning_rate=0.1)
    agent.step()
    assert max(np.abs(value).max() for name, value in agent.parameters().items() if name.startswith("discriminator")) <= 0.05
    assert max(np.abs(value).max() for name, value in agent.parameters().items() if name.startswith("generator")) > 0.05


def test_the_generator_learns_from_its_own_loss_alone() -> None:
    agent = built(discriminator_updates=100)
    before = {name: value for name, value in agent.parameters().items() if name.startswith("generator")}
    agent.step()
    assert all(np.array_equal(value, agent.parameters()[name]) for name, value in before.items())


def test_a_wasserstein_game_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("set penalty=gradient, or weight_clip=0.01")):
        GANConfig(loss="wasserstein")


@pytest.mark.learning
def test_the_penalty_makes_the_generator_cover_the_ring() -> None:
    import rl_core

    result = rl_core.learn("gan", seed=0, budget=384_000, quiet=True)
    assert result.metrics["divergence of modes"] is not None
    assert result.metrics["divergence of modes"] <= 0.1
    assert isinstance(result.agent.generator, nn.Module)  # type: ignore[attr-defined]


@pytest.mark.parametrize("bounded", [False, True])
def test_an_exported_generator_draws_what_the_agent_draws_for_batches_of_any_size(bounded: bool, tmp_path: Path) -> None:
    task = Gaussians(GaussiansConfig())
    if bounded:
        task.output_space = spaces.Box(-4.0, 4.0, (2,), np.float32)
    agent = GAN(GANConfig(), task, LeakyMLP(LeakyMLPConfig(hidden=(8, 8))), seeds=Seeds(0), budget=1_000, device="cpu")
    agent.step()
    agent.export("torch-export", tmp_path / "generator.pt2")
    graph = torch.export.load(io.BytesIO((tmp_path / "generator.pt2").read_bytes())).module()
    for count in (1, 7):
        noise = np.random.default_rng(count).standard_normal((count, 16), dtype=np.float32)
        np.testing.assert_allclose(graph(torch.from_numpy(noise))[0].detach().numpy(), agent.predict(noise), atol=1e-5)
