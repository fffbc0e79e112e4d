"""Check packages that were installed from wheels: `python tests/wheels.py rl-core nlp-embeddings`.

Every file of the sources is installed, with the data; every component whose needs are there can be imported; and no other package of the
repository is there but those that the named ones need.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from rl_core.plugins.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
TORCHLESS = {"rl-core", "nlp-embeddings"}


def files(folder: Path) -> set[str]:
    """Return the files below a folder by their paths in it, without byte code and compiled code."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def problems(package: str) -> list[str]:
    """Return what is wrong with an installed package."""
    module = package.replace("-", "_")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return [f"{package} is not installed"]
    installed, source = Path(spec.origin).parent, ROOT / "packages" / package / "src" / module
    if installed == source:
        return [f"{package} is the checkout, not a wheel"]
    missing, further = files(source) - files(installed), files(installed) - files(source)
    found = [f"{package} lacks {name}" for name in sorted(missing)]
    return found + [f"{package} has {name}, which its source has not" for name in sorted(further)]


def needed(package: str) -> set[str]:
    """Return a package and the packages of the repository that it needs."""
    house = {path.name for path in (ROOT / "packages").iterdir()}
    direct = {text.split("==")[0] for text in requires(package) or () if "==" in text} & house
    return {package}.union(*(needed(name) for name in direct))


def is_installed(package: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def main(named: list[str]) -> list[str]:
    """Return everything that is wrong."""
    expected = set().union(*(needed(package) for package in named))
    found = [problem for package in sorted(expected) for problem in problems(package)]
    others = {path.name for path in (ROOT / "packages").iterdir()} - expected
    found += [f"{package} is installed, though none of {', '.join(named)} needs it" for package in sorted(others) if is_installed(package)]
    if len({version(package) for package in expected}) != 1:
        found.append(f"the versions differ: {', '.join(f'{package} {version(package)}' for package in sorted(expected))}")
    ready = [entry for entry in Catalogue.discover().entries() if entry.status == "ready"]
    for entry in ready:
        try:
            entry.load()
        except Exception as error:
            found.append(f"{entry.kind} {entry.name} of {entry.package} cannot be imported: {error}")
    if expected <= TORCHLESS and "torch" in sys.modules:
        found.append("torch was imported")
    if not found:
        print(f"{', '.join(sorted(expected))}: {len(ready)} components")
    return found


if __name__ == "__main__":
    wrong = main(sys.argv[1:])
    sys.exit("\n".join(wrong) if wrong else 0)
