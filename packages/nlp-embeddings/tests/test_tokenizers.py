from __future__ import annotations

import importlib.util
import sys
import unicodedata

import pytest

from nlp_embeddings.corpus.tokenizers import has_full_stops, lemmatizer, split_sentences, stemmer, tokenize


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


@pytest.mark.parametrize("tokenizer", ["regex", "whitespace"])
def test_combining_marks_and_joiners_belong_to_their_words(tokenizer: str) -> None:
    hindi, tamil, persian = "हिन्दी में पुस्तक", "தமிழ் நூல் எழுத்து", "می\u200cخواهم کتاب"
    for text in (hindi, tamil, persian, "cafe\u0301 nai\u0308ve", "ക്\u200dഷ ന്\u200d"):
        assert tokenize(text, tokenizer) == text.split()


def test_every_combining_mark_of_unicode_stays_in_its_word() -> None:
    marks = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    assert len(marks) > 2000
    assert [mark for mark in marks if tokenize(f"a{mark}b", lowercase=False) != [f"a{mark}b"]] == []


def test_a_character_keeps_its_marks() -> None:
    assert tokenize("हिन्दी é", "character") == ["हि", "न्", "दी", "é"]
    assert tokenize("e\u0301a", "character") == ["e\u0301", "a"]


def test_texts_with_and_without_full_stops_are_told_apart() -> None:
    prose = "We had made\nour course. The\nwind fell, and\nwe waited! Then\n" * 20
    assert has_full_stops(prose)
    assert has_full_stops("a verse\nand another\n\n" * 20)
    assert not has_full_stops("the white whale swims\nship ahoy\n" * 50)
    assert not has_full_stops("the white whale swims\n" * 200 + "Once. ")
    assert has_full_stops("")


@pytest.mark.parametrize("language", ["/", "..", "English", "en-US"])
def test_a_strange_language_is_refused(language: str) -> None:
    with pytest.raises(ValueError, match=r"stemmer is .* expected one of"):
        stemmer(language)
    with pytest.raises(ValueError, match=r"lemmatizer (is|needs)"):
        lemmatizer(language)
