"""Learning from recorded transitions: limits of the settings, what must not be looked at, and values that stay below the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import rl_core
from rl_algos.offline.bcq import BCQ, BCQConfig, allowed
from rl_algos.offline.behaviour_cloning import BehaviourCloning, BehaviourCloningConfig, best_episodes
from rl_algos.offline.cql import CQL, CQLConfig
from rl_algos.offline.iql import IQL, IQLConfig, expectile_loss
from rl_algos.offline.learner import Transitions
from rl_algos.offline.scripted import ScriptedConfig, ScriptedData
from rl_algos.offline.td3_bc import TD3BC, TD3BCConfig, policy_loss
from rl_core.cli.cli import cli
from rl_core.plugins.catalogue import Catalogue
from rl_core.recording import record
from rl_core.runs import recipe
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

SMALL = {"num_steps": 400}


def built(kind: type, config: Any, task: ScriptedData, seed: int = 0, hidden: tuple[int, ...] = (16,)) -> Any:
    network = recipe.resolve(
        Catalogue.discover(), agent="iql", task="cartpole-mixed", network_config={"hidden": list(hidden)}
    ).built_network
    return kind(config, task, network, seeds=Seeds(seed), budget=1_000)


def test_every_transition_of_the_data_is_a_step_of_the_environment() -> None:
    arrays = ScriptedData(ScriptedConfig(policy="mixed", **SMALL)).recording.arrays
    over = arrays["terminated"] | arrays["truncated"]
    assert np.array_equal(arrays["obs"][1:][~over[:-1]], arrays["final_obs"][:-1][~over[:-1]])
    assert arrays["reward"].min() == arrays["reward"].max() == 1.0


def test_no_action_is_forbidden_at_threshold_0_and_all_but_the_likeliest_at_1() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert allowed(logits, 0.0).all()
    assert torch.equal(allowed(logits, 1.0), logits == logits.max(dim=1, keepdim=True).values)


def test_the_expectile_goes_from_the_mean_to_the_largest() -> None:
    values = torch.tensor([0.0, 1.0, 5.0])

    def minimum(expectile: float) -> float:
        grid = torch.linspace(-1, 6, 7_001)
        return float(grid[torch.stack([expectile_loss(values - v, expectile) for v in grid]).argmin()])

    assert minimum(0.5) == pytest.approx(2.0, abs=0.01)
    assert minimum(0.999) == pytest.approx(5.0, abs=0.05)


def test_iql_at_inverse_temperature_0_weighs_every_action_alike() -> None:
    agent = built(IQL, IQLConfig(inverse_temperature=0.0), ScriptedData(ScriptedConfig(policy="mixed", **SMALL)))
    assert agent.step()["weight"] == pytest.approx(1.0)


def test_only_the_flag_of_termination_ends_the_future() -> None:
    agent = built(CQL, CQLConfig(), ScriptedData(ScriptedConfig(policy="expert", num_steps=1_000)))
    assert (agent.data.discount == 0.99).all()  # an expert's episodes are cut by the time limit alone


def test_cql_without_conservatism_is_double_dqn() -> None:
    """The gradient of one step is that of the TD error alone: the target comes from the target network at the learning one's choice."""
    agent = built(CQL, CQLConfig(conservatism=0.0, loss="squared", target_rate=1.0), ScriptedData(ScriptedConfig(policy="random", **SMALL)))
    some = Transitions(*(part[:8] for part in agent.data))
    with torch.no_grad():
        best = agent.module["policy"](some.next_obs).argmax(dim=1, keepdim=True)
        target = some.reward + some.discount * agent.target["policy"](some.next_obs).gather(1, best).squeeze(1)
        wanted = 0.5 * ((agent.module["policy"](some.obs).gather(1, some.action[:, None]).squeeze(1) - target) ** 2).mean()
    assert float(agent.update(some)["loss"]) == pytest.approx(float(wanted), rel=1e-5)


def test_td3_bc_without_value_is_behaviour_cloning() -> None:
    value, action, recorded = torch.randn(5), torch.rand(5, 1), torch.rand(5, 1)
    assert float(policy_loss(value, action, recorded, 0.0)) == pytest.approx(float(((action - recorded) ** 2).mean()))


def test_the_policy_of_td3_bc_does_not_move_the_critics() -> None:
    """A step that updates both moves the critics as one that updates them alone."""
    task = ScriptedData(ScriptedConfig(environment="Pendulum-v1", policy="mixed", **SMALL))
    moved = []
    for num_updates in (0, 1):  # the second update of two is the policy's, too
        agent = built(TD3BC, TD3BCConfig(), task)
        agent.num_updates = num_updates
        agent.update(Transitions(*(part[:8] for part in agent.data)))
        moved.append({name: value for name, value in agent.parameters().items() if name.startswith("pair")})
    assert all(np.array_equal(moved[0][name], moved[1][name]) for name in moved[0])


def test_the_best_episodes_are_those_of_the_largest_returns() -> None:
    over = np.array([False, True, True, False, False, True])
    rows = {"reward": np.array([1.0, 1.0, 5.0, 1.0, 1.0, 1.0]), "terminated": over, "truncated": ~over & False}
    assert best_episodes(rows, 0.34).tolist() == [False, False, True, False, False, False]
    assert best_episodes(rows, 0.67).tolist() == [False, False, True, True, True, True]


def test_a_share_of_the_best_episodes_is_what_is_cloned() -> None:
    task = ScriptedData(ScriptedConfig(policy="mixed", num_steps=2_000))
    some = built(BehaviourCloning, BehaviourCloningConfig(best_share=0.1), task)
    assert 0 < len(some.data.reward) < task.num_examples("train") / 2


@pytest.mark.learning
def test_the_values_of_cql_stay_below_the_true_ones_and_those_of_dqn_do_not() -> None:
    task = ScriptedData(ScriptedConfig(policy="expert"))
    control: ControlTask = task.control()
    means = {}
    for name, conservatism in (("cql", 1.0), ("dqn", 0.0)):
        agent = built(CQL, CQLConfig(conservatism=conservatism, batch_size=128), task, seed=1)
        for _ in range(20):
            agent.step()
        arrays = record(control, agent.predict, num_steps=2_000, seeds=Seeds(3), num_lanes=4)
        truth = discounted(arrays, 0.99)
        early = np.arange(len(truth)) % 500 < 50 if name == "cql" else np.ones(len(truth), dtype=bool)  # far from the cut of an episode
        means[name] = float((agent.value(arrays["obs"]).max(axis=1) - truth)[early].mean())
    assert means["cql"] < 0.0 < means["dqn"], means


def discounted(arrays: dict[str, np.ndarray], discount: float) -> np.ndarray:
    """The return from each transition on; an episode that is cut goes on for ever with a reward of 1."""
    returns = np.zeros(len(arrays["reward"]))
    after = 0.0
    for t in reversed(range(len(returns))):
        if arrays["truncated"][t]:
            after = 1.0 / (1.0 - discount)
        elif arrays["terminated"][t]:
            after = 0.0
        after = returns[t] = arrays["reward"][t] + discount * after
    return returns


@pytest.mark.learning
def test_corrections_hold_on_narrow_data_on_which_q_learning_fails() -> None:
    task = ScriptedData(ScriptedConfig(policy="expert"))
    scores = {}
    for name, kind, config in (
        ("dqn", CQL, CQLConfig(conservatism=0.0, batch_size=128)),
        ("cql", CQL, CQLConfig(batch_size=128)),
        ("bcq", BCQ, BCQConfig(batch_size=128)),
        ("iql", IQL, IQLConfig(batch_size=128)),
    ):
        agent = built(kind, config, task, hidden=(128, 128))
        for _ in range(80):
            agent.step()
        scores[name] = agent.evaluate(episodes=20, seeds=Seeds(5))["mean return"]
    assert scores["dqn"] < 100  # else the data is not narrow
    assert min(scores["cql"], scores["bcq"], scores["iql"]) >= 475, scores


def test_no_policy_takes_an_action_that_is_ruled_out() -> None:
    for kind, config in ((BCQ, BCQConfig(threshold=1.0)), (CQL, CQLConfig()), (IQL, IQLConfig())):
        agent = built(kind, config, ScriptedData(ScriptedConfig(policy="mixed", **SMALL)))
        inputs = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        best, predict = agent.predict(inputs), agent.predictor()
        predict.begin(np.ones(20, dtype=bool))
        assert np.array_equal(predict(inputs), best)
        predict.allow(np.eye(2, dtype=bool)[1 - best])  # only the other one
        assert np.array_equal(predict(inputs), 1 - best)


def test_a_policy_from_recorded_transitions_is_evaluated_while_it_learns(tmp_path: Path) -> None:
    options: Any = {"task_config": {"num_steps": 400}, "evaluate_every": 10, "evaluate_episodes": 2, "episodes": 2}
    result = rl_core.learn("iql", task="cartpole-expert", budget=20, config={"iteration_updates": 10}, out=tmp_path / "run", **options)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["progress"] for line in lines if line["evaluation_mean_return"] > 0] == [10, 20]
    assert result.best is not None


def test_collect_names_an_agent_that_can_learn_from_the_file(tmp_path: Path) -> None:
    for task, out, line in (
        ("gym:CartPole-v1", "a b.csv", "run iql --task 'offline:{}' --set task.judge=gym:CartPole-v1\n"),
        ("pendulum-sparse", "c.npz", "run iql --task offline:{}\n"),
        ("FrozenLake-v1", "d.npz", ""),  # whose states are numbers, which no learner from transitions takes
    ):
        path = tmp_path / out
        made = CliRunner().invoke(cli, ["collect", task, "--steps", "50", "--out", str(path)])
        assert made.exit_code == 0, made.output
        assert made.stderr.endswith(line.format(path))
        assert ("learn from it" in made.stderr) is bool(line)
