"""Questions about passages: files, the judge, and the reader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_embeddings.answering.questions import AnswerJudge, Question, QuestionsTask, read_questions
from nlp_embeddings.answering.span_reader import SpanReader, SpanReaderConfig
from nlp_embeddings.reading.file_task import FilesConfig
from rl_core.seeds import Seeds

PASSAGE = "Jim sailed in March. The captain, Billy Bones, died at the inn of a stroke."
SQUAD = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": []}]}]}


def write_squad(path: Path, entries: list[dict[str, Any]]) -> Path:
    """Write questions about one passage as SQuAD has them."""
    data = json.loads(json.dumps(SQUAD))
    data["data"][0]["paragraphs"][0]["qas"] = entries
    path.write_text(json.dumps(data))
    return path


def test_squad_and_json_lines_are_read_and_questions_without_an_answer_left_out(tmp_path: Path) -> None:
    entries = [
        {"question": "Who died?", "answers": [{"text": "Billy Bones", "answer_start": 34}, {"text": "The captain", "answer_start": 21}]},
        {"question": "Who won?", "answers": [], "is_impossible": True},
    ]
    (found,) = read_questions(write_squad(tmp_path / "squad.json", entries))
    assert found == Question("Who died?", PASSAGE, ("Billy Bones", "The captain"))
    lines = tmp_path / "own.jsonl"
    lines.write_text(json.dumps({"question": "When  did Jim sail?", "passage": PASSAGE, "answer": "March"}) + "\n\n")
    assert read_questions(lines) == [Question("When did Jim sail?", PASSAGE, ("March",))]


def test_another_form_is_refused_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"question": "Who?", "passage": "He.", "answer": "He"}\n{"question": "Who?"}\n')
    with pytest.raises(ValueError, match=re.escape("own.jsonl, line 2: expected {")):
        read_questions(tmp_path / "own.jsonl")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match=re.escape("for a question a line name the file .jsonl")):
        read_questions(tmp_path / "list.json")
    with pytest.raises(ValueError, match="holds no question with an answer"):
        read_questions(write_squad(tmp_path / "none.json", [{"question": "Who?", "answers": []}]))


def test_answers_are_judged_by_the_right_one_that_fits_best() -> None:
    judge = AnswerJudge()
    judge.add(["the captain", "old Billy Bones", ""], ["Billy Bones\nCaptain", "Billy Bones\nCaptain", "Captain"])
    result = judge.result()
    assert result["exact match"] == pytest.approx(1 / 3)
    assert result["F1"] == pytest.approx((1 + 2 * (2 / 3) * 1 / (2 / 3 + 1)) / 3)


def test_all_questions_of_a_passage_are_in_one_split(tmp_path: Path) -> None:
    rows = [{"question": f"Who is {n}?", "passage": f"Number {n // 2} is here.", "answer": "Number"} for n in range(40)]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = QuestionsTask(FilesConfig(file=str(tmp_path / "own.jsonl")))
    splits = [{question.passage for question in task.examples[split]} for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [16, 2, 2]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]


def test_a_reader_finds_answers_in_passages_it_has_never_seen_and_in_those_it_has_read() -> None:
    task = QuestionsTask(FilesConfig())
    reader = SpanReader(SpanReaderConfig(passes=3), task, None, seeds=Seeds(0), budget=10_000)
    while not reader.finished:
        metrics = reader.step()
    assert metrics["skipped"] == 0.0  # every answer is a span of its passage
    scores = task.evaluate(reader.predict, episodes=1, seeds=Seeds(0))
    assert scores["exact match"] >= 0.95
    known = task.examples["train"][7]
    assert reader.answer(known.question) == known.answers[0]
    shuffled = np.array([f"{question.question}\tNobody was here." for question in task.examples["test"][:20]])
    assert not set(reader.predict(shuffled)) & {question.answers[0] for question in task.examples["test"][:20]}
