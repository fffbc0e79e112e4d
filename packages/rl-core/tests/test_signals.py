"""Interrupts: the first one finishes the step and saves, the second one stops at once, and neither leaves a trace in the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

from rl_core.runs.signals import StopRequest, termination_as_interrupt

pytestmark = pytest.mark.usefixtures("probe")


def begun(program: Any, *arguments: object, sign: str = "run/metrics.jsonl") -> subprocess.Popen[str]:
    """A run in the folder `run` that has written this file: the log has a row when a step has been taken."""
    process = program.start(*arguments, "--out", "run")
    path = program.folder / sign
    end = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_the_first_signal_finishes_the_step_saves_and_says_how_to_continue(program: Any, number: signal.Signals) -> None:
    arguments = ["run", "slope", "--budget", 60, "--set", "milliseconds=10", "--json"]
    process = begun(program, *arguments)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    (progress,) = (int(path.name) for path in (program.folder / "run" / "checkpoints").iterdir())
    assert f"stopped at {progress} batches and saved; continue with: rl-core resume run\n" in err
    assert json.loads(out) == {"stopped": True, "run": "run", "progress": progress, "unit": "batches"}
    assert "finishing this step, then saving; send the signal again (Ctrl-C) to stop immediately\n" in err
    assert "Traceback" not in err
    assert program.progress("run") == list(range(1, progress + 1))
    program.succeed("resume", "run")
    program.succeed(*arguments, "--out", "whole")
    assert program.final("run") == program.final("whole")
    assert program.progress("run") == program.progress("whole")


def test_a_second_signal_stops_at_once(program: Any) -> None:
    patient = ["--set", "fault=wait", "--set", "fault_at=3"]
    arguments = ["run", "slope", "--budget", 5, *patient, "--checkpoint-every", 1]
    process = begun(program, *arguments, "--set", "milliseconds=60000", sign="waiting")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)  # the step itself takes longer
    assert process.returncode == 3
    assert "stopped immediately; continue from the last checkpoint with: rl-core resume run\n" in err
    assert "Traceback" not in err
    path = program.folder / "run" / "recipe.yaml"
    path.write_text(path.read_text().replace("milliseconds: 60000.0", "milliseconds: 0.0"))
    program.succeed("resume", "run")
    program.succeed(*arguments, "--out", "whole")
    assert program.final("run") == program.final("whole")


def test_signals_come_back_to_those_who_had_them() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGINT, mine)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.requested
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_termination_outside_of_the_steps_is_an_interrupt_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), termination_as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_in_a_thread_needs_no_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with termination_as_interrupt(), StopRequest() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
