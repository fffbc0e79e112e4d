"""The course of a tuning: batch by batch and rung by rung, with workers that stay from one to the next."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl_core.errors import WorkError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import compare, files
from rl_core.runs.signals import STOPPED
from rl_core.sweeps import plan, proposals, states, tuning
from rl_core.sweeps.claims import STALE, Claims
from rl_core.sweeps.coordinator import SECONDS_TO_SAVE, Crew, Interrupts, Line, Watch, interruptible, is_over
from rl_core.sweeps.proposals import Trial
from rl_core.sweeps.tuning import NOW, Tuning
from rl_core.sweeps.worker import LOST, STOP, Assignment, Worker

SECONDS_BETWEEN_LOOKS = 0.1
SUMMARY = "summary.json"


class TuningRun:
    """A tuning with its workers.

    Args:
        made: The request.
        catalogue: The installed components.
        crew: The workers.
        say: Prints a sentence for the user.
    """

    def __init__(self, made: Tuning, catalogue: Catalogue, crew: Crew, say: Callable[[str], None]) -> None:
        self._tuning, self._catalogue, self._crew, self._say = made, catalogue, crew, say
        self._round = 0
        self._interrupts = Interrupts()

    def run(self) -> bool:
        """Make what is left of the trials, and the confirmation; return False if it was interrupted."""
        folder = self._tuning.folder
        (folder / STOP).unlink(missing_ok=True)
        files.make_folder(folder / "claims")
        files.make_folder(folder / "workers")
        with interruptible(folder / STOP) as self._interrupts:
            try:
                return self._go_on()
            finally:
                self._order({"end": True})
                if self._crew.ids and self._interrupts.count < 2:
                    deadline = time.monotonic() + 2.0
                    while not self._crew.is_gone() and time.monotonic() < deadline:
                        time.sleep(0.05)
                    if not self._crew.is_gone():
                        self._crew.launcher.stop(self._crew.ids, SECONDS_TO_SAVE)

    def _go_on(self) -> bool:
        made = self._tuning
        trials = tuning.read_trials(made.folder)
        while batch := tuning.next_batch(made, trials):
            finished = self._batch(batch)
            if finished is None:
                return False
            trials += tuning.with_worst(trials, finished, higher_is_better=made.higher_is_better)
            tuning.write_trials(made.folder, trials)
            best = tuning.best_of(trials, higher_is_better=made.higher_is_better)
            told = "" if best is None else f", best {made.metric} {best.value:.4g} of trial {best.number}"
            self._say(f"{len(trials)} of {made.trials} trials{told}")
        best = tuning.best_of(trials, higher_is_better=made.higher_is_better)
        if best is None:
            raise WorkError("no trial learned its whole budget", f"see the failures: rl-core show {made.folder}/batches/000")
        sweep = tuning.plan_confirmation(made, self._catalogue, best)
        return self._learn(sweep, None, None)

    def _batch(self, batch: list[Trial]) -> list[Trial] | None:
        """Return the trials of a batch with their values; `None` if it was interrupted."""
        made = self._tuning
        sweep, labels = tuning.plan_batch(made, self._catalogue, batch)
        if sweep is None:
            return [tuning.judged(trial, [], rung=0, state="failed") for trial in batch]
        budget = self._budget(sweep)
        going, finished = {trial.number for trial in batch if trial.number in labels}, {}
        for trial in batch:
            if trial.number not in going:
                finished[trial.number] = tuning.judged(trial, [], rung=0, state="failed")
        rungs = made.rungs(budget)
        for rung, until in enumerate(rungs):
            last = rung == len(rungs) - 1
            chosen = {labels[number] for number in going}
            if not self._learn(sweep, None if last else until, frozenset(run.id for run in sweep.runs if run.group in chosen)):
                return None
            here = [
                tuning.judged(trial, tuning.scores_of(sweep, labels[trial.number], until), rung=rung, state="done" if last else "cut")
                for trial in batch
                if trial.number in going
            ]
            going = set() if last else set(tuning.survivors(here, made.halving, higher_is_better=made.higher_is_better))
            finished |= {trial.number: trial for trial in here if trial.number not in going}
        return [finished[trial.number] for trial in batch]

    def _budget(self, sweep: plan.Sweep) -> int:
        from rl_core import documents

        return int(documents.read(sweep.folder / sweep.runs[0].recipe)["budget"])

    def _learn(self, sweep: plan.Sweep, until: int | None, only: frozenset[str] | None) -> bool:
        """Have the workers learn runs up to a rung; returns False if that was interrupted.

        Raises:
            WorkError: if the workers end without having learned anything.
        """
        runs = [run for run in sweep.runs if only is None or run.id in only]
        watch, line, before = Watch(sweep), Line(self._say), -1
        try:
            while True:
                found = watch.look()
                over = sum(is_over(sweep, run, found[run.id], until) for run in runs)
                if over == len(runs):
                    return True
                if self._interrupts.count:
                    return False
                if not self._crew.ids or self._crew.is_gone():
                    if over <= before:
                        raise WorkError("the workers ended and left runs behind", f"continue with: rl-core resume {self._tuning.folder}")
                    before = over
                    self._round += 1
                    self._order(self._orders(sweep, until, only))
                    self._crew.start(self._tuning.folder)
                elif self._asked != (sweep.folder, until, only):
                    self._round += 1
                    self._order(self._orders(sweep, until, only))
                line.show({run.id: found[run.id] for run in runs})
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            watch.close()
            Claims(sweep.folder / "claims").clear()

    _asked: tuple[Path, int | None, frozenset[str] | None] | None = None

    def _orders(self, sweep: plan.Sweep, until: int | None, only: frozenset[str] | None) -> dict[str, Any]:
        self._asked = (sweep.folder, until, only)
        name = str(sweep.folder.relative_to(self._tuning.folder))
        return {"round": self._round, "sweep": name, "until": until, "only": None if only is None else sorted(only), "end": False}

    def _order(self, orders: dict[str, Any]) -> None:
        files.replace(self._tuning.folder / NOW, json.dumps(orders).encode())


def follow(folder: Path, say: Callable[[str], None], disabled: tuple[str, ...]) -> int:
    """Learn what the coordinator of a tuning asks for, until it ends, and return the exit status of the worker."""
    done: Any = None
    worker: Worker | None = None
    waited = time.monotonic()
    while True:
        orders = _orders_in(folder)
        if orders.get("end") or (worker is not None and worker.is_stopped()) or (folder / STOP).exists():
            break
        if orders.get("round") in (None, done):
            if time.monotonic() - waited > STALE and worker is None:
                break  # a tuning that has no coordinator
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        only = None if orders["only"] is None else frozenset(orders["only"])
        assignment = Assignment(plan.read(folder / orders["sweep"]), orders["until"], only)
        if worker is None:
            worker = Worker(assignment, say, disabled, stop=folder / STOP)
        else:
            worker.assign(assignment)
        with worker.handled_signals():
            status = worker.finish()
        if status in (STOPPED, LOST):
            worker.close()
            return status
        done = orders["round"]
    if worker is not None:
        worker.close()
    return STOPPED if (folder / STOP).exists() else 0


def _orders_in(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads((folder / NOW).read_text())
        if isinstance(found, dict):
            return found
    return {}


def summary(made: Tuning, *, seconds: float) -> dict[str, Any]:
    """Return the JSON document of a tuning, and write it, the best recipe and the pictures."""
    from rl_core.runs import recipe
    from rl_core.sweeps import tuning_figures

    trials = tuning.read_trials(made.folder)
    best = tuning.best_of(trials, higher_is_better=made.higher_is_better)
    document: dict[str, Any] = {
        "tuning": str(made.folder),
        "metric": made.metric,
        "higher_is_better": made.higher_is_better,
        "trials": [{name: value for name, value in replace(trial, point={}).__dict__.items() if name != "point"} for trial in trials],
        "best": None if best is None else {"number": best.number, "set": dict(best.set), "value": best.value},
        "confirmed": _confirmed(made),
        "importance": proposals.importance(made.dimensions, trials, higher_is_better=made.higher_is_better) if len(trials) >= 4 else {},
        "recipe": None,
        "preset": None,
        "seconds": round(seconds, 3),
    }
    confirm = made.folder / "confirm"
    if best is not None and plan.is_sweep(confirm):
        path = made.folder / "best.yaml"
        text = (confirm / plan.read(confirm).runs[0].recipe).read_text(encoding="utf-8")
        files.replace(path, text.encode())
        document["recipe"] = str(path)
        document["preset"] = tuning.as_preset(recipe.Recipe(**recipe.read(path).values), best)
    tuning_figures.draw(made, trials, document["importance"], made.folder / "figures")
    files.replace(made.folder / SUMMARY, (json.dumps(document, indent=1) + "\n").encode())
    return document


def _confirmed(made: Tuning) -> dict[str, Any] | None:
    """Return how the best settings and the defaults did on seeds that no trial saw; `None` before that is known."""
    folder = made.folder / "confirm"
    if not plan.is_sweep(folder):
        return None
    sweep = plan.read(folder)
    done = [(run.group, result) for run in sweep.runs if (result := states.result_of(sweep.path(run))) is not None]
    rows = {row["name"]: row for row in compare.rows([(label, result) for label, result in done if result["score"] is not None])}
    if "best" not in rows:
        return None
    defaults = rows.get("defaults", rows["best"])
    kept = ("seeds", "scores", "mean", "interval")
    return {
        **{name: rows["best"][name] for name in kept},
        "default_scores": defaults["scores"],
        "default_mean": defaults["mean"],
        "default_interval": defaults["interval"],
        "target": rows["best"]["target"],
    }
