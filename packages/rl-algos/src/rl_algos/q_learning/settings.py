"""Settings of DQN and of its variants."""

from __future__ import annotations

from typing import Annotated, Literal

from rl_algos.parts.exploration import Exploration, Explorer
from rl_algos.parts.steps import Steps, require_steps
from rl_algos.replay.storage import Storage
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, Whole, configclass


@configclass
class DQNConfig(Exploration):
    """Settings of DQN; by default the exploration rate falls from 1 along a line."""

    exploration_rate: Annotated[NonNegative, Doc("epsilon (at most 1), or temperature T, or width c of ucb, at first")] = 1.0
    exploration_end: Annotated[NonNegative, Doc("final exploration rate")] = 0.05
    exploration_schedule: Annotated[
        Literal["constant", "linear", "exponential", "visits"], Doc("course of the exploration rate from the first to the final one")
    ] = "linear"
    exploration_steps: Annotated[
        Positive,
        Doc("linear: steps until the end; exponential: tau; both a fraction of the budget below 1; visits: n of rate * n / (n + N(s))"),
    ] = 10_000.0
    num_envs: Annotated[int, Meta(ge=1, le=65_536), Doc("N, environments stepped together")] = 1
    rollout_steps: Annotated[int, Meta(ge=1, le=1_000_000), Doc("steps of each environment between two rounds of updates")] = 4
    num_updates: Annotated[
        int, Meta(ge=0, le=1_000_000), Doc("gradient steps a round; 0 for as many as transitions were collected for it")
    ] = 1
    learning_starts: Annotated[Steps, Doc("environment steps with random actions before the first update; in (0, 1) of the budget")] = 1_000
    buffer_size: Annotated[
        int, Meta(ge=2), Doc("rows of the replay buffer: transitions, and one or more an episode; more than num_envs")
    ] = 100_000
    storage: Annotated[Storage, Doc("disk keeps the replay buffer in a memory-mapped file")] = "memory"
    stack_axis: Annotated[Whole | None, Doc("axis along which observations stack frames, the oldest first; none without a stack")] = None
    scale_obs: Annotated[bool, Doc("whether observations are scaled from their Box's bounds to [-1, 1], where it has any")] = False
    batch_size: Annotated[int, Meta(ge=1, le=10_000_000), Doc("B, transitions of a gradient step")] = 32
    sequence_steps: Annotated[
        int, Meta(ge=1, le=100_000), Doc("T, consecutive steps that a recurrent network learns from; B / T sequences a gradient step")
    ] = 16
    burn_in_steps: Annotated[
        int, Meta(ge=0, le=100_000), Doc("steps before them that only bring a recurrent network's state up to date")
    ] = 8
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam")] = 1e-4
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear: down to 0 at the end of the budget")] = "constant"
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    return_steps: Annotated[int, Meta(ge=1, le=100_000), Doc("n, steps of reward before the bootstrapped value")] = 1
    target_steps: Annotated[Count, Doc("environment steps between two updates of the target network")] = 10_000
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, step of the target network towards the learning one; 1 copies it")] = 1.0
    loss: Annotated[Literal["huber", "squared"], Doc("loss of the TD error; both are half its square within [-1, 1]")] = "huber"
    max_grad_norm: Annotated[Positive, Doc("norm that longer gradients are scaled down to")] = 10.0
    double: Annotated[bool, Doc("whether the learning network chooses the action that the target network values")] = False
    dueling: Annotated[bool, Doc("whether the network outputs a value and advantages, which sum to Q")] = False
    prioritised: Annotated[bool, Doc("whether transitions are drawn by their TD error")] = False
    priority_exponent: Annotated[float, Meta(ge=0, le=4), Doc("alpha of prioritised replay; 0 draws evenly")] = 0.6
    weight_exponent: Annotated[Fraction, Doc("beta of prioritised replay at first, 1 at the end of the budget; 1 corrects in full")] = 0.4

    def __post_init__(self) -> None:
        require_steps(self, "learning_starts")
        if self.buffer_size <= self.num_envs:
            raise ValueError(f"buffer_size is {self.buffer_size}; it must be >= {self.num_envs + 1} with {self.num_envs} environments")

    def explorer_within(self, budget: int) -> Explorer:
        """Return the rule of exploration for a run of this budget, which a scale below 1 is a fraction of.

        >>> DQNConfig(exploration_steps=0.2).explorer_within(50_000).scale
        10000.0
        """
        explorer = self.explorer()
        is_fraction = self.exploration_schedule in ("linear", "exponential") and explorer.scale < 1
        return explorer._replace(scale=explorer.scale * budget) if is_fraction else explorer
