"""Dependency parsing as a task: `parsing:<file>` of CoNLL-U, and the bundled `toy-trees`.

A sentence goes in as a row of word numbers, and comes out as a row of numbers for each word's head and relation together, head * L +
relation + 1, 0 behind its last word. Attachment is scored as in the CoNLL shared tasks, punctuation included: UAS is the share of words
with the right head, LAS of those with the right head and relation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from nlp_embeddings.draws import one_of
from nlp_embeddings.reading.columns import Sentence, read_sentences
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.words import pieces, typed_ids
from rl_core.config import Count, Doc, configclass
from rl_core.judge import Judge
from rl_core.task import Predict
from rl_core.tokens import Tokens

UNKNOWN = 1
TOY_SENTENCES = {"train": 400, "validation": 40, "test": 150}
_TOY_WORDS = {
    "DET": ("the", "a", "every"),
    "ADJ": ("red", "old", "small", "quiet"),
    "NOUN": ("cat", "dog", "ship", "parrot", "captain", "island"),
    "VERB": ("sees", "finds", "follows", "likes"),
    "ADP": ("near", "behind", "with"),
    "PUNCT": (".",),
}
Trees = list[tuple[np.ndarray, np.ndarray]]
"""Heads [n] and relation numbers [n] of sentences."""


class TreePredict:
    """The predictor of an agent that reads words: besides rows of word numbers it takes the sentences themselves.

    Args:
        predict: Function from word numbers [B, T] to numbers of head and relation [B, T].
        parse: Function from sentences, words and true tags, to their trees.
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], parse: Callable[[Sequence[Sequence[str]]], Trees]) -> None:
        self._predict, self.parse = predict, parse

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return numbers of head and relation [B, T]."""
        return self._predict(inputs)


@configclass
class ParsingConfig(FilesConfig):
    """Sentences with trees."""

    min_count: Annotated[Count, Doc("a rarer word has no number of its own; networks see it as unknown")] = 2
    max_length: Annotated[Count, Doc("T, most words of a row; longer sentences are left out of what networks see")] = 64


class ParsingTask(FileTask):
    """Sentences with dependency trees, judged by labelled attachment.

    Attributes:
        vocabulary: Words by number; the first two mean padding and unknown.
        relations: Names of relations by number.
    """

    Config: ClassVar[type] = ParsingConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("vocabulary", "relations", "tags", "length")
    metric = "LAS"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the sentences of a file.

        Raises:
            ValueError: if they have no trees.
        """
        found: list[Sentence] = list(read_sentences(path))
        bare = next((sentence for sentence in found if not sentence.heads), None)
        if bare is not None:
            raise ValueError(f"{path}, line {bare.line}: this sentence has no tree; expected CoNLL-U with heads in the seventh column")
        return found

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return sentences of a small grammar in which each word's head is certain."""
        return {split: _toy_sentences(self.config.seed, split) for split in TOY_SENTENCES}

    def encode(self, examples: list[Any]) -> None:
        """Number words, tags and relations, and set the length of a row."""
        counts = Counter(word for sentence in examples for word in sentence.words)
        everything = [sentence for split in self.examples.values() for sentence in split]
        self.vocabulary = ["", "<unknown>", *sorted(word for word, count in counts.items() if count >= self.config.min_count)]
        self.relations = sorted({name for sentence in everything for name in sentence.relations})
        self.tags = sorted({tag for sentence in everything for tag in sentence.tags})
        self.length = min(max(len(sentence.words) for sentence in everything), self.config.max_length)

    def set_spaces(self) -> None:
        """Set the spaces and the numbers of words and relations."""
        self.input_space = Tokens(self.length, len(self.vocabulary), padding=0)
        self.output_space = Tokens(self.length, (self.length + 1) * len(self.relations) + 1, padding=0)
        self.number_of_word = {word: number for number, word in enumerate(self.vocabulary)}
        self.number_of_relation = {name: number for number, name in enumerate(self.relations)}
        self.target = None if self.config.file else 0.97
        self.__dict__.pop("_short", None)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `trees`."""
        return super().traits() | {"trees"}

    def trees(self, split: str) -> Trees:
        """Return the heads and the relations of the sentences of a split."""
        number = self.number_of_relation
        return [(np.array(s.heads), np.array([number.get(name, -1) for name in s.relations])) for s in self.examples[split]]

    def num_examples(self, split: str) -> int:
        """Return the number of sentences of a split that fit into a row."""
        return len(self._rows(split))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return word numbers [B, T] and numbers of head and relation [B, T]."""
        rows = self._rows(split)
        sentences = [self.examples[split][rows[int(index)]] for index in indices]
        inputs = [[self.number_of_word.get(word, UNKNOWN) for word in sentence.words] for sentence in sentences]
        number = self.number_of_relation
        targets = [self.row_of_tree(np.array(s.heads), np.array([number.get(name, 0) for name in s.relations])) for s in sentences]
        return self.padded(inputs, self.length), self.padded(targets, self.length)

    def row_of_tree(self, heads: np.ndarray, relations: np.ndarray) -> np.ndarray:
        """Return the numbers of head and relation [n] of a tree; heads outside of a row become the root."""
        return np.where(heads <= self.length, heads, 0) * len(self.relations) + relations + 1

    def judge(self) -> Judge:
        """Return a judge of attachment."""
        return TreeJudge(len(self.relations))

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split; an agent that reads words is judged on all sentences, a network on those that fit into a row."""
        if not isinstance(predict, TreePredict):
            return super().evaluate_split(predict, split, batch_size)
        judge = TreeJudge(len(self.relations))
        for (heads, relations), tree in zip(predict.parse([s.words for s in self.examples[split]]), self.trees(split), strict=True):
            judge.count(heads, relations, *tree)
        return judge.result()

    def parse(self, text: str) -> np.ndarray:
        """Return the word numbers [1, T] of a sentence, or of a JSON list of numbers.

        Raises:
            ValueError: if it has no words, or a number is outside the vocabulary.
        """
        numbers = typed_ids(text, self.input_space)
        return self.padded([numbers or [self.number_of_word.get(word, UNKNOWN) for word in self.words_of(text)]], self.length)

    def words_of(self, text: str) -> list[str]:
        """Return the words and punctuation marks of a text.

        Raises:
            ValueError: if it has none.
        """
        if not (found := pieces(text)):
            raise ValueError(f"the input {text[:60]!r} lacks words; expected a sentence")
        return found

    def words_of_rows(self, inputs: np.ndarray) -> list[list[str]]:
        """Return the words of rows of word numbers [B, T], without padding."""
        return [[self.vocabulary[number] for number in row if number] for row in np.asarray(inputs).tolist()]

    def describe(self, predictions: Any) -> list[Any]:
        """Return head and relation of each word of rows of answers."""
        size = len(self.relations)
        return [[[(number - 1) // size, self.relations[(number - 1) % size]] for number in row if number] for row in predictions.tolist()]

    def _rows(self, split: str) -> list[int]:
        found: dict[str, list[int]] = self.__dict__.setdefault("_short", {})
        if split not in found:
            found[split] = [number for number, sentence in enumerate(self.examples[split]) if len(sentence.words) <= self.length]
        return found[split]


class TreeJudge:
    """A judge that counts words with the right head, and with the right relation as well.

    Args:
        size: L, number of relations.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heads = self._both = self._words = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count numbers of head and relation [B, T] against targets [B, T], where the targets are not padding."""
        counted = np.asarray(targets) != 0
        given, wanted = (np.asarray(rows)[counted] - 1 for rows in (predictions, targets))
        self.count(given // self._size, given % self._size, wanted // self._size, wanted % self._size)

    def count(self, heads: np.ndarray, relations: np.ndarray, true_heads: np.ndarray, true_relations: np.ndarray) -> None:
        """Count heads and relations [n] against the true ones [n]."""
        right = heads == true_heads
        self._heads += int(right.sum())
        self._both += int((right & (relations == true_relations)).sum())
        self._words += len(heads)

    def result(self) -> dict[str, float]:
        """Return labelled and unlabelled attachment."""
        return {"LAS": self._both / max(self._words, 1), "UAS": self._heads / max(self._words, 1), "words": float(self._words)}


def _toy_sentences(seed: int, split: str) -> list[Sentence]:
    """Return sentences such as `the old cat near a ship sees every dog .`: what follows a preposition belongs to the noun before it."""
    rng = np.random.default_rng([seed, 7, list(TOY_SENTENCES).index(split)])
    found = []
    for number in range(TOY_SENTENCES[split]):
        rows: list[list[Any]] = []  # word, tag, head, relation

        def add(tag: str, head: int, relation: str, rows: list[list[Any]] = rows) -> int:
            rows.append([one_of(rng, _TOY_WORDS[tag]), tag, head, relation])
            return len(rows)

        def noun(relation: str, depth: int = 0, rows: list[list[Any]] = rows, add: Any = add) -> int:
            front = [add("DET", 0, "det")] + [add("ADJ", 0, "amod") for _ in range(int(rng.integers(0, 3)))]
            place = add("NOUN", 0, relation)
            for word in front:
                rows[word - 1][2] = place
            if depth < 2 and rng.random() < 0.35:
                case = add("ADP", 0, "case")
                inner = noun("nmod", depth + 1)
                rows[case - 1][2], rows[inner - 1][2] = inner, place
            return place

        subject = noun("nsubj")
        verb = add("VERB", 0, "root")
        rows[subject - 1][2] = verb
        if rng.random() < 0.8:
            rows[noun("obj") - 1][2] = verb
        add("PUNCT", verb, "punct")
        words, tags, heads, relations = (list(column) for column in zip(*rows, strict=True))
        found.append(Sentence(words, tags, heads, relations, number))
    return found
