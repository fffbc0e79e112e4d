"""All packages in one environment: what is listed, and how fast."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from rl_core.cli.cli import cli
from rl_core.plugins.catalogue import Catalogue

HEAVY = ("torch", "torchvision", "numpy", "numba", "scipy", "gymnasium", "matplotlib", "sklearn", "transformers")
PLUGINS = {"rl-core", "dl-nets", "rl-algos", "nlp-embeddings", "cv-models"}


def seconds(*command: str, byte_code: Path) -> float:
    """Wall time of a whole process that finds byte code in this folder, and writes there what is missing."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**environment, "PYTHONPYCACHEPREFIX": str(byte_code)})
    return time.perf_counter() - start


def test_every_package_brings_components_through_the_same_door() -> None:
    listed = json.loads(
        subprocess.run([sys.executable, "-m", "rl_core", "list", "--json"], check=True, capture_output=True, text=True).stdout
    )
    assert listed["broken"] == []
    assert {component["package"] for component in listed["components"]} >= PLUGINS
    assert {(component["kind"], component["name"]) for component in listed["components"]} >= {
        ("agent", "ppo"),
        ("agent", "supervised"),
        ("agent", "tf-idf"),
        ("network", "mlp"),
        ("network", "cnn"),
        ("network", "vit"),
    }


@pytest.mark.parametrize("arguments", [["list"], ["--help"]])
def test_nothing_heavy_is_imported_to_answer_a_question(arguments: list[str]) -> None:
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: sys.stderr.write('HEAVY ' + ' '.join(m for m in {HEAVY!r} if m in sys.modules)))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from rl_core.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    heavy = done.stderr.rpartition("HEAVY ")[2].split()
    assert heavy == []


def test_what_show_tells_without_libraries_is_what_it_tells_with_them() -> None:
    program = (
        "import sys\n"
        "from rl_core.plugins.catalogue import Catalogue\n"
        "from rl_core.plugins.placeholders import config_fields\n"
        "entries = [each for each in Catalogue.discover().entries() if not each.missing and each.kind != 'logger']\n"
        "told = [config_fields(each) for each in entries]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "print([each.name for each, fields in zip(entries, told) if fields != config_fields(each, whole=True)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["['numpy', 'gymnasium']", "[]"]


def test_listing_takes_at_most_1_8_times_the_import_of_what_it_is_built_on(tmp_path: Path) -> None:
    base, listing = [sys.executable, "-c", "import click, pluggy"], [sys.executable, "-m", "rl_core", "list"]
    for command in (base, listing):
        seconds(*command, byte_code=tmp_path)  # compiled once
    pairs = [(seconds(*base, byte_code=tmp_path), seconds(*listing, byte_code=tmp_path)) for _ in range(10)]
    # interleaved, so that a busy machine slows both
    assert statistics.median(b for _, b in pairs) <= 1.8 * statistics.median(a for a, _ in pairs), pairs


def test_a_network_that_is_named_chooses_an_agent_that_takes_it() -> None:
    command = [sys.executable, "-m", "rl_core", "run", "transformer-seq2seq", "--task", "dates", "--dry-run"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("agent: supervised\n")  # the default agent of `dates` counts, and has no network


def test_every_component_is_shown() -> None:
    catalogue, refused = Catalogue.discover(), []
    for kind in ("agent", "network", "task", "scheme", "logger", "launcher"):
        for entry in catalogue.entries(kind):
            shown = CliRunner().invoke(cli, ["show", entry.qualified])
            refused += [f"{kind} {entry.qualified}: {shown.output}"] if shown.exit_code else []
    assert refused == []
