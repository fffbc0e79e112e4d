"""What an on-policy agent learns from: some steps of N environments, played by the policy as it is.

Letters: T steps, N environments, B = T N transitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from rl_algos.parts.distributions import Categorical, Gaussian
from rl_algos.parts.normalisation import RewardScale, RunningMoments
from rl_algos.parts.recurrence import forgotten
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

NOTHING = np.zeros((0, 0, 0), np.float32)


class Rollout(NamedTuple):
    """T steps of N environments [T, N, ...]; `action` as it was drawn, `final_obs` where each step led."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_obs: np.ndarray
    state: np.ndarray = NOTHING  # what the policy remembered before each step [T, N, S]
    next_state: np.ndarray = NOTHING  # and after it, before the next episode begins [T, N, S]

    @property
    def over(self) -> np.ndarray:
        """Whether the episode was over with this step, ended or cut [T, N]."""
        return self.terminated | self.truncated


class Batch(NamedTuple):
    """Transitions with all that an update needs, estimated once a rollout: constants to the gradient."""

    inputs: Any  # observations as the networks see them [B, ...], or `Sequences` of them
    action: np.ndarray  # as it was drawn, before any cut [B] or [B, D]
    log_prob: np.ndarray  # ln pi_old(a|s) [B]
    value: np.ndarray  # V_old(s) [B]
    advantage: np.ndarray  # [B]
    return_: np.ndarray  # what the value should be, advantage + V_old(s) [B]

    def take(self, indices: np.ndarray) -> Batch:
        """The transitions at `indices` [M]."""
        return Batch(*(column[indices] for column in self))


class Policy(Protocol):
    """What acting asks of a policy."""

    @property
    def log_std(self) -> np.ndarray:
        """The ln sigma [D] of a Gaussian, [0] of a categorical."""

    def head(self, inputs: np.ndarray) -> np.ndarray:
        """What the distribution of actions is made of [N, ...], for inputs [N, ...]."""


class Collector:
    """Plays a policy in N environments, and keeps what makes observations and rewards fit for a network.

    Args:
        task: What is played.
        actions: What the policy's head means.
        num_envs: N.
        seeds: The streams `actions` and, through the task, `environments`.
        discount: gamma of the return that rewards are scaled by.
        normalise_obs: Whether the networks see observations with mean 0 and deviation 1.
        normalise_reward: Whether rewards are divided by the running deviation of the return.
        state_size: S, how many numbers the policy remembers of an episode; 0 for one without a memory.

    Raises:
        ValueError: if observations that have no mean are to be normalised.
    """

    def __init__(
        self,
        task: ControlTask,
        actions: Categorical | Gaussian,
        *,
        num_envs: int,
        seeds: Seeds,
        discount: float,
        normalise_obs: bool = False,
        normalise_reward: bool = False,
        state_size: int = 0,
    ) -> None:
        if normalise_obs and not isinstance(task.input_space, spaces.Box):
            raise ValueError(
                f"normalise_obs is true, and observations are {task.input_space}; only those of a Box have a mean, so set it to false"
            )
        self.actions, self.num_envs = actions, num_envs
        self.normalise_obs, self.normalise_reward = normalise_obs, normalise_reward
        self.moments = RunningMoments(task.input_space.shape or ())
        self.reward_scale = RewardScale(num_envs, discount)
        self.noise = seeds.numpy("actions")
        self.envs = task.envs(num_envs, seeds)
        self.obs = self.envs.reset()
        self.state = np.zeros((num_envs, state_size), np.float32)  # 0 where an episode begins

    def collect(self, policy: Policy, num_steps: int) -> Rollout:
        """A rollout of the policy as it is, from where the last one ended."""
        noise = self.actions.noise(self.noise, num_steps, self.num_envs)
        steps = []
        for t in range(num_steps):
            head, state = self._head(policy)
            action = self.actions.sample(head, policy.log_std, noise[t])
            after = self.envs.step(self.actions.to_env(action))
            steps.append((self.obs, action, after.reward, after.terminated, after.truncated, after.final_obs, self.state, state))
            self.obs, self.state = after.obs, forgotten(state, after.terminated | after.truncated) if state.size else state
        return Rollout(*(np.stack(column) for column in zip(*steps, strict=True)))

    def collect_episodes(
        self, policy: Policy, episodes_per_env: int, max_steps: int, *, with_final: bool = True
    ) -> tuple[Rollout, np.ndarray]:
        """Whole episodes of the policy as it is, each environment's from its first step on.

        An environment that is done with its share goes on until the slowest is, but what it does then does not count: to take whichever
        episodes end first would favour short ones. The episodes then under way are given up.

        Args:
            policy: Who acts.
            episodes_per_env: How many episodes of each environment, >= 1.
            max_steps: Steps of one environment after which its episode is cut.
            with_final: Whether `final_obs` is wanted; of pictures it takes half of the memory.

        Returns:
            The rollout [T, N, ...], and which of its steps count [T, N].
        """
        missing = np.full(self.num_envs, episodes_per_env)
        steps, counts, is_last = [], [], False
        while not is_last:
            (noise,) = self.actions.noise(self.noise, 1, self.num_envs)
            action = self.actions.sample(policy.head(self.inputs(self.obs)), policy.log_std, noise)
            after = self.envs.step(self.actions.to_env(action))
            over = after.terminated | after.truncated
            counts.append(missing > 0)
            missing -= counts[-1] & over
            is_last = not missing.any() or len(counts) >= max_steps
            truncated = ~after.terminated if is_last else after.truncated  # what is under way at the end is cut there
            final_obs = after.final_obs if with_final else NOTHING
            steps.append((self.obs, action, after.reward, after.terminated, truncated, final_obs))
            self.obs = after.obs
        if not over.all():
            self.obs = self.envs.restart()
        return Rollout(*(np.stack(column) for column in zip(*steps, strict=True))), np.stack(counts)

    def inputs(self, obs: np.ndarray) -> np.ndarray:
        """Observations [B, ...] as the networks see them."""
        if self.normalise_obs:
            return self.moments.normalise(obs)
        return obs.astype(np.float32) if obs.dtype == np.float64 else obs

    def reward(self, rollout: Rollout) -> np.ndarray:
        """Rewards [T, N] as the critic sees them. Takes them into the running statistics: once a rollout."""
        return self.reward_scale(rollout.reward, rollout.over) if self.normalise_reward else rollout.reward

    def learn_moments(self, rollout: Rollout) -> None:
        """Take the rollout's observations into the statistics: after its updates, so that they see the inputs that acted."""
        if self.normalise_obs:
            self.moments.update(flat(rollout.obs))

    def episode_metrics(self) -> dict[str, float]:
        """Mean return and length of the episodes that were over since the last call; nothing if there were none."""
        return self.envs.episode_metrics()

    def state_dict(self) -> dict[str, Any]:
        """Running statistics, where the environments are, and what the policy remembers of them."""
        state = {"moments": self.moments.state_dict(), "reward_scale": self.reward_scale.state_dict(), "envs": self.envs.state_dict()}
        return {**state, "state": self.state} if self.state.size else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.moments.load_state_dict(state["moments"])
        self.reward_scale.load_state_dict(state["reward_scale"])
        self.obs = self.envs.load_state_dict(state["envs"])
        if self.state.size:
            self.state = np.array(state["state"])

    def _head(self, policy: Any) -> tuple[np.ndarray, np.ndarray]:
        """The policy's head at the current observations, and what it remembers then [N, S]."""
        inputs = self.inputs(self.obs)
        return policy.advance(inputs, self.state) if self.state.size else (policy.head(inputs), self.state)


def flat(array: np.ndarray) -> np.ndarray:
    """Time and environments as one axis: [T N, ...] of [T, N, ...]."""
    return array.reshape(-1, *array.shape[2:])


def minibatches(rng: np.random.Generator, size: int, batch_size: int, num_epochs: int) -> Iterator[np.ndarray]:
    """Indices [M] of each minibatch of `size` transitions, in a new order in every epoch.

    M is `batch_size`, or what divides the transitions evenly above it.

    >>> [len(indices) for indices in minibatches(np.random.default_rng(0), 64, 20, 2)]
    [21, 21, 22, 21, 21, 22]
    """
    num_batches = max(1, size // batch_size)
    for _ in range(num_epochs):
        order = rng.permutation(size)
        for i in range(num_batches):
            yield order[size * i // num_batches : size * (i + 1) // num_batches]
