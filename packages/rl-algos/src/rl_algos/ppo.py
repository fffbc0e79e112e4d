"""PPO, proximal policy optimisation: many small gradient steps on one rollout, none of which may move the policy far.

Source: J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov. "Proximal policy optimization algorithms", 2017, section 3 and
Algorithm 1; advantages from J. Schulman and others, 2016 (see `gae`).
Departures, each a setting below: advantages are normalised in each minibatch, gradients are clipped by their norm, learning rate
and clip range may fall to 0, values may be clipped, observations and rewards may be normalised; S. Huang and others, "The 37
implementation details of proximal policy optimization", 2022, tell where these come from. Besides: actor and critic are two
networks; an episode that a time limit cuts is bootstrapped from where it was cut; the statistics of observations move once a
rollout, after its gradient steps, so that every ratio (6) starts at 1.
Errata: equation (9) is written as an objective to maximise; here everything is a loss, so its signs are turned.
Letters: B batch, T steps of a rollout, N environments, A actions, D dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.devices import resolve_device
from dl_nets.fast_mlp import Layout, one_thread
from dl_nets.optimisers import Optimiser, clip_gradient_norm
from dl_nets.schedules import schedule
from dl_nets.streams import load_module_state, module_state
from rl_algos.distributions import Categorical, Gaussian, distribution
from rl_algos.gae import advantages
from rl_algos.normalisation import RewardScale, RunningMoments
from rl_algos.ppo_compiled import CompiledActorCritic
from rl_core.agent import Agent
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@dataclass(frozen=True)
class PPOConfig:
    """Settings of PPO; the defaults are the paper's for continuous control where it gives any."""

    num_envs: int = 8  # N, environments stepped together, >= 1
    rollout_steps: int = 256  # T, steps of each environment between two updates, >= 1
    num_epochs: int = 10  # K, passes over a rollout, >= 1
    batch_size: int = 64  # M, transitions in a minibatch, >= 2
    learning_rate: float = 3e-4  # alpha, step size of Adam, > 0
    learning_rate_schedule: Literal["constant", "linear"] = "constant"  # linear goes down to 0 at the end of the budget
    discount: float = 0.99  # gamma, weight of the next step's reward, in [0, 1]
    gae_lambda: float = 0.95  # lambda, 0 trusts the critic, 1 trusts the rewards, in [0, 1]
    clip_range: float = 0.2  # epsilon, how far the ratio may leave 1, > 0
    clip_range_schedule: Literal["constant", "linear"] = "constant"  # linear goes down to 0 at the end of the budget
    value_clip_range: float | None = None  # how far a value may move in one iteration, > 0; none for any distance
    value_weight: float = 0.5  # c1, weight of the value loss, >= 0
    entropy_weight: float = 0.0  # c2, weight of the entropy bonus, >= 0
    max_grad_norm: float = 0.5  # longest gradient that is not shortened, > 0
    target_kl: float | None = None  # KL divergence in nats after which a rollout's epochs stop, > 0; none for never
    normalise_advantage: bool = True  # mean 0 and deviation 1 in each minibatch
    normalise_obs: bool = False  # observations to mean 0 and deviation 1, with running statistics
    normalise_reward: bool = False  # rewards by the running deviation of the discounted return
    policy_gain: float = 0.01  # factor on the first weights of the policy's last layer, >= 0; small is near uniform
    log_std: float = 0.0  # first ln sigma of continuous actions, in units of the Box's half width, any number
    compiled: bool = True  # whether a plain perceptron on the CPU takes the compiled path; the results differ by rounding

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        counts = (("num_envs", 1), ("rollout_steps", 1), ("num_epochs", 1), ("batch_size", 2))
        for name, least in (*counts, ("value_weight", 0), ("entropy_weight", 0), ("policy_gain", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("learning_rate", "clip_range", "value_clip_range", "max_grad_norm", "target_kl"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be > 0")
        for name in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.rollout_steps * self.num_envs < 2:
            raise ValueError("rollout_steps * num_envs is 1; a rollout must have at least 2 transitions")


class Rollout(NamedTuple):
    """T steps of N environments [T, N, ...]; `action` as it was drawn, `final_obs` where each step led."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_obs: np.ndarray


class Batch(NamedTuple):
    """Transitions with all that an update needs, estimated once a rollout: constants to the gradient."""

    inputs: np.ndarray  # observations as the networks see them [B, ...]
    action: np.ndarray  # as it was drawn, before any cut [B] or [B, D]
    log_prob: np.ndarray  # ln pi_old(a|s) [B]
    value: np.ndarray  # V_old(s) [B]
    advantage: np.ndarray  # [B]
    return_: np.ndarray  # what the value should be, advantage + V_old(s) [B]

    def take(self, indices: np.ndarray) -> Batch:
        """The transitions at `indices` [M]."""
        return Batch(*(column[indices] for column in self))


LOSSES = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
"""What an update returns, in this order."""


def policy_loss(ratio: torch.Tensor, advantage: torch.Tensor, clip_range: float) -> torch.Tensor:
    """-L^CLIP (7), a scalar: the smaller of two gains, so that moving the ratio out of [1 - eps, 1 + eps] never pays.

    Args:
        ratio: pi(a|s) / pi_old(a|s) [B]. (6)
        advantage: [B].
        clip_range: eps.

    >>> policy_loss(torch.tensor([1.5, 0.5]), torch.tensor([1.0, -1.0]), 0.2)  # -(min(1.5, 1.2) + min(-0.5, -0.8)) / 2
    tensor(-0.2000)
    """
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


def value_loss(value: torch.Tensor, return_: torch.Tensor, old_value: torch.Tensor, clip_range: float | None) -> torch.Tensor:
    """L^VF of (9), a scalar: the mean squared error of values [B], or of values held near the old ones where that is worse.

    >>> value, target, old = torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([0.0])
    >>> value_loss(value, target, old, None), value_loss(value, target, old, 0.5)  # (2 - 3)^2, (0.5 - 3)^2
    (tensor(1.), tensor(6.2500))
    """
    error = (value - return_) ** 2
    if clip_range is not None:
        held = old_value + (value - old_value).clamp(-clip_range, clip_range)
        error = torch.maximum(error, (held - return_) ** 2)
    return error.mean()


def kl_divergence(log_ratio: torch.Tensor) -> torch.Tensor:
    """KL(pi_old || pi), a scalar, from ln ratios [B] of actions that pi_old took: mean of (ratio - 1) - ln ratio, never negative.

    Source: J. Schulman, "Approximating KL divergence", 2020, estimator k3.

    >>> kl_divergence(torch.tensor([0.0, 0.6931]))  # (0 + 1 - ln 2) / 2
    tensor(0.1534)
    """
    return (log_ratio.exp() - 1 - log_ratio).mean()


class ActorCritic:
    """Two networks and their optimiser, in torch: any network on any device. Its compiled twin is in `ppo_compiled`.

    Args:
        actor: Inputs [B, ...] to the head of the distribution [B, A] or [B, D].
        critic: Inputs [B, ...] to values [B, 1].
        actions: What the head means.
        config: Settings.
        device: Where to compute.
    """

    def __init__(
        self, actor: nn.Module, critic: nn.Module, actions: Categorical | Gaussian, config: PPOConfig, device: torch.device
    ) -> None:
        self._actions, self._config, self._device = actions, config, device
        self._log_std = nn.Parameter(torch.full((actions.scale_size,), config.log_std))
        # Dropout and batch statistics would make the ratio differ from 1 before anything was learned: evaluation mode throughout.
        self._actor, self._critic = actor.eval(), critic.eval()
        self._module = nn.ModuleDict({"actor": actor, "critic": critic})
        self._module.register_parameter("log_std", self._log_std)
        self._module.to(device)
        self._optimiser = Optimiser("adam", self._module.parameters(), learning_rate=config.learning_rate, epsilon=1e-5)

    def update(self, batch: Batch, learning_rate: float, clip_range: float) -> np.ndarray:
        """One gradient step on a minibatch; the five `LOSSES` before it."""
        config = self._config
        inputs, action, old_log_prob, old_value, advantage, return_ = (self._tensor(column) for column in batch)
        if config.normalise_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        head = self._actor(inputs)
        log_ratio = self._actions.log_prob(head, self._log_std, action) - old_log_prob
        ratio = log_ratio.exp()  # (6)
        loss_of_policy = policy_loss(ratio, advantage, clip_range)
        loss_of_value = value_loss(self._critic(inputs).squeeze(1), return_, old_value, config.value_clip_range)
        entropy = self._actions.entropy(head, self._log_std).mean()
        loss = loss_of_policy + config.value_weight * loss_of_value - config.entropy_weight * entropy  # (9)

        self._optimiser.zero_grad()
        loss.backward()
        clip_gradient_norm(self._module.parameters(), config.max_grad_norm)
        self._optimiser.learning_rate = learning_rate
        self._optimiser.step()
        with torch.no_grad():
            clipped = ((ratio - 1).abs() > clip_range).float().mean()
            return torch.stack([loss_of_policy, loss_of_value, entropy, kl_divergence(log_ratio), clipped]).cpu().numpy()

    @torch.no_grad()
    def head(self, inputs: np.ndarray) -> np.ndarray:
        """The actor's output [B, A] or [B, D] on inputs [B, ...]."""
        return self._actor(self._tensor(inputs)).cpu().numpy()

    @torch.no_grad()
    def value(self, inputs: np.ndarray) -> np.ndarray:
        """V(s) [B] of inputs [B, ...]."""
        return self._critic(self._tensor(inputs)).squeeze(1).cpu().numpy()

    @torch.no_grad()
    def log_prob(self, inputs: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Log-probabilities ln pi(a|s) [B] of actions [B] or [B, D] at inputs [B, ...]."""
        head = self._actor(self._tensor(inputs))
        return self._actions.log_prob(head, self._log_std, self._tensor(action)).cpu().numpy()

    @property
    def log_std(self) -> np.ndarray:
        """The ln sigma [D] of a Gaussian, [0] of a categorical."""
        return self._log_std.detach().cpu().numpy()

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy() for name, value in self._module.named_parameters() if value.numel()}

    def state_dict(self) -> dict[str, Any]:
        """Parameters, Adam's moments and its step count."""
        return {"module": module_state(self._module), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self._module, state["module"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


class PPO(Agent):
    """The agent: collects with N environments, estimates advantages, improves on minibatches."""

    Config: ClassVar[type] = PPOConfig
    headline = "episode_return"
    config: PPOConfig

    def __init__(self, config: PPOConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        if config.normalise_obs and not isinstance(task.input_space, spaces.Box):
            raise ValueError(
                f"normalise_obs is true, and observations are {task.input_space}; only those of a Box have a mean, so set it to false"
            )
        self.actions = distribution(task.output_space)
        self.actor_critic = build_actor_critic(config, task, network, self.actions, seeds.numpy("initialisation"), device)
        self.moments = RunningMoments(task.input_space.shape or ())
        self.reward_scale = RewardScale(config.num_envs, config.discount)
        self.noise, self.shuffle = seeds.numpy("actions"), seeds.numpy("minibatches")
        self.envs = task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset()

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: a rollout of T steps of N environments, then K epochs of minibatches on it."""
        config, done = self.config, self.progress / self.budget
        learning_rate = config.learning_rate * schedule(config.learning_rate_schedule)(done)
        clip_range = config.clip_range * schedule(config.clip_range_schedule)(done)

        rollout = self.collect()
        batch = self.estimate(rollout)
        losses = []
        for indices in self.minibatches():
            losses.append(self.actor_critic.update(batch.take(indices), learning_rate, clip_range))
            if config.target_kl is not None and losses[-1][LOSSES.index("kl")] > config.target_kl:
                break
        if config.normalise_obs:
            self.moments.update(flat(rollout.obs))
        self.progress += rollout.reward.size

        metrics = dict(zip(LOSSES, np.mean(losses, axis=0).tolist(), strict=True))
        metrics |= {"value": float(batch.value.mean()), "learning_rate": learning_rate, "updates": len(losses)}
        if episodes := self.envs.pop_episodes():
            metrics["episode_return"] = float(np.mean([return_ for _, return_, _ in episodes]))
            metrics["episode_length"] = float(np.mean([length for _, _, length in episodes]))
        return metrics

    def collect(self) -> Rollout:
        """A rollout of the policy as it is, from where the last one ended."""
        noise = self.actions.noise(self.noise, self.config.rollout_steps, self.config.num_envs)
        steps = []
        for t in range(self.config.rollout_steps):
            action = self.actions.sample(self.actor_critic.head(self.inputs(self.obs)), self.actor_critic.log_std, noise[t])
            after = self.envs.step(self.actions.to_env(action))
            steps.append((self.obs, action, after.reward, after.terminated, after.truncated, after.final_obs))
            self.obs = after.obs
        return Rollout(*(np.stack(column) for column in zip(*steps, strict=True)))

    def estimate(self, rollout: Rollout) -> Batch:
        """The rollout [T, N, ...] as one batch [T N, ...], with advantages and the targets of the values."""
        reward, over = rollout.reward, rollout.terminated | rollout.truncated
        inputs, action = self.inputs(flat(rollout.obs)), flat(rollout.action)
        value = self.actor_critic.value(inputs)
        next_value = self.actor_critic.value(self.inputs(flat(rollout.final_obs)))
        if self.config.normalise_reward:
            reward = self.reward_scale(reward, over)
        # A terminated episode has no future; one that a time limit cut has, and the critic says what it is worth.
        discount = np.where(rollout.terminated, 0.0, self.config.discount).astype(np.float32)
        advantage = advantages(
            reward, discount, value.reshape(reward.shape), next_value.reshape(reward.shape), over, self.config.gae_lambda
        ).ravel()
        return Batch(inputs, action, self.actor_critic.log_prob(inputs, action), value, advantage, advantage + value)

    def minibatches(self) -> Iterator[np.ndarray]:
        """Indices [M] of each minibatch, in a new order in every epoch: M is `batch_size`, or what divides a rollout evenly above it."""
        size = self.config.rollout_steps * self.config.num_envs
        num_batches = max(1, size // self.config.batch_size)
        for _ in range(self.config.num_epochs):
            order = self.shuffle.permutation(size)
            for i in range(num_batches):
                yield order[size * i // num_batches : size * (i + 1) // num_batches]

    def inputs(self, obs: np.ndarray) -> np.ndarray:
        """Observations [B, ...] as the networks see them."""
        if self.config.normalise_obs:
            return self.moments.normalise(obs)
        return obs.astype(np.float32) if obs.dtype == np.float64 else obs

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The most probable actions [B, ...] at observations [B, ...]."""
        return self.actions.to_env(self.actions.greedy(self.actor_critic.head(self.inputs(inputs))))

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self.actor_critic.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, running statistics and where the environments are."""
        return {
            "actor_critic": self.actor_critic.state_dict(),
            "moments": self.moments.state_dict(),
            "reward_scale": self.reward_scale.state_dict(),
            "envs": self.envs.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.actor_critic.load_state_dict(state["actor_critic"])
        self.moments.load_state_dict(state["moments"])
        self.reward_scale.load_state_dict(state["reward_scale"])
        self.obs = self.envs.load_state_dict(state["envs"])


def flat(array: np.ndarray) -> np.ndarray:
    """Time and environments as one axis: [T N, ...] of [T, N, ...]."""
    return array.reshape(-1, *array.shape[2:])


def build_actor_critic(
    config: PPOConfig, task: ControlTask, network: Network, actions: Categorical | Gaussian, rng: np.random.Generator, device: str
) -> ActorCritic | CompiledActorCritic:
    """Actor and critic of the same network, each with parameters of its own.

    The networks start as they are configured (`mlp` and `cnn`: orthogonal, gain sqrt(2), last layer 1); the policy's last layer
    is then scaled down, so that the first policy prefers nothing.
    """
    actor = network.build(task.input_space, task.output_space, rng)
    critic = network.build(task.input_space, spaces.Box(-np.inf, np.inf, (1,), np.float32), rng)
    last = [module for module in actor.modules() if isinstance(module, nn.Linear)][-1]
    last.weight.data.mul_(config.policy_gain)
    space, is_plain = task.input_space, Layout.of(actor) is not None and Layout.of(critic) is not None
    is_vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f"
    if config.compiled and device != "cuda" and is_plain and is_vector:
        return CompiledActorCritic(actor, critic, actions, config)
    return ActorCritic(actor, critic, actions, config, resolve_device(device))
