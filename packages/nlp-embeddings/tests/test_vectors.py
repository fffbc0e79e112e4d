from __future__ import annotations

import numpy as np
import pytest

from nlp_embeddings.vectors.word_vectors import WordVectors

WORDS = ["king", "queen", "man", "woman", "apple", "pear"]


def vectors() -> WordVectors:
    matrix = np.array([[1, 1, 0], [1, -1, 0], [0.1, 1, 0], [0.1, -1, 0], [0, 0.1, 1], [0, -0.1, 1]], dtype=np.float32)
    return WordVectors(WORDS, matrix)


def test_a_word_gives_its_row_and_several_give_several() -> None:
    ours = vectors()
    np.testing.assert_array_equal(ours["queen"], ours.vectors[1])
    np.testing.assert_array_equal(ours[["man", "king"]], ours.vectors[[2, 0]])
    assert "king" in ours
    assert "duke" not in ours
    assert len(ours) == 6
    assert np.linalg.norm(ours.get_vector("king", norm=True)) == pytest.approx(1)


def test_what_was_asked_with_is_no_answer() -> None:
    assert vectors().most_similar(["king", "woman"], ["man"], topn=1)[0][0] == "queen"
    assert {word for word, _ in vectors().most_similar("king", topn=99)} == set(WORDS) - {"king"}


def test_analogy_asks_as_word2vec_does() -> None:
    assert vectors().analogy("man", "king", "woman")[0][0] == "queen"


def test_the_odd_one_out_is_the_fruit() -> None:
    assert vectors().doesnt_match(["king", "man", "apple", "unheard"]) == "apple"
    with pytest.raises(ValueError, match="1 are known; at least two are needed"):
        vectors().doesnt_match(["king", "unheard"])


def test_restricting_the_vocabulary_restricts_the_answers() -> None:
    assert {word for word, _ in vectors().most_similar("pear", restrict_vocab=3)} == {"king", "queen", "man"}


def test_ranks_count_from_the_nearest() -> None:
    ours = vectors()
    nearest = [word for word, _ in ours.most_similar("king", topn=5)]
    assert [ours.rank("king", word) for word in nearest] == [1, 2, 3, 4, 5]
    assert ours.closer_than("king", nearest[1]) == [nearest[0]]


def test_a_repeated_word_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the word 'a' appears twice"):
        WordVectors(["a", "b", "a"], np.zeros((3, 2)))


def test_as_many_words_as_rows_are_needed() -> None:
    with pytest.raises(ValueError, match="there are 2 words for vectors of shape"):
        WordVectors(["a", "b"], np.zeros((3, 2)))


def test_a_question_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="the question has no words"):
        vectors().most_similar()


@pytest.mark.parametrize("seed", range(3))
def test_answers_agree_with_gensim(seed: int) -> None:
    from gensim import models

    rng = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(50)]
    matrix = rng.normal(size=(50, 8)).astype(np.float32)
    theirs = models.KeyedVectors(8)
    theirs.add_vectors(words, matrix)
    ours = WordVectors(words, matrix)
    for positive, negative in (("w1", []), (["w1", "w2"], ["w3"]), ([("w4", 0.5), "w5"], [])):
        for (a, x), (b, y) in zip(ours.most_similar(positive, negative), theirs.most_similar(positive, negative), strict=True):
            assert a == b
            assert x == pytest.approx(y, abs=1e-5)
    for (a, x), (b, y) in zip(
        ours.most_similar_cosmul(["w1", "w2"], ["w3"]), theirs.most_similar_cosmul(["w1", "w2"], ["w3"]), strict=True
    ):
        assert a == b
        assert x == pytest.approx(y, rel=1e-4)
    assert ours.similarity("w6", "w7") == pytest.approx(theirs.similarity("w6", "w7"), abs=1e-6)
    assert ours.n_similarity(["w1", "w2"], ["w3"]) == pytest.approx(theirs.n_similarity(["w1", "w2"], ["w3"]), abs=1e-5)
    assert ours.doesnt_match(words[:5]) == theirs.doesnt_match(words[:5])
    assert ours.rank("w1", "w9") == theirs.rank("w1", "w9")
