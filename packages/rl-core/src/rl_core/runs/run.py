"""The run: one agent learning one task in one folder, in the only training loop of the project.

A run's folder has `recipe.yaml`, which reproduces the run, `manifest.json` with versions, machine and sessions, `metrics.jsonl` with one
line a step, `checkpoints/` (see `rl_core.runs.checkpoint`), `result.json` and `figures/`.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl_core.api import AgentSpec
from rl_core.errors import EnvironmentFailure, RequestError, WorkError
from rl_core.gym_envs import replay_postponed
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import checkpoint, files, manifest, metrics_log, opening, parent, recipe, result, soundness, wording
from rl_core.runs.evaluations import Evaluations
from rl_core.runs.metrics_log import MetricsLog
from rl_core.runs.progress import Progress, told_when_slow
from rl_core.runs.signals import StopRequest
from rl_core.seeds import Seeds
from rl_core.threads import limited_threads

SECONDS_BETWEEN_CHECKPOINTS = 30.0
SECONDS_TO_THE_FIRST_CHECKPOINT = 2.0  # of a session


class Stopped(Exception):
    """The end of a run that was asked to stop, and has saved; the message says how to continue."""


class Paused(Stopped):
    """The end of a run at the progress that `until` names; the message says how to continue."""


class Run:
    """A run in its folder, ready to learn, to be evaluated or to answer.

    Made by `create` or `open`; use it as a context manager, so that its lock is released.

    Attributes:
        folder: The folder of its files.
        recipe: Everything that it depends on.
        resolved: The components that the recipe names.
        catalogue: The catalogue that they come from, which also has the loggers.
        task: The task that the agent is judged on.
        task_name: Name of that task.
        spec: The agent's spec.
        seeds: The random streams.
        agent: The live agent.
        evaluations: Evaluations while it learns, and the best of them.
        warnings: Sentences that the user should read.
    """

    def __init__(self, folder: Path, resolved: recipe.Resolved, catalogue: Catalogue) -> None:
        self.folder = folder
        self.recipe = resolved.recipe
        self.resolved = resolved
        self.catalogue = catalogue
        self.task = resolved.built_task
        self.task_name = resolved.recipe.task
        self.spec: AgentSpec = resolved.agent.spec
        self.seeds = Seeds(self.recipe.seed)
        self.agent = resolved.build_agent(self.seeds)
        self.evaluations = Evaluations(self)
        self.warnings: list[str] = []
        self._seconds_before = 0.0  # spent learning before the clock was started
        self._clock: float | None = None  # when it was started; it runs while the agent learns
        self._checkpoint_clock = 0.0
        self._checkpointed = 0  # progress at the newest checkpoint
        self._whole: Path | None = None  # the newest checkpoint that this process wrote or checked
        self._unsaved = True  # whether there is something that it lacks
        self._saved_here = False  # whether this session saved something that it learned
        self._began_at = 0  # progress at the beginning of this session
        self._data_accepted = False  # whether the data changed since it
        self._log: MetricsLog | None = None
        self._lock: manifest.Lock | None = None
        self._new: files.NewFolder | None = None  # the folder, if this process made the run

    @classmethod
    def create(cls, resolved: recipe.Resolved, catalogue: Catalogue, out: Path | None = None) -> Run:
        """Return a new run in a new folder, or in one that is empty or was left by a run killed before it began.

        Raises:
            RequestError: if `out` exists and is not empty, or the agent refuses the task; nothing is then written.
            WorkError: if the disk is full; nothing then stays.
        """
        if out is not None:
            files.require_free(out)
        run = cls(out or Path(), resolved, catalogue)
        parent.start(run.agent, run.recipe)
        run.warnings += run.agent.warnings
        processors = os.cpu_count() or 1
        if run.recipe.threads > processors:
            run.warnings.append(
                f"threads is {run.recipe.threads}, and this machine has {processors} processors: threads that wait for one another make "
                f"small networks many times slower; --threads 1 is usually the fastest"
            )
        try:
            run._new = files.new_folder(out, opening.folder_name(run.recipe))
        except (OSError, ValueError) as error:
            raise RequestError(f"the run's folder cannot be made: {error}", "give another --out, a folder that can be written") from error
        run.folder = run._new.path
        try:
            run._lock = manifest.Lock(run.folder)
            files.require_free(run.folder)  # again: no other process can begin a run in it now
        except RequestError:  # another process did
            run.__exit__()
            raise
        except BaseException:
            if run._new.made:
                run._new.discard()
            raise
        try:
            run._write_recipe()
        except BaseException:
            run._discard()
            raise
        return run

    def _discard(self) -> None:
        """Remove the folder of a new run that failed before it learned anything."""
        self.__exit__()
        if self._new is not None:
            self._new.discard()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        catalogue: Catalogue | None = None,
        *,
        budget: int | None = None,
        device: str | None = None,
        lock: bool = False,
        accept_changed_data: bool = False,
        best: bool = False,
        exact: bool = False,
    ) -> Run:
        """Return the run in `folder` at its newest whole checkpoint, or at its beginning when it has none.

        Args:
            folder: A run's folder.
            catalogue: Installed components; discovered when not given.
            budget: A new budget, in the agent's unit.
            device: Where tensors are placed: "auto", "cpu" or "cuda"; by default as the recipe says.
            lock: Whether the run will be continued; only one process may.
            accept_changed_data: Whether to continue on data that changed since the checkpoint.
            best: Whether to return it at the checkpoint of its best evaluation instead.
            exact: Whether to refuse a run that this machine and these versions would not continue to the last bit.

        Raises:
            RequestError: if the folder is not a run's, it kept no best checkpoint, what it needs is not installed, the new budget is used
                up already, a run to be continued has data that changed, or `exact` cannot be held.
            WorkError: if there are checkpoints and none is whole.
        """
        folder, catalogue = Path(folder), catalogue or Catalogue.discover()
        path = recipe.path_in(folder)
        manifest.require_installed(folder)
        held = manifest.Lock(folder) if lock else None
        try:
            file = replace(recipe.read(path), versions=manifest.recipe_versions(folder))
            saved = opening.newest_checkpoint(folder, best=best)
            task_state = None if saved is None else saved[1].get("task")
            run = cls(folder, recipe.resolve(catalogue, file=file, budget=budget, device=device, task_state=task_state), catalogue)
            run._lock = held
            run._require_same_data(continued=lock, accepted=accept_changed_data)
            differences = manifest.differences(folder)
            if differences and exact:
                raise RequestError(
                    f"{str(folder)!r} was made with {', '.join(differences)}: it would not continue to the last bit",
                    "continue it where these are as they were, or leave out --exact",
                )
            if differences:
                run.warnings.append(f"made with {', '.join(differences)}: the run continues, but no longer to the last bit")
            with nullcontext() if lock else replay_postponed():
                run._restore(saved)
            before = file.values.get("budget")
            if budget is not None and budget != before and budget < run.agent.progress:
                raise RequestError(
                    f"budget is {budget:,}, but {str(folder)!r} has learned for {run.agent.progress:,} {run.spec.unit} already",
                    f"give more; to judge what was learned so far: {run.command('eval')}",
                )
            if budget not in (None, before) and before is not None and run.agent.progress:
                run.warnings.append(
                    f"the budget changes from {before:,} to {budget:,} {run.spec.unit} after {run.agent.progress:,}: what falls over the "
                    f"budget, such as a learning rate, is spread over the new one from here on, so this is not the run that "
                    f"--budget {budget} is from the start; to pause a run and continue it unchanged, use --until"
                )
            if lock:
                run.warnings += run.agent.warnings
                run._write_recipe()
                run.evaluations.keep_missed()
        except BaseException:
            if held is not None:
                held.release()
            raise
        return run

    def __enter__(self) -> Run:
        """Return the run itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()

    def learn(self, *, quiet: bool = False, until: int | None = None, episodes: int | None = None, processes: int = 1) -> dict[str, Any]:
        """Learn up to the budget, evaluate, draw, and return the content of `result.json`.

        Linear algebra runs on the recipe's number of threads, whatever the process has set: the last digits of sums depend on it.

        Args:
            episodes: Episodes of the evaluation of a control task; `None` for as many as the recipe says.
            quiet: Whether to leave out the progress bar.
            until: Progress at which to pause, with the budget unchanged; `None` learns up to the budget.
            processes: Processes that share the work of each step; see `rl_core.agent.Agent.use_processes`.

        Raises:
            Stopped: after an interrupt or at `until`, with everything saved.
            RequestError: if the agent refuses its settings at its first step, or they need more memory than there is; a new run then
                leaves nothing on the disk.
            WorkError: if a metric or a parameter is not finite, the agent ends the process, or the disk is full.
        """
        self.catalogue.call_run_hook("rl_run_started", run=self)
        document: dict[str, Any] | None = None
        problem: BaseException | None = None
        try:
            try:
                self.agent.use_processes(processes)
            except ValueError as error:
                raise RequestError(f"agent {self.spec.name}: {error}", f"see: rl-core show {self.spec.name}") from error
            with limited_threads(self.recipe.threads):
                self._loop(quiet=quiet, until=until)
                with told_when_slow(wording.still_evaluating(self, count := episodes or self.recipe.episodes), quiet=quiet):
                    document = self.conclude(count)
            return document
        except (EnvironmentFailure, MemoryError, SystemExit) as error:
            problem = wording.failure(self, error)
            raise problem from error
        except BaseException as error:
            problem = error
            raise
        finally:
            if isinstance(problem, RequestError) and not self.agent.progress:
                self._discard()
            self.catalogue.call_run_hook("rl_run_finished", run=self, result=document, error=problem)

    def _loop(self, *, quiet: bool, until: int | None = None) -> None:
        agent, budget = self.agent, self.budget
        end = budget if until is None else min(until, budget)
        with StopRequest(self.command("resume")) as stop, self._open_log(), Progress(self, quiet=quiet) as progress:
            self._clock = self._checkpoint_clock = time.monotonic()
            if self._whole is None and (self.task.state_dict() or self.recipe.from_run):
                self.checkpoint()  # from the first step on, the run knows the data, or the weights, that it began with
            while agent.progress < end and not agent.finished:
                before = agent.progress
                metrics = agent.step()
                self._unsaved = True
                soundness.require_progress(self, before)
                soundness.require_metrics(self, metrics)
                if self.evaluations.due(before):
                    metrics = {**metrics, **self._evaluate_meanwhile()}
                self.record(metrics)
                progress.show(metrics)
                if self.evaluations.is_better:
                    self.evaluations.keep(self.checkpoint())
                if stop.requested:
                    self.checkpoint()
                    raise Stopped(wording.stopped(self, "stopped"))
                if self.due():
                    self.checkpoint()
            self._seconds_before, self._clock = self.seconds, None
            self.checkpoint()
            self.warnings += wording.beyond_budget(self, until)
            if agent.progress < budget and not agent.finished:
                raise Paused(wording.stopped(self, "paused"))

    def _evaluate_meanwhile(self) -> dict[str, float]:
        """Return the numbers of an evaluation of the agent as it is now; time that passes is not counted as learning."""
        began = time.monotonic()
        numbers = self.evaluations.evaluate()
        assert self._clock is not None
        self._clock += time.monotonic() - began
        return numbers

    @property
    def package(self) -> str:
        """The package of the agent."""
        return self.resolved.agent.package

    @property
    def budget(self) -> int:
        """The amount to learn, in the agent's unit."""
        assert self.recipe.budget is not None
        return self.recipe.budget

    @property
    def saved_progress(self) -> int:
        """Progress at the newest checkpoint."""
        return self._checkpointed

    @property
    def seconds(self) -> float:
        """Time spent learning, over all sessions."""
        return self._seconds_before + (0.0 if self._clock is None else time.monotonic() - self._clock)

    def record(self, metrics: Mapping[str, float]) -> None:
        """Write a line of metrics and pass it to the loggers. A step without metrics leaves no line."""
        if not metrics:
            return
        assert self._log is not None
        line = {"progress": self.agent.progress, "seconds": round(self.seconds, 3)}
        line.update((name, float(value)) for name, value in metrics.items())
        try:
            self._log.write(line)
        except OSError as error:
            raise opening.disk_error(self, metrics_log.NAME, error) from error
        self.catalogue.call_run_hook("rl_metrics", run=self, progress=self.agent.progress, metrics=metrics)

    def due(self) -> bool:
        """Return whether it is time for a checkpoint: by distance if the recipe gives one, else by the clock."""
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.agent.progress // every > self._checkpointed // every
        patience = SECONDS_BETWEEN_CHECKPOINTS if self._saved_here else SECONDS_TO_THE_FIRST_CHECKPOINT
        return time.monotonic() - self._checkpoint_clock >= patience

    def checkpoint(self) -> Path:
        """Save everything that the newest checkpoint lacks, and return the path of the checkpoint."""
        progress = self.agent.progress
        path = self.folder / "checkpoints" / str(progress)
        if self._unsaved:
            soundness.require_parameters(self)
            state = {
                "agent": soundness.state_of(self),
                "task": self.agent.task.state_dict(),
                "seeds": self.seeds.state_dict(),
                "finished": self.agent.finished,
                "budget": self.budget,
                "version": self.resolved.agent.version,
                **self.evaluations.state_dict(),
            }
            try:
                if self._log is not None:
                    self._log.sync()  # the metrics up to a checkpoint are never younger than it
                self._whole = checkpoint.save(self.folder / "checkpoints", progress, state, previous=self._whole)
            except OSError as error:
                raise opening.disk_error(self, f"checkpoint {progress}", error) from error
            self._checkpointed, self._unsaved = progress, False
            self._saved_here = self._saved_here or progress > self._began_at
            self.catalogue.call_run_hook("rl_checkpoint_saved", run=self, path=path)
        self._checkpoint_clock = time.monotonic()
        return path

    def evaluate(self, *, episodes: int = recipe.EVALUATION_EPISODES, seed: int | None = None) -> dict[str, float]:
        """Return the numbers that the task judges the agent by, as it is now."""
        seeds = Seeds(self.recipe.seed if seed is None else seed, ("evaluation",))
        if self.task is self.agent.task:
            return self.agent.evaluate(episodes=episodes, seeds=seeds)
        return self.task.evaluate(self.agent.predictor(), episodes=episodes, seeds=seeds)

    def conclude(self, episodes: int = recipe.EVALUATION_EPISODES) -> dict[str, Any]:
        """Evaluate, write `result.json` and the figures."""
        before = len(self.agent.warnings)
        document = self.summary(self.evaluate(episodes=episodes))
        self.warnings += self.agent.warnings[before:]
        self._write("result.json", result.text(self, document))
        self.draw(document["score"])
        return document

    def draw(self, score: float | None = None) -> None:
        """Draw the figures, with the score of the trained agent where it is known."""
        result.draw(self, score)

    def summary(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """Return the JSON document of a run, as every command prints it; a number that is not finite is null."""
        return result.summary(self, metrics)

    def change_task(self, name: str, overrides: Sequence[str] = ()) -> None:
        """Judge the agent on another task, which must have the same spaces.

        A name that leads to the task of training keeps the settings of training.

        Args:
            name: Name of the task.
            overrides: Fields of its config, as `--set` takes them: "task.size=8".

        Raises:
            RequestError: if the name or a setting is unknown, or the spaces differ.
        """
        other = recipe.build_evaluation_task(self.catalogue, name, self.agent.task, trained_name=self.recipe.task, overrides=overrides)
        for role in ("input_space", "output_space"):
            trained, new = getattr(self.task, role), getattr(other, role)
            if trained != new:
                raise RequestError(
                    f"task {name} has the {role.replace('_', ' ')} {new}; the agent was trained for {trained}",
                    "name a task with the same spaces",
                )
        self.task, self.task_name = other, name

    def _require_same_data(self, *, continued: bool, accepted: bool) -> None:
        """Warn of data that changed since the checkpoint; refuse to continue on it unless that was accepted."""
        change = self.task.data_change()
        if not change:
            return
        if continued and not accepted:
            raise RequestError(
                change, f"restore the data, or continue on the data as it is now: {self.command('resume')} --accept-changed-data"
            )
        if continued:
            try:
                self.task.accept_data()
            except ValueError as error:
                raise RequestError(
                    f"the run cannot continue on the data as it is now: {error}", "restore the data, or start a new run"
                ) from error
            self._data_accepted = True
        self.warnings.append(f"{change}; {'the run continues on it' if continued else 'the encoding of the training is used'}")

    def _restore(self, saved: tuple[int, dict[str, Any], list[str]] | None) -> None:
        """Restore a checkpoint; stay at the beginning when there is none."""
        checkpoints = self.folder / "checkpoints"
        if saved is None:
            self.warnings.append("the run has no checkpoint: the agent is at its beginning")
            parent.start(self.agent, self.recipe)
            return
        progress, state, refused = saved
        self.warnings += refused
        again = opening.command_again(self.folder)
        try:
            self.agent.load_state_dict(self.agent.upgrade_state(state["agent"], state.get("version", "")))
            self.seeds.load_state_dict(state["seeds"])
            self.agent.progress = self._began_at = progress
            self.agent.finished = bool(state["finished"]) and state["budget"] >= self.budget
            self._checkpointed, self._unsaved = progress, state["budget"] != self.budget or self._data_accepted
            self._whole = checkpoints / str(progress)
            self.evaluations.restore(state, self._whole)
        except Exception as error:
            raise WorkError(
                f"checkpoint {progress} of {str(self.folder)!r} does not fit agent {self.spec.name}: {type(error).__name__}: {error}",
                f"install the versions in its manifest.json if a plugin has changed since, or start again with: {again}",
            ) from error
        self._seconds_before = metrics_log.seconds(self.folder, progress)

    def _open_log(self) -> MetricsLog:
        try:
            self._log = MetricsLog(self.folder, self.agent.progress)
        except OSError as error:
            raise opening.disk_error(self, metrics_log.NAME, error) from error
        return self._log

    def _write_recipe(self) -> None:
        """Write the recipe, and add this session to the manifest."""
        self._write("recipe.yaml", self.recipe.to_yaml())
        try:
            origin = parent.described(self.recipe)
            manifest.write(self.folder, self.resolved, progress=self.agent.progress, path=self.agent.path, parent=origin)
        except OSError as error:
            raise opening.disk_error(self, "manifest.json", error) from error

    def _write(self, name: str, text: str) -> None:
        try:
            files.replace(self.folder / name, text.encode())
        except OSError as error:
            raise opening.disk_error(self, name, error) from error

    def command(self, name: str) -> str:
        """Return a command on this run, as a user types it."""
        return f"rl-core {name} {shlex.quote(str(self.folder))}"
