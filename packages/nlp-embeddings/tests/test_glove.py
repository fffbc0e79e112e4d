from __future__ import annotations

import tracemalloc
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from reference.glove import glove_gradient, glove_loss, glove_weight, train

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.models.cooccurrence import ENTRY, count_cooccurrences, merge_runs
from nlp_embeddings.models.glove import GROUPS, GloVe, GloVeConfig, rounds_of_groups
from nlp_embeddings.models.glove_kernels import Pairs, Rates, Weights, train_glove
from rl_core.errors import RequestError
from rl_core.seeds import Seeds


def agent(task: CorpusTask | None = None, **config: object) -> GloVe:
    settings = {"vector_size": 10, **config}
    return GloVe(GloVeConfig(**settings), task or CorpusTask(CorpusConfig()), None, seeds=Seeds(0), budget=10**9)


def learn_rounds(learner: GloVe, rounds: int) -> float:
    """Mean loss over the pairs of the last of so many rounds over all pairs."""
    for epoch in range(learner.epoch, learner.epoch + rounds):
        steps = []
        while learner.epoch == epoch:
            steps.append(learner.step())
    return sum(step["loss"] * step["pairs"] for step in steps) / sum(step["pairs"] for step in steps)


def test_counting_agrees_with_counting_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a b a rare c\nb b\n")
    task = CorpusTask(CorpusConfig(path=str(path), sentences="line"))
    number = {word: index for index, word in enumerate(task.corpus.words)}
    assert [number["a"], number["b"]] == [1, 0]
    entries = count_cooccurrences(task, len(number) - 2, 2, tmp_path / "x")  # a and b only; the window closes over the others
    found = {(int(e["key"]) // 2, int(e["key"]) % 2): float(e["weight"]) for e in entries}
    assert found == {(0, 1): 2.0, (1, 1): 1.0, (0, 0): 2.0}  # a-b 1 + 1, a-a 1/2 in both directions, b-b 1 in both


def brute_force(task: CorpusTask, num_words: int, window: int) -> dict[tuple[int, int], float]:
    counts: dict[tuple[int, int], float] = defaultdict(float)
    starts = task.corpus.starts
    for a, b in pairwise(starts):
        kept = [int(word) for word in task.read(int(a), int(b)) if 0 <= word < num_words]
        for right in range(len(kept)):
            for left in range(max(0, right - window), right):
                pair = tuple(sorted((kept[left], kept[right])))
                counts[pair] += (2 if pair[0] == pair[1] else 1) / (right - left)
    return counts


@pytest.mark.parametrize("memory_mb", [0, 64])
def test_counts_spilled_to_disk_and_merged_are_those_counted_in_memory(tmp_path: Path, memory_mb: int) -> None:
    task = CorpusTask(CorpusConfig())
    num_words = 2000
    entries = count_cooccurrences(task, num_words, 5, tmp_path / "x", memory_mb=memory_mb)
    expected = brute_force(task, num_words, 5)
    keys = np.asarray(entries["key"])
    assert (np.diff(keys) > 0).all()
    assert len(keys) == len(expected)
    ours = dict(zip(zip((keys // num_words).tolist(), (keys % num_words).tolist(), strict=True), entries["weight"].tolist(), strict=True))
    assert ours == pytest.approx(expected)
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == [".lock", "cooccurrence.bin", "cooccurrence.sum"]


def test_counting_keeps_to_its_memory_when_it_spills(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    words = np.random.default_rng(0).integers(0, 20_000, (10_000, 20))  # almost every pair is another one: the table fills twice
    path.write_text("\n".join(" ".join(f"w{word}" for word in line) for line in words))
    task = CorpusTask(CorpusConfig(path=str(path), sentences="line"))
    num_words = len(task.corpus.words)
    count_cooccurrences(task, num_words, 1, tmp_path / "warm-up")  # compiling takes memory of its own
    tracemalloc.start()
    entries = count_cooccurrences(task, num_words, 5, tmp_path / "x", memory_mb=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(entries) > 2 * 0.7 * (1 << 19)
    assert peak < 16 << 20


@pytest.mark.parametrize("window", [1, 3, 100])
def test_merging_adds_equal_keys_whatever_is_held_at_a_time(window: int) -> None:
    rng = np.random.default_rng(0)
    runs, total = [], defaultdict(float)
    for size in (50, 1, 80):
        run = np.zeros(size, dtype=ENTRY)
        run["key"], run["weight"] = np.sort(rng.choice(100, size, replace=False)), rng.random(size)
        runs.append(run)
        for key, weight in run:
            total[int(key)] += float(weight)
    merged = np.concatenate(list(merge_runs(runs, window)))
    assert dict(zip(merged["key"].tolist(), merged["weight"].tolist(), strict=True)) == pytest.approx(total)
    assert (np.diff(merged["key"]) > 0).all()


def test_the_compiled_kernel_agrees_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 12, (2, 200))
    rows, columns = np.minimum(first, second).astype(np.int32), np.maximum(first, second).astype(np.int32)
    counts = rng.gamma(1.0, 8.0, 200).astype(np.float32) + 0.1
    start = [rng.normal(0, 0.5, (12, 6)).astype(np.float32) for _ in range(2)] + [np.ones((12, 6), dtype=np.float32) for _ in range(2)]
    ours, theirs = [a.copy() for a in start], [a.astype(np.float64) for a in start]
    pairs, rates = Pairs(rows, columns, counts), Rates(10.0, 0.75, np.float32(0.05), np.float32(0.8))
    loss = train_glove(pairs, Weights(*ours), rates)
    expected = train(pairs, Weights(*theirs), rates)
    assert loss == pytest.approx(expected, rel=1e-4)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(1)
    word, context = rng.normal(size=4), rng.normal(size=4)
    by_word, by_context, by_bias = glove_gradient(word, context, 0.1, 0.2, 3.0, 0.7)
    for k in range(4):
        bump = np.eye(4)[k] * 1e-6
        assert by_word[k] == pytest.approx(
            (glove_loss(word + bump, context, 0.1, 0.2, 3.0, 0.7) - glove_loss(word - bump, context, 0.1, 0.2, 3.0, 0.7)) / 2e-6, abs=1e-6
        )
        assert by_context[k] == pytest.approx(
            (glove_loss(word, context + bump, 0.1, 0.2, 3.0, 0.7) - glove_loss(word, context - bump, 0.1, 0.2, 3.0, 0.7)) / 2e-6, abs=1e-6
        )
    for biases in ((1e-6, 0.0), (0.0, 1e-6)):
        up = glove_loss(word, context, 0.1 + biases[0], 0.2 + biases[1], 3.0, 0.7)
        down = glove_loss(word, context, 0.1 - biases[0], 0.2 - biases[1], 3.0, 0.7)
        assert by_bias == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_frequent_pairs_weigh_one_and_rare_ones_less() -> None:
    np.testing.assert_allclose(glove_weight(np.array([0.625, 10.0, 1000.0]), 10.0), [0.125, 1.0, 1.0])


def test_rounds_hold_every_pair_of_groups_once_and_no_group_twice_in_a_round() -> None:
    rounds = rounds_of_groups(GROUPS)
    for together in rounds[1:]:
        groups = [group for pair in together for group in pair]
        assert len(set(groups)) == len(groups)
    assert sorted(pair for together in rounds for pair in together) == sorted(
        [*combinations(range(GROUPS), 2), *((g, g) for g in range(GROUPS))]
    )


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    one, many = agent(), agent(threads=threads)
    assert learn_rounds(one, 2) == pytest.approx(learn_rounds(many, 2), rel=1e-12)
    for name, weights in one.weights.items():
        np.testing.assert_array_equal(many.weights[name], weights)


def test_a_round_goes_through_every_pair_once_and_is_the_whole_corpus_once() -> None:
    learner = agent()
    steps = [learner.step()["pairs"]]
    while learner.epoch == 0:
        steps.append(learner.step()["pairs"])
    number = len(learner.vocabulary.words)
    expected = count_cooccurrences(learner.task, number, 10, learner.task.corpus.folder / "again")
    assert sum(steps) == len(expected)
    assert len(steps) > 20  # there are so many points at which a run can be cut
    assert learner.progress == learner.vocabulary.counts.sum()


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_run_cut_anywhere_in_a_round_ends_with_the_same_bits(cut: int) -> None:
    whole, first, second = agent(), agent(), agent()
    for _ in range(45):
        whole.step()
    for _ in range(cut):
        first.step()
    assert first.part > 0
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    for _ in range(45 - cut):
        second.step()
    assert (second.progress, second.epoch, second.part) == (whole.progress, whole.epoch, whole.part)
    for name, weights in whole.weights.items():
        np.testing.assert_array_equal(second.weights[name], weights)


def test_a_text_of_few_words_makes_progress_with_every_step(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(" ".join(f"w{n}" for n in range(12)))
    learner = agent(CorpusTask(CorpusConfig(path=str(path))), min_count=1)
    reached = [learner.step() and learner.progress for _ in range(30)]
    assert (np.diff([0, *reached]) > 0).all()


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


def test_biases_step_by_a_rate_of_their_own() -> None:
    words, contexts = np.zeros((2, 3), dtype=np.float32), np.zeros((2, 3), dtype=np.float32)
    squares = [np.ones((2, 3), dtype=np.float32) for _ in range(2)]
    pair = (np.array([0], dtype=np.int32), np.array([1], dtype=np.int32), np.array([np.e], dtype=np.float32))
    loss = train_glove(Pairs(*pair), Weights(words, contexts, *squares), Rates(1.0, 0.75, np.float32(0.05), np.float32(0.5)))
    assert loss == pytest.approx(1.0)  # both directions are 1 away from log e
    np.testing.assert_allclose(words, [[0, 0, 0.5], [0, 0, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(contexts, words, rtol=1e-6)
    np.testing.assert_allclose(squares[0][:, -1], 1.25, rtol=1e-6)


def test_products_of_vectors_become_the_logarithms_of_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "planted.txt"
    path.write_text("\n".join(" ".join(f"{'ab'[n % 2]}{k}" for k in rng.integers(0, 10, 12)) for n in range(1500)))
    learner = agent(CorpusTask(CorpusConfig(path=str(path), sentences="line")))
    first = learn_rounds(learner, 1)
    assert learn_rounds(learner, 29) < 0.05 * first
    words, contexts = learner.weights["words"], learner.weights["contexts"]
    number = learner.vocabulary.number
    pairs = [(number["a0"], number["a1"]), (number["b2"], number["b5"])]
    predicted = [float(words[i, :-1] @ contexts[j, :-1] + words[i, -1] + contexts[j, -1]) for i, j in pairs]
    exact = brute_force(learner.task, 20, 10)
    np.testing.assert_allclose(predicted, [np.log(exact[tuple(sorted(pair))]) for pair in pairs], atol=0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 0}, r"window is 0; it must be in \[1, "),
        ({"memory_mb": 1}, r"memory_mb is 1; it must be in \[16, "),
        ({"x_max": 0.0}, "x_max is 0.0; it must be > 0"),
        ({"bias_learning_rate": 0.0}, "bias_learning_rate is 0.0; it must be > 0"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GloVeConfig(**change)
