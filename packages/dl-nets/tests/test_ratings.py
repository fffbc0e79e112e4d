from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.recommend.factors import Factors, FactorsConfig
from dl_nets.recommend.ratings import LowRankConfig, LowRankRatings, Ratings, RatingsConfig, bias_ratings, write_example


@pytest.fixture
def films(tmp_path: Path) -> Path:
    write_example(tmp_path / "films.csv")
    return tmp_path / "films.csv"


def test_the_target_of_drawn_ratings_is_near_the_noise_and_out_of_reach_of_biases() -> None:
    task = LowRankRatings(LowRankConfig())
    assert task.target == pytest.approx(1.15 * 0.5, rel=0.06)  # 2 standard errors of 1,500 ratings
    train, test = task.places["train"], task.places["test"]
    answers = bias_ratings(task.pairs[train], task.values[train], task.pairs[test])
    assert task.score(answers[:, None], task.values[test, None])["root mean squared error"] > 1.5 * task.target
    assert len(np.unique(task.pairs, axis=0)) == 7500
    with pytest.raises(ValueError, match="ratings is 7500, but 10 users and 100 items make 1000 pairs"):
        LowRankConfig(users=10)


def test_a_model_adds_the_biases_and_the_product_of_the_vectors() -> None:
    pairs, answer = spaces.MultiDiscrete([3, 2]), spaces.Box(-np.inf, np.inf, (1,), np.float32)
    model = Factors(FactorsConfig(factors=2)).build(pairs, answer, np.random.default_rng(0))
    with torch.no_grad():
        model.user_biases[2] = 0.5
        model.item_biases[1] = -1.0
    expected = 0.5 - 1.0 + (model.users.weight[2] @ model.items.weight[1]).item()
    assert model(torch.tensor([[2, 1]])).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="expected MultiDiscrete"):
        Factors(FactorsConfig()).build(spaces.Box(0, 1, (2,)), answer, np.random.default_rng(0))


def test_users_and_items_are_named_and_unknown_ones_are_refused_with_the_nearest(films: Path) -> None:
    task = Ratings(RatingsConfig(path=str(films)))
    pair = task.parse('["user 3", "space 1"]')
    assert np.array_equal(pair, task.parse('{"item": "space 1", "user": "user 3"}'))
    with pytest.raises(ValueError, match="the item 'space 9' has no ratings to learn from; did you mean 'space"):
        task.parse('["user 3", "space 9"]')
    with pytest.raises(ValueError, match="is not a user and an item; expected"):
        task.parse("[1, 2, 3]")
    assert np.array_equal(task.parse_file(films), task.pairs)


def test_bad_rows_are_refused_with_their_line(films: Path) -> None:
    films.write_text(films.read_text() + "user 1,space 1,many\n")
    with pytest.raises(ValueError, match=r"line 122 of .*films\.csv holds 'many' in column 'stars'; expected a rating, a number"):
        Ratings(RatingsConfig(path=str(films)))
    with pytest.raises(ValueError, match=r"has no column 'film name'; its columns are user, film, stars"):
        Ratings(RatingsConfig(path=str(films), item="film name"))


def test_a_run_keeps_its_ratings_and_is_judged_by_others(films: Path, tmp_path: Path) -> None:
    from rl_core.runs import checkpoint

    task = Ratings(RatingsConfig(path=str(films)))
    checkpoint.save(tmp_path / "run", 0, {"task": task.state_dict()})
    state = checkpoint.load(tmp_path / "run" / "0")["task"]
    other = tmp_path / "other.csv"
    other.write_text("user,film,stars\nuser 1,love 3,6\n")
    judged = Ratings.for_evaluation(RatingsConfig(path=str(other)), state)
    assert judged.num_examples("test") == 1
    assert judged.read("test", np.arange(1))[1].tolist() == [[6.0]]
    other.write_text("user,film,stars\nuser 1,love 33,6\n")
    with pytest.raises(ValueError, match=r"line 2 of .*other\.csv: the item 'love 33' has no ratings to learn from; did you mean 'love 3'"):
        Ratings.for_evaluation(RatingsConfig(path=str(other)), state)
