"""What must hold for the repository as a whole, seen in its files alone."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
PROJECTS = {Path(member).name: tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"] for member in MEMBERS}
LOCK = (ROOT / "constraints" / "lock.txt").read_text()
VERSIONS = (ROOT / "constraints" / "pip.txt").read_text()


def distribution(requirement: str) -> str:
    """The normalised name in a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def test_every_package_carries_the_licence_of_the_repository() -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    for member in MEMBERS:
        assert (ROOT / member / "LICENSE").read_bytes() == licence, member


def test_the_packages_have_one_version_and_ask_for_it_in_each_other() -> None:
    (version,) = {project["version"] for project in PROJECTS.values()}
    for name, project in PROJECTS.items():
        first_party = [requirement for requirement in project["dependencies"] if distribution(requirement) in PROJECTS]
        assert all(requirement.endswith(f"=={version}") for requirement in first_party), name


def test_arrows_between_packages_point_one_way() -> None:
    allowed = {
        "rl-core": set(),
        "dl-nets": {"rl-core"},
        "rl-algos": {"rl-core", "dl-nets"},
        "nlp-embeddings": {"rl-core"},
        "cv-models": {"rl-core", "dl-nets"},
    }
    for name, project in PROJECTS.items():
        assert {distribution(requirement) for requirement in project["dependencies"]} & PROJECTS.keys() == allowed[name]


def test_no_package_asks_for_torch_where_the_design_forbids_it() -> None:
    for name in ("rl-core", "nlp-embeddings"):
        assert not {distribution(requirement) for requirement in PROJECTS[name]["dependencies"]} & {"torch", "torchvision", "transformers"}


def test_constraints_hold_versions_and_hashes_and_no_address() -> None:
    assert "://" not in LOCK
    assert "://" not in VERSIONS
    assert "--hash" not in VERSIONS
    pinned = re.findall(r"^(\S+==\S+)", LOCK, re.MULTILINE)
    assert pinned == re.findall(r"^(\S+==\S+)", VERSIONS, re.MULTILINE)
    assert len(re.findall(r"^\S+==[^\n]+\\\n    --hash=sha256:", LOCK, re.MULTILINE)) == len(pinned)


def test_every_requirement_of_a_package_is_pinned() -> None:
    pinned = {distribution(line) for line in VERSIONS.splitlines()}
    for name, project in PROJECTS.items():
        extras = [requirement for extra in project.get("optional-dependencies", {}).values() for requirement in extra]
        asked = {distribution(requirement) for requirement in [*project["dependencies"], *extras]}
        assert asked - pinned <= PROJECTS.keys(), name


def test_ci_runs_the_command_that_the_readme_shows() -> None:
    command = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert command.endswith("nox -s tests")
    assert command in "\n".join((ROOT / "README.md").read_text().splitlines()[:30])


@pytest.mark.parametrize("page", ["README.md", *(f"{member}/README.md" for member in MEMBERS), "examples/plugin-template/README.md"])
def test_a_readme_stays_under_a_hundred_lines(page: str) -> None:
    assert len((ROOT / page).read_text().splitlines()) < 100


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git cannot say which files belong to the repository")
    forbidden = [
        "py" + r"pi\.org",
        "python" + r"hosted\.org",
        "download" + r"\.pytorch",
        r"index" + "-url",
        r"(?<![\w.])/(root|work|home/\w+)/",
    ]
    listed = subprocess.run(["git", "grep", "-InE", "|".join(forbidden[:-1])], cwd=ROOT, capture_output=True, text=True, check=False)
    assert listed.stdout == ""
    paths = subprocess.run(["git", "grep", "-InP", forbidden[-1]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in paths.stdout.splitlines() if "tests/test_repository.py" not in line] == []


@pytest.mark.parametrize("member", MEMBERS)
def test_a_test_that_a_source_names_is_there(member: str) -> None:
    modules = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / member / "tests").glob("test_*.py")}
    known = {*modules, *(name for text in modules.values() for name in re.findall(r"def (test_\w+)", text))}
    named = {
        name for path in (ROOT / member / "src").rglob("*.py") for name in re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))
    }
    assert named <= known


LISTS_OF_FAULTS = sorted(ROOT.glob("packages/*/tests/mutations/*.toml"))


def test_faults_are_listed_by_subject() -> None:
    one_list = [str(path.relative_to(ROOT)) for path in ROOT.glob("packages/*/tests/mutations.toml")]
    assert one_list == [], "the faults that tests/test_ppo.py must catch stand in tests/mutations/ppo.toml"
    assert LISTS_OF_FAULTS


@pytest.mark.parametrize("path", LISTS_OF_FAULTS, ids=lambda path: f"{path.parents[2].name}/{path.stem}")
def test_every_fault_of_a_list_can_be_put_in(path: Path) -> None:
    (source,) = [found.parent for found in (path.parents[2] / "src").glob("*/__init__.py")]
    tests = (path.parents[1] / f"test_{path.stem}.py").read_text(encoding="utf-8")
    for mutation in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]:
        assert mutation.keys() == {"file", "old", "new", "test", "why"}
        count = (source / mutation["file"]).read_text(encoding="utf-8").count(mutation["old"])
        assert count == 1, f"{mutation['file']} has {count} times, not once: {mutation['old']!r}"
        name = re.match(r"\w+", mutation["test"]).group()
        assert f"def {name}(" in tests, f"test_{path.stem}.py has no {name}"
