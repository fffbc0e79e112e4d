"""Passages: runs of whole sentences of a corpus; one sentence of some passages is held out as a query."""

from __future__ import annotations

import numpy as np

QUERY_WORDS = (5, 50)  # length of a sentence that can be a query


def passage_bounds(starts: np.ndarray, passage_words: int) -> np.ndarray:
    """Return the first sentence of every passage, and the number of sentences at the end [P + 1].

    A passage is the shortest run of sentences with at least `passage_words` words; the rest at the end joins the last one.

    Args:
        starts: First word of each sentence [S + 1].
        passage_words: At least 1.

    Example:
        >>> passage_bounds(np.array([0, 3, 6, 9, 12, 13]), 5).tolist()  # the last word joins the second passage
        [0, 2, 5]
    """
    starts = np.asarray(starts)
    bounds, sentence, last = [0], 0, len(starts) - 1
    while sentence < last:
        sentence = int(np.searchsorted(starts, starts[sentence] + passage_words))
        if sentence <= last:
            bounds.append(sentence)
    if len(bounds) == 1:
        return np.array([0, last])
    bounds[-1] = last
    return np.array(bounds)


def passage_named(text: str, count: int) -> int:
    """Return the number of a passage that a user typed.

    Args:
        text: What was typed.
        count: How many passages there are.

    Raises:
        ValueError: if it is not a number of one.

    >>> passage_named(" 3", 5)
    3
    """
    typed = text.strip()
    if not (typed.isascii() and typed.isdigit()) or int(typed) >= count:
        raise ValueError(f"expected the number of a passage after `similar:`, from 0 to {count - 1}, got {typed!r}")
    return int(typed)


def held_out_sentences(starts: np.ndarray, bounds: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return passages evenly spread over the corpus [Q <= most], and for each the sentence nearest to its middle that can be a query.

    Passages of fewer than three sentences are left out: too little of them would remain.
    """
    count = len(bounds) - 1
    passages, sentences = [], []
    for passage in np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)):
        first, last = int(bounds[passage]), int(bounds[passage + 1])
        if last - first < 3:
            continue
        lengths = np.diff(starts[first : last + 1])
        able = np.flatnonzero((lengths >= QUERY_WORDS[0]) & (lengths <= QUERY_WORDS[1]))
        if len(able):
            middle = able[np.argmin(np.abs(able - (last - first - 1) / 2))]
            passages.append(passage)
            sentences.append(first + int(middle))
    return np.array(passages, dtype=np.int64), np.array(sentences, dtype=np.int64)
