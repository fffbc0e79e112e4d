"""Every way in which a plugin can be bad, each with a distribution that is really there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rl_core.api import hookimpl
from rl_core.errors import RequestError
from rl_core.plugins.loading import Plugins

HEAD = "from rl_core.api import AgentSpec, NetworkSpec, TaskSpec, hookimpl\nRL_API = 2\n"
AGENT = 'AgentSpec(name="{name}", target="{target}", summary="One", fits=("control",), unit="steps", task="coin", budget=1)'


def agent(name: str = "one", target: str = "bad.one:One") -> str:
    return AGENT.format(name=name, target=target)


def hook(body: str, name: str = "rl_agents()") -> str:
    return f"{HEAD}@hookimpl\ndef {name}:\n    {body}\n"


BAD = {
    "import raises": ("raise RuntimeError('no luck')", r"importing bad\._plugin failed: RuntimeError: no luck", "--disable bad"),
    "import has a syntax error": ("def f(:", r"importing bad\._plugin failed: SyntaxError", "--disable bad"),
    "import exits": ("import sys; sys.exit(3)", r"tried to end the program \(SystemExit: 3\)", "--disable bad"),
    "import panics": ("class Panic(BaseException): pass\nraise Panic('in Rust')", "failed: Panic: in Rust", "--disable bad"),
    "an entry point to an odd object": (
        "class Odd:\n    @property\n    def RL_API(self): raise ValueError('odd')\nodd = Odd()",
        r"bad\._plugin:odd cannot be used: ValueError: odd",
        "--disable bad",
    ),
    "an entry point to nothing": ("", r"importing bad\._plugin:odd failed: AttributeError", "--disable bad"),
    "a dependency is missing": ("import not_there", "needs not_there, which is not installed", "install not_there"),
    "no module": (None, r"names bad\._plugin, but module bad\._plugin was not found", "pip install --force-reinstall bad"),
    "no API version": (hook("return ()").replace("RL_API = 2", ""), "does not say which plugin API", "add RL_API = 2"),
    "a newer API": (hook("return ()").replace("= 2", "= 99", 1), "written for plugin API 99; this rl-core serves 2", "upgrade rl-core"),
    "an older API": (hook("return ()").replace("= 2", "= 1", 1), "written for plugin API 1; this rl-core serves 2", "Changes of the API"),
    "an API of text": (hook("return ()").replace("= 2", "= '1'", 1), "RL_API of bad._plugin is '1'; it must be an integer", "RL_API = 2"),
    "a hook raises": (hook("raise KeyError('gone')"), "its hook rl_agents failed: KeyError: 'gone'", "--disable bad"),
    "a hook exits": (hook("raise SystemExit(4)"), "its hook rl_agents failed: SystemExit: 4", "--disable bad"),
    "a hook returns a spec": (hook(f"return {agent()}"), "it returned AgentSpec; it must yield specs", "--disable bad"),
    "a hook returns text": (hook("return 'ppo'"), "it returned str; it must yield specs", "--disable bad"),
    "a hook yields text": (hook("yield 'ppo'"), "in rl_agents: a str was given where an AgentSpec belongs", "--disable bad"),
    "an argument that no hook has": (
        hook("pass", "rl_metrics(run, colour)"),
        "does not fit the hooks of this host.*colour",
        "--disable bad",
    ),
    "a hook that is none": (hook("pass", "rl_agent()"), "rl_agent is not a hook of this host", "did its author mean rl_agents"),
    "a hook without its mark": (HEAD + "def rl_agents(): yield 1\n", "rl_agents in bad._plugin is not marked", "put @hookimpl above"),
    "no hook": (HEAD, "bad._plugin implements no hook", "@hookimpl"),
    "a wrapper": (
        HEAD + "@hookimpl(wrapper=True)\ndef rl_agents():\n    return (yield)\n",
        "its rl_agents is a wrapper",
        "remove wrapper=True",
    ),
    "a target without module": (
        hook(f"yield {agent(target='bad.gone:One')}"),
        "cannot be resolved: module bad.gone not found",
        "--disable bad",
    ),
    "a target without package": (
        hook(f"yield {agent(target='gone.deep.er:One')}"),
        "cannot be resolved: module gone not found",
        "--disable bad",
    ),
    "a target below a module": (hook(f"yield {agent(target='bad._plugin.x:One')}"), r"module bad\._plugin\.x not found", "--disable bad"),
    "a target without class": (hook(f"yield {agent(target='bad:One')}"), "cannot be resolved: bad defines no One", "--disable bad"),
}


@pytest.mark.parametrize(("plugin", "error", "remedy"), BAD.values(), ids=BAD.keys())
def test_a_bad_plugin_costs_only_itself_and_is_shown_with_reason_and_remedy(site: Any, plugin: str | None, error: str, remedy: str) -> None:
    site.add_good()
    site.add("bad", plugin, entry_points="[rl_core.plugins]\nbad = bad._plugin:odd\n" if "odd" in error else None)
    listed, doctor, human_list, human_doctor = site.run_each("list --json", "doctor --json", "list", "doctor")
    assert (listed.status, doctor.status, human_list.status, human_doctor.status) == (0, 1, 0, 1)
    assert {"guess", "wire", "coin"} <= {component["name"] for component in listed.json["components"] if component["status"] == "ready"}
    (broken,) = listed.json["broken"]
    assert (broken["package"], broken["version"], broken["entry_point"]) == ("bad", "1.0", "bad")
    assert re.search(error, broken["error"])
    assert remedy in broken["remedy"]
    assert doctor.json["broken"] == [broken]
    assert not doctor.json["healthy"]
    for human in (human_list, human_doctor):
        assert broken["error"] in human.out
        assert f"remedy: {broken['remedy']}" in human.out
        assert "Traceback" not in human.out + human.err


def test_a_plugin_that_prints_leaves_standard_output_to_the_result(site: Any) -> None:
    chatty = "import os\nprint('hello')\nos.write(1, b'raw')\nos.system('echo child')\n"
    site.add("chatty", chatty + hook(f"print('hook'); yield {agent(target='chatty:Empty')}"))
    listed = site.run("list", "--json")
    assert [component["name"] for component in listed.json["components"] if component["package"] == "chatty"] == ["one"]
    assert not listed.json["broken"]
    for word in ("hello", "raw", "child", "hook"):
        assert word in listed.err


def test_a_component_that_prints_when_imported_leaves_standard_output_to_the_result(site: Any) -> None:
    site.add_good()
    with site.folder.joinpath("good", "guess.py").open("a") as file:
        file.write("print('imported')\n")
    shown = site.run("show", "guess", "--json")
    assert shown.json["name"] == "guess"
    assert "imported" in shown.err


def test_a_hook_that_raises_midway_keeps_what_it_gave_before(site: Any) -> None:
    site.add("bad", hook(f"yield {agent(target='bad:Empty')}\n    raise ValueError('midway')"))
    listed = site.run("list", "--json").json
    assert "one" in {component["name"] for component in listed["components"]}
    assert [broken["error"] for broken in listed["broken"]] == ["its hook rl_agents failed: ValueError: midway"]


def test_one_bad_spec_costs_only_itself(site: Any) -> None:
    good, bad = agent(target="bad:Empty"), agent(name="Bad Name")
    site.add("bad", hook(f"yield {good}\n    yield {bad}\n    yield {good.replace('one', 'two')}\n    yield {good}"))
    listed = site.run("list", "--json").json
    assert {component["name"] for component in listed["components"] if component["package"] == "bad"} == {"one", "two"}
    errors = [broken["error"] for broken in listed["broken"]]
    assert errors[0].startswith("in rl_agents: the name 'Bad Name' is not allowed")
    assert errors[1:] == ["in rl_agents: one is given twice"]


def test_one_name_from_two_plugins_is_ambiguous_and_answered_with_its_package(site: Any) -> None:
    site.add_good()
    for name in ("other", "third"):
        site.add(name, hook(f"yield {agent(name='guess' if name == 'other' else 'own', target=f'{name}:Empty')}"))
    listed = site.run("list", "--json").json
    status = {(component["package"], component["name"]): component["status"] for component in listed["components"]}
    assert status["good", "guess"] == status["other", "guess"] == "ambiguous"
    assert status["third", "own"] == status["good", "coin"] == "ready"

    bare = site.run("show", "guess")
    assert bare.status == 2
    assert bare.err == "error: agent guess is provided by good and other\nhint: write good/guess or other/guess\n"
    assert site.run("show", "good/guess", "--json").json["package"] == "good"
    doctor = site.run("doctor", "--json")
    assert doctor.status == 1
    assert [entry["remedy"] for entry in doctor.json["ambiguous"]] == ["write good/guess", "write other/guess"]
    human = site.run("list").out
    assert len(re.findall(r"guess +ambiguous", human)) == 2


def test_two_distributions_may_name_their_entry_points_alike(site: Any) -> None:
    for name in ("first", "second"):
        plugin = hook(f"yield {agent(name=name, target=f'{name}:Empty')}")
        site.add(name, plugin, entry_points=f"[rl_core.plugins]\nsame = {name}._plugin\n")
    listed = site.run("list", "--json").json
    assert {"first", "second"} <= {component["name"] for component in listed["components"]}
    assert not listed["broken"]


def test_two_distributions_that_name_one_module_are_told_apart(site: Any) -> None:
    site.add_good()
    site.add("impostor", None, entry_points="[rl_core.plugins]\nimpostor = good._plugin\n")
    listed = site.run("list", "--json").json
    assert [(broken["package"], broken["error"]) for broken in listed["broken"]] == [
        ("impostor", "good._plugin is already the plugin of good, so it is not loaded a second time")
    ]
    assert {component["package"] for component in listed["components"]} == {"good", "rl-core"}


def test_a_component_whose_module_is_missing_says_what_to_install(site: Any) -> None:
    needy = agent(target="needy.gone:One").replace("budget=1", 'budget=1, requires=("not_there", "json"), extra="needy[there]"')
    site.add("needy", hook(f"yield {needy}"))
    (component,) = [each for each in site.run("list", "--json").json["components"] if each["name"] == "one"]
    assert (component["status"], component["needs"]) == ("needs not_there", ["not_there"])
    assert re.search(r"one +needs not_there", site.run("list").out)
    doctor = site.run("doctor", "--json")
    assert doctor.status == 0
    assert {missing["name"]: missing["remedy"] for missing in doctor.json["missing"]}["one"] == 'pip install "needy[there]"'
    assert 'pip install "needy[there]"' in site.run("doctor").out
    assert "pip install" in site.run("show", "one", "--json").json["problem"]
    shown = site.run("show", "one")
    assert shown.status == 0
    assert 'needs not_there (pip install "needy[there]")' in shown.out


def test_a_target_that_no_one_could_foresee_is_an_error_in_words_when_used(site: Any) -> None:
    files = {"raises.py": "One = 1\nraise OSError('no\\nlibrary')", "exits.py": "One = 1\nimport sys; sys.exit(9)", "number.py": "One = 1"}
    plugin = "\n    ".join(f"yield {agent(name=path[:-3], target=f'late.{path[:-3]}:One')}" for path in files)
    lazy = agent(name="lazy", target="late.lazy:One")
    site.add(
        "late", hook(f"{plugin}\n    yield {lazy}"), files={**files, "lazy.py": "Once = 1\ndef __getattr__(name): raise AttributeError"}
    )
    assert site.run("doctor").status == 0
    assert "OSError: no library; see where with --traceback" in site.run("show", "raises", "--json").json["problem"]
    assert "SystemExit: 9" in site.run("show", "exits", "--json").json["problem"]
    assert "late.number:One is of type int; it must be a class" in site.run("show", "number", "--json").json["problem"]
    assert "late.lazy has no One; late.lazy has Once" in site.run("show", "lazy", "--json").json["problem"]


def test_a_disabled_plugin_is_not_even_imported(site: Any) -> None:
    site.add("slow-one", "raise RuntimeError('imported')", entry_points="[rl_core.plugins]\nquick = slow_one._plugin\n")
    others = site.environment["RL_CORE_DISABLE"]
    for arguments, environment in (
        (("--disable", "slow-one"), {}),
        (("--disable", "Slow_One"), {}),
        (("--disable", "quick"), {}),
        ((), {"RL_CORE_DISABLE": f"{others}, slow-one"}),
    ):
        doctor = site.run(*arguments, "doctor", "--json", **environment)
        assert doctor.status == 0
        assert [row["status"] for row in doctor.json["plugins"] if row["package"] == "slow-one"] == ["disabled"]
        assert "imported" not in doctor.out + doctor.err


def test_a_name_that_disables_nothing_is_an_error_with_the_nearest(site: Any) -> None:
    site.add_good()
    for ended in (site.run("--disable", "godo", "list", "--json"), site.run("list", "--json", RL_CORE_DISABLE="godo")):
        assert ended.status == 2
        assert ended.out == ""
        assert "error: no plugin is named 'godo', so it cannot be disabled" in ended.err
        assert "hint: did you mean good?" in ended.err


def test_a_name_that_is_unknown_is_told_of_plugins_that_did_not_load(site: Any) -> None:
    site.add("bad", "raise RuntimeError")
    unknown = site.run("show", "something")
    assert unknown.status == 2
    assert "it belongs to a plugin that failed to load (bad): rl-core doctor" in unknown.err
    disabled = site.run("--disable", "bad", "show", "something")
    assert "it belongs to a plugin that is disabled (bad" in disabled.err


def test_doctor_shows_every_plugin_with_its_hooks_and_time_and_tracebacks_only_when_asked(site: Any) -> None:
    site.add_good()
    site.add("bad", "raise RuntimeError('no luck')")
    doctor = site.run("doctor", "--json")
    rows = {row["package"]: row for row in doctor.json["plugins"]}
    assert rows["good"]["hooks"] == ["rl_agents", "rl_networks", "rl_tasks"]
    assert (rows["good"]["api"], rows["good"]["status"], rows["bad"]["status"]) == (2, "ready", "failed")
    assert rows["good"]["milliseconds"] > 0
    assert "Traceback" not in doctor.err
    traced = site.run("doctor", "--traceback", "--json")
    assert "RuntimeError: no luck" in traced.err
    assert traced.json["broken"] == doctor.json["broken"]


class Faulty:
    """A logger that counts, and fails where it is told to."""

    def __init__(self, fails: type[BaseException] | None) -> None:
        self.fails = fails
        self.calls = 0

    @hookimpl
    def rl_metrics(self, progress: int) -> None:
        """Count, print, fail."""
        self.calls += 1
        print("to standard output")
        if self.fails is not None:
            raise self.fails("disk\nfull")

    @hookimpl
    def rl_run_finished(self) -> None:
        """Still called when `rl_metrics` was dropped."""
        self.calls += 100


def test_a_failing_run_hook_is_reported_and_dropped_after_its_third_failure(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = Plugins()
    faulty, exiting, sound = Faulty(OSError), Faulty(SystemExit), Faulty(None)
    for name, logger in (("faulty", faulty), ("exiting", exiting), ("sound", sound)):
        plugins.register(logger, name)
    for progress in range(5):
        plugins.notify("rl_metrics", run=None, progress=progress, metrics={})
    assert (faulty.calls, exiting.calls, sound.calls) == (3, 3, 5)
    plugins.notify("rl_run_finished", run=None, result=None, error=None)
    assert faulty.calls == 103
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("warning: faulty: rl_metrics failed (OSError: disk full); the run continues\n") == 1
    assert captured.err.count("warning: faulty: rl_metrics failed 3 times and will not be called again in this run\n") == 1
    assert captured.err.count("warning:") == 4


def test_ctrl_c_in_a_run_hook_is_not_swallowed() -> None:
    plugins = Plugins()
    plugins.register(Faulty(KeyboardInterrupt), "faulty")
    with pytest.raises(KeyboardInterrupt):
        plugins.notify("rl_metrics", run=None, progress=0, metrics={})


def test_a_logger_takes_part_only_once_and_only_if_it_fits() -> None:
    class Wrong:
        @hookimpl
        def rl_metrics(self, colour: str) -> None:
            """Ask for what is not given."""

    plugins = Plugins()
    plugins.register(Faulty(None), "board")
    with pytest.raises(RequestError, match="the logger board is given twice"):
        plugins.register(Faulty(None), "board")
    with pytest.raises(RequestError, match=r"wrong does not fit the hooks of this host.*colour"):
        plugins.register(Wrong(), "wrong")
    plugins.notify("rl_metrics", run=None, progress=0, metrics={})


def test_a_run_of_what_cannot_be_used_is_refused_with_the_remedy_and_leaves_no_folder(site: Any, tmp_path: Any) -> None:
    site.add_good()
    site.add(
        "other",
        hook(
            f"""yield {agent(name="needy").replace("budget=1", "budget=1, requires=('not_there',)")}
    yield {agent(name="lost", target="other.gone:One")}
    yield {agent(name="guess", target="other:Empty")}"""
        ),
    )
    out = str(tmp_path / "run")
    for name, error, hint in (
        ("needy", "agent needy (other 1.0) needs not_there, which is not installed", "install it: pip install"),
        ("lost", "agent lost (other 1.0) cannot be imported: other.gone:One: ModuleNotFoundError", "--disable other"),
        ("guess", "agent guess is provided by good and other", "write good/guess or other/guess"),
    ):
        ended = site.run("run", name, "--task", "gym:CartPole-v1", "--out", out, "--json")
        assert ended.status == 2
        assert ended.out == ""
        lines = ended.err.splitlines()
        assert lines[0].startswith(f"error: {error}")
        assert lines[1].startswith("hint: ")
        assert hint in lines[1]
        assert len(lines) == 2
    assert not (tmp_path / "run").exists()
