"""The kit is tested: sound components pass every check, and for each check there is a component with one fault that it catches."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_core.conformance.checks import Check, all_checks, perform
from rl_core.conformance.subjects import AgentSubject, Subject, TaskSubject, named
from rl_core.plugins.catalogue import Catalogue

FAULTY = Path(__file__).parent / "faulty"

ELSEWHERE = ("needs-the-place", "needs-the-processors", "needs-the-threads", "needs-the-hour", "takes-its-time")
FAULTS = [  # component, check, what the check says
    ("no-agent", "names-a-class", "is no Agent"),
    ("changeable", "names-a-class", "can be changed"),
    ("wrong-tiny", "gives-settings-that-build", "tiny of the spec cannot be built: unknown config field 'num_stepps'"),
    ("wrong-tiny-task", "gives-settings-that-build", "tiny of the spec cannot be built: unknown config field 'pusch'"),
    ("wrong-preset", "gives-settings-that-build", "the preset for drift cannot be built: unknown config field 'sprade'"),
    (
        "wrong-task-preset",
        "gives-settings-that-build",
        "task_config of the preset for drift cannot be built: .* 'lenght'",
    ),
    ("lost-preset", "gives-settings-that-build", "cannot be read"),
    ("no-such-network", "names-what-exists-and-fits", "the default network 'no-such-network' is not there"),
    ("unfit-network", "names-what-exists-and-fits", "network for-images does not fit task drift"),
    ("needs-pytest", "requires-what-it-imports", r"sourceless.py:\d+ imports pytest, which faulty does not declare"),
    ("crashes-on-settings", "refuses-wrong-settings", "with KeyError"),
    ("takes-any-setting", "refuses-wrong-settings", "spread takes .* and everything else"),
    ("lets-ranges-slip", "holds-the-ranges-it-states", r"spread is said to be in \(0, 1\], and takes 0.0"),
    ("unexplained", "explains-its-fields", "Config.num_steps is not explained"),
    ("rangeless", "explains-its-fields", "Config.spread is a number"),
    ("sourceless", "names-its-source", "names a source"),
    ("unseeded", "reproduces-from-its-seed", "two agents of seed 0 part in step 1: they differ at agent/"),
    ("shares-its-count", "reproduces-from-its-seed", "two agents of seed 0 part in step 1"),
    ("deaf-to-seeds", "depends-on-its-seed", "seeds 0 and 1 gave the same state"),
    ("forgets-its-best", "resumes-to-the-last-bit", "continued after step 1, step 2 differs: they differ at agent/best"),
    ("needs-the-hash", "repeats-in-another-process", "begun in another process, the run differs: they differ at agent/"),
    ("turns-at-the-end", "resumes-to-the-last-bit", "they differ at agent/"),
    *((name, "repeats-in-another-process", "begun in another process, the run differs") for name in ELSEWHERE),
    ("centres-its-batch", "answers-each-input-alone", "in a batch, and another one alone"),
    ("mistyped-preset", "gives-presets-that-apply", "'CartPol-v1' is never used: .* did you mean 'CartPole-v1'"),
    ("unfit-preset", "gives-presets-that-apply", "'stripes' is never used: task stripes offers data"),
    ("answers-from-a-copy", "evaluates-alike-when-loaded", "evaluate gives 'mean return' = .*, and after loading"),
    ("pickles", "saves-without-pickle", "the array 'agent/weights' of the state is a pickle"),
    ("pickles-hidden", "saves-without-pickle", "calls pickle.dumps"),
    ("takes-the-signals", "leaves-the-process-alone", "signal handlers: SIGUSR1"),
    ("leaves-a-file", "leaves-the-process-alone", "files in the working directory: climber.log"),
    ("draws-from-numpy", "leaves-the-generators-alone", "it moved NumPy's global generator"),
    ("reports-nan", "reports-finite-metrics", "'loss' = nan"),
    ("reports-by-its-own-name", "reports-finite-metrics", "'mean return'; call it 'episode_return'"),
    ("never-moves-one", "moves-every-parameter", "1 of 2 parameters never moved, 'bias'"),
    ("stands-still", "raises-its-progress", "a step left progress at 0"),
    ("explores-when-asked", "predicts-without-traces", "moved the state: they differ at seeds/push"),
    ("answers-scores", "answers-in-the-output-space", "outside the output space: row 0"),
    ("takes-too-much", "refuses-wrong-tasks", "with AttributeError: .*narrow fits"),
    ("knows-one-task", "learns-on-other-tasks", "ValueError"),
    ("exports-nothing", "exports-what-it-lists", r"export\('text'\) leaves nothing"),
    ("one-too-many", "builds-the-right-shape", r"outputs of shape \[6, 3\]; .* it must be \[6, 2\]"),
    ("takes-anything", "refuses-wrong-spaces", "are met with"),
    (
        "takes-a-taken-name",
        "explains-its-fields",
        r"TakenNameConfig.head is named as one of the settings of every network",
    ),
    ("never-the-same", "repeats-from-its-generator", "in the same state differ in 'outputs'"),
    ("always-the-same", "repeats-from-its-generator", "in different states build the same numbers"),
    ("centres-the-batch", "answers-each-input-for-itself", "a part of a batch gives other outputs"),
    ("sets-a-variable", "leaves-the-process-alone", "environment variables: FAULTY_MATRIX"),
    ("network-draws-from-numpy", "leaves-the-generators-alone", "it moved NumPy's global generator"),
    ("unnamed", "says-how-it-is-judged", "metric is ''"),
    ("lies", "has-the-traits-of-its-spec", "the spec says continuous-output, which the task does not offer"),
    ("noisy-score", "scores-repeatably", "the same answers judged again get 'mean return'"),
    ("crashing-parse", "reads-what-is-typed", "with KeyError"),
    ("forgets-its-scale", "returns-from-its-state", "the inputs of test differ after from_state"),
    ("changes-environment", "leaves-the-process-alone", "NumPy's print options: precision"),
    ("task-draws-from-numpy", "leaves-the-generators-alone", "it moved NumPy's global generator"),
    ("wide-rewards", "keeps-to-its-spaces", r"reward is float64 \[3\]; it must be float32"),
    ("unseeded-envs", "repeats-from-its-seeds", "the first observations differs"),
    ("forgets-its-stream", "continues-from-its-state", "after load_state_dict, obs of step 1 differs"),
    ("never-begins-anew", "hands-over-at-an-end", "obs is the last observation of the old one"),
    ("mixes-up-final-obs", "hands-over-at-an-end", "final_obs where the episode goes on differs"),
    ("does-not-count", "counts-its-episodes", "the same episodes twice"),
    ("writes-again", "keeps-what-it-gave", "was written to by a later step"),
    ("tests-what-it-taught", "has-splits-apart", "20 examples of the test split are also in train"),
    ("sorts-its-indices", "reads-by-index", "of train is a different one when read alone"),
    ("counts-from-one", "keeps-its-examples-to-its-spaces", "the targets of train are outside the output space"),
    ("scores-errors", "scores-right-answers-best", "right answers score 0 and random ones"),
    ("keeps-objects", "reads-plain-batches", "the inputs of train: it is an array of objects"),
    ("averages-batches", "judges-in-any-batches", "the same answers judged in 2 batches get 'accuracy'"),
    ("loses-a-label", "keeps-its-examples-to-its-spaces", "the rows of part 'label' differ in length"),
    ("hides-its-cost", "carries-the-extras-it-declares", r"carries the extras \[\]; declared are \['cost'\]"),
    ("widens-its-rewards", "holds-transitions", "reward of train is float64"),
    ("draws-unseeded", "draws-tasks-of-one-kind", "the same seeds draw"),
    ("tests-its-training", "keeps-test-tasks-apart", "20 of 20 test tasks are training tasks"),
    ("claims-a-loss", "keeps-its-word-on-losses", "own_loss is True, and the module has neither"),
    ("misread", "builds-its-example", "misread:0.5 does not offer data"),
    ("deaf", "takes-part-in-runs", "has none of the run hooks"),
    ("endless", "is-made-from-its-config", "has no method stop"),
]
PROVEN_ELSEWHERE = {
    "loads-without-problems": "test_conformance_plugins.py",
    "imports-lightly": "test_conformance_plugins.py",
    "imports-without-side-effects": "test_conformance_plugins.py",
    "repeats-its-hooks": "test_conformance_plugins.py",
    "passes-gradients-to-every-parameter": "packages/dl-nets/tests/test_conformance.py, where torch is",
}
SOUND = [
    *("climber", "planner", "matrix", "brings-its-loss", "drift", "wide-drift", "costly-drift"),
    *("stripes", "scaled-stripes", "boxes", "logged-drift", "drifts", "pushed", "listens"),
]

SKIPPED = {
    "climber": {"gives-presets-that-apply"},  # it has none
    "planner": {"depends-on-its-seed", "exports-what-it-lists", "gives-presets-that-apply"},  # it draws nothing and exports nothing
    "matrix": {"passes-gradients-to-every-parameter", "keeps-its-word-on-losses"},  # it is NumPy's, and leaves the loss to the learner
    "brings-its-loss": {"passes-gradients-to-every-parameter", "builds-the-right-shape"},
    "logged-drift": {"scores-right-answers-best", "judges-in-any-batches"},  # the environment judges
}


@pytest.fixture(scope="module")
def catalogue() -> Iterator[Catalogue]:
    """The faulty plugin and the host's own; what else is installed here has no part in these tests."""
    paths = list(sys.path)
    sys.path.insert(0, str(FAULTY))
    others = [row.package for row in Catalogue.discover().plugins if row.package not in ("faulty", "rl-core")]
    yield Catalogue.discover(others)
    sys.path[:] = paths


@pytest.fixture(scope="module")
def subjects(catalogue: Catalogue) -> Iterator[dict[str, Subject]]:
    """The plugin's components by name, each made once, as a session of checks does."""
    found = {subject.name: subject for subject in named(catalogue, "faulty") if subject.kind != "plugin"}
    yield found
    for subject in found.values():
        subject.close()


def _check(name: str, subject: Subject) -> Check:
    return next(check for check in all_checks() if check.name == name and check.applies(subject))


@pytest.mark.parametrize(("component", "check", "said"), FAULTS, ids=[f"{component}-{check}" for component, check, _ in FAULTS])
def test_the_check_catches_the_fault_and_says_what_it_is(subjects: dict[str, Subject], component: str, check: str, said: str) -> None:
    result = perform(_check(check, subjects[component]), subjects[component])
    assert result.status == "failed"
    assert re.search(said, result.message), result.message


@pytest.mark.parametrize("component", SOUND)
def test_a_sound_component_passes_every_check(subjects: dict[str, Subject], component: str) -> None:
    subject = subjects[component]
    checks = [check for check in all_checks() if check.applies(subject)]
    assert checks
    results = [perform(check, subject) for check in checks]
    assert [f"{result.check}: {result.message}" for result in results if result.status == "failed"] == []
    skipped = {result.check for result in results if result.status == "skipped"}
    assert skipped <= SKIPPED.get(component, set()), skipped


def test_a_crash_in_a_step_is_one_failure(catalogue: Catalogue) -> None:
    [subject] = named(catalogue, "faulty/crashes")
    results = [perform(check, subject) for check in all_checks() if check.applies(subject)]
    subject.close()
    failed = [result for result in results if result.status == "failed"]
    assert [(result.check, result.message.partition(" at ")[0]) for result in failed] == [
        ("reproduces-from-its-seed", "RuntimeError: no step was taken")
    ]
    assert sum("the crash that reproduces-from-its-seed reports" in result.message for result in results) >= 10


def test_more_steps_are_taken_on_request(catalogue: Catalogue) -> None:
    [subject] = named(catalogue, "faulty/climber")
    subject.steps = 25
    assert isinstance(subject, AgentSubject)
    assert len(subject.reference.steps) >= 25
    assert set(subject.reference.cuts) == {1, 3, len(subject.reference.steps) - 1}
    subject.close()


def test_a_task_has_its_tiny_size_for_checks_of_itself_and_of_agents(catalogue: Catalogue) -> None:
    [task], [agent] = named(catalogue, "faulty/far-drift"), named(catalogue, "faulty/climber")
    assert isinstance(task, TaskSubject)
    assert isinstance(agent, AgentSubject)
    assert [task.fresh().config.push, agent.resolve(task="far-drift").built_task.config.push] == [0.5, 0.5]


def test_every_check_has_a_fault_that_proves_it() -> None:
    proven = {check for _, check, _ in FAULTS} | set(PROVEN_ELSEWHERE)
    assert {check.name for check in all_checks()} == proven


def test_a_check_leaves_nothing_behind(subjects: dict[str, Subject], catalogue: Catalogue) -> None:
    [subject] = named(catalogue, "faulty/climber")
    folder = subject.folder()
    assert perform(_check("leaves-the-process-alone", subject), subject).status == "passed"
    subject.close()
    assert not folder.parent.exists()
