"""Specs of the agents that learn a model of compact states."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec

FITS = tuple(f"control {kind}-input {answer}-output" for kind in ("vector", "image") for answer in ("continuous", "discrete"))


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents with a latent model."""
    yield AgentSpec(
        name="dreamer",
        target="rl_algos.latent_models.dreamer:Dreamer",
        summary="Learns actor and critic in the imagination of a recurrent latent model",
        reference="Hafner, Pasukonis, Ba, Lillicrap. Mastering diverse domains through world models, 2023",
        fits=FITS,
        unit="environment steps",
        task="Pendulum-v1",
        budget=3_000,
        presets="rl_algos:latent_models/presets/dreamer.yaml",
        tiny={
            "num_envs": 2,
            "steps_per_iteration": 4,
            "learning_starts": 8,
            "update_every": 4,
            "buffer_size": 40,
            "num_rows": 3,
            "batch_size": 2,
            "num_starts": 4,
            "horizon": 2,
            "memory": 4,
            "random": 2,
            "hidden": 4,
            "check_every": 8,
            "num_held_steps": 1,
        },
        tags=("model-based", "learned model", "latent model", "actor-critic", "pixels"),
    )
    yield AgentSpec(
        name="world-model",
        target="rl_algos.latent_models.world_model:WorldModel",
        summary="Evolves a linear controller in the dreams of a mixture-density recurrent model",
        reference="Ha, Schmidhuber. World models, 2018",
        fits=FITS,
        unit="environment steps",
        task="masked-CartPole-v1",
        budget=20_000,
        presets="rl_algos:latent_models/presets/world-model.yaml",
        tiny={
            "num_envs": 2,
            "steps_per_iteration": 4,
            "vision_ends": 1.0,
            "controller_starts": 0.0,
            "update_every": 8,
            "buffer_size": 40,
            "num_rows": 3,
            "batch_size": 2,
            "code": 2,
            "units": 3,
            "components": 2,
            "dream_steps": 2,
            "num_dreams": 2,
            "population_size": 4,
            "check_every": 8,
            "num_held_steps": 1,
        },
        tags=("model-based", "learned model", "latent model", "evolution", "pixels"),
    )
