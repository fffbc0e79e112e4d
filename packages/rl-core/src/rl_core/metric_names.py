"""The names of training metrics: one vocabulary, so that `compare` finds a common metric of any two agents on one task.

Names are lower case words joined by `_`: `episode_return`, `episode_length`, `episodes`, `reward` (the mean of a bandit's pulls), `loss`,
`policy_loss`, `value_loss`, `entropy`, `kl`, `learning_rate`, `exploration_rate`, `updates`, `validation_loss`, and `validation_<metric>`
for a task's metric. An agent adds names of its own beside them.
"""

from __future__ import annotations

import re

SYNONYMS = {
    "return": "episode_return",
    "mean_return": "episode_return",
    "ep_return": "episode_return",
    "ep_rew_mean": "episode_return",
    "episode_reward": "episode_return",
    "length": "episode_length",
    "mean_length": "episode_length",
    "ep_len_mean": "episode_length",
    "mean_reward": "reward",
    "lr": "learning_rate",
    "step_size": "learning_rate",
    "epsilon": "exploration_rate",
    "training_loss": "loss",
    "train_loss": "loss",
    "val_loss": "validation_loss",
    "valid_loss": "validation_loss",
    "kl_divergence": "kl",
}
"""Other names of metrics of the vocabulary, with the name to use."""


def common(name: str) -> str:
    """Return the name that a training metric has in the vocabulary.

    >>> common("mean return"), common("val_loss"), common("clip_fraction")
    ('episode_return', 'validation_loss', 'clip_fraction')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return SYNONYMS.get(plain, plain)
