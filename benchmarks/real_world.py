"""Measure what agents reach within limits, at risk, in applications, from comparisons and in games.

    python benchmarks/real_world.py                     # every part, then the table
    python benchmarks/real_world.py lava cooling        # some parts; the others keep their rows

Each score is that of `rl-core run` with the presets, seeds 0 to 2 or 0 to 4, on 100 fresh episodes. Rows are kept in real_world.json, and
real_world.md is written from it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rows import write_parts

SEEDS = (0, 1, 2)
CHEAP = (0, 1, 2, 3, 4)  # seeds of the parts that take seconds
EPISODES = 100
MARKETS = ("portfolio", "execution", "lane-keeping")
MILLION = 1_000_000
MANY = 2_000  # episodes of a mean cost: its standard error is then some hundredths
HERE = Path(__file__).parent
Rows = list[dict[str, Any]]


def run(agent: str, task: str | None, seed: int, settings: Sequence[str], episodes: int) -> dict[str, Any]:
    """Return what one run reports, its metrics over a number of fresh episodes, and the exact return of a policy of a known process."""
    import rl_core
    from rl_algos.tasks.mdp.task import MDPTask
    from rl_core.seeds import Seeds

    with tempfile.TemporaryDirectory() as folder:
        result = rl_core.learn(agent, task=task, seed=seed, overrides=settings, device="cpu", quiet=True, out=f"{folder}/run")
        learner, metrics = result.agent, dict(result.metrics)
        if episodes != EPISODES:
            metrics = learner.evaluate(episodes=episodes, seeds=Seeds(seed, ("evaluation",)))
        if isinstance(learner.task, MDPTask) and agent in ("value-iteration", "q-learning"):
            metrics["exact return"] = learner.task.return_of(learner.predict(np.arange(learner.task.mdp.num_states)))
    print(agent, task, seed, {name: round(value, 3) for name, value in metrics.items()}, f"{result.seconds:.0f} s", flush=True)
    return {"metrics": metrics, "target": result.target, "seconds": result.seconds, "steps": result.progress}


def scores(
    agent: str, task: str | None, settings: Sequence[str] = (), seeds: Sequence[int] = SEEDS, episodes: int = EPISODES
) -> dict[str, Any]:
    """Return the metrics of an agent on a task over seeds, one run after the other: a list for each name."""
    results = [run(agent, task, seed, settings, episodes) for seed in seeds]
    metrics = {name: [result["metrics"][name] for result in results] for name in results[0]["metrics"]}
    common = {"agent": agent, "task": task, "settings": list(settings), "seconds": [result["seconds"] for result in results]}
    return {**common, **metrics, "target": results[0]["target"], "steps": results[0]["steps"]}


def lava() -> Rows:
    """Return the rows of the grid whose best feasible policy is known."""
    from rl_algos.safety.lava import GridLava, GridLavaConfig

    best = GridLava(GridLavaConfig()).best_feasible().return_
    agents = ("random", "ppo-lagrangian", "cpo")
    return [{**scores(agent, "grid-lava", seeds=CHEAP, episodes=MANY), "limit": 0.5, "best": best} for agent in agents]


LIMITED = {"point-hazards": 0.5, "pendulum-limited": 1.0}


def limits() -> Rows:
    """Return the rows of the continuous tasks with costs, but those of `cpo`."""
    return [{**scores(agent, task, episodes=MANY), "limit": LIMITED[task]} for task in LIMITED for agent in ("random", "ppo-lagrangian")]


def cpo(task: str) -> Rows:
    """Return the row of `cpo` on one of them."""
    return [{**scores("cpo", task, episodes=MANY), "limit": LIMITED[task]}]


def with_best(rows: Rows) -> Rows:
    """Return rows of continuous tasks, each task's together, with the largest return of the task whose cost is within the limit."""
    found = []
    for task, limit in LIMITED.items():
        own = [row for row in rows if row["task"] == task]
        pairs = [pair for row in own for pair in zip(row["mean return"], row["mean cost"], strict=True)]
        best = max((return_ for return_, cost in pairs if cost <= limit), default=None)
        found += [{**row, "best": best} for row in own]
    return found


def shields() -> Rows:
    """Return the rows of plain PPO behind shields, and the costs of 10^6 random steps behind each."""
    rows = []
    for task, shield in (
        ("grid-lava", "table"),
        ("point-hazards", "layer"),
        ("point-hazards", "look-ahead"),
        ("pendulum-limited", "look-ahead"),
    ):
        row = {**scores("ppo", task, [f"task.shield={shield}"]), "random steps": MILLION, "forbidden": forbidden(task, shield)}
        print(task, shield, row["forbidden"], flush=True)
        rows.append(row)
    return rows


def forbidden(task: str, shield: str) -> float:
    """Return the cost of 10^6 steps of random actions behind a shield."""
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.recipe import resolve
    from rl_core.seeds import Seeds

    built: Any = resolve(Catalogue.discover(), "ppo", task=task, overrides=[f"task.shield={shield}"]).built_task
    envs, rng, total = built.envs(500, Seeds(0)), np.random.Generator(np.random.PCG64(0)), 0.0
    envs.reset()
    for _ in range(MILLION // 500):
        space = built.output_space
        actions = rng.integers(space.n, size=500) if hasattr(space, "n") else rng.uniform(-1, 1, (500, *space.shape)) * space.high
        total += float(envs.step(actions.astype(space.dtype)).extras["cost"].sum())
    return total


def cooling() -> Rows:
    """Return the rows of the data centre."""
    rows = [scores("pid", "data-centre", seeds=(0,)), scores("pid", "data-centre", ["supply=24", "reference=26.3"], seeds=(0,))]
    return [
        *rows,
        scores("random", "data-centre", seeds=(0,)),
        scores("ppo-lagrangian", "data-centre"),
        scores("mbpo", "data-centre", ["task.shield=look-ahead"]),
    ]


def applications() -> Rows:
    """Return the rows of the applications: chance, and the agent that a task names by default."""
    from rl_algos.applications import decisions

    rows = []
    for name, task in (
        ("traffic-signal", "TrafficSignal"),
        ("treatment", "Treatment"),
        ("adaptive-trial", "AdaptiveTrial"),
        ("recommender", "Recommender"),
    ):
        best = getattr(decisions, task)(getattr(decisions, f"{task}Config")()).optimal_return()
        rows += [{**scores(agent, name, seeds=CHEAP), "best": best} for agent in ("random", "value-iteration", "q-learning")]
    return rows


def resources() -> Rows:
    """Return the rows of resource management: chance, the planner and `q-learning` beside the best policy that may look at the clock."""
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.recipe import build_task

    rows = []
    for name in ("inventory", "job-scheduling", "smart-grid", "epidemic"):
        days = {"days": 2} if name == "smart-grid" else {}  # in one day no morning with a charged battery is seen
        task: Any = build_task(Catalogue.discover(), name, days)
        settings = [f"task.{key}={value}" for key, value in days.items()]
        best = task.optimal_return()
        rows += [{**scores(agent, name, settings, CHEAP), "best": best} for agent in ("random", "value-iteration", "q-learning")]
    return rows


def users() -> Rows:
    """Return the rows of contextual bandits; the best shows each of 100,000 users the best arm."""
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.recipe import build_task
    from rl_core.seeds import Seeds

    envs: Any = build_task(Catalogue.discover(), "contextual-bandit").envs(100_000, Seeds(0))
    envs.reset()
    best = 100 * float(envs.means().max(axis=1).mean())
    return [{**scores(agent, "contextual-bandit", seeds=CHEAP), "best": best} for agent in ("random", "exp4", "linucb", "lin-thompson")]


def market(name: str) -> Rows:
    """Return the rows of a task of trading or driving; `portfolio` states the exact return of its policy."""
    from rl_algos.applications import markets

    best = {"portfolio": markets.Portfolio.best, "execution": markets.best_return(), "lane-keeping": 199.5}[name]
    rows = [{**scores(agent, name, seeds=CHEAP), "best": best} for agent in ("random", "ppo")]
    return [row if row["agent"] == "random" else row | {"exact return": row.get("expected return")} for row in rows]


def risk() -> Rows:
    """Return the rows of agents with another risk: on the safe road every return is -10."""
    rows = [scores("random", "two-roads", seeds=CHEAP)]
    risks = ("none", "cvar:0.1", "mean-variance:0.5")
    rows += [scores(agent, "two-roads", [f"risk={risk}"], CHEAP) for agent in ("reinforce", "qr-dqn") for risk in risks]
    return [*rows, scores("random", "CartPole-v1"), scores("qr-dqn", "CartPole-v1")]


def people() -> Rows:
    """Return the rows of chance and of learning from comparisons."""
    return [scores("random", "CartPole-v1"), scores("preference-reward", "CartPole-v1", seeds=CHEAP)]


def players() -> Rows:
    """Return the rows of learners in games."""
    return [
        scores(agent, "matrix-game", [f"task.game={game}"])
        for agent in ("regret-matching", "fictitious-play")
        for game in ("dear-rock", "random")
    ]


def teams() -> Rows:
    """Return the rows of teams: games whose best joint play is known, and pursuit, whose best with full sight is computed."""
    from rl_algos.players.pursuit import Pursuit, PursuitConfig
    from rl_algos.players.team_games import GAMES

    rows = []
    bests = {f"{game}-game": tables.best() for game, tables in GAMES.items()} | {"pursuit": Pursuit(PursuitConfig()).best_return()}
    learners: tuple[tuple[str, list[str]], ...] = (
        ("random", []),
        ("mappo", []),
        ("mappo", ["critic=own"]),
        ("qmix", []),
        ("qmix", ["mixing=sum"]),
        ("independent-q", []),
    )
    for task, best in bests.items():
        rows += [{**scores(agent, task, settings, CHEAP), "best": best} for agent, settings in learners]
    return rows


GAMES = {"tic-tac-toe": ("random", "perfect"), "connect-four": ("random", "search")}  # who is played against


def hysteresis() -> Rows:
    """Return the rows of independent learners with hysteresis, to be read beside those of other teams."""
    from rl_algos.players.pursuit import Pursuit, PursuitConfig
    from rl_algos.players.team_games import GAMES as TABLES

    bests = {f"{game}-game": tables.best() for game, tables in TABLES.items()} | {"pursuit": Pursuit(PursuitConfig()).best_return()}
    return [{**scores("hysteretic-q", task, seeds=CHEAP), "best": best} for task, best in bests.items()]


def league(agent: str, task: str) -> Rows:
    """Return the rows of chance, or of a league of earlier selves, in a game: one run a seed, judged against each opponent."""
    import rl_core
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs.recipe import resolve
    from rl_core.seeds import Seeds

    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            result = rl_core.learn(agent, task=task, seed=seed, device="cpu", quiet=True, out=f"{folder}/run")
        elo = result.agent.ratings()[-1] if agent == "league" else 0.0
        for opponent in GAMES[task]:
            against = resolve(Catalogue.discover(), agent, task=task, overrides=[f"task.opponent={opponent}"]).built_task
            found = against.evaluate(result.agent.predictor(), episodes=1_000, seeds=Seeds(seed, ("evaluation",)))
            row = rows.setdefault((agent, opponent), {"won": [], "drawn": [], "lost": [], "elo": [], "seconds": []})
            for name in ("won", "drawn", "lost"):
                row[name].append(found[name])
            row["elo"].append(float(elo))
            row["seconds"].append(result.seconds)
            row |= {"agent": agent, "task": task, "opponent": opponent, "steps": result.progress}
            print(row, flush=True)
    return list(rows.values())


PARTS: dict[str, Callable[[], Rows]] = {
    "lava": lava,
    "limits": limits,
    "cpo-hazards": partial(cpo, "point-hazards"),
    "cpo-pendulum": partial(cpo, "pendulum-limited"),
    "shields": shields,
    "cooling": cooling,
    "resources": resources,
    "applications": applications,
    "users": users,
    **{name: partial(market, name) for name in MARKETS},
    "risk": risk,
    "people": people,
    "players": players,
    "teams": teams,
    "hysteresis": hysteresis,
    **{f"chance-{task}": partial(league, "random", task) for task in GAMES},
    **{task: partial(league, "league", task) for task in GAMES},
}


def written(values: Any, digits: int = 2) -> str:
    """Return numbers as the table has them."""
    return "" if values is None else ", ".join(f"{value:.{digits}f}" for value in np.atleast_1d(values))


def name_of(row: dict[str, Any]) -> str:
    """Return an agent with its settings."""
    return " ".join([f"`{row['agent']}`", *(f"`{setting}`" for setting in row.get("settings", []))])


def section(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with a title and a note."""
    lines = ["", f"## {title}", "", *([note, ""] if note else []), f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def about(row: dict[str, Any], *columns: tuple[str, int]) -> list[str]:
    """Return the cells of a row: agent, task, steps, and numbers by name with their digits."""
    return [name_of(row), f"`{row['task']}`", f"{row['steps']:,}", *(written(row[name], digits) for name, digits in columns)]


def table(parts: dict[str, Rows]) -> list[str]:
    """Return the lines of real_world.md."""
    lines = [
        "# Limits, risk, applications, comparisons and games",
        "",
        "Written by `real_world.py`: presets, seeds 0 to 2, or 0 to 4 where a run takes seconds (one number each), 100 fresh episodes.",
    ]
    if rows := parts.get("lava", []) + with_best(
        [row for name in ("limits", "cpo-hazards", "cpo-pendulum") for row in parts.get(name, [])]
    ):
        lines += section(
            "Within limits",
            "The best feasible return of `grid-lava` is a linear program's; elsewhere it is the best return in this table with a "
            "cost within the limit. 2,000 episodes; on 100 the standard error of a cost is about 0.07.",
            ("agent", "task", "steps", "returns", "best feasible", "costs", "limit"),
            [about(row, ("mean return", 2), ("best", 2), ("mean cost", 2), ("limit", 1)) for row in rows],
        )
    if rows := parts.get("shields"):
        lines += section(
            "Behind shields",
            "Plain `ppo`, which knows of no cost; and what random actions cost in 10^6 steps behind the same shield.",
            ("agent", "task", "steps", "returns", "costs", "cost of 10^6 random steps"),
            [about(row, ("mean return", 2), ("mean cost", 2), ("forbidden", 0)) for row in rows],
        )
    if rows := parts.get("cooling"):
        base = rows[0]["cooling kWh"][0]
        for row in rows:
            row["saved"] = [100.0 * (1.0 - value / base) for value in row["cooling kWh"]]
        lines += section(
            "Data centre, mild climate",
            "The first PID controller is the cautious one of `rl-core run pid`, the second the best of a grid. Costs: steps above 27.",
            ("agent", "task", "steps", "cooling kWh a day", "saved %", "costs", "power usage effectiveness"),
            [about(row, ("cooling kWh", 1), ("saved", 1), ("mean cost", 2), ("power usage effectiveness", 3)) for row in rows],
        )
    if rows := [row for name in ("resources", "applications", "users", *MARKETS) for row in parts.get(name, [])]:
        head = ("agent", "task", "steps", "returns", "exact return", "target", "best known")
        note = (
            "The exact return is that of the learned policy, by backward induction or in closed form: free of the luck of 100 episodes. "
            "The best of `inventory` looks at the clock, which a policy of the state alone cannot."
        )
        for row in rows:
            row.setdefault("exact return", None)
        columns = (("mean return", 2), ("exact return", 2), ("target", 2), ("best", 2))
        lines += section("Applications", note, head, [about(row, *columns) for row in rows])
    if rows := parts.get("risk"):
        lines += section(
            "Risk",
            "The safe road of `two-roads` returns -10 always; the short one -7.76 on average, and -41 in its worst tenth.",
            ("agent", "task", "steps", "returns", "deviations of returns"),
            [about(row, ("mean return", 2), ("standard deviation", 2)) for row in rows],
        )
    if rows := parts.get("people"):
        head = ("agent", "task", "steps", "true returns", "target")
        lines += section("From 1,500 comparisons", "", head, [about(row, ("mean return", 1), ("target", 0)) for row in rows])
    if rows := parts.get("players"):
        head = ("agent", "task", "rounds", "exploitability of the row player", "distance of both from an equilibrium")
        cells = [about(row, ("exploitability", 4), ("nash distance", 4)) for row in rows]
        lines += section("Games in normal form", "", head, cells)
    if rows := parts.get("teams"):
        order = [row["task"] for row in rows]
        rows = sorted([*rows, *parts.get("hysteresis", [])], key=lambda row: order.index(row["task"]))
        note = "The best of `pursuit` is that of two hunters who see everything."
        head = ("agent", "task", "steps", "returns", "best joint play")
        lines += section("Teams", note, head, [about(row, ("mean return", 2), ("best", 2)) for row in rows])
    if rows := [row for task in GAMES for part in (f"chance-{task}", task) for row in parts.get(part, [])]:
        note = "One run a seed, 1,000 games against each opponent; a search takes 100 simulations a move. Perfect play never loses."
        head = ("agent", "task", "steps", "against", "won", "drawn", "lost", "Elo above its untrained self")
        shares = ("won", "drawn", "lost")
        cells = [[*about(row), row["opponent"], *(written(row[name], 3) for name in shares), written(row["elo"], 0)] for row in rows]
        lines += section("A league of earlier selves", note, head, cells)
    return [*lines, ""]


def main() -> None:
    """Measure the parts that are named, or all, and write the table."""
    write_parts(HERE / "real_world.json", PARTS, sys.argv[1:], table)


if __name__ == "__main__":
    main()
