"""Gymnasium's toy-text problems, and any other environment that shows its table of outcomes: `mdp:<id>`.

*Source*: Gymnasium, `gymnasium.envs.toy_text`; the tables are read from the environments themselves.

*Departures*: CliffWalking, on which Gymnasium sets no time limit, is cut at 1,000 steps, so that a policy that walks in circles
can be scored. An environment without the attribute `initial_state_distrib` starts as 1,000 of its resets do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Doc, Fraction, Meta, configclass
from rl_core.gym_interface import action_names

UNLIMITED = 1_000  # steps, where Gymnasium has no limit
PROBES = 1_000
TARGETS: dict[tuple[str, tuple[tuple[str, Any], ...]], float] = {
    ("CliffWalking-v1", ()): -13.0,
    ("CliffWalkingSlippery-v1", ()): -70.0,
    ("FrozenLake-v1", ()): 0.7,
    ("FrozenLake-v1", (("is_slippery", False),)): 1.0,
    ("FrozenLake8x8-v1", ()): 0.85,
    ("FrozenLake8x8-v1", (("is_slippery", False),)): 1.0,
    ("Taxi-v4", ()): 7.7,
}
"""Mean return that counts as solved, by id and options; no target belongs to any other environment."""
LEFT, DOWN, RIGHT, UP = (0, -1), (1, 0), (0, 1), (-1, 0)


@configclass
class ToyTextConfig:
    """Settings of a toy-text problem."""

    id: Annotated[str, Doc("id in Gymnasium's registry, of an environment that has a table P")] = "FrozenLake-v1"
    discount: Annotated[Fraction, Doc("gamma")] = 0.99
    max_steps: Annotated[int, Meta(ge=-1), Doc("steps after which an episode is cut; 0 for no limit, -1 for Gymnasium's own")] = -1
    target: Annotated[float | None, Doc("mean return that counts as solved, any number; null takes the known one of id and options")] = None
    options: Annotated[Mapping[str, Any], Doc("keyword arguments of gymnasium.make, such as is_slippery")] = field(default_factory=dict)


class ToyText(MDPTask):
    """A Gymnasium environment that has a table `P`.

    Raises:
        ValueError: if Gymnasium does not know the id, or the environment has no table.
    """

    Config: ClassVar[type] = ToyTextConfig

    def __init__(self, config: ToyTextConfig) -> None:
        try:
            env = gymnasium.make(config.id, disable_env_checker=True, **config.options)
        except (gymnasium.error.Error, TypeError, ImportError) as error:
            known = sorted(name for name, spec in gymnasium.registry.items() if ".toy_text." in str(spec.entry_point))
            raise ValueError(f"Gymnasium cannot make {config.id!r}: {error}. Its toy-text ids are {', '.join(known)}") from error
        plain: Any = env.unwrapped
        if not hasattr(plain, "P"):
            raise ValueError(f"{config.id!r} has no table P of outcomes; play it as gym:{config.id} instead")
        start = np.asarray(plain.initial_state_distrib) if hasattr(plain, "initial_state_distrib") else _starts(env, len(plain.P))
        try:
            mdp = MDP.from_table(plain.P, discount=config.discount, start=start)
        except ValueError as error:
            raise ValueError(f"the table P of {config.id!r} cannot be used: {error}") from error
        for role, space, count in (("states", env.observation_space, mdp.num_states), ("actions", env.action_space, mdp.num_actions)):
            if not isinstance(space, spaces.Discrete) or (space.start, space.n) != (0, count):
                raise ValueError(f"the table P of {config.id!r} has {count} {role}, but the environment's space is {space}")
        limit = int((env.spec.max_episode_steps if env.spec else None) or UNLIMITED)
        super().__init__(config, mdp, max_steps=limit if config.max_steps < 0 else config.max_steps, layout=_layout(env.unwrapped, mdp))
        self.class_names = self.class_names or action_names(config.id, env.action_space)
        self.target = _target(config.id, config.options) if config.target is None else config.target
        env.close()


def _target(id: str, options: Mapping[str, Any]) -> float | None:
    """Return the mean return that counts as solved, where one is known for the environment with these options."""
    if any(not isinstance(value, bool | int | float | str) for value in options.values()):
        return None
    return TARGETS.get((id, tuple(sorted(options.items()))))


def _starts(env: gymnasium.Env, num_states: int) -> np.ndarray:
    """Return how often each state [S] is the first one of an episode, over `PROBES` seeded resets."""
    counts = np.zeros(num_states)
    for seed in range(PROBES):
        counts[int(env.reset(seed=seed)[0])] += 1.0
    return counts / PROBES


def _layout(env: Any, mdp: MDP) -> Layout:
    states = np.arange(mdp.num_states)
    if hasattr(env, "_cliff"):  # the grid of CliffWalking, which has no public name
        rows = ["".join("X" if cliff else "." for cliff in row) for row in env._cliff]
        rows[-1] = "S" + rows[-1][1:-1] + "G"
        return Layout(rows, np.stack(np.divmod(states, len(rows[0])), axis=1), arrows=(UP, RIGHT, DOWN, LEFT))
    if hasattr(env, "locs") and hasattr(env, "decode"):
        decoded = np.array([list(env.decode(state)) for state in states])
        names = ["R", "G", "Y", "B", "taxi"]
        captions = [f"passenger at {names[where]}, wants to {names[to]}" for where, to in decoded[:, 2:]]
        return Layout(["....."] * 5, decoded[:, :2], arrows=(DOWN, UP, RIGHT, LEFT, (0, 0), (0, 0)), caption=captions)
    if hasattr(env, "desc"):
        rows = ["".join(letter.decode() for letter in row).replace("F", ".") for row in env.desc]
        return Layout(rows, np.stack(np.divmod(states, len(rows[0])), axis=1), arrows=(LEFT, DOWN, RIGHT, UP))
    return Layout.strip(mdp.num_states)
