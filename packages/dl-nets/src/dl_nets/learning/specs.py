"""Specs of the agents that learn from examples."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec

OUTPUTS = ("discrete", "continuous", "binary", "image", "map", "token", "ragged", "text", "boxes", "instances", "dict")


def agents() -> Iterator[AgentSpec]:
    """Yield the agents."""
    yield AgentSpec(
        name="supervised",
        target="dl_nets.learning.supervised:Supervised",
        summary="Minibatch gradient descent on examples with answers",
        reference="Bottou, Curtis and Nocedal, Optimization methods for large-scale machine learning, 2018",
        fits=tuple(f"data {trait}-output" for trait in OUTPUTS),
        unit="examples",
        budget=71_900,  # 50 epochs of the default task; of another task as many
        task="digits",
        network="mlp",
        presets="dl_nets:presets/supervised.yaml",
        tiny={"batch_size": 512},
        tags=("classification", "regression"),
    )
    yield AgentSpec(
        name="zero-shot",
        target="dl_nets.learning.zero_shot:ZeroShot",
        summary="Classes of images by their names, through a local CLIP-like model",
        reference="Radford et al., Learning transferable visual models from natural language supervision, 2021",
        requires=("transformers",),
        extra="dl-nets[transformers]",
        fits=("data image-input discrete-output",),
        unit="images",
        budget=1,
        task="digits",
        tags=("classification", "transfer", "deterministic"),
    )
