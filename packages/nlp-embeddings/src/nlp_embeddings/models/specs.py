"""Specs of the agents."""

from __future__ import annotations

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

_FITS = ("corpus text-input vector-output",)


def _vector_space(name: str, summary: str, reference: str, config: dict[str, object]) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="nlp_embeddings.models.vector_space:VectorSpace",
        summary=summary,
        reference=reference,
        config=config,
        fits=_FITS,
        unit="passages",
        budget=1_000_000,
        task="treasure-island",
        tiny={"max_terms": 200, "passages_per_step": 64},
        tags=("vector space", "retrieval", "text"),
    )


AGENTS = (
    AgentSpec(
        name="skip-gram",
        target="nlp_embeddings.models.word2vec:Word2Vec",
        summary="Word vectors from which each word's neighbours predict it, one by one",
        reference="Mikolov et al., Distributed Representations of Words and Phrases, 2013",
        fits=_FITS,
        unit="words",
        budget=1_300_000,
        task="treasure-island",
        presets="nlp_embeddings:presets/word2vec.yaml",
        tiny={"vector_size": 8, "window": 2, "chunk_words": 5_000},
        tags=("word vectors", "text"),
    ),
    AgentSpec(
        name="cbow",
        target="nlp_embeddings.models.word2vec:Word2Vec",
        summary="Word vectors from which a word's neighbours together predict it",
        reference="Mikolov et al., Efficient Estimation of Word Representations, 2013",
        config={"architecture": "cbow", "learning_rate": 0.075},
        fits=_FITS,
        unit="words",
        budget=1_300_000,
        task="treasure-island",
        presets="nlp_embeddings:presets/cbow.yaml",
        tiny={"vector_size": 8, "window": 2, "chunk_words": 5_000},
        tags=("word vectors", "text"),
    ),
    AgentSpec(
        name="fasttext",
        target="nlp_embeddings.models.fasttext:FastText",
        summary="Word vectors made of n-grams of letters; unseen words have vectors too",
        reference="Bojanowski et al., Enriching Word Vectors with Subword Information, 2017",
        fits=_FITS,
        unit="words",
        budget=1_300_000,
        task="treasure-island",
        presets="nlp_embeddings:presets/word2vec.yaml",
        tiny={"vector_size": 8, "window": 2, "chunk_words": 5_000},
        tags=("word vectors", "text"),
    ),
    AgentSpec(
        name="glove",
        target="nlp_embeddings.models.glove:GloVe",
        summary="Word vectors whose products are logarithms of co-occurrence counts",
        reference="Pennington, Socher, Manning, GloVe: Global Vectors for Word Representation, 2014",
        fits=_FITS,
        unit="words",
        budget=1_400_000,
        task="treasure-island",
        presets="nlp_embeddings:presets/glove.yaml",
        tiny={"vector_size": 8, "window": 2, "memory_mb": 16},
        tags=("word vectors", "text"),
    ),
    AgentSpec(
        name="contextual",
        target="nlp_embeddings.models.contextual_agent:Contextual",
        summary="Vectors of texts, and of words in their contexts, from a local transformer",
        reference="Devlin et al., BERT, 2019; Bommasani, Davis, Cardie, Reductions to Static Embeddings, 2020",
        requires=("torch", "transformers"),
        extra="nlp-embeddings[transformers]",
        fits=_FITS,
        unit="words",
        budget=1_000_000_000,
        task="treasure-island",
        tiny={"chunk_words": 200, "batch_size": 8},
        tags=("word vectors", "text", "transformer", "deterministic"),
    ),
    AgentSpec(
        name="text-classifier",
        target="nlp_embeddings.models.text_classifier:TextClassifier",
        summary="fastText as a classifier: softmax over the mean of words and n-grams",
        reference="Joulin, Grave, Bojanowski, Mikolov, Bag of Tricks for Text Classification, 2017",
        fits=("corpus text-input labelled",),
        unit="texts",
        budget=17_120,
        task="treasure-island-parts",
        tiny={"vector_size": 8, "buckets": 100},
        tags=("classification", "text", "fasttext"),
    ),
    AgentSpec(
        name="ppmi",
        target="nlp_embeddings.models.ppmi:Ppmi",
        summary="Word vectors from positive pointwise mutual information, decomposed",
        reference="Levy, Goldberg, Dagan, Improving Distributional Similarity, 2015",
        fits=_FITS,
        unit="passes",
        budget=1,
        task="treasure-island",
        tiny={"vector_size": 8, "window": 2, "memory_mb": 16},
        tags=("word vectors", "vector space", "text", "deterministic"),
    ),
    _vector_space(
        "bag-of-words", "Passages as counts of their words", "Salton, Wong, Yang, A Vector Space Model, 1975", {"weighting": "count"}
    ),
    _vector_space(
        "tf-idf",
        "Passages as counts weighted by inverse document frequency",
        "Spaerck Jones, A statistical interpretation of term specificity, 1972",
        {},
    ),
    _vector_space(
        "bm25",
        "Passage search by saturated, length-normalised term weights",
        "Robertson, Zaragoza, The Probabilistic Relevance Framework, 2009",
        {"weighting": "bm25", "idf": "lucene"},
    ),
    _vector_space(
        "lsa",
        "Latent semantic analysis: tf-idf reduced by a singular value decomposition",
        "Deerwester et al., Indexing by Latent Semantic Analysis, 1990",
        {"idf": "smooth", "sublinear": True, "components": 100},
    ),
)

TASKS: tuple[TaskSpec, ...] = ()
SCHEMES: tuple[TaskSchemeSpec, ...] = ()
