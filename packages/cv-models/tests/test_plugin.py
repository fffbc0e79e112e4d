from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import cv_models._plugin as plugin


def test_describing_the_components_imports_nothing_heavy() -> None:
    program = "import sys, cv_models._plugin as p; list(p.rl_networks()); print(sorted({'torch', 'numpy', 'gymnasium'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_spec_names_a_class_and_fields_that_are_there() -> None:
    for spec in plugin.rl_networks():
        module, _, name = spec.target.partition(":")
        target = getattr(importlib.import_module(module), name)
        assert {*spec.config, *spec.tiny} <= {field.name for field in dataclasses.fields(target.Config)}
        assert len(spec.summary) <= 80


def test_a_command_ends_without_a_word_of_what_torch_leaves_behind() -> None:
    command = [sys.executable, "-m", "rl_core", "show", "mask-rcnn"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "parameters" in done.stdout
    assert done.stderr == ""
