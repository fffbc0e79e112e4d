"""Specs of the summarisers and of their tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "text-input", "text-output", "summaries")
_TAGS = ("text", "summaries")

TASKS = (
    TaskSpec(
        name="central-sentences",
        target="nlp_embeddings.summaries.task:SummariesTask",
        summary="Documents whose three sentences about the subject are the summary",
        config={"words": 21},
        traits=TRAITS,
        agent="textrank",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="summaries",
        target="nlp_embeddings.summaries.task:SummariesTask",
        summary="JSON lines with `document` and `summary`",
        argument="file",
        example="summaries:news.jsonl",
        make_example="nlp_embeddings.reading.examples:write_summaries",
        traits=TRAITS,
        agents=("lexrank",),
        tags=_TAGS,
    ),
)


def _agent(name: str, summary: str, reference: str) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="nlp_embeddings.summaries.extractive:Extractive",
        summary=summary,
        reference=reference,
        config={"method": name},
        fits=("data summaries",),
        unit="documents",
        budget=1_000_000_000,
        task="central-sentences",
        tiny={"documents_per_step": 20},
        tags=(*_TAGS, "deterministic"),
    )


AGENTS = (
    _agent("textrank", "Sentences that share words with many others", "Mihalcea, Tarau, TextRank, 2004"),
    _agent("lexrank", "Sentences near many others by cosine of tf-idf", "Erkan, Radev, LexRank, 2004"),
    _agent("lead", "The first sentences: the baseline that is hard to beat", "Nenkova, Automatic Text Summarization of Newswire, 2005"),
)
