"""Components that are given as objects in this process: classes, instances, specs, and Gymnasium environments."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium

from rl_core import config
from rl_core.agent import Agent
from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec
from rl_core.errors import RequestError
from rl_core.gym_envs import name_of
from rl_core.gym_task import GymConfig, GymTask
from rl_core.network import Network
from rl_core.plugins.catalogue import IN_PROCESS, Entry, Kind
from rl_core.plugins.spec_problems import problem_of
from rl_core.task import Task

ANY_TASK = ("",)  # `fits` of a component that does not say what it needs
_SPECS: dict[Kind, type[Any]] = {"agent": AgentSpec, "network": NetworkSpec, "task": TaskSpec, "scheme": TaskSchemeSpec}
_CLASSES: dict[Kind, type] = {"agent": Agent, "network": Network, "task": Task}
_GYM = TaskSchemeSpec(
    name="gym",
    target="rl_core.gym_task:GymTask",
    summary="An environment given in this process",
    argument="id",
    example="gym:CartPole-v1",
    traits=("control",),
    agents=("ppo", "dqn", "q-learning"),
)


def entry_of(component: Any, kind: Kind | None = None) -> Entry:
    """Return a catalogue entry for a component that is given as an object.

    Args:
        component: A spec; a subclass of `Agent`, `Network` or `Task`, or an instance of the last two; a Gymnasium environment, or a
            function without arguments that builds one.
        kind: "agent", "network" or "task"; `None` leaves that to the object.

    Raises:
        RequestError: if the object is of another kind, or is a spec with a mistake.
    """
    for name, spec_class in _SPECS.items():
        if isinstance(component, spec_class) and kind in (name, None):
            problem = problem_of(component, spec_class)
            if problem:
                raise RequestError(f"the {spec_class.__name__} cannot be used: {problem}", "see rl_core.api for the fields of a spec")
            return Entry(name, component, IN_PROCESS, "")
    for name, base in _CLASSES.items():
        if kind not in (name, None):
            continue
        if isinstance(component, type) and issubclass(component, base):
            return _of_class(name, component)
        if isinstance(component, base) and name != "agent":
            return _of_instance(name, component)
    if kind in ("task", None) and (isinstance(component, gymnasium.Env) or callable(component)):
        return _of_environment(component)
    wanted = {
        "agent": "a name, a subclass of rl_core.agent.Agent, or an AgentSpec",
        "network": "a name, a subclass of rl_core.network.Network or an instance of one, or a NetworkSpec",
        "task": "a name, a Task, a Gymnasium environment, or a function that builds one",
        None: "a spec, a class of rl_core, or a Gymnasium environment",
    }
    raise RequestError(f"the {kind or 'component'} is of type {type(component).__name__}", f"give {wanted[kind]}")


def _of_class(kind: Kind, found: type[Any]) -> Entry:
    if not hasattr(found, "Config"):
        raise RequestError(f"{kind} {found.__name__} has no Config", "name a frozen dataclass of its settings as the class's Config")
    return Entry(kind, _spec(kind, found), IN_PROCESS, "", component=found)


def _of_instance(kind: Kind, instance: Any) -> Entry:
    """Return an entry that is built as the instance itself, unless settings change its config."""
    found = type(instance)
    settings = config.to_plain(instance.config)

    def make(wanted: Any) -> Any:
        return instance if wanted == instance.config else found(wanted)

    spec = _spec(kind, found, config=settings, **({"traits": tuple(sorted(instance.traits()))} if kind == "task" else {}))
    return Entry(kind, spec, IN_PROCESS, "", component=found, make=make)


def _of_environment(given: gymnasium.Env | Callable[[], gymnasium.Env]) -> Entry:
    """Return an entry of a task on an environment of one's own."""
    factory = _copies_of(given) if isinstance(given, gymnasium.Env) else given
    try:
        env = factory()
    except Exception as error:
        message = f"{getattr(given, '__name__', given)!r}() raised {type(error).__name__}: {error}"
        raise RequestError(message, "give a function without arguments that returns a Gymnasium environment") from error
    if not isinstance(env, gymnasium.Env):
        raise RequestError(
            f"{getattr(given, '__name__', given)!r}() returned {type(env).__name__}, expected a gymnasium.Env",
            "give a function without arguments that returns a Gymnasium environment",
        )
    name = name_of(env)
    if factory is given:
        env.close()
    return Entry(
        "task",
        TaskSpec(name=f"gym:{name}", target=_GYM.target, summary=_GYM.summary, config={"id": name}, traits=_GYM.traits, agent=""),
        IN_PROCESS,
        "",
        scheme=_GYM,
        component=GymTask,
        make=lambda settings: _built(settings, factory),
    )


def _built(settings: GymConfig, factory: Callable[[], gymnasium.Env]) -> GymTask:
    if settings.options:
        raise RequestError(
            f"task.options is {dict(settings.options)}, but the environment was given as an object", "build it with these options instead"
        )
    return GymTask(settings, make=factory)


def _copies_of(env: gymnasium.Env) -> Callable[[], gymnasium.Env]:
    """Return a function that returns copies of an environment, so that several can be stepped and each may be closed."""

    def copied() -> gymnasium.Env:
        try:
            return copy.deepcopy(env)
        except Exception as error:
            raise RequestError(
                f"environment {name_of(env)} was given as an object and cannot be copied: {type(error).__name__}: {error}",
                f"give a function that builds it instead: task=lambda: {type(env.unwrapped).__name__}(...)",
            ) from error

    return copied


def _spec(kind: Kind, found: type[Any], **fields: Any) -> Any:
    lines = (found.__doc__ or "").strip().splitlines()
    common: dict[str, Any] = {
        "name": found.__name__,
        "target": f"{found.__module__}:{found.__qualname__}",
        "summary": lines[0][:80] if lines else "-",
    }
    if kind == "agent":
        unit = getattr(found, "unit", "environment steps")
        return AgentSpec(**common, fits=getattr(found, "fits", ANY_TASK), unit=unit, budget=0, task="", **fields)
    if kind == "network":
        return NetworkSpec(**common, fits=getattr(found, "fits", ANY_TASK), task="", **fields)
    return TaskSpec(**common, agent="", **({"traits": ()} | fields))
