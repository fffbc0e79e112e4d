"""Comparisons of two pieces of behaviour, by a synthetic judge or from a file, and the reward model that explains them.

P(first preferred) = sigmoid(sum_t r(s_t, a_t) of the first - sum_t r(s_t, a_t) of the second).

Source: R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", 1952; P. Christiano and others, "Deep reinforcement
learning from human preferences", 2017, section 2.2.
Departures: in `preference_reward`. Letters: C comparisons, T steps of a piece, F numbers of a step.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn


class RewardModel(nn.Module):
    """An ensemble of perceptrons from a step [F] to its reward, each trained on comparisons of its own draw.

    Args:
        num_features: F.
        hidden: Units of each of two hidden layers.
        members: How many.
        rng: Source of the parameters.
    """

    def __init__(self, num_features: int, hidden: int, members: int, rng: np.random.Generator) -> None:
        super().__init__()
        sizes = [(num_features, hidden), (hidden, hidden), (hidden, 1)]
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.from_numpy((rng.standard_normal((members, i, o)) / np.sqrt(i)).astype(np.float32))) for i, o in sizes]
        )
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(members, 1, o)) for _, o in sizes])

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """Return rewards [members, B] of steps [members, B, F]."""
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            steps = torch.baddbmm(bias, steps, weight)
            if index + 1 < len(self.weights):
                steps = torch.tanh(steps)
        return steps.squeeze(2)

    @torch.no_grad()
    def reward(self, steps: np.ndarray) -> np.ndarray:
        """Return the members' mean reward [B] of steps [B, F]."""
        members = len(self.weights[0])
        given = torch.from_numpy(np.ascontiguousarray(steps, dtype=np.float32)).expand(members, *steps.shape)
        mean: np.ndarray = self(given).mean(dim=0).numpy()
        return mean


def preference_loss(first: torch.Tensor, second: torch.Tensor, preferred: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log-likelihood of comparisons, a scalar.

    Args:
        first: Sums of rewards of the first pieces [..., C].
        second: And of the second [..., C].
        preferred: Probability that the first one is preferred: 1, 0, or 1/2 for equals [..., C].

    Equal sums say nothing, ln 2; a lead of ln 3 makes the first three times as likely:

    >>> preference_loss(torch.tensor([0.0]), torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    >>> preference_loss(torch.tensor([1.0986]), torch.tensor([0.0]), torch.tensor([1.0])).exp()  # 4 / 3
    tensor(1.3333)
    """
    return nn.functional.binary_cross_entropy_with_logits(first - second, preferred)


def judged(first: np.ndarray, second: np.ndarray, rationality: float, rng: np.random.Generator) -> np.ndarray:
    """Return what a synthetic judge prefers [C], from true returns of both pieces [C]: 1 the first, 0 the second, 1/2 neither.

    Args:
        first: True returns [C].
        second: And of the second pieces [C].
        rationality: beta of the judge, who prefers the first with probability sigmoid(beta (first - second)); infinite for no mistakes.
        rng: Source of its mistakes.

    >>> judged(np.array([3.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0]), np.inf, np.random.default_rng(0)).tolist()
    [1.0, 0.0, 0.5]
    """
    lead = first - second
    if np.isinf(rationality):
        return np.where(lead > 0, 1.0, np.where(lead < 0, 0.0, 0.5))
    return (rng.random(len(lead)) < 1.0 / (1.0 + np.exp(-rationality * lead))).astype(np.float64)


def read_comparisons(path: Path, num_features: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return first pieces, second pieces, each [T, F], and preferences [C], from a file of JSON lines.

    A line is {"first": [[...], ...], "second": [[...], ...], "preferred": 1}: the numbers of each step, an observation followed by the
    action (one number for each discrete action, 1 for the one taken), and 1, 0 or 0.5.

    Raises:
        ValueError: naming the file and the line that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    firsts, seconds, preferred = [], [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            first, second = (np.array(row[name], dtype=np.float32) for name in ("first", "second"))
            choice = float(row["preferred"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'line {number} of {path} is not a comparison ({error}); expected {{"first": [[...]], "second": [[...]], "preferred": 1}}'
            ) from error
        if first.ndim != 2 or second.ndim != 2 or first.shape[1] != num_features or second.shape[1] != num_features:
            raise ValueError(
                f"line {number} of {path} has pieces of shapes {list(first.shape)} and {list(second.shape)}; expected steps of "
                f"{num_features} numbers"
            )
        if not 0 <= choice <= 1:
            raise ValueError(
                f"line {number} of {path} has preferred {choice:g}; expected 1 for the first, 0 for the second, 0.5 for neither"
            )
        firsts.append(first)
        seconds.append(second)
        preferred.append(choice)
    if not firsts:
        raise ValueError(f"{path} has no comparisons; expected one a line")
    return firsts, seconds, np.array(preferred)
