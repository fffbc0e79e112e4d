"""The components of the faulty plugin: sound ones, and one for each fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, LauncherSpec, LoggerSpec, NetworkSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2
CONTROL = ("control", "vector-input", "discrete-output")
DATA = ("data", "vector-input", "discrete-output")


def agent(name: str, target: str, **other: Any) -> AgentSpec:
    settings: dict[str, Any] = {
        "fits": (" ".join(CONTROL),),
        "unit": "environment steps",
        "budget": 1000,
        "task": "drift",
        "network": "matrix",
        "tiny": {"num_steps": 4},
    }
    return AgentSpec(name=name, target=f"faulty.{target}", summary="Climbs", **{**settings, **other})


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    yield agent("climber", "climber:Climber")
    yield agent("planner", "climber:Planner")
    yield agent("no-agent", "drift:Drift")
    yield agent("changeable", "climber:Changeable")
    yield agent("wrong-tiny", "climber:Climber", tiny={"num_stepps": 1})
    yield agent("wrong-preset", "climber:Climber", presets="faulty:presets.yaml")
    yield agent("wrong-task-preset", "climber:Climber", presets="faulty:task_presets.yaml")
    yield agent("lost-preset", "climber:Climber", presets="faulty:nowhere.yaml")
    yield agent("no-such-network", "climber:Climber", network="no-such-network")
    yield agent("unfit-network", "climber:Climber", network="for-images")
    yield agent("needs-pytest", "sourceless:Sourceless")
    yield agent("crashes-on-settings", "climber:CrashesOnSettings")
    yield agent("takes-any-setting", "climber:TakesAnySetting")
    yield agent("lets-ranges-slip", "climber:LetsRangesSlip")
    yield agent("unexplained", "climber:Unexplained")
    yield agent("rangeless", "climber:Rangeless")
    yield agent("sourceless", "sourceless:Sourceless", requires=("pytest",))
    yield agent("unseeded", "climber:Unseeded")
    yield agent("shares-its-count", "climber:SharesItsCount")
    yield agent("deaf-to-seeds", "climber:DeafToSeeds")
    yield agent("forgets-its-best", "climber:ForgetsItsBest")
    yield agent("needs-the-hash", "climber:NeedsTheHash")
    yield agent("answers-from-a-copy", "climber:AnswersFromACopy")
    yield agent("pickles", "climber:Pickles")
    yield agent("pickles-hidden", "climber:PicklesHidden")
    yield agent("takes-the-signals", "climber:TakesTheSignals")
    yield agent("leaves-a-file", "climber:LeavesAFile")
    yield agent("draws-from-numpy", "climber:DrawsFromNumPy")
    yield agent("reports-nan", "climber:ReportsNaN")
    yield agent("reports-by-its-own-name", "climber:ReportsByItsOwnName")
    yield agent("never-moves-one", "climber:NeverMovesOne")
    yield agent("stands-still", "climber:StandsStill")
    yield agent("explores-when-asked", "climber:ExploresWhenAsked")
    yield agent("answers-scores", "climber:AnswersScores")
    yield agent("takes-too-much", "climber:TakesTooMuch", fits=("control vector-input",))
    for name in ("centres-its-batch", "crashes", "turns-at-the-end"):
        yield agent(name, f"climber:{name.title().replace('-', '')}")
    for name in ("needs-the-place", "needs-the-processors", "needs-the-threads", "needs-the-hour", "takes-its-time"):
        yield agent(name, f"climber:{name.title().replace('-', '')}")
    yield agent("mistyped-preset", "climber:Climber", presets="faulty:mistyped_presets.yaml")
    yield agent("unfit-preset", "climber:Climber", presets="faulty:unfit_presets.yaml")
    yield agent("knows-one-task", "climber:KnowsOneTask")
    yield agent("exports-nothing", "climber:ExportsNothing")


@hookimpl
def rl_networks() -> Iterator[NetworkSpec]:
    for name, class_name in (
        ("matrix", "OneMatrix"),
        ("one-too-many", "OneTooMany"),
        ("takes-anything", "TakesAnything"),
        ("always-the-same", "AlwaysTheSame"),
        ("never-the-same", "NeverTheSame"),
        ("centres-the-batch", "CentresTheBatch"),
        ("sets-a-variable", "SetsAVariable"),
        ("network-draws-from-numpy", "DrawsFromNumPy"),
        ("takes-a-taken-name", "TakesATakenName"),
    ):
        yield NetworkSpec(
            name=name, target=f"faulty.matrix:{class_name}", summary="A matrix", fits=("vector-input",), task="drift", agent="climber"
        )
    for name, class_name in (("brings-its-loss", "BringsItsLoss"), ("claims-a-loss", "ClaimsALoss")):
        yield NetworkSpec(name=name, target=f"faulty.matrix:{class_name}", summary="A matrix", fits=("vector-input",), task="stripes")
    yield NetworkSpec(name="for-images", target="faulty.matrix:OneMatrix", summary="A matrix", fits=("image-input",), task="drift")


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    for name, class_name in (
        ("drift", "Drift"),
        ("wide-drift", "WideDrift"),
        ("unnamed", "Unnamed"),
        ("noisy-score", "NoisyScore"),
        ("crashing-parse", "CrashingParse"),
        ("changes-environment", "ChangesEnvironment"),
        ("task-draws-from-numpy", "DrawsFromNumPy"),
        ("wide-rewards", "WideRewards"),
        ("unseeded-envs", "Unseeded"),
        ("forgets-its-stream", "ForgetsItsStream"),
        ("never-begins-anew", "NeverBeginsAnew"),
        ("mixes-up-final-obs", "MixesUpFinalObs"),
        ("does-not-count", "DoesNotCount"),
        ("writes-again", "WritesAgain"),
    ):
        yield TaskSpec(name=name, target=f"faulty.drift:{class_name}", summary="A drifting point", traits=CONTROL, agent="climber")
    pushes = {"far-drift": {"push": 0.5}, "wrong-tiny-task": {"pusch": 0.5}}
    for name, tiny in pushes.items():
        yield TaskSpec(name=name, target="faulty.drift:Drift", summary="A drifting point", traits=CONTROL, agent="climber", tiny=tiny)
    lies = ("control", "vector-input", "continuous-output")
    yield TaskSpec(name="lies", target="faulty.drift:Drift", summary="A drifting point", traits=lies, agent="climber")
    for name, class_name in (
        ("stripes", "Stripes"),
        ("tests-what-it-taught", "TestsWhatItTaught"),
        ("sorts-its-indices", "SortsItsIndices"),
        ("counts-from-one", "CountsFromOne"),
        ("scores-errors", "ScoresErrors"),
        ("keeps-objects", "KeepsObjects"),
        ("averages-batches", "AveragesBatches"),
        ("scaled-stripes", "ScaledStripes"),
        ("forgets-its-scale", "ForgetsItsScale"),
    ):
        yield TaskSpec(name=name, target=f"faulty.stripes:{class_name}", summary="Two sides of a line", traits=DATA, agent="")

    for name, class_name in (("costly-drift", "CostlyDrift"), ("hides-its-cost", "HidesItsCost")):
        yield TaskSpec(
            name=name,
            target=f"faulty.drift:{class_name}",
            summary="A point whose pushes cost",
            traits=(*CONTROL, "cost"),
            extras=("cost",),
            agent="climber",
        )
    for name, class_name, traits in (
        ("boxes", "Boxes", ("data", "dict-input", "boxes-output")),
        ("loses-a-label", "LosesALabel", ("data", "dict-input", "boxes-output")),
        ("logged-drift", "LoggedDrift", ("offline", "vector-input", "discrete-output")),
        ("widens-its-rewards", "WidensItsRewards", ("offline", "vector-input", "discrete-output")),
        ("drifts", "Drifts", ("family", "vector-input", "discrete-output")),
        ("draws-unseeded", "DrawsUnseeded", ("family", "vector-input", "discrete-output")),
        ("tests-its-training", "TestsItsTraining", ("family", "vector-input", "discrete-output")),
    ):
        yield TaskSpec(name=name, target=f"faulty.structured:{class_name}", summary="A task with structure", traits=traits, agent="")


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    for name, traits in (("pushed", CONTROL), ("misread", DATA)):
        yield TaskSchemeSpec(
            name=name,
            target="faulty.drift:Drift",
            summary="A point that is pushed so far",
            argument="push",
            example=f"{name}:0.5",
            traits=traits,
            agents=("climber",),
        )


@hookimpl
def rl_loggers() -> Iterator[LoggerSpec]:
    yield LoggerSpec(name="listens", target="faulty.loggers:Listens", summary="Listens")
    yield LoggerSpec(name="deaf", target="faulty.loggers:Deaf", summary="Does not listen")


@hookimpl
def rl_launchers() -> Iterator[LauncherSpec]:
    """One that cannot stop what it starts."""
    yield LauncherSpec(name="endless", target="faulty.loggers:Endless", summary="Cannot stop what it starts")
