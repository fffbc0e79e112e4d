from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import pytest

import dl_nets._plugin as plugin
from rl_core.api import Spec

SPECS = [*plugin.rl_agents(), *plugin.rl_networks(), *plugin.rl_tasks(), *plugin.rl_task_schemes()]


def test_describing_the_components_imports_nothing_heavy() -> None:
    program = "import sys, dl_nets._plugin; print(sorted({'torch', 'numpy', 'sklearn', 'gymnasium'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_spec_names_a_class_and_fields_that_are_there(spec: Spec) -> None:
    module, _, name = spec.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    fields = {field.name for field in dataclasses.fields(target.Config)}
    assert {*spec.config, *getattr(spec, "tiny", {})} <= fields
    assert len(spec.summary) <= 80


def test_every_name_is_there_once_for_each_kind() -> None:
    names = [(type(spec).__name__, spec.name) for spec in SPECS]
    assert len(names) == len(set(names))
