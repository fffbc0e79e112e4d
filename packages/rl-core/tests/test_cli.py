"""The front door: help, completion, errors, exit statuses, and what it must not import."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.cli.cli import COMMANDS, cli, in_words
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import Catalogue

HEAVY = ("torch", "numpy", "numba", "gymnasium", "matplotlib", "rich", "msgspec", "yaml", "safetensors")
SLOW = ("importlib.metadata", "email", "pathlib", "difflib", "shutil")  # together they would double the time of `list`
IMPORTED = """
import sys
sys.argv[0] = "rl-core"
try:
    from rl_core.__main__ import main
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(ended: Any) -> set[str]:
    return set(ended.err.splitlines()[-1].split())


@pytest.mark.parametrize("call", ["list", "list --json", "list --fits guess", "--help", "", "doctor", "lst", "show gues"])
def test_looking_imports_nothing_heavy(site: Any, call: str) -> None:
    site.add_good()
    ended = site.python("-c", IMPORTED, *call.split())
    assert not imported(ended) & set(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_heavy(site: Any, name: str) -> None:
    ended = site.python("-c", IMPORTED, name, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"Usage: rl-core {name} ")
    assert not imported(ended) & set(HEAVY)


def test_listing_imports_nothing_slow(site: Any) -> None:
    site.add_good()
    ended = site.python("-I", "-c", f"import sys; sys.path.insert(0, {str(site.folder)!r}); sys.argv[1:] = ['list']\n" + IMPORTED)
    assert "guess" in ended.out
    assert not imported(ended) & set(SLOW)


@pytest.mark.parametrize(
    ("words", "expected", "not_expected"),
    [
        ("rl-core ", ["list", "run", "doctor"], "guess"),
        ("rl-core r", ["run", "resume"], "list"),
        ("rl-core run g", ["guess", "gym:"], "coin"),
        ("rl-core show ", ["guess", "wire", "coin", "gym:", "tensorboard"], "list"),
        ("rl-core run --task c", ["coin"], "guess"),
        ("rl-core run --network ", ["wire"], "guess"),
        ("rl-core run --logger t", ["tensorboard"], "wire"),
        ("rl-core list --fits w", ["wire"], "guess"),
        ("rl-core --disable good run ", ["gym:"], "guess"),
        ("rl-core --disable nothing run ", [], "guess"),
        ("rl-core --disable g", ["good"], "guess"),
    ],
)
def test_the_shell_completes_names_and_imports_nothing_heavy(site: Any, words: str, expected: list[str], not_expected: str) -> None:
    site.add_good()
    parts = words.split(" ")
    completion = {"_RL_CORE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(parts) - 1)}
    ended = site.python("-c", IMPORTED, **completion)
    completed = {line.partition(",")[2] for line in ended.out.splitlines()}
    assert set(expected) <= completed
    assert not_expected not in completed
    assert not imported(ended) & set(HEAVY)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_scheme_without_a_blank_and_then_its_path(site: Any, tmp_path: Path) -> None:
    (tmp_path / "tables" / "more").mkdir(parents=True)
    (tmp_path / "tables" / "mine.npz").touch()
    source = site.run(_RL_CORE_COMPLETE="bash_source").out
    program = f"""
        compopt() {{ echo compopt; }}
        complete() {{ :; }}
        {source}
        tab() {{
            COMP_WORDS=(rl-core run --task "$1"); COMP_CWORD=3; COMPREPLY=()
            _rl_core_completion {Path(sys.executable).parent / "rl-core"}
            echo "${{COMPREPLY[*]}}"
        }}
        tab offl; tab offline:tab; tab offline:tables/m; tab offline:tables/mi
    """
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, env=site.environment, capture_output=True, text=True, check=True).stdout
    words = ["offline:", "offline:tables/", "offline:tables/mine.npz offline:tables/more/", "offline:tables/mine.npz"]
    assert [line for line in done.splitlines() if not line.startswith("compopt")] == words
    assert done.count("compopt") == 2


def test_an_ambiguous_name_is_completed_with_its_package(site: Any) -> None:
    site.add_good()
    site.add("twin", site.folder.joinpath("good", "_plugin.py").read_text())
    ended = site.run(_RL_CORE_COMPLETE="bash_complete", COMP_WORDS="rl-core run ", COMP_CWORD="2")
    assert {"plain,good/guess", "plain,twin/guess"} <= set(ended.out.splitlines())
    assert "plain,guess" not in ended.out.splitlines()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_its_import_string_says(name: str) -> None:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert command.name == name
    assert any(option.opts == ["--json"] for option in command.params)


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("lst", "no command is named 'lst'", "did you mean list?"),
        ("guess", "no command is named 'guess'; guess is a component", "did you mean: rl-core run guess"),
        ("qqqqq", "no command is named 'qqqqq'", "see: rl-core --help"),
        ("list --jsn", "no option is named '--jsn'", "did you mean --json"),
        ("--disabel x list", "no option is named '--disabel'", "did you mean --disable"),
        ("list --disable good", "no option is named '--disable' after the command", "write it before: rl-core --disable ... list"),
        ("list --kind agnet", "'agnet' is not one of", "did you mean agent"),
        ("list --kind", "Option '--kind' requires an argument", "see: rl-core --help"),
        ("list more", "Got unexpected extra argument (more)", "see: rl-core list --help"),
        ("show", "Missing argument 'NAME'", "see: rl-core show --help"),
        ("show gues", "nothing is named 'gues'", "did you mean guess?"),
        ("list --fits gues --json", "nothing is named 'gues'", "did you mean guess?"),
    ],
)
def test_a_wrong_request_is_an_error_a_hint_and_status_two(site: Any, call: str, message: str, hint: str) -> None:
    site.add_good()
    ended = site.run(*call.split())
    assert ended.status == 2
    assert ended.out == ""
    error, suggestion = ended.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert suggestion.startswith("hint: ")
    assert hint in suggestion


def test_the_traceback_is_shown_when_asked_for_wherever_the_option_stands(site: Any) -> None:
    for call in (("--traceback", "show", "zzz"), ("show", "zzz", "--traceback")):
        ended = site.run(*call)
        assert ended.status == 2
        assert ended.err.startswith("Traceback (most recent call last):")
        assert "RequestError" in ended.err
        assert ended.err.splitlines()[-2] == "error: nothing is named 'zzz'"
    assert "Traceback" not in site.run("show", "--", "--traceback").err


def test_a_bug_is_an_error_in_words_too() -> None:
    assert in_words(KeyError("x")) == ("KeyError: 'x'", "run again with --traceback and report it", 1)
    assert in_words(RuntimeError()) == ("RuntimeError", "run again with --traceback and report it", 1)
    assert in_words(WorkError("it failed", "try again")) == ("it failed", "try again", 1)
    assert in_words(RequestError("no", "yes")) == ("no", "yes", 2)
    assert in_words(KeyboardInterrupt()) == ("interrupted", "run the command again", 1)
    assert in_words(click.Abort())[2] == 1
    assert in_words(click.FileError("x", "why")) == ("Could not open file 'x': why", "see: rl-core --help", 1)


def test_an_error_is_one_line_whatever_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    command = click.Command("list", callback=lambda: (_ for _ in ()).throw(RuntimeError("one\n\ntwo")))
    monkeypatch.setattr("rl_core.cli.listing.list_components", command)
    result = CliRunner().invoke(cli, ["list"])
    assert (result.exit_code, result.stderr) == (1, "error: RuntimeError: one two\nhint: run again with --traceback and report it\n")


def test_the_exit_status_is_that_of_the_command_and_not_what_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_core.cli.listing.list_components", click.Command("list", callback=lambda: 3))
    assert CliRunner().invoke(cli, ["list"]).exit_code == 0
    monkeypatch.setattr("rl_core.cli.listing.list_components", click.Command("list", callback=lambda: click.get_current_context().exit(1)))
    assert CliRunner().invoke(cli, ["list"]).exit_code == 1


def test_without_a_command_it_shows_its_help() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 0
    for name, (_, text) in COMMANDS.items():
        assert name in result.stdout
        assert text.split()[0] in result.stdout


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert CliRunner().invoke(cli, ["--version"]).stdout == f"rl-core, version {version('rl-core')}\n"


def test_a_reader_that_goes_away_is_no_error(site: Any) -> None:
    site.add_good()
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([sys.executable, "-m", "rl_core", "list"], stdout=writing, stderr=subprocess.PIPE, env=site.environment)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert err.decode() in ("", "6 components from 2 packages\n")  # as the pipe breaks with the first line or at the end
    assert process.returncode == 1


def test_it_works_without_standard_output_and_error(site: Any) -> None:
    for stream, other in ((">&-", "2>&1"), ("2>&-", "")):
        ended = subprocess.run(
            f'"{sys.executable}" -m rl_core list {other} {stream}',
            shell=True,
            capture_output=True,
            text=True,
            env=site.environment,
            check=False,
        )
        assert ended.returncode == 0
        assert "error" not in ended.stdout + ended.stderr


def test_a_broken_pipe_to_another_process_is_not_taken_for_a_reader_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    command = click.Command("list", callback=lambda: (_ for _ in ()).throw(BrokenPipeError(32, "Broken pipe")))
    monkeypatch.setattr("rl_core.cli.listing.list_components", command)
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 1
    assert "error: a process that this one was connected to has ended" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full to stand for a full disk")  # noqa: PTH110
def test_a_full_disk_under_standard_output_is_said(site: Any) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "rl_core", "list", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=site.environment,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: OSError: [Errno 28] No space left on device\nhint: ")
    assert "Exception ignored" not in ended.stderr


def test_output_that_cannot_hold_a_letter_gets_its_escape_and_no_exception(site: Any) -> None:
    site.add_good()
    path = site.folder / "good" / "_plugin.py"
    path.write_text(path.read_text().replace("Guesses at random", "\u03c0 guesses"), encoding="utf-8")
    ended = site.run("list", PYTHONIOENCODING="cp1252")
    assert ended.status == 0
    assert "\\u03c0 guesses" in ended.out


INSTALLED = (entry.name for entry in Catalogue.discover().entries())
KNOWN = {*INSTALLED, "gym", "-h", "--help", "--json", "--version", "--traceback", *COMMANDS}
WORDS = st.text(max_size=30) | st.text("abcdefgp-:/_.v1 \n\t\0\u00e9\u2028\ud800", max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    word=WORDS,
    shape=st.sampled_from(["", "show", "list --fits", "show --kind agent", "show --kind", "--disable", "list", "list --kind", "run"]),
)
def test_whatever_is_typed_in_place_of_a_name_ends_in_words(word: str, shape: str) -> None:
    if word.strip("-") == "" or word in KNOWN or word.partition(":")[0].rpartition("/")[2] == "gym" or "--help".startswith(word):
        word += "?"
    arguments = [*shape.split(), word]
    if shape == "--disable":
        arguments.append("list")
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2, (arguments, result.output)
    assert result.stdout == ""
    lines = result.stderr.split("\n")
    assert len(lines) == 3
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    assert "Traceback" not in result.stderr
