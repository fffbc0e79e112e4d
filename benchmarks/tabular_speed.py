"""Speed of tabular learners and planners beside plain loops, quantecon and mdptoolbox; writes tabular_speed.md.

    python benchmarks/tabular_speed.py              # everything, some five minutes
    python benchmarks/tabular_speed.py --skip-grid  # without the grid of a million states

Learners: environment steps per second of a learner's compiled loop, after a warm-up, and of a plain loop over Gymnasium's own
environment with the same updates, in turn; the ratio is the median over pairs. Planners: seconds to solve a garnet of 10,000 states to
1e-6, in turn, everything included that the library does with given matrices.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import gymnasium
import numpy as np

from rl_algos.planning.policy_iteration import PolicyIteration, PolicyIterationConfig
from rl_algos.planning.value_iteration import ValueIteration, ValueIterationConfig
from rl_algos.tabular.monte_carlo import MonteCarlo, MonteCarloConfig
from rl_algos.tabular.td_control import TDControl, TDControlConfig
from rl_algos.tasks.classic import Garnet, GarnetConfig
from rl_algos.tasks.grids import GridRobot, GridRobotConfig
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_core.seeds import Seeds

PLAIN_STEPS, COMPILED_STEPS, PAIRS = 30_000, 2_000_000, 7


def choose(values: np.ndarray, rng: np.random.Generator) -> int:
    """An epsilon-greedy action, ties at random, as a user would write it."""
    if rng.random() < 0.1:
        return int(rng.integers(len(values)))
    best = np.flatnonzero(values == values.max())
    return int(best[0]) if len(best) == 1 else int(rng.choice(best))


def plain_td(id: str, sarsa: bool) -> float:
    """Steps per second of a plain loop of Q-learning or Sarsa over Gymnasium's environment."""
    env, rng = gymnasium.make(id), np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    obs, _ = env.reset(seed=0)
    action = choose(q[obs], rng)
    began = time.perf_counter()
    for _ in range(PLAIN_STEPS):
        if not sarsa:
            action = choose(q[obs], rng)
        next_obs, reward, terminated, truncated, _ = env.step(action)
        next_action = choose(q[next_obs], rng) if sarsa else -1
        following = q[next_obs, next_action] if sarsa else q[next_obs].max()
        q[obs, action] += 0.1 * (reward + 0.99 * (not terminated) * following - q[obs, action])
        obs, action = next_obs, next_action
        if terminated or truncated:
            obs, _ = env.reset()
            action = choose(q[obs], rng)
    return PLAIN_STEPS / (time.perf_counter() - began)


def plain_mc(id: str) -> float:
    """Steps per second of a plain loop of first-visit Monte Carlo control over Gymnasium's environment."""
    env, rng, taken = gymnasium.make(id), np.random.default_rng(0), 0
    q, visits = (np.zeros((env.observation_space.n, env.action_space.n)) for _ in range(2))
    began = time.perf_counter()
    while taken < PLAIN_STEPS:
        (obs, _), over, episode = env.reset(), False, []
        while not over:
            action = choose(q[obs], rng)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            episode.append((obs, action, reward))
            obs, over = next_obs, terminated or truncated
        taken += len(episode)
        return_ = 0.0 if terminated else float(q[obs].max())
        for index in range(len(episode) - 1, -1, -1):
            state, action, reward = episode[index]
            return_ = reward + 0.99 * return_
            if all(earlier[:2] != (state, action) for earlier in episode[:index]):
                visits[state, action] += 1
                q[state, action] += (return_ - q[state, action]) / visits[state, action]
    return taken / (time.perf_counter() - began)


def compiled(make: Callable[[int], TDControl | MonteCarlo]) -> float:
    """Steps per second of a learner, `step` after `step`."""
    agent = make(COMPILED_STEPS)
    began = time.perf_counter()
    while agent.progress < agent.budget:
        agent.step()
    return agent.progress / (time.perf_counter() - began)


def learners() -> list[str]:
    """The table of learners."""
    lines = ["| learner | task | plain steps/s | compiled steps/s | ratio | asked for |", "|---|---|---:|---:|---:|---:|"]
    for id in ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1"):
        task = ToyText(ToyTextConfig(id=id))
        for name, plain, agent_class, config in (
            ("q-learning", lambda id=id: plain_td(id, False), TDControl, TDControlConfig(steps_per_iteration=100_000)),
            ("sarsa", lambda id=id: plain_td(id, True), TDControl, TDControlConfig(steps_per_iteration=100_000, target="sarsa")),
            ("mc-control", lambda id=id: plain_mc(id), MonteCarlo, MonteCarloConfig(steps_per_iteration=100_000)),
        ):
            if name == "mc-control" and id != "FrozenLake-v1":
                continue

            def make(budget: int, agent_class=agent_class, config=config, task=task) -> TDControl | MonteCarlo:
                return agent_class(config, task, None, seeds=Seeds(0), budget=budget)

            make(1_000).step()
            pairs = [(plain(), compiled(make)) for _ in range(PAIRS)]
            slow, fast = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(quick / loop for loop, quick in pairs)
            lines.append(f"| {name} | {id} | {slow:,.0f} | {fast:,.0f} | {ratio:.0f} | 100 |")
            print(lines[-1], flush=True)
    return lines


def seconds_of(solve: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """How long it took, and the values."""
    began = time.perf_counter()
    values = solve()
    return time.perf_counter() - began, values


def planners() -> list[str]:
    """The table of planners on a garnet of 10,000 states."""
    import mdptoolbox.mdp
    import quantecon.markov

    task = Garnet(GarnetConfig(num_states=10_000, num_actions=4, branches=5, discount=0.95))
    mdp = task.mdp
    pairs = np.arange(mdp.num_states * mdp.num_actions)
    by_action = [mdp.continuation[action :: mdp.num_actions] for action in range(mdp.num_actions)]

    def ours(agent_class: type, config: object) -> Callable[[], np.ndarray]:
        def solve() -> np.ndarray:
            agent = agent_class(config, task, None, seeds=Seeds(0), budget=100_000)
            while not agent.finished:
                agent.step()
            return agent.values

        return solve

    def of_quantecon(method: str) -> Callable[[], np.ndarray]:
        from scipy import sparse

        transition = sparse.csr_matrix(mdp.continuation)

        def solve() -> np.ndarray:
            process = quantecon.markov.DiscreteDP(
                mdp.expected_reward.ravel(), transition, mdp.discount, pairs // mdp.num_actions, pairs % mdp.num_actions
            )
            # its bound on the error is epsilon / 2
            return process.solve(method=method, epsilon=2e-6, max_iter=100_000).v

        return solve

    alone: list[float] = []  # seconds of mdptoolbox's sweeps, without its preparations

    def of_mdptoolbox() -> np.ndarray:
        from scipy import sparse

        matrices = [sparse.csr_matrix(matrix) for matrix in by_action]
        solver = mdptoolbox.mdp.ValueIteration(matrices, mdp.expected_reward, mdp.discount, epsilon=1e-6)
        began = time.perf_counter()
        solver.run()
        alone.append(time.perf_counter() - began)
        return np.array(solver.V)

    value_iteration = ours(ValueIteration, ValueIterationConfig(tolerance=1e-6))
    rivals = {
        "quantecon, value iteration": (of_quantecon("value_iteration"), value_iteration, "1"),
        "quantecon, modified policy iteration": (
            of_quantecon("modified_policy_iteration"),
            ours(PolicyIteration, PolicyIterationConfig(evaluation="partial", tolerance=1e-6)),
            "1",
        ),
        "mdptoolbox, value iteration": (of_mdptoolbox, value_iteration, "20"),
    }
    lines = ["| other side | its seconds | our seconds | ratio | asked for | largest difference |", "|---|---:|---:|---:|---:|---:|"]
    exact = ours(PolicyIteration, PolicyIterationConfig(evaluation="partial", tolerance=1e-10))()
    for name, (theirs, mine, wanted) in rivals.items():
        mine()
        if not name.startswith("mdptoolbox"):
            theirs()
        times = []
        for _ in range(1 if name.startswith("mdptoolbox") else 5):
            (slow, values), (fast, found) = seconds_of(theirs), seconds_of(mine)
            times.append((slow, fast))
        their_error, our_error = np.abs(values - exact).max(), np.abs(found - exact).max()
        slow, fast = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(theirs_ / ours_ for theirs_, ours_ in times)
        lines.append(f"| {name} | {slow:.3f} | {fast:.3f} | {ratio:.1f} | {wanted} | theirs {their_error:.1e}, ours {our_error:.1e} |")
        print(lines[-1], flush=True)
    note = (
        f"mdptoolbox's sweeps alone took {statistics.median(alone):.3f} s; the rest it spends on checks and on a bound of the number of "
        "sweeps. It stops when the span of the changes is small: its policy is then good, its values are short by a constant."
    )
    return [*lines, "", note]


def grid() -> list[str]:
    """A grid of a million states."""
    began = time.perf_counter()
    task = GridRobot(GridRobotConfig(layout="", height=1_000, width=1_000, obstacles=0.1, discount=0.9))
    agent = ValueIteration(ValueIterationConfig(tolerance=1e-6), task, None, seeds=Seeds(0), budget=100_000)
    built = time.perf_counter() - began
    while not agent.finished:
        agent.step()
    total = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    line = (
        f"grid-robot of 1,000 x 1,000 cells, discount 0.9: {agent.progress} sweeps, error at most {agent.error_bound:.1e}, "
        f"{total:.1f} s ({built:.1f} s of them to build the process), {peak:.2f} GiB at most; asked for: 60 s and 4 GB."
    )
    print(line, flush=True)
    return [line]


def main() -> None:
    """Measure all and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--skip-grid", action="store_true")
    options = parser.parse_args()
    lines = [] if options.skip_grid else grid()  # first, so that the peak of memory is its own
    page = [
        "# Speed of tables",
        "",
        "Written by `benchmarks/tabular_speed.py`.",
        f"{platform.machine()}, Python {platform.python_version()}, numba {version('numba')}, gymnasium {version('gymnasium')}, "
        f"quantecon {version('quantecon')}, pymdptoolbox {version('pymdptoolbox')}.",
        "",
        "## Learners",
        "",
        *learners(),
        "",
        "## Value iteration, garnet of 10,000 states, 4 actions, 5 branches, discount 0.95, to 1e-6",
        "",
        *planners(),
        "",
        "## A million states",
        "",
        *(f"- {line}" for line in lines),
    ]
    (Path(__file__).parent / "tabular_speed.md").write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
