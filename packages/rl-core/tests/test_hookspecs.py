"""A hook that is not documented does not exist for a plugin's author."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from rl_core.plugins import hookspecs

README = Path(__file__).parents[1] / "README.md"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("rl_"))


def test_the_hooks_are_those_of_the_contract() -> None:
    assert HOOKS == [
        "rl_agents",
        "rl_checkpoint_saved",
        "rl_launchers",
        "rl_loggers",
        "rl_metrics",
        "rl_networks",
        "rl_run_finished",
        "rl_run_started",
        "rl_task_schemes",
        "rl_tasks",
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_docstring_and_a_line_in_the_readme_with_its_arguments(name: str) -> None:
    hook = getattr(hookspecs, name)
    assert hook.__doc__
    arguments = ", ".join(inspect.signature(hook).parameters)
    assert f"`{name}({arguments})`" in README.read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 100
