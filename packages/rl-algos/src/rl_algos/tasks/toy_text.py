"""Gymnasium's toy-text problems with their tables.

*Source*: Gymnasium, `gymnasium.envs.toy_text`; the tables are read from the environments themselves.

*Departures*: CliffWalking, on which Gymnasium sets no time limit, is cut at 1,000 steps, so that a policy that walks in circles
can be scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np

from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.config import Doc, Fraction, Meta, configclass

UNLIMITED = 1_000  # steps, where Gymnasium has no limit
LEFT, DOWN, RIGHT, UP = (0, -1), (1, 0), (0, 1), (-1, 0)


@configclass
class ToyTextConfig:
    """Which problem, and how it is made."""

    id: Annotated[str, Doc("id in Gymnasium's registry, of an environment that has a table P")] = "FrozenLake-v1"
    discount: Annotated[Fraction, Doc("gamma")] = 0.99
    max_steps: Annotated[int, Meta(ge=-1), Doc("steps after which an episode is cut; 0 for no limit, -1 for Gymnasium's own")] = -1
    target: Annotated[float | None, Doc("mean return that counts as solved, any number")] = None
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
        table = getattr(env.unwrapped, "P", None)
        if table is None:
            raise ValueError(f"{config.id!r} has no table P of outcomes; play it as gym:{config.id} instead")
        mdp = MDP.from_table(table, discount=config.discount, start=np.asarray(env.unwrapped.initial_state_distrib))
        limit = env.spec.max_episode_steps or UNLIMITED
        super().__init__(config, mdp, max_steps=limit if config.max_steps < 0 else config.max_steps, layout=_layout(env.unwrapped, mdp))
        self.target = config.target
        env.close()


def _layout(env: Any, mdp: MDP) -> Layout:
    states = np.arange(mdp.num_states)
    if hasattr(env, "_cliff"):
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
