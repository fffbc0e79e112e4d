"""Conversation as a task: `dialogue:<file>` of questions and answers, and the bundled `template-dialogue`.

A text goes in and a text comes out. A question without a proper answer (its answer is empty, or one of `refused` such as `oos`) must be
refused: the right answer is then the task's refusal. Judged by the share of exact answers; an agent that says how sure it is is also judged
by AUROC, the probability that it is surer of a question with an answer than of one without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.draws import one_of
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.labelled import read_labelled
from nlp_embeddings.reading.pairs import TextPair, read_conversations, read_pairs
from nlp_embeddings.reading.words import pieces
from nlp_embeddings.spaces import AnyText
from rl_core.config import Doc, configclass
from rl_core.judge import Judge
from rl_core.task import Predict

_SLOTS = {
    "city": ("Rome", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Porto", "Turin"),
    "item": ("lamp", "chair", "book", "kettle", "ladder", "carpet", "mirror", "clock"),
    "day": ("Monday", "Tuesday", "Friday", "Sunday"),
}
_INTENTS = {
    "We are open from nine to six.": ("when do you open on {day}", "what are your opening hours", "are you open on {day}"),
    "Parcels arrive within three days.": (
        "how long does delivery to {city} take",
        "when will my {item} arrive",
        "is delivery to {city} quick",
    ),
    "You can send it back within thirty days.": ("can I return the {item}", "I want to send the {item} back", "how do I return a {item}"),
    "Our shops are listed on the map.": ("is there a shop in {city}", "where is your shop in {city}", "do you have shops near {city}"),
    "We take cards and cash.": ("can I pay by card", "do you take cash for a {item}", "which ways to pay are there in {city}"),
    "The guarantee is two years.": (
        "how long is the guarantee of the {item}",
        "does the {item} have a guarantee",
        "my {item} broke , is the guarantee over",
    ),
}
_OUTSIDE = (
    "who won the match in {city}",
    "what is the weather on {day}",
    "tell me a joke about a {item}",
    "how tall is the tower of {city}",
    "sing a song",
    "translate {item} into Latin",
)


REFUSAL = "I am sorry, I do not know that."


def read_dialogue(path: Path) -> list[TextPair]:
    """Return the pairs of a file: question and answer, a text and its one label, or conversations in YAML."""
    if any(suffix in path.name.lower() for suffix in (".yml", ".yaml")):
        return read_conversations(path)
    if any(suffix in path.name.lower() for suffix in (".csv", ".labels")):
        return [TextPair(row.text, row.labels[0]) for row in read_labelled(path)]
    return read_pairs(path)


def shop_dialogue(seed: int, count: int, refusal: str) -> list[TextPair]:
    """Return different questions of six kinds to a shop, and a fifth that it cannot answer, each with its answer."""
    rng = np.random.default_rng([seed, 9])
    found: dict[str, TextPair] = {}
    names = list(_INTENTS)
    while len(found) < count:
        outside = rng.random() < 0.2
        answer = refusal if outside else names[int(rng.integers(len(names)))]
        frames = _OUTSIDE if outside else _INTENTS[answer]
        slots = {name: one_of(rng, words) for name, words in _SLOTS.items()}
        polite = one_of(rng, ("", "please , ", "hello , ", "excuse me , ", "one question : "))
        text = polite + frames[int(rng.integers(len(frames)))].format(**slots)
        found[text] = TextPair(text, answer)
    return list(found.values())


class DialoguePredict:
    """The predictor of an agent that says how sure it is.

    Args:
        predict: Function from texts [B] to answers [B].
        confidence: Function from texts to numbers, larger for surer answers [B].
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], confidence: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._predict, self.confidence = predict, confidence

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return answers [B]."""
        return self._predict(inputs)


@configclass
class DialogueConfig(FilesConfig):
    """Questions and answers."""

    refused: Annotated[tuple[str, ...], Doc("answers that mean: this question has no answer here")] = ("oos", "out_of_scope")
    refusal: Annotated[str, Doc("the polite refusal")] = REFUSAL

    def __post_init__(self) -> None:
        if not self.refusal.strip():
            raise ValueError("refusal is empty; write what is answered to a question that has no answer here")


class DialogueTask(FileTask):
    """Questions and answers, judged by the share of exact answers."""

    Config: ClassVar[type] = DialogueConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("known",)
    metric = "accuracy"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the pairs of a file: question and answer, a text and its one label, or conversations in YAML."""
        return [pair._replace(target=self.config.refusal) if pair.target in self.config.refused else pair for pair in read_dialogue(path)]

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return questions of six kinds to a shop, and questions that it cannot answer."""
        rows = shop_dialogue(self.config.seed, 330, self.config.refusal)
        return {"train": [row for row in rows[:200] if row.target != self.config.refusal], "validation": rows[200:250], "test": rows[250:]}

    def encode(self, examples: list[Any]) -> None:
        """Count the different answers."""
        self.known = len({pair.target for pair in examples})

    def set_spaces(self) -> None:
        """Set the spaces."""
        self.input_space, self.output_space = AnyText(), AnyText()
        self.target = None if self.config.file else 0.95

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `dialogue`."""
        return super().traits() | {"dialogue"}

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return questions [B] and answers [B]."""
        chosen = [self.examples[split][int(index)] for index in indices]
        return np.array([pair.source for pair in chosen], dtype=str), np.array([pair.target for pair in chosen], dtype=str)

    def judge(self) -> Judge:
        """Return a judge of answers."""
        return DialogueJudge(self.config.refusal)

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split, with the AUROC of refusing where the agent says how sure it is."""
        found = super().evaluate_split(predict, split, batch_size)
        outside = np.array([pair.target == self.config.refusal for pair in self.examples[split]])
        if isinstance(predict, DialoguePredict) and outside.any() and not outside.all():
            found["AUROC of refusing"] = auroc(predict.confidence([pair.source for pair in self.examples[split]]), ~outside)
        return found

    def parse(self, text: str) -> np.ndarray:
        """Return the question as a batch of one.

        Raises:
            ValueError: if it has no words.
        """
        if not pieces(text):
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a question")
        return np.array([text])


class DialogueJudge:
    """A judge that counts exact answers.

    Args:
        refusal: The answer that refuses.
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._right = self._texts = self._refused = self._outside = self._both = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count answers [B] against targets [B]."""
        given, wanted = np.asarray(predictions).astype(str), np.asarray(targets).astype(str)
        refused, outside = given == self._refusal, wanted == self._refusal
        self._right += int((given == wanted).sum())
        self._texts += len(wanted)
        self._refused += int(refused.sum())
        self._outside += int(outside.sum())
        self._both += int((refused & outside).sum())

    def result(self) -> dict[str, float]:
        """Return the share of exact answers, also of the questions that have one, and the share of the others that were refused."""
        inside = self._texts - self._outside
        return {
            "accuracy": self._right / max(self._texts, 1),
            "accuracy where there is an answer": (self._right - self._both) / max(inside, 1),
            "refused where there is none": self._both / max(self._outside, 1),
            "refused": self._refused / max(self._texts, 1),
            "texts": float(self._texts),
        }


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability that a positive example has a larger score than a negative one; ties count one half.

    Source: Mann, Whitney, 1947.

    Example:
        >>> auroc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]))
        0.875
    """
    order = np.argsort(scores, kind="stable")
    _, group, sizes = np.unique(scores[order], return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    ranks = np.empty(len(scores))
    ranks[order] = (ends - (sizes - 1) / 2)[group]
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))
