"""Wrong specs are said in words, one by one."""

from __future__ import annotations

import importlib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from rl_core.api import AgentSpec, LoggerSpec, NetworkSpec, TaskSchemeSpec, TaskSpec
from rl_core.plugins.catalogue import Catalogue
from rl_core.plugins.loading import Plugins
from rl_core.plugins.spec_problems import is_installed, problem_of, unresolved

AGENT = AgentSpec(name="a", target="json:JSONDecoder", summary="One", fits=("control",), unit="steps", budget=1, task="coin")
TASK = TaskSpec(name="t", target="json:JSONDecoder", summary="One", traits=("control",), agent="")
SCHEME = TaskSchemeSpec(name="s", target="json:JSONDecoder", summary="One", argument="id", example="s:one")


@pytest.mark.parametrize("name", ["ppo", "CartPole-v1", "4x4", "a.b_c-d", "Z"])
def test_names_that_are_allowed(name: str) -> None:
    assert problem_of(replace(AGENT, name=name), AgentSpec) == ""


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a b", "a/b", "a:b", "ä", "a\n", 3, None, ["a"]])
def test_names_that_are_not_allowed(name: Any) -> None:
    assert "a letter or digit first" in problem_of(replace(AGENT, name=name), AgentSpec)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"target": "rl_algos.on_policy.ppo.PPO"},
            "target is 'rl_algos.on_policy.ppo.PPO'; it must be an import string, 'package.module:Class'",
        ),
        ({"target": "a b:C"}, "it must be an import string"),
        ({"target": "a:"}, "it must be an import string"),
        ({"target": dict}, "target is <class 'dict'>; it must be a string"),
        ({"summary": ""}, "summary has 0 characters; it must be one line of 1 to 80"),
        ({"summary": "x" * 81}, "summary has 81 characters"),
        ({"summary": "one\ntwo"}, "it must be one line"),
        ({"summary": None}, "summary is None; it must be a string"),
        ({"requires": "torch"}, "requires is 'torch'; it must be a tuple of strings, such as ('torch',)"),
        ({"requires": ("torch.nn",)}, "requires names 'torch.nn'; it must be a top-level module, as in 'import torch'"),
        ({"fits": "control"}, "fits is 'control'; it must be a tuple of strings"),
        ({"fits": ()}, "fits is empty, so no task would ever fit"),
        ({"tags": ["a"]}, "tags is ['a']; it must be a tuple of strings"),
        ({"budget": 0}, "budget is 0; it must be at least 1"),
        ({"budget": 1e6}, "budget is 1000000.0; it must be an integer"),
        ({"budget": True}, "budget is True; it must be an integer"),
        ({"unit": ""}, "unit is empty; see AgentSpec in rl_core.api"),
        ({"task": ""}, "task is empty"),
        ({"task": None}, "task is None; it must be a string"),
        ({"network": ""}, "network is ''; it must be a name or None"),
        ({"config": [("a", 1)]}, "config is [('a', 1)]; it must be a mapping with strings as keys"),
        ({"tiny": {1: 2}}, "tiny is {1: 2}; it must be a mapping"),
        ({"presets": "presets/ppo.yaml"}, "presets is 'presets/ppo.yaml'; it must name a data file"),
    ],
)
def test_what_is_wrong_with_an_agents_spec_is_said(changed: dict[str, Any], problem: str) -> None:
    assert problem in problem_of(replace(AGENT, **changed), AgentSpec)


def test_specs_that_are_right_have_no_problem() -> None:
    network = NetworkSpec(name="n", target="json:JSONDecoder", summary="One", fits=("data",), task="coin")
    logger = LoggerSpec(name="l", target="json:JSONDecoder", summary="One")
    for spec in (AGENT, TASK, SCHEME, network, logger, replace(AGENT, presets="pkg.sub:folder/a.yaml", network="mlp")):
        assert problem_of(spec, type(spec)) == ""


def test_a_spec_of_the_wrong_kind_is_named() -> None:
    assert problem_of(TASK, AgentSpec) == "a TaskSpec was given where an AgentSpec belongs"
    assert problem_of(AgentSpec, AgentSpec) == "a type was given where an AgentSpec belongs"


def test_a_scheme_says_its_argument_and_an_example() -> None:
    assert "argument is empty" in problem_of(replace(SCHEME, argument=""), TaskSchemeSpec)
    assert "example is empty" in problem_of(replace(SCHEME, example=""), TaskSchemeSpec)


@pytest.mark.parametrize(
    "target",
    [
        "json:JSONDecoder",
        "json.decoder:JSONDecoder",
        "email.mime.text:MIMEText",
        "os.path:join",
        "math:sqrt",
        "sys:path",
        "rl_core.plugins.loading:Plugins.load",
    ],
)
def test_import_strings_that_lead_somewhere(target: str) -> None:
    assert unresolved(target) == ""


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("not_there:A", "module not_there not found"),
        ("json.not_there:A", "module json.not_there not found"),
        ("json.decoder.deeper:A", "module json.decoder.deeper not found"),
        ("json.decoder:JSONDecodr", "json.decoder defines no JSONDecodr"),
        ("json.decoder:Decoder", "json.decoder defines no Decoder"),
    ],
)
def test_import_strings_that_lead_nowhere(target: str, reason: str) -> None:
    assert unresolved(target) == reason


def test_only_what_can_be_imported_is_installed() -> None:
    assert is_installed("json")
    assert is_installed("sys")
    assert not is_installed("not_there")


def test_a_new_catalogue_sees_what_was_installed_since_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    Catalogue(Plugins())
    assert unresolved("appearing:A") == "module appearing not found"
    tmp_path.joinpath("appearing.py").write_text("class A: ...")
    importlib.invalidate_caches()
    Catalogue(Plugins())
    assert unresolved("appearing:A") == ""


def test_a_spec_is_frozen_and_says_which_field_is_wrong() -> None:
    with pytest.raises(FrozenInstanceError, match="AgentSpec is frozen"):
        AGENT.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError, match="AgentSpec has no field named colour"):
        replace(AGENT, colour="red")
    with pytest.raises(TypeError, match="TaskSpec needs target"):
        TaskSpec(name="a")  # type: ignore[call-arg]
    assert replace(AGENT) == AGENT
    assert replace(AGENT, name="b") != AGENT
    assert repr(AGENT).startswith("AgentSpec(name=")
