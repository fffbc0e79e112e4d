"""Text to tokens: regular expression, white space and character tokenizers, stop words, stems, lemmas and sentences.

A named tokenizer has two parts: the bytes that may be inside a token, by which the compiled scanner of `nlp_embeddings.corpus.encode`
cuts a text into *chunks*, and a Python function from a chunk to its tokens, called once per *different* chunk. A token never contains
a byte that separates chunks, so cutting first changes nothing
(`test_cutting_into_chunks_first_gives_the_tokens_of_the_whole_text`).

Any other callable from a line to a list of tokens works as well (`encode(..., tokenizer=my_function)`), at Python's speed.
"""

from __future__ import annotations

import importlib
import itertools
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple


def _combining_marks() -> str:
    """Return a regular expression's class of all combining marks (Unicode Mn and Mc) and of the two joiners U+200C and U+200D."""
    places = itertools.chain(range(0x300, 0x1F000), range(0xE0100, 0xE01F0))  # marks are nowhere else
    marks = [code for code in places if unicodedata.category(chr(code)) in ("Mn", "Mc")] + [0x200C, 0x200D]
    return "".join(f"\\U{code:08x}" for code in sorted(marks))


COMBINING_MARKS = _combining_marks()
"""Contents of a regular expression's character class: all combining marks and the two joiners."""

WORD = re.compile(rf"[^\W_]+(?:[{COMBINING_MARKS}]+[^\W_]*)*(?:['’][^\W_]+(?:[{COMBINING_MARKS}]+[^\W_]*)*)*")
"""Letters and digits of any script with their combining marks, and apostrophes inside: `don't` is one token, `'tis` gives `tis`."""

_CHARACTER = re.compile(rf"\S[{COMBINING_MARKS}]*")
_ABBREVIATIONS_TEXT = "mr mrs ms messrs mme dr st prof rev hon jr sr vs esq capt col gen lt sgt vol fig eg ie viz etc"
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
FULL_STOPS = "。！？।॥"
"""Marks that end a sentence without a space after them: of Chinese and Japanese, and of the scripts of India."""
_SENTENCE_END = re.compile(rf"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[{FULL_STOPS}])[\"'”’)\]」』]*(?![{FULL_STOPS}])\s*|\n\s*\n")

_STOP_BYTES = tuple(mark.encode() for mark in FULL_STOPS)


class Tokenizer(NamedTuple):
    """A tokenizer that the compiled scanner understands.

    Attributes:
        name: Its name in configs.
        inside: For each byte value whether it may be inside a token, [256] of 0 and 1.
        split: Function from a chunk (a longest run of such bytes, decoded) to its tokens.
    """

    name: str
    inside: bytes
    split: Callable[[str], list[str]]


def _inside(ascii_members: Callable[[str], bool]) -> bytes:
    return bytes(1 if code >= 128 or ascii_members(chr(code)) else 0 for code in range(256))


TOKENIZERS = {
    "regex": Tokenizer("regex", _inside(lambda c: c.isalnum() or c == "'"), WORD.findall),
    "whitespace": Tokenizer("whitespace", _inside(lambda c: not c.isspace()), str.split),
    "character": Tokenizer("character", _inside(lambda c: not c.isspace()), _CHARACTER.findall),
}
"""Tokenizers by name: words of letters and digits, text between white space, single characters (each with its marks)."""

_FUNCTION_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by can
could did do does doing don't down during each few for from further had has have having he her here hers herself him
himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other
our ours ourselves out over own same shall she should so some such than that the their theirs them themselves then there
these they this those through to too under until up upon very was we were what when where which while who whom why will
with would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English function words, whose frequency alone would dominate some models."""


def tokenize(text: str, tokenizer: str = "regex", *, lowercase: bool = True) -> list[str]:
    """Return the tokens of a text.

    Example:
        >>> tokenize("Don't give up the ship!")
        ["don't", 'give', 'up', 'the', 'ship']
    """
    tokens = TOKENIZERS[tokenizer].split(text.replace("\ufeff", ""))
    return [token.lower() for token in tokens] if lowercase else tokens


def split_sentences(text: str) -> list[str]:
    """Return the sentences of running text: cut after `.`, `!` and `?` before white space, and at blank lines; not after `Mr.` or initials.

    The marks of `FULL_STOPS` need no white space after them.

    Example:
        >>> split_sentences("我爱你。「走吧！」她说。"), split_sentences("वह गया। मैं आया।")
        (['我爱你。', '「走吧！」', '她说。'], ['वह गया।', 'मैं आया।'])
        >>> split_sentences("Mr. Trelawney spoke. We sailed! And then?")
        ['Mr. Trelawney spoke.', 'We sailed!', 'And then?']
    """
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        before = text[start : match.start()].rstrip()
        words = WORD.findall(before)
        if "\n" not in match.group().strip(" ") and before.endswith(".") and words and is_abbreviation(words[-1]):
            continue
        piece = text[start : match.end()].strip()
        if piece:
            sentences.append(piece)
        start = match.end()
    last = text[start:].strip()
    return [*sentences, last] if last else sentences


def with_stops_apart(block: bytes, tokenizer: str) -> bytes:
    """Return UTF-8 text in which a space follows each of `FULL_STOPS`, so that the scanner, which reads bytes, ends the sentence there.

    Tokens stay what they are: the tokenizer `regex`, which drops such marks, gets an exclamation mark and spaces of the same length;
    `whitespace`, for which a space would cut a token, gets the text as it is.

    Example:
        >>> with_stops_apart("你好。再见।".encode(), "character").decode()
        '你好。 再见। '
    """
    if block.isascii() or tokenizer not in ("regex", "character"):
        return block
    for mark in _STOP_BYTES:
        block = block.replace(mark, b"!" + b" " * (len(mark) - 1) if tokenizer == "regex" else mark + b" ")
    return block


def has_full_stops(text: str) -> bool:
    r"""Return whether sentences of a text end with punctuation or blank lines; if not, its lines are its sentences.

    The boundary is one sentence end in twenty lines: running prose has one in every two or three lines, lists of sentences that were
    stripped of punctuation have none.

    Example:
        >>> has_full_stops("one two three\\nfour five\\n" * 20), has_full_stops("We sailed on\\nthe tide. It\\nwas cold.\\n")
        (False, True)
    """
    lines = sum(1 for line in text.split("\n") if line.strip())
    return len(_SENTENCE_END.findall(text.strip() + " ")) * 20 >= lines


def is_abbreviation(word: str) -> bool:
    """Return whether a full stop after this word does not end a sentence: after a title, or an initial other than `I`."""
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word not in "Ii")


@lru_cache(maxsize=8)
def stemmer(language: str) -> Callable[[str], str]:
    """Return the Snowball stemmer of a language, a function of one word.

    Raises:
        ValueError: if Snowball has no stemmer of that name.
    """
    import snowballstemmer

    if language not in snowballstemmer.algorithms():
        raise ValueError(f"stemmer is {language!r}; expected one of {', '.join(snowballstemmer.algorithms())}")
    return snowballstemmer.stemmer(language).stemWord


@lru_cache(maxsize=8)
def lemmatizer(language: str) -> Callable[[str], str]:
    """Return a function from words to dictionary forms, from the library `simplemma` (extra `lemmas`).

    Args:
        language: Two-letter code.

    Raises:
        ValueError: if the library is missing, or does not know the language.
    """
    try:
        simplemma = importlib.import_module("simplemma")
    except ImportError as error:
        raise ValueError("lemmatizer needs the package simplemma: pip install 'nlp-embeddings[lemmas]'") from error
    try:
        simplemma.lemmatize("test", lang=language)
    except Exception as error:  # the library opens a file of that name, and passes on whatever goes wrong
        raise ValueError(f"lemmatizer is {language!r}; expected a two-letter code such as 'en', 'de', 'fr' ({error})") from error
    return lambda word: simplemma.lemmatize(word, lang=language)
