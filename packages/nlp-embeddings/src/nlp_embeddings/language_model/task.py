"""The next token of a text as a task: `language-model:<file>`, and the bundled `markov-text`.

A row of T tokens goes in, the same row one token later comes out, so that any network for tokens learns it. The metric is the share of
right guesses of the next token. An agent that gives probabilities (`LanguagePredict`) is also judged by nats a token and perplexity over
the test text: exp(-1/N sum ln p), every token counted, unknown ones and ends of lines among them, as the program KenLM has it. By default
the text is one piece; with `lines=true` and `token=whitespace` each line is a sentence by itself, and the number is that of KenLM.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.text_files import numbered_lines
from nlp_embeddings.reading.byte_pairs import BytePairs, SubwordConfig, marked_words, pairs_of_words, plain_text
from nlp_embeddings.reading.file_task import FilesConfig, FileTask
from nlp_embeddings.reading.words import pieces, typed_ids
from nlp_embeddings.tagging.task import TagJudge
from rl_core.config import Count, Doc, Fraction, configclass
from rl_core.judge import Judge
from rl_core.task import Predict
from rl_core.tokens import Tokens
from rl_core.writing import WritingConfig, continued

UNKNOWN = 1
END = "<eos>"
MARKOV_TOKENS = {"train": 20_000, "validation": 2_000, "test": 5_000}
_SYMBOLS = "abcdefgh"


class LanguagePredict:
    """The predictor of an agent that gives probabilities.

    Args:
        predict: Function from token numbers [B, T] to the most probable next token after each [B, T].
        log_probabilities: Function from a text [N] of token numbers to ln p of each token given those before it [N].
    """

    def __init__(self, predict: Callable[[Any], np.ndarray], log_probabilities: Callable[[np.ndarray], np.ndarray]) -> None:
        self._predict, self.log_probabilities = predict, log_probabilities

    def __call__(self, inputs: Any) -> np.ndarray:
        """Return the most probable next tokens [B, T]."""
        return self._predict(inputs)


@configclass
class LanguageConfig(WritingConfig, SubwordConfig, FilesConfig):
    """A text, its tokens, and how more of them are written."""

    token: Annotated[
        Literal["character", "word", "whitespace", "subword"],
        Doc("characters and line breaks | words and marks | what is between white space | parts of words; <eos> ends a line of these"),
    ] = "character"
    lines: Annotated[bool, Doc("n-grams do not cross line breaks, and know the begin of a line: each line is a text by itself")] = False
    length: Annotated[Count, Doc("T, tokens of a row")] = 64
    min_count: Annotated[Count, Doc("a rarer token is unknown")] = 1
    validation_share: Annotated[Fraction, Doc("of the text, in front of the test part, where no file is named for it")] = 0.05
    test_share: Annotated[Fraction, Doc("of the text, at its end, where no file is named for it")] = 0.1

    def __post_init__(self) -> None:
        if self.validation_share + self.test_share >= 1:
            shares = f"validation_share is {self.validation_share} and test_share is {self.test_share}"
            raise ValueError(f"{shares}; together they must leave text to learn from")


class LanguageTask(FileTask):
    """The next token of a text.

    Attributes:
        vocabulary: Tokens by number; the first two mean padding and unknown.
        merges: Pairs of symbols that become one, of subwords.
        begin: Number that marks the begin of a line in `marked`; -1: lines are not marked.
    """

    Config: ClassVar[type] = LanguageConfig
    encoding_fields: ClassVar[tuple[str, ...]] = ("vocabulary", "merges")
    metric = "accuracy"

    def examples_of_file(self, path: Path) -> list[Any]:
        """Return the tokens of a file; with subwords, its words."""
        found: list[str] = []
        for _, line in numbered_lines(path):
            found += [*self._cut(line), self._line_end]
        return found

    def bundled_examples(self) -> dict[str, list[Any]]:
        """Return texts of a Markov chain, in which two symbols decide the next one's probabilities."""
        return {split: [_SYMBOLS[n] for n in markov_text(self.config.seed, split)] for split in MARKOV_TOKENS}

    def parts(self) -> dict[str, list[Any]]:
        """Return the tokens by split: parts of the text from its end, or files of their own."""
        config = self.config
        rest = self.read_file(config.file)
        size, found = len(rest), {}
        for split, name, share in (("test", config.test, config.test_share), ("validation", config.validation, config.validation_share)):
            cut = len(rest) if name else len(rest) - round(share * size)
            found[split] = self.read_file(name) if name else rest[cut:]
            rest = rest[:cut]
        for split, tokens in (("train", rest), ("test", found["test"])):
            if len(tokens) == 1:  # none at all are refused with the other tasks' texts
                raise ValueError(f"{config.file} leaves one token for the {split} split, and none to guess; take a longer text")
        return {"train": rest, **found}

    def encode(self, examples: list[Any]) -> None:
        """Number the tokens."""
        words = Counter(examples)
        self.merges = pairs_of_words(words, self.config) if self.config.token == "subword" else []
        counts: Counter[str] = Counter()
        for word, size in words.items():
            for token in self._parts_of(word):
                counts[token] += size
        kept = sorted(token for token, count in counts.items() if count >= self.config.min_count)
        self.vocabulary = ["", "<unknown>", *(token.replace("\n", "\\n") for token in kept)]

    def set_spaces(self) -> None:
        """Set the spaces and the numbers of tokens."""
        self.input_space = Tokens(self.config.length, len(self.vocabulary), padding=0)
        self.output_space = Tokens(self.config.length, len(self.vocabulary), padding=0)
        self.number_of = {token.replace("\\n", "\n"): number for number, token in enumerate(self.vocabulary)}
        self.begin = len(self.vocabulary) if self.config.lines else -1
        self.target = None if self.config.file else round(markov_best(self.config.seed) - 0.01, 4)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `next-token`."""
        return super().traits() | {"next-token"}

    def text(self, split: str) -> np.ndarray:
        """Return the token numbers [N] of a split."""
        return self._texts[split]

    def marked(self, text: np.ndarray, *, opening: bool = True) -> np.ndarray:
        """Return token numbers with `begin` in front of each line, if each line is a text by itself; else the text as it is.

        Args:
            text: Token numbers [N].
            opening: Whether the first token begins a line.
        """
        if self.begin < 0:
            return text
        ends = np.flatnonzero(text[:-1] == self.number_of.get(self._line_end, -1)) + 1
        return np.insert(text, np.append(0, ends) if opening else ends, self.begin)

    def _cut(self, text: str) -> list[str]:
        """Return the tokens of a text; with subwords, its words."""
        cut: dict[str, Callable[[str], list[str]]] = {"character": list, "word": pieces, "whitespace": str.split, "subword": marked_words}
        return cut[self.config.token](text)

    def _parts_of(self, word: str) -> list[str]:
        """Return the subwords of a word, or what is a token already."""
        return self._byte_pairs.split(word) if self.config.token == "subword" and word != self._line_end else [word]

    @cached_property
    def _byte_pairs(self) -> BytePairs:
        return BytePairs.of(self.merges)

    @property
    def _line_end(self) -> str:
        return "\n" if self.config.token == "character" else END

    @cached_property
    def _texts(self) -> dict[str, np.ndarray]:
        return {
            split: np.array([self.number_of.get(token, UNKNOWN) for word in words for token in self._parts_of(word)], dtype=np.int64)
            for split, words in self.examples.items()
        }

    def num_examples(self, split: str) -> int:
        """Return the number of rows of a split."""
        return max(-(-(len(self.text(split)) - 1) // self.config.length), 0)

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of token numbers [B, T], and the same one token later [B, T]."""
        text, length = self.text(split), self.config.length
        inputs = [text[:-1][n * length : (n + 1) * length] for n in indices]
        targets = [text[1:][n * length : (n + 1) * length] for n in indices]
        return self.padded(inputs, length), self.padded(targets, length)

    def judge(self) -> Judge:
        """Return a judge of the share of right next tokens."""
        return TagJudge()

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split; with probabilities also nats a token and perplexity."""
        found = super().evaluate_split(predict, split, batch_size)
        found["tokens"] = found.pop("words")
        text = self.text(split)
        if isinstance(predict, LanguagePredict) and len(text):
            nats = -float(predict.log_probabilities(text).mean())
            unknown = float((text == UNKNOWN).mean())
            unit = self.config.token if self.config.token in ("character", "subword") else "word"
            found |= {f"nats a {unit}": nats, "perplexity": math.exp(min(nats, 700.0)), "unknown": unknown}
        return found

    def tokens_of(self, text: str) -> list[int]:
        """Return the token numbers of a text."""
        return [self.number_of.get(token, UNKNOWN) for word in self._cut(text) for token in self._parts_of(word)]

    def text_of(self, numbers: Any) -> str:
        """Return the text of token numbers."""
        tokens = [self.vocabulary[int(number)].replace("\\n", "\n") for number in numbers if number]
        if self.config.token == "subword":
            return "\n".join(plain_text(line.split("\0")) for line in "\0".join(tokens).split(END))
        return "".join(tokens) if self.config.token == "character" else " ".join(tokens).replace(END, "\n")

    def continued(self, text: str, scores: Callable[[Any], np.ndarray]) -> str:
        """Return a text with `written` tokens behind it, the same for the same text; see `rl_core.task.ContinuesText`."""
        return self.text_of(continued(self.tokens_of(text), lambda texts: scores(texts[:, -self.config.length :]), self.config))

    def describe(self, predictions: Any) -> list[Any]:
        """Return the tokens that are the likeliest to follow each token of the inputs, as texts."""
        return [self.text_of(row) for row in np.asarray(predictions).tolist()]

    def parse(self, text: str) -> np.ndarray:
        """Return the token numbers [1, T] of the end of a text, or of a JSON list of numbers.

        Raises:
            ValueError: if the text is empty, or a number is outside the vocabulary.
        """
        numbers = typed_ids(text, self.input_space)
        if numbers is None:
            numbers = self.tokens_of(text)[-self.config.length :]
        if not numbers:
            raise ValueError(f"the input {text[:60]!r} has no tokens; expected a text")
        return self.padded([numbers], self.config.length)


def markov_chain(seed: int) -> np.ndarray:
    """Return the probabilities of the next symbol after each two [S, S, S] of the chain of a seed."""
    return np.random.default_rng([seed, 5]).dirichlet(np.full(len(_SYMBOLS), 0.3), size=(len(_SYMBOLS), len(_SYMBOLS)))


def markov_text(seed: int, split: str) -> np.ndarray:
    """Return the symbols [N] of a text of the chain of a seed."""
    chain = np.cumsum(markov_chain(seed), axis=2)
    draws = np.random.default_rng([seed, 6, list(MARKOV_TOKENS).index(split)]).random(MARKOV_TOKENS[split])
    text = np.zeros(len(draws), dtype=np.int64)
    for place in range(2, len(draws)):
        text[place] = min(np.searchsorted(chain[text[place - 2], text[place - 1]], draws[place], side="right"), len(_SYMBOLS) - 1)
    return text


def markov_best(seed: int) -> float:
    """Return the share of next symbols of the test text that are the true chain's most probable ones."""
    text = markov_text(seed, "test")
    return float((markov_chain(seed).argmax(axis=2)[text[:-2], text[1:-1]] == text[2:]).mean())
