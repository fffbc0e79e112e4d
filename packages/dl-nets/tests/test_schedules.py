from __future__ import annotations

from typing import get_args

import pytest

from dl_nets.learning.optimisers import ScheduleName, schedule, step, warm_up

ENDS = {
    "constant": (1.0, 1.0, 1.0),
    "linear": (1.0, 0.5, 0.0),
    "cosine": (1.0, 0.5, 0.0),
    "step": (1.0, 0.1, 0.01),
    "exponential": (1.0, 0.1, 0.01),
    "warm-up": (0.01, 1.0, 1.0),
    "warm-up-linear": (0.01, 5 / 9, 0.0),
    "warm-up-cosine": (0.01, 0.5868, 0.0),  # (1 + cos(4 pi / 9)) / 2 in the middle
    "polynomial": (1.0, 0.25, 0.0),
    "cosine-restarts": (1.0, 1.0, 0.0),  # the third of four cycles starts in the middle
    "one-cycle": (0.04, 0.8117, 0.0),  # (1 + cos(2 pi / 7)) / 2
    "triangular": (0.1, 0.1, 0.1),
    "warm-up-inverse-root": (0.01, 5**-0.5, 10**-0.5),
}
RISES = {"cosine-restarts", "one-cycle", "triangular"}


@pytest.mark.parametrize("name", get_args(ScheduleName))
def test_every_schedule_has_its_start_its_middle_and_its_end(name: ScheduleName) -> None:
    assert [schedule(name)(fraction) for fraction in (0.0, 0.5, 1.0)] == pytest.approx(ENDS[name], abs=1e-4)


@pytest.mark.parametrize("name", get_args(ScheduleName))
def test_every_schedule_stands_still_beyond_its_ends(name: ScheduleName) -> None:
    assert schedule(name)(1.5) == schedule(name)(1.0)
    assert schedule(name)(-0.5) == schedule(name)(0.0)


@pytest.mark.parametrize("name", [name for name in get_args(ScheduleName) if not name.startswith("warm-up") and name not in RISES])
def test_what_does_not_warm_up_never_rises(name: ScheduleName) -> None:
    values = [schedule(name)(number / 100) for number in range(101)]
    assert values == sorted(values, reverse=True)


def test_warming_up_rises_to_one_and_then_follows_the_other_from_its_beginning() -> None:
    values = [warm_up(number / 100, then=lambda fraction: 1 - fraction, share=0.2) for number in range(101)]
    assert values.index(max(values)) == 20
    assert max(values) == 1.0


def test_the_last_level_lasts_to_the_very_end() -> None:
    assert step(1.0, num_levels=2, factor=0.5) == step(0.5, num_levels=2, factor=0.5) == 0.5


def test_an_unknown_schedule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="schedule is 'cosin'; it must be one of constant, linear, cosine"):
        schedule("cosin")
