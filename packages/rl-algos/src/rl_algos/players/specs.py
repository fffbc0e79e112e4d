"""Specs of games in normal form, of teams, and of the agents that learn them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield _learner(
        "fictitious-play",
        "Fictitious play: the best answer to what the other player did so far",
        "Brown. Iterative solution of games by fictitious play, 1951",
        rule="fictitious-play",
    )
    yield _values(
        "hysteretic-q",
        "Q-learning of each player of a team, whose values rise faster than they fall",
        "Matignon, Laurent, Le Fort-Piat. Hysteretic Q-learning, 2007",
        mixing="none",
        hysteresis=0.1,
    )
    yield _values(
        "independent-q",
        "Q-learning of each player of a team, for which the others are part of the world",
        "Tan. Multi-agent reinforcement learning: independent vs. cooperative agents, 1993",
        mixing="none",
    )
    yield AgentSpec(
        name="mappo",
        target="rl_algos.players.mappo:MAPPO",
        summary="PPO for all players of a team, with a critic that sees what all of them see",
        reference="Yu and others. The surprising effectiveness of PPO in cooperative multi-agent games, 2022",
        fits=("control players",),
        unit="environment steps",
        task="pursuit",
        network="mlp",
        budget=200_000,
        presets="rl_algos:players/presets/mappo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 4, "num_epochs": 1, "batch_size": 8},
        tags=("on-policy", "policy gradient", "several players", "team"),
    )
    yield _values(
        "qmix",
        "Q-learning of a team whose value is a monotonic mixture of its players' values",
        "Rashid and others. QMIX: monotonic value function factorisation, 2018",
    )
    yield _learner(
        "regret-matching",
        "Regret matching: actions in proportion to how much they are missed",
        "Hart, Mas-Colell. A simple adaptive procedure leading to correlated equilibrium, 2000",
    )


def _values(name: str, summary: str, reference: str, **config: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="rl_algos.players.qmix:QMIX",
        summary=summary,
        reference=reference,
        fits=("control players",),
        unit="environment steps",
        task="pursuit",
        network="mlp",
        budget=200_000,
        config=config,
        presets=f"rl_algos:players/presets/{'hysteretic-q' if name == 'hysteretic-q' else 'qmix'}.yaml",
        tiny={
            **{"num_envs": 2, "rollout_steps": 4, "num_updates": 2, "learning_starts": 4, "buffer_size": 32, "batch_size": 4},
            **{"target_steps": 8, "mixing_units": 4},
        },
        tags=("off-policy", "value-based", "replay", "several players", "team"),
    )


def _learner(name: str, summary: str, reference: str, **config: Any) -> AgentSpec:
    return AgentSpec(
        name=name,
        target="rl_algos.players.regret:Regret",
        summary=summary,
        reference=reference,
        fits=("control discrete-input discrete-output matrix-game",),
        unit="rounds",
        task="matrix-game",
        budget=10_000,
        config=config,
        tiny={"rounds_per_step": 3},
        tags=("several players", "games", "self-play"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks, by name."""
    yield _team_game("climbing", "A game of one payoff whose best joint action is surrounded by penalties", COORDINATION)
    yield TaskSpec(
        name="matrix-game",
        target="rl_algos.players.matrix_game:MatrixGame",
        summary="A zero-sum game in normal form, its equilibrium known",
        reference="von Neumann. Zur Theorie der Gesellschaftsspiele, 1928",
        traits=("control", "discrete-input", "discrete-output", "matrix-game"),
        agent="regret-matching",
        tags=("games", "two players"),
    )
    yield _team_game("penalty", "A game of one payoff with two best joint actions, and a penalty between them", COORDINATION)
    yield TaskSpec(
        name="pursuit",
        target="rl_algos.players.pursuit:Pursuit",
        summary="Hunters on a grid, who see a part of it and catch a prey together",
        reference="Tan. Multi-agent reinforcement learning: independent vs. cooperative agents, 1993",
        traits=TEAM,
        extras=("rewards",),
        agent="mappo",
        tiny={"time_limit": 10},
        tags=("several players", "team", "grid world"),
    )
    yield _team_game("two-step", "A game of one payoff in which a sum of values chooses the wrong branch", QMIX)


COORDINATION = "Claus, Boutilier. The dynamics of reinforcement learning in cooperative multiagent systems, 1998"
QMIX = "Rashid and others. QMIX: monotonic value function factorisation, 2018"
TEAM = ("control", "players", "array-input", "token-output", "rewards")


def _team_game(game: str, summary: str, reference: str) -> TaskSpec:
    return TaskSpec(
        name=f"{game}-game",
        target="rl_algos.players.team_games:TeamGameTask",
        summary=summary,
        reference=reference,
        config={"game": game},
        traits=TEAM,
        extras=("rewards",),
        agent="qmix",
        tags=("several players", "team", "games"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    yield TaskSchemeSpec(
        name="pettingzoo",
        target="rl_algos.players.pettingzoo:PettingZoo",
        summary="An environment of PettingZoo, by its module: turns or simultaneous moves",
        reference="Terry and others. PettingZoo: gym for multi-agent reinforcement learning, 2021",
        requires=("pettingzoo", "pygame"),
        extra="rl-algos[pettingzoo]",
        argument="module",
        example="pettingzoo:classic.rps_v2",
        traits=("control", "players", "array-input", "token-output", "rewards"),
        agents=("mappo",),
        tags=("several players",),
    )
