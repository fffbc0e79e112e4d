from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_embeddings.corpus import encode as encode_module
from nlp_embeddings.corpus.encode import Corpus, encode
from nlp_embeddings.corpus.tokenizers import TOKENIZERS, stemmer, tokenize


def words_of(corpus: Corpus) -> list[list[str]]:
    return list(corpus.sentences())


def test_ids_are_ranks_by_frequency_and_ties_go_to_the_word_seen_first(tmp_path: Path) -> None:
    corpus = encode(["b a b c", "c b a d"], tmp_path / "c")
    assert corpus.words == ["b", "a", "c", "d"]
    assert corpus.counts.tolist() == [3, 2, 2, 1]
    assert corpus.ids.tolist() == [0, 1, 0, 2, 2, 0, 1, 3]
    assert corpus.starts.tolist() == [0, 4, 8]


def test_sentences_end_at_stops_before_white_space_and_at_blank_lines_but_not_after_titles_or_initials(tmp_path: Path) -> None:
    text = 'Mr. Hyde ran.\nHe said "Stop!" Pi is 3.14 or so? Yes; J. Silver agreed... A title\n\nThe end'
    corpus = encode([text], tmp_path / "c", sentences="punctuation")
    assert words_of(corpus) == [
        ["mr", "hyde", "ran"],
        ["he", "said", "stop"],
        ["pi", "is", "3", "14", "or", "so"],
        ["yes", "j", "silver", "agreed"],
        ["a", "title"],
        ["the", "end"],
    ]


def test_the_whitespace_tokenizer_keeps_stops_and_still_ends_sentences_at_them(tmp_path: Path) -> None:
    corpus = encode(
        ["Mr. Hyde ran. Why?  Because he could."], tmp_path / "c", tokenizer="whitespace", sentences="punctuation", lowercase=False
    )
    assert words_of(corpus) == [["Mr.", "Hyde", "ran."], ["Why?"], ["Because", "he", "could."]]


def test_characters_can_be_tokens(tmp_path: Path) -> None:
    assert words_of(encode(["ab é"], tmp_path / "c", tokenizer="character")) == [["a", "b", "é"]]


def test_any_function_serves_as_tokenizer(tmp_path: Path) -> None:
    corpus = encode(["x-y z", "z"], tmp_path / "c", tokenizer=lambda line: line.split("-"))
    assert words_of(corpus) == [["x", "y z"], ["z"]]


def test_words_are_dropped_after_lower_casing_and_changed_once_each(tmp_path: Path) -> None:
    calls = []
    stem = stemmer("english")

    def change(word: str) -> str:
        calls.append(word)
        return stem(word)

    corpus = encode(["The ships sailed the sailing ship. ships"], tmp_path / "c", drop=frozenset({"the"}), change=change)
    assert words_of(corpus) == [["ship", "sail", "sail", "ship", "ship"]]
    assert sorted(calls) == ["sailed", "sailing", "ship", "ships"]


LINES = st.lists(st.text(alphabet=st.sampled_from("abAB'é’—İß 1\t.,!?\u00a0"), max_size=40), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(lines=LINES, tokenizer=st.sampled_from(sorted(TOKENIZERS)), lowercase=st.booleans())
def test_cutting_into_chunks_first_gives_the_tokens_of_the_whole_text(tmp_path_factory, lines, tokenizer, lowercase) -> None:
    expected = [tokens for line in lines if (tokens := tokenize(line, tokenizer, lowercase=lowercase))]
    folder = tmp_path_factory.mktemp("h") / "c"
    if not expected:
        with pytest.raises(ValueError, match="holds no words"):
            encode(lines, folder, tokenizer=tokenizer, lowercase=lowercase)
        return
    assert words_of(encode(lines, folder, tokenizer=tokenizer, lowercase=lowercase)) == expected


def test_a_large_corpus_agrees_with_pythons_counter_through_every_growth_of_the_table(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(encode_module, "_OUT_EVENTS", 1000)
    rng = np.random.default_rng(0)
    tokens = [f"w{number}" for number in rng.zipf(1.3, 200_000) % 60_000]
    text = [" ".join(tokens[start : start + 1000]) for start in range(0, len(tokens), 1000)]
    corpus = encode(text, tmp_path / "c")
    assert [word for sentence in corpus.sentences() for word in sentence] == tokens
    assert dict(zip(corpus.words, corpus.counts.tolist(), strict=True)) == Counter(tokens)


def test_chunks_that_agree_in_their_first_eight_bytes_are_told_apart(tmp_path: Path) -> None:
    # many of one length, so that some meet in the table; and the same bytes with a zero byte more, which have one hash
    tokens = ["".join(letters) for size in (2, 3) for letters in itertools.product("abcdefghijklmnopqrstuv", repeat=size)]
    tokens = [beginning + token for beginning in ("xxxxxxxx", "yyyyyyyyyyyyyyyy") for token in tokens]
    tokens += ["ab", "ab\0", "ab\0\0", "abcdefgh", "abcdefgh\0", "abcdefg"]
    corpus = encode([" ".join(tokens)], tmp_path / "c", tokenizer="whitespace")
    assert corpus.words == tokens
    assert list(itertools.chain(*corpus.sentences())) == tokens


def test_every_length_of_a_chunk_around_a_multiple_of_eight_is_read_whole(tmp_path: Path) -> None:
    tokens = ["abcdefghijklmnopqrstuvwxyz"[:length] for length in range(1, 27)]
    assert words_of(encode([" ".join(tokens), ",".join(tokens[::-1])], tmp_path / "c")) == [tokens, tokens[::-1]]


def test_a_chunk_longer_than_the_table_is_one_token(tmp_path: Path) -> None:
    corpus = encode(["x" * 3_000_000 + " y"], tmp_path / "c")
    assert [len(word) for word in corpus.words] == [3_000_000, 1]


def test_a_sentence_without_end_is_cut_and_nothing_is_dropped(tmp_path: Path) -> None:
    corpus = encode(["a " * 25_000], tmp_path / "c")
    assert np.diff(corpus.starts).tolist() == [10_000, 10_000, 5_000]


@pytest.mark.parametrize("text", ["", " \n\n ", "... !!"])
def test_an_empty_corpus_is_refused_and_leaves_nothing_behind(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="holds no words"):
        encode([text], tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_corpus_of_one_word_is_a_corpus(tmp_path: Path) -> None:
    corpus = encode(["whale"], tmp_path / "c")
    assert (corpus.words, corpus.num_sentences) == (["whale"], 1)


def test_an_unknown_tokenizer_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tokenizer is 'spacy'; expected one of regex, whitespace, character"):
        encode(["a"], tmp_path / "c", tokenizer="spacy")


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    assert words_of(encode(["\ufeffCall me"], tmp_path / "c", tokenizer="whitespace")) == [["call", "me"]]


def test_a_block_of_one_long_chunk_among_many_short_ones_needs_no_huge_memory(tmp_path: Path) -> None:
    long = "鯨,".replace(",", "、") * 200_000  # one chunk for the scanner, of 200,000 tokens
    text = "a b c " * 200_000 + long
    corpus = encode([text], tmp_path / "c")
    assert len(corpus) == 800_000


@pytest.mark.parametrize("tokenizer", ["regex", "character", "whitespace"])
def test_full_stops_of_other_scripts_end_sentences_without_a_space(tmp_path: Path, tokenizer: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("我爱你。 你好吗？再见。\nवह गया।मैं आया।\n" * 2, encoding="utf-8")
    corpus = encode(path, tmp_path / "corpus", tokenizer=tokenizer, sentences="punctuation")
    sentences = [[corpus.words[i] for i in corpus.ids[a:b]] for a, b in zip(corpus.starts[:-1], corpus.starts[1:], strict=True)]
    if tokenizer == "regex":
        assert sentences[:5] == [["我爱你"], ["你好吗"], ["再见"], ["वह", "गया"], ["मैं", "आया"]]
    else:
        assert len(sentences) == (10 if tokenizer == "character" else 6)
