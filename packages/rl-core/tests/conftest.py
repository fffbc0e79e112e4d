"""Real distributions, written to a folder that a process of its own has on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rl_core.plugins.loading import Plugins

GOOD = """
from rl_core.api import AgentSpec, NetworkSpec, TaskSpec, hookimpl

RL_API = 2

@hookimpl
def rl_agents():
    yield AgentSpec(name="guess", target="good.guess:Guess", summary="Guesses at random", reference="Nobody, 2026",
                    fits=("control discrete-output",), unit="guesses", task="coin", network="wire", budget=1000,
                    presets="good:presets.yaml", config={"size": 5})

@hookimpl
def rl_networks():
    yield NetworkSpec(name="wire", target="good.guess:Wire", summary="A wire", fits=("vector-input",), task="coin")

@hookimpl
def rl_tasks():
    yield TaskSpec(name="coin", target="good.guess:Coin", summary="Heads or tails", agent="guess",
                   traits=("control", "vector-input", "discrete-output"))
    yield TaskSpec(name="map", target="good.guess:Coin", summary="Which way", agent="guess", traits=("mdp", "discrete-output"))
"""

GUESS = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Annotated
from rl_core.config import Doc, Meta

@dataclass(frozen=True)
class Config:
    size: Annotated[int, Meta(ge=1), Doc("N, how many guesses")] = 3
    word: Annotated[str, Doc("what is said")] = "a # b"

class Guess:
    Config = Config

class Wire(Guess): pass
class Coin(Guess): pass
"""


_RUN_EACH = """
import json, sys
from click.testing import CliRunner
from rl_core.cli.cli import cli
results = [CliRunner().invoke(cli, call.split()) for call in sys.argv[1:]]
print(json.dumps([(result.exit_code, result.stdout, result.stderr) for result in results]))
"""


@dataclass(frozen=True)
class Ended:
    """How a process of `rl-core` ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)


class Site:
    """A folder with distributions, and `rl-core` run as a process that sees them besides rl-core itself."""

    def __init__(self, folder: Path, bytecode: Path) -> None:
        self.folder = folder
        others = {row.package for row in Plugins.load().rows} - {"rl-core"}
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])),
            "RL_CORE_DISABLE": ",".join(sorted(others)),
            "PYTHONPYCACHEPREFIX": str(bytecode),  # compiled once for all the processes of a session
        }
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            self.environment.pop(name, None)

    def add(
        self,
        name: str,
        plugin: str | None,
        *,
        version: str = "1.0",
        files: Mapping[str, str] | None = None,
        entry_points: str | None = None,
        metadata: str | None = None,
    ) -> None:
        """Install a distribution whose package has the plugin module `plugin` (`None`: it lacks it) and these files."""
        module = name.replace("-", "_")
        package = self.folder / module
        package.mkdir(exist_ok=True)
        package.joinpath("__init__.py").write_text("class Empty:\n    pass\n")
        if plugin is not None:
            package.joinpath("_plugin.py").write_text(plugin)
        for path, text in (files or {}).items():
            package.joinpath(path).write_text(text)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        info.joinpath("entry_points.txt").write_text(entry_points or f"[rl_core.plugins]\n{name} = {module}._plugin\n")
        if metadata != "":
            info.joinpath("METADATA").write_text(metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nIts text.\n")

    def add_good(self) -> None:
        """Install `good`: the agent `guess`, the network `wire`, the tasks `coin` and `map`."""
        self.add("good", GOOD, files={"guess.py": GUESS, "presets.yaml": "coin: {budget: 10}\n"})

    def run(self, *arguments: str, **environment: str) -> Ended:
        """`rl-core` with these arguments, to its end."""
        return self.python("-m", "rl_core", *arguments, **environment)

    def run_each(self, *calls: str) -> list[Ended]:
        """Several calls of `rl-core`, one after the other in one process, which is faster."""
        ended = self.python("-c", _RUN_EACH, *calls)
        assert ended.status == 0, ended.err
        return [Ended(*each) for each in ended.json]

    def python(self, *arguments: str, **environment: str) -> Ended:
        """Python with these arguments, to its end."""
        ended = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env={**self.environment, **environment}, check=False, timeout=60
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of this session keep what they compile."""
    return tmp_path_factory.mktemp("bytecode")


PROBE = Path(__file__).parent / "probe"


@pytest.fixture
def probe(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `program` and this process see the distribution in `probe/` and rl-core, and no other plugin."""
    monkeypatch.syspath_prepend(PROBE)
    program.see(PROBE)
    others = {row.package for row in Plugins.load().rows} - {"rl-core", "probe"}
    monkeypatch.setenv("RL_CORE_DISABLE", ",".join(sorted(others)))
    program.environment["RL_CORE_DISABLE"] = ",".join(sorted(others))


@pytest.fixture
def site(tmp_path: Path, bytecode: Path) -> Site:
    """A folder for distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder, bytecode)
