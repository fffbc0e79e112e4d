"""Specs of the evaluation tasks."""

from __future__ import annotations

from nlp_embeddings.corpus.specs import TRAITS
from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

TASKS = (
    TaskSpec(
        name="treasure-island-parts",
        target="nlp_embeddings.evaluate.tasks:ClassificationTask",
        summary="Assign paragraphs of the novel to its six parts",
        reference="Robert Louis Stevenson, Treasure Island, 1883 (public domain)",
        traits=(*TRAITS, "labelled"),
        agent="text-classifier",
        tags=("text", "classification", "evaluation"),
    ),
    TaskSpec(
        name="two-senses",
        target="nlp_embeddings.evaluate.two_senses:TwoSenses",
        summary="Tell the two senses of bank, duck and bat apart by their contexts",
        reference="Schuetze, Automatic Word Sense Discrimination, 1998",
        traits=TRAITS,
        agent="ppmi",
        tags=("text", "word senses", "evaluation"),
    ),
)


def _scheme(name: str, task: str, summary: str, example: str, make_example: str) -> TaskSchemeSpec:
    labelled = name == "classification"
    return TaskSchemeSpec(
        name=name,
        target=f"nlp_embeddings.evaluate.tasks:{task}",
        summary=summary,
        argument="file",
        example=f"{name}:{example}",
        make_example=f"nlp_embeddings.reading.examples:{make_example}",
        traits=(*TRAITS, "labelled") if labelled else TRAITS,
        agents=("text-classifier", "skip-gram") if labelled else ("skip-gram",),
        tags=("text", "evaluation"),
    )


SCHEMES = (
    _scheme(
        "similarity", "SimilarityTask", "Similarity of words as people see it, `word word score` a line", "pairs.txt", "write_similarities"
    ),
    _scheme("analogies", "AnalogyTask", "Analogies, `a b c d` a line, in groups `: name`", "questions.txt", "write_analogies"),
    _scheme(
        "association",
        "AssociationTask",
        "Bias of word vectors (WEAT): two groups of targets, two of attributes",
        "groups.txt",
        "write_associations",
    ),
    _scheme("classification", "ClassificationTask", "Texts and their labels, `label<TAB>text` a line", "reviews.tsv", "write_labels"),
)

AGENTS: tuple[AgentSpec, ...] = ()
