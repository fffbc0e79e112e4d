import subprocess
import sys

import pytest

from rl_core import compiling


def test_the_decorators_cost_no_numba_until_one_is_used() -> None:
    code = "import sys, rl_core.compiling; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_change_of_the_decorators_is_a_change_of_every_function(monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = compiling.source_digest(__name__), compiling._source
    monkeypatch.setattr(compiling, "_source", lambda name: ((), "changed") if name == compiling.__name__ else real(name))
    assert compiling.source_digest(__name__) != before
