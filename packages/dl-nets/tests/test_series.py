from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dl_nets.tasks.series import Series, SeriesConfig, write_example


def numbers(path: Path, values: object, header: str = "value") -> str:
    path.write_text("\n".join([header, *map(str, values)]) + "\n", encoding="utf-8")  # type: ignore[call-overload]
    return str(path)


def test_the_next_number_of_a_single_column_and_the_split_is_in_time(tmp_path: Path) -> None:
    path = numbers(tmp_path / "sales.csv", range(100))
    task = Series(SeriesConfig(path=path, window=4, validation_fraction=0.2, test_fraction=0.1))
    targets = {split: task.read(split, np.arange(task.num_examples(split)))[1][:, 0] for split in ("train", "validation", "test")}
    assert (targets["train"][0], targets["train"][-1]) == (4, 69)
    assert (targets["validation"][0], targets["validation"][-1]) == (70, 89)
    assert (targets["test"][0], targets["test"][-1]) == (90, 99)
    inputs, _ = task.read("test", np.arange(1))
    train = np.arange(70)
    np.testing.assert_allclose(inputs[0, :, 0], (np.arange(86, 90) - train.mean()) / train.std(), rtol=1e-5)
    np.testing.assert_allclose(task.parse("[1, 2, 86, 87, 88, 89]"), inputs, rtol=1e-5)
    assert task.target == pytest.approx(1.0)  # repeating the last value is wrong by one step, and steps are all alike
    assert task.score(targets["test"] + 0.5, targets["test"])["mean absolute scaled error"] == pytest.approx(0.5)


def test_several_columns_are_seen_and_several_rows_of_several_targets_forecast(tmp_path: Path) -> None:
    write_example(tmp_path / "sales.csv")
    config = SeriesConfig(path=str(tmp_path / "sales.csv"), window=7, horizon=3, targets=("sales", "weather"))
    task = Series(config)
    inputs, targets = task.read("train", np.array([0, 5]))
    assert inputs.shape == (2, 7, 2)
    assert targets.shape == (2, 3, 2)
    rows = [line.split(",") for line in (tmp_path / "sales.csv").read_text().splitlines()[1:]]
    assert targets[1, 0].tolist() == pytest.approx([float(rows[12][2]), float(rows[12][1])])
    document = [{"weather": float(row[1]), "sales": float(row[2])} for row in rows[5:12]]
    np.testing.assert_allclose(task.parse(json.dumps(document))[0], inputs[1], rtol=1e-5)
    np.testing.assert_allclose(task.parse_file(tmp_path / "sales.csv")[0], task._standardised[-7:])
    with pytest.raises(ValueError, match=r"expected a JSON array of 7 or more rows with the columns weather, sales"):
        task.parse("[1, 2, 3]")


def test_gaps_are_refused_with_their_line_or_filled_in(tmp_path: Path) -> None:
    path = numbers(tmp_path / "gaps.csv", [*range(40), "", 41, *range(42, 60)], "load")
    with pytest.raises(ValueError, match=r"line 42 of .*gaps\.csv, column 'load' has no value; fill it in, or set task\.missing to"):
        Series(SeriesConfig(path=path, window=4))
    for missing, value in (("previous", 39.0), ("linear", 40.0)):
        task = Series(SeriesConfig(path=path, window=4, missing=missing))  # type: ignore[arg-type]
        assert task._values[40, 0] == value


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["2024-01-02,1", "2024-01-01,2"] * 20, "day,x", r"line 3 of .* goes back in time in column 'day'; sort the rows"),
        ([f"word,{'two' if n % 2 else 'one'}" for n in range(40)], "a,b", "has no column of numbers; only numbers can be forecast"),
        ([*range(60), -1e306], "x", r"line 62 of .*bad\.csv, column 'x' holds -1e\+306; expected numbers up to 1e\+18"),
        ([1, 2, 3], "x", r"has 3 rows, too few for the train split with window = 24 and horizon = 1; set task\.window lower"),
        ([*range(30), "many"], "x", r"line 32 of .* holds 'many' in column 'x', which holds numbers"),
    ],
)
def test_tables_that_are_no_series_are_refused(tmp_path: Path, rows: list[object], header: str, words: str) -> None:
    path = numbers(tmp_path / "bad.csv", rows, header)
    with pytest.raises(ValueError, match=words):
        Series(SeriesConfig(path=path))


def test_a_forecaster_is_judged_by_all_of_another_file_in_its_own_scales(tmp_path: Path) -> None:
    path = numbers(tmp_path / "sales.csv", range(100))
    state = Series(SeriesConfig(path=path, window=4)).state_dict()
    other = numbers(tmp_path / "other.csv", range(50, 70))
    task = Series.for_evaluation(SeriesConfig(path=other, window=4), state)
    assert task.num_examples("test") == 16
    assert task.target == pytest.approx(1.0)
    Path(path).unlink()
    assert "sales.csv is missing" in Series.from_state(SeriesConfig(path=path, window=4), state).data_change()
