"""Puts known faults into copies of a package, one at a time, and checks that the test named for each fails.

    python tests/mutate.py [PACKAGE | PACKAGE/SUBJECT]...

The faults that `tests/test_ppo.py` of a package must catch stand beside it in `tests/mutations/ppo.toml`: `file` below the
package's source, `old` text that stands in it once, `new` text, the `test` that must fail, and `why` the fault matters.
The named test must pass without the fault, else its failure would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def passes(package: Path, source: Path, test: str) -> bool:
    """Whether the test passes when the package's source is read from the folder `source`."""
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(package / "tests" / test)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):  # 1: tests ran and some failed; anything else is no answer
        raise SystemExit(f"{test} could not be run:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.returncode == 0


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


def survivors(package: Path, mutations: list[dict[str, str]]) -> list[str]:
    """What is wrong with the tests of a package: faults that they let pass, and tests that fail without one."""
    (module,) = [path for path in (package / "src").iterdir() if (path / "__init__.py").exists()]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / module.name
        shutil.copytree(module, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for test in dict.fromkeys(mutation["test"] for mutation in mutations):
            if not passes(package, Path(folder), test):
                wrong.append(f"{test} fails without a fault")
        for mutation in mutations:
            path = copy / mutation["file"]
            text = path.read_text(encoding="utf-8")
            if text.count(mutation["old"]) != 1:
                wrong.append(f"{mutation['file']} has {text.count(mutation['old'])} times, not once: {mutation['old']}")
                continue
            path.write_text(text.replace(mutation["old"], mutation["new"]), encoding="utf-8")
            caught = not passes(package, Path(folder), mutation["test"])
            path.write_text(text, encoding="utf-8")
            print(f"{'caught  ' if caught else 'SURVIVED'}  {mutation['why']}", flush=True)
            if not caught:
                wrong.append(f"{mutation['test']} passes although {mutation['why']}")
    return wrong


def main() -> None:
    """Status 0 when every fault was caught."""
    wrong = []
    for name in sys.argv[1:] or [path.parents[1].name for path in sorted(ROOT.glob("packages/*/tests/mutations"))]:
        package, _, subject = name.partition("/")
        wrong += survivors(ROOT / "packages" / package, faults(ROOT / "packages" / package, subject or "*"))
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
