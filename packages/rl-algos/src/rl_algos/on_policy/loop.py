"""On-policy agents: a policy and its critic, which play in environments and improve on what was just collected.

`OnPolicy` builds, plays and estimates; an algorithm adds `step`. `ActorCritic` is an `nn.Module` whichever way it is computed. Where both
networks are plain perceptrons on the CPU, it also offers them as arrays (`fast`), for acting and for hand-derived updates.

Letters: T steps, N environments, B batch or T N transitions, A actions, D dimensions of a continuous action, S size of a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import Flat, why_torch
from dl_nets.fast.mlp import FastMLP, Layout
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, Exportable
from rl_algos.on_policy.rollout import Batch, Collector, Normalised, Rollout, advantages, flat
from rl_algos.on_policy.shared_body import build_heads, outputs_of
from rl_algos.parts.composed import AnyDistribution, distribution_of, head_space
from rl_algos.parts.exported import Observations, Policy, PolicyWithMemory, action_layer, exportable
from rl_algos.parts.masks import legal_at, masked, masked_tensor
from rl_algos.parts.players import MaskedPlayer, Player
from rl_algos.parts.recurrence import Sequences, Unroller, in_order, one_step
from rl_core.agent import Agent
from rl_core.compiling import vectorised
from rl_core.config import Count, Doc, Fraction, NonNegative, configclass
from rl_core.network import Network
from rl_core.task import ControlTask, Predict


@configclass
class OnPolicyConfig:
    """Settings of every on-policy agent; each extends them."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with running statistics")] = False
    normalise_reward: Annotated[bool, Doc("rewards by the running deviation of the discounted return")] = False
    policy_gain: Annotated[NonNegative, Doc("factor on the first weights of the policy's last layer; small is near uniform")] = 0.01
    log_std: Annotated[float, Doc("first ln sigma of continuous actions, in units of the Box's half width, any number")] = 0.0


class NoCritic(nn.Module):
    """The critic of an agent that learns no values: 0 everywhere, without parameters."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return zeros [B, 1] for inputs [B, ...]."""
        return torch.zeros(len(inputs), 1, device=inputs.device)

    def why_torch(self) -> str:
        """Return "": there is nothing to compute."""
        return ""


class FastPolicy:
    """Actor and critic as perceptrons on arrays, on the memory of an `ActorCritic`.

    Attributes:
        actor: From inputs [B, I] to heads.
        critic: From inputs [B, I] to values [B, 1]; `None` without a critic.
        log_std: ln sigma [D], a view.
    """

    def __init__(
        self, actions: AnyDistribution, actor: FastMLP, critic: FastMLP | None, log_std: np.ndarray, log_std_error: np.ndarray
    ) -> None:
        self.actions, self.actor, self.critic = actions, actor, critic
        self.log_std, self.log_std_error = log_std, log_std_error

    def policy(self, inputs: np.ndarray, legal: np.ndarray | None = None) -> np.ndarray:
        """Return the policy at inputs [B, I], where the actions `legal` [B, A] are allowed, as the distribution's functions take it."""
        head = self.actor.forward(inputs)
        return self.actions.policy(head if legal is None else masked(head, legal))

    def log_prob(self, policy: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return ln pi(a|s) [B] of actions [B] or [B, D]."""
        return self.actions.array_log_prob(policy, self.log_std, action)

    def entropy(self, policy: np.ndarray) -> np.ndarray:
        """Return the entropy [B] in nats."""
        return self.actions.array_entropy(policy, self.log_std)

    def backward(self, policy: np.ndarray, action: np.ndarray, by_log_prob: np.ndarray, by_entropy: float) -> None:
        """Write the gradient of the policy, after the `policy` of the same inputs.

        Args:
            policy: As `policy` returned it.
            action: [B] or [B, D].
            by_log_prob: The loss's derivative with respect to ln pi(a|s) [B].
            by_entropy: And with respect to the mean entropy.
        """
        by_entropies = np.full(len(policy), by_entropy / len(policy), np.float32)
        self.actor.backward(self.actions.array_error(policy, self.log_std, action, by_log_prob, by_entropies, self.log_std_error))

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave a copy of the actor-critic without arrays: they are those of the original's memory."""
        return type(None), ()


class ActorCritic(nn.Module):
    """A policy and its critic.

    Args:
        actor: Inputs [B, ...] to the head of the distribution [B, A] or [B, D].
        critic: Inputs [B, ...] to values [B, 1].
        actions: The distribution of actions.
        log_std: First ln sigma.
        device: Where to compute.
        together: Whether one optimiser moves both, so that all parameters are on one vector.

    Attributes:
        policy_flat: ln sigma and the actor's parameters, on one vector; followed by the critic's if `together`.
        critic_flat: The critic's parameters on a vector, the same one if `together`; `None` without a critic.
        fast: Both as perceptrons on arrays, where they are plain ones on the CPU that read vectors; else `None`.
    """

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: AnyDistribution, *, log_std: float, device: torch.device, together: bool
    ) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.full((actions.scale_size,), log_std))
        # Dropout and batch statistics would make the ratio differ from 1 before anything was learned: evaluation mode throughout.
        self.actor: Any = actor.eval()
        self.critic: Any = critic.eval()
        self.actions, self.device = actions, device
        self.to(device)
        has_critic = not isinstance(critic, NoCritic)
        self.policy_flat = Flat(self) if together else Flat(self.log_std, actor)
        self.critic_flat = (self.policy_flat if together else Flat(critic)) if has_critic else None
        self.fast = self._fast_policy()

    def head(self, inputs: np.ndarray) -> np.ndarray:
        """Return the actor's output [B, A] or [B, D] on inputs [B, ...]; valid until the next call."""
        return self._answer(self.actor, inputs).cpu().numpy() if self.fast is None else self.fast.actor.forward(inputs)

    def value(self, inputs: Any) -> np.ndarray:
        """Return V(s) [B] of inputs [B, ...]."""
        if self.fast is not None and self.fast.critic is not None:
            return self.fast.critic.forward(inputs)[:, 0].copy()
        return self._answer(self.critic, inputs).squeeze(1).cpu().numpy()

    def log_prob(self, inputs: Any, action: np.ndarray, legal: np.ndarray | None = None) -> np.ndarray:
        """Return ln pi(a|s) [B] of actions [B] or [B, D] at inputs [B, ...], where the actions `legal` [B, A] are allowed."""
        if self.fast is not None:
            return self.fast.log_prob(self.fast.policy(inputs, legal), action)
        head = masked_tensor(self._answer(self.actor, inputs), None if legal is None else self.tensor(legal))
        return self.actions.log_prob(head, self.log_std.detach(), self.tensor(action)).cpu().numpy()

    def outputs(self, inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the actor's head [B, A] or [B, D] and values [B] of inputs [B, ...], for a gradient."""
        return outputs_of(self.actor, self.critic, inputs)

    @torch.no_grad()
    def value_and_log_prob(self, inputs: np.ndarray, action: np.ndarray, legal: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return `value` and `log_prob` [B] of inputs [B, ...], by one pass where actor and critic share a body."""
        head, value = self.outputs(self.tensor(inputs))
        head = masked_tensor(head, None if legal is None else self.tensor(legal))
        log_prob = self.actions.log_prob(head, self.log_std, self.tensor(action))
        return value.cpu().numpy(), log_prob.cpu().numpy()

    @torch.no_grad()
    def advance(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the actor's output [N, A] or [N, D] on inputs [N, ...] that follow those before, and the next memory [N, S].

        Args:
            inputs: [N, ...].
            state: The memory of both networks, 0 where an episode begins [N, S].
        """
        given, before = self.tensor(inputs), self.tensor(state)
        head, after = self.actor.advance(given, before)
        _, critic_after = self.critic.advance(given, before)
        return head.cpu().numpy(), torch.cat([after, critic_after], dim=1).cpu().numpy()

    @property
    def sigma(self) -> np.ndarray:
        """The ln sigma [D] of a Gaussian, [0] of a categorical."""
        return self.log_std.detach().cpu().numpy() if self.fast is None else self.fast.log_std

    def tensor(self, array: Any) -> Any:
        """Return the same numbers on the device: a tensor of an array, `Sequences` of tensors of those of arrays."""
        return array.to(self.device) if isinstance(array, Sequences) else torch.from_numpy(array).to(self.device)

    @torch.no_grad()
    def _answer(self, module: nn.Module, inputs: Any) -> torch.Tensor:
        outputs: torch.Tensor = module(self.tensor(inputs))
        return outputs

    def _fast_policy(self) -> FastPolicy | None:
        if not getattr(self.actor, "vector_inputs", False):
            return None
        actor = self.policy_flat.fast_mlp(self.actor)
        critic = None if self.critic_flat is None else self.critic_flat.fast_mlp(self.critic)
        if actor is None or (critic is None and self.critic_flat is not None):
            return None
        part, flat = self.policy_flat.slice_of(self.log_std), self.policy_flat
        return FastPolicy(self.actions, actor, critic, flat.vector[part].numpy(), flat.gradient[part].numpy())


@vectorised
def value_error(
    value: np.ndarray, return_: np.ndarray, old_value: np.ndarray, held: float, weight: float, losses: np.ndarray
) -> np.ndarray:
    """Return the derivative of weight * L^VF with respect to V(s) [B, 1], and write L^VF into `losses` at 1.

    Args:
        value: V(s) [B].
        return_: Its target [B].
        old_value: V_old(s) [B].
        held: How far V may move from V_old before the worse of both errors counts; infinite for no such limit.
        weight: c1.
        losses: Written to at 1.

    >>> one, losses = np.ones(1, dtype=np.float32), np.zeros(5, dtype=np.float32)
    >>> value_error(2 * one, 3 * one, 0 * one, np.inf, 0.5, losses).tolist(), losses[1].item()
    ([[-1.0]], 1.0)
    """
    size = len(value)
    error = np.empty((size, 1), dtype=np.float32)
    total = 0.0
    for b in range(size):
        miss = value[b] - return_[b]
        held_miss = old_value[b] + min(max(value[b] - old_value[b], -held), held) - return_[b]
        # Without the first condition rounding alone would make the held value the worse one half of the time.
        is_held = abs(value[b] - old_value[b]) > held and held_miss * held_miss > miss * miss
        error[b, 0] = 0.0 if is_held else 2 * weight * miss / size
    for b in range(size):
        miss = value[b] - return_[b]
        held_miss = old_value[b] + min(max(value[b] - old_value[b], -held), held) - return_[b]
        is_held = abs(value[b] - old_value[b]) > held and held_miss * held_miss > miss * miss
        total += held_miss * held_miss if is_held else miss * miss
    losses[1] = total / size
    return error


class OnPolicy(Agent):
    """Base of agents that build a policy, play it, and estimate the advantage of each action. A subclass implements `step`.

    Attributes:
        carries_state: Whether the algorithm updates on whole sequences, so that it can train stateful networks.
        together: Whether one optimiser moves policy and critic.
        by_hand: Whether it has a hand-derived update.
        takes_masks: Whether actions that the task does not allow are never taken.
    """

    headline = "episode_return"
    export_formats = FORMATS
    state_fields: ClassVar[tuple[str, ...]] = ("actor_critic", "collector")
    learned_fields: ClassVar[tuple[str, ...]] = ("actor_critic",)
    config: OnPolicyConfig
    task: ControlTask
    network: Network
    carries_state: ClassVar[bool] = False
    together: ClassVar[bool] = False
    by_hand: ClassVar[bool] = False
    takes_masks: ClassVar[bool] = False

    def setup(self) -> None:
        """Build actor, critic and environments."""
        config, task = self.config, self.task
        self.actions = distribution_of(task.output_space)
        rng = self.seeds.numpy("initialisation")
        actor: nn.Module
        critic: nn.Module
        if self.shares_body:
            actor, critic = build_heads(task, self.network, rng, config.policy_gain)
        else:
            actor, critic = build_networks(
                task,
                self.network,
                rng,
                policy_gain=config.policy_gain,
                with_critic=self.has_critic,
                carries_state=self.carries_state,
            )
        self.state_size = sum(module.state_size for module in (actor, critic) if isinstance(module, Unroller))
        self.masks = self.takes_masks and "legal" in task.extras
        if "legal" in task.extras and not self.masks:
            self.warnings.append(
                f"the task says which actions are allowed, which {type(self).__name__} does not use: it learns from the reward for others; "
                "ppo, a2c, dqn and agents that keep a table never take them"
            )
        self.collector = Collector(
            task,
            self.actions,
            num_envs=config.num_envs,
            seeds=self.seeds,
            discount=config.discount,
            normalised=Normalised(config.normalise_obs, config.normalise_reward),
            state_size=self.state_size,
            masks=self.masks,
        )
        self.actor_critic = ActorCritic(
            actor, critic, self.actions, log_std=config.log_std, device=device_for(actor, self.device), together=self.together
        )
        self.path = path_of(actor, critic, by_hand=self.by_hand and self.actor_critic.fast is not None)

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Take over the networks of another run, and its statistics of observations."""
        super().start_from(state)
        self.collector.moments.load_state_dict(state["collector"]["moments"])

    @property
    def has_critic(self) -> bool:
        """True if values are learned."""
        return True

    @property
    def shares_body(self) -> bool:
        """True if actor and critic are heads of one network."""
        return False

    def scheduled(self, value: float, name: Literal["constant", "linear"]) -> float:
        """Return a setting as it is now: itself, or what is left of it on a line to 0 at the end of the budget."""
        return value if name == "constant" else value * max(0.0, 1.0 - self.progress / self.budget)

    def estimate(self, rollout: Rollout, gae_lambda: float) -> Batch:
        """Return the rollout [T, N, ...] as one batch [T N, ...], with advantages and the targets of the values."""
        inputs: Any = self.collector.inputs(flat(rollout.obs))
        action, learner = flat(rollout.action), self.actor_critic
        legal = None if rollout.legal is None else flat(rollout.legal)
        if self.shares_body:
            value, log_prob = learner.value_and_log_prob(inputs, action, legal)
            next_value = self._next_values(rollout, value)
        else:
            led_to: Any = self.collector.inputs(flat(rollout.final_obs))
            if self.state_size:
                inputs, led_to = in_order(inputs, rollout.over, rollout.state), one_step(led_to, flat(rollout.next_state))
            value, next_value = learner.value(inputs), learner.value(led_to)
            log_prob = learner.log_prob(inputs, action, legal)
        reward = self.collector.reward(rollout)
        # A terminated episode has no future; one that a time limit cut has, and the critic estimates its worth.
        discount = np.where(rollout.terminated, 0.0, self.config.discount).astype(np.float32)
        advantage = advantages(
            reward, discount, value.reshape(reward.shape), next_value.reshape(reward.shape), rollout.over, gae_lambda
        ).ravel()
        return Batch(inputs, action, log_prob, value, advantage, advantage + value, legal)

    def _next_values(self, rollout: Rollout, value: np.ndarray) -> np.ndarray:
        """Return values [T N] of what each step led to: of the next step's observation, computed anew only where that is not it.

        Terminated steps have 0, which nothing reads.
        """
        shape = rollout.reward.shape
        values = np.zeros(shape, np.float32)
        values[:-1] = value.reshape(shape)[1:]
        values[rollout.terminated] = 0.0
        anew = rollout.truncated & ~rollout.terminated
        anew[-1] = ~rollout.terminated[-1]
        if anew.any():
            values[anew] = self.actor_critic.value(self.collector.inputs(rollout.final_obs[anew]))
        return values.ravel()

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, ...] at observations [B, ...]; with a memory, at the first observations of episodes."""
        legal = legal_at(self.task, inputs) if self.masks else None
        return self._answer(inputs, np.zeros((len(inputs), self.state_size), np.float32), legal)[0]

    def predictor(self) -> Predict:
        """Return `predict`, or a player that remembers each episode, and which actions are allowed."""
        if self.masks:
            return MaskedPlayer(self._answer, self.state_size)
        return Player(self._answer, self.state_size) if self.state_size else self.predict

    def exported(self) -> Exportable:
        """Return the greedy policy as a graph; one with a memory has the actor's part of it alone."""
        observations = Observations(self.collector.moments if self.config.normalise_obs else None)
        actor, action = self.actor_critic.actor, action_layer(self.actions)
        if isinstance(actor, Unroller):
            return exportable(PolicyWithMemory(observations, actor.network, action), self.task.input_space, actor.state_size)
        return exportable(Policy(observations, actor, action), self.task.input_space)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self.actor_critic.named_parameters() if value.numel()}

    def _answer(self, inputs: np.ndarray, state: np.ndarray, legal: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the most probable of the allowed actions [B, ...] at observations [B, ...] after a state [B, S], and the next state."""
        seen = self.collector.inputs(inputs)
        head, state = self.actor_critic.advance(seen, state) if self.state_size else (self.actor_critic.head(seen), state)
        return self.actions.to_env(self.actions.greedy(masked(head, legal))), state


def build_networks(
    task: ControlTask,
    network: Network,
    rng: np.random.Generator,
    *,
    policy_gain: float,
    with_critic: bool = True,
    carries_state: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Return actor and critic of the same network, each with parameters of its own; a `NoCritic` where none is wanted.

    The networks start as they are configured (`mlp` and `cnn`: orthogonal, gain sqrt(2), last layer 1); the policy's last layer
    is then scaled down by `policy_gain`, so that the first policy prefers nothing. For an agent that carries a state, stateful
    networks are wrapped in `Unroller`, the critic's part of the state behind the actor's.
    """
    values, heads = spaces.Box(-np.inf, np.inf, (1,), np.float32), head_space(task.output_space)
    actor: nn.Module
    critic: nn.Module
    if carries_state and network.stateful:
        actor = Unroller(network.build_stepped(task.input_space, heads, rng))
        critic = Unroller(network.build_stepped(task.input_space, values, rng), first=actor.state_size)
    else:
        actor = network.build(task.input_space, heads, rng)
        critic = network.build(task.input_space, values, rng) if with_critic else NoCritic()
    linear = [module for module in actor.modules() if isinstance(module, nn.Linear)]
    if linear:
        linear[-1].weight.data.mul_(policy_gain)
    return actor, critic


def device_for(actor: nn.Module, name: str) -> torch.device:
    """Return the device named "auto", "cpu" or "cuda"; with "auto", perceptrons with a fast path stay on the CPU."""
    stays = name != "cuda" and Layout.of(actor) is not None and not why_torch(actor)
    return torch.device("cpu") if stays else resolve_device(name)


def path_of(*modules: nn.Module, by_hand: bool) -> str:
    """Return how networks are computed and updated, in words, for `Agent.path`.

    >>> path_of(nn.Linear(2, 2), by_hand=False)
    'torch: Linear has no fast path'
    """
    reason = why_torch(*modules)
    if reason:
        return f"torch: {reason}"
    return "fast: compiled layers, hand-derived update" if by_hand else "fast: compiled layers, torch's gradient of the loss"
