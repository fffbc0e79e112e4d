from __future__ import annotations

import numpy as np
import pytest
from reference.fasttext import train

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.subwords import SubwordTable, mean_rows, subword_buckets, subword_hash, subwords
from nlp_embeddings.models.fasttext import FastText, FastTextConfig
from nlp_embeddings.models.fasttext_kernels import WordRows, train_fasttext
from nlp_embeddings.training.sampling import alias_table, aligned_matrix, as_draws, keep_probability
from nlp_embeddings.training.stream import NO_TREE, SIX, Noise, Schedule, Stream
from rl_core.seeds import Seeds


def agent(budget: int = 120_000, **config: object) -> FastText:
    settings = {"vector_size": 20, "chunk_words": 20_000, "max_ngram": 6, **config}
    return FastText(FastTextConfig(**settings), CorpusTask(CorpusConfig()), None, seeds=Seeds(0), budget=budget)


def learned(**config: object) -> FastText:
    learner = agent(**config)
    while learner.progress < learner.budget:
        learner.step()
    return learner


def test_the_hash_has_the_golden_values_of_the_reference_program() -> None:
    golden = {"where": 90969176, "<wh": 1048167652, "é": 1023043777, "<naï": 785907692}
    assert {text: subword_hash(text) for text in golden} == golden


@pytest.mark.parametrize("word", ["where", "as", "a", "naïve", "кит", "鯨", "don't"])
def test_the_compiled_buckets_are_those_of_the_reference_hash(word: str) -> None:
    expected = [subword_hash(ngram) % 2_000_000 for ngram in subwords(word)]
    assert subword_buckets(word, 3, 6, 2_000_000).tolist() == expected


def test_short_words_have_the_ngrams_of_the_reference_program() -> None:
    assert subword_buckets("as", 3, 6, 2_000_000).tolist() == [1429031, 419163, 1039177]
    assert subword_buckets("a", 3, 6, 2_000_000).tolist() == [1087600]
    assert len(subwords("where")) == 14
    assert subwords("a", 1, 3) == ["<a", "<a>", "a", "a>"]


def test_hashes_and_ngrams_agree_with_gensim() -> None:
    from gensim.models import fasttext_inner as inner

    for word in ("where", "naïve", "кит", "a"):
        assert sorted(subword_buckets(word, 3, 6, 10_000)) == sorted(
            inner.ft_hash_bytes(ngram) % 10_000 for ngram in inner.compute_ngrams_bytes(word, 3, 6)
        )


def test_a_table_holds_each_words_own_row_and_its_buckets() -> None:
    table = SubwordTable(["as", "a"], 3, 6, 2_000_000)
    assert table.buckets.tolist() == sorted([1429031, 419163, 1039177, 1087600])
    assert table.rows[table.begins[1] : table.begins[2]].tolist() == [1, 2 + table.buckets.tolist().index(1087600)]
    assert table.rows_of_unknown("as").tolist() == table.rows[1 : table.begins[1]].tolist()
    assert table.rows_of_unknown("zzzzz").tolist() == []


def test_a_words_vector_is_the_mean_of_its_rows() -> None:
    table = SubwordTable(["whale", "as", "a"], 3, 6, 1000)
    matrix = np.random.default_rng(0).normal(size=(table.num_rows, 4)).astype(np.float32)
    expected = [matrix[table.rows[a:b]].mean(axis=0) for a, b in zip(table.begins, table.begins[1:], strict=False)]
    np.testing.assert_allclose(mean_rows(matrix, table), expected, atol=1e-6)


@pytest.mark.parametrize("cbow", [False, True])
@pytest.mark.parametrize("num_negatives", [1, 5])
def test_the_compiled_kernel_agrees_with_the_reference(cbow: bool, num_negatives: int) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(letters) for letters in rng.choice(list("abcdefghij"), (30, 6))]
    table = SubwordTable(words, 3, 4, 1_000_000)
    assert all(len(set(table.rows[a:b])) == b - a for a, b in zip(table.begins, table.begins[1:], strict=False))
    ids = rng.integers(-1, 32, 300).astype(np.int32)
    starts = np.array([0, 7, 8, 60, 300])
    counts = np.sort(rng.integers(5, 500, 30))[::-1]
    inputs, outputs = aligned_matrix(table.num_rows, 20), aligned_matrix(30 + SIX, 20)
    inputs[:, :20], outputs[:30, :20] = rng.normal(0, 0.3, (table.num_rows, 20)), rng.normal(0, 0.3, (30, 20))
    noise, keep = Noise(*alias_table(counts**0.75), num_negatives), as_draws(keep_probability(counts, 0.02))
    stream = Stream(ids, starts, keep, noise, NO_TREE, 4, Schedule(0.05, 1e-5, 100, 900), (7, 3))
    ours, theirs = (inputs.copy(), outputs.copy()), (inputs.copy(), outputs.copy())
    rows = WordRows(table.rows, table.begins)
    result = train_fasttext(stream, *ours, rows, cbow, None)
    assert tuple(result[:2]) == train(stream, *theirs, rows, cbow=cbow)
    if cbow:  # neighbours may share n-grams, whose rows then move twice; within a word all rows differ
        assert np.abs(ours[0] - theirs[0]).max() < 0.3 * np.abs(ours[0] - inputs).max()
    else:
        np.testing.assert_allclose(ours[0], theirs[0], atol=2e-5)
        np.testing.assert_allclose(ours[1], theirs[1], atol=2e-5)
    assert np.abs(ours[0] - inputs).max() > 0.01


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_a_run_continued_within_an_epoch_ends_with_the_same_bits(architecture: str) -> None:
    whole = learned(architecture=architecture)
    first = agent(architecture=architecture)
    for _ in range(2):
        first.step()
    second = agent(architecture=architecture)
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    while second.progress < second.budget:
        second.step()
    for key, value in whole.parameters().items():
        np.testing.assert_array_equal(second.parameters()[key], value)


def test_the_deterministic_mode_gives_the_same_bits_for_any_number_of_threads() -> None:
    one, two = (learned(budget=20_000, mode="deterministic", threads=threads) for threads in (1, 2))
    for key, value in one.parameters().items():
        np.testing.assert_array_equal(two.parameters()[key], value)


def test_an_unseen_word_is_near_the_words_that_it_looks_like() -> None:
    vectors = learned(budget=400_000, learning_rate=0.05).vectors
    assert "treasurez" not in vectors
    assert vectors.most_similar("treasurez", topn=3)[0][0].startswith("treasure")
    assert vectors.similarity("treasurez", "treasure") > 0.7


def test_a_word_that_shares_no_letters_is_unknown() -> None:
    with pytest.raises(KeyError, match="the word '鯨鯨鯨' has no vector"):
        learned(budget=10_000).vectors.get_vector("鯨鯨鯨")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_ngram": 2}, "max_ngram is 2; it must be at least min_ngram, 3"),
        ({"buckets": 0}, r"buckets is 0; it must be in \[1, "),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FastTextConfig(**change)
