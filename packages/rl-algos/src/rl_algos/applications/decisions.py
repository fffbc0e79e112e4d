"""Decisions in traffic, medicine and recommendation as finite processes, whose best policy the planners compute exactly.

*Source*: D. C. Gazis, Optimum control of a system of oversaturated intersections (1964), for the two queues; D. A. Berry and B. Fristedt,
Bandit Problems (1985), section 1, for the trial; the treatment and the bored user are stated here.

*Departures*: queues and doses are small, so that tables hold them.

*Letters*: Q longest queue, P patients, K kinds of items.
"""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar

import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, configclass

Outcome = tuple[float, int, float, bool]


def near_best(task: MDPTask) -> float:
    """Return the target of a task whose best return is known: 95 % of the way to it from a return of 0, or 5 % below a negative one."""
    best = task.optimal_return()
    return best - 0.05 * abs(best)


@configclass
class TrafficSignalConfig:
    """A crossing of two roads."""

    longest: Annotated[int, Meta(ge=1, le=20), Doc("Q, cars that a queue holds; more turn away, at the cost of a car for a step")] = 8
    arrivals: Annotated[tuple[Fraction, Fraction], Doc("probability that a car arrives on each road in a step")] = (0.45, 0.25)
    flow: Annotated[Count, Doc("cars that leave a queue with green in a step")] = 1
    max_steps: Annotated[Count, Doc("steps of an episode")] = 100


class TrafficSignal(MDPTask):
    """Switch the green light between two roads: each waiting car costs 1 a step, and no car leaves while the light changes.

    The state is (first queue, second queue, road with green); action 1 changes the light.
    """

    Config: ClassVar[type] = TrafficSignalConfig

    def __init__(self, config: TrafficSignalConfig) -> None:
        size = config.longest + 1
        table: dict[int, dict[int, list[Outcome]]] = {}
        for first, second, green in itertools.product(range(size), range(size), range(2)):
            choices: dict[int, list[Outcome]] = {}
            for change in range(2):
                queues = [first, second]
                if not change:
                    queues[green] = max(queues[green] - config.flow, 0)
                outcomes = []
                for come in itertools.product(range(2), repeat=2):
                    chance = float(np.prod([p if one else 1.0 - p for p, one in zip(config.arrivals, come, strict=True)]))
                    wanted = [queue + one for queue, one in zip(queues, come, strict=True)]
                    after = [min(queue, config.longest) for queue in wanted]
                    if chance:
                        outcomes.append((chance, (after[0] * size + after[1]) * 2 + (green ^ change), -float(sum(wanted)), False))
                choices[change] = outcomes
            table[(first * size + second) * 2 + green] = choices
        mdp = MDP.from_table(table, discount=0.99, start=np.eye(size * size * 2)[0])
        super().__init__(config, mdp, max_steps=config.max_steps)
        self.target = near_best(self)


@configclass
class TreatmentConfig:
    """A course of treatment."""

    severity: Annotated[int, Meta(ge=2, le=20), Doc("worst severity of the disease; 0 is healthy")] = 6
    toxicity: Annotated[int, Meta(ge=1, le=20), Doc("most side effects that a patient bears")] = 4
    effect: Annotated[tuple[Fraction, ...], Doc("probability that a dose of 0, 1, ... lowers the severity in a week")] = (0.05, 0.4, 0.75)
    progression: Annotated[Fraction, Doc("probability that the disease grows in a week in which it is not lowered")] = 0.35
    burden: Annotated[tuple[Fraction, ...], Doc("probability that a dose of 0, 1, ... adds a side effect; without one, one fades")] = (
        0.0,
        0.3,
        0.7,
    )
    max_steps: Annotated[Count, Doc("weeks of an episode")] = 52

    def __post_init__(self) -> None:
        """Refuse doses with an effect and no burden, or the reverse."""
        if len(self.effect) != len(self.burden) or not self.effect:
            raise ValueError(f"effect and burden have {len(self.effect)} and {len(self.burden)} entries; expected as many, one a dose")


class Treatment(MDPTask):
    """Choose a dose each week: severity and side effects cost, healing pays 20, and the worst of either ends the course at -20.

    The state is (severity, side effects).
    """

    Config: ClassVar[type] = TreatmentConfig

    def __init__(self, config: TreatmentConfig) -> None:
        width = config.toxicity + 1
        states = (config.severity + 1) * width
        table: dict[int, dict[int, list[Outcome]]] = {}
        for severity, toxic in itertools.product(range(config.severity + 1), range(width)):
            state, choices = severity * width + toxic, {}
            over = severity in (0, config.severity) or toxic == config.toxicity
            for dose, (heals, burdens) in enumerate(zip(config.effect, config.burden, strict=True)):
                if over:
                    choices[dose] = [(1.0, state, 0.0, True)]
                    continue
                grows = (1.0 - heals) * config.progression
                outcomes = []
                for change, chance in ((-1, heals), (1, grows), (0, 1.0 - heals - grows)):
                    for more, share in ((1, burdens), (-1, 1.0 - burdens)):
                        sick, bad = severity + change, max(toxic + more, 0)
                        ends = sick in (0, config.severity) or bad == config.toxicity
                        failed = sick == config.severity or bad == config.toxicity
                        gain = -0.2 * sick - 0.2 * bad + (-20.0 if failed else 20.0 if ends else 0.0)
                        if chance * share > 0:
                            outcomes.append((chance * share, sick * width + bad, gain, ends))
                choices[dose] = outcomes
            table[state] = choices
        start = np.eye(states)[(config.severity // 2) * width]
        super().__init__(config, MDP.from_table(table, discount=1.0, start=start), max_steps=config.max_steps)
        self.target = near_best(self)


@configclass
class AdaptiveTrialConfig:
    """A trial of two treatments."""

    patients: Annotated[int, Meta(ge=1, le=24), Doc("P")] = 12
    prior: Annotated[tuple[Count, Count], Doc("successes and failures counted before the first patient, of each treatment")] = (1, 1)


class AdaptiveTrial(MDPTask):
    """Assign patients one by one to two treatments of unknown success; each success is 1.

    The state is what was seen: (successes, failures) of each treatment. Its best policy weighs learning against healing exactly, as no
    bandit rule does.
    """

    Config: ClassVar[type] = AdaptiveTrialConfig

    def __init__(self, config: AdaptiveTrialConfig) -> None:
        seen = [counts for counts in np.ndindex(*[config.patients + 1] * 4) if sum(counts) <= config.patients]
        number = {counts: state for state, counts in enumerate(seen)}
        table: dict[int, dict[int, list[Outcome]]] = {}
        for counts, state in number.items():
            choices = {}
            for arm in range(2):
                if sum(counts) == config.patients:
                    choices[arm] = [(1.0, state, 0.0, True)]
                    continue
                won, lost = counts[2 * arm] + config.prior[0], counts[2 * arm + 1] + config.prior[1]
                outcomes = []
                for success, chance in ((1, won / (won + lost)), (0, lost / (won + lost))):
                    after = list(counts)
                    after[2 * arm + (1 - success)] += 1
                    outcomes.append((chance, number[tuple(after)], float(success), sum(after) == config.patients))
                choices[arm] = outcomes
            table[state] = choices
        mdp = MDP.from_table(table, discount=1.0, start=np.eye(len(seen))[number[(0, 0, 0, 0)]])
        super().__init__(config, mdp, max_steps=config.patients)
        self.target = near_best(self)


@configclass
class RecommenderConfig:
    """A user who is shown items."""

    liking: Annotated[tuple[Fraction, ...], Doc("probability that a fresh user clicks an item of each kind; K of them")] = (0.5, 0.35, 0.25)
    patience: Annotated[int, Meta(ge=1, le=6), Doc("boredom with a kind at which it is not clicked any more")] = 3
    leaving: Annotated[Fraction, Doc("probability that the user leaves after an item that was not clicked")] = 0.15
    value: Annotated[NonNegative, Doc("reward of a click")] = 1.0
    max_steps: Annotated[Count, Doc("items of an episode")] = 50

    def __post_init__(self) -> None:
        """Refuse too many states."""
        if (self.patience + 1) ** len(self.liking) > 20_000 or not self.liking:
            raise ValueError(f"liking has {len(self.liking)} kinds with patience {self.patience}; expected at most 20,000 states")


class Recommender(MDPTask):
    """Show items until the user leaves. Each kind bores the more it was shown, and recovers while others are shown.

    The state is the boredom with each kind.
    """

    Config: ClassVar[type] = RecommenderConfig

    def __init__(self, config: RecommenderConfig) -> None:
        shape = (config.patience + 1,) * len(config.liking)
        table: dict[int, dict[int, list[Outcome]]] = {}
        for state, boredom in enumerate(np.ndindex(*shape)):
            table[state] = {}
            for kind, liking in enumerate(config.liking):
                after = [min(level + 1, config.patience) if k == kind else max(level - 1, 0) for k, level in enumerate(boredom)]
                click = liking * (1.0 - boredom[kind] / config.patience)
                to = int(np.ravel_multi_index(after, shape))
                outcomes = [
                    (click, to, config.value, False),
                    ((1.0 - click) * config.leaving, to, 0.0, True),
                    ((1.0 - click) * (1.0 - config.leaving), to, 0.0, False),
                ]
                table[state][kind] = [outcome for outcome in outcomes if outcome[0] > 0]
        mdp = MDP.from_table(table, discount=1.0, start=np.eye(int(np.prod(shape)))[0])
        super().__init__(config, mdp, max_steps=config.max_steps)
        self.target = near_best(self)


@configclass
class TwoRoadsConfig:
    """A long safe road, and a short one with accidents."""

    safe_steps: Annotated[Count, Doc("steps of the safe road, each -1")] = 10
    short_steps: Annotated[Count, Doc("steps of the short road, each -1")] = 4
    accident: Annotated[Fraction, Doc("probability of an accident in each step of the short road")] = 0.02
    accident_cost: Annotated[NonNegative, Doc("what an accident costs; it ends the episode")] = 50.0


class TwoRoads(MDPTask):
    """The short road is better on average, and the worst tenth of its trips is far worse: agents with another risk take another road.

    States are the junction, then the safe road's, then the short road's; action 0 takes the safe road, both drive on.
    """

    Config: ClassVar[type] = TwoRoadsConfig

    def __init__(self, config: TwoRoadsConfig) -> None:
        safe, short = config.safe_steps, config.short_steps
        states = safe + short - 1  # the junction, and the places after the first step of each road
        table: dict[int, dict[int, list[Outcome]]] = {}
        for state in range(states):
            choices = {}
            for action in range(2):
                on_safe = action == 0 if state == 0 else state < safe
                done = 1 if state == 0 else state + 1 if on_safe else state - safe + 2
                ends = done == (safe if on_safe else short)
                to = 0 if ends else (done if on_safe else safe + done - 1)
                risk = 0.0 if on_safe else config.accident
                outcomes = [(1.0 - risk, to, -1.0, ends), (risk, 0, -1.0 - config.accident_cost, True)]
                choices[action] = [outcome for outcome in outcomes if outcome[0] > 0]
            table[state] = choices
        super().__init__(config, MDP.from_table(table, discount=1.0, start=np.eye(states)[0]), max_steps=safe + short)
        self.target = None

    def returns_of(self, action: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the possible returns of a road and their probabilities."""
        config = self.config
        if action == 0:
            return np.array([-float(config.safe_steps)]), np.ones(1)
        steps = np.arange(1, config.short_steps + 1)
        chances = config.accident * (1.0 - config.accident) ** (steps - 1)
        returns = np.append(-steps - config.accident_cost, -float(config.short_steps))
        return returns, np.append(chances, 1.0 - chances.sum())
