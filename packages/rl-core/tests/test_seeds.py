"""Named streams: independent, fixed for ever, and put back to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rl_core.seeds import Seeds


def test_a_stream_is_fixed_by_its_seed_and_name_alone() -> None:
    first = Seeds(1).numpy("b").random(3)
    other = Seeds(1)
    other.numpy("a").random(100)
    assert other.numpy("b").random(3).tolist() == first.tolist()
    assert Seeds(2).numpy("b").random(3).tolist() != first.tolist()
    assert Seeds(1).numpy("c").random(3).tolist() != first.tolist()


def test_the_numbers_of_a_stream_never_change_between_versions() -> None:
    assert Seeds(0).numpy("exploration").integers(1000, size=4).tolist() == [979, 236, 841, 426]
    assert [Seeds(0).integer("episode", index) for index in range(2)] == [997986228, 1475856339]


def test_streams_are_not_correlated() -> None:
    streams = np.array([Seeds(seed).numpy(name).normal(size=4000) for seed in range(3) for name in ("a", "b", "ab")])
    correlation = np.corrcoef(streams) - np.eye(9)
    assert np.abs(correlation).max() < 5 / 4000**0.5  # five standard deviations


def test_a_stream_is_one_object_however_it_is_reached() -> None:
    seeds = Seeds(3)
    assert seeds.numpy("x") is seeds.numpy("x")
    assert seeds.child("a").numpy("x") is seeds.child("a").numpy("x")
    assert seeds.child("a").numpy("x") is not seeds.numpy("x")


def test_every_stream_of_the_tree_comes_back_to_the_last_bit() -> None:
    seeds = Seeds(3)
    held = seeds.child("a").child("b").numpy("x")
    held.integers(7, dtype=np.uint32)  # leaves half a word behind
    seeds.numpy("y").normal(size=5)
    state = json.loads(json.dumps(seeds.state_dict()))
    ahead = (held.integers(7, size=9, dtype=np.uint32).tolist(), seeds.numpy("y").normal(size=3).tolist())
    fresh = Seeds(3)
    early = fresh.child("a").child("b").numpy("x")  # an agent took it before the state was loaded
    fresh.load_state_dict(state)
    assert (early.integers(7, size=9, dtype=np.uint32).tolist(), fresh.numpy("y").normal(size=3).tolist()) == ahead


def test_what_is_apart_repeats_and_is_saved_with_nobody() -> None:
    seeds = Seeds(3)
    draws = [seeds.apart("evaluation").numpy("x").random() for _ in range(2)]
    assert draws[0] == draws[1]
    assert seeds.state_dict() == {}


def test_integers_are_spread_over_31_bits() -> None:
    drawn = np.array([Seeds(0).integer("episode", env, number) for env in range(50) for number in range(40)])
    assert len(set(drawn.tolist())) == 2000
    assert 0 <= drawn.min() < 2**31 / 100
    assert 2**31 * 0.99 < drawn.max() < 2**31


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1; a seed is an integer of at least 0"):
        Seeds(-1)
