"""Two ways of the same work, timed in turn in one process: what every comparison of speed here is made with; it runs nothing itself.

A pair is both ways, one after the other, in an order that turns with every pair, so that a machine busy with other things slows both
alike. Ratios are of time a step, the other's by ours, and what is reported is the median over the pairs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from rl_core.agent import Agent

Way = Callable[[int], Callable[[], int]]
"""Sets up for a seed, which is not timed; what it returns does the work, which is, and returns how many steps that were."""


class Timing(NamedTuple):
    """One way, once: wall time and processor time [s], and steps."""

    seconds: float
    cpu_seconds: float
    steps: int


class Pair(NamedTuple):
    """Both ways at one seed."""

    ours: Timing
    theirs: Timing

    def ratio(self, clock: Literal["seconds", "cpu_seconds"] = "seconds") -> float:
        """The other's time a step by ours."""
        return (getattr(self.theirs, clock) / self.theirs.steps) / (getattr(self.ours, clock) / self.ours.steps)


def learning(agent: Agent, steps: int) -> Callable[[], int]:
    """The work of an agent from where it is on, until it has taken so many steps of its unit in all."""

    def work() -> int:
        start = agent.progress
        while agent.progress < steps:
            agent.step()
        return agent.progress - start

    return work


def timed(way: Way, seed: int) -> Timing:
    """One way, timed."""
    work = way(seed)
    wall, cpu = time.perf_counter(), time.process_time()
    steps = work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu, steps)


def paired(ours: Way, theirs: Way, num_pairs: int) -> list[Pair]:
    """Pairs at seeds 0, 1, ..., after one run of ours that compiles and is not counted."""
    timed(ours, 1_000)
    pairs = []
    for seed in range(num_pairs):
        ways = {"ours": ours, "theirs": theirs}
        order = list(ways) if seed % 2 == 0 else list(ways)[::-1]
        pairs.append(Pair(**{name: timed(ways[name], seed) for name in order}))
    return pairs


HEAD = [
    "| what | ours, steps/s | theirs, steps/s | ratio of wall time | ratio of processor time | single pairs (wall) | asked for |",
    "|---|---:|---:|---:|---:|---|---:|",
]
"""The head of a table of `row`s."""


def row(what: str, pairs: list[Pair], asked: float | None) -> str:
    """A line of a table: medians over the pairs."""
    rates = [f"{statistics.median(timing.steps / timing.seconds for timing in side):,.0f}" for side in zip(*pairs, strict=True)]
    medians = [f"**{statistics.median(pair.ratio(clock) for pair in pairs):.2f}**" for clock in ("seconds", "cpu_seconds")]
    single = ", ".join(f"{pair.ratio():.2f}" for pair in pairs)
    return "| " + " | ".join([what, *rates, *medians, single, "-" if asked is None else f"{asked:g}"]) + " |"
