"""The checks of whole plugins, the command `rl-core check`, and the one line for pytest: each with plugins made for the purpose."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rl_core.cli.cli import cli
from rl_core.conformance import conformance_tests
from rl_core.conformance.checks import all_checks, perform
from rl_core.conformance.subjects import named
from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue

FAULTY = Path(__file__).parent / "faulty"
pytest_plugins = ["pytester"]
HEAD = "from rl_core.api import AgentSpec, hookimpl\nRL_API = {api}\n"
AGENT = 'AgentSpec(name="a", target="{module}:A", summary="{summary}", fits=("control",), unit="steps", task="b", budget=1)'

Install = Callable[..., Catalogue]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with this `_plugin.py` on the path; the catalogue that then is."""

    def make(name: str, text: str, init: str = "") -> Catalogue:
        module = name.replace("-", "_")
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text(init)
        (tmp_path / module / "_plugin.py").write_text(text)
        information = tmp_path / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[rl_core.plugins]\n{name} = {module}._plugin\n")
        monkeypatch.syspath_prepend(tmp_path)
        return Catalogue.discover()

    return make


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The faulty plugin on the path."""
    monkeypatch.syspath_prepend(FAULTY)


def _said(catalogue: Catalogue, package: str, name: str) -> str:
    """The message of a check of a plugin; "" when it passed."""
    subject = named(catalogue, package)[0]
    result = perform(next(check for check in all_checks() if check.name == name), subject)
    assert result.status != "skipped"
    return result.message


def test_a_sound_plugin_passes_the_checks_of_plugins(install: Install) -> None:
    agent = AGENT.format(module="sound._plugin", summary="A")
    catalogue = install("sound", HEAD.format(api=2) + f"class A: pass\n@hookimpl\ndef rl_agents():\n    yield {agent}\n")
    for name in ("loads-without-problems", "imports-lightly", "repeats-its-hooks"):
        assert _said(catalogue, "sound", name) == ""


def test_a_plugin_for_another_api_does_not_load_without_problems(install: Install) -> None:
    catalogue = install("of-tomorrow", HEAD.format(api=99))
    assert "99" in _said(catalogue, "of-tomorrow", "loads-without-problems")


def test_a_bad_spec_is_a_problem_of_its_plugin(install: Install) -> None:
    agent = AGENT.format(module="nowhere", summary="A")
    catalogue = install("leads-nowhere", HEAD.format(api=2) + f"@hookimpl\ndef rl_agents():\n    yield {agent}\n")
    assert "cannot be resolved" in _said(catalogue, "leads-nowhere", "loads-without-problems")


def test_a_plugin_that_imports_numpy_does_not_import_lightly(install: Install) -> None:
    agent = AGENT.format(module="heavy._plugin", summary="A")
    text = HEAD.format(api=2) + f"class A: pass\n@hookimpl\ndef rl_agents():\n    yield {agent}\n"
    catalogue = install("heavy", text, init="import numpy\n")
    assert "importing heavy._plugin imports numpy" in _said(catalogue, "heavy", "imports-lightly")


def test_a_hook_that_gives_other_specs_the_second_time_is_caught(install: Install) -> None:
    agent = AGENT.format(module="fickle._plugin", summary="Call {calls}").replace("summary=", "summary=f")
    text = f"class A: pass\ncalls = 0\n@hookimpl\ndef rl_agents():\n    global calls\n    calls += 1\n    yield {agent}\n"
    catalogue = install("fickle", HEAD.format(api=2) + text)
    assert "and others the second time" in _said(catalogue, "fickle", "repeats-its-hooks")


def test_a_component_that_cannot_be_imported_is_one_failure(install: Install) -> None:
    agent = AGENT.format(module="unimportable.agent", summary="A")
    catalogue = install("unimportable", HEAD.format(api=2) + f"@hookimpl\ndef rl_agents():\n    yield {agent}\n")
    folder = Path(next(path for path in sys.path if (Path(path) / "unimportable").is_dir())) / "unimportable"
    (folder / "agent.py").write_text("from rl_core.agent import NoSuchName\n")
    [subject] = named(catalogue, "unimportable/a")
    results = [perform(check, subject) for check in all_checks() if check.applies(subject)]
    failed = [result.check for result in results if result.status == "failed"]
    # The other two are further faults of this plugin: its default task does not exist, and it declares no dependency on rl-core.
    assert "names-a-class" in failed
    assert set(failed) <= {"names-a-class", "names-what-exists-and-fits", "requires-what-it-imports"}
    assert "NoSuchName" in results[0].message


SIDE_EFFECTS = {
    "the working directory": "import os; os.chdir('/')",
    "exit handlers": "import atexit; atexit.register(print)",
    "threads: idle started": "import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='idle').start()",
    "the root logger": "import logging; logging.basicConfig(level=10)",
    "warning filters": "import warnings; warnings.simplefilter('ignore')",
    "random's generator": "import random; random.seed(0)",
    "NumPy's global generator": "import numpy; numpy.random.seed(0)",
    "the recursion limit": "import sys; sys.setrecursionlimit(5000)",
    "signal handlers: SIGUSR1": "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "environment variables: LEFT_BEHIND": "import os; os.environ['LEFT_BEHIND'] = '1'",
    "files in the working directory: left.txt": "open('left.txt', 'w').close()",
}


@pytest.mark.parametrize("effect", SIDE_EFFECTS)
def test_a_side_effect_of_import_is_named(install: Install, effect: str) -> None:
    agent = AGENT.format(module="effects.agent", summary="A")
    catalogue = install("effects", HEAD.format(api=2) + f"@hookimpl\ndef rl_agents():\n    yield {agent}\n")
    folder = Path(next(path for path in sys.path if (Path(path) / "effects").is_dir())) / "effects"
    (folder / "agent.py").write_text("class A: pass\n")
    assert _said(catalogue, "effects", "imports-without-side-effects") == ""
    (folder / "agent.py").write_text(f"{SIDE_EFFECTS[effect]}\nclass A: pass\n")
    said = _said(catalogue, "effects", "imports-without-side-effects")
    assert said.startswith("importing its modules changed ")
    assert effect in said


SCHEME = """
from pathlib import Path
from typing import Annotated
import numpy as np
from gymnasium import spaces
from rl_core.config import Doc, configclass
from rl_core.task import DataTask

@configclass
class Config:
    "A file."
    path: Annotated[str, Doc("the file")] = ""

class Numbers(DataTask):
    Config = Config
    metric = "accuracy"
    input_space, output_space = spaces.Box(0, 1, (1,)), spaces.Discrete(2)

    def __init__(self, config):
        super().__init__(config)
        self.text = Path(config.path).read_text()

    def num_examples(self, split): return 1
    def read(self, split, indices): return np.zeros((len(indices), 1), np.float32), np.zeros(len(indices), np.int64)
    def score(self, predictions, targets): return {"accuracy": 1.0}

def example(path): path.write_text("1")
def nothing(path): pass
"""


@pytest.mark.parametrize(("example", "said"), [("example", ""), ("nothing", "leaves nothing at the path"), ("lost", "cannot be imported")])
def test_the_example_of_a_scheme_of_files_is_made(install: Install, example: str, said: str) -> None:
    module = f"numbers_{example}"
    spec = (
        f'TaskSchemeSpec(name="numbers", target="{module}.files:Numbers", summary="Numbers", argument="path", '
        f'example="numbers:one.txt", traits=("data",), make_example="{module}.files:{example}")'
    )
    text = f"from rl_core.api import TaskSchemeSpec, hookimpl\nRL_API = 2\n@hookimpl\ndef rl_task_schemes():\n    yield {spec}\n"
    catalogue = install(f"numbers-{example}", text)
    (Path(next(path for path in sys.path if (Path(path) / module).is_dir())) / module / "files.py").write_text(SCHEME)
    [subject] = named(catalogue, f"numbers-{example}/numbers")
    result = perform(next(check for check in all_checks() if check.name == "builds-its-example"), subject)
    subject.close()
    assert result.status == ("failed" if said else "passed"), result.message
    assert said in result.message


def _check(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments])


def test_the_command_prints_json_and_ends_with_1_where_a_check_fails(faulty: None) -> None:
    done = _check("faulty/rangeless", "--check", "explains-its-fields", "--check", "names-a-class", "--json")
    assert done.exit_code == 1
    rows = json.loads(done.stdout)["checks"]
    assert [sorted(row) for row in rows] == [["check", "component", "message", "seconds", "status"]] * 2
    assert [(row["component"], row["check"], row["status"]) for row in rows] == [
        ("rangeless", "names-a-class", "passed"),
        ("rangeless", "explains-its-fields", "failed"),
    ]
    assert "add a range" in rows[1]["message"]


def test_the_command_ends_with_0_where_all_is_well_and_says_how_much_was_checked(faulty: None) -> None:
    done = _check("faulty/stripes")
    assert done.exit_code == 0
    assert "task stripes (faulty)" in done.stdout
    assert "reads-by-index" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{done.stdout.count('passed') - 1} passed, 0 failed, 0 skipped")


def test_a_package_stands_for_its_plugin_and_all_that_it_brings(faulty: None) -> None:
    found = named(Catalogue.discover(), "faulty")
    assert found[0].kind == "plugin"
    assert {subject.kind for subject in found} == {"plugin", "agent", "network", "task", "scheme", "logger", "launcher"}


def test_a_component_that_lacks_a_module_is_skipped_with_the_remedy(install: Install) -> None:
    agent = AGENT.format(module="lacking._plugin", summary="A")[:-1] + ', requires=("no_such_module",), extra="lacking[more]")'
    catalogue = install("lacking", HEAD.format(api=2) + f"class A: pass\n@hookimpl\ndef rl_agents():\n    yield {agent}\n")
    [subject] = named(catalogue, "lacking/a")
    result = perform(next(check for check in all_checks() if check.applies(subject)), subject)
    assert result.status == "skipped"
    assert result.message == 'it needs no_such_module, which is not installed; pip install "lacking[more]"'


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["no-such-component"], "no-such-component"),
        (["faulty", "--check", "names-a-clas"], "no check is named 'names-a-clas'"),
        ([], "a check needs one NAME, or --all"),
        (["faulty", "--all"], "a check needs one NAME, or --all"),
        (["faulty/drift", "--check", "moves-every-parameter"], "no check of these applies to faulty/drift"),
    ],
)
def test_a_wrong_request_is_said_in_words(faulty: None, arguments: list[str], error: str) -> None:
    done = _check(*arguments)
    assert done.exit_code == 2
    assert error in done.stderr
    assert "hint:" in done.stderr
    assert done.stdout == ""


def test_every_check_has_its_own_name_within_its_kind_and_a_sentence_that_is_listed() -> None:
    done = _check("--list", "--json")
    rows = json.loads(done.stdout)["checks"]
    assert len({(row["kind"], row["check"]) for row in rows}) == len(rows) == len(all_checks())
    assert all(row["text"].endswith(".") and 30 <= len(row["text"]) <= 150 for row in rows)
    listed = _check("--list").stdout
    assert all(row["text"] in listed for row in rows)


TEST_FILE = """
from rl_core.conformance import conformance_tests

test_conformance = conformance_tests("faulty/stripes", "faulty/rangeless"{more})
"""


def _pytest(pytester: pytest.Pytester, *arguments: str, more: str = "") -> pytest.RunResult:
    pytester.makepyfile(TEST_FILE.format(more=more))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rA", *arguments)


def test_one_line_makes_a_test_of_each_check_that_k_selects_and_one_of_the_spec(faulty: None, pytester: pytest.Pytester) -> None:
    done = _pytest(pytester, "-k", "stripes and index or rangeless and says-what-it-is")
    done.assert_outcomes(passed=1, failed=1, deselected=None)
    done.stdout.fnmatch_lines(["PASSED *[[]task-stripes-reads-by-index]", "FAILED *[[]agent-rangeless-says-what-it-is]*"])
    done.stdout.fnmatch_lines(["*agent rangeless: Config.spread is a number*"])


def test_an_expected_failure_is_reported_as_such_and_a_pass_in_its_place_fails(faulty: None, pytester: pytest.Pytester) -> None:
    more = ', expected_failures={"rangeless:explains-its-fields": "known", "stripes:reads-by-index": "not true"}'
    done = _pytest(pytester, "-k", "stripes and index or rangeless and explains", more=more)
    done.assert_outcomes(xfailed=1, failed=1)
    done.stdout.fnmatch_lines(["*XPASS(strict)*not true*"])


def test_an_expected_failure_that_names_no_check_is_refused(faulty: None) -> None:
    with pytest.raises(ValueError, match="names 'reads-by-indx', which is not a check of faulty/stripes; did you mean 'reads-by-index'"):
        conformance_tests("faulty/stripes", expected_failures={"reads-by-indx": "a reason"})


def test_a_test_file_for_a_package_that_is_not_there_says_so() -> None:
    with pytest.raises(RequestError, match="no-such-package"):
        conformance_tests("no-such-package")


def test_the_kit_imports_no_torch() -> None:
    import subprocess

    code = "import sys; import rl_core.conformance.checks as c; c.all_checks(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_of_the_checks_lists_each_with_its_sentence() -> None:
    page = (Path(__file__).parents[1] / "docs" / "conformance.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(all_checks())
    for row, check in zip(rows, all_checks(), strict=True):
        assert row.startswith(f"| `{check.name}`")
        assert row.endswith(f"| {check.text} |")
