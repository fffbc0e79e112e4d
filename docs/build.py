"""Write the pages of the documentation site: `python docs/build.py OUT`, then `sphinx-build -W OUT/source OUT/html`.

Three kinds of pages go into OUT/source: those of `docs/pages`, with the pictures of `docs/concepts` drawn where a page asks for one; the
READMEs and pages of the packages, with their links rewritten; and one page a component, made from the catalogue, the file that implements
it, and the tables in `benchmarks/`. Nothing in a generated page is written by hand, so none can differ from the code.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import components
from concepts import FIGURES
from rl_core.errors import RlError
from rl_core.plugins.catalogue import Catalogue

DOCS = Path(__file__).parent
ROOT = DOCS.parent
FIGURE = re.compile(r"^\{figure\} (\S+)$", re.MULTILINE)
COMMAND = re.compile(r"rl-core (?:run|show) ([\w.-]+)(?![\w.:-])(?: --task ([\w.-]+)(?![\w.:-]))?(?: --network ([\w.-]+))?")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def pages_of_packages() -> dict[Path, str]:
    """Return the pages that lie beside the code, by path, and their place on the site."""
    found = {ROOT / "CONTRIBUTING.md": "contributing", ROOT / "CHANGELOG.md": "changelog"}
    found[ROOT / "examples" / "plugin-template" / "README.md"] = "how-to/plugin"
    for page in sorted(ROOT.glob("packages/*/*.md")) + sorted(ROOT.glob("packages/*/docs/*.md")):
        package = page.relative_to(ROOT).parts[1]
        found[page] = f"packages/{package}/{'index' if page.name == 'README.md' else page.stem.lower()}"
    found[ROOT / "benchmarks" / "textbook" / "README.md"] = "benchmarks/textbook"
    for page in sorted((ROOT / "benchmarks").glob("*.md")):
        found[page] = f"benchmarks/{'index' if page.name == 'README.md' else page.stem}"
    return found


def with_links(text: str, page: Path, place: str, places: dict[Path, str]) -> str:
    """Return a page's text with each link to another page turned to its place on the site; links to other files become their names."""

    def turned(match: re.Match[str]) -> str:
        words, target, part = match.groups()
        if "://" in target:
            return match[0]
        path = (page.parent / target).resolve()
        path = path / "README.md" if path.is_dir() else path
        if path in places:
            up = "../" * place.count("/")
            return f"[{words}]({up}{places[path]}.md{part or ''})"
        if not path.exists():
            raise SystemExit(f"{page.relative_to(ROOT)} links to {target!r}, which does not exist")
        return words if words.startswith("`") else f"{words} (`{path.relative_to(ROOT)}`)"

    return LINK.sub(turned, text)


def with_pictures(text: str, page: Path, source: Path, place: str) -> str:
    """Return a page's text with the pictures beside it copied to the site."""

    def copied(match: re.Match[str]) -> str:
        path = page.parent / match[2]
        (source / "figures").mkdir(exist_ok=True)
        shutil.copy(path, source / "figures" / path.name)
        return f"![{match[1]}]({'../' * place.count('/')}figures/{path.name})"

    return PICTURE.sub(copied, text)


def with_figures(text: str, source: Path, place: str) -> str:
    """Return a page's text with each line `{figure} NAME` replaced by the picture of that name and what it shows in numbers."""

    def drawn(match: re.Match[str]) -> str:
        name = match[1]
        if name not in FIGURES:
            raise SystemExit(f"{place} asks for the figure {name!r}; there are {', '.join(sorted(FIGURES))}")
        path = source / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        caption = FIGURES[name](path)
        return f"![{name}]({'../' * place.count('/')}figures/{name}.png)\n\n*{caption}*"

    return FIGURE.sub(drawn, text)


def require_components(text: str, place: str, catalogue: Catalogue) -> None:
    """Raise `SystemExit` if a command on a page names a component that is not installed."""
    for names in COMMAND.findall(text):
        for name in filter(None, names):
            try:
                catalogue.find(name)
            except RlError as error:
                raise SystemExit(f"{place}: {error.message}") from error


def index(title: str, names: list[str], depth: int = 1) -> str:
    """Return a page that lists others."""
    lines = "\n".join(names)
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: {depth}\n\n{lines}\n```\n"


def write(path: Path, text: str) -> None:
    """Write a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main(out: Path) -> None:
    """Write all pages into `out`/source."""
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    shutil.copy(DOCS / "conf.py", source)
    catalogue = Catalogue.discover()
    for page in sorted((DOCS / "pages").rglob("*.md")):
        place, text = str(page.relative_to(DOCS / "pages").with_suffix("")), page.read_text(encoding="utf-8")
        require_components(text, place, catalogue)
        write(source / f"{place}.md", with_figures(text, source, place))
    places = pages_of_packages()
    for page, place in places.items():
        text = with_links(page.read_text(encoding="utf-8"), page, place, places)
        write(source / f"{place}.md", with_pictures(text, page, source, place))
    found = components.pages(ROOT)
    for place, text in found.items():
        write(source / f"{place}.md", text)
    for kind, title in components.TITLES.items():
        names = sorted(place.removeprefix("components/") for place in found if place.startswith(f"components/{kind}-"))
        write(source / "components" / f"{kind}s.md", index(title, names))
    write(source / "components" / "index.md", index("Components", [f"{kind}s" for kind in components.TITLES]))
    for package in sorted({place.split("/")[1] for place in places.values() if place.startswith("packages/")}):
        others = sorted(place.split("/")[2] for place in places.values() if place.startswith(f"packages/{package}/"))
        hidden = "\n".join(name for name in others if name != "index")
        if hidden:
            page = source / "packages" / package / "index.md"
            write(page, page.read_text(encoding="utf-8") + f"\n```{{toctree}}\n:hidden:\n\n{hidden}\n```\n")
    tables = sorted(place.removeprefix("benchmarks/") for place in places.values() if place.startswith("benchmarks/"))
    page = source / "benchmarks" / "index.md"
    hidden = "\n".join(name for name in tables if name != "index")
    write(page, page.read_text(encoding="utf-8") + f"\n```{{toctree}}\n:hidden:\n\n{hidden}\n```\n")
    print(f"{len(list(source.rglob('*.md')))} pages, {len(found)} of them of components")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
