"""Specs of the classifiers of texts and of their tasks."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

_TAGS = ("text", "classification", "sentiment")
_FITS = ("data labelled-texts",)

TASKS = (
    TaskSpec(
        name="template-opinions",
        target="nlp_embeddings.classify.task:LabelsTask",
        summary="Positive, negative and neutral sentences of templates, some with a negation",
        traits=("data", "token-input", "discrete-output", "labelled-texts"),
        agent="naive-bayes",
        tags=_TAGS,
    ),
)

SCHEMES = (
    TaskSchemeSpec(
        name="sentiment",
        target="nlp_embeddings.classify.task:LabelsTask",
        summary="Texts with one label or several: tsv, csv, jsonl, or __label__ lines",
        argument="file",
        example="sentiment:reviews.tsv",
        make_example="nlp_embeddings.reading.examples:write_labels",
        traits=("data", "token-input", "labelled-texts"),
        agents=("nb-svm",),
        tags=_TAGS,
    ),
)


def _agent(name: str, target: str, summary: str, reference: str, unit: str, **more: object) -> AgentSpec:
    return AgentSpec(
        name=name,
        target=f"nlp_embeddings.classify.{target}",
        summary=summary,
        reference=reference,
        fits=_FITS,
        unit=unit,
        task="template-opinions",
        tags=(*_TAGS, "deterministic"),
        **more,  # type: ignore[arg-type]
    )


AGENTS = (
    _agent(
        "naive-bayes",
        "naive_bayes:NaiveBayes",
        "Naive Bayes on words and pairs of words",
        "McCallum, Nigam, A Comparison of Event Models for Naive Bayes, 1998",
        "texts",
        budget=1_000_000_000,
        tiny={"texts_per_step": 300},
    ),
    _agent(
        "nb-svm",
        "linear:LinearClassifier",
        "Support vector machine on the ratios of naive Bayes",
        "Wang, Manning, Baselines and Bigrams, 2012",
        "iterations",
        budget=200,
        config={"loss": "squared-hinge", "features": "log-ratio", "cost": 1.0},
        tiny={"order": 1, "memory": 2},
    ),
    _agent(
        "linear-classifier",
        "linear:LinearClassifier",
        "Logistic regression or support vector machine on tf-idf of n-grams",
        "Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009",
        "iterations",
        budget=200,
        tiny={"order": 1, "memory": 2},
    ),
    _agent(
        "lexicon",
        "lexicon:Lexicon",
        "Sentiment by rules: valences of words, negation, intensifiers, but",
        "Hutto, Gilbert, VADER, 2014",
        "texts",
        budget=1_000_000_000,
        tiny={"texts_per_step": 300},
    ),
)
