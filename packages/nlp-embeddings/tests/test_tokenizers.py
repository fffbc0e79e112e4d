from __future__ import annotations

import importlib.util

import pytest

from nlp_embeddings.corpus.tokenizers import lemmatizer, split_sentences, stemmer, tokenize


def test_apostrophes_stay_inside_words_and_fall_off_their_ends() -> None:
    assert tokenize("'Tis the sailors' l'été, don’t") == ["tis", "the", "sailors", "l'été", "don’t"]


def test_every_script_gives_words() -> None:
    assert tokenize("Кит-убийца 鯨 ΦΆΛΑΙΝΑ") == ["кит", "убийца", "鯨", "φάλαινα"]


def test_sentences_are_cut_at_stops_and_blank_lines() -> None:
    assert split_sentences('Dr. No left. A line\nbreak is none.\n\nNew part? "Yes." J. S. too') == [
        "Dr. No left.",
        "A line\nbreak is none.",
        "New part?",
        '"Yes."',
        "J. S. too",
    ]


def test_an_unknown_stemmer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"stemmer is 'klingon'; expected one of .*english"):
        stemmer("klingon")


def test_a_missing_lemmatizer_says_what_to_install() -> None:
    if importlib.util.find_spec("simplemma") is None:
        with pytest.raises(ValueError, match=r"pip install 'nlp-embeddings\[lemmas\]'"):
            lemmatizer("en")
    else:
        assert lemmatizer("en")("ships") == "ship"
