"""Leases: one owner at a time, on any file system, whatever the clocks say; a fence for those who slept."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rl_core.sweeps import claims
from rl_core.sweeps.claims import Claims, Lease


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    return tmp_path / "claims"


def taken(found: Claims, run: str = "0000") -> Lease:
    lease = found.take(run)
    assert lease is not None
    return lease


def age(lease: Lease, seconds: float) -> None:
    then = lease.path.stat().st_mtime - seconds
    os.utime(lease.path, (then, then))


def no_links(*_: Any) -> None:
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_a_run_has_one_owner_until_it_is_released(folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:  # a shared folder of a file system that has none
        monkeypatch.setattr(os, "link", no_links)
    one, two = Claims(folder), Claims(folder)
    lease = taken(one)
    assert two.take("0000") is None
    assert two.fresh() == {"0000"}
    lease.release()
    assert taken(two).holds()
    assert not lease.holds()


def test_of_many_that_ask_at_once_one_is_given_the_run(folder: Path) -> None:
    found: list[Lease] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        own = Claims(folder)
        barrier.wait()
        for run in range(20):
            lease = own.take(f"{run:04d}")
            if lease is not None:
                found.append(lease)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lease.run for lease in found) == [f"{run:04d}" for run in range(20)]


def test_a_lease_that_was_not_touched_for_a_minute_is_taken_over_and_its_first_owner_finds_out(folder: Path) -> None:
    one, two = Claims(folder), Claims(folder)
    lease = taken(one)
    age(lease, claims.STALE - 5)
    assert two.take("0000") is None
    lease.beat()
    age(lease, claims.STALE + 5)
    other = taken(two)
    assert (lease.number, other.number) == (1, 2)
    assert not lease.holds()
    lease.beat()  # of no effect on the other's
    lease.release()
    assert other.holds()
    other.release()
    assert list(folder.glob("0000.*")) == []
    assert not lease.holds()  # also when the other has gone


def test_of_two_that_take_over_at_once_one_does(folder: Path) -> None:
    lease = taken(Claims(folder))
    age(lease, claims.STALE + 5)
    one, two = Claims(folder), Claims(folder)
    number = one.taken_number("0000")  # both have seen the stale one
    assert two._link("0000", number + 1) is not None
    assert one._link("0000", number + 1) is None


def test_the_clock_of_the_file_system_judges_and_not_the_machine_s(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = taken(Claims(folder))
    monkeypatch.setattr(time, "time", lambda: lease.path.stat().st_mtime + 600)  # ten minutes ahead
    assert Claims(folder).take("0000") is None


def test_the_lease_of_a_process_that_has_ended_on_this_machine_need_not_grow_old(folder: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if Claims(folder).take("0000") else 1)
    assert os.waitpid(pid, 0)[1] == 0
    if not claims.identity()["boot"]:
        pytest.skip("this system does not say which processes have ended")
    own = Claims(folder)
    assert taken(own).number == 2
    own.clear()
    assert {path.name for path in folder.iterdir()} == {"0000.1", "0000.2"}  # a lease that is held stays


def test_what_ended_workers_left_is_cleared(folder: Path) -> None:
    own = Claims(folder)
    lease = taken(own)
    age(lease, claims.STALE + 5)
    own.clear()
    assert list(folder.iterdir()) == []
