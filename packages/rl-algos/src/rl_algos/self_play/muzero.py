"""MuZero: the search of AlphaZero in a model that is learned for the sake of the search alone.

Source: J. Schrittwieser and others, "Mastering Atari, Go, chess and shogi by planning with a learned model", 2020.
Departures: all stored steps are drawn alike, without priorities; of what Reanalyze (appendix H) renews, `reanalyse` renews the values in
the targets of stored steps alone, by the network and without searches; the rule of selection has one width instead of one that grows with
the logarithm of the visits; an action never tried counts as its state's value; a stretch that a time limit cuts is worth what the network
says of its last observation; a game is learned from in all symmetries of its board, as in AlphaGo Zero.
Letters: B batch, N environments, A actions, K unrolled steps, L numbers of a state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.functional import log_softmax

from dl_nets.fast.bridge import why_torch
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, write
from dl_nets.learning.optimisers import Optimiser
from rl_algos.games.task import SelfPlayEnvs
from rl_algos.parts.exported import exportable_judgement
from rl_algos.self_play.alphazero import TURNS
from rl_algos.self_play.histories import GOES_ON, TERMINATED, TRUNCATED, Histories, Stretches, seen_in_symmetry
from rl_algos.self_play.latent_model import Bins, LatentModel
from rl_algos.self_play.latent_search import grown_in, is_plain
from rl_algos.tree_search.forest import Leaves, grown, masked_priors, noisy, root_values, visit_shares
from rl_algos.tree_search.tree import Search, Tree
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.task import ControlTask


@configclass
class MuZeroConfig:
    """Settings of MuZero."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 16
    num_simulations: Annotated[Count, Doc("simulations before each action")] = 25
    width: Annotated[NonNegative, Doc("c, weight of the prior in the selection rule; values are scaled to [0, 1]")] = 1.25
    noise_alpha: Annotated[Positive, Doc("of the Dirichlet noise on the priors of the root")] = 0.25
    noise_weight: Annotated[Fraction, Doc("epsilon, share of that noise")] = 0.25
    discount: Annotated[Fraction, Doc("gamma; games are played with turns in its place")] = 0.997
    state_size: Annotated[Count, Doc("L, numbers of the model's state")] = 16
    hidden: Annotated[tuple[Count, ...], Doc("units of the hidden layers of dynamics and prediction")] = (64,)
    max_squeezed: Annotated[Count, Doc("largest bin of rewards and values after their scaling; 20 holds values up to 420")] = 20
    num_unrolled: Annotated[Count, Doc("K, steps that the model is unrolled while learning")] = 5
    num_steps: Annotated[Count, Doc("n, rewards in a target before the search's value takes over")] = 25
    steps_per_iteration: Annotated[Count, Doc("steps of each environment in one iteration")] = 16
    reuse: Annotated[Positive, Doc("how often each step is learned from, on average")] = 8.0
    reanalyse: Annotated[bool, Doc("whether the newest network renews the values of stored steps before each iteration")] = False
    buffer_size: Annotated[Count, Doc("steps that are kept, of all environments")] = 100_000
    batch_size: Annotated[Count, Doc("B, stretches in a gradient step")] = 128
    learning_rate: Annotated[Positive, Doc("of Adam; falls to a tenth by the end of the budget")] = 5e-3
    weight_decay: Annotated[NonNegative, Doc("weight of the squared parameters")] = 1e-4
    value_weight: Annotated[NonNegative, Doc("of the value's loss")] = 0.5


class Losses(NamedTuple):
    """Losses of one update, before it."""

    policy_loss: float
    value_loss: float
    reward_loss: float


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of distributions [B, S] and logits [B, S], with weights [B].

    >>> cross_entropy(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, 0.0]))  # ln 2 / 2
    tensor(0.3466)
    """
    return -(weight * (target * log_softmax(logits, dim=1)).sum(dim=1)).mean()


class LearnedGame:
    """A model for searches: states of the learned model in place of boards.

    Args:
        agent: Whose model predicts.
        state: States of the roots [G, L].
        num_nodes: Most nodes of a tree.
    """

    def __init__(self, agent: MuZero, state: Tensor, num_nodes: int) -> None:
        self.agent = agent
        self.states = state.new_zeros(len(state), num_nodes, state.shape[1])
        self.states[:, 0] = state
        self.trees = torch.arange(len(state))
        self.goes_on = np.zeros(len(state), dtype=np.bool_)
        self.allowed = np.ones((len(state), agent.num_actions), dtype=np.bool_)

    def expand(self, node: np.ndarray, action: np.ndarray, place: np.ndarray) -> Leaves:
        """Return predicted rewards, values and priors after actions [G] at nodes [G]; nothing ends in a learned model."""
        with torch.no_grad():
            step = self.agent.module.act(self.states[self.trees, torch.from_numpy(node)], torch.from_numpy(action))
        self.states[self.trees, torch.from_numpy(place)] = step.state
        bins = self.agent.bins
        reward, value = (bins.number(part.cpu().numpy().astype(np.float64)) for part in (step.reward, step.value))
        return Leaves(reward, self.goes_on, value, masked_priors(step.policy.cpu().numpy().astype(np.float64), self.allowed))


class MuZero(Agent):
    """An agent that searches in a model of its own making."""

    Config: ClassVar[type] = MuZeroConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("module", "optimiser", "histories", "envs", "obs")
    config: MuZeroConfig
    task: ControlTask
    network: Network

    def setup(self) -> None:
        """Build the model, the histories and the environments."""
        config, task, seeds = self.config, self.task, self.seeds
        assert isinstance(task.output_space, spaces.Discrete)
        self.num_actions, self.first_action = int(task.output_space.n), int(task.output_space.start)
        self.bins = Bins(config.max_squeezed)
        self.rules: Any = getattr(task, "rules", None)  # of a game of two players
        self.discount = config.discount if self.rules is None else TURNS
        self.envs: Any = task.envs(config.num_envs, seeds) if self.rules is None else SelfPlayEnvs(self.rules, config.num_envs, seeds)
        self.obs = self.envs.reset().astype(np.float32)
        self.torch_device = resolve_device(self.device)
        rng = seeds.numpy("initialisation")
        model = LatentModel(self.network, task.input_space, self.num_actions, config.state_size, config.hidden, self.bins, rng)
        self.module = model.to(self.torch_device)
        reason = why_torch(model.representation, model.dynamics, model.prediction)
        self.path = f"torch: {reason}" if reason else "fast: compiled layers"
        self.optimiser = Optimiser("adam", model.parameters(), learning_rate=config.learning_rate, weight_decay=config.weight_decay)
        kept = max(config.buffer_size // config.num_envs, config.num_unrolled + config.num_steps + 1)
        self.histories = Histories(config.num_envs, kept, self.obs, self.num_actions)
        self.rng, self.draws = seeds.numpy("search"), seeds.numpy("stretches")

    def step(self) -> dict[str, float]:
        """Take some steps in every environment, and learn from stretches of what was stored."""
        config, losses = self.config, []
        done = self.progress / max(self.budget, 1)
        self.optimiser.learning_rate = config.learning_rate * (1.0 - 0.9 * min(done, 1.0))
        for _ in range(config.steps_per_iteration):
            self.act(1.0 if done < 0.5 else 0.5 if done < 0.75 else 0.25)
        if config.reanalyse:
            self.histories.renew(self.values)
        for _ in range(round(config.steps_per_iteration * config.num_envs * config.reuse / config.batch_size)):
            if self.histories.num_ready(config.num_unrolled, config.num_steps):
                losses.append(self.update())
        metrics = dict(zip(Losses._fields, np.mean(losses, axis=0).tolist(), strict=True)) if losses else {}
        return metrics | self.envs.episode_metrics()

    def act(self, temperature: float) -> None:
        """Search and act in every environment, by shares of visits to the power of 1 / temperature, and store what happened."""
        forest = self.search(self.obs, self.allowed(self.obs), self.rng, noise=True)
        shares = visit_shares(forest)
        weights = shares ** (1.0 / temperature)
        action = (weights.cumsum(axis=1) > self.rng.random((len(shares), 1)) * weights.sum(axis=1, keepdims=True)).argmax(axis=1)
        after = self.envs.step(self.first_action + action)
        end = np.where(after.terminated, TERMINATED, np.where(after.truncated, TRUNCATED, GOES_ON))
        beyond = np.zeros(len(action), dtype=np.float32)
        cut = np.flatnonzero(end == TRUNCATED)
        if len(cut):
            beyond[cut] = self.values(after.final_obs[cut])
        self.histories.add(
            obs=self.obs, action=action, reward=after.reward, end=end, value=root_values(forest), beyond=beyond, shares=shares
        )
        self.obs = after.obs.astype(np.float32)
        self.progress += len(action)

    def allowed(self, obs: np.ndarray) -> np.ndarray:
        """Return which actions are allowed at observations [B, ...], bool [B, A]: all, but for those that a game's rules forbid."""
        return np.ones((len(obs), self.num_actions), dtype=np.bool_) if self.rules is None else self.rules.legal(self.rules.boards(obs))

    def search(self, obs: np.ndarray, allowed: np.ndarray, rng: np.random.Generator, *, noise: bool = False) -> Tree:
        """Return one tree for each of some observations [G, ...], from whose root only the allowed actions [G, A] are taken."""
        config = self.config
        with torch.no_grad():
            root = self.module.represent(self.tensor(obs))
        priors = masked_priors(root.policy.cpu().numpy().astype(np.float64), allowed)
        if noise:
            priors = noisy(priors, config.noise_alpha, config.noise_weight, rng)
        settings = Search(config.num_simulations, config.width, config.num_simulations, self.discount, best=False, merge=False)
        value = self.bins.number(root.value.cpu().numpy().astype(np.float64))
        if is_plain(self.module):
            return grown_in(self.module, root.state.numpy(), value, priors, settings, rng)
        return grown(LearnedGame(self, root.state, config.num_simulations + 1), value, priors, settings, rng)

    def values(self, obs: np.ndarray) -> np.ndarray:
        """Return what the network holds observations [B, ...] to be worth [B]."""
        with torch.no_grad():
            return self.bins.number(self.module.represent(self.tensor(obs)).value.cpu().numpy().astype(np.float64))

    def update(self) -> Losses:
        """Take one gradient step on drawn stretches: the sum of the losses of K + 1 steps, of which the K unrolled ones weigh 1 / K."""
        config = self.config
        stretches = self.histories.sample(self.draws, config.batch_size, config.num_unrolled, config.num_steps, self.discount)
        if self.rules is not None:
            stretches = seen_in_symmetry(self.rules, stretches, self.draws)
        policy_loss, value_loss, reward_loss = self.losses(stretches)
        self.optimiser.zero_grad()
        torch.autograd.backward(policy_loss + config.value_weight * value_loss + reward_loss)
        self.optimiser.step(max_norm=10.0)
        return Losses(policy_loss.item(), value_loss.item(), reward_loss.item())

    def losses(self, stretches: Stretches) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses of policy, value and reward, scalars."""
        data: Any = Stretches(*map(self.tensor, stretches))  # type: ignore[arg-type]
        bins, unrolled = self.bins, self.config.num_unrolled
        step = self.module.represent(data.obs)
        policy_loss = cross_entropy(step.policy, data.shares[:, 0], data.has_policy[:, 0])
        value_loss = cross_entropy(step.value, bins.distribution(data.value[:, 0]), data.has_value[:, 0])
        reward_loss = policy_loss.new_zeros(())
        for k in range(unrolled):
            state = 0.5 * step.state + 0.5 * step.state.detach()  # halves the gradient (appendix G)
            step = self.module.act(state, data.action[:, k])
            known = data.has_value[:, k]  # of the state that the action was taken in
            policy_loss = policy_loss + cross_entropy(step.policy, data.shares[:, k + 1], data.has_policy[:, k + 1]) / unrolled
            value = bins.distribution(data.value[:, k + 1])
            value_loss = value_loss + cross_entropy(step.value, value, data.has_value[:, k + 1]) / unrolled
            reward_loss = reward_loss + cross_entropy(step.reward, bins.distribution(data.reward[:, k]), known) / unrolled
        return policy_loss, value_loss, reward_loss

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the actions that searches without noise visit most [B], at observations [B, ...]."""
        obs = np.asarray(inputs, dtype=np.float32)
        forest = self.search(obs, self.allowed(obs), np.random.Generator(np.random.PCG64(0)))
        return self.first_action + visit_shares(forest).argmax(axis=1)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the model's device."""
        return torch.from_numpy(np.asarray(array, dtype=np.float32 if array.dtype.kind == "f" else array.dtype)).to(self.torch_device)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write what the network says before any search, in one of `export_formats`; see `dl_nets.learning.export`."""

        def judge(observations: Tensor) -> tuple[Tensor, Tensor]:
            root = self.module.represent(observations)
            return root.policy, self.bins.traced_number(root.value)

        return write(exportable_judgement(judge, self.module, self.task.input_space), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.module.named_parameters()}
