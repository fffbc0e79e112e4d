"""Figures of Sutton and Barto, Reinforcement Learning (2nd edition, 2018), drawn again: tables and pictures in textbook/.

    python benchmarks/textbook.py        # all, some five minutes
    python benchmarks/textbook.py 6.2    # one

Every number is measured by the run that writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rl_algos.bandits.agents import BanditAgent, BanditAgentConfig
from rl_algos.planning.value_iteration import ValueIteration, ValueIterationConfig
from rl_algos.tabular.dyna import Dyna, DynaConfig
from rl_algos.tabular.learner import TabularLearner
from rl_algos.tabular.prediction.mc_prediction import MCPrediction, MCPredictionConfig
from rl_algos.tabular.prediction.td_prediction import TDPrediction, TDPredictionConfig
from rl_algos.tabular.td_control import TDControl, TDControlConfig
from rl_algos.tasks.bandit import Bandit, BanditConfig
from rl_algos.tasks.blackjack import Blackjack, BlackjackConfig, number_of
from rl_algos.tasks.classic import GamblersProblem, GamblersProblemConfig, RandomWalk, RandomWalkConfig
from rl_algos.tasks.grids import BLOCKED_MAZE, BLOCKING_MAZE, Maze, MazeConfig
from rl_algos.tasks.mdp.task import MDPTask
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_core.seeds import Seeds

FOLDER = Path(__file__).parent / "textbook"
FOREVER = 10**9


def build(agent_class: type, config: object, task: object, seed: int) -> TabularLearner:
    """An agent that is stepped from here."""
    return agent_class(config, task, None, seeds=Seeds(seed), budget=FOREVER)


def episodes(agent: TabularLearner, count: int, chunk: int) -> np.ndarray:
    """Returns and lengths [count, 2] of the next episodes, learning `chunk` environment steps at a time."""
    found: list[tuple[float, int]] = []
    while len(found) < count:
        agent.progress += agent.learn(chunk)
        found += [(return_, length) for _, return_, length in agent.envs.pop_episodes()]
    return np.array(found[:count])


def write(
    figure: str, title: str, book: str, header: list[str], rows: list[list[object]], lines: dict[str, np.ndarray], axes: list[str]
) -> str:
    """Draw curves, and write the table with what the book shows; its text."""
    FOLDER.mkdir(exist_ok=True)
    name = f"figure_{figure.replace('.', '_')}"
    picture = Figure(figsize=(6.4, 3.8), layout="constrained")
    FigureCanvasAgg(picture)
    plot = picture.add_subplot(title=title, xlabel=axes[0], ylabel=axes[1])
    if len(axes) > 2:
        plot.set_xscale("log")
    for label, values in lines.items():
        plot.plot(np.arange(1, len(values) + 1) if values.ndim == 1 else values[0], values if values.ndim == 1 else values[1], label=label)
    plot.legend()
    picture.savefig(FOLDER / f"{name}.png", dpi=110)
    table = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    table += ["| " + " | ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) + " |" for row in rows]
    text = "\n".join([f"## Figure {figure}: {title}", "", f"The book: {book}", "", *table, "", f"![{title}]({name}.png)", ""])
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)
    return text


def on_testbed(settings: dict[str, dict], runs: int, pulls: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean reward and share of best arms at each pull of the 10-armed testbed, by rule."""
    curves = {}
    for label, config in settings.items():
        rewards, best = np.zeros(pulls), np.zeros(pulls)
        for run in range(runs):
            agent = BanditAgent(BanditAgentConfig(**config), Bandit(BanditConfig(problem=run)), None, seeds=Seeds(run), budget=pulls)
            got, regret = agent.pull(pulls)
            rewards += got
            best += regret == 0.0
        curves[label] = rewards / runs, best / runs
    return curves


def bandit_figure(figure: str, title: str, book: str, settings: dict[str, dict], share: bool) -> str:
    """A figure of the testbed."""
    curves = on_testbed(settings, 2_000, 1_000)
    rows = [
        [label, float(reward[-100:].mean()), float(best[-100:].mean()), float(reward[:20].mean())]
        for label, (reward, best) in curves.items()
    ]
    header = ["rule", "mean reward, last 100 pulls", "best arm, last 100 pulls", "mean reward, first 20 pulls"]
    lines = {label: pair[int(share)] for label, pair in curves.items()}
    return write(figure, title, book, header, rows, lines, ["pull", "share of the best arm" if share else "mean reward"])


def figure_2_2() -> str:
    """Epsilon-greedy on the testbed."""
    settings = {f"epsilon {epsilon}": {"exploration_rate": epsilon} for epsilon in (0.0, 0.01, 0.1)}
    book = "greedy stays near 1 and finds the best arm in a third of the problems; epsilon 0.1 comes near 80 %, 0.01 climbs slowly."
    return bandit_figure("2.2", "epsilon-greedy on the 10-armed testbed", book, settings, True)


def figure_2_3() -> str:
    """Optimistic initial values."""
    settings = {
        "optimistic, Q1 = 5, greedy": {"exploration": "greedy", "initial_value": 5.0, "learning_rate": 0.1},
        "realistic, Q1 = 0, epsilon 0.1": {"exploration_rate": 0.1, "learning_rate": 0.1},
    }
    book = "the optimistic rule is worse at first and better in the end, near 85 % against 75 %, with a spike after ten pulls."
    return bandit_figure("2.3", "optimistic initial values", book, settings, True)


def figure_2_4() -> str:
    """Upper confidence bounds."""
    settings = {"ucb, c = 2": {"exploration": "ucb", "exploration_rate": 2.0}, "epsilon 0.1": {"exploration_rate": 0.1}}
    book = "ucb is above epsilon-greedy but for the first pulls, near 1.5 against 1.4, with a spike on the 11th pull."
    return bandit_figure("2.4", "upper confidence bound", book, settings, False)


def figure_4_3() -> str:
    """The gambler's problem."""
    task = GamblersProblem(GamblersProblemConfig())
    agent, curves = ValueIteration(ValueIterationConfig(), task, None, seeds=Seeds(0), budget=1_000), {}
    while not agent.finished:
        agent.step()
        if agent.progress in (1, 2, 3, 32) or agent.finished:
            curves[f"sweep {agent.progress}"] = agent.values[1:100].copy()
    action_values = agent.action_values()
    stakes = [1 + int(np.flatnonzero(action_values[capital] > action_values[capital].max() - 1e-9)[0]) for capital in range(1, 100)]
    rows = [[capital, float(agent.values[capital]), stakes[capital - 1]] for capital in (10, 25, 26, 50, 51, 75, 90)]
    book = "values are reached within some 32 sweeps; all is staked at 25, 50 and 75, little just above (here the smallest best stake)."
    return write("4.3", "the gambler's problem, p = 0.4", book, ["capital", "chance to win", "stake"], rows, curves, ["capital", "value"])


def figure_5_1() -> str:
    """Blackjack values of sticking on 20."""
    task = Blackjack(BlackjackConfig())
    truth = task.mdp.under(task.policy).values()
    agent = build(MCPrediction, MCPredictionConfig(), task, 0)
    cells = np.array([number_of(total, dealer, usable) for usable in (0, 1) for total in range(12, 22) for dealer in range(1, 11)])
    rows, played = [], 0
    for count in (10_000, 500_000):
        episodes(agent, count - played, 1)
        played = count
        error = np.abs(agent.values - truth)[cells]
        rows.append([f"{count:,}", float(error[:100].mean()), float(error[100:].mean()), float(error.max())])
    sums = np.arange(12, 22)
    lines = {
        "no usable ace, exact": np.stack([sums, truth[[number_of(total, 10, 0) for total in sums]]]),
        "no usable ace, 500,000 games": np.stack([sums, agent.values[[number_of(total, 10, 0) for total in sums]]]),
        "usable ace, exact": np.stack([sums, truth[[number_of(total, 10, 1) for total in sums]]]),
        "usable ace, 500,000 games": np.stack([sums, agent.values[[number_of(total, 10, 1) for total in sums]]]),
    }
    book = "after 500,000 games values are well approximated, high for 20 and 21 alone; with a usable ace, which is rarer, rougher."
    header = ["games", "mean error, no usable ace", "mean error, usable ace", "largest error"]
    return write("5.1", "blackjack, sticking on 20 and 21", book, header, rows, lines, ["sum against a ten", "value"])


def figure_5_3() -> str:
    """Off-policy estimation of one state of blackjack."""
    source, state = Blackjack(BlackjackConfig()), number_of(13, 2, 1)
    mdp = source.mdp.with_discount(1.0)
    mdp.start = np.eye(mdp.num_states)[state]
    task = MDPTask(None, mdp, max_steps=0, policy=source.policy)
    truth, runs, count = float(mdp.under(source.policy).values()[state]), 100, 1_000
    curves, rows = {}, []
    for importance in ("ordinary", "weighted"):
        squares = np.zeros(count)
        for run in range(runs):
            agent = build(MCPrediction, MCPredictionConfig(behaviour="uniform", importance=importance), task, run)
            for episode in range(count):
                agent.learn(1)
                squares[episode] += (agent.values[state] - truth) ** 2 / runs
        curves[importance] = squares
        rows.append([importance, *(float(squares[index - 1]) for index in (1, 10, 100, count))])
    book = f"the value is -0.27726 (here {truth:.5f}); weighted importance sampling errs far less in the first hundred games, both go to 0."
    header = ["importance sampling", *(f"squared error, {index} games" for index in (1, 10, 100, count))]
    return write("5.3", "off-policy estimation of one state", book, header, rows, curves, ["game", "mean squared error", "log"])


def figure_6_2() -> str:
    """TD(0) and constant-step Monte Carlo on the random walk."""
    task, runs, count = RandomWalk(RandomWalkConfig()), 100, 100
    truth, curves, rows = np.arange(1, 6) / 6.0, {}, []
    settings = [("TD", TDPrediction, TDPredictionConfig, rate) for rate in (0.05, 0.1, 0.15)]
    settings += [("MC", MCPrediction, MCPredictionConfig, rate) for rate in (0.01, 0.02, 0.03, 0.04)]
    for name, agent_class, config_class, rate in settings:
        config = config_class(learning_rate=rate, initial_value=0.5, **({"visit": "every"} if name == "MC" else {}))
        errors = np.zeros(count)
        for run in range(runs):
            agent = build(agent_class, config, task, run)
            for episode in range(count):
                episodes(agent, 1, 1)
                errors[episode] += np.sqrt(np.mean((agent.values - truth) ** 2)) / runs
        curves[f"{name}, alpha {rate}"] = errors
        rows.append([f"{name}, alpha {rate}", *(float(errors[index - 1]) for index in (1, 10, 25, 50, 100))])
    book = "TD is better than MC all along; after 100 walks near 0.05 for TD (alpha 0.05), and near 0.1 for MC; all start near 0.24."
    header = ["method", *(f"rms error, {index} walks" for index in (1, 10, 25, 50, 100))]
    return write("6.2", "random walk, error averaged over states and 100 runs", book, header, rows, curves, ["walk", "rms error"])


def figure_6_4() -> str:
    """Cliff walking: Sarsa and Q-learning (example 6.6)."""
    task, runs, count = ToyText(ToyTextConfig(id="CliffWalking-v1", discount=1.0, max_steps=0)), 500, 500
    curves, rows = {}, []
    for target in ("sarsa", "q-learning"):
        returns = np.zeros(count)
        for run in range(runs):
            agent = build(TDControl, TDControlConfig(target=target, learning_rate=0.5), task, run)
            returns += episodes(agent, count, 500)[:, 0] / runs
        scored = ToyText(ToyTextConfig(id="CliffWalking-v1"))
        curves[target] = np.maximum(returns, -100.0)
        rows.append([target, float(returns[-100:].mean()), float(scored.return_of(agent.predict(np.arange(48))))])
    book = (
        "Q-learning learns the shortest way (-13) and earns less while it explores, near -50; Sarsa takes the safe way and earns near -25."
    )
    header = ["method", "mean return, last 100 of 500 episodes", "greedy policy of one run"]
    return write("6.4", "cliff walking (example 6.6)", book, header, rows, curves, ["episode", "return, at least -100"])


def figure_8_2() -> str:
    """Dyna-Q in the maze with 0, 5 and 50 planning steps."""
    task, runs, count, curves, rows = Maze(MazeConfig(wall_reward=0.0, max_steps=0)), 30, 50, {}, []
    for planning_steps in (0, 5, 50):
        lengths = np.mean(
            [episodes(build(Dyna, DynaConfig(planning_steps=planning_steps), task, run), count, 100)[:, 1] for run in range(runs)],
            axis=0,
        )
        curves[f"{planning_steps} planning steps"] = lengths[1:]
        rows.append([planning_steps, *(float(lengths[index - 1]) for index in (1, 2, 3, 5, 10, 20, 50))])
    book = "the first episode takes about 1,700 steps; to come near the best (14) takes 25 episodes without planning, 5 with 5, 3 with 50."
    header = ["planning steps", *(f"steps, episode {index}" for index in (1, 2, 3, 5, 10, 20, 50))]
    return write("8.2", "Dyna-Q in a maze", book, header, rows, curves, ["episode, from the second on", "steps"])


def figure_8_4() -> str:
    """The blocking maze: after 1,000 steps the short way is closed and a longer one opened."""
    layouts = [MazeConfig(layout=layout, wall_reward=0.0, max_steps=0) for layout in (BLOCKING_MAZE, BLOCKED_MAZE)]
    runs, curves, rows = 50, {}, []
    for label, bonus in (("Dyna-Q", 0.0), ("Dyna-Q+", 1e-4)):
        total = np.zeros(3_000)
        for run in range(runs):
            before, after = Maze(layouts[0]), Maze(layouts[1])
            config = DynaConfig(planning_steps=10, time_bonus=bonus, learning_rate=1.0, outcomes=1)
            agent = build(Dyna, config, before, run)
            reached = np.zeros(3_000)
            for step in range(3_000):
                if step == 1_000:
                    agent.envs.mdp = after.mdp
                agent.progress += agent.learn(1)
                reached[step] = sum(return_ for _, return_, _ in agent.envs.pop_episodes())
            total += reached.cumsum() / runs
        curves[label] = total
        rows.append([label, *(float(total[step - 1]) for step in (1_000, 2_000, 3_000))])
    book = "both learn the short way; when it is blocked both stand still for a while, and Dyna-Q+ finds the new way sooner and ends above."
    header = ["agent", *(f"cumulative reward, step {step:,}" for step in (1_000, 2_000, 3_000))]
    return write("8.4", "the blocking maze", book, header, rows, curves, ["step", "cumulative reward"])


FIGURES: dict[str, Callable[[], str]] = {
    name.removeprefix("figure_").replace("_", "."): function for name, function in list(globals().items()) if name.startswith("figure_")
}


def main() -> None:
    """Draw the figures asked for; all of them make textbook.md."""
    asked = sys.argv[1:] or list(FIGURES)
    unknown = set(asked) - set(FIGURES)
    if unknown:
        raise SystemExit(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    texts = [FIGURES[figure]() for figure in asked]
    if asked == list(FIGURES):
        (FOLDER / "README.md").write_text(
            "# Textbook figures\n\nWritten by `benchmarks/textbook.py`.\n\n" + "\n".join(texts), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
