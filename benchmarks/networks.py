"""Measure the networks of dl-nets with their presets on real and drawn data: `rl-core run` on each pair, seeds 0 to 2.

    NETWORKS_DATA=data python benchmarks/networks.py            # all rows; writes networks.json and networks.md
    NETWORKS_DATA=data python benchmarks/networks.py mlp cnn    # some rows; the others keep what was measured before
    python benchmarks/networks.py --table                       # the table, from what was measured

Seeds that networks.json holds already are not run again; delete a row there to measure it anew.
The folder holds `mnist`, the four idx files, and `text/tinyshakespeare.txt`. A score is what `rl-core run` reports on the test split,
which was not used to choose any setting; settings were chosen with seeds from 100 on, those of the long rows (below the table) by what
is known of such networks and by their speed. Every run is a process with one thread.
The Kneser-Ney model has learned from all of the text before the test part; rows of `char-lm` hold out the validation part, the last
twentieth of it, unless they set `task.validation_fraction=0`.
Processor seconds are those of the whole process, imports and evaluation included: other load on the machine changes them less than it
changes wall time.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("NETWORKS_DATA", "data"))
MNIST = f"mnist:{DATA / 'mnist'}"
SHAKESPEARE = f"char-lm:{DATA / 'text' / 'tinyshakespeare.txt'}"
ROWS: dict[str, tuple[str, str, int, str]] = {
    "mlp": ("mlp", MNIST, 3, ">= 0.984"),
    "cnn": ("cnn", MNIST, 3, ">= 0.993"),
    "gru": ("gru", MNIST, 3, ">= 0.985"),
    "lstm": ("lstm", MNIST, 3, ">= 0.985"),
    "bidirectional-gru": ("bidirectional-gru", MNIST, 3, ">= 0.985"),
    "bidirectional-lstm": ("bidirectional-lstm", MNIST, 3, ">= 0.985"),
    "char-lm": ("transformer-decoder", SHAKESPEARE, 1, "<= 1.88; a Kneser-Ney model of 6 characters has 1.523"),
    "char-lm-lstm": ("lstm", SHAKESPEARE, 1, "the same"),
    "char-lm-long": ("transformer-decoder", SHAKESPEARE, 1, "< 1.523"),
    "char-lm-lstm-long": ("lstm", SHAKESPEARE, 1, "< 1.523"),
    "digit-pairs": ("graph", "digit-pairs", 3, "none published"),
    "copy-gru": ("gru", "copy-memory", 3, ">= 0.99"),
    "copy-lstm": ("lstm", "copy-memory", 3, ">= 0.99"),
    "copy-rnn": ("rnn", "copy-memory", 3, "not solved"),
    "adding-gru": ("gru", "adding-problem", 3, "<= 0.01"),
    "adding-lstm": ("lstm", "adding-problem", 3, "<= 0.01"),
    "adding-rnn": ("rnn", "adding-problem", 3, "not solved; the constant 1 has 0.167"),
    "reverse": ("transformer-seq2seq", "reverse", 3, ">= 0.99"),
}
"""Name of a row: network, task, number of seeds, target."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "char-lm-long": (
        "epochs=12",
        "batch_size=12",
        "learning_rate=0.0015",
        "precision=bfloat16",
        "task.length=256",
        "task.validation_fraction=0",
        "network.width=256",
        "network.dropout=0.1",
    ),
    "char-lm-lstm-long": (
        "epochs=11",
        "batch_size=20",
        "schedule=warm-up-cosine",
        "weight_decay=0.01",
        "task.length=256",
        "task.validation_fraction=0",
        "network.layers=2",
        "network.units=320",
        "network.embedding=64",
        "network.dropout=0.2",
    ),
}
"""Settings of a row that differ from the preset's."""


def run(network: str, task: str, seed: int, settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return score, metric and processor seconds of one run."""
    before = processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rl_core", "run", network, "--task", task, "--seed", str(seed), "--device", "cpu"]
        command += [word for setting in settings for word in ("--set", setting)]
        done = subprocess.run([*command, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        seconds = processor_seconds() - before
        result = json.loads(done.stdout)
    return {"score": result["score"], "metric": result["metric"], "seconds": seconds}


def processor_seconds() -> float:
    """Return the processor seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(measured: dict[str, list[dict[str, Any]]]) -> str:
    """Return the rows that were measured as Markdown."""
    lines = ["| network | task | metric | seeds | mean | smallest to largest | target | processor seconds of a run |", "|" + "---|" * 8]
    for name, (network, task, _, target) in ROWS.items():
        if name in measured:
            scores = [each["score"] for each in measured[name]]
            seconds = statistics.mean(each["seconds"] for each in measured[name])
            shown = task.partition(":")[0] if ":" in task else task
            span = f"{min(scores):.4f} to {max(scores):.4f}"
            metric = measured[name][0]["metric"]
            mean = statistics.mean(scores)
            named = f"`{network}`, long" if name in SETTINGS else f"`{network}`"
            lines.append(f"| {named} | `{shown}` | {metric} | {len(scores)} | {mean:.4f} | {span} | {target} | {seconds:.0f} |")
    for name in filter(measured.__contains__, SETTINGS):
        words = [f"rl-core run {ROWS[name][0]} --task char-lm:tinyshakespeare.txt", *(f"--set {setting}" for setting in SETTINGS[name])]
        lines += ["", f"The long row of `{ROWS[name][0]}`:", "", "```sh", *wrapped(words), "```"]
    return "\n".join(lines)


def wrapped(words: list[str]) -> list[str]:
    """Return a command's parts as lines of at most 120 characters, each of which but the last goes on."""
    lines = words[:1]
    for word in words[1:]:
        lines = [*lines, f"  {word}"] if len(lines[-1]) + len(word) > 117 else [*lines[:-1], f"{lines[-1]} {word}"]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def main() -> None:
    """Run the missing seeds of the rows that were named, or of all, and write both files after each run."""
    here = Path(__file__).parent
    store = here / "networks.json"
    measured: dict[str, list[dict[str, Any]]] = json.loads(store.read_text()) if store.exists() else {}
    for name in [] if sys.argv[1:] == ["--table"] else sys.argv[1:] or ROWS:
        network, task, seeds, _ = ROWS[name]
        runs = measured.setdefault(name, [])
        for seed in range(len(runs), seeds):
            runs.append(run(network, task, seed, SETTINGS.get(name, ())))
            print(name, seed, runs[-1], flush=True)
            store.write_text(json.dumps(measured, indent=1) + "\n")
            write(here, measured)
    write(here, measured)


def write(here: Path, measured: dict[str, list[dict[str, Any]]]) -> None:
    """Write the page."""
    text = (__doc__ or "").strip()
    where = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, torch {version('torch')}"
    (here / "networks.md").write_text(f"# Networks with their presets\n\n{text}\n\nMeasured on {where}.\n\n{table(measured)}\n")


if __name__ == "__main__":
    main()
