"""The language of docstrings and pages: verbs for functions, nouns for classes, and none of the turns that readers stumble over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path for path in (ROOT / "packages").iterdir() if (path / "src").is_dir())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(path / "README.md" for path in PACKAGES), ROOT / "benchmarks" / "README.md"]

OPENINGS = {"what", "how", "where", "which", "whether", "who", "whose", "whom", "when", "why"}
NOT_VERBS = OPENINGS | {"the", "a", "an", "as", "this", "that", "these", "those", "each", "every", "all", "of", "one", "both", "some"}
STUMBLES = re.compile(
    r"\b(?:is|are|be|was|were) no (?!longer|more|less|other|better|worse|greater|different|larger|smaller|way|need)\w+"
    r"|\b(?:mends?|mended|lies|nobody|meanwhile|whoever|likewise)\b|\bgives? way\b"
    r"|\bcame (?:out|in|from|with|to)\b|\b(?:but|and) \S+ came\b",
    re.IGNORECASE,
)


def definitions(package: Path) -> Iterator[tuple[str, ast.AST, str]]:
    """Yield the place, the node and the docstring of every definition of a package's sources."""
    for path in sorted((package / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
                yield place, node, text


def is_property(node: ast.FunctionDef) -> bool:
    """Return whether a function is read as an attribute."""
    names = {decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "") for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property", "setter"})


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_docstring_opens_with_a_question_word(package: Path) -> None:
    assert [place for place, _, text in definitions(package) if re.match(r"\W*(\w*)", text)[1].lower() in OPENINGS] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_function_s_docstring_opens_with_a_verb(package: Path) -> None:
    wrong = []
    for place, node, text in definitions(package):
        if isinstance(node, ast.FunctionDef) and not is_property(node) and not node.name.startswith(("_", "test_")):
            first = re.match(r"\W*([\w'-]*)", text)[1]
            if first.lower() in NOT_VERBS or (first.endswith("s") and not first.endswith("ss")):
                wrong.append(f"{place} {text.splitlines()[0][:60]}")
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_sources_avoid_what_readers_stumble_over(package: Path) -> None:
    assert [
        f"{path.relative_to(ROOT)}:{number} {found[0]}"
        for path in sorted((package / "src").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for found in [STUMBLES.search(line)]
        if found
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_avoid_what_readers_stumble_over(page: Path) -> None:
    assert [found[0] for line in page.read_text(encoding="utf-8").splitlines() for found in [STUMBLES.search(line)] if found] == []
