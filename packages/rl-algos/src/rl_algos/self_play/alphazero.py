"""AlphaZero: a network learns from games against itself, in which a search that the network guides chooses every move.

Source: D. Silver and others, "A general reinforcement learning algorithm that masters chess, shogi and Go through self-play", 2018,
and its supplement.
Departures: positions are learned from in all symmetries of the game, as in AlphaGo Zero (D. Silver and others, "Mastering the game of Go
without human knowledge", 2017); the rule of selection has one width instead of one that grows with the logarithm of the visits; a move
never tried counts as its position's value; one network gives both the moves and the value, by tanh of its last output. As an option
(`search_share`) a position is worth a mean of its game's result and of the value of its search, which is less noisy.
Letters: B batch, G games, C cells, A actions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from dl_nets.fast.bridge import why_torch
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, write
from dl_nets.learning.optimisers import Optimiser
from rl_algos.games.known_game import KnownGame
from rl_algos.games.rules import Rules
from rl_algos.parts.exported import exportable_judgement
from rl_algos.self_play.positions import Positions
from rl_algos.tree_search.forest import grown, masked_priors, noisy, root_values, visit_shares
from rl_algos.tree_search.tree import Search, Tree
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, Whole, configclass
from rl_core.network import Network

TURNS = -1.0  # discount: what follows is good for the other player


@configclass
class AlphaZeroConfig:
    """Settings of AlphaZero."""

    num_games: Annotated[Count, Doc("G, games played together")] = 64
    num_simulations: Annotated[Count, Doc("simulations before each move")] = 40
    width: Annotated[NonNegative, Doc("c, weight of the prior in the selection rule; values are scaled to [0, 1]")] = 1.25
    noise_alpha: Annotated[Positive, Doc("of the Dirichlet noise on the priors of the root; some 10 / number of moves")] = 1.0
    noise_weight: Annotated[Fraction, Doc("epsilon, share of that noise")] = 0.25
    random_moves: Annotated[Whole, Doc("moves at the start of a game that are drawn by their visits; later ones are the most visited")] = 4
    search_share: Annotated[Fraction, Doc("weight of the search's value in what a position is worth; the rest is the game's result")] = 0.0
    moves_per_step: Annotated[Count, Doc("moves of each game between two rounds of updates")] = 8
    reuse: Annotated[Positive, Doc("how often each new position is learned from, on average")] = 4.0
    buffer_size: Annotated[Count, Doc("positions that are kept, the newest ones")] = 20_000
    batch_size: Annotated[Count, Doc("B, positions in a gradient step")] = 256
    learning_rate: Annotated[Positive, Doc("of Adam")] = 2e-3
    weight_decay: Annotated[NonNegative, Doc("c, weight of the squared parameters")] = 1e-4


def alphazero_loss(outputs: Tensor, allowed: Tensor, shares: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
    """Return the policy's and the value's loss, scalars: -pi^T ln p and (z - v)^2, means over a batch.

    Args:
        outputs: Logits of moves, and a number whose tanh is the value [B, A + 1].
        allowed: Which moves are allowed [B, A].
        shares: pi, shares of the visits [B, A].
        result: z, in [-1, 1] [B].

    >>> outputs = torch.tensor([[0.0, 0.0, 9.0, 0.0]])
    >>> allowed, shares = torch.tensor([[True, True, False]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> alphazero_loss(outputs, allowed, shares, torch.tensor([1.0]))  # ln 2, and (1 - tanh 0)^2
    (tensor(0.6931), tensor(1.))
    """
    log_p = outputs[:, :-1].masked_fill(~allowed, -torch.inf).log_softmax(dim=1).masked_fill(~allowed, 0.0)
    return -(shares * log_p).sum(dim=1).mean(), (result - outputs[:, -1].tanh()).square().mean()


class AlphaZero(Agent):
    """An agent that plays both sides of a game whose rules are known."""

    Config: ClassVar[type] = AlphaZeroConfig
    headline = "policy_loss"
    export_formats = FORMATS
    state_fields = ("module", "optimiser", "positions")
    config: AlphaZeroConfig
    task: Any  # a game: it has `rules`
    network: Network

    def setup(self) -> None:
        """Build the network, the positions and the games."""
        config = self.config
        self.rules: Rules = self.task.rules
        self.torch_device = resolve_device(self.device)
        outputs = spaces.Box(-np.inf, np.inf, (self.rules.num_actions + 1,), np.float32)
        self.module = self.network.build(self.task.input_space, outputs, self.seeds.numpy("initialisation")).to(self.torch_device).eval()
        reason = why_torch(self.module)
        self.path = f"torch: {reason}" if reason else "fast: compiled layers"
        self.optimiser = Optimiser("adam", self.module.parameters(), learning_rate=config.learning_rate, weight_decay=config.weight_decay)
        self.positions = Positions(config.buffer_size, config.num_games, self.rules, config.search_share)
        self.rng, self.draws = self.seeds.numpy("search"), self.seeds.numpy("positions")

    def step(self) -> dict[str, float]:
        """Play some moves in every game, then learn from the positions whose games are over."""
        config, positions = self.config, self.positions
        results: list[float] = []
        before, lengths = positions.num_added, []
        for _ in range(config.moves_per_step):
            forest = self.search(positions.boards, self.rng, noise=True)
            shares = visit_shares(forest)
            ended = positions.play(self._choose(shares), shares, root_values(forest))
            results += ended.results
            lengths += ended.lengths
            self.progress += config.num_games
        metrics = {"games": float(len(results))}
        if results:
            metrics |= {"episode_length": float(np.mean(lengths)), "drawn": float(np.mean(np.array(results) == 0))}
        updates = round((positions.num_added - before) * config.reuse / config.batch_size)
        losses = [self.update() for _ in range(updates)] if len(positions) else []
        if losses:
            metrics |= dict(zip(("policy_loss", "value_loss"), np.mean(losses, axis=0).tolist(), strict=True))
        return metrics

    def _choose(self, shares: np.ndarray) -> np.ndarray:
        """Return moves [G]: drawn by shares [G, A] at the start of a game, the largest later."""
        drawn = (shares.cumsum(axis=1) > self.rng.random((len(shares), 1))).argmax(axis=1)
        return np.where(self.positions.lengths < self.config.random_moves, drawn, shares.argmax(axis=1))

    def update(self) -> tuple[float, float]:
        """Take one gradient step; return the losses of policy and value."""
        boards, shares, result = self.positions.sample(self.draws, self.config.batch_size)
        outputs = self.module(self.tensor(self.rules.planes(boards)))
        allowed = self.tensor(self.rules.legal(boards))
        policy_loss, value_loss = alphazero_loss(outputs, allowed, self.tensor(shares), self.tensor(result))
        self.optimiser.zero_grad()
        torch.autograd.backward(policy_loss + value_loss)
        self.optimiser.step()
        return policy_loss.item(), value_loss.item()

    def judge(self, boards: np.ndarray, over: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return values [G] and priors [G, A] of boards [G, C]; of a game that is over they have no meaning."""
        with torch.no_grad():
            outputs = self.module(self.tensor(self.rules.planes(boards))).cpu().numpy().astype(np.float64)
        allowed = self.rules.legal(boards)
        return np.tanh(outputs[:, -1]), masked_priors(outputs[:, :-1], allowed if over is None else allowed | over[:, None])

    def search(self, boards: np.ndarray, rng: np.random.Generator, *, noise: bool = False) -> Tree:
        """Return one tree for each of some boards [G, C]."""
        config = self.config
        value, priors = self.judge(boards)
        if noise:
            priors = noisy(priors, config.noise_alpha, config.noise_weight, rng)
        settings = Search(config.num_simulations, config.width, self.rules.num_cells, TURNS, best=False, merge=False)
        model = KnownGame(self.rules, boards, config.num_simulations + 1, self.judge)
        return grown(model, value, priors, settings, rng, bounds=(-1.0, 1.0))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the moves that searches without noise visit most [B], on boards as pictures [B, rows, columns, 2]."""
        boards = self.rules.boards(inputs)
        return visit_shares(self.search(boards, np.random.Generator(np.random.PCG64(0)))).argmax(axis=1)

    def values(self, inputs: np.ndarray) -> np.ndarray:
        """Return the value that a search gives to boards as pictures [B, rows, columns, 2], for the player to move [B]."""
        return root_values(self.search(self.rules.boards(inputs), np.random.Generator(np.random.PCG64(0))))

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the network's device."""
        return torch.from_numpy(array).to(self.torch_device)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write what the network says before any search, in one of `export_formats`; see `dl_nets.learning.export`."""

        def judge(observations: Tensor) -> tuple[Tensor, Tensor]:
            outputs = self.module(observations)
            return outputs[:, :-1], outputs[:, -1].tanh()

        return write(exportable_judgement(judge, self.module, self.task.input_space), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.module.named_parameters()}
