"""The plugin: yields the specs of every room; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator

from rl_algos.applications import specs as applications
from rl_algos.bandits import specs as bandits
from rl_algos.continuous import specs as continuous
from rl_algos.exploration import specs as exploration
from rl_algos.games import specs as games
from rl_algos.hierarchy import specs as hierarchy
from rl_algos.latent_models import specs as latent_models
from rl_algos.meta import specs as meta
from rl_algos.model_based import specs as model_based
from rl_algos.offline import specs as offline
from rl_algos.on_policy import specs as on_policy
from rl_algos.people import specs as people
from rl_algos.planning import specs as planning
from rl_algos.players import specs as players
from rl_algos.q_learning import specs as q_learning
from rl_algos.robust import specs as robust
from rl_algos.safety import specs as safety
from rl_algos.search import specs as search
from rl_algos.self_play import specs as self_play
from rl_algos.tabular import specs as tabular
from rl_algos.tasks import specs as tasks
from rl_algos.tree_search import specs as tree_search
from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2
RL_TOOLS = {
    "estimate": "rl_algos.offline.estimate:estimate",
    "explain": "rl_algos.explanation.explain:explain",
    "explainable": "rl_algos.explanation.explain:explainable",
}

AGENTS = (
    applications,
    bandits,
    continuous,
    exploration,
    hierarchy,
    latent_models,
    meta,
    model_based,
    offline,
    on_policy,
    people,
    planning,
    players,
    q_learning,
    robust,
    safety,
    search,
    self_play,
    tabular,
    tree_search,
)
TASKS = (applications, exploration, games, hierarchy, meta, offline, players, robust, safety, tasks)
SCHEMES = (players, robust, tasks)


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Yield the agents of every room."""
    for room in AGENTS:
        yield from room.agents()


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks of every room."""
    for room in TASKS:
        yield from room.tasks()


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    for room in SCHEMES:
        yield from room.schemes()
