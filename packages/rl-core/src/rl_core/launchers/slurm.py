"""Workers as an array of Slurm jobs, by `sbatch`, `squeue` and `scancel` alone.

Slurm sends SIGUSR1 to a worker before its time is up, and the worker saves and ends; `--requeue` starts a job again that Slurm stopped.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from rl_core.config import Count, Doc, Whole, configclass
from rl_core.errors import RequestError, WorkError
from rl_core.launchers.launcher import Needs, WorkerState
from rl_core.runs.signals import STOPPED, TERMINATIONS

_QUEUED = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SUSPENDED"}


@configclass
class SlurmConfig:
    """Settings of the jobs."""

    partition: Annotated[str, Doc("partition of the jobs; empty for the cluster's default")] = ""
    account: Annotated[str, Doc("account of the jobs; empty for the user's default")] = ""
    minutes: Annotated[Count, Doc("longest time of a worker; it saves before, and is started again")] = 60
    warning_seconds: Annotated[Count, Doc("time before its end at which a worker is told to save")] = 90
    megabytes: Annotated[Whole, Doc("memory of a worker; 0 for the cluster's default")] = 0
    gpus: Annotated[Whole, Doc("graphics processors of a worker")] = 0
    setup: Annotated[str, Doc("a line of shell before the worker, such as: module load python")] = ""
    options: Annotated[tuple[str, ...], Doc("further options of sbatch, such as --qos=long")] = ()


class SlurmLauncher:
    """Jobs of a Slurm cluster whose nodes see the folder of the sweep, and have the same environment of Python."""

    Config = SlurmConfig

    def __init__(self, config: SlurmConfig) -> None:
        self._config = config
        self._asked = 0.0
        self._known: dict[str, WorkerState] = {}

    def start(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> list[str]:
        """Submit an array of jobs, and return the id of each.

        Raises:
            RequestError: if this machine has no `sbatch`.
            WorkError: if Slurm refuses the jobs.
        """
        script = folder / "workers" / "slurm.sh"
        script.write_text(self.script(argv, count, needs, folder), encoding="utf-8")
        job = _called("sbatch", "--parsable", str(script)).partition(";")[0].strip()
        self._known = {}
        return [f"{job}_{index}" for index in range(1, count + 1)]

    def script(self, argv: Sequence[str], count: int, needs: Needs, folder: Path) -> str:
        """Return the script of the jobs."""
        config = self._config
        options = {
            "array": f"1-{count}",
            "job-name": f"rl-core-{folder.name}",
            "output": f"{folder}/workers/slurm-%A_%a.log",
            "open-mode": "append",
            "cpus-per-task": str(needs.cpus),
            "time": str(needs.minutes or config.minutes),
            "signal": f"USR1@{config.warning_seconds}",
            "partition": config.partition,
            "account": config.account,
            "mem": f"{needs.memory or config.megabytes}M" if needs.memory or config.megabytes else "",
            "gres": f"gpu:{needs.gpus or config.gpus}" if needs.gpus or config.gpus else "",
        }
        lines = [f"#SBATCH --{name}={_quoted(value)}" for name, value in options.items() if value]
        lines += ["#SBATCH --requeue", *(f"#SBATCH {option}" for option in config.options)]
        # `srun` makes the worker a step, so that Slurm's warning reaches it and not the shell alone; exit status 3 means stopped and
        # saved, for which the job asks to be queued again, as for a warning that ended the worker before it listened.
        work = f"srun {shlex.join(argv)}\nstatus=$?"
        warned = " ".join(str(status) for status in (STOPPED, *(128 + number for number in TERMINATIONS if number != signal.SIGTERM)))
        again = f'case " {warned} " in *" $status "*) [ -e {shlex.quote(str(folder / "stop"))} ] || scontrol requeue "$SLURM_JOB_ID";; esac'
        return "\n".join(["#!/bin/bash", *lines, *([config.setup] if config.setup else []), work, again, 'exit "$status"', ""])

    def look(self, ids: Sequence[str]) -> Mapping[str, WorkerState]:
        """Return what Slurm's queue says of each job, asked at most every 5 s: Slurm must not be asked often."""
        if self._known.keys() >= set(ids) and time.monotonic() - self._asked < 5.0:
            return {each: self._known[each] for each in ids}
        jobs = ",".join(dict.fromkeys(each.partition("_")[0] for each in ids))
        listed = _called("squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={jobs}", missing_is_empty=True)
        self._known = {**dict.fromkeys(ids, "gone"), **states_of(listed)}
        self._asked = time.monotonic()
        return {each: self._known[each] for each in ids}

    def stop(self, ids: Sequence[str], seconds: float) -> None:
        """Send SIGTERM to the workers, and cancel the jobs that are still there after so many seconds."""
        for options in (("--signal=TERM",), ()):
            there = [each for each, state in self.look(ids).items() if state != "gone"]
            if not there:
                return
            _called("scancel", *options, *there, missing_is_empty=True)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and any(state != "gone" for state in self.look(ids).values()):
                time.sleep(1.0)


def states_of(listed: str) -> dict[str, WorkerState]:
    """Return the state of each job in the output of `squeue --format="%i %T"`.

    >>> states_of("12_1 RUNNING" + chr(10) + "12_2 PENDING" + chr(10) + "12_3 COMPLETING")
    {'12_1': 'running', '12_2': 'queued', '12_3': 'running'}
    """
    found: dict[str, WorkerState] = {}
    for line in listed.splitlines():
        job, _, state = line.strip().partition(" ")
        if job:
            found[job] = "queued" if state in _QUEUED else "running"
    return found


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _called(program: str, *arguments: str, missing_is_empty: bool = False) -> str:
    if shutil.which(program) is None:
        raise RequestError(f"this machine has no {program}, so it cannot submit jobs to Slurm", "call rl-core on a node of the cluster")
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode and not (missing_is_empty and "Invalid job id" in ended.stderr):
        raise WorkError(
            f"{program} failed: {ended.stderr.strip() or ended.returncode}", "see the options of the launcher: rl-core show slurm"
        )
    return ended.stdout if ended.returncode == 0 else ""
