from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.models.vector_space import VectorSpace, VectorSpaceConfig
from nlp_embeddings.vectors.document_index import DocumentIndex, similarity_matrix
from nlp_embeddings.vectors.tfidf import bm25, count_matrix, inverse_document_frequency, tf_idf, truncated_svd
from rl_core.seeds import Seeds

SETTINGS = {
    "bag-of-words": {"weighting": "count"},
    "tf-idf": {},
    "bm25": {"weighting": "bm25", "idf": "lucene"},
    "lsa": {"idf": "smooth", "components": 20},
}


def agent(task: CorpusTask | None = None, seed: int = 0, **config: object) -> VectorSpace:
    task = task or CorpusTask(CorpusConfig())
    return VectorSpace(VectorSpaceConfig(**config), task, None, seeds=Seeds(seed), budget=10**6)


def learned(**config: object) -> VectorSpace:
    learner = agent(**config)
    while not learner.finished:
        learner.step()
    return learner


@pytest.mark.parametrize("name", SETTINGS)
def test_a_held_out_sentence_finds_its_passage_far_better_than_by_chance(name: str) -> None:
    score = learned(**SETTINGS[name]).evaluate(episodes=1, seeds=Seeds(0))
    chance = np.log(score["queries"]) / score["queries"]
    assert score["mean reciprocal rank"] > (3 if name == "bag-of-words" else 4) * chance


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_continued_from_any_step_ends_with_the_same_bits(name: str) -> None:
    config = {**SETTINGS[name], "passages_per_step": 100}
    whole = learned(**config)
    for stop in range(1, 4):
        first = agent(**config)
        for _ in range(stop):
            first.step()
        second = agent(**config)
        second.load_state_dict(first.state_dict())
        second.seeds.load_state_dict(first.seeds.state_dict())
        second.progress, second.finished = first.progress, first.finished
        while not second.finished:
            second.step()
        for key, value in whole.state_dict().items():
            np.testing.assert_array_equal(second.state_dict()[key], value)


def test_the_answer_to_a_text_is_the_passage_that_it_stands_in() -> None:
    found = learned().answer("we found Ben Gunn the maroon who begged for cheese, toasted mostly")
    assert "cheese" in found[0]["text"]
    assert found[0]["score"] >= found[1]["score"]


@pytest.mark.parametrize(
    ("weighting", "similarity"),
    [("bm25", "cosine"), *((weighting, of) for weighting in ("tf-idf", "count") for of in ("cosine", "euclidean", "jaccard"))],
)
def test_items_are_recommended_by_their_descriptions(tmp_path: Path, weighting: str, similarity: str) -> None:
    lines = [
        "red running shoes for trails",
        "blue running shoes for roads",
        "steel kitchen knife",
        "kitchen knife and board",
        "warm jacket",
    ]
    (tmp_path / "items.txt").write_text("\n".join(lines))
    task = CorpusTask(CorpusConfig(path=str(tmp_path / "items.txt"), passage_words=1, sentences="line"))
    idf = "smooth" if weighting == "tf-idf" else "lucene"
    learner = agent(task, weighting=weighting, similarity=similarity, idf=idf, min_count=1)
    while not learner.finished:
        learner.step()
    for item, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        found = learner.answer(f"similar: {item}")
        assert found[0]["passage"] == other
        assert item not in [passage["passage"] for passage in found]
    with pytest.raises(ValueError, match="from 0 to 4, got '5'"):
        learner.answer("similar: 5")


def test_document_frequency_counts_passages_without_their_held_out_sentences(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a a b\nb c\nc c c\nc d\n")
    task = CorpusTask(CorpusConfig(path=str(path), sentences="line", passage_words=1))
    learner = agent(task)
    learner.step()
    assert dict(zip(learner.terms, learner.document_frequency.tolist(), strict=True)) == {"c": 3, "a": 1, "b": 2, "d": 1}


def test_the_plain_formula_is_negative_for_a_word_in_every_passage() -> None:
    assert inverse_document_frequency(np.array([4]), 4, "plain")[0] == pytest.approx(np.log(4 / 5))


COUNTS = sparse.csr_matrix(np.random.default_rng(0).poisson(0.4, (30, 40)).astype(float))


@pytest.mark.parametrize("sublinear", [False, True])
def test_smooth_tf_idf_agrees_with_scikit_learn(sublinear: bool) -> None:
    from sklearn.feature_extraction import text

    theirs = text.TfidfTransformer(sublinear_tf=sublinear).fit_transform(COUNTS)
    frequency = np.asarray((COUNTS > 0).sum(axis=0)).ravel()
    ours = tf_idf(COUNTS, inverse_document_frequency(frequency, 30, "smooth"), sublinear=sublinear)
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-6)


def test_the_singular_value_decomposition_agrees_with_scikit_learn() -> None:
    from sklearn import decomposition

    theirs = decomposition.TruncatedSVD(5, algorithm="arpack", random_state=0).fit(COUNTS)
    ours, values = truncated_svd(COUNTS, 5, np.random.default_rng(0))
    np.testing.assert_allclose(values, theirs.singular_values_, atol=1e-6)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs.components_), atol=1e-6)


def test_counting_agrees_with_scikit_learn() -> None:
    from sklearn.feature_extraction import text

    lines = ["the ship and the whale", "a whale", "ship ship ship"]
    theirs = text.CountVectorizer(token_pattern=r"\w+").fit(lines)
    number = theirs.vocabulary_
    ours = count_matrix([np.array([number[word] for word in line.split()]) for line in lines], len(number))
    np.testing.assert_array_equal(ours.toarray(), theirs.transform(lines).toarray())


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "jaccard"])
def test_similarities_agree_with_scikit_learn(metric: str) -> None:
    from sklearn.metrics import pairwise_distances as pairwise

    matrix = COUNTS.toarray() > 0 if metric == "jaccard" else COUNTS.toarray()
    theirs = pairwise(matrix, metric=metric)
    ours = similarity_matrix(sparse.csr_matrix(matrix.astype(float)), matrix.astype(float), metric)
    np.testing.assert_allclose(-ours if metric == "euclidean" else 1 - ours, theirs, atol=1e-6)


def test_bm25_with_lucenes_idf_is_never_negative_and_long_passages_are_discounted() -> None:
    counts = sparse.csr_matrix([[1.0, 0.0, 0.0], [1.0, 5.0, 5.0]])
    scores = bm25(counts, inverse_document_frequency(np.array([2, 1, 1]), 2, "lucene"), 6.0)
    assert scores.min() >= 0
    assert scores[0, 0] > scores[1, 0]


def test_exact_search_orders_by_similarity_and_ties_by_index() -> None:
    index = DocumentIndex(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    found, scores = index.search(np.array([[1.0, 0.0]]), 3)
    assert found.tolist() == [[0, 2, 3]]
    np.testing.assert_allclose(scores, [[1, 1, np.sqrt(0.5)]])


def test_search_for_more_than_there_is_gives_all() -> None:
    assert DocumentIndex(np.eye(2)).search(np.eye(2), 10)[0].shape == (2, 2)


@pytest.mark.parametrize("library", ["hnswlib", "usearch"])
def test_approximate_search_finds_nine_of_ten_or_says_what_to_install(library: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    if importlib.util.find_spec(library) is None:
        with pytest.raises(ValueError, match=rf"pip install 'nlp-embeddings\[{library}\]'"):
            DocumentIndex(vectors, approximate=library)
        return
    index = DocumentIndex(vectors, approximate=library)
    exact = DocumentIndex(vectors).search(vectors[:100], 10)[0]
    found = index.search(vectors[:100], 10)[0]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])
    assert recall >= 0.9


def test_jaccard_of_negative_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="jaccard needs weights >= 0"):
        similarity_matrix(np.array([[-1.0]]), np.array([[1.0]]), "jaccard")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_count": 0}, "min_count is 0; it must be >= 1"),
        ({"length_weight": 2.0}, r"length_weight is 2.0; it must be in \[0, 1\]"),
        ({"weighting": "bm25", "components": 5}, "a decomposition needs count or tf-idf"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorSpaceConfig(**change)


def test_a_vocabulary_emptied_by_the_minimum_count_is_refused() -> None:
    with pytest.raises(ValueError, match="the most frequent word, 'the', occurs 4365 times: no term is left"):
        agent(min_count=10_000)


def test_more_components_than_passages_are_refused() -> None:
    with pytest.raises(ValueError, match="components is 400; 321 passages"):
        agent(components=400)


def test_other_similarities_find_held_out_sentences_too() -> None:
    def rank(**config: object) -> dict[str, float]:
        return learned(**config).evaluate(episodes=1, seeds=Seeds(0))

    assert rank(similarity="euclidean") == pytest.approx(rank())  # among vectors of length 1 the nearest has the smallest angle
    shared = rank(weighting="count", similarity="jaccard")
    assert shared["mean reciprocal rank"] > 3 * np.log(shared["queries"]) / shared["queries"]


def test_a_similarity_that_the_weights_do_not_allow_is_refused() -> None:
    for config in ({"similarity": "jaccard"}, {"similarity": "jaccard", "weighting": "count", "components": 2}):
        with pytest.raises(ValueError, match="similarity is 'jaccard'"):
            VectorSpaceConfig(**config)
