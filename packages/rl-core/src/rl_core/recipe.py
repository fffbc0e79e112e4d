"""From what a user asked for to a recipe in which nothing is left open.

Settings come from five places, each overruling the one before: the class's defaults, the catalogue entry's, the
agent's preset for the task, the recipe file, the command line.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import yaml

from rl_core import config
from rl_core.api import AgentSpec, TaskSpec
from rl_core.catalogue import Catalogue, Entry, fits
from rl_core.errors import RequestError, RlError, nearest

if TYPE_CHECKING:
    from rl_core.network import Network
    from rl_core.task import Task


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on; `recipe.yaml` in words. A field that is `None` in a request is filled in by `resolve`."""

    agent: str | None = None  # name of the agent
    task: str | None = None  # name of the task
    network: str | None = None  # name of the network; null for an agent that takes none
    seed: int = 0  # seed of every random stream, >= 0
    budget: int | None = None  # how much to learn, in the agent's unit, >= 1
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where tensors live; auto takes a GPU where there is one
    threads: int = 1  # threads of the linear algebra, >= 1; part of the recipe because sums depend on it
    checkpoint_every: int | None = None  # distance of checkpoints in the agent's unit, >= 1; null: every 30 seconds
    config: Mapping[str, Any] = field(default_factory=dict)  # the agent's config fields
    network_config: Mapping[str, Any] = field(default_factory=dict)  # the network's config fields
    task_config: Mapping[str, Any] = field(default_factory=dict)  # the task's config fields

    def to_yaml(self) -> str:
        """The text of `recipe.yaml`."""
        return yaml.safe_dump(_plain(asdict(self)), sort_keys=False, allow_unicode=True, width=120)


@dataclass(frozen=True)
class Resolved:
    """A recipe with the components that it names: the task is built, the agent is ready to be."""

    recipe: Recipe
    agent: Entry
    task: Entry
    network: Entry | None
    built_task: Task
    built_network: Network | None
    agent_class: type
    agent_config: Any

    def entries(self) -> list[Entry]:
        """The entries involved."""
        return [entry for entry in (self.agent, self.task, self.network) if entry is not None]


def read(path: Path) -> dict[str, Any]:
    """The fields that a recipe file gives, each of its right type.

    Raises:
        RequestError: naming the file, the key, what was expected, and the nearest key.
    """
    data = config.read_file(path)
    hints = get_type_hints(Recipe)
    known = [entry.name for entry in fields(Recipe)]
    where = f"recipe file {path.name!r}"
    values = {}
    for key, value in data.items():
        if key not in known:
            close = nearest(key, known, 1)
            raise RequestError(
                f"unknown key {key!r} in {where}", f"did you mean {close[0]!r}?" if close else f"its keys are: {', '.join(known)}"
            )
        values[key] = config.convert(value, hints[key], key, where)
        if key.endswith("config") and not all(isinstance(name, str) for name in values[key]):
            raise RequestError(f"{key!r} of {where} has a key that is no text", "config fields are names: values")
    return values


def resolve(
    catalogue: Catalogue,
    name: str | None = None,
    *,
    file: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    **options: Any,
) -> Resolved:
    """Everything filled in, checked, and the task built.

    Args:
        catalogue: What is installed.
        name: An agent, a network or a task: the rest takes its defaults.
        file: Fields from `read`.
        overrides: Texts of `--set`.
        options: Fields of `Recipe` from the command line; `None` means not given.

    Raises:
        RequestError: for names that are unknown or do not fit together, and for configs that are wrong.
    """
    file = dict(file or {})
    given = {**file, **{key: value for key, value in options.items() if value is not None}}
    sets = config.parse_overrides(overrides)
    agent, task, network = _choose(catalogue, name, given)
    task_config = {**task.spec.config, **file.get("task_config", {}), **sets["task"]}
    built_task = _build_task(task, task_config)
    if agent is None:
        agent = _default_agent(catalogue, task, built_task.traits())
    traits = built_task.traits()
    _require_fit(catalogue, agent, task, traits)
    preset = _preset(agent, task, network)
    agent_spec = _agent_spec(agent)
    if network is None and agent_spec.network is not None:
        network = catalogue.find(preset.get("network") or agent_spec.network, "network")
    if network is not None and agent_spec.network is None:
        raise RequestError(f"agent {agent.spec.name} takes no network, but {network.spec.name!r} was given", "leave the network out")
    if network is not None:
        _require_fit(catalogue, network, task, traits)
    if sets["network"] and network is None:
        raise RequestError(f"agent {agent.spec.name} takes no network, but a field of one was set", "leave out --set network.…")
    preset = _preset(agent, task, network)
    agent_class = agent.load()
    agent_config = config.build(
        agent_class.Config,
        {**agent.spec.config, **preset.get("config", {}), **file.get("config", {}), **sets["agent"]},
        where=f"agent {agent.spec.name}",
    )
    network_config: dict[str, Any] = {}
    built_network = None
    if network is not None:
        tuned = preset.get("network_config", {}) if preset.get("network", agent_spec.network) == network.spec.name else {}
        network_class = network.load()
        built = config.build(
            network_class.Config,
            {**network.spec.config, **tuned, **file.get("network_config", {}), **sets["network"]},
            where=f"network {network.spec.name}",
        )
        network_config, built_network = config.to_plain(built), network_class(built)
    recipe = Recipe(
        agent=_short(catalogue, agent),
        task=_short(catalogue, task),
        network=_short(catalogue, network) if network else None,
        budget=given.get("budget") or preset.get("budget") or agent_spec.budget,
        config=config.to_plain(agent_config),
        network_config=network_config,
        task_config=config.to_plain(built_task.config),
        **{key: given[key] for key in ("seed", "device", "threads", "checkpoint_every") if key in given},
    )
    _check_ranges(recipe)
    return Resolved(recipe, agent, task, network, built_task, built_network, agent_class, agent_config)


def _choose(catalogue: Catalogue, name: str | None, given: Mapping[str, Any]) -> tuple[Entry | None, Entry, Entry | None]:
    """The entries that were named, and the task, which every choice leads to."""
    chosen: dict[str, Entry] = {}
    if name is not None:
        entry = catalogue.find(name)
        kind = "task" if entry.kind == "scheme" else entry.kind
        if kind not in config.SCOPES:
            raise RequestError(f"{name!r} is a {kind}; a run needs an agent, a network or a task", "see: rl-core list")
        chosen[kind] = entry
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
        if agent is not None and network is not None and not fits(task.spec.traits, network.spec.fits):
            task = catalogue.find(network.spec.task, "task")
    if agent is None and network is not None and network.spec.agent:
        agent = catalogue.find(network.spec.agent, "agent")
    return agent, task, network


def build_task(catalogue: Catalogue, name: str) -> Task:
    """The task of that name with its default config."""
    task = catalogue.find(name, "task")
    return _build_task(task, task.spec.config)


def _build_task(task: Entry, values: Mapping[str, Any]) -> Task:
    task_class = task.load()
    built = config.build(task_class.Config, values, where=f"task {task.spec.name}")
    try:
        return task_class(built)
    except RlError:
        raise
    except (ValueError, OSError) as error:
        raise RequestError(
            f"task {task.spec.name} cannot be built: {error}", "mend what it names, or see: rl-core list --kind task"
        ) from error


def _default_agent(catalogue: Catalogue, task: Entry, traits: frozenset[str]) -> Entry:
    candidates = [task.spec.agent] if isinstance(task.spec, TaskSpec) and task.spec.agent else list(getattr(task.spec, "agents", ()))
    problem: RlError | None = None
    for name in candidates:
        try:
            entry = catalogue.find(name, "agent")
        except RequestError as error:
            problem = error
            continue
        if fits(traits, _agent_spec(entry).fits):
            return entry
    if problem is not None and len(candidates) == 1:
        raise problem
    names = _fitting(catalogue, "agent", traits)
    raise RequestError(
        f"task {task.spec.name} has no default agent that fits it and is installed",
        f"name one: {', '.join(names[:8])}" if names else "install a package that brings one, such as rl-algos or dl-nets",
    )


def _require_fit(catalogue: Catalogue, entry: Entry, task: Entry, traits: frozenset[str]) -> None:
    if fits(traits, entry.spec.fits):
        return
    others = _fitting(catalogue, entry.kind, traits)
    tasks = [other.spec.name for other in catalogue.entries("task") if fits(other.spec.traits, entry.spec.fits)]
    hint = f"{entry.kind}s that fit {task.spec.name}: {', '.join(others[:8]) or 'none is installed'}"
    hint += f"; tasks that fit {entry.spec.name}: {', '.join(tasks[:8]) or 'none is installed'}"
    needs = " or ".join(f"({alternative})" for alternative in entry.spec.fits)
    offers = ", ".join(sorted(traits))
    raise RequestError(
        f"{entry.kind} {entry.spec.name} cannot work on task {task.spec.name}: it needs {needs}; the task offers {offers}", hint
    )


def _fitting(catalogue: Catalogue, kind: str, traits: frozenset[str]) -> list[str]:
    return [entry.spec.name for entry in catalogue.entries(kind) if fits(traits, entry.spec.fits)]


def _preset(agent: Entry, task: Entry, network: Entry | None) -> dict[str, Any]:
    """The agent's tuned settings for the task: those for `task+network` before those for `task` alone."""
    package, _, resource = _agent_spec(agent).presets.partition(":")
    if not resource:
        return {}
    name = task.spec.name.removeprefix("gym:")
    presets = yaml.safe_load(importlib.resources.files(package).joinpath(resource).read_text(encoding="utf-8")) or {}
    if network is not None and f"{name}+{network.spec.name}" in presets:
        return presets[f"{name}+{network.spec.name}"]
    return presets.get(name, {})


def _agent_spec(entry: Entry) -> AgentSpec:
    assert isinstance(entry.spec, AgentSpec)
    return entry.spec


def _short(catalogue: Catalogue, entry: Entry) -> str:
    """The bare name, or `package/name` where the bare one is ambiguous."""
    same = [other for other in catalogue.entries(entry.kind) if other.spec.name == entry.spec.name]
    return entry.qualified if len(same) > 1 else entry.spec.name


def _check_ranges(recipe: Recipe) -> None:
    for name, least in (("seed", 0), ("budget", 1), ("threads", 1), ("checkpoint_every", 1)):
        value = getattr(recipe, name)
        if value is not None and value < least:
            raise RequestError(f"{name} is {value}", f"{name} must be at least {least}")
    if recipe.seed >= 2**63:
        raise RequestError(f"seed is {recipe.seed}", "seed must be less than 2**63")


def _plain(value: Any) -> Any:
    """Tuples as lists, mappings as dicts: what YAML's safe dumper takes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
