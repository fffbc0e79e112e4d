"""Monte Carlo tree search (UCT): look ahead by simulation, where values are high and where little is known.

*Source*: Kocsis and Szepesvari, Bandit Based Monte-Carlo Planning (2006); Browne et al., A Survey of Monte Carlo Tree Search Methods
(2012); Sutton and Barto, Reinforcement Learning (2nd edition, 2018), section 8.11; Keller and Helmert (2013) for `backup="best"`.

*Departures*: states that are reached in several ways share one node (`merge`), and a node is worth its best action (`backup="best"`): with
the mean of random continuations, values at some distance from a reward differ by less than their noise, and the agent walked to and fro.
Values are compared after scaling them to [0, 1] by the least and largest seen (as MuZero does), rewards of the table among them. Outcomes
of chance have a node each; where the table says their probabilities, these and not their frequencies weigh them in `backup="best"`.

*Letters*: B batch, S states, A actions, D depth.

On tasks that show their table the search is compiled. Elsewhere the same loop runs in Python and simulates in a copy of the environment,
whose random numbers are drawn afresh where Gymnasium's interface permits it: a copy that kept them would see the future.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced, borrowed, inlined, kernel
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.mdp.model import Table
from rl_algos.tasks.mdp.simulator import draw_outcome
from rl_algos.tasks.mdp.task import MDPTask
from rl_algos.tree_search.select import ucb1
from rl_algos.tree_search.tree import Search, Tree, best_action, new_tree, simulate, tree_bytes
from rl_core.agent import Agent
from rl_core.config import Doc, Fraction, Meta, NonNegative, configclass
from rl_core.envs import Envs
from rl_core.errors import RequestError
from rl_core.memory import require_memory
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

CHUNK = 1_000  # simulations between two moments at which an interrupt is noticed


@configclass
class MCTSConfig:
    """Settings of tree search."""

    num_simulations: Annotated[int, Meta(ge=1, le=10_000_000), Doc("simulations before a decision")] = 500
    exploration: Annotated[NonNegative, Doc("c, width of the confidence bound in units of the range of values")] = 1.4
    rollout_depth: Annotated[int, Meta(ge=1, le=1_000_000), Doc("steps of a simulation, tree included")] = 100
    leaf: Annotated[Literal["rollout", "value"], Doc("value of a new node: a random rollout, or the result of earlier searches there")] = (
        "rollout"
    )
    backup: Annotated[Literal["mean", "best"], Doc("value of a node: the mean of its simulations, or that of its best action")] = "best"
    merge: Annotated[bool, Doc("let equal observations share a node; right where an observation is the whole state")] = True
    discount: Annotated[Fraction | None, Doc("gamma; null takes the task's, or 1 where it has none")] = None


class World(NamedTuple):
    """A simulation on a table of outcomes.

    Attributes:
        table: The outcomes.
        state: State of the root, and of the simulation [2].
        values: Results of earlier searches [S].
        lengths: Steps to the end of the episode by earlier searches [S].
        searched: How often each state was searched [S].
        by_value: Whether a state that was searched before counts as its value.
        exact: Whether the tree weighs outcomes by their probabilities.
        max_depth: Steps of a simulation.
        discount: gamma.
    """

    table: Table
    state: np.ndarray
    values: np.ndarray
    lengths: np.ndarray
    searched: np.ndarray
    by_value: bool
    exact: bool
    max_depth: int
    discount: float


@inlined
def restart(world: World, rng: np.random.Generator) -> None:
    """Put the simulation back to the root's state."""
    world.state[1] = world.state[0]


@inlined
def move(world: World, action: int, rng: np.random.Generator) -> tuple[float, int, bool]:
    """Take an action; return its reward, the state it led to, and whether the episode ended."""
    outcome = draw_outcome(world.table, world.state[1], action, rng.random())
    world.state[1] = world.table.next_state[outcome]
    return world.table.reward[outcome], world.state[1], world.table.terminated[outcome]


@inlined
def advance(world: World, tree: Tree, node: int, action: int, rng: np.random.Generator) -> tuple[float, int, bool, float]:
    """Take an action in the tree; return what `move` does, and how probable the state was; the tree learns what the table says."""
    table, before, share, mean, going = world.table, 0.0, 0.0, 0.0, 0.0
    pair = world.state[1] * table.num_actions + action
    reward, state, over = move(world, action, rng)
    if world.exact:
        for outcome in range(table.offset[pair], table.offset[pair + 1]):
            probability = max(min(table.cumulative[outcome], 1.0) - before, 1e-15)  # not 0, whatever the rounding
            before += probability
            mean += probability * table.reward[outcome]
            if not table.terminated[outcome]:
                going += probability
                share += probability if table.next_state[outcome] == state else 0.0
        tree.rewards[node, action], tree.going[node, action] = mean, going
    return reward, state, over, share


@inlined
def evaluate(world: World, tree: Tree, node: int, depth: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the value of a state that was searched before, or else the return of a random rollout; and its length."""
    if world.by_value and world.searched[world.state[1]] > 0:
        return world.values[world.state[1]], world.lengths[world.state[1]]
    total, weight, steps, over = 0.0, 1.0, depth, False
    while steps < world.max_depth and not over:
        reward, _, over = move(world, int(rng.random() * world.table.num_actions), rng)
        total += weight * reward
        weight *= world.discount
        steps += 1
    return total, float(steps - depth)


@kernel
def search_table(world: World, tree: Tree, search: Search, rng: np.random.Generator) -> None:
    """Run `simulate` on a table of outcomes."""
    simulate(ucb1, restart, advance, evaluate, borrowed(world), borrowed(tree), search, rng)


class Copies:
    """Simulations in copies of an environment.

    Args:
        agent: The agent that searches.
        envs: The environment; it is left as it is.

    Attributes:
        keys: Numbers of the observations met in this search.
    """

    def __init__(self, agent: MCTS, envs: Envs) -> None:
        self.agent = agent
        self.envs = envs
        self.keys: dict[bytes, int] = {}

    def restart(self, rng: np.random.Generator) -> None:
        """Copy the environment anew."""
        try:
            self.copy = self.envs.fork(int(rng.integers(2**31)))
        except Exception as error:  # any exception of an environment's own code
            raise RequestError(
                f"tree search simulates in copies of the environment, and {type(self.envs).__name__} cannot be copied ({error})",
                "give the environment a __deepcopy__ that leaves out what cannot be copied (locks, files, windows), or take an agent that "
                "learns without looking ahead, such as dqn or q-learning",
            ) from error

    def advance(self, action: int) -> tuple[float, int, bool]:
        """Take an action in the copy; return its reward, the number of its observation, and whether the episode is over."""
        taken = self.copy.step(np.array([self.agent.first_action + action]))
        self.obs = taken.obs
        return float(taken.reward[0]), self.key(taken.obs), bool(taken.terminated[0] or taken.truncated[0])

    def key(self, obs: np.ndarray) -> int:
        """Return a number for an observation [1, ...]: the same for the same."""
        return self.keys.setdefault(obs.tobytes(), len(self.keys))

    def evaluate(self, depth: int, rng: np.random.Generator) -> tuple[float, float]:
        """Return the value of the observation if it was searched before, or else the return of a random rollout; and its length."""
        agent, config = self.agent, self.agent.config
        if config.leaf == "value" and agent.searched[state := agent.state_of(self.obs)] > 0:
            return float(agent.values[state]), float(agent.lengths[state])
        total, weight, steps, over = 0.0, 1.0, depth, False
        while steps < config.rollout_depth and not over:
            reward, _, over = self.advance(int(rng.random() * agent.num_actions))
            total += weight * reward
            weight *= agent.discount
            steps += 1
        return total, float(steps - depth)


class MCTS(Agent):
    """UCT before every decision; nothing is kept from one to the next except, with `leaf="value"`, the values of states.

    Attributes:
        values: Root values of the searches from a state [S]; empty where observations are not numbers.
        lengths: Steps to the end of the episode by these searches [S].
        searched: How often each state was searched [S].
    """

    Config: ClassVar[type] = MCTSConfig
    headline: ClassVar[str] = "root_value"
    task: ControlTask

    def setup(self) -> None:
        """Make the environment and the table of values."""
        config, task = self.config, self.task
        if "control" not in task.traits() or not isinstance(task.output_space, spaces.Discrete):
            raise ValueError(f"mcts tries actions one by one and needs discrete ones; the task's are {task.output_space}; take ppo")
        numbered = isinstance(task.input_space, spaces.Discrete)
        if config.leaf == "value" and not numbered:
            raise ValueError(f"leaf is 'value', which keeps a value for each numbered state, but observations are {task.input_space}")
        self.num_actions, self.first_action = int(task.output_space.n), int(task.output_space.start)
        size = tree_bytes(config.num_simulations, self.num_actions)
        require_memory(size, f"nodes of {config.num_simulations:,} simulations", "lower num_simulations")
        self.discount = task.discount if config.discount is None else config.discount
        self.on_table = "mdp" in task.traits()
        self.exact = self.on_table and config.backup == "best"  # outcomes are weighed by the table's probabilities
        self.values = np.zeros(int(task.input_space.n) if numbered else 0)
        self.lengths = np.zeros(len(self.values))
        self.searched = np.zeros(len(self.values), dtype=np.int64)
        self.rng = self.seeds.numpy("search")
        self.envs: Any = task.envs(1, self.seeds)
        self.obs = self.envs.reset()
        self._decided: dict[int, int] = {}  # answers of `predict`, which follow from `values` and the seed
        self._met: dict[bytes, int] = {}  # observations of a hidden model, and what was decided on them

    def step(self) -> dict[str, float]:
        """Search and act once in the environment; return the root's value, and the episode's return when it is over."""
        tree = self.search(self.envs, self.obs, self.rng)
        action = best_action(tree)
        value = float(tree.values[0, action])
        if len(self.values):
            state = self.state_of(self.obs)
            self.values[state], self.lengths[state] = value, tree.lengths[0, action]
            self.searched[state] += 1
            self._decided.clear()
        if not self.on_table:
            self._met[self.obs.tobytes()] = action
        self.obs = self.envs.step(np.array([self.first_action + action])).obs
        self.progress += 1
        return {"root_value": value, "nodes": float(tree.counts[0]), **self.envs.episode_metrics()}

    def state_of(self, obs: np.ndarray) -> int:
        """Return the number from 0 of the state that an observation [1] names."""
        return int(obs[0]) - int(cast(spaces.Discrete, self.task.input_space).start)

    def search(self, envs: Envs, obs: np.ndarray, rng: np.random.Generator) -> Tree:
        """Return the tree of simulations from where the first of `envs` is; they are left as they are.

        Raises:
            ValueError: if the environment cannot be copied.
        """
        if self.on_table:
            return self.search_from(int(obs[0]), rng)
        world = Copies(self, envs)
        tree = new_tree(self.config.num_simulations, self.num_actions, world.key(obs))
        getattr(simulate, "py_func", simulate)(
            ucb1,
            lambda world, rng: world.restart(rng),
            lambda world, tree, node, action, rng: (*world.advance(action), 0.0),
            lambda world, tree, node, depth, rng: world.evaluate(depth, rng),
            world,
            tree,
            self._settings(self.config.num_simulations),
            rng,
        )
        return tree

    def search_from(self, state: int, rng: np.random.Generator) -> Tree:
        """Return the tree of simulations from a numbered state of a known process."""
        config = self.config
        tree = new_tree(config.num_simulations, self.num_actions, state)
        place = np.array([state, state])
        by_value = config.leaf == "value"
        table = cast(MDPTask, self.task).mdp.table  # environments may be wrapped: with costs, say
        if self.exact:
            tree.bounds[:] = table.reward.min(), table.reward.max()
        world = World(table, place, self.values, self.lengths, self.searched, by_value, self.exact, config.rollout_depth, self.discount)
        with announced("tree search"):
            for first in range(0, config.num_simulations, CHUNK):
                search_table(world, tree, self._settings(min(CHUNK, config.num_simulations - first)), rng)
        return tree

    def _settings(self, num_simulations: int) -> Search:
        config = self.config
        best, width, depth = config.backup == "best", config.exploration, config.rollout_depth
        return Search(num_simulations, width, depth, self.discount, best, config.merge, self.exact)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the decisions of a search from each input [B], always the same for the same state.

        Where the model is hidden an observation does not say where a simulation is to start: the answer is then what `step` last decided
        on the same observation, and the first action on one that it never met. `evaluate` searches everywhere.
        """
        if not self.on_table:
            met = [self._met.get(np.asarray(obs, dtype=self.obs.dtype).tobytes(), 0) for obs in inputs]
            return self.first_action + np.array(met)
        decisions = []
        for state in map(int, np.asarray(inputs)):
            if state not in self._decided:
                rng = np.random.Generator(np.random.PCG64(self.seeds.integer("decision", state)))
                self._decided[state] = best_action(self.search_from(state, rng))
            decisions.append(self._decided[state])
        return np.array(decisions)

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's score; where the model is hidden, with a search before every decision of fresh episodes."""
        if self.on_table:
            return super().evaluate(episodes=episodes, seeds=seeds)
        apart = seeds.apart("evaluation")
        envs, rng = self.task.envs(1, apart), apart.numpy("search")
        returns: list[float] = []
        obs = envs.reset()
        while len(returns) < episodes:
            obs = envs.step(np.array([self.first_action + best_action(self.search(envs, obs, rng))])).obs
            returns += [return_ for _, return_, _ in envs.pop_episodes()]
        envs.close()
        return {"mean return": float(np.mean(returns)), "standard deviation": float(np.std(returns)), "episodes": float(episodes)}

    def state_dict(self) -> dict[str, Any]:
        """Return values, the environment's position, and the observations met; the tree of a decision is not kept."""
        met = np.frombuffer(b"".join(self._met), dtype=self.obs.dtype).reshape(-1, *self.obs.shape[1:])
        decided = np.array(list(self._met.values()), dtype=np.int64)
        learned = {"values": self.values, "lengths": self.lengths, "searched": self.searched}
        return {**learned, "envs": self.envs.state_dict(), "met": met, "decided": decided}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array has another shape or type than the agent's own, or an action does not exist.
        """
        met, decided = np.asarray(state["met"]), np.asarray(state["decided"])
        require_array("met", met, np.empty((len(decided), *self.obs.shape[1:]), dtype=self.obs.dtype))
        require_array("decided", decided, np.empty(len(met), dtype=np.int64), 0, self.num_actions)
        learned = (self.values, self.lengths, self.searched)
        for name, own in zip(("values", "lengths", "searched"), learned, strict=True):
            require_array(name, state[name], own, 0 if name == "searched" else None)
        for name, own in zip(("values", "lengths", "searched"), learned, strict=True):
            own[:] = state[name]
        self._decided.clear()
        self._met = {obs.tobytes(): int(action) for obs, action in zip(met, decided, strict=True)}
        self.obs = self.envs.load_state_dict(state["envs"])
