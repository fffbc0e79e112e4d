"""Questions about passages as a task: `questions:<file>`, and the bundled `passage-questions`, whose answers are words of the passage.

A text goes in, `question<TAB>passage`, and the answer comes out. Judged as SQuAD is: the share of answers that equal one of the right ones,
and their overlap in words, F1, both without case, punctuation and articles.

Source: Rajpurkar, Zhang, Lopyrev, Liang, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016, section 6.1.
"""

from __future__ import annotations

import itertools
import json
import reprlib
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.draws import one_of
from nlp_embeddings.reading.file_task import PART, FilesConfig, FileTask
from nlp_embeddings.reading.labelled import json_object
from nlp_embeddings.reading.words import pieces
from nlp_embeddings.spaces import AnyText
from rl_core.judge import Judge

PASSAGES = {"train": 120, "validation": 20, "test": 60}
_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MONTHS = ("January", "March", "May", "July", "September", "November")


class Question(NamedTuple):
    """A question about a passage.

    Attributes:
        question: The question.
        passage: The passage, on one line.
        answers: The right answers, at least one.
    """

    question: str
    passage: str
    answers: tuple[str, ...]


def normalised(text: str) -> list[str]:
    """Return the words of an answer without case, punctuation and articles.

    >>> normalised("The Hispaniola, at last!")
    ['hispaniola', 'at', 'last']
    """
    return [word for word in text.lower().translate(_PUNCTUATION).split() if word not in _ARTICLES]


def overlap(given: str, wanted: str) -> float:
    """Return the F1 of the words that two answers share.

    Precision 2/3, recall 2/2:

    >>> overlap("the old sea captain", "Sea Captain")
    0.8
    """
    one, other = normalised(given), normalised(wanted)
    shared = sum((Counter(one) & Counter(other)).values())
    return float(one == other) if not one or not other else 2 * shared / (len(one) + len(other))


def read_questions(path: Path) -> list[Question]:
    """Read questions: JSON as SQuAD has it, or JSON lines with `question`, `passage` (or `context`) and `answer` (or `answers`).

    Questions without an answer are left out.

    Raises:
        ValueError: naming the file, and the line of JSON lines, that has another form.
    """
    if ".jsonl" in path.name.lower():
        found = [_question(fields, f"{path}, line {number}") for number, fields in _lines(path)]
    else:
        try:
            data = json.loads("\n".join(line for _, line in numbered_lines(path)))
            entries = [paragraph for article in data["data"] for paragraph in article["paragraphs"]]
            asked = [{**entry, "passage": paragraph["context"]} for paragraph in entries for entry in paragraph["qas"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            expected = "expected SQuAD's JSON, `data`, `paragraphs`, `context` and `qas`; for a question a line name the file .jsonl"
            raise ValueError(f"{path} cannot be read: {expected}") from error
        found = [_question(fields, f"{path}, question {number}") for number, fields in enumerate(asked, start=1)]
    known = [question for question in found if question.answers]
    if not known:
        raise ValueError(f"{path} holds no question with an answer")
    return known


class QuestionsTask(FileTask):
    """Questions about passages, judged by exact matches and overlap."""

    Config: ClassVar[type] = FilesConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("passages",)
    file_suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".json")
    metric = "exact match"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the questions of a file."""
        return read_questions(path)

    def parts(self) -> dict[str, list[Any]]:
        """Return the questions by split; all questions of a passage are in one, every tenth passage where no other file is named."""
        config, questions = self.config, self.read_file(self.config.file)
        number = {passage: place for place, passage in enumerate(dict.fromkeys(question.passage for question in questions))}
        if len(number) < PART and not (config.test and config.validation):
            asked = f"{config.file} asks about {len(number)} passage{'s' * (len(number) != 1)}; expected at least {PART}"
            raise ValueError(f"{asked}, since all questions of a passage are in one split, or files in task.test and task.validation")
        places = [number[question.passage] % PART for question in questions]
        found, taken = {}, set()
        for split, name, place in (("test", config.test, PART - 1), ("validation", config.validation, PART // 2 - 1)):
            found[split] = self.read_file(name) if name else [q for q, of in zip(questions, places, strict=True) if of == place]
            taken |= set() if name else {place}
        return {**found, "train": [q for q, of in zip(questions, places, strict=True) if of not in taken]}

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return questions about what three people did, in invented words, so that only the passage tells."""
        rng = np.random.default_rng([self.config.seed, 11])
        return {split: [question for _ in range(count) for question in _passage(rng)] for split, count in PASSAGES.items()}

    def encode(self, examples: list[Any]) -> None:
        """Count the passages."""
        self.passages = len({question.passage for question in examples})

    def set_spaces(self) -> None:
        """Set the spaces."""
        self.input_space, self.output_space = AnyText(), AnyText()
        self.target = None if self.config.file else 0.95

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `questions`."""
        return super().traits() | {"questions"}

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return texts `question<TAB>passage` [B], and right answers, a line each [B]."""
        chosen: list[Question] = [self.examples[split][int(index)] for index in indices]
        inputs = [f"{question.question}\t{question.passage}" for question in chosen]
        return np.array(inputs, dtype=str), np.array(["\n".join(question.answers) for question in chosen], dtype=str)

    def judge(self) -> Judge:
        """Return a judge of answers."""
        return AnswerJudge()

    def parse(self, text: str) -> np.ndarray:
        """Return the question, with its passage behind a tab or without one, as a batch of one.

        Raises:
            ValueError: if it has no words.
        """
        if not pieces(text.partition("\t")[0]):
            raise ValueError(
                f"the input {text[:60]!r} lacks a question; expected question<TAB>passage, or a question about a known passage"
            )
        return np.array([text])


class AnswerJudge:
    """A judge that counts exact matches and adds up overlaps, each with the right answer that fits best."""

    def __init__(self) -> None:
        self._sums = np.zeros(3)

    def add(self, predictions: Any, targets: Any) -> None:
        """Count answers [B] against the right ones, a line each [B]."""
        for given, wanted in zip(np.asarray(predictions).tolist(), np.asarray(targets).tolist(), strict=True):
            right = str(wanted).split("\n")
            exact = any(normalised(str(given)) == normalised(answer) for answer in right)
            self._sums += (exact, max(overlap(str(given), answer) for answer in right), 1)

    def result(self) -> dict[str, float]:
        """Return the share of exact matches, the mean F1 and the number of texts."""
        exact, shared, count = self._sums
        return {"exact match": float(exact / max(count, 1)), "F1": float(shared / max(count, 1)), "texts": float(count)}


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered_lines(path):
        if line.strip():
            yield number, json_object(path, number, line)


def _question(fields: dict[str, Any], where: str) -> Question:
    question, passage = fields.get("question"), fields.get("passage", fields.get("context"))
    given = fields.get("answers", fields.get("answer", []))
    texts = [answer.get("text") if isinstance(answer, dict) else answer for answer in (given if isinstance(given, list) else [given])]
    if not all(isinstance(text, str) and text.strip() for text in (question, passage, *texts)):
        expected = '{"question": ..., "passage": ..., "answer": ...}'
        raise ValueError(f"{where}: expected {expected}, got {reprlib.repr(fields)}")
    answers = dict.fromkeys(" ".join(str(text).split()) for text in texts)
    return Question(" ".join(str(question).split()), " ".join(str(passage).split()), tuple(answers))


def _passage(rng: np.random.Generator) -> list[Question]:
    """Return questions about a passage of three people, of whom each was born, worked and bought something."""
    invented = itertools.starmap(_word, itertools.repeat((rng,)))
    sentences, asked = [], []
    people = [f"{next(invented).capitalize()} {next(invented).capitalize()}" for _ in range(3)]
    for person, seller in zip(people, (*people[1:], people[0]), strict=True):
        city, job, thing, town = next(invented).capitalize(), next(invented), next(invented), next(invented).capitalize()
        year, month, price = str(rng.integers(1800, 2000)), one_of(rng, _MONTHS), str(rng.integers(3, 90))
        own = [
            f"{person} was born in {city} in {year}.",
            f"{person} worked as a {job} near {town}.",
            f"In {month} {person} bought a {thing} from {seller} for {price} pounds.",
        ]
        sentences += own
        every = {
            f"Where was {person} born?": city,
            f"In which year was {person} born?": year,
            f"What did {person} work as?": job,
            f"Where did {person} work?": town,
            f"What did {person} buy?": thing,
            f"In which month did {person} buy a {thing}?": month,
            f"Who sold a {thing} to {person}?": seller,
            f"How many pounds did {person} pay for a {thing}?": price,
        }
        asked.append(list(every.items())[int(rng.integers(len(every)))])
    passage = " ".join(sentences[place] for place in rng.permutation(len(sentences)))
    return [Question(question, passage, (answer,)) for question, answer in asked]


def _word(rng: np.random.Generator) -> str:
    return "".join(one_of(rng, "bdfgklmnprstv") + one_of(rng, "aeiou") for _ in range(3))
