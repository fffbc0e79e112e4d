"""Specs of the corpus tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("corpus", "text-input", "vector-output")

TASKS = (
    TaskSpec(
        name="treasure-island",
        target="nlp_embeddings.corpus.corpus_task:CorpusTask",
        summary="Stevenson's novel: find the passage that a held-out sentence belongs to",
        reference="Robert Louis Stevenson, Treasure Island, 1883 (public domain)",
        traits=TRAITS,
        agent="skip-gram",
        tags=("text",),
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="corpus",
        target="nlp_embeddings.corpus.corpus_task:CorpusTask",
        summary="A text file, a folder of them, or a .gz, .bz2 or .xz file",
        argument="path",
        example="corpus:novels.txt.xz",
        make_example="nlp_embeddings.reading.examples:write_text",
        traits=TRAITS,
        agents=("skip-gram",),
        tags=("text",),
    ),
)

AGENTS: tuple[AgentSpec, ...] = ()
