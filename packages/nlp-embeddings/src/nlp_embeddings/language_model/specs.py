"""Specs of the language models and of their tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "token-input", "token-output", "next-token")
_TAGS = ("text", "language model")

TASKS = (
    TaskSpec(
        name="markov-text",
        target="nlp_embeddings.language_model.task:LanguageTask",
        summary="The next symbol of a Markov chain of order two; the best score is known",
        reference="Shannon, A Mathematical Theory of Communication, 1948",
        traits=TRAITS,
        agent="ngram-lm",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="language-model",
        target="nlp_embeddings.language_model.task:LanguageTask",
        summary="The next character or word of a text file",
        argument="file",
        example="language-model:novel.txt",
        make_example="nlp_embeddings.reading.examples:write_text",
        traits=TRAITS,
        agents=("ngram-lm",),
        tags=_TAGS,
    ),
)

AGENTS = (
    AgentSpec(
        name="ngram-lm",
        target="nlp_embeddings.language_model.ngram:NGramModel",
        summary="Counts of n-grams with modified Kneser-Ney smoothing; draws texts",
        reference="Chen, Goodman, An Empirical Study of Smoothing Techniques, 1999",
        fits=("data next-token",),
        unit="orders",
        budget=6,
        task="markov-text",
        tiny={"order": 3},
        tags=(*_TAGS, "generation", "deterministic"),
    ),
)
