"""Agents that answer the lines of a file as they answer a typed text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlp_embeddings.corpus.text_files import numbered_lines
from rl_core.agent import Agent


def typed_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not empty, with their numbers; a JSON string in a line of a .jsonl file is read as its text.

    Raises:
        ValueError: if the file cannot be read, or has no such line.
    """
    empty = True
    for number, line in numbered_lines(path):
        if line.strip():
            empty = False
            yield number, _decoded(line) if path.suffix.lower() == ".jsonl" else line
    if empty:
        raise ValueError(f"{path} has no inputs; expected one a line")


def _decoded(line: str) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return line
    return value if isinstance(value, str) else line


class LineAgent(Agent):
    """An agent whose answer to a file is the list of its answers to the lines, each as `answer` reads it."""

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return the answers to the lines of a file that are not empty.

        Raises:
            ValueError: naming the line that cannot be answered.
        """
        found = []
        for number, line in typed_lines(path):
            try:
                found.append(self.answer(line))
            except ValueError as error:
                raise ValueError(f"line {number} of {path}: {error}") from error
        return found
