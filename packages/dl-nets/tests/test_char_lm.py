from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.tasks.char_lm import CharLm, CharLmConfig
from rl_core.seeds import Seeds


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("".join("abcd"[number % 4] for number in range(1000)) + "é", encoding="utf-8")
    return path


def test_the_targets_are_the_inputs_one_character_on_and_the_test_part_is_the_end(book: Path) -> None:
    task = CharLm(CharLmConfig(path=str(book), length=10))
    assert task.vocabulary == "abcdé"
    assert {split: task.num_examples(split) for split in ("train", "validation", "test")} == {"train": 85, "validation": 4, "test": 9}
    inputs, targets = task.read("train", np.arange(85))
    assert task.text(inputs[0]) == "abcdabcdab"
    assert task.text(targets[0]) == "bcdabcdabc"
    text = "".join(task.text(row) for row in inputs)
    assert book.read_text(encoding="utf-8").startswith(text)
    answers = "".join(task.text(row) for row in task.read("test", np.arange(9))[1])
    assert book.read_text(encoding="utf-8")[902:].startswith(answers)


def test_an_epoch_moves_its_windows_and_never_into_the_validation_part(book: Path) -> None:
    task = CharLm(CharLmConfig(path=str(book), length=10, validation_fraction=0.2))
    begins = set()
    for seed in range(20):
        inputs, targets = task.read_augmented(np.arange(task.num_examples("train")), seed=seed, progress=0.0)
        assert np.array_equal(inputs[:, 1:], targets[:, :-1])
        begins.add(task.text(inputs[0])[0])
        alone = task.read_augmented(np.array([7]), seed=seed, progress=0.0)[0]
        assert np.array_equal(alone[0], inputs[7])
    assert begins == set("abcd")
    book.write_text("a" * 700 + "b" * 300, encoding="utf-8")  # the training part ends with the a's
    task = CharLm(CharLmConfig(path=str(book), length=10, validation_fraction=0.2))
    for seed in range(20):
        assert not task.read_augmented(np.arange(task.num_examples("train")), seed=seed, progress=0.0)[1].any()


def test_a_model_is_judged_by_the_probability_of_what_follows(book: Path) -> None:
    """A perceptron over whole windows learns the period of four, and needs hardly any nats; the validation loss is the same measure."""
    task = CharLm(CharLmConfig(path=str(book), length=4))
    agent = Supervised(SupervisedConfig(learning_rate=0.03, batch_size=16), task, MLP(MLPConfig(hidden=(16,))), seeds=Seeds(0), budget=4000)
    metrics: dict[str, float] = {}
    while agent.progress < agent.budget:
        metrics |= agent.step()
    assert metrics["validation_nats_per_character"] == pytest.approx(metrics["validation_loss"], rel=1e-5)
    scores = agent.evaluate(episodes=1, seeds=Seeds(0))
    assert scores["nats per character"] < 0.1
    inputs, targets = task.read("test", np.arange(task.num_examples("test")))
    assert scores["accuracy"] == pytest.approx((agent.predict(inputs) == targets).mean())
    assert agent.answer("dabc") == "dabc" + "dabc" * 50  # 200 characters, drawn
    assert agent.answer("dabc") == agent.answer("dabc")


def test_a_short_prompt_is_filled_and_strange_characters_are_refused_with_their_line(book: Path) -> None:
    task = CharLm(CharLmConfig(path=str(book), length=6))
    assert task.text(task.parse("dab")[0]) == "aaadab"
    assert task.text(task.parse("abcdabcdab")[0]) == "abcdab"
    with pytest.raises(ValueError, match="line 1 of the text has the character 'z', which the model has not learned; its 5 characters are"):
        task.parse("z")


def test_rare_characters_become_one_and_a_packed_text_is_the_same(book: Path, tmp_path: Path) -> None:
    task = CharLm(CharLmConfig(path=str(book), max_characters=4))
    assert task.vocabulary == "abc\ufffd"
    assert task.text(task.parse("xa")[0])[-2:] == "\ufffda"
    packed = tmp_path / "book.txt.gz"
    packed.write_bytes(gzip.compress(book.read_bytes()))
    same = CharLm(CharLmConfig(path=str(packed), max_characters=4))
    assert np.array_equal(same.read("test", np.arange(1))[0], task.read("test", np.arange(1))[0])
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"book\.txt\.gz is not a whole \.gz file"):
        CharLm(CharLmConfig(path=str(packed)))


def test_a_run_answers_without_its_file_and_is_judged_by_all_of_another(book: Path, tmp_path: Path) -> None:
    task = CharLm(CharLmConfig(path=str(book), length=10))
    state = task.state_dict()
    book.unlink()
    again = CharLm.from_state(task.config, state)
    assert again.vocabulary == task.vocabulary
    assert "book.txt is missing" in again.data_change()
    other = tmp_path / "other.txt"
    other.write_text("dcba" * 20, encoding="utf-8")
    assert CharLm.for_evaluation(CharLmConfig(path=str(other), length=10), state).num_examples("test") == 7
    other.write_text("dcba\n" * 20, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1 of the text has the character '\\n'"):
        CharLm.for_evaluation(CharLmConfig(path=str(other), length=10), state).read("test", np.arange(1))


def test_a_text_that_is_too_short_and_one_that_is_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text("abc" * 30, encoding="utf-8")
    with pytest.raises(ValueError, match=r"short\.txt has 90 characters, 9 of them for test; a window of length = 64 needs one more"):
        CharLm(CharLmConfig(path=str(path)))
    path.write_bytes(b"fine\nf\xffoul")
    with pytest.raises(ValueError, match=r"line 2 of .*short\.txt is not text in UTF-8: byte 2 of it is ff"):
        CharLm(CharLmConfig(path=str(path)))
