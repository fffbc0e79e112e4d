"""Every program and every `rl-core` command shown on a page runs, and gives what the page says.

A fenced block `python` is run as a file. A fenced block `console` is a transcript: of each line that starts with `$`, a command of
rl-core (the last one, where `&&` joins several) is run, one after the other in one empty folder; other commands (of git, pip, nox) are
for the reader. What a page shows as output, in the transcript or in a block `text` right after a program, may leave out by `...` what
differs from machine to machine, such as seconds.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.learning

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "packages/*/*.md", "packages/*/docs/*.md", "examples/*/*.md", "benchmarks/*.md", "docs/pages/**/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```\n(?:\n?^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:.*&& )?(?:\.venv/bin/)?rl-core (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
CHECKER, FLAGS = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(kind: str) -> list[Any]:
    """Page, text of the block, and the output shown right after it."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match[1] == kind and (kind == "python" or COMMAND.search(match[2])):
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], match[3], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


def expect(command: list[str], shown: str | None, folder: Path) -> None:
    """Run a command in a folder; it succeeds, and what it says is what was shown."""
    environment = {**os.environ, "COLUMNS": "140", "NO_COLOR": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    if shown is not None:
        assert CHECKER.check_output(shown, done.stdout, FLAGS), CHECKER.output_difference(doctest.Example("", shown), done.stdout, FLAGS)


@pytest.mark.parametrize(("program", "shown"), blocks("python"))
def test_a_program_on_a_page_says_what_the_page_says(program: str, shown: str | None, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    expect([sys.executable, "program.py"], shown, tmp_path)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("transcript", "_"), blocks("console"))
def test_a_command_on_a_page_says_what_the_page_says(transcript: str, _: str | None, tmp_path: Path) -> None:
    for arguments, shown in COMMAND.findall(transcript):
        expect([sys.executable, "-m", "rl_core", *shlex.split(arguments)], shown or None, tmp_path)
