"""What agents that learn a table of action values have in common.

A learner plays one environment. Where the task shows its model, the whole loop runs compiled on the table of outcomes; anywhere
else, and with `compiled=False`, the same functions are called from a loop in Python. Both draw the same numbers from the same
streams in the same order, so they give the same values to the last bit (`test_td_control.py` and its sisters hold them to it).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import announced
from rl_algos.tasks.mdp.simulator import MDPEnvs
from rl_core.agent import Agent
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Task


class StepSize(NamedTuple):
    """How far an estimate moves towards its target.

    Attributes:
        alpha: Step size at first, > 0.
        power: omega; the step size is alpha / N^omega at the N-th visit: 0 constant, 1 the mean of all targets.
    """

    alpha: float
    power: float


def require_tables(task: Task, name: str) -> None:
    """Refuse a task whose inputs or outputs cannot number the rows and columns of a table.

    Raises:
        ValueError: in words, with what would fit.
    """
    for role, space in (("observations", task.input_space), ("actions", task.output_space)):
        if not isinstance(space, spaces.Discrete):
            remedy = (
                "cut the observations into bins with a task binned:<id>, or take an agent with a network such as ppo"
                if role == "observations"
                else "take an agent for continuous actions such as ppo"
            )
            raise ValueError(f"{name} keeps a table and needs discrete {role}, but the task's are {space}; {remedy}")
        if space.start != 0:
            raise ValueError(f"{name} numbers {role} from 0, but the task's start at {space.start}")


def task_discount(task: Task, discount: float | None) -> float:
    """gamma: the agent's own, else the task's, else 1."""
    return float(getattr(task, "discount", 1.0) if discount is None else discount)


class TabularLearner(Agent):
    """An agent that learns a table by playing one environment.

    Attributes:
        q: Action values [K, S, A]; K is 2 for double learning, else 1. A predictor has `values` [S] in its place.
        visits: How often each pair was updated [S, A].
        envs: The one environment.
        rng: The stream that explores.
    """

    task: ControlTask
    envs: Any  # MDPEnvs where a compiled loop plays it, else any Envs

    def __init__(self, config: Any, task: Task, network: Network | None, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        require_tables(task, type(self).__name__)
        self.num_states, self.num_actions = int(task.input_space.n), int(task.output_space.n)
        self.discount = task_discount(task, config.discount)
        self._tables: dict[str, np.ndarray] = {}
        self.rng = seeds.numpy("exploration")
        self.envs = self.task.envs(1, seeds)
        self.obs = self.envs.reset()
        self.allocate()

    @abstractmethod
    def allocate(self) -> None:
        """Make the tables, with `table`; called once, at the end of `__init__`."""

    def table(self, name: str, shape: tuple[int, ...], fill: float = 0.0, dtype: Any = np.float64) -> np.ndarray:
        """A new array that is saved and restored with the agent, in place."""
        self._tables[name] = np.full(shape, fill, dtype=dtype)
        return self._tables[name]

    @property
    def on_table(self) -> bool:
        """Whether the loop runs compiled on the task's table."""
        return self.config.compiled and isinstance(self.envs, MDPEnvs)

    def step(self) -> dict[str, float]:
        """Metrics of the episodes that ended during `steps_per_iteration` environment steps of learning."""
        num_steps = max(1, min(self.config.steps_per_iteration, self.budget - self.progress))
        with announced(f"the loop of {type(self).__name__}"):
            self.progress += self.learn(num_steps)
        episodes = self.envs.pop_episodes()
        if not episodes:
            return {"episodes": 0.0}
        return {
            "mean return": float(np.mean([return_ for _, return_, _ in episodes])),
            "mean length": float(np.mean([length for _, _, length in episodes])),
            "episodes": float(len(episodes)),
        }

    @abstractmethod
    def learn(self, num_steps: int) -> int:
        """Take about `num_steps` environment steps and learn from them; how many they were."""

    def action_values(self) -> np.ndarray:
        """The estimate of q(s, a) [S, A]; the mean of the tables of double learning."""
        return self._tables["q"].mean(axis=0)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Greedy actions [B] in states [B]; the first of several equally good ones."""
        return self.action_values()[np.asarray(inputs)].argmax(axis=-1)

    def state_dict(self) -> dict[str, Any]:
        """Tables and the environment's position."""
        return {"tables": dict(self._tables), "envs": self.envs.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back tables and position."""
        for name, array in self._tables.items():
            array[...] = state["tables"][name]
        self.obs = self.envs.load_state_dict(state["envs"])

    def draw(self, folder: Path) -> None:
        """Values and greedy policy over the states, where the task says how they lie."""
        draw_values(self.task, folder, self.action_values().max(axis=1), self.predict(np.arange(self.num_states)))


def draw_values(task: Task, folder: Path, values: np.ndarray, policy: np.ndarray | None) -> None:
    """`values.png` of values [S] and actions [S] in `folder`, on tasks that have a layout."""
    layout = getattr(task, "layout", None)
    if layout is not None:
        layout.draw(folder / "values.png", values, policy)
