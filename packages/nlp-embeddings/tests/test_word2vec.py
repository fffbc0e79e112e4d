from __future__ import annotations

import itertools
from pathlib import Path

import numba
import numpy as np
import pytest
from reference.word2vec import logistic_gradient, logistic_loss, train

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.reader import WordReader
from nlp_embeddings.models import word2vec
from nlp_embeddings.models.softmax import softmax_gradient, softmax_loss
from nlp_embeddings.models.word2vec import Word2Vec, Word2VecConfig
from nlp_embeddings.models.word2vec_kernels import train_cbow, train_skip_gram
from nlp_embeddings.training.row_instructions import plain_products, plain_step_rows, row_products, row_steps
from nlp_embeddings.training.sampling import alias_table, aligned_matrix, as_draws, huffman_tree, keep_probability
from nlp_embeddings.training.shards import split_sentences_evenly
from nlp_embeddings.training.stream import NO_TREE, SIX, Noise, Schedule, Stream
from rl_core import memory
from rl_core.errors import RequestError
from rl_core.seeds import Seeds


def agent(task: CorpusTask | None = None, seed: int = 0, budget: int = 120_000, **config: object) -> Word2Vec:
    settings = {"vector_size": 20, "chunk_words": 20_000, **config}
    return Word2Vec(Word2VecConfig(**settings), task or CorpusTask(CorpusConfig()), None, seeds=Seeds(seed), budget=budget)


def learned(**config: object) -> Word2Vec:
    learner = agent(**config)
    while learner.progress < learner.budget:
        learner.step()
    return learner


def small_problem(vector_size: int = 20, num_words: int = 30) -> tuple:
    rng = np.random.default_rng(0)
    ids = rng.integers(-1, num_words + 2, 400).astype(np.int32)
    starts = np.array([0, 7, 8, 60, 61, 200, 400])
    counts = np.sort(rng.integers(5, 500, num_words))[::-1]
    inputs, outputs = aligned_matrix(num_words, vector_size), aligned_matrix(num_words + SIX, vector_size)
    inputs[:, :vector_size] = rng.normal(0, 0.3, (num_words, vector_size))
    outputs[:num_words, :vector_size] = rng.normal(0, 0.3, (num_words, vector_size))
    return ids, starts, counts, inputs, outputs


@pytest.mark.parametrize("vector_size", [1, 50])
@pytest.mark.parametrize("num_negatives", [5, 8, 13])
@pytest.mark.parametrize("loss", ["negative", "shared", "hierarchical"])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow", "classic cbow"])
def test_the_compiled_kernel_agrees_with_the_reference(vector_size, num_negatives, loss, architecture) -> None:
    ids, starts, counts, inputs, outputs = small_problem(vector_size)
    noise = Noise(*alias_table(counts**0.75), num_negatives)
    tree = huffman_tree(counts) if loss == "hierarchical" else NO_TREE
    keep, schedule = as_draws(keep_probability(counts, 0.02)), Schedule(0.1, 1e-5, 100, 900)
    stream = Stream(ids, starts, keep, noise, tree, 4, schedule, (7, 3))
    ours, theirs = (inputs.copy(), outputs.copy()), (inputs.copy(), outputs.copy())
    if architecture == "skip-gram":
        result = train_skip_gram(stream, *ours, loss == "shared", None)
    else:
        result = train_cbow(stream, *ours, architecture == "cbow", None)
    rule = {"skip-gram": "skip-gram", "cbow": "mean", "classic cbow": "classic"}[architecture]
    expected = train(stream, *theirs, rule=rule, share_negatives=loss == "shared")
    assert tuple(result[:2]) == expected[:2]
    assert result[1] > 200
    np.testing.assert_allclose(ours[0], theirs[0], atol=2e-5)
    np.testing.assert_allclose(ours[1][:-SIX], theirs[1][:-SIX], atol=2e-5)
    assert (ours[1][-SIX:] == 0).all()
    assert np.abs(ours[0] - inputs).max() > 0.01


@numba.njit
def step_by_rows(hidden, output, targets, sizes, found):
    row_products(hidden, 1, output, targets, 2, found, 4)
    row_steps(hidden, 1, output, targets, 2, sizes, 4)


@numba.njit
def step_by_loops(hidden, output, targets, sizes, found):
    plain_products(hidden, 1, output, targets, 2, found, 4)
    plain_step_rows(hidden, 1, output, targets, 2, sizes, 4)


@pytest.mark.parametrize("step", [step_by_rows, step_by_loops])
@pytest.mark.parametrize("vector_size", [16, 48])
def test_a_step_on_rows_moves_each_by_the_others_as_they_were_and_no_other_row(vector_size: int, step) -> None:
    rng = np.random.default_rng(4)
    hidden, output = rng.normal(size=(3, vector_size)).astype(np.float32), rng.normal(size=(9, vector_size)).astype(np.float32)
    targets, sizes, found = np.array([0, 1, 7, 3, 8, 5, 2, 4]), np.array([0.5, -1, 2, 0.25], dtype=np.float32), np.zeros(4, np.float32)
    rows = targets[2:6]
    expected_hidden, expected_output = hidden.copy(), output.copy()
    expected_hidden[1] += sizes @ output[rows]
    expected_output[rows] += np.outer(sizes, hidden[1])
    expected_found = output[rows] @ hidden[1]
    step(hidden, output, targets, sizes, found)
    np.testing.assert_allclose(found, expected_found, atol=1e-4)
    np.testing.assert_allclose(hidden, expected_hidden, atol=1e-5)
    np.testing.assert_allclose(output, expected_output, atol=1e-5)


def numeric_gradient(function, point: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        for sign in (1, -1):
            moved = point.copy()
            moved[index] += sign * 1e-6
            gradient[index] += sign * function(moved) / 2e-6
    return gradient


def test_the_gradient_of_negative_sampling_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(1)
    hidden, targets, labels = rng.normal(size=5), rng.normal(size=(4, 5)), np.array([1.0, 0, 0, 1])
    by_hidden, by_targets = logistic_gradient(hidden, targets, labels)
    np.testing.assert_allclose(by_hidden, numeric_gradient(lambda h: logistic_loss(h, targets, labels), hidden), atol=1e-6)
    np.testing.assert_allclose(by_targets, numeric_gradient(lambda t: logistic_loss(hidden, t, labels), targets), atol=1e-6)


def test_the_gradient_of_the_softmax_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(2)
    hidden, outputs = rng.normal(size=5), rng.normal(size=(7, 5))
    by_hidden, by_outputs = softmax_gradient(hidden, outputs, 3)
    np.testing.assert_allclose(by_hidden, numeric_gradient(lambda h: softmax_loss(h, outputs, 3), hidden), atol=1e-6)
    np.testing.assert_allclose(by_outputs, numeric_gradient(lambda o: softmax_loss(hidden, o, 3), outputs), atol=1e-6)


@pytest.mark.parametrize("divide", [True, False])
def test_cbows_corrected_step_is_the_gradient_of_its_loss_and_the_classic_one_is_that_times_the_number_of_context_words(divide) -> None:
    ids, starts = np.array([0, 1, 2], dtype=np.int32), np.array([0, 3])
    rng = np.random.default_rng(3)
    counts = np.array([3, 2, 1])
    inputs, outputs = aligned_matrix(3, 4), aligned_matrix(3 + SIX, 4)
    inputs[:, :4], outputs[:3, :4] = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    tree = huffman_tree(counts)
    before = inputs[:, :4].astype(np.float64)
    noise, schedule = Noise(*alias_table(np.ones(3)), 1), Schedule(1e-3, 1e-3, 0, 10)
    stream = Stream(ids, starts, as_draws(np.ones(3)), noise, tree, 1, schedule, (0, 0))

    def loss(words: np.ndarray) -> float:
        path = tree[1][tree[2][1] : tree[2][2]]
        labels = 1.0 - tree[0][tree[2][1] : tree[2][2]]
        return logistic_loss((words[0] + words[2]) / 2, outputs[path, :4].astype(np.float64), labels)

    expected = -1e-3 * numeric_gradient(loss, before)
    # a window of 1: the middle word has both others as context; the outer words' own windows come first and last, so they are undone
    only_middle = outputs.copy(), inputs.copy()
    train_cbow(stream, only_middle[1], only_middle[0], divide, None)
    rest = outputs.copy(), inputs.copy()
    train(stream, rest[1], rest[0], rule="mean" if divide else "classic")
    np.testing.assert_allclose(only_middle[1], rest[1], atol=1e-7)
    outer = np.zeros((3, 4))
    for centre in (0, 2):
        path = tree[1][tree[2][centre] : tree[2][centre + 1]]
        labels = 1.0 - tree[0][tree[2][centre] : tree[2][centre + 1]]
        outer[1] -= 1e-3 * logistic_gradient(before[1], outputs[path, :4].astype(np.float64), labels)[0]
    moved = only_middle[1][:, :4] - before - outer
    np.testing.assert_allclose(moved, expected * (1 if divide else 2), atol=5e-6)


def test_no_two_chunks_of_any_round_have_one_number() -> None:
    reader, numbers = WordReader(CorpusTask(CorpusConfig()), 5_000), []
    while reader.epoch < 3:
        numbers.append(reader.chunk()[2])
    assert len(set(numbers)) == len(numbers)


def test_the_alias_table_draws_each_word_by_its_weight() -> None:
    weights = np.array([5.0, 1.0, 3.0, 0.0, 1.0])
    threshold, alias = alias_table(weights)
    share = np.zeros(5)
    for column in range(5):
        stay = threshold[column] / 2**32
        share[column] += stay / 5
        share[alias[column]] += (1 - stay) / 5
    np.testing.assert_allclose(share, weights / weights.sum(), atol=1e-8)


def test_the_huffman_tree_has_the_shortest_codes_and_no_code_begins_another() -> None:
    counts = np.array([45, 16, 13, 12, 9, 5])  # the textbook's example: 224 bits
    codes, _, starts = huffman_tree(counts)
    texts = ["".join(map(str, codes[a:b])) for a, b in itertools.pairwise(starts)]
    assert sum(count * len(text) for count, text in zip(counts, texts, strict=True)) == 224
    assert not any(a != b and b.startswith(a) for a in texts for b in texts)


def test_subsampling_keeps_what_its_formula_says() -> None:
    np.testing.assert_allclose(keep_probability(np.array([9000, 1000]), 1e-1), [np.sqrt(1 / 9) + 1 / 9, 1.0])
    assert (keep_probability(np.array([9000, 1000]), 0) == 1).all()


SETTINGS = {
    "skip-gram": {},
    "window negatives": {"negatives": "window"},
    "cbow": {"architecture": "cbow"},
    "hierarchical": {"loss": "hierarchical"},
    "cbow hierarchical": {"architecture": "cbow", "loss": "hierarchical"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_continued_within_an_epoch_ends_with_the_same_bits(name: str) -> None:
    whole = learned(**SETTINGS[name])
    first = agent(**SETTINGS[name])
    for _ in range(2):
        first.step()
    second = agent(**SETTINGS[name])
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    assert 0 < second.reader.sentence < second.task.corpus.num_sentences
    while second.progress < second.budget:
        second.step()
    for key, value in whole.parameters().items():
        np.testing.assert_array_equal(second.parameters()[key], value)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_deterministic_mode_gives_the_same_bits_for_any_number_of_threads(name: str) -> None:
    runs = [learned(budget=30_000, mode="deterministic", threads=threads, **SETTINGS[name]) for threads in (1, 2, 3)]
    for run in runs[1:]:
        for key, value in runs[0].parameters().items():
            np.testing.assert_array_equal(run.parameters()[key], value)


def test_a_seed_reproduces_and_another_differs() -> None:
    first, again, other = (learned(budget=30_000, seed=seed).vectors.vectors for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize("mode", ["fast", "deterministic"])
def test_threads_and_shards_learn_as_well_as_one_thread(mode: str) -> None:
    alone = learned(budget=650_000, learning_rate=0.1)
    many = learned(budget=650_000, learning_rate=0.1, threads=2, mode=mode)
    ours, theirs = (run.evaluate(episodes=1, seeds=Seeds(0))["mean reciprocal rank"] for run in (many, alone))
    assert ours > 0.75 * theirs > 0.03


def planted_corpus(folder: Path) -> CorpusTask:
    """Words a0..a9 keep company with one another, b0..b9 likewise."""
    rng = np.random.default_rng(0)
    lines = [" ".join(f"{'ab'[number % 2]}{k}" for k in rng.integers(0, 10, 12)) for number in range(1500)]
    path = folder / "planted.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return CorpusTask(CorpusConfig(path=str(path), sentences="line"))


@pytest.mark.parametrize("name", [*SETTINGS, "softmax"])
def test_words_that_keep_company_come_near_each_other(tmp_path: Path, name: str) -> None:
    config = {"loss": "softmax"} if name == "softmax" else SETTINGS[name]
    task = planted_corpus(tmp_path)
    budget = 20_000 if name == "softmax" else 50_000
    learner = agent(task, budget=budget, learning_rate=0.1, subsample=0.0, chunk_words=5_000, **config)
    while learner.progress < learner.budget:
        loss = learner.step()["loss"]
    assert np.isfinite(loss)
    vectors = learner.vectors
    assert {word[0] for word, _ in vectors.most_similar("a0", topn=9)} == {"a"}
    assert {word[0] for word, _ in vectors.most_similar("b3", topn=9)} == {"b"}


def test_sentences_are_split_into_parts_of_about_as_many_words() -> None:
    parts = split_sentences_evenly(np.arange(0, 1001, 10), 3)
    assert parts == [(0, 34), (34, 67), (67, 100)]
    assert split_sentences_evenly(np.array([0, 100]), 4) == [(0, 1)]


def test_answers_are_words_numbers_passages_and_groups() -> None:
    learner = learned(budget=650_000, learning_rate=0.1)
    assert learner.answer("captain")[0][0] != "captain"
    assert len(learner.answer("doctor - captain + squire")) == 10
    assert -1 <= learner.answer("ship ~ sea") <= 1
    assert learner.answer("odd: captain doctor squire island") in {"captain", "doctor", "squire", "island"}
    assert "passage" in learner.answer("search: the treasure was buried")[0]
    groups = learner.answer("clusters: 3")
    assert sum(group["passages"] for group in groups) == len(learner.task.passages) - 1


def test_an_unknown_word_is_named_with_the_nearest_known_ones() -> None:
    learner = learned(budget=10_000)
    with pytest.raises(KeyError, match="the word 'captian' has no vector; near it are captain"):
        learner.vectors.get_vector("captian")
    assert learner.answer("captian")["unknown"] == "captian"
    assert "captain" in learner.answer("captian - ship")["nearest"]


def test_the_map_is_drawn(tmp_path: Path) -> None:
    learned(budget=10_000).draw(tmp_path)
    assert (tmp_path / "words.png").read_bytes()[:4] == b"\x89PNG"


def test_a_text_of_unknown_words_is_the_zero_vector() -> None:
    vectors = learned(budget=10_000).predict(np.array(["zzz qqq", "captain"], dtype=object))
    assert (vectors[0] == 0).all()
    assert (vectors[1] != 0).any()


@pytest.mark.parametrize(("text", "config"), [("whale", {}), ("a b c d e", {}), ("a a a a a a", {"min_count": 1})])
def test_a_corpus_that_leaves_fewer_than_two_words_is_refused(tmp_path: Path, text: str, config: dict) -> None:
    path = tmp_path / "t.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="at least two are needed"):
        agent(CorpusTask(CorpusConfig(path=str(path))), **config)


def test_a_run_is_not_continued_on_a_changed_corpus(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a b c. " * 100)
    first = agent(CorpusTask(CorpusConfig(path=str(path))))
    first.step()
    path.write_text("a b d. " * 100)
    second = agent(CorpusTask(CorpusConfig(path=str(path))))
    second.load_state_dict(first.state_dict())
    with pytest.raises(RequestError, match="has changed since the run was saved"):
        second.step()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector_size": 0}, r"vector_size is 0; it must be in \[1, "),
        ({"window": 0}, r"window is 0; it must be in \[1, "),
        ({"threads": 0}, r"threads is 0; it must be in \[1, "),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be > 0"),
        ({"subsample": -1.0}, "subsample is -1.0; it must be >= 0"),
        ({"noise_exponent": 2.0}, r"noise_exponent is 2.0; it must be in \[0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Word2VecConfig(**change)


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_steps_of_the_full_softmax_are_short_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str) -> None:
    task = planted_corpus(tmp_path)
    config = {"loss": "softmax", "architecture": architecture, "chunk_words": 300, "vector_size": 8}
    whole = agent(task, **config)
    for _ in range(3):
        whole.step()
    monkeypatch.setattr(word2vec, "SOFTMAX_WORK", 20 * 16 * 7)  # seven pairs
    parts, steps = agent(task, **config), 0
    while parts.progress < whole.progress:
        before = parts.progress
        pairs = parts.step()["pairs"]
        steps += 1
        assert parts.progress > before or pairs == 7  # a pair after the other, also within a window
        assert pairs <= 7
        if steps % 5 == 0:  # killed and continued within a chunk, within a sentence
            again = agent(task, **config)
            again.load_state_dict(parts.state_dict())
            again.progress = parts.progress
            parts = again
    assert steps > 20
    assert parts.progress == whole.progress
    for key, value in whole.parameters().items():
        np.testing.assert_array_equal(parts.parameters()[key], value)


def test_a_step_without_a_known_word_goes_on_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("rare one\nseldom two\na b a b\n" + "once more\nagain\n" * 3 + "a b a b\n" * 3)
    learner = agent(CorpusTask(CorpusConfig(path=str(path), sentences="line")), chunk_words=1, budget=100)
    for _ in range(20):
        before = learner.progress
        learner.step()
        assert learner.progress > before


def test_settings_that_make_a_step_long_make_it_of_fewer_words() -> None:
    assert agent(chunk_words=100_000).reader.chunk_words == 100_000
    assert agent(chunk_words=100_000, window=1000, vector_size=2000).reader.chunk_words == 833


def test_unknown_words_of_a_question_are_named() -> None:
    learner = learned(budget=10_000)
    assert learner.answer("odd: ship qqqq zzzz captain") == {"odd": learner.answer("odd: ship captain"), "unknown": ["qqqq", "zzzz"]}
    assert learner.answer("odd: ship qqqq zzzz") == {"odd": None, "unknown": ["qqqq", "zzzz"]}
    assert learner.answer("search: qqqq zzzz") == {"unknown": ["qqqq", "zzzz"]}
    assert learner.answer("ship ~ qqqq")["unknown"] == "qqqq"


def test_a_model_larger_than_the_memory_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000_000)
    agent(vector_size=100)
    with pytest.raises(
        ValueError, match=r"vectors of [\d,]+ words and 50,000 dimensions take [\d.]+ MiB; 9\.5 MiB of memory are available: lower"
    ):
        agent(vector_size=50_000)
