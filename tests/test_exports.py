"""Every network and every agent of the packages that exports a graph: it is built on its default task, and its graph follows it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from rl_core.plugins.catalogue import Catalogue, Entry
from rl_core.runs import recipe
from rl_core.runs.run import Run

pytestmark = pytest.mark.learning  # some seconds for each of two hundred
NEED_FILES = ("hugging-face", "zero-shot", "torchvision", "blip")  # weights that a user has
CATALOGUE = Catalogue.discover()


def _entries() -> list[Entry]:
    found = [*CATALOGUE.entries("network"), *CATALOGUE.entries("agent")]
    return [entry for entry in found if entry.status == "ready" and entry.spec.name not in NEED_FILES]


def _zeros(described: dict[str, Any], count: int) -> torch.Tensor:
    """Return an input as the file beside a graph describes it."""
    return torch.zeros([count if size == "batch" else size for size in described["shape"]], dtype=getattr(torch, described["type"]))


@pytest.mark.parametrize("entry", _entries(), ids=lambda entry: f"{entry.kind} {entry.spec.name}")
def test_a_graph_is_followed_for_batches_of_any_size(entry: Entry, tmp_path: Path) -> None:
    with Run.create(recipe.resolve(CATALOGUE, entry.spec.name, device="cpu"), CATALOGUE, tmp_path / "run") as run:
        agent = run.agent
        if "torch-export" not in agent.export_formats:
            pytest.skip("it exports no graph")
        path = tmp_path / "graph.pt2"
        try:
            about = agent.export("torch-export", path)
        except ValueError as error:
            if "export the format onnx or state-dict" not in str(error):  # what a detector of regions says, which ONNX records
                raise
            about = agent.export("onnx", path)
            assert about["outputs"]
            return
        graph = torch.export.load(io.BytesIO(path.read_bytes())).module()
        for count in (1, 5):
            inputs = [_zeros(given, count) for given in about["inputs"].values()]
            outputs = graph(*inputs)
            assert all(len(value) == count for value in outputs), [value.shape for value in outputs]
            assert not any(bool(value.isnan().any()) for value in outputs if value.is_floating_point())
