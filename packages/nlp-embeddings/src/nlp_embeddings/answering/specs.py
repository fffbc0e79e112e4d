"""Specs of the bot, of the reader and of their tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "text-input", "text-output", "dialogue")
_TAGS = ("text", "dialogue", "retrieval")
CHAT = ("data", "token-input", "token-output", "chat")
ABOUT_PASSAGES = ("data", "text-input", "text-output", "questions")

TASKS = (
    TaskSpec(
        name="template-dialogue",
        target="nlp_embeddings.answering.task:DialogueTask",
        summary="Questions to a shop, some of which it cannot answer and must refuse",
        traits=TRAITS,
        agent="retrieval-bot",
        tags=_TAGS,
    ),
    TaskSpec(
        name="template-chat",
        target="nlp_embeddings.answering.chat:ChatTask",
        summary="Questions to a shop, to be answered word by word",
        traits=CHAT,
        agent="supervised",
        tags=("text", "dialogue", "synthetic"),
    ),
    TaskSpec(
        name="passage-questions",
        target="nlp_embeddings.answering.questions:QuestionsTask",
        summary="Questions about passages in invented words, whose answers are in the passage",
        traits=ABOUT_PASSAGES,
        agent="span-reader",
        tags=("text", "questions", "synthetic"),
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="dialogue",
        target="nlp_embeddings.answering.task:DialogueTask",
        summary="Questions and answers: `question<TAB>answer` lines, labelled csv, or YAML",
        argument="file",
        example="dialogue:questions.tsv",
        make_example="nlp_embeddings.reading.examples:write_dialogue",
        traits=TRAITS,
        agents=("retrieval-bot",),
        tags=_TAGS,
    ),
    TaskSchemeSpec(
        name="chat",
        target="nlp_embeddings.answering.chat:ChatTask",
        summary="Questions and answers as `dialogue:` has them, to be answered word by word",
        argument="file",
        example="chat:conversations.yml",
        make_example="nlp_embeddings.reading.examples:write_dialogue",
        traits=CHAT,
        agents=("supervised",),
        tags=("text", "dialogue"),
    ),
    TaskSchemeSpec(
        name="questions",
        target="nlp_embeddings.answering.questions:QuestionsTask",
        summary="Questions about passages: SQuAD's JSON, or JSON lines",
        argument="file",
        example="questions:train-v1.1.json",
        make_example="nlp_embeddings.reading.examples:write_questions",
        traits=ABOUT_PASSAGES,
        agents=("span-reader",),
        tags=("text", "questions"),
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
    AgentSpec(
        name="span-reader",
        target="nlp_embeddings.answering.span_reader:SpanReader",
        summary="Answers with the span of a passage that a log-linear model prefers",
        reference="Rajpurkar et al., SQuAD, 2016",
        fits=("data questions",),
        unit="questions",
        budget=1_000_000_000,
        task="passage-questions",
        tiny={"questions_per_step": 4, "passes": 1},
        tags=("text", "questions", "deterministic"),
    ),
)
