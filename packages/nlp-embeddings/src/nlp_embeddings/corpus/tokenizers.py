"""Text to tokens: regular expression, whitespace and character tokenisers, stop words, stems, lemmas and sentences.

A named tokeniser is two things: the bytes that may stand inside a token, which lets the compiled scanner of
`nlp_embeddings.corpus.encode` cut a text into *chunks*, and a Python function from a chunk to its tokens, which is called once
per *different* chunk. A token never reaches over the bytes that separate chunks, so cutting first changes nothing
(`test_cutting_into_chunks_first_gives_the_tokens_of_the_whole_text`).

Any other callable from a line to a list of tokens serves as well (`encode(..., tokenizer=my_function)`), at Python's speed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
"""Letters and digits of any script, with apostrophes inside: `don't` is one token, `'tis` gives `tis`."""

_ABBREVIATIONS_TEXT = "mr mrs ms messrs mme dr st prof rev hon jr sr vs esq capt col gen lt sgt vol fig eg ie viz etc"
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n\s*\n")


class Tokenizer(NamedTuple):
    """A tokeniser that the compiled scanner understands.

    Attributes:
        name: How configs call it.
        inside: For each byte value whether it may stand inside a token, [256] of 0 and 1.
        split: A chunk (a longest run of such bytes, decoded) to its tokens.
    """

    name: str
    inside: bytes
    split: Callable[[str], list[str]]


def _inside(ascii_members: Callable[[str], bool]) -> bytes:
    return bytes(1 if code >= 128 or ascii_members(chr(code)) else 0 for code in range(256))


TOKENIZERS = {
    "regex": Tokenizer("regex", _inside(lambda c: c.isalnum() or c == "'"), WORD.findall),
    "whitespace": Tokenizer("whitespace", _inside(lambda c: not c.isspace()), str.split),
    "character": Tokenizer("character", _inside(lambda c: not c.isspace()), lambda chunk: [c for c in chunk if not c.isspace()]),
}

_FUNCTION_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by can
could did do does doing don't down during each few for from further had has have having he her here hers herself him
himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other
our ours ourselves out over own same shall she should so some such than that the their theirs them themselves then there
these they this those through to too under until up upon very was we were what when where which while who whom why will
with would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English function words, for models that a word's mere frequency would drown."""


def tokenize(text: str, tokenizer: str = "regex", *, lowercase: bool = True) -> list[str]:
    """Tokens of a text.

    Example:
        >>> tokenize("Don't give up the ship!")
        ["don't", 'give', 'up', 'the', 'ship']
    """
    tokens = TOKENIZERS[tokenizer].split(text.replace("\ufeff", ""))
    return [token.lower() for token in tokens] if lowercase else tokens


def split_sentences(text: str) -> list[str]:
    """Sentences of running text: cut after `.`, `!` and `?` before white space, and at blank lines; not after `Mr.` or initials.

    Example:
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


def is_abbreviation(word: str) -> bool:
    """Whether a full stop after this word ends no sentence: a title, or an initial other than `I`."""
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word not in "Ii")


@lru_cache(maxsize=8)
def stemmer(language: str) -> Callable[[str], str]:
    """The Snowball stemmer of a language, one word at a time.

    Raises:
        ValueError: if Snowball has no stemmer of that name.
    """
    import snowballstemmer

    if language not in snowballstemmer.algorithms():
        raise ValueError(f"stemmer is {language!r}; Snowball knows {', '.join(snowballstemmer.algorithms())}")
    return snowballstemmer.stemmer(language).stemWord


@lru_cache(maxsize=8)
def lemmatizer(language: str) -> Callable[[str], str]:
    """Words to dictionary forms, by the `simplemma` library of the extra `lemmas`; `language` is its two-letter code.

    Raises:
        ValueError: if the library is missing, or does not know the language.
    """
    try:
        simplemma = importlib.import_module("simplemma")
    except ImportError as error:
        raise ValueError("lemmatizer needs the package simplemma: pip install 'nlp-embeddings[lemmas]'") from error
    try:
        simplemma.lemmatize("test", lang=language)
    except ValueError as error:
        raise ValueError(f"lemmatizer is {language!r}; simplemma takes two-letter codes such as 'en', 'de', 'fr' ({error})") from error
    return lambda word: simplemma.lemmatize(word, lang=language)
