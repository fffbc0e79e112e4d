"""Learning within limits: exact optima, the dual of CPO against a general solver, shields that hold, and PPO where costs have no price."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from rl_algos.planning.policy import optimal_policy
from rl_algos.safety import data_centre
from rl_algos.safety.cpo import solve_dual
from rl_algos.safety.data_centre import DataCentre, DataCentreConfig
from rl_algos.safety.lava import GridLava, GridLavaConfig, best_feasible
from rl_algos.safety.pid import Controller, PIDConfig
from rl_algos.safety.tasks import LimitedPendulum, LimitedPendulumConfig, PointHazards, PointHazardsConfig
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds


def test_the_linear_program_meets_the_planner_where_the_limit_does_not_bind_and_the_safe_way_where_it_is_zero():
    task = GridLava(GridLavaConfig())
    free = best_feasible(task.mdp, task.cost, 100.0)
    assert free.return_ == pytest.approx(task.return_of(optimal_policy(task.mdp)))
    bound = task.best_feasible()
    assert bound.cost == pytest.approx(0.5)
    assert task.return_of(bound.policy) == pytest.approx(bound.return_, abs=1e-6)
    assert ((bound.policy > 1e-9).sum(axis=1) > 1)[bound.policy.max(axis=1) > 0.26].sum() <= 1  # one state draws, at most
    safe = best_feasible(task.mdp, task.cost, 0.0)
    assert safe.cost == pytest.approx(0.0)
    assert safe.return_ < bound.return_ < free.return_
    with pytest.raises(ValueError, match="no policy keeps the expected cost"):
        best_feasible(GridLava(GridLavaConfig(layout="SXG")).mdp, np.array([0, 1, 0], np.float32), 0.5)


def test_the_dual_of_cpo_is_that_of_a_general_solver():
    """Against SLSQP on the primal: the largest decrease of g x with c + b x <= 0 and x x / 2 <= delta, with H the identity."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(40):
        g, b, delta = rng.standard_normal(4), rng.standard_normal(4), 0.05
        c = float(rng.uniform(-0.6, 0.6))
        dual = solve_dual(float(g @ g), float(g @ b), float(b @ b), c, delta)
        seen.add(dual.case)
        if dual.case == "recovery":
            assert c > 0
            assert c**2 / (b @ b) > 2 * delta  # no step within the region reaches the limit
            continue
        step = -(g + dual.price * b) / dual.scale
        assert 0.5 * step @ step <= delta * (1 + 1e-6)
        assert c + b @ step <= 1e-6
        limits = [
            {"type": "ineq", "fun": lambda x, b=b, c=c: -(c + b @ x)},
            {"type": "ineq", "fun": lambda x: 0.05 - 0.5 * x @ x},
        ]
        best = min(
            (minimize(lambda x, g=g: g @ x, start, constraints=limits, tol=1e-10) for start in (step, np.zeros(4), -0.1 * b)),
            key=lambda found: found.fun if found.success else np.inf,
        )
        assert g @ step == pytest.approx(best.fun, abs=1e-5)
    assert seen == {"free", "bound", "recovery"}


def test_a_price_of_zero_is_ppo_to_the_bit_and_a_huge_one_is_not():
    same = ["num_envs=4", "rollout_steps=32", "num_epochs=2", "batch_size=64", "learning_rate=0.001", "learning_rate_schedule=constant"]
    same.append("network.hidden=[8]")
    unpriced = ["multiplier_rate=0", "proportional_gain=0"]
    learned = {}
    for name, agent, settings in (
        ("ppo", "ppo", []),
        ("free", "ppo-lagrangian", [*unpriced, "multiplier=0"]),
        ("costly", "ppo-lagrangian", [*unpriced, "multiplier=1e3"]),
    ):
        made = resolve(Catalogue.discover(), agent, task="point-hazards", overrides=[*same, *settings], budget=256)
        learner = made.build_agent(Seeds(0))
        learner.step()
        learner.step()
        learned[name] = learner.actor_critic.actor.state_dict()
    for key, value in learned["ppo"].items():
        assert (value == learned["free"][key]).all(), key
    assert any((value != learned["costly"][key]).any() for key, value in learned["ppo"].items())


@pytest.mark.parametrize(
    ("task", "num_envs", "steps"),
    [
        (GridLava(GridLavaConfig(shield="table")), 20_000, 50),
        (PointHazards(PointHazardsConfig(shield="layer")), 5_000, 50),
        (PointHazards(PointHazardsConfig(shield="look-ahead")), 5_000, 50),
        (LimitedPendulum(LimitedPendulumConfig(shield="look-ahead")), 300, 50),
    ],
    ids=["table", "layer", "look-ahead", "backup policy"],
)
def test_no_forbidden_action_passes_a_shield(task, num_envs, steps):
    envs, rng = task.envs(num_envs, Seeds(0)), np.random.default_rng(0)
    envs.reset()
    cost = 0.0
    for _ in range(steps):
        if hasattr(task.output_space, "n"):
            actions = rng.integers(task.output_space.n, size=num_envs)
        else:
            actions = rng.uniform(task.output_space.low, task.output_space.high, (num_envs, *task.output_space.shape)).astype(np.float32)
        cost += envs.step(actions).extras["cost"].sum()
    assert cost == 0.0
    assert envs.replaced > 0


def test_costs_are_a_part_of_the_evaluation():
    task = GridLava(GridLavaConfig(grip=1.0))
    right = task.evaluate(lambda obs: np.full(len(obs), 1), episodes=4, seeds=Seeds(0))
    assert (right["mean return"], right["mean cost"]) == (14.0, 1.0)


def test_the_heat_of_a_data_centre_in_a_steady_state_is_what_the_coil_takes():
    """Load 0.7 and 20 degrees outside, air of 20 degrees and fans at 0.7: 166.1 kW, of the computers, their fans and the walls."""
    envs = DataCentre(DataCentreConfig()).envs(1, Seeds(0))
    envs.reset()
    state, action = envs.states.copy(), np.array([[(20 - 14) / 6.5 - 1, (0.7 - 0.3) / 0.35 - 1]], np.float32)
    reward, terminated = np.zeros(1, np.float32), np.zeros(1, np.bool_)
    for _ in range(2_000):
        state[:, data_centre.LOAD], state[:, data_centre.OUTSIDE] = 0.7, 20.0
        data_centre.move(state, action, reward, terminated)
    coil = data_centre.AIR * 18.0 * state[0, data_centre.FAN] * (state[0, data_centre.HOT] - state[0, data_centre.SUPPLY])
    walls = 500.0 * (20.0 - state[0, data_centre.MASS])
    assert coil == pytest.approx(80e3 + 120e3 * 0.7 + state[0, data_centre.SERVERS] + walls, rel=1e-3)
    assert coil == pytest.approx(166.1e3, rel=2e-3)


def test_a_hot_inlet_lowers_the_reward_by_its_price_and_changes_nothing_else():
    plain, priced = (
        DataCentre(config).envs(4, Seeds(0)) for config in (DataCentreConfig(), DataCentreConfig(penalty=2.0, penalty_from=22.0))
    )
    plain.reset(), priced.reset()
    warm = np.tile(np.array([1.0, -1.0], np.float32), (4, 1))
    for _ in range(5):
        first, second = plain.step(warm), priced.step(warm)
    worst = plain.states[:, data_centre.WORST]
    assert (worst > 22.0).all()
    assert second.reward == pytest.approx(first.reward - 2.0 * (worst - 22.0), rel=1e-5)
    assert np.array_equal(first.obs, second.obs)


def test_known_controllers_of_the_data_centre_have_their_known_scores_and_the_shield_holds():
    """Measured with another implementation: PUE 1.346 at 14 degrees and full fans; -89.7 a day of the best PID controller."""
    task = DataCentre(DataCentreConfig())
    coldest = task.evaluate(lambda obs: np.tile(np.array([-1.0, 1.0], np.float32), (len(obs), 1)), episodes=16, seeds=Seeds(0))
    assert coldest["power usage effectiveness"] == pytest.approx(1.346, abs=0.003)
    best = task.evaluate(Controller(PIDConfig(supply=24.0, reference=26.3)), episodes=64, seeds=Seeds(0))
    assert best["mean return"] == pytest.approx(-89.7, abs=3 * best["standard deviation"] / 8)
    shielded = DataCentre(DataCentreConfig(shield="look-ahead"))
    rng = np.random.default_rng(0)
    drawn = shielded.evaluate(lambda obs: rng.uniform(-1, 1, (len(obs), 2)).astype(np.float32), episodes=16, seeds=Seeds(0))
    assert drawn["mean cost"] == 0.0
