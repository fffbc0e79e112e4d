"""Specs of the translation tasks and of the alignment models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TRAITS = ("data", "token-input", "token-output", "translation")
_TARGET = "nlp_embeddings.translation.task:TranslationTask"
_TAGS = ("text", "translation")


def _task(name: str, summary: str, config: Mapping[str, Any]) -> TaskSpec:
    return TaskSpec(name=name, target=_TARGET, summary=summary, config=config, traits=TRAITS, agent="ibm-model", tags=_TAGS)


TASKS = (
    _task("dates", "Dates in eight forms, letter by letter, to year-month-day", {"bundled": "dates", "token": "character", "min_count": 1}),
    _task("copy-letters", "Rows of 3 to 10 letters, to be repeated", {"bundled": "copy", "token": "character", "min_count": 1}),
    _task("cipher", "Words of a cipher, whose neighbours also change places", {"bundled": "cipher", "min_count": 1}),
    TaskSpec(
        name="word-pairs",
        target="nlp_embeddings.translation.word_pairs:WordPairsTask",
        summary="Vectors of words of two languages, and a dictionary between them",
        reference="Mikolov, Le and Sutskever, Exploiting Similarities among Languages, 2013",
        traits=("data", "vector-input", "continuous-output", "word-pairs"),
        agent="procrustes",
        tags=("vectors", "translation"),
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="translation",
        target=_TARGET,
        summary="Pairs of texts, `source<TAB>target` a line, or two parallel files",
        argument="file",
        example="translation:nld-eng.tsv",
        make_example="nlp_embeddings.reading.examples:write_pairs",
        traits=TRAITS,
        agents=("ibm-model",),
        tags=_TAGS,
    ),
)

AGENTS = (
    AgentSpec(
        name="ibm-model",
        target="nlp_embeddings.translation.ibm:IBMModel",
        summary="Alignment models 1 and 2: words that belong to each other",
        reference="Brown et al., The Mathematics of Statistical Machine Translation, 1993",
        fits=("data translation",),
        unit="iterations",
        budget=12,
        task="cipher",
        tiny={"longest": 11, "uniform_iterations": 1},
        tags=(*_TAGS, "deterministic"),
    ),
    AgentSpec(
        name="procrustes",
        target="nlp_embeddings.translation.procrustes:Procrustes",
        summary="Rotation of the vectors of one language into those of another",
        reference="Schoenemann, A generalized solution of the orthogonal Procrustes problem, 1966",
        fits=("data word-pairs",),
        unit="solutions",
        budget=1,
        task="word-pairs",
        tags=("vectors", "translation", "deterministic"),
    ),
)
