"""Learning from Python: `learn` makes a run and returns its result with the trained agent; `load` opens a run again."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, get_type_hints

from rl_core import config as configs
from rl_core.errors import RequestError
from rl_core.plugins import catalogue as catalogues
from rl_core.plugins.catalogue import Catalogue, Kind
from rl_core.plugins.in_process import entry_of
from rl_core.runs import parent, recipe
from rl_core.runs.progress import in_notebook
from rl_core.runs.run import Run

if TYPE_CHECKING:
    import gymnasium

    from rl_core.agent import Agent
    from rl_core.api import AgentSpec, NetworkSpec, Spec, TaskSpec
    from rl_core.network import Network
    from rl_core.task import Task

AgentLike: TypeAlias = "str | type[Agent] | AgentSpec"
NetworkLike: TypeAlias = "str | Network | type[Network] | NetworkSpec"
TaskLike: TypeAlias = "str | Task | TaskSpec | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]]"


class Options(TypedDict, total=False):
    """Further settings of a run; see `rl_core.runs.recipe.Recipe`.

    Attributes:
        seed: Seed of every random stream, >= 0; 0 by default.
        budget: How much to learn, in the agent's unit.
        device: "auto", "cpu" or "cuda".
        threads: Threads of the linear algebra.
        checkpoint_every: Distance of checkpoints in the agent's unit.
        evaluate_every: Distance of evaluations while learning in the agent's unit; the checkpoint of the best one is kept.
        evaluate_episodes: Episodes of each of them.
        episodes: Episodes of the evaluation at the end; 100 by default.
        stop_at_target: Whether the run ends when one of them reaches the task's target.
        from_run: A run's folder, or a checkpoint of it, whose weights the agent starts from.
        config: The agent's settings by name.
        network_config: The network's settings by name.
        task_config: The task's settings by name.
        overrides: Settings as `--set` takes them, such as "network.hidden=[64, 64]".
        quiet: Whether to show no progress; by default it is shown on a terminal and in a notebook.
    """

    seed: int
    budget: int
    device: Literal["auto", "cpu", "cuda"]
    threads: int
    checkpoint_every: int
    evaluate_every: int
    evaluate_episodes: int
    episodes: int
    stop_at_target: bool
    from_run: str
    config: Mapping[str, Any]
    network_config: Mapping[str, Any]
    task_config: Mapping[str, Any]
    overrides: Iterable[str]
    quiet: bool


@dataclass(frozen=True)
class Result:
    """Result of a run.

    Attributes:
        run: The run's folder.
        agent: The trained agent.
        score: The number that the task is judged by; `None` where it is not finite.
        metric: Name of the score.
        metrics: All numbers of the final evaluation.
        target: The number that counts as solved; `None` where there is none.
        reached: Whether the score meets the target; `None` without a target.
        progress: How much was learned, in `unit`.
        unit: Unit of the progress, such as "environment steps".
        seconds: Time spent learning.
        best: Progress, score and checkpoint of the best evaluation while learning; `None` without one.
    """

    run: Path
    agent: Agent
    score: float | None
    metric: str
    metrics: Mapping[str, float | None]
    target: float | None
    reached: bool | None
    progress: int
    unit: str
    seconds: float
    best: Mapping[str, Any] | None = None

    @property
    def figures(self) -> list[Path]:
        """Pictures in the run's folder."""
        return sorted((self.run / "figures").glob("*.png"))

    def __repr__(self) -> str:
        """Return the result in a line.

        >>> Result(Path("runs/a"), None, 500.0, "mean return", {}, 475.0, True, 20480, "environment steps", 1.5)
        Result(mean return 500, target 475 reached, after 20,480 environment steps, runs/a)
        """
        return f"Result({self._sentence()}, {self.run})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the numbers and the figures."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{'not finite' if value is None else f'{value:.4g}'}</td></tr>"
            for name, value in self.metrics.items()
        )
        pictures = "".join(
            f'<img alt="{html.escape(path.stem)}" style="max-width: 48%" src="data:image/png;base64,'
            f'{base64.b64encode(path.read_bytes()).decode()}">'
            for path in self.figures
        )
        return f"<p><b>{html.escape(self._sentence())}</b><br>{html.escape(str(self.run))}</p><table>{rows}</table>{pictures}"

    def _sentence(self) -> str:
        score = "not finite" if self.score is None else f"{self.score:.4g}"
        target = "" if self.target is None else f", target {self.target:g} {'reached' if self.reached else 'not reached'}"
        return f"{self.metric} {score}{target}, after {self.progress:,} {self.unit}"


def learn(
    name: AgentLike | NetworkLike | None = None,
    *,
    task: TaskLike | None = None,
    network: NetworkLike | None = None,
    out: str | Path | None = None,
    catalogue: Catalogue | None = None,
    **options: Unpack[Options],
) -> Result:
    """Learn, evaluate, and return the result with the trained agent: `learn("ppo", task="CartPole-v1", budget=20_000, seed=1)`.

    Args:
        name: An agent, a network or a task by name; or an agent's class or spec. What is not named takes its default.
        task: A task by name, a `Task`, a Gymnasium environment, or a function that builds one.
        network: A network by name, class, instance or spec.
        out: The run's folder; by default a new one below `runs/`.
        catalogue: Installed components; discovered when not given.
        options: Seed, budget and settings; see `Options`.

    Raises:
        RequestError: if the request is wrong.
        WorkError: if learning fails.
        Stopped: if it was interrupted.
    """
    catalogue = catalogue or Catalogue.discover()
    settings: dict[str, Any] = dict(options)
    _require_known(settings)
    overrides, quiet = settings.pop("overrides", ()), settings.pop("quiet", None)
    if isinstance(overrides, str):
        raise RequestError(f"overrides is {overrides!r}; it must be a list of settings", f"write overrides=[{overrides!r}]")
    for kind, given in _given(task=task, network=network):
        settings[kind] = given if isinstance(given, str) else _added(catalogue, given, kind)
    leader = name if name is None or isinstance(name, str) else _added_leader(catalogue, name, settings)
    if "from_run" in settings:
        settings["from_run"] = str(parent.checkpoint_of(Path(settings["from_run"])))
    resolved = recipe.resolve(catalogue, leader, overrides=tuple(overrides), **settings)
    with Run.create(resolved, catalogue, Path(out) if out is not None else None) as run:
        _log_warnings(run)
        result = run.learn(quiet=not (in_notebook() or _on_terminal()) if quiet is None else quiet)
        keys = ("score", "metric", "metrics", "target", "reached", "progress", "unit", "seconds", "best")
        return Result(run.folder, run.agent, **{key: result[key] for key in keys})


def load(
    folder: str | Path,
    *,
    task: TaskLike | None = None,
    network: NetworkLike | None = None,
    agent: AgentLike | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
) -> Agent:
    """Return the agent of a run as it was at its newest checkpoint.

    Args:
        folder: The run's folder.
        task: The task, where the run was made with an object, as it was then.
        network: As `task`.
        agent: As `task`.
        device: Where tensors are placed; by default as in training.

    Raises:
        RequestError: if the folder is not a run's, or what it needs is not installed.
        WorkError: if no checkpoint is whole.
    """
    catalogue = Catalogue.discover()
    names = {
        kind: given if isinstance(given, str) else _added(catalogue, given, kind)
        for kind, given in _given(task=task, network=network, agent=agent)
    }
    opened = Run.open(folder, catalogue, device=device)
    for kind, name in names.items():
        made = getattr(opened.recipe, kind)
        if name.rpartition("/")[2] != (made or "").rpartition("/")[2]:
            hint = f"leave out {kind}" + ("; to judge it on another task: rl-core eval RUN --task NAME" if kind == "task" else "")
            raise RequestError(f"the run in {str(folder)!r} was made with the {kind} {made}, not with {name}", hint)
    return opened.agent


def register(component: Spec | type[Agent] | type[Network] | type[Task] | Callable[[], gymnasium.Env[Any, Any]]) -> str:
    """Make a component known by name for the rest of this process, and return its name.

    A spec's `target` may name a class of this program, such as "__main__:MyNetwork".

    Raises:
        RequestError: if the spec has a mistake, or the object is not a component.
    """
    entry = entry_of(component)
    catalogues.registered[:] = [other for other in catalogues.registered if (other.kind, other.name) != (entry.kind, entry.name)]
    catalogues.registered.append(entry)
    return entry.name


def _given(**components: Any) -> list[tuple[Kind, Any]]:
    return [(kind, given) for kind, given in components.items() if given is not None]  # type: ignore[misc]


def _added(catalogue: Catalogue, given: Any, kind: Kind | None) -> str:
    entry = entry_of(given, kind)
    catalogue.add(entry)
    return entry.name


def _added_leader(catalogue: Catalogue, given: Any, settings: Mapping[str, Any]) -> str:
    """Add an agent, or a network, and complete the spec of an agent's class by what else was given."""
    entry = entry_of(given)
    if entry.kind == "agent" and entry.component is not None:
        if "budget" not in settings or "task" not in settings:
            raise RequestError(
                f"agent {entry.name} is given as a class, which has no default task and budget",
                'give both: learn(MyAgent, task="CartPole-v1", budget=10_000)',
            )
        entry = replace(entry, spec=replace(entry.spec, network=settings.get("network")))
    catalogue.add(entry)
    return entry.name


def _require_known(options: Mapping[str, Any]) -> None:
    known = [*get_type_hints(Options), "task", "network", "out", "catalogue"]
    for key in options:
        if key not in known:
            raise RequestError(f"unknown option {key!r} of learn()", configs.did_you_mean(key, known, "its options are"))


def _log_warnings(run: Run) -> None:
    from rl_core.gym_interface import LOGGER

    caveat = run.task.caveat()
    for sentence in [*run.warnings, *([caveat] if caveat else [])]:
        LOGGER.warning(sentence)
    run.warnings.clear()


def _on_terminal() -> bool:
    import sys

    return sys.stderr is not None and sys.stderr.isatty()
