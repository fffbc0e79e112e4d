"""Puts known faults into copies of a package, one at a time, and checks that the test named for each fails.

    python tests/mutate.py [PACKAGE | PACKAGE/SUBJECT]...

The faults that `tests/test_ppo.py` of a package must catch stand beside it in `tests/mutations/ppo.toml`: `file` below the
package's source, `old` text that stands in it once, `new` text, the `test` that must fail, and `why` the fault matters.
The named test must pass without the fault, else its failure would prove nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import tomllib
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("numpy", "torch", "gymnasium", "hypothesis", "pygments")  # imported once, before each test is forked off; never what is under test
COMPILED = ("numba", "kernels import")  # what a file with compiled functions says


class Ran:
    """Notes whether a test ran to its end and passed: one that was skipped says nothing of a fault."""

    def __init__(self) -> None:
        self.passed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed |= report.when == "call" and report.passed


def verdict(package: Path, source: Path, test: str) -> str:
    """What the test does when the package's source is read from the folder `source`: passes, fails, or neither and why.

    It runs in a fork of this process.
    """
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            os.dup2(told.fileno(), 1)
            os.dup2(told.fileno(), 2)
            os.environ["PYTHONPATH"] = str(source)  # for processes that the test starts
            sys.path.insert(0, str(source))
            ran = Ran()
            code = pytest.main(
                ["-q", "-x", "-rs", "-p", "no:cacheprovider", "--disable-warnings", str(package / "tests" / test)], plugins=[ran]
            )
            sys.stdout.flush()
            os._exit(code if code or ran.passed else pytest.ExitCode.NO_TESTS_COLLECTED)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told.seek(0)
        output = told.read().decode(errors="replace")
    return {0: "passes", 1: "fails"}.get(code, f"does not run:\n{output[-1000:].strip()}")


def faults(package: Path, subject: str = "*") -> list[dict[str, str]]:
    """The faults of a package, or those of one subject, each with the path of its test below `tests`."""
    lists = sorted((package / "tests" / "mutations").glob(f"{subject}.toml"))
    if not lists:
        raise SystemExit(f"{package.name} has no list of faults tests/mutations/{subject}.toml")
    return [
        {**fault, "test": f"test_{path.stem}.py::{fault['test']}"}
        for path in lists
        for fault in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    ]


def put_in(fault: dict[str, str], sound: Path, faulty: Path) -> str:
    """Write a copy of the folder `sound` with the fault to `faulty`; what hinders it in words, else nothing."""
    text = (sound / fault["file"]).read_text(encoding="utf-8")
    if text.count(fault["old"]) != 1:
        return f"{fault['file']} has {text.count(fault['old'])} times, not once: {fault['old']}"
    # What numba compiled and kept is left behind where it may be stale: it sees no change of a function that another file calls.
    stale = shutil.ignore_patterns("__pycache__") if any(word in text for word in COMPILED) else None
    shutil.copytree(sound, faulty, ignore=stale)
    (faulty / fault["file"]).write_text(text.replace(fault["old"], fault["new"]), encoding="utf-8")
    return ""


def survivors(package: Path, mutations: list[dict[str, str]]) -> list[str]:
    """What is wrong with the tests of a package: faults that they let pass, and tests that fail without one."""
    (module,) = [path for path in (package / "src").iterdir() if (path / "__init__.py").exists()]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        sound, faulty = Path(folder) / "sound", Path(folder) / "faulty"
        shutil.copytree(module, sound / module.name, ignore=shutil.ignore_patterns("__pycache__"))
        for test, those in groupby(sorted(mutations, key=lambda fault: fault["test"]), key=lambda fault: fault["test"]):
            if (without := verdict(package, sound, test)) != "passes":
                wrong.append(f"without a fault {test} {without}")
                continue
            for fault in those:
                hindrance = put_in(fault, sound / module.name, faulty / module.name)
                answer = hindrance or verdict(package, faulty, test)
                print(f"{'caught  ' if answer == 'fails' else 'SURVIVED'}  {fault['why']}", flush=True)
                if answer != "fails":
                    wrong.append(hindrance or f"although {fault['why']}, {test} {answer}")
                shutil.rmtree(faulty, ignore_errors=True)
    return wrong


def main() -> None:
    """Status 0 when every fault was caught."""
    os.chdir(ROOT)
    for name in HEAVY:
        if importlib.util.find_spec(name):
            importlib.import_module(name)
    wrong = []
    for name in sys.argv[1:] or [path.parents[1].name for path in sorted(ROOT.glob("packages/*/tests/mutations"))]:
        package, _, subject = name.partition("/")
        wrong += survivors(ROOT / "packages" / package, faults(ROOT / "packages" / package, subject or "*"))
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
