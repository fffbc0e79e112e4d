"""Measure what is forgotten when stages follow each other; written to benchmarks/continual.md.

`python benchmarks/continual.py` trains every method on seeds 0 to 4 with the settings of the preset.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

SEEDS = (0, 1, 2, 3, 4)
METHODS = ("fine-tuning", "ewc", "replay", "joint")
SCORES = ("accuracy", "accuracy of stage 1", "accuracy of stage 5", "backward transfer", "forgetting")
HEADER = """# Continual learning

Written by `benchmarks/continual.py`: the preset of `continual` on `permuted:digits`, five stages of the digits with their pixels in
another order at each, a fifth of the budget for each stage and no way back; {} seeds, one thread. Accuracies are of test images, backward
transfer and forgetting of validation images; +/- is the deviation over seeds. `joint` draws from all stages so far, which is what the
others cannot do; `replay` keeps 50 images of each stage, `ewc` none. Seconds are of the processor. {}, Python {}, torch {}.

| method | accuracy over all stages | of the first | of the last | backward transfer | forgetting | s |
|---|---:|---:|---:|---:|---:|---:|
"""


def measure(catalogue: Catalogue, method: str, seed: int) -> tuple[list[float], float]:
    """Return the scores of a run, in the order of `SCORES`, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        resolved = recipe.resolve(catalogue, agent="continual", seed=seed, config={"method": method})
        start = time.process_time()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            metrics = run.learn(quiet=True)["metrics"]
        return [metrics[name] for name in SCORES], time.process_time() - start


def main() -> None:
    """Measure all methods, and write the table."""
    torch.set_num_threads(1)
    catalogue, lines = Catalogue.discover(), []
    for method in METHODS:
        scores, seconds = zip(*(measure(catalogue, method, seed) for seed in SEEDS), strict=True)
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1)
        cells = " | ".join(f"{100 * m:.1f} +/- {100 * s:.1f} %" for m, s in zip(mean, spread, strict=True))
        lines.append(f"| {method} | {cells} | {np.mean(seconds):.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    header = HEADER.format(len(SEEDS), platform.machine(), platform.python_version(), torch.__version__)
    (Path(__file__).parent / "continual.md").write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
