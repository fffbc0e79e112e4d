"""What `list` and `show` print, for people and for programs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import Any


def names(ended: Any, kind: str) -> list[str]:
    return [component["name"] for component in ended.json["components"] if component["kind"] == kind]


def on_a_terminal(site: Any, *arguments: str, columns: int, **environment: str) -> str:
    """Standard output of `rl-core` when it is a terminal of this width."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rl_core", *arguments],
        stdout=child,
        stderr=subprocess.DEVNULL,
        env={**site.environment, "COLUMNS": str(columns), **environment},
    )
    os.close(child)
    seen = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:  # the other side was closed
            break
        if not part:
            break
        seen += part
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return seen.decode().replace("\r\n", "\n")


def test_list_as_json_has_the_keys_of_the_contract(site: Any) -> None:
    site.add_good()
    document = site.run("list", "--json").json
    assert set(document) == {"components", "broken"}
    assert document["components"][0] == {
        "kind": "agent",
        "name": "guess",
        "package": "good",
        "version": "1.0",
        "summary": "Guesses at random",
        "status": "ready",
        "needs": [],
        "tags": [],
    }


def test_list_for_people_groups_by_kind_and_keeps_names_and_summaries_whole(site: Any) -> None:
    site.add_good()
    ended = site.run("list")
    assert (
        ended.out
        == (
            "Agents\n"
            "  guess  ready  Guesses at random  good 1.0\n"
            "Networks\n"
            "  wire  ready  A wire  good 1.0\n"
            "Tasks\n"
            "  coin  ready  Heads or tails  good 1.0\n"
            "  map   ready  Which way       good 1.0\n"
        )
        + ended.out[ended.out.index("Tasks by scheme") :]
    )
    assert "\x1b" not in ended.out
    assert ended.err == "14 components from 2 packages\n"


def test_list_narrows_by_kind(site: Any) -> None:
    site.add_good()
    assert names(site.run("list", "--kind", "network", "--json"), "network") == ["wire"]
    tasks = site.run("list", "--kind", "task", "--json")
    assert {component["kind"] for component in tasks.json["components"]} == {"task", "scheme"}


def test_list_narrows_to_what_fits(site: Any) -> None:
    site.add_good()
    calls = ("coin", "map", "guess", "wire", "gym:CartPole-v1")
    coin, map_, guess, wire, gym = site.run_each(*(f"list --json --fits {name}" for name in calls))
    assert (names(coin, "agent"), names(coin, "network")) == (["guess"], ["wire"])
    assert map_.json["components"] == []
    assert (names(guess, "task"), names(guess, "network"), names(guess, "scheme")) == (["coin"], ["wire"], ["gym"])
    assert (names(wire, "task"), names(wire, "agent")) == (["coin"], ["guess"])
    assert (names(gym, "agent"), names(gym, "network")) == (["guess"], ["wire"])


def test_a_narrow_terminal_shortens_summaries_and_never_names(site: Any) -> None:
    site.add_good()
    path = site.folder / "good" / "_plugin.py"
    path.write_text(path.read_text().replace("Guesses at random", "Guesses " + "and guesses " * 5))
    wide, narrow = on_a_terminal(site, "list", columns=200), on_a_terminal(site, "list", columns=50)
    assert "\x1b[1mAgents\x1b[0m\n" in wide
    assert "Guesses " + "and guesses " * 4 in wide
    assert "…" in narrow
    assert all(len(line) <= 50 for line in narrow.splitlines() if line.startswith("  guess"))
    assert re.search(r"^  guess  ready  Guesses and.*…  good 1\.0$", narrow, re.MULTILINE)
    assert "\x1b" not in on_a_terminal(site, "list", columns=200, NO_COLOR="1")


def test_show_as_json_has_the_keys_of_the_contract(site: Any) -> None:
    site.add_good()
    document = site.run("show", "guess", "--json").json
    assert {key: document[key] for key in ("kind", "name", "package", "summary", "reference", "unit")} == {
        "kind": "agent",
        "name": "guess",
        "package": "good",
        "summary": "Guesses at random",
        "reference": "Nobody, 2026",
        "unit": "guesses",
    }
    assert {key: document["defaults"][key] for key in ("task", "network", "budget")} == {"task": "coin", "network": "wire", "budget": 1000}
    assert document["config"] == [
        {"name": "size", "type": "int", "default": 5, "help": "N, how many guesses, >= 1", "required": False},
        {"name": "word", "type": "str", "default": "a # b", "help": "what is said", "required": False},
    ]
    assert document["presets"] == ["coin"]
    assert document["run"] == "rl-core run guess --task coin --network wire --seed 0"
    assert document["problem"] == ""


def test_show_for_people_ends_with_a_line_to_paste(site: Any) -> None:
    site.add_good()
    lines = site.run("show", "guess").out.splitlines()
    assert lines[:2] == ["guess", "  Guesses at random"]
    assert "  source    Nobody, 2026" in lines
    assert "  defaults  task coin, network wire, budget 1000 guesses" in lines
    assert "  presets   coin" in lines
    assert "  size  int  5        N, how many guesses, >= 1" in lines
    assert lines[-2:] == ["Run it", "  rl-core run guess --task coin --network wire --seed 0"]


def test_show_knows_tasks_schemes_and_loggers(site: Any) -> None:
    site.add_good()
    calls = ("show coin --json", "show gym --json", "show gym:CartPole-v1 --json", "show tensorboard --json")
    coin, gym, cart_pole, tensorboard = (ended.json for ended in site.run_each(*calls))
    assert (coin["kind"], coin["traits"], coin["defaults"]["agent"]) == ("task", ["control", "discrete-output", "vector-input"], "guess")
    assert (gym["kind"], gym["run"]) == ("scheme", "rl-core run gym:CartPole-v1 --seed 0")
    assert (cart_pole["kind"], cart_pole["config"][0]["default"]) == ("task", "CartPole-v1")
    assert cart_pole["defaults"]["agent"] == "ppo"
    assert tensorboard["kind"] == "logger"


def test_one_name_of_two_kinds_is_shown_as_agent_and_points_to_the_other(site: Any) -> None:
    site.add_good()
    path = site.folder / "good" / "_plugin.py"
    path.write_text(path.read_text().replace('name="wire"', 'name="guess"'))
    human, network = site.run_each("show guess", "show guess --kind network --json")
    assert "a network of that name: rl-core show guess --kind network" in human.out
    assert network.json["kind"] == "network"
    assert network.json["also"] == ["agent"]


def test_show_of_an_ambiguous_component_runs_it_by_its_whole_name(site: Any) -> None:
    site.add_good()
    site.add("twin", site.folder.joinpath("good", "_plugin.py").read_text())
    shown = site.run("show", "good/guess", "--json").json
    assert shown["status"] == "ambiguous"
    assert shown["run"].startswith("rl-core run good/guess ")
