"""What nlp-embeddings brings to rl-core."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2

_CORPUS = ("corpus", "text-input", "vector-output")


def _vector_space(name: str, summary: str, reference: str, config: dict[str, object]) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="nlp_embeddings.models.vector_space:VectorSpace",
        summary=summary,
        reference=reference,
        config=config,
        fits=("corpus text-input vector-output",),
        unit="passages",
        budget=1_000_000,
        task="treasure-island",
        tiny={"max_terms": 200, "passages_per_step": 64},
        tags=("vector space", "retrieval", "text"),
    )


def _word_vectors(name: str, summary: str, reference: str, config: dict[str, object], presets: str) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="nlp_embeddings.models.word2vec:Word2Vec",
        summary=summary,
        reference=reference,
        config=config,
        fits=("corpus text-input vector-output",),
        unit="words",
        budget=1_300_000,
        task="treasure-island",
        presets=f"nlp_embeddings:presets/{presets}.yaml",
        tiny={"vector_size": 8, "window": 2, "chunk_words": 5_000},
        tags=("word vectors", "text"),
    )


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Agents that learn vectors from text."""
    yield _word_vectors(
        "skip-gram",
        "Word vectors from which each word's neighbours predict it, one by one",
        "Mikolov et al., Distributed Representations of Words and Phrases, 2013",
        {},
        "word2vec",
    )
    yield _word_vectors(
        "cbow",
        "Word vectors from which a word's neighbours together predict it",
        "Mikolov et al., Efficient Estimation of Word Representations, 2013",
        {"architecture": "cbow", "learning_rate": 0.075},
        "cbow",
    )
    yield _word_vectors(
        "fasttext",
        "Word vectors made of the letters' n-grams; unseen words have vectors too",
        "Bojanowski et al., Enriching Word Vectors with Subword Information, 2017",
        {"max_ngram": 6},
        "word2vec",
    )
    yield AgentSpec(
        name="glove",
        target="nlp_embeddings.models.glove:GloVe",
        summary="Word vectors whose products are logarithms of co-occurrence counts",
        reference="Pennington, Socher, Manning, GloVe: Global Vectors for Word Representation, 2014",
        fits=("corpus text-input vector-output",),
        unit="words",
        budget=1_400_000,
        task="treasure-island",
        presets="nlp_embeddings:presets/glove.yaml",
        tiny={"vector_size": 8, "window": 2, "memory_mb": 16},
        tags=("word vectors", "text"),
    )
    yield AgentSpec(
        name="contextual",
        target="nlp_embeddings.models.contextual_agent:Contextual",
        summary="Vectors of texts, and of words in their contexts, from a local transformer",
        reference="Devlin et al., BERT, 2019; Bommasani, Davis, Cardie, Reductions to Static Embeddings, 2020",
        requires=("torch", "transformers"),
        extra="nlp-embeddings[transformers]",
        fits=("corpus text-input vector-output",),
        unit="words",
        budget=1_000_000_000,
        task="treasure-island",
        tiny={"chunk_words": 200, "batch_size": 8},
        tags=("word vectors", "text", "transformer", "deterministic"),
    )
    yield AgentSpec(
        name="text-classifier",
        target="nlp_embeddings.models.text_classifier:TextClassifier",
        summary="fastText as a classifier: the mean of words and n-grams tells the label",
        reference="Joulin, Grave, Bojanowski, Mikolov, Bag of Tricks for Text Classification, 2017",
        fits=("corpus text-input labelled",),
        unit="texts",
        budget=17_120,
        task="treasure-island-parts",
        tiny={"vector_size": 8, "buckets": 100},
        tags=("classification", "text", "fasttext"),
    )
    yield AgentSpec(
        name="ppmi",
        target="nlp_embeddings.models.ppmi:Ppmi",
        summary="Word vectors from positive pointwise mutual information, decomposed",
        reference="Levy, Goldberg, Dagan, Improving Distributional Similarity, 2015",
        fits=("corpus text-input vector-output",),
        unit="passes",
        budget=1,
        task="treasure-island",
        tiny={"vector_size": 8, "window": 2, "memory_mb": 16},
        tags=("word vectors", "vector space", "text", "deterministic"),
    )
    yield _vector_space(
        "bag-of-words", "Passages as counts of their words", "Salton, Wong, Yang, A Vector Space Model, 1975", {"weighting": "count"}
    )
    yield _vector_space(
        "tf-idf",
        "Passages as counts weighted by how telling a word is",
        "Spaerck Jones, A statistical interpretation of term specificity, 1972",
        {},
    )
    yield _vector_space(
        "bm25",
        "Passage search by saturated, length-normalised term weights",
        "Robertson, Zaragoza, The Probabilistic Relevance Framework, 2009",
        {"weighting": "bm25", "idf": "lucene"},
    )
    yield _vector_space(
        "lsa",
        "Latent semantic analysis: tf-idf reduced by a singular value decomposition",
        "Deerwester et al., Indexing by Latent Semantic Analysis, 1990",
        {"idf": "smooth", "sublinear": True, "components": 100},
    )


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """The bundled text."""
    yield TaskSpec(
        name="treasure-island",
        target="nlp_embeddings.corpus.corpus_task:CorpusTask",
        summary="Stevenson's novel: find the passage that a held-out sentence came from",
        reference="Robert Louis Stevenson, Treasure Island, 1883 (public domain)",
        traits=_CORPUS,
        agent="skip-gram",
        tags=("text",),
    )

    yield TaskSpec(
        name="treasure-island-parts",
        target="nlp_embeddings.evaluate.tasks:ClassificationTask",
        summary="Which of the novel's six parts does a paragraph stand in?",
        reference="Robert Louis Stevenson, Treasure Island, 1883 (public domain)",
        traits=(*_CORPUS, "labelled"),
        agent="text-classifier",
        tags=("text", "classification", "evaluation"),
    )


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Any text on disk."""
    yield TaskSchemeSpec(
        name="corpus",
        target="nlp_embeddings.corpus.corpus_task:CorpusTask",
        summary="A text file, a folder of them, or a .gz, .bz2 or .xz file",
        argument="path",
        example="corpus:novels.txt.xz",
        traits=_CORPUS,
        agents=("skip-gram",),
        tags=("text",),
    )
    for name, target, summary, example in (
        ("similarity", "SimilarityTask", "Pairs of words and how alike people find them, `word word score` a line", "pairs.txt"),
        ("analogies", "AnalogyTask", "Analogies, `a b c d` a line, in groups `: name`", "questions.txt"),
        ("classification", "ClassificationTask", "Texts and their labels, `label<TAB>text` a line", "reviews.tsv"),
    ):
        yield TaskSchemeSpec(
            name=name,
            target=f"nlp_embeddings.evaluate.tasks:{target}",
            summary=summary,
            argument="file",
            example=f"{name}:{example}",
            traits=(*_CORPUS, "labelled") if name == "classification" else _CORPUS,
            agents=("text-classifier", "skip-gram") if name == "classification" else ("skip-gram",),
            tags=("text", "evaluation"),
        )
