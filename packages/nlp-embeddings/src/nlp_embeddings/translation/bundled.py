"""Pairs drawn from a seed: dates in words and in digits, copies, and a cipher whose words also change places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nlp_embeddings.reading.pairs import TextPair

SIZES = {"train": 8000, "validation": 200, "test": 400}
_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LETTERS = "abcdefghijkl"


@lru_cache(maxsize=3)
def pairs(kind: str, seed: int) -> dict[str, list[TextPair]]:
    """Return different pairs by split of a kind: "dates", "copy" or "cipher"."""
    rng = np.random.default_rng([seed, 8, ("dates", "copy", "cipher").index(kind)])
    code = rng.permutation(40)
    found: dict[TextPair, None] = {}
    while len(found) < sum(SIZES.values()):
        found[_date(rng) if kind == "dates" else _copy(rng) if kind == "copy" else _cipher(rng, code)] = None
    rows = iter(found)
    return {split: [next(rows) for _ in range(size)] for split, size in SIZES.items()}


def cipher_alignment(length: int) -> list[int]:
    """Return for each place of a deciphered text the place of its word in the cipher: neighbours change places two by two.

    >>> cipher_alignment(5)
    [1, 0, 3, 2, 4]
    """
    places = list(range(length))
    for place in range(0, length - 1, 2):
        places[place : place + 2] = [place + 1, place]
    return places


def _date(rng: np.random.Generator) -> TextPair:
    year, month, day = int(rng.integers(1900, 2100)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    name = _MONTHS[month - 1]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")
    forms = (
        f"{day} {name} {year}",
        f"{name} {day}, {year}",
        f"the {day}{suffix} of {name} {year}",
        f"{day} {name[:3]} {year}",
        f"{name[:3]} {day} {year}",
        f"{day:02d}.{month:02d}.{year}",
        f"{month:02d}/{day:02d}/{year}",
        f"{_DAYS[int(rng.integers(7))]} {day} {name} {year}",
    )
    return TextPair(forms[int(rng.integers(len(forms)))], f"{year}-{month:02d}-{day:02d}")


def _copy(rng: np.random.Generator) -> TextPair:
    text = "".join(rng.choice(list(_LETTERS), int(rng.integers(3, 11))))
    return TextPair(text, text)


def _cipher(rng: np.random.Generator, code: np.ndarray) -> TextPair:
    numbers = np.minimum(rng.geometric(0.08, int(rng.integers(3, 9))) - 1, 39)
    source = [f"x{number}" for number in numbers]
    return TextPair(" ".join(source), " ".join(f"w{code[numbers[place]]}" for place in cipher_alignment(len(numbers))))
