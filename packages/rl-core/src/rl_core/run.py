"""The run: one agent learning one task in one folder. The loop here is the only training loop there is.

runs/<name>/
recipe.yaml      reproduces the run
manifest.json    versions, the machine, when it was worked on
metrics.jsonl    one line a step
checkpoints/     see `rl_core.checkpoint`
result.json      what came out
figures/         pictures
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rl_core import checkpoint, manifest, recipe
from rl_core.agent import Agent
from rl_core.api import AgentSpec
from rl_core.catalogue import Catalogue
from rl_core.errors import RequestError, RlError, WorkError
from rl_core.progress import Progress
from rl_core.seeds import Seeds
from rl_core.signals import StopRequest

SECONDS_BETWEEN_CHECKPOINTS = 30.0
EVALUATION_EPISODES = 100


class Stopped(Exception):
    """The run was asked to stop, and has saved; the text says how to continue."""


class Run:
    """A run in its folder, ready to learn, to be evaluated or to answer.

    Made by `create` or `open`; use it as a context manager, so that its lock is given back.

    Attributes:
        folder: Where its files are.
        recipe: All that it depends on.
        agent: The live agent.
        spec: The agent's spec.
    """

    def __init__(self, folder: Path, resolved: recipe.Resolved, catalogue: Catalogue) -> None:
        self.folder = folder
        self.recipe = resolved.recipe
        self.resolved = resolved
        self.catalogue = catalogue
        self.task = resolved.built_task
        assert isinstance(resolved.agent.spec, AgentSpec)
        self.spec = resolved.agent.spec
        self.seeds = Seeds(self.recipe.seed)
        self.agent = _build_agent(resolved, self.seeds)
        self.warnings: list[str] = []
        self._metrics_seconds = 0.0  # of earlier sessions
        self._started = time.monotonic()
        self._last_checkpoint = time.monotonic()
        self._saved: int | None = None
        self._lock: manifest.Lock | None = None

    @classmethod
    def create(cls, resolved: recipe.Resolved, catalogue: Catalogue, out: Path | None = None) -> Run:
        """A new run in a new folder.

        Raises:
            RequestError: if `out` exists and is not empty, or the agent refuses the task; nothing is then written.
        """
        if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RequestError(f"{str(out)!r} exists and is not empty", f"continue it with `rl-core resume {out}`, or give another --out")
        run = cls(out or Path(), resolved, catalogue)
        run.folder = out or _free_folder(Path("runs"), run.recipe)
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            run._lock = manifest.Lock(run.folder)
            checkpoint.replace(run.folder / "recipe.yaml", run.recipe.to_yaml().encode())
            manifest.write(run.folder, resolved, progress=0)
        except OSError as error:
            raise WorkError(
                f"the run's folder {str(run.folder)!r} cannot be written: {error.strerror or error}",
                "free some space, or give another --out",
            ) from error
        return run

    @classmethod
    def open(cls, folder: Path, catalogue: Catalogue, *, budget: int | None = None, lock: bool = False) -> Run:
        """The run in `folder` at its newest whole checkpoint, or at its beginning when it has none.

        Args:
            folder: A run's folder.
            catalogue: What is installed.
            budget: A new budget, in the agent's unit.
            lock: Whether the run will be continued; only one process may.

        Raises:
            RequestError: if the folder is no run's, or what it needs is not installed.
            WorkError: if checkpoints are there and none is whole.
        """
        path = folder / "recipe.yaml"
        if not path.is_file():
            raise RequestError(
                f"{str(folder)!r} is no run: it has no recipe.yaml", "give a run's folder, such as runs/ppo-CartPole-v1-seed0"
            )
        held = manifest.Lock(folder) if lock else None
        run = cls(folder, recipe.resolve(catalogue, file=recipe.read(path), budget=budget), catalogue)
        run._lock = held
        run.warnings += manifest.differences(folder)
        checkpoints = folder / "checkpoints"
        if checkpoint.names(checkpoints):
            try:
                progress, state, refused = checkpoint.newest(checkpoints)
            except checkpoint.BadCheckpoint as error:
                raise WorkError(
                    f"no checkpoint of {str(folder)!r} can be used: {error}", f"start again with: rl-core run --recipe {path}"
                ) from error
            run.warnings += refused
            run._restore(progress, state)
        return run

    def __enter__(self) -> Run:
        """The run itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.release()

    def learn(self, *, quiet: bool = False) -> dict[str, Any]:
        """Learn up to the budget, evaluate, draw, and return what `result.json` holds.

        Raises:
            Stopped: after an interrupt, with everything saved.
            WorkError: if a metric is not finite, or a checkpoint cannot be written.
        """
        agent, budget = self.agent, self.budget
        self._trim_metrics()
        if self.recipe.budget != budget or agent.progress:
            checkpoint.replace(self.folder / "recipe.yaml", self.recipe.to_yaml().encode())
            manifest.write(self.folder, self.resolved, progress=agent.progress)
        self.catalogue.call_run_hook("rl_run_started", run=self)
        result, problem = None, None
        try:
            with (
                StopRequest() as stop,
                Progress(self, quiet=quiet) as progress,
                (self.folder / "metrics.jsonl").open("a", buffering=1) as log,
            ):
                while agent.progress < budget and not agent.finished:
                    metrics = agent.step()
                    self._require_finite(metrics)
                    self.record(metrics, log)
                    progress.show(metrics)
                    if stop.requested:
                        self.checkpoint()
                        raise Stopped(
                            f"stopped at {agent.progress:,} {self.spec.unit} and saved; continue with: rl-core resume {self.folder}"
                        )
                    if self.due():
                        self.checkpoint()
            self.checkpoint()
            result = self.conclude()
            return result
        except BaseException as error:
            problem = error
            raise
        finally:
            self.catalogue.call_run_hook("rl_run_finished", run=self, result=result, error=problem)

    @property
    def budget(self) -> int:
        """How much is to be learned, in the agent's unit."""
        assert self.recipe.budget is not None
        return self.recipe.budget

    @property
    def seconds(self) -> float:
        """Time spent learning, in all sessions."""
        return self._metrics_seconds + time.monotonic() - self._started

    def record(self, metrics: Mapping[str, float], log: Any) -> None:
        """Write a line of metrics and tell the loggers. A step without metrics leaves no line."""
        if not metrics:
            return
        line = {
            "progress": self.agent.progress,
            "seconds": round(self.seconds, 3),
            **{name: float(value) for name, value in metrics.items()},
        }
        try:
            log.write(json.dumps(line) + "\n")
        except OSError as error:
            kept = checkpoint.names(self.folder / "checkpoints")
            raise WorkError(
                f"metrics.jsonl of {str(self.folder)!r} cannot be written: {error.strerror or error}",
                f"free some space and continue with `rl-core resume {self.folder}`" + (f" from checkpoint {kept[-1]}" if kept else ""),
            ) from error
        self.catalogue.call_run_hook("rl_metrics", run=self, progress=self.agent.progress, metrics=metrics)

    def due(self) -> bool:
        """Whether it is time for a checkpoint: by distance if the recipe says so, else by the clock."""
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.agent.progress // every > (self._saved or 0) // every
        return time.monotonic() - self._last_checkpoint >= SECONDS_BETWEEN_CHECKPOINTS

    def checkpoint(self) -> Path:
        """Save everything; the path of the checkpoint."""
        path = self.folder / "checkpoints" / str(self.agent.progress)
        if self._saved != self.agent.progress:
            state = {
                "agent": self.agent.state_dict(),
                "seeds": self.seeds.state_dict(),
                "finished": self.agent.finished,
                "budget": self.budget,
            }
            checkpoint.save(self.folder / "checkpoints", self.agent.progress, state)
            self._saved = self.agent.progress
            self.catalogue.call_run_hook("rl_checkpoint_saved", run=self, path=path)
        self._last_checkpoint = time.monotonic()
        return path

    def evaluate(self, *, episodes: int = EVALUATION_EPISODES, seed: int | None = None) -> dict[str, float]:
        """What the task judges the agent by, as it is now."""
        return self.agent.evaluate(episodes=episodes, seeds=Seeds(self.recipe.seed if seed is None else seed, ("evaluation",)))

    def conclude(self) -> dict[str, Any]:
        """Evaluate, write `result.json` and the figures."""
        seconds = self.seconds
        result = self.summary(self.evaluate(), seconds)
        checkpoint.replace(self.folder / "result.json", (json.dumps(result, indent=1) + "\n").encode())
        self._draw()
        return result

    def summary(self, metrics: Mapping[str, float], seconds: float) -> dict[str, Any]:
        """The JSON of a run, as every command prints it."""
        score = metrics[self.task.metric]
        return {
            "run": str(self.folder),
            "agent": self.recipe.agent,
            "task": self.recipe.task,
            "network": self.recipe.network,
            "seed": self.recipe.seed,
            "progress": self.agent.progress,
            "unit": self.spec.unit,
            "seconds": round(seconds, 3),
            "score": score,
            "metric": self.task.metric,
            "metrics": dict(metrics),
            "target": self.task.target,
            "reached": self.task.reached(score),
            "headline": self.agent.headline,
        }

    def change_task(self, name: str) -> None:
        """Judge the agent on another task; it must have the same spaces.

        Raises:
            RequestError: if the name is unknown, or the spaces differ.
        """
        other = recipe.build_task(self.catalogue, name)
        for role in ("input_space", "output_space"):
            trained, new = getattr(self.task, role), getattr(other, role)
            if trained != new:
                raise RequestError(
                    f"task {name} has the {role.replace('_', ' ')} {new}; the agent was trained for {trained}",
                    "name a task with the same spaces",
                )
        self.task = other

    def recorded_seconds(self) -> float:
        """Time spent learning up to the newest checkpoint, from the metrics."""
        lines = [line for line in self.metrics() if line["progress"] <= self.agent.progress]
        return lines[-1]["seconds"] if lines else 0.0

    def metrics(self) -> list[dict[str, float]]:
        """The lines of `metrics.jsonl` that are whole."""
        return read_metrics(self.folder)

    def _restore(self, progress: int, state: Mapping[str, Any]) -> None:
        try:
            self.agent.load_state_dict(state["agent"])
            self.seeds.load_state_dict(state["seeds"])
            self.agent.progress = progress
            self.agent.finished = bool(state["finished"]) and state["budget"] >= self.budget
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise WorkError(
                f"checkpoint {progress} of {str(self.folder)!r} does not fit agent {self.spec.name}: {type(error).__name__}: {error}",
                "the plugin may have changed since: install the versions in manifest.json, or start again from recipe.yaml",
            ) from error
        self._saved = progress if state["budget"] == self.budget else None

    def _trim_metrics(self) -> None:
        """Drop the lines of steps that will be taken again."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            lines = [line for line in self.metrics() if line["progress"] <= self.agent.progress] if self.agent.progress else []
            checkpoint.replace(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
            self._metrics_seconds = lines[-1]["seconds"] if lines else 0.0
        self._started = self._last_checkpoint = time.monotonic()

    def _require_finite(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                kept = checkpoint.names(self.folder / "checkpoints")
                last = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint before it"
                raise WorkError(
                    f"{name} became {value} at {self.agent.progress:,} {self.spec.unit}; {last}",
                    "a smaller learning_rate is the usual remedy; the metrics up to here are in " + str(self.folder / "metrics.jsonl"),
                )

    def _draw(self) -> None:
        """Pictures; a picture that cannot be drawn is a warning, since the run itself is whole."""
        figures = self.folder / "figures"
        try:
            figures.mkdir(exist_ok=True)
            from rl_core import figure

            figure.learning_curve(
                self.metrics(),
                figures / "learning-curve.png",
                title=f"{self.recipe.agent} on {self.recipe.task}",
                unit=self.spec.unit,
                headline=self.agent.headline,
            )
            self.agent.draw(figures)
        except (OSError, ImportError, ValueError) as error:
            self.warnings.append(f"figures could not be drawn: {error}")


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The whole lines of a run's `metrics.jsonl`; a last line cut by a kill is passed over."""
    path = folder / "metrics.jsonl"
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def learn(
    name: str | None = None,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    catalogue: Catalogue | None = None,
    quiet: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """The result of a new run, from Python: `learn("ppo", task="CartPole-v1", seed=1, overrides=["clip_range=0.1"])`.

    Args:
        name: An agent, a network or a task; the rest takes its defaults.
        overrides: As `--set` takes them.
        out: The run's folder; by default a new one below `runs/`.
        catalogue: What is installed; discovered when not given.
        quiet: Whether to leave out the progress bar.
        options: Fields of `rl_core.recipe.Recipe`: task, network, seed, budget, device, ...

    Raises:
        RequestError: if the request is wrong.
        WorkError: if learning fails.
    """
    catalogue = catalogue or Catalogue.discover()
    resolved = recipe.resolve(catalogue, name, overrides=tuple(overrides), **options)
    with Run.create(resolved, catalogue, Path(out) if out is not None else None) as run:
        return run.learn(quiet=quiet)


def _build_agent(resolved: recipe.Resolved, seeds: Seeds) -> Agent:
    settings = resolved.recipe
    try:
        return resolved.agent_class(
            resolved.agent_config,
            resolved.built_task,
            resolved.built_network,
            seeds=seeds,
            budget=settings.budget,
            device=settings.device,
        )
    except RlError:
        raise
    except ValueError as error:
        raise RequestError(
            f"agent {settings.agent} refuses task {settings.task}: {error}", f"see: rl-core show {settings.agent}"
        ) from error


def _free_folder(parent: Path, settings: recipe.Recipe) -> Path:
    """`runs/ppo-CartPole-v1-seed0`, or with -2, -3, ... behind it."""
    names = [settings.agent, settings.task] + ([settings.network] if settings.network not in (None, "mlp") else [])
    base = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "-", name or "").strip("-.") for name in names) + f"-seed{settings.seed}"
    folder, count = parent / base, 1
    while folder.exists():
        count += 1
        folder = parent / f"{base}-{count}"
    return folder
