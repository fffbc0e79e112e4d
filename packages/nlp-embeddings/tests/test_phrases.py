from __future__ import annotations

from pathlib import Path

import pytest

from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.corpus.phrases import join_phrases, phrase_score


def test_the_score_is_that_of_equation_6() -> None:
    assert phrase_score(25, 40, 50, 10_000, 5) == pytest.approx(100.0)


def test_words_that_stand_together_are_joined_and_others_are_not(tmp_path: Path) -> None:
    fillers = [f"x{i} y{i} z{i}" for i in range(200)]
    corpus = encode(["new york is big", "york is old", *["new york"] * 20, *fillers], tmp_path / "c")
    joined = join_phrases(corpus, tmp_path / "j", min_count=5, threshold=10.0)
    sentences = list(joined.sentences())
    assert sentences[:3] == [["new_york", "is", "big"], ["york", "is", "old"], ["new_york"]]
    assert "new" not in joined.words
    assert joined.counts[joined.words.index("new_york")] == 21
    assert sum(joined.counts) == len(joined)


def test_a_pair_is_not_joined_over_the_end_of_a_sentence(tmp_path: Path) -> None:
    fillers = [f"x{i} y{i} z{i}" for i in range(200)]
    corpus = encode([*["a b"] * 20, "a", "b", *fillers], tmp_path / "c")
    joined = join_phrases(corpus, tmp_path / "j", min_count=5, threshold=10.0)
    assert list(joined.sentences())[19:22] == [["a_b"], ["a"], ["b"]]


def test_a_second_pass_makes_longer_phrases_of_one_spelling(tmp_path: Path) -> None:
    fillers = [f"x{i} y{i} z{i}" for i in range(400)]
    corpus = encode([*["new york city"] * 20, *fillers], tmp_path / "c")
    first = join_phrases(corpus, tmp_path / "j", min_count=5, threshold=10.0)
    second = join_phrases(first, tmp_path / "k", min_count=5, threshold=10.0)
    assert next(iter(second.sentences())) == ["new_york_city"]
    assert len(set(second.words)) == len(second.words)
