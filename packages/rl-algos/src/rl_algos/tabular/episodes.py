"""Whole episodes, as Monte Carlo methods learn from them.

*Letters*: T steps of an episode.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined
from rl_algos.tabular.learner import Sample
from rl_core.config import Doc, Meta, configclass


@configclass
class Episodes:
    """Settings of agents that learn from whole episodes."""

    max_episode_steps: Annotated[
        int, Meta(ge=1, le=10_000_000), Doc("T, steps after which an episode is learned from although it continues")
    ] = 10_000


class Episode(NamedTuple):
    """The episode being played; empty between two iterations, so that it is not saved.

    Attributes:
        pairs: States and actions [T, 2].
        rewards: [T].
        chances: Probability of the action when it was taken [T]; of use off policy.
        length: Steps so far [1].
    """

    pairs: np.ndarray
    rewards: np.ndarray
    chances: np.ndarray
    length: np.ndarray


def new_episode(max_episode_steps: int) -> Episode:
    """Return an empty episode with room for so many steps."""
    return Episode(
        np.empty((max_episode_steps, 2), dtype=np.int64),
        np.empty(max_episode_steps),
        np.empty(max_episode_steps),
        np.zeros(1, dtype=np.int64),
    )


@inlined
def play_episode(episode: Episode, sample: Sample) -> bool:
    """Add a transition to the episode; return whether the episode is to be learned from: it is over, or as long as allowed."""
    index = episode.length[0]
    episode.pairs[index, 0], episode.pairs[index, 1], episode.rewards[index] = sample.state, sample.action, sample.reward
    episode.length[0] = index + 1
    return sample.over or index + 1 == len(episode.rewards)
