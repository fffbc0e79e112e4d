"""Subwords by byte-pair encoding: pairs of symbols that are often beside each other become one symbol, over and over.

Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", 2016, algorithm 1. Departures: a mark in
front of a word in place of one behind it, as SentencePiece has it, so that texts are put together again without a rule for spaces; of
pairs that are equally frequent the one whose symbols are older is taken first, characters in the order of their code points, as the
library `tokenizers` has it, which finds the same pairs.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

from nlp_embeddings.reading.words import pieces
from rl_core.config import Count, Doc, configclass

_Symbol = TypeVar("_Symbol", int, str)

BEGIN = "▁"
"""The mark in front of the first symbol behind white space, U+2581."""


@configclass
class SubwordConfig:
    """Settings of subwords."""

    merges: Annotated[Count, Doc("token=subword: pairs of symbols that become one, at most")] = 4000
    subword_library: Annotated[bool, Doc("token=subword: find the same pairs by the library tokenizers, which is faster")] = False


def marked_words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, with a mark in front of those behind white space.

    >>> marked_words("Go on, Sam!")
    ['▁Go', '▁on', ',', '▁Sam', '!']
    """
    found = []
    for chunk in text.split():
        first, *others = pieces(chunk) or [chunk]
        found += [BEGIN + first, *others]
    return found


def plain_text(symbols: Iterable[str]) -> str:
    """Return the text of symbols.

    >>> plain_text(["▁Go", "▁o", "n", ",", "▁Sam", "!"])
    'Go on, Sam!'
    """
    return "".join(symbols).replace(BEGIN, " ").strip()


def learn_pairs(words: Mapping[str, int], count: int) -> list[tuple[str, str]]:
    """Return the pairs of symbols that become one, in their order; fewer where no pair is left that occurs twice.

    Args:
        words: How often each word occurs.
        count: How many pairs at most.

    The example of the paper's figure 1 without its marks; e and s are as frequent as s and t, and older:

    >>> learn_pairs({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 4)
    [('e', 's'), ('es', 't'), ('l', 'o'), ('lo', 'w')]
    """
    symbols = sorted(set().union(*map(set, words)))
    number = {symbol: place for place, symbol in enumerate(symbols)}
    texts = [[number[character] for character in word] for word in words]
    sizes = list(words.values())
    counts: Counter[tuple[int, int]] = Counter()
    holders: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for place, text in enumerate(texts):
        for pair in itertools.pairwise(text):
            counts[pair] += sizes[place]
            holders[pair].add(place)
    heap = [(-size, pair) for pair, size in counts.items()]
    heapq.heapify(heap)
    found: list[tuple[str, str]] = []
    while heap and len(found) < count:
        size, pair = heapq.heappop(heap)
        if -size != counts[pair]:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if -size < 2:
            break
        found.append((symbols[pair[0]], symbols[pair[1]]))
        joined = "".join(found[-1])
        new = number.setdefault(joined, len(symbols))
        if new == len(symbols):
            symbols.append(joined)
        changed: set[tuple[int, int]] = set()
        for place in holders.pop(pair):
            before, after = texts[place], _joined(texts[place], pair, new)
            for sign, text in ((-1, before), (1, after)):
                for other in itertools.pairwise(text):
                    counts[other] += sign * sizes[place]
                    if sign > 0:
                        holders[other].add(place)
                    changed.add(other)
            texts[place] = after
        counts[pair] = 0
        for other in changed:
            if counts[other] > 0:
                heapq.heappush(heap, (-counts[other], other))
    return found


def learn_pairs_by_library(words: Mapping[str, int], count: int) -> list[tuple[str, str]]:
    """Return what `learn_pairs` returns, found by the library `tokenizers`, which is faster.

    Raises:
        ValueError: if the library is missing.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError(
            'subword_library is true, but the library tokenizers is not installed; pip install "nlp-embeddings[tokenizers]"'
        ) from error
    alphabet = len(set().union(*map(set, words)))
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=alphabet + count, min_frequency=2, show_progress=False)
    model.train_from_iterator((word for word, size in words.items() for _ in range(size)), trainer)
    return [(first, second) for first, second in json.loads(model.to_str())["model"]["merges"]]


def pairs_of_words(words: Mapping[str, int], config: SubwordConfig) -> list[str]:
    """Return the pairs of words, which occur so often, as texts: "a b" each.

    Raises:
        ValueError: if the library is asked for and missing.
    """
    pairs = (learn_pairs_by_library if config.subword_library else learn_pairs)(words, config.merges)
    return [" ".join(pair) for pair in pairs]


class BytePairs:
    """An encoder of words as subwords.

    Args:
        pairs: Pairs of symbols that become one, in their order.

    >>> BytePairs([("l", "o"), ("lo", "w")]).split("slowlow")
    ['s', 'low', 'low']
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._rank = {pair: place for place, pair in enumerate(pairs)}
        self._known: dict[str, list[str]] = {}

    @classmethod
    def of(cls, lines: Iterable[str]) -> BytePairs:
        """Return the encoder of what `pairs_of_words` returned."""
        return cls((first, second) for first, _, second in (line.partition(" ") for line in lines if line))

    def split(self, word: str) -> list[str]:
        """Return the subwords of a word: pairs are joined in the order in which they were learned."""
        if word in self._known:
            return self._known[word]
        symbols = list(word)
        while len(symbols) > 1:
            best = min(itertools.pairwise(symbols), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            symbols = _joined(symbols, best, "".join(best))
        self._known[word] = symbols
        return symbols

    def subwords(self, text: str) -> list[str]:
        """Return the subwords of a text."""
        return [symbol for word in marked_words(text) for symbol in self.split(word)]


def _joined(symbols: list[_Symbol], pair: tuple[_Symbol, _Symbol], new: _Symbol) -> list[_Symbol]:
    """Return symbols in which each pair, from the left, is one new symbol."""
    found, place = [], 0
    while place < len(symbols):
        both = place + 1 < len(symbols) and (symbols[place], symbols[place + 1]) == pair
        found.append(new if both else symbols[place])
        place += 2 if both else 1
    return found
