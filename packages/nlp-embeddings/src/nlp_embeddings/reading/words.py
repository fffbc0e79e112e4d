"""Words as people type them: texts cut into words and punctuation marks, and rows of numbers."""

from __future__ import annotations

import json
import re
from typing import Any

from nlp_embeddings.corpus.tokenizers import COMBINING_MARKS, WORD
from rl_core.tokens import Tokens

_PIECE = re.compile(rf"{WORD.pattern}|[^\w\s][{COMBINING_MARKS}]*|_+")


def pieces(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in any script.

    Example:
        >>> pieces("Don't go, Sam!")
        ["Don't", 'go', ',', 'Sam', '!']
    """
    return _PIECE.findall(text)


def typed_ids(text: str, space: Tokens) -> list[int] | None:
    """Return the token numbers of a JSON list; `None` where the text is not a list, but words.

    Args:
        text: What a user typed.
        space: The rows that are expected; shorter lists will be padded.

    Raises:
        ValueError: if the list holds anything else than numbers of the space, or too many.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not found or not all(type(number) is int for number in found):
        raise ValueError(f"the input {text[:60]!r} is not a list of token numbers; expected words, or numbers from 0 to {space.size - 1}")
    if len(found) > space.length or min(found) < 0 or max(found) >= space.size:
        raise ValueError(
            f"the input {text[:60]!r} is outside of what this task takes: up to {space.length} numbers from 0 to {space.size - 1}"
        )
    return found
