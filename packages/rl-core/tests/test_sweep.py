"""Sweeps as their users meet them: plans, workers that are killed, runs that fail, folders that were changed by hand."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_core.errors import RequestError
from rl_core.sweeps import axes, plan, states
from rl_core.sweeps.coordinator import Watch
from rl_core.sweeps.worker import Assignment, Worker

pytestmark = pytest.mark.usefixtures("probe")


@pytest.fixture(autouse=True)
def seen_by_children(program: Any, probe: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that a worker of this process starts see the probe."""
    monkeypatch.setenv("PYTHONPATH", program.environment["PYTHONPATH"])


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


SLOW = ("--set", "milliseconds=5")  # 40 steps take 0.2 s
GRID = ("sweep", "slope", "--vary", "learning_rate=0.05,0.1", "--seeds", "0-2", "--budget", 40)


def finals(program: Any, sweep: str) -> dict[str, dict[str, bytes]]:
    """The final checkpoint and the metrics, without times, of each run of a sweep."""
    found = {}
    for run in plan.read(program.folder / sweep).runs:
        folder = f"{sweep}/{run.folder}"
        lines = [json.loads(line) for line in (program.folder / folder / "metrics.jsonl").read_text().splitlines()]
        metrics = json.dumps([{name: value for name, value in line.items() if name != "seconds"} for line in lines])
        found[run.id] = {**program.final(folder), "metrics": metrics.encode()}
    return found


def counts(program: Any, sweep: str) -> dict[str, int]:
    return {state: count for state, count in program.succeed("show", sweep, "--json").json["counts"].items() if count}


def test_every_run_of_a_sweep_has_the_bytes_of_the_run_alone(program: Any) -> None:
    ended = program.run(*GRID, "--workers", 2, "--json")
    assert ended.status == 0, ended.err
    document = ended.json
    assert document["sweep"] == "sweeps/slope"
    assert document["counts"] == {"done": 6, "running": 0, "paused": 0, "waiting": 0, "failed": 0}
    assert [(group["name"], group["seeds"]) for group in document["groups"]] == [
        ("learning_rate=0.1", [0, 1, 2]),
        ("learning_rate=0.05", [0, 1, 2]),
    ] or len(document["groups"]) == 2
    assert not list((program.folder / "sweeps/slope/claims").iterdir())
    whole = finals(program, "sweeps/slope")
    for number, (seed, rate) in enumerate([(0, 0.05), (0, 0.1), (1, 0.05), (1, 0.1), (2, 0.05), (2, 0.1)]):
        out = f"alone{number}"
        program.succeed("run", "slope", "--set", f"learning_rate={rate}", "--seed", seed, "--budget", 40, "--out", out)
        assert {name: data for name, data in whole[f"{number:04d}"].items() if name != "metrics"} == program.final(out)
        run = plan.read(program.folder / "sweeps/slope").runs[number]
        assert (program.folder / out / "recipe.yaml").read_bytes() == (
            program.folder / "sweeps/slope" / run.folder / "recipe.yaml"
        ).read_bytes()
    table = program.succeed("compare", "sweeps/slope").out
    assert re.search(r"learning_rate=0.1 .*\d to .*\d +3 ", table)
    assert "sweeps/slope/compare.png" in table


def disturbed(program: Any, chance: random.Random, sweep: str) -> None:
    """Start or resume a sweep, and kill its coordinator, a worker, a warm process, or all of them, after a while."""
    begun = (program.folder / sweep).exists()
    process = program.start(*(("resume", sweep) if begun else (*GRID, *SLOW, "--out", sweep)), "--workers", 2)
    wait_for(lambda: process.poll() is not None or list((program.folder / sweep).glob("claims/*.1")))
    time.sleep(chance.uniform(0, 0.6))
    workers = [int(path.stem.partition("-")[2]) for path in (program.folder / sweep / "workers").glob("local-*.log")]
    children = {pid: parent for pid, parent in processes().items() if parent in (*workers, process.pid)}
    victims = {
        "coordinator": [process.pid],
        "worker": workers[-1:],
        "learner": [p for p, parent in children.items() if parent in workers][:1],
    }
    victims["all"] = [process.pid, *workers]
    for pid in victims[chance.choice([*victims])]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_for(lambda: not (set(workers) & set(processes())))  # those that were not killed saved and ended


def processes() -> dict[int, int]:
    """The processes of this machine that have not ended, with the parent of each."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(path.parent.name)] = int(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find the processes")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.learning)])
def test_a_sweep_that_is_killed_anywhere_ends_with_the_bytes_of_an_undisturbed_one(program: Any, kills: int) -> None:
    chance = random.Random(kills)
    assert program.run(*GRID, *SLOW, "--workers", 2, "--out", "whole").status == 0
    for _ in range(kills):
        disturbed(program, chance, "torn")
    ended = program.run("resume", "torn", "--workers", 2, "--json")
    assert ended.status == 0, ended.err
    assert ended.json["counts"]["done"] == 6
    assert finals(program, "torn") == finals(program, "whole")
    assert not list((program.folder / "torn/claims").iterdir())


def test_two_workers_that_start_at_once_share_80_runs(program: Any) -> None:
    plan_of(program, "many", "--seeds", "0-79", "--budget", 1)
    first = program.start("work", "many")
    second = program.start("work", "many")
    for process in (first, second):
        assert process.wait(timeout=120) == 0, process.communicate()
    assert counts(program, "many") == {"done": 80}
    lines = [json.loads(line) for path in (program.folder / "many/workers").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(line["run"] for line in lines if line["event"] == "began") == [f"{run:04d}" for run in range(80)]


def plan_of(program: Any, out: str, *options: object) -> plan.Sweep:
    """Plan a sweep without a worker."""
    from rl_core.plugins.catalogue import Catalogue

    given = dict(zip(options[::2], options[1::2], strict=True))
    groups = plan.groups_of(
        Catalogue.discover(), ["slope"], axes.variants([]), overrides=str(given.get("--set", "")).split(), budget=given["--budget"]
    )
    terms = plan.Terms(**given.get("terms", {}))
    return plan.write(program.folder / out, groups, axes.parse_seeds(str(given.get("--seeds", "0"))), terms, {})


def worked(sweep: plan.Sweep) -> tuple[int, list[str]]:
    """Let a worker in this process learn a sweep: its exit status, and what it said."""
    said: list[str] = []
    return Worker(Assignment(sweep), said.append).work(), said


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        ("raise", r"RuntimeError: the agent broke down", 2),
        ("crash", r"killed by SIGKILL, 3 times at 0", 3),
        ("refuse", r"the corpus has 3 words", 1),
        ("exit", r"ended the process with sys.exit\(0\)", 2),
    ],
)
def test_a_run_that_fails_is_named_with_its_reason_and_the_others_end(program: Any, fault: str, error: str, attempts: int) -> None:
    made = plan_of(program, "sweep", "--seeds", "0-1", "--set", f"fault={fault} fault_at=3", "--budget", 5)
    status, said = worked(made)
    assert status == 1
    failure = states.failure_of(made.path(made.runs[0]))
    assert failure is not None
    assert re.search(error, failure.error)
    assert (failure.attempts, failure.final) == (attempts, True)
    assert sum("0000" in line for line in said) == attempts  # each attempt is said, and none is made twice
    assert counts(program, "sweep") == {"failed": 2}


def test_a_flood_of_output_does_no_harm_and_what_never_ends_is_ended(program: Any) -> None:
    flood = plan_of(program, "flood", "--set", "fault=flood fault_at=2", "--budget", 3)
    assert worked(flood)[0] == 0
    endless = plan_of(program, "endless", "--set", "milliseconds=1e6", "--budget", 5, "terms", {"minutes": 0.02})
    assert worked(endless)[0] == 1
    failure = states.failure_of(endless.path(endless.runs[0]))
    assert failure is not None
    assert failure.error == "took longer than 0.02 minutes"
    greedy = plan_of(program, "greedy", "--set", "ballast=1000000000", "--budget", 5, "terms", {"memory": 2000})
    assert worked(greedy)[0] == 1
    failure = states.failure_of(greedy.path(greedy.runs[0]))
    assert failure is not None
    assert "memory" in failure.error


def test_what_was_changed_by_hand_is_done_again_or_refused(program: Any) -> None:
    made = plan_of(program, "sweep", "--seeds", "0-2", "--budget", 5)
    assert worked(made)[0] == 0
    whole = finals(program, "sweep")
    shutil.rmtree(made.path(made.runs[0]))
    result = made.path(made.runs[1]) / "result.json"
    result.write_bytes(result.read_bytes()[:40])
    assert counts(program, "sweep") == {"done": 1, "waiting": 1, "paused": 1}
    assert worked(made)[0] == 0
    assert counts(program, "sweep") == {"done": 3}
    assert finals(program, "sweep") == whole
    path = program.folder / "sweep/plan.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    refused = program.call("resume", "sweep")
    assert refused.status == 2
    assert "was cut or altered: it does not have the checksum of the 3 runs" in refused.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_is_signalled_saves_and_ends_with_status_3(program: Any, number: int) -> None:
    made = plan_of(program, "sweep", "--set", "milliseconds=20", "--budget", 100)
    process = program.start("work", "sweep")
    log = made.path(made.runs[0]) / "metrics.jsonl"
    wait_for(lambda: log.exists() and log.stat().st_size > 500)
    process.send_signal(number)
    assert process.wait(timeout=60) == 3, process.communicate()
    assert counts(program, "sweep") == {"paused": 1}
    assert states.progress_of(made.path(made.runs[0])) >= 5


def test_a_signal_to_every_process_of_a_worker_loses_no_step(program: Any) -> None:
    """Slurm and systemd signal each process of a job, so that the warm process hears of it twice."""
    made = plan_of(program, "sweep", "--set", "milliseconds=400", "--budget", 100)
    process = program.start("work", "sweep")
    log = made.path(made.runs[0]) / "metrics.jsonl"
    wait_for(lambda: log.exists() and log.stat().st_size > 200)
    for pid in (*(pid for pid, parent in processes().items() if parent == process.pid), process.pid):
        os.kill(pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 3, process.communicate()
    saved = [int(path.name) for path in log.parent.joinpath("checkpoints").iterdir()]
    assert max(saved) == len(log.read_text().splitlines())


def test_a_worker_that_slept_until_its_lease_was_lost_writes_nothing_more_and_ends_with_status_4(program: Any) -> None:
    made = plan_of(program, "sweep", "--set", "milliseconds=20", "--budget", 60)
    constants = "import rl_core.sweeps.claims as c, rl_core.sweeps.worker as w; c.STALE = 1.0; w.HEARTBEAT = 0.2"
    patched = f"{constants}; import rl_core.__main__ as m; m.main()"
    first = program.start("work", "sweep", python=("-c", patched))
    log = made.path(made.runs[0]) / "metrics.jsonl"
    wait_for(lambda: log.exists() and log.stat().st_size > 500)
    sleepers = [first.pid, *(pid for pid, parent in processes().items() if parent == first.pid)]
    for pid in reversed(sleepers):
        os.kill(pid, signal.SIGSTOP)
    second = program.start("work", "sweep", python=("-c", patched))
    assert second.wait(timeout=60) == 0, second.communicate()
    before = {path: path.stat().st_mtime_ns for path in made.path(made.runs[0]).rglob("*")}
    for pid in sleepers:
        with contextlib.suppress(ProcessLookupError):  # the worker, once awake, ends its own process of runs at once
            os.kill(pid, signal.SIGCONT)
    assert first.wait(timeout=60) == 4
    assert {path: path.stat().st_mtime_ns for path in made.path(made.runs[0]).rglob("*")} == before
    program.succeed("run", "slope", "--set", "milliseconds=0", "--budget", 60, "--out", "alone")
    steps = [line["progress"] for line in map(json.loads, log.read_text().splitlines())]
    assert steps == list(range(1, 61))


def test_a_sweep_pauses_at_a_progress_and_goes_on_as_if_it_had_not(program: Any) -> None:
    made = plan_of(program, "sweep", "--seeds", "0-1", "--budget", 40)
    assert Worker(Assignment(made, until=10), print).work() == 0
    assert counts(program, "sweep") == {"paused": 2}
    assert worked(made)[0] == 0
    program.succeed("run", "slope", "--seed", 1, "--budget", 40, "--out", "alone")
    assert program.final("sweep/" + made.runs[1].folder) == program.final("alone")


def test_ten_thousand_waiting_runs_are_looked_at_and_claimed_quickly(program: Any) -> None:
    made = plan_of(program, "sweep", "--seeds", "0-9999", "--budget", 5)
    began = time.process_time()
    found = Watch(plan.read(made.folder)).look()
    assert time.process_time() - began < 2.0
    assert set(found.values()) == {"waiting"}
    worker = Worker(Assignment(made), print)
    began = time.process_time()
    for _ in range(100):
        assert worker._take() is not None
        del worker._left[next(iter(worker._left))]
    assert (time.process_time() - began) / 100 < 0.005


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "learning_rat=0.1"], r"learning_rat=0.1: unknown config field 'learning_rat'"),
        (["--vary", "learning_rate=0.1,-1"], r"learning_rate=-1: the config of agent slope.* learning_rate is -1"),
        (["--vary", "learning_rate=0.1,0.10"], r"'learning_rate=0.10' and 'learning_rate=0.1' resolve to the same recipe"),
        (["--vary", "learning_rate"], r"--vary expects KEY=VALUE"),
        (["--vary", "task=hill"], r"task=hill: .*hill"),
        (["--seeds", "3-1"], r"the range 3-1, which is empty"),
        (["--seeds", "1,0-2"], r"names seed 1 twice"),
        (["--launcher", "locl"], r"no launcher is named 'locl'"),
        (["--launcher-set", "pinn=true"], r"unknown config field 'pinn' of launcher local"),
    ],
)
def test_a_mistake_costs_nothing(program: Any, arguments: list[str], message: str) -> None:
    refused = program.call("sweep", "slope", *arguments, "--out", "sweep")
    assert refused.status == 2
    assert re.search(message, refused.err)
    assert not list(program.folder.iterdir())


def test_variants_multiply_and_files_list_their_own(tmp_path: Path) -> None:
    found = axes.variants(["a=1,2", "network.hidden=[8,8],[4]"])
    assert [variant.overrides for variant in found][:2] == [("a=1", "network.hidden=[8,8]"), ("a=1", "network.hidden=[4]")]
    assert [variant.options for variant in axes.variants(["task=x,y"])] == [{"task": "x"}, {"task": "y"}]
    (tmp_path / "sets.yaml").write_text("- {a: 1, b: true}\n- {a: [2, 3]}\n")
    assert [variant.label for variant in axes.variants([f"@{tmp_path}/sets.yaml"])] == ["a=1, b=true", "a=[2, 3]"]
    with pytest.raises(RequestError, match="gives a twice"):
        axes.variants(["a=1", "a=2"])
