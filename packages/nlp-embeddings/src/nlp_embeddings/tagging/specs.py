"""Specs of the taggers and of the tasks of tags and entities."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "token-input", "token-output", "tagging")
_FITS = ("data tagging",)
_TAGS = ("text", "tagging")

TASKS = (
    TaskSpec(
        name="grammar-tags",
        target="nlp_embeddings.tagging.task:TaggingTask",
        summary="Tags of sentences drawn from a hidden Markov model; the best score is known",
        reference="Rabiner, A tutorial on hidden Markov models, 1989",
        traits=TRAITS,
        agent="hmm-tagger",
        tags=_TAGS,
    ),
    TaskSpec(
        name="template-entities",
        target="nlp_embeddings.tagging.task:EntitiesTask",
        summary="Persons, organisations, places and dates, with names not seen before",
        traits=TRAITS,
        agent="crf-tagger",
        tags=(*_TAGS, "entities"),
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="tagging",
        target="nlp_embeddings.tagging.task:TaggingTask",
        summary="Tags of words: CoNLL-U, a word and its tag a line, or word_TAG",
        argument="file",
        example="tagging:train.conllu",
        make_example="nlp_embeddings.reading.examples:write_trees",
        traits=TRAITS,
        agents=("perceptron-tagger",),
        tags=_TAGS,
    ),
    TaskSchemeSpec(
        name="entities",
        target="nlp_embeddings.tagging.task:EntitiesTask",
        summary="Entities in IOB1, BIO or BIOES, a word and its tag a line",
        argument="file",
        example="entities:train.iob2",
        make_example="nlp_embeddings.reading.examples:write_entities",
        traits=TRAITS,
        agents=("crf-tagger",),
        tags=(*_TAGS, "entities"),
    ),
)

AGENTS = (
    AgentSpec(
        name="hmm-tagger",
        target="nlp_embeddings.tagging.hmm:HMMTagger",
        summary="Hidden Markov model of tags, with endings for unknown words",
        reference="Brants, TnT: A Statistical Part-of-Speech Tagger, 2000",
        fits=_FITS,
        unit="sentences",
        budget=1_000_000_000,
        task="grammar-tags",
        tiny={"sentences_per_step": 500},
        tags=(*_TAGS, "deterministic"),
    ),
    AgentSpec(
        name="perceptron-tagger",
        target="nlp_embeddings.tagging.perceptron:PerceptronTagger",
        summary="Averaged perceptron that tags greedily from left to right",
        reference="Collins, Discriminative Training Methods for Hidden Markov Models, 2002",
        fits=_FITS,
        unit="sentences",
        budget=60_000,
        task="grammar-tags",
        tiny={"sentences_per_step": 500},
        tags=_TAGS,
    ),
    AgentSpec(
        name="crf-tagger",
        target="nlp_embeddings.tagging.crf:CRFTagger",
        summary="Conditional random field over whole sequences of tags",
        reference="Lafferty, McCallum, Pereira, Conditional Random Fields, 2001",
        fits=_FITS,
        unit="iterations",
        budget=60,
        task="template-entities",
        tiny={"window": 0, "memory": 2},
        tags=(*_TAGS, "entities", "deterministic"),
    ),
)
