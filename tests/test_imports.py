"""The import graph of each package: no circle between files, and none between rooms."""

from __future__ import annotations

import graphlib
import sys
from pathlib import Path

import grimp
import pytest

sys.path[:0] = map(str, sorted(Path(__file__).parents[1].glob("packages/*/src")))  # found there, and never run

PACKAGES = ("rl_core", "dl_nets", "rl_algos", "nlp_embeddings", "cv_models")


def order(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a graph sorted so that what is imported comes first; a circle fails the test."""
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"imports run in a circle: {' <- '.join(error.args[1])}")


def imports(package: str) -> dict[str, set[str]]:
    """Return the modules that each module of a package imports, but not those that only a type checker follows."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) - {package} for module in graph.modules - {package}}


def room(module: str) -> str:
    """Return the file on top of a package, or the folder, that a module belongs to."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_of_imports_between_files(package: str) -> None:
    assert order(imports(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_of_imports_between_rooms(package: str) -> None:
    rooms: dict[str, set[str]] = {}
    for module, imported in imports(package).items():
        rooms.setdefault(room(module), set()).update(room(other) for other in imported)
    assert order({name: others - {name} for name, others in rooms.items()})
