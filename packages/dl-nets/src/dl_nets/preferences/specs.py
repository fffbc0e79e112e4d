"""Specs of learning from preferences."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "token-input", "token-output", "preferences")


def agents() -> Iterator[AgentSpec]:
    """Yield the agents."""
    yield AgentSpec(
        name="dpo",
        target="dl_nets.preferences.dpo:DPO",
        summary="Direct preference optimisation of a language model, begun --from its run",
        reference="Rafailov and others, Direct preference optimization, 2023",
        fits=("data token-input token-output preferences",),
        unit="gradient steps",
        budget=300,
        task="opinions",
        network="transformer-seq2seq",
        tiny={"batch_size": 4, "updates_per_step": 2},
        tags=("preferences", "language"),
    )
    yield AgentSpec(
        name="rlhf",
        target="dl_nets.preferences.rlhf:RLHF",
        summary="Reward model of preferences, then a policy gradient near a language model",
        reference="Stiennon and others, Learning to summarize from human feedback, 2020",
        fits=("data token-input token-output preferences",),
        unit="gradient steps",
        budget=400,
        task="opinions",
        network="transformer-seq2seq",
        tiny={"reward_updates": 1, "reward_batch_size": 4, "batch_size": 2, "draws_per_prompt": 2, "updates_per_step": 2},
        tags=("preferences", "language", "policy gradient"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="opinions",
        target="dl_nets.preferences.opinions:Opinions",
        summary="Say what you think of a subject; a judge prefers kind answers. From a seed",
        reference="Ziegler and others, Fine-tuning language models from human preferences, 2019",
        traits=TRAITS,
        agent="supervised",
        tiny={"pairs": 400},
        tags=("preferences", "language"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    yield TaskSchemeSpec(
        name="preferences",
        target="dl_nets.preferences.pairs:PreferenceFile",
        summary="Prompts with two answers, one of them preferred: csv or JSON lines",
        argument="path",
        example="preferences:answers.jsonl",
        make_example="dl_nets.preferences.pairs:write_example",
        traits=TRAITS,
        agents=("supervised",),
        tags=("preferences", "language"),
    )
