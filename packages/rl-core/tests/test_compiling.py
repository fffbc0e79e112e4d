import subprocess
import sys


def test_the_decorators_cost_no_numba_until_one_is_used() -> None:
    code = "import sys, rl_core.compiling; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
