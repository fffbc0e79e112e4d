from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.reading.pairs import joined, read_pairs
from nlp_embeddings.translation.bundled import cipher_alignment
from nlp_embeddings.translation.ibm import IBMConfig, IBMModel
from nlp_embeddings.translation.procrustes import Procrustes, ProcrustesConfig
from nlp_embeddings.translation.task import TranslationConfig, TranslationTask, ended
from nlp_embeddings.translation.word_pairs import WordPairsConfig, WordPairsTask, drawn_languages
from rl_core.seeds import Seeds


def test_the_cipher_is_solved_and_its_words_are_aligned_where_they_belong() -> None:
    task = TranslationTask(TranslationConfig(bundled="cipher", min_count=1))
    agent = IBMModel(IBMConfig(), task, None, seeds=Seeds(0), budget=12)
    losses = []
    while agent.progress < 12:
        losses.append(agent.step()["loss"])
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(losses[1:]))  # the likelihood never falls
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["exact"] >= task.target
    inputs, targets = task.read("test", np.arange(50))
    for source, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        left, right = [k for k in source if k], ended(target)
        shares = agent.alignment(left, right)
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)
        assert (shares.argmax(axis=1) - 1).tolist() == cipher_alignment(len(left))
    reversed_words = task.rows_of_sources([" ".join(task.tokens_of(pair.source)[::-1]) for pair in task.examples["test"][:100]])
    judge = task.judge()
    judge.add(agent.predict(reversed_words), task.read("test", np.arange(100))[1])
    assert judge.result()["BLEU"] < 60  # the order of the words counts


def test_a_perfect_answer_gets_100_and_an_unknown_word_of_the_reference_never_matches(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("een twee drie vier\tone two three four\tsome licence\n" * 30 + "een\tonce\n")
    task = TranslationTask(TranslationConfig(file=str(tmp_path / "a.tsv"), test=str(tmp_path / "a.tsv")))
    targets = task.read("test", np.arange(task.num_examples("test")))[1]
    judge = task.judge()
    judge.add(targets, targets)
    assert judge.result()["exact"] == pytest.approx(30 / 31)
    assert 95 < judge.result()["BLEU"] < 100
    assert task.describe(targets[:1]) == ["one two three four"]


def test_parallel_files_of_unequal_length_and_broken_lines_are_refused(tmp_path: Path) -> None:
    for name, text in (("a", "one\ntwo\n"), ("b", "een\n"), ("c.tsv", "one\teen\ntwo\n"), ("d.jsonl", '{"source": "a"}\n')):
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"a has 2 lines and .*b has 1"):
        joined(tmp_path / "a", tmp_path / "b")
    for name in ("c.tsv", "d.jsonl"):
        with pytest.raises(ValueError, match=f"{name}, line {1 + (name == 'c.tsv')}: expected `source<TAB>target`"):
            read_pairs(tmp_path / name)


def test_a_rotation_is_found_from_a_dictionary_and_translates_words_that_it_lacks(tmp_path: Path) -> None:
    one, other, pairs = drawn_languages(3, 0.0)
    for words, name in ((one, "one.txt"), (other, "other.txt")):
        lines = (f"{word} {' '.join(map(repr, row.tolist()))}\n" for word, row in zip(words.index_to_key, words.vectors, strict=True))
        (tmp_path / name).write_text(f"400 16\n{''.join(lines)}")
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs[:100]) + "lost\tlost\n")
    files = {"dictionary": str(tmp_path / "pairs.tsv"), "source": str(tmp_path / "one.txt"), "target": str(tmp_path / "other.txt")}
    task = WordPairsTask(WordPairsConfig(**files))
    agent = Procrustes(ProcrustesConfig(), task, None, seeds=Seeds(0), budget=1)
    assert agent.step()["loss"] == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(agent.rotation @ agent.rotation.T, np.eye(16), atol=1e-9)
    assert task.evaluate_split(agent.predict, "test")["precision at 1"] == 1.0
    assert task.describe(agent.predict(task.parse("a399")))[0][0] == "b399"  # not in the dictionary
    with pytest.raises(ValueError, match="the word 'zzz' has no vector"):
        task.parse("zzz")
    with pytest.raises(ValueError, match="is given alone; name dictionary, source and target"):
        WordPairsConfig(source="x")
