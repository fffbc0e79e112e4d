"""A feudal agent: a manager points in a direction of a learned space of states, and a worker is paid for going that way, besides rewards.

Source: A. Vezhnevets and others, "FeUdal networks for hierarchical reinforcement learning", 2017, sections 3 and 4.
Departures: both levels are feed-forward where the authors' are recurrent, so that observations have to show the state; the critic of the
worker reads the state alone; an advantage is estimated with lambda. Goals are constants for the worker, and states for the manager's
transition gradient, as in the paper.
Errata: none known. Letters: T steps, N environments, F features, G numbers of a state and of a goal, K of the worker's embedding,
A actions, C steps that a goal looks ahead.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning.export import FORMATS, Exportable, example
from dl_nets.learning.optimisers import Optimiser
from dl_nets.networks.initialisation import linear
from rl_algos.hierarchy.pictures import draw_directions
from rl_algos.on_policy.rollout import advantages
from rl_algos.parts.distributions import Categorical
from rl_algos.parts.exported import action_layer, computed, zeros
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.task import ControlTask, Predict


@configclass
class FeudalConfig:
    """Settings of the feudal agent."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 16
    rollout_steps: Annotated[Count, Doc("T, steps of each environment between two updates")] = 40
    horizon: Annotated[Count, Doc("c, steps that a goal looks ahead, and of which goals are summed; less than rollout_steps")] = 10
    goal_size: Annotated[Count, Doc("G, numbers of a state and of a goal")] = 16
    embedding_size: Annotated[Count, Doc("K, numbers of a goal as the worker reads it")] = 8
    num_features: Annotated[Count, Doc("F, outputs of the network that both levels read")] = 64
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 1e-3
    manager_discount: Annotated[Fraction, Doc("gamma of the manager")] = 0.999
    discount: Annotated[Fraction, Doc("gamma of the worker")] = 0.99
    gae_lambda: Annotated[Fraction, Doc("lambda of both, 0 trusts the critics, 1 trusts the rewards")] = 0.95
    intrinsic_weight: Annotated[NonNegative, Doc("alpha, reward of a step that goes right where it was told to, unit of reward")] = 0.05
    random_goals: Annotated[Fraction, Doc("epsilon, probability that a goal is a random direction")] = 0.05
    entropy_weight: Annotated[NonNegative, Doc("reward of a nat of entropy")] = 0.01
    value_weight: Annotated[NonNegative, Doc("of the critics' losses")] = 0.5
    max_gradient_norm: Annotated[Positive, Doc("a longer gradient is shortened to it")] = 1.0

    def __post_init__(self) -> None:
        if self.horizon >= self.rollout_steps:
            raise ValueError(f"horizon is {self.horizon}; it must be less than rollout_steps, {self.rollout_steps}")


class Seen(NamedTuple):
    """Outputs at observations [...].

    Attributes:
        state: In the learned space [..., G].
        goal: A direction of length 1 [..., G].
        manager_value: V of the manager [...].
        worker: Embeddings of the actions [..., A, K].
        worker_value: V of the worker, of rewards of both kinds [...].
    """

    state: Tensor
    goal: Tensor
    manager_value: Tensor
    worker: Tensor
    worker_value: Tensor


class FeudalModule(nn.Module):
    """Features, manager and worker.

    Args:
        features: From observations to features [B, F].
        config: Sizes.
        num_actions: A.
        rng: Stream of the first weights.
    """

    def __init__(self, features: nn.Module, config: FeudalConfig, num_actions: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.features, self.num_actions = features, num_actions
        size, goal = config.num_features, config.goal_size
        layer = partial(linear, rng=rng, init="lecun-normal")
        self.state = layer(size, goal)
        self.goal = nn.Sequential(layer(goal, size), nn.Tanh(), layer(size, goal))
        self.manager_value, self.worker_value = layer(goal, 1), layer(size, 1)
        self.worker = layer(size, num_actions * config.embedding_size)
        self.embedding = layer(goal, config.embedding_size).weight  # phi, without a bias: goals cannot be left out of account

    def forward(self, obs: Tensor) -> Seen:
        """Return the outputs at observations [B, ...]."""
        features = self.features(obs).tanh()
        state = self.state(features).relu()
        goal = nn.functional.normalize(self.goal(state), dim=-1)
        worker = self.worker(features).reshape(features.shape[0], self.num_actions, -1)
        return Seen(state, goal, self.manager_value(state)[:, 0], worker, self.worker_value(features)[:, 0])

    def logits(self, worker: Tensor, pooled: Tensor) -> Tensor:
        """Return U phi(sum of goals) [B, A], from embeddings of actions [B, A, K] and sums of goals [B, G]."""
        return (worker @ nn.functional.linear(pooled, self.embedding)[..., None])[..., 0]


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine [...] of the angle between vectors [..., G]; 0 where one has no length.

    >>> cosine(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([1.0, 0.0])).tolist()
    [0.6, 0.0]
    """
    length = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    found: np.ndarray = (first * second).sum(axis=-1) / np.where(length > 1e-8, length, np.inf)
    return found


def intrinsic_reward(states: np.ndarray, after: np.ndarray, goals: np.ndarray, ages: np.ndarray) -> np.ndarray:
    """Return 1/c sum_i cos(s_t - s_{t-i}, g_{t-i}) over i = 1..c [T, N] (8), within episodes.

    Args:
        states: s at c steps before and at T steps [c + T, N, G].
        after: s of where the T steps led [T, N, G].
        goals: g of the same steps as `states` [c + T, N, G].
        ages: Steps of its episode before each of the T steps [T, N].

    The first step of an episode goes where it was told, which is one of the two goals that c = 2 asks about:

    >>> states, after = np.zeros((3, 1, 2)), np.ones((1, 1, 2))
    >>> intrinsic_reward(states, after, np.ones((3, 1, 2)), np.zeros((1, 1))).round(3).tolist()
    [[0.5]]
    """
    steps, horizon = len(ages), len(goals) - len(ages)
    total = np.zeros(ages.shape, dtype=np.float32)
    for back in range(1, horizon + 1):
        then = slice(horizon + 1 - back, horizon + 1 - back + steps)
        total += (ages + 1 >= back) * cosine(after - states[then], goals[then])
    return total / np.float32(horizon)


class FeudalPlayer:
    """The likeliest actions of a feudal agent, with the goals of the last steps of each row.

    Args:
        agent: The agent.
    """

    def __init__(self, agent: Feudal) -> None:
        self._agent = agent
        self._goals = np.zeros((agent.config.horizon, 0, agent.config.goal_size), dtype=np.float32)

    def begin(self, starts: np.ndarray) -> None:
        """Forget the goals of the rows whose episode starts [B]."""
        if self._goals.shape[1] != len(starts):
            self._goals = np.zeros((len(self._goals), len(starts), self._goals.shape[2]), dtype=np.float32)
        self._goals[:, starts] = 0.0

    @torch.no_grad()
    def __call__(self, inputs: np.ndarray, /) -> np.ndarray:
        """Return actions [B] at observations [B, ...]."""
        agent = self._agent
        obs = np.asarray(inputs)
        if self._goals.shape[1] != len(obs):
            self.begin(np.ones(len(obs), dtype=np.bool_))
        seen = agent.module(torch.from_numpy(obs))
        self._goals = np.concatenate((self._goals[1:], seen.goal.numpy()[None]))
        logits = agent.module.logits(seen.worker, torch.from_numpy(self._goals.sum(axis=0)))
        return agent.actions.to_env(agent.actions.greedy(logits.numpy()))


class Feudal(Agent):
    """The agent: advantage actor-critic at two levels on the same rollouts.

    Attributes:
        module: Features, manager and worker.
        ages: Steps of its episode that each environment has taken [N].
        states: States of the last c steps [c, N, G].
        goals: Goals of the last c steps; 0 before the episode [c, N, G].
    """

    Config: ClassVar[type] = FeudalConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = ("module", "optimiser", "envs", "obs", "ages", "states", "goals")
    learned_fields = ("module",)
    config: FeudalConfig
    task: ControlTask
    network: Any

    def setup(self) -> None:
        """Build the networks and the environments.

        Raises:
            ValueError: if actions are not `Discrete`.
        """
        config, space = self.config, self.task.output_space
        if not isinstance(space, spaces.Discrete):
            raise ValueError(f"the task takes actions of {space}; feudal gives Discrete ones; hiro sets goals for real actions")
        self.actions, rng = Categorical(space), self.seeds.numpy("initialisation")
        features = self.network.build(self.task.input_space, spaces.Box(-np.inf, np.inf, (config.num_features,), np.float32), rng)
        self.module: Any = FeudalModule(features, config, int(space.n), rng).eval()
        self.optimiser = Optimiser("adam", list(self.module.parameters()), learning_rate=config.learning_rate)
        self.noise, self.directions = self.seeds.numpy("actions"), self.seeds.numpy("goals")
        self.envs = self.task.envs(config.num_envs, self.seeds)
        self.obs = self.envs.reset()
        self.ages = np.zeros(config.num_envs, dtype=np.int64)
        self.states, self.goals = np.zeros((2, config.horizon, config.num_envs, config.goal_size), dtype=np.float32)
        self.path = "torch: two levels on one rollout"

    @torch.no_grad()
    def step(self) -> dict[str, float]:
        """Play some steps in every environment, then move both levels by one gradient step."""
        config, num_envs = self.config, self.config.num_envs
        states, goals = list(self.states), list(self.goals)
        told: list[np.ndarray] = []  # the sums of goals that the worker read
        columns: list[tuple[np.ndarray, ...]] = []
        for _ in range(config.rollout_steps):
            seen = self.module(torch.from_numpy(self.obs))
            goal, is_random = seen.goal.numpy(), self.directions.random((num_envs, 1)) < config.random_goals
            drawn = self.directions.standard_normal(goal.shape, dtype=np.float32)
            goals.append(np.where(is_random, drawn / np.linalg.norm(drawn, axis=1, keepdims=True), goal))
            states.append(seen.state.numpy())
            counted = self.ages >= np.arange(config.horizon)[::-1, None]  # goals of this episode
            told.append((np.stack(goals[-config.horizon :]) * counted[..., None]).sum(axis=0))
            logits = self.module.logits(seen.worker, torch.from_numpy(told[-1])).numpy()
            action = self.actions.sample(logits, np.zeros(0, np.float32), self.actions.noise(self.noise, num_envs))
            after = self.envs.step(self.actions.to_env(action))
            over = after.terminated | after.truncated
            columns.append((self.obs, action, after.reward, after.terminated, over, after.final_obs, self.ages))
            self.obs, self.ages = after.obs, np.where(over, 0, self.ages + 1)
        self.progress += config.rollout_steps * num_envs
        metrics = self.learn([np.stack(column) for column in zip(*columns, strict=True)], np.stack(states), np.stack(goals), np.stack(told))
        self.states, self.goals = np.stack(states[-config.horizon :]), np.stack(goals[-config.horizon :])
        return self.envs.episode_metrics() | metrics

    def learn(self, columns: list[np.ndarray], states: np.ndarray, goals: np.ndarray, told: np.ndarray) -> dict[str, float]:
        """Take a gradient step on a rollout; return metrics.

        Args:
            columns: Observations, actions, rewards, terminations, ends, observations led to, and ages [T, N, ...].
            states: Of c steps before and T steps [c + T, N, G].
            goals: Of the same steps.
            told: Sums of goals that the worker read [T, N, G].
        """
        config = self.config
        obs, action, reward, terminated, over, final_obs, ages = columns
        flat = obs.reshape(-1, *obs.shape[2:])
        last = self.module(torch.from_numpy(final_obs.reshape(flat.shape)))
        after = last.state.numpy().reshape(*reward.shape, -1)
        with torch.enable_grad():
            seen = self.module(torch.from_numpy(flat))
        bonus = intrinsic_reward(states, after, goals, ages)
        pairs = ((seen.manager_value, last.manager_value), (seen.worker_value, last.worker_value))
        values = [tuple(value.detach().numpy().reshape(reward.shape) for value in pair) for pair in pairs]
        gains = [
            advantages(paid, np.where(terminated, 0.0, discount).astype(np.float32), *value, over, config.gae_lambda)
            for paid, discount, value in (
                (reward, config.manager_discount, values[0]),
                ((reward + config.intrinsic_weight * bonus).astype(np.float32), config.discount, values[1]),
            )
        ]
        with torch.enable_grad():
            targets = [gain + value for gain, (value, _) in zip(gains, values, strict=True)]
            losses = self.losses(seen, gains, targets, action, told, self.ways(states, after, over))
            total = losses["manager_loss"] + losses["policy_loss"] + config.value_weight * losses["value_loss"]
            self.optimiser.zero_grad()
            (total - config.entropy_weight * losses["entropy"]).backward()
        self.optimiser.step(config.max_gradient_norm)
        return {name: loss.item() for name, loss in losses.items()} | {"intrinsic_reward": float(bonus.mean())}

    def ways(self, states: np.ndarray, after: np.ndarray, over: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return s_{t+c} - s_t of each step [T, N, G], and whether it is known and within an episode [T, N].

        Args:
            states: Of c steps before and T steps [c + T, N, G].
            after: Of where the T steps led [T, N, G].
            over: Whether an episode ended with the step [T, N].
        """
        horizon, steps = self.config.horizon, len(over)
        way, known = np.zeros_like(after), np.zeros(over.shape, dtype=np.bool_)
        ends = np.concatenate((np.zeros_like(over[:1], dtype=np.int64), np.cumsum(over, axis=0)))
        for step in range(steps - horizon + 1):
            arrived = step + horizon - 1
            way[step] = after[arrived] - states[horizon + step]
            known[step] = ends[arrived] == ends[step]  # no end before the last of these steps
        return way, known

    def losses(
        self,
        seen: Seen,
        gains: list[np.ndarray],
        targets: list[np.ndarray],
        action: np.ndarray,
        told: np.ndarray,
        ways: tuple[np.ndarray, np.ndarray],
    ) -> dict[str, Tensor]:
        """Return the losses of manager, worker and critics, and the worker's entropy, each a scalar.

        The manager's is -A^M cos(s_{t+c} - s_t, g_t) (7), the worker's -A^W ln pi (10); advantages are in units of their deviation.
        """
        manager, worker = (torch.from_numpy(gain.reshape(-1) / (gain.std() + 1e-8)) for gain in gains)
        manager_target, worker_target = (torch.from_numpy(target.reshape(-1)) for target in targets)
        way, known = torch.from_numpy(ways[0].reshape(len(manager), -1)), torch.from_numpy(ways[1].reshape(-1).astype(np.float32))
        agree = nn.functional.cosine_similarity(way, seen.goal, dim=1)
        log_probs = self.module.logits(seen.worker, torch.from_numpy(told.reshape(len(manager), -1))).log_softmax(dim=1)
        chosen = log_probs.gather(1, torch.from_numpy(action.reshape(-1, 1)))[:, 0]
        return {
            "manager_loss": -(known * manager * agree).sum() / known.sum().clamp(min=1.0),
            "policy_loss": -((worker - worker.mean()) * chosen).mean(),
            "value_loss": ((seen.manager_value - manager_target) ** 2).mean() + ((seen.worker_value - worker_target) ** 2).mean(),
            "entropy": -(log_probs.exp() * log_probs).sum(dim=1).mean(),
        }

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the likeliest actions [B] at observations [B, ...] with which episodes begin."""
        return FeudalPlayer(self)(inputs)

    def predictor(self) -> Predict:
        """Return a player that carries the goals."""
        return FeudalPlayer(self)

    def exported(self) -> Exportable:
        """Return both levels as a graph, whose memory is the goals of the last steps."""
        horizon, action = self.config.horizon, action_layer(self.actions)

        def step(observations: Tensor, state: Tensor) -> tuple[Tensor, ...]:
            seen = self.module(observations)
            goals = torch.cat((state.unflatten(1, (horizon, -1))[:, 1:], seen.goal[:, None]), dim=1)
            logits = self.module.logits(seen.worker, goals.sum(dim=1))
            return action(logits), logits, seen.goal, goals.flatten(1)

        words = {
            "actions": "the likeliest actions as the environment takes them",
            "outputs": "logits of the actions",
            "goals": "the manager's goal, a direction of length 1",
            "next_state": "the memory to give as state with the next observations; 0 where an episode begins",
        }
        inputs = {"observations": example(self.task.input_space), "state": zeros(horizon * self.config.goal_size)}
        return computed(step, self.module, inputs, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        return {name: value.detach().numpy() for name, value in self.module.named_parameters()}

    @torch.no_grad()
    def draw(self, folder: Path) -> None:
        """Draw which cell each goal points to, where the task has a layout."""
        super().draw(folder)
        layout, states = getattr(self.task, "layout", None), self.task.input_space
        if layout is not None and isinstance(states, spaces.Discrete):
            visited = np.flatnonzero([layout.rows[row][column] != "#" for row, column in layout.cell])
            seen = self.module(torch.from_numpy(visited))
            ways = seen.state.numpy()[None] - seen.state.numpy()[:, None]
            towards = cosine(ways, seen.goal.numpy()[:, None]).argmax(axis=1)
            draw_directions(layout, visited, visited[towards], folder / "goals.png", "The cell that each goal points to")
