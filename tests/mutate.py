"""Puts known faults into copies of a package, one at a time, and checks that the test named for each fails.

    python tests/mutate.py [PACKAGE...]

Each package keeps its list in `tests/mutations.toml`: `file` below its source, `old` and `new` text, the `test` that must
fail, and `why` the fault matters. The named test must pass without the fault, else its failure would prove nothing.
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


def survivors(package: Path) -> list[str]:
    """What is wrong with the tests of a package: faults that they let pass, and tests that fail without one."""
    mutations = tomllib.loads((package / "tests" / "mutations.toml").read_text(encoding="utf-8"))["mutation"]
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
    names = sys.argv[1:] or [path.parents[1].name for path in sorted(ROOT.glob("packages/*/tests/mutations.toml"))]
    wrong = [problem for name in names for problem in survivors(ROOT / "packages" / name)]
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
