"""A sweep on a Slurm cluster of two nodes on loopback: a worker killed, a job queued again, time limits."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.usefixtures("probe"),
    pytest.mark.learning,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed here: {', '.join(MISSING)} missing (Debian: slurm-wlm and munge)"),
    pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="the daemons of Slurm start jobs as root only"),
]

SETTINGS = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
MessageTimeout=60
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""


def wait_for(condition: Callable[[], object], what: str, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def slurm(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def cluster(tmp_path: Path, program: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Daemons of a controller and two nodes of one processor each, on ports of loopback; the folder holds their logs."""
    folder = tmp_path / "cluster"
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.touch(0o400)
    key.write_bytes(os.urandom(1024))
    (folder / "slurm.conf").write_text(SETTINGS.format(folder=folder, host=socket.gethostname().partition(".")[0], ports=free_ports(3)))
    for environment in (program.environment, os.environ):
        environment["SLURM_CONF"] = str(folder / "slurm.conf")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))  # and removed afterwards
    names = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    commands = [["munged", "--foreground", "--force", *(f"--{option}={folder / name}" for option, name in names.items())]]
    commands += [["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]]
    daemons = []
    try:
        for command in commands:
            with (folder / f"{'-'.join(command[:1] + command[-1:]).replace('/', '_')[:40]}.out").open("wb") as log:
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log))
            if command[0] == "munged":
                wait_for((folder / "munge.socket").exists, "munged", 20)
        wait_for(lambda: _idle() == 2, f"two idle nodes; see the logs in {folder}", 90)
        yield folder
    finally:
        subprocess.run(["scancel", "--user", "root"], check=False, capture_output=True)
        time.sleep(1.0)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _idle() -> int:
    ended = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%T"], capture_output=True, text=True, check=False)
    return ended.stdout.split().count("idle")


def test_a_sweep_survives_a_killed_worker_a_requeued_job_and_time_limits(program: Any, cluster: Path) -> None:
    grid = ("sweep", "slope", "--seeds", "0-3", "--budget", 60)
    assert program.run(*grid, "--workers", 2, "--out", "whole").status == 0
    limits = ("--launcher-set", "minutes=1", "--launcher-set", "warning_seconds=40")
    process = program.start(*grid, "--set", "milliseconds=400", "--workers", 2, "--launcher", "slurm", *limits, "--out", "torn", "--json")
    folder = program.folder / "torn"
    wait_for(lambda: process.poll() is not None or len(list((folder / "claims").glob("*.1"))) == 2, "two claimed runs")
    assert process.poll() is None, process.communicate()[1]
    job = re.findall(r"(\d+)_1\b", slurm("squeue", "--noheader", "--array", "--format=%i"))[0]
    time.sleep(3.0)
    slurm("scontrol", "requeue", f"{job}_1")
    slurm("scancel", "--signal=KILL", f"{job}_2")
    out, err = process.communicate(timeout=600)
    logs = "".join(path.read_text() for path in (folder / "workers").glob("slurm-*.log"))
    assert process.returncode == 0, f"{err}\n{logs}"
    assert '"done": 4' in out
    for path in sorted((folder / "runs").iterdir()):
        one, other = program.final(f"torn/runs/{path.name}"), program.final(f"whole/runs/{path.name}")
        assert {name: data for name, data in one.items() if "arrays" in name} == {n: d for n, d in other.items() if "arrays" in n}
