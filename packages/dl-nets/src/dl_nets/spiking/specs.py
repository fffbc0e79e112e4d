"""Specs of the spiking networks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="spiking",
        target="dl_nets.spiking.network:Spiking",
        summary="Leaky integrate-and-fire neurons over time, by surrogate gradients",
        reference="Neftci, Mostafa and Zenke, Surrogate gradient learning in spiking neural networks, 2019",
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="digits",
        tiny={"hidden": (8,), "steps": 4},
        tags=("spiking",),
    )
