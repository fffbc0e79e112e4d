"""Planners against each other, against linear programming, and against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from rl_algos.planning.planner import certificate
from rl_algos.planning.policy_evaluation import PolicyEvaluation, PolicyEvaluationConfig
from rl_algos.planning.policy_iteration import PolicyIteration, PolicyIterationConfig
from rl_algos.planning.value_iteration import ValueIteration, ValueIterationConfig
from rl_algos.tasks.blackjack import Blackjack, BlackjackConfig
from rl_algos.tasks.classic import (
    GamblersProblem,
    GamblersProblemConfig,
    Garnet,
    GarnetConfig,
    RandomWalk,
    RandomWalkConfig,
    StudentConfig,
    StudentProcess,
)
from rl_algos.tasks.grids import GridRobot, GridRobotConfig, Maze, MazeConfig, WindyGridworld, WindyGridworldConfig
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_core.seeds import Seeds

PLANNERS = {
    "synchronous": (ValueIteration, {"order": "synchronous"}),
    "in-place": (ValueIteration, {"order": "in-place"}),
    "gauss-seidel": (ValueIteration, {"order": "gauss-seidel"}),
    "prioritised": (ValueIteration, {"order": "prioritised"}),
    "policy iteration": (PolicyIteration, {"evaluation": "direct"}),
    "iterative policy iteration": (PolicyIteration, {"evaluation": "iterative"}),
    "modified policy iteration": (PolicyIteration, {"evaluation": "partial"}),
}

TASKS = {
    "FrozenLake-v1": lambda: ToyText(ToyTextConfig()),
    "FrozenLake-v1-firm": lambda: ToyText(ToyTextConfig(options={"is_slippery": False})),
    "FrozenLake8x8-v1": lambda: ToyText(ToyTextConfig(id="FrozenLake8x8-v1")),
    "FrozenLake8x8-v1-firm": lambda: ToyText(ToyTextConfig(id="FrozenLake8x8-v1", options={"is_slippery": False})),
    "Taxi-v4": lambda: ToyText(ToyTextConfig(id="Taxi-v4")),
    "CliffWalking-v1": lambda: ToyText(ToyTextConfig(id="CliffWalking-v1")),
    "CliffWalking-v1 undiscounted": lambda: ToyText(ToyTextConfig(id="CliffWalking-v1", discount=1.0)),
    "CliffWalkingSlippery-v1": lambda: ToyText(ToyTextConfig(id="CliffWalkingSlippery-v1")),
    "blackjack": lambda: Blackjack(BlackjackConfig()),
    "gamblers-problem": lambda: GamblersProblem(GamblersProblemConfig()),
    "garnet": lambda: Garnet(GarnetConfig()),
    "garnet that ends": lambda: Garnet(GarnetConfig(ending=0.1)),
    "grid-robot": lambda: GridRobot(GridRobotConfig()),
    "grid-robot generated": lambda: GridRobot(GridRobotConfig(layout="")),
    "maze": lambda: Maze(MazeConfig()),
    "maze generated": lambda: Maze(MazeConfig(layout="")),
    "random-walk": lambda: RandomWalk(RandomWalkConfig()),
    "student-mrp": lambda: StudentProcess(StudentConfig()),
    "windy-gridworld": lambda: WindyGridworld(WindyGridworldConfig()),
    "windy-gridworld gusty": lambda: WindyGridworld(WindyGridworldConfig(king_moves=True, gusty=True)),
}


def solve(planner, task, budget=100_000, **settings):
    agent_class, fixed = PLANNERS.get(planner, (planner, {}))
    agent = agent_class(agent_class.Config(**{**fixed, **settings}), task, None, seeds=Seeds(0), budget=budget)
    while not agent.finished and agent.progress < budget:
        agent.step()
    assert agent.finished
    return agent


def exact_values(mdp):
    """v* of a discounted process by linear programming: the least v with v >= r_a + gamma P_a v."""
    pairs = np.repeat(np.arange(mdp.num_states), mdp.num_actions)
    above = mdp.discount * mdp.continuation.toarray() - np.eye(mdp.num_states)[pairs]
    return linprog(np.ones(mdp.num_states), A_ub=above, b_ub=-mdp.expected_reward.ravel(), bounds=(None, None), method="highs").x


@pytest.mark.parametrize("name", TASKS)
def test_all_planners_agree_on_every_shipped_process(name):
    task = TASKS[name]()
    answers = {planner: solve(planner, task, tolerance=4e-10).values for planner in PLANNERS}
    for planner, values in answers.items():
        assert np.abs(values - answers["policy iteration"]).max() < 1e-9, planner


def test_all_planners_agree_on_a_hundred_random_processes():
    rng = np.random.default_rng(0)
    for process_seed in range(100):
        size = int(rng.integers(2, 30))
        config = GarnetConfig(
            num_states=size,
            num_actions=int(rng.integers(1, 5)),
            branches=int(rng.integers(1, size + 1)),
            discount=float(rng.choice([0.0, 0.5, 0.9, 0.99])),
            ending=float(rng.choice([0.0, 0.2])),
            process_seed=process_seed,
        )
        task = Garnet(config)
        exact = solve("policy iteration", task).values
        for planner in PLANNERS:
            assert np.abs(solve(planner, task, tolerance=4e-10).values - exact).max() < 1e-9, (process_seed, planner)


@pytest.mark.parametrize("process_seed", range(10))
def test_values_are_those_of_linear_programming(process_seed):
    task = Garnet(GarnetConfig(num_states=25, branches=4, process_seed=process_seed, ending=0.1 * (process_seed % 2)))
    np.testing.assert_allclose(solve("policy iteration", task).values, exact_values(task.mdp), atol=1e-7)


def test_values_are_those_of_quantecon():
    from quantecon import markov

    for process_seed in range(20):
        mdp = Garnet(GarnetConfig(num_states=40, process_seed=process_seed)).mdp
        theirs = markov.DiscreteDP(
            mdp.expected_reward, mdp.continuation.toarray().reshape(mdp.num_states, mdp.num_actions, -1), mdp.discount
        ).solve(method="policy_iteration")
        for planner in PLANNERS:
            ours = solve(planner, Garnet(GarnetConfig(num_states=40, process_seed=process_seed)))
            np.testing.assert_allclose(ours.values, theirs.v, atol=1e-8)


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("name", ["garnet", "garnet that ends", "grid-robot", "CliffWalkingSlippery-v1", "gamblers-problem"])
def test_the_bound_that_is_reported_holds(planner, name):
    task = TASKS[name]()
    exact = solve("policy iteration", task).values
    for tolerance in (1e-2, 1e-5):
        agent = solve(planner, task, tolerance=tolerance)
        assert agent.error_bound <= tolerance
        assert np.abs(agent.values - exact).max() <= agent.error_bound + 1e-11


def test_the_bound_holds_at_every_sweep_and_not_only_at_the_last():
    task = Garnet(GarnetConfig(ending=0.05))
    exact = solve("policy iteration", task).values
    for order in ("synchronous", "in-place", "gauss-seidel", "prioritised"):
        agent = ValueIteration(ValueIterationConfig(order=order), task, None, seeds=Seeds(0), budget=1_000)
        for _ in range(30):
            agent.step()
            assert np.abs(agent.values - exact).max() <= agent.error_bound + 1e-11, order


def test_a_policy_that_is_not_the_best_gets_no_certificate():
    mdp = Garnet(GarnetConfig()).mdp
    best = solve("policy iteration", Garnet(GarnetConfig())).policy
    assert certificate(mdp, best)[1] < 1e-9
    worse = best.copy()
    worse[0] = (worse[0] + 1) % 4
    values, bound = certificate(mdp, worse)
    assert bound >= np.abs(values - mdp.under(best).values()).max() > 1e-3


def test_without_discount_and_with_a_best_policy_that_may_never_end_there_is_no_bound():
    task = ToyText(ToyTextConfig(discount=1.0, options={"is_slippery": False}))
    agent = solve("synchronous", task)
    assert np.isinf(agent.error_bound)
    assert agent.values[0] == 1.0


def test_equally_good_actions_do_not_take_turns_for_ever():
    task = Garnet(GarnetConfig(num_states=3, num_actions=4, branches=3))
    for name in ("reward", "probability", "next_state"):
        rows = getattr(task.mdp, name).reshape(3, 4, 3)
        rows[:, 1:] = rows[:, :1]
    task.mdp.__dict__.pop("expected_reward", None)
    assert solve("policy iteration", task, budget=10).progress == 1


def test_the_first_backup_of_a_two_state_process_is_the_one_worked_by_hand():
    task = StudentProcess(StudentConfig(discount=0.5))
    agent = ValueIteration(ValueIterationConfig(), task, None, seeds=Seeds(0), budget=10)
    agent.step()
    assert agent.values.tolist() == [-2.0, -2.0, -2.0, 10.0, 1.0, -1.0, 0.0]
    agent.step()
    # class 3: -2 + 0.5 (0.6 * 10 + 0.4 * 1)
    assert agent.values[2] == pytest.approx(1.2)


def test_a_finite_horizon_is_backward_induction():
    task = ToyText(ToyTextConfig())
    agent = solve(ValueIteration, task, horizon=100, discount=1.0)
    assert agent.progress == 100
    assert agent.values[0] == pytest.approx(task.optimal_return(), abs=1e-12)
    assert agent.evaluate(episodes=400, seeds=Seeds(1))["mean return"] == pytest.approx(0.744, abs=0.11)  # five standard errors


def test_one_decision_left_is_greedy_for_the_reward():
    task = Garnet(GarnetConfig())
    agent = solve(ValueIteration, task, horizon=1)
    np.testing.assert_allclose(agent.values, task.mdp.expected_reward.max(axis=1))
    assert (agent.plan[0] == task.mdp.expected_reward.argmax(axis=1)).all()


def test_action_values_follow_from_values():
    task = Garnet(GarnetConfig())
    agent = solve("policy iteration", task)
    np.testing.assert_allclose(agent.action_values().max(axis=1), agent.values, atol=1e-10)


@pytest.mark.parametrize("method", ["iterative", "direct"])
@pytest.mark.parametrize("name", ["random-walk", "student-mrp", "blackjack", "windy-gridworld", "garnet"])
def test_policy_evaluation_finds_the_values_of_the_policy(method, name):
    task = TASKS[name]()
    # a random walk in the wind takes 6,146 steps, and each sweep leaves 1 - 1/6146 of the error
    agent = solve(PolicyEvaluation, task, method=method, budget=400_000)
    np.testing.assert_allclose(agent.values, task.mdp.under(task.policy).values(), atol=1e-8)
    assert agent.error_bound < 1e-6


def test_the_optimal_policy_evaluated_is_worth_the_optimal_values():
    task = TASKS["FrozenLake-v1"]()
    np.testing.assert_allclose(solve(PolicyEvaluation, task, policy="optimal").values, solve("policy iteration", task).values, atol=1e-8)


def test_a_horizon_of_policy_evaluation_counts_steps():
    task = RandomWalk(RandomWalkConfig())
    assert solve(PolicyEvaluation, task, horizon=1).values.tolist() == [0.0, 0.0, 0.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("agent_class", "settings", "message"),
    [
        (ValueIterationConfig, {"tolerance": 0.0}, "tolerance is 0.0; it must be > 0"),
        (ValueIterationConfig, {"discount": 1.1}, r"discount is 1.1; it must be in \[0, 1\]"),
        (ValueIterationConfig, {"horizon": 3, "order": "in-place"}, "a finite horizon is swept synchronously"),
        (PolicyIterationConfig, {"evaluation_sweeps": 0}, "evaluation_sweeps is 0; it must be >= 1"),
        (PolicyEvaluationConfig, {"horizon": -1}, "horizon is -1; it must be >= 0"),
    ],
)
def test_settings_out_of_range_are_refused(agent_class, settings, message):
    with pytest.raises(ValueError, match=message):
        agent_class(**settings)


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_planner_goes_on_where_it_was(planner):
    task = TASKS["FrozenLake8x8-v1"]()
    agent_class, settings = PLANNERS[planner]
    whole, first, second = (agent_class(agent_class.Config(**settings), task, None, seeds=Seeds(0), budget=100) for _ in range(3))
    for _ in range(2):
        whole.step(), first.step()
    second.load_state_dict(first.state_dict())
    second.progress, second.finished = first.progress, first.finished
    for _ in range(3):
        whole.step(), second.step()
    assert (whole.values == second.values).all()
    assert (whole.policy == second.policy).all()
    assert whole.error_bound == second.error_bound


def test_optimal_returns_within_the_time_limit_are_those_known():
    assert TASKS["FrozenLake-v1"]().optimal_return() == pytest.approx(0.744, abs=0.001)
    assert TASKS["Taxi-v4"]().optimal_return() == pytest.approx(7.93, abs=0.001)
    assert TASKS["CliffWalking-v1"]().optimal_return() == -13.0


def test_sticking_on_twenty_is_worth_what_the_book_draws():
    task = TASKS["blackjack"]()
    values = task.mdp.under(task.policy).values().reshape(32, 11, 2)
    assert values[21, 1:, 0].min() > 0.6  # 21 nearly always wins
    assert -0.9 < values[12:19, 1:, 0].min() < -0.6  # hitting on hard 18 or so loses
    best = solve("policy iteration", task)
    assert best.mdp.start @ best.values == pytest.approx(-0.0431, abs=0.0005)


@pytest.mark.parametrize("agent", [ValueIteration, PolicyIteration, PolicyEvaluation])
def test_planning_that_stops_before_its_proof_says_so(agent):
    planner = agent(agent.Config(), Garnet(GarnetConfig()), None, seeds=Seeds(0), budget=1)
    planner.step()
    assert not planner.finished
    planner.evaluate(episodes=1, seeds=Seeds(0))
    planner.evaluate(episodes=1, seeds=Seeds(0))
    assert len(planner.warnings) == 1
    assert "stopped after 1 sweeps" in planner.warnings[0]
    while not planner.finished:
        planner.step()
    planner.warnings.clear()
    planner.evaluate(episodes=1, seeds=Seeds(0))
    assert planner.warnings == []


@pytest.mark.parametrize(
    ("name", "value"), [("policy", np.full(100, 4)), ("policy", np.zeros(99, dtype=np.int64)), ("values", np.zeros(3))]
)
def test_an_altered_plan_is_refused(name, value):
    planner = ValueIteration(ValueIterationConfig(), Garnet(GarnetConfig()), None, seeds=Seeds(0), budget=1)
    with pytest.raises(ValueError, match="saved"):
        planner.load_state_dict(planner.state_dict() | {name: value})
