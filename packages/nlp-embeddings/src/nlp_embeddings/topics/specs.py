"""Specs of the agents that find topics, and of their tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "vector-input", "continuous-output", "word-counts")
_TAGS = ("text", "topics", "unsupervised")

TASKS = (
    TaskSpec(
        name="topic-bars",
        target="nlp_embeddings.topics.task:TopicsTask",
        summary="Documents of ten topics, the rows and columns of a square of words",
        reference="Griffiths, Steyvers, Finding scientific topics, 2004",
        traits=TRAITS,
        agent="lda",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="topics",
        target="nlp_embeddings.topics.task:TopicsTask",
        summary="Documents, one a line, whose topics are found",
        argument="file",
        example="topics:questions.txt",
        make_example="nlp_embeddings.reading.examples:write_documents",
        traits=TRAITS,
        agents=("lda",),
        tags=_TAGS,
    ),
)

AGENTS = (
    AgentSpec(
        name="lda",
        target="nlp_embeddings.topics.lda:LDA",
        summary="Latent Dirichlet allocation by collapsed Gibbs sampling",
        reference="Griffiths, Steyvers, Finding scientific topics, 2004",
        fits=("data word-counts",),
        unit="sweeps",
        budget=100,
        task="topic-bars",
        tiny={"topics": 3, "folding_rounds": 2, "chains": 2},
        tags=_TAGS,
    ),
    AgentSpec(
        name="nmf",
        target="nlp_embeddings.topics.nmf:NMF",
        summary="Non-negative matrix factorisation of word counts",
        reference="Lee, Seung, Algorithms for Non-negative Matrix Factorization, 2001",
        fits=("data word-counts",),
        unit="updates",
        budget=200,
        task="topic-bars",
        tiny={"topics": 3, "folding_rounds": 2},
        tags=_TAGS,
    ),
)
