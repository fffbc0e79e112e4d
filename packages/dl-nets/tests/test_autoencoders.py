from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

import rl_core
from dl_nets.generative.autoencoder import Autoencoder, AutoencoderConfig
from dl_nets.generative.reconstruct import Anomalies, AnomaliesConfig, Reconstruct, pca_error
from dl_nets.generative.variational import VariationalAutoencoder, VariationalConfig
from dl_nets.generative.view import ViewConfig
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from rl_core.network import Network
from rl_core.seeds import Seeds


def learner(task: Any, network: Network, epochs: int = 1, seed: int = 0) -> Supervised:
    budget = epochs * (task.num_examples("train") + task.num_examples("validation"))
    return Supervised(SupervisedConfig(batch_size=32), task, network, seeds=Seeds(seed), budget=budget, device="cpu")


def test_a_linear_autoencoder_with_principal_components_as_weights_has_their_error() -> None:
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(200, 3)) @ rng.normal(size=(3, 6)) + 0.1 * rng.normal(size=(200, 6))).astype(np.float32)
    data -= data.mean(axis=0)
    space = spaces.Box(-np.inf, np.inf, (6,), np.float32)
    module = Autoencoder(AutoencoderConfig(code=2, hidden=(), activation="identity")).build(space, space, rng)
    components = torch.from_numpy(np.linalg.svd(data, full_matrices=False)[2][:2])
    with torch.no_grad():
        module.encoder.layers[0].weight.copy_(components)
        module.decoder.layers[0].weight.copy_(components.T)
    loss, _ = module.training_loss(torch.from_numpy(data), None)
    assert loss.item() == pytest.approx(pca_error(data, data, 2), rel=1e-4)
    loss.backward()
    assert all(parameter.grad.abs().max() < 1e-4 for parameter in module.parameters())  # no better linear code


def test_the_bound_is_the_likelihood_where_the_posterior_is_exact() -> None:
    # x = w z + b + deviation e: the posterior of z is normal, with variance 1 / (1 + w.w / deviation^2)
    space, latent = spaces.Box(-np.inf, np.inf, (3,), np.float32), 0.7
    module = VariationalAutoencoder(VariationalConfig(latents=1, hidden=(), deviation=latent)).build(space, space, np.random.default_rng(0))
    w, b, x = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.0, -1.0]), np.array([[0.5, 1.0, -2.0]])
    variance = 1.0 / (1.0 + w @ w / latent**2)
    with torch.no_grad():
        module.decoder.layers[0].weight.copy_(torch.tensor(w[:, None]))
        module.decoder.layers[0].bias.copy_(torch.tensor(b))
        gain = variance * w / latent**2
        module.encoder.layers[0].weight.copy_(torch.tensor(np.stack([gain, np.zeros(3)])))
        module.encoder.layers[0].bias.copy_(torch.tensor([-(gain @ b), np.log(variance)]))
    covariance = np.outer(w, w) + latent**2 * np.eye(3)
    exact = -0.5 * ((x - b) @ np.linalg.solve(covariance, (x - b).T)).item() - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    likelihood, distance = module.bound(torch.tensor(x, dtype=torch.float32).expand(20_000, 3))
    assert (likelihood - distance).mean().item() == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    "network",
    [Autoencoder(AutoencoderConfig(masking=0.3, noise=0.1, hidden=(16,))), VariationalAutoencoder(VariationalConfig(hidden=(16,)))],
)
def test_noise_goes_on_exactly_inside_an_epoch(network: Network) -> None:
    task = Anomalies(AnomaliesConfig(task="digits", normal=("0", "1")))
    agent, other = learner(task, network, epochs=4), learner(task, network, epochs=4, seed=1)
    for learned in (agent, other):
        learned.__dict__["_examples_a_step"] = 64
    for _ in range(3):
        agent.step()
    other.load_state_dict(agent.state_dict())
    other.progress, other.seeds = agent.progress, agent.seeds
    for _ in range(4):
        assert agent.step() == other.step()
    assert all(np.array_equal(value, other.parameters()[name]) for name, value in agent.parameters().items())


def test_images_of_odd_size_come_back_in_their_size() -> None:
    space = spaces.Box(0, 1, (7, 9, 2), np.float32)
    module = Autoencoder(AutoencoderConfig(code=3, hidden=(5,), channels=(4, 6))).build(space, space, np.random.default_rng(0))
    assert module.answers(torch.rand(2, 7, 9, 2)).shape == (2, 7, 9, 2)
    assert module.codes(torch.rand(2, 7, 9, 2)).shape == (2, 3)


def test_bytes_become_numbers_and_a_run_remembers_the_task_it_looked_at() -> None:
    task = Reconstruct(ViewConfig(task="digits", settings={"test_fraction": 0.5}))
    again = Reconstruct.from_state(ViewConfig(task="digits"), task.state_dict())
    assert again.num_examples("test") == task.num_examples("test") > 800
    inputs, targets = task.read("test", np.arange(3))
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, targets)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ViewConfig(), "the task is not named; write it after the colon"),
        (ViewConfig(task="CartPole-v1"), "expected a data task whose inputs are numbers"),
        (AnomaliesConfig(task="digits", normal=("x",)), "normal names x; the classes of task digits are 0, 1"),
        (AnomaliesConfig(task="diabetes"), "expected a task whose answers are classes"),
    ],
)
def test_a_task_that_cannot_be_looked_at_is_refused(config: ViewConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        (Anomalies if isinstance(config, AnomaliesConfig) else Reconstruct)(config)


def test_an_autoencoder_refuses_what_it_cannot_answer() -> None:
    space, rng = spaces.Box(-1, 1, (4,), np.float32), np.random.default_rng(0)
    for config, message in (
        (AutoencoderConfig(loss="cross-entropy"), "set loss=squared-error"),
        (AutoencoderConfig(channels=(2,)), "halves"),
    ):
        with pytest.raises(ValueError, match=message):
            Autoencoder(config).build(space, space, rng)
    with pytest.raises(ValueError, match="latents to the size of the task's noise"):
        VariationalAutoencoder(VariationalConfig(latents=3)).build(space, spaces.Box(0, 1, (5,), np.float32), rng)


def test_other_digits_than_0_are_anomalies_to_an_autoencoder_that_saw_0_alone(tmp_path: Any) -> None:
    options = {"task": "anomalies:digits", "seed": 0, "out": tmp_path / "run", "quiet": True, "config": {"epochs": 40}}
    result = rl_core.learn("autoencoder", network_config={"code": 4, "hidden": (64,)}, **options)
    assert result.score is not None
    assert result.score > 0.9
    assert {path.name for path in result.figures} >= {"codes.png", "reconstructions.png"}
