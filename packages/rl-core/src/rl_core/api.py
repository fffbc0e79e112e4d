"""The plugin API: specs, hook markers and the API version.

This module is all that a `_plugin.py` needs to import. It takes a few milliseconds: the standard library and pluggy.

A plugin is a distribution with one entry point in the group `rl_core.plugins` that names a module. That module
states `RL_API = 2` and implements some of the hooks of `rl_core.plugins.hookspecs`, each returning specs:

    from rl_core.api import AgentSpec, hookimpl

    RL_API = 2

    @hookimpl
    def rl_agents():
        yield AgentSpec(name="guess", target="my_package.guess:Guess", summary="Guesses at random",
                        fits=("control discrete-output",), unit="environment steps", task="CartPole-v1", budget=1000)

A spec is data: names, sentences and import strings. It never holds a class, so that listing imports nothing heavy.

**Traits.** Whether two components can work together is decided on *traits*, words that a task offers:

| group | traits |
|---|---|
| kind | `control` (environments), `mdp` (also shows its model), `data` (splits of examples), `offline` (transitions), `corpus`, `family` |
| more of a control task | `dynamics` (shows its transition function, `rl_core.task.DynamicsTask`) |
| inputs | `vector-input`, `image-input` (H, W, C), `array-input`, `discrete-input`, `token-input` (ids, [T]) |
| | `text-input`, `dict-input` (parts by name), `ragged-input` (rows of unlike length) |
| outputs | `discrete-output`, `continuous-output`, `binary-output`, `image-output`, `map-output`, `token-output` |
| | `ragged-output`, `text-output`, `boxes-output`, `instances-output`, `dict-output`; see `rl_core.traits` |
| extras | `cost`, `legal`, `goal`: arrays that transitions carry besides |
| more of offline data | `expert` (its method `expert()` returns a policy that answers about any observation) |

A plugin may invent further traits. `fits` of an agent or a network is a tuple of alternatives; each is a string of
traits, and a task fits when it offers every trait of at least one alternative.

**Changes of the API.** Version 2: an agent builds itself in `setup()`, not in `__init__`, and lists what changes while it learns in
`state_fields`; a config is a `rl_core.config.configclass` with ranges and help in `Annotated`; inputs and targets are batches of
`rl_core.batches`; a data task may stream its metrics through `judge()`; transitions may carry declared `extras`; a network says by
`own_loss` that its modules bring their loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, FrozenInstanceError, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, dataclass_transform

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "rl_core"
GROUP = "rl_core.plugins"
API = 2  # rises when the contract grows or changes
API_MIN = 2  # rises only when older plugins would break


class RunView(Protocol):
    """A run as the run hooks see it; `rl_core.runs.run.Run` has more."""

    folder: Path
    warnings: list[str]

    @property
    def recipe(self) -> Any:
        """Everything that the run depends on, a `rl_core.runs.recipe.Recipe`."""

    @property
    def agent(self) -> Any:
        """The live agent, with `progress` and `headline`."""

    @property
    def spec(self) -> AgentSpec:
        """The agent's spec, which names the unit of progress."""

    @property
    def package(self) -> str:
        """The package of the agent."""

    @property
    def budget(self) -> int:
        """The amount to learn, in the agent's unit."""


hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


S = TypeVar("S", bound="Spec")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def specclass(cls: type[S]) -> type[S]:
    """Make a frozen dataclass that has the methods of `Spec`: compiling them anew for each class was a twentieth of `rl-core list`."""
    return dataclass(init=False, repr=False, eq=False)(cls)


@specclass
class Spec:
    """The description of one component: what `rl-core list` and `show` print.

    Attributes:
        name: What the user types: letters, digits and `._-`, starting with a letter or digit; unique within its kind.
        target: Import string `"package.module:Class"`, imported only when the component is used.
        summary: One line, at most 80 characters.
        reference: The source: authors, title, year.
        requires: Top-level modules that must be importable; probed without importing them.
        extra: What to install when `requires` is not met, as pip would take it: `"rl-algos[box2d]"`.
        config: Config fields whose default in this entry differs from the class's (`double-dqn` is `dqn` with one changed).
        tags: Words to search by.
    """

    name: str
    target: str
    summary: str
    reference: str = ""
    requires: tuple[str, ...] = ()
    extra: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    def __init__(self, **given: Any) -> None:
        unknown = given.keys() - self.__dataclass_fields__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field named {', '.join(sorted(unknown))}")
        for name, declared in self.__dataclass_fields__.items():
            if name in given:
                self.__dict__[name] = given[name]
            elif declared.default is not MISSING:
                self.__dict__[name] = declared.default
            elif declared.default_factory is not MISSING:
                self.__dict__[name] = declared.default_factory()
            else:
                raise TypeError(f"{type(self).__name__} needs {name}")

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen; make another by dataclasses.replace(spec, {name}=...)")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


@specclass
class AgentSpec(Spec):
    """An agent: anything that learns a task. `target` names a subclass of `rl_core.agent.Agent`.

    Attributes:
        fits: Alternatives of traits that a task must offer; see the module's text.
        unit: What `progress` counts, in the plural: "environment steps", "epochs", "sweeps", "words".
        budget: Default budget in that unit.
        task: Name of the default task.
        network: Name of the default network; `None` for an agent that takes none.
        presets: Import string of a data file, `"rl_algos:presets/ppo.yaml"`: tuned settings by task, `CartPole-v1`, by task and network,
            `CartPole-v1+lstm`, or for a whole scheme, `ALE:*` or `mnist:*+cnn`. Each may have `budget`, `config`, `network`,
            `network_config` and `task_config`. They overrule the spec; a recipe file and the command line overrule them.
        space: Import string of a data file, `"rl_algos:on_policy/spaces/ppo.yaml"`: the settings that `rl-core tune` searches by default,
            see `rl_core.sweeps.space`.
        tiny: Config fields that make one step as small as it can be; what the conformance kit runs.
    """

    fits: tuple[str, ...]
    unit: str
    budget: int
    task: str
    network: str | None = None
    presets: str = ""
    space: str = ""
    tiny: Mapping[str, Any] = field(default_factory=dict)


@specclass
class NetworkSpec(Spec):
    """A network: builds a `torch.nn.Module` from two spaces. `target` names a subclass of `rl_core.network.Network`.

    Attributes:
        fits: Alternatives of traits that a task must offer.
        task: Name of the default task (`rl-core run <network>` learns it).
        agent: Name of the default agent; empty means the task's default agent.
        tiny: Config fields that make the network as small as it can be; what the conformance kit builds.
    """

    fits: tuple[str, ...]
    task: str
    agent: str = ""
    tiny: Mapping[str, Any] = field(default_factory=dict)


@specclass
class TaskSpec(Spec):
    """A task: a problem with a score. `target` names a subclass of `rl_core.task.Task`.

    Attributes:
        traits: What the task offers. Must be what the built task's `traits()` returns (the conformance kit compares).
        agent: Name of the default agent.
        extras: Names of the arrays in the transitions' `extras` ("cost", "legal", "goal"); each is among the traits as well.
        tiny: Config fields that make the task as small as it can be, such as few examples; what the conformance kit builds.
    """

    traits: tuple[str, ...]
    agent: str
    extras: tuple[str, ...] = ()
    tiny: Mapping[str, Any] = field(default_factory=dict)


@specclass
class TaskSchemeSpec(Spec):
    """An open family of tasks, `<name>:<rest>`, such as `gym:CartPole-v1` or `csv:flowers.csv`.

    Attributes:
        name: The scheme, without the colon.
        argument: The task's config field that receives `<rest>`.
        example: A whole name, to show: "gym:CartPole-v1".
        traits: What every task of the family offers; the rest is known once one is built.
        agents: Default agents, tried in this order: the first one that fits the built task is taken.
        make_example: For a scheme of files: import string of a function that writes the example's file, or folder, to the path it is
            given, so that the conformance kit can build the example.
    """

    argument: str
    example: str
    make_example: str = ""
    traits: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


@specclass
class LoggerSpec(Spec):
    """A logger, chosen with `--logger NAME`. `target` names a class built without arguments, whose instance implements run hooks."""


@specclass
class LauncherSpec(Spec):
    """A launcher, chosen with `--launcher NAME`. `target` names a `rl_core.launchers.launcher.Launcher`."""
