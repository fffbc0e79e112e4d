"""The choice of agent, task, network and preset for a request that names only some of them."""

from __future__ import annotations

import copy
import importlib.resources
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rl_core import config, documents
from rl_core.api import AgentSpec
from rl_core.errors import RequestError, RlError
from rl_core.plugins.catalogue import Catalogue, Entry, fits, may_fit
from rl_core.plugins.containment import author_remedy


def choose(catalogue: Catalogue, name: str | None, given: Mapping[str, Any]) -> tuple[Entry | None, Entry, Entry | None]:
    """Return the entries that were named, and the task, which every choice leads to.

    Raises:
        RequestError: if nothing was named, or a name is unknown.
    """
    chosen: dict[str, Entry] = {}
    if name is not None:
        entry = catalogue.find(name)
        chosen[entry.kind] = entry
    for kind in config.SCOPES:
        if given.get(kind) is not None and kind not in chosen:
            chosen[kind] = catalogue.find(given[kind], kind)
    if not chosen:
        raise RequestError(
            "nothing was named: a run needs an agent, a network or a task", "write for example: rl-core run ppo, or see: rl-core list"
        )
    agent, task, network = chosen.get("agent"), chosen.get("task"), chosen.get("network")
    if task is None:
        leader = network if agent is None else agent
        assert leader is not None
        task = catalogue.find(leader.spec.task, "task")
        if agent is not None and agent.spec.network and network is not None and not fits(task.spec.traits, network.spec.fits):
            other = catalogue.find(network.spec.task, "task")
            if not fits(other.spec.traits, agent.spec.fits):
                raise _no_common_task(catalogue, agent, network, task)
            task = other
    if agent is None and network is not None and network.spec.agent:
        agent = catalogue.find(network.spec.agent, "agent")
    return agent, task, network


def network_for(catalogue: Catalogue, agent: Entry, task: Entry, named: Entry | None) -> Entry | None:
    """Return the network that was named, or the preset's, or the agent's default; `None` for an agent that takes none.

    Raises:
        RequestError: if one was named for an agent that takes none.
    """
    if agent.spec.network is None:
        if named is not None:
            raise RequestError(f"agent {agent.name} takes no network, but {named.name!r} was given", "leave the network out")
        return None
    return named or catalogue.find(preset(agent, task, None).get("network") or agent.spec.network, "network")


def default_agent(catalogue: Catalogue, task: Entry, traits: frozenset[str], network: Entry | None = None) -> Entry:
    """Return the first of the task's default agents that is installed and fits.

    Where a network was named, the default agent of the network's own task takes the place of an agent without networks, if it fits.

    Raises:
        RequestError: if there is none.
    """
    candidates = task.scheme.agents if task.scheme is not None else (task.spec.agent,)
    problem: RlError | None = None
    for name in filter(None, candidates):
        try:
            entry = catalogue.find(name, "agent")
        except RequestError as error:
            problem = error
            continue
        if not fits(traits, entry.spec.fits):
            continue
        if network is not None and entry.spec.network is None:
            return _agent_with(catalogue, network, traits) or entry
        return entry
    if problem is not None and len(candidates) == 1:
        raise problem
    names = _fitting(catalogue, "agent", traits)
    raise RequestError(
        f"task {task.name} has no default agent that fits it and is installed",
        f"name one: {', '.join(names[:8])}" if names else "install a package that brings one, such as rl-algos or dl-nets",
    )


def _agent_with(catalogue: Catalogue, network: Entry, traits: frozenset[str]) -> Entry | None:
    """Return the default agent of a network's own task, if it is installed, takes a network and fits."""
    try:
        name = catalogue.find(network.spec.task, "task").spec.agent
        entry = catalogue.find(name, "agent") if name else None
    except RequestError:
        return None
    return entry if entry is not None and entry.spec.network is not None and fits(traits, entry.spec.fits) else None


def require_fit(catalogue: Catalogue, entry: Entry, task: Entry, traits: frozenset[str]) -> None:
    """Check that an agent or a network can work on a task with these traits.

    Raises:
        RequestError: with the names that would fit.
    """
    if fits(traits, entry.spec.fits):
        return
    others = _fitting(catalogue, entry.kind, traits)
    families = [other.spec.example for other in catalogue.entries("scheme") if fits(other.spec.traits, entry.spec.fits)]
    tasks = [*families, *(other.name for other in catalogue.entries("task") if fits(other.spec.traits, entry.spec.fits))]
    hint = f"{entry.kind}s that fit {task.name}: {', '.join(others[:8]) or 'none is installed'}"
    hint += f"; tasks that fit {entry.name}: {', '.join(tasks[:8]) or 'none is installed'}"
    needs = " or ".join(f"({alternative})" for alternative in entry.spec.fits)
    offers = ", ".join(sorted(traits))
    raise RequestError(f"{entry.kind} {entry.name} cannot work on task {task.name}: it needs {needs}; the task offers {offers}", hint)


def _fitting(catalogue: Catalogue, kind: str, traits: frozenset[str]) -> list[str]:
    return [entry.name for entry in catalogue.entries(kind) if fits(traits, entry.spec.fits)]


def preset(agent: Entry, task: Entry, network: Entry | None) -> dict[str, Any]:
    """Return the agent's tuned settings for the task: for `task+network`, else for `task`; none where there are none.

    A task of a family `scheme:argument` is found under `scheme:*` too, one of a family within a family, such as `generate:mnist:folder`,
    under `generate:mnist:*` and then `generate:*`.

    Raises:
        RequestError: if the plugin's file of presets cannot be read.
    """
    spec: AgentSpec = agent.spec
    package, _, resource = spec.presets.partition(":")
    if not resource:
        return {}
    try:
        text = importlib.resources.files(package).joinpath(resource).read_text(encoding="utf-8")
        presets = _parsed(text) or {}
        if not isinstance(presets, dict):
            raise ValueError("expected a mapping of tasks to settings")
    except (OSError, ImportError, ValueError) as error:
        reason = "file not found" if isinstance(error, FileNotFoundError) else str(error)
        message = f"the presets of agent {agent.name} ({agent.package} {agent.version}) cannot be read: {spec.presets}: {reason}"
        raise RequestError(message, author_remedy(agent.package)) from error
    wanted = _preset_keys(task.name, task.scheme.name if task.scheme else None, network.name if network else None)
    found: Any = next((presets[key] for key in wanted if key in presets), {})
    if not isinstance(found, dict):
        raise RequestError(
            f"the presets of agent {agent.name} for {task.name} in {spec.presets} are not a mapping", author_remedy(agent.package)
        )
    return copy.deepcopy(found)


_parsed = lru_cache(maxsize=64)(documents.parse_yaml)  # a worker of a sweep resolves the same recipes again and again


def _preset_keys(task: str, scheme: str | None, network: str | None) -> list[str]:
    """Return the keys under which the settings for a task are looked up, in order.

    >>> _preset_keys("generate:mnist:folder", "generate", "mlp")[:3]
    ['generate:mnist:folder+mlp', 'gym:generate:mnist:folder+mlp', 'generate:mnist:*+mlp']
    >>> _preset_keys("gym:CartPole-v1", "gym", None)
    ['CartPole-v1', 'gym:CartPole-v1', 'gym:*']
    """
    plain = task.removeprefix("gym:")  # a Gymnasium id has two names: CartPole-v1 and gym:CartPole-v1
    names = [plain, f"gym:{plain}"]
    if scheme is not None:
        parts = task.split(":")
        names += [f"{':'.join(parts[:count])}:*" for count in range(len(parts) - 1, 1, -1)] + [f"{scheme}:*"]
    return [*(f"{name}+{network}" for name in names if network), *names]


def _no_common_task(catalogue: Catalogue, agent: Entry, network: Entry, task: Entry) -> RequestError:
    """Return the error for an agent and a network whose default tasks do not fit both."""
    both = [entry for entry in catalogue.entries("task") if fits(entry.spec.traits, agent.spec.fits)]
    names = [entry.name for entry in both if fits(entry.spec.traits, network.spec.fits)]
    families = [
        entry.spec.example
        for entry in catalogue.entries("scheme")
        if may_fit(entry.spec.traits, agent.spec.fits) and may_fit(entry.spec.traits, network.spec.fits)
    ]
    needs = " or ".join(f"({alternative})" for alternative in network.spec.fits)
    return RequestError(
        f"network {network.name} needs {needs}, which {task.name}, the default task of agent {agent.name}, does not offer",
        f"name a task that fits both with --task: {', '.join([*names, *families][:8]) or 'none is installed'}",
    )
