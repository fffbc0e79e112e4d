"""Small decisions of operations, energy and public health, each a process whose best policy the planners compute exactly.

*Source*: Puterman, Markov Decision Processes (1994), section 3.2 (inventory); Buyukkoc, Varaiya and Walrand, The c-mu Rule Revisited
(1985) (job scheduling); Abbey, An Examination of the Reed-Frost Theory of Epidemics (1952) (epidemic); the battery is stated here.

*Departures*: Puterman's horizon is a setting.

*Letters*: M capacity, K kinds of jobs, N people.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, configclass

Outcome = tuple[float, int, float, bool]


@configclass
class InventoryConfig:
    """A warehouse that is filled once a month; the defaults are Puterman's example."""

    capacity: Annotated[int, Meta(ge=1, le=200), Doc("M, units that can be held")] = 3
    demand: Annotated[tuple[float, ...], Doc("probabilities of a demand of 0, 1, 2, ... units; they sum to 1")] = (0.25, 0.5, 0.25)
    order_cost: Annotated[NonNegative, Doc("of any order, unit of money")] = 4.0
    unit_cost: Annotated[NonNegative, Doc("of each unit ordered")] = 2.0
    holding_cost: Annotated[NonNegative, Doc("of each unit in stock after the order")] = 1.0
    price: Annotated[NonNegative, Doc("of each unit sold; demand beyond the stock is lost")] = 8.0
    discount: Annotated[Fraction, Doc("gamma")] = 0.95
    max_steps: Annotated[Count, Doc("months of an episode")] = 24

    def __post_init__(self) -> None:
        if min(self.demand, default=-1.0) < 0 or not math.isclose(sum(self.demand), 1.0, abs_tol=1e-9):
            raise ValueError(f"demand is {list(self.demand)}; expected probabilities that sum to 1")


class Inventory(MDPTask):
    """Order goods before the demand is known. The state is the stock; action a orders a units, or as many as there is room for."""

    Config: ClassVar[type] = InventoryConfig

    def __init__(self, config: InventoryConfig) -> None:
        capacity = config.capacity
        table: dict[int, dict[int, list[Outcome]]] = {}
        for stock, action in itertools.product(range(capacity + 1), repeat=2):
            ordered = min(action, capacity - stock)
            filled = stock + ordered
            cost = (config.order_cost if ordered else 0.0) + config.unit_cost * ordered + config.holding_cost * filled
            table.setdefault(stock, {})[action] = [
                (chance, filled - min(wanted, filled), config.price * min(wanted, filled) - cost, False)
                for wanted, chance in enumerate(config.demand)
                if chance
            ]
        mdp = MDP.from_table(table, discount=config.discount, start=np.eye(capacity + 1)[0])
        super().__init__(config, mdp, max_steps=config.max_steps)


@configclass
class JobSchedulingConfig:
    """A machine that serves one job at a time."""

    jobs: Annotated[tuple[Count, ...], Doc("jobs of each kind that wait at first; K of them")] = (4, 4, 4)
    costs: Annotated[tuple[NonNegative, ...], Doc("c, cost of each waiting job of a kind, each slot of time")] = (1.0, 2.0, 3.0)
    rates: Annotated[tuple[Annotated[float, Meta(gt=0, le=1)], ...], Doc("mu, probability that a served job is done within a slot")] = (
        0.8,
        0.5,
        0.2,
    )
    max_steps: Annotated[Count, Doc("slots of an episode")] = 200

    def __post_init__(self) -> None:
        if not len(self.jobs) == len(self.costs) == len(self.rates) or not self.jobs:
            counts = f"{len(self.jobs)}, {len(self.costs)} and {len(self.rates)}"
            raise ValueError(f"jobs, costs and rates have {counts} entries; expected one each of every kind of job")
        if math.prod(count + 1 for count in self.jobs) > 100_000:
            raise ValueError(f"jobs is {list(self.jobs)}, which makes more than 100,000 states; take fewer jobs or kinds")


class JobScheduling(MDPTask):
    """Clear the waiting jobs at the least cost; to serve the kind with the largest c mu is best. Action a serves a job of kind a."""

    Config: ClassVar[type] = JobSchedulingConfig

    def __init__(self, config: JobSchedulingConfig) -> None:
        shape = tuple(count + 1 for count in config.jobs)
        table: dict[int, dict[int, list[Outcome]]] = {}
        for state, waiting in enumerate(np.ndindex(*shape)):
            cost, table[state] = float(np.dot(config.costs, waiting)), {}
            for kind, rate in enumerate(config.rates):
                after = list(waiting)
                after[kind] = max(after[kind] - 1, 0)
                done, moved = int(np.ravel_multi_index(after, shape)), rate if waiting[kind] else 0.0
                outcomes = [(moved, done, -cost, not any(after)), (1.0 - moved, state, -cost, not any(waiting))]
                table[state][kind] = [outcome for outcome in outcomes if outcome[0] > 0]
        start = np.eye(math.prod(shape))[-1]
        super().__init__(config, MDP.from_table(table, discount=1.0, start=start), max_steps=config.max_steps)


@configclass
class SmartGridConfig:
    """A house with a battery and a price of electricity that changes over the day."""

    prices: Annotated[tuple[NonNegative, ...], Doc("of a unit of energy, for each hour of the day")] = (
        *(10.0,) * 6, *(25.0,) * 4, *(15.0,) * 6, *(35.0,) * 5, *(15.0,) * 3,
    )  # fmt: skip
    load: Annotated[Count, Doc("units that the house uses each hour")] = 2
    capacity: Annotated[int, Meta(ge=1, le=1_000), Doc("M, units that the battery holds")] = 8
    rate: Annotated[Count, Doc("units that it takes or gives in an hour")] = 2
    efficiency: Annotated[float, Meta(gt=0, le=1), Doc("share of the energy taken from the battery that arrives")] = 0.9
    days: Annotated[Count, Doc("days of an episode")] = 1


class SmartGrid(MDPTask):
    """Charge a battery while electricity is cheap, and live from it while it is dear. Actions: give, rest, take.

    The state is the hour and the charge. Energy that is given beyond the load is sold at the price of the hour. Without a battery a day
    costs the load times the sum of the prices.
    """

    Config: ClassVar[type] = SmartGridConfig

    def __init__(self, config: SmartGridConfig) -> None:
        hours, levels = len(config.prices), config.capacity + 1
        table: dict[int, dict[int, list[Outcome]]] = {}
        for hour, charge in itertools.product(range(hours), range(levels)):
            choices = {}
            for action, wanted in enumerate((-config.rate, 0, config.rate)):
                after = min(max(charge + wanted, 0), config.capacity)
                change = after - charge
                bought = config.load + (change if change > 0 else change * config.efficiency)
                choices[action] = [(1.0, (hour + 1) % hours * levels + after, -config.prices[hour] * bought, False)]
            table[hour * levels + charge] = choices
        mdp = MDP.from_table(table, discount=1.0, start=np.eye(hours * levels)[0])
        super().__init__(config, mdp, max_steps=hours * config.days)


@configclass
class EpidemicConfig:
    """An infection in a closed group of people."""

    people: Annotated[int, Meta(ge=2, le=60), Doc("N")] = 20
    contact: Annotated[float, Meta(gt=0, lt=1), Doc("probability that one infected person infects one healthy one in a period")] = 0.08
    infected: Annotated[Count, Doc("infected people at first")] = 3
    measures: Annotated[tuple[Fraction, ...], Doc("factor on it under each measure; the first is none")] = (1.0, 0.5, 0.2)
    measure_costs: Annotated[tuple[NonNegative, ...], Doc("of each measure, each period, in infections")] = (0.0, 1.0, 3.0)

    def __post_init__(self) -> None:
        if len(self.measures) != len(self.measure_costs) or not self.measures:
            raise ValueError(
                f"measures and measure_costs have {len(self.measures)} and {len(self.measure_costs)} entries; expected as many"
            )
        if self.infected > self.people:
            raise ValueError(f"infected is {self.infected}; it must be at most people, {self.people}")


class Epidemic(MDPTask):
    """Choose a measure in each period of an epidemic: an infection costs 1, measures cost too. It ends when no one is infected.

    The state is (healthy, infected); each healthy person escapes with probability (1 - p)^infected, and who was infected is immune after
    one period.
    """

    Config: ClassVar[type] = EpidemicConfig

    def __init__(self, config: EpidemicConfig) -> None:
        size = config.people + 1
        table: dict[int, dict[int, list[Outcome]]] = {}
        for healthy, infected in itertools.product(range(size), repeat=2):
            choices = {}
            for action, (factor, cost) in enumerate(zip(config.measures, config.measure_costs, strict=True)):
                caught = 1.0 - (1.0 - config.contact * factor) ** infected
                choices[action] = [
                    (chance, (healthy - new) * size + new, -new - cost, new == 0)
                    for new, chance in enumerate(binomial(healthy, caught))
                    if chance > 0
                ]
            table[healthy * size + infected] = choices if infected else {action: [(1.0, healthy * size, 0.0, True)] for action in choices}
        start = np.eye(size * size)[(config.people - config.infected) * size + config.infected]
        super().__init__(config, MDP.from_table(table, discount=1.0, start=start), max_steps=config.people + 1)


def binomial(count: int, chance: float) -> list[float]:
    """Return the probabilities of 0, 1, ..., count successes.

    >>> binomial(2, 0.5)
    [0.25, 0.5, 0.25]
    """
    return [math.comb(count, k) * chance**k * (1.0 - chance) ** (count - k) for k in range(count + 1)]
