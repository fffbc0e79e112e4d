"""A decision tree distilled from a policy: the questions that it asks can be read.

Source: O. Bastani, Y. Pu, A. Solar-Lezama, "Verifiable reinforcement learning via policy extraction", 2018, Algorithm 1: the tree acts, the
policy says what it would have done, and the next tree learns from all of it.
Departures: examples are not weighted by the loss of a wrong action, so that any policy can be distilled, not only one with values.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rl_algos.parts.players import MaskedPlayer
from rl_core.recording import record
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict, PredictAllowed

ROUNDS = 4


class Distilled(NamedTuple):
    """A tree beside the policy that it was made from.

    Attributes:
        tree: Of scikit-learn, a classifier or a regressor.
        fidelity: Share of the actions, at observations that the tree reaches, that are the policy's; of continuous ones R^2.
        score: The tree's mean return.
        policy_score: The policy's mean return in the same episodes.
        text: The tree's questions.
    """

    tree: Any
    fidelity: float
    score: float
    policy_score: float
    text: str


def distil(task: ControlTask, predict: Predict, *, depth: int, steps: int, episodes: int, names: list[str]) -> Distilled:
    """Return the best of some trees of a depth, each learned from what the policy says about observations that the last one reached.

    Args:
        task: The environment.
        predict: The policy.
        depth: Questions on the longest way through the tree.
        steps: Observations of each round.
        episodes: Episodes that policy and trees are scored by.
        names: Name of each number of an observation.

    Raises:
        ValueError: if scikit-learn is not installed, or observations are not vectors.
    """
    try:
        trees = import_module("sklearn.tree")
    except ImportError as error:
        raise ValueError("a tree needs scikit-learn; install it with: pip install 'rl-algos[explain]', or choose other methods") from error
    space = task.output_space
    is_discrete = isinstance(space, spaces.Discrete)
    obs, actions = np.zeros((0, *task.input_space.shape)), np.zeros((0, *(space.shape or ())))
    best: tuple[float, Any] | None = None
    plays: Predict = predict
    masked = isinstance(predict, PredictAllowed)
    for number in range(ROUNDS):
        seen = record(task, plays, num_steps=steps, seeds=Seeds(number).apart("distil"))
        obs, actions = np.concatenate((obs, seen["obs"])), np.concatenate((actions, _asked(predict, seen)))
        kind = trees.DecisionTreeClassifier if is_discrete else trees.DecisionTreeRegressor
        made = kind(max_depth=depth, min_samples_leaf=5, random_state=0)
        flat = actions if actions.ndim == 1 else actions.reshape(len(actions), -1)
        made.fit(obs, flat.astype(np.int64) if is_discrete else flat)
        plays = _player(made, space, masked)
        score = task.evaluate(plays, episodes=episodes, seeds=Seeds(0))["mean return"]
        if best is None or score > best[0]:
            best = score, made
    assert best is not None
    plays = _player(best[1], space, masked)
    reached = record(task, plays, num_steps=steps, seeds=Seeds(ROUNDS).apart("distil"))
    own, wanted = (_asked(each, reached).reshape(len(reached["obs"]), -1).astype(np.float64) for each in (plays, predict))
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum()
    fidelity = (own == wanted).all(axis=1).mean() if is_discrete else 1.0 - ((own - wanted) ** 2).sum() / max(spread, 1e-12)
    policy_score = task.evaluate(predict, episodes=episodes, seeds=Seeds(0))["mean return"]
    return Distilled(best[1], float(fidelity), float(best[0]), float(policy_score), trees.export_text(best[1], feature_names=names))


def _asked(predict: Predict, seen: dict[str, np.ndarray]) -> np.ndarray:
    """Return what a player answers to recorded observations, each with the actions that were allowed there."""
    if isinstance(predict, PredictAllowed) and "legal" in seen:
        predict.allow(seen["legal"])
    return np.asarray(predict(seen["obs"]))


def _player(tree: Any, space: Any, masked: bool) -> Predict:
    """Return a tree as a player; a masked one takes the most probable of the allowed actions."""

    def play(obs: np.ndarray, /) -> np.ndarray:
        answers = np.asarray(tree.predict(obs)).reshape(len(obs), *(space.shape or ()))
        return answers.astype(space.dtype)

    def play_allowed(obs: np.ndarray, state: np.ndarray, legal: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if legal is None:
            return play(obs), state
        chance = np.full((len(obs), int(space.n)), 0.0)
        chance[:, tree.classes_ - int(space.start)] = tree.predict_proba(obs)
        return int(space.start) + np.where(legal, chance, -1.0).argmax(axis=1), state

    return MaskedPlayer(play_allowed, 0) if masked and isinstance(space, spaces.Discrete) else play
