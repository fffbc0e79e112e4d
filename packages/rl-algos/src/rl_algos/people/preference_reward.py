"""PPO without the task's reward: a model of it is learned from comparisons of short pieces of behaviour, while the policy learns from it.

Source: P. Christiano, J. Leike, T. Brown, M. Martic, S. Legg, D. Amodei, "Deep reinforcement learning from human preferences", 2017,
sections 2.1 and 2.2.
Departures: pairs are drawn evenly, not by disagreement; the policy is PPO's; a piece that an episode's end cuts is shorter, so that a
survivor's piece is preferred; the judge is synthetic, with the true reward, unless comparisons are read from a file.
Letters: C comparisons, L steps of a piece, F numbers of a step, T steps of a rollout, N environments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces

from dl_nets.fast.bridge import Flat
from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.on_policy.rollout import Batch, Rollout
from rl_algos.people.comparisons import RewardModel, judged, preference_loss, read_comparisons
from rl_core.config import Count, Doc, Positive, Whole, configclass


@configclass
class PreferenceRewardConfig(PPOConfig):
    """Settings of learning from comparisons, in addition to `PPOConfig`."""

    comparisons: Annotated[Count, Doc("C, comparisons that the judge may be asked for in all")] = 1_500
    comparisons_per_rollout: Annotated[Count, Doc("comparisons after each rollout, until there are C")] = 50
    piece_steps: Annotated[Count, Doc("L, steps of a piece; at most rollout_steps")] = 25
    comparison_file: Annotated[str, Doc("JSON lines of comparisons, in place of the judge; empty: the synthetic judge")] = ""
    rationality: Annotated[Positive, Doc("beta of the judge, per unit of reward; .inf for no mistakes")] = float("inf")
    reward_hidden: Annotated[Count, Doc("units of the reward model's two hidden layers")] = 64
    reward_members: Annotated[Count, Doc("reward models that are averaged")] = 3
    reward_learning_rate: Annotated[Positive, Doc("step size of Adam for the reward models")] = 1e-3
    reward_updates: Annotated[Whole, Doc("gradient steps of the reward models after each rollout")] = 50
    reward_batch_size: Annotated[Count, Doc("comparisons of each member's minibatch")] = 64

    def __post_init__(self) -> None:
        """Refuse pieces that are longer than a rollout."""
        if self.piece_steps > self.rollout_steps:
            raise ValueError(f"piece_steps is {self.piece_steps}; it must be at most rollout_steps, {self.rollout_steps}")


class PreferenceReward(PPO):
    """The agent: PPO whose rewards are those of a model, which learns from comparisons of what was just played.

    The episode returns that it reports are the true ones, for the reader; learning sees only the judge's choices.
    """

    Config: ClassVar[type] = PreferenceRewardConfig
    config: PreferenceRewardConfig
    state_fields = (*PPO.state_fields, "model", "model_optimiser", "pieces", "present", "preferred", "num_comparisons")
    carries_state = False

    def setup(self) -> None:
        """Build the reward model and read the comparisons, if there are any.

        Raises:
            ValueError: if the file of comparisons cannot be read, or observations are not vectors.
        """
        super().setup()
        config, actions = self.config, self.task.output_space
        if not isinstance(self.task.input_space, spaces.Box) or len(self.task.input_space.shape or ()) != 1:
            raise ValueError(f"observations are {self.task.input_space}; the reward model reads vectors of numbers")
        num_actions = int(actions.n) if isinstance(actions, spaces.Discrete) else int(np.prod(actions.shape or ()))
        num_features = self.task.input_space.shape[0] + num_actions
        rng = self.seeds.numpy("initialisation of the reward")
        self.model = RewardModel(num_features, config.reward_hidden, config.reward_members, rng)
        self.model_optimiser = Optimiser("adam", Flat(self.model), learning_rate=config.reward_learning_rate)
        self.pairs = self.seeds.numpy("comparisons")
        most, steps = config.comparisons, config.piece_steps
        read = read_comparisons(Path(config.comparison_file), num_features) if config.comparison_file else None
        if read is not None:
            most, steps = len(read[2]), max(len(piece) for pieces in read[:2] for piece in pieces)
        self.pieces = np.zeros((2, most, steps, num_features), dtype=np.float32)
        self.present = np.zeros((2, most, steps), dtype=np.float32)  # which steps of a piece there are
        self.preferred = np.zeros(most, dtype=np.float32)
        self.num_comparisons = 0
        if read is not None:
            for side in range(2):
                for index, piece in enumerate(read[side]):
                    self.pieces[side, index, : len(piece)], self.present[side, index, : len(piece)] = piece, 1.0
            self.preferred[:], self.num_comparisons = read[2], most

    def estimate(self, rollout: Rollout, gae_lambda: float) -> Batch:
        """Return PPO's estimates with the model's rewards, after the judge was asked and the model has learned."""
        steps = self.features(rollout)
        self.ask(rollout, steps)
        self.learn_reward()
        reward = self.model.reward(steps.reshape(-1, steps.shape[2])).reshape(rollout.reward.shape)
        return super().estimate(rollout._replace(reward=reward), gae_lambda)

    def features(self, rollout: Rollout) -> np.ndarray:
        """Return what the model reads of each step [T, N, F]: the observation, and the action as it is carried out."""
        space = self.task.output_space
        if isinstance(space, spaces.Discrete):
            action = np.eye(int(space.n), dtype=np.float32)[rollout.action]
        else:
            action = np.clip(rollout.action.reshape(*rollout.reward.shape, -1), -1.0, 1.0)
        return np.concatenate([rollout.obs.astype(np.float32), action.astype(np.float32)], axis=2)

    def ask(self, rollout: Rollout, steps: np.ndarray) -> None:
        """Let the judge compare pairs of pieces of a rollout, as long as it may be asked.

        Args:
            rollout: [T, N]; its true rewards are what the judge sees.
            steps: [T, N, F].
        """
        config, length = self.config, self.pieces.shape[2]
        count = min(config.comparisons_per_rollout, len(self.preferred) - self.num_comparisons)
        if count <= 0:
            return
        num_steps, num_envs = rollout.reward.shape
        start = self.pairs.integers(num_steps - length + 1, size=(2, count))
        env = self.pairs.integers(num_envs, size=(2, count))
        time = start[:, :, None] + np.arange(length)  # [2, C, L]
        over = rollout.over[time, env[:, :, None]]
        before_end = (np.cumsum(over, axis=2) - over == 0).astype(np.float32)  # up to the step that ends the episode
        returns = (rollout.reward[time, env[:, :, None]] * before_end).sum(axis=2)
        place = slice(self.num_comparisons, self.num_comparisons + count)
        self.pieces[:, place] = steps[time, env[:, :, None]]
        self.present[:, place] = before_end
        self.preferred[place] = judged(returns[0], returns[1], config.rationality, self.pairs)
        self.num_comparisons += count

    def learn_reward(self) -> None:
        """Take gradient steps on all comparisons so far, each member on a draw of its own."""
        config, members = self.config, self.config.reward_members
        if self.num_comparisons == 0:
            return
        for _ in range(config.reward_updates):
            rows = self.pairs.integers(self.num_comparisons, size=(members, config.reward_batch_size))
            sums = []
            for side in range(2):
                piece = torch.from_numpy(self.pieces[side][rows])  # [M, B, L, F]
                rewards = self.model(piece.flatten(1, 2)).reshape(piece.shape[:3])
                sums.append((rewards * torch.from_numpy(self.present[side][rows])).sum(dim=2))
            loss = preference_loss(sums[0], sums[1], torch.from_numpy(self.preferred[rows]))
            self.model_optimiser.zero_grad()
            torch.autograd.backward(loss)
            self.model_optimiser.step()
        self.reward_loss = float(loss.detach())

    reward_loss = 0.0

    def step(self) -> dict[str, float]:
        """Run one iteration of PPO on the model's rewards."""
        return super().step() | {"reward_loss": self.reward_loss, "comparisons": float(self.num_comparisons)}

    def parameters(self) -> dict[str, Any]:
        """Return every trainable number, by name, but the last bias, which pieces of one length do not move: it cancels."""
        named = {f"reward_{name}": value.detach().numpy() for name, value in self.model.named_parameters()}
        last = f"reward_biases.{len(self.model.biases) - 1}"
        return super().parameters() | {name: value for name, value in named.items() if name != last}
