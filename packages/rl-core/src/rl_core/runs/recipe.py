"""Resolution of a request to a recipe in which every setting has a value.

Settings have five sources, each overriding the one before: the class's defaults, the catalogue entry's, the
agent's preset for the task, the recipe file, the command line.
"""

from __future__ import annotations

import reprlib
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_type_hints

from rl_core import config, documents
from rl_core.errors import RequestError, RlError, WorkError
from rl_core.plugins.catalogue import Catalogue, Entry
from rl_core.plugins.containment import author_remedy
from rl_core.runs import choice, files
from rl_core.runs.start import SETTINGS as start_settings
from rl_core.runs.start import Start

if TYPE_CHECKING:
    from rl_core.agent import Agent
    from rl_core.network import Network
    from rl_core.seeds import Seeds
    from rl_core.task import Task


EVALUATION_EPISODES = 100
LEAST = {"seed": 0, "budget": 1, "threads": 1, "checkpoint_every": 1, "evaluate_every": 1, "evaluate_episodes": 1, "episodes": 1}
"""The least value of each number of a recipe."""
PLAIN_FIELDS = (
    "seed", "device", "threads", "checkpoint_every", "evaluate_every", "evaluate_episodes", "episodes", "stop_at_target", "from_run",
)  # fmt: skip
"""The fields that no component has a say in."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on, as in `recipe.yaml`. A field that is `None` in a request is filled in by `resolve`."""

    agent: str | None = None  # name of the agent
    task: str | None = None  # name of the task
    network: str | None = None  # name of the network; null for an agent without one
    seed: int = 0  # seed of every random stream, >= 0
    budget: int | None = None  # amount to learn, in the agent's unit, >= 1
    device: Literal["auto", "cpu", "cuda"] = "auto"  # device of tensors; auto: a GPU if there is one, but the CPU for perceptrons
    threads: int = 1  # threads of the linear algebra, >= 1; part of the recipe because sums depend on it
    checkpoint_every: int | None = None  # interval of checkpoints in the agent's unit, >= 1; null: every 30 seconds
    evaluate_every: int | None = None  # interval of evaluations while learning, in the agent's unit, >= 1; null: only at the end
    evaluate_episodes: int = 20  # episodes of each of them, for a control task, >= 1
    episodes: int = EVALUATION_EPISODES  # episodes of the evaluation at the end, for a control task, >= 1
    stop_at_target: bool = False  # whether the run ends at the first of them that reaches the task's target
    from_run: str | None = None  # checkpoint of another run whose weights the agent starts from; null: it starts from scratch
    config: Mapping[str, Any] = field(default_factory=dict)  # the agent's config fields
    network_config: Mapping[str, Any] = field(default_factory=dict)  # the network's config fields
    task_config: Mapping[str, Any] = field(default_factory=dict)  # the task's config fields

    def to_yaml(self) -> str:
        """Return the text of `recipe.yaml`."""
        return documents.dump_yaml(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values."""
        values: dict[str, Any] = _plain(asdict(self))
        return values


class Setting(NamedTuple):
    """A setting of a resolved recipe.

    Attributes:
        name: `budget`, `learning_rate`, `network.hidden`, `task.size`: as `--set` names it.
        value: Its value.
        source: Where the value comes from: "--set", "the call", a recipe file, "the preset of the task", a spec, "default".
    """

    name: str
    value: Any
    source: str


@dataclass(frozen=True)
class Resolved:
    """A recipe with the components that it names: the task is built, the agent can be.

    Attributes:
        recipe: Everything that the run depends on.
        agent: The agent's entry.
        task: The task's entry.
        network: The network's entry; `None` for an agent without one.
        built_task: The task.
        built_network: The network, which builds modules for the agent.
        agent_class: The agent's class.
        agent_config: An instance of its `Config`.
        sources: Where each setting that is not a default comes from, by its name.
    """

    recipe: Recipe
    agent: Entry
    task: Entry
    network: Entry | None
    built_task: Task
    built_network: Network | None
    agent_class: type
    agent_config: Any
    sources: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> list[Setting]:
        """Return every setting of the run with its source."""
        recipe = self.recipe
        values: dict[str, Any] = {"agent": recipe.agent, "task": recipe.task, "network": recipe.network, "budget": recipe.budget}
        values |= recipe.config
        values |= {f"network.{name}": value for name, value in recipe.network_config.items()}
        values |= {f"task.{name}": value for name, value in recipe.task_config.items()}
        return [Setting(name, value, self.sources.get(name, "default")) for name, value in values.items()]

    def build_agent(self, seeds: Seeds) -> Agent:
        """Return the agent, at its beginning.

        Raises:
            RequestError: if the agent refuses the task, or the network refuses what the agent asks of it.
        """
        settings = self.recipe
        options = {"seeds": seeds, "budget": settings.budget, "device": settings.device}
        try:
            agent: Agent = self.agent_class(self.agent_config, self.built_task, self.built_network, **options)
            agent.warnings += getattr(self.built_network, "notes", [])
            if settings.device == "cuda" and not agent.uses_device:
                raise RequestError(
                    f"agent {settings.agent} computes on the CPU only, so --device cuda would have no effect",
                    "leave out --device, or use --device auto",
                )
            return agent
        except RlError:
            raise
        except MemoryError as error:
            raise out_of_memory(f"agent {settings.agent} on task {settings.task}", error) from error
        except SystemExit as error:
            remedy = author_remedy(self.agent.package)
            raise WorkError(f"agent {settings.agent} ended the process with sys.exit({error.code!r})", remedy) from error
        except ValueError as error:
            name, refuses = settings.agent, f"agent {settings.agent} refuses task {settings.task}"
            if self.built_network is not None and _passed_through(error, self.built_network):
                name = settings.network
                refuses = f"network {name} refuses what agent {settings.agent} asks of it on task {settings.task}"
            raise RequestError(f"{refuses}: {error}", f"see: rl-core show {shlex.quote(str(name))}") from error

    def entries(self) -> list[Entry]:
        """Return the entries of the components."""
        return [entry for entry in (self.agent, self.task, self.network) if entry is not None]


def _passed_through(error: BaseException, component: object) -> bool:
    """Return whether the error was raised in a method of the component."""
    return any(frame.f_locals.get("self") is component for frame, _ in traceback.walk_tb(error.__traceback__))


@dataclass(frozen=True)
class Settings:
    """Values of one config with their sources: of several sources the last one wins."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def given(self, values: Mapping[str, Any], source: str) -> Settings:
        """Return these settings, overridden by those of a further source."""
        return Settings({**self.values, **values}, {**self.sources, **dict.fromkeys(values, source)})


@dataclass(frozen=True)
class RecipeFile:
    """The content of a recipe file.

    Attributes:
        name: Its name in errors: "recipe file 'ppo.yaml'".
        values: Fields of `Recipe`, each of its right type.
        folder: The folder that the relative paths in it are resolved against.
        versions: Versions of the packages that the file was written with; empty for a file of unknown origin.
    """

    name: str = "no recipe file"
    values: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    versions: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> RecipeFile:
    """Return the fields of a recipe file.

    Raises:
        RequestError: naming the file, the key, what was expected, and the nearest key.
    """
    hints = get_type_hints(Recipe)
    where = f"recipe file {path.name!r}"
    values = {}
    for key, value in documents.read(path).items():
        if key not in hints:
            raise RequestError(f"unknown key {key!r} in {where}", config.did_you_mean(key, hints, "its keys are"))
        values[key] = config.convert(value, hints[key], key, where)
        if key.endswith("config") and not all(isinstance(name, str) for name in values[key]):
            raise RequestError(f"{key!r} of {where} has a key that is not a text", "config fields are names: values")
    _check_ranges(values, where)
    return RecipeFile(where, values, path.parent)


def path_in(folder: Path) -> Path:
    """Return the path of a run's recipe.

    Raises:
        RequestError: if the folder is not a run's, or holds a link, a pipe or a device.
    """
    path = folder / "recipe.yaml"
    if files.is_unfinished(folder):
        raise RequestError(
            f"the run in {str(folder)!r} was killed before it began, so there is nothing to continue",
            f"give the `rl-core run` command again, with --out {shlex.quote(str(folder))}",
        )
    if not path.exists():
        raise RequestError(
            f"{str(folder)!r} is not a run folder: it has no recipe.yaml", "give a run's folder, such as runs/ppo-CartPole-v1-seed0"
        )
    files.require_ordinary(folder)
    return path


def resolve(
    catalogue: Catalogue,
    name: str | None = None,
    *,
    file: RecipeFile | None = None,
    overrides: Sequence[str] = (),
    task_state: Mapping[str, Any] | None = None,
    **options: Any,
) -> Resolved:
    """Fill in every setting, check it, and build the task.

    The traits of a task are known from its spec, so that a pair that cannot work together is refused before anything is built. Only a
    task of a scheme, or one with a changed config, is built to know its traits.

    Args:
        catalogue: The installed components.
        name: An agent, a network or a task; the rest takes its defaults.
        file: The result of `read`.
        overrides: Texts of `--set`.
        task_state: The state of the task in a run's checkpoint, which it is built from; `None` for a new run.
        options: Fields of `Recipe` from the command line; `None` means not given.

    Raises:
        RequestError: for names that are unknown or do not fit together, and for configs that are wrong.
    """
    file = file or RecipeFile()
    options = _checked({key: value for key, value in options.items() if value is not None})
    given = {**file.values, **options}
    sets = config.parse_overrides(overrides)

    called = options.get("task") or (name if name is not None and catalogue.find(name).kind == "task" else None)
    by_file = {file.name, "its name"} if called is None and "task" in file.values else {file.name}

    def settings(scope: str, entry: Entry, tuned: Mapping[str, Any]) -> Settings:
        key = "config" if scope == "agent" else f"{scope}_config"
        origin = "its name" if entry.scheme is not None else f"the spec of {entry.name}"
        layers = Settings().given(entry.spec.config, origin).given(tuned, "the preset of the task")
        from_file = dict(file.values.get(key, {}))
        if entry.package in file.versions:
            from_file = dict(entry.load().upgrade_config(from_file, file.versions[entry.package]))
        if entry.scheme is not None and called not in (None, file.values.get("task")):
            from_file.pop(entry.scheme.argument, None)  # the call names another task of the scheme than the file
        return layers.given(from_file, file.name).given(options.get(key, {}), "the call").given(sets[scope], "--set")

    agent, task, network = choice.choose(catalogue, name, given)
    asked = Settings().given(file.values.get("network_config", {}), file.name)
    asked = asked.given(options.get("network_config", {}), "the call").given(sets["network"], "--set")
    start = Start(
        catalogue,
        {key: asked.values[key] for key in start_settings if key in asked.values},
        file.folder if asked.sources.get("from") == file.name else Path(),
        optional=task_state is not None,
    )
    saved_as = start.network()
    if saved_as is not None and network is None and (agent is None or agent.spec.network is not None):
        network = catalogue.find(saved_as[0], "network")

    def offered(tuned: Mapping[str, Any]) -> Offer:
        given_settings = settings("task", task, tuned)
        bases = {name: file.folder if source in by_file else Path() for name, source in given_settings.sources.items()}
        return _offer(task, given_settings, lambda name: bases.get(name, Path()), task_state)

    sources: dict[str, str] = {
        key: "the call" if key in options else file.name for key in ("agent", "task", "network", "budget") if key in given
    }
    if name is not None:
        sources[catalogue.find(name).kind] = "the call"
    offer = offered({})
    agent = agent or choice.default_agent(catalogue, task, offer.traits, network)
    network = choice.network_for(catalogue, agent, task, network)
    preset = choice.preset(agent, task, network)
    if "task_config" in preset:
        offer = offered(preset["task_config"])
    choice.require_fit(catalogue, agent, task, offer.traits)
    if network is not None:
        choice.require_fit(catalogue, network, task, offer.traits)
    elif sets["network"] or file.values.get("network_config"):
        raise RequestError(
            f"agent {agent.name} takes no network, but a field of one was set", "leave out --set network.… and network_config"
        )

    agent_class = agent.load()
    agent_settings = settings("agent", agent, preset.get("config", {}))
    agent_config = _config(agent_class, agent_settings, agent)
    sources |= agent_settings.sources
    sources |= _prefixed("task", settings("task", task, preset.get("task_config", {})))
    sources.setdefault("budget", "the preset of the task" if "budget" in preset else f"the spec of {agent.name}")
    network_config: dict[str, Any] = {}
    built_network = None
    if network is not None:
        tuned = preset.get("network_config", {}) if preset.get("network", agent.spec.network) == network.name else {}
        if saved_as is not None and saved_as[0] == network.name:
            tuned = {**tuned, **saved_as[1]}
        network_settings = settings("network", network, tuned)
        sources |= _prefixed("network", network_settings)
        for key in start_settings:
            network_settings.values.pop(key, None)
        built_config = _config(network.load(), network_settings, network)
        network_config = {**config.to_plain(built_config), **start.settings}
        built_network = start.around((network.make or network.load())(built_config))
    built_task = offer.built or _build_task(task, offer.config, task_state)
    budget = given.get("budget") or preset.get("budget")
    if budget is None:
        budget = agent_class.default_budget(agent_config, built_task)
        sources["budget"] = f"the spec of {agent.name}" if budget is None else f"the config of {agent.name}"
    recipe = Recipe(
        agent=_short(catalogue, agent),
        task=_short(catalogue, task),
        network=_short(catalogue, network) if network else None,
        budget=budget or agent.spec.budget,
        config=config.to_plain(agent_config),
        network_config=network_config,
        task_config=config.to_plain(offer.config),
        **{key: given[key] for key in PLAIN_FIELDS if key in given},
    )
    return Resolved(recipe, agent, task, network, built_task, built_network, agent_class, agent_config, sources)


def _prefixed(scope: str, settings: Settings) -> dict[str, str]:
    return {f"{scope}.{name}": source for name, source in settings.sources.items()}


class Offer(NamedTuple):
    """The traits of a task, and what had to be built to know them."""

    config: Any
    built: Task | None
    traits: frozenset[str]


def _offer(task: Entry, settings: Settings, base: Callable[[str], Path], state: Mapping[str, Any] | None) -> Offer:
    """Return what a task of these settings offers: as its spec says where that is certain, else as the built task says."""
    made = config.with_absolute_paths(_config(task.load(), settings, task), base)
    if task.scheme is None and made == _config(task.load(), Settings(task.spec.config), task):
        return Offer(made, None, frozenset(task.spec.traits))
    built = _build_task(task, made, state)
    return Offer(made, built, built.traits())


def build_task(catalogue: Catalogue, name: str, values: Mapping[str, Any] | None = None) -> Task:
    """Return the task of that name, with its default config but for `values`."""
    task = catalogue.find(name, "task")
    return _build_task(task, _config(task.load(), Settings(task.spec.config).given(values or {}, "the caller"), task))


def build_evaluation_task(
    catalogue: Catalogue, name: str, trained: Task, *, trained_name: str | None = None, overrides: Sequence[str] = ()
) -> Task:
    """Return the task of that name, to judge an agent that was trained on the task `trained`.

    A task of the same class takes the encoding of the trained one; see `Task.for_evaluation`. The task that the agent was trained on,
    named as then or by its id, and another file of the same kind keep the settings of training; any other has its default config.

    Args:
        catalogue: Installed components.
        name: Name of the task.
        trained: The task of training.
        trained_name: Its name.
        overrides: Fields of the task's config, as `--set` takes them.
    """
    from rl_core.task import DataTask

    task = catalogue.find(name, "task")
    sets = config.parse_overrides(overrides)
    if sets["agent"] or sets["network"]:
        raise RequestError("an evaluation changes the task alone", "write for example: --set task.size=8")
    settings = Settings(task.spec.config)
    same_class = task.load() is type(trained)
    settings_then = config.to_plain(trained.config) if same_class else {}
    if same_class and (name == trained_name or (task.spec.config and task.spec.config.items() <= settings_then.items())):
        settings = settings.given(settings_then, "the training")
    elif same_class and task.scheme and isinstance(trained, DataTask):  # another file of the kind
        settings = settings.given({key: value for key, value in settings_then.items() if key not in task.spec.config}, "the training")
    wanted = _config(task.load(), settings.given(sets["task"], "--set"), task)
    state = trained.state_dict() if same_class else {}
    return _build_task(task, wanted, state or None, evaluation=bool(state))


def _build_task(task: Entry, task_config: Any, state: Mapping[str, Any] | None = None, *, evaluation: bool = False) -> Task:
    task_class = task.load()
    try:
        if not state:
            return (task.make or task_class)(task_config)
        return task_class.for_evaluation(task_config, state) if evaluation else task_class.from_state(task_config, state)
    except RlError:
        raise
    except MemoryError as error:
        raise out_of_memory(f"task {task.name}", error) from error
    except SystemExit as error:
        raise WorkError(f"task {task.name} ended the process with sys.exit({error.code!r})", author_remedy(task.package)) from error
    except (ValueError, OSError) as error:
        hint = f"see what it takes: rl-core show {task.scheme.name if task.scheme else task.name}"
        raise RequestError(
            f"task {task.name} cannot be built: {error}", f"check the path; {hint}" if isinstance(error, OSError) else hint
        ) from error


def out_of_memory(what: str, error: MemoryError) -> RequestError:
    """Return the error for a component whose settings need more memory than there is."""
    return RequestError(f"{what} needs more memory than there is: {error or 'out of memory'}", "lower the sizes among its settings")


def _config(component: Any, settings: Settings, entry: Entry) -> Any:
    return config.build(component.Config, settings.values, where=f"{entry.kind} {entry.name}", sources=settings.sources)


def _short(catalogue: Catalogue, entry: Entry) -> str:
    """Return the bare name, or `package/name` if the bare one is ambiguous."""
    same = [other for other in catalogue.entries(entry.kind) if other.name == entry.name]
    return entry.qualified if len(same) > 1 else entry.name


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options from the command line or from Python, each converted to its type and checked for its range."""
    hints = get_type_hints(Recipe)
    for key in options:
        if key not in hints:
            raise RequestError(f"unknown option {key!r} of a run", config.did_you_mean(key, hints, "its options are"))
    values = {key: config.convert(value, hints[key], key, "the run's options") for key, value in options.items()}
    _check_ranges(values, "the run's options")
    return values


def _check_ranges(values: Mapping[str, Any], where: str) -> None:
    for name, least in LEAST.items():
        value = values.get(name)
        if value is not None and value < least:
            raise RequestError(f"{name!r} of {where} is {reprlib.repr(value)}", f"it must be a whole number of at least {least}")


def _plain(value: Any) -> Any:
    """Return a value with tuples as lists and mappings as dicts, as YAML's safe dumper takes it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
