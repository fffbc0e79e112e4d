"""Memory that is available, and the refusal of what needs more."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_core import memory


def test_the_memory_that_a_container_leaves_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 100}.__getitem__)
    assert memory.available_memory() == 400 * 1024  # all of a machine that does not say what is taken
    (tmp_path / "meminfo").write_text("MemTotal: 90 kB\nMemAvailable:   80 kB\n")
    assert memory.available_memory() == 80 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert memory.available_memory() == 3000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() == 80 * 1024
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("7000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("3000\n")
    assert memory.available_memory() == 4000
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # no limit, in version 1
    memory.require_memory(80 * 1024, "rows", "take fewer")
    with pytest.raises(ValueError, match=r"rows take 80\.0 KiB; 80\.0 KiB of memory are available: take fewer"):
        memory.require_memory(80 * 1024 + 1, "rows", "take fewer")


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(name: str) -> int:
        raise ValueError(f"unrecognized configuration name {name}")

    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr("os.sysconf", unknown)
    memory.require_memory(10**30, "rows", "take fewer")
