"""Sessions, one verb each: `nox -l` lists them, `nox -s tests -- rl-core` narrows to a package; what else follows `--` goes to pytest.

Every environment is built anew from wheels of this checkout and the versions and hashes of `constraints/lock.txt`, with uv.
Wheels are built for the packages that a session needs and passed by path, so that no first-party name is ever looked up on an index.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"  # an interpreter that is not here is skipped
nox.options.error_on_missing_interpreters = False
BUILT_AND_RUN = "says-what-it-is or builds or evaluates-alike"  # checks that meet every agent, network and task
OF_THE_SYSTEM = ("containment", "evaluations", "files", "resume", "run", "signals", "sweep")  # tests that start processes by the dozen
nox.options.sessions = ["lint", "tests", "plugin"]

PROJECT = nox.project.load_toml("pyproject.toml")
PACKAGES = [Path(member).name for member in PROJECT["tool"]["uv"]["workspace"]["members"]]
LOCK = "constraints/lock.txt"
OLDEST = "3.11"
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
for folder in Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.13.*/bin"):
    os.environ["PATH"] += f"{os.pathsep}{folder}"  # pyenv keeps its interpreters off the path
OTHERS = [python for python in (OLDEST, "3.13") if python != RUNNING]  # beside the one that runs nox, which is always there
TORCHLESS = ("rl-core", "nlp-embeddings")
WITHOUT_TORCH = "import importlib.util, sys; sys.exit('torch can be imported here' if importlib.util.find_spec('torch') else 0)"
TEMPLATE = "examples/plugin-template"
BUILT: dict[str, Path] = {}  # wheels of this run of nox, by package


def group(name: str) -> list[str]:
    """Requirements of a dependency group of the root."""
    return list(nox.project.dependency_groups(PROJECT, name))


def project(package: str) -> dict[str, Any]:
    """What the package's pyproject.toml says."""
    return nox.project.load_toml(f"packages/{package}/pyproject.toml")


def testing(package: str) -> list[str]:
    """What the package's tests need: pytest and its like, and what the package asks for in a group `test` of its own."""
    own = project(package)
    return [*group("test"), *(nox.project.dependency_groups(own, "test") if "test" in own.get("dependency-groups", {}) else ())]


def closure(package: str) -> list[str]:
    """The package and every first-party package that it needs, itself last."""
    sources = project(package)["tool"].get("uv", {}).get("sources", {})
    return list(dict.fromkeys([*(name for source in sources for name in closure(source)), package]))


def wheels(session: nox.Session, *packages: str) -> list[str]:
    """Paths of wheels of these packages and of the first-party packages that they need, each built once by a run of nox."""
    folder = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in dict.fromkeys(name for package in packages for name in closure(package)):
        if name in BUILT and BUILT[name].exists():
            shutil.copy(BUILT[name], folder)
        else:
            session.run("uv", "build", "-q", "--wheel", "--build-constraints", LOCK, "-o", str(folder), f"packages/{name}", external=True)
            [BUILT[name]] = folder.glob(f"{name.replace('-', '_')}-*.whl")
    return [str(path) for path in sorted(folder.glob("*.whl"))]


def narrow(session: nox.Session, *packages: str) -> list[str]:
    """What follows `--` and is pytest's; skips the session when packages were named there and none of these was."""
    named = [argument for argument in session.posargs if argument in PACKAGES]
    if named and not set(packages) & set(named):
        session.skip(f"narrowed to {', '.join(named)}")
    return [argument for argument in session.posargs if argument not in PACKAGES]


def run_pytest(session: nox.Session, *arguments: str, may_be_empty: bool = False, compiled: bool = True) -> None:
    """Run pytest with one thread per process; no test collected is a failure unless it was to be expected.

    Without `compiled`, the functions that numba compiles run as plain Python.
    """
    success_codes = [0, 5] if may_be_empty else [0]
    # Byte code is kept even where the surroundings forbid it: many tests start a process, and compiling torch anew takes seconds.
    # So is the machine code of compiled functions, outside of environments, which are built anew: it carries a digest of its sources.
    kept = str(Path(".nox/numba").resolve())
    env = {
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "PYTHONDONTWRITEBYTECODE": "",
        "NUMBA_CACHE_DIR": kept,
        "NUMBA_DISABLE_JIT": "0" if compiled else "1",
    }
    session.run("pytest", *arguments, success_codes=success_codes, env=env)


@nox.session
@nox.parametrize(
    ("python", "package"),
    [
        *(nox.param(RUNNING, package, id=package) for package in PACKAGES),
        *(nox.param(python, package, id=f"{python}-{package}") for python in OTHERS for package in ("rl-core", "others")),
    ],
)
def tests(session: nox.Session, package: str) -> None:
    """The fast tests of a package, in an environment that holds only it and what it declares.

    All of them on the Python that runs nox. On another one the tests of the host, which meets the language most, and, with all other
    packages in one environment, that every component is built, and every agent learns, is saved, loaded and evaluated, without compilation:
    plain Python meets more of the language, and takes less time. The tests of perceptrons show that functions can be compiled there.
    """
    named = [argument for argument in session.posargs if argument in PACKAGES and argument != "rl-core"]
    packages = (named or [name for name in PACKAGES if name != "rl-core"]) if package == "others" else [package]
    arguments = narrow(session, *packages)
    session.install("-c", LOCK, *wheels(session, *packages), *dict.fromkeys(need for name in packages for need in testing(name)))
    if package in TORCHLESS:
        session.run("python", "-c", WITHOUT_TORCH)
    two = ("-n", "2", "--dist", "worksteal")  # processes; `-- -n 0` runs all in one
    chosen = [f"packages/{package}/tests"]
    if package == "others":
        chosen = [*(f"packages/{name}/tests/test_conformance.py" for name in packages), "-k", BUILT_AND_RUN]
    elif session.python != RUNNING:
        chosen += [f"--ignore=packages/{package}/tests/test_{name}.py" for name in OF_THE_SYSTEM]
    run_pytest(session, *two, *chosen, "-m", "not learning", *arguments, may_be_empty=bool(arguments), compiled=package != "others")
    if package == "others" and "dl-nets" in packages:
        run_pytest(session, "packages/dl-nets/tests/test_fast_mlp.py", *arguments, may_be_empty=bool(arguments))
    if package != "others":
        session.install("-c", LOCK, *group("declared"))  # after the tests, so that they cannot lean on what deptry brings
        session.run("deptry", f"packages/{package}/src", "--config", f"packages/{package}/pyproject.toml", "--ignore", "DEP002")


@nox.session(python=RUNNING)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def learning(session: nox.Session, package: str) -> None:
    """The tests that train for more than a few seconds, and the table of scores of deep reinforcement learning."""
    arguments = narrow(session, package)
    session.install("-c", LOCK, *wheels(session, package), *testing(package))
    run_pytest(session, f"packages/{package}/tests", "-m", "learning", "--timeout", "1800", *arguments, may_be_empty=True)
    if package == "rl-algos" and not arguments:
        session.install("-c", LOCK, *(f"{path}[box2d,atari]" if "rl_algos" in path else path for path in wheels(session, package)))
        session.run("python", "benchmarks/deep_scores.py")


@nox.session(python=OLDEST)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def minimums(session: nox.Session, package: str) -> None:
    """The fast tests of a package with the lowest versions that it and the packages it needs allow."""
    arguments = narrow(session, package)
    asked = {need for name in closure(package) for need in project(name)["project"]["dependencies"] if need.split("==")[0] not in PACKAGES}
    # Only what is asked for by name is taken at its lowest: what a wheel needs would come as new as it can be.
    session.install("--resolution", "lowest-direct", *wheels(session, package), *sorted(asked), *testing(package))
    run_pytest(session, f"packages/{package}/tests", "-m", "not learning", *arguments, may_be_empty=bool(arguments))


@nox.session(python=RUNNING)
def together(session: nox.Session) -> None:
    """All packages in one environment: the tests of the repository as a whole, and how fast they are listed."""
    session.install("-c", LOCK, *wheels(session, *PACKAGES), *group("test"))
    session.run("rl-core", "list")
    apart = ("tests/test_imports.py", "tests/test_language.py")  # the session lint runs these
    run_pytest(session, "tests", "-m", "not learning", *(f"--ignore={path}" for path in apart), *session.posargs)


@nox.session(python=RUNNING)
def release(session: nox.Session) -> None:
    """Wheels of all packages, installed from a folder as a user has them: each with its needs, then all together; their data is in them.

    The wheels stay in the session's folder. `-- rl-core nlp-embeddings` tries only these alone.
    """
    paths = wheels(session, *PACKAGES)
    if len(paths) != len(PACKAGES):
        session.error(f"{len(paths)} wheels were built for {len(PACKAGES)} packages")
    folder = Path(paths[0]).parent
    for package in [*([name for name in session.posargs if name in PACKAGES] or PACKAGES), ""]:
        names = [package] if package else PACKAGES
        session.run("uv", "pip", "uninstall", "-q", *PACKAGES, external=True)
        session.install("-c", LOCK, "--find-links", str(folder), *names)
        session.run("rl-core", "doctor", silent=True)
        session.run("python", "tests/wheels.py", *names, env={"OMP_NUM_THREADS": "1"})
    session.log(f"the wheels are in {folder}")


@nox.session(python=RUNNING)
def walks(session: nox.Session) -> None:
    """Print the source files that one learning step of an agent enters; a walk that is too long fails."""
    session.install("-c", LOCK, *wheels(session, *PACKAGES))
    session.run("python", "tests/walks.py", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(python=RUNNING)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def mutations(session: nox.Session, package: str) -> None:
    """The tests are tested: each fault of a package's list is put in, and the test named for it must fail."""
    narrow(session, package)
    session.install("-c", LOCK, *wheels(session, package), *testing(package))
    session.run("python", "tests/mutate.py", package, env={"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"})


@nox.session(python=RUNNING)
def extras(session: nox.Session) -> None:
    """The tests that `tests` skips, because an environment there holds no extra and not every library to compare with."""
    for package, extra, chosen in (
        ("rl-core", "tune,ray,dask,parquet,minari,tensorboard,wandb", "launchers or slurm or tune or recording or loggers or text_metrics"),
        ("nlp-embeddings", "transformers,tokenizers", "contextual or tagging or byte_pairs"),
        ("dl-nets", "onnx,transformers", "hugging or zero_shot or zero-shot or export or spiking"),
        ("cv-models", "detr,transformers,video", "describe or watch or detr or onnx"),
        ("rl-algos", "atari,box2d,mujoco,pettingzoo", "atari or extras or pong or ALE or LunarLander or pettingzoo"),
    ):
        paths = [f"{path}[{extra}]" if Path(path).name.startswith(package.replace("-", "_")) else path for path in wheels(session, package)]
        session.install("-c", LOCK, *paths, *testing(package), *group("oracles"))
        session.env["TMPDIR"] = tempfile.gettempdir()  # Ray takes no temporary folder within an environment, where nox has put one
        run_pytest(session, f"packages/{package}/tests", "-k", chosen, *session.posargs)


@nox.session(python=RUNNING)
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff, spelling, the language, the import graph and the files of the repository."""
    session.install("-c", LOCK, *group("lint"), *group("test"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("typos")
    run_pytest(session, "tests/test_repository.py", "tests/test_language.py", "tests/test_imports.py")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Mypy, one package after the other."""
    chosen = [package for package in session.posargs if package in PACKAGES] or PACKAGES
    session.install("-c", LOCK, *wheels(session, *chosen), *group("types"), *group("test"))
    for package in chosen:
        session.run("mypy", f"packages/{package}/src")


@nox.session(python=RUNNING)
def docs(session: nox.Session) -> None:
    """Every example in a docstring, every program and command shown on a page, and the notebooks."""
    paths = [f"{path}[atari,pettingzoo]" if "rl_algos" in path else path for path in wheels(session, *PACKAGES)]  # two modules need them
    session.install("-c", LOCK, *paths, *group("test"))
    modules = [package.replace("-", "_") for package in PACKAGES]
    run_pytest(session, "--doctest-modules", "--pyargs", *modules)
    session.install("-c", LOCK, TEMPLATE)
    session.install("-c", LOCK, *group("notebooks"))
    run_pytest(session, "tests/test_pages.py", "tests/test_notebooks.py", "-m", "learning", "--timeout", "1800", *session.posargs)


@nox.session(python=RUNNING)
def exports(session: nox.Session) -> None:
    """The graph of every network and every agent that has one, on its default task."""
    paths = [f"{path}[onnx]" if "dl_nets" in path else path for path in wheels(session, *PACKAGES)]
    session.install("-c", LOCK, *paths, *group("test"))
    run_pytest(session, "-n", "2", "tests/test_exports.py", "-m", "learning", *session.posargs)


@nox.session(python=RUNNING)
def site(session: nox.Session) -> None:
    """The documentation site: pages of all components, guides, and the syllabus with its pictures; a broken link fails."""
    out = Path(session.create_tmp()) / "site"
    session.install("-c", LOCK, *wheels(session, *PACKAGES), *group("site"))
    session.run("python", "docs/build.py", str(out), env={"OMP_NUM_THREADS": "1"})
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(out / "source"), str(out / "html"))
    session.log(f"open {out / 'html' / 'index.html'}")


@nox.session(python=RUNNING)
def plugin(session: nox.Session) -> None:
    """The example of a stranger's plugin is built, installed beside rl-core alone, listed, run, checked and uninstalled."""
    session.install("-c", LOCK, *wheels(session, "rl-core"), *group("test"))
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "runs", ignore_errors=True)
    session.run("uv", "build", "-q", "--wheel", "--build-constraints", LOCK, "-o", str(folder), TEMPLATE, external=True)
    session.install("-c", LOCK, *(str(path) for path in folder.glob("*.whl")))
    session.run("python", "-c", WITHOUT_TORCH)
    session.run("rl-core", "list")
    for name in ("random-search", "linear", "homing"):
        session.run("rl-core", "show", name)
        session.run("rl-core", "check", name)
    session.run("rl-core", "run", "random-search", "--out", str(folder / "runs" / "homing"))
    session.run(
        "rl-core", "run", "random-search", "--task", "gym:CartPole-v1", "--budget", "30", "--out", str(folder / "runs" / "cartpole")
    )
    run_pytest(session, f"{TEMPLATE}/tests", *session.posargs)
    session.run("uv", "pip", "uninstall", "rl-core-example", external=True)
    if "random-search" in str(session.run("rl-core", "list", silent=True)):
        session.error("rl-core still lists random-search after its distribution was uninstalled")


@nox.session(python=RUNNING)
def bench(session: nox.Session) -> None:
    """One benchmark with its arguments (`-- ppo_speed --seeds 1`), or all that need none; see benchmarks/README.md."""
    paths = [f"{path}[atari]" if "rl_algos" in path else path for path in wheels(session, *PACKAGES)]
    session.install("-c", LOCK, *paths, *group("bench"))
    apart = ("embeddings_speed", "pairs", "deep_scores")  # needs a text; is what the others are made with; is the session learning's
    every = [[path.stem] for path in sorted(Path("benchmarks").glob("*.py")) if path.stem not in apart]
    for name, *arguments in [session.posargs] if session.posargs else every:
        session.run("python", f"benchmarks/{name}.py", *arguments)


@nox.session(python=RUNNING)
def lock(session: nox.Session) -> None:
    """Renew constraints/: the newest versions that all packages, extras and groups agree on."""
    session.run("uv", "lock", "-q", "--upgrade", external=True)
    export = ["--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace", "--no-header", "--no-annotate"]
    session.run("uv", "export", "-q", *export, "-o", LOCK, external=True)
    text = Path(LOCK).read_text()
    versions = re.sub(r" \\\n(    --hash=\S+(?: \\)?\n)+", "\n", text)
    Path("constraints/pip.txt").write_text(versions)
    for content in (text, versions):
        if "://" in content or "--hash" in versions:
            session.error("the constraints must hold versions and hashes alone; a URL or a stray hash got in")
