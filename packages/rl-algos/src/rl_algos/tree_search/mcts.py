"""Monte Carlo tree search (UCT): look ahead by simulation, where it looks best and where little is known.

*Source*: Kocsis and Szepesvari, Bandit Based Monte-Carlo Planning (2006); Browne et al., A Survey of Monte Carlo Tree Search Methods
(2012); Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 8.11.

*Departures*: values are compared after scaling them to [0, 1] by the least and largest return of the search (as MuZero does), so that one
width of exploration serves all rewards. What chance decides has nodes of its own: children of an action are told apart by where it led.

*Letters*: S states, A actions, M nodes.

On tasks that show their table the whole search is compiled. Elsewhere it simulates in a copy of the environment, whose random numbers are
drawn afresh where Gymnasium's interface lets it: a copy that kept them would see the future.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced, kernel
from rl_algos.parts.ranges import require_range
from rl_algos.tasks.mdp.model import Table
from rl_algos.tasks.mdp.simulator import MDPEnvs, draw_outcome
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, configclass
from rl_core.envs import Envs
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Task


@configclass
class MCTSConfig:
    """Settings of tree search."""

    num_simulations: Annotated[Count, Doc("simulations before a decision")] = 500
    exploration: Annotated[NonNegative, Doc("c, width of the confidence bound in units of the range of returns")] = 1.4
    rollout_depth: Annotated[Count, Doc("steps of a simulation, tree included")] = 100
    leaf: Annotated[Literal["rollout", "value"], Doc("what a new node is worth: a game played at random, or the value learned so far")] = (
        "rollout"
    )
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None

    def __post_init__(self) -> None:
        require_range(self, "num_simulations", 1, float("inf"))
        require_range(self, "exploration", 0.0, float("inf"))
        require_range(self, "rollout_depth", 1, float("inf"))
        if self.discount is not None:
            require_range(self, "discount", 0.0, 1.0)


class Tree(NamedTuple):
    """A search tree; node 0 is the root.

    Attributes:
        key: Where a node is: the number of a state or of an observation [M].
        visits: N(s, a) [M, A].
        values: Mean return from an action on [M, A].
        child: First node that an action led to, 0 for none [M, A].
        sibling: Next node that the same action led to, 0 for none [M].
        num_nodes: How many nodes there are [1].
        bounds: Least and largest return so far [2].
    """

    key: np.ndarray
    visits: np.ndarray
    values: np.ndarray
    child: np.ndarray
    sibling: np.ndarray
    num_nodes: np.ndarray
    bounds: np.ndarray


def new_tree(num_simulations: int, num_actions: int, key: int) -> Tree:
    """A tree of the root alone, with room for a node a simulation."""
    size = num_simulations + 1
    tree = Tree(
        np.zeros(size, dtype=np.int64),
        np.zeros((size, num_actions), dtype=np.int64),
        np.zeros((size, num_actions)),
        np.zeros((size, num_actions), dtype=np.int64),
        np.zeros(size, dtype=np.int64),
        np.ones(1, dtype=np.int64),
        np.array([np.inf, -np.inf]),
    )
    tree.key[0] = key
    return tree


@kernel
def select(tree: Tree, node: int, width: float, uniform: float) -> int:
    """An action never tried, at random; else argmax_a Q(a) + c sqrt(ln N / N(a)), ties at random (UCB1)."""
    num_actions = tree.visits.shape[1]
    total = 0
    for action in range(num_actions):
        total += tree.visits[node, action]
    low, spread = tree.bounds[0], max(tree.bounds[1] - tree.bounds[0], 1e-12)
    best, ties = -math.inf, 0
    score = np.empty(num_actions)
    for action in range(num_actions):
        score[action] = math.inf
        if tree.visits[node, action] > 0:
            score[action] = (tree.values[node, action] - low) / spread
            score[action] += width * math.sqrt(math.log(total) / tree.visits[node, action])
        if score[action] > best:
            best, ties = score[action], 0
        ties += score[action] == best
    rank = int(uniform * ties)
    for action in range(num_actions):
        if score[action] == best:
            if rank == 0:
                return action
            rank -= 1
    return num_actions - 1


@kernel
def descend(tree: Tree, node: int, action: int, key: int) -> tuple[int, bool]:
    """The node that an action led to, made where there is none yet; and whether it is new."""
    child, last = tree.child[node, action], 0
    while child > 0:
        if tree.key[child] == key:
            return child, False
        last, child = child, tree.sibling[child]
    new = tree.num_nodes[0]
    tree.num_nodes[0] += 1
    tree.key[new] = key
    if last > 0:
        tree.sibling[last] = new
    else:
        tree.child[node, action] = new
    return new, True


@kernel
def back_up(tree: Tree, path: np.ndarray, rewards: np.ndarray, depth: int, rest: float, discount: float) -> None:
    """N <- N + 1, Q <- Q + (G - Q) / N along a path [D, 2] of nodes and actions, G <- R + gamma G while walking up."""
    return_ = rest
    for index in range(depth - 1, -1, -1):
        return_ = rewards[index] + discount * return_
        node, action = path[index, 0], path[index, 1]
        tree.visits[node, action] += 1
        tree.values[node, action] += (return_ - tree.values[node, action]) / tree.visits[node, action]
        tree.bounds[0], tree.bounds[1] = min(tree.bounds[0], return_), max(tree.bounds[1], return_)


@kernel
def search_table(
    table: Table,
    tree: Tree,
    num_simulations: int,
    width: float,
    max_depth: int,
    by_value: bool,
    values: np.ndarray,
    discount: float,
    rng: np.random.Generator,
) -> None:
    """`num_simulations` simulations from the root's state, on a table of outcomes."""
    path, rewards = np.empty((max_depth, 2), dtype=np.int64), np.empty(max_depth)
    for _ in range(num_simulations):
        node, state, depth, terminated, new = 0, tree.key[0], 0, False, False
        while depth < max_depth and not terminated and not new:
            action = select(tree, node, width, rng.random())
            outcome = draw_outcome(table, state, action, rng.random())
            path[depth, 0], path[depth, 1], rewards[depth] = node, action, table.reward[outcome]
            depth += 1
            state, terminated = table.next_state[outcome], table.terminated[outcome]
            if not terminated:
                node, new = descend(tree, node, action, state)
        rest = 0.0
        if not terminated and by_value:
            rest = values[state]
        elif not terminated:
            weight, steps = 1.0, depth
            while steps < max_depth and not terminated:
                outcome = draw_outcome(table, state, int(rng.random() * table.num_actions), rng.random())
                rest += weight * table.reward[outcome]
                weight *= discount
                state, terminated = table.next_state[outcome], table.terminated[outcome]
                steps += 1
        back_up(tree, path, rewards, depth, rest, discount)


class MCTS(Agent):
    """UCT before every decision; nothing is kept from one to the next but, with `leaf="value"`, the values of states.

    Attributes:
        values: What searches from a state found it to be worth [S]; empty where observations are no numbers.
    """

    Config = MCTSConfig
    task: ControlTask

    def __init__(self, config: MCTSConfig, task: Task, network: Network | None, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        if not isinstance(task, ControlTask) or not isinstance(task.output_space, spaces.Discrete):
            raise ValueError(f"mcts tries actions one by one and needs discrete ones; the task's are {task.output_space}; take ppo")
        discrete = isinstance(task.input_space, spaces.Discrete)
        if config.leaf == "value" and not discrete:
            raise ValueError(f"leaf is 'value', which keeps a value for each numbered state, but observations are {task.input_space}")
        self.num_actions = int(task.output_space.n)
        self.discount = task.discount if config.discount is None else config.discount
        self.values = np.zeros(int(task.input_space.n) if discrete else 0)
        self.rng = seeds.numpy("search")
        self.envs = task.envs(1, seeds)
        self.obs = self.envs.reset()
        self._decided: dict[int, int] = {}  # answers of `predict`, which follow from `values` and the seed
        self._met: dict[bytes, int] = {}  # observations of a hidden model, and what was decided on them

    def step(self) -> dict[str, float]:
        """Search, act once in the environment; the root's value, and the episode's return when it ended."""
        with announced("tree search"):
            tree = self.search(self.envs, self.obs, self.rng)
        value = float(tree.values[0, tree.visits[0] > 0].max())
        if len(self.values):
            self.values[int(self.obs[0])] = value
            self._decided.clear()
        action = best_action(tree)
        if not isinstance(self.envs, MDPEnvs):
            self._met[self.obs.tobytes()] = action
        self.obs = self.envs.step(np.array([action])).obs
        self.progress += 1
        metrics = {"root value": value, "nodes": float(tree.num_nodes[0])}
        episodes = self.envs.pop_episodes()
        if episodes:
            metrics["return"] = episodes[-1][1]
        return metrics

    def search(self, envs: Envs, obs: np.ndarray, rng: np.random.Generator) -> Tree:
        """The tree of simulations from where the first of `envs` is; they are left as they are."""
        if isinstance(envs, MDPEnvs):
            return self.search_from(int(obs[0]), rng, envs)
        config = self.config
        keys: dict[Any, int] = {}
        tree = new_tree(config.num_simulations, self.num_actions, _key(obs, keys))
        path, rewards = np.empty((config.rollout_depth, 2), dtype=np.int64), np.empty(config.rollout_depth)
        for _ in range(config.num_simulations):
            world = envs.fork(int(rng.integers(2**31)))
            node, depth, over, new, rest, weight = 0, 0, False, False, 0.0, 1.0
            while depth < config.rollout_depth and not over and not new:
                action = select(tree, node, config.exploration, rng.random())
                taken = world.step(np.array([action]))
                path[depth], rewards[depth] = (node, action), taken.reward[0]
                depth += 1
                over = bool(taken.terminated[0] or taken.truncated[0])
                if not over:
                    node, new = descend(tree, node, action, _key(taken.obs, keys))
            steps = depth
            if config.leaf == "value" and not over:
                rest = float(self.values[int(taken.obs[0])])
            while config.leaf == "rollout" and steps < config.rollout_depth and not over:
                taken = world.step(np.array([int(rng.random() * self.num_actions)]))
                rest += weight * float(taken.reward[0])
                weight *= self.discount
                steps += 1
                over = bool(taken.terminated[0] or taken.truncated[0])
            back_up(tree, path, rewards, depth, rest, self.discount)
        return tree

    def search_from(self, state: int, rng: np.random.Generator, envs: MDPEnvs) -> Tree:
        """The tree of simulations from a numbered state of a process."""
        config = self.config
        tree = new_tree(config.num_simulations, self.num_actions, state)
        search_table(
            envs.mdp.table, tree, config.num_simulations, config.exploration, config.rollout_depth, config.leaf == "value", self.values,
            self.discount, rng,
        )  # fmt: skip
        return tree

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """What a search from each input [B] decides [B], always the same for the same state.

        Where the model is hidden an observation does not say where a simulation is to start: then it is what `step` last decided on the
        same observation, and the first action on one it never met. `evaluate` searches everywhere.
        """
        if not isinstance(self.envs, MDPEnvs):
            return np.array([self._met.get(np.asarray(obs, dtype=self.obs.dtype).tobytes(), 0) for obs in inputs])
        decisions = []
        for state in np.asarray(inputs):
            if int(state) not in self._decided:
                rng = np.random.Generator(np.random.PCG64(self.seeds.integer("decision", int(state))))
                self._decided[int(state)] = best_action(self.search_from(int(state), rng, self.envs))
            decisions.append(self._decided[int(state)])
        return np.array(decisions)

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """The task's score; where the model is hidden, a search before every decision of fresh episodes."""
        if isinstance(self.envs, MDPEnvs):
            return super().evaluate(episodes=episodes, seeds=seeds)
        envs, rng = self.task.envs(1, seeds.child("evaluation")), seeds.child("evaluation").numpy("search")
        returns: list[float] = []
        obs = envs.reset()
        while len(returns) < episodes:
            obs = envs.step(np.array([best_action(self.search(envs, obs, rng))])).obs
            returns += [return_ for _, return_, _ in envs.pop_episodes()]
        envs.close()
        return {"mean return": float(np.mean(returns)), "standard deviation": float(np.std(returns)), "episodes": float(episodes)}

    def state_dict(self) -> dict[str, Any]:
        """Values, the environment's position, and the observations met; the tree of a decision is gone once it is taken."""
        met = np.frombuffer(b"".join(self._met), dtype=self.obs.dtype).reshape(-1, *self.obs.shape[1:])
        decided = np.array(list(self._met.values()), dtype=np.int64)
        return {"values": self.values, "envs": self.envs.state_dict(), "met": met, "decided": decided}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.values[:] = state["values"]
        self._decided.clear()
        self._met = {obs.tobytes(): int(action) for obs, action in zip(state["met"], state["decided"], strict=True)}
        self.obs = self.envs.load_state_dict(state["envs"])


def best_action(tree: Tree) -> int:
    """The root's most visited action; of several, the one worth most."""
    most = tree.visits[0] == tree.visits[0].max()
    return int(np.where(most, tree.values[0], -np.inf).argmax())


def _key(obs: np.ndarray, keys: dict[bytes, int]) -> int:
    """A number for an observation [1, ...]: the same for the same."""
    return keys.setdefault(obs.tobytes(), len(keys))
