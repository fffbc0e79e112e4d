"""What all learners of tables are held to: the compiled loop is the plain one, a time limit moves nothing, and they find what is true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.planning.policy import optimal_policy
from rl_algos.tabular.dyna import Dyna
from rl_algos.tabular.mc_off_policy import MCOffPolicy
from rl_algos.tabular.monte_carlo import MonteCarlo
from rl_algos.tabular.n_step import NStepSarsa
from rl_algos.tabular.prediction.mc_prediction import MCPrediction
from rl_algos.tabular.prediction.td_prediction import TDPrediction
from rl_algos.tabular.td_control import TDControl
from rl_algos.tabular.traces import SarsaLambda
from rl_algos.tasks.blackjack import BlackjackByGymnasium, BlackjackConfig
from rl_algos.tasks.classic import Garnet, GarnetConfig
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

VARIANTS = {
    "sarsa": (TDControl, {"target": "sarsa"}),
    "expected-sarsa": (TDControl, {"target": "expected-sarsa", "exploration": "boltzmann"}),
    "q-learning": (TDControl, {"count_bonus": 0.1, "learning_rate_power": 0.5}),
    "q-learning with ucb": (TDControl, {"exploration": "ucb", "exploration_rate": 1.0, "initial_value": 1.0}),
    "double-q-learning": (TDControl, {"target": "double-q-learning", "exploration_schedule": "visits"}),
    "n-step-sarsa": (NStepSarsa, {"num_lookahead": 3}),
    "sarsa-lambda": (SarsaLambda, {"exploration_schedule": "linear"}),
    "sarsa-lambda accumulating": (SarsaLambda, {"trace": "accumulating", "learning_rate_power": 0.7}),
    "td0": (TDPrediction, {}),
    "td-lambda": (TDPrediction, {"trace_decay": 0.8}),
    "mc-prediction": (MCPrediction, {"max_episode_steps": 6}),
    "mc-prediction every visit": (MCPrediction, {"visit": "every", "learning_rate": 0.1}),
    "mc-off-policy-prediction": (MCPrediction, {"behaviour": "uniform", "policy": "optimal", "importance": "ordinary"}),
    "mc-control": (MonteCarlo, {"max_episode_steps": 6}),
    "mc-exploring-starts": (MonteCarlo, {"method": "exploring-starts"}),
    "mc-q-learning": (MonteCarlo, {"method": "q-learning", "learning_rate": 0.1}),
    "mc-off-policy": (MCOffPolicy, {"exploration_rate": 0.5}),
    "mc-off-policy ordinary": (MCOffPolicy, {"importance": "ordinary", "exploration": "random"}),
    "dyna-q": (Dyna, {"planning_steps": 3}),
    "dyna-q-plus": (Dyna, {"planning_steps": 3, "time_bonus": 1e-3, "outcomes": 2}),
}


def small(**changes):
    return Garnet(
        GarnetConfig(**{"num_states": 6, "num_actions": 3, "branches": 2, "ending": 0.1, "discount": 0.9, "max_steps": 9, **changes})
    )


def make(name, task, seed=0, budget=2_000, **changes):
    agent_class, settings = VARIANTS[name]
    return agent_class(agent_class.Config(**{**settings, **changes}), task, None, seeds=Seeds(seed), budget=budget)


def learn(agent):
    log = []
    while agent.progress < agent.budget:
        log.append(agent.step())
    return log


def same(left, right):
    assert left["tables"].keys() == right["tables"].keys()
    for name in left["tables"]:
        np.testing.assert_array_equal(left["tables"][name], right["tables"][name], err_msg=name)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_compiled_loop_gives_the_numbers_of_the_plain_one_to_the_last_bit(name):
    compiled, plain = make(name, small(), steps_per_iteration=700), make(name, small(), steps_per_iteration=700, compiled=False)
    assert compiled.on_table
    assert not plain.on_table
    assert learn(compiled) == learn(plain)
    same(compiled.state_dict(), plain.state_dict())
    assert compiled.seeds.state_dict() == plain.seeds.state_dict()
    assert compiled.progress == plain.progress


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_learner_goes_on_where_it_was(name, compiled):
    settings = {"steps_per_iteration": 130, "compiled": compiled}
    whole, first, second = (make(name, small(), **settings) for _ in range(3))
    for _ in range(3):
        whole.step(), first.step()
    second.load_state_dict(first.state_dict())
    second.seeds.load_state_dict(first.seeds.state_dict())
    second.progress = first.progress
    for _ in range(3):
        assert whole.step() == second.step()
    same(whole.state_dict(), second.state_dict())


@pytest.mark.parametrize("name", ["sarsa", "q-learning", "double-q-learning", "n-step-sarsa", "sarsa-lambda", "dyna-q", "td-lambda"])
def test_the_size_of_an_iteration_changes_nothing(name):
    fine, coarse = make(name, small(), steps_per_iteration=100), make(name, small(), steps_per_iteration=2_000)
    learn(fine), learn(coarse)
    same(fine.state_dict(), coarse.state_dict())


# Errors of three seeds were 0.04 to 0.06 (q-learning), 0.09 (exploring starts), 0.2 (dyna-q, constant step size), at most 0.06 (the rest):
# sums of very many small steps, near normal, so that the tolerances stand more than six deviations from them. Importance weights of
# 2^steps have a finite variance only where an episode ends with more than half a chance, so those learn short episodes.
@pytest.mark.parametrize(
    ("name", "settings", "changes", "tolerance"),
    [
        ("q-learning", {"count_bonus": 0.0, "learning_rate": 1.0, "learning_rate_power": 0.8, "exploration": "random"}, {}, 0.2),
        ("double-q-learning", {"learning_rate": 1.0, "learning_rate_power": 0.8, "exploration": "random"}, {}, 0.2),
        ("mc-exploring-starts", {}, {}, 0.3),
        ("dyna-q", {"planning_steps": 5, "learning_rate": 0.003, "exploration": "random"}, {}, 0.4),
        ("mc-q-learning", {"learning_rate": 0.003, "exploration_rate": 0.3}, {"ending": 0.6, "num_actions": 2}, 0.2),
        ("mc-off-policy", {"exploration": "random"}, {"ending": 0.6, "num_actions": 2}, 0.2),
        ("mc-off-policy ordinary", {}, {"ending": 0.6, "num_actions": 2}, 0.3),
    ],
)
def test_learners_of_the_best_policy_find_its_action_values(name, settings, changes, tolerance):
    task = small(max_steps=0, **changes)
    mdp = task.mdp
    best = mdp.action_values(mdp.under(optimal_policy(mdp)).values())
    agent = make(name, task, budget=1_000_000, **settings)
    learn(agent)
    assert np.abs(agent.action_values() - best).max() < tolerance
    taken = np.take_along_axis(best, agent.predict(np.arange(6))[:, None], axis=1)[:, 0]
    assert (best.max(axis=1) - taken).max() < tolerance


@pytest.mark.parametrize("name", ["sarsa", "expected-sarsa", "n-step-sarsa", "sarsa-lambda", "mc-control"])
def test_learners_of_their_own_policy_find_the_action_values_of_acting_at_random(name):
    task = small(max_steps=0)
    mdp = task.mdp
    truth = mdp.action_values(mdp.under(task.policy).values())
    settings = {"exploration": "random", "exploration_schedule": "constant", "discount": None}
    if name == "mc-control":
        settings["max_episode_steps"] = 10_000
    else:
        settings |= {"learning_rate": 1.0 if "lambda" not in name else 0.5, "learning_rate_power": 0.8}
    agent = make(name, task, budget=500_000, **settings)
    learn(agent)
    assert np.abs(agent.action_values() - truth).max() < 0.1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("td0", {"learning_rate": 1.0, "learning_rate_power": 0.8}),
        ("td-lambda", {"learning_rate": 0.5, "learning_rate_power": 0.8}),
        ("mc-prediction", {"max_episode_steps": 10_000}),
        ("mc-prediction every visit", {"learning_rate": 0.0}),
    ],
)
def test_predictors_find_the_values_of_the_policy(name, settings):
    task = small(max_steps=0)
    agent = make(name, task, budget=500_000, **settings)
    log = learn(agent)
    assert np.abs(agent.values - task.mdp.under(task.policy).values()).max() < 0.1
    assert log[-1]["rms_error"] < 0.1


@pytest.mark.parametrize("name", ["q-learning", "mc-q-learning", "td0", "mc-prediction"])
def test_a_time_limit_leaves_the_fixed_point_where_it_was(name):
    """With episodes of at most three steps, values are still those of the endless problem."""
    task = small(max_steps=3)
    mdp = task.mdp
    settings = {
        "q-learning": {"count_bonus": 0.0, "learning_rate": 1.0, "learning_rate_power": 0.8, "exploration": "random"},
        "mc-q-learning": {"learning_rate": 0.005, "exploration_rate": 0.5},
        "td0": {"learning_rate": 1.0, "learning_rate_power": 0.8},
        "mc-prediction": {"learning_rate": 0.005, "max_episode_steps": 1_000},
    }[name]
    agent = make(name, task, budget=500_000, **settings)
    learn(agent)
    if name in ("td0", "mc-prediction"):
        values, truth = agent.values, mdp.under(task.policy).values()
    else:
        values, truth = agent.action_values().max(axis=1), mdp.under(optimal_policy(mdp)).values()
    # counting the cut as an end would give about 1.5 in place of about 4
    assert np.abs(values - truth).max() < 0.35


def test_ordinary_importance_sampling_is_unbiased_and_the_weighted_one_is_not_but_varies_less():
    """One episode each: the ordinary estimate is rho G, whose mean is the value; the weighted one is G of those that rho lets through."""
    task = small(max_steps=0, ending=0.6, discount=1.0, num_actions=2)
    truth = task.mdp.under(optimal_policy(task.mdp)).values()
    errors = {"ordinary": [], "weighted": []}
    for importance, found in errors.items():
        agent = make("mc-off-policy-prediction", task, budget=10**6, importance=importance, steps_per_iteration=1)
        for _ in range(20_000):
            agent.values[:], agent.weights[:] = 0.0, 0.0
            first = int(agent.obs[0])
            agent.progress += agent.learn(1)
            found.append(agent.values[first] - truth[first])
    ordinary, weighted = np.array(errors["ordinary"]), np.array(errors["weighted"])
    assert abs(ordinary.mean()) < 6.0 * ordinary.std() / np.sqrt(len(ordinary))  # six standard errors
    assert abs(weighted.mean()) > 6.0 * weighted.std() / np.sqrt(len(weighted))
    assert weighted.std() < ordinary.std()


@pytest.mark.parametrize("importance", ["ordinary", "weighted"])
def test_importance_sampling_is_consistent(importance):
    task = small(max_steps=0, ending=0.6, discount=1.0, num_actions=2)
    agent = make("mc-off-policy-prediction", task, budget=2_000_000, importance=importance)
    learn(agent)
    assert np.abs(agent.values - task.mdp.under(optimal_policy(task.mdp)).values()).max() < 0.1


def test_learners_play_what_shows_no_table():
    task = GymTask(GymConfig("FrozenLake-v1", options={"is_slippery": False}))
    agent = make("q-learning", task, budget=20_000, count_bonus=0.0, exploration_rate=0.5, discount=0.95)
    assert not agent.on_table
    learn(agent)
    assert agent.evaluate(episodes=5, seeds=Seeds(1))["mean return"] == 1.0


def test_learners_play_blackjack_through_gymnasium():
    agent = make("mc-control", BlackjackByGymnasium(BlackjackConfig()), budget=20_000, max_episode_steps=100)
    learn(agent)
    # random play loses about 0.39 a game; six standard errors of 400 games are 0.29
    assert agent.evaluate(episodes=400, seeds=Seeds(1))["mean return"] > -0.36


def test_exploring_starts_ask_for_a_task_that_can_be_put_into_a_state():
    with pytest.raises(ValueError, match="exploring starts need a task that can be put into any state"):
        make("mc-exploring-starts", BlackjackByGymnasium(BlackjackConfig()))


@pytest.mark.parametrize("name", VARIANTS)
def test_observations_that_are_no_numbers_of_states_are_refused_with_a_way_out(name):
    with pytest.raises(ValueError, match=r"needs discrete observations.*binned:<id>"):
        make(name, GymTask(GymConfig("CartPole-v1")))


def test_continuous_actions_are_refused_with_a_way_out():
    task = GymTask(GymConfig("Pendulum-v1"))
    task.input_space = spaces.Discrete(3)
    with pytest.raises(ValueError, match=r"needs discrete actions.*such as ppo"):
        make("q-learning", task)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("q-learning", {"learning_rate": 0.0}, r"learning_rate is 0.0; it must be in \(0, 1\]"),
        ("q-learning", {"learning_rate_power": 2.0}, r"learning_rate_power is 2.0; it must be in \[0, 1\]"),
        ("sarsa-lambda", {"trace_decay": 1.5}, r"trace_decay is 1.5; it must be in \[0, 1\]"),
        ("n-step-sarsa", {"num_lookahead": 0}, r"num_lookahead is 0; it must be in \[1, 10000\]"),
        ("mc-off-policy", {"exploration": "greedy"}, "the behaviour must try every action"),
        ("mc-off-policy-prediction", {"learning_rate": 0.1}, "off-policy returns are averaged, so it must be 0"),
        ("dyna-q", {"planning_steps": -1}, r"planning_steps is -1; it must be in \[0, 1e\+06\]"),
        ("mc-control", {"max_episode_steps": 0}, r"max_episode_steps is 0; it must be in \[1, 1e\+07\]"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        make(name, small(), **settings)


def test_the_optimal_policy_of_a_hidden_model_cannot_be_asked_for():
    with pytest.raises(ValueError, match="policy is 'optimal', but the task shows no model"):
        make("td0", BlackjackByGymnasium(BlackjackConfig()), policy="optimal")


ALTERED = {
    "q-learning": ("pending", 3),
    "n-step-sarsa": ("count", 3),
    "n-step-sarsa pairs": ("pairs", 6),
    "sarsa-lambda": ("active", 10**12),
    "td-lambda": ("count", 3),
    "dyna-q": ("model_next_state", -1),
    "dyna-q known": ("model_known", 18),
    "dyna-q count": ("model_count", 17),
    "dyna-q frequency": ("model_frequency", -(10**12)),
}


@pytest.mark.parametrize("case", ALTERED)
def test_a_saved_index_that_points_outside_of_its_table_is_refused(case):
    name, (table, number) = (
        case.removesuffix(" pairs").removesuffix(" known").removesuffix(" count").removesuffix(" frequency"),
        ALTERED[case],
    )
    agent = make(name, small())
    learn(agent)
    state = agent.state_dict()
    state["tables"] = {key: array.copy() for key, array in state["tables"].items()}
    state["tables"][table].flat[0] = number
    with pytest.raises(ValueError, match=r"it must be below|its least is|contradict|does not list"):
        make(name, small()).load_state_dict(state)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_saved_table_of_another_shape_or_type_is_refused(name):
    for change in (lambda array: array[..., :-1], lambda array: array.astype(np.float32)):
        for table in make(name, small()).state_dict()["tables"]:
            state = make(name, small()).state_dict()
            state["tables"] = {**state["tables"], table: change(state["tables"][table])}
            with pytest.raises(ValueError, match=r"saved as"):
                make(name, small()).load_state_dict(state)


@pytest.mark.parametrize("number", [10**12, -1, 6])
def test_an_environment_that_is_saved_outside_of_its_states_is_refused(number):
    state = make("q-learning", small()).state_dict()
    state["envs"]["state"] = np.array([number])
    with pytest.raises(ValueError, match=r"state is saved with"):
        make("q-learning", small()).load_state_dict(state)


def test_a_table_that_does_not_fit_into_memory_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match=r"tables of 6 states and 3 actions take .* of memory are available: take a smaller task"):
        make("dyna-q", small(), outcomes=10**12)


PLAIN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_tabular_learners import make, small
tables = {}
for name in sys.argv[2:]:
    agent = make(name, small())
    agent.learn(500)
    tables[name] = agent.memory.q.tolist()
print(json.dumps(tables))
"""


def test_without_compilation_the_tables_are_the_same():
    names = ("double-q-learning", "sarsa-lambda", "dyna-q", "mc-off-policy")
    command = [sys.executable, "-c", PLAIN, str(Path(__file__).parent), *names]
    plain = subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True, timeout=100)
    for name, table in json.loads(plain.stdout).items():
        agent = make(name, small())
        agent.learn(500)
        assert agent.memory.q.tolist() == table, name


def test_a_step_is_bounded_however_many_steps_are_asked_for():
    agent = make("dyna-q", small(), budget=10**12, steps_per_iteration=10**12, planning_steps=100_000)
    agent.step()
    assert agent.progress == 20_000_000 // 100_001
    plain = make("q-learning", small(), budget=10**12, steps_per_iteration=10**12, compiled=False)
    plain.learn = lambda num_steps: num_steps
    plain.step()
    assert plain.progress == 100_000


def test_what_was_learned_is_drawn(tmp_path):
    agent = make("q-learning", ToyText(ToyTextConfig()))
    learn(agent)
    agent.draw(tmp_path)
    assert (tmp_path / "values.png").stat().st_size > 1_000
