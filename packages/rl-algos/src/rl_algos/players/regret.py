"""Regret matching and fictitious play: two learners whose average strategies approach an equilibrium of a zero-sum game.

Source: S. Hart, A. Mas-Colell, "A simple adaptive procedure leading to correlated equilibrium", 2000, (2.2), in the form of unconditional
regrets; O. Tammelin, "Solving large imperfect information games using CFR+", 2014, for `plus`; G. W. Brown, "Iterative solution of
games by fictitious play", 1951. Departures: both players see expected payoffs; in fictitious play equal answers share the choice.
Letters: A actions of a player.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from rl_algos.players.matrix_game import MatrixGame, exploitability
from rl_core.agent import Agent
from rl_core.config import Count, Doc, configclass
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import Predict


@configclass
class RegretConfig:
    """Settings of learners in games in normal form."""

    rule: Annotated[Literal["regret-matching", "plus", "fictitious-play"], Doc("how a player chooses; plus forgets negative regrets")] = (
        "regret-matching"
    )
    rounds_per_step: Annotated[Count, Doc("rounds between two lines of metrics")] = 100


def matched(regret: np.ndarray) -> np.ndarray:
    """Return the strategy [A] in proportion to positive regrets [A]; the even one if there are none. (2.2)

    >>> matched(np.array([3.0, -1.0, 1.0])).tolist(), matched(np.array([-1.0, 0.0])).tolist()
    ([0.75, 0.0, 0.25], [0.5, 0.5])
    """
    positive = np.maximum(regret, 0.0)
    total = positive.sum()
    return positive / total if total > 0 else np.full(len(regret), 1.0 / len(regret))


def best_answer(payoff: np.ndarray) -> np.ndarray:
    """Return the strategy [A] of the largest payoffs [A].

    >>> best_answer(np.array([1.0, 3.0, 3.0])).tolist()
    [0.0, 0.5, 0.5]
    """
    best = payoff >= payoff.max() - 1e-12
    return best / best.sum()


class Regret(Agent):
    """The agent: both players of a game, their regrets and their average strategies."""

    Config: ClassVar[type] = RegretConfig
    headline = "nash_distance"
    state_fields = ("regrets", "sums", "payoffs")
    config: RegretConfig
    task: MatrixGame

    def setup(self) -> None:
        """Begin with a random lean, without which symmetric games begin in their equilibrium."""
        gains = self.task.payoffs
        rng = self.seeds.numpy("initialisation")
        self.gains = (gains, -gains.T)
        self.regrets: list[np.ndarray] = [rng.random((size,)) for size in gains.shape]
        self.payoffs: list[np.ndarray] = [rng.random((size,)) for size in gains.shape]  # sums of what each action would have earned
        self.sums = [np.zeros(size) for size in gains.shape]

    def step(self) -> dict[str, float]:
        """Play some rounds."""
        for _ in range(self.config.rounds_per_step):
            fictitious = self.config.rule == "fictitious-play"
            played = [best_answer(self.payoffs[i]) if fictitious else matched(self.regrets[i]) for i in range(2)]
            self.progress += 1
            for i in range(2):
                payoff = self.gains[i] @ played[1 - i]
                self.payoffs[i] = self.payoffs[i] + payoff
                regret = self.regrets[i] + payoff - played[i] @ payoff
                self.regrets[i] = np.maximum(regret, 0.0) if self.config.rule == "plus" else regret
                weight = self.progress if self.config.rule == "plus" else 1.0
                self.sums[i] = self.sums[i] + weight * played[i]
        distance = exploitability(self.task.payoffs, *self.averages())
        return {"nash_distance": distance, "value": float(self.averages()[0] @ self.task.payoffs @ self.averages()[1])}

    def averages(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the average strategies of both players; the even ones before the first round."""
        first, second = (total / total.sum() if total.sum() > 0 else np.full(len(total), 1.0 / len(total)) for total in self.sums)
        return first, second

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the row player's most frequent choice [B]."""
        return np.full(len(inputs), int(self.averages()[0].argmax()))

    def predictor(self) -> Predict:
        """Return a player that draws from the average strategy."""
        rng = np.random.Generator(np.random.PCG64(self.seeds.integer("evaluation actions")))
        average = self.averages()[0]
        return lambda inputs: rng.choice(len(average), size=len(inputs), p=average)

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the exact exploitability of the row player's average strategy, and the distance of both to an equilibrium."""
        rows, columns = self.averages()
        lost = self.task.value - float((rows @ self.task.payoffs).min())
        return {"exploitability": lost, "nash distance": exploitability(self.task.payoffs, rows, columns)}

    def draw(self, folder: Path) -> None:
        """Write both average strategies beside an equilibrium."""
        figure = new_figure(8.0, 3.6)
        for number, (name, average, exact) in enumerate(
            zip(("row player", "column player"), self.averages(), self.task.equilibrium, strict=True)
        ):
            axes = figure.add_subplot(1, 2, number + 1)
            places = np.arange(len(average))
            axes.bar(places - 0.2, average, 0.4, label="average strategy")
            axes.bar(places + 0.2, exact, 0.4, label="an equilibrium")
            axes.set_xticks(places)
            axes.set_ylim(0.0, 1.0)
            axes.set_xlabel("action")
            axes.set_ylabel("probability")
            axes.set_title(f"Strategy of the {name}")
            axes.legend(fontsize=8)
        figure.savefig(folder / "strategies.png", dpi=120)
