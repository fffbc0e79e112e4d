"""The task of each scheme's example, held to the contract of tasks; the conformance kit itself only builds it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import dl_nets._plugin as plugin
from rl_core.conformance import data_checks, task_checks
from rl_core.conformance.subjects import TaskSubject
from rl_core.plugins.catalogue import Catalogue
from rl_core.task import Task

SCHEMES = {spec.name: spec for spec in plugin.rl_task_schemes()}
CHECKS = [
    *data_checks.DATA,
    task_checks.says_how_it_is_judged,
    task_checks.scores_repeatably,
    task_checks.reads_what_is_typed,
    task_checks.returns_from_its_state,
]


class _Example(TaskSubject):
    """The task of a scheme's example."""

    def __init__(self, name: str, path: Path) -> None:
        catalogue = Catalogue.discover()
        super().__init__(catalogue, "task", name, "dl-nets", catalogue.find(f"{name}:{path}", "task"))
        self._path = path

    def fresh(self) -> Task:
        from rl_core.runs import recipe

        return recipe.build_task(self.catalogue, f"{self.name}:{self._path}")


@pytest.fixture(params=sorted(name for name, spec in SCHEMES.items() if spec.make_example and name != "csv"))
def example(request: Any, tmp_path: Path) -> _Example:
    spec = SCHEMES[request.param]
    path = tmp_path / spec.example.partition(":")[2]
    module, _, function = spec.make_example.partition(":")
    getattr(import_module(module), function)(path)
    return _Example(spec.name, path)


def test_the_task_of_an_example_keeps_the_contract(example: _Example) -> None:
    for check in CHECKS:
        try:
            check(example)
        except Exception as error:
            raise AssertionError(f"{example.name}: {check.__name__}: {error}") from error
