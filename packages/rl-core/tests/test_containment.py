"""Hostile plugins: each costs only itself, by name, and nothing that it prints or changes reaches the result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

HEAD = "from rl_core.api import AgentSpec, hookimpl\nRL_API = 2\n"
AGENT = """
@hookimpl
def rl_agents():
    yield AgentSpec(name=NAME, target="json:JSONDecoder", summary="An agent", fits=("control",), unit="steps", budget=1, task="coin")
"""


def listed(site: Any, *arguments: str) -> Any:
    ended = site.run("list", "--json", *arguments)
    assert ended.status == 0, ended.err
    return ended.json


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\nos._exit(0)\n", "tried to end the program"),
        ("import os\nos.chdir('/')\n", "changed the working folder"),
        ("NAME = 'a' * 1_000_000\n", "is not allowed"),
        ("NAME = 'a\\x1b[31m'\n", "is not allowed"),
    ],
)
def test_a_hostile_import_costs_only_its_plugin(site: Any, code: str, reason: str) -> None:
    site.add_good()
    site.add("bad", HEAD + code + AGENT.replace("NAME", "globals().get('NAME', 'bad')"))
    document = listed(site)
    assert "guess" in [component["name"] for component in document["components"]]
    (row,) = document["broken"]
    assert row["package"] == "bad"
    assert reason in row["error"]
    assert len(row["error"]) < 600
    for command in ("list", "doctor"):
        ended = site.run(command)
        assert "\x1b" not in ended.out
        assert len(ended.out + ended.err) < 20_000


def test_a_finder_that_raises_is_ignored_by_name(site: Any) -> None:
    site.add_good()
    finder = "import sys\nclass Finder:\n    def find_spec(self, *arguments):\n        raise RuntimeError('no imports')\n"
    site.add("bad", HEAD + finder + "sys.meta_path.insert(0, Finder())\n" + AGENT.replace("NAME", "'bad'"))
    ended = site.run("list", "--json")
    assert ended.status == 0
    assert "guess" in [component["name"] for component in ended.json["components"]]
    assert "warning: plugin bad: its finder of modules failed (RuntimeError: no imports) and is ignored" in ended.err


def test_a_name_that_is_no_plain_text_is_copied(site: Any) -> None:
    evil = "class Evil(str):\n    def __hash__(self): raise ValueError\n    def __eq__(self, other): raise ValueError\n"
    evil += "    def lower(self): raise ValueError\n"
    site.add_good()
    site.add("bad", HEAD + evil + AGENT.replace("NAME", "Evil('evil')"))
    document = listed(site)
    assert {"guess", "evil"} <= {component["name"] for component in document["components"]}
    assert document["broken"] == []


def test_a_hook_without_end_is_reported(site: Any) -> None:
    site.add_good()
    site.add("bad", HEAD + AGENT.replace("    yield", "    while True: yield").replace("NAME", "'bad'"))
    (row,) = listed(site)["broken"]
    assert "it yields more than 10,000 specs" in row["error"]


def test_what_is_printed_at_the_end_of_the_process_is_not_in_the_result(site: Any) -> None:
    site.add_good()
    site.add("loud", HEAD + "import atexit\natexit.register(print, 'goodbye')\n" + AGENT.replace("NAME", "'loud'"))
    ended = site.run("list", "--json")
    json.loads(ended.out)
    assert "goodbye" in ended.err


def test_an_import_without_end_is_named_when_it_is_interrupted(site: Any) -> None:
    # A process that is started in the background ignores SIGINT, and so would its children.
    loops = "print('looping', file=sys.stderr, flush=True)\nwhile True: time.sleep(0.01)\n"
    site.add("endless", f"import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{loops}")
    process = subprocess.Popen(
        [sys.executable, "-m", "rl_core", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=site.environment
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "looping\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: interrupted while plugin endless was loading" in err
    assert "hint: if its import does not end, switch it off: --disable endless" in err


@pytest.mark.usefixtures("probe")
def test_a_missing_file_of_presets_is_said_in_words(program: Any, site: Any) -> None:
    spec = 'AgentSpec(name="lost", target="probe.slope:Slope", summary="S", fits=("data",), unit="batches", budget=5, task="plane",'
    spec += ' network="linear-map", presets="lost:presets/none.yaml")'
    site.add("lost", HEAD + f"@hookimpl\ndef rl_agents():\n    yield {spec}\n")
    program.see(site.folder)
    ended = program.run("run", "lost")
    assert ended.status == 2
    assert "the presets of agent lost (lost 1.0) cannot be read: lost:presets/none.yaml: file not found" in ended.err


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize("key", ["CartPole-v1", "gym:CartPole-v1"])
@pytest.mark.parametrize("asked", ["CartPole-v1", "gym:CartPole-v1"])
def test_a_preset_is_found_by_both_names_of_a_gymnasium_task(program: Any, site: Any, key: str, asked: str) -> None:
    spec = 'AgentSpec(name="tuned", target="probe.hill:Hill", summary="S", fits=("control",), unit="rounds", budget=5, task="CartPole-v1",'
    spec += ' presets="tuned:presets.yaml")'
    site.add("tuned", HEAD + f"@hookimpl\ndef rl_agents():\n    yield {spec}\n", files={"presets.yaml": f'"{key}": {{budget: 77}}\n'})
    program.see(site.folder)
    document = program.run("run", "tuned", "--task", asked, "--dry-run", "--json").json
    assert document["budget"] == 77
    rows = program.run("show", "tuned", "--task", asked, "--json").json["settings"]
    assert {"name": "budget", "value": 77, "source": "the preset of the task"} in rows
    assert not (program.folder / "runs").exists()
