from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dl_nets.tasks.text_classification import TextClassification, TextClassificationConfig, write_example


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    write_example(tmp_path / "reviews.tsv")
    return tmp_path / "reviews.tsv"


def test_texts_become_padded_tokens_of_the_training_vocabulary(reviews: Path) -> None:
    task = TextClassification(TextClassificationConfig(path=str(reviews), length=8))
    assert task.class_names == ("blame", "praise")
    assert [task.num_examples(split) for split in ("train", "validation", "test")] == [36, 12, 12]
    inputs, classes = task.read("test", np.arange(12))
    assert np.bincount(classes).tolist() == [6, 6]
    words = task.words(inputs[0])
    assert words[0] == "the"
    assert words[-1] == "."
    assert (inputs[:, 6:] == 0).all()  # six tokens a text
    parsed = task.parse("THE play was stupendous today.")
    assert task.words(parsed[0]) == ["the", "play", "was", "?", "today", "."]


def test_both_forms_of_a_line_are_read_and_others_are_refused_with_their_number(reviews: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.txt"
    marked.write_text("\n".join("__label__" + line.replace("\t", " ", 1) for line in reviews.read_text().splitlines()))
    one, other = (TextClassification(TextClassificationConfig(path=str(path))) for path in (reviews, marked))
    assert one.class_names == other.class_names
    assert np.array_equal(one.read("train", np.arange(36))[0], other.read("train", np.arange(36))[0])
    for line, words in (
        ("no tab here", "expected `label<TAB>text`"),
        ("\tno label", "expected `label<TAB>text`"),
        ("__label__a __label__b text", "has several labels"),
    ):
        (tmp_path / "bad.tsv").write_text(f"a\tb\n\n{line}\n")
        with pytest.raises(ValueError, match=f"line 3 of .*bad.tsv .*{words}"):
            TextClassification(TextClassificationConfig(path=str(tmp_path / "bad.tsv")))
    (tmp_path / "bad.tsv").write_text("a\tb\n" * 9)
    with pytest.raises(ValueError, match=r"every text of .* has the label 'a'; expected two or more labels"):
        TextClassification(TextClassificationConfig(path=str(tmp_path / "bad.tsv")))


def test_long_texts_are_cut_and_that_is_said(reviews: Path) -> None:
    task = TextClassification(TextClassificationConfig(path=str(reviews), length=3))
    assert "100% of the training texts are cut at 3 tokens (task.length)" in task.caveat()
    assert task.words(task.read("train", np.arange(1))[0][0])[0] == "the"


def test_a_run_answers_without_its_file_and_refuses_labels_that_it_has_not_learned(reviews: Path, tmp_path: Path) -> None:
    from rl_core.runs import checkpoint

    task = TextClassification(TextClassificationConfig(path=str(reviews)))
    checkpoint.save(tmp_path / "run", 0, {"task": task.state_dict()})
    state = checkpoint.load(tmp_path / "run" / "0")["task"]
    text = task.parse("a lovely song")
    reviews.rename(tmp_path / "elsewhere.tsv")
    again = TextClassification.from_state(task.config, state)
    assert np.array_equal(again.parse("a lovely song"), text)
    assert "reviews.tsv is missing" in again.data_change()
    moved = TextClassification.for_evaluation(TextClassificationConfig(path=str(tmp_path / "elsewhere.tsv")), state)
    assert moved.num_examples("test") == 60
    (tmp_path / "elsewhere.tsv").write_text("verdict\tno such label\n")
    with pytest.raises(ValueError, match="has the label 'verdict', which the model has not learned; its labels are blame, praise"):
        TextClassification.for_evaluation(TextClassificationConfig(path=str(tmp_path / "elsewhere.tsv")), state)
