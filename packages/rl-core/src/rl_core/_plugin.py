"""Components of the host itself, registered as those of any plugin."""

from __future__ import annotations

from collections.abc import Iterable

from rl_core.api import LoggerSpec, TaskSchemeSpec, hookimpl

RL_API = 2


@hookimpl
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Any Gymnasium environment."""
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


@hookimpl
def rl_loggers() -> Iterable[LoggerSpec]:
    """TensorBoard event files."""
    yield LoggerSpec(
        name="tensorboard",
        target="rl_core.runs.loggers.tensorboard:TensorBoardLogger",
        summary="TensorBoard event files in the run's folder",
        requires=("tensorboardX",),
        extra="rl-core[tensorboard]",
    )
