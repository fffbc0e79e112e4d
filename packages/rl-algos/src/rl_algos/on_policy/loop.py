"""What agents have in common that learn from what their policy just did and then forget it: PPO, TRPO, A2C and their kin.

Letters: T steps, N environments, B = T N transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from dl_nets.fast.mlp import one_thread
from dl_nets.learning.devices import resolve_device
from rl_algos.compiled.policies import CompiledActorCritic
from rl_algos.on_policy.gae import advantages
from rl_algos.on_policy.rollout import Batch, Collector, Rollout, flat
from rl_algos.parts.actor_critic import ActorCritic, build_networks, can_be_compiled
from rl_algos.parts.distributions import distribution
from rl_algos.parts.recurrence import Player, Replay, one_step, replayed
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict


@configclass
class OnPolicyConfig:
    """Settings that every such agent has; its own config extends these."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with running statistics")] = False
    normalise_reward: Annotated[bool, Doc("rewards by the running deviation of the discounted return")] = False
    policy_gain: Annotated[NonNegative, Doc("factor on the first weights of the policy's last layer; small is near uniform")] = 0.01
    log_std: Annotated[float, Doc("first ln sigma of continuous actions, in units of the Box's half width, any number")] = 0.0
    compiled: Annotated[bool, Doc("whether a plain perceptron on the CPU takes the compiled path; the results differ by rounding")] = True


class OnPolicy(Agent):
    """Builds the policy, plays it, and estimates how good each action was. A subclass is the algorithm: it writes `step`.

    A subclass names its two learners, which differ in how they compute and not in what: `learner` in torch, for any network and
    device, and `compiled_learner` for plain perceptrons on the CPU. One that updates on whole sequences says `carries_state`, and
    then takes recurrent networks.
    """

    headline = "episode_return"
    config: OnPolicyConfig
    task: ControlTask
    learner: ClassVar[type[ActorCritic]]
    compiled_learner: ClassVar[type[CompiledActorCritic]]
    carries_state: ClassVar[bool] = False

    def __init__(
        self, config: OnPolicyConfig, task: ControlTask, network: Network, *, seeds: Seeds, budget: int, device: str = "auto"
    ) -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        self.actions = distribution(task.output_space)
        actor, critic = build_networks(
            task,
            network,
            seeds.numpy("initialisation"),
            policy_gain=config.policy_gain,
            with_critic=self.has_critic,
            carries_state=self.carries_state,
        )
        self.state_size = sum(module.state_size for module in (actor, critic) if isinstance(module, Replay))
        self.collector = Collector(
            task,
            self.actions,
            num_envs=config.num_envs,
            seeds=seeds,
            discount=config.discount,
            normalise_obs=config.normalise_obs,
            normalise_reward=config.normalise_reward,
            state_size=self.state_size,
        )
        self.actor_critic: Any
        if config.compiled and can_be_compiled(task, device, actor, critic):
            self.actor_critic = self.compiled_learner(actor, critic, self.actions, config)
        else:
            self.actor_critic = self.learner(actor, critic, self.actions, config, resolve_device(device))

    @property
    def has_critic(self) -> bool:
        """Whether values are learned."""
        return True

    def estimate(self, rollout: Rollout, gae_lambda: float) -> Batch:
        """The rollout [T, N, ...] as one batch [T N, ...], with advantages and the targets of the values."""
        inputs: Any = self.collector.inputs(flat(rollout.obs))
        led_to: Any = self.collector.inputs(flat(rollout.final_obs))
        action = flat(rollout.action)
        if self.state_size:
            inputs, led_to = replayed(inputs, rollout), one_step(led_to, flat(rollout.next_state))
        value, next_value = self.actor_critic.value(inputs), self.actor_critic.value(led_to)
        reward = self.collector.reward(rollout)
        # A terminated episode has no future; one that a time limit cut has, and the critic says what it is worth.
        discount = np.where(rollout.terminated, 0.0, self.config.discount).astype(np.float32)
        advantage = advantages(
            reward, discount, value.reshape(reward.shape), next_value.reshape(reward.shape), rollout.over, gae_lambda
        ).ravel()
        return Batch(inputs, action, self.actor_critic.log_prob(inputs, action), value, advantage, advantage + value)

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The most probable actions [B, ...] at observations [B, ...]; with a memory, at the first observations of episodes."""
        if self.state_size:
            return self._answer(inputs, np.zeros((len(inputs), self.state_size), np.float32))[0]
        return self.actions.to_env(self.actions.greedy(self.actor_critic.head(self.collector.inputs(inputs))))

    def predictor(self) -> Predict:
        """`predict`, or a player that remembers each episode."""
        return Player(one_thread(self._answer), self.state_size) if self.state_size else self.predict

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return self.actor_critic.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers, running statistics and where the environments are."""
        return {"actor_critic": self.actor_critic.state_dict(), **self.collector.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.actor_critic.load_state_dict(state["actor_critic"])
        self.collector.load_state_dict(state)

    def _answer(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The most probable actions [B, ...] at observations [B, ...] that follow a state [B, S], and the state after them."""
        head, state = self.actor_critic.advance(self.collector.inputs(inputs), state)
        return self.actions.to_env(self.actions.greedy(head)), state
