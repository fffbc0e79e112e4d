"""The parts that checks are made of: ranges of annotations, the other process, differences of states, random answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from gymnasium import spaces

from rl_core.config import Count, Doc, Meta, Positive
from rl_core.conformance import inputs, process, ranges, steps
from rl_core.conformance.elsewhere import Elsewhere
from rl_core.conformance.verdict import Fault
from rl_core.runs import checkpoint


@pytest.mark.parametrize(
    ("hint", "outside"),
    [
        (Positive, [0.0]),
        (Annotated[Count, Doc("N, environments")], [0]),
        (Annotated[float, Meta(ge=0, le=1)], [-0.001, 1.001]),
        (Annotated[float | None, Meta(gt=0, lt=1)], [0.0, 1.0]),
        (tuple[Count, ...], [[0]]),
        (Annotated[int, Meta(lt=5)], [5]),
        (Annotated[str, Doc("a text, > 0")], []),
        (float, []),
    ],
)
def test_an_annotation_states_a_range_and_what_is_outside(hint: Any, outside: list[Any]) -> None:
    assert ranges.outside(hint) == outside


def test_a_number_is_told_from_a_tuple_of_numbers_and_from_a_text() -> None:
    assert [ranges.is_number(hint) for hint in (Count, float | None, tuple[int, ...], str, Literal["1"], bool)] == [
        True,
        True,
        *[False] * 4,
    ]


def _step(folder: Path, state: dict[str, Any], **metrics: float) -> steps.Step:
    return steps.Step(1, metrics, steps.read(checkpoint.save(folder, 1, state)))


def test_two_states_differ_where_a_bit_differs(tmp_path: Path) -> None:
    one = _step(tmp_path / "one", {"agent": {"w": np.array([1.0, 2.0]), "n": [1, 2]}})
    same = _step(tmp_path / "same", {"agent": {"w": np.array([1.0, 2.0]), "n": [1, 2]}})
    other = _step(tmp_path / "other", {"agent": {"w": np.array([1.0, np.nextafter(2.0, 3.0)]), "n": [1, 3]}})
    narrow = _step(tmp_path / "narrow", {"agent": {"w": np.array([1.0, 2.0], dtype=np.float32), "n": [1, 2]}})
    assert steps.first_difference(one, same) == ""
    assert steps.first_difference(one, other) == "agent/n/1 (and 1 more)"
    assert steps.first_difference(one, narrow) == "agent/w"
    assert steps.first_difference(one, other, below="seeds") == ""


def test_metrics_differ_although_states_are_equal(tmp_path: Path) -> None:
    one = _step(tmp_path / "one", {"agent": {}}, loss=0.5)
    other = _step(tmp_path / "other", {"agent": {}}, loss=0.25)
    with pytest.raises(Fault, match=r"runs part: metric 'loss' is 0\.5, not 0\.25; mend it"):
        steps.require_equal(one, other, "runs part", "mend it")


def test_the_other_process_says_what_went_wrong_there_and_goes_on(tmp_path: Path) -> None:
    elsewhere = Elsewhere(())
    for _ in range(2):
        with pytest.raises(Fault, match=r"could not take the run further: .*is not a run folder: it has no recipe\.yaml"):
            elsewhere.advance(tmp_path, 1)
    assert elsewhere.alive
    elsewhere.close()
    assert not elsewhere.alive


def test_the_end_of_the_other_process_is_a_fault_and_no_deadlock(tmp_path: Path) -> None:
    elsewhere = Elsewhere(())
    elsewhere._process.kill()
    with pytest.raises(Fault, match=r"died with exit status -9"):
        elsewhere.advance(tmp_path, 1)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=-1),
        spaces.Box(-2.0, 3.0, (2, 2), np.float32),
        spaces.Box(-np.inf, np.inf, (4,), np.float32),
        spaces.Box(np.array([0.0, -np.inf]), np.array([np.inf, 1.0]), dtype=np.float64),
        spaces.Box(0, 255, (2, 2, 3), np.uint8),
        spaces.MultiBinary(4),
        spaces.MultiDiscrete([2, 5]),
        spaces.Text(5),
    ],
)
def test_samples_are_members_of_their_space_and_repeat(space: spaces.Space) -> None:
    drawn = inputs.samples(space, 20, np.random.default_rng(0))
    assert inputs.members(space, drawn) == ""
    assert np.array_equal(drawn, inputs.samples(space, 20, np.random.default_rng(0)))


def test_what_is_no_member_is_named_by_its_row() -> None:
    assert inputs.members(spaces.Discrete(2), np.array([0, 2])) == "row 1 is 2, which is not in Discrete(2)"
    assert "has shape [3]" in inputs.members(spaces.Box(0, 1, (2,)), np.zeros((1, 3)))


def test_what_a_life_changes_is_said_and_put_back() -> None:
    def life() -> None:
        np.set_printoptions(precision=3)
        np.random.seed(1)

    options, state = np.get_printoptions(), np.random.get_state()[1].copy()
    found = process.remains(life)
    assert found == {"settings": ["NumPy's print options: precision"], "generators": ["NumPy's global generator"]}
    assert np.get_printoptions() == options
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_life_that_changes_nothing_leaves_nothing() -> None:
    assert process.remains(lambda: None) == {"settings": [], "generators": []}
