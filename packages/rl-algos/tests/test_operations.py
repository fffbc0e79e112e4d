"""Tasks of operations, energy and health: the numbers of their sources, and best policies known by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from rl_algos.planning.policy import optimal_policy
from rl_algos.tasks.operations import (
    Epidemic,
    EpidemicConfig,
    Inventory,
    InventoryConfig,
    JobScheduling,
    JobSchedulingConfig,
    SmartGrid,
    SmartGridConfig,
)


def test_the_inventory_is_puterman_s_example():
    """Table 3.2.1, and section 4.6.1: values 67/16, 129/16, 194/16 and 227/16 with three months to go."""
    mdp = Inventory(InventoryConfig()).mdp.with_discount(1.0)
    zero = mdp.action_values(np.zeros(4))
    assert zero[0].tolist() == [0, -1, -2, -5]
    assert zero[1, :3].tolist() == [5, 0, -3]
    assert zero[2, :2].tolist() == [6, -1]
    assert zero[3, 0] == 5
    values = np.zeros(4)
    for _ in range(3):
        values = mdp.action_values(values).max(axis=1)
    assert (values * 16).tolist() == pytest.approx([67, 129, 194, 227])


def test_jobs_are_best_served_by_the_c_mu_rule():
    """c mu is 0.8, 1 and 0.6: the second kind first, then the first, then the third."""
    task = JobScheduling(JobSchedulingConfig(jobs=(2, 2, 2), max_steps=400))
    best = optimal_policy(task.mdp).reshape(3, 3, 3)
    for waiting in np.ndindex(3, 3, 3):
        served = next((kind for kind in (1, 0, 2) if waiting[kind]), None)
        if served is not None:
            assert best[waiting] == served, waiting


def test_the_battery_is_worth_what_a_linear_program_says():
    """Minimise the cost of a day: charge in [0, M], power in [-rate, rate], what is given arrives in part."""
    config = SmartGridConfig()
    hours, prices = len(config.prices), np.array(config.prices)
    cost = np.concatenate([prices, -config.efficiency * prices])  # of energy taken, and given
    sums = np.tril(np.ones((hours, hours)))
    charge = np.hstack([sums, -sums])
    bounds = [(0, config.rate)] * (2 * hours)
    solved = linprog(cost, np.vstack([charge, -charge]), np.concatenate([np.full(hours, config.capacity), np.zeros(hours)]), bounds=bounds)
    best = -config.load * prices.sum() - solved.fun
    assert SmartGrid(config).optimal_return() == pytest.approx(best)
    assert best > -config.load * prices.sum() + 100


def test_an_epidemic_without_measures_is_a_chain_binomial():
    """Two healthy, one infected, p = 1/2: both stay well with 1/4, and the expected number of infections is 5/4."""
    task = Epidemic(EpidemicConfig(people=3, infected=1, contact=0.5, measures=(1.0,), measure_costs=(0.0,)))
    # E = sum over first-period cases: one with 1/2, which infects the other with 1/2; two with 1/4
    assert task.return_of(np.zeros(9 + 7, dtype=np.int64)) == pytest.approx(-(0.5 * 1.5 + 0.25 * 2))


def test_the_best_measures_cost_less_than_none_and_than_always_the_strictest():
    task = Epidemic(EpidemicConfig())
    num_states = task.mdp.num_states
    fixed = [task.return_of(np.full(num_states, action)) for action in range(3)]
    assert task.optimal_return() > max(fixed) + 0.1


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (InventoryConfig, {"demand": (0.5, 0.4)}, "sum to 1"),
        (JobSchedulingConfig, {"jobs": (1, 2)}, "expected one each"),
        (EpidemicConfig, {"measures": (1.0, 2.0, 0.0)}, "in \\[0, 1\\]"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(config, settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)
