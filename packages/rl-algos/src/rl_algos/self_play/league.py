"""A league: PPO that plays a board game against its earlier selves, of which some are kept and rated by Elo from games of every pair.

Source: J. Schulman and others, "Proximal policy optimization algorithms", 2017, for the learner; T. Bansal, J. Pachocki, S. Sidor,
I. Sutskever, I. Mordatch, "Emergent complexity via multi-agent competition", 2018, section 3.2, for opponents drawn from earlier selves;
A. Elo, "The rating of chessplayers", 1978, fitted to all games as in D. Hunter, "MM algorithms for generalized Bradley-Terry models",
2004, (3). Departures: one opponent a rollout; a draw counts half a win to each; the newest self is drawn more often.
Letters: B boards, M members, A actions, P parameters.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from rl_algos.games.opponents import Opponent
from rl_algos.games.rules import Rules
from rl_algos.games.task import GameEnvs
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.parts.masks import masked
from rl_core.config import Count, Doc, Fraction, Meta, configclass
from rl_core.figure import new_figure


@configclass
class LeagueConfig(PPOConfig):
    """Settings of a league, in addition to `PPOConfig`."""

    members: Annotated[
        int, Meta(ge=1, le=100), Doc("M, earlier selves that are kept by the end, evenly over the budget, after the first")
    ] = 10
    newest_share: Annotated[Fraction, Doc("probability that a rollout is against the newest member; else any of them")] = 0.5
    games_per_pair: Annotated[Count, Doc("games of a new member against each other one, half of them as the first player")] = 100


def elo_ratings(points: np.ndarray, prior: float = 0.5) -> np.ndarray:
    """Return Elo ratings [M] that explain points best; the first member is at 0.

    P(i beats j) = 1 / (1 + 10^((R_j - R_i) / 400)), and R_i = 400 log10(g_i) with g_i = W_i / sum_j n_ij / (g_i + g_j), repeated. (3)

    Args:
        points: Points of the row against the column [M, M]: 1 for a win, 1/2 for a draw.
        prior: Points that are added to both sides of every pair that has met, so that no rating is infinite.

    Three of four points are 400 log10(3) = 190.8 more:

    >>> elo_ratings(np.array([[0.0, 1.0], [3.0, 0.0]]), prior=0.0).round(1).tolist()
    [0.0, 190.8]
    """
    met = (points + points.T) > 0
    counted = np.where(met, points + prior, 0.0)
    games, strength = counted + counted.T, np.ones(len(points))
    for _ in range(2_000):
        weight = (games / (strength[:, None] + strength[None])).sum(axis=1)
        strength = np.where(weight > 0, counted.sum(axis=1) / np.where(weight > 0, weight, 1.0), strength)
        strength /= strength[0]
    ratings: np.ndarray = 400.0 * np.log10(strength)
    return ratings


def points_of(rules: Rules, one: Opponent, other: Opponent, games: int, rng: np.random.Generator) -> float:
    """Return the points of one player against another in some games, half of which each of them begins.

    Args:
        rules: The game.
        one: Player whose points are counted.
        other: Its opponent.
        games: How many.
        rng: Source of both players' draws.
    """
    boards, points = rules.start(games), 0.0
    to_move, under_way = np.arange(games) % 2, np.ones(games, dtype=np.bool_)  # 0: the one whose points are counted
    while under_way.any():
        for side, player in enumerate((one, other)):
            rows = np.flatnonzero(under_way & (to_move == side))
            if not len(rows):
                continue
            moved = boards[rows]
            reward, over = rules.move(moved, player(moved, rng))
            boards[rows] = moved
            to_move[rows] = 1 - side
            under_way[rows[over]] = False
            points += float((0.5 + (0.5 if side == 0 else -0.5) * reward[over]).sum())
    return points


class League(PPO):
    """The agent: PPO, and the selves that it plays against."""

    Config: ClassVar[type] = LeagueConfig
    config: LeagueConfig
    state_fields = (*PPO.state_fields, "selves", "points", "since", "num_members")
    carries_state = False
    task: Any  # a game: it has `rules`

    def setup(self) -> None:
        """Build the learner, put it against itself, and keep its first self."""
        super().setup()
        self.rules: Rules = self.task.rules
        self.rival = copy.deepcopy(self.actor_critic.actor).requires_grad_(False)
        size, most = sum(value.numel() for value in self.rival.parameters()), self.config.members + 1
        self.selves = np.zeros((most, size), dtype=np.float32)
        self.points, self.since = np.zeros((most, most)), np.zeros(most, dtype=np.int64)
        self.num_members = 0
        self.draws, self.matches = self.seeds.numpy("league"), self.seeds.numpy("matches")
        self.join()
        self.collector.envs = GameEnvs(self.rules, self.moves_of(self.rival), self.config.num_envs, self.seeds)
        self.collector.obs = self.collector.envs.reset()

    def moves_of(self, actor: Any) -> Opponent:
        """Return a player that draws its moves from an actor's policy."""

        def choose(boards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            with torch.no_grad():
                head = actor(self.actor_critic.tensor(self.collector.inputs(self.rules.planes(boards)))).cpu().numpy()
            # The largest of logits with Gumbel noise is a draw from their softmax.
            return (masked(head, self.rules.legal(boards)) + rng.gumbel(size=head.shape)).argmax(axis=1)

        return choose

    def load(self, actor: Any, member: int) -> Any:
        """Return the actor with the parameters of a member."""
        values = torch.from_numpy(self.selves[member].copy()).to(self.actor_critic.device)
        torch.nn.utils.vector_to_parameters(values, actor.parameters())
        return actor

    def join(self) -> None:
        """Keep the learner as it is as a new member, and let it play every other one."""
        new = self.num_members
        self.selves[new] = torch.nn.utils.parameters_to_vector(self.actor_critic.actor.parameters()).detach().cpu().numpy()
        self.since[new] = self.progress
        self.num_members += 1
        one, other = self.load(copy.deepcopy(self.rival), new), copy.deepcopy(self.rival)
        for member in range(new):
            moves = self.moves_of(self.load(other, member))
            games = self.config.games_per_pair
            self.points[new, member] = points_of(self.rules, self.moves_of(one), moves, games, self.matches)
            self.points[member, new] = games - self.points[new, member]

    def ratings(self) -> np.ndarray:
        """Return the members' Elo ratings [M]; the first self, which has learned nothing, is at 0."""
        return elo_ratings(self.points[: self.num_members, : self.num_members])

    def step(self) -> dict[str, float]:
        """Run one iteration of PPO against one member; the learner joins the league at even distances of the budget."""
        newest = self.num_members - 1
        member = newest if self.draws.random() < self.config.newest_share else int(self.draws.integers(self.num_members))
        self.load(self.rival, member)
        metrics = super().step()
        if self.num_members <= self.config.members and self.progress * self.config.members >= self.num_members * self.budget:
            self.join()
            metrics["elo"] = float(self.ratings()[-1])
        return metrics | {"members": float(self.num_members)}

    def evaluate(self, **options: Any) -> dict[str, float]:
        """Return the scores against the task's opponent, and the Elo rating of the newest member."""
        return super().evaluate(**options) | {"elo": float(self.ratings()[-1])}

    def draw(self, folder: Path) -> None:
        """Write the members' ratings over the steps at which they joined, and the table of pairs."""
        super().draw(folder)
        ratings, count = self.ratings(), self.num_members
        figure = new_figure(11.0, 4.6)
        left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
        left.plot(self.since[:count], ratings, marker="o")
        left.set_title("Elo rating of each member of the league")
        left.set_xlabel("environment steps when it joined")
        left.set_ylabel("Elo, the untrained member is 0")
        left.grid(alpha=0.25)
        shares = 100.0 * self.points[:count, :count] / self.config.games_per_pair
        np.fill_diagonal(shares, np.nan)
        image = right.imshow(shares, vmin=0, vmax=100, cmap="RdYlGn")
        for row in range(count):
            for column in range(count):
                if row != column:
                    right.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7)
        right.set_title(f"Points of the row against the column, of {self.config.games_per_pair} games [%]", fontsize=10)
        right.set_xlabel("member, in the order of joining")
        right.set_ylabel("member")
        right.set_xticks(range(count))
        right.set_yticks(range(count))
        figure.colorbar(image, ax=right, shrink=0.8)
        figure.savefig(folder / "league.png", dpi=120)
