"""Animations of what an agent has learned: evaluation episodes, picture by picture, as animated WebP or GIF.

Pictures are those that the task draws, see `rl_core.task.ControlTask.picture`; of a task that does not, the course of its numbers, see
`rl_core.runs.traces`. Pillow writes the file; it is installed with matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rl_core.errors import RequestError, WorkError
from rl_core.runs import traces
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, PredictAllowed, PredictWithMemory

if TYPE_CHECKING:
    from rl_core.runs.run import Run

SUFFIXES = (".webp", ".gif")
MOST_FRAMES = 250  # of an animation; longer episodes are shown with every second, third, ... step
MOST_STEPS = 2_000  # of an episode
SIDE = 300  # pixels of the longer side
CHART_SIDE = 480  # of a chart, whose texts are read
QUALITY = 60  # of WebP, in [0, 100]


class Episode(NamedTuple):
    """An episode as it was watched.

    Attributes:
        frames: Pictures [H, W, 3], uint8, one for each step; of a long chart fewer.
        return_: Sum of its rewards.
        length: Its steps; so far, where it was cut after `MOST_STEPS`.
        side: Pixels of the longer side that it is shown with at most.
    """

    frames: list[np.ndarray]
    return_: float
    length: int
    side: int = SIDE


def watch(run: Run, episodes: int, *, seed: int | None = None, human: bool = False) -> list[Episode]:
    """Play episodes with the agent of a run, and return them with their pictures.

    Args:
        run: The run, at the checkpoint to be watched.
        episodes: How many.
        seed: Seed of the episodes; by default the run's.
        human: Whether the environment opens a window, and no pictures are kept.

    Raises:
        RequestError: if the run's task has no episodes.
    """
    task = run.task
    if not isinstance(task, ControlTask):
        raise RequestError(f"task {run.task_name} has no episodes to watch", "see the run's figures/ for what it learned")
    seeds = Seeds(run.recipe.seed if seed is None else seed, ("watching",))
    envs = task.watched_envs(seeds, human=human)
    predict = run.agent.predictor()
    found: list[Episode] = []
    try:
        obs, starts = envs.reset(), np.ones(1, dtype=np.bool_)
        frames: list[np.ndarray] = []
        seen: list[tuple[np.ndarray, np.ndarray, float]] = []  # observation, action and reward of each step that was not drawn
        return_, length = 0.0, 0
        while len(found) < episodes:
            if not human:
                picture = task.picture(envs)
                if picture is not None:
                    frames.append(picture)
            if isinstance(predict, PredictWithMemory):
                predict.begin(starts)
            if isinstance(predict, PredictAllowed) and "legal" in task.extras:
                predict.allow(envs.extras()["legal"])
            actions = np.asarray(predict(obs))
            after = envs.step(actions)
            seen.append((obs[0], actions[0], float(after.reward[0])))
            obs, starts = after.obs, after.terminated | after.truncated
            return_, length = return_ + float(after.reward[0]), length + 1
            if starts[0] or length >= MOST_STEPS:
                if frames or human:
                    found.append(Episode(frames, return_, length))
                else:
                    columns = [np.stack(column) for column in zip(*seen, strict=True)]
                    found.append(Episode(traces.frames(task, run.task_name or "", *columns), return_, length, CHART_SIDE))
                frames, seen, return_, length = [], [], 0.0, 0
                if not starts[0]:
                    obs, starts = envs.restart(), np.ones(1, dtype=np.bool_)
    finally:
        envs.close()
    return found


def keep(episodes: list[Episode], path: Path, run: Run) -> None:
    """Write episodes of a run as an animation with its task's pictures in a second.

    Raises:
        WorkError: if the file cannot be written.
    """
    assert isinstance(run.task, ControlTask)  # others have no episodes
    try:
        write(episodes, path, run.task.frames_per_second)
    except OSError as error:
        raise WorkError(f"{str(path)!r} cannot be written: {error.strerror or error}", "give another --out") from error


def write(episodes: list[Episode], path: Path, frames_per_second: float) -> None:
    """Write episodes, one after the other, as an animation; its kind is that of the file's suffix.

    Raises:
        RequestError: if the suffix is neither .webp nor .gif.
    """
    from PIL import Image

    if path.suffix.lower() not in SUFFIXES:
        raise RequestError(f"{str(path)!r} does not end in .webp or .gif", "write for example: --out episode.webp")
    frames = [frame for episode in episodes for frame in episode.frames]
    stride = -(-len(frames) // MOST_FRAMES)
    kept = frames[::stride]
    height, width = kept[0].shape[:2]
    scale = min(episodes[0].side / max(height, width), 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST) for frame in kept]
    duration = max(20, round(1000 * stride / frames_per_second))
    while duration > 80 and stride > 1:  # a long episode is shown faster rather than in jerks
        duration //= 2
    options = {"quality": QUALITY, "method": 4} if path.suffix.lower() == ".webp" else {"optimize": True}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0, **options)
