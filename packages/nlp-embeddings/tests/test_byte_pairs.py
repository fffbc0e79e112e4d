from __future__ import annotations

import importlib.resources
import itertools
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.answering.chat import ChatConfig, ChatTask
from nlp_embeddings.language_model.ngram import NGramConfig, NGramModel
from nlp_embeddings.language_model.task import LanguageConfig, LanguageTask
from nlp_embeddings.reading.byte_pairs import BytePairs, learn_pairs, learn_pairs_by_library, marked_words, plain_text
from nlp_embeddings.translation.task import TranslationConfig, TranslationTask
from rl_core.seeds import Seeds

WORDS = Counter({"▁low": 5, "▁lower": 2, "▁newest": 6, "▁widest": 3, "▁aaaa": 4, "▁banana": 3, ",": 9, "▁Привет": 2, "▁北京": 2})


def by_counting(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """Algorithm 1 of the paper, counting anew for each pair; the oldest symbols decide between equal counts."""
    texts = {tuple(word): size for word, size in words.items()}
    age = {symbol: place for place, symbol in enumerate(sorted({symbol for text in texts for symbol in text}))}
    found: list[tuple[str, str]] = []
    for _ in range(count):
        counts: Counter[tuple[str, str]] = Counter()
        for text, size in texts.items():
            for pair in itertools.pairwise(text):
                counts[pair] += size
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        found.append(best)
        age.setdefault("".join(best), len(age))
        merged = {}
        for text, size in texts.items():
            symbols: list[str] = []
            for symbol in text:
                done = len(symbols) > 0 and (symbols[-1], symbol) == best
                symbols[-1:] = ["".join(best)] if done else [*symbols[-1:], symbol]
            merged[tuple(symbols)] = size
        texts = merged
    return found


def test_pairs_are_those_of_the_algorithm_that_counts_anew() -> None:
    words = Counter(marked_words("the cat sat on the mat, and the rat that sat on the cat ran: banana, bandana, cabana! " * 2)) + WORDS
    assert learn_pairs(words, 200) == by_counting(words, 200)


def test_pairs_are_those_of_the_library_tokenizers() -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed; the session extras has it")
    novel = lzma.decompress((importlib.resources.files("nlp_embeddings") / "data" / "treasure-island.txt.xz").read_bytes()).decode()
    for words in (WORDS, Counter(marked_words(novel))):
        for count in (7, 3000):
            assert learn_pairs_by_library(words, count) == learn_pairs(words, count)


def test_texts_are_put_together_again() -> None:
    text = "Don't go, Sam -- 北京 很 大 (naïve) приве́т a_b x"
    encoder = BytePairs(learn_pairs(WORDS, 50))
    assert plain_text(encoder.subwords(text)) == text
    assert encoder.split("▁lowest") == ["▁low", "est"]


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """A file in which each word has one translation, and endings are shared."""
    stems, endings = {"work": "werk", "walk": "wandel", "play": "speel", "call": "bel"}, {"ed": "de", "ing": "end", "s": "t"}
    words = [(f"{a}{x}", f"{stems[a]}{endings[x]}") for a in stems for x in endings]
    lines = [f"{a}, {b}, {a}\t{c}, {d}, {c}" for a, c in words for b, d in words]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    return str(tmp_path / "pairs.tsv")


@pytest.mark.parametrize(("task_class", "config_class"), [(TranslationTask, TranslationConfig), (ChatTask, ChatConfig)])
def test_translations_in_subwords_are_judged_by_words(pairs: str, task_class: type, config_class: type) -> None:
    config = config_class(file=pairs, token="subword", merges=12, min_count=1)
    task = task_class(config)
    assert any(token not in ("", "<end>", "<unknown>") and 1 < len(token) < 6 for token in task.target_tokens)
    _, targets = task.read("test", np.arange(task.num_examples("test")))
    assert "".join(task.describe(targets)) == "".join(example.target for example in task.examples["test"])
    judge = task.judge()
    wrong = targets.copy()
    wrong[0, 0] = 2  # an unknown part makes an unknown word
    judge.add(wrong, targets)
    assert judge.result()["BLEU"] < 100
    judge = task.judge()
    judge.add(targets, targets)
    assert judge.result()["BLEU"] == pytest.approx(100)
    assert judge.result()["exact"] == 1
    again = task_class.from_state(config, task.state_dict())
    np.testing.assert_array_equal(again.parse("worked, calls"), task.parse("worked, calls"))


def test_a_language_model_of_subwords_knows_words_that_it_has_not_seen(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the lower newest cat sat\nthe widest low cat ran\n" * 40)
    config = LanguageConfig(file=str(tmp_path / "a.txt"), token="subword", merges=20, temperature=0.0, written=12)
    task = LanguageTask(config)
    assert task.text_of(task.text("train")[:30]).startswith("the lower newest cat sat\nthe widest")
    assert "▁the" in task.vocabulary
    assert task.text_of(task.tokens_of("the lowest cat")) == "the lowest cat"
    agent = NGramModel(NGramConfig(order=4), task, None, seeds=Seeds(0), budget=4)
    while not agent.finished:
        agent.step()
    metrics = agent.evaluate(episodes=1, seeds=Seeds(0))
    assert metrics["unknown"] == 0
    assert metrics["nats a subword"] < 1
    assert agent.answer("the lower newest").startswith("the lower newest cat sat\nthe")
    other = LanguageTask.from_state(config, task.state_dict())
    assert other.tokens_of("the lowest cat") == task.tokens_of("the lowest cat")
