from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nlp_embeddings import _plugin
from rl_core.cli.cli import cli
from rl_core.plugins.catalogue import Catalogue


def test_describing_the_components_imports_nothing_heavy() -> None:
    code = (
        "import sys, nlp_embeddings._plugin as p; list(p.rl_agents()); list(p.rl_tasks()); list(p.rl_task_schemes());"
        "print(sorted({'torch', 'numpy', 'numba', 'scipy', 'gymnasium'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_dl_nets_a_task_names_what_would_learn_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Catalogue, "installed", lambda self, package: package != "dl-nets")
    cli.main(["list", "--fits", "dates"], standalone_mode=False)
    shown = capsys.readouterr()
    assert "ibm-model" in shown.out
    assert "they are in dl-nets, which is not installed: pip install dl-nets" in shown.err


def test_using_vectors_imports_neither_torch_nor_numba() -> None:
    code = "import sys, nlp_embeddings.vectors.word_vectors; print(sorted({'torch', 'numba', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_training_does_not_import_torch() -> None:
    modules = "nlp_embeddings.models.word2vec, nlp_embeddings.models.glove, nlp_embeddings.evaluate.tasks"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("spec", [*_plugin.rl_agents(), *_plugin.rl_tasks(), *_plugin.rl_task_schemes()], ids=lambda spec: spec.name)
def test_every_spec_fits_its_line(spec) -> None:
    assert len(spec.summary) <= 80
    if getattr(spec, "presets", ""):
        assert (Path(_plugin.__file__).parent / spec.presets.split(":")[1]).exists()
