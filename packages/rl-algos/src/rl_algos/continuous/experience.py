"""What an off-policy controller learns from: everything it did in N environments, kept in a replay buffer.

Letters: N environments, B batch, D dimensions of an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from gymnasium import spaces

from rl_algos.continuous.bounded_actions import BoundedActions
from rl_algos.parts.ranges import require_range
from rl_algos.replay.buffer import Batch, ReplayBuffer
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Whole, configclass
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

INFINITY = float("inf")


@configclass
class ExperienceConfig:
    """How much is lived through, kept, and learned from again; the config of a controller extends this one."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 1
    iteration_steps: Annotated[Count, Doc("steps of each environment in one iteration, whose metrics are reported together")] = 200
    learning_starts: Annotated[Whole, Doc("environment steps with random actions before the first update")] = 1_000
    hold_steps: Annotated[Count, Doc("steps that each random action is held for; where pushing now and then leads nowhere, take more")] = 1
    rollout_steps: Annotated[Count, Doc("steps of each environment between two rounds of updates")] = 1
    num_updates: Annotated[Count, Doc("gradient steps in a round")] = 1
    buffer_size: Annotated[int, Doc("rows of the replay buffer: transitions, and one or more an episode, >= num_envs")] = 1_000_000
    batch_size: Annotated[Count, Doc("transitions in a gradient step")] = 256
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, how much of the way to the networks their targets go at a time")] = 0.005
    policy_gain: Annotated[NonNegative, Doc("factor on the first weights of the policy's last layer; small actions at first")] = 0.01
    compiled: Annotated[bool, Doc("whether plain perceptrons on the CPU take the compiled path; the results differ by rounding")] = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        for name in ("num_envs", "iteration_steps", "hold_steps", "rollout_steps", "num_updates", "batch_size"):
            require_range(self, name, 1, INFINITY)
        require_range(self, "buffer_size", self.num_envs, INFINITY)


class Experience:
    """N environments, what was done in them, and batches of it.

    Args:
        config: Settings.
        task: What is lived through.
        actions: How actions in [-1, 1] become the task's.
        seeds: The streams `warm-up` and `replay` and, through the task, `environments`.

    Attributes:
        obs: Where to act next [N, ...], float32.
    """

    def __init__(self, config: ExperienceConfig, task: ControlTask, actions: BoundedActions, seeds: Seeds) -> None:
        self._config, self._actions = config, actions
        self._warmup, self._draws = seeds.numpy("warm-up"), seeds.numpy("replay")
        space = spaces.Box(-1.0, 1.0, (actions.num_dimensions,), np.float32)
        self._replay = ReplayBuffer(config.buffer_size, config.num_envs, task.input_space, space, discount=config.discount)
        self._envs = task.envs(config.num_envs, seeds)
        self._held = np.zeros((config.num_envs, actions.num_dimensions), dtype=np.float32)
        self.obs = single(self._envs.reset())

    def random_action(self, progress: int) -> np.ndarray:
        """Any actions [N, D], to begin with, after so many environment steps."""
        if progress // self._config.num_envs % self._config.hold_steps == 0:
            self._held = self._actions.uniform(self._warmup, self._config.num_envs)
        return self._held

    def live(self, action: np.ndarray) -> np.ndarray:
        """Take actions in [-1, 1] [N, D] and remember what came of them; whether each episode is over [N]."""
        after = self._envs.step(self._actions.to_env(action))
        self._replay.add(self.obs, action, after)
        self.obs = single(after.obs)
        return after.terminated | after.truncated

    def is_training(self, progress: int) -> bool:
        """Whether a round of updates is due after so many environment steps."""
        return progress > self._config.learning_starts and progress // self._config.num_envs % self._config.rollout_steps == 0

    def batch(self) -> Batch:
        """Transitions drawn evenly [B]; the discount of one that terminated is 0, of one that was cut it is not."""
        return self._replay.sample(self._draws, self._config.batch_size)

    def episode_metrics(self) -> dict[str, float]:
        """Mean return and length of the episodes that were over since the last call; nothing if there were none."""
        return self._envs.episode_metrics()

    def state_dict(self) -> dict[str, Any]:
        """The replay buffer, where the environments are and what they are doing; the streams are saved with the run."""
        return {"replay": self._replay.state_dict(), "envs": self._envs.state_dict(), "held": self._held}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._replay.load_state_dict(state["replay"])
        self._held = np.array(state["held"])
        self.obs = single(self._envs.load_state_dict(state["envs"]))


def single(obs: np.ndarray) -> np.ndarray:
    """Observations as float32, which is what networks and the replay buffer take."""
    return obs.astype(np.float32, copy=False)
