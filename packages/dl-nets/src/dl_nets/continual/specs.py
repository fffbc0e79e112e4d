"""Specs of continual learning."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the agent."""
    yield AgentSpec(
        name="continual",
        target="dl_nets.continual.learner:Continual",
        summary="Stages learned one after another, by fine-tuning, elastic weights or replay",
        reference="Kirkpatrick and others, Overcoming catastrophic forgetting in neural networks, 2017",
        fits=("data vector-input discrete-output stages", "data image-input discrete-output stages"),
        unit="examples",
        task="permuted:digits",
        network="mlp",
        budget=107_900,  # 20 epochs of the default task; of another task as many
        presets="dl_nets:presets/continual.yaml",
        tiny={"epochs": 1, "batch_size": 4, "fisher_examples": 4, "memory": 2, "step_updates": 2},
        tags=("continual learning", "forgetting"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks; there is only a family."""
    yield from ()


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the scheme."""
    yield TaskSchemeSpec(
        name="permuted",
        target="dl_nets.continual.permuted:Permuted",
        summary="Images of another task, with their pixels in another order at each stage",
        reference="Goodfellow and others, An empirical investigation of catastrophic forgetting, 2013",
        argument="task",
        example="permuted:digits",
        traits=("data", "image-input", "discrete-output", "stages"),
        agents=("continual", "supervised"),
        tags=("continual learning", "forgetting"),
    )
