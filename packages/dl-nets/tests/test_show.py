"""`rl-core show NETWORK` prints the layers, with shapes and parameters."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rl_core.cli.cli import cli


def test_the_table_has_every_layer_and_every_parameter() -> None:
    layers = json.loads(CliRunner().invoke(cli, ["show", "simple-cnn", "--json"]).stdout)["layers"]
    assert [row["kind"] for row in layers] == ["UnitScale", "Conv2d", "ReLU", "MaxPool2d", "Linear", "ReLU", "Linear"]
    assert sum(row["parameters"] for row in layers) == 320 + 288 * 128 + 128 + 1290
    assert layers[3]["shape"] == "[B, 32, 3, 3]"


def test_a_task_that_does_not_fit_is_refused_in_words() -> None:
    done = CliRunner().invoke(cli, ["show", "lstm", "--task", "reverse"], standalone_mode=False)
    assert "transformer-seq2seq answers with any number of tokens" in str(done.exception)


def test_an_agent_has_no_table() -> None:
    done = CliRunner().invoke(cli, ["show", "supervised", "--json"])
    assert "layers" not in json.loads(done.stdout)


@pytest.mark.parametrize("name", ["bilstm-crf", "pointer-generator"])
def test_a_network_that_uses_a_layer_more_than_once_is_shown(name: str) -> None:
    shown = CliRunner().invoke(cli, ["show", name])
    assert shown.exit_code == 0, shown.output
    assert "Layers on " in shown.output
