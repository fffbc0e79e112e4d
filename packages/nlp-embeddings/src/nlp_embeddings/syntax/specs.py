"""Specs of the parser and of its tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "token-input", "token-output", "trees")
_TAGS = ("text", "parsing")

TASKS = (
    TaskSpec(
        name="toy-trees",
        target="nlp_embeddings.syntax.task:ParsingTask",
        summary="Trees of sentences of a small grammar, in which each word's head is certain",
        traits=TRAITS,
        agent="dependency-parser",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="parsing",
        target="nlp_embeddings.syntax.task:ParsingTask",
        summary="Dependency trees of a CoNLL-U file",
        argument="file",
        example="parsing:train.conllu",
        make_example="nlp_embeddings.reading.examples:write_trees",
        traits=TRAITS,
        agents=("dependency-parser",),
        tags=_TAGS,
    ),
)

AGENTS = (
    AgentSpec(
        name="dependency-parser",
        target="nlp_embeddings.syntax.parser:DependencyParser",
        summary="Transition-based parser: averaged perceptrons and a dynamic oracle",
        reference="Goldberg, Nivre, Training Deterministic Parsers with Non-Deterministic Oracles, 2013",
        fits=("data trees",),
        unit="sentences",
        budget=110_000,
        task="toy-trees",
        tiny={"move_bits": 8, "relation_bits": 8, "sentences_per_step": 400},
        tags=_TAGS,
    ),
)
