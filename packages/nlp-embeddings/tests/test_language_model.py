from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.language_model.ngram import NGramConfig, NGramModel, discounts
from nlp_embeddings.language_model.task import LanguageConfig, LanguageTask
from rl_core.seeds import Seeds


def learned(task: LanguageTask, **config: object) -> NGramModel:
    agent = NGramModel(NGramConfig(**config), task, None, seeds=Seeds(0), budget=config["order"])
    while not agent.finished:
        agent.step()
    return agent


def kneser_ney(lines: list[list[int]], order: int, size: int):
    """The model of the paper in dictionaries: p(w | history). Tokens below 0 begin a line and are not predicted."""
    levels = []
    for n in range(1, order + 1):
        grams = [
            ((line[i - n] if i >= n else (number, i)), tuple(line[i - n + 1 : i]), line[i])
            for number, line in enumerate(lines)
            for i in range(n - 1, len(line))
            if line[i] >= 0
        ]
        counts: Counter = Counter((h, w) for _, h, w in (grams if n == order else set(grams)))
        levels.append((counts, discounts(np.array(list(counts.values())))))

    def p(history: tuple[int, ...], token: int) -> float:
        value = 1 / size
        for n, (counts, taken) in enumerate(levels[: len(history) + 1], start=1):
            h = history[len(history) - n + 1 :] if n > 1 else ()
            total, left, own = 0, 0.0, 0.0
            for (other, w), count in counts.items():
                if other == h:
                    total += count
                    left += taken[min(count, 3)]
                    own += (count - taken[min(count, 3)]) * (w == token)
            value = own / total + left / total * value if total else value
        return value

    return p


def test_probabilities_are_those_of_the_paper_and_sum_to_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "a.txt").write_text("".join(rng.choice(list("aab b\nc"), 300)))
    task = LanguageTask(LanguageConfig(file=str(tmp_path / "a.txt")))
    agent = learned(task, order=3)
    reference = kneser_ney([task.text("train").tolist()], 3, len(task.vocabulary) - 1)
    test = task.text("test")[:25]
    ours = agent.next_token(test)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, atol=1e-12)
    for place in range(len(test)):
        assert ours[place, test[place]] == pytest.approx(reference(tuple(test[:place].tolist()), int(test[place])), abs=1e-12)
    np.testing.assert_allclose(np.exp(agent.log_probabilities(test)), ours[np.arange(len(test)), test], atol=1e-12)


def test_lines_by_themselves_have_the_probabilities_of_padded_sentences(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [" ".join(rng.choice(list("abcd"), rng.integers(0, 5))) for _ in range(60)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "b.txt").write_text("a b e a\n\nd\n")
    files = {"file": str(tmp_path / "a.txt"), "test": str(tmp_path / "b.txt"), "validation": str(tmp_path / "b.txt")}
    task = LanguageTask(LanguageConfig(**files, token="whitespace", lines=True))
    agent = learned(task, order=4)
    number = task.number_of
    reference = kneser_ney([[-1, *(number[w] for w in line.split()), number["<eos>"]] for line in lines], 4, len(task.vocabulary) - 1)
    wanted = []
    for line in ("a b e a", "", "d"):
        padded = [-1, *(number.get(w, 1) for w in line.split()), number["<eos>"]]
        wanted += [reference(tuple(padded[max(i - 3, 0) : i]), padded[i]) for i in range(1, len(padded))]
    np.testing.assert_allclose(np.exp(agent.log_probabilities(task.text("test"))), wanted, atol=1e-12)
    np.testing.assert_allclose(agent.next_token(task.text("test")).sum(axis=1), 1.0, atol=1e-12)
    metrics = agent.evaluate(episodes=1, seeds=Seeds(0))
    assert metrics["perplexity"] == pytest.approx(np.exp(-np.mean(np.log(wanted))))
    assert learned(task, order=9).evaluate(episodes=1, seeds=Seeds(0))["perplexity"] > 1  # no line is that long


def test_each_token_has_the_probability_that_kenlm_gives_it(tmp_path: Path) -> None:
    """Numbers of `lmplz -o 3 --discount_fallback` and `query`, log10 in single precision; "bird" is unknown, ends of lines count."""
    (tmp_path / "a.txt").write_text("the cat sat\nthe cat sat on the mat\nthe dog sat\na dog ran\n\nthe mat\n")
    (tmp_path / "b.txt").write_text("the cat ran\na bird sat\n")
    files = {"file": str(tmp_path / "a.txt"), "test": str(tmp_path / "b.txt"), "validation": str(tmp_path / "b.txt")}
    task = LanguageTask(LanguageConfig(**files, token="whitespace", lines=True))
    agent = learned(task, order=3)
    theirs = [-0.33358604, -0.47820836, -1.6989701, -0.21704987, -0.9330532, -1.9330533, -0.94564235, -0.35654733]
    np.testing.assert_allclose(agent.log_probabilities(task.text("test")) / np.log(10), theirs, atol=2e-7)
    metrics = agent.evaluate(episodes=1, seeds=Seeds(0))
    assert metrics["perplexity"] == pytest.approx(10 ** ((2.7278144 + 4.1682963) / 8), rel=1e-6)


def test_the_markov_text_is_guessed_as_well_as_possible() -> None:
    task = LanguageTask(LanguageConfig())
    result = learned(task, order=3).evaluate(episodes=1, seeds=Seeds(0))
    assert result["accuracy"] >= task.target
    assert result["perplexity"] == pytest.approx(np.exp(result["nats a character"]))


def test_a_text_of_one_symbol_is_certain(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 400)
    task = LanguageTask(LanguageConfig(file=str(tmp_path / "a.txt"), temperature=0.0, written=5))
    assert learned(task, order=4).answer("aa") == "aaaaaaa"


def test_a_text_that_leaves_no_token_to_guess_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world\n")
    with pytest.raises(ValueError, match="leaves one token for the test split"):
        LanguageTask(LanguageConfig(file=str(tmp_path / "a.txt")))


def test_words_of_a_text_and_the_ends_of_lines_are_tokens(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat\nthe dog sat\n" * 30)
    task = LanguageTask(LanguageConfig(file=str(tmp_path / "a.txt"), token="word", length=4, temperature=0.0, written=2))
    inputs, targets = task.read("train", np.array([0]))
    assert task.text_of(inputs[0]) == "the cat sat \n"
    assert task.text_of(targets[0]) == "cat sat \n the"
    counts = defaultdict(int, Counter(task.examples["train"]))
    assert counts["<eos>"] == counts["sat"]
    assert learned(task, order=3).answer("sat").split() == ["sat", "the"]


def test_what_follows_does_not_depend_on_how_much_stands_in_front(tmp_path: Path) -> None:
    """The model of n tokens sees the last n - 1 only, and the begin of a line where the text has one."""
    (tmp_path / "a.txt").write_text("the cat sat\nthe dog ran\n" * 30)
    options = {"file": str(tmp_path / "a.txt"), "token": "whitespace", "lines": True, "temperature": 0.0, "written": 3}
    agent = learned(LanguageTask(LanguageConfig(**options)), order=3)
    assert agent.answer("the cat sat \n the dog").endswith(" dog ran \n the")
    assert agent.answer("the dog") == "the dog ran \n the"


def test_a_network_writes_texts(tmp_path: Path) -> None:
    """Its inputs are the last tokens, without padding; the answers are those of beams and draws over its scores."""
    task = LanguageTask(LanguageConfig(length=4, written=6, temperature=0.0))
    seen = []

    def scores(texts: np.ndarray) -> np.ndarray:
        seen.append(texts)
        return np.eye(len(task.vocabulary))[(texts[:, -1] - 1) % 8 + 2]  # the next letter of eight

    assert task.continued("cd", scores) == "cdefghab"
    assert [text.shape[1] for text in seen] == [2, 3, 4, 4, 4, 4]
    assert task.describe(np.array([[2, 3, 4, 0]])) == ["abc"]
    with pytest.raises(ValueError, match="no tokens to go on from"):
        task.continued("", scores)
