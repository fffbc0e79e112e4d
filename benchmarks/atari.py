"""Atari's Pong: agents on pixels beside stable-baselines3's CnnPolicy, and what 1,000,000 of its frames cost to keep, draw and save.

    python benchmarks/atari.py              # two pairs and both storages, some fifteen minutes; writes atari.md
    python benchmarks/atari.py --pairs 1
    python benchmarks/atari.py --only speed # or: --only memory; the other half of the table stays as it is
    python benchmarks/atari.py --only speed --rows "ppo, shared_body"      # the other rows stay as they are

Agents have the settings of their presets for `ALE:*` but for how much they do before they learn, and both sides see ALE/Pong-v5 as the
task `ALE/Pong-v5` gives it, on one thread; see `pairs`. Our actor and critic are two networks by default, stable-baselines3's share
their layers but for the last, as ours do with `shared_body`: with `normalize_images` theirs divide bytes by 255, as ours do.

Memory: frames of random play, 2,000 of them over and over, go through `ReplayBuffer.add` until it holds 1,000,000; then 200 batches of
32 are drawn, and it is saved twice, with 4,000 steps between. Resident is what the process has in memory, in pages of its own or of the
buffer's file, before anything is saved.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import ale_py
import numpy as np
import pairs
import stable_baselines3
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

from rl_algos.replay.buffer import ReplayBuffer, ReplaySettings
from rl_algos.tasks.atari import Atari, AtariConfig
from rl_core.envs import Transition
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import checkpoint
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds

TABLE = Path(__file__).with_suffix(".md")
ROWS, POOL = 1_000_000, 2_000
STEPS = {"dqn": 2_000, "ppo": 2_048, "a2c": 2_000}
WARM_UP = 1_000  # steps of dqn before it learns
THEIRS = {
    "dqn": {"learning_rate": 1e-4, "batch_size": 32, "buffer_size": 10_000, "learning_starts": WARM_UP, "train_freq": 4,
            "target_update_interval": 1_000},
    "ppo": {"learning_rate": 2.5e-4, "n_steps": 128, "batch_size": 256, "n_epochs": 4, "clip_range": 0.1, "ent_coef": 0.01},
    "a2c": {"ent_coef": 0.01, "vf_coef": 0.25},
}  # fmt: skip
WAYS = ("dqn", "ppo", "ppo, shared_body", "a2c", "a2c, shared_body")
NUM_ENVS = {"dqn": 1, "ppo": 8, "a2c": 16}


def our_way(way: str) -> pairs.Way:
    """Our agent with its preset."""
    name, _, shared = way.partition(", ")
    overrides = [f"{shared}=true"] if shared else []
    overrides += [f"learning_starts={WARM_UP}", "buffer_size=10000"] if name == "dqn" else []
    made = resolve(Catalogue.discover(), name, task="ALE/Pong-v5", overrides=overrides, device="cpu")

    def set_up(seed: int) -> Callable[[], int]:
        return pairs.learning(made.build_agent(Seeds(seed)), STEPS[name])

    return set_up


def their_way(name: str) -> pairs.Way:
    """The agent of stable-baselines3 with the same settings."""

    def set_up(seed: int) -> Callable[[], int]:
        task = Atari(AtariConfig())
        envs = VecTransposeImage(DummyVecEnv([task._make] * NUM_ENVS[name]))
        kind = {"dqn": stable_baselines3.DQN, "ppo": stable_baselines3.PPO, "a2c": stable_baselines3.A2C}[name]
        model = kind("CnnPolicy", envs, seed=seed, device="cpu", **THEIRS[name])

        def work() -> int:
            model.learn(STEPS[name])
            return int(model.num_timesteps)

        return work

    return set_up


def speed_lines(num_pairs: int, chosen: list[str], old: str) -> list[str]:
    """The table of steps per second; rows that are not chosen are those of the old table."""
    known = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    rows = []
    for way in WAYS:
        if way not in chosen:
            rows += [known[way]] if way in known else []
            continue
        asked = 1.2 if way == "ppo, shared_body" else None
        rows.append(pairs.row(way, pairs.paired(our_way(way), their_way(way.partition(",")[0]), num_pairs), asked))
        print(rows[-1], flush=True)
    return ["## Steps per second", "", *pairs.HEAD, *rows, ""]


def transitions(num_steps: int) -> Iterator[tuple[np.ndarray, np.ndarray, Transition]]:
    """Random play: what `add` takes, `POOL` steps over and over; at the seam an episode is cut, so that no stack reaches over it."""
    envs, rng = Atari(AtariConfig()).envs(1, Seeds(0)), np.random.default_rng(0)
    obs, pool = envs.reset(), []
    for step in range(min(POOL, num_steps)):
        action = rng.integers(0, 6, 1)
        after = envs.step(action)
        if step == POOL - 1:
            after = after._replace(truncated=np.array([True]))
        pool.append((obs, action, after))
        obs = after.obs
    for step in range(num_steps):
        yield pool[step % len(pool)]


def memory_row(storage: str) -> str:
    """Fill a buffer, draw from it, save it twice: a line of the table. Run in a process of its own."""
    task = Atari(AtariConfig())
    buffer = ReplayBuffer(ReplaySettings(ROWS, stack_axis=2, storage=storage), task.input_space, task.output_space)
    start, rng = time.perf_counter(), np.random.default_rng(1)
    for obs, action, after in transitions(ROWS):
        buffer.add(obs, action, after)
    filled = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    resident, own = (int(re.search(rf"{key}:\s+(\d+)", status).group(1)) * 1024 / 1e9 for key in ("VmRSS", "RssAnon"))
    start = time.perf_counter()
    for _ in range(200):
        buffer.sample(rng, 32)
    drawn = 200 / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        first = saved(Path(folder), 1, buffer, None)
        for obs, action, after in transitions(4_000):
            buffer.add(obs, action, after)
        second = saved(Path(folder), 2, buffer, Path(folder) / "1")
    rows = int(buffer.bounds()[1][0] - buffer.bounds()[0][0])
    cells = [storage, f"{rows:,}", f"{buffer.nbytes / 1e9:.2f}", f"{resident:.2f}", f"{own:.2f}", f"{filled:.0f}", f"{drawn:,.0f}"]
    return "| " + " | ".join([*cells, *first, *second]) + " |"


def saved(folder: Path, number: int, buffer: ReplayBuffer, previous: Path | None) -> list[str]:
    """Write a checkpoint; the gigabytes of files that are its own, and seconds."""
    start = time.perf_counter()
    path = checkpoint.save(folder, number, buffer.state_dict(), previous=previous)
    seconds = time.perf_counter() - start
    new = [file.stat().st_size for file in path.rglob("*") if file.is_file() and file.stat().st_nlink == 1]
    return [f"{sum(new) / 1e9:.3f}", f"{seconds:.1f}"]


def memory_lines() -> list[str]:
    """The table of storages, each in a process of its own."""
    rows = []
    for storage in ("memory", "disk"):
        command = [sys.executable, __file__, "--storage", storage]
        rows.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        print(rows[-1], flush=True)
    head = "storage | rows | arrays, GB | resident, GB | of them its own pages | filled in s | batches of 32 a second | first save, GB | s"
    return [
        "## 1,000,000 frames in the replay buffer",
        "",
        f"| {head} | next save, GB written anew | s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "stable-baselines3's buffer would take 28.2 GB with `optimize_memory_usage`, 56.4 GB without.",
        "",
    ]


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--only", choices=("speed", "memory"))
    parser.add_argument("--rows", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--storage", choices=("memory", "disk"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.storage:
        print(memory_row(options.storage))
        return
    old = re.split(r"(?m)^(?=## )", TABLE.read_text()) if TABLE.exists() else [""]
    parts = {part.split()[1]: part for part in old[1:]}
    if options.only != "memory":
        parts["Steps"] = "\n".join(speed_lines(options.pairs, options.rows, parts.get("Steps", ""))) + "\n"
    if options.only != "speed":
        parts["1,000,000"] = "\n".join(memory_lines()) + "\n"
    versions = f"numpy {np.__version__}, torch {torch.__version__.split('+')[0]}, stable-baselines3 {stable_baselines3.__version__}"
    head = [
        "# Atari's Pong on a CPU",
        "",
        "Written by `benchmarks/atari.py`, which says how it is measured.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}, ale-py {ale_py.__version__}.",
        "",
    ]
    TABLE.write_text("\n".join(head) + "\n" + "".join(parts[name] for name in ("Steps", "1,000,000") if name in parts).rstrip() + "\n")


if __name__ == "__main__":
    main()
