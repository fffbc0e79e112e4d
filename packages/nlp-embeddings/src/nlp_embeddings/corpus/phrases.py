"""Phrases: words that occur together more often than apart become one word, `new york` -> `new_york`.

Source: Mikolov, Sutskever, Chen, Corrado, Dean, "Distributed Representations of Words and Phrases", 2013, section 4.
Departures: the discount delta is the minimum count, and scores are scaled by the number of words, as in the authors' word2phrase.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nlp_embeddings.corpus.encoded import Corpus, new_corpus_folder
from rl_core.compiling import jit

_BLOCK = 1 << 22


def phrase_score(
    count_ab: np.ndarray | float, count_a: np.ndarray | float, count_b: np.ndarray | float, total: int, min_count: int
) -> np.ndarray | float:
    """Return how much more often two words occur together than apart: (count(ab) - delta) / (count(a) count(b)) * N, equation 6.

    Args:
        count_ab: Occurrences of a followed by b.
        count_a: Occurrences of a.
        count_b: Occurrences of b.
        total: N, words of the corpus.
        min_count: delta, so that rare words do not make phrases by chance.

    Example:
        >>> phrase_score(25, 40, 50, 10_000, 5)
        100.0
    """
    return (count_ab - min_count) / (count_a * count_b) * total


def count_bigrams(corpus: Corpus, min_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of neighbours that occur at least `min_count` times within sentences: sorted keys a * V + b, and their counts.

    Pairs of words that are themselves rarer than `min_count` are not counted; memory is bounded by the different pairs of the rest.
    """
    num_words = len(corpus.words)
    frequent = int(np.searchsorted(-corpus.counts, -min_count, side="right"))
    keys, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for start in range(0, len(corpus) - 1, _BLOCK):
        ids = np.asarray(corpus.ids[start : start + _BLOCK + 1], dtype=np.int64)
        first, second = ids[:-1], ids[1:]
        broken = np.zeros(len(first), dtype=bool)
        low, high = np.searchsorted(corpus.starts, [start + 1, start + len(ids)])
        broken[corpus.starts[low:high] - start - 1] = True
        kept = (first < frequent) & (second < frequent) & ~broken
        new_keys, new_counts = np.unique(first[kept] * num_words + second[kept], return_counts=True)
        merged, inverse = np.unique(np.concatenate([keys, new_keys]), return_inverse=True)
        keys, counts = merged, np.bincount(inverse, weights=np.concatenate([counts, new_counts])).astype(np.int64)
    enough = counts >= min_count
    return keys[enough], counts[enough]


def join_phrases(corpus: Corpus, folder: Path, *, min_count: int = 5, threshold: float = 100.0, delimiter: str = "_") -> Corpus:
    """Write the corpus with its phrases joined into `folder`, which appears whole or not at all.

    Sentences are read from left to right; a word that was joined to the one before it is not joined to the next.
    """
    keys, counts = count_bigrams(corpus, min_count)
    num_words = len(corpus.words)
    first, second = keys // num_words, keys % num_words
    score = phrase_score(counts, corpus.counts[first], corpus.counts[second], len(corpus), min_count)
    keys = keys[np.asarray(score) > threshold]
    index = {word: number for number, word in enumerate(corpus.words)}
    # two pairs may spell the same phrase: new_york + city and new + york_city
    target = np.array([index.setdefault(_name(corpus.words, key, delimiter), len(index)) for key in keys], dtype=np.int64)
    words = list(index)
    totals = np.zeros(len(words), dtype=np.int64)
    with new_corpus_folder(folder) as work:
        with (work / "ids.bin").open("wb") as ids_file, (work / "starts.bin").open("wb") as starts_file:
            np.zeros(1, dtype="<i8").tofile(starts_file)
            total, sentence = 0, 0
            while sentence < corpus.num_sentences:
                until = int(np.searchsorted(corpus.starts, corpus.starts[sentence] + _BLOCK, side="right")) - 1
                until = min(max(until, sentence + 1), corpus.num_sentences)
                begin = corpus.starts[sentence]
                starts = np.asarray(corpus.starts[sentence : until + 1]) - begin
                ids, ends = _join(np.array(corpus.ids[begin : corpus.starts[until]]), starts, keys, target, num_words)
                ids.astype("<i4").tofile(ids_file)
                (ends + total).astype("<i8").tofile(starts_file)
                totals += np.bincount(ids, minlength=len(words))
                total, sentence = total + len(ids), until
        order = np.argsort(-totals, kind="stable")
        order = order[: int((totals > 0).sum())]
        rank = np.zeros(len(words), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        mapped = np.memmap(work / "ids.bin", dtype="<i4", mode="r+")
        for start in range(0, len(mapped), _BLOCK):
            mapped[start : start + _BLOCK] = rank[mapped[start : start + _BLOCK]]
        mapped.flush()
        totals[order].astype("<i8").tofile(work / "counts.bin")
        (work / "words.txt").write_text("\n".join(words[index] for index in order), encoding="utf-8")
    return Corpus(folder, verify=False)  # written just now


def _name(words: list[str], key: int, delimiter: str) -> str:
    return f"{words[key // len(words)]}{delimiter}{words[key % len(words)]}"


@jit(nogil=True)
def _join(ids, starts, keys, target, num_words):
    out = np.empty(len(ids), dtype=np.int64)
    ends = np.empty(len(starts) - 1, dtype=np.int64)
    n = 0
    for sentence in range(len(starts) - 1):
        position, stop = starts[sentence], starts[sentence + 1]
        while position < stop:
            word = np.int64(ids[position])
            if position + 1 < stop:
                key = word * num_words + ids[position + 1]
                found = np.searchsorted(keys, key)
                if found < len(keys) and keys[found] == key:
                    word = target[found]
                    position += 1
            out[n] = word
            n += 1
            position += 1
        ends[sentence] = n
    return out[:n], ends
