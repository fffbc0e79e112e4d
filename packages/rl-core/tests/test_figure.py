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


def test_the_score_of_the_trained_agent_is_marked_at_the_end_of_its_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves of an agent that explores are below what it has learned."""
    from matplotlib.axes import Axes

    from rl_core.figure import comparison, learning_curve

    marked, plot = [], Axes.plot
    monkeypatch.setattr(
        Axes,
        "plot",
        lambda axes, *given, **options: (marked.append(given[:2]) if given[2:] == ("*",) else None, plot(axes, *given, **options))[1],
    )
    lines = [{"progress": float(n), "episode_return": 0.1 * n, "loss": -n} for n in range(4)]
    learning_curve(lines, tmp_path / "curve.png", title="", unit="steps", metric="mean return")
    assert marked == []
    learning_curve(lines, tmp_path / "curve.png", title="", unit="steps", metric="mean return", score=0.9)
    comparison({"cliff": {"a": [lines], "b": [lines]}}, tmp_path / "both.png", metric="loss", unit="", scores={"cliff": {"b": 0.7}})
    assert marked == [(3.0, 0.9), (3.0, 0.7)]
