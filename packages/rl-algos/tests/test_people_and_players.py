"""Rewards from comparisons, and equilibria of games: worked numbers, exact equilibria, and files that are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rl_algos.people.comparisons import RewardModel, preference_loss, read_comparisons
from rl_algos.players.matrix_game import MatrixGame, MatrixGameConfig, exploitability
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds


def test_a_reward_model_learns_which_of_two_features_is_preferred():
    rng = np.random.default_rng(0)
    model, pieces = RewardModel(2, 8, 2, rng), rng.standard_normal((2, 64, 3, 2)).astype(np.float32)
    sums = pieces[..., 0].sum(axis=2)
    preferred = torch.from_numpy((sums[0] > sums[1]).astype(np.float32))
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        scores = [model(torch.from_numpy(side).flatten(0, 1).expand(2, -1, -1)).reshape(2, 64, 3).sum(dim=2) for side in pieces]
        loss = preference_loss(scores[0], scores[1], preferred.expand(2, -1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.2
    good, bad = model.reward(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert good > bad + 1


def test_comparisons_from_a_file_train_as_the_judge_s_do_and_a_wrong_line_is_named(tmp_path):
    file = tmp_path / "comparisons.jsonl"
    good, bad = [[0.0, 0, 0, 0, 1, 0]] * 3, [[0.0, 0, 0.2, 0, 0, 1]]
    file.write_text("".join(json.dumps({"first": good, "second": bad, "preferred": 1}) + "\n" for _ in range(4)))
    settings = [f"comparison_file={file}", "num_envs=2", "rollout_steps=8", "piece_steps=4", "num_epochs=1", "batch_size=8"]
    made = resolve(Catalogue.discover(), "preference-reward", overrides=[*settings, "reward_updates=100"], budget=16)
    learner = made.build_agent(Seeds(0))
    assert learner.step()["comparisons"] == 4
    assert learner.model.reward(np.array(good)).sum() > learner.model.reward(np.array(bad)).sum()
    file.write_text('{"first": [[1, 2]], "second": [[1, 2]], "preferred": 1}\n')
    with pytest.raises(ValueError, match=r"line 1 of .* expected steps of 6 numbers"):
        read_comparisons(file, 6)
    file.write_text("{}\n")
    with pytest.raises(ValueError, match=r"line 1 of .* is not a comparison"):
        read_comparisons(file, 6)


@pytest.mark.parametrize("rule", ["regret-matching", "plus", "fictitious-play"])
def test_average_strategies_approach_the_equilibrium(rule):
    made = resolve(Catalogue.discover(), "regret-matching", overrides=[f"rule={rule}", "rounds_per_step=2000"], budget=2_000)
    learner = made.build_agent(Seeds(0))
    assert learner.step()["nash_distance"] < 0.1
    assert np.abs(learner.averages()[0] - [0.25, 0.5, 0.25]).max() < 0.1


def test_an_equilibrium_of_any_game_cannot_be_exploited_and_a_constant_choice_can():
    for seed in range(5):
        task = MatrixGame(MatrixGameConfig(game="random", game_seed=seed))
        rows, columns = task.equilibrium
        assert exploitability(task.payoffs, rows, columns) == pytest.approx(0.0, abs=1e-9)
        assert rows @ task.payoffs @ columns == pytest.approx(task.value)
    task = MatrixGame(MatrixGameConfig(game="rock-paper-scissors"))
    rock = task.evaluate(lambda obs: np.zeros(len(obs), dtype=np.int64), episodes=1, seeds=Seeds(0))
    assert rock["exploitability"] == 1.0


@pytest.mark.learning
def test_cartpole_is_learned_from_comparisons_alone():
    made = resolve(Catalogue.discover(), "preference-reward")
    learner = made.build_agent(Seeds(0))
    while learner.progress < learner.budget:
        learner.step()
    assert learner.num_comparisons <= 1_500
    assert learner.evaluate(episodes=20, seeds=Seeds(0))["mean return"] >= 475
