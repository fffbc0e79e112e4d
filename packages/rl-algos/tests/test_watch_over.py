"""A policy that is watched over: without authority it is the controller, in its own world it is left alone, elsewhere it is held."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from rl_algos.safety import pid
from rl_algos.safety.data_centre import DataCentre, DataCentreConfig
from rl_core.cli.cli import cli
from rl_core.runs.watched_over import Familiar, Limits, familiar_with, watched
from rl_core.seeds import Seeds


def warm(obs: np.ndarray) -> np.ndarray:
    """Return the set points of a policy that saves energy and keeps no limit: air of 25.7 degrees, fans at 58 %."""
    return np.tile(np.array([0.8, -0.2], np.float32), (len(obs), 1))


def play(climate: str, limits: Limits) -> dict[str, float]:
    mild, world = (DataCentre(DataCentreConfig(climate=name)) for name in ("mild", climate))
    trusted = pid.Controller(pid.PIDConfig())
    familiar = familiar_with(mild, (warm, trusted), limits, Seeds(1), 10)
    return watched(world, warm, trusted, familiar, limits, seeds=Seeds(2)).result()


def test_a_policy_without_authority_is_the_controller_and_one_with_all_of_it_is_left_alone_at_home():
    none, whole = play("mild", Limits(authority=0.0)), play("mild", Limits())
    assert whole["fallback_share"] == whole["limited_share"] == 0.0
    assert none["fallback_share"] + none["limited_share"] == 1.0
    unwatched = Familiar(np.zeros((4, 13)), Limits(margin=math.inf))
    one, other = (pid.Controller(pid.PIDConfig()) for _ in range(2))
    alone = watched(DataCentre(DataCentreConfig()), one, other, unwatched, Limits(), seeds=Seeds(2)).result()
    assert none["mean_return"] == pytest.approx(alone["mean_return"])
    assert none["mean_return"] < whole["mean_return"] - 10.0  # the cautious controller needs more energy, and keeps the limit
    assert none["mean_cost"] == 0.0 < whole["mean_cost"]


def test_the_controller_takes_over_in_a_climate_that_the_policy_never_met():
    away, unwatched = play("hot", Limits()), play("hot", Limits(margin=1e9))
    assert away["fallback_share"] > 0.9
    assert away["mean_cost"] < 1.0 < unwatched["mean_cost"]
    assert unwatched["fallback_share"] == 0.0


def test_the_command_writes_log_and_picture_and_refuses_a_controller_that_learned_nothing(tmp_path):
    invoke = CliRunner().invoke
    tiny = ["num_envs=2", "rollout_steps=8", "num_epochs=1", "batch_size=8"]
    sets = [word for setting in tiny for word in ("--set", setting)]
    run = str(tmp_path / "run")
    assert invoke(cli, ["run", "ppo", "--task", "data-centre", "--budget", "16", "--episodes", "1", "--out", run, *sets]).exit_code == 0
    found = invoke(cli, ["watch-over", run, "--fallback", "pid", "--authority", "0.2", "--json"])
    assert found.exit_code == 0, found.output
    result = json.loads(found.stdout)
    with (tmp_path / "run" / "watched-over" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["steps"] == 20 * 288
    assert {row["acted"] for row in rows} <= {"policy", "policy, limited", "fallback"}
    assert (tmp_path / "run" / "watched-over" / "watched-over.png").stat().st_size > 10_000
    refused = invoke(cli, ["watch-over", run, "--fallback", "sac"])
    assert refused.exit_code == 2
    assert "has learned nothing" in refused.output
