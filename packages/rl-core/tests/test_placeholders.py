"""`show` tells the config of a component without the libraries that it computes with, or with them where it cannot."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rl_core.plugins.placeholders import in_place_of_libraries

PLUGIN = """
from rl_core.api import AgentSpec, hookimpl

RL_API = 2

@hookimpl
def rl_agents():
    yield AgentSpec(name="slow", target="thrifty.agent:Slow", summary="Needs much", fits=("control",), unit="steps", task="coin", budget=10)
"""

LIBRARY = """
import dataclasses, pathlib
pathlib.Path(__file__).with_name("imported").write_text("")
from typing import Literal
CHOICES = Literal["a", "b"]
DEFAULT, FAST = 7, False
class Base: pass
def decorated(function): return function
@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 1
"""

AGENT = """
from __future__ import annotations
from typing import Annotated, TypeVar
import heavy
import heavy.parts
from heavy import Base, decorated
from rl_core.config import Count, Doc, configclass

{before}

@configclass
class SlowConfig{base}:
    count: Annotated[{type}, Doc("N, how many")] = {default}

class Slow(heavy.Base):
    Config = SlowConfig

    @decorated
    def step(self, left: heavy.Base | None = None) -> heavy.Base: ...
"""


def shown(site: Any, *, before: str = "", base: str = "", type: str = "Count", default: str = "3") -> tuple[list[tuple[Any, ...]], bool]:
    """Name, type, default and help of the fields that `show` prints, and whether the library was imported."""
    heavy = Path(site.folder) / "heavy"
    heavy.mkdir()
    heavy.joinpath("__init__.py").write_text(LIBRARY)
    heavy.joinpath("parts.py").write_text("")
    site.add("thrifty", PLUGIN, files={"agent.py": AGENT.format(before=before, base=base, type=type, default=default)})
    ended = site.run("show", "slow", "--json")
    assert ended.status == 0, ended.err
    fields = [(field["name"], field["type"], field["default"], field["help"]) for field in ended.json["config"]]
    return fields, heavy.joinpath("imported").exists()


def test_a_library_that_the_config_does_not_need_is_not_imported(site: Any) -> None:
    before = 'ANY = TypeVar("ANY", heavy.Base, int)\nBOUND = TypeVar("BOUND", bound=heavy.Base)\nEITHER = heavy.Base | None'
    assert shown(site, before=before) == ([("count", "int", 3, "N, how many, >= 1")], False)


def test_a_default_of_the_library_is_the_real_one(site: Any) -> None:
    assert shown(site, default="heavy.DEFAULT") == ([("count", "int", 7, "N, how many, >= 1")], True)


def test_choices_of_the_library_are_spelled_out(site: Any) -> None:
    assert shown(site, type="heavy.CHOICES", default='"a"') == ([("count", "Literal['a', 'b']", "a", "N, how many")], True)


def test_what_depends_on_the_library_is_decided_by_it(site: Any) -> None:
    assert shown(site, before="NUMBER = 1 if heavy.FAST else 2", default="NUMBER") == ([("count", "int", 2, "N, how many, >= 1")], True)


def test_fields_of_a_base_in_the_library_are_not_lost(site: Any) -> None:
    fields, imported = shown(site, base="(heavy.Config)")
    assert ([field[0] for field in fields], imported) == (["size", "count"], True)


def test_a_library_that_is_not_installed_is_named(site: Any) -> None:
    site.add("thrifty", PLUGIN, files={"agent.py": "import heaviest"})
    ended = site.run("show", "slow", "--json")
    assert "No module named 'heaviest'" in ended.json["problem"]


def test_modules_that_met_a_placeholder_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "met"
    package.mkdir()
    package.joinpath("__init__.py").write_text("")
    package.joinpath("child.py").write_text("from hefty import DEFAULT")
    tmp_path.joinpath("hefty.py").write_text("DEFAULT = 7")
    monkeypatch.syspath_prepend(str(tmp_path))
    met = import_module("met")
    with in_place_of_libraries():
        assert import_module("met.child").DEFAULT is not import_module("hefty")
        assert "placeholders" in type(import_module("hefty")).__module__
    assert not hasattr(met, "child")
    assert import_module("met.child").DEFAULT == 7
    for name in ("met", "met.child", "hefty"):
        del sys.modules[name]
