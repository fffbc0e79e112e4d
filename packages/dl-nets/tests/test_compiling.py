"""`rl_core.compiling`, tested here because rl-core itself runs without numba."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HELPER = "from rl_core.compiling import inlined\nfrom limits.numbers import FACTOR\n\n@inlined\ndef half(x):\n    return 0.5 * x\n"
LOOP = """
import sys
from rl_core.compiling import kernel
from loops.helper import FACTOR, half

@kernel
def total(n):
    s = 0.0
    for i in range(n):
        s += FACTOR * half(i)
    return s

def main():
    print(total(5), total.stats.cache_hits and "kept" or "built")
"""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, not compiled."""
    folder = tmp_path_factory.mktemp("source") / "src"
    for name, text in {
        "limits/numbers.py": "FACTOR = 1.0\n",
        "loops/helper.py": HELPER,
        "loops/loop.py": LOOP,
        "loops/other.py": "UNUSED = 1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).with_name("__init__.py").write_text("")
    return folder


@pytest.fixture(scope="session")
def compiled(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with its machine code."""
    folder = Path(shutil.copytree(source, tmp_path_factory.mktemp("compiled") / "src"))
    assert outcome(folder)[0] == "5.0 built"
    return folder


@pytest.fixture
def package(compiled: Path, tmp_path: Path) -> Path:
    """The package with its machine code, for one test; a copy has the times of its files."""
    return Path(shutil.copytree(compiled, tmp_path / "src"))


def outcome(folder: Path, **variables: str) -> tuple[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    environment.pop("NUMBA_CACHE_DIR", None)
    code = "from loops.loop import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip(), ran.stderr


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_change_of_an_inlined_function_in_another_file_is_compiled_and_undone(package: Path) -> None:
    assert outcome(package, PYTHONHASHSEED="7")[0] == "5.0 kept"
    change(package / "loops/helper.py", "0.5 * x", "0.1 * x")
    assert outcome(package)[0] == "1.0 built"
    change(package / "loops/helper.py", "0.1 * x", "0.5 * x")
    assert outcome(package)[0] == "5.0 built"
    assert outcome(package)[0] == "5.0 kept"
    assert len(list((package / "loops/__pycache__").glob("loop.total-*.nbi"))) == 1  # nothing of the older sources stays


def test_a_change_of_a_constant_in_another_package_is_compiled(package: Path) -> None:
    change(package / "limits/numbers.py", "1.0", "3.0")
    assert outcome(package)[0] == "15.0 built"


def test_a_file_that_is_not_imported_costs_nothing(package: Path) -> None:
    change(package / "loops/other.py", "1", "2")
    assert outcome(package)[0] == "5.0 kept"


def test_changed_options_of_the_compiler_are_compiled(package: Path) -> None:
    change(package / "loops/helper.py", "import inlined", "import vectorised as inlined")
    assert outcome(package)[0] == "5.0 built"


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_machine_code_is_built_again(package: Path, suffix: str, damage: str) -> None:
    (path,) = (package / "loops/__pycache__").glob(f"loop.total-*.{suffix}")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert outcome(package)[0] == "5.0 built"
    assert outcome(package)[0] == "5.0 kept"


def test_an_index_without_its_data_does_not_serve_older_data(package: Path) -> None:
    """numba writes the index first: a process killed in between must not leave old machine code under new sources."""
    (old,) = (package / "loops/__pycache__").glob("loop.total-*.nbc")
    stale = old.read_bytes()
    change(package / "loops/helper.py", "0.5 * x", "0.1 * x")
    outcome(package)
    (new,) = (package / "loops/__pycache__").glob("loop.total-*.nbc")
    assert new.name != old.name
    assert new.read_bytes() != stale


def test_without_a_folder_to_write_it_compiles_in_memory_and_says_so(source: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(source, tmp_path / "src"))
    blocked = tmp_path / "not-a-folder"
    blocked.write_text("")
    (package / "loops/__pycache__").write_text("")  # as unwritable as a read-only installation, also for root
    out, err = outcome(package, HOME=str(blocked), XDG_CACHE_HOME=str(blocked))
    assert out == "5.0 built"
    assert err.count("compiled code cannot be kept") == 1
    assert "NUMBA_CACHE_DIR" in err


def test_numba_is_quiet_when_the_root_logger_is_not(source: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(source, tmp_path / "src"))  # to be compiled
    code = "import logging; logging.basicConfig(level=logging.DEBUG); from loops.loop import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(package)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert "numba" not in ran.stderr
