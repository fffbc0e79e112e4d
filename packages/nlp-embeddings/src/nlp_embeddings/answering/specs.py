"""Specs of the bot and of its tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "text-input", "text-output", "dialogue")
_TAGS = ("text", "dialogue", "retrieval")

TASKS = (
    TaskSpec(
        name="template-dialogue",
        target="nlp_embeddings.answering.task:DialogueTask",
        summary="Questions to a shop, some of which it cannot answer and must refuse",
        traits=TRAITS,
        agent="retrieval-bot",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="dialogue",
        target="nlp_embeddings.answering.task:DialogueTask",
        summary="Questions and answers: `question<TAB>answer` lines, labelled csv, or YAML",
        argument="file",
        example="dialogue:questions.tsv",
        traits=TRAITS,
        agents=("retrieval-bot",),
        tags=_TAGS,
    ),
)

AGENTS = (
    AgentSpec(
        name="retrieval-bot",
        target="nlp_embeddings.answering.bot:RetrievalBot",
        summary="Answers of the most similar known question, or a polite refusal",
        reference="Robertson, Zaragoza, The Probabilistic Relevance Framework, 2009",
        fits=("data dialogue",),
        unit="questions",
        budget=1_000_000_000,
        task="template-dialogue",
        tiny={"questions_per_step": 100},
        tags=(*_TAGS, "deterministic"),
    ),
)
