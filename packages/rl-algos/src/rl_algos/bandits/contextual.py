"""Agents for contextual bandits: LinUCB, Thompson sampling with linear rewards, and EXP4 on simple experts.

Source: L. Li, W. Chu, J. Langford, R. Schapire, "A contextual-bandit approach to personalized news article recommendation", 2010,
Algorithm 1 (a model for each arm); S. Agrawal, N. Goyal, "Thompson sampling for contextual bandits with linear payoffs", 2013,
Algorithm 1; P. Auer, N. Cesa-Bianchi, Y. Freund, R. Schapire, "The nonstochastic multiarmed bandit problem", 2002, section 7 (EXP4).
Departures: contexts have a constant appended; Thompson sampling keeps a model for each arm, as LinUCB does; the experts of EXP4 are
those that show arm 1 + j or arm 1 + k by the sign of one number of the context, and those that always show one arm; rewards are scaled
to [0, 1] by the least and largest seen.
Letters: A arms, I numbers of a context and the constant, E experts, B batch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np

from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass
from rl_core.task import ControlTask


@configclass
class ContextualConfig:
    """Settings that all agents for contextual bandits have in common."""

    pulls_per_iteration: Annotated[Count, Doc("users between two reports")] = 100


class ContextualAgent(Agent):
    """An agent that meets one user after the other.

    Attributes:
        regret: Sum over users of the best arm's mean reward less that of the arm shown.
    """

    headline = "reward"
    state_fields: ClassVar[tuple[str, ...]] = ("regret", "envs", "obs")
    task: ControlTask

    def setup(self) -> None:
        """Make the stream of users."""
        self.num_arms = int(self.task.output_space.n)
        self.rng = self.seeds.numpy("exploration")
        self.envs: Any = self.task.envs(1, self.seeds)
        self.obs = self.envs.reset()
        self.regret = 0.0

    def step(self) -> dict[str, float]:
        """Show an item to each of some users, and learn from what they say."""
        rewards, best = [], 0
        for _ in range(max(1, min(self.config.pulls_per_iteration, self.budget - self.progress))):
            context, means = with_constant(self.obs)[0], self.envs.means()[0]
            arm = self.choose(context)
            after = self.envs.step(np.array([arm]))
            self.learn(context, arm, float(after.reward[0]))
            self.regret += float(means.max() - means[arm])
            best += int(means[arm] == means.max())
            rewards.append(float(after.reward[0]))
            self.obs = after.obs
            self.progress += 1
        return {"reward": float(np.mean(rewards)), "best_arm": best / len(rewards), "regret": self.regret}

    @abstractmethod
    def choose(self, context: np.ndarray) -> int:
        """Return the arm to learn from, for a context [I]."""

    @abstractmethod
    def learn(self, context: np.ndarray, arm: int, reward: float) -> None:
        """Take in the reward of an arm for a context [I]."""


def with_constant(contexts: np.ndarray) -> np.ndarray:
    """Return contexts [B, I - 1] with a 1 appended [B, I], float64.

    >>> with_constant(np.array([[2.0]])).tolist()
    [[2.0, 1.0]]
    """
    return np.concatenate([contexts, np.ones((len(contexts), 1))], axis=1, dtype=np.float64)


class Ridge:
    """A ridge regression of rewards on contexts for each arm, updated one reward at a time (Sherman and Morrison).

    Args:
        num_arms: A.
        size: I.
        penalty: lambda: the matrices start at lambda times the identity.

    Attributes:
        weights: theta_a = A_a^-1 b_a [A, I].

    >>> ridge = Ridge(1, 1, 1.0)
    >>> ridge.add(0, np.array([2.0]), 10.0)  # A = 1 + 4, b = 20
    >>> ridge.weights.round(6).tolist(), ridge.variance(np.array([2.0])).round(6).tolist()  # x A^-1 x = 4 / 5
    ([[4.0]], [0.8])
    """

    def __init__(self, num_arms: int, size: int, penalty: float) -> None:
        self.inverse = np.tile(np.eye(size) / penalty, (num_arms, 1, 1))
        self.response = np.zeros((num_arms, size))
        self.weights = np.zeros((num_arms, size))

    def add(self, arm: int, context: np.ndarray, reward: float) -> None:
        """Add a context [I] and its reward: A <- A + x x^T, b <- b + r x."""
        step = self.inverse[arm] @ context
        self.inverse[arm] -= np.outer(step, step) / (1.0 + context @ step)
        self.response[arm] += reward * context
        self.weights[arm] = self.inverse[arm] @ self.response[arm]

    def variance(self, context: np.ndarray) -> np.ndarray:
        """Return x^T A_a^-1 x of each arm [A] for a context [I]."""
        return np.asarray((self.inverse @ context) @ context)


@configclass
class LinUCBConfig(ContextualConfig):
    """Settings of LinUCB."""

    width: Annotated[NonNegative, Doc("alpha, width of the confidence bound")] = 1.0
    penalty: Annotated[Positive, Doc("lambda of the ridge regressions")] = 1.0


class LinearAgent(ContextualAgent):
    """An agent with a linear model of each arm's reward."""

    state_fields = (*ContextualAgent.state_fields, "inverse", "response", "weights")
    config: Any

    def setup(self) -> None:
        """Start from models that know nothing."""
        super().setup()
        self.ridge = Ridge(self.num_arms, self.obs.shape[1] + 1, self.config.penalty)
        self.inverse, self.response, self.weights = self.ridge.inverse, self.ridge.response, self.ridge.weights

    def learn(self, context: np.ndarray, arm: int, reward: float) -> None:
        """Update the model of the arm."""
        self.ridge.add(arm, context, reward)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the arms whose models promise most [B] for contexts [B, I - 1]."""
        return np.asarray((with_constant(inputs) @ self.weights.T).argmax(axis=1))


class LinUCB(LinearAgent):
    """The arm with the largest upper bound theta_a . x + alpha sqrt(x^T A_a^-1 x)."""

    Config: ClassVar[type] = LinUCBConfig

    def choose(self, context: np.ndarray) -> int:
        """Return the arm of the largest bound."""
        return int((self.weights @ context + self.config.width * np.sqrt(self.ridge.variance(context))).argmax())


@configclass
class LinThompsonConfig(ContextualConfig):
    """Settings of Thompson sampling with linear rewards."""

    deviation: Annotated[Positive, Doc("v, scale of the posterior's standard deviation")] = 0.5
    penalty: Annotated[Positive, Doc("lambda of the ridge regressions")] = 1.0


class LinThompson(LinearAgent):
    """The arm that pays most under weights drawn from N(theta_a, v^2 A_a^-1)."""

    Config: ClassVar[type] = LinThompsonConfig

    def choose(self, context: np.ndarray) -> int:
        """Return the arm of the largest draw; the reward of each arm is drawn in place of its weights, to the same effect."""
        spread = self.config.deviation * np.sqrt(self.ridge.variance(context))
        return int((self.weights @ context + spread * self.rng.standard_normal(self.num_arms)).argmax())


@configclass
class Exp4Config(ContextualConfig):
    """Settings of EXP4."""

    exploration: Annotated[float, Meta(gt=0, le=1), Doc("gamma, share of even chances among the arms; also the rate of the weights")] = 0.1


class Exp4(ContextualAgent):
    """Experts who advise arms, weighted by what their advice earned; nothing is assumed of the rewards but their range."""

    Config: ClassVar[type] = Exp4Config
    state_fields = (*ContextualAgent.state_fields, "log_weights", "seen")
    config: Exp4Config

    def setup(self) -> None:
        """Make the experts: (feature, arm where it is positive, arm where it is not)."""
        super().setup()
        arms, features = range(self.num_arms), range(self.obs.shape[1])
        split = [(feature, one, other) for feature in features for one in arms for other in arms if one != other]
        self.experts = np.array(split + [(self.obs.shape[1], arm, arm) for arm in arms])  # the constant is always positive
        self.log_weights = np.zeros(len(self.experts))
        self.seen = np.array([np.inf, -np.inf])  # least and largest reward
        self._chances = np.zeros(self.num_arms)

    def advice(self, contexts: np.ndarray) -> np.ndarray:
        """Return the arm that each expert advises [B, E] for contexts [B, I]."""
        feature, positive, other = self.experts.T
        return np.where(contexts[:, feature] > 0, positive, other)

    def shares(self, contexts: np.ndarray) -> np.ndarray:
        """Return the weight of the advice for each arm [B, A]."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        chosen = self.advice(contexts)[:, :, None] == np.arange(self.num_arms)
        return np.asarray((weights[None, :, None] * chosen).sum(axis=1) / weights.sum())

    def choose(self, context: np.ndarray) -> int:
        """Return an arm drawn by (1 - gamma) of the advice and gamma of even chances."""
        gamma = self.config.exploration
        self._chances = (1 - gamma) * self.shares(context[None])[0] + gamma / self.num_arms
        return min(int(np.searchsorted(self._chances.cumsum(), self.rng.random())), self.num_arms - 1)

    def learn(self, context: np.ndarray, arm: int, reward: float) -> None:
        """Raise the weights of the experts who advised the arm by exp(gamma / A times reward / chance)."""
        self.seen[:] = min(self.seen[0], reward), max(self.seen[1], reward)
        width = self.seen[1] - self.seen[0]
        gain = (reward - self.seen[0]) / width if width > 0 else 0.0
        agreed = self.advice(context[None])[0] == arm
        self.log_weights += agreed * (self.config.exploration / self.num_arms * gain / self._chances[arm])

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the arms with the most weight of advice [B] for contexts [B, I - 1]."""
        return np.asarray(self.shares(with_constant(inputs)).argmax(axis=1))
