"""Rollouts of a policy in several environments, and generalised advantage estimation on them.

Source: J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel. "High-dimensional continuous control using generalized advantage
estimation", 2016, equations (11), (12) and (16).
Departures: none in the estimate. The paper's episodes all terminate; here a time limit may also cut one, and then the value of its last
observation replaces the rest (F. Pardo and others, "Time limits in reinforcement learning", 2018).
Letters: T steps, N environments, B = T N transitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from rl_algos.parts.composed import AnyDistribution
from rl_algos.parts.masks import masked
from rl_algos.parts.normalisation import RewardScale, RunningMoments
from rl_algos.parts.players import reset_where
from rl_core.compiling import kernel, vectorised
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

NO_STATE = np.zeros((0, 0, 0), np.float32)
"""The states of a policy without memory."""


class Rollout(NamedTuple):
    """T steps of N environments [T, N, ...]; `action` as it was drawn, `final_obs` where each step led."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_obs: np.ndarray
    state: np.ndarray = NO_STATE  # the policy's memory before each step [T, N, S]
    next_state: np.ndarray = NO_STATE  # and after it, before the next episode begins [T, N, S]
    legal: np.ndarray | None = None  # which actions were allowed [T, N, A]; `None` where all are

    @property
    def over(self) -> np.ndarray:
        """True where the episode was over with this step, terminated or truncated [T, N]."""
        return self.terminated | self.truncated


class Batch(NamedTuple):
    """Transitions with everything that an update needs, estimated once a rollout: constants to the gradient."""

    inputs: Any  # observations as the networks see them [B, ...], or `Sequences` of them
    action: np.ndarray  # as it was drawn, before any cut [B] or [B, D]
    log_prob: np.ndarray  # ln pi_old(a|s) [B]
    value: np.ndarray  # V_old(s) [B]
    advantage: np.ndarray  # [B]
    return_: np.ndarray  # target of the value, advantage + V_old(s) [B]
    legal: np.ndarray | None = None  # which actions were allowed [B, A]; `None` where all are

    def take(self, indices: np.ndarray) -> Batch:
        """Return the transitions at `indices` [M]."""
        return Batch(
            self.inputs[indices],
            self.action[indices],
            self.log_prob[indices],
            self.value[indices],
            self.advantage[indices],
            self.return_[indices],
            None if self.legal is None else self.legal[indices],
        )


class Policy(Protocol):
    """The methods of a policy that acts."""

    @property
    def sigma(self) -> np.ndarray:
        """The ln sigma [D] of a Gaussian, [0] of a categorical."""

    def head(self, inputs: np.ndarray) -> np.ndarray:
        """Return the parameters of the distribution of actions [N, ...] for inputs [N, ...]."""

    def advance(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same and the next state [N, S], for inputs that follow a state [N, S]; only asked of a policy with memory."""


class Normalised(NamedTuple):
    """Parts of a transition that networks see normalised.

    Attributes:
        obs: Observations, to mean 0 and deviation 1.
        reward: Rewards, by the running deviation of the return.
    """

    obs: bool = False
    reward: bool = False


class Collector:
    """Player of a policy in N environments, which prepares observations and rewards for a network.

    Args:
        task: The task to play.
        actions: The distribution of actions.
        num_envs: N.
        seeds: The streams `actions` and, through the task, `environments`.
        discount: gamma of the return that rewards are scaled by.
        normalised: What networks see normalised.
        state_size: S, size of the policy's memory of an episode; 0 for a policy without memory.
        masks: Whether the task says which actions are allowed, and no other is taken.

    Raises:
        ValueError: if observations that have no mean are to be normalised.
    """

    def __init__(
        self,
        task: ControlTask,
        actions: AnyDistribution,
        *,
        num_envs: int,
        seeds: Seeds,
        discount: float,
        normalised: Normalised,
        state_size: int = 0,
        masks: bool = False,
    ) -> None:
        if normalised.obs and not isinstance(task.input_space, spaces.Box):
            raise ValueError(
                f"normalise_obs is true, and observations are {task.input_space}; only those of a Box have a mean, so set it to false"
            )
        self.actions, self.num_envs, self.masks = actions, num_envs, masks
        self.normalise_obs, self.normalise_reward = normalised
        self.moments = RunningMoments(task.input_space.shape or ())
        self.reward_scale = RewardScale(num_envs, discount)
        self.noise = seeds.numpy("actions")
        self.envs = task.envs(num_envs, seeds)
        self.obs = self.envs.reset()
        self.state = np.zeros((num_envs, state_size), np.float32)  # 0 where an episode begins

    def collect(self, policy: Policy, num_steps: int) -> Rollout:
        """Return a rollout of the policy as it is, from where the last one ended."""
        noise = self.actions.noise(self.noise, num_steps, self.num_envs)
        steps = []
        for t in range(num_steps):
            head, state = self._head(policy)
            legal = self.envs.extras()["legal"] if self.masks else None
            action = self.actions.sample(head if legal is None else masked(head, legal), policy.sigma, noise[t])
            after = self.envs.step(self.actions.to_env(action))
            step = (self.obs, action, after.reward, after.terminated, after.truncated, after.final_obs, self.state, state)
            steps.append(step if legal is None else (*step, legal))
            self.obs, self.state = after.obs, reset_where(state, after.terminated | after.truncated) if state.size else state
        return Rollout(*(np.stack(column) for column in zip(*steps, strict=True)))

    def collect_episodes(
        self, policy: Policy, episodes_per_env: int, max_steps: int, *, with_final: bool = True
    ) -> tuple[Rollout, np.ndarray]:
        """Return whole episodes of the policy as it is, each environment's from its first step on.

        An environment that is done with its share continues until the slowest is, but its further steps do not count: to take whichever
        episodes end first would favour short ones. The episodes then under way are discarded.

        Args:
            policy: The policy that acts.
            episodes_per_env: Episodes of each environment, >= 1.
            max_steps: Steps of one environment after which its episode is cut.
            with_final: Whether to keep `final_obs`; of pictures it takes half of the memory.

        Returns:
            The rollout [T, N, ...], and which of its steps count [T, N].
        """
        missing = np.full(self.num_envs, episodes_per_env)
        steps, counts, is_last = [], [], False
        while not is_last:
            (noise,) = self.actions.noise(self.noise, 1, self.num_envs)
            action = self.actions.sample(policy.head(self.inputs(self.obs)), policy.sigma, noise)
            after = self.envs.step(self.actions.to_env(action))
            over = after.terminated | after.truncated
            counts.append(missing > 0)
            missing -= counts[-1] & over
            is_last = not missing.any() or len(counts) >= max_steps
            truncated = ~after.terminated if is_last else after.truncated  # an episode under way at the end is cut there
            final_obs = after.final_obs if with_final else NO_STATE
            steps.append((self.obs, action, after.reward, after.terminated, truncated, final_obs))
            self.obs = after.obs
        if not over.all():
            self.obs = self.envs.restart()
        return Rollout(*(np.stack(column) for column in zip(*steps, strict=True))), np.stack(counts)

    def inputs(self, obs: np.ndarray) -> np.ndarray:
        """Return observations [B, ...] as the networks see them."""
        if self.normalise_obs:
            return self.moments.normalise(obs)
        return obs.astype(np.float32) if obs.dtype == np.float64 else obs

    def reward(self, rollout: Rollout) -> np.ndarray:
        """Return rewards [T, N] as the critic sees them, and include them in the running statistics: call it once a rollout."""
        return self.reward_scale(rollout.reward, rollout.over) if self.normalise_reward else rollout.reward

    def learn_moments(self, rollout: Rollout) -> None:
        """Include the rollout's observations in the statistics: after its updates, so that these see the inputs that acted."""
        if self.normalise_obs:
            self.moments.update(flat(rollout.obs))

    def episode_metrics(self) -> dict[str, float]:
        """Return mean return and length of the episodes that were over since the last call; nothing if there were none."""
        return self.envs.episode_metrics()

    def state_dict(self) -> dict[str, Any]:
        """Return the running statistics, the environments' state, and the policy's memory of their episodes."""
        state = {"moments": self.moments.state_dict(), "reward_scale": self.reward_scale.state_dict(), "envs": self.envs.state_dict()}
        return {**state, "state": self.state} if self.state.size else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.moments.load_state_dict(state["moments"])
        self.reward_scale.load_state_dict(state["reward_scale"])
        self.obs = self.envs.load_state_dict(state["envs"])
        if self.state.size:
            self.state = np.array(state["state"], np.float32).reshape(self.state.shape)

    def _head(self, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
        """Return the policy's head at the current observations, and its memory then [N, S]."""
        inputs = self.inputs(self.obs)
        return policy.advance(inputs, self.state) if self.state.size else (policy.head(inputs), self.state)


@kernel
def advantages(
    reward: np.ndarray, discount: np.ndarray, value: np.ndarray, next_value: np.ndarray, over: np.ndarray, gae_lambda: float
) -> np.ndarray:
    """Return advantages [T, N]: discounted sums of TD errors that stop at the end of an episode.

    delta_t = r_t + discount_t V(s_t+1) - V(s_t), and A_t = delta_t + discount_t lambda A_t+1 within an episode. (11), (16)

    Written once and compiled: `advantages.py_func` is the same text as plain Python.

    Args:
        reward: r_t [T, N].
        discount: gamma where the episode has a future, also if a time limit cuts it off; 0 where it terminated [T, N].
        value: V(s_t) [T, N].
        next_value: V(s_t+1) of where the action led, before any new episode begins [T, N].
        over: Whether the episode ended with this step, either way [T, N].
        gae_lambda: lambda in [0, 1]; 0 is the TD error (17), 1 the Monte Carlo return less the value (18).

    Returns:
        A_t [T, N], float32.

    One episode of two steps that terminates: delta = (1 + 0.5 * 4 - 2, 1 - 4) = (1, -3), A_0 = 1 + 0.5 * 0.5 * -3 = 0.25.

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> advantages(column(1, 1), column(0.5, 0), column(2, 4), column(4, 9), np.array([[False], [True]]), 0.5).ravel().tolist()
    [0.25, -3.0]
    """
    num_steps, num_envs = reward.shape
    advantage = np.zeros((num_steps, num_envs), dtype=np.float32)
    for n in range(num_envs):
        trace = 0.0
        for t in range(num_steps - 1, -1, -1):
            td_error = reward[t, n] + discount[t, n] * next_value[t, n] - value[t, n]  # (11)
            trace = td_error + (0.0 if over[t, n] else discount[t, n] * gae_lambda * trace)  # (16), as a recursion
            advantage[t, n] = trace
    return advantage


@vectorised
def standardise(values: np.ndarray) -> np.ndarray:
    """Return values [B] less their mean, divided by their deviation (with B - 1, as in torch).

    >>> standardise(np.array([1, 2, 3], dtype=np.float32)).tolist()
    [-1.0, 0.0, 1.0]
    """
    mean, square = np.float32(0.0), np.float32(0.0)
    for value in values:
        mean += value
    mean /= np.float32(len(values))
    for value in values:
        square += (value - mean) ** 2
    return (values - mean) / np.float32(np.sqrt(square / np.float32(len(values) - 1)) + np.float32(1e-8))


def flat(array: np.ndarray) -> np.ndarray:
    """Return time and environments as one axis: [T N, ...] of [T, N, ...]."""
    return array.reshape(-1, *array.shape[2:])


def minibatches(rng: np.random.Generator, size: int, batch_size: int, num_epochs: int) -> Iterator[np.ndarray]:
    """Yield indices [M] of each minibatch of `size` transitions, in a new order in every epoch.

    M is `batch_size`, or what divides the transitions evenly above it.

    >>> [len(indices) for indices in minibatches(np.random.default_rng(0), 64, 20, 2)]
    [21, 21, 22, 21, 21, 22]
    """
    num_batches = max(1, size // batch_size)
    for _ in range(num_epochs):
        order = rng.permutation(size)
        for i in range(num_batches):
            yield order[size * i // num_batches : size * (i + 1) // num_batches]
