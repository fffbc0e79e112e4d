"""Specs of the networks and the task of domain adaptation."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    ganin = "Ganin and others, Domain-adversarial training of neural networks, 2016"
    sun = "Sun and Saenko, Deep CORAL: correlation alignment for deep domain adaptation, 2016"
    for name, summary, reference in (
        ("dann", "Codes that do not show their domain: a discriminator behind reversed gradients", ganin),
        ("coral", "Codes of both domains with the same covariance", sun),
    ):
        yield NetworkSpec(
            name=name,
            target="dl_nets.adaptation.adapted:AdaptedNetwork",
            summary=summary,
            reference=reference,
            config={"method": name},
            fits=("data dict-input discrete-output unlabelled",),
            task="shifted:digits",
            tiny={"channels": (4,), "code": 8, "hidden": 8},
            tags=("domain adaptation", "transfer"),
        )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks; there is only a family."""
    yield from ()


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="shifted",
        target="dl_nets.adaptation.shifted:Shifted",
        summary="Images of another task on patterned backgrounds, labels only without them",
        reference="Ganin and others, Domain-adversarial training of neural networks, 2016",
        argument="task",
        example="shifted:digits",
        traits=("data", "dict-input", "discrete-output", "unlabelled"),
        agents=("supervised",),
        tags=("domain adaptation", "transfer", "vision"),
    )
