"""Launchers: workers of a real Ray cluster and a real Dask cluster, nodes killed; Slurm by the text of its script."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rl_core.errors import RequestError
from rl_core.launchers import local, slurm
from rl_core.launchers.launcher import Needs

pytestmark = pytest.mark.usefixtures("probe")

GRID = ("sweep", "slope", "--seeds", "0-3", "--set", "milliseconds=50", "--budget", 60)


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def finals(program: Any, sweep: str) -> list[dict[str, bytes]]:
    return [program.final(f"{sweep}/runs/{path.name}") for path in sorted((program.folder / sweep / "runs").iterdir())]


RAY_CLUSTER = """
import sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80_000_000, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(nodes[0], allow_graceful=False)
print("removed", flush=True)
cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
sys.stdin.readline()
cluster.shutdown()
"""


def test_a_sweep_that_could_not_be_started_leaves_nothing(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    refused = program.call("sweep", "slope", "--seeds", "0-1", "--launcher", "slurm", "--out", "swept")
    assert refused.status == 2
    assert "this machine has no sbatch" in refused.err
    assert not list(program.folder.iterdir())


def test_a_sweep_on_two_ray_nodes_survives_the_death_of_one(program: Any) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    assert program.run(*GRID, "--set", "milliseconds=0", "--workers", 2, "--out", "whole").status == 0
    cluster = subprocess.Popen(
        [sys.executable, "-c", RAY_CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=program.environment
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        process = program.start(
            *GRID, "--workers", 2, "--launcher", "ray", "--launcher-set", f"address={address}", "--out", "ray", "--json"
        )
        claims = program.folder / "ray/claims"
        wait_for(lambda: process.poll() is not None or len(list(claims.glob("*.1"))) == 2)
        time.sleep(1.0)
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline().strip() == "removed"
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert '"done": 4' in out
    finally:
        cluster.stdin.write("\n")
        cluster.communicate(timeout=60)
    for one, other in zip(finals(program, "ray"), finals(program, "whole"), strict=True):
        assert {name: data for name, data in one.items() if "arrays" in name} == {n: d for n, d in other.items() if "arrays" in n}


DASK_CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
    print(cluster.scheduler_address, *(nanny.process.pid for nanny in cluster.workers.values()), flush=True)
    sys.stdin.readline()
    cluster.close()
"""


def test_a_sweep_on_dask_survives_the_death_of_a_worker(program: Any, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    assert program.run(*GRID, "--set", "milliseconds=0", "--workers", 2, "--out", "whole").status == 0
    script = tmp_path / "cluster.py"
    script.write_text(DASK_CLUSTER)
    cluster = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=program.environment)
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address, first, _ = cluster.stdout.readline().split()
        process = program.start(
            *GRID, "--workers", 2, "--launcher", "dask", "--launcher-set", f"address={address}", "--out", "dask", "--json"
        )
        claims = program.folder / "dask/claims"
        wait_for(lambda: process.poll() is not None or len(list(claims.glob("*.1"))) == 2)
        time.sleep(1.0)
        os.kill(int(first), signal.SIGKILL)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert '"done": 4' in out
    finally:
        cluster.communicate("\n", timeout=60)
    for one, other in zip(finals(program, "dask"), finals(program, "whole"), strict=True):
        assert {name: data for name, data in one.items() if "arrays" in name} == {n: d for n, d in other.items() if "arrays" in n}


def test_the_script_for_slurm_asks_for_what_a_worker_needs(tmp_path: Path) -> None:
    config = slurm.SlurmConfig(partition="long", minutes=30, setup="module load python", options=("--qos=low",))
    script = slurm.SlurmLauncher(config).script(["python", "-m", "rl_core", "work", "/shared/my sweep"], 5, Needs(cpus=2, gpus=1), tmp_path)
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert {"array=1-5", "cpus-per-task=2", "time=30", "signal=USR1@90", "partition=long", "gres=gpu:1", "requeue", "qos=low"} <= asked
    assert not any(line.startswith("account") for line in asked)
    assert lines.index("module load python") < lines.index("srun python -m rl_core work '/shared/my sweep'")
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)  # bash reads it
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_worker_that_saved_is_queued_again_unless_the_sweep_was_stopped(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("srun", 'shift $#; exit "$WORKER_STATUS"'), ("scontrol", 'echo "$@" >> "$NOTED"')):
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    script = slurm.SlurmLauncher(slurm.SlurmConfig()).script(["worker"], 1, Needs(), tmp_path)
    noted = tmp_path / "noted"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "NOTED": str(noted), "SLURM_JOB_ID": "7"}

    def run(status: int) -> int:
        return subprocess.run(["bash", "-c", script], env={**environment, "WORKER_STATUS": str(status)}, check=False).returncode

    assert run(0) == 0
    assert not noted.exists()
    assert run(3) == 3
    assert run(138) == 138  # the warning, SIGUSR1, met a worker that was still importing
    assert run(1) == 1
    assert noted.read_text() == "requeue 7\n" * 2
    (tmp_path / "stop").touch()
    assert run(3) == 3
    assert noted.read_text() == "requeue 7\n" * 2


def test_a_machine_without_slurm_says_so(program: Any, tmp_path: Path) -> None:
    if shutil.which("sbatch"):
        pytest.skip("this machine has Slurm")
    (tmp_path / "workers").mkdir()
    with pytest.raises(RequestError, match="this machine has no sbatch"):
        slurm.SlurmLauncher(slurm.SlurmConfig()).start(["worker"], 1, Needs(), tmp_path)
    assert local.shares([0, 1, 2, 3], 2, 2) == [[0, 1], [2, 3]]


def test_launchers_without_their_package_are_listed_with_the_line_that_installs_it(program: Any) -> None:
    code = "import sys; sys.modules['ray'] = sys.modules['distributed'] = None; from rl_core.__main__ import main; main()"
    ended = program.run("list", "--kind", "launcher", "--json", python=("-c", code))
    rows = {row["name"]: row["status"] for row in ended.json["components"]}
    assert rows["local"] == rows["slurm"] == "ready"
    ended = program.run("show", "slope", python=("-X", "importtime", "-m", "rl_core"))
    assert not {"ray", "distributed", "optuna"} & {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
