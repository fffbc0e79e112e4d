"""`metrics.jsonl`: cut where a run goes on, and read up to its first torn line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_core.runs import metrics_log
from rl_core.runs.metrics_log import NAME, MetricsLog


def write(folder: Path, *numbers: int, begin: int = 0) -> None:
    with MetricsLog(folder, begin) as log:
        for number in numbers:
            log.write({"progress": number, "seconds": number / 2, "loss": 1 / number})


def progress(folder: Path) -> list[float]:
    return [line["progress"] for line in metrics_log.read(folder)]


def test_lines_beyond_where_a_run_goes_on_are_cut(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4)
    write(tmp_path, 3, 4, 5, begin=2)
    assert progress(tmp_path) == [1, 2, 3, 4, 5]
    write(tmp_path, 1)
    assert progress(tmp_path) == [1]
    assert metrics_log.read(tmp_path) == [{"progress": 1, "seconds": 0.5, "loss": 1.0}]


@pytest.mark.parametrize(
    "torn", [b'{"progress": 3, "sec', b"\0\0\0\0", b"\xff\xfe\n", b"5\n", b"{}\n", b'{"progress":3,"seconds":1.5,"loss":1}']
)
def test_a_torn_line_is_passed_over_and_then_written_over(tmp_path: Path, torn: bytes) -> None:
    write(tmp_path, 1, 2)
    with (tmp_path / NAME).open("ab") as file:
        file.write(torn)
    assert progress(tmp_path) == [1, 2]
    write(tmp_path, 3, begin=3)  # even if the torn line would have been kept
    assert progress(tmp_path) == [1, 2, 3]


def test_the_time_spent_is_that_of_the_last_line_that_counts(tmp_path: Path) -> None:
    assert metrics_log.seconds(tmp_path, 5) == 0.0
    write(tmp_path, 1, 2, 3)
    assert metrics_log.seconds(tmp_path, 2) == 1.0


def test_a_line_is_with_the_system_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.write({"progress": 1, "seconds": 0.0})
        assert progress(tmp_path) == [1]


def test_a_line_that_was_written_in_part_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        """A file on a disk that is full after ten bytes."""

        def write(self, text: bytes) -> int:
            return 10

        def close(self) -> None:
            pass

    with MetricsLog(tmp_path, 0) as log:
        short: Any = Short()
        monkeypatch.setattr(log, "_file", short)
        with pytest.raises(OSError, match="No space left on device"):
            log.write({"progress": 1, "seconds": 0.0})
