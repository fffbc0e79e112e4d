from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.generative.noise import Noise
from dl_nets.learning.losses import batch_loss, cross_entropy
from dl_nets.spiking.network import Spiking, SpikingConfig
from dl_nets.spiking.neurons import encoded, integrated, membrane_potentials, spikes_of

IMAGE = spaces.Box(0, 255, (8, 8, 1), np.uint8)


def step_by_step(currents: torch.Tensor, leak: float, threshold: float, slope: float) -> torch.Tensor:
    """Return spikes [T, N] with torch's own graph through every step: the surrogate as a straight-through term."""
    membrane, spikes, fired = torch.zeros_like(currents[0]), [], torch.zeros_like(currents[0])
    for current in currents:
        membrane = leak * membrane + current - threshold * fired.detach()
        gap = membrane - threshold
        smooth = gap / (1.0 + slope * gap.abs())  # its derivative is the surrogate's
        fired = (gap > 0).float() + smooth - smooth.detach()
        spikes.append(fired)
    return torch.stack(spikes)


def test_the_compact_gradient_is_that_of_every_step() -> None:
    currents = torch.from_numpy(np.random.default_rng(0).normal(0.3, 0.6, (12, 7)).astype(np.float32))
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(12, 7)).astype(np.float32))
    found = []
    for function in (spikes_of, step_by_step):
        leaf = currents.clone().requires_grad_()
        spikes = function(leaf, 0.8, 1.0, 5.0)
        (spikes * weights).sum().backward()
        found.append((spikes.detach(), leaf.grad))
    assert found[0][0].sum() > 10
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


def test_membranes_and_spikes_are_those_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch", reason="the oracle snntorch is not installed: uv pip install snntorch")
    currents = torch.from_numpy(np.random.default_rng(2).normal(0.4, 0.5, (25, 9)).astype(np.float32))
    neuron = snntorch.Leaky(beta=0.9, threshold=1.0, reset_mechanism="subtract")
    membrane, spikes, membranes = neuron.init_leaky(), [], []
    for current in currents:
        fired, membrane = neuron(current, membrane)
        spikes.append(fired)
        membranes.append(membrane)
    torch.testing.assert_close(membrane_potentials(currents, 0.9, 1.0), torch.stack(membranes))
    torch.testing.assert_close(spikes_of(currents, 0.9, 1.0), torch.stack(spikes))


def test_codes_carry_the_input_in_rate_and_in_time() -> None:
    noise = Noise(np.random.default_rng(0))
    rates = encoded(torch.tensor([0.0, 0.25, 1.0]), 4000, "rate", noise).mean(0)
    torch.testing.assert_close(rates, torch.tensor([0.0, 0.25, 1.0]), atol=0.02, rtol=0.0)
    spikes = encoded(torch.tensor([1.0, 0.75, 0.25, 0.01]), 9, "latency", noise)
    assert spikes.sum(0).tolist() == [1, 1, 1, 0]
    assert spikes.argmax(0)[:3].tolist() == [0, 2, 6]


def test_a_read_out_integrates_as_a_neuron_without_threshold() -> None:
    currents = torch.from_numpy(np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32))
    torch.testing.assert_close(integrated(currents, 0.7), membrane_potentials(currents, 0.7, 1e9).mean(0))


@pytest.mark.parametrize("config", [SpikingConfig(hidden=(9,)), SpikingConfig(channels=(3, 4), hidden=(), coding="latency", gain=4.0)])
def test_a_network_learns_from_images_and_counts_its_spikes(config: SpikingConfig) -> None:
    module = Spiking(config).build(IMAGE, spaces.Discrete(3), np.random.default_rng(0))
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8))
    loss, metrics = batch_loss(module, images, torch.tensor([0, 1, 2, 0, 1]), None, cross_entropy, torch.float32)
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert metrics["spikes_per_input"] == pytest.approx(sum(float(layer.sum()) for layer in module.spikes(images)) / 5)
    assert 0 < metrics["firing_rate"] < 1


def test_spikes_of_numbers_that_are_not_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="set coding=current"):
        Spiking(SpikingConfig(coding="rate")).build(spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(2), np.random.default_rng(0))
