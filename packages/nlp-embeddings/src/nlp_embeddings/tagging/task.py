"""Tagging as a task: `tagging:<file>`, `entities:<file>`, and the bundled `grammar-tags` and `template-entities`.

A sentence goes in as a row of word numbers and comes out as a row of tag numbers, 0 behind its last word, so that any network for tokens
learns it. Agents of this package see the words themselves (`TagPredict`), whose letters say much of a word that was never seen.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from nlp_embeddings.reading.columns import Sentence, TagColumn, read_sentences
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.words import pieces, typed_ids
from nlp_embeddings.tagging.grammar import GRAMMAR_SENTENCES, entity_sentences, grammar_sentences, right_share
from nlp_embeddings.tagging.schemes import Scheme, is_tag, spans, to_bio, to_bioes
from rl_core.batches import Batch
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import Predict
from rl_core.tokens import Tokens

UNKNOWN = 1
Tagger = Callable[[Sequence[Sequence[str]]], list[np.ndarray]]
"""Function from sentences to a tag number for each word."""


class TagPredict:
    """The predictor of an agent that reads words: besides rows of word numbers it takes the sentences themselves.

    Args:
        predict: Function from word numbers [B, T] to tag numbers [B, T].
        tag: Function from sentences to the tag numbers of their words.
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], tag: Tagger) -> None:
        self._predict, self.tag = predict, tag

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return tag numbers [B, T]."""
        return self._predict(inputs)


@configclass
class TaggingConfig(FilesConfig):
    """Tagged sentences."""

    column: Annotated[TagColumn, Doc("tags of a CoNLL-U file: universal | of the treebank")] = "upos"
    min_count: Annotated[Count, Doc("a rarer word has no number of its own; networks see it as unknown")] = 2
    max_length: Annotated[Count, Doc("T, most words of a row; a longer sentence is cut into several rows")] = 128
    letters: Annotated[Whole, Doc("C, letters of each word that networks are given besides, the first and the last ones; 0: none")] = 0


@configclass
class EntitiesConfig(FilesConfig):
    """Sentences with entities, in IOB1, BIO or BIOES."""

    column: Annotated[TagColumn, Doc("tags of a CoNLL-U file: universal | of the treebank")] = "xpos"
    scheme: Annotated[Scheme, Doc("tags that are learned: begin, inside, outside | with ends and singles")] = "BIO"
    min_count: Annotated[Count, Doc("a rarer word has no number of its own; networks see it as unknown")] = 2
    max_length: Annotated[Count, Doc("T, most words of a row; a longer sentence is cut into several rows")] = 128
    letters: Annotated[Whole, Doc("C, letters of each word that networks are given besides, the first and the last ones; 0: none")] = 0


class TaggingTask(FileTask):
    """Sentences with a tag for each word, judged by the share of right tags.

    Attributes:
        vocabulary: Words by number; the first two mean padding and unknown.
        tags: Tags by number; the first one means padding.
        alphabet: Letters by number; the first two mean none and unknown.
    """

    Config: ClassVar[type] = TaggingConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("vocabulary", "tags", "length", "alphabet")
    metric = "accuracy"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the sentences of a file."""
        return list(read_sentences(path, self.config.column))

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return sentences of the grammar."""
        return {split: grammar_sentences(self.config.seed, split) for split in GRAMMAR_SENTENCES}

    def encode(self, examples: list[Any]) -> None:
        """Number words and tags, and set the length of a row."""
        counts = Counter(word for sentence in examples for word in sentence.words)
        self.vocabulary = ["", "<unknown>", *sorted(word for word, count in counts.items() if count >= self.config.min_count)]
        self.tags = ["", *sorted({tag for split in self.examples.values() for sentence in split for tag in self.tags_of(sentence)})]
        letters = sorted({letter for word in counts for letter in word}) if self.config.letters else []
        self.alphabet = ["", "<unknown>", *letters]
        longest = max(len(sentence.words) for split in self.examples.values() for sentence in split)
        self.length = min(longest, self.config.max_length)

    def set_spaces(self) -> None:
        """Set the spaces and the numbers of words and tags."""
        self.word_space = Tokens(self.length, len(self.vocabulary), padding=0)
        self.input_space: spaces.Space[Any] = self.word_space
        if self.config.letters:
            shape = (self.length, self.config.letters)
            letters = spaces.MultiDiscrete(np.full(shape, len(self.alphabet)), dtype=np.int32)
            self.input_space = spaces.Dict({"words": self.word_space, "letters": letters})
        self._spelled: dict[str, np.ndarray] = {}
        self.output_space = Tokens(self.length, len(self.tags), padding=0)
        self.number_of_word = {word: number for number, word in enumerate(self.vocabulary)}
        self.number_of_letter = {letter: number for number, letter in enumerate(self.alphabet)}
        self.number_of_tag = {tag: number for number, tag in enumerate(self.tags)}
        self.target = None if self.config.file else self.best_of_bundled()

    def best_of_bundled(self) -> float:
        """Return the score that counts as solved of the bundled sentences: half a percent below that of the true model."""
        return round(right_share(self.config.seed) - 0.005, 4)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other sentences.

        Raises:
            ValueError: if they have tags that were not learned.
        """
        task = super().for_evaluation(config, state)
        strangers = sorted({tag for s in task.examples["test"] for tag in task.tags_of(s)} - set(task.tags))
        if strangers:
            raise ValueError(f"the tags {', '.join(strangers[:5])} were not learned; the known ones are {', '.join(task.tags[1:8])}")
        return task

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `tagging`."""
        return super().traits() | {"tagging"}

    def tags_of(self, sentence: Sentence) -> list[str]:
        """Return the tags of a sentence as they are learned."""
        return sentence.tags

    def sentences(self, split: str) -> list[list[str]]:
        """Return the words of the sentences of a split."""
        return [sentence.words for sentence in self.examples[split]]

    def tag_numbers(self, split: str) -> list[np.ndarray]:
        """Return the tag numbers of the sentences of a split."""
        return [np.array([self.number_of_tag[tag] for tag in self.tags_of(s)], dtype=np.int64) for s in self.examples[split]]

    def num_examples(self, split: str) -> int:
        """Return the number of rows of a split: one for each sentence, more for a long one."""
        return len(self._rows(split))

    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, np.ndarray]:
        """Return words and tag numbers [B, T] of rows; see `inputs_of` for the words."""
        rows, examples = self._rows(split), self.examples[split]
        inputs, targets = [], []
        for index in indices:
            number, start = rows[int(index)]
            words = examples[number].words[start : start + self.length]
            inputs.append(words)
            targets.append(self.row_of_tags(self.tags_of(examples[number])[start : start + self.length], start))
        return self.inputs_of(inputs), self.padded(targets, self.length)

    def inputs_of(self, sentences: Sequence[Sequence[str]]) -> Batch:
        """Return word numbers [B, T] of sentences, or with `letters` a dict of these and of their letters' numbers [B, T, C]."""
        numbers = self.padded([[self.number_of_word.get(word, UNKNOWN) for word in words] for words in sentences], self.length)
        if not self.config.letters:
            return numbers
        letters = np.zeros((len(sentences), self.length, self.config.letters), dtype=np.int32)
        for row, words in zip(letters, sentences, strict=True):
            for place, word in enumerate(words[: self.length]):
                row[place] = self._spell(word)
        return {"words": numbers, "letters": letters}

    def _spell(self, word: str) -> np.ndarray:
        """Return the letters' numbers [C] of a word: of a long one, the first half of them and the last."""
        found = self._spelled.get(word)
        if found is None:
            most = self.config.letters
            kept = word if len(word) <= most else word[: most // 2] + word[len(word) - most + most // 2 :]
            found = self.padded([[self.number_of_letter.get(letter, UNKNOWN) for letter in kept]], most)[0]
            self._spelled[word] = found
        return found

    def row_of_tags(self, tags: Sequence[str], start: int) -> list[int]:
        """Return the numbers of the tags of one row, which begins at word `start` of its sentence."""
        return [self.number_of_tag[tag] for tag in tags]

    def judge(self) -> Judge:
        """Return a judge of the share of right tags."""
        return TagJudge()

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split, also those of the words that the training text lacks."""
        rows = self._rows(split)
        if isinstance(predict, TagPredict):
            tags = predict.tag(self.sentences(split))
            given = [self.row_of_tags([self.tags[k] for k in tags[n][first : first + self.length]], first) for n, first in rows]
            answers = self.padded(given, self.length)
        else:
            answers = None
        judge, right = self.judge(), [np.zeros(0, dtype=bool)]
        for start in range(0, len(rows), batch_size):
            inputs, targets = self.read(split, np.arange(start, min(start + batch_size, len(rows))))
            answered = np.asarray(predict(inputs)) if answers is None else answers[start : start + batch_size]
            judge.add(answered, targets)
            right.append((answered == targets)[targets != 0])
        return {**judge.result(), **self._on_unseen_words(np.concatenate(right), split)}

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Draw which tags of the validation sentences were taken for which."""
        from nlp_embeddings.tagging.confusion import draw_confusion

        split, pairs = "validation" if self.examples["validation"] else "test", []
        for start in range(0, self.num_examples(split), 1024):
            inputs, targets = self.read(split, np.arange(start, min(start + 1024, self.num_examples(split))))
            pairs.append(np.stack([targets, np.asarray(predict(inputs))])[:, targets != 0])  # 0 is padding
        true, given = np.concatenate(pairs, axis=1)
        draw_confusion(true, given, self.tags, folder / "confusion.png", split)

    def parse(self, text: str) -> Batch:
        """Return the inputs of a sentence, or of a JSON list of word numbers; see `inputs_of`.

        Raises:
            ValueError: if it has no words, or a number is outside the vocabulary.
        """
        numbers = typed_ids(text, self.word_space)
        if numbers is None:
            return self.inputs_of([self.words_of(text)])
        return self.inputs_of([[self.vocabulary[number] for number in numbers]])

    def words_of(self, text: str) -> list[str]:
        """Return the words and punctuation marks of a text.

        Raises:
            ValueError: if it has none.
        """
        found = pieces(text)
        if not found:
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a sentence")
        return found

    def words_of_rows(self, inputs: Any) -> list[list[str]]:
        """Return the words of inputs, rows of word numbers [B, T], up to their padding."""
        inputs = inputs["words"] if isinstance(inputs, Mapping) else inputs
        lengths = self.length - (np.asarray(inputs)[:, ::-1] != 0).argmax(axis=1)
        lengths[(np.asarray(inputs) == 0).all(axis=1)] = 0
        return [[self.vocabulary[number] for number in row[:n]] for row, n in zip(np.asarray(inputs).tolist(), lengths, strict=True)]

    def describe(self, predictions: Any) -> list[Any]:
        """Return the tags of rows of tag numbers, without padding."""
        return [[self.tags[number] for number in row if number] for row in np.asarray(predictions).tolist()]

    def _rows(self, split: str) -> list[tuple[int, int]]:
        """Return the sentence and the first word of each row."""
        return self._rows_by_split[split]

    @cached_property
    def _rows_by_split(self) -> dict[str, list[tuple[int, int]]]:
        step = self.length
        return {
            split: [(number, start) for number, sentence in enumerate(found) for start in range(0, len(sentence.words), step)]
            for split, found in self.examples.items()
        }

    def _on_unseen_words(self, right: np.ndarray, split: str) -> dict[str, float]:
        """Return the share of right tags, given of each word [W], among the words that the training text lacks."""
        known = {word for words in self.sentences("train") for word in words}
        unseen = np.array([word not in known for words in self.sentences(split) for word in words], dtype=bool)
        if not known or not unseen.any():
            return {}
        return {"accuracy on unseen words": float(right[unseen].mean()), "unseen words": float(unseen.sum())}


class TagJudge:
    """A judge that counts right tags."""

    def __init__(self) -> None:
        self._right = self._words = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count tag numbers [B, T] against targets [B, T], where the targets are not padding."""
        counted = np.asarray(targets) != 0
        self._right += int((np.asarray(predictions) == targets)[counted].sum())
        self._words += int(counted.sum())

    def result(self) -> dict[str, float]:
        """Return the share of right tags."""
        return {"accuracy": self._right / max(self._words, 1), "words": float(self._words)}


class EntitiesTask(TaggingTask):
    """Sentences with entities, judged by the F1 of exact spans and types.

    Broken sequences are repaired when a file is read, and counted on standard error. Answers are not repaired: an I- that continues nothing
    is not an entity. The figure of the program conlleval, which accepts those, is printed beside.
    """

    Config: ClassVar[type] = EntitiesConfig
    metric = "F1"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the sentences of a file, in BIO.

        Raises:
            ValueError: if it has a tag of another kind.
        """
        found, repaired, first = [], 0, 0
        for sentence in read_sentences(path, self.config.column):
            if wrong := [tag for tag in sentence.tags if not is_tag(tag)]:
                place = f"{path} has the tag {wrong[0]!r} in the sentence of line {sentence.line}"
                raise ValueError(f"{place}; expected O, or B-, I-, E-, S-, L- or U- before a type, as in B-LOC")
            tags, count = to_bio(sentence.tags)
            if count and not repaired:
                first = sentence.line
            repaired += count
            found.append(sentence._replace(tags=tags))
        if repaired:
            print(f"{path}: {repaired} tags I- that continue nothing were read as B-, the first in line {first} or below", file=sys.stderr)
        return found

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return sentences of templates, with names in the test sentences that no other has."""
        return {split: entity_sentences(self.config.seed, split) for split in GRAMMAR_SENTENCES}

    def best_of_bundled(self) -> float:
        """Return the score that counts as solved of the bundled sentences, which can be tagged without an error."""
        return 0.95

    def tags_of(self, sentence: Sentence) -> list[str]:
        """Return the tags of a sentence in the scheme of the config."""
        return sentence.tags if self.config.scheme == "BIO" else to_bioes(sentence.tags)

    def row_of_tags(self, tags: Sequence[str], start: int) -> list[int]:
        """Return the numbers of the tags of one row; what continues an entity of the row before begins one here."""
        begun = {"I": "B", "E": "S"}.get(tags[0][:1]) if start else None
        if begun and f"{begun}{tags[0][1:]}" in self.number_of_tag:
            tags = [f"{begun}{tags[0][1:]}", *tags[1:]]
        return super().row_of_tags(tags, start)

    def judge(self) -> Judge:
        """Return a judge of spans and types."""
        return SpanJudge(self.tags)


class SpanJudge:
    """A judge that counts entities found exactly.

    Args:
        tags: Tags by number; the first one means padding.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = tags
        self._strict, self._loose = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)  # right, answered, true
        self._words = TagJudge()

    def add(self, predictions: Any, targets: Any) -> None:
        """Count tag numbers [B, T] against targets [B, T], where the targets are not padding."""
        self._words.add(predictions, targets)
        for answered, true in zip(np.asarray(predictions), np.asarray(targets), strict=True):
            length = int(np.count_nonzero(true))
            given = [self._tags[number] or "O" for number in answered[:length]]
            wanted = [self._tags[number] or "O" for number in true[:length]]
            for counts, strict in ((self._strict, True), (self._loose, False)):
                ours, theirs = set(spans(given, strict=strict)), set(spans(wanted, strict=strict))
                counts += (len(ours & theirs), len(ours), len(theirs))

    def result(self) -> dict[str, float]:
        """Return F1, precision and recall of exact spans, the F1 of conlleval, and the share of right tags."""
        right, answered, true = map(int, self._strict)
        loose = list(map(int, self._loose))
        return {
            "F1": 2 * right / max(answered + true, 1),
            "precision": right / max(answered, 1),
            "recall": right / max(true, 1),
            "F1 of conlleval": 2 * loose[0] / max(loose[1] + loose[2], 1),
            "tag accuracy": self._words.result()["accuracy"],
            "entities": float(true),
        }
