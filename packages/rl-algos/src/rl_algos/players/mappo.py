"""MAPPO: one PPO policy for all players of a team, improved by a critic that sees what all of them see; else, independent PPO.

Source: C. Yu, A. Velu, E. Vinitsky, J. Gao, Y. Wang, A. Bayen, Y. Wu, "The surprising effectiveness of PPO in cooperative multi-agent
games", 2022, Algorithm 1 without recurrence; `critic=own` is IPPO, C. Schroeder de Witt and others, "Is independent learning all you need
in the StarCraft multi-agent challenge?", 2020.
Departures: values are not normalised by running statistics; rewards are each player's own, which in a team are all the same.
Letters: B batch, T steps of a rollout, N environments, P players, A actions, D numbers of an observation, S numbers of a state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from dl_nets.fast.bridge import why_torch
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable, example, write
from dl_nets.learning.optimisers import Optimiser
from rl_algos.on_policy.ppo import kl_divergence, policy_loss
from rl_algos.on_policy.rollout import advantages, minibatches, standardise
from rl_algos.parts.distributions import chosen, log_softmax, sample_categorical
from rl_algos.parts.exported import TeamPolicy
from rl_algos.parts.masks import masked, masked_tensor
from rl_algos.parts.players import MaskedPlayer
from rl_algos.players.team import TeamTask, with_player
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.task import Predict


@configclass
class MAPPOConfig:
    """Settings of MAPPO."""

    critic: Annotated[Literal["central", "own"], Doc("what the critic of a player reads: the state of all, or the player's own sight")] = (
        "central"
    )
    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 32
    rollout_steps: Annotated[int, Meta(ge=2), Doc("T, steps of each environment between two updates")] = 64
    num_epochs: Annotated[Count, Doc("passes over a rollout")] = 5
    batch_size: Annotated[int, Meta(ge=2), Doc("choices of players in a minibatch")] = 1_024
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam at first; it falls to 0 along a line")] = 2e-3
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.97
    gae_lambda: Annotated[Fraction, Doc("lambda, 0 trusts the critic, 1 trusts the rewards")] = 0.95
    clip_range: Annotated[Positive, Doc("epsilon, how far the ratio may leave 1")] = 0.2
    value_weight: Annotated[NonNegative, Doc("weight of the value loss")] = 0.5
    entropy_weight: Annotated[NonNegative, Doc("weight of the entropy bonus")] = 0.01
    max_grad_norm: Annotated[Positive, Doc("longest gradient that is not shortened")] = 10.0


class Choices(NamedTuple):
    """Choices of players in a rollout, as an update needs them.

    Attributes:
        inputs: What the policy read [B, D + P].
        critic_inputs: What the critic read [B, K].
        action: [B].
        log_prob: ln pi_old(a|o) [B].
        advantage: [B].
        return_: Target of the value [B].
        legal: Which actions were allowed [B, A]; `None` where all are.
    """

    inputs: np.ndarray
    critic_inputs: np.ndarray
    action: np.ndarray
    log_prob: np.ndarray
    advantage: np.ndarray
    return_: np.ndarray
    legal: np.ndarray | None

    def take(self, rows: np.ndarray) -> Choices:
        """Return the choices at `rows` [M]."""
        legal = None if self.legal is None else self.legal[rows]
        inputs, seen, action, log_prob, advantage, return_ = (column[rows] for column in self[:6])
        return Choices(inputs, seen, action, log_prob, advantage, return_, legal)


class MAPPO(Agent):
    """An agent of P players that share one policy, which each applies to what it sees."""

    Config: ClassVar[type] = MAPPOConfig
    headline = "episode_return"
    state_fields = ("actor", "critic", "optimiser", "envs", "obs")
    learned_fields = ("actor", "critic")
    export_formats = FORMATS
    config: MAPPOConfig
    task: TeamTask
    network: Network

    def setup(self) -> None:
        """Build policy, critic and environments."""
        config, task, rng = self.config, self.task, self.seeds.numpy("initialisation")
        self.torch_device = resolve_device(self.device)
        read = spaces.Box(-np.inf, np.inf, ((task.state_space.shape or (0,))[0] + task.num_players,), np.float32)
        actions, value = spaces.Discrete(task.num_actions), spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.actor = self.network.build(task.player_space, actions, rng).to(self.torch_device).eval()
        self.critic = self.network.build(task.player_space if config.critic == "own" else read, value, rng).to(self.torch_device).eval()
        reason = why_torch(self.actor, self.critic)
        self.path = f"torch: {reason}" if reason else "fast: compiled layers"
        parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimiser = Optimiser("adam", parameters, learning_rate=config.learning_rate, epsilon=1e-5)
        self.draws, self.shuffle = self.seeds.numpy("actions"), self.seeds.numpy("minibatches")
        self.masks = "legal" in task.extras
        self.envs = task.envs(config.num_envs, self.seeds)
        self.obs = self.envs.reset()

    def step(self) -> dict[str, float]:
        """Play T steps of N environments, then improve policy and critic in some epochs of minibatches."""
        config = self.config
        self.optimiser.learning_rate = config.learning_rate * max(0.0, 1.0 - self.progress / self.budget)
        choices = self.collect()
        losses = []
        for rows in minibatches(self.shuffle, len(choices.action), config.batch_size, config.num_epochs):
            losses.append(self.update(choices.take(rows)))
        self.progress += config.rollout_steps * config.num_envs
        names = ("policy_loss", "value_loss", "entropy", "kl")
        return dict(zip(names, np.mean(losses, axis=0).tolist(), strict=True)) | self.envs.episode_metrics()

    def collect(self) -> Choices:
        """Return the choices of all players in T steps of N environments, with their advantages."""
        steps, count, players = self.config.rollout_steps, self.config.num_envs, self.task.num_players
        rows = (steps, count * players)
        inputs, seen, legal, after = [], [], [], []
        action, log_prob = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.float32)
        reward, over, going_on = np.empty(rows, dtype=np.float32), np.empty(rows, dtype=np.bool_), np.empty(rows, dtype=np.float32)
        for t in range(steps):
            inputs.append(with_player(self.obs))
            seen.append(self.critic_inputs(self.obs, inputs[-1]))
            if self.masks:
                legal.append(self.envs.extras()["legal"].reshape(count * players, -1))
            logits = masked(self.forward(self.actor, inputs[-1]), legal[-1] if self.masks else None)
            action[t] = sample_categorical(logits, self.draws.random(count * players))
            log_prob[t] = chosen(log_softmax(logits), action[t])
            result = self.envs.step(action[t].reshape(count, players))
            reward[t] = result.extras["rewards"].reshape(-1)
            over[t] = np.repeat(result.terminated | result.truncated, players)
            going_on[t] = np.repeat(~result.terminated, players)
            after.append(self.critic_inputs(result.final_obs, None))
            self.obs = result.obs
        value = self.values(np.concatenate(seen)).reshape(rows)
        next_value = self.values(np.concatenate(after)).reshape(rows)
        discount = np.float32(self.config.discount) * going_on
        advantage = advantages(reward, discount, value, next_value, over, self.config.gae_lambda)
        taken, old, gain, return_ = (array.reshape(-1) for array in (action, log_prob, advantage, advantage + value))
        return Choices(np.concatenate(inputs), np.concatenate(seen), taken, old, gain, return_, np.concatenate(legal) if legal else None)

    def critic_inputs(self, obs: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
        """Return what the critic reads [N P, K] at observations [N, P, D], of which the policy reads `inputs`, computed if it is `None`."""
        if self.config.critic == "own":
            return with_player(obs) if inputs is None else inputs
        states = self.task.states(obs)
        return with_player(np.broadcast_to(states[:, None], (len(obs), obs.shape[1], states.shape[1])))

    def update(self, batch: Choices) -> tuple[float, float, float, float]:
        """Take one gradient step on choices [B]; return policy loss, value loss, entropy and KL divergence before it."""
        config = self.config
        legal = None if batch.legal is None else self.tensor(batch.legal)
        log_p = masked_tensor(self.actor(self.tensor(batch.inputs)), legal).log_softmax(dim=1)
        log_ratio = log_p.gather(1, self.tensor(batch.action)[:, None]).squeeze(1) - self.tensor(batch.log_prob)
        loss_of_policy = policy_loss(log_ratio.exp(), self.tensor(standardise(batch.advantage)), config.clip_range)
        entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
        value = self.critic(self.tensor(batch.critic_inputs)).squeeze(1)
        loss_of_value = (value - self.tensor(batch.return_)).square().mean()
        self.optimiser.zero_grad()
        torch.autograd.backward(loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy)
        self.optimiser.step(config.max_grad_norm)
        divergence = kl_divergence(log_ratio.detach())
        return loss_of_policy.item(), loss_of_value.item(), entropy.item(), divergence.item()

    def values(self, inputs: np.ndarray) -> np.ndarray:
        """Return values [B] of what the critic reads [B, K]."""
        return self.forward(self.critic, inputs)[:, 0]

    @torch.no_grad()
    def forward(self, module: Any, inputs: np.ndarray) -> np.ndarray:
        """Return a module's outputs [B, K] of inputs [B, I]."""
        outputs: np.ndarray = module(self.tensor(inputs)).cpu().numpy()
        return outputs

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, P] at observations [B, P, D]."""
        return self.greedy(inputs, np.zeros((len(inputs), 0), np.float32))[0]

    def predictor(self) -> Predict:
        """Return `predict`, or a player that takes none but allowed actions."""
        return MaskedPlayer(self.greedy, 0) if self.masks else self.predict

    def greedy(self, obs: np.ndarray, state: np.ndarray, legal: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the most probable actions [B, P] at observations [B, P, D], and the states as they are, as it has no memory."""
        allowed = None if legal is None else legal.reshape(-1, legal.shape[-1])
        logits = masked(self.forward(self.actor, with_player(np.asarray(obs, dtype=np.float32))), allowed)
        return logits.argmax(axis=1).reshape(len(obs), -1), state

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the networks' device."""
        return torch.from_numpy(array).to(self.torch_device)

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the policy of the players, in one of `export_formats`; see `dl_nets.learning.export`."""
        words = {
            "actions": "each player's most probable action",
            "outputs": "logits of each player's actions, those not allowed among them",
        }
        policy = TeamPolicy(self.actor, self.task.num_players)
        return write(Exportable(policy, self.actor, {"observations": example(self.task.input_space)}, words), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        named = [*self.actor.named_parameters("actor"), *self.critic.named_parameters("critic")]
        return {name: value.detach().cpu().numpy() for name, value in named}
