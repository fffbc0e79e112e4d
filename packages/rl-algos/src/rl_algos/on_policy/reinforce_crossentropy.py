"""REINFORCE as supervised learning: the actions taken are the classes, and an example counts as much as the return that followed it.

Source: the identity grad E[G] = E[G grad ln pi(a|s)] of R. J. Williams, "Simple statistical gradient-following algorithms for
connectionist reinforcement learning", 1992, theorem 1, read as a weighted likelihood: G (-ln pi(a|s)) is categorical cross-entropy with
sample weight G; P. Dayan, G. Hinton, "Using expectation-maximization for reinforcement learning", 1997, section 2.
Departures: a weight must not be negative, so where a return is, the smallest return of the episodes is subtracted from all (a baseline,
which leaves the expected gradient where it was). `supervised.update` divides by the sum of the weights, where REINFORCE divides by their
number: the loss is multiplied by their mean, and the gradients are the same (`test_reinforce_crossentropy` holds them to 1e-6).
Letters: B batch, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch

from dl_nets.fast.mlp import one_thread
from dl_nets.learning import losses, supervised
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser, OptimiserName
from dl_nets.learning.schedules import schedule
from dl_nets.learning.streams import load_module_state, module_state
from rl_algos.on_policy.reinforce import returns_to_go
from rl_algos.on_policy.rollout import Collector, flat
from rl_algos.parts.actor_critic import build_networks
from rl_algos.parts.distributions import Categorical, distribution
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, NonNegative, Positive, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ReinforceCrossentropyConfig:
    """Settings of the episodes, and of the supervised learning from them."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 8
    episodes_per_env: Annotated[Count, Doc("whole episodes of each environment between two updates")] = 1
    max_episode_steps: Annotated[Count, Doc("steps after which an update waits no longer for an episode to end")] = 10_000
    discount: Annotated[Fraction, Doc("gamma, weight of the next step's reward")] = 0.99
    normalise_obs: Annotated[bool, Doc("observations to mean 0 and deviation 1, with running statistics")] = False
    policy_gain: Annotated[NonNegative, Doc("factor on the first weights of the policy's last layer; small is near uniform")] = 0.01
    optimiser: Annotated[OptimiserName, Doc("sgd, momentum, nesterov, adam, adamw or rmsprop")] = "adam"
    learning_rate: Annotated[Positive, Doc("alpha, step size")] = 1e-2
    learning_rate_schedule: Annotated[Literal["constant", "linear"], Doc("linear goes down to 0 at the end of the budget")] = "linear"


def sample_weights(return_: np.ndarray) -> np.ndarray:
    """What each example counts for [B], >= 0: its return, less the smallest one where that is negative.

    >>> sample_weights(np.array([1.0, 3.0])).tolist(), sample_weights(np.array([-2.0, 1.0])).tolist()
    ([1.0, 3.0], [0.0, 3.0])
    """
    return return_ - min(float(return_.min()), 0.0)


class ClassifierPolicy:
    """A classifier as a policy: its logits are those of the actions."""

    log_std = np.zeros(0, dtype=np.float32)

    def __init__(self, module: torch.nn.Module, device: torch.device) -> None:
        self.module, self.device = module.to(device).eval(), device

    @torch.no_grad()
    def head(self, inputs: np.ndarray) -> np.ndarray:
        """Logits [B, A] of inputs [B, ...]."""
        return self.module(self.tensor(inputs)).cpu().numpy()

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """The array on the classifier's device."""
        return torch.from_numpy(array).to(self.device)


class ReinforceCrossentropy(Agent):
    """The agent: whole episodes, then one step of `dl_nets.learning.supervised.update` on them."""

    Config: ClassVar[type] = ReinforceCrossentropyConfig
    headline = "episode_return"
    config: ReinforceCrossentropyConfig

    def __init__(
        self,
        config: ReinforceCrossentropyConfig,
        task: ControlTask,
        network: Network,
        *,
        seeds: Seeds,
        budget: int,
        device: str = "auto",
    ) -> None:
        super().__init__(config, task, network, seeds=seeds, budget=budget, device=device)
        actions = distribution(task.output_space)
        if not isinstance(actions, Categorical):
            raise ValueError(f"the task takes actions of {task.output_space}; a classifier chooses among those of a Discrete space")
        self.actions = actions
        self.collector = Collector(
            task, actions, num_envs=config.num_envs, seeds=seeds, discount=config.discount, normalise_obs=config.normalise_obs
        )
        actor, _ = build_networks(task, network, seeds.numpy("initialisation"), policy_gain=config.policy_gain, with_critic=False)
        self.policy = ClassifierPolicy(actor, resolve_device(device))
        self.optimiser = Optimiser(config.optimiser, actor.parameters(), learning_rate=config.learning_rate)

    @one_thread
    def step(self) -> dict[str, float]:
        """One iteration: whole episodes, and a supervised step towards the actions that were taken, by their returns."""
        config = self.config
        self.optimiser.learning_rate = config.learning_rate * schedule(config.learning_rate_schedule)(self.progress / self.budget)
        rollout, counted = self.collector.collect_episodes(self.policy, config.episodes_per_env, config.max_episode_steps)
        return_ = returns_to_go(rollout.reward, config.discount, rollout.over, np.zeros_like(rollout.reward))[counted]
        loss = self.learn(self.collector.inputs(flat(rollout.obs)[counted.ravel()]), rollout.action[counted], sample_weights(return_))
        self.collector.learn_moments(rollout)
        self.progress += rollout.reward.size
        metrics = {"loss": loss, "return": float(return_.mean()), "learning_rate": self.optimiser.learning_rate}
        return metrics | self.collector.episode_metrics()

    def learn(self, inputs: np.ndarray, action: np.ndarray, weight: np.ndarray) -> float:
        """One step on examples [B, ...] with classes [B] and weights [B]; the weighted loss before it."""
        mean_weight = float(weight.mean())
        if mean_weight == 0.0:  # no return stands out: nothing to learn, and no mean to be had
            return 0.0
        loss = supervised.update(
            self.policy.module,
            self.optimiser,
            self.policy.tensor(inputs),
            self.policy.tensor(action),
            self.policy.tensor(weight.astype(np.float32)),
            loss=lambda logits, targets: mean_weight * losses.cross_entropy(logits, targets),
        )
        return float(loss)

    @one_thread
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The most probable actions [B] at observations [B, ...]."""
        return self.actions.to_env(self.actions.greedy(self.policy.head(self.collector.inputs(inputs))))

    def parameters(self) -> dict[str, np.ndarray]:
        """Every trainable number, by name."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.policy.module.named_parameters()}

    def state_dict(self) -> dict[str, Any]:
        """The classifier, its optimiser, running statistics and where the environments are."""
        return {"module": module_state(self.policy.module), "optimiser": self.optimiser.state_dict(), **self.collector.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        load_module_state(self.policy.module, state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.collector.load_state_dict(state)
