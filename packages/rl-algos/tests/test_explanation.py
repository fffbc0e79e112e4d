"""Explanations of policies: attributions that add up, trees that agree, and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from rl_algos.explanation.attributions import integrated_gradients, saliency
from rl_algos.explanation.distilled import distil
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.cli.cli import cli


def test_integrated_gradients_add_up_to_the_difference_from_the_baseline() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    obs, baseline, index = torch.randn(20, 3), torch.randn(3), torch.arange(20) % 2
    found = integrated_gradients(network, obs, index, baseline)
    wanted = (network(obs) - network(baseline[None])).gather(1, index[:, None]).squeeze(1)
    assert torch.allclose(found.sum(dim=1), wanted, atol=1e-3)


def test_saliency_of_a_linear_output_is_its_weight_in_deviations() -> None:
    weight = torch.tensor([[2.0, -1.0, 0.0]])
    obs = torch.tensor([[0.0, 0.0, 0.0], [2.0, 10.0, 9.0]])
    assert saliency(lambda x: x @ weight.T, obs, torch.tensor([0, 0]))[0].tolist() == [2.0, 5.0, 0.0]


def test_a_policy_of_two_questions_becomes_a_tree_that_agrees_with_it() -> None:
    task = CartPole(ArrayTaskConfig(time_limit=100))
    made = distil(
        task, lambda obs: np.where(obs[:, 3] > 0.3, 1, obs[:, 2] > 0).astype(np.int64), depth=2, steps=300, episodes=2, names=list("abcd")
    )
    assert made.fidelity > 0.97
    assert made.score == pytest.approx(made.policy_score, rel=0.5)
    assert "d <= 0.3" in made.text


def test_explain_writes_figures_and_refuses_what_has_no_network(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin = ["run", "behaviour-cloning", "--budget", "3", "--episodes", "1", "--out", str(run), "--set", "iteration_updates=3"]
    assert CliRunner().invoke(cli, [*begin, "--set", "task.num_steps=600"]).exit_code == 0
    said = CliRunner().invoke(cli, ["explain", str(run), "--method", "saliency", "--method", "map", "--episodes", "1", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["saliency of angle [rad]"] >= 0
    assert {path.name for path in (run / "explained").iterdir()} == {"saliency.png", "map.png"}
    wrong = CliRunner().invoke(cli, ["explain", str(run), "--method", "map", "--axes", "1,9"])
    assert wrong.exit_code == 2
    table = tmp_path / "table"
    assert CliRunner().invoke(cli, ["run", "q-learning", "--budget", "10", "--episodes", "1", "--out", str(table)]).exit_code == 0
    shutil.rmtree(table / "checkpoints")  # the agent's class is enough to refuse it
    refused = CliRunner().invoke(cli, ["explain", str(table)])
    assert refused.exit_code == 2
    assert "no network whose outputs can be followed" in refused.stderr
    assert not (table / "explained").exists()


def test_a_policy_that_takes_allowed_moves_alone_is_explained_on_its_game(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin = ["run", "dqn", "--task", "tic-tac-toe", "--budget", "64", "--episodes", "1", "--out", str(run)]
    assert CliRunner().invoke(cli, begin).exit_code == 0
    said = CliRunner().invoke(cli, ["explain", str(run), "--method", "saliency", "--episodes", "2", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["observations"] > 2
    assert (run / "explained" / "saliency.png").exists()
