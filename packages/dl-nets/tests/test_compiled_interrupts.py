"""A second signal ends a process inside a long compiled loop, which Python's own handlers cannot interrupt."""

import signal
import subprocess
import sys
import time

SCRIPT = """
from rl_core.compiling import kernel
from rl_core.runs.signals import StopRequest

@kernel
def long(n):
    x = 1.0
    for i in range(n):
        x = (x * 1.0000001) % 7.0
    return x

long(1)
with StopRequest("rl-core resume here"):
    print("running", flush=True)
    long(100_000_000_000)
"""


def test_a_second_signal_ends_a_long_compiled_loop(tmp_path):
    path = tmp_path / "long.py"
    path.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped immediately; continue from the last checkpoint with: rl-core resume here" in err
