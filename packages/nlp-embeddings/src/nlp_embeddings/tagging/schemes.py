"""Schemes that write entities as a tag for each word: IOB1, IOB2 (BIO), and BIOES (BILOU).

Source: Ramshaw, Marcus, "Text Chunking using Transformation-Based Learning", 1995; Tjong Kim Sang, Veenstra, "Representing Text Chunks",
1999. Entities are scored by exact span and type. Departures: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Scheme = Literal["BIO", "BIOES"]
Span = tuple[int, int, str]
"""First word, the one after the last, and type of an entity."""

_MEANING = {"L": "E", "U": "S"}  # BILOU's letters


def is_tag(tag: str) -> bool:
    """Return whether a tag belongs to one of the schemes, or says nothing.

    >>> [is_tag(tag) for tag in ("O", "_", "B-LOC", "LOC", "X-LOC", "B-")]
    [True, True, True, False, False, False]
    """
    letter, dash, name = tag.partition("-")
    return tag in ("O", "_", "") or bool(dash and name and letter in ("B", "I", *"ES", *_MEANING))


def spans(tags: Sequence[str], *, strict: bool = True) -> list[Span]:
    """Return the entities of tags in BIO or BIOES.

    Args:
        tags: A tag for each word, `O`, `B-X`, `I-X`, `E-X`, `S-X`.
        strict: An entity begins with B- (or S-) only, and BIOES ends it with E-. Otherwise an I- that continues nothing begins one, as
            the program conlleval has it.

    Example:
        >>> spans(["B-PER", "I-PER", "O", "I-LOC"]), spans(["I-PER", "I-PER"], strict=False)
        ([(0, 2, 'PER')], [(0, 2, 'PER')])
    """
    bioes = any(tag[:2] in ("E-", "S-") for tag in tags)
    found: list[Span] = []
    start, kind = -1, ""

    def close(end: int, *, whole: bool) -> None:
        nonlocal start
        if start >= 0 and (whole or not strict or not bioes):
            found.append((start, end, kind))
        start = -1

    for place, tag in enumerate(tags):
        letter, _, name = tag.partition("-")
        if letter in ("B", "S"):
            close(place, whole=False)
            start, kind = place, name
        elif letter in ("I", "E") and start >= 0 and name == kind:
            pass
        elif letter in ("I", "E"):
            close(place, whole=False)
            if not strict:
                start, kind = place, name
        else:
            close(place, whole=False)
        if letter in ("S", "E"):
            close(place + 1, whole=True)
    close(len(tags), whole=False)
    return found


def to_bio(tags: Sequence[str]) -> tuple[list[str], int]:
    """Return tags of any scheme as BIO, and how many words needed a repair: an I- that continues nothing begins an entity.

    A sequence in IOB1, where B- only separates neighbours of one type, counts as repaired as well: the two look alike.

    Example:
        >>> to_bio(["U-LOC", "O", "I-PER", "L-PER"])
        (['B-LOC', 'O', 'B-PER', 'I-PER'], 1)
    """
    result, repaired, before = [], 0, "O"
    for tag in tags:
        letter, dash, name = tag.partition("-")
        letter = _MEANING.get(letter, letter)
        if not dash:
            written = "O"
        elif letter in ("B", "S"):
            written = f"B-{name}"
        else:
            continues = before in (f"B-{name}", f"I-{name}")
            repaired += not continues
            written = f"{'I' if continues else 'B'}-{name}"
        result.append(written)
        before = "O" if letter in ("E", "S") and dash else written
    return result, repaired


def to_bioes(tags: Sequence[str]) -> list[str]:
    """Return BIO tags as BIOES: E- ends an entity, S- is one of a single word.

    Example:
        >>> to_bioes(["B-PER", "I-PER", "O", "B-LOC"])
        ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    result = ["O"] * len(tags)
    for start, end, name in spans(tags):
        result[start:end] = [f"B-{name}", *[f"I-{name}"] * (end - start - 2), f"E-{name}"] if end - start > 1 else [f"S-{name}"]
    return result


def may_follow(before: str, after: str) -> bool:
    """Return whether a tag may follow another one; "" is the place before the first word and after the last.

    Example:
        >>> may_follow("O", "I-PER"), may_follow("B-PER", "I-PER"), may_follow("B-PER", "I-LOC"), may_follow("", "B-PER")
        (False, True, False, True)
    """
    left, _, kind = before.partition("-")
    right, _, name = after.partition("-")
    inside = right in ("I", "E")
    return not inside or (left in ("B", "I") and kind == name)
