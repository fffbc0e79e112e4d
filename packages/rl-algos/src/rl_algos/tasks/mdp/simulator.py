"""Playing a process: many copies in step for learners, and one behind Gymnasium's interface for everybody else.

*Letters*: N environments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.parts.ranges import require_array
from rl_algos.tasks.mdp.model import MDP, Table
from rl_core.envs import Envs, Transition
from rl_core.seeds import Seeds

if TYPE_CHECKING:
    from rl_algos.tasks.mdp.picture import Layout


@inlined
def draw_outcome(table: Table, state: int, action: int, uniform: float) -> int:
    """Index of the outcome of a state and an action that a uniform number in [0, 1) picks."""
    outcome = table.offset[state * table.num_actions + action]
    while table.cumulative[outcome] <= uniform:
        outcome += 1
    return outcome


@inlined
def draw_start(table: Table, uniform: float) -> int:
    """Return the first state of an episode that a uniform number in [0, 1) picks."""
    return int(np.searchsorted(table.start, uniform, side="right"))


class Playing(NamedTuple):
    """One environment inside a compiled loop; arrays of one entry are moved in place.

    Attributes:
        table: The outcomes.
        max_steps: Steps after which an episode is cut; 0 for no limit.
        state: [1].
        elapsed: Steps of the episode, for the time limit [1].
        running_return: Rewards of the episode so far [1].
        running_length: Steps of the episode so far [1].
        finished: How many episodes ended during the loop [1].
        returns: Their returns [E].
        lengths: Their lengths [E].
    """

    table: Table
    max_steps: int
    state: np.ndarray
    elapsed: np.ndarray
    running_return: np.ndarray
    running_length: np.ndarray
    finished: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray


@inlined
def play(playing: Playing, action: int, outcomes: np.random.Generator) -> tuple[float, int, bool, bool]:
    """Take an action: its reward, the state it led to, whether the episode ended, and whether a new one has begun.

    `playing.state` is then where to act next: the first state of the next episode where one is over.
    """
    table = playing.table
    outcome = draw_outcome(table, playing.state[0], action, outcomes.random())
    reward, next_state, terminated = table.reward[outcome], table.next_state[outcome], table.terminated[outcome]
    playing.elapsed[0] += 1
    playing.running_return[0] += reward
    playing.running_length[0] += 1
    over = terminated or (playing.max_steps > 0 and playing.elapsed[0] >= playing.max_steps)
    playing.state[0] = next_state
    if over:
        playing.state[0] = draw_start(table, outcomes.random())
        episode = playing.finished[0]
        playing.returns[episode], playing.lengths[episode] = playing.running_return[0], playing.running_length[0]
        playing.finished[0] = episode + 1
        playing.elapsed[0], playing.running_return[0], playing.running_length[0] = 0, 0.0, 0
    return reward, next_state, terminated, over


@kernel
def step_all(
    table: Table, max_steps: int, actions: np.ndarray, state: np.ndarray, elapsed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take a step in N environments; `state` [N] and `elapsed` [N] are moved in place.

    It draws a uniform number for each environment, and one more where a new episode starts.

    Returns:
        Rewards [N], whether each episode terminated [N] and was truncated [N], and the states that the actions led to [N].
    """
    count = len(state)
    reward, final_state = np.empty(count), np.empty(count, dtype=np.int64)
    terminated, truncated = np.empty(count, dtype=np.bool_), np.empty(count, dtype=np.bool_)
    for env in range(count):
        outcome = draw_outcome(table, state[env], actions[env], rng.random())
        elapsed[env] += 1
        reward[env] = table.reward[outcome]
        terminated[env] = table.terminated[outcome]
        truncated[env] = not terminated[env] and max_steps > 0 and elapsed[env] >= max_steps
        final_state[env] = table.next_state[outcome]
        state[env] = final_state[env]
        if terminated[env] or truncated[env]:
            state[env] = draw_start(table, rng.random())
            elapsed[env] = 0
    return reward, terminated, truncated, final_state


class MDPEnvs(Envs):
    """N copies of a process in step. What changes is three arrays and a random stream, all saved.

    Args:
        mdp: The process.
        num_envs: N, at least 1.
        seeds: Where the random stream comes from.
        max_steps: Steps after which an episode is cut; 0 for no limit.

    Attributes:
        state: Current states [N]. Compiled learning loops move it, `elapsed` and `rng` in place.
        elapsed: Steps of the current episodes [N].
        rng: The stream of outcomes and starts.
    """

    def __init__(self, mdp: MDP, num_envs: int, seeds: Seeds, max_steps: int) -> None:
        super().__init__(num_envs, spaces.Discrete(mdp.num_states), spaces.Discrete(mdp.num_actions))
        self.mdp = mdp
        self.max_steps = max_steps
        self.state = np.zeros(num_envs, dtype=np.int64)
        self.elapsed = np.zeros(num_envs, dtype=np.int64)
        self._streams = seeds.child("mdp")  # a branch of its own, saved here: the caller may not save its streams
        self.rng = self._streams.numpy("outcomes")

    def reset(self) -> np.ndarray:
        """Return first states [N]."""
        for env in range(self.num_envs):
            self.state[env] = draw_start(self.mdp.table, self.rng.random())
        self.elapsed[:] = 0
        return self.state.copy()

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N].

        Raises:
            ValueError: if an action does not exist.
        """
        actions = np.asarray(actions, dtype=np.int64)
        if ((actions < 0) | (actions >= self.mdp.num_actions)).any():
            raise ValueError(f"actions are {actions.tolist()[:8]}; each must be in [0, {self.mdp.num_actions})")
        reward, terminated, truncated, final_state = step_all(self.mdp.table, self.max_steps, actions, self.state, self.elapsed, self.rng)
        self._count(reward, terminated | truncated)
        return Transition(self.state.copy(), reward.astype(np.float32), terminated, truncated, final_state)

    def playing(self, num_steps: int) -> Playing:
        """Environment 0 for a compiled loop of at most `num_steps` steps; `record` it afterwards."""
        return Playing(
            self.mdp.table, self.max_steps, self.state, self.elapsed, self._return, self._length, np.zeros(1, dtype=np.int64),
            np.empty(num_steps), np.empty(num_steps, dtype=np.int64),
        )  # fmt: skip

    def record(self, playing: Playing) -> None:
        """Note the episodes that a compiled loop finished."""
        count = int(playing.finished[0])
        self._finished.extend(zip([0] * count, playing.returns[:count].tolist(), playing.lengths[:count].tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return states, steps and the random stream."""
        return {
            "state": self.state.copy(),
            "elapsed": self.elapsed.copy(),
            "streams": self._streams.state_dict(),
            **self._counters(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`; return the current states [N].

        Raises:
            ValueError: if an array has another shape or type than here, or a state does not exist: compiled loops index with it.
        """
        counters = {"return": self._return, "length": self._length, "elapsed": self.elapsed}
        for name, own in counters.items():
            require_array(name, state[name], own, None if name == "return" else 0)
        self.state[:] = require_array("state", state["state"], self.state, 0, self.mdp.num_states)
        self.elapsed[:] = state["elapsed"]
        self._streams.load_state_dict(state["streams"])
        self._load_counters(state)
        return self.state.copy()


class MDPEnv(gymnasium.Env):
    """A process behind Gymnasium's interface, so that any learner can be run on what planners solve.

    Args:
        mdp: The process.
        layout: How states are drawn.
        render_mode: "ansi" for text, "rgb_array" for a picture [H, W, 3], None.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}

    def __init__(self, mdp: MDP, layout: Layout | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, "ansi", "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}; it must be 'ansi', 'rgb_array' or None")
        self.mdp = mdp
        self.layout = layout
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(mdp.num_states)
        self.action_space = spaces.Discrete(mdp.num_actions)
        self.state = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Return the first state; `options={"state": 3}` starts there."""
        super().reset(seed=seed)
        self.state = draw_start(self.mdp.table, self.np_random.random()) if not options else int(options["state"])
        return self.state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Return the next state, its reward, and whether the episode ended; it is never cut here."""
        table = self.mdp.table
        outcome = draw_outcome(table, self.state, int(action), self.np_random.random())
        self.state = int(table.next_state[outcome])
        return self.state, float(table.reward[outcome]), bool(table.terminated[outcome]), False, {}

    def render(self) -> Any:
        """Return the state as text or as a picture."""
        if self.layout is None or self.render_mode is None:
            return None
        return self.layout.text(self.state) if self.render_mode == "ansi" else self.layout.image(self.state)
