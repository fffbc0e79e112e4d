"""Components of the host itself, registered as those of any plugin."""

from __future__ import annotations

from collections.abc import Iterable

from rl_core.api import LauncherSpec, LoggerSpec, TaskSchemeSpec, hookimpl

RL_API = 2

_OFFLINE_AGENTS = ("iql", "behaviour-cloning")


@hookimpl
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Any Gymnasium environment, and files of transitions."""
    yield TaskSchemeSpec(
        name="gym",
        target="rl_core.gym_task:GymTask",
        summary="Any Gymnasium environment, by its id",
        reference="Towers et al., Gymnasium: a standard interface for reinforcement learning environments, 2024",
        argument="id",
        example="gym:CartPole-v1",
        traits=("control",),
        agents=("ppo", "dqn", "q-learning"),
        tags=("control", "gymnasium"),
    )
    yield TaskSchemeSpec(
        name="offline",
        target="rl_core.recorded_files:OfflineFile",
        summary="Transitions in a file, as rl-core collect writes it",
        argument="path",
        example="offline:expert.npz",
        make_example="rl_core.recorded_files:write_example",
        traits=("offline",),
        agents=_OFFLINE_AGENTS,
        tags=("offline", "transitions"),
    )
    yield TaskSchemeSpec(
        name="minari",
        target="rl_core.recorded_files:MinariTask",
        summary="Transitions of a data set of Minari",
        reference="Younis and others. Minari, 2024",
        argument="id",
        example="minari:D4RL/door/human-v2",
        traits=("offline",),
        agents=_OFFLINE_AGENTS,
        requires=("minari",),
        extra="rl-core[minari]",
        tags=("offline", "transitions"),
    )


@hookimpl
def rl_loggers() -> Iterable[LoggerSpec]:
    """Yield the ways to write metrics beside `metrics.jsonl`."""
    yield LoggerSpec(
        name="csv-table",
        target="rl_core.runs.loggers.csv_table:CsvLogger",
        summary="A table metrics.csv in the run's folder, written while it learns",
    )
    yield LoggerSpec(
        name="wandb",
        target="rl_core.runs.loggers.wandb:WandbLogger",
        summary="Weights & Biases, offline unless WANDB_MODE=online",
        requires=("wandb",),
        extra="rl-core[wandb]",
    )
    yield LoggerSpec(
        name="tensorboard",
        target="rl_core.runs.loggers.tensorboard:TensorBoardLogger",
        summary="TensorBoard event files in the run's folder",
        requires=("tensorboardX",),
        extra="rl-core[tensorboard]",
    )


@hookimpl
def rl_launchers() -> Iterable[LauncherSpec]:
    """Yield the ways to start the workers of a sweep."""
    yield LauncherSpec(name="local", target="rl_core.launchers.local:LocalLauncher", summary="Processes of this machine")
    yield LauncherSpec(name="slurm", target="rl_core.launchers.slurm:SlurmLauncher", summary="An array of Slurm jobs, by sbatch")
    yield LauncherSpec(
        name="ray",
        target="rl_core.launchers.ray:RayLauncher",
        summary="Tasks of a Ray cluster",
        requires=("ray",),
        extra="rl-core[ray]",
    )
    yield LauncherSpec(
        name="dask",
        target="rl_core.launchers.dask:DaskLauncher",
        summary="Tasks of a Dask cluster",
        requires=("distributed",),
        extra="rl-core[dask]",
    )
