import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_that_is_missing", "nonsense", "svg"])
def test_a_figure_is_drawn_whatever_backend_the_environment_names(tmp_path: Path, backend: str) -> None:
    code = "import os, sys\nfrom rl_core.figure import new_figure\nnew_figure(2, 2).savefig(sys.argv[1])\n"
    code += "import matplotlib\nprint(os.environ['MPLBACKEND'], matplotlib.rcParams._get('backend'))"
    environment = {**os.environ, "MPLBACKEND": backend}
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ran.stdout.startswith(backend)
    assert ("svg" in ran.stdout.split()[1]) == (backend == "svg")
