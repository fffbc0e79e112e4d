"""Subjects of the checks: the components of a name, each with methods that build it small and in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.errors import RequestError, nearest
from rl_core.plugins.installed import normalised
from rl_core.plugins.loading import Plugin

if TYPE_CHECKING:
    import gymnasium

    from rl_core.batches import Batch
    from rl_core.conformance.steps import Step, Traces
    from rl_core.network import Network
    from rl_core.plugins.catalogue import Catalogue, Entry
    from rl_core.runs.recipe import Resolved
    from rl_core.runs.run import Run
    from rl_core.task import Task


DEFAULT_STEPS = 10  # of an agent's reference run


class Subject:
    """One component, or one plugin as a whole.

    Attributes:
        crashes: Place of each crash to the name of the check that reported it.
        steps: Steps of an agent's reference run at least; it goes on until an episode has ended.

    Args:
        catalogue: What is installed.
        kind: "agent", "network", "task", "scheme", "logger", "launcher" or "plugin".
        name: What results call it.
        package: The distribution that brings it.
        entry: The component; `None` for a plugin.
    """

    def __init__(self, catalogue: Catalogue, kind: str, name: str, package: str, entry: Entry | None = None) -> None:
        self.catalogue = catalogue
        self.kind = kind
        self.name = name
        self.package = package
        self.crashes: dict[str, str] = {}  # place of a crash to the check that reported it
        self.steps = DEFAULT_STEPS
        self._entry = entry

    @property
    def entry(self) -> Entry:
        """The component's entry in the catalogue."""
        assert self._entry is not None
        return self._entry

    @property
    def missing(self) -> str:
        """The reason why it cannot be checked in this installation; "" if it can."""
        entry = self._entry
        return f"it needs {', '.join(entry.missing)}, which is not installed; {entry.remedy}" if entry and entry.missing else ""

    @property
    def traits(self) -> frozenset[str]:
        """The traits in the spec of a task; empty for other kinds."""
        return frozenset(getattr(self.entry.spec, "traits", ())) if self._entry else frozenset()

    @cached_property
    def loaded(self) -> Any:
        """The class that the spec names."""
        return self.entry.load()

    @property
    def plugin(self) -> Plugin:
        """The plugin's row in the catalogue."""
        return next(row for row in self.catalogue.plugins if row.package == self.package)

    def folder(self) -> Path:
        """Return a new empty folder, which `close` removes."""
        return Path(tempfile.mkdtemp(dir=self._temporary.name))

    @cached_property
    def _temporary(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="rl-core-check-", ignore_cleanup_errors=True)

    def close(self) -> None:
        """Remove the folders; the checks can go on afterwards, in new ones."""
        if "_temporary" in self.__dict__:
            self.__dict__.pop("_temporary").cleanup()

    def live(self) -> None:
        """Build and use the component briefly, for the checks of what it leaves behind."""
        raise NotImplementedError


class AgentSubject(Subject):
    """An agent at its tiny size, on its default task."""

    def resolve(self, *, seed: int = 0, task: str | None = None) -> Resolved:
        """Return the tiny agent on the CPU with its tiny network for the task, and a newly built task."""
        from rl_core.runs import recipe

        options: dict[str, Any] = {"agent": self.entry.qualified, "task": task, "device": "cpu", "config": dict(self.entry.spec.tiny)}
        options["task_config"] = tiny_task(self.catalogue, task or self.entry.spec.task)
        if task not in self._network_tiny:
            network = recipe.resolve(self.catalogue, **options).network
            self._network_tiny[task] = dict(network.spec.tiny) if network else {}
        return recipe.resolve(self.catalogue, **options, seed=seed, network_config=self._network_tiny[task])

    @cached_property
    def _network_tiny(self) -> dict[str | None, dict[str, Any]]:
        return {}

    def tiny_network(self) -> Network | None:
        """Return the agent's default network at its tiny size; `None` if it has none."""
        name = self.entry.spec.network
        if name is None:
            return None
        entry = self.catalogue.find(name, "network")
        return NetworkSubject(self.catalogue, "network", entry.name, entry.package, entry).network()

    @contextmanager
    def run(self, *, seed: int = 0, task: str | None = None) -> Iterator[Run]:
        """Yield a new run of the tiny agent in a new folder."""
        from rl_core.runs.run import Run

        with Run.create(self.resolve(seed=seed, task=task), self.catalogue, self.folder()) as run:
            yield run

    def open(self, folder: Path) -> Run:
        """Return the run in `folder`, rebuilt from its newest checkpoint."""
        from rl_core.runs.run import Run

        return Run.open(folder, self.catalogue)

    @cached_property
    def reference(self) -> Any:
        """The run that others are compared with: see `rl_core.conformance.steps.record`."""
        from rl_core.conformance import steps

        return steps.record(self)

    @cached_property
    def twins(self) -> tuple[list[Step], list[Step]]:
        """The steps of a second agent of the reference's seed, and of one of another seed, taken in turns."""
        from rl_core.conformance import steps

        with self.run() as again, self.run(seed=1) as other:
            both = list(zip_longest(steps.take(again, len(self.reference.steps)), steps.take(other, steps.CUT)))
        same, others = ([step for step in row if step is not None] for row in zip(*both, strict=True))
        return same, others

    @cached_property
    def trained(self) -> Run:
        """A run after `TRAINED_STEPS` steps, which several checks ask and none takes further."""
        from rl_core.conformance import steps
        from rl_core.runs.run import Run

        run = self._open.enter_context(Run.create(self.resolve(), self.catalogue, self.folder()))
        for _ in steps.go(run, steps.TRAINED_STEPS):
            pass
        steps.save(run)
        return run

    @cached_property
    def traces(self) -> Traces:
        """The predictions and the evaluation of the trained agent; see `rl_core.conformance.steps.follow`."""
        from rl_core.conformance import steps

        return steps.follow(self.trained)

    @cached_property
    def remains(self) -> dict[str, list[str]]:
        """Changes that `live` leaves in the process: see `rl_core.conformance.process.remains`."""
        from rl_core.conformance import process

        self.resolve()
        return process.remains(self.live)

    def live(self) -> None:
        """Build, train, save, predict, evaluate, draw, and restore from the checkpoint."""
        from rl_core.conformance import inputs, steps

        with self.run() as run:
            for _ in steps.go(run, 2):
                pass
            steps.save(run)
            run.agent.predict(inputs.batch(run.task, 3))
            run.evaluate(episodes=1)
            run.agent.draw(self.folder())
            for _ in steps.go(self.open(run.folder), 1):
                pass

    def close(self) -> None:
        """Forget the runs and remove the folders."""
        self._open.close()
        for name in ("reference", "twins", "trained", "traces"):
            self.__dict__.pop(name, None)
        super().close()

    @cached_property
    def _open(self) -> ExitStack:
        return ExitStack()


class NetworkSubject(Subject):
    """A network at its tiny size, with the spaces that it should take."""

    @cached_property
    def task(self) -> Task:
        """Its default task."""
        from rl_core.runs import recipe

        return recipe.build_task(self.catalogue, self.entry.spec.task, tiny_task(self.catalogue, self.entry.spec.task))

    def network(self) -> Network:
        """Return the network at its tiny size."""
        from rl_core import config

        spec = self.entry.spec
        return self.loaded(config.build(self.loaded.Config, {**spec.config, **spec.tiny}, where=f"network {spec.name}"))

    def module(self, spaces: tuple[gymnasium.Space, gymnasium.Space] | None = None, seed: int = 0) -> Any:
        """Build a module for these spaces (by default those of the default task) from a generator of that seed."""
        import numpy as np

        pair = spaces or (self.task.input_space, self.task.output_space)
        return self.network().build(*pair, np.random.default_rng(seed))

    @cached_property
    def batch(self) -> Batch:
        """A few inputs of its default task [B, ...]."""
        from rl_core.conformance import inputs

        return inputs.batch(self.task, 6)

    @cached_property
    def remains(self) -> dict[str, list[str]]:
        """Changes that `live` leaves in the process."""
        from rl_core.conformance import process

        assert self.loaded, self.batch
        return process.remains(self.live)

    def live(self) -> None:
        """Build a module and call it in training mode and in evaluation mode."""
        from rl_core.conformance import modules

        module = self.module()
        modules.outputs(module, self.batch, learning=True)
        modules.outputs(module, self.batch)


class TaskSubject(Subject):
    """A task at its tiny size."""

    def fresh(self) -> Task:
        """Build a new instance of the task."""
        from rl_core.runs import recipe

        return recipe.build_task(self.catalogue, self.entry.qualified, tiny_task(self.catalogue, self.entry.qualified))

    @cached_property
    def task(self) -> Task:
        """The task, built once for the checks that only look."""
        return self.fresh()

    @cached_property
    def remains(self) -> dict[str, list[str]]:
        """Changes that `live` leaves in the process."""
        from rl_core.conformance import process

        assert self.task
        return process.remains(self.live)

    def live(self) -> None:
        """Build the task and evaluate random answers."""
        from rl_core.conformance import inputs
        from rl_core.seeds import Seeds

        task = self.fresh()
        task.evaluate(inputs.RandomAnswers(task.output_space), episodes=1, seeds=Seeds(0))


def tiny_task(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """Return the config fields that make a task small; none for a task of a scheme."""
    return dict(getattr(catalogue.find(name, "task").spec, "tiny", {}))


_SUBJECTS: dict[str, type[Subject]] = {"agent": AgentSubject, "network": NetworkSubject, "task": TaskSubject}


def everything(catalogue: Catalogue) -> list[Subject]:
    """Return every plugin that is not disabled, and every component."""
    subjects = []
    for row in catalogue.plugins:
        if row.status != "disabled":
            subjects += _of_package(catalogue, row.package)
    return subjects


def named(catalogue: Catalogue, name: str) -> list[Subject]:
    """Return the subjects of a name: components of any kind, or a package with all its components.

    Raises:
        RequestError: if neither a component nor a package has the name.
    """
    entries = [entry for entry in catalogue.entries() if name in (entry.name, entry.qualified)]
    if entries:
        return [_subject(catalogue, entry) for entry in entries]
    packages = [row.package for row in catalogue.plugins]
    for package in packages:
        if normalised(package) == normalised(name):
            return _of_package(catalogue, package)
    try:
        return [_subject(catalogue, catalogue.find(name))]
    except RequestError as error:
        close = nearest(name, packages)
        raise RequestError(error.message, f"did you mean the package {close[0]}?" if close else error.hint) from error


def _of_package(catalogue: Catalogue, package: str) -> list[Subject]:
    entries: Sequence[Entry] = [entry for entry in catalogue.entries() if entry.package == package]
    return [Subject(catalogue, "plugin", package, package), *(_subject(catalogue, entry) for entry in entries)]


def _subject(catalogue: Catalogue, entry: Entry) -> Subject:
    name = entry.qualified if entry.status == "ambiguous" else entry.name
    return _SUBJECTS.get(entry.kind, Subject)(catalogue, entry.kind, name, entry.package, entry)
