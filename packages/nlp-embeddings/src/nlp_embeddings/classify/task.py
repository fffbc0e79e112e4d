"""Labels of texts as a task: `sentiment:<file>`, and the bundled `template-opinions`.

A text goes in as a row of word numbers, so that any network for tokens learns it. Agents of this package see the text itself
(`TextPredict`). A file whose texts have several labels, or none, makes a task with a yes or no for each label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from nlp_embeddings.draws import one_of
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.labelled import Labelled, read_labelled
from nlp_embeddings.reading.words import pieces, typed_ids
from rl_core.config import Count, Doc, configclass
from rl_core.judge import Judge
from rl_core.task import Predict
from rl_core.tokens import Tokens

UNKNOWN = 1
OPINION_TEXTS = {"train": 600, "validation": 60, "test": 200}
_THINGS = ("film", "story", "cast", "music", "ending", "first hour", "dialogue", "camera work")
_WORDS = {
    "positive": ("good", "lovely", "funny", "moving", "clever", "brilliant"),
    "negative": ("bad", "boring", "clumsy", "flat", "tiresome", "dull"),
}
_PLAIN = ("lasts two hours", "was shot in Rome", "begins in a school", "opens on Friday", "follows a young doctor", "ends at sea")
_TIMES = ("", " today", " last week", " as always", " again", " this time", " in the end")
_FRAMES = (
    "I think the {} was {} .",
    "The {} was {} , and I will say so .",
    "My friends told me that the {} was {} .",
    "Well , the {} was {} !",
)


class TextPredict:
    """The predictor of an agent that reads texts: besides rows of word numbers it takes the texts themselves.

    Args:
        predict: Function from word numbers [B, T] to labels [B] or [B, K].
        classify: Function from texts to labels [B] or [B, K].
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], classify: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._predict, self.classify = predict, classify

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return labels [B] or [B, K]."""
        return self._predict(inputs)


@configclass
class LabelsConfig(FilesConfig):
    """Texts with labels."""

    min_count: Annotated[Count, Doc("a rarer word has no number of its own; networks see it as unknown")] = 2
    max_length: Annotated[Count, Doc("T, most words that a network sees; a longer text is cut")] = 64


class LabelsTask(FileTask):
    """Texts with labels, judged by the share of right labels; with several labels a text by F1 over all yes and no.

    Attributes:
        vocabulary: Words by number; the first two mean padding and unknown.
        labels: Names of the labels.
        several: 1 if a text may have several labels, or none; else 0.
    """

    Config: ClassVar[type] = LabelsConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("vocabulary", "labels", "length", "several")
    metric = "accuracy"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the labelled texts of a file."""
        return list(read_labelled(path))

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return opinions, some with a negation, and sentences without one."""
        return _opinions(self.config.seed)

    def encode(self, examples: list[Any]) -> None:
        """Number words and labels, and set the length of a row."""
        counts = Counter(word for example in examples for word in self.words_of(example.text))
        self.vocabulary = ["", "<unknown>", *sorted(word for word, count in counts.items() if count >= self.config.min_count)]
        everything = [example for split in self.examples.values() for example in split]
        self.labels = sorted({label for example in everything for label in example.labels})
        if len(self.labels) < 2:
            raise ValueError(f"{self.config.file} has the labels {self.labels}; at least two are needed")
        self.several = int(any(len(example.labels) != 1 for example in everything))
        self.length = min(max(len(self.words_of(example.text)) for example in everything), self.config.max_length)

    def set_spaces(self) -> None:
        """Set the spaces and the numbers of words and labels."""
        self.input_space = Tokens(self.length, len(self.vocabulary), padding=0)
        self.output_space = spaces.MultiBinary(len(self.labels)) if self.several else spaces.Discrete(len(self.labels))
        self.class_names = () if self.several else tuple(self.labels)
        self.metric = "F1" if self.several else "accuracy"
        self.target = None if self.config.file else 0.97
        self.number_of_word = {word: number for number, word in enumerate(self.vocabulary)}
        self.number_of_label = {label: number for number, label in enumerate(self.labels)}

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other texts.

        Raises:
            ValueError: if they have labels that were not learned.
        """
        task = super().for_evaluation(config, state)
        strangers = sorted({label for example in task.examples["test"] for label in example.labels} - set(task.labels))
        if strangers:
            raise ValueError(f"the labels {', '.join(strangers[:5])} were not learned; the known ones are {', '.join(task.labels[:8])}")
        return task

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `labelled-texts`."""
        return super().traits() | {"labelled-texts"}

    def words_of(self, text: str) -> list[str]:
        """Return the lower-case words and punctuation marks of a text."""
        return pieces(text.lower())

    def texts(self, split: str) -> list[str]:
        """Return the texts of a split."""
        return [example.text for example in self.examples[split]]

    def targets(self, examples: Sequence[Labelled]) -> np.ndarray:
        """Return the numbers of labels [B], or a yes or no for each label [B, K]."""
        if not self.several:
            return np.array([self.number_of_label[example.labels[0]] for example in examples], dtype=np.int64)
        result = np.zeros((len(examples), len(self.labels)), dtype=np.int8)
        for number, example in enumerate(examples):
            result[number, [self.number_of_label[label] for label in example.labels]] = 1
        return result

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return word numbers [B, T] and labels of texts."""
        examples = [self.examples[split][int(index)] for index in indices]
        return self.rows_of([example.text for example in examples]), self.targets(examples)

    def rows_of(self, texts: Sequence[str]) -> np.ndarray:
        """Return the word numbers [B, T] of texts."""
        rows = [[self.number_of_word.get(word, UNKNOWN) for word in self.words_of(text)] for text in texts]
        return self.padded(rows, self.length)

    def judge(self) -> Judge:
        """Return a judge of labels."""
        return SeveralJudge() if self.several else LabelJudge(len(self.labels))

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split; an agent that reads texts gets the texts."""
        if not isinstance(predict, TextPredict):
            return super().evaluate_split(predict, split, batch_size)
        judge = self.judge()
        judge.add(predict.classify(self.texts(split)), self.targets(self.examples[split]))
        return judge.result()

    def parse(self, text: str) -> np.ndarray:
        """Return the word numbers [1, T] of a text, or of a JSON list of numbers.

        Raises:
            ValueError: if it has no words, or a number is outside the vocabulary.
        """
        numbers = typed_ids(text, self.input_space)
        if numbers is not None:
            return self.padded([numbers], self.length)
        if not self.words_of(text):
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a text")
        return self.rows_of([text])

    def texts_of_rows(self, inputs: np.ndarray) -> list[str]:
        """Return the texts of rows of word numbers [B, T]."""
        return [" ".join(self.vocabulary[number] for number in row if number) for row in np.asarray(inputs).tolist()]

    def describe(self, predictions: Any) -> list[Any]:
        """Return the names of labels."""
        if not self.several:
            return super().describe(predictions)
        return [[label for label, yes in zip(self.labels, row, strict=True) if yes] for row in np.asarray(predictions)]


class LabelJudge:
    """A judge that counts right labels.

    Args:
        size: K, number of labels.
    """

    def __init__(self, size: int) -> None:
        self._counts = np.zeros((size, size), dtype=np.int64)  # true label, answered label

    def add(self, predictions: Any, targets: Any) -> None:
        """Count labels [B] against targets [B]."""
        np.add.at(self._counts, (np.asarray(targets), np.asarray(predictions)), 1)

    def result(self) -> dict[str, float]:
        """Return the share of right labels, the mean F1 of the labels that occur, and the share of the most frequent one."""
        right, true, answered = np.diag(self._counts), self._counts.sum(axis=1), self._counts.sum(axis=0)
        total = max(int(true.sum()), 1)
        occurs = true > 0
        f1 = 2 * right[occurs] / (true + answered)[occurs]
        return {
            "accuracy": float(right.sum() / total),
            "mean F1": float(f1.mean()) if occurs.any() else 0.0,
            "most frequent label": float(true.max() / total),
            "texts": float(total),
        }


class SeveralJudge:
    """A judge that counts the yes and no of each label."""

    def __init__(self) -> None:
        self._right = self._answered = self._true = self._exact = self._texts = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count labels [B, K] against targets [B, K]."""
        given, wanted = np.asarray(predictions).astype(bool), np.asarray(targets).astype(bool)
        self._right += int((given & wanted).sum())
        self._answered += int(given.sum())
        self._true += int(wanted.sum())
        self._exact += int((given == wanted).all(axis=1).sum())
        self._texts += len(wanted)

    def result(self) -> dict[str, float]:
        """Return F1 over all labels, and the share of texts whose labels are all right."""
        return {
            "F1": 2 * self._right / max(self._answered + self._true, 1),
            "exact": self._exact / max(self._texts, 1),
            "texts": float(self._texts),
        }


def _opinions(seed: int) -> dict[str, list[Labelled]]:
    """Return different sentences by split, drawn from a seed."""
    rng = np.random.default_rng([seed, 4])
    found: dict[Labelled, None] = {}
    while len(found) < sum(OPINION_TEXTS.values()):
        thing, kind = one_of(rng, _THINGS), one_of(rng, ["negative", "neutral", "positive"])
        when = one_of(rng, _TIMES)
        if kind == "neutral":
            found[Labelled(f"{one_of(rng, ['They say', 'I read', 'We know'])} that the {thing} {one_of(rng, _PLAIN)}{when} .", (kind,))] = (
                None
            )
            continue
        negated = bool(rng.random() < 0.3)
        words = _WORDS[kind if not negated else "negative" if kind == "positive" else "positive"]
        told = f"{'not ' if negated else ''}{one_of(rng, words)}{when}"
        found[Labelled(one_of(rng, _FRAMES).format(thing, told), (kind,))] = None
    texts = iter(found)
    return {split: [next(texts) for _ in range(count)] for split, count in OPINION_TEXTS.items()}
