"""The notebooks are kept without outputs, and each runs from its first cell to its last in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
SIX = 6


def code_of(notebook: Path) -> list[dict[str, Any]]:
    """Cells of code."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_is_a_notebook_for_each_unit_and_none_holds_outputs() -> None:
    assert len(NOTEBOOKS) == SIX
    for notebook in NOTEBOOKS:
        for cell in code_of(notebook):
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            compile("".join(cell["source"]), notebook.name, "exec")


@pytest.mark.learning
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="the session docs installs it")
    nbformat = pytest.importorskip("nbformat", reason="the session docs installs it")
    client = nbclient.NotebookClient(nbformat.read(notebook, as_version=4), timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    executed = client.execute()
    pictures = [output for cell in executed.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert pictures or notebook.stem.endswith("language")  # whose agents here draw on request only
