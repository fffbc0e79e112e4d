from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from nlp_embeddings import _plugin
from nlp_embeddings.training import kernels as compiling
from nlp_embeddings.training.kernels import announce_compiling


def test_describing_the_components_imports_nothing_heavy() -> None:
    code = (
        "import sys, nlp_embeddings._plugin as p; list(p.rl_agents()); list(p.rl_tasks()); list(p.rl_task_schemes());"
        "print(sorted({'torch', 'numpy', 'numba', 'scipy', 'gymnasium'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


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


def test_compiling_is_announced_once(capsys: pytest.CaptureFixture, monkeypatch) -> None:
    @numba.njit
    def fresh(x):
        return x + 1

    monkeypatch.setattr(compiling, "_cached", lambda kernel: False)
    assert announce_compiling("a test", fresh)
    assert "compiling the kernels of a test: a few seconds, once on this machine" in capsys.readouterr().err
    fresh(np.float32(1))
    assert not announce_compiling("a test", fresh)
    assert capsys.readouterr().err == ""
